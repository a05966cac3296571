"""What executors are given of a plan, and the chunks of Spark as rows that it is about."""

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

FINDINGS = "__findings__"
"""The column with what the whole table shows of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """What makes the pipeline of a plan on an executor; unlike a table, it can travel."""

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
        """Return the settings of a pipeline, as of now."""
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
        """Return the pipeline of rows in memory; of none without."""
        eager = self.schema.to_frame() if rows is None else rows
        return self.of_table(Table(lazy=eager.lazy(), eager=eager, json_columns=self.json_columns))

    def of_table(self, table: Table) -> Pipeline:
        """Return the pipeline of a table of this machine."""
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

    Notes name rows by their numbers, and say nothing of how many they are: that is known of all chunks.

    Raises:
        FrameError: A column is not of the type that it has in the first rows.
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
    """Return whether values are of a type, in whatever time zone: Spark names one in two ways."""
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


def known_findings(chunk: pa.Table) -> pl.DataFrame | None:
    """Return what the whole table shows of the rows of a chunk; None if nothing is said of any."""
    if FINDINGS not in chunk.column_names:
        return None
    found = pl.DataFrame(chunk.select([ROW, FINDINGS])).rename({ROW: "row"}).drop_nulls()
    flat = found.explode(FINDINGS, empty_as_null=False).unnest(FINDINGS)
    return flat.cast(FINDING_SCHEMA)
