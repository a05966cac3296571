"""Sheets of workbooks (.xlsx, .xlsm, .xlsb, .xls, .ods) by calamine, with the table found in them."""

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
from cio_frames.frames.csv_end import TAIL_RECORDS, footers
from cio_frames.frames.csv_layout import check_header
from cio_frames.frames.csv_records import Record
from cio_frames.frames.csv_start import SAMPLE_RECORDS, Start, TableStart, start
from cio_frames.frames.parquet import id_texts, require_same_schema

EXACT_DIGITS = 15
SHOWN_CELLS = 5
WIDEST = 2**63
EPOCH_DAYS = (date(1899, 12, 30), date(1899, 12, 31), date(1904, 1, 1))
"""The days on which Excel's times of day lie."""

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
    paths: Sequence[str], *, ids: Sequence[str], sheet: str | None, asked: TableStart
) -> tuple[pl.LazyFrame, tuple[Note, ...]]:
    """Return the rows of a sheet of each workbook, and what was chosen.

    Raises:
        MissingLibraryError: fastexcel is not installed.
        InputFileError: If a workbook cannot be read, has no such sheet, or has several and none was
            named.
    """
    tables, notes = [], []
    for path in paths:
        table, told = _table(path, sheet, asked)
        tables.append(table)
        notes.extend(told)
    schemas = {path: dict(table.schema) for path, table in zip(paths, tables, strict=True)}
    texts = id_texts(paths[0], require_same_schema(schemas), ids)
    return pl.concat(tables).lazy().with_columns(texts), tuple(notes)


def _table(path: str, sheet: str | None, asked: TableStart) -> tuple[pl.DataFrame, list[Note]]:
    book = _book(path)
    name, notes = _chosen(path, book, sheet)
    shown = f"{path}, sheet {name!r}"
    first = 1 + (asked.skip_rows or 0)
    head = _loaded(book, name, skip_rows=first - 1, n_rows=SAMPLE_RECORDS, dtypes="string")
    rows = _records(pl.DataFrame(head.to_arrow()), first=first)
    began = start(shown, rows, asked, first=first)
    names = _names(path, name, began, asked)
    cells = _loaded(book, name, skip_rows=began.skip, column_names=list(names))
    batch, errors = cells.to_arrow_with_errors()
    table = _typed(pl.DataFrame(batch))
    spare = [each for each in names[len(names) - began.spare :] if table[each].dtype == pl.Null]
    body = [row for row in rows if row.first > began.skip]
    last = _records(
        table.tail(TAIL_RECORDS), first=began.skip + 1 + max(table.height - TAIL_RECORDS, 0)
    )
    ends = footers(shown, last, rows=body, width=len(names))
    ended = table.head(table.height - len(ends.left_out) - _blank_below(last))
    kept = ended.drop(spare).filter(~pl.all_horizontal(pl.all().is_null()))
    notes += [*began.notes, *ends.notes, *_blank_note(shown, ended.height - kept.height)]
    notes += [*_error_notes(shown, errors, names), *_rounded_notes(shown, kept)]
    return kept, notes


def _names(path: str, sheet: str, began: Start, asked: TableStart) -> tuple[str, ...]:
    count, least = len(began.names), len(began.names) - began.spare
    if not count:
        raise _fault(path, f"its sheet {sheet!r} is empty", "Name another one with sheet=.")
    names = began.names
    if asked.columns is not None:
        if not least <= len(asked.columns) <= count:
            raise _fault(
                path,
                f"has {least} columns, and columns= names {len(asked.columns)}",
                "Name each of them, in their order.",
            )
        names = (*asked.columns, *names[len(asked.columns) :])
    check_header(path, names, hint="Name the columns anew in the sheet, or pass columns=.")
    return names


def _loaded(book: Any, sheet: str, **options: Any) -> Any:
    """Return a sheet from its first row on, with types that hold all values of their columns."""
    return book.load_sheet(sheet, header_row=None, **{"schema_sample_rows": None, **options})


def _chosen(path: str, book: Any, sheet: str | None) -> tuple[str, list[Note]]:
    """Return the name of the sheet to read: the one named, or the only one that has cells."""
    names: list[str] = book.sheet_names
    if sheet is not None:
        if sheet in names:
            return sheet, []
        near = get_close_matches(sheet, names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Sheets: {', '.join(map(repr, names))}."
        raise _fault(path, f"has no sheet {sheet!r}", hint)
    looked = {name: book.load_sheet(name, header_row=None, n_rows=1) for name in names}
    filled = [name for name, one in looked.items() if one.width and one.visible == "visible"]
    if not filled:
        raise _fault(path, "has no cells in any sheet that is shown", "Export it again.")
    if len(filled) > 1:
        raise _fault(
            path,
            f"has {len(filled):,} sheets with cells: {', '.join(map(repr, filled))}",
            f"Pass sheet={filled[0]!r}, or the name of another one.",
        )
    others = [repr(name) for name in names if name not in filled]
    told = f"{path}: the sheet {filled[0]!r} is read; {', '.join(others)} are empty or hidden."
    note = Note(code="file.sheet", count=len(names), message=told)
    return filled[0], [note] if others else []


def _records(cells: pl.DataFrame, *, first: int) -> list[Record]:
    """Return rows as the records of a text file, their lines those of the sheet."""
    texts = cells.select(pl.all().cast(pl.String).fill_null("")).rows()
    return [Record(first=line, last=line, cells=row) for line, row in enumerate(texts, first)]


def _typed(cells: pl.DataFrame) -> pl.DataFrame:
    """Return whole numbers as integers, days as dates, times of day as times: Excel has one type for each.

    A workbook has no integers: an identifier 123 is the number 123.0 in it.
    """
    cells = cells.with_columns(cs.string().replace("", None))  # an empty cell, whatever its formula
    floats, times = cells.select(cs.float()), cells.select(cs.datetime())
    whole = (cs.float().round() == cs.float()).all() & (cs.float().abs() < WIDEST).all()
    midnight = (cs.datetime().dt.time() == time()).all()
    of_day = cs.datetime().dt.date().is_in(EPOCH_DAYS).all()
    integers = _true(floats.select(whole))
    clocks = _true(times.select(of_day))
    days = [name for name in _true(times.select(midnight)) if name not in clocks]
    empty = [column.name for column in cells if column.null_count() == cells.height]
    return cells.with_columns(
        pl.col(integers).cast(pl.Int64), pl.col(days).dt.date(), pl.col(clocks).dt.time()
    ).with_columns(pl.col(empty).cast(pl.Null))


def _true(row: pl.DataFrame) -> list[str]:
    """Return the columns that are true in the only row."""
    return [column.name for column in row if column.item()]


def _blank_below(last: Sequence[Record]) -> int:
    """Return how many empty rows end a table."""
    return sum(1 for _ in takewhile(lambda record: not record.filled, reversed(last)))


def _blank_note(path: str, count: int) -> Iterator[Note]:
    if count:
        told = (
            f"{path}: {count:,} wholly empty {'row was' if count == 1 else 'rows were'} left out."
        )
        yield Note(code="file.blank-rows", severity="warn", count=count, message=told)


def _error_notes(path: str, errors: Any, names: Sequence[str]) -> Iterator[Note]:
    """Tell of formulas that failed: their cells have no value."""
    found: dict[str, list[str]] = {}
    for cell in errors.errors if errors else ():
        failed = re.search(r"Error\((\w+)\)", cell.detail)
        if failed:
            row, column = cell.position
            shown = f"{ERRORS.get(failed[1], failed[1])} in row {row + 1:,}"
            found.setdefault(names[column], []).append(shown)
    for name, cells in found.items():
        more = f" and {len(cells) - SHOWN_CELLS:,} more" if len(cells) > SHOWN_CELLS else ""
        yield Note(
            code="file.cell-errors",
            severity="warn",
            column=name,
            count=len(cells),
            message=f"{path}: cells of {name!r} hold errors and are read as empty: "
            f"{', '.join(cells[:SHOWN_CELLS])}{more}. Mend their formulas if they should be sent.",
        )


def _rounded_notes(path: str, table: pl.DataFrame) -> Iterator[Note]:
    """Tell of integers that Excel may have rounded when they were typed or opened in it."""
    counts = table.select((cs.integer().abs() >= 10**EXACT_DIGITS).sum())
    for column in counts:
        if column.item():
            yield Note(
                code="file.rounded-numbers",
                severity="warn",
                column=column.name,
                count=column.item(),
                message=f"{path}: {column.name!r} has whole numbers of more than {EXACT_DIGITS} digits, "
                "and a workbook keeps no more: their last digits may be others. Export identifiers as "
                "CSV, or as text.",
            )


def _book(path: str) -> Any:
    try:
        import fastexcel
    except ImportError:
        raise MissingLibraryError(
            "fastexcel", wanted="Reading a workbook", install='"cio-frames[excel]"'
        ) from None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            refuse_zip_bomb(path, parts.infolist())
    logging.getLogger("fastexcel").setLevel(logging.ERROR)  # it warns of columns that are empty
    try:
        return fastexcel.read_excel(path)
    except fastexcel.FastExcelError as error:
        if "password" in str(error).lower():
            raise _fault(
                path, "is protected by a password", "Save a copy without one, or export it as CSV."
            ) from None
        raise _fault(
            path, "is no workbook, or is damaged", "Open it in Excel, and save it again."
        ) from None


def _fault(path: str, problem: str, hint: str) -> InputFileError:
    return InputFileError(path, problem=problem, hint=hint)
