"""A Spark frame whose rows are numbered, and its first rows read as any other table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from cio_frames.errors import ColumnNamesError, ColumnNotFoundError, UnsupportedFrameError
from cio_frames.frames import ROW, Note, Table, read
from cio_frames.frames.column import check_names
from cio_frames.plan.chunks import CHUNK_CELLS, CHUNK_ROWS
from cio_frames.spark.chunks import chunks_of, in_arrow
from cio_frames.spark.failures import spark_failures
from cio_frames.spark.packing import PIECES, PIECES_SQL, packed_in_order
from cio_frames.spark.types import (
    has_maps,
    has_required_fields,
    nullable,
    quoted,
    reading,
    require_types,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

SAMPLE_ROWS = 1_000
"""Rows that names, types and proposals are taken from, and that examples are shown of."""

PLACE_BITS = 33
"""How many bits of Spark's own row numbers are the place within a partition; those above are the partition."""

_OF_STREAMS = (
    "Send each of its batches: def send(batch, number): cio.frame(batch).track(...).send(client, ...), then "
    "df.writeStream.foreachBatch(send).start()."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class SparkTable:
    """A user's Spark frame. Its rows are numbered from 0, in the order of its partitions.

    Attributes:
        frame: `__row__` and the user's columns as they are read: maps are structs or JSON.
        chunks: The same rows for functions of chunks: in pieces, unless there are maps.
        original: The same rows with the columns of the user.
        sample: The first rows.
        rows: How many rows there are.
        persisted: The frame that Spark keeps, so that a row has the same number in every job.
        order_by: The columns that decide the order of rows; may be empty.
    """

    frame: "DataFrame" = field(repr=False)
    chunks: "DataFrame" = field(repr=False)
    original: "DataFrame" = field(repr=False)
    sample: Table
    rows: int
    persisted: "DataFrame" = field(repr=False)
    order_by: tuple[str, ...] = ()

    def with_rows(self, frame: "DataFrame") -> Self:
        """Return the table with other columns beside the user's."""
        return replace(self, frame=frame, chunks=frame)

    def matching(self, rows: "DataFrame") -> "DataFrame":
        """Return the user's rows whose numbers other rows have in `__row__`, with their other columns.

        A name that the table already has, in any case, gets a trailing underscore.
        """
        taken = {name.lower() for name in self.original.columns} - {ROW}
        names = []
        for name in rows.columns:
            while name.lower() in taken:
                name += "_"  # noqa: PLW2901 - until nothing has it
            taken.add(name.lower())
            names.append(name)
        return self.original.join(rows.toDF(*names), ROW).orderBy(ROW).drop(ROW)


@spark_failures("the frame was read")
def read_spark(frame: Any, *, order_by: Sequence[str] = ()) -> SparkTable:
    """Return a Spark frame with numbered rows. Spark counts the rows of each partition.

    Args:
        frame: A frame of a classic session or of Spark Connect.
        order_by: Columns that decide the order of rows. Without them rows are numbered as Spark reads
            them; it guarantees that order for a single file only.

    Raises:
        ColumnNamesError: Names are doubled, or begin with `__row__`.
        ColumnTypeError: A column has a type that means nothing outside Spark.
        ColumnNotFoundError: A column of `order_by` is missing.
        UnsupportedFrameError: The frame is a stream.
    """
    if frame.isStreaming:
        raise UnsupportedFrameError("A streaming Spark frame", hint=_OF_STREAMS)
    require_names(frame.columns)
    require_types(frame.schema)
    for name in order_by:
        if name not in frame.columns:
            raise ColumnNotFoundError(name, argument="order_by", available=tuple(frame.columns))
    ordered = frame.orderBy(*map(quoted, order_by)) if order_by else frame
    rows = ordered.selectExpr(f"monotonically_increasing_id() AS `{ROW}`", "*")
    # Python gets maps as SQL expressions make them, and these need rows.
    kept = (rows if has_maps(frame.schema) else _in_pieces(rows)).persist()
    starts = _starts(kept)
    chunks = _counted_from(kept, starts=starts)
    original = _as_rows(chunks, rows.schema)
    read_as = reading(frame, of=kept)
    read_rows = original.selectExpr(quoted(ROW), *read_as.columns)
    first = kept.where(f"{_number(kept)} < {first_after(SAMPLE_ROWS, starts=starts)}")
    sampled = _as_rows(_counted_from(first, starts=starts), rows.schema)
    sampled = sampled.where(f"{quoted(ROW)} < {SAMPLE_ROWS}")
    return SparkTable(
        frame=read_rows,
        chunks=chunks if _is_packed(chunks) else read_rows,
        original=original,
        persisted=kept,
        sample=_sample(sampled.selectExpr(quoted(ROW), *read_as.columns), json=read_as.json),
        rows=starts[-1],
        order_by=tuple(order_by),
    )


def require_names(names: Sequence[str]) -> None:
    """Raise if columns cannot be read, or could have the name of a column that this package adds.

    Those begin with `__row__`. Spark does not tell names by their case.

    Raises:
        ColumnNamesError: Names are doubled, not Unicode, or begin with `__row__`.
    """
    check_names(names)
    reserved = [name for name in names if name.lower().startswith(ROW)]
    if reserved:
        raise ColumnNamesError(
            reserved,
            problem=f"Column names that begin with {ROW}, which cio_frames keeps for its own",
            hint=f"Rename them: df.withColumnRenamed({reserved[0]!r}, ...).",
        )


def _in_pieces(rows: "DataFrame") -> "DataFrame":
    """Return numbered rows in pieces, whose key is how many rows their stream has."""
    at_once = max(1, min(CHUNK_ROWS, CHUNK_CELLS // len(rows.columns)))
    return in_arrow(rows, partial(_packed, rows=at_once), PIECES_SQL)


def _packed(batches: Iterator[pa.RecordBatch], *, rows: int) -> Iterator[pa.RecordBatch]:
    for chunk in chunks_of(batches, rows=rows):
        yield from packed_in_order(chunk)


def _is_packed(frame: "DataFrame") -> bool:
    return bool(frame.columns == PIECES.names)


def _as_rows(frame: "DataFrame", schema: "StructType") -> "DataFrame":
    """Return rows that may be in pieces as rows."""
    return in_arrow(frame, _unchanged, schema) if _is_packed(frame) else frame


def _unchanged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return batches  # `in_arrow` gives rows, whether they were in pieces or not


def _number(kept: "DataFrame") -> str:
    """Return the column of Spark's own row numbers: of the first row of a stream, if rows are in pieces."""
    return "`stream`" if _is_packed(kept) else quoted(ROW)


def _starts(kept: "DataFrame") -> list[int]:
    """Return how many rows come before each partition, and how many rows there are."""
    rows = "IF(`place` = 0, `key`, 0L)" if _is_packed(kept) else "1L"
    parts = kept.selectExpr(f"shiftright({_number(kept)}, {PLACE_BITS}) AS part", f"{rows} AS rows")
    sizes = dict(map(tuple, parts.groupBy("part").agg({"rows": "sum"}).collect()))
    count = max(sizes, default=-1) + 1
    return [0, *accumulate(sizes.get(part, 0) for part in range(count))]


def first_after(count: int, *, starts: Sequence[int]) -> int:
    """Return the number that Spark itself gave to the first row after this many rows.

    Spark skips kept batches by its own numbers, but not by numbers computed from them.
    """
    part = next((part for part, end in enumerate(starts[1:]) if end > count), len(starts) - 1)
    return (part << PLACE_BITS) + max(0, count - starts[part])


def _sample(rows: "DataFrame", *, json: frozenset[str]) -> Table:
    """Return the first rows, read as any other table."""
    first = to_arrow(rows).sort_by(ROW)
    table = read(first.drop_columns([ROW]))
    listed = ", ".join(map(repr, sorted(json)))
    note = Note(code="frame.json", message=f"Columns with maps are sent as JSON: {listed}.")
    return replace(
        table,
        library="spark",
        label="Spark frame",
        json_columns=table.json_columns | json,
        notes=(*table.notes, *((note,) if json else ())),
    )


def _counted_from(kept: "DataFrame", *, starts: Sequence[int]) -> "DataFrame":
    """Return rows numbered from 0 across all partitions, given the first number of each."""
    number = _number(kept)
    listed = ", ".join(f"{start}L" for start in starts)
    partition, mask = f"int(shiftright({number}, {PLACE_BITS}))", (1 << PLACE_BITS) - 1
    counted = f"array({listed})[{partition}] + ({number} & {mask}L) AS {number}"
    names = map(quoted, kept.columns)
    return kept.selectExpr(*(counted if name == number else name for name in names))


def to_arrow(frame: "DataFrame") -> pa.Table:
    """Return the rows of a small frame."""
    if has_required_fields(frame.schema):  # pyarrow cannot cast them in structs that are null
        frame = in_arrow(frame, _unchanged, nullable(frame.schema))
    if hasattr(type(frame), "toArrow"):
        return frame.toArrow()
    unchecked: Any = frame
    batches = unchecked._collect_as_arrow()  # noqa: SLF001 - 3.5 has no public name for it
    if batches:
        return pa.Table.from_batches(batches)
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(frame.schema).empty_table()
