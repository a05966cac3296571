"""One batch on its way, and what is known of its messages so far."""

from collections.abc import Sequence
from dataclasses import replace

from cio_frames.payloads.batches import Batch
from cio_frames.sending.answers import Answer
from cio_frames.sending.bisection import Bisection


class Load:
    """A batch on its way.

    Args:
        batch: The messages.
        carried: How many requests have carried them before.
    """

    def __init__(self, batch: Batch, *, carried: int = 0) -> None:
        self.batch = batch
        self.search = Bisection(len(batch))
        self.plain = False  # leave compression out
        self.gzip_refused: tuple[int, int] | None = None
        self.doubt_until = 0  # messages before this position may have been applied
        self.refused_until = 0  # messages before it were in a request refused as a whole
        self.flying_until = 0  # messages before it are in a request without an answer yet
        self.accepted = self.rejected = 0
        self.probed = False
        self.first_at: float | None = None
        self.failing_since: float | None = None
        self.last: Answer | None = None
        self._carried = carried
        self._sent: list[tuple[int, int]] = []

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
        return self._carried + sum(start <= position < stop for start, stop in self._sent)

    def doubt(self, stop: int) -> None:
        """Note that the messages up to `stop` may have been applied."""
        self.doubt_until = max(self.doubt_until, stop)

    def refuse(self, stop: int) -> None:
        """Note that the messages up to `stop` were refused together."""
        self.refused_until = max(self.refused_until, stop)

    def without(self, settled: Sequence[int]) -> "Load":
        """Return what is left of the batch after some messages had their answer out of turn."""
        start = self.search.start
        kept = [at for at in range(start, len(self.batch)) if at not in settled]
        messages, rows = self.batch.messages.gather(kept), self.batch.rows.gather(kept)
        rest = Load(
            replace(self.batch, messages=messages, rows=rows),
            carried=self.attempts(kept[0]) if kept else 0,
        )
        rest.plain, rest.first_at, rest.last = self.plain, self.first_at, self.last
        rest.accepted, rest.rejected, rest.probed = self.accepted, self.rejected, self.probed
        rest.doubt(len(kept) if self.doubt_until > start else 0)
        rest.refuse(len(kept) if self.refused_until > start else 0)
        return rest
