"""One limit for all tasks of a run: requests a second, and requests under way.

Each attempt tells in its claim that it is alive and how often it was asked to slow down. The driver
reads these about once a second and writes who may have which share. A task that has just started has
the share of one of as many tasks as can run at once, so that together they stay within the limit from
the start; so has one that has not heard of the driver for some seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from cio_frames.sending.rate_limit import TokenBucket
from cio_frames.spark.lease import Renewal

ALIVE_S = 3.0
"""An attempt whose count has stood still for longer has no share."""

HEARD_S = 5.0
"""For so long an attempt keeps to what the driver wrote last."""

PAUSED_S = 3_600.0
"""What a pause without an end is told as; it ends as soon as the driver says something else."""

PACE_FILE = "pace.json"

DIVIDED = (
    "The limit of the client was divided among the tasks that ran at the same time: each had an equal "
    "part of the requests per second and of the requests under way, and when Customer.io asked one task "
    "to slow down, all did within seconds."
)

SHARED = (
    "The limit of the client was shared by as many tasks as the option tasks says can run at once, whether "
    "or not so many did."
)


class Share(msgspec.Struct, frozen=True, array_like=True):
    """What one task may do. With no request under way allowed it waits."""

    rate: float | None
    concurrency: int


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver tells all attempts.

    Attributes:
        counter: Goes up with each time it is written.
        shares: The share of each attempt, by the name of its claim.
        pause_s: Seconds in which nothing may leave.
        stop: Why all are to stop; empty if they are not.
    """

    counter: int
    shares: dict[str, Share] = {}
    pause_s: float = 0.0
    stop: str = ""


def first_share(*, rate: float | None, concurrency: int, slots: int) -> Share:
    """Return the share of one of as many tasks as can run at once.

    Examples:
        >>> first_share(rate=200.0, concurrency=16, slots=8)
        Share(rate=25.0, concurrency=2)
    """
    many = max(1, slots)
    return Share(None if rate is None else rate / many, concurrency // many)


def divided(names: Sequence[str], *, rate: float | None, concurrency: int) -> dict[str, Share]:
    """Return equal shares for attempts; those for whom there is not even one request wait.

    Examples:
        >>> divided(["a", "b", "c"], rate=10.0, concurrency=2)["c"]
        Share(rate=5.0, concurrency=0)
    """
    sending = min(len(names), concurrency)
    if not sending:
        return {}
    each, more = divmod(concurrency, sending)
    part = None if rate is None else rate / sending
    return {
        name: Share(part, each + (place < more)) if place < sending else Share(part, 0)
        for place, name in enumerate(names)
    }


@dataclass(slots=True, kw_only=True)
class Division:
    """Divides the limit, on the driver.

    Attributes:
        rate: Most requests a second; None for no limit.
        concurrency: Most requests under way.
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
        """Return what to tell attempts that wrote this."""
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
        """Slow down when an attempt was asked to, and become faster again while none is."""
        asked = [
            renewal
            for name, renewal in renewals.items()
            if renewal.throttled > self._throttled.get(name, 0)
        ]
        for name, renewal in renewals.items():
            self._throttled[name] = renewal.throttled
        if not asked:
            self._bucket.speed_up(now)
            return
        self._bucket.slow_down(now)
        self._paused_until = max(self._paused_until, now + max(each.pause_s for each in asked))


@dataclass(slots=True, kw_only=True)
class Followed:
    """Knows what one attempt may do, from what the driver wrote last."""

    name: str
    first: Share
    _heard: Pace | None = None
    _heard_at: float = 0.0

    def share(self, pace: Pace | None, *, now: float) -> Share:
        """Return the share at this moment; None of the driver says nothing new."""
        if pace is not None and (self._heard is None or pace.counter != self._heard.counter):
            self._heard, self._heard_at = pace, now
        heard = self._heard
        if heard is None or now - self._heard_at >= HEARD_S:
            return self.first
        if heard.pause_s > now - self._heard_at:
            return Share(self.first.rate, 0)
        return heard.shares.get(self.name, self.first)
