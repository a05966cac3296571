"""Whether events arrived: a sample of them is looked for among the activities of their people."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import polars as pl

from cio_frames.errors import WorkspaceReadError
from cio_frames.identity.identifiers import IdentifierKind
from cio_frames.identity.state import Event, Person
from cio_frames.plan.workspace_people import KINDS
from cio_frames.run.reconciliation import CONFIDENCE
from cio_frames.spec import ACTIVITY_TYPES, LIMITS, PersonIdType
from cio_frames.workspaces import Client

MARGIN_S: Final = 3_600
"""Events that are about to leave the list of activities are not looked for."""
LATE_S: Final = 300
"""How far the time of an event that was sent without one may be from the time of its answer."""
_DAY_S: Final = 86_400
_UNKNOWN: Final = 404

Names = Mapping[IdentifierKind, str | None]


def most_missing(missing: int, *, checked: int, of: int) -> int:
    """Return how many of all are missing at most, with 95 % confidence, from a sample of them.

    It is the exact bound for a sample that is drawn without replacement (hypergeometric): the
    largest number with which so few missing ones in the sample are not rarer than one in twenty.

    Examples:
        >>> most_missing(0, checked=300, of=1_000_000)
        9934
        >>> most_missing(2, checked=50, of=50)
        2
    """
    low, high = missing, of - checked + missing
    while low < high:  # the more are missing, the rarer are so few in the sample
        middle = (low + high + 1) // 2
        if _as_few(missing, checked=checked, missing_of_all=middle, of=of) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle - 1
    return low


def _as_few(missing: int, *, checked: int, missing_of_all: int, of: int) -> float:
    """Return how likely a sample has at most so many missing ones."""
    there = of - missing_of_all
    least = max(0, checked - there)
    return sum(
        math.exp(
            _combinations(missing_of_all, count)
            + _combinations(there, checked - count)
            - _combinations(of, checked)
        )
        for count in range(least, min(missing, missing_of_all) + 1)
    )


def _combinations(of: int, count: int) -> float:
    """Return the logarithm of the number of ways to take so many."""
    return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)


def can_be_found(event: Event, *, now: datetime) -> bool:
    """Return whether an event should be among the activities of somebody."""
    since = now.timestamp() - LIMITS["activity_days"].value * _DAY_S + MARGIN_S
    person = event.person
    return (
        event.type in ACTIVITY_TYPES
        and person is not None
        and person.alive
        and since <= event.timestamp <= now.timestamp()
    )


def drawn(events: Sequence[Event], *, count: int, seed: int) -> list[Event]:
    """Return so many of the events, drawn at random, or all if there are no more."""
    return random.Random(seed).sample(events, max(0, min(count, len(events))))  # noqa: S311 - not a secret


def missing_events(
    client: Client,
    events: Sequence[Event],
    names: Callable[[Person], Names | None],
    *,
    tell: Callable[[int], object],
) -> list[Event]:
    """Return those of some events that are not among the activities of their people.

    Args:
        client: Reads the workspace.
        events: Which ones.
        names: Returns what somebody is called in the workspace; None for somebody who is not there.
        tell: Is told how many requests have been answered, about.
    """
    by_key: dict[tuple[Person, str, str | None], list[Event]] = {}
    for event in events:
        person = event.person
        if person is not None:
            by_key.setdefault((person, event.type, event.name), []).append(event)
    lost: list[Event] = []
    for (person, type_, name), wanted in by_key.items():
        times = _times(client, names(person), type_, name)
        alike = [each for each in person.events if (each.type, each.name) == (type_, name)]
        lost += [event for event in wanted if not _is_there(event, alike, times)]
        tell(1)
    return lost


def _times(client: Client, names: Names | None, type_: str, name: str | None) -> list[int]:
    """Return when events of a name happened to somebody, in Unix seconds."""
    kinds: list[PersonIdType] = [kind for kind in KINDS if names and names.get(kind)]
    if names is None or not kinds:
        return []
    asked = name if type_ == "track" else None
    try:
        found = client.activities(
            names[kinds[0]], id_type=kinds[0], type=ACTIVITY_TYPES[type_], name=asked
        )
    except WorkspaceReadError as error:
        if error.status == _UNKNOWN:
            return []
        raise
    is_named = pl.col("name").eq_missing(pl.lit(name, pl.String))
    return found.filter(is_named)["timestamp"].drop_nulls().dt.epoch("s").to_list()


def _is_there(event: Event, alike: Sequence[Event], times: Sequence[int]) -> bool:
    """Return whether an event is among those that happened, where as many like it happened before it."""
    if _is_dated(event):
        same = [each for each in alike if each.timestamp == event.timestamp]
        held = sum(abs(time - event.timestamp) <= 1 for time in times)
    else:
        same = [each for each in alike if not _is_dated(each)]
        first, last = (each(event.timestamp for event in same) for each in (min, max))
        others = [each.timestamp for each in alike if _is_dated(each)]
        near = [
            sum(first - LATE_S <= time <= last + LATE_S for time in some)
            for some in (times, others)
        ]
        held = near[0] - near[1]
    return next(place for place, each in enumerate(same) if each is event) < held


def _is_dated(event: Event) -> bool:
    """Return whether an event was sent with a time of its own."""
    return event.timestamp != math.floor(event.received)
