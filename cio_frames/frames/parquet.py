"""Scan Parquet files piece by piece, so that memory does not depend on how a file was written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from math import ceil
from types import MappingProxyType
from typing import Any

import polars as pl

from cio_frames.errors import InputFileError
from cio_frames.frames import csv
from cio_frames.frames.csv_layout import check_header
from cio_frames.frames.remote import Remote, is_address

PIECE_ROWS = 125_000
PIECE_BYTES = 64 << 20
"""The most rows, and uncompressed bytes, that are read at once. polars decodes whole row groups, and
pandas writes groups of a million rows: larger groups are read in parts, although for each part polars
looks at what comes before it. One piece is read while another one is processed."""

SMALL_ROWS = 50_000
"""Smaller row groups are read together."""


def scan(
    paths: Sequence[str],
    *,
    ids: Sequence[str],
    remotes: Mapping[str, Remote] = MappingProxyType({}),
) -> tuple[pl.LazyFrame, tuple[pl.LazyFrame, ...]]:
    """Return a lazy frame over the files, and the same rows in pieces.

    `remotes` are the files in a bucket, by their addresses.

    Raises:
        InputFileError: If a file is damaged, or the files do not have the same columns.
    """
    lazies = {path: _lazy(path, remotes.get(path)) for path in paths}
    schemas = {path: _schema(path, lazy) for path, lazy in lazies.items()}
    texts = id_texts(paths[0], require_same_schema(schemas), ids)
    options = next((remote.options for remote in remotes.values()), None)
    frame = pl.scan_parquet(list(paths), glob=False, storage_options=_as_dict(options))
    pieces = (
        lazy.slice(start, rows).with_columns(texts)
        for path, lazy in lazies.items()
        for start, rows in pieces_of(_row_groups(path, remotes.get(path)))
    )
    return frame.with_columns(texts), tuple(pieces)


def _lazy(path: str, remote: Remote | None) -> pl.LazyFrame:
    options = _as_dict(remote.options if remote else None)
    return pl.scan_parquet(path, glob=False, storage_options=options)


def _as_dict(options: Mapping[str, str] | None) -> Any:
    """Return the options of a bucket as the type that polars takes."""
    return dict(options) if options else None


def require_same_schema(
    schemas: Mapping[str, Mapping[str, pl.DataType]],
) -> Mapping[str, pl.DataType]:
    """Return the common schema of all files.

    Raises:
        InputFileError: A file has other columns than the first.
    """
    first_path, first = next(iter(schemas.items()))
    for path, schema in schemas.items():
        if schema != first:
            differing = sorted({name for name, _ in schema.items() ^ first.items()})
            raise InputFileError(
                path,
                problem=f"its columns differ from {first_path} ({', '.join(differing) or 'order'})",
                hint="Scan the files one by one, or write them with one schema.",
            )
    return first


def id_texts(path: str, schema: Mapping[str, pl.DataType], ids: Sequence[str]) -> list[pl.Expr]:
    """Return expressions that convert integer identifiers to text.

    Raises:
        InputFileError: A name is not a column.
    """
    for name in ids:
        if name not in schema:
            raise csv.unknown_column(path, name, list(schema))
    return [pl.col(name).cast(pl.String) for name in ids if schema[name].is_integer()]


def pieces_of(groups: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the first row and the number of rows of each piece of a file.

    `groups` are the rows and uncompressed bytes of each row group.

    Examples:
        >>> list(pieces_of([(20_000, 1), (20_000, 1), (100_000, 1), (300_000, 1)]))
        [(0, 40000), (40000, 100000), (140000, 100000), (240000, 100000), (340000, 100000)]
        >>> list(pieces_of([(10_000, 100 << 20)]))
        [(0, 5000), (5000, 5000)]
    """
    start = piece_rows = piece_bytes = 0
    for rows, size in groups:
        parts = max(ceil(rows / PIECE_ROWS), ceil(size / PIECE_BYTES)) if rows else 0
        is_full = piece_rows + rows > SMALL_ROWS or piece_bytes + size > PIECE_BYTES
        if piece_rows and (parts > 1 or is_full):
            yield start, piece_rows
            start, piece_rows, piece_bytes = start + piece_rows, 0, 0
        if parts > 1:
            step = ceil(rows / parts)
            yield from (
                (start + offset, min(step, rows - offset)) for offset in range(0, rows, step)
            )
            start += rows
        else:
            piece_rows, piece_bytes = piece_rows + rows, piece_bytes + size
    if piece_rows:
        yield start, piece_rows


def _schema(path: str, lazy: pl.LazyFrame) -> dict[str, pl.DataType]:
    try:
        schema = lazy.collect_schema()
    except pl.exceptions.DuplicateError as error:
        raise InputFileError(
            path, problem="has a column name twice", hint="Write it again with unique names."
        ) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise _damaged(path) from (None if is_address(path) else error)
    check_header(path, list(schema))
    return dict(schema)


def _row_groups(path: str, remote: Remote | None) -> list[tuple[int, int]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(BytesIO(remote.footer()) if remote else path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path) from error
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [(group.num_rows, group.total_byte_size) for group in groups]


def _damaged(path: str) -> InputFileError:
    return InputFileError(
        path,
        problem="is incomplete or damaged: its footer cannot be read",
        hint="Copy or export it again.",
    )
