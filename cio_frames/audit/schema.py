"""The columns of the record, and the states of a row.

The tables have only text, integers and UTC timestamps, so that any tool reads them. Message ids stay
text. Hashes and pseudonyms are cut to 64 bits: they are only compared within a run or between rows
with one message id, and at full length they would double the size of the files.
"""

from typing import get_args

import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.sending.events import State

FORMAT = 4
"""Version of the directory layout and of every file in it."""

READABLE = frozenset({1, 2, 3, FORMAT})
"""Formats that can be read. In 1 the lines of journals were not the facts of the run; up to 2 message
ids and hashes of payloads were not keyed, and no row had subjects; up to 3 a plan had every column,
not only those that differ between rows."""

STATES: tuple[str, ...] = get_args(State)
"""Every state of a row; a row is in exactly one."""

FINAL_STATES = frozenset(
    {"delivered", "accepted_unverified", "rejected_local", "rejected_server", "skipped_done"}
)
"""States that never change."""

UNFINISHED = ("blocked", "in_doubt", "pending")
"""States that a resume may change."""

FAILED = ("rejected_local", "rejected_server", *UNFINISHED)
"""States of rows that Customer.io may not have received."""

HASH_CHARACTERS = 16
"""How many hexadecimal characters of a payload hash or a pseudonym are kept."""

ID_CHARACTERS = 26
"""How many hexadecimal characters replace a message id: as many as it has. They decide which messages
are not sent again, so two messages must never have the same."""

_PLANNED: dict[str, pl.DataType | DataTypeClass] = {
    "plan": pl.Int32,
    "row": pl.Int64,
    "call": pl.String,
    "person_key": pl.String,
    "message_id": pl.String,
    "payload_hash": pl.String,
    "subjects": pl.String,
    "bytes": pl.Int64,
    "lane": pl.Int32,
    "batch": pl.Int32,
}

ADDED = frozenset({"subjects"})
"""Columns that records of earlier formats lack."""

PLAN_SCHEMA = pl.Schema(
    {
        **_PLANNED,
        "position": pl.Int32,
        "state": pl.String,
        "code": pl.String,
        "error": pl.String,
    }
)
"""One row per input row of a segment, written before anything of it is sent."""

_MOMENT = pl.Datetime("ms", "UTC")

PART_SCHEMA = pl.Schema(
    {
        "run_id": pl.String,
        **_PLANNED,
        "attempts": pl.Int32,
        "state": pl.String,
        "http_status": pl.Int16,
        "code": pl.String,
        "error": pl.String,
        "first_attempt_at": _MOMENT,
        "finished_at": _MOMENT,
    }
)
"""One row per input row, with its outcome."""
