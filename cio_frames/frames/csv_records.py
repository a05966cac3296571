"""The records of CSV text as Python's csv module reads them, each with its lines."""

import csv
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

Dialect = Literal["rfc4180", "backslash"]
"""How a quote is written inside a quoted value: doubled, or after a backslash."""

ESCAPED = '\\"'

DIALECTS: tuple[Dialect, ...] = get_args(Dialect)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFormat:
    """How records are written; `comment` is what lines to skip begin with."""

    separator: str
    dialect: Dialect = "rfc4180"
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The cells of one record, and its first and last line, counted from 1."""

    first: int
    last: int
    cells: tuple[str, ...]

    @property
    def filled(self) -> int:
        """The number of cells that contain more than white space."""
        return sum(bool(cell.strip()) for cell in self.cells)


class BrokenRecordError(Exception):
    """A record that does not follow its format; `backslash` is whether it contains escaped quotes."""

    def __init__(self, *, first: int, last: int, reason: str, backslash: bool) -> None:
        self.first = first
        self.last = last
        self.reason = reason
        self.backslash = backslash
        super().__init__(reason)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text with their ends; only LF ends a line, as in polars."""
    return re.findall(r"[^\n]*\n|[^\n]+\Z", text)


def records(lines: Iterable[str], *, csv_format: CsvFormat, first: int = 1) -> Generator[Record]:
    """Yield the records of lines; `first` is the number of the first line.

    Raises:
        BrokenRecordError: A quote inside a quoted value is followed by neither a quote, the
            separator nor a line end, or is not closed; or a line ends in CR.
    """
    record_lines: dict[int, str] = {}
    source = _tracked(lines, csv_format=csv_format, first=first, record_lines=record_lines)
    escape = "\\" if csv_format.dialect == "backslash" else None
    reader = csv.reader(source, delimiter=csv_format.separator, escapechar=escape, strict=True)
    try:
        for cells in reader:
            yield Record(first=min(record_lines), last=max(record_lines), cells=tuple(cells))
            record_lines.clear()
    except csv.Error as error:
        raise BrokenRecordError(
            first=min(record_lines),
            last=max(record_lines),
            reason=str(error),
            backslash=any(ESCAPED in line for line in record_lines.values()),
        ) from error


def _tracked(
    lines: Iterable[str], *, csv_format: CsvFormat, first: int, record_lines: dict[int, str]
) -> Iterator[str]:
    """Yield lines for the csv module, and collect those of the current record in `record_lines`.

    The module reads one more line only if the record continues there.
    """
    double_backslashes = _backslash_doubler(csv_format)
    for number, line in enumerate(lines, first):
        if csv_format.comment and not record_lines and line.startswith(csv_format.comment):
            continue
        record_lines[number] = line
        yield double_backslashes(line)


def _backslash_doubler(csv_format: CsvFormat) -> Callable[[str], str]:
    r"""Return a function that doubles backslashes which escape nothing, as in `C:\temp`."""
    if csv_format.dialect == "rfc4180":
        return str
    escape = re.compile(rf"\\([\"\\\r\n{re.escape(csv_format.separator)}]?)")
    return partial(escape.sub, lambda match: match[0] if match[1] else r"\\")


def quoted_record(cells: Sequence[str], separator: str) -> bytes:
    """Return a record in the form of RFC 4180, with every value in quotes."""
    values = ('"' + cell.replace('"', '""') + '"' for cell in cells)
    return (separator.join(values) + "\n").encode()
