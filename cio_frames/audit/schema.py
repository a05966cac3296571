"""What the record of a row looks like, and the states a row can be in.

The tables are plain Parquet: text, integers and UTC timestamps, so that any tool reads them.
Message ids stay text. Hashes and pseudonyms are cut to 64 bits: they are only ever compared
within a run or between rows of one message id, and whole they would double the files.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import polars as pl
import pyarrow as pa

FORMAT = 1
"""Version of the directory layout and of every file in it."""

STATES = (
    "delivered",
    "accepted_unverified",
    "rejected_local",
    "rejected_server",
    "skipped_done",
    "blocked",
    "in_doubt",
    "pending",
)
"""Every state of a row; a row is in exactly one."""

SETTLED = frozenset(
    {"delivered", "accepted_unverified", "rejected_local", "rejected_server", "skipped_done"}
)
"""States that a row never leaves."""

UNFINISHED = ("blocked", "in_doubt", "pending")
"""States that a later resume may change."""

FAILED = ("rejected_local", "rejected_server", *UNFINISHED)
"""States of rows that Customer.io is not known to have."""

HASH_CHARACTERS = 16
"""How many hexadecimal characters of a payload hash or a pseudonym are kept."""

_PLANNED: Mapping[str, pa.DataType] = MappingProxyType(
    {
        "plan": pa.int32(),
        "row": pa.int64(),
        "call": pa.string(),
        "person_key": pa.string(),
        "message_id": pa.string(),
        "payload_hash": pa.string(),
        "bytes": pa.int64(),
        "lane": pa.int32(),
        "batch": pa.int32(),
    }
)

PLAN_SCHEMA = pa.schema(
    [
        *_PLANNED.items(),
        ("position", pa.int32()),
        ("state", pa.string()),
        ("code", pa.string()),
        ("error", pa.string()),
    ]
)
"""One row per input row of a segment, sealed before anything of it is sent."""

_MOMENT = pa.timestamp("ms", tz="UTC")

PART_SCHEMA = pa.schema(
    [
        ("run_id", pa.string()),
        *_PLANNED.items(),
        ("attempts", pa.int32()),
        ("state", pa.string()),
        ("http_status", pa.int16()),
        ("code", pa.string()),
        ("error", pa.string()),
        ("first_attempt_at", _MOMENT),
        ("finished_at", _MOMENT),
    ]
)
"""One row per input row, with what became of it."""


@cache
def frame_schema(schema: pa.Schema) -> pl.Schema:
    """Return the polars schema of a table of this room.

    Examples:
        >>> frame_schema(PART_SCHEMA)["state"]
        String
    """
    return pl.Schema(schema)
