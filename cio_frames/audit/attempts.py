"""What all attempts at a partition recorded, as one record per row.

A run on Spark has no record of its own while it goes on: each attempt of a task at a partition keeps
one, in `partitions/<partition>/<attempt>`. The driver merges them when the run ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from cio_frames.audit import run_file
from cio_frames.audit.file_system import FileSystem
from cio_frames.audit.journal import Part
from cio_frames.audit.open_segments import OpenSegment, RunContents, part_of, read_contents
from cio_frames.audit.open_segments import rows_of as rows_of_part
from cio_frames.audit.recovery import latest_of
from cio_frames.audit.schema import PART_SCHEMA, PLAN_SCHEMA

DIRECTORY = "partitions"
"""Where in the directory of a run the attempts are, by partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedSegment(OpenSegment):
    """The rows of a partition, while no part has them."""

    rows: pl.DataFrame

    def settled(self, run_id: str) -> pl.DataFrame:
        """Return what is known of each row."""
        return self.rows.with_columns(run_id=pl.lit(run_id))


def with_attempts(disk: FileSystem, directory: Path, contents: RunContents) -> RunContents:
    """Return what the directory of a run that goes on holds, with what its attempts recorded."""
    run = contents.run
    if DIRECTORY not in disk.listdir(directory):
        return contents
    segments = tuple(
        MergedSegment(
            segment=partition,
            plan=PLAN_SCHEMA.to_frame(),
            entries=(),
            rows=rows_of(disk, directory, partition, run_id=run.info.run_id),
        )
        for partition in partitions(disk, directory)
    )
    return replace(contents, run=replace(run, parts=()), open_segments=segments)


def partitions(disk: FileSystem, run: Path) -> list[int]:
    """Return the partitions that attempts were made at."""
    return [int(name) for name in disk.listdir(run / DIRECTORY)]


def attempts(disk: FileSystem, run: Path, partition: int) -> list[Path]:
    """Return the records of the attempts at a partition, in their order. Some may be empty."""
    place = run / DIRECTORY / f"{partition:06d}"
    return [place / name for name in disk.listdir(place)]


def rows_of(disk: FileSystem, run: Path, partition: int, *, run_id: str) -> pl.DataFrame:
    """Return one record for each row that any attempt at a partition planned."""
    return merged(disk, run, partition, run_id=run_id)[0]


def merged(
    disk: FileSystem, run: Path, partition: int, *, run_id: str
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return one record for each row of a partition, and requests, retries and bytes sent."""
    frames, sums = [PART_SCHEMA.to_frame()], {"requests": 0, "retries": 0, "sent_bytes": 0}
    for path in attempts(disk, run, partition):
        for rows, part in _contents(disk, path):
            frames.append(rows)
            for name in sums:
                sums[name] += getattr(part, name)
    rows = pl.concat(frames).with_columns(run_id=pl.lit(run_id))
    return latest_of(rows), sums


def _contents(disk: FileSystem, path: Path) -> Iterator[tuple[pl.DataFrame, Part]]:
    """Yield the rows of each segment of an attempt, whether or not it came to its end."""
    if run_file.NAME not in disk.listdir(path):
        return  # it ended before it began
    contents = read_contents(disk, path)
    for part in contents.run.parts:
        yield rows_of_part(disk, path, part), part
    for segment in contents.open_segments:
        rows = segment.settled(path.name)
        yield rows, part_of(segment, rows, data=b"")
