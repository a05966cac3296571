"""The progress of one batch: which of its messages are answered, rejected or in doubt."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import polars as pl

from cio_frames.payloads.batches import Batch
from cio_frames.sending.http import Response


class Bisection:
    """Finds the part of a batch to send next, until every message is answered.

    Parts are sent in order, so that messages of one person never overtake each other. A message is
    given up only after it was rejected alone. For k bad messages among n this takes at most
    2 k ⌈log2 n⌉ + 1 requests.
    """

    def __init__(self, size: int) -> None:
        self.start: int = 0
        self.size = size
        self._bad_until: int | None = None  # a bad message is before this position
        self._size_limit = size  # a larger part probably has a bad message
        self._host_limit = size  # a larger part is too large for the host
        self._accepted = 0  # since the last bad message

    @property
    def done(self) -> bool:
        """Whether every message is answered."""
        return self.start >= self.size

    def next_part(self) -> tuple[int, int]:
        """Return the half-open interval of positions to send next."""
        if self._bad_until is None:
            length = min(self.size - self.start, self._size_limit)
        else:
            length = max(1, (self._bad_until - self.start) // 2)
        return self.start, self.start + min(length, self._host_limit)

    def accepted(self, stop: int) -> None:
        """Record that the part up to `stop` was accepted."""
        self._accepted += stop - self.start
        self._advance(stop)
        if self._bad_until is None:
            self._size_limit = max(self._size_limit, 4 * self._accepted)

    def rejected(self, stop: int) -> None:
        """Record that a message in the part up to `stop` is bad."""
        if stop - self.start > 1:
            self._bad_until = stop
            return
        self._size_limit = max(1, 4 * self._accepted)
        self._accepted = 0
        self._bad_until = None
        self._advance(stop)

    def too_large(self, stop: int) -> None:
        """Record that the part up to `stop` was too large."""
        length = stop - self.start
        if length > 1:
            self._host_limit = length // 2
        else:
            self._advance(stop)

    def skip(self, stop: int) -> None:
        """Record that the part up to `stop` needs no further request."""
        self._advance(stop)

    def _advance(self, stop: int) -> None:
        self.start = stop
        if self._bad_until is not None and stop >= self._bad_until:
            self._bad_until = None


def probe_positions(lanes: Sequence[int]) -> tuple[int, ...]:
    """Return the positions of two messages to try alone after the first of a batch was rejected.

    If they are rejected too, so will be the rest. They are the first of the middle and of the last
    lane: only the first message of a lane overtakes no other one.

    Returns:
        The positions, ascending. With fewer than three lanes the second message, and if needed the
        third, are used instead.

    Examples:
        >>> probe_positions([4, 4, 5, 6, 7, 7, 8, 8])
        (3, 6)
        >>> probe_positions([4, 4, 4, 4])
        (1, 2)
    """
    heads = [at for at in range(1, len(lanes)) if lanes[at] != lanes[at - 1]]
    if len(heads) > 1:
        return heads[(len(heads) - 1) // 2], heads[-1]
    return tuple(sorted([*heads, *(at for at in (1, 2) if at not in heads)][:2]))


class BatchProgress:
    """A batch that is being delivered."""

    def __init__(
        self, batch: Batch, *, lane_rows: Callable[[], pl.DataFrame] = pl.DataFrame
    ) -> None:
        self.batch = batch
        self._read_lane_rows = lane_rows
        self.search: Bisection = Bisection(len(batch))
        self.uncompressed = False
        self.gzip_rejected_part: tuple[int, int] | None = None
        self.in_doubt_until: int = 0  # messages before this position may have been applied
        self.rejected_until: int = 0  # messages before it were in a request rejected as a whole
        self.in_flight_until = 0  # messages before it were sent, and their outcome is not recorded
        self.accepted = self.rejected = 0
        self.probed = False
        self.first_attempt_at: float | None = None
        self.failing_since: float | None = None
        self.last_response: Response | None = None
        self._attempted_parts: list[tuple[int, int]] = []
        self._answered: set[int] = set()

    @cached_property
    def lane_rows(self) -> pl.DataFrame:
        """Lane and component of each message."""
        return self._read_lane_rows()

    @property
    def lanes(self) -> list[int]:
        """The lane of each message."""
        return self.lane_rows["lane"].to_list()

    @cached_property
    def people(self) -> list[int | None]:
        """The component of each message."""
        return self.lane_rows["component"].to_list()

    @property
    def unanswered_positions(self) -> list[int]:
        """The positions of unanswered messages."""
        return [
            at
            for first, stop in self.unanswered(self.search.start, len(self.batch))
            for at in range(first, stop)
        ]

    def part(self, start: int, stop: int) -> Batch:
        """Return the messages from `start` up to `stop`."""
        is_whole = (start, stop) == (0, len(self.batch))
        return self.batch if is_whole else self.batch.part(start, stop)

    def record_attempt(self, start: int, stop: int) -> int:
        """Record a request with a part, and return how many requests have had it."""
        self._attempted_parts.append((start, stop))
        return self.attempts(start)

    def attempts(self, position: int) -> int:
        """Return how many requests have had a message."""
        return sum(start <= position < stop for start, stop in self._attempted_parts)

    def mark_in_doubt(self, stop: int) -> None:
        """Record that the messages up to `stop` may have been applied."""
        self.in_doubt_until = max(self.in_doubt_until, stop)

    def mark_rejected(self, stop: int) -> None:
        """Record that the messages up to `stop` were rejected together."""
        self.rejected_until = max(self.rejected_until, stop)

    def mark_answered(self, start: int, stop: int) -> None:
        """Record that messages were answered out of order, or need no answer."""
        self._answered.update(range(start, stop))

    @property
    def done(self) -> bool:
        """Whether every message is answered."""
        while self.search.start in self._answered:
            self.search.skip(self.search.start + 1)
        return self.search.done

    def next_part(self) -> tuple[int, int]:
        """Return the part to send next, which ends before the next answered message."""
        start, stop = self.search.next_part()
        return start, min([stop, *(at for at in self._answered if at > start)])

    def unanswered(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the unanswered parts between two positions."""
        for at in sorted(at for at in self._answered if start <= at < stop):
            if start < at:
                yield start, at
            start = at + 1
        if start < stop:
            yield start, stop
