"""Rows that were corrected after a plan left them out, as a table that its mapping fits."""

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
    wanted = table.schema()
    given = _scanned(Path(rows), wanted) if isinstance(rows, str | PathLike) else read(rows)
    have = given.schema()
    _require_sent(mapping, have=have)
    with frame_errors(given.label):
        frame = given.lazy.select(name for name in wanted if name in have).collect()
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in wanted.items() if name not in have
    ]
    typed = [_typed(values, wanted[values.name]) for values in frame]
    whole = pl.DataFrame(typed).with_columns(missing).select(wanted.names())
    return Table(
        lazy=whole.lazy(),
        library=table.library,
        label=given.label,
        json_columns=table.json_columns,
        notes=tuple(note for note in given.notes if note.severity == "reject"),
        eager=whole,
        source=whole.to_pandas() if table.library == "pandas" else whole,
    )


def _require_sent(mapping: MessageMapping, *, have: pl.Schema) -> None:
    for field in mapping.fields:
        for name in field.expr.meta.root_names():
            if name not in have:
                raise FrameError(
                    f"The corrected rows have no column {name!r}, which the plan sends. Keep all "
                    "columns of the rows that were left out."
                )


def _scanned(path: Path, wanted: pl.Schema) -> Table:
    """Read a file as it was written for people: texts stay text, and formulas get back their sign."""
    if path.suffix == ".parquet":
        return read(scan(path))
    frame = scan(path)
    names = guarded_names(wanted.names())
    texts = [
        name
        for name in frame.collect_schema()
        if wanted.get(names.get(name, name), pl.String()) == pl.String
    ]
    lazy = scan(path, ids=texts).rename(names, strict=False)
    plain = unguarded(pl.col(pl.String))
    return Table(lazy=lazy.with_columns(plain), label=path.name)


def _typed(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return values in the type that their column had.

    Raises:
        FrameError: One does not fit.
    """
    if values.dtype == dtype:
        return values
    try:
        typed = _cast(values, dtype)
    except pl.exceptions.PolarsError:
        typed = None
    if typed is None or (values.dtype.is_float() and not (typed == values).fill_null(True).all()):  # noqa: FBT003
        raise FrameError(
            f"Column {values.name!r} of the corrected rows has values that are no {dtype}, which it "
            "was in the plan's table. Correct them, or make a new plan of these rows."
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
