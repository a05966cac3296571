"""Which column feeds which field, and what was taken without being named."""

from collections.abc import Sequence
from dataclasses import dataclass

from cio_frames.views import components
from cio_frames.views import text as plain
from cio_frames.views.html import Markup
from cio_frames.views.wording import many, number

_TITLES = ("field", "comes from", "how", "why")
_PROPOSED = "proposed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingView:
    """Where one field of the messages comes from."""

    field: str
    column: str
    how: str
    reason: str = ""


def fold(rows: Sequence[MappingView]) -> Markup:
    """Return the mapping; its title says if anything in it was not named by the user."""
    titles = _titles(rows)
    lines = [
        (
            components.code(row.field),
            components.code(row.column) if row.column else "",
            components.badge(row.how, tone="calm") if row.how == _PROPOSED else row.how,
            row.reason,
        )[: len(titles)]
        for row in rows
    ]
    return components.fold(_title(rows), components.grid(titles, lines))


def text(rows: Sequence[MappingView]) -> str:
    """Return the mapping for a terminal."""
    titles = _titles(rows)
    lines = [(row.field, row.column, row.how, row.reason)[: len(titles)] for row in rows]
    return f"{plain.paragraph(_title(rows))}\n{plain.columns(titles, lines, indent='  ')}"


def _titles(rows: Sequence[MappingView]) -> tuple[str, ...]:
    """Return the titles of the columns; nobody asks why if everything was named."""
    return _TITLES if any(row.reason for row in rows) else _TITLES[:-1]


def _title(rows: Sequence[MappingView]) -> str:
    proposed = _proposed(rows)
    told = f", {number(proposed)} of them proposed from the columns" if proposed else ""
    return f"Mapping: {many(len(rows), 'field')}{told}"


def _proposed(rows: Sequence[MappingView]) -> int:
    return sum(row.how == _PROPOSED for row in rows)
