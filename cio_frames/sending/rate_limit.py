"""Limits of rate, concurrency and retries, and the throttle that applies them."""

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
"""Relative difference up to which two numbers are equal: the rounding of sums depends on the version
of Python, and no decision may depend on it."""


class TokenBucket:
    """Limits requests per second, and lowers the limit after the host rejects some as too many.

    A few may start together after a pause, but no second, not even the first, exceeds the rate.
    """

    def __init__(self, rate: float | None, *, now: float, burst: int = 10) -> None:
        self.rate = rate
        self._ceiling = rate
        self._burst = float(burst)
        self._tokens = self._burst
        self._counted_at = now
        self._paused_until = now
        self._changed_at = now
        self._request_times: deque[float] = deque()  # of the last second

    def take(self, now: float) -> float:
        """Take a token for one request.

        Returns:
            0 if it may start now; else the seconds after which to try again.
        """
        if now < self._paused_until:
            return self._paused_until - now
        if self.rate is None:
            return 0.0
        elapsed = max(0.0, now - self._counted_at)
        self._tokens = min(self._burst, self._tokens + elapsed * self.rate)
        self._counted_at = now
        if self._tokens < 1.0 - _ROUNDING:  # after exactly this wait there must be a token
            return (1.0 - self._tokens) / self.rate
        if wait_s := self._window_s(now, rate=self.rate):
            return wait_s
        self._tokens = max(0.0, self._tokens - 1.0)
        self._request_times.append(now)
        return 0.0

    def _window_s(self, now: float, *, rate: float) -> float:
        """Return the seconds until the current window has room for a request."""
        maximum, window_s = max(1, int(rate + _ROUNDING)), max(1.0, 1.0 / rate)
        while len(self._request_times) > maximum:
            self._request_times.popleft()
        if len(self._request_times) < maximum:
            return 0.0
        wait_s = self._request_times[0] + window_s - now
        return wait_s if wait_s > _ROUNDING else 0.0

    def pause(self, seconds: float, *, now: float) -> None:
        """Let no request through for some seconds, and no burst after them."""
        self._paused_until = max(self._paused_until, now + seconds)
        self._tokens = min(self._tokens, 1.0)
        self._counted_at = max(self._counted_at, self._paused_until)

    def limit(self, rate: float | None, *, now: float) -> None:
        """Set a new full rate, and reset the lowered one."""
        self.rate = self._ceiling = rate
        self._tokens = min(self._tokens, 1.0)
        self._counted_at = self._changed_at = now

    def slow_down(self, now: float) -> None:
        """Lower the rate after a rejection, at most once a second."""
        if self.rate is None or now - self._changed_at < 1.0:
            return
        self.rate = max(self.rate * 0.7, min(1.0, self.rate))
        self._changed_at = now

    def speed_up(self, now: float) -> None:
        """Raise a lowered rate by a fiftieth of the full one, at most once a second."""
        if self.rate is None or self._ceiling is None or now - self._changed_at < 1.0:
            return
        self.rate = min(self._ceiling, self.rate + self._ceiling / 50)
        self._changed_at = now


class AdaptiveConcurrency:
    """Adapts the limit of requests in flight: one more while the host is quick, else fewer.

    The constants are those of Vector's adaptive concurrency, with a smaller cut after overload.
    """

    _SMOOTHING = 0.4
    _DEVIATIONS = 2.5
    _CUT = 0.7

    def __init__(self, *, maximum: int = 16, start: int = 2) -> None:
        self.limit: int = min(start, maximum)
        self._maximum = maximum
        self._window_ends = -math.inf
        self._window: list[float] = []
        self._is_limit_reached = False
        self._cut_in_window = False
        self._mean: float | None = None
        self._variance = 0.0

    def started(self, in_flight: int) -> None:
        """Record a new request, and how many are in flight with it."""
        self._is_limit_reached = self._is_limit_reached or in_flight >= self.limit

    def add_response_time(self, rtt_s: float, *, now: float) -> None:
        """Record the time that a response took."""
        self._window.append(rtt_s)
        if now >= self._window_ends:
            self._close_window(now)

    def pushed_back(self, now: float) -> None:
        """Record that the host is overloaded or too slow; it counts once per window."""
        if not self._cut_in_window:
            self.limit = max(1, int(self.limit * self._CUT))
            self._cut_in_window = True
        if now >= self._window_ends:
            self._open_window(now)

    def restart(self) -> None:
        """Go back to one request at a time."""
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
            elif self._is_limit_reached and mean <= self._mean + rounding:
                self.limit = min(self._maximum, self.limit + 1)
        gap = mean - self._mean
        self._mean += self._SMOOTHING * gap
        self._variance = (1 - self._SMOOTHING) * (self._variance + self._SMOOTHING * gap * gap)
        self._open_window(now)

    def _open_window(self, now: float) -> None:
        self._window_ends = now + (self._mean or 0.0)
        self._window.clear()
        self._is_limit_reached = False
        self._cut_in_window = False


class RetryBudget:
    """Limits retries to a share of the successes; when exhausted, one request is sent at a time."""

    _RETRIES_PER_S = 1.0
    _MAXIMUM = 10.0
    _SUCCESSES_TO_RECOVER = 3

    def __init__(self, *, now: float, retries_per_success: float = 0.2) -> None:
        self.is_exhausted: bool = False
        self._retries_per_success = retries_per_success
        self._retries = self._MAXIMUM
        self._counted_at = now
        self._successes = 0

    def succeeded(self, now: float) -> None:
        """Earn a share of a retry; enough successes in a row end the exhaustion."""
        self._add_retries(now)
        self._retries = min(self._MAXIMUM, self._retries + self._retries_per_success)
        self._successes += 1
        if self.is_exhausted and self._successes >= self._SUCCESSES_TO_RECOVER:
            self.is_exhausted = False
            self._retries = max(self._retries, self._MAXIMUM / 2)

    def failed(self, now: float) -> bool:
        """Spend one retry.

        Returns:
            Whether this failure exhausted the budget.
        """
        self._add_retries(now)
        self._successes = 0
        if self.is_exhausted:
            return False
        if self._retries >= 1.0 - _ROUNDING:
            self._retries = max(0.0, self._retries - 1.0)
            return False
        self.is_exhausted = True
        return True

    def _add_retries(self, now: float) -> None:
        elapsed = max(0.0, now - self._counted_at)
        self._retries = min(self._MAXIMUM, self._retries + elapsed * self._RETRIES_PER_S)
        self._counted_at = now


THROTTLED = 429


@dataclass(slots=True, kw_only=True)
class ApiState:
    """What a run has learned about one API."""

    bucket: TokenBucket
    concurrency: AdaptiveConcurrency
    verified: bool = False
    gzip: Literal["unproven", "proven", "refused"] = "unproven"

    @property
    def limit(self) -> int:
        """How many batches may be in flight now."""
        return self.concurrency.limit if self.verified else 1


class Throttle:
    """Decides when each request of a run may start."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        listener: Listener,
        control: PaceControl | None = None,
    ) -> None:
        now = clock.monotonic()
        self.ending: asyncio.Event = asyncio.Event()
        self._clock = clock
        self._listener = listener
        self._client = client
        self._control = control or PaceControl()
        self._requested_rate: float | None = None
        self._retry_budget = RetryBudget(now=now)
        self._single_request = asyncio.Lock()
        self._in_flight = 0
        self._is_clock_checked = False
        self._paused_requests = 0  # that wait until the user resumes
        self._pause_began = self._paused_s = 0.0
        self._api_states = {
            api: ApiState(
                bucket=TokenBucket(client.request_rate(api), now=now),
                concurrency=AdaptiveConcurrency(maximum=client.concurrency),
            )
            for api in (row.name for row in SENDABLE_APIS)
        }

    def api_state(self, api: str) -> ApiState:
        """Return what the run has learned about an API."""
        return self._api_states[api]

    def limit(self, api: str) -> int:
        """Return how many requests to an API may be in flight now."""
        limit, requested = self._api_states[api].limit, self._control.concurrency
        return limit if requested is None else min(limit, max(1, requested))

    @property
    def running_s(self) -> float:
        """The time, which stops while requests wait because the user paused the run."""
        now = self._clock.monotonic()
        return now - self._paused_s - (now - self._pause_began if self._paused_requests else 0.0)

    async def sleep(self, seconds: float | None, *, change: asyncio.Event | None = None) -> bool:
        """Wait (None: without limit), or return early when the run stops or `change` is set.

        Returns:
            Whether the run continues.
        """
        if self.ending.is_set() or (seconds is not None and seconds <= 0):
            return not self.ending.is_set()
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(self.ending.wait())]
        if seconds is not None:
            tasks.append(asyncio.create_task(self._clock.sleep(seconds)))
        if change is not None:
            tasks.append(asyncio.create_task(change.wait()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return not self.ending.is_set()

    @asynccontextmanager
    async def acquire(self, api: str, *, after_s: float) -> AsyncIterator[bool]:
        """Wait until a request may start; it is sent inside the `async with`.

        Yields:
            Whether it may be sent: False if the run stops first.
        """
        async with self._single_request if self._retry_budget.is_exhausted else nullcontext():
            if not await self._wait_for_slot(api, after_s=after_s):
                yield False
                return
            self._in_flight += 1
            self._api_states[api].concurrency.started(self._in_flight)
            try:
                yield True
            finally:
                self._in_flight -= 1

    async def _wait_for_slot(self, api: str, *, after_s: float) -> bool:
        continues = await self.sleep(after_s)
        while continues:
            with self._pace_changes() as change:
                self._apply_requested_rate()
                if self._control.paused:
                    continues = await self._wait_while_paused(change)
                elif wait_s := self._api_states[api].bucket.take(self._clock.monotonic()):
                    continues = await self.sleep(wait_s, change=change)
                else:
                    return True
        return False

    @contextmanager
    def _pace_changes(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set when the user changes the pace."""
        change = asyncio.Event()
        loop = asyncio.get_running_loop()

        def notify() -> None:
            loop.call_soon_threadsafe(change.set)

        self._control.watch(notify)
        try:
            yield change
        finally:
            self._control.unwatch(notify)

    async def _wait_while_paused(self, change: asyncio.Event) -> bool:
        """Wait until the user resumes, and return whether the run continues."""
        if not self._paused_requests:
            self._pause_began = self._clock.monotonic()
        self._paused_requests += 1
        continues = True
        try:
            while continues and self._control.paused:
                change.clear()
                continues = await self.sleep(None, change=change)
        finally:
            self._paused_requests -= 1
            if not self._paused_requests:
                self._paused_s += self._clock.monotonic() - self._pause_began
        return continues

    def _apply_requested_rate(self) -> None:
        """Apply the rate that the user requested, if it has changed."""
        requested = self._control.rate
        if requested == self._requested_rate:
            return
        self._requested_rate = requested
        for api, api_state in self._api_states.items():
            rates = (self._client.request_rate(api), requested)
            api_state.bucket.limit(
                min((rate for rate in rates if rate is not None), default=None),
                now=self._clock.monotonic(),
            )

    def record(self, api: str, *, response: Response, decision: Decision) -> None:
        """Adapt rate and concurrency to a response and the decision on it."""
        now = self._clock.monotonic()
        api_state = self._api_states[api]
        match decision:
            case Retry():
                self._record_failure(api_state, response=response, retry=decision, now=now)
            case Split(in_doubt=True):
                api_state.concurrency.pushed_back(now)
            case Delivered() | Unverified():
                api_state.verified = True
                self._check_clock(response)
                api_state.bucket.speed_up(now)
                self._retry_budget.succeeded(now)
                if response.compressed:
                    api_state.gzip = "proven"
        if response.kind == "answer" and not isinstance(decision, Retry):
            api_state.concurrency.add_response_time(response.elapsed_s, now=now)

    def _check_clock(self, response: Response) -> None:
        """Emit a fact, once, if this machine's clock differs much from the host's."""
        if self._is_clock_checked or response.date is None:
            return
        if ahead_s := skew(response.date, now=self._clock.now()):
            self._is_clock_checked = True
            self._listener(ClockSkewed(ahead_s=ahead_s))

    def _record_failure(
        self, api_state: ApiState, *, response: Response, retry: Retry, now: float
    ) -> None:
        if retry.slow_down:
            api_state.concurrency.pushed_back(now)
        if response.status == THROTTLED:
            api_state.bucket.slow_down(now)
        if retry.pause_s:
            for state in self._api_states.values():
                state.bucket.pause(retry.pause_s, now=now)
            self._listener(Paused(seconds=retry.pause_s, why="Customer.io asked to slow down."))
        if self._retry_budget.failed(now):
            api_state.concurrency.restart()
            self._listener(
                Paused(
                    seconds=retry.after_s, why="Too many failures: trying one request at a time."
                )
            )
