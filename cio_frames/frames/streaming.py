"""Lazy frames read with little of them in memory, however large they are."""

import os
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from threading import RLock

import polars as pl

from cio_frames.frames.column import ROW

MORSEL_ROWS = 2_000
"""Rows that the engine works on at once. Left alone it takes 100,000, and keeps dozens of such
morsels under way where rows leave more slowly than they can be read."""

BATCH_ROWS = 10_000
"""Rows that it hands over at once."""

CSV_BYTES = 1_000_000
"""Bytes of a CSV file that the engine reads at once; left alone, many more in a large file."""

_CSV_SETTING = "POLARS_CSV_CHUNK_SIZE"  # has no function in polars, as the size of a morsel has
_LOCK = RLock()


@contextmanager
def low_memory() -> Iterator[None]:
    """Let the engine keep little in memory in the queries that start here, one at a time.

    The settings are those of the whole process; the engine reads them when a query starts.
    """
    with _LOCK, pl.Config(streaming_chunk_size=MORSEL_ROWS):
        before = os.environ.get(_CSV_SETTING)
        os.environ[_CSV_SETTING] = str(CSV_BYTES)
        try:
            yield
        finally:
            if before is None:
                del os.environ[_CSV_SETTING]
            else:
                os.environ[_CSV_SETTING] = before


def collect_streaming(lazy: pl.LazyFrame) -> pl.DataFrame:
    """Return what a lazy frame gives, without holding what it is made from."""
    with low_memory():
        return lazy.collect(engine="streaming")


def stream(lazy: pl.LazyFrame) -> Generator[pl.DataFrame]:
    """Yield a lazy frame's batches in order, of about `BATCH_ROWS`, without holding them all.

    Raises:
        PanicException: The engine panicked. It ends the batches then as if there were no more rows;
            that a row added after all others did not come gives it away.
    """
    with warnings.catch_warnings():
        # polars marks this method unstable; batches are cut again, so only its name matters here
        warnings.simplefilter("ignore", pl.exceptions.UnstableWarning)
        # A scan or a filter in it gives whole row groups, dozens of them, unless a step comes after it.
        stepped = lazy.with_row_index(ROW)
        last = pl.LazyFrame({ROW: [None]}, schema={ROW: pl.get_index_type()})
        with low_memory():
            batches = pl.concat([stepped, last], how="diagonal").collect_batches(
                chunk_size=BATCH_ROWS, maintain_order=True, engine="streaming"
            )
            first = next(batches, None)  # until then the engine may not have asked
    is_last = False
    for batch in chain([] if first is None else [first], batches):
        is_last = bool(batch[ROW].null_count())
        yield batch.head(batch.height - is_last).drop(ROW)
    if not is_last:
        raise pl.exceptions.PanicException("the engine panicked before the last row")
