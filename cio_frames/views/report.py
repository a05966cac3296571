"""The report of a plan: what would be sent, what would not, why, and how to fix it, worst first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from cio_frames.views.document import (
    Badge,
    Block,
    Bullets,
    Chart,
    Code,
    Document,
    Figures,
    Fold,
    Heading,
    Layer,
    Messages,
    Node,
    Paragraph,
    Part,
    Saved,
    Section,
    Step,
    Table,
)
from cio_frames.views.findings import NOW, FindingView, sections
from cio_frames.views.style import Tone
from cio_frames.views.wording import many, number, percent, size

OPEN_MESSAGES = 2
MAX_MESSAGES = 50
_MAPPING = ("field", "comes from", "how", "why")
_PLANS = ("plan", "call", "from", "rows", "excluded", "requests", "verdict")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineView:
    """Rows over time.

    Attributes:
        first: The earliest time.
        last: The latest time.
        width: The time that one bar covers.
        older: Rows per bar that cannot start campaigns.
        recent: Rows per bar that can start campaigns.
        hours: The maximum age of an event that starts campaigns; None if the call never does.
        unknown: Rows without a time.
    """

    first: datetime
    last: datetime
    width: timedelta
    older: tuple[int, ...]
    recent: tuple[int, ...]
    hours: int | None = None
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """The content of the report of a plan.

    Attributes:
        call: Name of the call.
        source: Where the rows come from.
        rows: Rows read.
        valid: Rows that would be sent.
        rejected: Rows that will be excluded.
        bytes: Size of all messages.
        batches: How many requests they need.
        mapping: Where each field comes from: field, column, how and reason.
        findings: The findings, in any order.
        payloads: The first messages as JSON text.
        notes: Conversions and choices that were made, one sentence each.
        times: The times of the rows, if they have any.
        outcome: A sentence with the counts of what sending would do.
        allow_line: What to type to send it to Customer.io, if something must be allowed.
        findings_csv: The findings shown, as the text of a CSV file.
        save_steps: How to save all findings and the excluded rows: why, and what to type.
        ids_are_final: Whether the messages have the same ids in every run.
    """

    call: str
    source: str
    rows: int
    valid: int
    rejected: int
    bytes: int
    batches: int
    mapping: Sequence[Mapping[str, str]] = ()
    findings: tuple[FindingView, ...] = ()
    payloads: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    times: TimelineView | None = None
    outcome: str = ""
    allow_line: str = ""
    findings_csv: str = ""
    save_steps: tuple[tuple[str, str], ...] = ()
    ids_are_final: bool = True


def plan(view: PlanView, *, adapt_advice: Callable[[str], str] = str) -> Document:
    """Return the report of a plan; `adapt_advice` rewrites advice for the command line."""
    heading = Heading(f"Plan: {view.call}", view.source, verdict(view)[0])
    return Document(heading, list(_body(view, adapt_advice)))


def backfill(views: Sequence[PlanView], *, outcome: str = "", allow_line: str = "") -> Document:
    """Return the report of plans that are sent in order: all together first, then each plan.

    Plans are numbered from 0, as in `plan=`, in findings and in the record.
    """
    badge, sentence = _overall_verdict(views)
    rows = [
        (index, view.call, view.source, view.rows, view.rejected, view.batches, verdict(view)[0])
        for index, view in enumerate(views)
    ]
    parts = [
        Part(
            (f"Plan {index}: {view.call}", view.source),
            list(_body(view, str)),
            verdict(view)[0].tone,
        )
        for index, view in enumerate(views)
    ]
    return Document(
        Heading("Back-fill", f"{many(len(views), 'plan')}, in order", badge),
        [
            Paragraph(_lead(outcome, badge, sentence), "lead"),
            *_allow_step(allow_line, badge),
            _figures(views),
            Table(_PLANS, rows, right={0, 3, 4, 5}),
            Paragraph(_volume(views), "apart"),
            *parts,
        ],
    )


def verdict(view: PlanView) -> tuple[Badge, str]:
    """Return the verdict, and a sentence about what to do."""
    badge, sentence = _sendable(view)
    if not view.valid or not is_now(view):
        return badge, sentence
    word = "! ready: all events count as now" if badge.word == "✓ ready" else badge.word
    tone: Tone = "care" if badge.tone == "good" else badge.tone
    return Badge(word, tone), sentence


def _lead(outcome: str, badge: Badge, sentence: str) -> str:
    """Return the outcome of sending and the verdict, or only the verdict if nothing can be sent."""
    return sentence if badge.tone == "bad" else f"{outcome} {sentence}".strip()


def _allow_step(line: str, badge: Badge) -> Iterator[Step]:
    """Yield what to type if something must be allowed and the plan can be sent."""
    if line and badge.tone != "bad":
        yield Step("To send it to Customer.io, allow what it does:", line)


def is_now(view: PlanView) -> bool:
    """Return whether the events of a plan have no time, so that they count as now."""
    return any(finding.code == NOW for finding in view.findings)


def _sendable(view: PlanView) -> tuple[Badge, str]:
    refusals = sum(finding.severity == "refuse" for finding in view.findings)
    if refusals:
        verb = "is" if refusals == 1 else "are"
        sentence = f"Nothing can be sent until {many(refusals, 'finding')} {verb} fixed or explicitly allowed."
        return Badge("✕ refused", "bad"), sentence
    if not view.rows:
        return Badge("○ empty", "dull"), "The table has no rows, so there is nothing to send."
    if not view.valid:
        return (
            Badge("✕ nothing can be sent", "bad"),
            "All rows are excluded. The reasons are listed below.",
        )
    if view.rejected:
        badge = Badge(f"! ready: {many(view.rejected, 'row')} excluded", "care")
        return badge, "plan.rejected contains the excluded rows with the reasons."
    return Badge("✓ ready", "good"), "All rows can be sent. Nothing has been sent yet."


def mapping(rows: Sequence[Mapping[str, str]]) -> Fold:
    """Return where each field comes from; the title counts the fields chosen automatically."""
    proposed = sum(row["how"] == "proposed" for row in rows)
    chosen = f", {number(proposed)} of them chosen automatically" if proposed else ""
    # Without automatic choices there are no reasons.
    titles = _MAPPING if any(row["reason"] for row in rows) else _MAPPING[:-1]
    lines = [
        (
            Code(row["field"]),
            Code(row["column"]) if row["column"] else "",
            Badge(row["how"], "calm") if row["how"] == "proposed" else row["how"],
            row["reason"],
        )[: len(titles)]
        for row in rows
    ]
    return Fold(f"Mapping: {many(len(rows), 'field')}{chosen}", [Table(titles, lines)])


def payloads(messages: Sequence[str], *, title: str) -> Document:
    """Return messages with a line per value, the first ones open."""
    folds = [
        Fold(
            f"Message {index}, {size(len(message.encode()))}",
            [Block(msgspec.json.format(message, indent=2))],
            is_open=index <= OPEN_MESSAGES,
        )
        for index, message in enumerate(messages[:MAX_MESSAGES], 1)
    ]
    rest = len(messages) - len(folds)
    note = (
        "These are the values that are sent; each run gives people, groups and merges message IDs of "
        "its own. Spaces and line breaks are added for readability."
    )
    return Document(
        Heading(title, many(len(messages), "message")),
        [
            Paragraph(note, "lead"),
            *folds,
            *([Paragraph(f"And {many(rest, 'more message')}.", "apart")] if rest else []),
        ],
    )


def timeline(view: TimelineView) -> Section:
    """Return when the events happened, and which of them can start campaigns."""
    recent = [index for index, rows in enumerate(view.recent) if rows]
    badge, sentence = _campaigns(view)
    chart = Chart(
        layers=[Layer(view.older, "calm"), Layer(view.recent, "care")],
        first=f"{view.first:%Y-%m-%d}",
        last=f"{view.last:%Y-%m-%d}",
        alt=sentence,
        bar=view.width,
        mark=recent[0] / len(view.recent) if recent else None,
    )
    body: list[Node] = [chart]
    if badge:
        body.append(Paragraph((badge, sentence)))
    if view.unknown:
        verb = "is" if view.unknown == 1 else "are"
        body.append(Paragraph(f"{many(view.unknown, 'row')} without a time {verb} not shown."))
    return Section("When the events happened", body)


def _body(view: PlanView, adapt_advice: Callable[[str], str]) -> Iterator[Node]:
    badge, sentence = verdict(view)
    yield Paragraph(adapt_advice(_lead(view.outcome, badge, sentence)), "lead")
    yield from _allow_step(adapt_advice(view.allow_line), badge)
    parts: list[tuple[str, int, Tone]] = [
        ("valid", view.valid, "dull" if badge.tone == "bad" else "good"),
        ("rejected", view.rejected, "care"),
    ]
    yield _figures([view], bar=parts)
    if view.times:
        yield timeline(view.times)
    yield from sections(view.findings)
    if view.findings_csv or view.save_steps:
        yield _saving(view, adapt_advice)
    if view.mapping:
        yield mapping(view.mapping)
    if view.payloads:
        yield Messages(view.payloads, ids_are_final=view.ids_are_final)
    if view.batches:
        yield Paragraph(_volume([view]), "apart")
    if view.notes:
        yield Section("Notes", [Bullets(view.notes)])


def _saving(view: PlanView, adapt_advice: Callable[[str], str]) -> Fold:
    """Return how to save findings and excluded rows; a report contains only the rows it shows."""
    download = Saved("Save this list as findings.csv", "findings.csv", view.findings_csv)
    link = [Paragraph((download, " (a link in trusted notebooks)"))] if view.findings_csv else []
    steps = [Step(why, adapt_advice(what)) for why, what in view.save_steps]
    return Fold("Save as CSV", [*link, *steps], is_html_only=True)


def _figures(views: Sequence[PlanView], *, bar: Sequence[tuple[str, int, Tone]] = ()) -> Figures:
    pairs = (
        ("rows", sum(view.rows for view in views)),
        ("valid", sum(view.valid for view in views)),
        ("rejected", sum(view.rejected for view in views)),
    )
    return Figures(pairs, bar)


def _volume(views: Sequence[PlanView]) -> str:
    requests = many(sum(view.batches for view in views), "request")
    return f"{requests}, {size(sum(view.bytes for view in views))} of messages."


def _overall_verdict(views: Sequence[PlanView]) -> tuple[Badge, str]:
    """Return the verdict on several plans, which is that of the worst one."""
    badges = [verdict(view)[0] for view in views]
    refused = sum(badge.word == "✕ refused" for badge in badges)
    if refused:
        sentence = f"Nothing can be sent: {many(refused, 'plan is', 'plans are')} refused."
        return Badge("✕ refused", "bad"), sentence
    order = "The plans are sent in this order; each starts when the previous one has arrived."
    excluded = sum(view.rejected for view in views)
    now = sum(view.valid for view in views if is_now(view))
    if excluded:
        return Badge(f"! ready: {many(excluded, 'row')} excluded", "care"), order
    badge = Badge("! ready: some events count as now", "care") if now else Badge("✓ ready", "good")
    return badge, f"All rows can be sent. {order}"


def _campaigns(view: TimelineView) -> tuple[Badge | None, str]:
    """Return a badge and a sentence about the events that can start campaigns."""
    if view.hours is None:
        return None, ""
    recent, rows = sum(view.recent), sum(view.older) + sum(view.recent)
    if not recent:
        return Badge("✓ no campaigns", "good"), f"No event is less than {view.hours} hours old."
    count = f"{number(recent)} of {many(rows, 'event')} ({percent(recent, rows)})"
    verb = "is" if recent == 1 else "are"
    badge = Badge("! can start campaigns", "care")
    return badge, f"{count} {verb} less than {view.hours} hours old."
