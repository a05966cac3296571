"""Let requests through in time: the limiters, joined with a clock that waits."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from cio_frames.sending.answers import Answer
from cio_frames.sending.client import Client
from cio_frames.sending.clock import Clock, skew
from cio_frames.sending.events import ClockSkewed, Listener, Paused
from cio_frames.sending.rate_limit import Breaker, Concurrency, TokenBucket
from cio_frames.sending.retry_policy import Decision, Delivered, Retry, Split, Unverified
from cio_frames.sending.run_controls import PaceControl

THROTTLED = 429


@dataclass(slots=True, kw_only=True)
class Course:
    """What was learned about one surface in this run.

    Attributes:
        bucket: Its request rate.
        concurrency: How much it takes at once.
        verified: Whether it has taken anything yet. Until then one request goes at a time, so
            that a wrong key or host costs one request.
        gzip: Whether it takes compressed bodies.
    """

    bucket: TokenBucket
    concurrency: Concurrency
    verified: bool = False
    gzip: Literal["unproven", "proven", "refused"] = "unproven"

    @property
    def width(self) -> int:
        """How many batches may be under way now."""
        return self.concurrency.limit if self.verified else 1


class Flow:
    """The pace of a run.

    Args:
        client: Says the rates.
        clock: Measures and waits.
        tell: Learns of pauses.
        control: What the user wants of the pace.
    """

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
        self._breaker = Breaker(now=now)
        self._probe = asyncio.Lock()
        self._under_way = 0
        self._compared = False
        self._held_up = 0  # requests that wait for the end of a pause
        self._pause_began = self._paused_s = 0.0
        self._courses = {
            api: Course(
                bucket=TokenBucket(client.request_rate(api), now=now),
                concurrency=Concurrency(most=client.concurrency),
            )
            for api in ("pipelines", "forms")
        }

    def course(self, api: str) -> Course:
        """Return what was learned about a surface."""
        return self._courses[api]

    @property
    def running_s(self) -> float:
        """The time, which stands still while the user's pause holds requests up."""
        now = self._clock.monotonic()
        return now - self._paused_s - (now - self._pause_began if self._held_up else 0.0)

    async def rest(self, seconds: float | None, *, change: asyncio.Event | None = None) -> bool:
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
    async def leave(self, api: str, *, after_s: float) -> AsyncIterator[bool]:
        """Wait for the leave of one request, which is sent inside the `async with`.

        Args:
            api: The surface.
            after_s: Seconds to wait first, after a failure.

        Yields:
            Whether it may be sent; if not, the run ends.
        """
        async with self._probe if self._breaker.is_open else nullcontext():
            if not await self._may_leave(api, after_s=after_s):
                yield False
                return
            self._under_way += 1
            self._courses[api].concurrency.left(self._under_way)
            try:
                yield True
            finally:
                self._under_way -= 1

    async def _may_leave(self, api: str, *, after_s: float) -> bool:
        going = await self.rest(after_s)
        while going:
            with self._changes() as change:
                self._follow()
                if self._control.paused:
                    going = await self._pause_over(change)
                elif wait_s := self._courses[api].bucket.take(self._clock.monotonic()):
                    going = await self.rest(wait_s, change=change)
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
                going = await self.rest(None, change=change)
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
        for api, course in self._courses.items():
            rates = (self._client.request_rate(api), wanted)
            course.bucket.limit(
                min((rate for rate in rates if rate is not None), default=None),
                now=self._clock.monotonic(),
            )

    def learn(self, api: str, *, answer: Answer, decision: Decision) -> None:
        """Adapt the pace to an answer and to what was decided on it."""
        now = self._clock.monotonic()
        course = self._courses[api]
        match decision:
            case Retry():
                self._failed(course, answer=answer, retry=decision, now=now)
            case Split(in_doubt=True):
                course.concurrency.pushed_back(now)
            case Delivered() | Unverified():
                course.verified = True
                self._compare(answer)
                course.bucket.speed_up(now)
                self._breaker.succeeded(now)
                if answer.compressed:
                    course.gzip = "proven"
        if answer.kind == "answer" and not isinstance(decision, Retry):
            course.concurrency.answered(answer.elapsed_s, now=now)

    def _compare(self, answer: Answer) -> None:
        """Tell, once, when this machine's clock is far from the host's."""
        if self._compared or answer.date is None:
            return
        if ahead_s := skew(answer.date, now=self._clock.now()):
            self._compared = True
            self._tell(ClockSkewed(ahead_s=ahead_s))

    def _failed(self, course: Course, *, answer: Answer, retry: Retry, now: float) -> None:
        if retry.slow_down:
            course.concurrency.pushed_back(now)
        if answer.status == THROTTLED:
            course.bucket.slow_down(now)
        if retry.pause_s:
            for each in self._courses.values():
                each.bucket.pause(retry.pause_s, now=now)
            self._tell(Paused(seconds=retry.pause_s, why="Customer.io asks to wait."))
        if self._breaker.failed(now):
            course.concurrency.restart()
            self._tell(Paused(seconds=retry.after_s, why="Too many failures: one try at a time."))
