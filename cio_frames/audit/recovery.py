"""Recover the record of a run after a crash, count its rows, and verify that it is complete.

Every planned row is written to a part, as delivered, rejected, in doubt or pending. Repeating the
recovery changes nothing.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

import polars as pl

from cio_frames.audit import pseudonyms
from cio_frames.audit.file_system import TEMPORARY, FileSystem
from cio_frames.audit.journal import Part
from cio_frames.audit.object_store import file_system_at
from cio_frames.audit.open_segments import (
    OpenSegment,
    RunContents,
    describe_part,
    part_rows,
    parts_data,
    read_contents,
    with_parts,
)
from cio_frames.audit.parquet import digest, encode, scan_parts
from cio_frames.audit.run_file import Layout, RunFile, State, corrupt
from cio_frames.audit.schema import PART_SCHEMA, PLAN_SCHEMA, STATES, UNFINISHED
from cio_frames.audit.store import Store
from cio_frames.errors import AccountingError, AuditError, errors_as
from cio_frames.sending.events import RunStopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """A run that no process writes, and its unfinished rows."""

    directory: Path
    run: RunFile
    unfinished: pl.DataFrame

    @property
    def id_key(self) -> str | None:
        """The key of the message ids in the record; None if they are not keyed."""
        if self.run.message_ids == "plain":
            return None
        return pseudonyms.require_key(self.run.key_name, where=self.directory)


def recover(directory: Path | str, *, disk: FileSystem | None = None) -> Recovery:
    """Recover the directory of a run, and return its unfinished rows.

    Raises:
        AuditLockedError: If the run is still being written.
        AuditCorruptError: If a file is missing, changed or of another run.
    """
    default_disk, path = file_system_at(directory)
    disk = disk or default_disk
    read_contents(disk, path)
    with closing(Store(disk, Layout(path))) as store:
        run = repair(store)
    return Recovery(directory=path, run=run, unfinished=unfinished(disk, path, run))


def repair(store: Store) -> RunFile:
    """Complete every segment of a directory that no process writes, and return its run.json."""
    contents = read_contents(store.disk, store.layout.directory)
    run = contents.run
    if run.state == "running":
        parts = [complete_segment(store, run, segment) for segment in contents.open_segments]
        run = with_missing_rows(store, with_parts(run, [*run.parts, *parts]))
        run = finish_run(store, run, state="crashed", stopped=contents.stopped)
    remove_leftovers(store)
    return run


def complete_segment(store: Store, run: RunFile, segment: OpenSegment) -> Part:
    """Write the part of a segment from the states of its rows."""
    return write_part(store, build_part(segment, run_id=run.info.run_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPart:
    """The part of a segment, and the bytes of its file."""

    part: Part
    data: bytes


def build_part(segment: OpenSegment, *, run_id: str) -> BuiltPart:
    """Return the part of a segment from the states of its rows; nothing is written."""
    rows = segment.row_states(run_id)
    data = encode(rows, schema=PART_SCHEMA, run_id=run_id)
    return BuiltPart(part=describe_part(segment, rows, data=data), data=data)


def write_part(store: Store, built: BuiltPart) -> Part:
    """Write a part under its final name."""
    store.publish(store.layout.part(built.part.segment), built.data)
    return built.part


def with_missing_rows(store: Store, run: RunFile) -> RunFile:
    """Return `run` with a part for the rows that were never planned, so that none is missing."""
    planned = sum(rows for _, rows in run.info.plans)
    if run.resumed or planned <= sum(part.rows for part in run.parts):
        return run
    rest = missing_rows(store.disk, store.layout.directory, run)
    number = 1 + max((part.segment for part in run.parts), default=-1)
    part = complete_segment(store, run, OpenSegment(segment=number, plan=rest, entries=()))
    return with_parts(run, [*run.parts, part])


def finish_run(store: Store, run: RunFile, *, state: State, stopped: RunStopped | None) -> RunFile:
    """Write run.json for a finished run whose parts are all written, and return it."""
    stopped_entry = None
    if stopped is not None:
        at = stopped.at.astimezone(UTC).isoformat(timespec="milliseconds")
        stopped_entry = {"code": stopped.code, "reason": stopped.reason, "at": at}
    counts = count_states(store.disk, store.layout.directory, run)
    run = replace(run, state=state, stopped=stopped_entry, counts=counts)
    store.publish_run(run)
    return run


def remove_leftovers(store: Store) -> None:
    """Remove the files that are not needed once run.json lists all parts."""
    layout = store.layout
    for directory in (layout.plans, layout.journals):
        for name in store.disk.listdir(directory):
            store.drop(directory / name)
    for directory in (layout.parts, layout.directory):
        for name in store.disk.listdir(directory):
            if name.endswith(TEMPORARY):
                store.drop(directory / name)
    for path in layout.reserves:
        store.drop(path)


def unfinished(disk: FileSystem, directory: Path, run: RunFile) -> pl.DataFrame:
    """Return the latest record of every row of a run that a resume may still send."""
    rows = all_rows(disk, directory, run)
    latest = latest_rows(rows) if run.resumed else rows
    return latest.filter(pl.col("state").is_in(UNFINISHED))


def count_states(
    disk: FileSystem, directory: Path, run: RunFile, *, open_segments: Sequence[OpenSegment] = ()
) -> dict[str, int]:
    """Return the rows in each state, and the totals of rows, requests, retries and bytes.

    Raises:
        AccountingError: If a row has no state, or two.
    """
    open_rows = [segment.row_states(run.info.run_id) for segment in open_segments]
    parts = [*run.parts]
    parts += [
        describe_part(segment, rows, data=b"")
        for segment, rows in zip(open_segments, open_rows, strict=True)
    ]
    counts = _sums(parts)
    if run.resumed:
        rows = latest_rows(pl.concat([all_rows(disk, directory, run), *open_rows]))
        counts |= dict.fromkeys(STATES, 0) | dict(rows["state"].value_counts().iter_rows())
        counts["rows"] = rows.height
        counts["bytes"] = int(rows.filter(pl.col("attempts") > 0)["bytes"].sum())
    states = {state: counts[state] for state in STATES}
    if counts["rows"] != sum(states.values()):
        raise AccountingError(counts["rows"], counts=states)
    return counts


_PARTS_AT_ONCE = 16  # one scan of several small parts is much faster; many large ones take memory


def all_rows(disk: FileSystem, directory: Path, run: RunFile) -> pl.DataFrame:
    """Return the rows of all parts of a run, in the order of their segments."""
    frames = [PART_SCHEMA.to_frame()]
    for start in range(0, len(run.parts), _PARTS_AT_ONCE):
        files = parts_data(disk, directory, run.parts[start : start + _PARTS_AT_ONCE])
        with errors_as(lambda kind: corrupt(directory, f"a part cannot be read ({kind})")):
            frames.append(scan_parts(files).collect())
    return pl.concat(frames)


def missing_rows(disk: FileSystem, directory: Path, run: RunFile) -> pl.DataFrame:
    """Return the rows of the plans that are in no part, with the columns of a plan."""
    empty = PLAN_SCHEMA.to_frame()
    place = ("plan", "row")
    recorded = [part_rows(disk, directory, part).select(place) for part in run.parts]
    frames = [
        pl.select(row=pl.int_range(rows)).with_columns(
            pl.lit(plan, pl.Int32).alias("plan"),
            pl.lit(call).alias("call"),
            pl.lit("pending").alias("state"),
        )
        for plan, (call, rows) in enumerate(run.info.plans)
    ]
    missing = pl.concat(frames).join(
        pl.concat([empty.select(place), *recorded]), on=place, how="anti"
    )
    return pl.concat([empty, missing], how="diagonal").sort(place)


def _sums(parts: Sequence[Part]) -> dict[str, int]:
    return {
        "rows": sum(part.rows for part in parts),
        **{state: sum(part.counts.get(state, 0) for part in parts) for state in STATES},
        "requests": sum(part.requests for part in parts),
        "retries": sum(part.retries for part in parts),
        "bytes": sum(part.sent_bytes for part in parts),
    }


def latest_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one record per row of each run, from records in the order of their segments.

    A resumed run has two records of the rows that it sent again. The later one counts, except that a
    row in doubt stays in doubt until it is sent with a clear result.
    """
    row_key = ("run_id", "plan", "row")
    latest = rows.unique(row_key, keep="last", maintain_order=True)
    if latest.height == rows.height:
        return rows
    past = rows.group_by(row_key).agg(
        pl.col("attempts").sum().alias("all_attempts"),
        pl.col("first_attempt_at").min().alias("first_of_all"),
        (pl.col("state") == "in_doubt").any().alias("doubted"),
    )
    doubtful = pl.col("doubted") & pl.col("state").is_in(["pending", "blocked"])
    return (
        latest.join(past, on=row_key, how="left", maintain_order="left")
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
_RECONCILE_AGAIN = "Remove it, and reconcile the run again."


def problems(disk: FileSystem, directory: Path) -> pl.DataFrame:
    """Return the problems of a run's record; no rows if it is complete and unchanged."""
    from cio_frames.audit import reconciliations

    issues: list[tuple[str, str, str]] = []
    try:
        _check_run(disk, directory, read_contents(disk, directory), issues)
        differing = reconciliations.problems(disk, directory)
        issues += [(name, problem, _RECONCILE_AGAIN) for name, problem in differing]
    except AuditError as error:
        issues.append(("run.json", str(error), _RESTORE))
    rows = [(directory.name, *problem) for problem in issues]
    return pl.DataFrame(rows, schema=PROBLEMS, orient="row")


def _check_run(
    disk: FileSystem, directory: Path, contents: RunContents, issues: list[tuple[str, str, str]]
) -> None:
    from cio_frames.audit.profiles import tables_of

    run = contents.run
    try:
        tables_of(disk, directory, run)
    except AuditError as error:
        issues.append((Layout(directory).profile.name, str(error), _RESTORE))
    rows = [segment.row_states(run.info.run_id) for segment in contents.open_segments]
    for part in run.parts:
        name = Layout(directory).part(part.segment).name
        try:
            rows.append(part_rows(disk, directory, part))
        except AuditError as error:
            issues.append((name, str(error), _RESTORE))
            continue
        issues += [(name, problem, _REPORT) for problem in _part_problems(rows[-1], part, run)]
    if run.info.former_people:
        issues += _former_people_problems(disk, directory, run.info.former_people)
    issues += [
        (name, "not a file of this run", _REMOVE) for name in _unlisted_files(disk, directory, run)
    ]
    if rows and not issues:
        issues += [
            ("parts", problem, _REPORT) for problem in _row_number_problems(pl.concat(rows), run)
        ]
        counts = count_states(disk, directory, run, open_segments=contents.open_segments)
        if run.state != "running" and counts != run.counts:
            issues.append(("run.json", "its counts are not those of the parts", _REPORT))


def _former_people_problems(
    disk: FileSystem, directory: Path, checksum: str
) -> list[tuple[str, str, str]]:
    """Return the problems of the file with the people as they were before the run."""
    from cio_frames.audit import former_people

    try:
        data = disk.read(directory / former_people.NAME)
    except OSError:
        return [(former_people.NAME, "it is missing or cannot be read", _RESTORE)]
    if digest(data) == checksum:
        return []
    return [(former_people.NAME, "it was changed after it was written", _RESTORE)]


def _part_problems(rows: pl.DataFrame, part: Part, run: RunFile) -> list[str]:
    issues = []
    if set(rows["run_id"].unique()) - {run.info.run_id}:
        issues.append("its rows are of another run")
    if dict(rows["state"].value_counts().iter_rows()) != dict(part.counts):
        issues.append("its states do not add up to what run.json says")
    return issues


def _row_number_problems(rows: pl.DataFrame, run: RunFile) -> list[str]:
    """Return the problems of the row numbers: the rows of each plan are 0, 1, 2 and so on."""
    plans = rows.group_by("plan").agg(
        pl.len().alias("rows"),
        pl.col("row").n_unique().alias("different"),
        (pl.col("row").max() + 1).alias("end"),
        pl.col("row").min().alias("start"),
    )
    issues = []
    if plans.filter((pl.col("start") != 0) | (pl.col("different") != pl.col("end"))).height:
        issues.append("row numbers are missing")
    if not run.resumed and plans.filter(pl.col("rows") != pl.col("different")).height:
        issues.append("row numbers are there twice")
    read = run.info.rows
    if run.state == "finished" and read is not None and read != plans["different"].sum():
        issues.append(f"{read} rows were to be sent, and {plans['different'].sum()} are recorded")
    return issues


def _unlisted_files(disk: FileSystem, directory: Path, run: RunFile) -> list[str]:
    """Return the files in the directory of the parts that run.json does not list."""
    if run.state == "running":
        return []
    layout = Layout(directory)
    listed = {layout.part(part.segment).name for part in run.parts}
    names = disk.listdir(layout.parts)
    return [name for name in names if name not in listed and not name.endswith(TEMPORARY)]
