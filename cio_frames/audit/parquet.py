"""Tables to Parquet bytes and back: small, and readable by any tool."""

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cio_frames.audit.schema import ADDED, FORMAT, PART_SCHEMA, PLAN_SCHEMA
from cio_frames.errors import AuditCorruptError

if TYPE_CHECKING:
    import pyarrow as pa

_DICTIONARY = ("run_id", "call", "lane", "batch", "state", "code", "error")
_MOMENTS = ("http_status", "first_attempt_at", "finished_at")
_ENCODINGS = {
    "plan": "DELTA_BINARY_PACKED",
    "row": "DELTA_BINARY_PACKED",
    "bytes": "DELTA_BINARY_PACKED",
    "attempts": "DELTA_BINARY_PACKED",
    "message_id": "DELTA_BYTE_ARRAY",
    "payload_hash": "DELTA_BYTE_ARRAY",
    "person_key": "DELTA_BYTE_ARRAY",
}


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes.

    Examples:
        >>> digest(b"")[:8]
        'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def encode(frame: pl.DataFrame, *, schema: pl.Schema, run_id: str) -> bytes:
    """Return the Parquet file of `frame`, whose columns are those of `schema`.

    A part is written to be small, a plan to be quick: it is gone when its part is there, and most
    of it are ids and pseudonyms, which cannot be made smaller in little time.
    """
    import pyarrow as pa

    try:
        return _encoded(frame.select(schema.names()), schema=schema, run_id=run_id)
    finally:
        # Arrow's allocator keeps what a thread has used, and parts are made on many threads.
        pa.default_memory_pool().release_unused()


def _encoded(frame: pl.DataFrame, *, schema: pl.Schema, run_id: str) -> bytes:
    import pyarrow.parquet as pq

    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    about = {"cio_frames.format": str(FORMAT), "cio_frames.run_id": run_id}
    table = table.cast(_arrow(schema)).replace_schema_metadata(about)
    sink = io.BytesIO()
    repeated = [name for name in (*_DICTIONARY, *_MOMENTS) if name in schema]
    if schema is PLAN_SCHEMA:
        pq.write_table(
            table, sink, compression="none", use_dictionary=repeated, write_statistics=False
        )
        return sink.getvalue()
    encodings = {name: how for name, how in _ENCODINGS.items() if name in schema}
    if _repeats(frame["person_key"]):
        repeated.append("person_key")
        del encodings["person_key"]
    plain = [n for n in schema if n not in repeated and n not in encodings]
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeated,
        column_encoding=encodings | dict.fromkeys(plain, "PLAIN"),
        write_statistics=["plan", "row", "state"],
        row_group_size=1_000_000,
    )
    return sink.getvalue()


def decode(data: bytes, *, schema: pl.Schema, path: Path | str) -> pl.DataFrame:
    """Return the table in the bytes of a Parquet file.

    Raises:
        AuditCorruptError: If they are not a whole file with exactly this schema.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise AuditCorruptError(
            str(path),
            problem=f"not a complete Parquet file ({type(error).__name__})",
            hint="Restore it from a backup.",
        ) from None
    for name in ADDED - set(table.schema.names):
        place = schema.names().index(name)
        table = table.add_column(
            place, _arrow(schema).field(name), pa.nulls(len(table), pa.string())
        )
    if not table.schema.remove_metadata().equals(_arrow(schema)):
        raise AuditCorruptError(
            str(path),
            problem="its columns are not those of an audit",
            hint="Remove the file if it does not belong here.",
        )
    frame: Any = pl.from_arrow(table, schema=schema)
    return frame if isinstance(frame, pl.DataFrame) else pl.DataFrame()


def decode_part(data: bytes, *, path: Path | str) -> pl.DataFrame:
    """Return the rows of a part."""
    return decode(data, schema=PART_SCHEMA, path=path)


def decode_plan(data: bytes, *, path: Path | str) -> pl.DataFrame:
    """Return the rows of a sealed plan."""
    return decode(data, schema=PLAN_SCHEMA, path=path)


def _arrow(schema: pl.Schema) -> "pa.Schema":
    """Return a schema as Arrow has it, with the plain strings that every tool reads."""
    import pyarrow as pa

    fields = schema.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    kinds = [
        pa.string() if pa.types.is_large_string(field.type) else field.type for field in fields
    ]
    return pa.schema(list(zip(fields.names, kinds, strict=True)))


def _repeats(column: pl.Series) -> bool:
    """Tell whether a dictionary would make the column smaller."""
    return 2 * column.n_unique() < len(column)
