"""What is wrong with a CSV file that cannot be read, with the line."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

from cio_frames.errors import InputFileError
from cio_frames.frames.column import Note
from cio_frames.frames.csv_layout import Layout, quote_fault
from cio_frames.frames.csv_records import BrokenRecordError, Record

SAMPLE = 200
"""Records that tell whether a line or the header is the odd one."""


def short_rows(file: Layout) -> Iterator[Note]:
    """Yield a note if records have fewer fields than the header: the engine fills them up."""
    found: list[int] = []
    width = len(file.names) - file.start.spare
    with suppress(BrokenRecordError):
        found.extend(
            record.last
            for record in file.records()
            if 0 < len(record.cells) < width and record.cells not in file.footers
        )
    if found:
        yield Note(
            code="file.short-rows",
            severity="warn",
            count=len(found),
            message=f"{file.path}: {len(found):,} rows have fewer fields than the header (first at "
            f"line {found[0]:,}); the missing fields are empty.",
        )


def fault(files: Sequence[Layout], error: BaseException) -> InputFileError:
    """Return the error for files that cannot be read, with the line, which the engine does not tell."""
    for file in files:
        found = _fault(file, width=len(file.names))
        if found:
            return found
    return InputFileError(
        files[0].path,
        problem=f"cannot be read as CSV ({type(error).__name__})",
        hint="Read it with pandas.read_csv(path, dtype=str).cio, or save it again as CSV (UTF-8).",
    )


def beyond_header(file: Layout) -> InputFileError | None:
    """Return the error for the first record that has a value beyond the header, if there is one."""
    return _fault(file, width=len(file.start.header), blank=True)


def _fault(file: Layout, *, width: int, blank: bool = False) -> InputFileError | None:
    """Return the error for the first record that has too many fields, which may be `blank`."""
    try:
        for record in file.records():
            more = record.cells[width:]
            if any(more) if blank else more:
                return _long(file, record, width=width)
    except BrokenRecordError as broken:
        return quote_fault(file.path, broken)
    except InputFileError as told:
        return told
    return None


def _long(file: Layout, record: Record, *, width: int) -> InputFileError:
    against = "the header has" if file.start.header else "the lines above have"
    return InputFileError(
        file.path,
        problem=f"line {record.last:,} has {len(record.cells)} fields, {against} {width}",
        hint=_advice(file, record, width=width),
    )


def _advice(file: Layout, record: Record, *, width: int) -> str:
    """Return what to do, by how many other records are as long."""
    separator = file.form.separator
    if any(cell.startswith(' "') for cell in record.cells):
        return "Remove the space between the separator and the double quote."
    others = list(_sample(file))
    longer = sum(any(other.cells[width:]) for other in others)
    if longer * 2 > len(others) and file.start.header:
        line = record.first
        return (
            f"Most rows have more fields than line {file.start.line:,}, which was taken for the "
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
