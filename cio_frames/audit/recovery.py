"""Putting a directory in order after a crash, adding its rows up, and proving that it is whole.

Every row that was planned ends up in a part, as delivered, rejected, in doubt or pending. Doing
it again changes nothing.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC
from hashlib import sha256
from pathlib import Path

import polars as pl

from cio_frames.audit import pseudonyms
from cio_frames.audit.file_system import TEMPORARY, FileSystem
from cio_frames.audit.journal import Part
from cio_frames.audit.object_store import opened
from cio_frames.audit.open_segments import (
    OpenSegment,
    RunContents,
    part_of,
    read_contents,
    rows_of,
    with_parts,
)
from cio_frames.audit.parquet import encode
from cio_frames.audit.run_file import Layout, RunFile, State
from cio_frames.audit.schema import PART_SCHEMA, PLAN_SCHEMA, STATES, UNFINISHED
from cio_frames.audit.store import Store
from cio_frames.errors import AccountingError, AuditError
from cio_frames.sending.events import RunStopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What is known of a run that nobody writes any more."""

    directory: Path
    run: RunFile
    unfinished: pl.DataFrame

    @property
    def id_key(self) -> str | None:
        """The key of the message ids of the record; None where they are held as they are."""
        if self.run.message_ids == "plain":
            return None
        return pseudonyms.key_named(self.run.key_name, where=self.directory)


def recover(directory: Path | str, *, disk: FileSystem | None = None) -> Recovery:
    """Put the directory of a run in order and tell what is left to do.

    Raises:
        AuditLockedError: If the run is still being written.
        AuditCorruptError: If a file is missing, changed or of another run.
    """
    found, path = opened(directory)
    drive = disk or found
    read_contents(drive, path)
    with closing(Store(drive, Layout(path))) as store:
        run = heal(store)
    return Recovery(directory=path, run=run, unfinished=unfinished(drive, path, run))


def heal(store: Store) -> RunFile:
    """Seal every segment of a directory whose writer is gone, and return its run.json."""
    contents = read_contents(store.disk, store.layout.directory)
    run = contents.run
    if run.state == "running":
        parts = [seal(store, run, segment) for segment in contents.open_segments]
        run = completed(store, with_parts(run, [*run.parts, *parts]))
        run = conclude(store, run, state="crashed", stopped=contents.stopped)
    clear(store)
    return run


def seal(store: Store, run: RunFile, segment: OpenSegment) -> Part:
    """Write the part of a segment from what is known of its rows."""
    return write_part(store, compacted(segment, run_id=run.info.run_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """The part of a segment, and the file it will be."""

    part: Part
    data: bytes


def compacted(segment: OpenSegment, *, run_id: str) -> Compacted:
    """Return the part of a segment from what is known of its rows; nothing is written."""
    rows = segment.settled(run_id)
    data = encode(rows, schema=PART_SCHEMA, run_id=run_id)
    return Compacted(part=part_of(segment, rows, data=data), data=data)


def write_part(store: Store, made: Compacted) -> Part:
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
    part = seal(store, run, OpenSegment(segment=number, plan=rest, entries=()))
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
        for name in store.disk.listdir(directory):
            store.drop(directory / name)
    for directory in (layout.parts, layout.directory):
        for name in store.disk.listdir(directory):
            if name.endswith(TEMPORARY):
                store.drop(directory / name)
    store.drop(layout.reserve)


def unfinished(disk: FileSystem, directory: Path, run: RunFile) -> pl.DataFrame:
    """Return the latest record of every row of a run that a resume may still send."""
    rows = whole(disk, directory, run)
    latest = latest_of(rows) if run.resumed else rows
    return latest.filter(pl.col("state").is_in(UNFINISHED))


def tally(
    disk: FileSystem, directory: Path, run: RunFile, *, open_segments: Sequence[OpenSegment] = ()
) -> dict[str, int]:
    """Return rows in each state, and rows, requests, retries and bytes in all.

    Raises:
        AccountingError: If some row is in no state, or in two.
    """
    settled = [segment.settled(run.info.run_id) for segment in open_segments]
    parts = [*run.parts]
    parts += [
        part_of(segment, rows, data=b"")
        for segment, rows in zip(open_segments, settled, strict=True)
    ]
    counts = _sums(parts)
    if run.resumed:
        rows = latest_of(pl.concat([whole(disk, directory, run), *settled]))
        counts |= dict.fromkeys(STATES, 0) | dict(rows["state"].value_counts().iter_rows())
        counts["rows"] = rows.height
        counts["bytes"] = int(rows.filter(pl.col("attempts") > 0)["bytes"].sum())
    states = {state: counts[state] for state in STATES}
    if counts["rows"] != sum(states.values()):
        raise AccountingError(counts["rows"], counts=states)
    return counts


def whole(disk: FileSystem, directory: Path, run: RunFile) -> pl.DataFrame:
    """Return the rows of all parts of a run, in the order of their segments."""
    frames = [rows_of(disk, directory, part) for part in run.parts]
    return pl.concat([PART_SCHEMA.to_frame(), *frames])


def unplanned(disk: FileSystem, directory: Path, run: RunFile) -> pl.DataFrame:
    """Return the rows of the plans that are in no part, as a sealed plan would have them."""
    empty = PLAN_SCHEMA.to_frame()
    place = ("plan", "row")
    known = [rows_of(disk, directory, part).select(place) for part in run.parts]
    frames = [
        pl.select(row=pl.int_range(rows)).with_columns(
            pl.lit(plan, pl.Int32).alias("plan"),
            pl.lit(call).alias("call"),
            pl.lit("pending").alias("state"),
        )
        for plan, (call, rows) in enumerate(run.info.plans)
    ]
    missing = pl.concat(frames).join(pl.concat([empty.select(place), *known]), on=place, how="anti")
    return pl.concat([empty, missing], how="diagonal").sort(place)


def _sums(parts: Sequence[Part]) -> dict[str, int]:
    return {
        "rows": sum(part.rows for part in parts),
        **{state: sum(part.counts.get(state, 0) for part in parts) for state in STATES},
        "requests": sum(part.requests for part in parts),
        "retries": sum(part.retries for part in parts),
        "bytes": sum(part.sent_bytes for part in parts),
    }


def latest_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one record per row of each run, from records in the order of their segments.

    A resumed run has two records of the rows it took up again. The later one counts, except
    that a row once in doubt stays so until something is known of it.
    """
    same = ("run_id", "plan", "row")
    latest = rows.unique(same, keep="last", maintain_order=True)
    if latest.height == rows.height:
        return rows
    past = rows.group_by(same).agg(
        pl.col("attempts").sum().alias("all_attempts"),
        pl.col("first_attempt_at").min().alias("first_of_all"),
        (pl.col("state") == "in_doubt").any().alias("doubted"),
    )
    doubtful = pl.col("doubted") & pl.col("state").is_in(["pending", "blocked"])
    return (
        latest.join(past, on=same, how="left", maintain_order="left")
        .with_columns(
            attempts=pl.col("all_attempts"),
            first_attempt_at=pl.col("first_of_all"),
            state=pl.when(doubtful).then(pl.lit("in_doubt")).otherwise(pl.col("state")),
        )
        .select(rows.columns)
    )


PROBLEMS = pl.Schema(
    {"run_id": pl.String, "file": pl.String, "problem": pl.String, "hint": pl.String}
)
"""The columns of what `problems` returns."""

_RESTORE = "Restore it from a backup."
_REPORT = "Keep the directory and report it: this is a bug in cio_frames."
_REMOVE = "Remove it."
_AGAIN = "Remove it, and reconcile the run again."


def problems(disk: FileSystem, directory: Path) -> pl.DataFrame:
    """Return what is wrong with the record of a run; no rows if it is whole."""
    from cio_frames.audit import reconciliations

    found: list[tuple[str, str, str]] = []
    try:
        _examine(disk, directory, read_contents(disk, directory), found)
        kept = reconciliations.problems(disk, directory)
        found += [(name, problem, _AGAIN) for name, problem in kept]
    except AuditError as error:
        found.append(("run.json", str(error), _RESTORE))
    rows = [(directory.name, *problem) for problem in found]
    return pl.DataFrame(rows, schema=PROBLEMS, orient="row")


def _examine(
    disk: FileSystem, directory: Path, contents: RunContents, found: list[tuple[str, str, str]]
) -> None:
    from cio_frames.audit.profiles import tables_of

    run = contents.run
    try:
        tables_of(disk, directory, run)
    except AuditError as error:
        found.append((Layout(directory).profile.name, str(error), _RESTORE))
    rows = [segment.settled(run.info.run_id) for segment in contents.open_segments]
    for part in run.parts:
        name = Layout(directory).part(part.segment).name
        try:
            rows.append(rows_of(disk, directory, part))
        except AuditError as error:
            found.append((name, str(error), _RESTORE))
            continue
        found += [(name, problem, _REPORT) for problem in _differences(rows[-1], part, run)]
    if run.info.former_people:
        found += _of_former_people(disk, directory, run.info.former_people)
    found += [
        (name, "not a file of this run", _REMOVE) for name in _strangers(disk, directory, run)
    ]
    if rows and not found:
        found += [("parts", problem, _REPORT) for problem in _gaps(pl.concat(rows), run)]
        counts = tally(disk, directory, run, open_segments=contents.open_segments)
        if run.state != "running" and counts != run.counts:
            found.append(("run.json", "its counts are not those of the parts", _REPORT))


def _of_former_people(
    disk: FileSystem, directory: Path, recorded: str
) -> list[tuple[str, str, str]]:
    """Return what is wrong with the file of the people as they were before the run."""
    from cio_frames.audit import former_people

    try:
        data = disk.read(directory / former_people.NAME)
    except OSError:
        return [(former_people.NAME, "it is missing or cannot be read", _RESTORE)]
    is_same = sha256(data).hexdigest() == recorded
    return (
        [] if is_same else [(former_people.NAME, "it was changed after it was written", _RESTORE)]
    )


def _differences(rows: pl.DataFrame, part: Part, run: RunFile) -> list[str]:
    found = []
    if set(rows["run_id"].unique()) - {run.info.run_id}:
        found.append("its rows are of another run")
    if dict(rows["state"].value_counts().iter_rows()) != dict(part.counts):
        found.append("its states do not add up to what run.json says")
    return found


def _gaps(rows: pl.DataFrame, run: RunFile) -> list[str]:
    """Return what is wrong with the row numbers: each plan's rows are 0, 1, 2 and so on."""
    plans = rows.group_by("plan").agg(
        pl.len().alias("rows"),
        pl.col("row").n_unique().alias("different"),
        (pl.col("row").max() + 1).alias("end"),
        pl.col("row").min().alias("start"),
    )
    found = []
    if plans.filter((pl.col("start") != 0) | (pl.col("different") != pl.col("end"))).height:
        found.append("row numbers are missing")
    if not run.resumed and plans.filter(pl.col("rows") != pl.col("different")).height:
        found.append("row numbers are there twice")
    read = run.info.rows
    if run.state == "finished" and read is not None and read != plans["different"].sum():
        found.append(f"{read} rows were to be sent, and {plans['different'].sum()} are recorded")
    return found


def _strangers(disk: FileSystem, directory: Path, run: RunFile) -> list[str]:
    """Return the files among the parts that the run does not list."""
    if run.state == "running":
        return []
    layout = Layout(directory)
    listed = {layout.part(part.segment).name for part in run.parts}
    names = disk.listdir(layout.parts)
    return [name for name in names if name not in listed and not name.endswith(TEMPORARY)]
