"""The record on a thread of its own, so that the disk does not hold up the requests."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cio_frames.audit.recorder import Recorder
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    BatchSplit,
    Fact,
    SegmentPlanned,
)

_UNSEALED = 2  # as many segments may be done before they are sealed although requests wait


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    fact: Fact
    kept: asyncio.Future[None] | None


class Ledger:
    """A listener that has facts recorded on a thread; attempts can be awaited.

    Whatever has gathered while the disk was busy is recorded together, with one sync. Requests
    that are ready to leave do not wait for the plan of another segment, nor for one that is done
    to be sealed. If the record cannot be kept, everything that waits for it, and every later call,
    raises the error.

    Args:
        recorder: Keeps the record; used by the thread only from here on.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._told: deque[_Told] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._keep, name="cio-ledger", daemon=True)

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

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)
        if self._error is not None and error is None:
            raise self._error

    def _keep(self) -> None:
        told: Sequence[_Told] | None = ()
        try:
            while (told := self._next()) is not None:
                for part in _by_urgency(told):
                    self._recorder.record([each.fact for each in part])
                    self._answer(part)
                if self._recorder.unsealed > (_UNSEALED if told else 0):
                    self._recorder.seal()
        except Exception as error:  # noqa: BLE001 - it is raised where the record is relied on
            with self._changed:
                self._error = error
                left = [*(told or ()), *self._told]
                self._told.clear()
            self._answer(left)

    def _next(self) -> Sequence[_Told] | None:
        """Take all facts there are, and wait for some if there is nothing else to do.

        Returns:
            None when the ledger is closed.
        """
        with self._changed:
            while not self._told and not self._recorder.unsealed:
                if self._closing:
                    return None
                self._changed.wait()
            told = list(self._told)
            self._told.clear()
            return told

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
