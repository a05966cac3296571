"""Merge the records of all attempts at a partition into one record per row.

During a run on Spark each attempt of a task at a partition keeps its own record, in
`partitions/<partition>/<attempt>`. The driver merges them when the run ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from cio_frames.audit import run_file
from cio_frames.audit.file_system import FileSystem
from cio_frames.audit.journal import Part
from cio_frames.audit.open_segments import (
    OpenSegment,
    RunContents,
    describe_part,
    part_rows,
    read_contents,
)
from cio_frames.audit.recovery import latest_rows
from cio_frames.audit.schema import PART_SCHEMA, PLAN_SCHEMA

DIRECTORY = "partitions"
"""The directory of the attempts, by partition, in the directory of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedSegment(OpenSegment):
    """The rows of a partition that are not in a part yet."""

    rows: pl.DataFrame

    def row_states(self, run_id: str) -> pl.DataFrame:
        """Return the record of each row."""
        return self.rows.with_columns(run_id=pl.lit(run_id))


def with_attempts(disk: FileSystem, directory: Path, contents: RunContents) -> RunContents:
    """Return the contents of a run in progress with the rows that its attempts recorded."""
    run = contents.run
    if DIRECTORY not in disk.listdir(directory):
        return contents
    segments = tuple(
        MergedSegment(
            segment=partition,
            plan=PLAN_SCHEMA.to_frame(),
            entries=(),
            rows=partition_rows(disk, directory, partition, run_id=run.info.run_id),
        )
        for partition in partitions(disk, directory)
    )
    return replace(contents, run=replace(run, parts=()), open_segments=segments)


def partitions(disk: FileSystem, run: Path) -> list[int]:
    """Return the partitions that have attempts."""
    return [int(name) for name in disk.listdir(run / DIRECTORY)]


def attempt_directories(disk: FileSystem, run: Path, partition: int) -> list[Path]:
    """Return the directories of the attempts at a partition, in order. Some may be empty."""
    parent = run / DIRECTORY / f"{partition:06d}"
    return [parent / name for name in disk.listdir(parent)]


def partition_rows(disk: FileSystem, run: Path, partition: int, *, run_id: str) -> pl.DataFrame:
    """Return one record for each row that an attempt at a partition planned."""
    return merge_attempts(disk, run, partition, run_id=run_id)[0]


def merge_attempts(
    disk: FileSystem, run: Path, partition: int, *, run_id: str
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return one record for each row of a partition, and totals of requests, retries and bytes."""
    frames, totals = [PART_SCHEMA.to_frame()], {"requests": 0, "retries": 0, "sent_bytes": 0}
    for path in attempt_directories(disk, run, partition):
        for rows, part in _segments(disk, path):
            frames.append(rows)
            for name in totals:
                totals[name] += getattr(part, name)
    rows = pl.concat(frames).with_columns(run_id=pl.lit(run_id))
    return latest_rows(rows), totals


def _segments(disk: FileSystem, path: Path) -> Iterator[tuple[pl.DataFrame, Part]]:
    """Yield the rows of each segment of an attempt, whether or not it finished."""
    if run_file.NAME not in disk.listdir(path):
        return  # it ended before it wrote anything
    contents = read_contents(disk, path)
    for part in contents.run.parts:
        yield part_rows(disk, path, part), part
    for segment in contents.open_segments:
        rows = segment.row_states(path.name)
        yield rows, describe_part(segment, rows, data=b"")
