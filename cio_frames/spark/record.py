"""The record of a run on Spark: started by the driver, and merged at the end from those of attempts.

While attempts send, each keeps its own record. At the end these are merged into parts with one record per
row, partition by partition, and run.json lists the parts: only then can readers see them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from cio_frames.audit import RunInfo, run_file
from cio_frames.audit.attempts import DIRECTORY, merge_attempts, partitions
from cio_frames.audit.file_system import Durability, FileSystem
from cio_frames.audit.journal import Opened, Part
from cio_frames.audit.object_store import remove_all
from cio_frames.audit.open_segments import RUN, OpenSegment, describe_part, part_rows, with_parts
from cio_frames.audit.parquet import encode
from cio_frames.audit.recovery import BuiltPart, finish_run, remove_leftovers, write_part
from cio_frames.audit.run_file import Layout, RunFile, State
from cio_frames.audit.schema import FAILED, FORMAT, PART_SCHEMA, PLAN_SCHEMA, UNFINISHED
from cio_frames.audit.store import Store
from cio_frames.errors import AccountingError
from cio_frames.sending import RunStopped
from cio_frames.spark.table import PLACE_BITS

_FAILURES = pl.Schema({"code": pl.String(), "rows": pl.Int64(), "error": pl.String()})

_PLACE = (1 << PLACE_BITS) - 1

PART_ROWS = 250_000
"""The most rows of a part."""


def is_incomplete(run: RunFile) -> bool:
    """Return whether an ended run left anything to send; then it still has the records of its attempts."""
    return run.state != "finished" or any(run.counts.get(state) for state in UNFINISHED)


class SparkRecord:
    """The record of a run while its driver is running."""

    def __init__(self, store: Store, run: RunFile) -> None:
        self.run: RunFile = run
        self.directory: Path = store.layout.directory
        self._store = store
        self._starts: dict[int, int] | None = None

    def publish(self) -> Self:
        """Write that the run is running."""
        head = Opened(format=FORMAT, run=self.run_id, segment=RUN)
        self._store.journal(self._store.layout.run_journal, head)
        self._store.publish_run(self.run)
        return self

    @classmethod
    def begin(
        cls,
        disk: FileSystem,
        directory: Path,
        info: RunInfo,
        *,
        durability: Durability,
        key: str | None,
        notes: tuple[str, ...],
    ) -> Self:
        """Start the record of a new run."""
        run = run_file.new_run_file(info, durability=durability, key=key, notes=notes)
        return cls(Store(disk, Layout(directory)), run).publish()

    @classmethod
    def reopen(cls, disk: FileSystem, directory: Path) -> Self:
        """Reopen the record of a run that left rows unsent; that of another run is not changed.

        Raises:
            AuditCorruptError: There is no run, or it was changed.
            AuditLockedError: It is still being written.
        """
        run = run_file.read(disk, directory)
        store = Store(disk, Layout(directory))
        if not is_incomplete(run):
            return cls(store, run)
        return cls(store, replace(run, state="running", stopped=None)).publish()

    def count(self, rows: Mapping[int, int]) -> None:
        """Number the rows across all partitions; so far their numbers are partition and place.

        Args:
            rows: How many rows each partition has. For one that is missing, recorded rows are counted.
        """
        disk, starts, total = self._store.disk, {}, 0
        for partition in partitions(disk, self.directory):
            starts[partition] = total
            total += rows.get(partition) or self._recorded(partition)
        info = self.run.info
        self._starts = starts
        self.run = replace(
            self.run, info=replace(info, rows=total, plans=((info.plans[0][0], total),))
        )

    def _recorded(self, partition: int) -> int:
        """Return how many rows of a partition its attempts recorded."""
        rows, _ = merge_attempts(self._store.disk, self.directory, partition, run_id=self.run_id)
        return int(rows.select((pl.col("row") & _PLACE).max() + 1).item() or 0)

    @property
    def run_id(self) -> str:
        """The name of the run."""
        return self.run.info.run_id

    def commit(
        self, *, state: State, stopped: RunStopped | None, notes: tuple[str, ...]
    ) -> dict[str, int]:
        """Merge the records of all attempts, end the record, and return its counts.

        The records of attempts are kept as long as the run can be resumed.

        Raises:
            AccountingError: A row was recorded twice.
        """
        info, store = self.run.info, self._store
        first = 1 + max((part.segment for part in self.run.parts), default=-1)
        parts = [
            write_part(store, built)
            for built in _built_parts(
                store.disk, self.directory, info=info, first=first, starts=self._starts
            )
        ]
        run = with_parts(replace(self.run, notes=notes), parts)
        self.run = finish_run(store, run, state=state, stopped=stopped)
        listed = {store.layout.part(part.segment).name for part in parts}
        for name in store.disk.listdir(store.layout.parts):
            if name not in listed:
                store.drop(store.layout.parts / name)
        if not is_incomplete(self.run):
            remove_all(store.disk, self.directory / DIRECTORY)
        remove_leftovers(store)
        return dict(self.run.counts)

    def failures(self) -> pl.DataFrame:
        """Return code, rows and error of the rows that did not arrive; read one part at a time."""
        sums = [pl.DataFrame(schema=_FAILURES)]
        for part in self.run.parts:
            if any(part.counts.get(state) for state in FAILED):
                rows = part_rows(self._store.disk, self.directory, part)
                failed = rows.filter(pl.col("state").is_in(FAILED)).group_by("code")
                sums.append(failed.agg(rows=pl.len().cast(pl.Int64), error=pl.col("error").first()))
        each = pl.concat(sums).group_by("code", maintain_order=True)
        return each.agg(pl.col("rows").sum(), pl.col("error").first()).sort("code", nulls_last=True)

    def close(self) -> None:
        """Release the record."""
        self._store.close()


def _built_parts(
    disk: FileSystem,
    directory: Path,
    *,
    info: RunInfo,
    first: int,
    starts: Mapping[int, int] | None,
) -> Iterator[BuiltPart]:
    """Yield the parts of a run, with each of its rows once; read one partition at a time."""
    total = info.rows or 0
    seen, segment, count = np.zeros(total, bool), first, 0
    for partition in partitions(disk, directory):
        rows, sums = merge_attempts(disk, directory, partition, run_id=info.run_id)
        if starts is not None:
            rows = rows.with_columns((pl.col("row") & _PLACE) + starts[partition])
        seen[rows["row"].to_numpy()] = True
        count += rows.height
        for piece in rows.sort("row").iter_slices(PART_ROWS):
            yield _part(piece, segment=segment, sums=sums, run_id=info.run_id)
            segment, sums = segment + 1, dict.fromkeys(sums, 0)
    if count != np.count_nonzero(seen):
        raise AccountingError(total, counts={"recorded": count})
    for piece in _pending(seen, info=info):
        yield _part(piece, segment=segment, sums={}, run_id=info.run_id)
        segment += 1


def _part(rows: pl.DataFrame, *, segment: int, sums: dict[str, int], run_id: str) -> BuiltPart:
    data = encode(rows, schema=PART_SCHEMA, run_id=run_id)
    none = OpenSegment(segment=segment, plan=PLAN_SCHEMA.to_frame(), entries=())
    listed = describe_part(none, rows, data=data)
    fields = {name: getattr(listed, name) for name in Part.__struct_fields__} | sums
    return BuiltPart(part=Part(**fields), data=data)


def _pending(seen: npt.NDArray[np.bool_], *, info: RunInfo) -> Iterator[pl.DataFrame]:
    """Yield a record of each row that no attempt reached."""
    missing = pl.Series("row", np.flatnonzero(~seen), pl.Int64)
    for start in range(0, len(missing), PART_ROWS):
        rows = missing.slice(start, PART_ROWS).to_frame()
        pending = rows.with_columns(
            pl.lit(0, pl.Int32).alias("plan"),
            pl.lit(info.plans[0][0]).alias("call"),
            pl.lit(info.run_id).alias("run_id"),
            pl.lit(0, pl.Int32).alias("attempts"),
            pl.lit("pending").alias("state"),
        )
        yield pl.concat([PART_SCHEMA.to_frame(), pending], how="diagonal")
