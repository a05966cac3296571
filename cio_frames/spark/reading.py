"""What executors get: the settings of a plan, chunks of rows, and small frames as bytes."""

import io
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Self

import polars as pl
import pyarrow as pa

from cio_frames.checks import Checks
from cio_frames.errors import FrameError
from cio_frames.frames import ROW, Note, Table, collect_streaming, read
from cio_frames.frames.column import NOTE_TEXTS, sentence_of
from cio_frames.mapping import MessageMapping
from cio_frames.plan.pipeline import Pipeline
from cio_frames.validation import FINDING_SCHEMA

FINDINGS = f"{ROW}findings"
"""The column with the findings of the whole table about a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """The settings of a plan, from which an executor makes its pipeline. They can be pickled."""

    schema: pl.Schema  # of the table as it is read
    json_columns: frozenset[str]
    mapping: MessageMapping
    steps: tuple[MessageMapping, ...]
    checks: Checks
    namespace: str
    now: datetime
    message_bytes: int
    batch_bytes: int

    @classmethod
    def of(cls, pipeline: Pipeline) -> Self:
        """Return the settings of a pipeline, with the time of its clock now."""
        return cls(
            schema=pipeline.table.schema(),
            json_columns=pipeline.table.json_columns,
            mapping=pipeline.mapping,
            steps=pipeline.steps,
            checks=pipeline.checks,
            namespace=pipeline.namespace,
            now=pipeline.clock(),
            message_bytes=pipeline.message_bytes,
            batch_bytes=pipeline.batch_bytes,
        )

    def pipeline(self, rows: pl.DataFrame | None = None) -> Pipeline:
        """Return the pipeline of rows in memory, or of an empty table."""
        eager = self.schema.to_frame() if rows is None else rows
        return self.of_table(Table(lazy=eager.lazy(), eager=eager, json_columns=self.json_columns))

    def of_table(self, table: Table) -> Pipeline:
        """Return the pipeline of a local table."""
        return Pipeline(
            table=table,
            mapping=self.mapping,
            steps=self.steps,
            checks=self.checks,
            namespace=self.namespace,
            clock=partial(_moment, self.now),
            message_bytes=self.message_bytes,
            batch_bytes=self.batch_bytes,
        )


def _moment(now: datetime) -> datetime:
    return now


def read_chunk(chunk: pa.Table, schema: pl.Schema) -> tuple[pl.DataFrame, tuple[Note, ...]]:
    """Return the rows of a chunk after their numbers, and the notes of their reader.

    Notes name rows by their numbers, and have no counts: these are sums over all chunks.

    Raises:
        FrameError: A column has another type than in the first rows.
    """
    numbers = pl.Series(ROW, chunk.column(ROW), dtype=pl.Int64)
    table = read(chunk.select(schema.names()))
    rows = collect_streaming(table.lazy)
    changed = [name for name, dtype in schema.items() if not _fits(rows.schema[name], dtype)]
    if changed:
        raise FrameError(
            f"Values of {', '.join(map(repr, changed))} are of another type than in the first rows. "
            "Cast these columns to text, numbers or times before the plan is made."
        )
    notes = tuple(
        replace(
            note,
            message=sentence_of(note.code, note.column or ""),
            rows=tuple(numbers.gather(list(note.rows))),
        )
        for note in table.notes
        if note.code in NOTE_TEXTS
    )
    return rows.cast(schema).insert_column(0, numbers), notes


def _fits(dtype: pl.DataType, wanted: pl.DataType) -> bool:
    """Return whether values have a type, in any time zone: Spark has two names for UTC."""
    return dtype == pl.Null or _in_utc(dtype) == _in_utc(wanted)


def _in_utc(dtype: Any) -> Any:
    match dtype:
        case pl.Datetime():
            return pl.Datetime(dtype.time_unit, dtype.time_zone and "UTC")
        case pl.List():
            return pl.List(_in_utc(dtype.inner))
        case pl.Struct():
            return pl.Struct({each.name: _in_utc(each.dtype) for each in dtype.fields})
        case _:
            return dtype


def to_bytes(frame: pl.DataFrame) -> bytes:
    """Return a small frame as bytes, in which Spark carries it."""
    target = io.BytesIO()
    frame.write_ipc_stream(target)
    return target.getvalue()


def from_bytes(state: bytes) -> pl.DataFrame:
    """Return the frame that `to_bytes` made bytes of."""
    return pl.read_ipc_stream(io.BytesIO(state))


def findings_of_chunk(chunk: pa.Table) -> pl.DataFrame | None:
    """Return the findings of the whole table about the rows of a chunk; None if the table has none."""
    findings = listed(chunk, FINDINGS)
    return None if findings is None else findings.cast(FINDING_SCHEMA)


def listed(chunk: pa.Table, column: str) -> pl.DataFrame | None:
    """Return the entries of a column of lists with their row numbers; None without such a column."""
    if column not in chunk.column_names:
        return None
    rows = pl.DataFrame(chunk.select([ROW, column])).rename({ROW: "row"}).drop_nulls()
    return rows.explode(column, empty_as_null=False).unnest(column)
