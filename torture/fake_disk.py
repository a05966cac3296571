"""A disk in memory that can crash, fail and lose what was not synced."""

import errno
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path


class Crash(BaseException):
    """The process or the machine stops here."""


class FakeDisk:
    """A disk in memory that knows which bytes and names would survive a power cut.

    Args:
        stop_at: The operation at which the machine stops.
        torn: How many bytes of a write reach the disk when it crashes.
        fail_at: The operation that fails with `failure`, as do all later ones that need space.
        ignored_syncs: Suffixes of paths whose syncs do nothing; "names" for directories.
    """

    def __init__(
        self,
        *,
        stop_at: int = -1,
        torn: int = 0,
        fail_at: int = -1,
        failure: int = errno.ENOSPC,
        ignored_syncs: Sequence[str] = (),
    ) -> None:
        self.stop_at, self.torn, self.fail_at, self.failure = stop_at, torn, fail_at, failure
        self.ignored_syncs = tuple(ignored_syncs)
        self.steps: list[str] = []
        self.directories: set[Path] = set()
        self.data: dict[int, bytes] = {}
        self.durable: dict[int, bytes] = {}
        self.names: dict[Path, int] = {}
        self.durable_names: dict[Path, int] = {}
        self.opened: dict[int, Path] = {}
        self.locks: set[Path] = set()
        self.cut: tuple[int, bytes] | None = None
        self._numbers = itertools.count(1)

    def make(self, directory: Path, *, shared: bool = False) -> None:  # noqa: ARG002
        """Make a directory; it is durable at once."""
        self.directories.add(directory)

    def create(self, path: Path) -> int:
        """Make an empty file."""
        self._step("create", path)
        if path in self.names:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        handle = next(self._numbers)
        self.data[handle], self.durable[handle] = b"", b""
        self.names[path] = handle
        self.opened[handle] = path
        return handle

    def write(self, handle: int, data: bytes) -> None:
        """Append bytes; on a crash or a full disk only the first `torn` of them."""
        try:
            self._step("write", self.opened[handle], needs_space=True)
        except (Crash, OSError):
            self.cut = handle, data
            self.data[handle] += data[: self.torn]
            raise
        self.data[handle] += data

    def truncate(self, handle: int, size: int) -> None:
        """Truncate a file."""
        self._step("truncate", self.opened[handle])
        self.data[handle] = self.data[handle][:size]

    def sync(self, handle: int) -> None:
        """Make a file's bytes durable."""
        path = self.opened[handle]
        self._step("sync", path)
        if not str(path).endswith(self.ignored_syncs):
            self.durable[handle] = self.data[handle]

    def close(self, handle: int) -> None:
        """Close a file."""
        self.opened.pop(handle, None)

    def rename(self, old: Path, new: Path) -> None:
        """Move a file."""
        self._step("rename", new)
        self.names[new] = self.names.pop(old)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        if path in self.names:
            self._step("remove", path)
            del self.names[path]

    def fsync_dir(self, directory: Path) -> None:
        """Make a directory's names durable."""
        self._step("fsync_dir", directory)
        if "names" in self.ignored_syncs:
            return
        for path in [path for path in self.durable_names if path.parent == directory]:
            del self.durable_names[path]
        self.durable_names |= {p: n for p, n in self.names.items() if p.parent == directory}

    def read(self, path: Path) -> bytes:
        """Return a file's bytes."""
        if path not in self.names:
            raise FileNotFoundError(errno.ENOENT, "missing", str(path))
        return self.data[self.names[path]]

    def listdir(self, directory: Path) -> list[str]:
        """Return the names in a directory."""
        paths = {*self.names, *self.directories, *self.locks}
        return sorted(path.name for path in paths if path.parent == directory)

    def lock(self, path: Path) -> int:
        """Take a lock, which is always free."""
        self.locks.add(path)
        return 0

    def unlock(self, handle: int) -> None:
        """Release it."""

    def is_locked(self, path: Path) -> bool:  # noqa: ARG002
        """Return False: nobody else locks."""
        return False

    def after_kill(self) -> "FakeDisk":
        """Return the disk after the process was killed and the machine kept running."""
        return self._copy(self.data, self.names)

    def after_each_byte(self, *, step_bytes: int = 1) -> Iterator["FakeDisk"]:
        """Yield the disk after a kill, for each number of bytes of the interrupted write.

        Args:
            step_bytes: The difference between two such numbers.
        """
        if self.cut is None:
            yield self.after_kill()
            return
        handle, data = self.cut
        before = self.data[handle].removesuffix(data[: self.torn])
        for length in {*range(0, len(data), step_bytes), len(data)}:
            yield self._copy({**self.data, handle: before + data[:length]}, self.names)

    def after_power_cut(self) -> Iterator["FakeDisk"]:
        """Yield disks as a power cut may leave them.

        Of each file's bytes that were not synced none, half or all remain, and of the changes of
        names that were not synced none, all, or any single one.
        """
        unsynced = [n for n, data in self.data.items() if data != self.durable[n]]
        for shares in itertools.product((0.0, 0.5, 1.0), repeat=min(len(unsynced), 3)):
            data = dict(self.durable)
            for number, share in zip(unsynced, shares, strict=False):
                data[number] = self._remaining(number, share)
            for names in self._name_sets():
                yield self._copy(data, names)

    def fingerprint(self) -> int:
        """Return a hash of the contents."""
        return hash(frozenset((path, self.data[number]) for path, number in self.names.items()))

    def _remaining(self, number: int, share: float) -> bytes:
        durable, data = self.durable[number], self.data[number]
        if not data.startswith(durable):
            return data if share else durable
        return data[: len(durable) + int(share * (len(data) - len(durable)))]

    def _name_sets(self) -> Iterator[dict[Path, int]]:
        yield self.durable_names
        changed = [
            path
            for path in {*self.names, *self.durable_names}
            if self.names.get(path) != self.durable_names.get(path)
        ]
        if len(changed) > 1:
            for path in changed:
                yield self._with(self.durable_names, path)
        if changed:
            yield self.names

    def _with(self, names: dict[Path, int], path: Path) -> dict[Path, int]:
        changed = {p: n for p, n in names.items() if p != path}
        if path in self.names:
            changed[path] = self.names[path]
        return changed

    def _copy(self, data: dict[int, bytes], names: dict[Path, int]) -> "FakeDisk":
        other = FakeDisk()
        other.directories = set(self.directories)
        for path, number in names.items():
            other.names[path] = other.durable_names[path] = number
            other.data[number] = other.durable[number] = data[number]
        other._numbers = itertools.count(1 + max(self.data, default=0))
        return other

    def _step(self, what: str, path: Path, *, needs_space: bool = False) -> None:
        number = len(self.steps)
        self.steps.append(f"{what} {path.name}")
        if number == self.stop_at:
            raise Crash
        if number == self.fail_at:
            raise OSError(self.failure, "the disk failed", str(path))
        is_full = 0 <= self.fail_at < number and self.failure == errno.ENOSPC
        if is_full and needs_space and not self._has_space():
            raise OSError(errno.ENOSPC, "no space", str(path))

    def _has_space(self) -> bool:
        """Return whether the reserve file was removed."""
        return not any(path.name.startswith(("RESERVE", "BALLAST")) for path in self.names)
