"""Rows in pieces, and the rows of a partition in order."""

from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        found = partition_of(np.array(keys), partitions).tolist()
        assert dict(zip(keys, found, strict=True)) == places


@given(
    seed=st.integers(0, 1 << 32),
    partitions=st.integers(1, 9),
    piece=st.sampled_from([100, 4_096]),
    most=st.sampled_from([1, 1 << 29]),
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
            found = [row for batch in unpacked(own.to_batches(7)) for row in batch[ROW].to_pylist()]
            expected = np.flatnonzero(partition_of(numbers, partitions) == part)
            assert sorted(found) == expected.tolist()


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


def test_a_piece_that_is_missing_is_an_error() -> None:
    """Rows are never lost in silence."""
    (pieces,) = packed_in_order(numbered())
    with pytest.raises(AssertionError, match="missing"):
        list(unpacked([pieces.slice(1)]))


@given(
    seed=st.integers(0, 1 << 32),
    most=st.sampled_from([1, 5_000, 1 << 26]),
    batch=st.sampled_from([7, 5_000]),
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
        patch.multiple(spool, SORTED_BYTES=most, BATCH_ROWS=batch),
        spooled(chunks, plan=plan) as table,
    ):
        assert table.numbers.to_list() == expected
        found = pl.concat(table.chunks(33))
    assert found[ROW].to_list() == expected
    assert found["n"].to_list() == expected
