"""Rows that were corrected after a plan excluded them, as a table for its mapping."""

from os import PathLike
from pathlib import Path

import polars as pl

from cio_frames.errors import FrameError
from cio_frames.frames import AnyTable, Table, read, scan
from cio_frames.frames.table import frame_errors
from cio_frames.mapping import MessageMapping
from cio_frames.spreadsheet import guarded_names, unguarded

Corrected = AnyTable | str | PathLike[str]
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def corrected_table(rows: Corrected, *, table: Table, mapping: MessageMapping) -> Table:
    """Return corrected rows with the columns and types of the table that the mapping was made for.

    Raises:
        FrameError: A column that is sent is missing, or a value does not fit the type of its column.
    """
    planned = table.schema()
    corrected = _scanned(Path(rows), planned) if isinstance(rows, str | PathLike) else read(rows)
    schema = corrected.schema()
    _require_sent(mapping, schema=schema)
    with frame_errors(corrected.label):
        frame = corrected.lazy.select(name for name in planned if name in schema).collect()
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in planned.items() if name not in schema
    ]
    typed = [_typed(values, planned[values.name]) for values in frame]
    complete = pl.DataFrame(typed).with_columns(missing).select(planned.names())
    return Table(
        lazy=complete.lazy(),
        library=table.library,
        label=corrected.label,
        json_columns=table.json_columns,
        notes=tuple(note for note in corrected.notes if note.severity == "reject"),
        eager=complete,
        source=complete.to_pandas() if table.library == "pandas" else complete,
    )


def _require_sent(mapping: MessageMapping, *, schema: pl.Schema) -> None:
    for field in mapping.fields:
        for name in field.expr.meta.root_names():
            if name not in schema:
                raise FrameError(
                    f"The corrected rows have no column {name!r}, which the plan sends. Keep all "
                    "columns of the rows that were left out."
                )


def _scanned(path: Path, schema: pl.Schema) -> Table:
    """Read a file that was written for people: texts stay text, and guards against formulas are removed."""
    if path.suffix == ".parquet":
        return read(scan(path))
    frame = scan(path)
    names = guarded_names(schema.names())
    texts = [
        name
        for name in frame.collect_schema()
        if schema.get(names.get(name, name), pl.String()) == pl.String
    ]
    lazy = scan(path, ids=texts).rename(names, strict=False)
    restored = unguarded(pl.col(pl.String))
    return Table(lazy=lazy.with_columns(restored), label=path.name)


def _typed(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return values in the former type of their column.

    Raises:
        FrameError: A value does not fit.
    """
    if values.dtype == dtype:
        return values
    try:
        typed = _cast(values, dtype)
    except pl.exceptions.PolarsError:
        typed = None
    if typed is None or (values.dtype.is_float() and not (typed == values).fill_null(True).all()):  # noqa: FBT003
        raise FrameError(
            f"Column {values.name!r} of the corrected rows has values that do not fit {dtype}, its type "
            "in the plan's table. Correct them, or make a new plan for these rows."
        )
    return typed


def _cast(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    texts = values.str
    if values.dtype != pl.String:
        return values.cast(dtype)
    if isinstance(dtype, pl.Datetime):
        return texts.to_datetime(time_unit=dtype.time_unit, time_zone=dtype.time_zone)
    if isinstance(dtype, pl.Date | pl.Time):
        return texts.strptime(dtype)
    if isinstance(dtype, pl.Boolean):
        return texts.to_lowercase().replace_strict(_BOOLEANS, return_dtype=dtype)
    if isinstance(dtype, pl.Binary):
        return texts.decode("base64")
    return texts.json_decode(dtype) if dtype.is_nested() else values.cast(dtype)
