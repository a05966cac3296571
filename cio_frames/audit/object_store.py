"""A record in a store that many machines share: s3a://, gs://, abfss://, hdfs:// and others.

Such a store writes complete objects, and has no append and no locks. A journal is stored as small
numbered objects, one for each `sync`; a file that would be renamed is only stored under its final
name. Nothing is locked: every writer has its own directory.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cio_frames.audit.file_system import (
    TEMPORARY,
    Durability,
    FileSystem,
    LocalFileSystem,
    RemotePath,
    resolve_path,
)
from cio_frames.errors import AuditError, MissingLibraryError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem as ArrowFileSystem

JOURNAL_SUFFIX = ".wal"
"""The suffix of files that are appended to."""

_OBJECT_NAME = re.compile(r"(.*\.wal)\.\d{6}")
_FLAT = frozenset({"s3", "gcs", "abfs"})
"""Stores in which a directory is only a prefix of names."""

_SINGLE_REQUEST = "allow_delayed_open=true"
"""Makes Arrow write a small object to S3 with one request, not three. Older versions lack it."""

_SCHEME_ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}


def file_system_at(
    address: Path | str, *, durability: Durability = "power"
) -> tuple[FileSystem, Path]:
    """Return the file system for an address, and the path of the address in it.

    Args:
        address: A path of this machine, which may be a shared mount, or an address.
        durability: What writing to a path is safe against; an object is always safe against both.

    Raises:
        AuditError: The store cannot be reached.
        MissingLibraryError: The library of the store is not installed.
    """
    path = resolve_path(address)
    if isinstance(path, RemotePath):
        store, prefix = _store(str(path))
        return ObjectStore(store, address=path, prefix=prefix), path
    return LocalFileSystem(durability), path


def _store(address: str) -> "tuple[ArrowFileSystem, str]":
    """Return the file system of an address, from Arrow or else from fsspec, and the path in it."""
    import pyarrow as pa
    from pyarrow import fs

    scheme, rest = address.split("://", 1)
    name = f"{_SCHEME_ALIASES.get(scheme, scheme)}://{rest}"
    fast_uri = f"{name}{'&' if '?' in name else '?'}{_SINGLE_REQUEST}"
    for uri in (fast_uri, name) if name.startswith("s3://") else (name,):
        with suppress(pa.ArrowException, OSError, ValueError):
            store, path = fs.FileSystem.from_uri(uri)
            return store, path
    return _fsspec(scheme, name)


def _fsspec(scheme: str, address: str) -> "tuple[ArrowFileSystem, str]":
    from pyarrow import fs

    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError:
        raise MissingLibraryError("fsspec", wanted=f"{scheme}://", install="fsspec") from None
    try:
        store, path = url_to_fs(address)
    except ImportError as error:
        raise MissingLibraryError(
            error.name or scheme,
            wanted=f"{scheme}://",
            install=error.name or f"the client of {scheme}",
        ) from None
    except (OSError, ValueError) as error:
        raise AuditError(
            f"No store can be reached at {scheme}:// ({type(error).__name__}). Check the address and "
            "the credentials of this machine."
        ) from None
    return fs.PyFileSystem(fs.FSSpecHandler(store)), path


@dataclass(slots=True)
class _OpenFile:
    """A file that is being written: its unsynced bytes, and how much was synced."""

    path: Path
    unsynced: bytearray = field(default_factory=bytearray)
    objects: int = 0
    synced_bytes: int = 0


class ObjectStore:
    """Objects in a store that many machines share.

    `address` is the address of the records, and `prefix` the same place as the store names it.
    """

    can_fill_up = False
    """Whether the store can become full, so that space must be reserved for outcomes."""

    def __init__(self, store: "ArrowFileSystem", *, address: Path, prefix: str) -> None:
        self._store = store
        self._address = address
        self._prefix = prefix.strip("/") if store.type_name in _FLAT else prefix.rstrip("/")
        self._files: dict[int, _OpenFile] = {}
        self._unnamed: dict[Path, bytes] = {}  # files without a final name
        self._last_handle = 0

    def make(self, directory: Path, *, shared: bool = False) -> None:  # noqa: ARG002 - they have no owners
        """Create `directory` if the store has real directories."""
        if self._store.type_name not in _FLAT:
            with _as_os_errors():
                self._store.create_dir(self._name(directory), recursive=True)

    def create(self, path: Path) -> int:
        """Open a new, empty file for appending."""
        self._last_handle += 1
        self._files[self._last_handle] = _OpenFile(path)
        return self._last_handle

    def write(self, handle: int, data: bytes) -> None:
        """Append all of `data`."""
        self._files[handle].unsynced += data

    def truncate(self, handle: int, size: int) -> None:
        """Cut the file to `size` bytes; synced bytes cannot be cut."""
        file = self._files[handle]
        if size < file.synced_bytes:
            raise OSError(errno.EINVAL, "an object cannot be cut")
        del file.unsynced[size - file.synced_bytes :]

    def sync(self, handle: int) -> None:
        """Return when the file's bytes are in the store."""
        file = self._files[handle]
        if file.path.name.endswith(TEMPORARY):
            self._unnamed[file.path] = bytes(file.unsynced)
            return
        if not file.unsynced and file.objects:
            return
        name = self._name(file.path)
        self._put(
            f"{name}.{file.objects:06d}" if file.path.suffix == JOURNAL_SUFFIX else name,
            file.unsynced,
        )
        file.objects += 1
        file.synced_bytes += len(file.unsynced)
        file.unsynced.clear()

    def close(self, handle: int) -> None:
        """Sync and close the file."""
        self.sync(handle)
        del self._files[handle]

    def rename(self, old: Path, new: Path) -> None:
        """Rename the file `old` to `new`, replacing it."""
        data = self._unnamed.pop(old, None)
        if data is None:
            data = self.read(old)
            self.remove(old)
        self._put(self._name(new), data)

    def remove(self, path: Path) -> None:
        """Remove the file, if it exists."""
        self._unnamed.pop(path, None)
        if path.name.endswith(TEMPORARY):
            return
        names = self._object_names(path) if path.suffix == JOURNAL_SUFFIX else [self._name(path)]
        for name in names:
            with _as_os_errors():
                try:
                    self._store.delete_file(name)
                except FileNotFoundError:
                    continue

    def remove_all(self, directory: Path) -> None:
        """Remove everything in a directory."""
        with _as_os_errors():
            self._store.delete_dir_contents(self._name(directory), missing_dir_ok=True)

    def fsync_dir(self, directory: Path) -> None:
        """Do nothing: an object and its name are stored together."""

    def read(self, path: Path) -> bytes:
        """Return the bytes of the file."""
        if path.suffix != JOURNAL_SUFFIX:
            return self._get(self._name(path))
        names = self._object_names(path)
        if not names:
            raise FileNotFoundError(errno.ENOENT, "it is not there", str(path))
        return b"".join(map(self._get, names))

    def listdir(self, directory: Path) -> list[str]:
        """Return the names in `directory`, sorted; empty if it is missing."""
        names = (
            match[1] if (match := _OBJECT_NAME.fullmatch(name)) else name
            for name in self._names(directory)
        )
        return sorted(set(names))

    def lock(self, path: Path) -> int:
        """Mark the directory as being written. This does not exclude other writers."""
        handle = self.create(path)
        self._put(self._name(path), b"{}")
        return handle

    def unlock(self, handle: int) -> None:
        """Remove the mark of `lock`."""
        self.remove(self._files.pop(handle).path)

    def is_locked(self, path: Path) -> bool:
        """Return whether the directory is marked; a killed writer leaves its mark."""
        try:
            self._get(self._name(path))
        except FileNotFoundError:
            return False
        return True

    def _object_names(self, path: Path) -> list[str]:
        """Return the names of the objects of a file, in order."""
        start = f"{path.name}."
        names = sorted(name for name in self._names(path.parent) if name.startswith(start))
        parent = self._name(path.parent)
        return [f"{parent}/{name}" for name in names if _OBJECT_NAME.fullmatch(name)]

    def _names(self, directory: Path) -> list[str]:
        from pyarrow.fs import FileSelector

        with _as_os_errors():
            infos = self._store.get_file_info(
                FileSelector(self._name(directory), allow_not_found=True)
            )
        return [item.base_name for item in infos]

    def _name(self, path: Path) -> str:
        """Return the name of a path in the store."""
        relative = path.relative_to(self._address).as_posix() if path != self._address else ""
        return f"{self._prefix}/{relative}".rstrip("/")

    def _get(self, name: str) -> bytes:
        with _as_os_errors(), self._store.open_input_stream(name) as stream:
            data: bytes = stream.read()
        return data

    def _put(self, name: str, data: bytes | bytearray) -> None:
        """Write an object atomically, as far as the store can."""
        with _as_os_errors():
            if self._store.type_name in _FLAT:
                self._write(name, data)
                return
            temporary = name + TEMPORARY
            self._write(temporary, data)
            try:
                self._store.move(temporary, name)
            except OSError:  # Hadoop does not rename to an existing file
                self._write(name, data)
                self._store.delete_file(temporary)

    def _write(self, name: str, data: bytes | bytearray) -> None:
        with self._store.open_output_stream(name) as stream:
            stream.write(bytes(data))


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Raise the errors of Arrow as OSError."""
    import pyarrow as pa

    try:
        yield
    except pa.ArrowException as error:
        if isinstance(error, OSError):
            raise
        raise OSError(errno.EIO, type(error).__name__) from None


def remove_all(disk: Any, directory: Path) -> None:
    """Remove a directory of records with its contents."""
    import shutil

    if isinstance(disk, ObjectStore):
        disk.remove_all(directory)
    else:
        shutil.rmtree(directory, ignore_errors=True)
