"""Runs functions of polars frames over the partitions of a Spark frame, on the executors."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from cio_frames.errors import MissingLibraryError
from cio_frames.spark.packing import unpacked

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

_TYPES = {
    pl.Int64(): ("bigint", pa.int64()),
    pl.Float64(): ("double", pa.float64()),
    pl.Boolean(): ("boolean", pa.bool_()),
    pl.String(): ("string", pa.string()),
    pl.Binary(): ("binary", pa.binary()),
}
"""The types of results: their names in Spark's SQL, and Arrow's types."""

OfPartition = Callable[[Iterator[pa.Table]], Iterable[pl.DataFrame]]
"""Makes frames from the chunks of one partition."""


def map_chunks(
    frame: "DataFrame", function: OfPartition, *, schema: pl.Schema, rows: int
) -> "DataFrame":
    """Return the results of a function for each partition, as a lazy Spark frame.

    Args:
        frame: The rows, or pieces of them.
        function: Runs on the executors. It must be picklable with all that it refers to.
        schema: The columns of its results.
        rows: How many rows a chunk has.
    """
    columns = ", ".join(f"`{name}` {_TYPES[dtype][0]}" for name, dtype in schema.items())
    mapped = partial(_mapped, function=function, schema=schema, rows=rows)
    return in_arrow(frame, mapped, columns)


def in_arrow(
    frame: "DataFrame",
    function: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    schema: "StructType | str",
) -> "DataFrame":
    """Return the results of a function of the Arrow batches of each partition.

    Executors with another version of polars than the driver raise: identifiers would get other numbers
    there, and the rows of a person would be in several partitions.
    """
    own = partial(_with_same_polars, function=function, polars=pl.__version__, names=frame.columns)
    if any("." in name or "`" in name for name in frame.columns):
        # Spark takes a dot in a name for a part of a struct.
        frame = frame.toDF(*(f"column{place}" for place in range(len(frame.columns))))
    with warnings.catch_warnings():
        # Spark warns about new versions of pandas, which is not used here, and 3.5 about its own distutils.
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
        warnings.filterwarnings("ignore", message="distutils Version classes are deprecated")
        return frame.mapInArrow(own, schema)


def _with_same_polars(
    batches: Iterator[pa.RecordBatch],
    *,
    function: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    polars: str,
    names: Sequence[str],
) -> Iterator[pa.RecordBatch]:
    require_polars(polars)
    yield from function(unpacked(batch.rename_columns(names) for batch in batches))


def require_polars(version: str) -> None:
    """Raise unless an executor has the driver's version of polars.

    Raises:
        MissingLibraryError: It has another one.
    """
    if pl.__version__ != version:
        raise MissingLibraryError(
            f"the version of the driver, {version}",
            wanted=f"An executor with polars {pl.__version__}",
            install=f"'polars=={version}'",
        )


def _mapped(
    batches: Iterator[pa.RecordBatch], *, function: OfPartition, schema: pl.Schema, rows: int
) -> Iterator[pa.RecordBatch]:
    wanted = pa.schema([(name, _TYPES[dtype][1]) for name, dtype in schema.items()])
    for result in function(chunks_of(batches, rows=rows)):
        yield from result.match_to_schema(schema).to_arrow().cast(wanted).to_batches()


def chunks_of(batches: Iterable[pa.RecordBatch], *, rows: int) -> Iterator[pa.Table]:
    """Yield batches as tables of exactly this many rows; the last one may be shorter."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        while (count := sum(each.num_rows for each in waiting)) >= rows:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, rows)
            waiting = table.slice(rows, count - rows).to_batches() if count > rows else []
    if any(each.num_rows for each in waiting):
        yield pa.Table.from_batches(waiting)
