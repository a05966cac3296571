"""Tables to Parquet bytes and back: small, and readable by any tool."""

import hashlib
import io
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import polars as pl

from cio_frames.audit.schema import ADDED, FORMAT, PART_SCHEMA, PLAN_SCHEMA
from cio_frames.errors import AuditCorruptError

if TYPE_CHECKING:
    import pyarrow as pa

_CONSTANTS = "cio_frames.constants"
_ROW_GROUP_ROWS = 1_000_000
_WRITE_BATCH_ROWS = 65_536
_TEXTS = ("run_id", "call", "state", "code", "error")
_REPEATED = (*_TEXTS, "lane", "batch", "http_status", "first_attempt_at", "finished_at")
_ENCODINGS = {
    "plan": "DELTA_BINARY_PACKED",
    "row": "DELTA_BINARY_PACKED",
    "bytes": "DELTA_BINARY_PACKED",
    "attempts": "DELTA_BINARY_PACKED",
    "message_id": "DELTA_LENGTH_BYTE_ARRAY",
    "payload_hash": "DELTA_LENGTH_BYTE_ARRAY",
    "person_key": "DELTA_LENGTH_BYTE_ARRAY",
}


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes.

    Examples:
        >>> digest(b"")[:8]
        'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def encode(frame: pl.DataFrame, *, schema: pl.Schema, run_id: str) -> bytes:
    """Return the Parquet file of `frame`, with the columns of `schema`.

    A part is encoded to be small, a plan to be fast: it is removed once its part is written, and most
    of it are ids and pseudonyms, which do not compress well.
    """
    import pyarrow as pa

    metadata = {"cio_frames.format": str(FORMAT), "cio_frames.run_id": run_id}
    if schema is PLAN_SCHEMA:  # its part releases the memory of both
        return _encode_plan(frame.select(schema.names()), metadata=metadata)
    try:
        return _encode_part(frame.select(schema.names()), metadata=metadata)
    finally:
        # Arrow's allocator keeps the memory of each thread, and parts are encoded on many threads.
        pa.default_memory_pool().release_unused()


def _encode_plan(frame: pl.DataFrame, *, metadata: dict[str, str]) -> bytes:
    """Return the file of a plan: columns with one value are stored as metadata."""
    constant_columns = [column.name for column in frame if _is_constant(column)]
    values = json.dumps({name: frame[name][0] for name in constant_columns})
    table = frame.drop(constant_columns).to_arrow(compat_level=pl.CompatLevel.oldest())
    return _write(
        table,
        metadata={**metadata, _CONSTANTS: values},
        compression="none",
        use_dictionary=[name for name in _TEXTS if name in table.column_names],
        write_statistics=False,
    )


def _encode_part(frame: pl.DataFrame, *, metadata: dict[str, str]) -> bytes:
    import pyarrow as pa

    columns = {name: _arrow_column(frame[name]) for name in frame.columns}
    repeated, encodings = [*_REPEATED], dict(_ENCODINGS)
    if _is_repetitive(frame["person_key"]):
        repeated.append("person_key")
        del encodings["person_key"]
    others = [name for name in columns if name not in repeated and name not in encodings]
    return _write(
        pa.table(columns),
        metadata=metadata,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeated,
        column_encoding=encodings | dict.fromkeys(others, "PLAIN"),
        write_statistics=["plan", "row", "state"],
    )


def _write(table: "pa.Table", *, metadata: dict[str, str], **options: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()  # a sink of Python would copy each chunk once more
    # Without Arrow's own schema every tool reads plain strings, whatever their type in the table.
    with pq.ParquetWriter(
        sink, table.schema, store_schema=False, write_batch_size=_WRITE_BATCH_ROWS, **options
    ) as writer:
        writer.write_table(table, row_group_size=_ROW_GROUP_ROWS)
        writer.add_key_value_metadata(metadata)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _arrow_column(column: pl.Series) -> "pa.Array":
    """Return a column for Parquet; a text that is the same in all rows is stored once."""
    import pyarrow as pa

    if not _is_constant(column):
        return column.to_arrow(compat_level=pl.CompatLevel.oldest())
    if column[0] is None:
        return pa.nulls(len(column), pa.string())
    indices = pl.repeat(0, len(column), dtype=pl.Int32, eager=True)
    # from a list, pyarrow would load pandas
    dictionary = column.head(1).to_arrow(compat_level=pl.CompatLevel.oldest())
    return pa.DictionaryArray.from_arrays(indices.to_arrow(), dictionary)


def _is_constant(column: pl.Series) -> bool:
    """Return whether a text is the same in all rows, as most except ids and pseudonyms are."""
    if column.dtype != pl.String or column.is_empty():
        return False
    if column.null_count():
        return column.null_count() == len(column)
    return bool(column[0] == column[-1] and (column == column[0]).all())


def decode(data: bytes, *, schema: pl.Schema, path: Path | str) -> pl.DataFrame:
    """Return the table in the bytes of a Parquet file.

    Raises:
        AuditCorruptError: If they are not a complete file with exactly this schema.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
        constants = json.loads((table.schema.metadata or {}).get(_CONSTANTS.encode(), "{}"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise AuditCorruptError(
            str(path),
            problem=f"not a complete Parquet file ({type(error).__name__})",
            hint="Restore it from a backup.",
        ) from None
    missing = constants.keys() | (ADDED - set(table.column_names))
    stored = pl.Schema({name: dtype for name, dtype in schema.items() if name not in missing})
    if not table.schema.remove_metadata().equals(_arrow_schema(tuple(stored.items()))):
        raise AuditCorruptError(
            str(path),
            problem="its columns are not those of an audit",
            hint="Remove the file if it does not belong here.",
        )
    frame: Any = pl.from_arrow(table, schema=stored)
    values = frame if isinstance(frame, pl.DataFrame) else stored.to_frame()
    if not missing:
        return values
    constant_values = (pl.lit(constants.get(name), schema[name]).alias(name) for name in missing)
    return values.with_columns(*constant_values).select(schema.names())


def scan_parts(parts: Sequence[bytes]) -> pl.LazyFrame:
    """Return the rows of several parts in order; files of an older format lack columns."""
    files: list[IO[bytes]] = [io.BytesIO(data) for data in parts]
    return pl.scan_parquet(files, schema=PART_SCHEMA, missing_columns="insert")


@cache
def _arrow_schema(columns: tuple[tuple[str, pl.DataType], ...]) -> "pa.Schema":
    """Return a schema of Arrow, with the plain strings that every tool reads."""
    import pyarrow as pa

    fields = pl.Schema(columns).to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    dtypes = [
        pa.string() if pa.types.is_large_string(field.type) else field.type for field in fields
    ]
    return pa.schema(list(zip(fields.names, dtypes, strict=True)))


def _is_repetitive(column: pl.Series) -> bool:
    """Return whether a dictionary would make the column smaller."""
    return 2 * column.n_unique() < len(column)
