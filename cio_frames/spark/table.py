"""A Spark frame whose rows are numbered, and its first rows read as any other table."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cio_frames.errors import ColumnNotFoundError
from cio_frames.frames import ROW, Note, Table, read
from cio_frames.frames.column import check_names
from cio_frames.spark.failures import spark_failures
from cio_frames.spark.types import quoted, reading, require_types

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SAMPLE_ROWS = 1_000
"""Rows that names, types and proposals are taken from, and that examples are shown of."""

PLACE_BITS = 33
"""How many bits of Spark's own row numbers are the place within a partition; those above are the partition."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SparkTable:
    """A user's Spark frame. Its rows are numbered from 0, in the order of its partitions.

    Attributes:
        frame: `__row__` and the user's columns as they are read: maps are structs or JSON. Spark keeps
            it, so that a row has the same number in every job.
        original: The same rows with the columns of the user.
        sample: The first rows.
        rows: How many rows there are.
        persisted: The frame that Spark keeps.
        order_by: The columns that decide the order of rows; may be empty.
    """

    frame: "DataFrame" = field(repr=False)
    original: "DataFrame" = field(repr=False)
    sample: Table
    rows: int
    persisted: "DataFrame" = field(repr=False)
    order_by: tuple[str, ...] = ()


@spark_failures("the frame was read")
def read_spark(frame: Any, *, order_by: Sequence[str] = ()) -> SparkTable:
    """Return a Spark frame with numbered rows. Spark counts the rows of each partition.

    Args:
        frame: A frame of a classic session or of Spark Connect.
        order_by: Columns that decide the order of rows. Without them rows are numbered as Spark reads
            them; it guarantees that order for a single file only.

    Raises:
        ColumnNamesError: Names are doubled, or `__row__`.
        ColumnTypeError: A column has a type that means nothing outside Spark.
        ColumnNotFoundError: A column of `order_by` is missing.
    """
    check_names(frame.columns)
    require_types(frame.schema)
    for name in order_by:
        if name not in frame.columns:
            raise ColumnNotFoundError(name, argument="order_by", available=tuple(frame.columns))
    ordered = frame.orderBy(*order_by) if order_by else frame
    numbered = ordered.selectExpr(f"monotonically_increasing_id() AS `{ROW}`", "*").persist()
    partition = f"shiftright(`{ROW}`, {PLACE_BITS})"
    counted = numbered.selectExpr(f"{partition} AS part").groupBy("part").count().collect()
    sizes = {row["part"]: row["count"] for row in counted}
    parts = max(sizes, default=-1) + 1
    starts = [0, *accumulate(sizes.get(part, 0) for part in range(parts))]
    original = _counted_from(numbered, starts=starts)
    read_as = reading(frame, of=numbered)
    read_rows = original.selectExpr(quoted(ROW), *read_as.columns)
    first = numbered.where(f"{quoted(ROW)} < {first_after(SAMPLE_ROWS, starts=starts)}")
    sampled = _counted_from(first, starts=starts).selectExpr(quoted(ROW), *read_as.columns)
    return SparkTable(
        frame=read_rows,
        original=original,
        persisted=numbered,
        sample=_sample(sampled, json=read_as.json),
        rows=starts[-1],
        order_by=tuple(order_by),
    )


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


def _counted_from(numbered: "DataFrame", *, starts: Sequence[int]) -> "DataFrame":
    """Return rows numbered from 0 across all partitions, given the first number of each."""
    own = [name for name in numbered.columns if name != ROW]
    names = [quoted(name) for name in own]
    listed = ", ".join(f"{start}L" for start in starts)
    partition, mask = f"int(shiftright(`{ROW}`, {PLACE_BITS}))", (1 << PLACE_BITS) - 1
    row = f"array({listed})[{partition}] + (`{ROW}` & {mask}L) AS `{ROW}`"
    return numbered.selectExpr(row, *names)


def to_arrow(frame: "DataFrame") -> pa.Table:
    """Return the rows of a small frame."""
    if hasattr(type(frame), "toArrow"):
        return frame.toArrow()
    unchecked: Any = frame
    batches = unchecked._collect_as_arrow()  # noqa: SLF001 - 3.5 has no public name for it
    if batches:
        return pa.Table.from_batches(batches)
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(frame.schema).empty_table()
