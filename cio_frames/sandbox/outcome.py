"""The state of a workspace that a rehearsal compares: frames without attributes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import polars as pl

from cio_frames.identity import Model
from cio_frames.identity.identifiers import IdentifierKind
from cio_frames.sandbox import tables
from cio_frames.sandbox.independent import IndependentArrivals, independent_arrivals
from cio_frames.sandbox.schemas import Message

FROM_MESSAGES: Final = 1_000
"""Fewer messages are all applied by the model, which takes no longer."""
SAMPLED: Final = 200
"""For how many people the columns are compared with a model of their messages alone."""

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
    """The people, events and objects of a workspace, and the changes that failed.

    Attributes:
        people: Columns id, email, anonymous_ids and events, one line per profile.
        unattributed: Columns anonymous_id, attribution and events: the events without a person.
        group_events: The names of the events of groups, as `subject`.
        merges: As `Sandbox.merges`.
        objects: As `Sandbox.objects`.
        relationships: As `Sandbox.relationships`.
        failures: As `Sandbox.failures`.
        attributes_of: Returns the attributes of a person who was there before the first message.
        applied: How many messages the model applied.
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
    """Return the outcome of messages that have arrived.

    The effect of independent messages is computed on columns, if a model confirms it for a sample;
    the model applies the others.

    Some or all of the messages are applied to the model, which is the workspace before them.
    """
    independent = None
    if len(arrived) >= FROM_MESSAGES:
        independent = independent_arrivals([message for message, _ in arrived], model)
    if independent is None or not _is_confirmed(independent, arrived, like=model, apply=apply):
        for message, at in arrived:
            apply(model, message, at)
        return replace(of_model(model), applied=len(arrived))
    for number in independent.dependent:
        apply(model, *arrived[number])
    outcome = of_model(model)
    visitors = independent.visitors.select(UNATTRIBUTED.names())
    return replace(
        outcome,
        people=pl.concat([outcome.people, independent.people.select(PEOPLE.names())]),
        unattributed=pl.concat([outcome.unattributed, visitors]),
        applied=len(independent.dependent),
    )


def of_model(model: Model) -> Outcome:
    """Return the outcome of the messages that a model has applied."""
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
    identified = pl.DataFrame(
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
        people=identified.drop("cio_id"),
        unattributed=pl.DataFrame(
            [(*key, count) for key, count in visits.items()], schema=UNATTRIBUTED, orient="row"
        ),
        group_events=pl.DataFrame(
            {"subject": [event.name for event in events if event.attribution == is_group]},
            schema={"subject": pl.String},
        ),
        merges=tables.frame("merges", model.merges()),
        objects=tables.frame("objects", model.objects()),
        relationships=tables.with_identifiers(
            "relationships", model.relationships(), people=identified
        ),
        failures=tables.frame("failures", model.failures()),
        attributes_of=attributes_of,
    )


def _is_confirmed(
    independent: IndependentArrivals,
    arrived: Sequence[tuple[Message, At]],
    *,
    like: Model,
    apply: Callable[[Model, Message, At], None],
) -> bool:
    """Return whether a model of the messages of some people agrees with the columns."""
    keys = independent.people["key"]
    is_sampled = pl.col("key").is_in(keys.gather_every(max(1, len(keys) // SAMPLED)).implode())
    model = Model(like.settings)
    for number in independent.owners.filter(is_sampled)["number"].sort():
        apply(model, *arrived[number])
    people = independent.people.filter(is_sampled).select(PEOPLE.names())
    return not model.store.failures and _lines(people) == _lines(of_model(model).people)


def _lines(people: pl.DataFrame) -> list[str]:
    return sorted(map(str, people.rows()))
