"""Write to a run's directory, which is locked; after an unsafe failure nothing more is written.

If the disk is full before a request, the request is not sent. If it becomes full afterwards, the
reserve file is removed so that the outcome can still be written. After a failed sync the state of
the disk is unknown: nothing more is written, and the directory has to be recovered.
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
    """The only writer of a run's directory.

    Raises:
        AuditLockedError: If another process writes there.
        AuditError: If the directory cannot be used.
    """

    def __init__(self, disk: FileSystem, layout: Layout) -> None:
        self.layout = layout
        self.disk = disk
        self._unusable = ""
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
        """Whether anything can still be written."""
        return not self._unusable and os.getpid() == self._pid

    def keep_reserve(self) -> None:
        """Create the reserve file, for outcomes when the disk is full."""
        if not getattr(self.disk, "can_fill_up", True):
            return
        if self.layout.reserve.name not in self.disk.listdir(self.layout.directory):
            with self._failing("prepared"):
                write_atomic(self.disk, self.layout.reserve, bytes(RESERVE_BYTES))

    def publish(self, path: Path, data: bytes) -> None:
        """Write `data` to `path` atomically."""
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
        """Return a new journal at `path`; one that a crash left without a plan is replaced."""
        self._check()
        with self._failing("written"):
            self.disk.remove(path)
            journal = Journal(self.disk, path, first=first)
        self._journals.add(journal)
        return journal

    def append(self, journal: Journal, record: Record, *, may_use_reserve: bool) -> None:
        """Append one line; if the disk is full, the reserve file may be removed for it."""
        self._check()
        with self._failing("written"):
            try:
                journal.append(record)
            except OSError as error:
                if error.errno not in DISK_FULL or not may_use_reserve or not self._drop_reserve():
                    raise
                journal.append(record)

    def sync(self, journal: Journal) -> None:
        """Return when all lines of the journal would survive a power cut."""
        self._check()
        with self._failing("synced", is_final=True):
            journal.sync()

    def drop(self, path: Path, *, journal: Journal | None = None) -> None:
        """Remove a file that is no longer needed, and close its journal."""
        if journal is not None:
            self._journals.discard(journal)
            journal.close()
        with contextlib.suppress(OSError):
            self.disk.remove(path)

    def close(self) -> None:
        """Unlock the directory; its files stay as they are."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        for journal in self._journals:
            journal.close()
        with contextlib.suppress(OSError):
            self.disk.unlock(lock)
        self._unusable = "was closed"

    def abandon(self) -> None:
        """Close the files in a forked child; they and the lock belong to the parent."""
        self._unusable = "belongs to the process that was forked"
        with contextlib.suppress(OSError):
            for journal in self._journals:
                journal.close()
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self.disk.close(self._lock)
            self._lock = None

    def _check(self) -> None:
        if os.getpid() != self._pid:
            self._unusable = "belongs to the process that was forked"
        if self._unusable:
            raise AuditError(
                f"The record in {self.layout.directory} {self._unusable}: nothing can be written "
                "to it from here."
            )

    def _drop_reserve(self) -> bool:
        names = self.disk.listdir(self.layout.directory)
        reserves = [path for path in self.layout.reserves if path.name in names]
        for path in reserves:
            self.disk.remove(path)
        return bool(reserves)

    @contextlib.contextmanager
    def _failing(self, done: str, *, is_final: bool = False) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in DISK_FULL
            if is_final or not full:
                self._unusable = "could not be kept"
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
