"""Read lazy frames of any size with little memory."""

import os
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from threading import RLock

import polars as pl

from cio_frames.frames.column import ROW

MORSEL_ROWS = 2_000
"""Rows that polars processes at once. Its default is 100,000, and it keeps dozens of such morsels in
memory if they are used more slowly than it reads them."""

BATCH_ROWS = 10_000
"""Rows of one batch."""

CSV_BYTES = 1_000_000
"""Bytes of a CSV file that polars reads at once; by default many more in a large file."""

_CSV_SETTING = "POLARS_CSV_CHUNK_SIZE"  # polars has a function only for the size of a morsel
_LOCK = RLock()


@contextmanager
def low_memory() -> Iterator[None]:
    """Make polars use little memory in queries that start in this context, one at a time.

    The settings apply to the whole process; polars reads them when a query starts.
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
    """Collect a lazy frame without loading its sources into memory."""
    with low_memory():
        return lazy.collect(engine="streaming")


def stream(lazy: pl.LazyFrame) -> Generator[pl.DataFrame]:
    """Yield the batches of a lazy frame in order, of about `BATCH_ROWS`, without loading them all.

    Raises:
        PanicException: polars panicked. It then ends the batches as if there were no more rows, so a
            row is added at the end, and its absence shows the panic.
    """
    with warnings.catch_warnings():
        # polars marks this method as unstable
        warnings.simplefilter("ignore", pl.exceptions.UnstableWarning)
        # without a step after them, scans and filters return dozens of whole row groups at once
        numbered = lazy.with_row_index(ROW)
        last = pl.LazyFrame({ROW: [None]}, schema={ROW: pl.get_index_type()})
        with low_memory():
            batches = pl.concat([numbered, last], how="diagonal").collect_batches(
                chunk_size=BATCH_ROWS, maintain_order=True, engine="streaming"
            )
            first = next(batches, None)  # polars may read the settings only then
    is_last = False
    for batch in chain([] if first is None else [first], batches):
        is_last = bool(batch[ROW].null_count())
        yield batch.head(batch.height - is_last).drop(ROW)
    if not is_last:
        raise pl.exceptions.PanicException("the engine panicked before the last row")
