"""Find where the table of a CSV file begins, from its first records."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from cio_frames.frames.column import Note
from cio_frames.frames.csv_records import Record

PREAMBLE_MAX = 40
SAMPLE_RECORDS = 200
IMPORT_ID = '{"ImportId":'
GENERIC = frozenset({"response", "open-ended response"})

_KINDS = {
    "number": re.compile(r"[-+]?\d[\d.,' ]*%?"),
    "email": re.compile(r"[^@\s\"]+@[^@\s\"]+\.[A-Za-z]{2,}"),
    "time": re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{4}(\s.*)?"),
    "uuid": re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
}
_UNIT = re.compile(
    r"[\[(][^\])]{1,14}[\])]|%|[€$£¥]|usd|eur|gbp|chf|jpy|k?g|k?m|cm|mm|s|ms|min|h|hours?|days?|weeks?"
    r"|months?|years?|seconds?|minutes?|pcs|pieces|count|string|str|text|varchar|integer|int|float"
    r"|number|numeric|decimal|double|boolean|bool|date|datetime|timestamp",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """What the user has set about where the table begins; None is detected from the records.

    Attributes:
        header: The number of rows with column names.
        skip_rows: The number of lines before them.
        columns: The column names to use.
    """

    header: int | None = None
    skip_rows: int | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStart:
    """Where the table begins.

    Attributes:
        skip: The number of lines before the first row.
        skip_to_header: The number of lines before the record above the first row, if that record
            has a cell for each column.
        line: The line of the header, or of the first row if there is no header.
        names: The column names.
        header: The cells of a header of one record; empty otherwise.
        unnamed_at_end: How many of the last columns have no name, and no value in these records.
        notes: What was recognised.
    """

    skip: int
    skip_to_header: int | None
    line: int
    names: tuple[str, ...]
    header: tuple[str, ...]
    unnamed_at_end: int
    notes: tuple[Note, ...]


def find_start(
    path: str, records: Sequence[Record], options: StartOptions, *, first: int
) -> TableStart:
    """Return where the table begins, from the first records of a file, which begin at line `first`."""
    filled = [record for record in records[:SAMPLE_RECORDS] if any(record.cells)]
    is_chosen = options.skip_rows is not None or options.header is not None
    preamble = 0 if is_chosen else _preamble_records(filled)
    table = filled[preamble:]
    count = _header_rows(table) if options.header is None else min(options.header, len(table))
    header, below = table[:count], table[count:]
    units = below[: int(options.header is None and count == 1 and _are_units(below))]
    body = below[len(units) :]
    cells = _joined_names(header)
    width = max((len(record.cells) for record in body), default=0)
    unnamed_at_end = _unnamed_at_end(cells, body, width=width) if header else 0
    if unnamed_at_end or not header or options.columns is not None:
        cells += [""] * (width - len(cells))
    names = [cell or f"column_{place}" for place, cell in enumerate(cells, 1)]
    unnamed = [name for name, cell in zip(names, cells, strict=True) if not cell]
    line = table[0].first if table else first
    above = (*header, *units)[-1] if header else None
    return TableStart(
        skip=above.last if above else line - 1,
        skip_to_header=above.first - 1 if above and len(above.cells) == len(names) else None,
        line=line,
        names=tuple(names),
        header=header[0].cells if count == 1 else (),
        unnamed_at_end=unnamed_at_end,
        notes=(
            *_preamble_note(path, filled[:preamble], table),
            *_header_note(path, header, options),
            *_unit_note(path, units),
            *_unnamed_note(path, unnamed, at_end=unnamed_at_end if header else len(names)),
        ),
    )


def kind(cell: str) -> str:
    """Return what a cell contains: "number", "email", "time", "uuid", "text", or "" if it is empty.

    Examples:
        >>> [kind(cell) for cell in ("12.5", "ann@example.com", "2024-05-01", "Plan", "")]
        ['number', 'email', 'time', 'text', '']
    """
    text = cell.strip()
    if not text:
        return ""
    return next((name for name, pattern in _KINDS.items() if pattern.fullmatch(text)), "text")


def _column_kind(body: Sequence[Record], place: int) -> str:
    """Return the one kind of a column's cells; "" if there are none, "text" if there are several."""
    kinds = {kind(record.cells[place]) for record in body if place < len(record.cells)} - {""}
    return kinds.pop() if len(kinds) == 1 else "text" if kinds else ""


def _is_header(record: Record, body: Sequence[Record]) -> bool:
    """Return whether a record is certainly a header: different words above data."""
    kinds = [kind(cell) for cell in record.cells]
    words = [cell.strip() for cell in record.cells if cell.strip()]
    if not words[1:] or set(kinds) - {"text", ""} or len(set(words)) < len(words) or not body:
        return False
    return any(
        cell_kind == "text" and _column_kind(body, place) not in ("text", "")
        for place, cell_kind in enumerate(kinds)
    )


def _preamble_records(rows: Sequence[Record]) -> int:
    """Return the number of records before the header."""
    widest = max((record.filled for record in rows), default=0)
    for place, record in enumerate(rows[:PREAMBLE_MAX]):
        if record.filled * 2 <= widest:
            continue
        body = [row for row in rows[place + 1 :] if row.filled * 2 > widest]
        follows_blank = place > 0 and record.first > rows[place - 1].last + 1
        are_comments = all(row.cells[0].startswith("#") for row in rows[:place])
        if place and _is_second_header(rows[place - 1], record, rows[place + 1 :]):
            return place - 1 if place == 1 or are_comments else 0
        is_preamble = follows_blank or are_comments or _is_header(record, body)
        return place if is_preamble else 0
    return 0


def _header_rows(rows: Sequence[Record]) -> int:
    """Return how many of the first records contain column names."""
    for place, record in enumerate(rows[1:3], 2):
        if all(cell.startswith(IMPORT_ID) for cell in record.cells if cell):
            return place
    if rows[2:] and _is_second_header(rows[0], rows[1], rows[2:]):
        return 2
    return 0 if not rows or _is_data(rows[0], rows[1:]) else 1


def _is_second_header(first: Record, second: Record, body: Sequence[Record]) -> bool:
    """Return whether a second row names columns that the first does not, or only says "Response"."""
    kinds = {kind(cell) for cell in second.cells}
    if len(first.cells) != len(second.cells) or kinds != {"text", ""}:
        return False
    if all(cell.strip().lower() in GENERIC for cell in second.cells if cell):
        return True
    pairs = [
        (bool(upper), bool(lower)) for upper, lower in zip(first.cells, second.cells, strict=True)
    ]
    if not all(upper or lower for upper, lower in pairs) or (False, True) not in pairs:
        return False
    return any(
        pair == (True, False) and all(len(row.cells) > place and row.cells[place] for row in body)
        for place, pair in enumerate(pairs)
    )


def _is_data(first: Record, body: Sequence[Record]) -> bool:
    """Return whether the first record is a row: its cells are of the same kinds as those below."""
    for place, cell in enumerate(first.cells):
        own, below = kind(cell), _column_kind(body, place)
        if own in ("email", "uuid") and below in (own, ""):
            return True
        if own == below and (own == "time" or (own == "number" and place == 0)):
            return True
    return sum(_recurs(cell, place, first, body) for place, cell in enumerate(first.cells)) > 1


def _recurs(cell: str, place: int, first: Record, body: Sequence[Record]) -> bool:
    """Return whether a cell of the first record comes again below, in a column of several values."""
    rows = [row.cells for row in body if len(row.cells) > place and row.cells != first.cells]
    values = {cells[place] for cells in rows} - {""}
    return cell in values and len(values) > 1


def _are_units(body: Sequence[Record]) -> bool:
    """Return whether the first row contains the units or types of the rows below."""
    if not body[2:]:
        return False
    first, rows = body[0], body[1:]
    if not all(_UNIT.fullmatch(cell.strip()) for cell in first.cells if cell.strip()):
        return False
    return any(
        cell.strip() and _column_kind(rows, place) in ("number", "time")
        for place, cell in enumerate(first.cells)
    )


def _joined_names(header: Sequence[Record]) -> list[str]:
    """Return the column names of one or several header rows."""
    if not header:
        return []
    names = list(header[0].cells)
    if len(header) == 1 or header[-1].cells[0].startswith(IMPORT_ID):
        return names
    for record in header[1:]:
        joined, parent = [], ""
        for above, below in zip_longest(names, record.cells, fillvalue=""):
            parent = above or parent
            is_generic = above and below.strip().lower() in GENERIC
            if is_generic or not below:
                joined.append(above)
            else:
                joined.append(f"{parent} - {below}" if parent else below)
        names = joined
    return names


def _unnamed_at_end(cells: Sequence[str], body: Sequence[Record], *, width: int) -> int:
    """Return how many of the last columns have neither a name nor a value.

    They come from lines that end in a separator.
    """
    named = max((place for place, cell in enumerate(cells, 1) if cell), default=0)
    filled = max(
        (place for record in body for place, cell in enumerate(record.cells, 1) if cell), default=0
    )
    if filled > len(cells):
        return 0
    return max(max(len(cells), width) - max(named, filled), 0)


def _lines(rows: Sequence[Record]) -> str:
    first, last = rows[0].first, rows[-1].last
    return f"line {first:,}" if first == last else f"lines {first:,} to {last:,}"


def _preamble_note(path: str, rows: Sequence[Record], table: Sequence[Record]) -> Iterator[Note]:
    if rows:
        yield Note(
            code="file.preamble",
            severity="warn",
            count=len(rows),
            message=f"{path}: {_lines(rows)} before the table, which begins on line {table[0].first:,}, "
            f"{'was' if len(rows) == 1 else 'were'} skipped. Pass skip_rows= if that is wrong.",
        )


def _header_note(path: str, header: Sequence[Record], options: StartOptions) -> Iterator[Note]:
    if options.header is not None:
        return
    if not header:
        yield Note(
            code="file.no-header",
            severity="warn",
            message=f"{path} has no header: its first line contains values, so the columns are called "
            "column_1 and so on. Pass columns= to name them, or header=True if that line is the header.",
        )
    elif len(header) > 1:
        yield Note(
            code="file.header-rows",
            severity="warn",
            count=len(header),
            message=f"{path}: {_lines(header)} were read as the header. Pass header=1 if only the "
            "first of them is.",
        )


def _unit_note(path: str, units: Sequence[Record]) -> Iterator[Note]:
    if units:
        yield Note(
            code="file.units",
            severity="warn",
            count=1,
            message=f"{path}: {_lines(units)} contains units or types, not values, and was skipped. "
            "Pass header=1 to keep it.",
        )


def _unnamed_note(path: str, unnamed: Sequence[str], *, at_end: int) -> Iterator[Note]:
    names = unnamed[: max(len(unnamed) - at_end, 0)]
    if names:
        yield Note(
            code="file.unnamed-column",
            severity="warn",
            count=len(names),
            message=f"{path} has columns without a name, called {', '.join(names)} here.",
        )
