"""Puts all rows of a person into one partition, in a defined order.

Spark guarantees no order of rows: a frame that was read from files comes in the order in which the splits
were packed. So the order of rows is the first of these that exists:

1. the columns of `order_by`; rows that are equal in all of them stay as Spark read them;
2. the time of the call; rows without a time are last, since they count as happening when they arrive;
3. the order in which Spark read them, which `__row__` numbers.

The third means nothing. It is enough where no order matters: for rows of different people, for events,
which are recorded independently, and for equal rows. It is refused where a state would depend on it: where
rows about one person differ, at least one of them sets a state, and neither `order_by` nor the time decides
which comes first.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa

from cio_frames.errors import RowOrderError
from cio_frames.frames import ROW
from cio_frames.mapping import MessageMapping, lane_key, numbered, subjects
from cio_frames.plan.chunks import rows_at_once
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spark.chunks import chunks_of, in_arrow, map_chunks
from cio_frames.spark.components import (
    columns_of,
    of_identifiers,
    prepare_chunk,
    schema_of,
    signed,
    with_columns_of,
)
from cio_frames.spark.failures import spark_failures
from cio_frames.spark.packing import PIECES_SQL, packed
from cio_frames.spark.spool import AT
from cio_frames.spark.table import SparkTable
from cio_frames.spark.types import quoted
from cio_frames.spec import EVENT_CALLS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Mark = Callable[[pa.Table], pa.Table]
"""Adds columns to rows."""

COMPONENT: Final = f"{ROW}component"
"""The column of the smallest identifier connected with that of a row; null if the row has no identifier."""

_OWNER, _CONTENT = (f"{ROW}{name}" for name in ("owner", "content"))
_LAST: Final = 2**63 - 1
"""The time of rows without one: they count as happening when they arrive."""

_DECISIVE: Final = pl.Schema(
    {
        "key": pl.Int64(),
        "at": pl.Int64(),
        "row": pl.Int64(),
        "content": pl.Int64(),
        "sets": pl.Int64(),
    }
)


def in_order(
    table: SparkTable,
    pipeline: Pipeline,
    *,
    partitions: int,
    components: "DataFrame | None",
) -> "DataFrame":
    """Return the rows in pieces, those of one component in one partition; `spooled` sorts them there.

    The partition of a row is `pmod(hash(component), partitions)`, which is also Spark's number of it. So
    the same table gives the same partitions on every run, whatever the cluster, with one version of
    polars, which numbers the identifiers. Rows without an identifier are spread over all.

    Call `require_order` first.

    Args:
        table: The rows.
        pipeline: The pipeline of their sample.
        partitions: How many partitions there are.
        components: What `components` returns for this table, still kept by Spark.
    """
    if components is None:
        rows, mark = table.chunks, _marking(table, pipeline.mapping)
    else:
        rows, mark = with_components(table, pipeline, components=components), None
    packing = partial(_packed, mark=mark, rows=rows_at_once(table.sample), partitions=partitions)
    return in_arrow(rows, packing, PIECES_SQL).repartition(partitions, "key")


def with_components(
    table: SparkTable, pipeline: Pipeline, *, components: "DataFrame | None"
) -> "DataFrame":
    """Return the rows with two more columns: `COMPONENT` and `AT`, their time."""
    from pyspark.sql.types import LongType, StructField, StructType

    fields = [StructField(name, LongType()) for name in (COMPONENT, AT)]
    schema = StructType([*table.frame.schema.fields, *fields])
    mark = _marking(table, pipeline.mapping)
    marked = in_arrow(
        table.chunks, partial(_marked, mark=mark, rows=rows_at_once(table.sample)), schema
    )
    if components is None:
        return marked
    owners = components.selectExpr(f"key AS `{COMPONENT}`", f"component AS `{_OWNER}`")
    own = [quoted(name) for name in table.frame.columns]
    component = f"coalesce(`{_OWNER}`, `{COMPONENT}`) AS `{COMPONENT}`"
    return marked.join(owners, on=COMPONENT, how="left").selectExpr(*own, component, f"`{AT}`")


@spark_failures("the order of rows was checked")
def require_order(
    table: SparkTable,
    pipeline: Pipeline,
    *,
    components: "DataFrame | None",
    sets_state: bool | None = None,
) -> None:
    """Raise if a state depends on the order of rows, and nothing decides that order.

    Rows are only read if the call can set a state, and only without `order_by`.

    Args:
        table: The rows.
        pipeline: The pipeline of their sample.
        components: What `components` returns for this table.
        sets_state: Whether an event sets a state; if None, the rows are read for it.

    Raises:
        RowOrderError: Rows about one person differ, and nothing decides which comes first.
    """
    call, mapping = pipeline.mapping.call, pipeline.mapping
    if table.order_by or call.name in EVENT_CALLS[1:]:  # pages and screens set no state
        return
    is_event = call.name == "track"
    if is_event and sets_state is False:
        return
    rows = _decisive_rows(table, mapping)
    if is_event and sets_state is None and not rows.where("sets = 1").take(1):
        return
    if components is not None:
        rows = rows.join(components, on="key", how="left")
    whose = "key" if components is None else "coalesce(component, key) AS key"
    decisive = rows.where("key IS NOT NULL").selectExpr(
        whose, "at", "sets", "content", "content AS other", "row", "row AS last"
    )
    most = {"sets": "max", "content": "min", "other": "max", "row": "min", "last": "max"}
    groups = decisive.groupBy("key", "at").agg(most)
    unordered = groups.where("`max(sets)` = 1 AND `min(content)` < `max(other)`")
    example = "min(struct(`min(row)` AS first, `max(last)` AS last)) AS rows"
    (result,) = unordered.selectExpr("count(*) AS cases", example).collect()
    if result["cases"]:
        raise RowOrderError(
            call.name,
            cases=result["cases"],
            rows=(result["rows"]["first"], result["rows"]["last"]),
            has_time=mapping.find("timestamp") is not None,
        )


def _decisive_rows(table: SparkTable, mapping: MessageMapping) -> "DataFrame":
    """Return the identifier and time of each row, a hash of its contents, and whether it sets a state."""
    columns = [quoted(name) for name in columns_of(mapping, table.sample.schema().names())]
    content = f"xxhash64(to_json(struct({', '.join(columns)})))" if columns else "0L"
    few = of_identifiers(mapping, "timestamp", "event")
    rows = with_columns_of(table, few, f"{content} AS `{_CONTENT}`")
    decisive = partial(_read_decisive, mapping=few, schema=table.sample.schema())
    return map_chunks(rows, decisive, schema=_DECISIVE, rows=rows_at_once(table.sample))


def _read_decisive(
    chunks: Iterator[pa.Table], *, mapping: MessageMapping, schema: pl.Schema
) -> Iterable[pl.DataFrame]:
    for chunk in chunks:
        content = pl.Series("content", chunk[_CONTENT])
        rows = prepare_chunk(chunk, mapping, schema)
        sets = subjects(mapping).is_not_null().cast(pl.Int64)
        marks = _marks(mapping, key="key", at="at")
        yield rows.select(pl.col(ROW).alias("row"), *marks, content, sets.alias("sets"))


def _marks(
    mapping: MessageMapping, *, key: str, at: str, by_time: bool = True
) -> tuple[pl.Expr, pl.Expr]:
    """Return the number of a row's identifier, signed, and its time; one time for all without `by_time`."""
    field = mapping.find("timestamp") if by_time else None
    time = pl.lit(None, pl.Int64) if field is None else pl.col(field.utc_column).dt.epoch("us")
    return signed(numbered(lane_key(mapping))).alias(key), time.fill_null(_LAST).alias(at)


def _marking(table: SparkTable, mapping: MessageMapping) -> Mark:
    """Return a function that adds the number of their identifier, as `COMPONENT`, and their time to rows."""
    by_time = not table.order_by
    fields = of_identifiers(mapping, *(["timestamp"] if by_time else []))
    return partial(_with_marks, mapping=fields, schema=schema_of(fields, table), by_time=by_time)


def _with_marks(
    chunk: pa.Table, *, mapping: MessageMapping, schema: pl.Schema, by_time: bool
) -> pa.Table:
    rows = prepare_chunk(chunk, mapping, schema)
    for mark in rows.select(*_marks(mapping, key=COMPONENT, at=AT, by_time=by_time)):
        chunk = chunk.append_column(mark.name, mark.to_arrow())
    return chunk


def _marked(
    batches: Iterator[pa.RecordBatch], *, mark: Mark, rows: int
) -> Iterator[pa.RecordBatch]:
    for chunk in chunks_of(batches, rows=rows):
        yield from mark(chunk).to_batches()


def _packed(
    batches: Iterator[pa.RecordBatch], *, mark: Mark | None, rows: int, partitions: int
) -> Iterator[pa.RecordBatch]:
    for chunk in chunks_of(batches, rows=rows):
        marked = mark(chunk) if mark else chunk
        keys = pl.Series(marked[COMPONENT]).fill_null(pl.Series(marked[ROW])).to_numpy()
        yield from packed(marked.drop_columns([COMPONENT]), keys=keys, partitions=partitions)
