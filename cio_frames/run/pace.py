"""How fast a run went: rows and response times, in a bounded number of time buckets."""

from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from cio_frames.sending import BatchFinished, BatchRetried, Fact, RunStarted
from cio_frames.views.summary import PaceView

MAX_BUCKETS = 80
WIDTH_S = 0.25
_ANSWERED = ("delivered", "accepted_unverified", "rejected_server")


@dataclass(slots=True, kw_only=True)
class _Bucket:
    """The responses in one time bucket."""

    rows: int = 0
    answers: int = 0
    waited_s: float = 0.0
    longest_s: float = 0.0
    retries: int = 0

    def add(self, other: "_Bucket") -> None:
        """Add another bucket to this one."""
        self.rows += other.rows
        self.answers += other.answers
        self.waited_s += other.waited_s
        self.longest_s = max(self.longest_s, other.longest_s)
        self.retries += other.retries


class Pace:
    """A listener that counts responses over time. Buckets are joined in pairs when there are too many."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._started: datetime | None = None
        self._at_s = 0.0
        self._width_s = WIDTH_S
        self._buckets: list[_Bucket] = []

    def __call__(self, fact: Fact) -> None:
        """Count a fact."""
        with self._lock:
            match fact:
                case RunStarted(at=at):
                    self._started = at
                case BatchFinished() if fact.state in _ANSWERED and self._started:
                    self._at_s = max(self._at_s, (fact.at - self._started).total_seconds())
                    answer = _Bucket(rows=len(fact.batch), answers=1)
                    answer.waited_s = answer.longest_s = fact.elapsed_s
                    self._add(answer)
                case BatchRetried():
                    self._add(_Bucket(retries=1))
                case _:
                    pass

    def view(self) -> PaceView | None:
        """Return what a summary shows; None without a response."""
        with self._lock:
            buckets = list(self._buckets)
            if not any(part.answers for part in buckets):
                return None
            return PaceView(
                width_s=self._width_s,
                rows=tuple(part.rows for part in buckets),
                waits_s=tuple(
                    part.waited_s / part.answers if part.answers else 0.0 for part in buckets
                ),
                longest_s=tuple(part.longest_s for part in buckets),
                retries=tuple(part.retries for part in buckets),
                mean_s=sum(part.waited_s for part in buckets)
                / sum(part.answers for part in buckets),
            )

    def _add(self, values: _Bucket) -> None:
        """Add to the current bucket."""
        place = int(self._at_s / self._width_s)
        while place >= MAX_BUCKETS:
            self._halve()
            place = int(self._at_s / self._width_s)
        while len(self._buckets) <= place:
            self._buckets.append(_Bucket())
        self._buckets[place].add(values)

    def _halve(self) -> None:
        """Join buckets in pairs."""
        for even, odd in zip(self._buckets[::2], self._buckets[1::2], strict=False):
            even.add(odd)
        self._buckets = self._buckets[::2]
        self._width_s *= 2
