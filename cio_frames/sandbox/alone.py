"""Which messages meet no others, and what such messages come to, by whole columns.

A message stands alone if it says no more than the few fields read here, and if none of its
identifiers occurs anywhere in a message that says more, or in the workspace before it. What is left
then is an identify that shares no identifier with another one, the events of one identifier, and
the events of visitors whom nobody identifies. Everything else needs the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import msgspec
import polars as pl
from msgspec import UNSET, UnsetType

from cio_frames.identity import Model
from cio_frames.identity.identifiers import is_mail, mail_key, person_key
from cio_frames.identity.messages import decode_message
from cio_frames.identity.semantic_events import EFFECTS
from cio_frames.sandbox.shapes import Message

AT_ONCE: Final = 50_000
MOST_OTHERS: Final = 0.5
"""Which share of others makes it not worth while to tell them apart."""
MADE_UP: Final = "cio_c10"
"""How a reference to somebody begins whom no export names; it tells nothing of the identifiers."""

_READ: Final = pl.Schema({
    "number": pl.Int64(), "call": pl.String(), "user": pl.String(), "email": pl.String(),
    "anonymous": pl.String(), "name": pl.String(), "url": pl.String(), "message_id": pl.String(), "is_plain": pl.Boolean(),
})  # fmt: skip
_KEY: Final = pl.Schema({"number": pl.Int64(), "key": pl.String()})


class _Traits(msgspec.Struct, gc=False):
    """Traits without those that do more than set an attribute."""

    email: str | None = None
    id: UnsetType = UNSET
    cio_id: UnsetType = UNSET
    anonymous_id: UnsetType = UNSET
    object_id: UnsetType = msgspec.field(name="objectId", default=UNSET)
    created: UnsetType = msgspec.field(name="_created_in_customerio_at", default=UNSET)


class _Properties(msgspec.Struct, gc=False):
    url: Any = None


class _Plain(msgspec.Struct, gc=False):
    """A message of few fields; what else would matter must not be there."""

    user: str | None = msgspec.field(name="userId", default=None)
    anonymous: str | None = msgspec.field(name="anonymousId", default=None)
    message_id: str | None = msgspec.field(name="messageId", default=None)
    event: str | None = None
    traits: _Traits | None = None
    properties: _Properties | None = None
    objectTypeId: UnsetType = UNSET  # noqa: N815 (both spellings are read)
    object_type_id: UnsetType = UNSET

    @property
    def email(self) -> str | None:
        """The e-mail among the traits."""
        return None if self.traits is None else self.traits.email

    @property
    def url(self) -> str | None:
        """The address of a page."""
        url = None if self.properties is None else self.properties.url
        return url if isinstance(url, str) else None


_ELSE: Final = _Plain()
_decode: Final = msgspec.json.Decoder(_Plain).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What messages that meet no others come to.

    Attributes:
        people: Columns key, id, email, anonymous_ids and events, one line per profile.
        visitors: Columns anonymous_id, attribution and events.
        others: The numbers of the messages that need the model, in order.
        owned: Columns number and key: whom each message is about.
    """

    people: pl.DataFrame
    visitors: pl.DataFrame
    others: list[int]
    owned: pl.DataFrame


def alone(messages: Sequence[Message], model: Model) -> Alone | None:
    """Return what messages come to that meet no others; None if the model has to apply all.

    Args:
        messages: Those that were accepted, in the order of their arrival.
        model: The workspace before them; it is not changed.
    """
    settings = model.settings
    if set(settings.identifiers) != {"id", "email"} or settings.event_for_unknown != "create":
        return None
    found = _sorted_out(_read(messages))
    others = found.filter(pl.col("kind") == "other")["number"]
    if len(others) > MOST_OTHERS * len(messages):
        return None
    said = _said(messages[number] for number in others)
    if any(word.startswith(MADE_UP) for word in said):
        return None
    store = model.store
    there = (store.people.by_id, store.people.by_email, store.visitors)
    met = said.union(*({name.lower() for name in names} for names in there))
    return _told_apart(found, pl.Series(list(met), dtype=pl.String))


def _read(messages: Sequence[Message]) -> pl.DataFrame:
    """Return the few fields of each message, in columns."""
    parts, number, waiting = [_READ.to_frame()], 0, iter(messages)
    while part := list(islice(waiting, AT_ONCE)):
        rows = [_plain(message) for message in part]
        columns = {
            "number": range(number, number + len(part)),
            "call": [message.call for message in part],
            "user": [row.user for row in rows],
            "email": [row.email for row in rows],
            "anonymous": [row.anonymous for row in rows],
            "name": [row.event for row in rows],
            "url": [row.url for row in rows],
            "message_id": [message.message_id for message in part],
            "is_plain": [row is not _ELSE for row in rows],
        }
        parts.append(pl.DataFrame(columns, schema=_READ))
        number += len(part)
    return pl.concat(parts)


def _plain(message: Message) -> _Plain:
    try:
        return _decode(message.text)
    except msgspec.DecodeError:  # it says more, or is no JSON for this decoder
        return _ELSE


def _sorted_out(read: pl.DataFrame) -> pl.DataFrame:
    """Return the messages with the `kind` of each, and the keys of their identifiers."""
    names = read.filter(pl.col("call") == "track")["name"].unique().drop_nulls()
    recorded = [name for name in names if name not in EFFECTS and name.strip()]
    is_named = (
        pl.when(pl.col("call") == "track").then(pl.col("name").is_in(recorded))
        .when(pl.col("call") == "page").then(pl.col("url") != "")
        .otherwise(pl.col("call") == "screen")
    )  # fmt: skip
    # Where letters have no case of their own rules, equal addresses are told by the columns too.
    ascii_only = pl.all_horizontal(
        (pl.col(name).str.len_bytes() == pl.col(name).str.len_chars()) & (pl.col(name) != "")
        | pl.col(name).is_null()
        for name in ("user", "email", "anonymous")
    )
    is_once = pl.col("message_id").is_null() | pl.col("message_id").is_unique()
    is_plain = pl.col("is_plain") & ascii_only & is_once
    is_person = pl.col("user").is_not_null() & ~pl.col("user").str.starts_with("cio_")
    is_visitor = pl.col("user").is_null() & pl.col("anonymous").is_not_null()
    same = pl.col("email").str.to_lowercase() == pl.col("user").str.to_lowercase()
    is_claimed = pl.col("email").is_null() | (is_mail("email") & (same | ~is_mail("user")))
    is_event = is_plain & is_named.fill_null(value=False)
    is_identify = is_plain & (pl.col("call") == "identify") & is_person
    return read.select(
        "number", "user", "email", "anonymous",
        pl.when(is_identify & is_claimed).then(pl.lit("identify"))
        .when(is_event & is_person).then(pl.lit("event"))
        .when(is_event & is_visitor).then(pl.lit("anonymous"))
        .otherwise(pl.lit("other")).alias("kind"),
        person_key("user").alias("key"),
        mail_key("email").alias("mail"),
        is_mail("user").alias("is_mail"),
    )  # fmt: skip


def _said(messages: Iterator[Message]) -> set[str]:
    """Return every text and number that messages hold, wherever it is: any can be an identifier."""
    said: set[str] = set()
    waiting: list[Any] = []
    for message in messages:
        waiting.append(decode_message(bytes(message.text).decode()))
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                waiting.extend(value.values())
            elif isinstance(value, list):
                waiting.extend(value)
            elif value is not None:
                said.add(str(value).lower())
    return said


def _told_apart(found: pl.DataFrame, met: pl.Series) -> Alone:
    """Return what the messages come to that meet no others.

    Args:
        found: The messages, as `_sorted_out` gives them.
        met: Texts, without case, that are identifiers of somebody else, as far as can be told.
    """
    identifies, events, visits = (
        found.filter(pl.col("kind") == kind) for kind in ("identify", "event", "anonymous")
    )
    single = _single(identifies, events=events, visits=visits, met=met)
    crossed = identifies.join(single, on="number", how="anti")
    theirs = pl.concat([crossed["user"], crossed["email"]]).drop_nulls().str.to_lowercase()
    busy = pl.concat([met, theirs]).unique().implode()
    mine = events.filter(~pl.col("user").str.to_lowercase().is_in(busy))
    taken = pl.concat([met, identifies["anonymous"].drop_nulls().str.to_lowercase()]).unique()
    unknown = visits.filter(~pl.col("anonymous").str.to_lowercase().is_in(taken.implode()))
    owned = pl.concat([single.select(_KEY.names()), mine.select(_KEY.names())])
    told = pl.concat([owned["number"], unknown["number"]]).implode()
    return Alone(
        people=_people(single, mine),
        visitors=unknown.group_by(pl.col("anonymous").alias("anonymous_id")).agg(
            pl.lit("anonymous").alias("attribution"), pl.len().cast(pl.Int64).alias("events")
        ),
        others=found.filter(~pl.col("number").is_in(told))["number"].sort().to_list(),
        owned=owned,
    )


def _single(
    identifies: pl.DataFrame, *, events: pl.DataFrame, visits: pl.DataFrame, met: pl.Series
) -> pl.DataFrame:
    """Return the identifies that share no identifier, whatever its case, with anybody else.

    An e-mail that events name beside the id is shared: before the identify they make two people.
    """
    user, email = (identifies[name].str.to_lowercase() for name in ("user", "email"))
    texts = pl.concat([user, email.filter(email != user)])
    shared = texts.filter(texts.is_duplicated())
    anonymous = identifies["anonymous"]
    linked = pl.concat([anonymous.filter(anonymous.is_duplicated()), visits["anonymous"]]).unique()
    named = events["key"].unique().implode()
    taken = pl.concat([met, shared]).unique().implode()
    is_met = pl.any_horizontal(
        pl.col("user", "email").str.to_lowercase().is_in(taken),
        pl.col("anonymous").str.to_lowercase().is_in(met.implode()),
        pl.col("anonymous").is_in(linked.implode()),
        (pl.col("mail") != pl.col("key")) & pl.col("mail").is_in(named),
    )
    return identifies.filter(~is_met.fill_null(value=False))


def _people(identifies: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return the profiles: an identifier is written as the first message has it."""
    written = pl.concat([identifies, events]).sort("number")
    profiles = written.group_by("key", maintain_order=True).agg(
        pl.col("user", "is_mail").first(),
        pl.col("email").drop_nulls().first(),
        pl.col("anonymous").filter(pl.col("kind") == "identify").drop_nulls(),
        (pl.col("kind") == "event").sum().cast(pl.Int64).alias("events"),
    )
    return profiles.select(
        "key",
        pl.when(~pl.col("is_mail")).then("user").alias("id"),
        pl.when("is_mail").then("user").otherwise("email").alias("email"),
        pl.col("anonymous").alias("anonymous_ids"),
        "events",
    )
