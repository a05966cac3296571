"""Slips: of each message, what decides who is who, in columns.

Three kinds of messages need no more than a few columns: plain identifies, plain events of a
person, and plain events of a visitor. All others are odd and keep their text.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec
import polars as pl

from cio_frames.identity.keys import is_mail
from cio_frames.identity.semantic_events import EFFECTS
from cio_frames.identity.settings import CAMPAIGN, MERGED_EVENTS

BASE: Final = {"number": pl.Int64, "plan": pl.Int32, "row": pl.Int64, "message_id": pl.String}
IDENTIFIES: Final = pl.Schema(
    BASE | {"user": pl.String, "email": pl.String, "anonymous": pl.String}
)  # fmt: skip
EVENTS: Final = pl.Schema(
    BASE | {"user": pl.String, "anonymous": pl.String, "name": pl.String, "at": pl.String}
)
ODD: Final = pl.Schema(BASE | {"text": pl.String, "form": pl.String})

_TIME: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$"
_SECOND: Final = len("2026-01-31T00:00:00")
_EMPTY: Final = pl.lit(None, pl.String)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Messages of one plan in the order in which they are sent.

    Attributes:
        plan: Position of the plan.
        call: Name of its call.
        messages: Columns row, message and message_id; for forms also form.
    """

    plan: int
    call: str
    messages: pl.DataFrame


class _Traits(msgspec.Struct, gc=False, frozen=True):
    email: Any = None
    id: Any = msgspec.UNSET
    anonymous_id: Any = msgspec.UNSET
    object_id: Any = msgspec.field(default=msgspec.UNSET, name="objectId")
    cio_id: Any = msgspec.UNSET
    created: Any = msgspec.field(default=msgspec.UNSET, name="_created_in_customerio_at")

    def is_plain(self) -> bool:
        found = (self.id, self.anonymous_id, self.object_id, self.cio_id, self.created)
        return found == _NONE


_NONE: Final = (msgspec.UNSET,) * 5
_NO_TRAITS: Final = _Traits()


class _Identify(msgspec.Struct, gc=False, rename="camel"):
    user_id: Any = None
    anonymous_id: Any = None
    traits: _Traits = _NO_TRAITS


class _Properties(msgspec.Struct, gc=False, frozen=True):
    url: Any = None


_NO_PROPERTIES: Final = _Properties()


class _Event(msgspec.Struct, gc=False, rename="camel"):
    user_id: Any = None
    anonymous_id: Any = None
    event: Any = None
    name: Any = None
    timestamp: Any = None
    properties: _Properties = _NO_PROPERTIES


_identify: Final = msgspec.json.Decoder(_Identify).decode
_event: Final = msgspec.json.Decoder(_Event).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Slips:
    """Slips by kind.

    Attributes:
        identifies: Plain identifies.
        events: Plain events of a person.
        visits: Plain events of a visitor.
        odd: All other messages, with their text.
    """

    identifies: pl.DataFrame
    events: pl.DataFrame
    visits: pl.DataFrame
    odd: pl.DataFrame

    @classmethod
    def joined(cls, parts: "Sequence[Slips]") -> "Slips":
        """Return the slips of several sheets as one."""
        return cls(
            identifies=pl.concat([IDENTIFIES.to_frame(), *(part.identifies for part in parts)]),
            events=pl.concat([EVENTS.to_frame(), *(part.events for part in parts)]),
            visits=pl.concat([EVENTS.to_frame(), *(part.visits for part in parts)]),
            odd=pl.concat([ODD.to_frame(), *(part.odd for part in parts)]),
        )

    def each(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> "Slips":
        """Return slips with the frame of each kind changed in the same way."""
        return Slips(
            identifies=change(self.identifies),
            events=change(self.events),
            visits=change(self.visits),
            odd=change(self.odd),
        )

    def frames(self) -> list[pl.DataFrame]:
        """Return the frames of all kinds."""
        return [self.identifies, self.events, self.visits, self.odd]


def slips(sheet: Sheet, *, first: int, whole: bool = False) -> Slips:
    """Return the slips of a sheet.

    Args:
        sheet: The messages.
        first: Number of the first of them.
        whole: Whether every message is taken for an odd one.
    """
    reader = None if whole else _READERS.get(sheet.call)
    columns = None if reader is None else _read(reader, sheet)
    is_form = sheet.call == "form"
    base = sheet.messages.select(
        pl.int_range(first, first + pl.len(), dtype=pl.Int64).alias("number"),
        pl.lit(sheet.plan, pl.Int32).alias("plan"),
        "row",
        (_EMPTY if is_form else pl.col("message_id")).alias("message_id"),
        pl.col("message").alias("text"),
        (pl.col("form") if is_form else _EMPTY).alias("form"),
    )
    if columns is None:
        empty = {"identifies": IDENTIFIES, "events": EVENTS, "visits": EVENTS}
        frames = {name: schema.to_frame() for name, schema in empty.items()}
        return Slips(**frames, odd=base.select(ODD.names()))
    kept = base.hstack(columns)
    return Slips(
        identifies=_only(kept, "identify", IDENTIFIES),
        events=_only(kept, "event", EVENTS),
        visits=_only(kept, "visit", EVENTS),
        odd=_only(kept, "odd", ODD),
    )


def _only(kept: pl.DataFrame, what: str, schema: pl.Schema) -> pl.DataFrame:
    rows = kept.filter(pl.col("what") == what)
    return rows.select(schema.names()) if rows.height else schema.to_frame()


def is_young(now: datetime) -> pl.Expr:
    """Tell of each event whether it can start campaigns (3.3, 3.8)."""
    return _is_within(CAMPAIGN.seconds, now).alias("young")


def is_recent(now: datetime) -> pl.Expr:
    """Tell of each event whether a merge would move it (3.4)."""
    return _is_within(MERGED_EVENTS.seconds, now).alias("recent")


def _is_within(seconds: int, now: datetime) -> pl.Expr:
    border = datetime.fromtimestamp(math.ceil(now.timestamp() - seconds), tz=UTC)
    second = pl.col("at").str.slice(0, _SECOND)
    return (second >= border.isoformat()[:_SECOND]).fill_null(value=True)


def message(slip: Mapping[str, Any], *, call: str) -> dict[str, Any]:
    """Return a message that does the same as the one a slip was made from; not for odd ones."""
    found = {"type": call, "userId": slip["user"], "anonymousId": slip["anonymous"]}
    if call == "identify":
        return {**found, "traits": {"email": slip["email"]}}
    about = {"url": slip["name"]} if call == "page" else {}
    return {
        **found,
        "timestamp": slip["at"],
        "event": slip["name"],
        "name": slip["name"],
        "properties": about,
    }


def _read(reader: Callable[[Sequence[str], str], pl.DataFrame], sheet: Sheet) -> Any:
    try:
        return reader(sheet.messages["message"].to_list(), sheet.call)
    except (msgspec.DecodeError, TypeError):  # a value of a type that the API does not take
        return None


def _identifies(texts: Sequence[str], _: str) -> pl.DataFrame:
    read = list(map(_identify, texts))
    frame = pl.DataFrame(
        {
            "user": [item.user_id for item in read],
            "email": [item.traits.email for item in read],
            "anonymous": [item.anonymous_id for item in read],
            "plain": [item.traits.is_plain() for item in read],
        },
        schema={"user": pl.String, "email": pl.String, "anonymous": pl.String, "plain": pl.Boolean},
        strict=True,
    ).with_columns(_filled("user"), _filled("email"), _filled("anonymous"))
    same = pl.col("email").is_null() | (
        pl.col("email").str.to_lowercase() == pl.col("user").str.to_lowercase()
    )
    plain = pl.col("plain") & _is_reference("user") & (same | ~is_mail("user"))
    return frame.select(
        pl.when(plain).then(pl.lit("identify")).otherwise(pl.lit("odd")).alias("what"),
        "user", "email", "anonymous",
    )  # fmt: skip


def _events(texts: Sequence[str], call: str) -> pl.DataFrame:
    read = list(map(_event, texts))
    frame = pl.DataFrame(
        {
            "user": [item.user_id for item in read],
            "anonymous": [item.anonymous_id for item in read],
            "name": _NAMES[call](read),
            "at": [item.timestamp for item in read],
        },
        schema=dict.fromkeys(("user", "anonymous", "name", "at"), pl.String),
        strict=True,
    ).with_columns(_filled("user"), _filled("anonymous"))
    plain = (pl.col("at").is_null() | pl.col("at").str.contains(_TIME)) & _PLAIN[call]
    known = plain & _is_reference("user")
    visit = plain & pl.col("user").is_null() & pl.col("anonymous").is_not_null()
    return frame.select(
        pl.when(known).then(pl.lit("event")).when(visit).then(pl.lit("visit"))
        .otherwise(pl.lit("odd")).alias("what"),
        "user", pl.when(visit).then("anonymous").alias("anonymous"), "name", "at",
    )  # fmt: skip


def _filled(column: str) -> pl.Expr:
    return pl.when(pl.col(column) != "").then(column).alias(column)


def _is_reference(column: str) -> pl.Expr:
    value = pl.col(column)
    return value.is_not_null() & ~value.str.starts_with("cio_")


_READERS: Final[Mapping[str, Callable[[Sequence[str], str], pl.DataFrame]]] = MappingProxyType({
    "identify": _identifies,
    "track": _events,
    "page": _events,
    "screen": _events,
})  # fmt: skip
_NAMES: Final[Mapping[str, Callable[[Sequence[_Event]], list[Any]]]] = MappingProxyType({
    "track": lambda read: [item.event for item in read],
    "page": lambda read: [item.properties.url for item in read],
    "screen": lambda read: [item.name for item in read],
})  # fmt: skip
_SPOKEN: Final = pl.col("name").str.contains(r"[A-Za-z0-9]")
_PLAIN: Final[Mapping[str, pl.Expr]] = MappingProxyType({
    "track": _SPOKEN.fill_null(value=False) & ~pl.col("name").is_in(sorted(EFFECTS)),
    "page": _SPOKEN.fill_null(value=False),
    "screen": pl.lit(value=True),
})  # fmt: skip
