"""Map columns of a table to fields of a call."""

from cio_frames.mapping.identifiers import (
    lane_key,
    linked_keys,
    numbered,
    own_names,
    person_ids,
    person_key,
    person_name,
    subjects,
)
from cio_frames.mapping.message_mapping import (
    CREATED,
    Dots,
    FieldMapping,
    MessageMapping,
    Nulls,
    computing,
    dtype_of,
)
from cio_frames.mapping.people import ALMOST_ALL
from cio_frames.mapping.proposal import Proposal
from cio_frames.mapping.resolve import Body, CallArguments, resolve
from cio_frames.mapping.sources import Value
from cio_frames.mapping.suggest import intended_trait, propose, propose_traits
from cio_frames.mapping.times import UNNAMED, time_rank

__all__ = [
    "ALMOST_ALL",
    "CREATED",
    "UNNAMED",
    "Body",
    "CallArguments",
    "Dots",
    "FieldMapping",
    "MessageMapping",
    "Nulls",
    "Proposal",
    "Value",
    "computing",
    "dtype_of",
    "intended_trait",
    "lane_key",
    "linked_keys",
    "numbered",
    "own_names",
    "person_ids",
    "person_key",
    "person_name",
    "propose",
    "propose_traits",
    "resolve",
    "subjects",
    "time_rank",
]
