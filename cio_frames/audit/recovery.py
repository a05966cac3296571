"""Putting a directory in order after a crash: what is known becomes the record.

Every row that was planned ends up in a part, as delivered, rejected, in doubt or pending. Doing
it again changes nothing.
"""

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

import polars as pl

from cio_frames.audit.disk import TEMPORARY, Disk, Drive
from cio_frames.audit.journal import Part
from cio_frames.audit.layout import Layout
from cio_frames.audit.open_segments import Unsealed, inspect, part_of, with_parts
from cio_frames.audit.parquet import encode
from cio_frames.audit.runfile import RunFile, State
from cio_frames.audit.schema import PART_SCHEMA, UNFINISHED
from cio_frames.audit.store import Store
from cio_frames.audit.tally import latest_of, tally, unplanned, whole
from cio_frames.sending.events import RunStopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What is known of a run that nobody writes any more.

    Attributes:
        run: The content of run.json.
        unfinished: The latest record of every row that is pending, blocked or in doubt.
    """

    run: RunFile
    unfinished: pl.DataFrame


def recover(directory: Path | str, *, disk: Disk | None = None) -> Recovery:
    """Put the directory of a run in order and tell what is left to do.

    Args:
        directory: The run's directory, `audit/<run>`.
        disk: Where it is; the real disk if not given.

    Raises:
        AuditLockedError: If the run is still being written.
        AuditCorruptError: If a file is missing, changed or of another run.
    """
    drive = disk or Drive()
    path = Path(directory).absolute()
    inspect(drive, path)
    with closing(Store(drive, Layout(path))) as store:
        run = heal(store)
    return Recovery(run=run, unfinished=unfinished(drive, path, run))


def heal(store: Store) -> RunFile:
    """Seal every segment of a directory whose writer is gone, and return its run.json."""
    contents = inspect(store.disk, store.layout.directory)
    run = contents.run
    if run.state == "running":
        parts = [seal(store, run, segment) for segment in contents.unsealed]
        run = completed(store, with_parts(run, [*run.parts, *parts]))
        run = conclude(store, run, state="crashed", stopped=contents.stopped)
    clear(store)
    return run


def seal(store: Store, run: RunFile, segment: Unsealed) -> Part:
    """Write the part of a segment from what is known of its rows."""
    return publish(store, compacted(segment, run_id=run.info.run_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """The part of a segment, and the file it will be."""

    part: Part
    data: bytes


def compacted(segment: Unsealed, *, run_id: str) -> Compacted:
    """Return the part of a segment from what is known of its rows; nothing is written."""
    rows = segment.settled(run_id)
    data = encode(rows, schema=PART_SCHEMA, run_id=run_id)
    return Compacted(part=part_of(segment, rows, data=data), data=data)


def publish(store: Store, made: Compacted) -> Part:
    """Write a part under its final name."""
    store.publish(store.layout.part(made.part.segment), made.data)
    return made.part


def completed(store: Store, run: RunFile) -> RunFile:
    """Return `run` with a part for the rows that it never came to, so that none is left out."""
    planned = sum(rows for _, rows in run.info.plans)
    if run.resumed or planned <= sum(part.rows for part in run.parts):
        return run
    rest = unplanned(store.disk, store.layout.directory, run)
    number = 1 + max((part.segment for part in run.parts), default=-1)
    part = seal(store, run, Unsealed(segment=number, plan=rest, entries=()))
    return with_parts(run, [*run.parts, part])


def conclude(store: Store, run: RunFile, *, state: State, stopped: RunStopped | None) -> RunFile:
    """Write run.json for the end of a run whose parts are all sealed, and return it."""
    told = None
    if stopped is not None:
        at = stopped.at.astimezone(UTC).isoformat(timespec="milliseconds")
        told = {"code": stopped.code, "reason": stopped.reason, "at": at}
    counts = tally(store.disk, store.layout.directory, run)
    run = replace(run, state=state, stopped=told, counts=counts)
    store.publish_run(run)
    return run


def clear(store: Store) -> None:
    """Remove what a directory does not need once run.json lists all its parts."""
    layout = store.layout
    for directory in (layout.plans, layout.journals):
        for name in store.disk.names(directory):
            store.drop(directory / name)
    for directory in (layout.parts, layout.directory):
        for name in store.disk.names(directory):
            if name.endswith(TEMPORARY):
                store.drop(directory / name)
    store.drop(layout.ballast)


def unfinished(disk: Disk, directory: Path, run: RunFile) -> pl.DataFrame:
    """Return the latest record of every row of a run that a resume may still send."""
    rows = whole(disk, directory, run)
    latest = latest_of(rows) if run.resumed else rows
    return latest.filter(pl.col("state").is_in(UNFINISHED))
