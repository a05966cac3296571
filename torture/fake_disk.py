"""A disk in memory that can end, fail and lose what was not yet safe."""

import errno
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path


class Crash(BaseException):
    """The process or the machine ends here."""


class FakeDisk:
    """A disk in memory that knows which bytes and names would survive a power cut.

    Args:
        stop_at: The operation at which the machine ends.
        torn: How many bytes of a write the crash lets through.
        fail_at: The operation that fails with `failure`, as do all after it that take room.
        lies: Suffixes of paths whose syncs return without doing anything.
    """

    def __init__(
        self,
        *,
        stop_at: int = -1,
        torn: int = 0,
        fail_at: int = -1,
        failure: int = errno.ENOSPC,
        lies: Sequence[str] = (),
    ) -> None:
        self.stop_at, self.torn, self.fail_at, self.failure = stop_at, torn, fail_at, failure
        self.lies = tuple(lies)
        self.steps: list[str] = []
        self.directories: set[Path] = set()
        self.data: dict[int, bytes] = {}
        self.safe: dict[int, bytes] = {}
        self.named: dict[Path, int] = {}
        self.safe_named: dict[Path, int] = {}
        self.opened: dict[int, Path] = {}
        self.locks: set[Path] = set()
        self.cut: tuple[int, bytes] | None = None
        self._numbers = itertools.count(1)

    def make(self, directory: Path, *, shared: bool = False) -> None:  # noqa: ARG002
        """Make a directory, at once and for good."""
        self.directories.add(directory)

    def create(self, path: Path) -> int:
        """Make an empty file."""
        self._step("create", path)
        if path in self.named:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        handle = next(self._numbers)
        self.data[handle], self.safe[handle] = b"", b""
        self.named[path] = handle
        self.opened[handle] = path
        return handle

    def write(self, handle: int, data: bytes) -> None:
        """Append bytes, or those that a crash or a full disk lets through."""
        try:
            self._step("write", self.opened[handle], takes_room=True)
        except (Crash, OSError):
            self.cut = handle, data
            self.data[handle] += data[: self.torn]
            raise
        self.data[handle] += data

    def truncate(self, handle: int, size: int) -> None:
        """Cut a file."""
        self._step("truncate", self.opened[handle])
        self.data[handle] = self.data[handle][:size]

    def sync(self, handle: int) -> None:
        """Make a file's bytes safe."""
        path = self.opened[handle]
        self._step("sync", path)
        if not str(path).endswith(self.lies):
            self.safe[handle] = self.data[handle]

    def close(self, handle: int) -> None:
        """Close a file."""
        self.opened.pop(handle, None)

    def rename(self, old: Path, new: Path) -> None:
        """Move a file."""
        self._step("rename", new)
        self.named[new] = self.named.pop(old)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        if path in self.named:
            self._step("remove", path)
            del self.named[path]

    def fsync_dir(self, directory: Path) -> None:
        """Make a directory's names safe."""
        self._step("fsync_dir", directory)
        if "names" in self.lies:
            return
        for path in [path for path in self.safe_named if path.parent == directory]:
            del self.safe_named[path]
        self.safe_named |= {p: n for p, n in self.named.items() if p.parent == directory}

    def read(self, path: Path) -> bytes:
        """Return a file's bytes."""
        if path not in self.named:
            raise FileNotFoundError(errno.ENOENT, "missing", str(path))
        return self.data[self.named[path]]

    def listdir(self, directory: Path) -> list[str]:
        """Return the names in a directory."""
        paths = {*self.named, *self.directories, *self.locks}
        return sorted(path.name for path in paths if path.parent == directory)

    def lock(self, path: Path) -> int:
        """Hold a lock that nobody else wants."""
        self.locks.add(path)
        return 0

    def unlock(self, handle: int) -> None:
        """Let go of it."""

    def is_locked(self, path: Path) -> bool:  # noqa: ARG002
        """Tell that nobody holds it."""
        return False

    def after_kill(self) -> "FakeDisk":
        """Return the disk after the process was killed and the machine went on."""
        return self._copy(self.data, self.named)

    def after_each_byte(self, *, apart: int = 1) -> Iterator["FakeDisk"]:
        """Return the disk after a kill, for the bytes at which the write it fell into may end.

        Args:
            apart: How many bytes lie between two of them.
        """
        if self.cut is None:
            yield self.after_kill()
            return
        handle, data = self.cut
        before = self.data[handle].removesuffix(data[: self.torn])
        for length in {*range(0, len(data), apart), len(data)}:
            yield self._copy({**self.data, handle: before + data[:length]}, self.named)

    def after_power_cut(self) -> Iterator["FakeDisk"]:
        """Return disks as a power cut may leave them.

        Of each file's unsafe end nothing, half or all is there, and of the unsafe changes of
        names none, all, or any single one.
        """
        loose = [n for n, data in self.data.items() if data != self.safe[n]]
        for kept in itertools.product((0.0, 0.5, 1.0), repeat=min(len(loose), 3)):
            data = dict(self.safe)
            for number, share in zip(loose, kept, strict=False):
                data[number] = self._torn(number, share)
            for named in self._name_sets():
                yield self._copy(data, named)

    def fingerprint(self) -> int:
        """Return a number for what is on the disk."""
        return hash(frozenset((path, self.data[number]) for path, number in self.named.items()))

    def _torn(self, number: int, share: float) -> bytes:
        safe, data = self.safe[number], self.data[number]
        if not data.startswith(safe):
            return data if share else safe
        return data[: len(safe) + int(share * (len(data) - len(safe)))]

    def _name_sets(self) -> Iterator[dict[Path, int]]:
        yield self.safe_named
        changed = [
            path
            for path in {*self.named, *self.safe_named}
            if self.named.get(path) != self.safe_named.get(path)
        ]
        if len(changed) > 1:
            for path in changed:
                yield self._with(self.safe_named, path)
        if changed:
            yield self.named

    def _with(self, named: dict[Path, int], path: Path) -> dict[Path, int]:
        changed = {p: n for p, n in named.items() if p != path}
        if path in self.named:
            changed[path] = self.named[path]
        return changed

    def _copy(self, data: dict[int, bytes], named: dict[Path, int]) -> "FakeDisk":
        other = FakeDisk()
        other.directories = set(self.directories)
        for path, number in named.items():
            other.named[path] = other.safe_named[path] = number
            other.data[number] = other.safe[number] = data[number]
        other._numbers = itertools.count(1 + max(self.data, default=0))
        return other

    def _step(self, what: str, path: Path, *, takes_room: bool = False) -> None:
        number = len(self.steps)
        self.steps.append(f"{what} {path.name}")
        if number == self.stop_at:
            raise Crash
        if number == self.fail_at:
            raise OSError(self.failure, "the disk failed", str(path))
        full = 0 <= self.fail_at < number and self.failure == errno.ENOSPC
        if full and takes_room and not self._has_room():
            raise OSError(errno.ENOSPC, "no room", str(path))

    def _has_room(self) -> bool:
        """Tell whether the ballast was given up."""
        return not any(path.name.startswith("BALLAST") for path in self.named)
