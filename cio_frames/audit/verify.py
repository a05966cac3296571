"""Proof that a record is whole: every file complete and unchanged, every row there once."""

from pathlib import Path

import polars as pl

from cio_frames.audit.disk import TEMPORARY, Disk
from cio_frames.audit.journal import Part
from cio_frames.audit.layout import Layout
from cio_frames.audit.open_segments import Contents, inspect, rows_of
from cio_frames.audit.runfile import RunFile
from cio_frames.audit.tally import tally
from cio_frames.errors import AuditError

PROBLEMS = pl.Schema(
    {"run_id": pl.String, "file": pl.String, "problem": pl.String, "hint": pl.String}
)
"""The columns of what `problems` returns."""

_RESTORE = "Restore it from a copy."
_REPORT = "Keep the directory and report it: this is a fault of cio_frames."
_REMOVE = "Remove it."


def problems(disk: Disk, directory: Path) -> pl.DataFrame:
    """Return what is wrong with the record of a run; no rows if it is whole."""
    found: list[tuple[str, str, str]] = []
    try:
        _examine(disk, directory, inspect(disk, directory), found)
    except AuditError as error:
        found.append(("run.json", str(error), _RESTORE))
    rows = [(directory.name, *problem) for problem in found]
    return pl.DataFrame(rows, schema=PROBLEMS, orient="row")


def _examine(
    disk: Disk, directory: Path, contents: Contents, found: list[tuple[str, str, str]]
) -> None:
    run = contents.run
    rows = [segment.settled(run.info.run_id) for segment in contents.unsealed]
    for part in run.parts:
        name = Layout(directory).part(part.segment).name
        try:
            rows.append(rows_of(disk, directory, part))
        except AuditError as error:
            found.append((name, str(error), _RESTORE))
            continue
        found += [(name, problem, _REPORT) for problem in _differences(rows[-1], part, run)]
    found += [
        (name, "not a file of this run", _REMOVE) for name in _strangers(disk, directory, run)
    ]
    if rows and not found:
        found += [("parts", problem, _REPORT) for problem in _gaps(pl.concat(rows), run)]
        counts = tally(disk, directory, run, unsealed=contents.unsealed)
        if run.state != "running" and counts != run.counts:
            found.append(("run.json", "its counts are not those of the parts", _REPORT))


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


def _strangers(disk: Disk, directory: Path, run: RunFile) -> list[str]:
    """Return the files among the parts that the run does not list."""
    if run.state == "running":
        return []
    layout = Layout(directory)
    listed = {layout.part(part.segment).name for part in run.parts}
    names = disk.names(layout.parts)
    return [name for name in names if name not in listed and not name.endswith(TEMPORARY)]
