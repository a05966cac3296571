"""The report of several plans that are sent in order: the whole first, then each plan, folded."""

from collections.abc import Sequence

from cio_frames.views import components, report
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Markup, tag
from cio_frames.views.report import PlanView
from cio_frames.views.style import Tone
from cio_frames.views.wording import many, number, size

_TITLES = ("", "call", "from", "rows", "left out", "requests", "verdict")
_NUMBERS = {0, 3, 4, 5}


def html(views: Sequence[PlanView]) -> Markup:
    """Return one report for a notebook. Plans that forbid sending are open."""
    word, look_of_all, sentence = _verdict(views)
    words = [report.verdict(view) for view in views]
    lines = [
        (*row, components.badge(verdict, tone=look))
        for row, (verdict, look, _) in zip(_rows(views), words, strict=True)
    ]
    folds = [
        components.fold(
            f"Plan {place} of {len(views)}: {view.call} · {view.source}",
            tag("div", *report.body(view), style=css.join(css.ITEM, css.edge(tone))),
            is_open=tone == "bad",
        )
        for place, (view, (_, tone, _)) in enumerate(zip(views, words, strict=True), 1)
    ]
    return components.card(
        components.head("Back-fill", about=_about(views), verdict=word, tone=look_of_all),
        components.sentence(sentence, style=css.LEAD),
        components.figures(_figures(views)),
        components.grid(_TITLES, lines, right=_NUMBERS),
        *folds,
    )


def text(views: Sequence[PlanView]) -> str:
    """Return one report for a terminal."""
    word, _, sentence = _verdict(views)
    rows = [
        (*row, plain.mark(verdict))
        for row, (verdict, _, _) in zip(_rows(views), map(report.verdict, views), strict=True)
    ]
    return plain.page(
        (
            plain.head(f"Back-fill: {_about(views)}", verdict=word),
            plain.paragraph(sentence),
            plain.columns((), _figures(views), right={1}),
            plain.columns(_TITLES, rows, right=_NUMBERS),
            *map(report.text, views),
        )
    )


def _verdict(views: Sequence[PlanView]) -> tuple[str, Tone, str]:
    """Return the verdict on the whole: that of its worst plan."""
    words = [report.verdict(view) for view in views]
    refused = sum(word == "✕ refused" for word, _, _ in words)
    if refused:
        told = f"Nothing can be sent: {many(refused, 'plan is', 'plans are')} refused."
        return "✕ refused", "bad", told
    order = "They are sent in this order; each begins when everything before it has arrived."
    left = sum(view.rejected for view in views)
    if left:
        return "! ready, not all rows", "care", f"{many(left, 'row')} would be left out. {order}"
    return "✓ ready", "good", f"Every row would be sent. {order}"


def _about(views: Sequence[PlanView]) -> str:
    return f"{many(len(views), 'plan')}, in order"


def _figures(views: Sequence[PlanView]) -> list[tuple[str, str]]:
    """Return the sums that matter most."""
    return [
        ("rows", number(sum(view.rows for view in views))),
        ("valid", number(sum(view.valid for view in views))),
        ("rejected", number(sum(view.rejected for view in views))),
        ("size", size(sum(view.bytes for view in views))),
        ("requests", number(sum(view.batches for view in views))),
    ]


def _rows(views: Sequence[PlanView]) -> list[tuple[str, str, str, str, str, str]]:
    """Return a line per plan, without its verdict."""
    return [
        (
            str(place),
            view.call,
            view.source,
            number(view.rows),
            number(view.rejected),
            number(view.batches),
        )
        for place, view in enumerate(views, 1)
    ]
