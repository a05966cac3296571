"""An event loop, a clock, a host and a disk for tests in virtual time, without real waits."""

import asyncio
import gzip
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec

from cio_frames.audit.file_system import LocalFileSystem
from cio_frames.frames.threads import POOLS
from cio_frames.sending.clock import Clock

_T = TypeVar("_T")
_POLL_S = 0.001
EPOCH = datetime(2026, 6, 1, tzinfo=UTC)


class _VirtualSelector(selectors.DefaultSelector):
    """Ends each wait for a timer at once and moves the virtual time instead.

    The work of threads takes no time: no timer fires while a thread is busy.
    """

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if not timeout:
            return super().select(timeout)
        is_busy = True
        while is_busy:
            is_busy = any(pool.is_busy for pool in list(POOLS))
            if ready := super().select(_POLL_S if is_busy else 0):
                return ready
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers fire without waiting."""

    def __init__(self) -> None:
        self._virtual_selector = _VirtualSelector()
        super().__init__(self._virtual_selector)

    def time(self) -> float:
        """Return the virtual time."""
        return self._virtual_selector.now


def run_virtually(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a coroutine in virtual time and return its result."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


def clock(*, offset: timedelta) -> Clock:
    """Return a clock that reads the loop's time; the wall clock differs by the offset."""
    now: Callable[[], float] = lambda: asyncio.get_running_loop().time()  # noqa: E731
    return Clock(
        monotonic=now,
        now=lambda: EPOCH + offset + timedelta(seconds=now()),
        sleep=asyncio.sleep,
        random=lambda: 0.5,
    )


OUTCOMES = (
    "ok", "500", "500 applied", "429", "429 wait", "408", "413", "reset", "reset applied",
    "timeout", "timeout applied", "cut", "login page", "twice", "401",
)  # fmt: skip
"""The possible outcomes of a request."""

_STATUS = {"500": 500, "500 applied": 500, "429": 429, "429 wait": 429, "408": 408, "401": 401}
_APPLIED = {"ok", "500 applied", "reset applied", "timeout applied", "cut", "twice"}
_BAD = 400


@dataclass
class FakeHost:
    """Customer.io as a list of outcomes; every later request succeeds.

    Attributes:
        poison: Numbers of the rows that it rejects.
        outcomes: The outcomes of the next requests.
        log: Every message received, with the columns of the checker's arrivals.
        requests: How many requests it received.
        on_request: Called for each request.
    """

    poison: frozenset[int] = frozenset()
    outcomes: list[str] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0
    on_request: Callable[[], None] = lambda: None

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        body = request.content
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        items = msgspec.json.decode(body, type=_Body).batch
        self.requests += 1
        self.on_request()
        outcome = self.outcomes.pop(0) if self.outcomes else "ok"
        await asyncio.sleep(0.01)
        numbers = [
            (item.traits or item.properties or _Numbered()).n for item in map(_decode, items)
        ]
        is_bad = bool(self.poison & set(numbers))
        if outcome == "413" and len(items) <= 1:
            outcome = "ok"
        if is_bad and outcome in _APPLIED:
            outcome = "400"
        for _ in range(2 if outcome == "twice" else 1):
            self._log(items, numbers, applied=outcome in _APPLIED)
        return await _respond(outcome)

    def _log(self, items: list[msgspec.Raw], numbers: list[int], *, applied: bool) -> None:
        for item, number in zip(items, numbers, strict=True):
            self.log.append(
                {
                    "key": number,
                    "number": len(self.log) + 1,
                    "message_id": _decode(item).messageId,
                    "payload_sha": sha256(bytes(item)).hexdigest(),
                    "applied": applied,
                }
            )


async def _respond(outcome: str) -> httpx2.Response:
    if outcome.startswith("reset"):
        raise httpx2.ReadError("reset")
    if outcome.startswith("timeout"):
        await asyncio.sleep(3_600)
    if outcome == "cut":
        return httpx2.Response(200, content=b'{"x')
    if outcome == "login page":
        return httpx2.Response(200, content=b"<html>")
    status = _STATUS.get(outcome, _BAD if outcome == "400" else 413 if outcome == "413" else 200)
    headers = {"retry-after": "20"} if outcome == "429 wait" else {}
    return httpx2.Response(status, headers=headers, json={})


class _Numbered(msgspec.Struct):
    n: int = -1


class _Item(msgspec.Struct):
    messageId: str  # noqa: N815 - the name on the wire
    traits: _Numbered | None = None
    properties: _Numbered | None = None


class _Body(msgspec.Struct):
    batch: list[msgspec.Raw]


def _decode(item: msgspec.Raw) -> _Item:
    return msgspec.json.decode(item, type=_Item)


class Crash(BaseException):
    """The process ends here."""


class FailingDisk(LocalFileSystem):
    """The real disk, until an operation at which the process ends or the disk fails permanently.

    Args:
        at: Number of that operation, from 1; 0 for none.
        failure: Raised there and at every later operation.
    """

    def __init__(self, at: int, failure: BaseException) -> None:
        super().__init__("process")
        self._remaining = at
        self._failure = failure
        self.has_failed = False

    def _step(self) -> None:
        self._remaining -= 1
        self.has_failed = self.has_failed or self._remaining == 0
        if self.has_failed:
            raise self._failure

    def create(self, path: Path) -> int:
        """Open a new file."""
        self._step()
        return super().create(path)

    def write(self, handle: int, data: bytes) -> None:
        """Append bytes; half of them when the process ends."""
        had_failed = self.has_failed
        try:
            self._step()
        except BaseException:
            if not had_failed:
                super().write(handle, data[: len(data) // 2])
            raise
        super().write(handle, data)

    def truncate(self, handle: int, size: int) -> None:
        """Truncate a file, unless the process has ended."""
        if self.has_failed and isinstance(self._failure, Crash):
            raise self._failure
        super().truncate(handle, size)

    def sync(self, handle: int) -> None:
        """Wait for the disk."""
        self._step()
        super().sync(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Move a file."""
        self._step()
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        if isinstance(self._failure, Crash):
            self._step()
        super().remove(path)
