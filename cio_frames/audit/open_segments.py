"""What a run's directory holds at this moment, whether or not its writer is still alive.

Reading changes nothing. A segment is either sealed (its part is complete and listed with its
hash) or open (its plan and its journal are there, and together they say what is known of each
row). Everything else a crash can leave is worth nothing and is passed over.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from cio_frames.audit import journal, run_file
from cio_frames.audit.file_system import FileSystem
from cio_frames.audit.journal import Entry, Opened, Part, Record
from cio_frames.audit.parquet import decode_part, decode_plan, digest
from cio_frames.audit.run_file import Layout, RunFile, segment_of
from cio_frames.audit.schema import STATES
from cio_frames.errors import AuditCorruptError
from cio_frames.sending.events import BatchAttempted, BatchRetried, RunStopped

RUN = -1
"""The segment number in the head of the run's own journal."""

_LOOKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSegment:
    """A segment without its part: what was planned and what happened so far."""

    segment: int
    plan: pl.DataFrame
    entries: tuple[Entry, ...]

    def settled(self, run_id: str) -> pl.DataFrame:
        """Return what is known of each row."""
        from cio_frames.audit.row_states import row_states

        return row_states(self.plan, self.entries, run_id=run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContents:
    """What a directory holds."""

    run: RunFile
    open_segments: tuple[OpenSegment, ...]
    stopped: RunStopped | None


def read_contents(disk: FileSystem, directory: Path) -> RunContents:
    """Return what the directory of a run holds.

    Raises:
        AuditCorruptError: If a file is missing, changed or of another run.
    """
    for look in range(_LOOKS):
        try:
            return _look(disk, Layout(directory))
        except FileNotFoundError as missing:
            # A writer at work may have sealed the file since its name was read.
            if look == _LOOKS - 1:
                raise _corrupt(Path(str(missing.filename)), "missing") from None
        except OSError as error:
            path = Path(str(error.filename or directory))
            raise _corrupt(path, f"not readable ({error.strerror})") from None
    raise AssertionError


def rows_of(disk: FileSystem, directory: Path, part: Part) -> pl.DataFrame:
    """Return the rows of a sealed part.

    Raises:
        AuditCorruptError: If the file is missing, changed or of another run.
    """
    path = Layout(directory).part(part.segment)
    return decode_part(data_of(disk, directory, part), path=path)


def data_of(disk: FileSystem, directory: Path, part: Part) -> bytes:
    """Return the file of a sealed part, which is what its hash says.

    Raises:
        AuditCorruptError: If the file is missing, changed or of another run.
    """
    path = Layout(directory).part(part.segment)
    try:
        data = disk.read(path)
    except OSError:
        raise _corrupt(path, "missing or not readable") from None
    if digest(data) != part.sha256:
        raise _corrupt(path, "changed after it was written")
    return data


def part_of(segment: OpenSegment, rows: pl.DataFrame, *, data: bytes) -> Part:
    """Return what is listed of a part: `rows` are in it, `data` are its bytes."""
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


def _look(disk: FileSystem, layout: Layout) -> RunContents:
    run = run_file.read(disk, layout.directory)
    if run.state != "running":
        return RunContents(run=run, open_segments=(), stopped=None)
    # In this order, because a writer makes journal, plan and part in this order.
    journaled = _segments(disk, layout.journals)
    planned = _segments(disk, layout.plans)
    records = _journal(disk, layout.run_journal, run=run, segment=RUN)[1]
    parts = {part.segment: part for part in run.parts}
    parts |= {record.segment: record for record in records if isinstance(record, Part)}
    sealed = {n for n in parts if n not in planned or _is_whole(disk, layout, parts[n])}
    for segment in journaled - planned - sealed:
        _refuse_entries(disk, layout.journal(segment))
    stops = [record for record in records if isinstance(record, RunStopped)]
    return RunContents(
        run=with_parts(run, [parts[n] for n in sealed]),
        open_segments=tuple(_unsealed(disk, layout, run, n) for n in sorted(planned - sealed)),
        stopped=stops[-1] if stops else None,
    )


def _segments(disk: FileSystem, directory: Path) -> set[int]:
    found = (segment_of(name) for name in disk.listdir(directory))
    return {number for number in found if number is not None}


def _unsealed(disk: FileSystem, layout: Layout, run: RunFile, segment: int) -> OpenSegment:
    path = layout.plan(segment)
    data = disk.read(path)
    head, records = _journal(disk, layout.journal(segment), run=run, segment=segment)
    if head.plan_sha256 != digest(data):
        raise _corrupt(path, "changed after it was written")
    entries = tuple(each for each in records if not isinstance(each, Opened | Part | RunStopped))
    return OpenSegment(segment=segment, plan=decode_plan(data, path=path), entries=entries)


def _journal(
    disk: FileSystem, path: Path, *, run: RunFile, segment: int
) -> tuple[Opened, Sequence[Record]]:
    records = journal.parse(disk.read(path), path=path)
    head = records[0] if records else None
    if not isinstance(head, Opened) or (head.run, head.segment) != (run.info.run_id, segment):
        raise _corrupt(path, "not the journal that belongs here")
    return head, records[1:]


def _is_whole(disk: FileSystem, layout: Layout, part: Part) -> bool:
    try:
        return digest(disk.read(layout.part(part.segment))) == part.sha256
    except FileNotFoundError:
        return False


def _refuse_entries(disk: FileSystem, path: Path) -> None:
    """Refuse a journal that says something of a segment whose plan is gone."""
    if len(journal.parse(disk.read(path), path=path)) > 1:
        raise _corrupt(path, "its plan is missing")


def _corrupt(path: Path, problem: str) -> AuditCorruptError:
    return AuditCorruptError(str(path), problem=problem, hint="Restore it from a backup.")
