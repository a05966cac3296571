"""Where the table of a CSV file begins: recognised by what its first records look like."""

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
class TableStart:
    """What the user says of where the table begins; None is not said.

    Attributes:
        header: How many rows hold the names.
        skip_rows: How many lines stand before them.
        columns: The names to use.
    """

    header: int | None = None
    skip_rows: int | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where the table begins.

    Attributes:
        skip: How many lines stand before its first row.
        above: How many lines stand before the record over its first row, if that has a cell for
            each column.
        line: The line of the header, or of the first row where there is none.
        names: Its columns.
        header: The cells of the header as they are in the file; none without a header.
        spare: How many of the last columns have no name and are empty as far as was seen.
        notes: What was recognised.
    """

    skip: int
    above: int | None
    line: int
    names: tuple[str, ...]
    header: tuple[str, ...]
    spare: int
    notes: tuple[Note, ...]


def start(path: str, found: Sequence[Record], asked: TableStart, *, first: int) -> Start:
    """Return where the table begins, from the first records of a file.

    Args:
        path: What notes call the file.
        found: Its first records.
        asked: What the user says.
        first: The line of the first of them.
    """
    rows = [record for record in found[:SAMPLE_RECORDS] if any(record.cells)]
    before = 0 if asked.skip_rows is not None or asked.header is not None else _preamble(rows)
    kept = rows[before:]
    count = _header_rows(kept) if asked.header is None else min(asked.header, len(kept))
    heads, below = kept[:count], kept[count:]
    units = below[: int(asked.header is None and count == 1 and _are_units(below))]
    body = below[len(units) :]
    cells = _joined(heads)
    width = max((len(record.cells) for record in body), default=0)
    spare = _spare(cells, body, width=width) if heads else 0
    if spare or not heads or asked.columns is not None:
        cells += [""] * (width - len(cells))
    names = [cell or f"column_{place}" for place, cell in enumerate(cells, 1)]
    unnamed = [name for name, cell in zip(names, cells, strict=True) if not cell]
    line = kept[0].first if kept else first
    over = (*heads, *units)[-1] if heads else None
    return Start(
        skip=over.last if over else line - 1,
        above=over.first - 1 if over and len(over.cells) == len(names) else None,
        line=line,
        names=tuple(names),
        header=heads[0].cells if count == 1 else (),
        spare=spare,
        notes=(
            *_preamble_note(path, rows[:before], kept),
            *_header_note(path, heads, asked),
            *_unit_note(path, units),
            *_unnamed_note(path, unnamed, spare=spare if heads else len(names)),
        ),
    )


def kind(cell: str) -> str:
    """Return what a cell holds: number, email, time, uuid, text, or nothing.

    Examples:
        >>> [kind(cell) for cell in ("12.5", "ann@example.com", "2024-05-01", "Plan", "")]
        ['number', 'email', 'time', 'text', '']
    """
    text = cell.strip()
    if not text:
        return ""
    return next((name for name, form in _KINDS.items() if form.fullmatch(text)), "text")


def _column_kind(body: Sequence[Record], place: int) -> str:
    """Return the one kind of a column's cells; "" if there are none, "text" if there are several."""
    kinds = {kind(record.cells[place]) for record in body if place < len(record.cells)} - {""}
    return kinds.pop() if len(kinds) == 1 else "text" if kinds else ""


def _is_header(record: Record, body: Sequence[Record]) -> bool:
    """Return whether a record can only be the header of what follows it: words above data."""
    kinds = [kind(cell) for cell in record.cells]
    words = [cell.strip() for cell in record.cells if cell.strip()]
    if not words[1:] or set(kinds) - {"text", ""} or len(set(words)) < len(words) or not body:
        return False
    return any(
        word == "text" and _column_kind(body, place) not in ("text", "")
        for place, word in enumerate(kinds)
    )


def _preamble(rows: Sequence[Record]) -> int:
    """Return how many records stand before the header."""
    widest = max((record.filled for record in rows), default=0)
    for place, record in enumerate(rows[:PREAMBLE_MAX]):
        if record.filled * 2 <= widest:
            continue
        body = [row for row in rows[place + 1 :] if row.filled * 2 > widest]
        apart = place > 0 and record.first > rows[place - 1].last + 1
        marked = all(row.cells[0].startswith("#") for row in rows[:place])
        if place and _is_second(rows[place - 1], record, rows[place + 1 :]):
            return place - 1 if place == 1 or marked else 0
        return place if apart or marked or _is_header(record, body) else 0
    return 0


def _header_rows(rows: Sequence[Record]) -> int:
    """Return how many of the first records hold names."""
    for place, record in enumerate(rows[1:3], 2):
        if all(cell.startswith(IMPORT_ID) for cell in record.cells if cell):
            return place
    if rows[2:] and _is_second(rows[0], rows[1], rows[2:]):
        return 2
    return 0 if not rows or _is_data(rows[0], rows[1:]) else 1


def _is_second(first: Record, second: Record, body: Sequence[Record]) -> bool:
    """Return whether a second row names what the first leaves open, or says only "Response"."""
    if len(first.cells) != len(second.cells) or {kind(cell) for cell in second.cells} != {
        "text",
        "",
    }:
        return False
    if all(cell.strip().lower() in GENERIC for cell in second.cells if cell):
        return True
    pairs = [
        (bool(over), bool(under)) for over, under in zip(first.cells, second.cells, strict=True)
    ]
    if not all(over or under for over, under in pairs) or (False, True) not in pairs:
        return False
    return any(
        pair == (True, False) and all(len(row.cells) > place and row.cells[place] for row in body)
        for place, pair in enumerate(pairs)
    )


def _is_data(first: Record, body: Sequence[Record]) -> bool:
    """Return whether the first record is a row: its cells are of the kind of those below."""
    for place, cell in enumerate(first.cells):
        of, below = kind(cell), _column_kind(body, place)
        if of in ("email", "uuid") and below in (of, ""):
            return True
        if of == below and (of == "time" or (of == "number" and place == 0)):
            return True
    return sum(_recurs(cell, place, first, body) for place, cell in enumerate(first.cells)) > 1


def _recurs(cell: str, place: int, first: Record, body: Sequence[Record]) -> bool:
    """Return whether a cell of the first record is one of several values of its column."""
    rows = [row.cells for row in body if len(row.cells) > place and row.cells != first.cells]
    values = {cells[place] for cells in rows} - {""}
    return cell in values and len(values) > 1


def _are_units(body: Sequence[Record]) -> bool:
    """Return whether the first of some rows says the units, or types, of those below."""
    if not body[2:]:
        return False
    first, others = body[0], body[1:]
    if not all(_UNIT.fullmatch(cell.strip()) for cell in first.cells if cell.strip()):
        return False
    return any(
        cell.strip() and _column_kind(others, place) in ("number", "time")
        for place, cell in enumerate(first.cells)
    )


def _joined(heads: Sequence[Record]) -> list[str]:
    """Return the names that header rows say together."""
    if not heads:
        return []
    over = list(heads[0].cells)
    if len(heads) == 1 or heads[-1].cells[0].startswith(IMPORT_ID):
        return over
    for record in heads[1:]:
        whole, parent = [], ""
        for above, below in zip_longest(over, record.cells, fillvalue=""):
            parent = above or parent
            own = above and below.strip().lower() in GENERIC
            whole.append(above if own or not below else f"{parent} - {below}" if parent else below)
        over = whole
    return over


def _spare(cells: Sequence[str], body: Sequence[Record], *, width: int) -> int:
    """Return how many last columns have neither a name nor a value: separators that end each line."""
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


def _preamble_note(path: str, rows: Sequence[Record], kept: Sequence[Record]) -> Iterator[Note]:
    if rows:
        yield Note(
            code="file.preamble",
            severity="warn",
            count=len(rows),
            message=f"{path}: {_lines(rows)} before the table, which begins on line {kept[0].first:,}, "
            f"{'was' if len(rows) == 1 else 'were'} left out. Pass skip_rows= if that is wrong.",
        )


def _header_note(path: str, heads: Sequence[Record], asked: TableStart) -> Iterator[Note]:
    if asked.header is not None:
        return
    if not heads:
        yield Note(
            code="file.no-header",
            severity="warn",
            message=f"{path} has no header: its first line contains values, so the columns are called "
            "column_1 and so on. Pass columns= to name them, or header=True if that line is the header.",
        )
    elif len(heads) > 1:
        yield Note(
            code="file.header-rows",
            severity="warn",
            count=len(heads),
            message=f"{path}: {_lines(heads)} were read as the header. Pass header=1 if only the "
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


def _unnamed_note(path: str, unnamed: Sequence[str], *, spare: int) -> Iterator[Note]:
    kept = unnamed[: max(len(unnamed) - spare, 0)]
    if kept:
        yield Note(
            code="file.unnamed-column",
            severity="warn",
            count=len(kept),
            message=f"{path} has columns without a name, called {', '.join(kept)} here.",
        )
