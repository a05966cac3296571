"""Errors for CSV files that polars cannot read, and notes on short rows, with the line."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

from cio_frames.errors import InputFileError
from cio_frames.frames.column import Note
from cio_frames.frames.csv_layout import Layout, quote_error
from cio_frames.frames.csv_records import BrokenRecordError, Record

SAMPLE = 200
"""Records that show whether a line or the header has a wrong number of fields."""


def short_rows(file: Layout) -> Iterator[Note]:
    """Yield a note if records have fewer fields than the header: polars fills them with nulls."""
    lines: list[int] = []
    width = len(file.names) - file.start.unnamed_at_end
    with suppress(BrokenRecordError):
        lines.extend(
            record.last
            for record in file.records()
            if 0 < len(record.cells) < width and record.cells not in file.footers
        )
    if lines:
        yield Note(
            code="file.short-rows",
            severity="warn",
            count=len(lines),
            message=f"{file.path}: {len(lines):,} rows have fewer fields than the header (first at "
            f"line {lines[0]:,}); the missing fields are empty.",
        )


def read_error(files: Sequence[Layout], error: BaseException) -> InputFileError:
    """Return the error for files that cannot be read, with the line, which polars does not name."""
    for file in files:
        first_error = _first_error(file, width=len(file.names))
        if first_error:
            return first_error
    return InputFileError(
        files[0].path,
        problem=f"cannot be read as CSV ({type(error).__name__})",
        hint="Read it with pandas.read_csv(path, dtype=str).cio, or save it again as CSV (UTF-8).",
    )


def beyond_header(file: Layout) -> InputFileError | None:
    """Return the error for the first record that has more values than the header has names."""
    return _first_error(file, width=len(file.start.header), ignore_empty=True)


def _first_error(file: Layout, *, width: int, ignore_empty: bool = False) -> InputFileError | None:
    """Return the error for the first record that has too many fields, if there is one."""
    try:
        for record in file.records():
            extra = record.cells[width:]
            if any(extra) if ignore_empty else extra:
                return _too_long(file, record, width=width)
    except BrokenRecordError as broken:
        return quote_error(file.path, broken)
    except InputFileError as error:
        return error
    return None


def _too_long(file: Layout, record: Record, *, width: int) -> InputFileError:
    expected = "the header has" if file.start.header else "the lines above have"
    return InputFileError(
        file.path,
        problem=f"line {record.last:,} has {len(record.cells)} fields, {expected} {width}",
        hint=_hint(file, record, width=width),
    )


def _hint(file: Layout, record: Record, *, width: int) -> str:
    """Return what to do: if most records are as long, the header is wrong."""
    separator = file.csv_format.separator
    if any(cell.startswith(' "') for cell in record.cells):
        return "Remove the space between the separator and the double quote."
    sample = list(_sample(file))
    longer = sum(any(other.cells[width:]) for other in sample)
    if longer * 2 > len(sample) and file.start.header:
        line = record.first
        return (
            f"Most rows have more fields than line {file.start.line:,}, which was read as the "
            f"header: pass skip_rows={line - 1} if the table begins on line {line:,}, or columns= "
            "with header=1 if names are missing."
        )
    return (
        f"If a value contains the separator {separator!r}, put that value in double quotes; if "
        "this line is not part of the table, remove it."
    )


def _sample(file: Layout) -> Iterator[Record]:
    with suppress(BrokenRecordError):
        yield from islice(file.records(), SAMPLE)
