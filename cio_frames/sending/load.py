"""One batch on its way, and what is known of its messages so far."""

from collections.abc import Callable, Iterator
from functools import cached_property

import polars as pl

from cio_frames.payloads.batches import Batch
from cio_frames.sending.answers import Answer
from cio_frames.sending.bisection import Bisection


class Load:
    """A batch on its way.

    Args:
        batch: The messages.
        places: Gives columns lane and component, with a row for each message; not needed for a
            batch that is left behind.
    """

    def __init__(self, batch: Batch, *, places: Callable[[], pl.DataFrame] = pl.DataFrame) -> None:
        self.batch = batch
        self._look_up = places
        self.search: Bisection = Bisection(len(batch))
        self.plain = False  # leave compression out
        self.gzip_refused: tuple[int, int] | None = None
        self.doubt_until: int = 0  # messages before this position may have been applied
        self.refused_until: int = 0  # messages before it were in a request refused as a whole
        self.flying_until = 0  # messages before it are in a request without an answer yet
        self.accepted = self.rejected = 0
        self.probed = False
        self.first_at: float | None = None
        self.failing_since: float | None = None
        self.last: Answer | None = None
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
            for first, stop in self.left(self.search.start, len(self.batch))
            for at in range(first, stop)
        ]

    def part(self, start: int, stop: int) -> Batch:
        """Return the messages from `start` up to `stop`."""
        whole = (start, stop) == (0, len(self.batch))
        return self.batch if whole else self.batch.part(start, stop)

    def carry(self, start: int, stop: int) -> int:
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

    def left(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the parts between two positions that have had no answer."""
        for at in sorted(at for at in self._answered if start <= at < stop):
            if start < at:
                yield start, at
            start = at + 1
        if start < stop:
            yield start, stop
