"""Rows of a Spark frame, all of one person in one partition, and there in an order that is known.

Spark promises no order of rows: a frame read from files comes as its splits were packed, and what stands
above what in a list is not told to a cluster. So the order of rows is, of these, the first there is:

1. the columns of `order_by`; rows that are equal in all of them stay as Spark read them;
2. the time of the call, rows without one last, since they count as happening when they arrive;
3. the order in which Spark read them, which `__row__` numbers.

The third is as good as none. It is enough where no order matters: rows of different people, events, which
are recorded each by itself, and rows that say the same. It is refused where a state would depend on it:
where rows about one person, of which at least one sets a state, differ, and neither `order_by` nor the time
tells which comes first.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa

from cio_frames.errors import ColumnNamesError, RowOrderError
from cio_frames.frames import ROW
from cio_frames.mapping import MessageMapping, lane_key, numbered, subjects
from cio_frames.plan.chunks import rows_at_once
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spark.chunks import chunks_of, in_arrow, map_chunks
from cio_frames.spark.components import (
    columns_of,
    of_identifiers,
    prepared,
    signed,
    with_columns_of,
)
from cio_frames.spark.failures import spark_failures
from cio_frames.spark.table import SparkTable
from cio_frames.spark.types import quoted
from cio_frames.spec import EVENT_CALLS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COMPONENT: Final = "__component__"
"""Column of the smallest number that a row's person is connected with; null where a row names nobody."""

_KEY, _AT, _SAID = (f"{ROW}{name}" for name in ("key", "at", "said"))
_LAST: Final = 2**63 - 1
"""The time of rows without one: they count as happening when they arrive."""

_DECISIVE: Final = pl.Schema(
    {"key": pl.Int64(), "at": pl.Int64(), "row": pl.Int64(), "said": pl.Int64(), "sets": pl.Int64()}
)


def in_order(
    table: SparkTable,
    pipeline: Pipeline,
    *,
    partitions: int,
    components: "DataFrame | None",
) -> "DataFrame":
    """Return the rows, those of one component in one partition, in the order in which they are sent.

    The partition of a row is `pmod(hash(component), partitions)`, which is also Spark's number of it. So
    the same table gives the same partitions on every run, whatever the cluster, with one version of
    polars: that numbers the identifiers. Rows that name nobody are spread over all.

    Ask `require_order` first.

    Args:
        table: The rows.
        pipeline: The pipeline of their sample.
        partitions: How many partitions there are.
        components: What `components` returns for this table; Spark still keeps it.

    Returns:
        All columns of the table, and `__component__`.
    """
    frame = table.frame
    marked = _marked(table, pipeline.mapping)
    whose = f"`{_KEY}`"
    if components is not None:
        owners = components.selectExpr(f"key AS `{_KEY}`", f"component AS `{COMPONENT}`")
        marked = marked.join(owners, on=_KEY, how="left")
        whose = f"coalesce(`{COMPONENT}`, `{_KEY}`)"
    own = [quoted(name) for name in frame.columns]
    spread = f"coalesce({whose}, `{ROW}`) AS `{_KEY}`"
    labelled = marked.selectExpr(*own, f"{whose} AS `{COMPONENT}`", f"`{_AT}`", spread)
    placed = labelled.repartition(partitions, _KEY).sortWithinPartitions(_AT, ROW)
    return placed.drop(_KEY, _AT)


@spark_failures("the order of rows was looked at")
def require_order(
    table: SparkTable,
    pipeline: Pipeline,
    *,
    components: "DataFrame | None",
    sets_state: bool | None = None,
) -> None:
    """Raise if rows cannot be put in order: a state depends on it, and nothing tells it.

    Only calls whose rows can set a state are read for it, and only without `order_by`.

    Args:
        table: The rows.
        pipeline: The pipeline of their sample.
        components: What `components` returns for this table.
        sets_state: Whether an event sets a state; without, the rows are read for it.

    Raises:
        RowOrderError: Rows about one person differ, and nothing tells which comes first.
        ColumnNamesError: A column is called `__component__`.
    """
    if COMPONENT in table.frame.columns:
        raise ColumnNamesError(
            [COMPONENT], problem="The name is taken", hint="Rename the column before sending."
        )
    call, mapping = pipeline.mapping.call, pipeline.mapping
    if table.order_by or call.name in EVENT_CALLS[1:]:  # pages and screens set no state
        return
    is_event = call.name == "track"
    if is_event and sets_state is False:
        return
    found = _decisive_rows(table, mapping)
    if is_event and sets_state is None and not found.where("sets = 1").take(1):
        return
    if components is not None:
        found = found.join(components, on="key", how="left")
    whose = "key" if components is None else "coalesce(component, key) AS key"
    told_apart = found.where("key IS NOT NULL").selectExpr(
        whose, "at", "sets", "said", "said AS other", "row", "row AS last"
    )
    most = {"sets": "max", "said": "min", "other": "max", "row": "min", "last": "max"}
    groups = told_apart.groupBy("key", "at").agg(most)
    unordered = groups.where("`max(sets)` = 1 AND `min(said)` < `max(other)`")
    rows = "min(struct(`min(row)` AS first, `max(last)` AS last)) AS rows"
    (told,) = unordered.selectExpr("count(*) AS cases", rows).collect()
    if told["cases"]:
        raise RowOrderError(
            call.name,
            cases=told["cases"],
            rows=(told["rows"]["first"], told["rows"]["last"]),
            has_time=mapping.find("timestamp") is not None,
        )


def _decisive_rows(table: SparkTable, mapping: MessageMapping) -> "DataFrame":
    """Return whom each row is about, when, a hash of all that is sent of it, and whether it sets a state."""
    columns = [quoted(name) for name in columns_of(mapping, table.sample.schema().names())]
    said = f"xxhash64(to_json(struct({', '.join(columns)})))" if columns else "0L"
    few = of_identifiers(mapping, "timestamp", "event")
    rows = with_columns_of(table, few, f"{said} AS `{_SAID}`")
    decisive = partial(_decisive, mapping=few, schema=table.sample.schema())
    return map_chunks(rows, decisive, schema=_DECISIVE, rows=rows_at_once(table.sample))


def _decisive(
    chunks: Iterator[pa.Table], *, mapping: MessageMapping, schema: pl.Schema
) -> Iterable[pl.DataFrame]:
    for chunk in chunks:
        said = pl.Series("said", chunk[_SAID])
        rows = prepared(chunk, mapping, schema)
        sets = subjects(mapping).is_not_null().cast(pl.Int64)
        marks = _marks(mapping, key="key", at="at")
        yield rows.select(pl.col(ROW).alias("row"), *marks, said, sets.alias("sets"))


def _marks(mapping: MessageMapping, *, key: str, at: str) -> tuple[pl.Expr, pl.Expr]:
    """Return whose order a row keeps, as a number with a sign, and its time."""
    field = mapping.find("timestamp")
    time = pl.lit(None, pl.Int64) if field is None else pl.col(field.utc_column).dt.epoch("us")
    return signed(numbered(lane_key(mapping))).alias(key), time.fill_null(_LAST).alias(at)


def _marked(table: SparkTable, mapping: MessageMapping) -> "DataFrame":
    """Return the rows and two columns more, whose order they keep and when they are."""
    from pyspark.sql.types import LongType, StructField, StructType

    few = of_identifiers(mapping, *([] if table.order_by else ["timestamp"]))
    more = [StructField(name, LongType()) for name in (_KEY, _AT)]
    chunk_rows, given = rows_at_once(table.sample), table.frame.schema.fields
    whole = table.sample.schema()
    schema = pl.Schema({name: whole[name] for name in columns_of(few, whole.names())})
    marking = partial(_with_marks, mapping=few, schema=schema, rows=chunk_rows)
    return in_arrow(table.frame, marking, StructType([*given, *more]))


def _with_marks(
    batches: Iterator[pa.RecordBatch], *, mapping: MessageMapping, schema: pl.Schema, rows: int
) -> Iterator[pa.RecordBatch]:
    for chunk in chunks_of(batches, rows=rows):
        found = prepared(chunk, mapping, schema)
        marks = found.select(pl.col(ROW), *_marks(mapping, key=_KEY, at=_AT))
        marked = chunk
        for name in (_KEY, _AT):
            marked = marked.append_column(name, marks[name].to_arrow())
        yield from marked.to_batches()
