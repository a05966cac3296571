"""The frames of a workspace. Their schemas do not depend on what is in them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import polars as pl

from cio_frames.sandbox.schemas import Message

TEXT: Final[pl.DataType] = pl.String()
COUNT: Final[pl.DataType] = pl.Int64()
TIME: Final[pl.DataType] = pl.Datetime("us", "UTC")
TEXTS: Final[pl.DataType] = pl.List(pl.String)
JSON: Final = frozenset({"attributes", "properties", "mapping"})
"""Columns that hold JSON as text."""

# fmt: off
SCHEMAS: Mapping[str, pl.Schema] = {
    "people": pl.Schema({
        "cio_id": TEXT, "id": TEXT, "email": TEXT, "anonymous_ids": TEXTS,
        "created_at": COUNT, "attributes": TEXT,
    }),
    "events": pl.Schema({
        "type": TEXT, "name": TEXT, "person": TEXT, "id": TEXT,
        "email": TEXT, "anonymous_id": TEXT, "timestamp": TIME, "received_at": TIME,
        "message_id": TEXT, "attribution": TEXT, "can_trigger_campaigns": pl.Boolean(),
        "properties": TEXT,
    }),
    "objects": pl.Schema({
        "object_type_id": TEXT, "object_id": TEXT, "attributes": TEXT,
    }),
    "relationships": pl.Schema({
        "object_type_id": TEXT, "object_id": TEXT, "person": TEXT, "id": TEXT,
        "email": TEXT, "anonymous_id": TEXT, "attributes": TEXT,
    }),
    "forms": pl.Schema({
        "form_id": TEXT, "submissions": COUNT, "refused": COUNT, "mapping": TEXT,
    }),
    "merges": pl.Schema({
        "kept": TEXT, "kept_key": TEXT, "removed": TEXT, "removed_keys": TEXTS,
        "why": TEXT, "events_moved": COUNT, "events_later": COUNT, "events_lost": COUNT,
        "received_at": TIME, "open": TEXT,
    }),
    "failures": pl.Schema({
        "kind": TEXT, "rule": TEXT, "reason": TEXT, "person": TEXT,
        "key": TEXT, "subject": TEXT, "source": TEXT, "open": TEXT,
    }),
    "requests": pl.Schema({
        "number": COUNT, "at": TIME, "method": TEXT, "path": TEXT, "status": COUNT,
        "strict": pl.Boolean(), "bytes": COUNT, "wire_bytes": COUNT, "items": COUNT,
        "dropped": COUNT, "retries": COUNT, "elapsed_ms": pl.Float64(),
        "fault": TEXT,
    }),
    "messages": pl.Schema({
        "number": COUNT, "request": COUNT, "item": COUNT, "type": TEXT,
        "message_id": TEXT, "status": COUNT, "reason": TEXT, "detail": TEXT,
        "bytes": COUNT, "payload_sha": TEXT, "json": TEXT,
    }),
}
# fmt: on


def frame(name: str, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows of the model as the frame with this name."""
    rows = list(rows)
    columns = {
        key: _column(key, kind, [row.get(key) for row in rows])
        for key, kind in SCHEMAS[name].items()
    }
    return pl.DataFrame(columns, schema=SCHEMAS[name])


def with_identifiers(
    name: str, rows: Iterable[Mapping[str, Any]], *, people: pl.DataFrame
) -> pl.DataFrame:
    """Return rows that name a person by `cio_id`, with the person's identifiers."""
    unnamed = frame(name, rows).drop("id", "email")
    keys = people.select("cio_id", "id", "email")
    joined = unnamed.join(
        keys, left_on="person", right_on="cio_id", how="left", maintain_order="left"
    )
    return joined.select(SCHEMAS[name].names())


def people(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the profiles. `created_at` is an attribute too, and a column when it is a time."""
    return frame("people", map(_person, rows))


def requests(rows: Iterable[msgspec.Struct]) -> pl.DataFrame:
    """Return the requests by number."""
    columns = {key: [getattr(row, key) for row in rows] for key in SCHEMAS["requests"]}
    return pl.DataFrame(columns, schema=SCHEMAS["requests"]).sort("number")


def messages(arrivals: Sequence[tuple[Any, Sequence[Message]]]) -> pl.DataFrame:
    """Return every message in the order of arrival, with copies and dropped ones."""
    flat = [message for _, received in arrivals for message in received]
    texts = [bytes(message.text) for message in flat]
    columns = {
        "number": range(1, len(flat) + 1),
        "request": [arrival.number for arrival, received in arrivals for _ in received],
        "item": [item for _, received in arrivals for item in range(len(received))],
        "type": [message.call for message in flat],
        "message_id": [message.message_id for message in flat],
        "status": [arrival.status for arrival, received in arrivals for _ in received],
        "reason": [message.reason for message in flat],
        "detail": [message.detail for message in flat],
        "bytes": [len(text) for text in texts],
        "payload_sha": [hashlib.sha256(text).hexdigest() for text in texts],
        "json": [text.decode(errors="replace") for text in texts],
    }
    return pl.DataFrame(columns, schema=SCHEMAS["messages"])


def _column(key: str, kind: pl.DataType, values: list[Any]) -> list[Any]:
    if key in JSON:
        return [msgspec.json.encode(value).decode() for value in values]
    if kind == TIME:  # as numbers: polars takes 5 times longer to read datetimes
        return [round(value.timestamp() * 1e6) for value in values]
    return values


def _person(row: Mapping[str, Any]) -> dict[str, Any]:
    born = row.get("created_at")
    if born is None:
        return dict(row)
    is_time = isinstance(born, int) and not isinstance(born, bool) and abs(born) < 2**63
    attributes = {"created_at": born} | row["attributes"]
    return dict(row) | {"created_at": born if is_time else None, "attributes": attributes}
