"""The records of CSV text as Python's csv module reads them, each with its lines."""

import csv
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

Dialect = Literal["rfc4180", "backslash"]
"""How a quote is written inside a quoted value: twice, or after a backslash."""

ESCAPED = '\\"'

DIALECTS: tuple[Dialect, ...] = get_args(Dialect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How records are written: what parts their cells, how quotes are escaped, what comments begin with."""

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
        """How many cells hold more than white space."""
        return sum(bool(cell.strip()) for cell in self.cells)


class BrokenRecordError(Exception):
    """A record that is not written as its form asks; `backslash` says if it holds escaped quotes."""

    def __init__(self, *, first: int, last: int, reason: str, backslash: bool) -> None:
        self.first = first
        self.last = last
        self.reason = reason
        self.backslash = backslash
        super().__init__(reason)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text with their ends; LF alone parts lines, as in the engine."""
    return re.findall(r"[^\n]*\n|[^\n]+\Z", text)


def records(lines: Iterable[str], *, form: Form, first: int = 1) -> Generator[Record]:
    """Yield the records of some lines, the first of which has that number.

    Raises:
        BrokenRecordError: A quote inside a quoted value is followed by neither a quote, the
            separator nor a line end, or is not closed; or a line ends in CR.
    """
    taken: dict[int, str] = {}
    source = _noted(lines, form=form, first=first, taken=taken)
    escape = "\\" if form.dialect == "backslash" else None
    reader = csv.reader(source, delimiter=form.separator, escapechar=escape, strict=True)
    try:
        for cells in reader:
            yield Record(first=min(taken), last=max(taken), cells=tuple(cells))
            taken.clear()
    except csv.Error as error:
        raise BrokenRecordError(
            first=min(taken),
            last=max(taken),
            reason=str(error),
            backslash=any(ESCAPED in line for line in taken.values()),
        ) from error


def _noted(lines: Iterable[str], *, form: Form, first: int, taken: dict[int, str]) -> Iterator[str]:
    """Yield lines for the csv module, which asks for one more only where a record goes on."""
    change = _kept_backslashes(form)
    for number, line in enumerate(lines, first):
        if form.comment and not taken and line.startswith(form.comment):
            continue
        taken[number] = line
        yield change(line)


def _kept_backslashes(form: Form) -> Callable[[str], str]:
    r"""Return what doubles the backslashes that escape nothing, such as that of `C:\temp`."""
    if form.dialect == "rfc4180":
        return str
    escape = re.compile(rf"\\([\"\\\r\n{re.escape(form.separator)}]?)")
    return partial(escape.sub, lambda found: found[0] if found[1] else r"\\")


def quoted(cells: Sequence[str], separator: str) -> bytes:
    """Return a record as RFC 4180 has it, with every value in quotes."""
    values = ('"' + cell.replace('"', '""') + '"' for cell in cells)
    return (separator.join(values) + "\n").encode()
