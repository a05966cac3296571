"""Whether events arrived: a sample of them is looked up among the activities of their people."""

import math
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import polars as pl

from cio_frames.errors import WorkspaceReadError
from cio_frames.identity.state import Event, Person
from cio_frames.plan.workspace_people import KINDS, Identifiers
from cio_frames.run.reconciliation import CONFIDENCE
from cio_frames.spec import ACTIVITY_TYPES, LIMITS, PersonIdType
from cio_frames.workspaces import Client

MARGIN_S: Final = 3_600
"""Events that will soon leave the list of activities are not looked up."""
LATE_S: Final = 300
"""How far the time of an event that was sent without one may be from that of its response."""
_DAY_S: Final = 86_400
_UNKNOWN: Final = 404


def most_missing(missing: int, *, checked: int, of: int) -> int:
    """Return how many of all events are missing at most, with 95 % confidence, from a sample of them.

    It is the exact bound for a sample drawn without replacement (hypergeometric): the largest number
    with which so few missing events in the sample have a probability of more than 5 %.

    Examples:
        >>> most_missing(0, checked=300, of=1_000_000)
        9934
        >>> most_missing(2, checked=50, of=50)
        2
    """
    low, high = missing, of - checked + missing
    while low < high:  # the more are missing, the less likely are so few in the sample
        middle = (low + high + 1) // 2
        if (
            _probability_of_few(missing, checked=checked, missing_of_all=middle, of=of)
            > 1 - CONFIDENCE
        ):
            low = middle
        else:
            high = middle - 1
    return low


def _probability_of_few(missing: int, *, checked: int, missing_of_all: int, of: int) -> float:
    """Return the probability that a sample has at most this many missing events."""
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
    """Return the logarithm of the number of combinations."""
    return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)


def is_findable(event: Event, *, now: datetime) -> bool:
    """Return whether an event should be among the activities of a person."""
    since = now.timestamp() - LIMITS["activity_days"].value * _DAY_S + MARGIN_S
    person = event.person
    return (
        event.type in ACTIVITY_TYPES
        and person is not None
        and person.alive
        and since <= event.timestamp <= now.timestamp()
    )


def draw(events: Sequence[Event], *, count: int, seed: int) -> list[Event]:
    """Return `count` events drawn at random, or all if there are no more."""
    return random.Random(seed).sample(events, max(0, min(count, len(events))))  # noqa: S311 - not a secret


def missing_events(
    client: Client,
    events: Sequence[Event],
    names: Callable[[Person], Identifiers | None],
    *,
    notify: Callable[[int], object],
) -> list[Event]:
    """Return the events that are not among the activities of their people.

    `names` returns the identifiers of a person in the workspace, None if they are not there. `notify` is
    called with about the number of requests that were answered.
    """
    by_key: dict[tuple[Person, str, str | None], list[Event]] = {}
    for event in events:
        person = event.person
        if person is not None:
            by_key.setdefault((person, event.type, event.name), []).append(event)
    missing: list[Event] = []
    for (person, type_, name), wanted in by_key.items():
        times = _times(client, names(person), type_, name)
        alike = [other for other in person.events if (other.type, other.name) == (type_, name)]
        missing += [event for event in wanted if not _is_there(event, alike, times)]
        notify(1)
    return missing


def _times(client: Client, names: Identifiers | None, type_: str, name: str | None) -> list[int]:
    """Return when a person had events of a name, in Unix seconds."""
    kinds: list[PersonIdType] = [kind for kind in KINDS if names and names.get(kind)]
    if names is None or not kinds:
        return []
    event_name = name if type_ == "track" else None
    try:
        activities = client.activities(
            names[kinds[0]], id_type=kinds[0], type=ACTIVITY_TYPES[type_], name=event_name
        )
    except WorkspaceReadError as error:
        if error.status == _UNKNOWN:
            return []
        raise
    is_named = pl.col("name").eq_missing(pl.lit(name, pl.String))
    return activities.filter(is_named)["timestamp"].drop_nulls().dt.epoch("s").to_list()


def _is_there(event: Event, alike: Sequence[Event], times: Sequence[int]) -> bool:
    """Return whether an event happened: at least as many as it and those like it before it did."""
    if _is_dated(event):
        same = [other for other in alike if other.timestamp == event.timestamp]
        matching = sum(abs(time - event.timestamp) <= 1 for time in times)
    else:
        same = [other for other in alike if not _is_dated(other)]
        first, last = (limit(event.timestamp for event in same) for limit in (min, max))
        dated = [other.timestamp for other in alike if _is_dated(other)]
        near = [
            sum(first - LATE_S <= time <= last + LATE_S for time in moments)
            for moments in (times, dated)
        ]
        matching = near[0] - near[1]
    return next(place for place, other in enumerate(same) if other is event) < matching


def _is_dated(event: Event) -> bool:
    """Return whether an event was sent with a time of its own."""
    return event.timestamp != math.floor(event.received)
