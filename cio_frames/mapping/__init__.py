"""Which column feeds which field of a call."""

from cio_frames.mapping.computing import computing
from cio_frames.mapping.propose import Proposal, propose
from cio_frames.mapping.resolve import Ask, Body, resolve
from cio_frames.mapping.slots import CREATED, MessageMapping, Nulls, Slot, dtype_of
from cio_frames.mapping.sources import Value

__all__ = [
    "CREATED",
    "Ask",
    "Body",
    "MessageMapping",
    "Nulls",
    "Proposal",
    "Slot",
    "Value",
    "computing",
    "dtype_of",
    "propose",
    "resolve",
]
