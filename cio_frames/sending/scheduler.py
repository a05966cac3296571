"""Send segments: plan them ahead, start batches so that the order is kept, and end cleanly."""

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
from cio_frames.sending.run_controls import STOPPED_BY_USER, PaceControl, StopSignal
from cio_frames.spec import CALLS


class Lanes:
    """Keeps the order of open batches.

    A batch may start if no earlier open batch shares a lane with it. A batch of another plan waits
    until all batches of the plan before it are finished.

    Examples:
        >>> lanes = Lanes()
        >>> lanes.ready() is None
        True
    """

    def __init__(self) -> None:
        self._open: OrderedDict[int, tuple[Batch, int]] = OrderedDict()
        self._started: set[int] = set()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def waiting(self) -> int:
        """How many open batches have not started."""
        return len(self._open) - len(self._started)

    @property
    def head(self) -> Batch | None:
        """The earliest open batch."""
        return next((batch for batch, _ in self._open.values()), None)

    def add(self, batch: Batch) -> None:
        """Add a batch after all others."""
        first, last = batch.lanes
        self._open[id(batch)] = batch, (1 << last + 1) - (1 << first)

    def ready(self) -> Batch | None:
        """Return the earliest batch that may start now, and mark it as started."""
        occupied, plan = 0, None
        for key, (batch, lanes) in self._open.items():
            if plan is None:
                plan = batch.plan
            if batch.plan != plan:
                return None
            if key not in self._started and not lanes & occupied:
                self._started.add(key)
                return batch
            occupied |= lanes
        return None

    def done(self, batch: Batch) -> None:
        """Remove a finished batch."""
        del self._open[id(batch)]
        self._started.discard(id(batch))

    def unstarted(self) -> Iterator[Batch]:
        """Yield the batches that have not started, in order."""
        return (batch for key, (batch, _) in self._open.items() if key not in self._started)


class SegmentPrefetch:
    """Plans one segment at a time, on a thread, when requested."""

    def __init__(self, segments: Iterator[Segment], *, wake: asyncio.Event) -> None:
        self._segments = segments
        self._wake = wake
        self._planners = ThreadPool(1)
        self._planned: asyncio.Future[Segment | None] | None = None
        self._exhausted = False

    @property
    def is_requested(self) -> bool:
        """Whether a segment is being planned, or waits for `pop`."""
        return self._planned is not None

    def request(self) -> None:
        """Start to plan the next segment, if there may be one."""
        if self._planned is None and not self._exhausted:
            planning = self._planners.start(next, self._segments, None)
            self._planned = asyncio.wrap_future(planning)
            self._planned.add_done_callback(lambda _: self._wake.set())

    def pop(self) -> Segment | None:
        """Return the requested segment; None if there is none, or none yet.

        Raises:
            Exception: Planning it failed.
        """
        if self._planned is None or not self._planned.done():
            return None
        planned, self._planned = self._planned, None
        segment = planned.result()
        self._exhausted = segment is None
        return segment

    async def close(self) -> None:
        """Wait for the segment that is being planned, and discard it."""
        try:
            if self._planned is not None:
                await asyncio.wait({self._planned})
                self._planned.exception()
        finally:
            self._planners.close()


PREFETCHED_SEGMENTS = 1
"""How many segments are planned ahead. More would only take memory."""

OPEN_BATCHES = 256
"""How many batches are considered for the next start."""

INTERRUPTED = "INTERRUPTED"
FAILURE = Stop(
    code="FAILED", reason="The run failed with an internal error. Resume it to send the rest."
)


async def send(
    segments: Iterator[Segment],
    *,
    client: Client,
    listener: Listener,
    stop: StopSignal,
    control: PaceControl | None = None,
    clock: Clock | None = None,
    retry_limits: RetryLimits | None = None,
    blocked: Mapping[int, BlockingRow] = MappingProxyType({}),
) -> None:
    """Send segments, and emit facts until every planned row has an outcome.

    It emits everything from `SegmentPlanned` to `RunStopped`; the caller emits the start and the end
    of the run. When it returns, none of its requests, tasks or threads is left.

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
            scheduler = _Scheduler(
                transport,
                prefetch=prefetch,
                wake=wake,
                client=client,
                listener=listener,
                stop=stop,
                control=control,
                clock=clock,
                retry_limits=retry_limits or RetryLimits(),
                blocked=BlockedPeople(blocked),
            )
            await scheduler.run()
    finally:
        await prefetch.close()


class _Scheduler:
    """The state of one call of `send`."""

    def __init__(
        self,
        transport: Transport,
        *,
        prefetch: SegmentPrefetch,
        wake: asyncio.Event,
        client: Client,
        listener: Listener,
        stop: StopSignal,
        control: PaceControl | None,
        clock: Clock,
        retry_limits: RetryLimits,
        blocked: BlockedPeople,
    ) -> None:
        self._prefetch = prefetch
        self._wake = wake
        self._client = client
        self._listener = listener
        self._stop = stop
        self._clock = clock
        self._throttle = Throttle(client, clock=clock, listener=self._notify, control=control)
        self._abort_rules = AbortRules()
        self._delivery = Delivery(
            transport=transport,
            throttle=self._throttle,
            abort_rules=self._abort_rules,
            blocked=blocked,
            listener=self._notify,
            halt=self._halt,
            strict=client.strict,
            clock=clock,
            retry_limits=retry_limits,
        )
        self._ahead: deque[Segment] = deque()
        self._backlog: deque[Batch] = deque()
        self._lanes = Lanes()
        # Each with the numbers of its unfinished batches.
        self._segments: dict[int, tuple[Segment, set[int]]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._stopped: Stop | None = None
        self._failure: Exception | None = None
        self._is_finished = False

    async def run(self) -> None:
        """Send everything, or what can be sent."""
        loop = asyncio.get_running_loop()

        def on_stop_signal() -> None:
            loop.call_soon_threadsafe(self._on_stop_signal)

        self._stop.watch(on_stop_signal)
        try:
            self._on_stop_signal()
            while self._advance():
                await self._wake.wait()
                self._wake.clear()
        except asyncio.CancelledError:
            self._halt(Stop(code=INTERRUPTED, reason=STOPPED_BY_USER))
            self._abandon()
            raise
        finally:
            await self._finish()
            self._stop.unwatch(on_stop_signal)
        if self._failure is not None:
            raise self._failure

    def _advance(self) -> bool:
        """Start whatever may start, and return whether there is something to wait for."""
        if not self._throttle.ending.is_set():
            try:
                if segment := self._prefetch.pop():
                    self._ahead.append(segment)
                self._admit()
                # After `_admit`, which makes room: a segment may have nothing to send.
                if len(self._ahead) < PREFETCHED_SEGMENTS:
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
        """Open more batches when most of the open ones have started."""
        while self._ahead and not self._backlog and self._lanes.waiting < self._client.concurrency:
            segment = self._ahead.popleft()
            self._client.require(segment.call)
            self._notify(SegmentPlanned(segment=segment))
            if segment.batches:
                numbers = {batch.number for batch in segment.batches}
                self._segments[segment.number] = segment, numbers
            self._backlog.extend(segment.batches)
        while self._backlog and len(self._lanes) < OPEN_BATCHES:
            batch = self._backlog.popleft()
            self._abort_rules.add(batch)
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
        task = asyncio.create_task(
            self._delivery.deliver(
                batch, lane_rows=partial(_lane_rows, batch, segment), stop_reason=self._stop_reason
            )
        )
        self._running.add(task)
        task.add_done_callback(partial(self._delivered, batch))

    def _delivered(self, batch: Batch, task: asyncio.Task[None]) -> None:
        """Remove a finished batch, and make room for others."""
        self._running.discard(task)
        self._lanes.done(batch)
        _, unfinished = self._segments[batch.segment]
        unfinished.discard(batch.number)
        if not unfinished:
            del self._segments[batch.segment]
        if task.cancelled():  # before it began
            self._finish_unsent(batch)
        elif isinstance(error := task.exception(), Exception):
            self._fail(error)
        self._wake.set()

    def _on_stop_signal(self) -> None:
        """Stop, or cancel the requests in flight, as the stop signal says."""
        if self._is_finished or not self._stop.draining:
            return
        with suppress(Exception):  # `_notify` keeps the error of a listener
            self._halt(Stop(code=INTERRUPTED, reason=self._stop.reason))
        if self._stop.abandoned:
            self._abandon()

    def _abandon(self) -> None:
        for task in self._running:
            task.cancel()

    def _halt(self, stop: Stop) -> None:
        """Start nothing more. The first reason counts."""
        if self._stopped is not None:
            return
        self._stopped = stop
        self._throttle.ending.set()
        self._wake.set()
        self._notify(RunStopped(code=stop.code, reason=stop.reason, at=self._clock.now()))

    def _fail(self, error: Exception) -> None:
        """Keep the first internal error, and start nothing more."""
        if self._failure is None:
            self._failure = error
        self._halt(FAILURE)

    def _stop_reason(self) -> Stop:
        return self._stopped or FAILURE

    def _finish_unsent(self, batch: Batch) -> None:
        with suppress(Exception):  # `_notify` keeps the error of a listener
            self._delivery.finish_unanswered(BatchProgress(batch), reason=self._stop_reason())

    async def _finish(self) -> None:
        """Wait for the requests in flight, then emit the outcome of unsent batches."""
        if self._running:
            await asyncio.wait(self._running)
            await asyncio.sleep(0)  # the callbacks of the last ones
        for batch in (*self._lanes.unstarted(), *self._backlog):
            self._finish_unsent(batch)
        self._is_finished = True

    @engine_errors("the outcome of messages was recorded")
    def _notify(self, fact: Fact) -> Awaitable[None] | None:
        """Emit a fact. The first error of a listener ends the run; later ones are ignored."""
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
def _lane_rows(batch: Batch, segment: Segment) -> pl.DataFrame:
    """Return lane and component of each message."""
    rows = pl.DataFrame({"row": batch.rows})
    lane_rows = segment.rows.select("row", "lane", "component")
    return rows.join(lane_rows, on="row", how="left", maintain_order="left")
