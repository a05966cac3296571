"""One batch on its way, and what is known of its messages so far."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import polars as pl

from cio_frames.payloads.batches import Batch
from cio_frames.sending.http import Response


class Bisection:
    """Says which part of a batch to send next, until every message has had its answer.

    Parts are always the next ones in order, so nobody's messages overtake each other. A message is
    given up only after it was refused alone. For k bad messages among n this takes at most
    2 k ⌈log2 n⌉ + 1 requests.

    """

    def __init__(self, size: int) -> None:
        self.start: int = 0
        self.size = size
        self._bad_until: int | None = None  # a bad message is before this position
        self._reach = size  # how much is worth trying, after what was found so far
        self._room = size  # how much the host takes at once
        self._accepted = 0  # since the last bad message

    @property
    def done(self) -> bool:
        """Whether every message has had its answer."""
        return self.start >= self.size

    def part(self) -> tuple[int, int]:
        """Return the half-open interval of positions to send next."""
        if self._bad_until is None:
            length = min(self.size - self.start, self._reach)
        else:
            length = max(1, (self._bad_until - self.start) // 2)
        return self.start, self.start + min(length, self._room)

    def accepted(self, stop: int) -> None:
        """Learn that the part up to `stop` was taken."""
        self._accepted += stop - self.start
        self._advance(stop)
        if self._bad_until is None:
            self._reach = max(self._reach, 4 * self._accepted)

    def refused(self, stop: int) -> None:
        """Learn that something in the part up to `stop` is at fault."""
        if stop - self.start > 1:
            self._bad_until = stop
            return
        self._reach = max(1, 4 * self._accepted)
        self._accepted = 0
        self._bad_until = None
        self._advance(stop)

    def too_large(self, stop: int) -> None:
        """Learn that the part up to `stop` was too much at once."""
        length = stop - self.start
        if length > 1:
            self._room = length // 2
        else:
            self._advance(stop)

    def settled(self, stop: int) -> None:
        """Learn that the part up to `stop` has its end, whatever it is."""
        self._advance(stop)

    def _advance(self, stop: int) -> None:
        self.start = stop
        if self._bad_until is not None and stop >= self._bad_until:
            self._bad_until = None


def probes(lanes: Sequence[int]) -> tuple[int, ...]:
    """Return two more messages to try alone once the first of a batch was refused.

    If they are refused as well, everything will be. They are the first of the middle and of the
    last lane, because only the first of a lane may go before the others without overtaking.

    Returns:
        Their positions, ascending. In a batch with fewer than three lanes the second message,
        and if need be the third, takes the place of what is missing.

    Examples:
        >>> probes([4, 4, 5, 6, 7, 7, 8, 8])
        (3, 6)
        >>> probes([4, 4, 4, 4])
        (1, 2)
    """
    heads = [at for at in range(1, len(lanes)) if lanes[at] != lanes[at - 1]]
    if len(heads) > 1:
        return heads[(len(heads) - 1) // 2], heads[-1]
    return tuple(sorted([*heads, *(at for at in (1, 2) if at not in heads)][:2]))


class BatchProgress:
    """A batch on its way."""

    def __init__(self, batch: Batch, *, places: Callable[[], pl.DataFrame] = pl.DataFrame) -> None:
        self.batch = batch
        self._look_up = places
        self.search: Bisection = Bisection(len(batch))
        self.plain = False  # leave compression out
        self.gzip_refused: tuple[int, int] | None = None
        self.doubt_until: int = 0  # messages before this position may have been applied
        self.refused_until: int = 0  # messages before it were in a request refused as a whole
        self.in_flight_until = (
            0  # messages before it were sent, and what became of them is not told
        )
        self.accepted = self.rejected = 0
        self.probed = False
        self.first_at: float | None = None
        self.failing_since: float | None = None
        self.last: Response | None = None
        self._sent: list[tuple[int, int]] = []
        self._answered: set[int] = set()

    @cached_property
    def places(self) -> pl.DataFrame:
        """Lane and component of each message."""
        return self._look_up()

    @property
    def lanes(self) -> list[int]:
        """The lane of each message."""
        return self.places["lane"].to_list()

    @cached_property
    def people(self) -> list[int | None]:
        """The component of each message."""
        return self.places["component"].to_list()

    @property
    def open(self) -> list[int]:
        """The positions that have had no answer."""
        return [
            at
            for first, stop in self.unanswered(self.search.start, len(self.batch))
            for at in range(first, stop)
        ]

    def part(self, start: int, stop: int) -> Batch:
        """Return the messages from `start` up to `stop`."""
        whole = (start, stop) == (0, len(self.batch))
        return self.batch if whole else self.batch.part(start, stop)

    def record_attempt(self, start: int, stop: int) -> int:
        """Note that a request is made of a part, and return how many have carried it."""
        self._sent.append((start, stop))
        return self.attempts(start)

    def attempts(self, position: int) -> int:
        """Return how many requests have carried a message."""
        return sum(start <= position < stop for start, stop in self._sent)

    def doubt(self, stop: int) -> None:
        """Note that the messages up to `stop` may have been applied."""
        self.doubt_until = max(self.doubt_until, stop)

    def refuse(self, stop: int) -> None:
        """Note that the messages up to `stop` were refused together."""
        self.refused_until = max(self.refused_until, stop)

    def answered(self, start: int, stop: int) -> None:
        """Note that messages had their answer out of turn, or need none."""
        self._answered.update(range(start, stop))

    @property
    def done(self) -> bool:
        """Whether every message has had its answer."""
        while self.search.start in self._answered:
            self.search.settled(self.search.start + 1)
        return self.search.done

    def next(self) -> tuple[int, int]:
        """Return the part to send next: up to a message that had its answer, at most."""
        start, stop = self.search.part()
        return start, min([stop, *(at for at in self._answered if at > start)])

    def unanswered(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the parts between two positions that have had no answer."""
        for at in sorted(at for at in self._answered if start <= at < stop):
            if start < at:
                yield start, at
            start = at + 1
        if start < stop:
            yield start, stop
