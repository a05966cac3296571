"""Lazy frames are read with little of them in memory, and the process is left as it was."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from cio_frames.frames import collect_streaming, read
from cio_frames.frames.streaming import BATCH_ROWS, CSV_BYTES, MORSEL_ROWS, stream

CSV = "POLARS_CSV_CHUNK_SIZE"
with pl.Config(streaming_chunk_size=7_777):
    MORSEL = next(name for name, value in os.environ.items() if value == "7777")
"""What the setting is called in the environment, which depends on the version of polars."""

ROWS = 1_000_000


def set_for_all():
    """Return the settings of the process that reading changes for a moment."""
    return os.environ.get(MORSEL), os.environ.get(CSV)


@pytest.fixture(params=[(None, None), ("777", "888")], ids=["unset", "the-users-own"])
def before(request):
    """Settings of the process, as a user may have made them."""
    morsel, csv = request.param
    with pl.Config(streaming_chunk_size=morsel and int(morsel)), pytest.MonkeyPatch.context() as to:
        if csv:
            to.setenv(CSV, csv)
        yield request.param


def lazy_with(seen):
    """Return a lazy frame that takes note of the rows which the engine has made, and its settings."""

    def noted(made):
        seen.append((made.height, *set_for_all()))
        return made

    return pl.LazyFrame({"n": range(ROWS)}).map_batches(noted, streamable=True)


def test_the_engine_makes_only_a_few_rows_ahead():
    """Where rows are taken slowly, the engine waits, instead of making most of the table."""
    seen = []
    chunks = read(lazy_with(seen)).chunks(BATCH_ROWS)

    next(chunks)
    time.sleep(0.5)  # all the time it wants
    made = sum(rows for rows, *_ in seen)

    assert max(rows for rows, *_ in seen) <= MORSEL_ROWS
    assert made <= ROWS / 10
    assert BATCH_ROWS + sum(chunk.height for chunk in chunks) == ROWS


@pytest.mark.parametrize(
    "take", [collect_streaming, lambda lazy: list(stream(lazy))], ids=["all", "batches"]
)
def test_settings_are_those_of_before(before, take):
    """A query starts with the settings of this package; then those of before are in force again."""
    seen = []

    take(lazy_with(seen))

    assert seen[0] == (MORSEL_ROWS, str(MORSEL_ROWS), str(CSV_BYTES))
    assert set_for_all() == before


def test_settings_are_those_of_before_where_a_query_fails(before):
    """A query that cannot be run changes nothing either."""
    failing = pl.LazyFrame({"a": ["x"]}).select(pl.col("a").cast(pl.Int64))

    for take in (collect_streaming, lambda lazy: list(stream(lazy))):
        with pytest.raises(pl.exceptions.InvalidOperationError):
            take(failing)

    assert set_for_all() == before


def test_frames_are_read_on_several_threads(before):
    """Readers on several threads get all their rows, in order, and leave the settings alone."""
    frames = [pl.LazyFrame({"n": range(start, start + 60_000)}) for start in range(8)]

    with ThreadPoolExecutor(4) as threads:
        columns = list(threads.map(lambda lazy: pl.concat(stream(lazy))["n"], frames))

    assert [column.to_list() for column in columns] == [
        list(range(start, start + 60_000)) for start in range(8)
    ]
    assert set_for_all() == before
