"""Send segments: pull them, start their batches in an order that can be kept, and end cleanly."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType

import polars as pl

from cio_frames.errors import engine_errors
from cio_frames.frames import ThreadPool
from cio_frames.payloads.batches import Batch, Segment
from cio_frames.sending.batch_progress import BatchProgress
from cio_frames.sending.blocking import BlockedPeople, BlockingRow
from cio_frames.sending.client import Client
from cio_frames.sending.clock import Clock
from cio_frames.sending.delivery import AbortRules, Delivery
from cio_frames.sending.events import Fact, Listener, RunStopped, SegmentPlanned
from cio_frames.sending.http import Transport
from cio_frames.sending.rate_limit import Throttle
from cio_frames.sending.retry_policy import RetryLimits, Stop
from cio_frames.sending.run_controls import ASKED, PaceControl, StopSignal
from cio_frames.spec import CALLS


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


class SegmentPrefetch:
    """Plans segments one by one, in a thread, when it is asked to."""

    def __init__(self, segments: Iterator[Segment], *, wake: asyncio.Event) -> None:
        self._segments = segments
        self._wake = wake
        self._planners = ThreadPool(1)
        self._planned: asyncio.Future[Segment | None] | None = None
        self._exhausted = False

    @property
    def is_requested(self) -> bool:
        """Whether a segment is being planned, or waits to be taken."""
        return self._planned is not None

    def request(self) -> None:
        """Have the next segment planned, if there may be one."""
        if self._planned is None and not self._exhausted:
            planning = self._planners.start(next, self._segments, None)
            self._planned = asyncio.wrap_future(planning)
            self._planned.add_done_callback(lambda _: self._wake.set())

    def pop(self) -> Segment | None:
        """Return the segment that was asked for, None if there is none, or none yet.

        Raises:
            Exception: What planning it raises.
        """
        if self._planned is None or not self._planned.done():
            return None
        planned, self._planned = self._planned, None
        segment = planned.result()
        self._exhausted = segment is None
        return segment

    async def close(self) -> None:
        """Wait for the segment that is being planned, and leave it."""
        try:
            if self._planned is not None:
                await asyncio.wait({self._planned})
                self._planned.exception()
        finally:
            self._planners.close()


AHEAD = 1
"""How many segments are planned before their turn. More would only fill the memory."""

OPEN_BATCHES = 256
"""How many batches are looked at for one that may start."""

INTERRUPTED = "INTERRUPTED"
FAILURE = Stop(
    code="FAILED", reason="The run failed with an internal error. Resume it to send the rest."
)


async def send(
    segments: Iterator[Segment],
    *,
    client: Client,
    tell: Listener,
    stop: StopSignal,
    control: PaceControl | None = None,
    clock: Clock | None = None,
    retry_limits: RetryLimits | None = None,
    held: Mapping[int, BlockingRow] = MappingProxyType({}),
) -> None:
    """Send segments, and tell the facts until every planned row has its end.

    It tells everything from `SegmentPlanned` to `RunStopped`; the start and the finish of the run
    are its caller's to tell. When it returns, no request, task or thread of its own is left.

    Raises:
        MissingKeyError: The client has no key for a call.
    """
    clock = clock or Clock()
    wake = asyncio.Event()
    prefetch = SegmentPrefetch(segments, wake=wake)
    if not stop.draining:
        prefetch.request()  # the session takes a moment to open
    try:
        async with client.session(monotonic=clock.monotonic) as transport:
            engine = _Engine(
                transport,
                prefetch=prefetch,
                wake=wake,
                client=client,
                tell=tell,
                stop=stop,
                control=control,
                clock=clock,
                retry_limits=retry_limits or RetryLimits(),
                blocked=BlockedPeople(held),
            )
            await engine.run()
    finally:
        await prefetch.close()


class _Engine:
    """The state of one sending."""

    def __init__(
        self,
        transport: Transport,
        *,
        prefetch: SegmentPrefetch,
        wake: asyncio.Event,
        client: Client,
        tell: Listener,
        stop: StopSignal,
        control: PaceControl | None,
        clock: Clock,
        retry_limits: RetryLimits,
        blocked: BlockedPeople,
    ) -> None:
        self._prefetch = prefetch
        self._wake = wake
        self._client = client
        self._listener = tell
        self._stop = stop
        self._clock = clock
        self._throttle = Throttle(client, clock=clock, tell=self._tell, control=control)
        self._abort_rules = AbortRules()
        self._delivery = Delivery(
            transport=transport,
            throttle=self._throttle,
            abort_rules=self._abort_rules,
            blocked=blocked,
            tell=self._tell,
            halt=self._halt,
            strict=client.strict,
            clock=clock,
            retry_limits=retry_limits,
        )
        self._ahead: deque[Segment] = deque()
        self._backlog: deque[Batch] = deque()
        self._lanes = Lanes()
        self._segments: dict[int, tuple[Segment, set[int]]] = {}  # with their unfinished batches
        self._running: set[asyncio.Task[None]] = set()
        self._stopped: Stop | None = None
        self._failure: Exception | None = None
        self._over = False

    async def run(self) -> None:
        """Send everything, or what can be sent."""
        loop = asyncio.get_running_loop()

        def asked() -> None:
            loop.call_soon_threadsafe(self._asked)

        self._stop.watch(asked)
        try:
            self._asked()
            while self._advance():
                await self._wake.wait()
                self._wake.clear()
        except asyncio.CancelledError:
            self._halt(Stop(code=INTERRUPTED, reason=ASKED))
            self._abandon()
            raise
        finally:
            await self._finish()
            self._stop.unwatch(asked)
        if self._failure is not None:
            raise self._failure

    def _advance(self) -> bool:
        """Start whatever may start. Returns whether there is something to wait for."""
        if not self._throttle.ending.is_set():
            try:
                if segment := self._prefetch.pop():
                    self._ahead.append(segment)
                self._admit()
                if len(self._ahead) < AHEAD:  # after making room: one may have nothing to send
                    self._prefetch.request()
                self._start()
            except Exception as error:  # noqa: BLE001  # a plan or a listener may raise anything
                self._fail(error)
        if self._throttle.ending.is_set():
            return bool(self._running)
        return bool(
            self._running
            or self._prefetch.is_requested
            or self._ahead
            or self._backlog
            or self._lanes
        )

    def _admit(self) -> None:
        """Open more batches, when most of the open ones are under way."""
        while self._ahead and not self._backlog and self._lanes.waiting < self._client.concurrency:
            segment = self._ahead.popleft()
            self._client.require(segment.call)
            self._tell(SegmentPlanned(segment=segment))
            if segment.batches:
                numbers = {batch.number for batch in segment.batches}
                self._segments[segment.number] = segment, numbers
            self._backlog.extend(segment.batches)
        while self._backlog and len(self._lanes) < OPEN_BATCHES:
            batch = self._backlog.popleft()
            self._abort_rules.plan(batch)
            self._lanes.add(batch)

    def _start(self) -> None:
        while head := self._lanes.head:
            limit = self._throttle.limit(CALLS[head.call].api.name)
            batch = self._lanes.ready() if len(self._running) < limit else None
            if batch is None:
                return
            self._launch(batch)

    def _launch(self, batch: Batch) -> None:
        segment, _ = self._segments[batch.segment]
        delivering = asyncio.create_task(
            self._delivery.deliver(batch, places=partial(_places, batch, segment), why=self._why)
        )
        self._running.add(delivering)
        delivering.add_done_callback(partial(self._delivered, batch))

    def _delivered(self, batch: Batch, task: asyncio.Task[None]) -> None:
        """Let go of a batch that has come to its end, and make room for others."""
        self._running.discard(task)
        self._lanes.done(batch)
        _, unfinished = self._segments[batch.segment]
        unfinished.discard(batch.number)
        if not unfinished:
            del self._segments[batch.segment]
        if task.cancelled():  # before it began
            self._leave(batch)
        elif isinstance(error := task.exception(), Exception):
            self._fail(error)
        self._wake.set()

    def _asked(self) -> None:
        """Do what the stop flag says."""
        if self._over or not self._stop.draining:
            return
        with suppress(Exception):  # a listener's error is kept by _tell
            self._halt(Stop(code=INTERRUPTED, reason=self._stop.reason))
        if self._stop.abandoned:
            self._abandon()

    def _abandon(self) -> None:
        for delivering in self._running:
            delivering.cancel()

    def _halt(self, stop: Stop) -> None:
        """Start nothing more. The first reason stands."""
        if self._stopped is not None:
            return
        self._stopped = stop
        self._throttle.ending.set()
        self._wake.set()
        self._tell(RunStopped(code=stop.code, reason=stop.reason, at=self._clock.now()))

    def _fail(self, error: Exception) -> None:
        """Keep the first error of this side, and start nothing more."""
        if self._failure is None:
            self._failure = error
        self._halt(FAILURE)

    def _why(self) -> Stop:
        return self._stopped or FAILURE

    def _leave(self, batch: Batch) -> None:
        with suppress(Exception):  # a listener's error is kept by _tell
            self._delivery.leave(BatchProgress(batch), why=self._why())

    async def _finish(self) -> None:
        """Wait for what is under way, then tell what is left behind."""
        if self._running:
            await asyncio.wait(self._running)
            await asyncio.sleep(0)  # the callbacks of the last ones
        for batch in (*self._lanes.unstarted(), *self._backlog):
            self._leave(batch)
        self._over = True

    @engine_errors("the outcome of messages was recorded")
    def _tell(self, fact: Fact) -> Awaitable[None] | None:
        """Tell a fact. The first error of a listener ends the run; later ones are left aside."""
        if self._failure is not None:
            with suppress(Exception):
                return self._listener(fact)
            return None
        try:
            return self._listener(fact)
        except Exception as error:
            self._fail(error)
            raise


@engine_errors("messages were sent")
def _places(batch: Batch, segment: Segment) -> pl.DataFrame:
    """Return lane and component of each message."""
    rows = pl.DataFrame({"row": batch.rows})
    places = segment.rows.select("row", "lane", "component")
    return rows.join(places, on="row", how="left", maintain_order="left")
