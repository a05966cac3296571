"""The connected components of identifiers in the rows of a Spark frame, computed on the executors.

The graph is that of a local plan: the same functions make its edges, for each chunk. Its components are
found in rounds of joins, by the alternating stars of Kiveris and others, Connected Components in MapReduce
and Beyond (2014): each identifier is linked to its smallest neighbour, from both sides in turn, until each
is linked to the smallest of its component.
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

_PAIRS: Final = pl.Schema({"key": pl.Int64(), "other": pl.Int64()})
_FIRST_BIT: Final = 1 << 63
_CONNECTED: Final = pl.Schema({"key": pl.Int64(), "component": pl.Int64()})
FEW_EDGES: Final = 200_000
"""Up to this many edges are connected by one task; each round of stars takes several stages."""

FIRST_ROUNDS: Final = 2
"""How many rounds the first query has; each later one has twice as many, since plans of kept rows are nested."""


@spark_failures("identifiers were connected")
def components(
    table: SparkTable, pipeline: Pipeline, *, known: pl.DataFrame | None = None
) -> "DataFrame | None":
    """Return the connected identifiers of the rows of a table; None if there are none.

    An identifier that is not in the result is connected with no other. If the call has no field for a
    second identifier, no row is read.

    Args:
        table: The rows.
        pipeline: The pipeline of their sample.
        known: An export of people; the identifiers of each person are connected.

    Returns:
        Columns `key` and `component`, the smallest number among those connected. Numbers are those of
        `mapping.numbered`, as the same 64 bits with a sign. Spark keeps the rows: call `unpersist()`
        when they are no longer needed.
    """
    if known is None and not linked_keys(pipeline.mapping):
        return None
    mapping = of_identifiers(pipeline.mapping)
    in_rows = partial(_pairs, mapping=mapping, schema=schema_of(mapping, table))
    pairs = map_chunks(table.chunks, in_rows, schema=_PAIRS, rows=rows_at_once(table.sample))
    if known is not None:
        one = table.frame.sparkSession.range(0, 1, 1, 1)
        of_people = partial(_constant_frame, frame=pairs_of_people(known))
        pairs = pairs.unionAll(map_chunks(one, of_people, schema=_PAIRS, rows=1))
    pairs = pairs.distinct().persist()
    edges = _edges(pairs).persist()
    connected_keys = connected(edges)
    edges.unpersist()
    pairs.unpersist()
    return connected_keys


def of_identifiers(mapping: MessageMapping, *others: str) -> MessageMapping:
    """Return a mapping with only the fields of identifiers.

    Args:
        mapping: The mapping of a call.
        others: Arguments of the call whose fields stay, too.
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
    """Return the columns that a mapping reads: all if it has an expression, which may read any."""
    if any(field.how == "expression" for field in mapping.fields):
        return list(available)
    used = {name for field in mapping.fields for name in field.expr.meta.root_names()}
    return [name for name in available if name in used]


def schema_of(mapping: MessageMapping, table: SparkTable) -> pl.Schema:
    """Return the types of the columns that a mapping reads."""
    schema = table.sample.schema()
    return pl.Schema({name: schema[name] for name in columns_of(mapping, schema.names())})


def prepare_chunk(chunk: pa.Table, mapping: MessageMapping, schema: pl.Schema) -> pl.DataFrame:
    """Return the row numbers of a chunk and one column per field.

    Args:
        chunk: The rows; columns that are not in the schema are ignored.
        mapping: Its fields become the columns.
        schema: The types of the table's columns.
    """
    own = pl.Schema({name: schema[name] for name in chunk.column_names if name in schema})
    rows = read_chunk(chunk, own)[0] if own else pl.DataFrame(chunk.select([ROW]))
    with computing(mapping):
        return mapping.prepare(rows)


def signed(number: pl.Expr) -> pl.Expr:
    """Return unsigned numbers as signed ones of the same 64 bits, since Spark has no others."""
    return number.reinterpret(signed=True)


_SIGNED_IN_ORDER: Final = signed(pl.all() ^ pl.lit(_FIRST_BIT, pl.UInt64))
"""Unsigned numbers as signed ones in the same order."""


def _pairs(
    chunks: Iterator[pa.Table], *, mapping: MessageMapping, schema: pl.Schema
) -> Iterable[pl.DataFrame]:
    """Yield the identifiers that rows address, alone and paired with each other identifier of the row."""
    for chunk in chunks:
        links = link_keys(prepare_chunk(chunk, mapping, schema), mapping)
        alone = links.keys.to_frame("key").with_columns(other=pl.lit(None, pl.UInt64))
        yield pl.concat([alone, links.pairs]).select(_SIGNED_IN_ORDER)


def pairs_of_people(known: pl.DataFrame) -> pl.DataFrame:
    """Return the identifiers of each person of an export in pairs, numbered like those of rows."""
    cio_ids = "cio_" + pl.col("cio_id")
    texts = known.select(
        other=pl.concat_list("id", "email", cio_ids, "anonymous_ids").list.drop_nulls()
    )
    pairs = texts.select(pl.col("other").list.first().alias("key"), "other").explode(
        "other", empty_as_null=False
    )
    numbers = pairs.select(numbered(pl.col(name).str.to_lowercase()) for name in _PAIRS)
    return numbers.filter(pl.col("key") != pl.col("other")).unique().select(_SIGNED_IN_ORDER)


def _constant_frame(_: Iterator[pa.Table], *, frame: pl.DataFrame) -> Iterable[pl.DataFrame]:
    return [frame]


def _edges(named: "DataFrame") -> "DataFrame":
    """Return the pairs that connect: the other is addressed by rows of its own, or has two owners.

    This is the rule of `identity.components.can_connect`. Each pair occurs once, the greater number first.
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
        edges: Columns `high` and `low`, each pair once, the greater number first. They are ordered like
            unsigned numbers, since their first bit is flipped. Spark keeps them.
        few: Up to this many edges are connected by one task.
    """
    count = edges.count()
    if not count:
        return None
    if count <= few:
        one = edges.repartition(1)
        components = map_chunks(one, _connected_at_once, schema=_CONNECTED, rows=count).persist()
        components.count()
        return components
    return _connected_in_rounds(edges)


def _connected_at_once(chunks: Iterator[pa.Table]) -> Iterable[pl.DataFrame]:
    """Yield the components of a whole graph, computed as in a local plan."""
    back = pl.all().reinterpret(signed=False) ^ pl.lit(_FIRST_BIT, pl.UInt64)
    for chunk in chunks:
        edges = pl.DataFrame(chunk).select("high", "low").select(back)
        nodes = pl.concat([edges["high"], edges["low"]]).unique()
        pairs = edges.rename({"high": "key", "low": "other"})
        alone = pl.DataFrame({"key": nodes, "other": nodes})  # each counts as addressed by rows
        yield local_components(pl.concat([pairs, alone])).select(signed(pl.all()))


def _connected_in_rounds(edges: "DataFrame") -> "DataFrame":
    """Return the components of a graph of any size, in rounds of stars."""
    stars, rounds = edges, FIRST_ROUNDS
    while _is_unfinished(stars):
        past = stars
        for _ in range(rounds):
            stars = _small_star(_large_star(stars))
        stars, rounds = stars.persist(), 2 * rounds
        stars.count()  # after this, `past` is not needed
        _unpersist(past, but=edges)
    lows = stars.selectExpr("low AS high", "low").distinct()
    flip = "shiftleft(1L, 63)"
    components = stars.unionAll(lows).selectExpr(
        f"high ^ {flip} AS key", f"low ^ {flip} AS component"
    )
    components = components.persist()
    components.count()
    _unpersist(stars, but=edges)
    return components


def _unpersist(frame: "DataFrame", *, but: "DataFrame") -> None:
    """Have Spark release a frame, unless the caller keeps it."""
    if frame is not but:
        frame.unpersist()


def _both_ways(edges: "DataFrame") -> "DataFrame":
    """Return each edge from both of its ends."""
    ends = "struct(high AS node, low AS other), struct(low AS node, high AS other)"
    return edges.selectExpr(f"inline(array({ends}))")


def _is_unfinished(edges: "DataFrame") -> bool:
    """Return whether a number is linked to two smaller ones, or to one that has a smaller one itself."""
    sides = _both_ways(edges).selectExpr(
        "node", "if(other < node, 1L, 0L) AS lower", "if(other > node, 1L, 0L) AS upper"
    )
    counted = sides.groupBy("node").agg({"lower": "sum", "upper": "sum"})
    loose = "`sum(lower)` > 1 OR (`sum(lower)` = 1 AND `sum(upper)` > 0)"
    return bool(counted.where(loose).take(1))


# Each star reads only one frame, since plans of Spark grow with every frame they refer to.
def _large_star(edges: "DataFrame") -> "DataFrame":
    """Return the large stars: greater neighbours are linked to the smallest neighbour."""
    around = "least(node, min(other) OVER (PARTITION BY node)) AS least"
    near = _both_ways(edges).selectExpr("node", "other", around)
    return near.where("other > node").selectExpr("other AS high", "least AS low")


def _small_star(edges: "DataFrame") -> "DataFrame":
    """Return the small stars: a number and its smaller neighbours are linked to the smallest."""
    below = edges.selectExpr("high", "low", "min(low) OVER (PARTITION BY high) AS least")
    return below.selectExpr("if(low = least, high, low) AS high", "least AS low").distinct()
