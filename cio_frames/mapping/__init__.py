"""Which column feeds which field of a call."""

from cio_frames.mapping.message_mapping import (
    CREATED,
    MessageMapping,
    Nulls,
    Slot,
    computing,
    dtype_of,
)
from cio_frames.mapping.resolve import Ask, Body, resolve
from cio_frames.mapping.sources import Value
from cio_frames.mapping.suggest import Proposal, propose

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
