"""The effect of independent messages, computed on whole columns.

A message is independent if it has only the few fields read here, and if none of its identifiers
occurs in a message with more fields or in the workspace before it. These are identify calls that
share no identifier with another one, the events of one identifier, and the events of visitors who
are never identified. All other messages are applied by the model.
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
from cio_frames.sandbox.schemas import Message

CHUNK_MESSAGES: Final = 50_000
MAX_DEPENDENT_SHARE: Final = 0.5
"""With a larger share of dependent messages the model applies all: separating them does not pay."""
GENERATED_CIO_ID: Final = "cio_c10"
"""The beginning of a cio_id that the workspace generated; it shows no other identifier of the person."""

_READ: Final = pl.Schema({
    "number": pl.Int64(), "call": pl.String(), "user": pl.String(), "email": pl.String(),
    "anonymous": pl.String(), "name": pl.String(), "url": pl.String(), "message_id": pl.String(), "is_simple": pl.Boolean(),
})  # fmt: skip
_KEY: Final = pl.Schema({"number": pl.Int64(), "key": pl.String()})


class _Traits(msgspec.Struct, gc=False):
    """Traits without those that have an effect beyond setting an attribute."""

    email: str | None = None
    id: UnsetType = UNSET
    cio_id: UnsetType = UNSET
    anonymous_id: UnsetType = UNSET
    object_id: UnsetType = msgspec.field(name="objectId", default=UNSET)
    created: UnsetType = msgspec.field(name="_created_in_customerio_at", default=UNSET)


class _Properties(msgspec.Struct, gc=False):
    url: Any = None


class _Simple(msgspec.Struct, gc=False):
    """A message of few fields, without those that would have another effect."""

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


_NOT_SIMPLE: Final = _Simple()
_decode: Final = msgspec.json.Decoder(_Simple).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class IndependentArrivals:
    """The effect of the independent messages among those that arrived.

    Attributes:
        people: Columns key, id, email, anonymous_ids and events, one line per profile.
        visitors: Columns anonymous_id, attribution and events.
        dependent: The numbers of the messages that the model has to apply, in order.
        owners: Columns number and key: the person of each independent message.
    """

    people: pl.DataFrame
    visitors: pl.DataFrame
    dependent: list[int]
    owners: pl.DataFrame


def independent_arrivals(messages: Sequence[Message], model: Model) -> IndependentArrivals | None:
    """Return the effect of the independent messages; None if the model has to apply all messages.

    Args:
        messages: The accepted messages, in the order of their arrival.
        model: The workspace before them; it is not changed.
    """
    settings = model.settings
    if set(settings.identifiers) != {"id", "email"} or settings.event_for_unknown != "create":
        return None
    classified = _classified(_read(messages))
    other = classified.filter(pl.col("kind") == "other")["number"]
    if len(other) > MAX_DEPENDENT_SHARE * len(messages):
        return None
    texts = _texts_in(messages[number] for number in other)
    if any(text.startswith(GENERATED_CIO_ID) for text in texts):
        return None
    store = model.store
    in_workspace = (store.people.by_id, store.people.by_email, store.visitors)
    used = texts.union(*({name.lower() for name in names} for names in in_workspace))
    return _separated(classified, pl.Series(list(used), dtype=pl.String))


def _read(messages: Sequence[Message]) -> pl.DataFrame:
    """Return the few fields of each message, in columns."""
    chunks, number, unread = [_READ.to_frame()], 0, iter(messages)
    while chunk := list(islice(unread, CHUNK_MESSAGES)):
        rows = [_simple(message) for message in chunk]
        columns = {
            "number": range(number, number + len(chunk)),
            "call": [message.call for message in chunk],
            "user": [row.user for row in rows],
            "email": [row.email for row in rows],
            "anonymous": [row.anonymous for row in rows],
            "name": [row.event for row in rows],
            "url": [row.url for row in rows],
            "message_id": [message.message_id for message in chunk],
            "is_simple": [row is not _NOT_SIMPLE for row in rows],
        }
        chunks.append(pl.DataFrame(columns, schema=_READ))
        number += len(chunk)
    return pl.concat(chunks)


def _simple(message: Message) -> _Simple:
    try:
        return _decode(message.text)
    except msgspec.DecodeError:  # it has more fields, or is invalid for this decoder
        return _NOT_SIMPLE


def _classified(messages: pl.DataFrame) -> pl.DataFrame:
    """Return the messages with the `kind` of each, and the keys of their identifiers."""
    names = messages.filter(pl.col("call") == "track")["name"].unique().drop_nulls()
    recorded = [name for name in names if name not in EFFECTS and name.strip()]
    is_named = (
        pl.when(pl.col("call") == "track").then(pl.col("name").is_in(recorded))
        .when(pl.col("call") == "page").then(pl.col("url") != "")
        .otherwise(pl.col("call") == "screen")
    )  # fmt: skip
    # Only in ASCII do the model and polars agree on upper and lower case.
    ascii_only = pl.all_horizontal(
        (pl.col(name).str.len_bytes() == pl.col(name).str.len_chars()) & (pl.col(name) != "")
        | pl.col(name).is_null()
        for name in ("user", "email", "anonymous")
    )
    is_once = pl.col("message_id").is_null() | pl.col("message_id").is_unique()
    is_simple = pl.col("is_simple") & ascii_only & is_once
    is_person = pl.col("user").is_not_null() & ~pl.col("user").str.starts_with("cio_")
    is_visitor = pl.col("user").is_null() & pl.col("anonymous").is_not_null()
    same = pl.col("email").str.to_lowercase() == pl.col("user").str.to_lowercase()
    has_one_email = pl.col("email").is_null() | (is_mail("email") & (same | ~is_mail("user")))
    is_event = is_simple & is_named.fill_null(value=False)
    is_identify = is_simple & (pl.col("call") == "identify") & is_person
    return messages.select(
        "number", "user", "email", "anonymous",
        pl.when(is_identify & has_one_email).then(pl.lit("identify"))
        .when(is_event & is_person).then(pl.lit("event"))
        .when(is_event & is_visitor).then(pl.lit("anonymous"))
        .otherwise(pl.lit("other")).alias("kind"),
        person_key("user").alias("key"),
        mail_key("email").alias("mail"),
        is_mail("user").alias("is_mail"),
    )  # fmt: skip


def _texts_in(messages: Iterator[Message]) -> set[str]:
    """Return every text and number in messages, at any depth: each could be an identifier."""
    texts: set[str] = set()
    values: list[Any] = []
    for message in messages:
        values.append(decode_message(bytes(message.text).decode()))
        while values:
            value = values.pop()
            if isinstance(value, dict):
                values.extend(value.values())
            elif isinstance(value, list):
                values.extend(value)
            elif value is not None:
                texts.add(str(value).lower())
    return texts


def _separated(messages: pl.DataFrame, used: pl.Series) -> IndependentArrivals:
    """Return the effect of the independent messages, and which messages are dependent.

    Args:
        messages: The messages, as `_classified` returns them.
        used: Texts in lower case that may be identifiers in dependent messages or the workspace.
    """
    identifies, events, visits = (
        messages.filter(pl.col("kind") == kind) for kind in ("identify", "event", "anonymous")
    )
    single = _single(identifies, events=events, visits=visits, used=used)
    linked = identifies.join(single, on="number", how="anti")
    linked_ids = pl.concat([linked["user"], linked["email"]]).drop_nulls().str.to_lowercase()
    shared = pl.concat([used, linked_ids]).unique().implode()
    single_events = events.filter(~pl.col("user").str.to_lowercase().is_in(shared))
    identified = identifies["anonymous"].drop_nulls().str.to_lowercase()
    not_anonymous = pl.concat([used, identified]).unique().implode()
    anonymous = visits.filter(~pl.col("anonymous").str.to_lowercase().is_in(not_anonymous))
    owners = pl.concat([single.select(_KEY.names()), single_events.select(_KEY.names())])
    numbers = pl.concat([owners["number"], anonymous["number"]]).implode()
    return IndependentArrivals(
        people=_people(single, single_events),
        visitors=anonymous.group_by(pl.col("anonymous").alias("anonymous_id")).agg(
            pl.lit("anonymous").alias("attribution"), pl.len().cast(pl.Int64).alias("events")
        ),
        dependent=messages.filter(~pl.col("number").is_in(numbers))["number"].sort().to_list(),
        owners=owners,
    )


def _single(
    identifies: pl.DataFrame, *, events: pl.DataFrame, visits: pl.DataFrame, used: pl.Series
) -> pl.DataFrame:
    """Return the identify messages that share no identifier with another person; case is ignored.

    An e-mail that events use as an identifier is shared: before the identify there are two people.
    """
    user, email = (identifies[name].str.to_lowercase() for name in ("user", "email"))
    identifiers = pl.concat([user, email.filter(email != user)])
    shared = identifiers.filter(identifiers.is_duplicated())
    anonymous = identifies["anonymous"]
    linked = pl.concat([anonymous.filter(anonymous.is_duplicated()), visits["anonymous"]]).unique()
    event_keys = events["key"].unique().implode()
    not_free = pl.concat([used, shared]).unique().implode()
    is_shared = pl.any_horizontal(
        pl.col("user", "email").str.to_lowercase().is_in(not_free),
        pl.col("anonymous").str.to_lowercase().is_in(used.implode()),
        pl.col("anonymous").is_in(linked.implode()),
        (pl.col("mail") != pl.col("key")) & pl.col("mail").is_in(event_keys),
    )
    return identifies.filter(~is_shared.fill_null(value=False))


def _people(identifies: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return the profiles, with identifiers spelled as in the first message that has them."""
    messages = pl.concat([identifies, events]).sort("number")
    profiles = messages.group_by("key", maintain_order=True).agg(
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
