"""A run's directory while it is being written: locked, and failing closed.

A full disk before a request means that the request does not leave. A full disk afterwards must
not cost an outcome, so a ballast file is given up for it. A failed sync says that nothing is
known of the disk any more: everything after it is refused, and the directory waits for recovery.
"""

import contextlib
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

from cio_frames.audit import run_file
from cio_frames.audit.file_system import DISK_FULL, FileSystem, write_atomic
from cio_frames.audit.journal import Journal, Opened, Record
from cio_frames.audit.run_file import RESERVE_BYTES, Layout, RunFile
from cio_frames.errors import AuditError


class Store:
    """The one writer of a run's directory.

    Raises:
        AuditLockedError: If another process writes there.
        AuditError: If the directory cannot be used.
    """

    def __init__(self, disk: FileSystem, layout: Layout) -> None:
        self.layout = layout
        self.disk = disk
        self._fault = ""
        self._pid = os.getpid()
        self._journals: set[Journal] = set()
        with self._failing("opened"):
            disk.make(layout.directory.parent, shared=True)
            disk.make(layout.directory)
            self._lock: int | None = disk.lock(layout.lock)
        try:
            with self._failing("opened"):
                for directory in (layout.plans, layout.journals, layout.parts):
                    disk.make(directory)
        except BaseException:
            self.close()
            raise
        _STORES.add(self)

    @property
    def is_usable(self) -> bool:
        """Whether anything can still be written here."""
        return not self._fault and os.getpid() == self._pid

    def keep_reserve(self) -> None:
        """Set aside the room that outcomes need when the disk is full."""
        if not getattr(self.disk, "fills_up", True):
            return
        if self.layout.reserve.name not in self.disk.listdir(self.layout.directory):
            with self._failing("prepared"):
                write_atomic(self.disk, self.layout.reserve, bytes(RESERVE_BYTES))

    def publish(self, path: Path, data: bytes) -> None:
        """Make `path` hold `data` at once."""
        self._check()
        with self._failing("written"):
            try:
                write_atomic(self.disk, path, data)
            except OSError as error:
                if error.errno not in DISK_FULL or not self._drop_reserve():
                    raise
                write_atomic(self.disk, path, data)

    def publish_run(self, run: RunFile) -> None:
        """Replace run.json."""
        self._check()
        with self._failing("written"):
            run_file.write(self.disk, self.layout.directory, run)

    def journal(self, path: Path, first: Opened) -> Journal:
        """Return a new journal at `path`, in place of one that a crash left without a plan."""
        self._check()
        with self._failing("written"):
            self.disk.remove(path)
            journal = Journal(self.disk, path, first=first)
        self._journals.add(journal)
        return journal

    def append(self, journal: Journal, record: Record, *, reserve: bool) -> None:
        """Append one line; with `ballast`, give that up for it when the disk is full."""
        self._check()
        with self._failing("written"):
            try:
                journal.append(record)
            except OSError as error:
                if error.errno not in DISK_FULL or not reserve or not self._drop_reserve():
                    raise
                journal.append(record)

    def sync(self, journal: Journal) -> None:
        """Return when all lines of the journal would survive a power cut."""
        self._check()
        with self._failing("synced", fatal=True):
            journal.sync()

    def drop(self, path: Path, *, journal: Journal | None = None) -> None:
        """Remove a file that is not needed any more, and close its journal."""
        if journal is not None:
            self._journals.discard(journal)
            journal.close()
        with contextlib.suppress(OSError):
            self.disk.remove(path)

    def close(self) -> None:
        """Let others have the directory. What is in it stays as it is."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        for journal in self._journals:
            journal.close()
        with contextlib.suppress(OSError):
            self.disk.unlock(lock)
        self._fault = "was closed"

    def abandon(self) -> None:
        """Give up the files in a forked child; they and the lock stay the parent's."""
        self._fault = "belongs to the process that was forked"
        with contextlib.suppress(OSError):
            for journal in self._journals:
                journal.close()
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self.disk.close(self._lock)
            self._lock = None

    def _check(self) -> None:
        if os.getpid() != self._pid:
            self._fault = "belongs to the process that was forked"
        if self._fault:
            raise AuditError(
                f"The record in {self.layout.directory} {self._fault}: nothing can be written "
                "to it from here."
            )

    def _drop_reserve(self) -> bool:
        if self.layout.reserve.name not in self.disk.listdir(self.layout.directory):
            return False
        self.disk.remove(self.layout.reserve)
        return True

    @contextlib.contextmanager
    def _failing(self, done: str, *, fatal: bool = False) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in DISK_FULL
            if fatal or not full:
                self._fault = "could not be kept"
            todo = "Free up disk space" if full else "Check the disk"
            raise AuditError(
                f"The record in {self.layout.directory} could not be {done}: "
                f"{error.strerror or type(error).__name__}. {todo}, then resume the run: "
                "no request has left without its record."
            ) from None


_STORES: "weakref.WeakSet[Store]" = weakref.WeakSet()


def _abandon_all() -> None:
    for store in list(_STORES):
        store.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
