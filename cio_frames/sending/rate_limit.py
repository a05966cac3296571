"""How fast and how much at once: small machines that know numbers and a clock, and what waits."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from cio_frames.sending.client import Client
from cio_frames.sending.clock import Clock, skew
from cio_frames.sending.events import ClockSkewed, Listener, Paused
from cio_frames.sending.http import Response
from cio_frames.sending.retry_policy import Decision, Delivered, Retry, Split, Unverified
from cio_frames.sending.run_controls import PaceControl
from cio_frames.spec import SENDABLE_APIS

_ROUNDING = 1e-9
"""Shares of a number up to which two are equal: how sums of floats are rounded depends on the version
of Python, and nothing may be decided by it."""


class TokenBucket:
    """Lets a number of requests a second through, and fewer after the host pushed back.

    A few may leave at once after a rest, but no second, not even the first, has more than the rate.
    """

    def __init__(self, rate: float | None, *, now: float, burst: int = 10) -> None:
        self.rate = rate
        self._ceiling = rate
        self._burst = float(burst)
        self._tokens = self._burst
        self._counted_at = now
        self._paused_until = now
        self._changed_at = now
        self._left: deque[float] = deque()  # the moments of the last requests, a second's worth

    def take(self, now: float) -> float:
        """Take leave for one request.

        Returns:
            0 if it may leave now; else the seconds after which to ask again.
        """
        if now < self._paused_until:
            return self._paused_until - now
        if self.rate is None:
            return 0.0
        elapsed = max(0.0, now - self._counted_at)
        self._tokens = min(self._burst, self._tokens + elapsed * self.rate)
        self._counted_at = now
        if self._tokens < 1.0 - _ROUNDING:  # waiting for exactly the missing part must suffice
            return (1.0 - self._tokens) / self.rate
        if wait_s := self._window_s(now, rate=self.rate):
            return wait_s
        self._tokens = max(0.0, self._tokens - 1.0)
        self._left.append(now)
        return 0.0

    def _window_s(self, now: float, *, rate: float) -> float:
        """Return the seconds until the last second, or what one request takes, has room again."""
        most, window_s = max(1, int(rate + _ROUNDING)), max(1.0, 1.0 / rate)
        while len(self._left) > most:
            self._left.popleft()
        if len(self._left) < most:
            return 0.0
        wait_s = self._left[0] + window_s - now
        return wait_s if wait_s > _ROUNDING else 0.0

    def pause(self, seconds: float, *, now: float) -> None:
        """Let nothing through for some seconds, and no burst after them."""
        self._paused_until = max(self._paused_until, now + seconds)
        self._tokens = min(self._tokens, 1.0)
        self._counted_at = max(self._counted_at, self._paused_until)

    def limit(self, rate: float | None, *, now: float) -> None:
        """Set the full rate anew; what was learned from push backs begins again."""
        self.rate = self._ceiling = rate
        self._tokens = min(self._tokens, 1.0)
        self._counted_at = self._changed_at = now

    def slow_down(self, now: float) -> None:
        """Lower the rate after a push back, once a second at most."""
        if self.rate is None or now - self._changed_at < 1.0:
            return
        self.rate = max(self.rate * 0.7, min(1.0, self.rate))
        self._changed_at = now

    def speed_up(self, now: float) -> None:
        """Raise a lowered rate by a fiftieth of the full one, once a second at most."""
        if self.rate is None or self._ceiling is None or now - self._changed_at < 1.0:
            return
        self.rate = min(self._ceiling, self.rate + self._ceiling / 50)
        self._changed_at = now


class AdaptiveConcurrency:
    """Finds how many requests at once the host takes: one more while it is quick, fewer when not.

    The constants are those of Vector's adaptive concurrency, with a gentler cut for push backs.

    """

    _SMOOTHING = 0.4
    _DEVIATIONS = 2.5
    _CUT = 0.7

    def __init__(self, *, most: int = 16, start: int = 2) -> None:
        self.limit: int = min(start, most)
        self._most = most
        self._window_ends = -math.inf
        self._window: list[float] = []
        self._reached = False
        self._cut_in_window = False
        self._mean: float | None = None
        self._variance = 0.0

    def left(self, under_way: int) -> None:
        """Learn that a request left, and how many are under way with it."""
        self._reached = self._reached or under_way >= self.limit

    def answered(self, rtt_s: float, *, now: float) -> None:
        """Learn how long an answer took."""
        self._window.append(rtt_s)
        if now >= self._window_ends:
            self._close_window(now)

    def pushed_back(self, now: float) -> None:
        """Learn that the host had too much, or was too slow to answer. Counts once a window."""
        if not self._cut_in_window:
            self.limit = max(1, int(self.limit * self._CUT))
            self._cut_in_window = True
        if now >= self._window_ends:
            self._open_window(now)

    def restart(self) -> None:
        """Begin again with a single request at once."""
        self.limit = 1

    def _close_window(self, now: float) -> None:
        mean = sum(self._window) / len(self._window)
        if self._mean is None:
            self._mean = mean
        margin = self._DEVIATIONS * math.sqrt(self._variance)
        rounding = self._mean * _ROUNDING
        if not self._cut_in_window:
            if margin > rounding and mean > self._mean + margin:
                self.limit = max(1, int(self.limit * self._CUT))
            elif self._reached and mean <= self._mean + rounding:
                self.limit = min(self._most, self.limit + 1)
        gap = mean - self._mean
        self._mean += self._SMOOTHING * gap
        self._variance = (1 - self._SMOOTHING) * (self._variance + self._SMOOTHING * gap * gap)
        self._open_window(now)

    def _open_window(self, now: float) -> None:
        self._window_ends = now + (self._mean or 0.0)
        self._window.clear()
        self._reached = False
        self._cut_in_window = False


class RetryBudget:
    """Keeps retries to a share of the successes; when that is spent, one try at a time."""

    def __init__(
        self,
        *,
        now: float,
        share: float = 0.2,
        floor_per_s: float = 1.0,
        most: float = 10.0,
        closes_after: int = 3,
    ) -> None:
        self.is_open: bool = False
        self._share = share
        self._floor_per_s = floor_per_s
        self._most = most
        self._closes_after = closes_after
        self._saved = most
        self._counted_at = now
        self._successes = 0

    def succeeded(self, now: float) -> None:
        """Earn a share of a retry; enough successes in a row close the breaker."""
        self._earn(now)
        self._saved = min(self._most, self._saved + self._share)
        self._successes += 1
        if self.is_open and self._successes >= self._closes_after:
            self.is_open = False
            self._saved = max(self._saved, self._most / 2)

    def failed(self, now: float) -> bool:
        """Spend one retry.

        Returns:
            Whether this very failure opened the breaker.
        """
        self._earn(now)
        self._successes = 0
        if self.is_open:
            return False
        if self._saved >= 1.0 - _ROUNDING:
            self._saved = max(0.0, self._saved - 1.0)
            return False
        self.is_open = True
        return True

    def _earn(self, now: float) -> None:
        elapsed = max(0.0, now - self._counted_at)
        self._saved = min(self._most, self._saved + elapsed * self._floor_per_s)
        self._counted_at = now


THROTTLED = 429


@dataclass(slots=True, kw_only=True)
class ApiState:
    """What was learned about one surface in this run."""

    bucket: TokenBucket
    concurrency: AdaptiveConcurrency
    verified: bool = False
    gzip: Literal["unproven", "proven", "refused"] = "unproven"

    @property
    def limit(self) -> int:
        """How many batches may be under way now."""
        return self.concurrency.limit if self.verified else 1


class Throttle:
    """The pace of a run."""

    def __init__(
        self, client: Client, *, clock: Clock, tell: Listener, control: PaceControl | None = None
    ) -> None:
        now = clock.monotonic()
        self.ending: asyncio.Event = asyncio.Event()
        self._clock = clock
        self._tell = tell
        self._client = client
        self._control = control or PaceControl()
        self._wanted: float | None = None
        self._breaker = RetryBudget(now=now)
        self._probe = asyncio.Lock()
        self._under_way = 0
        self._compared = False
        self._held_up = 0  # requests that wait for the end of a pause
        self._pause_began = self._paused_s = 0.0
        self._api_states = {
            api: ApiState(
                bucket=TokenBucket(client.request_rate(api), now=now),
                concurrency=AdaptiveConcurrency(most=client.concurrency),
            )
            for api in (row.name for row in SENDABLE_APIS)
        }

    def api_state(self, api: str) -> ApiState:
        """Return what was learned about a surface."""
        return self._api_states[api]

    def limit(self, api: str) -> int:
        """Return how many requests to a surface may be under way now."""
        learned, wanted = self._api_states[api].limit, self._control.concurrency
        return learned if wanted is None else min(learned, max(1, wanted))

    @property
    def running_s(self) -> float:
        """The time, which stands still while the user's pause holds requests up."""
        now = self._clock.monotonic()
        return now - self._paused_s - (now - self._pause_began if self._held_up else 0.0)

    async def sleep(self, seconds: float | None, *, change: asyncio.Event | None = None) -> bool:
        """Wait (None: without an end), or return early when the run ends or `change` is set.

        Returns:
            Whether the run goes on.
        """
        if self.ending.is_set() or (seconds is not None and seconds <= 0):
            return not self.ending.is_set()
        waiting: list[asyncio.Task[Any]] = [asyncio.create_task(self.ending.wait())]
        if seconds is not None:
            waiting.append(asyncio.create_task(self._clock.sleep(seconds)))
        if change is not None:
            waiting.append(asyncio.create_task(change.wait()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return not self.ending.is_set()

    @asynccontextmanager
    async def acquire(self, api: str, *, after_s: float) -> AsyncIterator[bool]:
        """Wait for the leave of one request, which is sent inside the `async with`."""
        async with self._probe if self._breaker.is_open else nullcontext():
            if not await self._may_leave(api, after_s=after_s):
                yield False
                return
            self._under_way += 1
            self._api_states[api].concurrency.left(self._under_way)
            try:
                yield True
            finally:
                self._under_way -= 1

    async def _may_leave(self, api: str, *, after_s: float) -> bool:
        going = await self.sleep(after_s)
        while going:
            with self._changes() as change:
                self._follow()
                if self._control.paused:
                    going = await self._pause_over(change)
                elif wait_s := self._api_states[api].bucket.take(self._clock.monotonic()):
                    going = await self.sleep(wait_s, change=change)
                else:
                    return True
        return False

    @contextmanager
    def _changes(self) -> Iterator[asyncio.Event]:
        """Give an event that is set when the user asks for another pace."""
        change = asyncio.Event()
        loop = asyncio.get_running_loop()

        def asked() -> None:
            loop.call_soon_threadsafe(change.set)

        self._control.watch(asked)
        try:
            yield change
        finally:
            self._control.unwatch(asked)

    async def _pause_over(self, change: asyncio.Event) -> bool:
        """Wait for the end of the user's pause. Returns whether the run goes on."""
        if not self._held_up:
            self._pause_began = self._clock.monotonic()
        self._held_up += 1
        going = True
        try:
            while going and self._control.paused:
                change.clear()
                going = await self.sleep(None, change=change)
        finally:
            self._held_up -= 1
            if not self._held_up:
                self._paused_s += self._clock.monotonic() - self._pause_began
        return going

    def _follow(self) -> None:
        """Take over the rate that the user wants, when it has changed."""
        wanted = self._control.rate
        if wanted == self._wanted:
            return
        self._wanted = wanted
        for api, api_state in self._api_states.items():
            rates = (self._client.request_rate(api), wanted)
            api_state.bucket.limit(
                min((rate for rate in rates if rate is not None), default=None),
                now=self._clock.monotonic(),
            )

    def record(self, api: str, *, answer: Response, decision: Decision) -> None:
        """Adapt the pace to an answer and to what was decided on it."""
        now = self._clock.monotonic()
        api_state = self._api_states[api]
        match decision:
            case Retry():
                self._failed(api_state, answer=answer, retry=decision, now=now)
            case Split(in_doubt=True):
                api_state.concurrency.pushed_back(now)
            case Delivered() | Unverified():
                api_state.verified = True
                self._compare(answer)
                api_state.bucket.speed_up(now)
                self._breaker.succeeded(now)
                if answer.compressed:
                    api_state.gzip = "proven"
        if answer.kind == "answer" and not isinstance(decision, Retry):
            api_state.concurrency.answered(answer.elapsed_s, now=now)

    def _compare(self, answer: Response) -> None:
        """Tell, once, when this machine's clock is far from the host's."""
        if self._compared or answer.date is None:
            return
        if ahead_s := skew(answer.date, now=self._clock.now()):
            self._compared = True
            self._tell(ClockSkewed(ahead_s=ahead_s))

    def _failed(self, api_state: ApiState, *, answer: Response, retry: Retry, now: float) -> None:
        if retry.slow_down:
            api_state.concurrency.pushed_back(now)
        if answer.status == THROTTLED:
            api_state.bucket.slow_down(now)
        if retry.pause_s:
            for each in self._api_states.values():
                each.bucket.pause(retry.pause_s, now=now)
            self._tell(Paused(seconds=retry.pause_s, why="Customer.io asked to slow down."))
        if self._breaker.failed(now):
            api_state.concurrency.restart()
            self._tell(
                Paused(
                    seconds=retry.after_s, why="Too many failures: trying one request at a time."
                )
            )
