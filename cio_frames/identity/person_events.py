"""The events of one person, stored so that a merge has to examine few of them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic, Protocol, TypeVar

from cio_frames.identity.settings import MERGED_EVENTS


class Dated(Protocol):
    """An event, or several with the same time."""

    timestamp: int
    times: int


DatedEvent = TypeVar("DatedEvent", bound=Dated)


@dataclass(slots=True, eq=False)
class PersonEvents(Generic[DatedEvent]):
    """Events, with those that a merge moves at once separate from older ones.

    A chain of merges moves the same events again and again, so only new ones and those that have
    become too old are examined, and the smaller list is added to the larger one.
    """

    unsorted: list[DatedEvent] = field(default_factory=list)
    recent: list[DatedEvent] = field(default_factory=list)
    older: list[DatedEvent] = field(default_factory=list)
    recent_times: int = 0
    older_times: int = 0
    oldest: float = math.inf  # of the recent ones
    newest: float = -math.inf  # of the older ones

    def add(self, event: DatedEvent) -> None:
        """Add an event; `sort_by_age` puts it into one of the two lists."""
        self.unsorted.append(event)

    def __iter__(self) -> Iterator[DatedEvent]:
        return chain(self.unsorted, self.recent, self.older)

    def sort_by_age(self, now: float) -> None:
        """Separate the events that are older than a merge moves at once (N2)."""
        if _is_recent(self.oldest, now) and not _is_recent(self.newest, now):
            new, self.unsorted = self.unsorted, []
        else:
            new = [*self]
            self.unsorted, self.recent, self.older = [], [], []
            self.recent_times = self.older_times = 0
            self.oldest, self.newest = math.inf, -math.inf
        for event in new:
            if _is_recent(event.timestamp, now):
                self.recent.append(event)
                self.recent_times += event.times
                self.oldest = min(self.oldest, event.timestamp)
            else:
                self.older.append(event)
                self.older_times += event.times
                self.newest = max(self.newest, event.timestamp)

    def take_recent(self, other: "PersonEvents[DatedEvent]") -> None:
        """Take the recent events of a removed person."""
        self.recent = _joined(self.recent, other.recent)
        self.recent_times += other.recent_times
        self.oldest = min(self.oldest, other.oldest)

    def take_older(self, other: "PersonEvents[DatedEvent]") -> None:
        """Take the older events of a removed person."""
        self.older = _joined(self.older, other.older)
        self.older_times += other.older_times
        self.newest = max(self.newest, other.newest)


def _is_recent(timestamp: float, now: float) -> bool:
    return now - timestamp <= MERGED_EVENTS.seconds


def _joined(events: list[DatedEvent], others: list[DatedEvent]) -> list[DatedEvent]:
    shorter, longer = sorted((events, others), key=len)
    longer.extend(shorter)
    return longer
