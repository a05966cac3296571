"""Workbooks: the table that a person sees in a sheet, with the types that its cells have."""

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
import xlsxwriter
import xlwt
from msoffcrypto.format.ooxml import OOXMLFile

import cio_frames as cio
from cio_frames.cli import main
from cio_frames.errors import InputFileError
from cio_frames.frames import Table, read, scan

Rows = Sequence[Sequence[Any]]

MORNING, MIDNIGHT = (
    pd.Timestamp("2026-01-01 10:30").to_pydatetime(),
    pd.Timestamp("2026-01-02").to_pydatetime(),
)

PEOPLE: Rows = [
    ["customer_id", "zip", "visits", "total", "paying", "born", "seen", "alarm", "note"],
    [1001, "00123", 3, 12.5, True, dt.date(1990, 1, 2), MORNING, dt.time(7, 30), "a"],
    [1002, "04000", None, 8, False, dt.date(2001, 3, 4), MIDNIGHT, dt.time(8, 0), None],
]  # fmt: skip
TYPES = {
    "customer_id": pl.Int64, "zip": pl.String, "visits": pl.Int64, "total": pl.Float64,
    "paying": pl.Boolean, "born": pl.Date, "seen": pl.Datetime("ms"), "note": pl.String,
}  # fmt: skip

FORMATS: Sequence[tuple[type, str]] = (
    (dt.datetime, "yyyy-mm-dd hh:mm:ss"),
    (dt.date, "yyyy-mm-dd"),
    (dt.time, "hh:mm"),
)


def xlsx(path: Path, sheets: Mapping[str, Rows], *, hidden: Sequence[str] = ()) -> Path:
    """Write a workbook as Excel does; a text that begins with `#` is the error of a formula."""
    with xlsxwriter.Workbook(path) as book:
        forms = {kind: book.add_format({"num_format": form}) for kind, form in FORMATS}
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for place, row in enumerate(rows):
                for column, value in enumerate(row):
                    put(sheet, (place, column), value, forms)
            if name in hidden:
                sheet.hide()
    return path


def put(sheet: Any, cell: tuple[int, int], value: Any, forms: Mapping[type, Any]) -> None:
    """Write one cell."""
    if isinstance(value, str) and value.startswith("#"):
        sheet.write_formula(*cell, "=NA()", None, value)
    elif isinstance(value, str):
        sheet.write_string(*cell, value)
    elif type(value) in forms:
        sheet.write_datetime(*cell, value, forms[type(value)])
    elif value is not None:
        sheet.write(*cell, value)


def xls(path: Path, rows: Rows) -> Path:
    """Write an old workbook."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("People")
    for place, row in enumerate(rows):
        for column, value in enumerate(row):
            form = next((form for kind, form in FORMATS if isinstance(value, kind)), "General")
            sheet.write(place, column, value, xlwt.easyxf(num_format_str=form))
    book.save(str(path))
    return path


def ods(path: Path, rows: Rows) -> Path:
    """Write a workbook of LibreOffice."""
    pd.DataFrame(rows[1:], columns=rows[0], dtype=object).to_excel(path, index=False, engine="odf")
    return path


def rows_of(table: Table) -> list[tuple[Any, ...]]:
    """Return the rows of a table."""
    return table.lazy.collect().rows()


def notes(table: Table) -> dict[str, str]:
    """Return the notes by their codes."""
    return {note.code: note.message for note in table.notes}


@pytest.mark.parametrize("kind", ["xlsx", "xls", "ods"])
def test_cells_come_with_their_types(tmp_path, kind):
    """Whole numbers are integers, also beside gaps; leading zeros stay; days are dates."""
    path = tmp_path / f"people.{kind}"
    _ = {"xlsx": lambda: xlsx(path, {"People": PEOPLE}), "xls": lambda: xls(path, PEOPLE), "ods": lambda: ods(path, PEOPLE)}[kind]()  # fmt: skip

    table = read(scan(path))

    schema = dict(table.schema())
    assert {name: schema[name] for name in TYPES} == TYPES
    clocks = [row[7] for row in rows_of(table)]
    assert [(*row[:7], row[8]) for row in rows_of(table)] == [
        (*(row[:3]), float(row[3]), *row[4:7], row[8]) for row in PEOPLE[1:]
    ]
    if kind != "ods":  # calamine gives times of day of .ods as durations
        assert clocks == [dt.time(7, 30), dt.time(8, 0)]
    assert notes(table) == {}


def test_identifiers_are_sent_as_they_are_seen(tmp_path):
    """An id that Excel keeps as 1001.0 is sent as "1001", and a zip code keeps its zeros."""
    people = cio.scan(xlsx(tmp_path / "people.xlsx", {"People": PEOPLE}))

    message = people.cio.identify(user_id="customer_id").payloads(1)[0]

    assert message["userId"] == "1001"
    assert message["traits"]["zip"] == "00123"
    assert message["traits"]["born"] == "1990-01-02"


def test_the_table_is_found_in_the_sheet(tmp_path):
    """Titles above, blank rows between, a total and its blank line below are no rows."""
    rows = [
        ["Customers of March"], [], ["id", "email", "total"],
        ["u1", "a@example.com", 1], [], ["u2", "b@example.com", 2],
        ["Total", None, 3], [],
    ]  # fmt: skip
    table = read(scan(xlsx(tmp_path / "report.xlsx", {"March": rows})))

    assert rows_of(table) == [("u1", "a@example.com", 1), ("u2", "b@example.com", 2)]
    assert table.schema().names() == ["id", "email", "total"]
    texts = notes(table)
    assert {"file.preamble", "file.footer", "file.blank-rows"} <= texts.keys()
    assert "line 7" in texts["file.footer"]
    assert "sheet 'March'" in texts["file.preamble"]


@pytest.mark.parametrize(
    ("options", "names", "first"),
    [
        pytest.param({"header": 0}, ["column_1", "column_2"], ("id", "x"), id="no-header"),
        pytest.param({"columns": ["a", "b"]}, ["a", "b"], ("u1", "1"), id="columns"),
        pytest.param({"skip_rows": 1}, ["u1", "1"], ("u2", "y"), id="skip"),
        pytest.param({"ids": ["id"]}, ["id", "x"], ("u1", "1"), id="ids"),
    ],
)
def test_the_user_says_where_the_table_begins(tmp_path, options, names, first):
    """header=, skip_rows=, columns= and ids= mean what they mean for CSV files."""
    path = xlsx(tmp_path / "a.xlsx", {"S": [["id", "x"], ["u1", 1], ["u2", "y"]]})

    frame = scan(path, **options).collect()

    assert (frame.columns, frame.row(0)) == (names, first)


def test_one_sheet_is_read(tmp_path):
    """The only sheet with cells is read and reported; of several one must be named; a wrong name is an error."""
    person, other = [["id"], ["u1"]], [["id"], ["u2"]]
    one = xlsx(tmp_path / "one.xlsx", {"Notes": [], "People": person, "Old": other}, hidden=["Old"])
    two = xlsx(tmp_path / "two.xlsx", {"People": person, "Orders": other})

    table = read(scan(one))
    assert rows_of(table) == [("u1",)]
    assert "'People' is read; 'Notes', 'Old' are" in notes(table)["file.sheet"]
    assert rows_of(read(scan(one, sheet="Old"))) == [("u2",)]
    assert rows_of(read(scan(two, sheet="Orders"))) == [("u2",)]
    with pytest.raises(
        InputFileError, match=r"2 sheets with cells: 'People', 'Orders'. Pass sheet="
    ):
        scan(two)
    with pytest.raises(InputFileError, match=r"no sheet 'people'. Did you mean 'People'"):
        scan(two, sheet="people")
    with pytest.raises(InputFileError, match=r"no sheet 'X'. Sheets: 'People', 'Orders'"):
        scan(two, sheet="X")


def test_errors_in_cells_are_reported(tmp_path):
    """A formula that failed is an empty cell, whatever its column holds, and a note names its row."""
    rows = [
        ["id", "n", "t", "day"],
        ["u1", 1, "x", dt.date(2026, 1, 1)],
        ["u2", "#DIV/0!", "#N/A", "#REF!"],
    ]
    table = read(scan(xlsx(tmp_path / "a.xlsx", {"S": rows})))

    assert rows_of(table)[1] == ("u2", None, None, None)
    assert dict(table.schema())["n"] == pl.Int64
    texts = [note.message for note in table.notes if note.code == "file.cell-errors"]
    assert [
        word in text
        for text, word in zip(texts, ("#DIV/0! in row 3", "#N/A", "#REF!"), strict=True)
    ]
    assert "row 3" in texts[1]


def test_numbers_that_a_workbook_cannot_hold_are_reported(tmp_path):
    """Excel keeps 15 digits: longer identifiers may be others, and the note says so."""
    rows = [["order", "n"], [1234567890123456789, 1], [5, 2]]
    table = read(scan(xlsx(tmp_path / "a.xlsx", {"S": rows})))

    assert (
        "'order' has whole numbers of more than 15 digits" in notes(table)["file.rounded-numbers"]
    )


def test_several_workbooks_are_one_table(tmp_path):
    """Workbooks of one layout are read in the order of their names; others are refused."""
    for name in ("b", "a"):
        xlsx(tmp_path / f"{name}.xlsx", {"S": [["id"], [f"u-{name}"]]})
    assert rows_of(read(scan(tmp_path / "*.xlsx"))) == [("u-a",), ("u-b",)]

    xlsx(tmp_path / "c.xlsx", {"S": [["key"], ["u"]]})
    with pytest.raises(InputFileError, match=r"c.xlsx: its columns differ from .*a.xlsx"):
        scan(tmp_path / "*.xlsx")


def protected(book: bytes) -> bytes:
    """Return a workbook with a password."""
    written = io.BytesIO()
    OOXMLFile(io.BytesIO(book)).encrypt("secret", written)
    return written.getvalue()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(protected, "protected by a password. Save a copy without", id="password"),
        pytest.param(lambda book: book[:-400], "not a workbook, or is damaged", id="cut-off"),
        pytest.param(lambda _: b"", "is empty", id="empty"),
        pytest.param(lambda _: b"id,x\n1,2\n", "is not a workbook. Rename it", id="csv"),
        pytest.param(lambda _: b"<html><table>", "is an HTML page", id="html"),
        pytest.param(
            lambda _: b"\xd0\xcf\x11\xe0....", "not a workbook, or is damaged", id="old-damaged"
        ),
    ],
)
def test_a_workbook_that_cannot_be_read_says_why(tmp_path, make, words):
    """Passwords, damage and other kinds of files are reported, with what to do."""
    path = xlsx(tmp_path / "a.xlsx", {"S": [["id"], ["u1"]]})
    path.write_bytes(make(path.read_bytes()))

    with pytest.raises(InputFileError, match=words) as caught:
        scan(path)
    assert caught.value.path == str(path)


def test_sheets_that_hold_no_table_are_refused(tmp_path):
    """No cells at all, or doubled names."""
    path = xlsx(tmp_path / "a.xlsx", {"Empty": [], "Twice": [["id", "id"], ["u1", "u2"]]})
    with pytest.raises(InputFileError, match="sheet 'Empty' is empty"):
        scan(path, sheet="Empty")
    with pytest.raises(InputFileError, match=r"more than once: 'id'.*pass columns="):
        scan(path, sheet="Twice")
    with pytest.raises(InputFileError, match="no cells in any sheet"):
        scan(xlsx(tmp_path / "b.xlsx", {"Empty": []}))


def test_the_command_line_takes_a_sheet(tmp_path, capsys):
    """`check people.xlsx --sheet People` reads that sheet; without it the sheets are listed in its words."""
    path = xlsx(tmp_path / "a.xlsx", {"People": PEOPLE, "Old": PEOPLE})
    words = ["check", str(path), "--call", "identify", "--user-id", "customer_id"]

    assert main(words) == 4
    assert "Pass --sheet People" in capsys.readouterr().err
    assert main([*words, "--sheet", "People", "--timezone", "UTC"]) == 0
    assert "a.xlsx" in capsys.readouterr().out
