"""How fast a run went: rows and times to an answer, in slices of time that never become many."""

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
    """What was answered in one slice of time."""

    rows: int = 0
    answers: int = 0
    waited_s: float = 0.0
    longest_s: float = 0.0
    retries: int = 0

    def take(self, other: "_Slice") -> None:
        """Add another slice to this one."""
        self.rows += other.rows
        self.answers += other.answers
        self.waited_s += other.waited_s
        self.longest_s = max(self.longest_s, other.longest_s)
        self.retries += other.retries


class Pace:
    """A listener that notes when how much was answered. Slices double when there are too many."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._started: datetime | None = None
        self._at_s = 0.0
        self._width_s = WIDTH_S
        self._slices: list[_Slice] = []

    def __call__(self, fact: Fact) -> None:
        """Take note of a fact."""
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
        """Return what a summary shows; None if nothing was answered."""
        with self._lock:
            slices = list(self._slices)
            if not any(each.answers for each in slices):
                return None
            return PaceView(
                width_s=self._width_s,
                rows=tuple(each.rows for each in slices),
                waits_s=tuple(
                    each.waited_s / each.answers if each.answers else 0.0 for each in slices
                ),
                longest_s=tuple(each.longest_s for each in slices),
                retries=tuple(each.retries for each in slices),
                mean_s=sum(each.waited_s for each in slices) / sum(e.answers for e in slices),
            )

    def _add(self, noted: _Slice) -> None:
        """Add to the slice of this moment."""
        place = int(self._at_s / self._width_s)
        while place >= SLICES:
            self._halve()
            place = int(self._at_s / self._width_s)
        while len(self._slices) <= place:
            self._slices.append(_Slice())
        self._slices[place].take(noted)

    def _halve(self) -> None:
        """Join slices two by two."""
        for even, odd in zip(self._slices[::2], self._slices[1::2], strict=False):
            even.take(odd)
        self._slices = self._slices[::2]
        self._width_s *= 2
