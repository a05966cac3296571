"""Read tables from sheets of workbooks (.xlsx, .xlsm, .xlsb, .xls, .ods) with calamine."""

import logging
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, time
from difflib import get_close_matches
from itertools import takewhile
from typing import Any

import polars as pl
import polars.selectors as cs

from cio_frames.errors import InputFileError, MissingLibraryError
from cio_frames.frames.column import Note
from cio_frames.frames.copies import refuse_zip_bomb
from cio_frames.frames.csv_end import TAIL_RECORDS, find_end
from cio_frames.frames.csv_layout import column_names
from cio_frames.frames.csv_records import Record
from cio_frames.frames.csv_start import SAMPLE_RECORDS, StartOptions, find_start
from cio_frames.frames.parquet import id_texts, require_same_schema

EXACT_DIGITS = 15
SHOWN_CELLS = 5
WIDEST = 2**63
EPOCH_DAYS = (date(1899, 12, 30), date(1899, 12, 31), date(1904, 1, 1))
"""The dates that Excel gives to times of day."""

ERRORS = {
    "Div0": "#DIV/0!",
    "NA": "#N/A",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Ref": "#REF!",
    "Value": "#VALUE!",
    "GettingData": "#GETTING_DATA",
}


def scan(
    paths: Sequence[str], *, ids: Sequence[str], sheet: str | None, options: StartOptions
) -> tuple[pl.LazyFrame, tuple[Note, ...]]:
    """Return the rows of a sheet of each workbook, and notes.

    Raises:
        MissingLibraryError: fastexcel is not installed.
        InputFileError: If a workbook cannot be read, has no such sheet, or has several and none was
            chosen.
    """
    tables, notes = [], []
    for path in paths:
        table, table_notes = _read_table(path, sheet, options)
        tables.append(table)
        notes.extend(table_notes)
    schemas = {path: dict(table.schema) for path, table in zip(paths, tables, strict=True)}
    texts = id_texts(paths[0], require_same_schema(schemas), ids)
    return pl.concat(tables).lazy().with_columns(texts), tuple(notes)


def _read_table(
    path: str, sheet: str | None, options: StartOptions
) -> tuple[pl.DataFrame, list[Note]]:
    book = _open_workbook(path)
    name, notes = _choose_sheet(path, book, sheet)
    label = f"{path}, sheet {name!r}"
    first = 1 + (options.skip_rows or 0)
    head = _load(book, name, skip_rows=first - 1, n_rows=SAMPLE_RECORDS, dtypes="string")
    first_records = _records(pl.DataFrame(head.to_arrow()), first=first)
    start = find_start(label, first_records, options, first=first)
    if not start.names:
        raise _error(path, f"its sheet {name!r} is empty", "Name another one with sheet=.")
    rename = "Rename the columns in the sheet, or pass columns=."
    names = column_names(path, start, options, hint=rename)
    cells = _load(book, name, skip_rows=start.skip, column_names=list(names))
    batch, errors = cells.to_arrow_with_errors()
    table = _typed(pl.DataFrame(batch))
    at_end = names[len(names) - start.unnamed_at_end :]
    unused = [column for column in at_end if table[column].dtype == pl.Null]
    rows = [record for record in first_records if record.first > start.skip]
    last = _records(
        table.tail(TAIL_RECORDS), first=start.skip + 1 + max(table.height - TAIL_RECORDS, 0)
    )
    end = find_end(label, last, rows=rows, width=len(names))
    body = table.head(table.height - len(end.footers) - _blank_rows_at_end(last))
    filled = body.drop(unused).filter(~pl.all_horizontal(pl.all().is_null()))
    notes += [*start.notes, *end.notes, *_blank_note(label, body.height - filled.height)]
    notes += [*_error_notes(label, errors, names), *_rounded_notes(label, filled)]
    return filled, notes


def _load(book: Any, sheet: str, **options: Any) -> Any:
    """Return a sheet from its first row on, with types that fit all values of their columns."""
    return book.load_sheet(sheet, header_row=None, **{"schema_sample_rows": None, **options})


def _choose_sheet(path: str, book: Any, sheet: str | None) -> tuple[str, list[Note]]:
    """Return the name of the sheet to read: the one passed, or the only one that has cells."""
    names: list[str] = book.sheet_names
    if sheet is not None:
        if sheet in names:
            return sheet, []
        near = get_close_matches(sheet, names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Sheets: {', '.join(map(repr, names))}."
        raise _error(path, f"has no sheet {sheet!r}", hint)
    sheets = {name: book.load_sheet(name, header_row=None, n_rows=1) for name in names}
    filled = [name for name, cells in sheets.items() if cells.width and cells.visible == "visible"]
    if not filled:
        raise _error(path, "has no cells in any sheet that is shown", "Export it again.")
    if len(filled) > 1:
        raise _error(
            path,
            f"has {len(filled):,} sheets with cells: {', '.join(map(repr, filled))}",
            f"Pass sheet={filled[0]!r}, or the name of another one.",
        )
    unread = [repr(name) for name in names if name not in filled]
    text = f"{path}: the sheet {filled[0]!r} is read; {', '.join(unread)} are empty or hidden."
    note = Note(code="file.sheet", count=len(names), message=text)
    return filled[0], [note] if unread else []


def _records(cells: pl.DataFrame, *, first: int) -> list[Record]:
    """Return rows as the records of a text file, numbered like the rows of the sheet."""
    texts = cells.select(pl.all().cast(pl.String).fill_null("")).rows()
    return [Record(first=line, last=line, cells=row) for line, row in enumerate(texts, first)]


def _typed(cells: pl.DataFrame) -> pl.DataFrame:
    """Return whole numbers as integers, days as dates, and times of day as times.

    A workbook has no such types: an identifier 123 is the number 123.0 there.
    """
    cells = cells.with_columns(cs.string().replace("", None))  # an empty cell, whatever its formula
    floats, times = cells.select(cs.float()), cells.select(cs.datetime())
    whole = (cs.float().round() == cs.float()).all() & (cs.float().abs() < WIDEST).all()
    midnight = (cs.datetime().dt.time() == time()).all()
    of_day = cs.datetime().dt.date().is_in(EPOCH_DAYS).all()
    integers = _true_columns(floats.select(whole))
    clocks = _true_columns(times.select(of_day))
    days = [name for name in _true_columns(times.select(midnight)) if name not in clocks]
    empty = [column.name for column in cells if column.null_count() == cells.height]
    return cells.with_columns(
        pl.col(integers).cast(pl.Int64), pl.col(days).dt.date(), pl.col(clocks).dt.time()
    ).with_columns(pl.col(empty).cast(pl.Null))


def _true_columns(row: pl.DataFrame) -> list[str]:
    """Return the columns that are true in a frame of one row."""
    return [column.name for column in row if column.item()]


def _blank_rows_at_end(last: Sequence[Record]) -> int:
    """Return the number of empty rows at the end of a table."""
    return sum(1 for _ in takewhile(lambda record: not record.filled, reversed(last)))


def _blank_note(path: str, count: int) -> Iterator[Note]:
    if count:
        text = f"{path}: {count:,} wholly empty {'row was' if count == 1 else 'rows were'} skipped."
        yield Note(code="file.blank-rows", severity="warn", count=count, message=text)


def _error_notes(path: str, errors: Any, names: Sequence[str]) -> Iterator[Note]:
    """Yield a note for each column with formulas that failed: their cells have no value."""
    failed: dict[str, list[str]] = {}
    for cell in errors.errors if errors else ():
        match = re.search(r"Error\((\w+)\)", cell.detail)
        if match:
            row, column = cell.position
            text = f"{ERRORS.get(match[1], match[1])} in row {row + 1:,}"
            failed.setdefault(names[column], []).append(text)
    for name, cells in failed.items():
        more = f" and {len(cells) - SHOWN_CELLS:,} more" if len(cells) > SHOWN_CELLS else ""
        yield Note(
            code="file.cell-errors",
            severity="warn",
            column=name,
            count=len(cells),
            message=f"{path}: cells of {name!r} contain errors and are read as empty: "
            f"{', '.join(cells[:SHOWN_CELLS])}{more}. Fix their formulas if they should be sent.",
        )


def _rounded_notes(path: str, table: pl.DataFrame) -> Iterator[Note]:
    """Yield a note for each column of integers that Excel may have rounded."""
    counts = table.select((cs.integer().abs() >= 10**EXACT_DIGITS).sum())
    for column in counts:
        if column.item():
            yield Note(
                code="file.rounded-numbers",
                severity="warn",
                column=column.name,
                count=column.item(),
                message=f"{path}: {column.name!r} has whole numbers of more than {EXACT_DIGITS} digits, "
                "and a workbook keeps no more: their last digits may be wrong. Export identifiers as "
                "CSV, or as text.",
            )


def _open_workbook(path: str) -> Any:
    try:
        import fastexcel
    except ImportError:
        raise MissingLibraryError(
            "fastexcel", wanted="Reading a workbook", install='"cio-frames[excel]"'
        ) from None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            refuse_zip_bomb(path, parts.infolist())
    logging.getLogger("fastexcel").setLevel(logging.ERROR)  # it warns about empty columns
    try:
        return fastexcel.read_excel(path)
    except fastexcel.FastExcelError as error:
        if "password" in str(error).lower():
            raise _error(
                path, "is protected by a password", "Save a copy without one, or export it as CSV."
            ) from None
        raise _error(
            path, "is not a workbook, or is damaged", "Open it in Excel, and save it again."
        ) from None


def _error(path: str, problem: str, hint: str) -> InputFileError:
    return InputFileError(path, problem=problem, hint=hint)
