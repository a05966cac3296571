"""What messages say about who is who, in the columns that the messages were written from.

Three kinds of messages need few columns: an identify that says no more than user, e-mail and
anonymous id; an event of a person; an event of somebody anonymous. All others keep every column,
and the JSON where more of it matters.
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
from cio_frames.identity.opt_outs import CONSENT
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
"""What `identity_columns` gives of each message: identifiers, what an event is called, its time in
Unix seconds, the JSON where more of it matters, and as `dated` where its attributes and time do."""

NUMBERS: Final = ("who", "mail", "visitor")
"""The columns of an identify with the numbers of user, e-mail and anonymous id."""
MESSAGE_ID: Final = ("message_id", "message_id_too")
"""The columns with the two numbers by which the id of a message is known."""
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
"""Where a message says what an event, or the form, is called."""
_KEYED: Final = ("user", "email", "id")
WHITE_SPACE: Final = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""All white space that `str.strip` takes away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityColumns:
    """Messages by kind, each with its plan, its row, and its number among all messages."""

    identifies: pl.DataFrame  # identifies that say no more than user, e-mail and anonymous id
    events: pl.DataFrame  # events of a person
    anonymous_events: pl.DataFrame  # events of somebody anonymous
    others: pl.DataFrame  # all other messages
    # Identifies that say no more, but for attributes that hold since a time of their own
    dated: pl.DataFrame

    @classmethod
    def of(cls, columns: pl.DataFrame, *, plan: int, first: int) -> "IdentityColumns":
        """Return messages by kind, numbered from `first`."""
        numbered = columns.with_columns(
            pl.int_range(first, first + pl.len(), dtype=pl.Int64).alias("number"),
            pl.lit(plan, pl.Int32).alias("plan"),
            *_message_id_numbers(),
        )
        kinds = {kind: numbered.filter(pl.col("kind") == kind) for kind in _KINDS}
        kinds["identifies"] = with_numbers(kinds["identifies"])
        kinds["events"] = kinds["events"].with_columns(key=_person(kinds["events"]))
        kinds["anonymous_events"] = kinds["anonymous_events"].with_columns(
            key=number(pl.col("anonymous"), ANONYMOUS)
        )
        return cls(**{kind: kinds[kind].select(schema.names()) for kind, schema in _KINDS.items()})

    @classmethod
    def joined(cls, parts: "Sequence[IdentityColumns]") -> "IdentityColumns":
        """Return the messages of several parts as one."""
        return cls(**{
            kind: pl.concat([schema.to_frame(), *(getattr(part, kind) for part in parts)])
            for kind, schema in _KINDS.items()
        })  # fmt: skip

    def each(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> "IdentityColumns":
        """Return messages with the frame of each kind changed in the same way."""
        return IdentityColumns(**{kind: change(getattr(self, kind)) for kind in _KINDS})

    def frames(self) -> list[pl.DataFrame]:
        """Return the frames of all kinds."""
        return [getattr(self, kind) for kind in _KINDS]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAttributes:
    """What matters of attributes.

    Attributes:
        dated: Whether a call sets attributes with a time of its own: the later time wins (3.7).
        opted_out: Identifiers, folded, of people who refuse mail; None where it can be anybody.
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
    """Return what messages say about who is who, in the order in which they are sent."""
    rows = prepared
    if prepared.height != messages.height:
        rows = prepared.filter(pl.col(ROW).is_in(messages["row"].implode()))
    is_form = not mapping.call.api.envelope
    columns = rows.select(
        pl.col(ROW).alias("row"),
        *_named(mapping, messages["message"]),
        _seconds(mapping).alias("at"),
        _is_json_needed(mapping).alias("json"),
    ).hstack(messages.select("lane", "message_id", "message"))
    complete = columns.with_columns(
        pl.lit(None, pl.String).alias("message_id") if is_form else _filled("message_id"),
        pl.when(pl.col("json") | _is_name_special(mapping.call.name) | _consents(mapping, wanted))
        .then("message").alias("text"),
        pl.when(pl.lit(_dates(mapping, wanted))).then("message").alias("dated"),
    )  # fmt: skip
    return with_kind(complete.sort("lane", "row"), call=mapping.call.name)


def is_content_needed(
    prepared: pl.DataFrame, mapping: MessageMapping, wanted: WantedAttributes = NONE_WANTED
) -> pl.Series:
    """Return of which rows `identity_columns` takes more than the columns say from the message."""
    named_by = [field for fields in _places(mapping).values() for field in fields]
    if _dates(mapping, wanted) or not all(_is_text_known(field, mapping) for field in named_by):
        return pl.repeat(value=True, n=prepared.height, dtype=pl.Boolean, eager=True)
    named = prepared.select(
        *_named(mapping, pl.Series(dtype=pl.String)), _is_json_needed(mapping).alias("json")
    )
    special = _is_name_special(mapping.call.name) | _consents(mapping, wanted)
    needed = named.select(pl.col("json") | special).to_series()
    return needed if len(needed) == prepared.height else needed.new_from_index(0, prepared.height)


def names_by_id_alone(mapping: MessageMapping) -> bool:
    """Whether messages name people by user ids, and set attributes or are events that do not act."""
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
    """Return identifies with `NUMBERS`; an e-mail that is the user as well has none of its own."""
    numbered = identifies.with_columns(
        who=_person(identifies),
        mail=number(pl.col("email").str.to_lowercase(), MAIL),
        visitor=number(pl.col("anonymous"), ANONYMOUS),
    )
    return numbered.with_columns(mail=pl.when(pl.col("mail") != pl.col("who")).then("mail"))


def _person(messages: pl.DataFrame) -> pl.Expr:
    """Return the numbers of users, which are no cio_ids; where none has an @, all are ids."""
    if _has_sign(messages["user"]):
        return person_number("user")
    return number(pl.col("user"), ID)


def _has_sign(users: pl.Series) -> bool:
    """Whether any user has an @, without which none is an address."""
    return bool(users.str.contains("@", literal=True).any())


def _message_id_numbers() -> Iterator[pl.Expr]:
    """Yield what a message id is known by: two numbers, which take less memory and are as distinct."""
    values = pl.col("message_id")
    for seed, name in enumerate(MESSAGE_ID):
        yield pl.when(values.is_not_null()).then(values.hash(seed)).alias(name)


def _dates(mapping: MessageMapping, wanted: WantedAttributes) -> bool:
    """Whether the time of each message matters: it tells which attributes stay."""
    return wanted.dated and mapping.call.name in ("identify", "form", "group")


def with_kind(columns: pl.DataFrame, *, call: str) -> pl.DataFrame:
    """Return the columns of messages of one call with the kind of each."""
    kind = _kind(call, mails=_has_sign(columns["user"]))
    return columns.with_columns(kind.alias("kind")).select(COLUMNS.names())


def _named(mapping: MessageMapping, messages: pl.Series) -> Iterator[pl.Expr]:
    """Yield each text column: the first of its places that is filled."""
    for column, fields in _places(mapping).items():
        texts = [_as_in_message(field, mapping, messages) for field in fields]
        if not texts:
            yield pl.lit(None, pl.String).alias(column)
        elif column == "object_type":  # of two, an empty one counts as well
            yield _not_empty(pl.coalesce(texts)).alias(column)
        else:
            yield pl.coalesce(map(_not_empty, texts)).alias(column)


def _places(mapping: MessageMapping) -> dict[str, list[FieldMapping]]:
    """Return which fields feed each text column."""
    places: dict[str, list[FieldMapping]] = {name: [] for name in _TEXTS}
    for row, field in filled(mapping):
        places[_column(row.role)].append(field)
    name = _NAMES.get(mapping.call.name, ())
    places["name"] += [field for field in mapping.fields if name and field.path == name]
    return places


def _column(role: IdentifierRole) -> str:
    return "user" if role == "person" else role


def _as_in_message(field: FieldMapping, mapping: MessageMapping, messages: pl.Series) -> pl.Expr:
    """Return the values of a field as the text that their JSON is read as."""
    if _is_text_known(field, mapping):
        return text_of(field, mapping)
    values = [_at(decoded(message), field.path) for message in messages]
    texts = [None if value is None else text(value) or "" for value in values]
    return pl.lit(pl.Series(field.name, texts, dtype=pl.String))


def _is_text_known(field: FieldMapping, mapping: MessageMapping) -> bool:
    """Whether a message has the values of a field as the text that its column gives."""
    is_text = (
        is_written_as_text(field, texts_only=mapping.call.api.texts_only)
        or field.argument == "form_id"
    )
    unlike = field.dtype.is_float() or field.dtype.is_nested() or field.dtype == pl.Boolean
    return is_text or not (field.json or unlike or field.dtype.is_decimal())


def _at(content: Any, path: Sequence[str]) -> Any:
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _seconds(mapping: MessageMapping) -> pl.Expr:
    """Return when it happened in whole Unix seconds, null without a time that can be read."""
    field = mapping.find("timestamp")
    if field is None:
        return pl.lit(None, pl.Int64)
    seconds = pl.col(field.utc_column).dt.epoch("ms") // 1_000
    # a number can be a second of the year 0, which is no time when it is read from the JSON
    return pl.when(seconds.is_between(FIRST_SECOND, LAST_SECOND)).then(seconds)


def _is_json_needed(mapping: MessageMapping) -> pl.Expr:
    """Return whether more matters than the columns: traits nobody may set, fields without text."""
    needed = [pl.lit(value=False)]
    for field in mapping.fields:
        is_given = pl.lit(value=True) if field.nulls == "send" else pl.col(field.name).is_not_null()
        if field.path[:1] == ("data",):
            needed.append(is_given if field.json else is_given & text_of(field, mapping).is_null())
        elif field.path[:1] == ("traits",) and field.path[1] in READ_ONLY:
            needed.append(is_given)
    return pl.any_horizontal(needed)


def _consents(mapping: MessageMapping, wanted: WantedAttributes) -> pl.Expr:
    """Return whether a message can end the opt-out of somebody."""
    writes = any(field.path[1:] and field.path[1].startswith(CONSENT) for field in mapping.fields)
    if mapping.call.name not in ("identify", "form") or not writes:
        return pl.lit(value=False)
    if wanted.opted_out is None:
        return pl.lit(value=True)
    named = [pl.col(name).str.to_lowercase().is_in(wanted.opted_out.implode()) for name in _KEYED]
    return pl.any_horizontal(named).fill_null(value=False)


def _is_name_special(call: str) -> pl.Expr:
    """Return whether an event acts by its name, or a page is without the name it is known by."""
    if call == "track":
        return pl.col("name").is_in(sorted(EFFECTS)).fill_null(value=False)
    return pl.col("name").is_null() if call == "page" else pl.lit(value=False)


def _kind(call: str, *, mails: bool) -> pl.Expr:
    """Return the kind of each message; `mails` is whether any user can be an address."""
    user, alone = pl.col("user"), pl.col("text").is_null()
    is_reference = user.is_not_null() & ~user.str.starts_with("cio_")
    if call == "identify":
        same = pl.lit(value=True)
        if mails:
            same = pl.col("email").str.to_lowercase() == user.str.to_lowercase()
            same = pl.col("email").is_null() | same | ~is_mail("user")
        # whether a text that is no address is set as one is open
        is_address = pl.col("email").is_null() | is_mail("email")
        more = pl.col("id").is_not_null() | pl.col("object").is_not_null() | ~is_address
        simple = alone & is_reference & same & ~more
        return (
            pl.when(simple & pl.col("dated").is_null()).then(pl.lit("identifies"))
            .when(simple).then(pl.lit("dated"))
            .otherwise(pl.lit("others"))
        )  # fmt: skip
    if call not in ("track", "page", "screen"):
        return pl.lit("others")
    if call != "screen":
        alone &= pl.col("name").str.contains(r"[\p{L}\p{N}]").fill_null(value=False)
    is_anonymous = user.is_null() & pl.col("anonymous").is_not_null()
    return (
        pl.when(alone & is_reference).then(pl.lit("events"))
        .when(alone & is_anonymous).then(pl.lit("anonymous_events"))
        .otherwise(pl.lit("others"))
    )  # fmt: skip


def _filled(column: str) -> pl.Expr:
    return _not_empty(pl.col(column)).alias(column)


def _not_empty(values: pl.Expr) -> pl.Expr:
    return pl.when(values != "").then(values)


def is_young(now: datetime) -> pl.Expr:
    """Return whether each event can start campaigns (3.3, 3.8)."""
    return _is_within(CAMPAIGN.seconds, now).alias("young")


def is_recent(now: datetime) -> pl.Expr:
    """Return whether a merge would move each event (3.4)."""
    return _is_within(MERGED_EVENTS.seconds, now).alias("recent")


def is_logged(now: datetime) -> pl.Expr:
    """Return whether each anonymous event is young enough for who is identified now (3.3, N4)."""
    return _is_within(ANONYMOUS_KEPT.seconds, now).alias("logged")


def _is_within(seconds: int, now: datetime) -> pl.Expr:
    return (pl.col("at") >= math.ceil(now.timestamp() - seconds)).fill_null(value=True)


def decoded(message: str) -> dict[str, Any]:
    """Return the JSON object of a message."""
    try:
        return dict(msgspec.json.decode(message))
    except msgspec.DecodeError:  # a number too large for a float: it is read as infinite
        return dict(json.loads(message))


def message_of(row: Mapping[str, Any], *, call: str) -> dict[str, Any]:
    """Return a message that does to people what the one does that a row stands for."""
    written = row.get("text") or row.get("dated")
    if written is not None:
        message = decoded(written) | {"type": call}
        return message | {"formId": row["name"]} if call == "form" else message
    message = {"type": call}
    for column, path in _WRITTEN[call]:
        value = row.get(column)
        if value is not None:
            place = message if len(path) == 1 else message.setdefault(path[0], {})
            place[path[-1]] = value
    return message


def _written(call: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return where each column of a call is read."""
    places = {"at": ("timestamp",)} | ({"name": _NAMES[call]} if call in _NAMES else {})
    for row in reversed(IDENTIFIERS[call]):
        places[_column(row.role)] = row.path
    return tuple(places.items())


_WRITTEN: Final = MappingProxyType({call: _written(call) for call in IDENTIFIERS})
