"""A record in a store that many machines share: s3a://, gs://, abfss://, hdfs:// and others.

Such a store puts whole objects in place at once, and has no append and no locks. What is appended is
kept as small numbered objects, one for each `sync`; what would be renamed is only put when it has its
name. Nothing is locked: whoever writes there has a directory of its own.
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
    located,
)
from cio_frames.errors import AuditError, MissingLibraryError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem as ArrowFileSystem

APPENDED = ".wal"
"""How the names of files end that are appended to."""

_PIECE = re.compile(r"(.*\.wal)\.\d{6}")
_FLAT = frozenset({"s3", "gcs", "abfs"})
"""Stores in which a directory is no more than the beginning of names."""

_ONE_REQUEST = "allow_delayed_open=true"
"""Has Arrow put a small object in S3 with one request, not with three. Older versions do not know it."""

_SAME_AS = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}


def opened(address: Path | str, *, durability: Durability = "power") -> tuple[FileSystem, Path]:
    """Return what reads and writes at an address, and the path that it knows the address by.

    Args:
        address: A path of this machine, which may be a mount that others share, or an address.
        durability: What writing to a path is safe against; an object is always safe against both.

    Raises:
        AuditError: No store can be reached at such an address.
        MissingLibraryError: The library of such a store is not installed.
    """
    path = located(address)
    if isinstance(path, RemotePath):
        store, prefix = _store(str(path))
        return ObjectStore(store, address=path, prefix=prefix), path
    return LocalFileSystem(durability), path


def _store(address: str) -> "tuple[ArrowFileSystem, str]":
    """Return the file system behind an address, and the path in it: Arrow's own, else fsspec's."""
    import pyarrow as pa
    from pyarrow import fs

    scheme, rest = address.split("://", 1)
    name = f"{_SAME_AS.get(scheme, scheme)}://{rest}"
    quick = f"{name}{'&' if '?' in name else '?'}{_ONE_REQUEST}"
    for uri in (quick, name) if name.startswith("s3://") else (name,):
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
class _Appended:
    """A file that is being written: what has not been put yet, and how much has been."""

    path: Path
    waiting: bytearray = field(default_factory=bytearray)
    pieces: int = 0
    size: int = 0


class ObjectStore:
    """Objects in a store that many machines share.

    Args:
        store: A file system of `pyarrow.fs`.
        address: Where records are.
        prefix: The same place, as the store names it.
    """

    fills_up = False
    """Whether there can be too little room, so that some must be kept for the record of answers."""

    def __init__(self, store: "ArrowFileSystem", *, address: Path, prefix: str) -> None:
        self._store = store
        self._address = address
        self._prefix = prefix.strip("/") if store.type_name in _FLAT else prefix.rstrip("/")
        self._files: dict[int, _Appended] = {}
        self._whole: dict[Path, bytes] = {}  # files without their final name
        self._last = 0

    def make(self, directory: Path, *, shared: bool = False) -> None:  # noqa: ARG002 - they have no owners
        """Make `directory` where that is more than a name."""
        if self._store.type_name not in _FLAT:
            with _as_os_errors():
                self._store.create_dir(self._name(directory), recursive=True)

    def create(self, path: Path) -> int:
        """Open a new, empty file for appending."""
        self._last += 1
        self._files[self._last] = _Appended(path)
        return self._last

    def write(self, handle: int, data: bytes) -> None:
        """Append all of `data`."""
        self._files[handle].waiting += data

    def truncate(self, handle: int, size: int) -> None:
        """Cut the file to `size` bytes, as far as these have not been put yet."""
        file = self._files[handle]
        if size < file.size:
            raise OSError(errno.EINVAL, "an object cannot be cut")
        del file.waiting[size - file.size :]

    def sync(self, handle: int) -> None:
        """Return when the file's bytes are in the store."""
        file = self._files[handle]
        if file.path.name.endswith(TEMPORARY):
            self._whole[file.path] = bytes(file.waiting)
            return
        if not file.waiting and file.pieces:
            return
        name = self._name(file.path)
        self._put(
            f"{name}.{file.pieces:06d}" if file.path.suffix == APPENDED else name, file.waiting
        )
        file.pieces += 1
        file.size += len(file.waiting)
        file.waiting.clear()

    def close(self, handle: int) -> None:
        """Give the handle back; what was not synced is put."""
        self.sync(handle)
        del self._files[handle]

    def rename(self, old: Path, new: Path) -> None:
        """Put the file `old` in the place of `new`."""
        data = self._whole.pop(old, None)
        if data is None:
            data = self.read(old)
            self.remove(old)
        self._put(self._name(new), data)

    def remove(self, path: Path) -> None:
        """Remove the file, if it is there."""
        self._whole.pop(path, None)
        if path.name.endswith(TEMPORARY):
            return
        names = self._pieces(path) if path.suffix == APPENDED else [self._name(path)]
        for name in names:
            with _as_os_errors():
                try:
                    self._store.delete_file(name)
                except FileNotFoundError:
                    continue

    def remove_all(self, directory: Path) -> None:
        """Remove all that is in a directory."""
        with _as_os_errors():
            self._store.delete_dir_contents(self._name(directory), missing_dir_ok=True)

    def fsync_dir(self, directory: Path) -> None:
        """Do nothing: an object is there with its name."""

    def read(self, path: Path) -> bytes:
        """Return the bytes of the file."""
        if path.suffix != APPENDED:
            return self._get(self._name(path))
        names = self._pieces(path)
        if not names:
            raise FileNotFoundError(errno.ENOENT, "it is not there", str(path))
        return b"".join(map(self._get, names))

    def listdir(self, directory: Path) -> list[str]:
        """Return the names in `directory`, sorted; none if it is missing."""
        names = (
            piece[1] if (piece := _PIECE.fullmatch(name)) else name
            for name in self._names(directory)
        )
        return sorted(set(names))

    def lock(self, path: Path) -> int:
        """Say that somebody writes here. It keeps nobody away."""
        handle = self.create(path)
        self._put(self._name(path), b"{}")
        return handle

    def unlock(self, handle: int) -> None:
        """Say that nobody writes here any more."""
        self.remove(self._files.pop(handle).path)

    def is_locked(self, path: Path) -> bool:
        """Tell whether somebody said so. Who was killed has not taken it back."""
        try:
            self._get(self._name(path))
        except FileNotFoundError:
            return False
        return True

    def _pieces(self, path: Path) -> list[str]:
        """Return the objects that a file was put in, in order."""
        start = f"{path.name}."
        found = sorted(name for name in self._names(path.parent) if name.startswith(start))
        parent = self._name(path.parent)
        return [f"{parent}/{name}" for name in found if _PIECE.fullmatch(name)]

    def _names(self, directory: Path) -> list[str]:
        from pyarrow.fs import FileSelector

        with _as_os_errors():
            found = self._store.get_file_info(
                FileSelector(self._name(directory), allow_not_found=True)
            )
        return [item.base_name for item in found]

    def _name(self, path: Path) -> str:
        """Return what the store calls a path."""
        below = path.relative_to(self._address).as_posix() if path != self._address else ""
        return f"{self._prefix}/{below}".rstrip("/")

    def _get(self, name: str) -> bytes:
        with _as_os_errors(), self._store.open_input_stream(name) as stream:
            data: bytes = stream.read()
        return data

    def _put(self, name: str, data: bytes | bytearray) -> None:
        """Put an object in place at once; where the store cannot replace a file so, as it can."""
        with _as_os_errors():
            if self._store.type_name in _FLAT:
                self._write(name, data)
                return
            temporary = name + TEMPORARY
            self._write(temporary, data)
            try:
                self._store.move(temporary, name)
            except OSError:  # Hadoop does not rename to what is there
                self._write(name, data)
                self._store.delete_file(temporary)

    def _write(self, name: str, data: bytes | bytearray) -> None:
        with self._store.open_output_stream(name) as stream:
            stream.write(bytes(data))


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Turn what Arrow raises besides OSError into one."""
    import pyarrow as pa

    try:
        yield
    except pa.ArrowException as error:
        if isinstance(error, OSError):
            raise
        raise OSError(errno.EIO, type(error).__name__) from None


def remove_all(disk: Any, directory: Path) -> None:
    """Remove a directory of records with all that is in it."""
    import shutil

    if isinstance(disk, ObjectStore):
        disk.remove_all(directory)
    else:
        shutil.rmtree(directory, ignore_errors=True)
