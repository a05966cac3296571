"""Write the record on another thread, so that requests do not wait for the disk."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cio_frames.audit.recovery import BuiltPart
from cio_frames.audit.writer import AuditWriter
from cio_frames.frames import ThreadPool
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    BatchSplit,
    Fact,
    RunFinished,
    SegmentPlanned,
)

_MAX_UNWRITTEN = 2  # with more finished segments without a part, requests wait: they take memory


@dataclass(frozen=True, slots=True, kw_only=True)
class _QueuedFact:
    fact: Fact
    recorded: asyncio.Future[None] | None


class BackgroundWriter:
    """A listener that records facts on a thread; attempts can be awaited.

    Facts that arrive while the disk is busy are recorded together, with one sync. Requests that are
    ready do not wait for the plan of another segment, nor for the part of a finished one, which is
    built on other threads. If the record cannot be written, everything that waits for it, and every
    later call, raises the error.
    """

    def __init__(self, writer: AuditWriter) -> None:
        self._writer = writer
        self._queue: deque[_QueuedFact] = deque()
        self._building: deque[tuple[int, Future[BuiltPart]]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._error: Exception | None = None
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="cio-record", daemon=True)

    def __call__(self, fact: Fact) -> Awaitable[None] | None:
        """Queue a fact; for an attempt, return a future that is done when it is recorded."""
        recorded = None
        if isinstance(fact, BatchAttempted):
            recorded = asyncio.get_running_loop().create_future()
        with self._changed:
            if self._error is not None:
                raise self._error
            self._queue.append(_QueuedFact(fact=fact, recorded=recorded))
            self._changed.notify()
        return recorded

    def start(self) -> Self:
        """Start the thread now; else `async with` starts it.

        A run starts it on the thread of its caller: when the interpreter exits, none can be started.
        """
        self._thread.start()
        return self

    def end(self) -> None:
        """End the thread once all facts are recorded."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    async def __aenter__(self) -> Self:
        return self if self._thread.is_alive() else self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        await asyncio.wrap_future(self._ended)
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        self._ended.set_running_or_notify_cancel()  # it cannot be cancelled any more
        try:
            with ThreadPool(_MAX_UNWRITTEN) as pool:
                self._record_all(pool)
        finally:
            self._ended.set_result(None)

    def _record_all(self, pool: ThreadPool) -> None:
        facts: Sequence[_QueuedFact] = ()
        try:
            while (facts := self._next()) or not self._closing:
                for group in _in_order_of_urgency(facts):
                    if _has_run_end(group):
                        self._write_parts(max_unwritten=0)
                    self._writer.record([queued.fact for queued in group])
                    self._resolve(group)
                for segment in self._writer.finished_segments():
                    future = pool.start(self._writer.build_part, segment)
                    future.add_done_callback(self._notify)
                    self._building.append((segment, future))
                self._write_parts(max_unwritten=_MAX_UNWRITTEN)
        except Exception as error:  # noqa: BLE001 - it is raised where the record is awaited
            with self._changed:
                self._error = error
                waiting = [*facts, *self._queue]
                self._queue.clear()
            self._resolve(waiting)

    def _next(self) -> Sequence[_QueuedFact]:
        """Return all queued facts; wait for one unless there is something else to do."""
        with self._changed:
            while not (self._queue or self._closing or self._is_part_built):
                self._changed.wait()
            facts = list(self._queue)
            self._queue.clear()
            return facts

    @property
    def _is_part_built(self) -> bool:
        """Whether the part of the segment that finished first is built."""
        return bool(self._building) and self._building[0][1].done()

    def _write_parts(self, *, max_unwritten: int) -> None:
        """Write the parts that are built, and wait for more while too many are unwritten."""
        while self._is_part_built or len(self._building) > max_unwritten:
            segment, future = self._building.popleft()
            self._writer.write_part(segment, future.result())

    def _notify(self, _: object) -> None:
        with self._changed:
            self._changed.notify()

    def _resolve(self, facts: Sequence[_QueuedFact]) -> None:
        for queued in facts:
            if queued.recorded is not None:
                queued.recorded.get_loop().call_soon_threadsafe(
                    _set_done, queued.recorded, self._error
                )


def _in_order_of_urgency(facts: Sequence[_QueuedFact]) -> tuple[Sequence[_QueuedFact], ...]:
    """Return the facts in two groups: first those that wait for none of the plans among them."""
    planned = {
        queued.fact.segment.number for queued in facts if isinstance(queued.fact, SegmentPlanned)
    }
    segments = [_segment_of(queued.fact) for queued in facts]
    if not planned or None in segments:
        return (facts,)
    pairs = list(zip(facts, segments, strict=True))
    urgent = [queued for queued, segment in pairs if segment not in planned]
    return urgent, [queued for queued, segment in pairs if segment in planned]


def _has_run_end(facts: Sequence[_QueuedFact]) -> bool:
    """Return whether the end of the run is among the facts."""
    return any(isinstance(queued.fact, RunFinished) for queued in facts)


def _segment_of(fact: Fact) -> int | None:
    match fact:
        case SegmentPlanned(segment=segment):
            return segment.number
        case BatchAttempted() | BatchRetried() | BatchSplit() | BatchFinished():
            return fact.batch.segment
        case _:
            return None


def _set_done(recorded: asyncio.Future[None], error: Exception | None) -> None:
    if recorded.done():
        return
    if error is None:
        recorded.set_result(None)
    else:
        recorded.set_exception(error)
