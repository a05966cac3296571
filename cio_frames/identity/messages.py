"""The identifiers of messages, taken from the columns that the messages were written from.

Three kinds of messages need few columns: an identify with only user, e-mail and anonymous id; an
event of a person; an event of an anonymous visitor. All others keep every column, and their JSON if
more of it matters.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec
import polars as pl

from cio_frames.frames import ROW
from cio_frames.identity.calls import READ_ONLY
from cio_frames.identity.identifiers import (
    ANONYMOUS,
    FIRST_SECOND,
    ID,
    LAST_SECOND,
    MAIL,
    is_mail,
    number,
    person_number,
    text,
)
from cio_frames.identity.known_people import CONSENTS
from cio_frames.identity.semantic_events import EFFECTS
from cio_frames.identity.settings import ANONYMOUS_KEPT, CAMPAIGN, MERGED_EVENTS
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.mapping.identifiers import filled, is_written_as_text, text_of
from cio_frames.spec import IDENTIFIERS, IdentifierRole

_TEXTS: Final = (
    "user", "email", "id", "anonymous", "previous", "object", "object_type", "name",
)  # fmt: skip
COLUMNS: Final = pl.Schema(
    {"row": pl.Int64, "message_id": pl.String, "kind": pl.String}
    | dict.fromkeys(_TEXTS, pl.String)
    | {"at": pl.Int64, "text": pl.String, "dated": pl.String}
)
"""The columns of `identity_columns`: identifiers, the name of an event, its time in Unix seconds, the
JSON if more of it matters (`text`), and the JSON if only its attributes and time matter (`dated`)."""

NUMBERS: Final = ("who", "mail", "visitor")
"""The columns of an identify with the numbers of user, e-mail and anonymous id."""
MESSAGE_ID: Final = ("message_id", "message_id_too")
"""The columns with the two numbers that represent the id of a message."""
_PLACE: Final = {
    "number": pl.Int64, "plan": pl.Int32, "row": pl.Int64, **dict.fromkeys(MESSAGE_ID, pl.UInt64),
}  # fmt: skip
_IDENTIFY: Final = pl.Schema(
    _PLACE
    | dict.fromkeys(("user", "email", "anonymous"), pl.String)
    | dict.fromkeys(NUMBERS, pl.UInt64)
)
_EVENT: Final = pl.Schema(
    _PLACE
    | dict.fromkeys(("user", "anonymous", "name"), pl.String)
    | {"at": pl.Int64, "key": pl.UInt64}
)
_OTHER: Final = pl.Schema(
    _PLACE | {name: dtype for name, dtype in COLUMNS.items() if name not in {*_PLACE, "kind"}}
)
_KINDS: Final[Mapping[str, pl.Schema]] = MappingProxyType({
    "identifies": _IDENTIFY, "dated": _OTHER, "events": _EVENT, "anonymous_events": _EVENT, "others": _OTHER,
})  # fmt: skip
_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "track": ("event",), "page": ("properties", "url"), "screen": ("name",), "form": ("formId",),
})  # fmt: skip
"""The path of the name of an event or form in a message."""
_PERSON_COLUMNS: Final = ("user", "email", "id")
WHITE_SPACE: Final = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""All white space that `str.strip` removes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityColumns:
    """Messages by kind, each with its plan, its row, and its number among all messages."""

    identifies: pl.DataFrame  # identifies with only user, e-mail and anonymous id
    events: pl.DataFrame  # events of people
    anonymous_events: pl.DataFrame  # events of anonymous visitors
    others: pl.DataFrame  # all other messages
    dated: pl.DataFrame  # like `identifies`, but their time decides which attributes remain

    @classmethod
    def from_columns(cls, columns: pl.DataFrame, *, plan: int, first: int) -> "IdentityColumns":
        """Return messages by kind, numbered from `first`."""
        numbered = columns.with_columns(
            pl.int_range(first, first + pl.len(), dtype=pl.Int64).alias("number"),
            pl.lit(plan, pl.Int32).alias("plan"),
            *_message_id_numbers(),
        )
        kinds = {kind: numbered.filter(pl.col("kind") == kind) for kind in _KINDS}
        kinds["identifies"] = with_numbers(kinds["identifies"])
        kinds["events"] = kinds["events"].with_columns(key=_user_numbers(kinds["events"]))
        kinds["anonymous_events"] = kinds["anonymous_events"].with_columns(
            key=number(pl.col("anonymous"), ANONYMOUS)
        )
        return cls(**{kind: kinds[kind].select(schema.names()) for kind, schema in _KINDS.items()})

    @classmethod
    def concat(cls, parts: "Sequence[IdentityColumns]") -> "IdentityColumns":
        """Return the messages of several parts as one."""
        return cls(**{
            kind: pl.concat([schema.to_frame(), *(getattr(part, kind) for part in parts)])
            for kind, schema in _KINDS.items()
        })  # fmt: skip

    def map_frames(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> "IdentityColumns":
        """Return messages with the frame of each kind changed by a function."""
        return IdentityColumns(**{kind: change(getattr(self, kind)) for kind in _KINDS})

    def frames(self) -> list[pl.DataFrame]:
        """Return the frames of all kinds."""
        return [getattr(self, kind) for kind in _KINDS]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAttributes:
    """The attributes that a preview needs.

    Attributes:
        dated: Whether calls set attributes with a timestamp: the latest wins (3.7).
        opted_out: Lower-case identifiers of people who have opted out; None if everyone may have.
    """

    dated: bool = False
    opted_out: pl.Series | None = dataclasses.field(
        default_factory=lambda: pl.Series(dtype=pl.String)
    )


NONE_WANTED: Final = WantedAttributes()


def identity_columns(
    prepared: pl.DataFrame,
    messages: pl.DataFrame,
    mapping: MessageMapping,
    wanted: WantedAttributes = NONE_WANTED,
) -> pl.DataFrame:
    """Return the identifiers of messages, in the order in which they are sent."""
    rows = prepared
    if prepared.height != messages.height:
        rows = prepared.filter(pl.col(ROW).is_in(messages["row"].implode()))
    is_form = not mapping.call.api.envelope
    columns = rows.select(
        pl.col(ROW).alias("row"),
        *_text_columns(mapping, messages["message"]),
        _seconds(mapping).alias("at"),
        _needs_json(mapping).alias("json"),
    ).hstack(messages.select("lane", "message_id", "message"))
    complete = columns.with_columns(
        pl.lit(None, pl.String).alias("message_id") if is_form else _null_if_empty(pl.col("message_id")),
        pl.when(pl.col("json") | _has_special_name(mapping.call.name) | _can_end_opt_out(mapping, wanted))
        .then("message").alias("text"),
        pl.when(pl.lit(_needs_time(mapping, wanted))).then("message").alias("dated"),
    )  # fmt: skip
    return with_kind(complete.sort("lane", "row"), call=mapping.call.name)


def is_content_needed(
    prepared: pl.DataFrame, mapping: MessageMapping, wanted: WantedAttributes = NONE_WANTED
) -> pl.Series:
    """Return for each row whether `identity_columns` needs its message beside the columns."""
    fields = [field for fields in _fields_by_column(mapping).values() for field in fields]
    has_texts = all(_has_known_text(field, mapping) for field in fields)
    if _needs_time(mapping, wanted) or not has_texts:
        return pl.repeat(value=True, n=prepared.height, dtype=pl.Boolean, eager=True)
    columns = prepared.select(
        *_text_columns(mapping, pl.Series(dtype=pl.String)), _needs_json(mapping).alias("json")
    )
    special = _has_special_name(mapping.call.name) | _can_end_opt_out(mapping, wanted)
    needed = columns.select(pl.col("json") | special).to_series()
    return needed if len(needed) == prepared.height else needed.new_from_index(0, prepared.height)


def names_by_id_alone(mapping: MessageMapping) -> bool:
    """Return whether messages name people by user id only, and only set attributes or record events."""
    named = [(row.role, field.json) for row, field in filled(mapping)]
    others = [field for field in mapping.fields if field.path not in (("userId",), ("timestamp",))]
    if named != [("person", False)] or any(field.role == "key" for field in others):
        return False
    if mapping.call.name == "track":
        return all(field.path[0] in ("event", "properties") for field in others)
    return mapping.call.name == "identify" and all(
        field.path[0] == "traits" and len(field.path) > 1 and field.path[1] not in READ_ONLY
        for field in others
    )


def with_numbers(identifies: pl.DataFrame) -> pl.DataFrame:
    """Return identifies with `NUMBERS`; `mail` is null if the e-mail is the user as well."""
    numbered = identifies.with_columns(
        who=_user_numbers(identifies),
        mail=number(pl.col("email").str.to_lowercase(), MAIL),
        visitor=number(pl.col("anonymous"), ANONYMOUS),
    )
    return numbered.with_columns(mail=pl.when(pl.col("mail") != pl.col("who")).then("mail"))


def _user_numbers(messages: pl.DataFrame) -> pl.Expr:
    """Return the numbers of users, none of which is a cio_id; if no user has an @, all are ids."""
    if _any_has_at(messages["user"]):
        return person_number("user")
    return number(pl.col("user"), ID)


def _any_has_at(users: pl.Series) -> bool:
    """Return whether any user has an @; without one, no user is an e-mail address."""
    return bool(users.str.contains("@", literal=True).any())


def _message_id_numbers() -> Iterator[pl.Expr]:
    """Yield two numbers for each message id: they take less memory and are as distinct."""
    values = pl.col("message_id")
    for seed, name in enumerate(MESSAGE_ID):
        yield pl.when(values.is_not_null()).then(values.hash(seed)).alias(name)


def _needs_time(mapping: MessageMapping, wanted: WantedAttributes) -> bool:
    """Return whether the time of each message decides which attributes remain."""
    return wanted.dated and mapping.call.name in ("identify", "form", "group")


def with_kind(columns: pl.DataFrame, *, call: str) -> pl.DataFrame:
    """Return the columns of messages of one call with the kind of each."""
    kind = _kind(call, mails=_any_has_at(columns["user"]))
    return columns.with_columns(kind.alias("kind")).select(COLUMNS.names())


def _text_columns(mapping: MessageMapping, messages: pl.Series) -> Iterator[pl.Expr]:
    """Yield each text column: the first of its fields that is not empty."""
    for column, fields in _fields_by_column(mapping).items():
        texts = [_as_in_message(field, mapping, messages) for field in fields]
        if not texts:
            yield pl.lit(None, pl.String).alias(column)
        elif column == "object_type":  # of two, an empty one counts as well
            yield _null_if_empty(pl.coalesce(texts)).alias(column)
        else:
            yield pl.coalesce(map(_null_if_empty, texts)).alias(column)


def _fields_by_column(mapping: MessageMapping) -> dict[str, list[FieldMapping]]:
    """Return the fields that each text column is read from."""
    fields: dict[str, list[FieldMapping]] = {name: [] for name in _TEXTS}
    for row, field in filled(mapping):
        fields[_column(row.role)].append(field)
    name = _NAMES.get(mapping.call.name, ())
    fields["name"] += [field for field in mapping.fields if name and field.path == name]
    return fields


def _column(role: IdentifierRole) -> str:
    return "user" if role == "person" else role


def _as_in_message(field: FieldMapping, mapping: MessageMapping, messages: pl.Series) -> pl.Expr:
    """Return the values of a field as text, as they are read from the JSON."""
    if _has_known_text(field, mapping):
        return text_of(field, mapping)
    values = [_value_at(decode_message(message), field.path) for message in messages]
    texts = [None if value is None else text(value) or "" for value in values]
    return pl.lit(pl.Series(field.name, texts, dtype=pl.String))


def _has_known_text(field: FieldMapping, mapping: MessageMapping) -> bool:
    """Return whether messages have the values of a field as the text of its column."""
    is_text = (
        is_written_as_text(field, texts_only=mapping.call.api.texts_only)
        or field.argument == "form_id"
    )
    has_own_format = field.dtype.is_float() or field.dtype.is_nested() or field.dtype == pl.Boolean
    return is_text or not (field.json or has_own_format or field.dtype.is_decimal())


def _value_at(content: Any, path: Sequence[str]) -> Any:
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _seconds(mapping: MessageMapping) -> pl.Expr:
    """Return the time of each message in whole Unix seconds, null without a valid one."""
    field = mapping.find("timestamp")
    if field is None:
        return pl.lit(None, pl.Int64)
    seconds = pl.col(field.utc_column).dt.epoch("ms") // 1_000
    # A number can be a second of the year 0, which is not a valid time in the JSON
    return pl.when(seconds.is_between(FIRST_SECOND, LAST_SECOND)).then(seconds)


def _needs_json(mapping: MessageMapping) -> pl.Expr:
    """Return where the JSON is needed: for read-only traits, and for fields without a text."""
    needed = [pl.lit(value=False)]
    for field in mapping.fields:
        is_set = pl.lit(value=True) if field.nulls == "send" else pl.col(field.name).is_not_null()
        if field.path[:1] == ("data",):
            needed.append(is_set if field.json else is_set & text_of(field, mapping).is_null())
        elif field.path[:1] == ("traits",) and field.path[1] in READ_ONLY:
            needed.append(is_set)
    return pl.any_horizontal(needed)


def _can_end_opt_out(mapping: MessageMapping, wanted: WantedAttributes) -> pl.Expr:
    """Return a boolean expression: True where a message can end an opt-out."""
    writes = any(field.path[1:] and field.path[1].startswith(CONSENTS) for field in mapping.fields)
    if mapping.call.name not in ("identify", "form") or not writes:
        return pl.lit(value=False)
    if wanted.opted_out is None:
        return pl.lit(value=True)
    references = pl.col(_PERSON_COLUMNS).str.to_lowercase()
    is_opted_out = references.is_in(wanted.opted_out.implode())
    return pl.any_horizontal(is_opted_out).fill_null(value=False)


def _has_special_name(call: str) -> pl.Expr:
    """Return a boolean expression: True for reserved event names, and for pages without a URL."""
    if call == "track":
        return pl.col("name").is_in(sorted(EFFECTS)).fill_null(value=False)
    return pl.col("name").is_null() if call == "page" else pl.lit(value=False)


def _kind(call: str, *, mails: bool) -> pl.Expr:
    """Return the kind of each message; `mails` is whether any user can be an e-mail address."""
    user, needs_no_json = pl.col("user"), pl.col("text").is_null()
    is_reference = user.is_not_null() & ~user.str.starts_with("cio_")
    if call == "identify":
        has_one_email = pl.lit(value=True)
        if mails:
            is_same = pl.col("email").str.to_lowercase() == user.str.to_lowercase()
            has_one_email = pl.col("email").is_null() | is_same | ~is_mail("user")
        # It is an open setting whether an invalid e-mail address is set
        is_address = pl.col("email").is_null() | is_mail("email")
        has_more = pl.col("id").is_not_null() | pl.col("object").is_not_null() | ~is_address
        simple = needs_no_json & is_reference & has_one_email & ~has_more
        return (
            pl.when(simple & pl.col("dated").is_null()).then(pl.lit("identifies"))
            .when(simple).then(pl.lit("dated"))
            .otherwise(pl.lit("others"))
        )  # fmt: skip
    if call not in ("track", "page", "screen"):
        return pl.lit("others")
    if call != "screen":
        needs_no_json &= pl.col("name").str.contains(r"[\p{L}\p{N}]").fill_null(value=False)
    is_anonymous = user.is_null() & pl.col("anonymous").is_not_null()
    return (
        pl.when(needs_no_json & is_reference).then(pl.lit("events"))
        .when(needs_no_json & is_anonymous).then(pl.lit("anonymous_events"))
        .otherwise(pl.lit("others"))
    )  # fmt: skip


def _null_if_empty(values: pl.Expr) -> pl.Expr:
    return pl.when(values != "").then(values)


def is_young(now: datetime) -> pl.Expr:
    """Return a boolean expression: True where an event can start campaigns (3.3, 3.8)."""
    return _is_within(CAMPAIGN.seconds, now).alias("young")


def is_recent(now: datetime) -> pl.Expr:
    """Return a boolean expression: True where a merge would move an event (3.4)."""
    return _is_within(MERGED_EVENTS.seconds, now).alias("recent")


def is_logged(now: datetime) -> pl.Expr:
    """Return a boolean expression: True where an anonymous event can still be attributed (3.3, N4)."""
    return _is_within(ANONYMOUS_KEPT.seconds, now).alias("logged")


def _is_within(seconds: int, now: datetime) -> pl.Expr:
    return (pl.col("at") >= math.ceil(now.timestamp() - seconds)).fill_null(value=True)


def decode_message(message: str) -> dict[str, Any]:
    """Return the JSON object of a message."""
    try:
        return dict(msgspec.json.decode(message))
    except msgspec.DecodeError:  # a number too large for a float, which json reads as infinite
        return dict(json.loads(message))


def message_of(row: Mapping[str, Any], *, call: str) -> dict[str, Any]:
    """Return a message with the same effect on people as the one that a row represents."""
    body = row.get("text") or row.get("dated")
    if body is not None:
        message = decode_message(body) | {"type": call}
        return message | {"formId": row["name"]} if call == "form" else message
    message = {"type": call}
    for column, path in _PATHS[call]:
        value = row.get(column)
        if value is not None:
            parent = message if len(path) == 1 else message.setdefault(path[0], {})
            parent[path[-1]] = value
    return message


def _paths(call: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the path of each column in the messages of a call."""
    paths = {"at": ("timestamp",)} | ({"name": _NAMES[call]} if call in _NAMES else {})
    for row in reversed(IDENTIFIERS[call]):
        paths[_column(row.role)] = row.path
    return tuple(paths.items())


_PATHS: Final = MappingProxyType({call: _paths(call) for call in IDENTIFIERS})
