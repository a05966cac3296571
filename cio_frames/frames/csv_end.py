"""What stands below the table of a CSV file: totals, and lines that a report ends with."""

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
"""Columns from which on a line of one cell is none of the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What stands below the table, and what is told of it."""

    left_out: tuple[Record, ...] = ()
    notes: tuple[Note, ...] = ()
    blank: int = 0
    """Blank lines around what was left out, which are nothing to tell of."""


def footers(path: str, last: Sequence[Record], *, rows: Sequence[Record], width: int) -> End:
    """Return the rows at the end of a file that are no rows of its table.

    Args:
        path: What notes call the file.
        last: Its last records.
        rows: Its first records, without the header.
        width: How many columns there are.
    """
    found: list[Record] = []
    doubtful: list[Record] = []
    apart = _apart(last, width)
    for record in reversed([record for record in last if record.filled]):
        cells = {other.cells for other in (*found, *doubtful, record)}
        body = [row for row in rows if row.filled and row.cells not in cells]
        if record in apart or _is_closing(record, width) or _is_total(record, body, width):
            found.insert(0, record)
        elif _says_total(record) and not doubtful:
            doubtful.insert(0, record)
            break
        else:
            break
    below = [place for place, record in enumerate(last, 1) if record.filled and record not in found]
    return End(
        left_out=tuple(found),
        blank=sum(not record.filled for record in last[below[-1] if below else 0 :])
        if found
        else 0,
        notes=(
            *(_note(path, record, left_out=True) for record in found),
            *(_note(path, record, left_out=False) for record in doubtful),
        ),
    )


def _apart(last: Sequence[Record], width: int) -> Sequence[Record]:
    """Return the lines of one cell that a blank line parts from the table; none where rows follow it too."""
    begins = [
        place
        for place, (before, record) in enumerate(pairwise(last), 1)
        if record.filled and (not before.filled or record.first > before.last + 1)
    ]
    block = [record for record in last[begins[-1] :] if record.filled] if begins else []
    return block if block and all(_is_alone(record, width) for record in block) else ()


def _is_alone(record: Record, width: int) -> bool:
    return record.filled == 1 and width >= WIDE and bool(record.cells[0].strip())


def _first(record: Record) -> str:
    return next((cell.strip() for cell in record.cells if cell.strip()), "")


def _is_closing(record: Record, width: int) -> bool:
    return _is_alone(record, width) and CLOSING.fullmatch(_first(record)) is not None


def _says_total(record: Record) -> bool:
    return TOTAL.fullmatch(_first(record)) is not None and record.filled > 1


def _is_total(record: Record, body: Sequence[Record], width: int) -> bool:
    """Return whether a row says total, and lacks what each other row has."""
    if not _says_total(record) or not body:
        return False
    return any(
        _cell(record, place) == "" and all(_cell(row, place) for row in body)
        for place in range(width)
    )


def _cell(record: Record, place: int) -> str:
    return record.cells[place].strip() if place < len(record.cells) else ""


def _note(path: str, record: Record, *, left_out: bool) -> Note:
    shown = _first(record)
    if left_out:
        told = f"is below the table and was skipped (it begins {shown[:40]!r})."
    else:
        told = f"begins {shown!r} and was read as a row; remove it from the file if it is a total."
    return Note(
        code="file.footer",
        severity="warn",
        count=1,
        message=f"{path}: the row at the end{_line(record)} {told}",
    )


def _line(record: Record) -> str:
    return f" (line {record.first:,})"
