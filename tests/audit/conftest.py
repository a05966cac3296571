"""A run made by hand: its segments, what a server would have seen, and a disk that can fail."""

import errno
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from cio_frames.audit import Recorder, RunInfo
from cio_frames.payloads.batches import SEGMENT_SCHEMA, Batch, Segment
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    BatchSplit,
    RunFinished,
    RunStarted,
    RunStopped,
    SegmentPlanned,
    State,
)

KEY = "0123456789abcdef" * 4
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN_ID = "20260301T120000000Z-abcdef"


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

    def sync_names(self, directory: Path) -> None:
        """Make a directory's names safe."""
        self._step("sync_names", directory)
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

    def names(self, directory: Path) -> list[str]:
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

    def fingerprint(self, server: "Server") -> int:
        """Return a number for what is on the disk and what had happened by then."""
        files = frozenset((path, self.data[number]) for path, number in self.named.items())
        return hash((files, *map(frozenset, (server.received, server.accepted, server.planned))))

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


@dataclass
class Server:
    """What really happened to each row, by segment and row number."""

    received: set[int] = field(default_factory=set)
    accepted: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    planned: set[int] = field(default_factory=set)


def segment(
    number: int,
    *,
    first: int,
    sizes: Sequence[int],
    rejected: int = 0,
    plan: int = 0,
    call: str = "track",
) -> Segment:
    """Return a segment of batches of these sizes, followed by locally rejected rows."""
    sent = sum(sizes)
    rows = list(range(first, first + sent + rejected))
    order = rows[:sent][::-1]
    ends = list(itertools.accumulate(sizes))
    cuts = [order[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    batch_of = {row: at for at, cut in enumerate(cuts) for row in cut}
    table = pl.DataFrame(
        {
            "row": rows,
            "call": [call] * len(rows),
            "person": [f"person{row}@example.com" for row in rows],
            "message_id": [f"01HF7YZFPF{row:016d}" for row in rows],
            "payload_hash": [f"{row:032x}" for row in rows],
            "bytes": [100 + row for row in rows],
            "lane": [batch_of.get(row) for row in rows],
            "component": rows,
            "batch": [batch_of.get(row) for row in rows],
            "state": ["pending"] * sent + ["rejected_local"] * rejected,
            "code": [None] * sent + ["id.missing"] * rejected,
            "error": [None] * sent + ["no identifier for person@example.com"] * rejected,
        },
        schema=SEGMENT_SCHEMA,
    )
    batches = tuple(
        Batch(
            plan=plan,
            segment=number,
            number=at,
            call=call,
            path="/v1/batch",
            batched=True,
            messages=pl.Series([f'{{"n":{row}}}' for row in cut]),
            rows=pl.Series(cut, dtype=pl.Int64),
            lanes=(at, at),
        )
        for at, cut in enumerate(cuts)
    )
    return Segment(plan=plan, number=number, call=call, rows=table, batches=batches)


class Driver:
    """Tells a recorder the facts of a run, as a sender would, and keeps what really happened."""

    def __init__(self, recorder: Recorder, server: Server | None = None, *, hasty: bool = False):
        self.recorder = recorder
        self.server = server or Server()
        self.hasty = hasty
        self.at = START

    def plan(self, made: Segment) -> None:
        """Plan a segment."""
        self.recorder(SegmentPlanned(segment=made))
        self.server.planned |= set(made.rows["row"])

    def attempt(self, batch: Batch, number: int = 1, *, arrives: bool = True) -> None:
        """Send a request."""
        self.at += timedelta(milliseconds=5)
        self.recorder(BatchAttempted(batch=batch, attempt=number, at=self.at))
        if arrives:
            self.server.received |= set(batch.rows)

    def retry(self, batch: Batch, *, status: int | None, in_doubt: bool) -> None:
        """Come to nothing."""
        code = "answer.busy" if status else "net.broken"
        fact = BatchRetried(
            batch=batch, attempt=1, after_s=0.1, status=status, code=code, in_doubt=in_doubt
        )
        self.recorder(fact)

    def finish(
        self, batch: Batch, state: State = "delivered", *, status: int | None = 200, **told: str
    ) -> None:
        """Come to an end."""
        rows = set(batch.rows)
        if state == "delivered" and not self.hasty:
            self.server.accepted |= rows
        if state == "rejected_server":
            self.server.refused |= rows
        self.at += timedelta(milliseconds=5)
        self.recorder(
            BatchFinished(
                batch=batch,
                state=state,
                attempts=1,
                status=status,
                code=told.get("code", ""),
                error=told.get("error", ""),
                in_doubt=state == "in_doubt",
                elapsed_s=0.1,
                at=self.at,
            )
        )

    def deliver(self, batch: Batch) -> None:
        """Send a request that is accepted."""
        if self.hasty:
            self.finish(batch)
            self.attempt(batch)
            self.server.accepted |= set(batch.rows)
            return
        self.attempt(batch)
        self.finish(batch)

    def whole_run(self) -> None:
        """Go through everything that can happen to a row, and stop before the last are sent."""
        self.recorder(RunStarted(run_id=RUN_ID, at=self.at))
        first = segment(0, first=0, sizes=(3, 2, 4), rejected=2)
        self.plan(first)
        self.deliver(first.batches[0])
        second = segment(1, first=11, sizes=(2, 3, 1, 1))
        self.plan(second)
        self._troubled(first)
        self.deliver(second.batches[0])
        self.attempt(second.batches[1])
        self.recorder(RunStopped(code="answer.401", reason="the key was refused"))
        self.finish(second.batches[1], "in_doubt", status=None, code="net.broken")
        self.attempt(second.batches[2], arrives=False)
        self.retry(second.batches[2], status=None, in_doubt=False)
        self.recorder(RunFinished(at=self.at))

    def _troubled(self, first: Segment) -> None:
        """Retry one batch and search another for the message at fault."""
        _, retried, refused = first.batches
        self.attempt(retried)
        self.retry(retried, status=None, in_doubt=True)
        self.attempt(retried, 2)
        self.finish(retried)
        self.attempt(refused)
        left, right = refused.split()
        self.recorder(BatchSplit(batch=refused, into=(left, right)))
        self.deliver(left)
        self.attempt(right)
        good, bad = right.split()
        self.recorder(BatchSplit(batch=right, into=(good, bad)))
        self.deliver(good)
        self.attempt(bad)
        self.finish(
            bad, "rejected_server", status=400, code="answer.400", error="bad: person0@example.com"
        )


@pytest.fixture
def info() -> RunInfo:
    """A run against a made-up workspace."""
    return RunInfo(
        run_id=RUN_ID,
        created=START,
        region="us",
        endpoint="cdp.customer.io",
        strict=True,
        namespace="test",
        id_algorithm="1",
        limits={"message_bytes": 32_000},
        mapping={"0": {"user_id": "id"}},
    )


@pytest.fixture
def make_segment() -> Callable[..., Segment]:
    """Return the maker of segments."""
    return segment


@pytest.fixture
def make_disk() -> type[FakeDisk]:
    """Return the disk that can fail."""
    return FakeDisk


@pytest.fixture
def make_driver() -> type[Driver]:
    """Return the teller of facts."""
    return Driver


@pytest.fixture
def make_server() -> type[Server]:
    """Return the keeper of what really happened."""
    return Server


@pytest.fixture
def crash() -> type[Crash]:
    """Return what a fake disk raises at its end."""
    return Crash


@pytest.fixture
def key() -> str:
    """A key of pseudonyms."""
    return KEY


@pytest.fixture
def begin(tmp_path: Path, info: RunInfo) -> Callable[..., Recorder]:
    """Return a starter of recorders in a directory of their own."""

    def started(**options: object) -> Recorder:
        given = {"key": KEY, "now": lambda: START, **options}
        return Recorder.start(tmp_path / "audit", given.pop("info", info), **given)

    return started
