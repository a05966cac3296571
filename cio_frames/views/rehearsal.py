"""A rehearsal: what was predicted beside what came, and everything that differs."""

from dataclasses import dataclass
from typing import Final

from cio_frames.views import components
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Markup
from cio_frames.views.style import Tone
from cio_frames.views.wording import many, number

SHOWN: Final = 20
COMPARED: Final = ("what", "predicted", "came")
DIFFERENT: Final = ("what", "which", "predicted", "came")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One kind of thing, and how many of it there were."""

    what: str
    predicted: int
    actual: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalView:
    """A rehearsal as plain values.

    Attributes:
        source: What was rehearsed.
        rows: Rows of the plans.
        sent: Rows that were sent.
        requests: Requests they took.
        compared: How many there were of each thing.
        differences: What, which, predicted and actual of the first differences.
        differing: How many differences there are.
    """

    source: str
    rows: int
    sent: int
    requests: int
    compared: tuple[Compared, ...]
    differences: tuple[tuple[str, str, int, int], ...] = ()
    differing: int = 0


def html(view: RehearsalView) -> Markup:
    """Return the rehearsal for a notebook."""
    word, tone, sentence = _verdict(view)
    found = [
        components.section(_title(view), components.grid(DIFFERENT, _rows(view), right={2, 3}))
    ]
    return components.card(
        components.head("Rehearsal", about=view.source, verdict=word, tone=tone),
        components.sentence(sentence, style=css.LEAD),
        components.grid(COMPARED, _counts(view), right={1, 2}),
        *(found if view.differences else []),
    )


def text(view: RehearsalView) -> str:
    """Return the rehearsal for a terminal."""
    word, _, sentence = _verdict(view)
    blocks = [
        plain.head("Rehearsal", view.source, verdict=word),
        plain.paragraph(sentence),
        plain.columns(COMPARED, _counts(view), right={1, 2}),
    ]
    if view.differences:
        table = plain.columns(DIFFERENT, _rows(view), right={2, 3}, indent="  ")
        blocks.append(f"{_title(view)}\n{table}")
    return plain.page(blocks)


def _verdict(view: RehearsalView) -> tuple[str, Tone, str]:
    sent = (
        f"{many(view.sent, 'row')} of {number(view.rows)} went in {many(view.requests, 'request')} "
        "to a private workspace on this machine."
    )
    if not view.differing:
        return "✓ identical", "good", f"{sent} Everything came as the preview says."
    word = many(view.differing, "difference")
    return f"✕ {word}", "bad", f"{sent} {word} between the preview and what came."


def _title(view: RehearsalView) -> str:
    shown = len(view.differences)
    return "Differences" if shown == view.differing else f"The first {shown} differences"


def _counts(view: RehearsalView) -> list[tuple[str, str, str]]:
    return [(row.what, number(row.predicted), number(row.actual)) for row in view.compared]


def _rows(view: RehearsalView) -> list[tuple[str, str, str, str]]:
    return [
        (what, which, number(predicted), number(actual))
        for what, which, predicted, actual in view.differences
    ]
