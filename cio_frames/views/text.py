"""The same content for terminals and `print`: aligned columns and wrapped sentences, no colours."""

import textwrap
import unicodedata
from collections.abc import Collection, Sequence

from cio_frames.views.characters import one_line, visible

WIDTH = 96
_GAP = "  "


def columns(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> str:
    """Return aligned columns.

    Args:
        headers: Titles of the columns; without any, only the rows are returned.
        rows: One text per column, in every row.
        right: Positions of the columns that are aligned to the right.

    Returns:
        Lines without a line feed at the end.

    Examples:
        >>> print(columns(["state", "rows"], [["delivered", "9"], ["pending", "10"]], right={1}))
        state      rows
        delivered     9
        pending      10
    """
    lines = [[one_line(cell) for cell in row] for row in ([headers] if headers else []) + [*rows]]
    if not lines:
        return ""
    widths = [max(map(cells, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        _GAP.join(
            _padded(cell, width, to_the_right=position in right)
            for position, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def paragraph(text: str, *, indent: str = "", width: int = WIDTH) -> str:
    """Return a sentence wrapped to the width, every line indented.

    Examples:
        >>> print(paragraph("one two three", indent="  ", width=10))
          one two
          three
    """
    return textwrap.fill(
        one_line(text),
        width=width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def block(text: str, *, indent: str = "  ") -> str:
    """Return text that has its own lines, every line indented."""
    return textwrap.indent(visible(text), indent)


def cells(text: str) -> int:
    """Return how many places of a terminal a text fills.

    Examples:
        >>> cells("Ada"), cells("日本")
        (3, 4)
    """
    return sum(_places(character) for character in text)


def shortened(text: str, places: int) -> str:
    """Return one line of at most so many places, for a line that is drawn again and again.

    Examples:
        >>> shortened("sending 日本", 11), shortened("short", 11)
        ('sending 日…', 'short')
    """
    line = one_line(text)
    if cells(line) <= places:
        return line
    while line and cells(line) >= places:
        line = line[:-1]
    return line + "…"


def _padded(cell: str, width: int, *, to_the_right: bool) -> str:
    """Return a cell filled up with blanks."""
    blanks = " " * (width - cells(cell))
    return blanks + cell if to_the_right else cell + blanks


def _places(character: str) -> int:
    """Return how many places one character fills."""
    if unicodedata.combining(character) or character in "\u200c\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
