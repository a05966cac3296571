"""How fast a run went: rows and response times, in a bounded number of slices of time."""

from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from cio_frames.sending import BatchFinished, BatchRetried, Fact, RunStarted
from cio_frames.views.summary import PaceView

SLICES = 80
WIDTH_S = 0.25
_ANSWERED = ("delivered", "accepted_unverified", "rejected_server")


@dataclass(slots=True, kw_only=True)
class _Slice:
    """The responses in one slice of time."""

    rows: int = 0
    answers: int = 0
    waited_s: float = 0.0
    longest_s: float = 0.0
    retries: int = 0

    def add(self, other: "_Slice") -> None:
        """Add another slice to this one."""
        self.rows += other.rows
        self.answers += other.answers
        self.waited_s += other.waited_s
        self.longest_s = max(self.longest_s, other.longest_s)
        self.retries += other.retries


class Pace:
    """A listener that counts responses over time. Slices are joined in pairs when there are too many."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._started: datetime | None = None
        self._at_s = 0.0
        self._width_s = WIDTH_S
        self._slices: list[_Slice] = []

    def __call__(self, fact: Fact) -> None:
        """Count a fact."""
        with self._lock:
            match fact:
                case RunStarted(at=at):
                    self._started = at
                case BatchFinished() if fact.state in _ANSWERED and self._started:
                    self._at_s = max(self._at_s, (fact.at - self._started).total_seconds())
                    answer = _Slice(rows=len(fact.batch), answers=1)
                    answer.waited_s = answer.longest_s = fact.elapsed_s
                    self._add(answer)
                case BatchRetried():
                    self._add(_Slice(retries=1))
                case _:
                    pass

    def view(self) -> PaceView | None:
        """Return what a summary shows; None without a response."""
        with self._lock:
            slices = list(self._slices)
            if not any(part.answers for part in slices):
                return None
            return PaceView(
                width_s=self._width_s,
                rows=tuple(part.rows for part in slices),
                waits_s=tuple(
                    part.waited_s / part.answers if part.answers else 0.0 for part in slices
                ),
                longest_s=tuple(part.longest_s for part in slices),
                retries=tuple(part.retries for part in slices),
                mean_s=sum(part.waited_s for part in slices) / sum(part.answers for part in slices),
            )

    def _add(self, values: _Slice) -> None:
        """Add to the current slice."""
        place = int(self._at_s / self._width_s)
        while place >= SLICES:
            self._halve()
            place = int(self._at_s / self._width_s)
        while len(self._slices) <= place:
            self._slices.append(_Slice())
        self._slices[place].add(values)

    def _halve(self) -> None:
        """Join slices in pairs."""
        for even, odd in zip(self._slices[::2], self._slices[1::2], strict=False):
            even.add(odd)
        self._slices = self._slices[::2]
        self._width_s *= 2
