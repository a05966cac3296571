"""The file system that the record needs, as a protocol, and the local one.

Everything that must survive a crash is written with `write_atomic` (a file appears complete or not at
all) or to a journal (`create`, `write`, `sync`). Directories and files are created for their owner
only, and a link in their place raises an error.
"""

import contextlib
import errno
import json
import os
import re
import socket
import stat
import sys
import time
from pathlib import Path, PosixPath
from typing import Literal, Protocol

from cio_frames.errors import AuditError, AuditLockedError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

Durability = Literal["power", "process"]
TEMPORARY = ".tmp"
_SHOWN_CHARACTERS = 80
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class FileSystem(Protocol):
    """The operations that the record needs. Handles are integers; failures are OSError."""

    def make(self, directory: Path, *, shared: bool = False) -> None:
        """Create `directory` if it is missing, for its owner only.

        An existing one must be a real directory of the same owner, unless it may be `shared`.
        """

    def create(self, path: Path) -> int:
        """Open a new, empty file for appending."""

    def write(self, handle: int, data: bytes) -> None:
        """Append all of `data`."""

    def truncate(self, handle: int, size: int) -> None:
        """Cut the file to `size` bytes."""

    def sync(self, handle: int) -> None:
        """Return when the file's bytes would survive a power cut."""

    def close(self, handle: int) -> None:
        """Close the file."""

    def rename(self, old: Path, new: Path) -> None:
        """Rename the file `old` to `new`, replacing it."""

    def remove(self, path: Path) -> None:
        """Remove the file, if it exists."""

    def fsync_dir(self, directory: Path) -> None:
        """Return when the names in `directory` would survive a power cut."""

    def read(self, path: Path) -> bytes:
        """Return the bytes of the file."""

    def listdir(self, directory: Path) -> list[str]:
        """Return the names in `directory`, sorted; empty if it is missing."""

    def lock(self, path: Path) -> int:
        """Lock `path` against other processes; raise AuditLockedError if one has locked it."""

    def unlock(self, handle: int) -> None:
        """Release the lock."""

    def is_locked(self, path: Path) -> bool:
        """Return whether another process has locked `path`; nothing is changed."""


def write_atomic(disk: FileSystem, path: Path, data: bytes) -> None:
    """Write `data` to `path`; readers see either no file or the complete one."""
    temporary = path.with_name(path.name + TEMPORARY)
    disk.remove(temporary)
    handle = disk.create(temporary)
    try:
        disk.write(handle, data)
        disk.sync(handle)
    except OSError:
        disk.close(handle)
        with contextlib.suppress(OSError):
            disk.remove(temporary)
        raise
    disk.close(handle)
    disk.rename(temporary, path)
    disk.fsync_dir(path.parent)


class LocalFileSystem:
    """The file system of this machine."""

    def __init__(self, durability: Durability = "power") -> None:
        self._is_durable = durability == "power"

    def make(self, directory: Path, *, shared: bool = False) -> None:
        """Create `directory` if it is missing, for its owner only."""
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700, parents=True)
            self.fsync_dir(directory.parent)
        if not shared:
            _require_own_directory(directory)

    def create(self, path: Path) -> int:
        """Open a new, empty file for appending."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        return os.open(path, flags | _NO_FOLLOW, 0o600)

    def write(self, handle: int, data: bytes) -> None:
        """Append all of `data`, however many calls it takes."""
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[os.write(handle, remaining) :]

    def truncate(self, handle: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(handle, size)

    def sync(self, handle: int) -> None:
        """Return when the file's bytes would survive a power cut.

        For a file that was removed it raises an error: its bytes could never be read again.
        """
        if sys.platform != "win32" and not os.fstat(handle).st_nlink:
            raise FileNotFoundError(errno.ENOENT, "it was removed while it was written")
        if not self._is_durable:
            return
        if sys.platform == "darwin":
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
        elif sys.platform == "linux":
            os.fdatasync(handle)
        else:
            os.fsync(handle)

    def close(self, handle: int) -> None:
        """Close the file."""
        os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Rename the file `old` to `new`, replacing it."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """Remove the file, if it exists."""
        path.unlink(missing_ok=True)

    def fsync_dir(self, directory: Path) -> None:
        """Return when the names in `directory` would survive a power cut."""
        if not self._is_durable or sys.platform == "win32":
            return
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def read(self, path: Path) -> bytes:
        """Return the bytes of the file. Anything else, such as a pipe, raises an error."""
        handle = os.open(path, os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "it is not a file")
            return file.read()

    def listdir(self, directory: Path) -> list[str]:
        """Return the names in `directory`, sorted; empty if it is missing."""
        try:
            return sorted(path.name for path in directory.iterdir())
        except FileNotFoundError:
            return []

    def lock(self, path: Path) -> int:
        """Lock `path` against other processes; raise AuditLockedError if one has locked it."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o600)
        try:
            _lock_file(handle)
        except OSError:
            holder = os.read(handle, 400).decode(errors="replace") or "unknown"
            os.close(handle)
            raise AuditLockedError(
                f"{path.parent} is being written by another process ({holder}). "
                "Wait for it to end, then try again."
            ) from None
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": int(time.time())}
        os.write(handle, json.dumps(owner).encode())
        return handle

    def unlock(self, handle: int) -> None:
        """Release the lock."""
        os.ftruncate(handle, 0)
        os.close(handle)

    def is_locked(self, path: Path) -> bool:
        """Return whether another process has locked `path`; nothing is changed."""
        try:
            handle = os.open(path, os.O_RDWR | _NO_FOLLOW)
        except OSError:
            return False
        try:
            _lock_file(handle)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False


_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.IGNORECASE | re.DOTALL)
_MOUNTED = {"file": "/", "dbfs": "/dbfs/"}
"""The local directories of some schemes."""


class RemotePath(PosixPath):
    """A path in a remote store. Its text is its address.

    Examples:
        >>> str(RemotePath("s3a:/bucket") / "audit")
        's3a://bucket/audit'
    """

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)


def _path_of_address(directory: Path | str) -> Path | None:
    """Return the path of an address; None if it is not an address."""
    match = _ADDRESS.fullmatch(str(directory))
    if match is None or Path(directory).exists():
        return None
    scheme, rest = match[1].lower(), match[2]
    if scheme == "dbfs" and rest.startswith("Volumes/"):
        return Path("/") / rest
    mount = _MOUNTED.get(scheme)
    return RemotePath(f"{scheme}:", rest) if mount is None else Path(mount) / rest


def resolve_path(directory: Path | str) -> Path:
    """Return the absolute path of a directory for records, which need not exist.

    An address such as `s3a://bucket/audit` is a `RemotePath`.

    Raises:
        AuditError: It is a file, or no directory can have such a name.
    """
    if isinstance(directory, RemotePath):
        return directory
    try:
        path = _path_of_address(directory) or Path(directory).absolute()
        if isinstance(path, RemotePath):
            return path
        kind = path.stat().st_mode
    except FileNotFoundError:
        return path
    except (OSError, ValueError, TypeError) as error:
        problem = error.strerror if isinstance(error, OSError) else str(error)
        raise AuditError(
            f"audit={str(directory)[:_SHOWN_CHARACTERS]!r} cannot be a directory: {problem}. "
            "Choose another directory."
        ) from None
    if not stat.S_ISDIR(kind):
        raise AuditError(f"{path} is not a directory. Choose another directory for the audit.")
    return path


def _lock_file(handle: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _require_own_directory(directory: Path) -> None:
    """Raise if a directory is a link, a file, or belongs to another user."""
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode):
        kind = "a link" if stat.S_ISLNK(status.st_mode) else "not a directory"
        raise AuditError(f"{directory} is {kind}. Choose another directory for the audit.")
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        raise AuditError(f"{directory} belongs to another user. Choose another directory.")
