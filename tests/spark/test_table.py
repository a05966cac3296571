"""Rows of Spark frames, and functions over their chunks."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from cio_frames.errors import ColumnNamesError, ColumnNotFoundError, MissingLibraryError
from cio_frames.frames import ROW
from cio_frames.spark import is_spark, map_chunks, read_spark
from cio_frames.spark.chunks import chunks_of, require_polars
from cio_frames.spark.table import PLACE_BITS, first_after


def _rows(chunks: Iterator[pa.Table]) -> Iterable[pl.DataFrame]:
    return (pl.DataFrame(chunk.select(["id", ROW])) for chunk in chunks)


@pytest.mark.parametrize("more", ["id AS n", "map('n', id) AS maps"])
def test_rows_are_numbered_from_0_through_all_partitions(spark: Any, more: str) -> None:
    """Each row has a number of its own, from 0 on, which is the same in every job, as row and in chunks."""
    frame = spark.range(1_000).repartition(5).selectExpr("id", more)
    table = read_spark(frame)
    once = dict(map(tuple, table.frame.select("id", ROW).collect()))
    schema = pl.Schema({"id": pl.Int64(), ROW: pl.Int64()})
    again = dict(map(tuple, map_chunks(table.chunks, _rows, schema=schema, rows=99).collect()))
    assert table.original.drop(ROW).schema.simpleString() == frame.schema.simpleString()
    assert is_spark(frame)
    assert sorted(once.values()) == list(range(1_000))
    assert once == again
    assert table.rows == 1_000


def test_order_by_tells_the_order(spark: Any) -> None:
    """Rows are numbered in the order of the columns that are named."""
    table = read_spark(spark.range(100).repartition(4), order_by=("id",))
    assert all(row["id"] == row[ROW] for row in table.frame.collect())


@pytest.mark.parametrize("sizes", [[], [0], [3], [0, 3, 0, 2], [5, 5], [1, 0, 0, 9], [4, 1, 7]])
def test_the_first_rows_are_told_by_the_numbers_of_spark(sizes: list[int]) -> None:
    """As many rows as asked for have smaller numbers of Spark's own, or all where there are fewer."""
    numbers = [(part << PLACE_BITS) + n for part, size in enumerate(sizes) for n in range(size)]
    starts = [0, *accumulate(sizes)]
    for count in range(1, 15):
        end = first_after(count, starts=starts)
        assert sum(number < end for number in numbers) == min(count, len(numbers))


@pytest.mark.parametrize(
    ("columns", "order_by", "error"),
    [("id as __row__", (), ColumnNamesError), ("id", ("at",), ColumnNotFoundError)],
)
def test_a_wrong_call_raises(spark: Any, columns: str, order_by: Any, error: Any) -> None:
    """A name that is taken, and a column that is missing, are told."""
    with pytest.raises(error):
        read_spark(spark.range(3).selectExpr(columns), order_by=order_by)


def _sizes(chunks: Iterator[pa.Table]) -> Iterable[pl.DataFrame]:
    yield pl.DataFrame({"rows": [chunk.num_rows for chunk in chunks]}, schema={"rows": pl.Int64})


def test_a_function_gets_the_chunks_of_each_partition(spark: Any) -> None:
    """A function of chunks runs on each partition, and its results are rows of Spark."""
    frame = spark.range(0, 1_000, 1, 2)
    found = map_chunks(frame, _sizes, schema=pl.Schema({"rows": pl.Int64()}), rows=300)
    assert sorted(row["rows"] for row in found.collect()) == [200, 200, 300, 300]


def test_an_executor_needs_the_polars_of_the_driver() -> None:
    """With another version identifiers have other numbers, so nothing is done, and it is told what to install."""
    require_polars(pl.__version__)
    with pytest.raises(MissingLibraryError, match=r"pip install 'polars==1\.0\.0'"):
        require_polars("1.0.0")


@pytest.mark.parametrize(
    ("batches", "rows", "sizes"),
    [
        ([], 3, []),
        ([0], 3, []),
        ([1, 1], 3, [2]),
        ([7], 3, [3, 3, 1]),
        ([2, 2, 2], 3, [3, 3]),
        ([5, 0, 4], 4, [4, 4, 1]),
    ],
)
def test_batches_are_cut_to_chunks(batches: list[int], rows: int, sizes: list[int]) -> None:
    """However many rows a batch has, chunks have as many as asked for, and the last the rest."""
    made = [pa.record_batch({"n": pa.array(range(size), pa.int64())}) for size in batches]
    assert [chunk.num_rows for chunk in chunks_of(iter(made), rows=rows)] == sizes
