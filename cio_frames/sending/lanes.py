"""Which batches may be under way together, so that nobody's messages overtake each other."""

from collections import OrderedDict
from collections.abc import Iterator

from cio_frames.payloads.batches import Batch


class Lanes:
    """Keeps the order of open batches.

    A batch may start when every earlier open batch leaves its lanes alone. A batch of another
    plan waits until all of the plan before are finished.

    Examples:
        >>> lanes = Lanes()
        >>> lanes.ready() is None
        True
    """

    def __init__(self) -> None:
        self._open: OrderedDict[int, tuple[Batch, int]] = OrderedDict()
        self._under_way: set[int] = set()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def waiting(self) -> int:
        """How many open batches have not been started."""
        return len(self._open) - len(self._under_way)

    @property
    def head(self) -> Batch | None:
        """The earliest open batch."""
        return next((batch for batch, _ in self._open.values()), None)

    def add(self, batch: Batch) -> None:
        """Put a batch behind all others."""
        first, last = batch.lanes
        self._open[id(batch)] = batch, (1 << last + 1) - (1 << first)

    def ready(self) -> Batch | None:
        """Return the earliest batch that may start now, and take it as started."""
        taken, plan = 0, None
        for key, (batch, lanes) in self._open.items():
            if plan is None:
                plan = batch.plan
            if batch.plan != plan:
                return None
            if key not in self._under_way and not lanes & taken:
                self._under_way.add(key)
                return batch
            taken |= lanes
        return None

    def done(self, batch: Batch) -> None:
        """Let go of a finished batch."""
        del self._open[id(batch)]
        self._under_way.discard(id(batch))

    def unstarted(self) -> Iterator[Batch]:
        """Yield the batches that have not been started, in order."""
        return (batch for key, (batch, _) in self._open.items() if key not in self._under_way)
