"""One limit for all tasks of a run: requests per second, and requests in flight.

Each attempt writes in its claim that it is alive and how often it was asked to slow down. The driver
reads the claims about once a second and writes the share of each attempt. A task that has just started
uses the limit divided by the number of tasks that can run at once, so that together they stay within it
from the start; so does a task that has not read anything new from the driver for some seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from cio_frames.sending.rate_limit import TokenBucket
from cio_frames.spark.lease import Renewal

ALIVE_S = 3.0
"""An attempt whose count has not changed for longer has no share."""

PACE_VALID_S = 5.0
"""For this many seconds an attempt follows what the driver wrote last."""

PAUSED_S = 3_600.0
"""The length of a pause without an end; it ends as soon as the driver writes something else."""

PACE_FILE = "pace.json"

DIVIDED = (
    "The limit of the client was divided among the tasks that ran at the same time: each had an equal "
    "part of the requests per second and of the requests in flight, and when Customer.io asked one task "
    "to slow down, all did within seconds."
)

SHARED = (
    "The limit of the client was shared by as many tasks as the option tasks says can run at once, whether "
    "or not so many did."
)


class Share(msgspec.Struct, frozen=True, array_like=True):
    """The share of one task. With a concurrency of 0 it waits."""

    rate: float | None
    concurrency: int


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver writes for all attempts.

    Attributes:
        counter: Goes up each time it is written.
        shares: The share of each attempt, by the name of its claim.
        pause_s: Seconds in which nothing may be sent.
        stop: Why all attempts must stop; empty if they need not.
    """

    counter: int
    shares: dict[str, Share] = {}
    pause_s: float = 0.0
    stop: str = ""


def first_share(*, rate: float | None, concurrency: int, slots: int) -> Share:
    """Return the limit divided by the number of tasks that can run at once.

    Examples:
        >>> first_share(rate=200.0, concurrency=16, slots=8)
        Share(rate=25.0, concurrency=2)
    """
    tasks = max(1, slots)
    return Share(None if rate is None else rate / tasks, concurrency // tasks)


def divided(names: Sequence[str], *, rate: float | None, concurrency: int) -> dict[str, Share]:
    """Return equal shares for attempts; those that cannot get even one request wait.

    Examples:
        >>> divided(["a", "b", "c"], rate=10.0, concurrency=2)["c"]
        Share(rate=5.0, concurrency=0)
    """
    sending = min(len(names), concurrency)
    if not sending:
        return {}
    each, rest = divmod(concurrency, sending)
    part = None if rate is None else rate / sending
    return {
        name: Share(part, each + (place < rest)) if place < sending else Share(part, 0)
        for place, name in enumerate(names)
    }


@dataclass(slots=True, kw_only=True)
class Division:
    """Divides the limit, on the driver.

    Attributes:
        rate: Most requests per second; None for no limit.
        concurrency: Most requests in flight.
    """

    rate: float | None
    concurrency: int
    now: float
    _bucket: TokenBucket = field(init=False)
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)  # count, since when
    _throttled: dict[str, int] = field(default_factory=dict)
    _paused_until: float = field(init=False)
    _counter: int = 0

    def __post_init__(self) -> None:
        self._bucket = TokenBucket(self.rate, now=self.now)
        self._paused_until = self.now

    def pace(self, renewals: Mapping[str, Renewal], *, now: float, stop: str = "") -> Pace:
        """Return what to write for attempts with these claims."""
        self._learn(renewals, now=now)
        seen = {}
        for name, renewal in renewals.items():
            if not renewal.ended:
                count, since = self._seen.get(name, (None, now))
                seen[name] = (renewal.counter, since if count == renewal.counter else now)
        self._seen = seen
        alive = [name for name, (_, since) in seen.items() if now - since < ALIVE_S]
        self._counter += 1
        return Pace(
            counter=self._counter,
            shares=divided(alive, rate=self._bucket.rate, concurrency=self.concurrency),
            pause_s=max(0.0, self._paused_until - now),
            stop=stop,
        )

    def _learn(self, renewals: Mapping[str, Renewal], *, now: float) -> None:
        """Slow down when an attempt was asked to, else speed up again."""
        throttled_now = [
            renewal
            for name, renewal in renewals.items()
            if renewal.throttled > self._throttled.get(name, 0)
        ]
        for name, renewal in renewals.items():
            self._throttled[name] = renewal.throttled
        if not throttled_now:
            self._bucket.speed_up(now)
            return
        self._bucket.slow_down(now)
        self._paused_until = max(
            self._paused_until, now + max(each.pause_s for each in throttled_now)
        )


@dataclass(slots=True, kw_only=True)
class ShareTracker:
    """The share of one attempt, from what the driver wrote last."""

    name: str
    first: Share
    _pace: Pace | None = None
    _pace_at: float = 0.0

    def share(self, pace: Pace | None, *, now: float) -> Share:
        """Return the share at this moment, given what the driver wrote, if anything."""
        if pace is not None and (self._pace is None or pace.counter != self._pace.counter):
            self._pace, self._pace_at = pace, now
        current = self._pace
        if current is None or now - self._pace_at >= PACE_VALID_S:
            return self.first
        if current.pause_s > now - self._pace_at:
            return Share(self.first.rate, 0)
        return current.shares.get(self.name, self.first)
