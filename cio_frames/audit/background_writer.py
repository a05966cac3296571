"""The record on a thread of its own, so that the disk does not hold up the requests."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cio_frames.audit.recovery import Compacted
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

_UNSEALED = 2  # with more segments done and not sealed, requests wait: they take memory


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    fact: Fact
    kept: asyncio.Future[None] | None


class BackgroundWriter:
    """A listener that has facts recorded on a thread; attempts can be awaited.

    Whatever has gathered while the disk was busy is recorded together, with one sync. Requests
    that are ready to leave do not wait for the plan of another segment, nor for the part of one
    that is done, which is made on threads of their own. If the record cannot be kept, everything
    that waits for it, and every later call, raises the error.

    """

    def __init__(self, recorder: AuditWriter) -> None:
        self._recorder = recorder
        self._told: deque[_Told] = deque()
        self._sealing: deque[tuple[int, Future[Compacted]]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._error: Exception | None = None
        self._over: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="cio-ledger", daemon=True)

    def __call__(self, fact: Fact) -> Awaitable[None] | None:
        """Take a fact; for an attempt, return what is done when it is kept."""
        kept = None
        if isinstance(fact, BatchAttempted):
            kept = asyncio.get_running_loop().create_future()
        with self._changed:
            if self._error is not None:
                raise self._error
            self._told.append(_Told(fact=fact, kept=kept))
            self._changed.notify()
        return kept

    def start(self) -> Self:
        """Start the thread; `async with` does it where nobody did.

        A run does it on the thread of its caller: once the interpreter exits, none can be started.
        """
        self._thread.start()
        return self

    def end(self) -> None:
        """Have the thread end when all facts are recorded."""
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
        await asyncio.wrap_future(self._over)
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        self._over.set_running_or_notify_cancel()  # from here on it is not cancelled
        try:
            with ThreadPool(_UNSEALED) as pool:
                self._keep(pool)
        finally:
            self._over.set_result(None)

    def _keep(self, pool: ThreadPool) -> None:
        told: Sequence[_Told] = ()
        try:
            while (told := self._next()) or not self._closing:
                for part in _by_urgency(told):
                    if _ends(part):
                        self._seal(left=0)
                    self._recorder.record([each.fact for each in part])
                    self._answer(part)
                for segment in self._recorder.done():
                    made = pool.start(self._recorder.compacted, segment)
                    made.add_done_callback(self._notify)
                    self._sealing.append((segment, made))
                self._seal(left=_UNSEALED)
        except Exception as error:  # noqa: BLE001 - it is raised where the record is relied on
            with self._changed:
                self._error = error
                waiting = [*told, *self._told]
                self._told.clear()
            self._answer(waiting)

    def _next(self) -> Sequence[_Told]:
        """Take all facts there are; wait for some unless there is something else to do."""
        with self._changed:
            while not (self._told or self._closing or self._is_compacted):
                self._changed.wait()
            told = list(self._told)
            self._told.clear()
            return told

    @property
    def _is_compacted(self) -> bool:
        """Whether the segment that has been done for longest is ready to be sealed."""
        return bool(self._sealing) and self._sealing[0][1].done()

    def _seal(self, *, left: int) -> None:
        """Seal what is ready, and wait for more if there is too much that is not."""
        while self._is_compacted or len(self._sealing) > left:
            segment, made = self._sealing.popleft()
            self._recorder.seal(segment, made.result())

    def _notify(self, _: object) -> None:
        with self._changed:
            self._changed.notify()

    def _answer(self, told: Sequence[_Told]) -> None:
        for each in told:
            if each.kept is not None:
                each.kept.get_loop().call_soon_threadsafe(_settle, each.kept, self._error)


def _by_urgency(told: Sequence[_Told]) -> tuple[Sequence[_Told], ...]:
    """Return the facts with those before the others that do not wait for a plan among them."""
    facts = [each.fact for each in told]
    planned = {fact.segment.number for fact in facts if isinstance(fact, SegmentPlanned)}
    about = [_segment_of(fact) for fact in facts]
    if not planned or None in about:
        return (told,)
    both = list(zip(told, about, strict=True))
    urgent = [each for each, segment in both if segment not in planned]
    return urgent, [each for each, segment in both if segment in planned]


def _ends(told: Sequence[_Told]) -> bool:
    """Tell whether the end of the run is among the facts."""
    return any(isinstance(each.fact, RunFinished) for each in told)


def _segment_of(fact: Fact) -> int | None:
    match fact:
        case SegmentPlanned(segment=segment):
            return segment.number
        case BatchAttempted() | BatchRetried() | BatchSplit() | BatchFinished():
            return fact.batch.segment
        case _:
            return None


def _settle(kept: asyncio.Future[None], error: Exception | None) -> None:
    if kept.done():
        return
    if error is None:
        kept.set_result(None)
    else:
        kept.set_exception(error)
