"""What a workspace has come to, as far as a rehearsal compares it: frames without attributes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import polars as pl

from cio_frames.identity import Model
from cio_frames.identity.identifiers import IdentifierKind
from cio_frames.sandbox import tables
from cio_frames.sandbox.alone import Alone, alone
from cio_frames.sandbox.shapes import Message

FROM_MESSAGES: Final = 1_000
"""Fewer messages are all applied by the model, which takes no longer."""
SAMPLED: Final = 200
"""Of how many people whom the columns tell a model of their own is asked."""

PEOPLE: Final = pl.Schema({
    "id": pl.String(), "email": pl.String(), "anonymous_ids": pl.List(pl.String),
    "events": pl.Int64(),
})  # fmt: skip
UNATTRIBUTED: Final = pl.Schema({
    "anonymous_id": pl.String(), "attribution": pl.String(), "events": pl.Int64(),
})  # fmt: skip

At = TypeVar("At")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Who and what is there, and what could not be done.

    Attributes:
        people: Columns id, email, anonymous_ids and events, one line per profile.
        unattributed: Columns anonymous_id, attribution and events: the events of nobody.
        group_events: The names of the events of groups, as `subject`.
        merges: As `Sandbox.merges`.
        objects: As `Sandbox.objects`.
        relationships: As `Sandbox.relationships`.
        failures: As `Sandbox.failures`.
        attributes_of: Finds the attributes of somebody who was there before the first message.
        applied: How many messages the model has applied.
    """

    people: pl.DataFrame
    unattributed: pl.DataFrame
    group_events: pl.DataFrame
    merges: pl.DataFrame
    objects: pl.DataFrame
    relationships: pl.DataFrame
    failures: pl.DataFrame
    attributes_of: Callable[[IdentifierKind, str], Mapping[str, Any] | None]
    applied: int = 0


def of_messages(
    model: Model,
    arrived: Sequence[tuple[Message, At]],
    *,
    apply: Callable[[Model, Message, At], None],
) -> Outcome:
    """Return what a workspace comes to by messages that have arrived.

    What messages do that meet no others is told by columns, if a model says the same of some of
    them; the model applies the rest.

    Args:
        model: The workspace before the messages. Afterwards it has applied some of them, or all.
        arrived: The messages that were accepted, in the order of their arrival, and when that was.
        apply: Applies one of them to a model.
    """
    told = None
    if len(arrived) >= FROM_MESSAGES:
        told = alone([message for message, _ in arrived], model)
    if told is not None and not _is_confirmed(told, arrived, like=model, apply=apply):
        told = None
    for message, at in arrived if told is None else [arrived[number] for number in told.others]:
        apply(model, message, at)
    found = of_model(model)
    if told is None:
        return replace(found, applied=len(arrived))
    return replace(
        found,
        people=pl.concat([found.people, told.people.select(PEOPLE.names())]),
        unattributed=pl.concat([found.unattributed, told.visitors.select(UNATTRIBUTED.names())]),
        applied=len(told.others),
    )


def of_model(model: Model) -> Outcome:
    """Return what is in a model."""
    store = model.store
    people = list(store.people.by_cio.values())
    events = [event for event in store.events if not event.lost]
    counts = Counter(event.person for event in events)
    is_group = "group"
    visits = Counter(
        (event.anonymous_id, event.attribution)
        for event in events
        if event.person is None and event.attribution != is_group
    )
    named = pl.DataFrame(
        {
            "cio_id": [person.cio_id for person in people],
            "id": [person.id for person in people],
            "email": [person.email for person in people],
            "anonymous_ids": [list(person.anonymous_ids) for person in people],
            "events": [counts[person] for person in people],
        },
        schema={"cio_id": pl.String(), **PEOPLE},
    )

    def attributes_of(kind: IdentifierKind, value: str) -> Mapping[str, Any] | None:
        person = store.people.find(kind, value)
        return None if person is None else person.attributes

    return Outcome(
        people=named.drop("cio_id"),
        unattributed=pl.DataFrame(
            [(*key, count) for key, count in visits.items()], schema=UNATTRIBUTED, orient="row"
        ),
        group_events=pl.DataFrame(
            {"subject": [event.name for event in events if event.attribution == is_group]},
            schema={"subject": pl.String},
        ),
        merges=tables.frame("merges", model.merges()),
        objects=tables.frame("objects", model.objects()),
        relationships=tables.named("relationships", model.relationships(), people=named),
        failures=tables.frame("failures", model.failures()),
        attributes_of=attributes_of,
    )


def _is_confirmed(
    told: Alone,
    arrived: Sequence[tuple[Message, At]],
    *,
    like: Model,
    apply: Callable[[Model, Message, At], None],
) -> bool:
    """Return whether a model says of some people what the columns say of them."""
    keys = told.people["key"]
    some = keys.gather_every(max(1, len(keys) // SAMPLED)).implode()
    model = Model(like.settings)
    for number in told.owned.filter(pl.col("key").is_in(some))["number"].sort():
        apply(model, *arrived[number])
    said = told.people.filter(pl.col("key").is_in(some)).select(PEOPLE.names())
    return not model.store.failures and _lines(said) == _lines(of_model(model).people)


def _lines(people: pl.DataFrame) -> list[str]:
    return sorted(map(str, people.rows()))
