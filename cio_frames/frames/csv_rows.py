"""Tests of the rows of a CSV file that was read as text: those that are no rows of its table."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import polars as pl

from cio_frames.frames.column import Note
from cio_frames.frames.csv_layout import Layout
from cio_frames.frames.csv_records import BrokenRecordError
from cio_frames.frames.streaming import collect_streaming

_AROUND = '\ufeff"'  # what stands before the name in the second of two files put together


def is_record(names: Sequence[str], cells: Sequence[str]) -> pl.Expr:
    """Return whether a row is exactly those cells, of which the last may be missing."""
    whole = [*cells, *[""] * (len(names) - len(cells))]
    return pl.all_horizontal(
        pl.col(name).eq_missing(pl.lit(cell or None, dtype=pl.String))
        for name, cell in zip(names, whole, strict=False)
    )


def begins_as_header(names: Sequence[str], header: Sequence[str]) -> pl.Expr:
    """Return whether a row's cell under the first name of the header is that name."""
    place = next((place for place, cell in enumerate(header) if cell), None)
    return pl.lit(value=False) if place is None else _says(names[place], header[place])


def is_repeated(names: Sequence[str], header: Sequence[str]) -> pl.Expr:
    """Return whether a row repeats the header."""
    pairs = zip(names, header, strict=False)
    return pl.all_horizontal(_says(name, cell) for name, cell in pairs if cell)


def _says(name: str, cell: str) -> pl.Expr:
    bare = cell.strip(_AROUND)
    forms = (bare, "\ufeff" + bare, f'\ufeff"{bare}"')
    said = pl.any_horizontal(pl.col(name) == form for form in forms)
    return said.fill_null(value=False)


def repeated_notes(files: Sequence[Layout], text: pl.LazyFrame) -> Iterator[Note]:
    """Yield a note if the header comes again among the rows."""
    first = files[0]
    count = collect_streaming(
        text.select(is_repeated(first.names, first.start.header).sum())
    ).item()
    if not count:
        return
    yield Note(
        code="file.header-repeated",
        severity="warn",
        count=count,
        message=f"{_repeated_line(files)} repeats the header. "
        f"{'It was' if count == 1 else f'{count:,} such lines were'} left out.",
    )


def _repeated_line(files: Sequence[Layout]) -> str:
    wanted = [cell.strip(_AROUND) for cell in files[0].start.header]
    for file in files:
        with suppress(BrokenRecordError):
            for record in file.records():
                if [cell.strip(_AROUND) for cell in record.cells] == wanted:
                    return f"{file.path}: line {record.first:,}"
    return f"{files[0].path}: a line"
