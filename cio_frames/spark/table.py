"""A Spark frame whose rows are numbered, and its first rows read as any other table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cio_frames.errors import ColumnNotFoundError
from cio_frames.frames import ROW, Table, read
from cio_frames.frames.column import check_names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SAMPLE_ROWS = 1_000
"""Rows that names, types and proposals are taken from, and that examples are shown of."""

PLACE_BITS = 33
"""Bits of Spark's own row numbers that tell the place within a partition; those above tell which."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SparkTable:
    """A user's Spark frame. Its rows are numbered from 0, in the order of its partitions.

    Attributes:
        frame: The user's columns and `__row__`. Spark keeps it, so that a row has the same number in
            every job.
        sample: The first rows.
        rows: How many rows there are.
        order_by: The columns that tell the order of the rows; empty if nothing does.
    """

    frame: "DataFrame" = field(repr=False)
    sample: Table
    rows: int
    order_by: tuple[str, ...] = ()


def is_spark(thing: object) -> bool:
    """Return whether something is a frame of Spark, of a classic session or of Spark Connect."""
    kinds = type(thing).__mro__
    return any(
        kind.__name__ == "DataFrame" and kind.__module__.startswith("pyspark.sql.")
        for kind in kinds
    )


def read_spark(frame: Any, *, order_by: Sequence[str] = ()) -> SparkTable:
    """Return a Spark frame with numbered rows. Spark counts the rows of each partition.

    Args:
        frame: A frame of a classic session or of Spark Connect.
        order_by: Columns that tell the order of the rows. Without them rows are numbered as Spark
            reads them, which it promises for nothing but a file.

    Raises:
        ColumnNamesError: Names are doubled, or `__row__`.
        ColumnNotFoundError: A column of `order_by` is missing.
    """
    check_names(frame.columns)
    for name in order_by:
        if name not in frame.columns:
            raise ColumnNotFoundError(name, argument="order_by", available=tuple(frame.columns))
    ordered = frame.orderBy(*order_by) if order_by else frame
    numbered = ordered.selectExpr(f"monotonically_increasing_id() AS `{ROW}`", "*").persist()
    partition = f"shiftright(`{ROW}`, {PLACE_BITS})"
    counted = numbered.selectExpr(f"{partition} AS part").groupBy("part").count().collect()
    sizes = {row["part"]: row["count"] for row in counted}
    starts, total = {}, 0
    for part in sorted(sizes):
        starts[part], total = total, total + sizes[part]
    sample = numbered.drop(ROW).limit(SAMPLE_ROWS)
    return SparkTable(
        frame=_counted_from(numbered, starts=starts),
        sample=read(_arrow(sample)),
        rows=total,
        order_by=tuple(order_by),
    )


def _counted_from(numbered: "DataFrame", *, starts: dict[int, int]) -> "DataFrame":
    """Return rows numbered through all partitions, each of which has its own first number."""
    own = [name for name in numbered.columns if name != ROW]
    names = [f"`{name.replace('`', '``')}`" for name in own]
    if not starts:
        return numbered
    pairs = ", ".join(f"{part}L, {start}L" for part, start in starts.items())
    partition, mask = f"shiftright(`{ROW}`, {PLACE_BITS})", (1 << PLACE_BITS) - 1
    row = f"map({pairs})[{partition}] + (`{ROW}` & {mask}L) AS `{ROW}`"
    return numbered.selectExpr(row, *names)


def _arrow(frame: "DataFrame") -> pa.Table:
    """Return the rows of a small frame."""
    if hasattr(type(frame), "toArrow"):
        return frame.toArrow()
    found: Any = frame
    return pa.Table.from_batches(found._collect_as_arrow())  # noqa: SLF001 - 3.5 has no public name for it
