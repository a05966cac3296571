"""Parquet files: read piece by piece, so that memory does not depend on how a file was written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil

import polars as pl

from cio_frames.errors import InputFileError
from cio_frames.frames import csv
from cio_frames.frames.csv_layout import check_header

PIECE_ROWS = 125_000
PIECE_BYTES = 64 << 20
"""The most rows, and unpacked bytes, that are read at once. A row group is decoded whole, and
pandas writes groups of a million rows: larger groups are read in parts, although each part costs
the engine a look at what comes before it. One piece is read while another one is worked on."""

SMALL_ROWS = 50_000
"""Smaller row groups are read together."""


def scan(
    paths: Sequence[str], *, ids: Sequence[str], types: Mapping[str, object]
) -> tuple[pl.LazyFrame, tuple[pl.LazyFrame, ...]]:
    """Return a lazy frame over the files, and the same in pieces.

    Raises:
        InputFileError: If a file is damaged, or the files do not have the same columns.
    """
    if types:
        raise InputFileError(
            paths[0],
            problem="Parquet has its own types, so types= does not apply",
            hint="Use cio.scan(path).cast({...}).",
        )
    schemas = {path: _schema(path) for path in paths}
    first = schemas[paths[0]]
    for path, schema in schemas.items():
        if schema != first:
            differing = sorted({name for name, _ in schema.items() ^ first.items()})
            raise InputFileError(
                path,
                problem=f"its columns differ from {paths[0]} ({', '.join(differing) or 'order'})",
                hint="Scan the files one by one, or write them with one schema.",
            )
    for name in ids:
        if name not in first:
            raise csv.unknown_column(paths[0], name, list(first))
    texts = [pl.col(name).cast(pl.String) for name in ids if first[name].is_integer()]
    frame = pl.scan_parquet(list(paths), glob=False).with_columns(texts)
    pieces = (
        pl.scan_parquet(path, glob=False).slice(start, rows).with_columns(texts)
        for path in paths
        for start, rows in cuts(_row_groups(path))
    )
    return frame, tuple(pieces)


def cuts(groups: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield first row and number of rows of each piece of a file.

    Args:
        groups: Rows and unpacked bytes of each row group.

    Examples:
        >>> list(cuts([(20_000, 1), (20_000, 1), (100_000, 1), (300_000, 1)]))
        [(0, 40000), (40000, 100000), (140000, 100000), (240000, 100000), (340000, 100000)]
        >>> list(cuts([(10_000, 100 << 20)]))
        [(0, 5000), (5000, 5000)]
    """
    start = held = weight = 0
    for rows, size in groups:
        parts = max(ceil(rows / PIECE_ROWS), ceil(size / PIECE_BYTES)) if rows else 0
        full = held + rows > SMALL_ROWS or weight + size > PIECE_BYTES
        if held and (parts > 1 or full):
            yield start, held
            start, held, weight = start + held, 0, 0
        if parts > 1:
            step = ceil(rows / parts)
            yield from ((start + at, min(step, rows - at)) for at in range(0, rows, step))
            start += rows
        else:
            held, weight = held + rows, weight + size
    if held:
        yield start, held


def _schema(path: str) -> dict[str, pl.DataType]:
    try:
        schema = pl.scan_parquet(path, glob=False).collect_schema()
    except pl.exceptions.DuplicateError as error:
        raise InputFileError(
            path, problem="has a column name twice", hint="Write it again with unique names."
        ) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise _damaged(path) from error
    check_header(path, list(schema))
    return dict(schema)


def _row_groups(path: str) -> list[tuple[int, int]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path) from error
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    return [(group.num_rows, group.total_byte_size) for group in groups]


def _damaged(path: str) -> InputFileError:
    return InputFileError(
        path,
        problem="is incomplete or damaged: its footer cannot be read",
        hint="Copy or export it again.",
    )
