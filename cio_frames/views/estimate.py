"""What sending will take, and afterwards what it took beside that."""

from dataclasses import dataclass

from cio_frames.views import components
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One quantity.

    Attributes:
        what: Its name.
        estimate: What it will be.
        actual: What it was, after a run.
        why: What the estimate rests on.
    """

    what: str
    estimate: str
    actual: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateView:
    """An estimate as plain values.

    Attributes:
        title: What this is.
        source: What would be sent, or was.
        lines: The quantities.
        sentence: What should be known with them.
    """

    title: str
    source: str
    lines: tuple[Line, ...]
    sentence: str = ""


def html(view: EstimateView) -> Markup:
    """Return the estimate for a notebook."""
    headers, rows = _table(view)
    return components.card(
        components.head(view.title, about=view.source),
        components.sentence(view.sentence, style=css.LEAD),
        components.grid(headers, rows),
    )


def text(view: EstimateView) -> str:
    """Return the estimate for a terminal."""
    headers, rows = _table(view)
    blocks = [
        plain.head(view.title, view.source),
        plain.paragraph(view.sentence),
        plain.columns(headers, rows),
    ]
    return plain.page(blocks)


def _table(view: EstimateView) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    if any(line.actual for line in view.lines):
        rows = [(line.what, line.estimate, line.actual) for line in view.lines]
        return ("what", "estimate", "outcome"), list(rows)
    return ("what", "estimate", "because"), [
        (line.what, line.estimate, line.why) for line in view.lines
    ]
