"""The events of one person, so kept that a merge looks at few of them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic, Protocol, TypeVar

from cio_frames.identity.settings import MERGED_EVENTS


class Dated(Protocol):
    """What stands for some events of one time."""

    timestamp: int
    times: int


Kept = TypeVar("Kept", bound=Dated)


@dataclass(slots=True, eq=False)
class PersonEvents(Generic[Kept]):
    """Events, those that a merge moves at once apart from older ones.

    In a chain of merges the same events are handed on again and again: only those that have become
    too old since are looked at, and the smaller part is added to the larger one.
    """

    fresh: list[Kept] = field(default_factory=list)  # whose age was not asked yet
    recent: list[Kept] = field(default_factory=list)
    older: list[Kept] = field(default_factory=list)
    recent_times: int = 0
    older_times: int = 0
    oldest: float = math.inf  # of the recent ones
    newest: float = -math.inf  # of the older ones

    def add(self, event: Kept) -> None:
        """Add an event; its age is asked by `sort_out`."""
        self.fresh.append(event)

    def __iter__(self) -> Iterator[Kept]:
        return chain(self.fresh, self.recent, self.older)

    def sort_out(self, now: float) -> None:
        """Tell apart which events are older than a merge moves at once (N2)."""
        if _is_recent(self.oldest, now) and not _is_recent(self.newest, now):
            new, self.fresh = self.fresh, []
        else:
            new = [*self]
            self.fresh, self.recent, self.older = [], [], []
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

    def take_recent(self, other: "PersonEvents[Kept]") -> None:
        """Take the recent events of somebody who is gone."""
        self.recent = _both(self.recent, other.recent)
        self.recent_times += other.recent_times
        self.oldest = min(self.oldest, other.oldest)

    def take_older(self, other: "PersonEvents[Kept]") -> None:
        """Take the older events of somebody who is gone."""
        self.older = _both(self.older, other.older)
        self.older_times += other.older_times
        self.newest = max(self.newest, other.newest)


def _is_recent(timestamp: float, now: float) -> bool:
    return now - timestamp <= MERGED_EVENTS.seconds


def _both(some: list[Kept], others: list[Kept]) -> list[Kept]:
    few, many = sorted((some, others), key=len)
    many.extend(few)
    return many
