"""Rows in pieces, and the rows of a partition in order."""

from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.errors import FrameError
from cio_frames.frames import ROW
from cio_frames.spark import packing, spool
from cio_frames.spark.packing import PIECES, packed, packed_in_order, partition_of, unpacked
from cio_frames.spark.reading import PlanSettings
from cio_frames.spark.spool import AT, spooled
from tests.spark.plans import local_events, local_plan

ROWS = 300


def numbered(rows: int = ROWS) -> pa.Table:
    """Return events with row numbers."""
    return local_events(rows).with_row_index(ROW).cast({ROW: pl.Int64}).to_arrow()


def test_partitions_of_numbers_are_those_of_spark(spark: Any) -> None:
    """A number has the partition that Spark gives it, whatever its sign and size."""
    keys = [0, 1, -1, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63), *(7**n for n in range(20))]
    frame = spark.createDataFrame([(key,) for key in keys], "key bigint")
    for partitions in (1, 3, 1_000):
        place = f"pmod(hash(key), {partitions}) AS place"
        places = dict(map(tuple, frame.selectExpr("key", place).collect()))
        numbers = partition_of(np.array(keys), partitions).tolist()
        assert dict(zip(keys, numbers, strict=True)) == places


@given(
    seed=st.integers(0, 1 << 32),
    partitions=st.integers(1, 9),
    piece=st.sampled_from([100, 4_096]),
    most=st.sampled_from([1, 1 << 26]),
)
def test_rows_come_out_of_their_pieces(seed: int, partitions: int, piece: int, most: int) -> None:
    """All rows of a partition are in its pieces, each once, whatever the order of the pieces."""
    rows, random = numbered(), np.random.default_rng(seed)
    numbers = random.integers(-9, 9, ROWS)
    with patch.multiple(packing, PIECE_BYTES=piece, PACKED_BYTES=most):
        batches = packed(rows, keys=numbers, partitions=partitions)
        pieces = pa.Table.from_batches(batches)
        assert max(map(len, pieces["piece"].to_pylist())) <= piece
        places = partition_of(pieces["key"].to_numpy(), partitions)
        shuffled = random.permutation(pieces.num_rows)
        for part in range(partitions):
            own = pieces.take(shuffled[places[shuffled] == part])
            rows_out = unpacked(own.to_batches(7))
            numbers_out = [row for batch in rows_out for row in batch[ROW].to_pylist()]
            expected = np.flatnonzero(partition_of(numbers, partitions) == part)
            assert sorted(numbers_out) == expected.tolist()


def test_rows_that_follow_each_other_are_numbered_by_their_stream() -> None:
    """Rows without numbers are numbered from the number of their stream, and nothing else changes."""
    rows = numbered().slice(17)
    (pieces,) = packed_in_order(rows)
    assert pieces.schema == PIECES
    assert pieces["key"].unique().to_pylist() == [rows.num_rows]
    assert pa.Table.from_batches(unpacked([pieces])).cast(rows.schema).equals(rows)
    assert list(unpacked(rows.to_batches())) == rows.to_batches()
    with patch.object(packing, "PACKED_BYTES", 1_000):
        parts = list(packed_in_order(rows))
    assert len(parts) > 1
    assert pa.Table.from_batches(unpacked(parts)).cast(rows.schema).equals(rows)


@pytest.mark.parametrize("lost", [slice(0, 1), slice(-1, None)], ids=["first", "last"])
def test_a_piece_that_is_missing_is_an_error(lost: slice) -> None:
    """Rows are never lost in silence."""
    (pieces,) = packed_in_order(numbered())
    kept = pieces.take(np.delete(np.arange(pieces.num_rows), lost))
    with pytest.raises(FrameError, match="lost pieces"):
        list(unpacked([kept]))


def test_batches_of_pieces_are_small() -> None:
    """However many rows are packed at once, a batch has no more pieces than Spark may hold."""
    rows = numbered()
    with patch.multiple(packing, PIECE_BYTES=100, BATCH_PIECES=7):
        batches = list(packed_in_order(rows))
        assert {batch.num_rows for batch in batches[:-1]} == {7}
        assert pa.Table.from_batches(unpacked(batches)).cast(rows.schema).equals(rows)


def test_row_numbers_are_never_null() -> None:
    """The numbers that rows get when they leave their pieces cannot be null, as Spark's own."""
    batches = unpacked(packed_in_order(numbered()))
    assert not next(batches).schema.field(ROW).nullable


@pytest.mark.parametrize("characters", [10, 5_000])
def test_a_batch_of_the_file_is_small(characters: int) -> None:
    """A partition of long rows is read in batches of fewer rows than one of short rows."""
    rows = local_events(2_000).with_columns(event=pl.lit("x" * characters))
    chunk = rows.with_row_index(ROW).cast({ROW: pl.Int64}).to_arrow()
    with spooled([chunk], plan=PlanSettings.of(local_plan(rows))) as table:
        sizes = [table.reader.get_batch(n).nbytes for n in range(table.reader.num_record_batches)]
        assert max(sizes) < 2 * spool.BATCH_BYTES
        assert pl.concat(table.chunks(99)).drop(ROW).equals(rows)


@given(
    seed=st.integers(0, 1 << 32),
    most=st.sampled_from([1, 5_000, 1 << 26]),
    batch=st.sampled_from([1, 400, 1 << 20]),
)
def test_a_partition_is_in_the_order_of_its_times(seed: int, most: int, batch: int) -> None:
    """Rows are in the order of their times and numbers, also where there are too many to sort at once."""
    times = np.random.default_rng(seed).integers(0, 9, ROWS)
    rows = numbered().append_column(AT, pa.array(times))
    backwards = rows.take([*reversed(range(ROWS))])
    plan = PlanSettings.of(local_plan(local_events(1)))
    chunks = [backwards.slice(start, 40) for start in range(0, ROWS, 40)]
    expected = np.lexsort((np.arange(ROWS), times)).tolist()
    with (
        patch.multiple(spool, SORTED_BYTES=most, BATCH_BYTES=batch),
        spooled(chunks, plan=plan) as table,
    ):
        assert table.numbers.to_list() == expected
        rows_in_order = pl.concat(table.chunks(33))
    assert rows_in_order[ROW].to_list() == expected
    assert rows_in_order["n"].to_list() == expected
