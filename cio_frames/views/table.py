"""Any frame as a table: pages that open one after the other, and the data itself left whole."""

from collections.abc import Sequence
from dataclasses import dataclass

from cio_frames.views import components
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Child, Markup, join
from cio_frames.views.wording import many, number

PAGE_ROWS = 20
DRAWN_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A frame as plain values.

    Attributes:
        columns: Names of the columns.
        rows: The first rows, as many as may be drawn or all of them.
        total: How many rows the frame has.
        whole: What to type to get the frame with all its rows.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    total: int
    whole: str = ""


def html(view: TableView) -> Markup:
    """Return the table for a notebook: the first page, the further pages folded, and where the rest is."""
    drawn = [[_cell(value) for value in row] for row in view.rows[:DRAWN_ROWS]]
    right = _numeric(view)
    pages = [drawn[start : start + PAGE_ROWS] for start in range(0, len(drawn), PAGE_ROWS)]
    first = components.grid(view.columns, pages[0] if pages else [], right=right)
    further = [
        components.fold(
            f"Rows {number(start + 1)} to {number(start + len(page))}",
            components.grid(view.columns, page, right=right),
        )
        for start, page in zip(range(PAGE_ROWS, len(drawn), PAGE_ROWS), pages[1:], strict=True)
    ]
    rest = _rest(view, drawn=len(drawn))
    return join([first, *further, *([components.sentence(rest, style=css.AFTER)] if rest else [])])


def text(view: TableView) -> str:
    """Return the first page of the table for a terminal."""
    shown = view.rows[:PAGE_ROWS]
    lines = plain.columns(view.columns, [_words(row) for row in shown], right=_numeric(view))
    rest = _rest(view, drawn=len(shown))
    return f"{lines}\n{plain.paragraph(rest)}" if rest else lines


def _rest(view: TableView, *, drawn: int) -> str:
    """Return how many rows are not drawn, and where they are."""
    left = view.total - drawn
    if left <= 0:
        return ""
    return f"And {many(left, 'more row')}{f'; all are in {view.whole}' if view.whole else ''}."


def _words(row: Sequence[object]) -> list[str]:
    """Return the values of a row as text."""
    return ["null" if value is None else _word(value) for value in row]


def _cell(value: object) -> Child:
    """Return a value for a cell; what is missing looks different from the word for it."""
    return components.muted("null") if value is None else _word(value)


def _word(value: object) -> str:
    """Return a value as text, a count with its thousands parted."""
    return number(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _numeric(view: TableView) -> frozenset[int]:
    """Return the positions of the columns that hold only numbers."""
    return frozenset(
        position
        for position in range(len(view.columns))
        if (present := [row[position] for row in view.rows if row[position] is not None])
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)
    )
