"""Scan Arrow IPC files. A stream is rewritten as a file, which polars reads piece by piece."""

from collections.abc import Sequence
from typing import Any, BinaryIO

import polars as pl

from cio_frames.errors import InputFileError
from cio_frames.frames.copies import copy
from cio_frames.frames.csv_layout import check_header
from cio_frames.frames.file_content import first_bytes, opened
from cio_frames.frames.parquet import id_texts, require_same_schema

FILE = b"ARROW1"


def scan(paths: Sequence[str], *, ids: Sequence[str]) -> pl.LazyFrame:
    """Return a lazy frame over the files.

    Raises:
        InputFileError: If a file is damaged, or the files do not have the same columns.
    """
    copies = {path: _in_file_format(path) for path in paths}
    schemas = {path: _schema(path, copy_path) for path, copy_path in copies.items()}
    first = require_same_schema(schemas)
    texts = id_texts(paths[0], first, ids)
    return pl.scan_ipc(list(copies.values()), glob=False).with_columns(texts)


def _in_file_format(path: str) -> str:
    """Return the path of the file, or of a copy if it is gzip or a stream."""
    import pyarrow as pa

    if first_bytes(path).startswith(FILE):
        with opened(path) as content:
            if content.name == path:
                return path
            return copy(path, lambda file: file.write(content.read()))
    try:
        with opened(path) as content, pa.ipc.open_stream(content) as reader:
            return copy(f"{path}.arrow", lambda file: _write(reader, file))
    except (pa.ArrowException, OSError, EOFError) as error:
        raise _damaged(path) from error


def _write(reader: Any, file: BinaryIO) -> None:
    import pyarrow as pa

    with pa.ipc.new_file(file, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def _schema(path: str, copy_path: str) -> dict[str, pl.DataType]:
    import pyarrow as pa

    try:
        with pa.memory_map(copy_path) as file, pa.ipc.open_file(file) as reader:
            names = reader.schema.names  # polars drops one of two columns with the same name
        schema = pl.scan_ipc(copy_path, glob=False).collect_schema()
    except (
        pa.ArrowException,
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        OSError,
    ) as error:
        raise _damaged(path) from error
    check_header(path, names)
    return dict(schema)


def _damaged(path: str) -> InputFileError:
    return InputFileError(
        path,
        problem="is cut off or damaged, or holds types that are not read from files",
        hint="Copy or export it again; cio.frame(pyarrow.feather.read_table(path)) reads all types.",
    )
