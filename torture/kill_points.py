"""Points at which a process kills itself, with signal 9: disk operations and requests."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from cio_frames.audit.file_system import LocalFileSystem
from cio_frames.sending.http import Transport

Point = Literal["plan", "attempt", "flight", "outcome", "compaction", "any"]
POINTS: tuple[Point, ...] = ("plan", "attempt", "flight", "outcome", "compaction", "any")
FLIGHT_S = 0.01
_OPERATIONS = ("create", "write", "sync", "rename", "remove", "fsync_dir")
_MARKS = {
    "attempt": (b'"k":"BatchAttempted"',),
    "outcome": (b'"k":"BatchFinished"', b'"k":"BatchRetried"'),
}


class KillPoint:
    """Counts the operations of one kind, and kills the process at the last of them.

    Args:
        point: Which operations count: those on plans, the sync after an attempt was written,
            requests that have left, the writing of outcomes, those on parts, or any.
        count: At which of them the process is killed; if odd, before it or within the write.
    """

    def __init__(self, point: Point, count: int) -> None:
        self._point = point
        self._remaining = count
        self._before = bool(count % 2)
        self._paths: dict[int, Path] = {}
        self._written: set[int] = set()  # journals with an attempt that is not synced

    def install(self) -> None:
        """Wrap the disk operations of this process, or its requests."""
        if self._point == "flight":
            Transport._exchange = self._wrap_exchange(Transport._exchange)  # type: ignore[method-assign]  # noqa: SLF001
            return
        for name in _OPERATIONS:
            setattr(
                LocalFileSystem, name, self._wrap_operation(name, getattr(LocalFileSystem, name))
            )

    def _wrap_exchange(self, exchange: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapped(transport: Transport, *arguments: Any, **options: Any) -> None:
            self._remaining -= 1
            posting = asyncio.ensure_future(exchange(transport, *arguments, **options))
            if self._remaining == 0:
                await asyncio.sleep(FLIGHT_S)
                os.kill(os.getpid(), signal.SIGKILL)
            await posting

        return wrapped

    def _wrap_operation(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(disk: LocalFileSystem, *arguments: Any) -> Any:
            is_counted = self._matches(name, arguments)
            self._remaining -= is_counted
            is_last = is_counted and self._remaining == 0
            if is_last and self._before and self._point != "attempt":
                if name == "write":
                    handle, data = arguments
                    operation(disk, handle, bytes(data)[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            result = operation(disk, *arguments)
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "create":
                self._paths[result] = arguments[0]
            return result

        return wrapped

    def _matches(self, name: str, arguments: tuple[Any, ...]) -> bool:
        subject = arguments[0]
        path = self._paths.get(subject) if isinstance(subject, int) else subject
        folder = path.parent.name if path is not None and name != "fsync_dir" else ""
        data = bytes(arguments[1]) if name == "write" else b""
        match self._point:
            case "any":
                return True
            case "plan":
                return folder == "plan"
            case "compaction":
                return folder == "parts" or b'"k":"Part"' in data
            case "flight":
                return False
            case "outcome":
                return any(mark in data for mark in _MARKS["outcome"])
            case "attempt":
                return self._syncs_attempt(name, subject, data)

    def _syncs_attempt(self, name: str, subject: Any, data: bytes) -> bool:
        if any(mark in data for mark in _MARKS["attempt"]):
            self._written.add(subject)
        if name == "sync" and subject in self._written:
            self._written.discard(subject)
            return True
        return False
