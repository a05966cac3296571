"""Find the lines below the table of a CSV file: totals, and closing lines of reports."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cio_frames.frames.column import Note
from cio_frames.frames.csv_records import Record

TAIL_RECORDS = 12
TOTAL = re.compile(
    r"(grand |sub)?-?totals?:?|(grand |sub)total:?|sum:?|summe:?|gesamt(summe)?:?|итого:?|totaal:?|totale:?",
    re.IGNORECASE,
)
CLOSING = re.compile(
    r"\(?[\d,. ]+ (rows?|records?|results?|entries)( \w+)?( affected| selected| returned| exported)?\)?\.?"
    r"|(generated|exported|downloaded|printed|created|report|source|copyright|©|confidential|filters?"
    r"|data as of|as of|page \d|end of|note:|notes:|total (rows|records)|rows:|records:).*",
    re.IGNORECASE,
)
WIDE = 3
"""In a table of at least so many columns, a line of one cell is not a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEnd:
    """The records below the table, and the notes on them."""

    footers: tuple[Record, ...] = ()
    notes: tuple[Note, ...] = ()
    blank_lines: int = 0
    """Blank lines around the footers, for which there is no note."""


def find_end(path: str, last: Sequence[Record], *, rows: Sequence[Record], width: int) -> TableEnd:
    """Return which of the last records of a file are not rows like its first `rows`."""
    footers: list[Record] = []
    doubtful: list[Record] = []
    separated = _separated_lines(last, width)
    for record in reversed([record for record in last if record.filled]):
        cells = {other.cells for other in (*footers, record)}
        body = [row for row in rows if row.filled and row.cells not in cells]
        if record in separated or _is_closing(record, width) or _is_total(record, body, width):
            footers.insert(0, record)
            continue
        if _is_labelled_total(record):
            doubtful.append(record)
        break
    rows_end = max(
        (place for place, row in enumerate(last, 1) if row.filled and row not in footers),
        default=0,
    )
    return TableEnd(
        footers=tuple(footers),
        blank_lines=sum(not record.filled for record in last[rows_end:]) if footers else 0,
        notes=(
            *(_note(path, record, is_skipped=True) for record in footers),
            *(_note(path, record, is_skipped=False) for record in doubtful),
        ),
    )


def _separated_lines(last: Sequence[Record], width: int) -> Sequence[Record]:
    """Return the lines after the last blank line, if each of them has one cell."""
    begins = [
        place
        for place, (before, record) in enumerate(pairwise(last), 1)
        if record.filled and (not before.filled or record.first > before.last + 1)
    ]
    block = [record for record in last[begins[-1] :] if record.filled] if begins else []
    return block if block and all(_is_single_cell(record, width) for record in block) else ()


def _is_single_cell(record: Record, width: int) -> bool:
    return record.filled == 1 and width >= WIDE and bool(record.cells[0].strip())


def _first_text(record: Record) -> str:
    return next((cell.strip() for cell in record.cells if cell.strip()), "")


def _is_closing(record: Record, width: int) -> bool:
    return _is_single_cell(record, width) and CLOSING.fullmatch(_first_text(record)) is not None


def _is_labelled_total(record: Record) -> bool:
    return TOTAL.fullmatch(_first_text(record)) is not None and record.filled > 1


def _is_total(record: Record, body: Sequence[Record], width: int) -> bool:
    """Return whether a row is labelled as a total, and lacks a value that all other rows have."""
    if not _is_labelled_total(record) or not body:
        return False
    return any(
        _cell(record, place) == "" and all(_cell(row, place) for row in body)
        for place in range(width)
    )


def _cell(record: Record, place: int) -> str:
    return record.cells[place].strip() if place < len(record.cells) else ""


def _note(path: str, record: Record, *, is_skipped: bool) -> Note:
    label = _first_text(record)
    if is_skipped:
        text = f"is below the table and was skipped (it begins {label[:40]!r})."
    else:
        text = f"begins {label!r} and was read as a row; remove it from the file if it is a total."
    return Note(
        code="file.footer",
        severity="warn",
        count=1,
        message=f"{path}: the row at the end (line {record.first:,}) {text}",
    )
