"""Read the directory of a run, whether or not its writer is still running.

Reading changes nothing. A segment is either complete (its part is written and listed with its hash)
or open (its plan and its journal exist, and together they give the state of each row). Everything
else that a crash can leave has no information and is ignored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from cio_frames.audit import journal, run_file
from cio_frames.audit.file_system import FileSystem
from cio_frames.audit.journal import Entry, Opened, Part, Record
from cio_frames.audit.parquet import decode, digest
from cio_frames.audit.run_file import Layout, RunFile, corrupt, segment_of
from cio_frames.audit.schema import PART_SCHEMA, PLAN_SCHEMA, STATES
from cio_frames.sending.events import BatchAttempted, BatchRetried, RunStopped

RUN = -1
"""The segment number in the head of the journal of the run itself."""

_READ_ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSegment:
    """A segment without a part: its plan and the entries of its journal."""

    segment: int
    plan: pl.DataFrame
    entries: tuple[Entry, ...]

    def row_states(self, run_id: str) -> pl.DataFrame:
        """Return the record of each row."""
        from cio_frames.audit.row_states import row_states

        return row_states(self.plan, self.entries, run_id=run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContents:
    """The contents of a run's directory."""

    run: RunFile
    open_segments: tuple[OpenSegment, ...]
    stopped: RunStopped | None


def read_contents(disk: FileSystem, directory: Path) -> RunContents:
    """Return the contents of a run's directory.

    Raises:
        AuditCorruptError: If a file is missing, changed or of another run.
    """
    for attempt in range(_READ_ATTEMPTS):
        try:
            return _read(disk, Layout(directory))
        except FileNotFoundError as missing:
            # A running writer may have removed the file since its name was read.
            if attempt == _READ_ATTEMPTS - 1:
                raise corrupt(Path(str(missing.filename)), "missing") from None
        except OSError as error:
            path = Path(str(error.filename or directory))
            raise corrupt(path, f"not readable ({error.strerror})") from None
    raise AssertionError


def part_rows(disk: FileSystem, directory: Path, part: Part) -> pl.DataFrame:
    """Return the rows of a part.

    Raises:
        AuditCorruptError: If the file is missing, changed or of another run.
    """
    path = Layout(directory).part(part.segment)
    return decode(parts_data(disk, directory, [part])[0], schema=PART_SCHEMA, path=path)


def parts_data(disk: FileSystem, directory: Path, parts: Iterable[Part]) -> list[bytes]:
    """Return the bytes of parts, compared with their hashes.

    Raises:
        AuditCorruptError: If a file is missing, changed or of another run.
    """
    layout = Layout(directory)
    return [read_unchanged(disk, layout.part(part.segment), sha256=part.sha256) for part in parts]


def read_unchanged(disk: FileSystem, path: Path, *, sha256: str) -> bytes:
    """Return the bytes of a file, compared with their hash.

    Raises:
        AuditCorruptError: If the file is missing or changed.
    """
    try:
        data = disk.read(path)
    except OSError:
        raise corrupt(path, "missing or not readable") from None
    if digest(data) != sha256:
        raise corrupt(path, "changed after it was written")
    return data


def describe_part(segment: OpenSegment, rows: pl.DataFrame, *, data: bytes) -> Part:
    """Return the entry of a part in run.json, from its rows and its bytes."""
    counts = dict(rows["state"].value_counts().iter_rows())
    return Part(
        segment=segment.segment,
        rows=rows.height,
        bytes=len(data),
        sha256=digest(data),
        counts={state: counts[state] for state in STATES if state in counts},
        requests=sum(isinstance(entry, BatchAttempted) for entry in segment.entries),
        retries=sum(isinstance(entry, BatchRetried) for entry in segment.entries),
        sent_bytes=rows.select(pl.col("bytes").filter(pl.col("attempts") > 0).sum()).item(),
    )


def with_parts(run: RunFile, parts: Iterable[Part]) -> RunFile:
    """Return `run` with these parts, in the order of their segments."""
    return replace(run, parts=tuple(sorted(parts, key=lambda part: part.segment)))


def _read(disk: FileSystem, layout: Layout) -> RunContents:
    run = run_file.read(disk, layout.directory)
    if run.state != "running":
        return RunContents(run=run, open_segments=(), stopped=None)
    # In this order, because a writer creates journal, plan and part in this order.
    journaled = _segments(disk, layout.journals)
    planned = _segments(disk, layout.plans)
    records = _journal(disk, layout.run_journal, run=run, segment=RUN)[1]
    parts = {part.segment: part for part in run.parts}
    parts |= {record.segment: record for record in records if isinstance(record, Part)}
    complete = {n for n in parts if n not in planned or _is_complete(disk, layout, parts[n])}
    for segment in journaled - planned - complete:
        _require_no_entries(disk, layout.journal(segment))
    stops = [record for record in records if isinstance(record, RunStopped)]
    return RunContents(
        run=with_parts(run, [parts[n] for n in complete]),
        open_segments=tuple(
            _open_segment(disk, layout, run, n) for n in sorted(planned - complete)
        ),
        stopped=stops[-1] if stops else None,
    )


def _segments(disk: FileSystem, directory: Path) -> set[int]:
    numbers = (segment_of(name) for name in disk.listdir(directory))
    return {number for number in numbers if number is not None}


def _open_segment(disk: FileSystem, layout: Layout, run: RunFile, segment: int) -> OpenSegment:
    path = layout.plan(segment)
    data = disk.read(path)
    head, records = _journal(disk, layout.journal(segment), run=run, segment=segment)
    if head.plan_sha256 != digest(data):
        raise corrupt(path, "changed after it was written")
    entries = tuple(
        record for record in records if not isinstance(record, Opened | Part | RunStopped)
    )
    plan = decode(data, schema=PLAN_SCHEMA, path=path)
    return OpenSegment(segment=segment, plan=plan, entries=entries)


def _journal(
    disk: FileSystem, path: Path, *, run: RunFile, segment: int
) -> tuple[Opened, Sequence[Record]]:
    records = journal.parse(disk.read(path), path=path)
    head = records[0] if records else None
    if not isinstance(head, Opened) or (head.run, head.segment) != (run.info.run_id, segment):
        raise corrupt(path, "not the journal that belongs here")
    return head, records[1:]


def _is_complete(disk: FileSystem, layout: Layout, part: Part) -> bool:
    try:
        return digest(disk.read(layout.part(part.segment))) == part.sha256
    except FileNotFoundError:
        return False


def _require_no_entries(disk: FileSystem, path: Path) -> None:
    """Raise if the journal of a segment without a plan has entries."""
    if len(journal.parse(disk.read(path), path=path)) > 1:
        raise corrupt(path, "its plan is missing")
