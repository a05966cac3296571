"""Rows of Spark frames, and functions over their chunks."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import cio_frames as cio
from cio_frames.errors import (
    ColumnNamesError,
    ColumnNotFoundError,
    MissingLibraryError,
    UnsupportedFrameError,
)
from cio_frames.frames import ROW
from cio_frames.spark import is_spark, map_chunks, read_spark
from cio_frames.spark.chunks import chunks_of, require_polars
from cio_frames.spark.identity import HASH
from cio_frames.spark.order import COMPONENT
from cio_frames.spark.reading import FINDINGS
from cio_frames.spark.spool import AT, EARLIER
from cio_frames.spark.table import PLACE_BITS, first_after, require_names


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


def test_rows_are_in_the_order_of_order_by(spark: Any) -> None:
    """Rows are numbered in the order of these columns."""
    table = read_spark(spark.range(100).repartition(4), order_by=("id",))
    assert all(row["id"] == row[ROW] for row in table.frame.collect())


def test_columns_may_have_any_name(spark: Any, tmp_path: Path) -> None:
    """Names with dots, blanks and backticks are read, ordered by, checked, sampled and sent as they are."""
    names = ["user.id", "a b", "c`d", "e.f`", "sent at"]
    rows = [(f"u{n % 2}", n, None if n else "x", {"k.k": n}, n) for n in (2, 1, 0)]
    frame = spark.createDataFrame(rows, "a string, b int, c string, d map<string, int>, e int")
    frame = frame.toDF(*names)
    plan = cio.frame(frame, order_by=("a b", "c`d")).identify(user_id="user.id")
    local = pl.DataFrame(sorted(rows, key=lambda row: row[1]), schema=names, orient="row")
    messages = [message["traits"] for message in plan.payloads(3)]
    assert messages == [
        message["traits"] for message in local.cio.identify(user_id="user.id").payloads(3)
    ]
    assert plan.counts["valid"] == plan.sample().counts["valid"] == 3
    assert plan.rejected.columns == [*names, "reasons"]
    with cio.sandbox() as workspace:
        run = plan.send(workspace.client(), audit=tmp_path, progress=False)
        assert run.counts["delivered"] == 3
    assert run.failed().columns[:5] == names


def test_a_stream_is_refused_with_what_to_do(spark: Any) -> None:
    """A streaming frame has no end, so it is refused; the error names foreachBatch."""
    stream = spark.readStream.format("rate").load()
    with pytest.raises(UnsupportedFrameError, match="foreachBatch"):
        read_spark(stream)


def test_rejected_and_failed_rows_are_the_users(spark: Any, tmp_path: Path) -> None:
    """Rows that were not sent have the user's columns and values, maps too; added columns never have a taken name."""
    frame = spark.range(4).selectExpr(
        "IF(id < 3, concat('u', id), NULL) AS user", "map('n', id) AS maps", "id AS row",
        "'DE' AS State", "'mine' AS reasons", "date'2026-01-02' AS reasons_",
    )  # fmt: skip
    plan = cio.frame(frame, order_by="row").track(
        event=cio.lit("Seen"), user_id="user", properties=["State"]
    )
    rejected = plan.rejected
    assert rejected.columns == [*frame.columns, "reasons__"]
    (row,) = rejected.collect()
    assert row["reasons__"] == "id.missing"
    assert tuple(row)[:6] == tuple(frame.collect()[3])
    with cio.sandbox() as workspace:
        run = plan.send(workspace.client(), audit=tmp_path, progress=False)
    failed = run.failed()
    assert failed.columns == [*frame.columns, "row_", "state_", "code", "error"]
    assert tuple(failed.collect()[0])[:-1] == (*tuple(row)[:6], 3, "rejected_local", "id.missing")


def test_columns_of_the_package_have_reserved_names() -> None:
    """A user's column cannot have the name of one that the package adds; the error says what to do."""
    assert all(name.startswith(ROW) for name in (AT, COMPONENT, EARLIER, FINDINGS, HASH))
    require_names(["id", "row", "_row_", "a__row__"])
    with pytest.raises(ColumnNamesError, match=r"withColumnRenamed\('__ROW__at'") as caught:
        require_names(["id", "__ROW__at", COMPONENT])
    assert caught.value.names == ("__ROW__at", COMPONENT)


TYPES = {
    "boolean": "IF(id = 1, NULL, id = 0)",
    "tinyint": "CAST(-id AS TINYINT)",
    "smallint": "CAST(id + 300 AS SMALLINT)",
    "int": "CAST(id + 70000 AS INT)",
    "bigint": "id + 9007199254740993",
    "float": "CAST(id + 0.1 AS FLOAT)",
    "double": "id / 7",
    "not a number": "IF(id = 0, DOUBLE('NaN'), DOUBLE('-Infinity'))",
    "decimal": "CAST(id + 0.10 AS DECIMAL(10, 2))",
    "widest decimal": "CAST(concat(id, '12345678901234567890.123456789') AS DECIMAL(38, 9))",
    "string": "IF(id = 1, '', repeat('é', 3 * CAST(id AS INT)))",
    "char": "CAST(id AS CHAR(3))",
    "varchar": "CAST(id AS VARCHAR(9))",
    "long string": "repeat('x', 5000 + CAST(id AS INT))",
    "binary": "CAST(concat('\\0', id) AS BINARY)",
    "date": "DATE '1899-12-31' + CAST(id AS INT)",
    "timestamp": "TIMESTAMP '1969-12-31 23:59:59.999999 UTC' + make_interval(0, 0, 0, 0, 0, 0, id)",
    "timestamp without a zone": "TIMESTAMP_NTZ '2024-03-31 02:30:00.123456' + make_interval(0, 0, 0, 0, id)",
    "day-time interval": "make_dt_interval(-id, 2, 3, 4.000005)",
    "array": "IF(id = 0, array(), array(id, NULL))",
    "array of arrays": "array(array('a', NULL), NULL, array())",
    "struct": "IF(id = 0, NULL, named_struct('a', id, 'b', CAST(NULL AS STRING)))",
    "struct in an array": "array(named_struct('at', TIMESTAMP '2024-01-02 03:04:05 UTC', 'd', 1.5))",
    "null": "NULL",
    "null in a struct": "named_struct('a', NULL)",
    "map": "map(CONCAT('k', id), id)",
    "map in a struct": "named_struct('m', map('k', 1.5), 'n', NULL)",
    "struct without fields": "struct()",
}
"""Expressions by the name of their type. The last three are not packed."""


@pytest.mark.slow
def test_values_of_all_types_come_out_of_their_pieces(spark: Any) -> None:
    """The rows of a table are the user's own, value by value and type by type, packed or not."""
    for names in ([*TYPES][:-3], ["struct", *[*TYPES][-3:]]):
        columns = [f"{TYPES[name]} AS `{name}`" for name in names]
        frame = spark.range(0, 3, 1, 2).selectExpr("id", *columns)
        table = read_spark(frame)
        assert ("piece" in table.chunks.columns) == ("map" not in names)
        assert table.original.drop(ROW).schema == frame.schema
        own = [row.asDict(recursive=True) for row in frame.orderBy("id").collect()]
        rows = table.original.orderBy(ROW).drop(ROW).collect()
        for row, other in zip(rows, own, strict=True):
            values = row.asDict(recursive=True)
            assert {name: repr(values[name]) for name in values} == {
                name: repr(other[name]) for name in other
            }
        table.persisted.unpersist()


@pytest.mark.parametrize("sizes", [[], [0], [3], [0, 3, 0, 2], [5, 5], [1, 0, 0, 9], [4, 1, 7]])
def test_the_first_rows_have_smaller_numbers_of_spark(sizes: list[int]) -> None:
    """As many rows as wanted have smaller numbers of Spark's own, or all if there are fewer."""
    numbers = [(part << PLACE_BITS) + n for part, size in enumerate(sizes) for n in range(size)]
    starts = [0, *accumulate(sizes)]
    for count in range(1, 15):
        end = first_after(count, starts=starts)
        assert sum(number < end for number in numbers) == min(count, len(numbers))


@pytest.mark.parametrize(
    ("columns", "order_by", "error"),
    [
        ("id AS __row__", (), ColumnNamesError),
        (f"id AS {EARLIER}", (), ColumnNamesError),
        ("id AS `__Row__x`", (), ColumnNamesError),
        ("id", ("at",), ColumnNotFoundError),
    ],
)
def test_a_wrong_call_raises(spark: Any, columns: str, order_by: Any, error: Any) -> None:
    """Names that the package keeps for its own columns are refused, and so is a missing column."""
    with pytest.raises(error):
        read_spark(spark.range(3).selectExpr(columns), order_by=order_by)


def _sizes(chunks: Iterator[pa.Table]) -> Iterable[pl.DataFrame]:
    yield pl.DataFrame({"rows": [chunk.num_rows for chunk in chunks]}, schema={"rows": pl.Int64})


def test_a_function_gets_the_chunks_of_each_partition(spark: Any) -> None:
    """A function of chunks runs on each partition, and its results are rows of Spark."""
    frame = spark.range(0, 1_000, 1, 2)
    sizes = map_chunks(frame, _sizes, schema=pl.Schema({"rows": pl.Int64()}), rows=300)
    assert sorted(row["rows"] for row in sizes.collect()) == [200, 200, 300, 300]


def test_an_executor_needs_the_polars_of_the_driver() -> None:
    """With another version identifiers have other numbers, so nothing is done; the error has what to install."""
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
    """However many rows a batch has, chunks have as many as wanted, and the last has the rest."""
    made = [pa.record_batch({"n": pa.array(range(size), pa.int64())}) for size in batches]
    assert [chunk.num_rows for chunk in chunks_of(iter(made), rows=rows)] == sizes
