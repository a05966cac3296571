"""The rows of a partition, in the order of sending, in a local file."""

import os
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from cio_frames.frames import ROW, Note, Table
from cio_frames.spark.reading import PlanSettings, findings_of_chunk, listed, read_chunk
from cio_frames.validation import FINDING_SCHEMA

AT = f"{ROW}at"
"""The column of the time by which rows are ordered, and then by their numbers. Without it they are in order."""

EARLIER = f"{ROW}earlier"
"""The column of what earlier runs recorded about the message of a row."""

EARLIER_SCHEMA = pl.Schema(
    {
        "row": pl.Int64(),
        "payload_hash": pl.String(),
        "state": pl.String(),
        "call": pl.String(),
        "first_attempt_at": pl.Datetime("ms", "UTC"),
    }
)
"""What earlier runs recorded about the messages of rows."""

SORTED_BYTES = 1 << 25
"""About how many bytes of rows are sorted in memory."""

BATCH_BYTES = 1 << 20
"""About how many bytes a batch of the file has, of which a chunk reads those with its rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpooledTable(Table):
    """The rows of a partition in a local file. They keep the numbers that Spark gave them.

    Attributes:
        reader: The file.
        batch_rows: How many rows each batch of it has, but for the last.
        places: The places of the rows in it, in the order of sending.
        numbers: The numbers of the rows, in this order.
        findings: The findings of the whole table about them.
        earlier: What earlier runs recorded about them.
    """

    reader: pa.ipc.RecordBatchFileReader = field(repr=False)
    batch_rows: int
    places: npt.NDArray[np.int64] = field(repr=False)
    numbers: pl.Series = field(repr=False)
    findings: pl.DataFrame = field(repr=False)
    earlier: pl.DataFrame = field(repr=False)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.numbers)

    def rows(self) -> int:
        """Return how many rows there are."""
        return self.count

    def chunks(self, rows: int = 50_000) -> Generator[pl.DataFrame]:
        """Yield the rows with their numbers, in order, in frames of at most this many rows."""
        for start in range(0, self.count, rows):
            places = self.places[start : start + rows]
            needed, batch = np.unique(places // self.batch_rows, return_inverse=True)
            frame = pl.DataFrame(pa.Table.from_batches(map(self.reader.get_batch, needed.tolist())))
            yield frame[batch * self.batch_rows + places % self.batch_rows].rechunk()


@contextmanager
def spooled(chunks: Iterable[pa.Table], *, plan: PlanSettings) -> Iterator[SpooledTable]:
    """Write the rows of a partition to a file, and sort them if they have a column `AT`."""
    with _unnamed_file() as file:
        spool = _Spool(file, plan)
        for chunk in chunks:
            spool.add(chunk)
        yield spool.table()


class _Spool:
    """Writes rows to a file in runs, each of which is sorted."""

    def __init__(self, file: IO[bytes], plan: PlanSettings) -> None:
        self._file = file
        self._plan = plan
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._run: list[pl.DataFrame] = []
        self._run_bytes = 0
        self._batch_rows = 0  # depends on the rows of the first run
        self._rest: list[pl.DataFrame] = []  # rows that do not fill a batch yet
        self._keys = [pl.DataFrame(schema={AT: pl.Int64(), ROW: pl.Int64()})]
        self._count = 0
        self._notes: list[Note] = []
        self._findings = [FINDING_SCHEMA.to_frame()]
        self._earlier = [EARLIER_SCHEMA.to_frame()]

    def add(self, chunk: pa.Table) -> None:
        """Add the rows of a chunk, and what its columns beside the user's contain."""
        if not chunk.num_rows:
            return
        rows, notes = read_chunk(chunk, self._plan.schema)
        self._notes += (note for note in notes if note.severity == "reject")
        if (findings := findings_of_chunk(chunk)) is not None:
            self._findings.append(findings.select(FINDING_SCHEMA.names()))
        if (earlier := listed(chunk, EARLIER)) is not None:
            self._earlier.append(earlier.select(EARLIER_SCHEMA.names()).cast(EARLIER_SCHEMA))
        if AT in chunk.column_names:
            times = pl.Series(AT, chunk[AT])
        else:
            times = pl.int_range(self._count, self._count + rows.height, eager=True).alias(AT)
        self._count += rows.height
        self._run.append(rows.with_columns(times))
        self._run_bytes += int(rows.estimated_size())
        if self._run_bytes >= SORTED_BYTES:
            self._end_run()

    def _end_run(self) -> None:
        """Sort the rows of a run, and write them."""
        run = pl.concat(self._run).sort(AT, ROW)
        self._batch_rows = self._batch_rows or max(1, run.height * BATCH_BYTES // self._run_bytes)
        self._run, self._run_bytes = [], 0
        self._keys.append(run.select(AT, ROW))
        rows = pl.concat([*self._rest, run.drop(AT)])
        full = rows.height - rows.height % self._batch_rows
        if full:
            self._write(rows.head(full))
        self._rest = [rows.slice(full)]

    def _write(self, rows: pl.DataFrame) -> pa.ipc.RecordBatchFileWriter:
        # Not the newest types: a batch of views of texts has the texts of all rows in it.
        table = rows.rechunk().to_arrow()
        self._writer = self._writer or pa.ipc.new_file(self._file, table.schema)
        self._writer.write_table(table, max_chunksize=self._batch_rows or None)
        return self._writer

    def table(self) -> SpooledTable:
        """Return all rows in order."""
        if self._run:
            self._end_run()
        empty = self._plan.schema.to_frame()
        self._write(pl.concat(self._rest) if self._rest else empty).close()
        self._file.flush()
        self._file.seek(0)
        keys = pl.concat(self._keys)
        places = np.lexsort((keys[ROW].to_numpy(), keys[AT].to_numpy()))
        return SpooledTable(
            lazy=empty.lazy(),
            eager=empty,
            label="partition",
            json_columns=self._plan.json_columns,
            notes=tuple(self._notes),
            reader=pa.ipc.open_file(self._file),
            batch_rows=self._batch_rows,
            places=places,
            numbers=keys[ROW].gather(places).rename("row"),
            findings=pl.concat(self._findings),
            earlier=pl.concat(self._earlier),
        )


@contextmanager
def _unnamed_file() -> Iterator[IO[bytes]]:
    """Open a file without a name in a local directory of the executor.

    The system deletes it however this process ends.
    """
    places = [place for place in os.environ.get("SPARK_LOCAL_DIRS", "").split(",") if place]
    where = next((place for place in places if Path(place).is_dir()), None)
    with tempfile.TemporaryFile(dir=where) as file:
        yield file
