"""The report of a plan: what would be sent, what would not, why, and what to do, worst first."""

from collections.abc import Callable
from dataclasses import dataclass

from cio_frames.views import components, findings, mapping, payloads, timeline
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.findings import FindingView
from cio_frames.views.html import Markup, join, tag
from cio_frames.views.mapping import MappingView
from cio_frames.views.style import Tone
from cio_frames.views.timeline import TimelineView
from cio_frames.views.wording import many, number, size


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A plan as plain values.

    Attributes:
        call: Name of the call.
        source: What the rows come from.
        rows: Rows read.
        valid: Rows that would be sent.
        rejected: Rows that would be left out.
        bytes: Size of all messages.
        batches: How many requests they make.
        mapping: Where each field comes from.
        findings: What the checks found, in any order.
        payloads: The first messages as JSON text.
        notes: Conversions and choices that were made on the way, one sentence each.
        times: When the rows happened, if they say so.
    """

    call: str
    source: str
    rows: int
    valid: int
    rejected: int
    bytes: int
    batches: int
    mapping: tuple[MappingView, ...] = ()
    findings: tuple[FindingView, ...] = ()
    payloads: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    times: TimelineView | None = None


def html(view: PlanView) -> Markup:
    """Return the report for a notebook."""
    word, tone, _ = verdict(view)
    title = components.head(f"Plan: {view.call}", about=view.source, verdict=word, tone=tone)
    return components.card(title, *body(view))


def body(view: PlanView) -> list[Markup]:
    """Return the report without its head."""
    _, tone, sentence = verdict(view)
    split: list[tuple[str, int, Tone]] = [
        ("valid", view.valid, "dull" if tone == "bad" else "good"),
        ("rejected", view.rejected, "care"),
    ]
    return [
        components.sentence(sentence, style=css.LEAD),
        components.figures(figures(view)),
        components.bar(split),
        *([timeline.html(view.times)] if view.times else []),
        *findings.html(view.findings),
        *([mapping.fold(view.mapping)] if view.mapping else []),
        *([payloads.fold(view.payloads)] if view.payloads else []),
        *_notes(view.notes),
    ]


def text(view: PlanView, *, words: Callable[[str], str] = str) -> str:
    """Return the report for a terminal.

    Args:
        view: The plan.
        words: Puts advice in the words of where it is shown.
    """
    word, _, sentence = verdict(view)
    blocks = [
        plain.head(f"Plan: {view.call}", view.source, verdict=word),
        plain.paragraph(words(sentence)),
        plain.columns((), [(name, value) for name, value in figures(view)], right={1}),
        *([timeline.text(view.times)] if view.times else []),
        *findings.text(view.findings),
    ]
    blocks += [mapping.text(view.mapping)] if view.mapping else []
    blocks += [payloads.block(view.payloads)] if view.payloads else []
    if view.notes:
        notes = (plain.paragraph(f"- {note}", indent="  ", hanging="    ") for note in view.notes)
        blocks.append("\n".join(("Notes", *notes)))
    return plain.page(blocks)


def verdict(view: PlanView) -> tuple[str, Tone, str]:
    """Return the verdict as a word, its tone and a sentence that says what to do."""
    refusals = sum(finding.severity == "refuse" for finding in view.findings)
    if refusals:
        told = f"Nothing can be sent until {many(refusals, 'finding')} {_verb(refusals)} fixed"
        return "✕ refused", "bad", f"{told} or explicitly allowed."
    if not view.rows:
        return "○ empty", "dull", "The table has no rows, so there is nothing to send."
    if not view.valid:
        return "✕ nothing to send", "bad", "Every row would be left out. The reasons are below."
    if view.rejected:
        told = f"{many(view.rejected, 'row')} of {number(view.rows)} would be left out"
        return "! ready, not all rows", "care", f"{told}; plan.rejected has them with reasons."
    return "✓ ready", "good", "Every row would be sent. Nothing has been sent yet."


def _verb(count: int) -> str:
    return "is" if count == 1 else "are"


def figures(view: PlanView) -> list[tuple[str, str]]:
    """Return the numbers that matter most."""
    return [
        ("rows", number(view.rows)),
        ("valid", number(view.valid)),
        ("rejected", number(view.rejected)),
        ("size", size(view.bytes)),
        ("requests", number(view.batches)),
    ]


def _notes(notes: tuple[str, ...]) -> list[Markup]:
    """Return what was chosen or converted on the way."""
    if not notes:
        return []
    return [
        components.section(
            "Notes", tag("ul", join(tag("li", note) for note in notes), style=css.LIST)
        )
    ]
