"""The report of a plan: what would be sent, what would not, why, and what to do, worst first."""

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
DRAWN_MESSAGES = 50
_MAPPING = ("field", "comes from", "how", "why")
_PLANS = ("", "call", "from", "rows", "excluded", "requests", "verdict")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineView:
    """Rows over time.

    Attributes:
        first: The earliest moment.
        last: The latest moment.
        width: How long one bar is.
        older: Rows per bar that can start nothing any more, or all rows of a call that never can.
        recent: Rows per bar that can start campaigns.
        hours: How old an event may be to start campaigns; None if the call never can.
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
    """What the report of a plan shows.

    Attributes:
        call: Name of the call.
        source: What the rows come from.
        rows: Rows read.
        valid: Rows that would be sent.
        rejected: Rows that will be excluded.
        bytes: Size of all messages.
        batches: How many requests they make.
        mapping: Where each field comes from: field, column, how and reason.
        findings: What the checks found, in any order.
        payloads: The first messages as JSON text.
        notes: Conversions and choices that were made on the way, one sentence each.
        times: When the rows happened, if they say so.
        outcome: What sending comes to, in a sentence of counts.
        allowing: What to type to send it to Customer.io, if something of it has to be allowed.
        saved: The findings as they are shown, as the text of a CSV file.
        saving: How all of them and the excluded rows are saved: why, and what to type.
        ids_are_final: Whether messages keep their ids, whichever run sends them.
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
    allowing: str = ""
    saved: str = ""
    saving: tuple[tuple[str, str], ...] = ()
    ids_are_final: bool = True


def plan(view: PlanView, *, words: Callable[[str], str] = str) -> Document:
    """Return the report of a plan.

    Args:
        view: The plan.
        words: Puts advice in the words of where it is shown.
    """
    heading = Heading(f"Plan: {view.call}", view.source, verdict(view)[0])
    return Document(heading, list(_body(view, words)))


def backfill(views: Sequence[PlanView], *, outcome: str = "", allowing: str = "") -> Document:
    """Return the report of plans that are sent in order: the whole first, then each plan."""
    badge, sentence = _whole_verdict(views)
    rows = [
        (place, view.call, view.source, view.rows, view.rejected, view.batches, verdict(view)[0])
        for place, view in enumerate(views, 1)
    ]
    parts = [
        Part(
            (f"Plan {place} of {len(views)}: {view.call}", view.source),
            list(_body(view, str)),
            verdict(view)[0].tone,
        )
        for place, view in enumerate(views, 1)
    ]
    return Document(
        Heading("Back-fill", f"{many(len(views), 'plan')}, in order", badge),
        [
            Paragraph(_lead(outcome, badge, sentence), "lead"),
            *_allowing(allowing, badge),
            _figures(views),
            Table(_PLANS, rows, right={0, 3, 4, 5}),
            Paragraph(_volume(views), "apart"),
            *parts,
        ],
    )


def verdict(view: PlanView) -> tuple[Badge, str]:
    """Return the verdict, and a sentence that says what to do."""
    badge, sentence = _sendable(view)
    if not view.valid or not is_now(view):
        return badge, sentence
    word = "! ready: all events count as now" if badge.word == "✓ ready" else badge.word
    tone: Tone = "care" if badge.tone == "good" else badge.tone
    return Badge(word, tone), sentence


def _lead(outcome: str, badge: Badge, sentence: str) -> str:
    """Return what happens on sending, and the verdict; where nothing can be sent, nothing happens."""
    return sentence if badge.tone == "bad" else f"{outcome} {sentence}".strip()


def _allowing(what: str, badge: Badge) -> Iterator[Step]:
    """Yield what to type where something has to be allowed, if the plan can be sent."""
    if what and badge.tone != "bad":
        yield Step("To send it to Customer.io, allow what it does:", what)


def is_now(view: PlanView) -> bool:
    """Return whether the events of a plan have no time, so that they count as happening now."""
    return any(finding.code == NOW for finding in view.findings)


def _sendable(view: PlanView) -> tuple[Badge, str]:
    refusals = sum(finding.severity == "refuse" for finding in view.findings)
    if refusals:
        verb = "is" if refusals == 1 else "are"
        told = f"Nothing can be sent until {many(refusals, 'finding')} {verb} fixed"
        return Badge("✕ refused", "bad"), f"{told} or explicitly allowed."
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
    """Return where each field comes from; the title says if anything was not named by the user."""
    proposed = sum(row["how"] == "proposed" for row in rows)
    told = f", {number(proposed)} of them chosen automatically" if proposed else ""
    # If everything was named, there is no reason to show.
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
    return Fold(f"Mapping: {many(len(rows), 'field')}{told}", [Table(titles, lines)])


def payloads(messages: Sequence[str], *, title: str) -> Document:
    """Return messages with a line for each value, the first ones open."""
    folds = [
        Fold(
            f"Message {place}, {size(len(message.encode()))}",
            [Block(msgspec.json.format(message, indent=2))],
            is_open=place <= OPEN_MESSAGES,
        )
        for place, message in enumerate(messages[:DRAWN_MESSAGES], 1)
    ]
    left = len(messages) - len(folds)
    note = (
        "These are the values that are sent; each run gives people, groups and merges message IDs of "
        "its own. Spaces and line breaks are added for readability."
    )
    return Document(
        Heading(title, many(len(messages), "message")),
        [
            Paragraph(note, "lead"),
            *folds,
            *([Paragraph(f"And {many(left, 'more message')}.", "apart")] if left else []),
        ],
    )


def timeline(view: TimelineView) -> Section:
    """Return when rows happened, and which of them can still start campaigns."""
    marked = [place for place, rows in enumerate(view.recent) if rows]
    badge, triggering = _triggering(view)
    chart = Chart(
        layers=[Layer(view.older, "calm"), Layer(view.recent, "care")],
        first=f"{view.first:%Y-%m-%d}",
        last=f"{view.last:%Y-%m-%d}",
        alt=triggering,
        bar=view.width,
        mark=marked[0] / len(view.recent) if marked else None,
    )
    body: list[Node] = [chart]
    if badge:
        body.append(Paragraph((badge, triggering)))
    if view.unknown:
        verb = "is" if view.unknown == 1 else "are"
        body.append(Paragraph(f"{many(view.unknown, 'row')} without a time {verb} not shown."))
    return Section("When the events happened", body)


def _body(view: PlanView, words: Callable[[str], str]) -> Iterator[Node]:
    badge, sentence = verdict(view)
    yield Paragraph(words(_lead(view.outcome, badge, sentence)), "lead")
    yield from _allowing(words(view.allowing), badge)
    split: list[tuple[str, int, Tone]] = [
        ("valid", view.valid, "dull" if badge.tone == "bad" else "good"),
        ("rejected", view.rejected, "care"),
    ]
    yield _figures([view], bar=split)
    if view.times:
        yield timeline(view.times)
    yield from sections(view.findings)
    if view.saved or view.saving:
        yield _saving(view, words)
    if view.mapping:
        yield mapping(view.mapping)
    if view.payloads:
        yield Messages(view.payloads, ids_are_final=view.ids_are_final)
    if view.batches:
        yield Paragraph(_volume([view]), "apart")
    if view.notes:
        yield Section("Notes", [Bullets(view.notes)])


def _saving(view: PlanView, words: Callable[[str], str]) -> Fold:
    """Return how to keep findings and excluded rows; a report holds no row that it does not show."""
    kept = Saved("Save this list as findings.csv", "findings.csv", view.saved)
    link = [Paragraph((kept, " (a link in trusted notebooks)"))] if view.saved else []
    steps = [Step(why, words(what)) for why, what in view.saving]
    return Fold("Save as CSV", [*link, *steps], is_aside=True)


def _figures(views: Sequence[PlanView], *, bar: Sequence[tuple[str, int, Tone]] = ()) -> Figures:
    """Return the numbers that matter most, of one plan or of several."""
    pairs = (
        ("rows", sum(view.rows for view in views)),
        ("valid", sum(view.valid for view in views)),
        ("rejected", sum(view.rejected for view in views)),
    )
    return Figures(pairs, bar)


def _volume(views: Sequence[PlanView]) -> str:
    """Return how much is sent."""
    requests = many(sum(view.batches for view in views), "request")
    return f"{requests}, {size(sum(view.bytes for view in views))} of messages."


def _whole_verdict(views: Sequence[PlanView]) -> tuple[Badge, str]:
    """Return the verdict on several plans: that of the worst one."""
    badges = [verdict(view)[0] for view in views]
    refused = sum(badge.word == "✕ refused" for badge in badges)
    if refused:
        told = f"Nothing can be sent: {many(refused, 'plan is', 'plans are')} refused."
        return Badge("✕ refused", "bad"), told
    order = "The plans are sent in this order; each starts when the previous one has arrived."
    left = sum(view.rejected for view in views)
    now = sum(view.valid for view in views if is_now(view))
    if left:
        return Badge(f"! ready: {many(left, 'row')} excluded", "care"), order
    badge = Badge("! ready: some events count as now", "care") if now else Badge("✓ ready", "good")
    return badge, f"All rows can be sent. {order}"


def _triggering(view: TimelineView) -> tuple[Badge | None, str]:
    """Return whether rows can start campaigns, and how many, if the call can start any."""
    if view.hours is None:
        return None, ""
    fresh, rows = sum(view.recent), sum(view.older) + sum(view.recent)
    if not fresh:
        return Badge("✓ no campaigns", "good"), f"No event is less than {view.hours} hours old."
    told = f"{number(fresh)} of {many(rows, 'event')} ({percent(fresh, rows)})"
    verb = "is" if fresh == 1 else "are"
    badge = Badge("! can start campaigns", "care")
    return badge, f"{told} {verb} less than {view.hours} hours old."
