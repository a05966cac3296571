"""Whose identifiers rows of a Spark frame name together, found where the rows are.

The graph is that of a local plan: the same functions name its identifiers, on each chunk. Its components
are found in rounds of joins, by the alternating stars of Kiveris and others, Connected Components in
MapReduce and Beyond (2014): each identifier is tied to the smallest one that it is next to, from both
sides in turn, until each knows the smallest of all.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa

from cio_frames.frames import ROW
from cio_frames.identity.components import components as local_components
from cio_frames.mapping import MessageMapping, computing, linked_keys, numbered
from cio_frames.mapping.identifiers import filled
from cio_frames.plan.chunks import rows_at_once
from cio_frames.plan.full_check import link_keys
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spark.chunks import map_chunks
from cio_frames.spark.failures import spark_failures
from cio_frames.spark.reading import read_chunk
from cio_frames.spark.table import SparkTable
from cio_frames.spark.types import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NAMED: Final = pl.Schema({"key": pl.Int64(), "other": pl.Int64()})
_FIRST_BIT: Final = 1 << 63
_CONNECTED: Final = pl.Schema({"key": pl.Int64(), "component": pl.Int64()})
FEW_EDGES: Final = 200_000
"""The most edges of a graph that one task connects by itself; each round of stars takes several stages."""

FIRST_ROUNDS: Final = 2
"""How many rounds are one query at first; then twice as many, as plans of kept rows grow inside each other."""


@spark_failures("identifiers were connected")
def components(
    table: SparkTable, pipeline: Pipeline, *, known: pl.DataFrame | None = None
) -> "DataFrame | None":
    """Return who is connected with whom by the rows of a table; None if nobody is.

    An identifier that is not in it is connected with none. If the call has no field that names a second
    identifier of somebody, no row is read for that.

    Args:
        table: The rows.
        pipeline: The pipeline of their sample.
        known: An export of people, who connect their own identifiers.

    Returns:
        Columns `key` and `component`, the smallest number among those connected. Numbers are those of
        `mapping.numbered`, as the same 64 bits with a sign. Spark keeps the rows: call `unpersist()`
        when they are no longer needed.
    """
    if known is None and not linked_keys(pipeline.mapping):
        return None
    mapping = of_identifiers(pipeline.mapping)
    rows = with_columns_of(table, mapping)
    named_together = partial(_named, mapping=mapping, schema=table.sample.schema())
    chunk_rows = rows_at_once(table.sample)
    named = map_chunks(rows, named_together, schema=_NAMED, rows=chunk_rows)
    if known is not None:
        one = table.frame.sparkSession.range(0, 1, 1, 1)
        told = map_chunks(one, partial(_always, frame=known_pairs(known)), schema=_NAMED, rows=1)
        named = named.unionAll(told)
    named = named.distinct().persist()
    edges = _edges(named).persist()
    found = connected(edges)
    edges.unpersist()
    named.unpersist()
    return found


def of_identifiers(mapping: MessageMapping, *others: str) -> MessageMapping:
    """Return a mapping with no more than it takes to tell whom rows name.

    Args:
        mapping: The mapping of a call.
        others: Arguments of the call whose fields stay as well.
    """
    if mapping.steps:  # a repair may need any field
        return mapping
    kept = {field.name for _, field in filled(mapping)}
    kept |= {field.name for field in mapping.fields if field.argument in others}
    return replace(mapping, fields=tuple(each for each in mapping.fields if each.name in kept))


def with_columns_of(table: SparkTable, mapping: MessageMapping, *others: str) -> "DataFrame":
    """Return the columns of a table that a mapping reads, the row numbers, and SQL expressions."""
    columns = map(quoted, columns_of(mapping, table.sample.schema().names()))
    return table.frame.selectExpr(f"`{ROW}`", *columns, *others)


def columns_of(mapping: MessageMapping, available: Sequence[str]) -> list[str]:
    """Return the columns that a mapping reads: all where it has an expression, which may name any."""
    if any(field.how == "expression" for field in mapping.fields):
        return list(available)
    used = {name for field in mapping.fields for name in field.expr.meta.root_names()}
    return [name for name in available if name in used]


def prepared(chunk: pa.Table, mapping: MessageMapping, schema: pl.Schema) -> pl.DataFrame:
    """Return the row number and one column per field of rows that Spark has.

    Args:
        chunk: The rows; columns that are in no schema are passed over.
        mapping: What the fields are made of.
        schema: The types of the table's columns.
    """
    own = pl.Schema({name: schema[name] for name in chunk.column_names if name in schema})
    rows = read_chunk(chunk, own)[0] if own else pl.DataFrame(chunk.select([ROW]))
    with computing(mapping):
        return mapping.prepare(rows)


def signed(number: pl.Expr) -> pl.Expr:
    """Return numbers of 64 bits without a sign as the same bits with one, which Spark has."""
    return number.reinterpret(signed=True)


_ORDERED: Final = signed(pl.all() ^ pl.lit(_FIRST_BIT, pl.UInt64))
"""Numbers with a sign, in the order of those without."""


def _named(
    chunks: Iterator[pa.Table], *, mapping: MessageMapping, schema: pl.Schema
) -> Iterable[pl.DataFrame]:
    """Yield the identifiers that rows of each chunk address, alone and with each other one named."""
    for chunk in chunks:
        links = link_keys(prepared(chunk, mapping, schema), mapping)
        alone = links.keys.to_frame("key").with_columns(other=pl.lit(None, pl.UInt64))
        yield pl.concat([alone, links.pairs]).select(_ORDERED)


def known_pairs(known: pl.DataFrame) -> pl.DataFrame:
    """Return the identifiers of each person of an export in pairs, numbered as those of rows are."""
    cio_ids = "cio_" + pl.col("cio_id")
    texts = known.select(
        other=pl.concat_list("id", "email", cio_ids, "anonymous_ids").list.drop_nulls()
    )
    pairs = texts.select(pl.col("other").list.first().alias("key"), "other").explode(
        "other", empty_as_null=False
    )
    numbers = pairs.select(numbered(pl.col(name).str.to_lowercase()) for name in _NAMED)
    return numbers.filter(pl.col("key") != pl.col("other")).unique().select(_ORDERED)


def _always(_: Iterator[pa.Table], *, frame: pl.DataFrame) -> Iterable[pl.DataFrame]:
    return [frame]


def _edges(named: "DataFrame") -> "DataFrame":
    """Return the pairs that connect: the other is addressed by rows of its own, or has two owners.

    It is the rule of `identity.components.can_connect`. Each pair stands once, the greater number first.
    """
    pairs = named.where("other IS NOT NULL")
    addressed = named.where("other IS NULL").selectExpr("key AS other", "2L AS times")
    times = addressed.unionAll(pairs.selectExpr("other", "1L AS times"))
    joining = times.groupBy("other").agg({"times": "sum"}).where("`sum(times)` >= 2")
    return (
        pairs.join(joining.select("other"), on="other")
        .selectExpr("greatest(key, other) AS high", "least(key, other) AS low")
        .distinct()
    )


def connected(edges: "DataFrame", *, few: int = FEW_EDGES) -> "DataFrame | None":
    """Return the components of a graph: each of its numbers, and the smallest it is connected with.

    Args:
        edges: Columns `high` and `low`, each pair once, the greater number first. Their order is that
            of the numbers without a sign, whose first bit is turned. Spark keeps them.
        few: The most edges that one task connects by itself.
    """
    count = edges.count()
    if not count:
        return None
    if count <= few:
        one = edges.repartition(1)
        found = map_chunks(one, _connected_at_once, schema=_CONNECTED, rows=count).persist()
        found.count()
        return found
    return _connected_in_rounds(edges)


def _connected_at_once(chunks: Iterator[pa.Table]) -> Iterable[pl.DataFrame]:
    """Yield the components of a whole graph, found as those of a local plan are."""
    back = pl.all().reinterpret(signed=False) ^ pl.lit(_FIRST_BIT, pl.UInt64)
    for chunk in chunks:
        edges = pl.DataFrame(chunk).select("high", "low").select(back)
        nodes = pl.concat([edges["high"], edges["low"]]).unique()
        pairs = edges.rename({"high": "key", "low": "other"})
        alone = pl.DataFrame(
            {"key": nodes, "other": nodes}
        )  # each counts, as one that rows address
        yield local_components(pl.concat([pairs, alone])).select(signed(pl.all()))


def _connected_in_rounds(edges: "DataFrame") -> "DataFrame":
    """Return the components of a graph of any size, in rounds of stars."""
    tied, rounds = edges, FIRST_ROUNDS
    while _is_loose(tied):
        past = tied
        for _ in range(rounds):
            tied = _tied_below(_tied_above(tied))
        tied, rounds = tied.persist(), 2 * rounds
        tied.count()  # nothing is made of the past ones from here on
        _release(past, but=edges)
    lows = tied.selectExpr("low AS high", "low").distinct()
    turned = "shiftleft(1L, 63)"
    found = tied.unionAll(lows).selectExpr(
        f"high ^ {turned} AS key", f"low ^ {turned} AS component"
    )
    found = found.persist()
    found.count()
    _release(tied, but=edges)
    return found


def _release(frame: "DataFrame", *, but: "DataFrame") -> None:
    """Let Spark forget the rows of a frame, unless it is one that the caller keeps."""
    if frame is not but:
        frame.unpersist()


def _both_ways(edges: "DataFrame") -> "DataFrame":
    """Return each edge from both of its ends."""
    ends = "struct(high AS node, low AS other), struct(low AS node, high AS other)"
    return edges.selectExpr(f"inline(array({ends}))")


def _is_loose(edges: "DataFrame") -> bool:
    """Return whether a number is tied to two below it, or to one that is tied itself."""
    sides = _both_ways(edges).selectExpr(
        "node", "if(other < node, 1L, 0L) AS lower", "if(other > node, 1L, 0L) AS upper"
    )
    counted = sides.groupBy("node").agg({"lower": "sum", "upper": "sum"})
    loose = "`sum(lower)` > 1 OR (`sum(lower)` = 1 AND `sum(upper)` > 0)"
    return bool(counted.where(loose).take(1))


# Each star has its edges from one frame alone: plans of Spark grow with every one that they name.
def _tied_above(edges: "DataFrame") -> "DataFrame":
    """Return the large stars: what is above a number is tied to the least around that number."""
    around = "least(node, min(other) OVER (PARTITION BY node)) AS least"
    near = _both_ways(edges).selectExpr("node", "other", around)
    return near.where("other > node").selectExpr("other AS high", "least AS low")


def _tied_below(edges: "DataFrame") -> "DataFrame":
    """Return the small stars: a number, and what is below it, are tied to the least below it."""
    below = edges.selectExpr("high", "low", "min(low) OVER (PARTITION BY high) AS least")
    return below.selectExpr("if(low = least, high, low) AS high", "least AS low").distinct()
