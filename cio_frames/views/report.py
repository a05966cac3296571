"""The report of a plan: what would be sent, what would not, why, and what to do, worst first."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cio_frames.views import charts, parts, timeline
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Child, Markup, join, tag
from cio_frames.views.style import Tone
from cio_frames.views.timeline import TimelineView
from cio_frames.views.wording import many, number, size

Severity = Literal["refuse", "reject", "warn", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingView:
    """Where one field of the messages comes from."""

    field: str
    column: str
    how: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One value that a finding is about, masked already if it is sensitive."""

    row: int
    column: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """All rows that one check speaks about.

    Attributes:
        severity: What the finding means for sending.
        code: The check, as `subject.problem`.
        rows: How many rows it concerns; 0 for a finding about the whole table.
        sentence: What was found.
        hint: What to do.
        consequence: What would happen in the workspace.
        examples: A few of the values.
        fix: What to type to repair it, if there is a repair.
    """

    severity: Severity
    code: str
    rows: int
    sentence: str
    hint: str
    consequence: str = ""
    examples: tuple[Example, ...] = ()
    fix: str = ""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """How findings of one severity are shown."""

    title: str
    badge: str
    tone: Tone


_GROUPS: dict[Severity, _Group] = {
    "refuse": _Group(title="Fix before anything can be sent", badge="✕ refuse", tone="bad"),
    "reject": _Group(title="Rows that would be left out", badge="- reject", tone="care"),
    "warn": _Group(title="Look at before sending", badge="! warn", tone="calm"),
    "info": _Group(title="Good to know", badge="i info", tone="dull"),
}


def html(view: PlanView) -> Markup:
    """Return the report for a notebook."""
    word, tone, sentence = _verdict(view)
    split: list[tuple[str, int, Tone]] = [
        ("valid", view.valid, "dull" if tone == "bad" else "good"),
        ("rejected", view.rejected, "care"),
    ]
    return parts.card(
        parts.head(f"Plan: {view.call}", about=view.source, verdict=word, tone=tone),
        parts.sentence(sentence, style=css.LEAD),
        parts.figures(_figures(view)),
        parts.bar(split),
        *([timeline.html(view.times)] if view.times else []),
        *(_group(severity, found) for severity, found in _grouped(view.findings)),
        *_mapping(view.mapping),
        *_payloads(view.payloads),
        *_notes(view.notes),
    )


def text(view: PlanView) -> str:
    """Return the report for a terminal."""
    word, _, sentence = _verdict(view)
    blocks = [
        plain.paragraph(f"Plan: {view.call} · {view.source} · {word}"),
        plain.paragraph(sentence),
        plain.columns((), [(name, value) for name, value in _figures(view)], right={1}),
        *([timeline.text(view.times)] if view.times else []),
        *(_group_text(severity, found) for severity, found in _grouped(view.findings)),
    ]
    if view.mapping:
        rows = [(row.field, row.column, row.how, row.reason) for row in view.mapping]
        blocks.append("Mapping\n" + plain.block(plain.columns(_MAPPING_TITLES, rows)))
    if view.payloads:
        blocks.append(f"{_payloads_title(view.payloads)}\n{_payload_lines(view.payloads)}")
    if view.notes:
        notes = (plain.paragraph(f"- {note}", indent="  ") for note in view.notes)
        blocks.append("\n".join(("Notes", *notes)))
    return "\n\n".join(blocks)


_MANY = 4
_MAPPING_TITLES = ("field", "comes from", "how", "why")


def _verdict(view: PlanView) -> tuple[str, Tone, str]:
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


def _figures(view: PlanView) -> list[tuple[str, str]]:
    """Return the numbers that matter most."""
    return [
        ("rows", number(view.rows)),
        ("valid", number(view.valid)),
        ("rejected", number(view.rejected)),
        ("size", size(view.bytes)),
        ("requests", number(view.batches)),
    ]


def _grouped(findings: Iterable[FindingView]) -> list[tuple[Severity, list[FindingView]]]:
    """Return the findings by what to do, the worst and most frequent first."""
    ordered = sorted(findings, key=lambda finding: (-finding.rows, finding.code))
    groups = [
        (severity, [finding for finding in ordered if finding.severity == severity])
        for severity in _GROUPS
    ]
    return [(severity, found) for severity, found in groups if found]


def _group(severity: Severity, found: list[FindingView]) -> Markup:
    """Return the findings of one severity."""
    group = _GROUPS[severity]
    overview = [_overview(group, found)] if len(found) >= _MANY else []
    return parts.section(group.title, *overview, *(_finding(group, finding) for finding in found))


def _overview(group: _Group, found: list[FindingView]) -> Markup:
    """Return how often each check speaks, side by side."""
    most = max(finding.rows for finding in found)
    rows = [
        (
            parts.code(finding.code),
            _extent(finding),
            charts.share(finding.rows, most=most, tone=group.tone),
        )
        for finding in found
    ]
    return parts.grid(("check", "found in", ""), rows, right={1})


def _finding(group: _Group, finding: FindingView) -> Markup:
    """Return one finding: what, how often, what it would do, what to do, and the evidence."""
    lines: list[Child] = [
        parts.badge(group.badge, tone=group.tone),
        parts.code(finding.code),
        f" {_extent(finding)}",
    ]
    todo: list[Child] = [tag("strong", "Do: "), finding.hint]
    if finding.fix:
        todo += [" Repair it with ", parts.code(finding.fix), "."]
    return tag(
        "div",
        tag("div", *lines),
        parts.sentence(
            finding.sentence, *([" ", finding.consequence] if finding.consequence else [])
        ),
        *([parts.sentence(*todo)] if finding.hint or finding.fix else []),
        *([_examples(finding)] if finding.examples else []),
        style=css.join(css.ITEM, css.edge(group.tone)),
    )


def _examples(finding: FindingView) -> Markup:
    """Return the evidence."""
    rows = [
        (
            number(item.row),
            item.column,
            parts.code(item.value) if item.value else parts.muted("empty"),
        )
        for item in finding.examples
    ]
    table = parts.grid(("row", "column", "value"), rows, right={0})
    worst = finding.severity == "refuse"
    return parts.fold(many(len(rows), "example"), table, is_open=worst, style=css.INNER_FOLD)


def _extent(finding: FindingView) -> str:
    """Return how much of the table a finding is about."""
    return many(finding.rows, "row") if finding.rows else "whole table"


def _group_text(severity: Severity, found: list[FindingView]) -> str:
    """Return the findings of one severity for a terminal."""
    lines = [_GROUPS[severity].title]
    for finding in found:
        lines.append(f"  [{severity}] {finding.code} · {_extent(finding)}")
        told = f"{finding.sentence} {finding.consequence}".strip()
        lines.append(plain.paragraph(told, indent="    "))
        todo = f"{finding.hint} {finding.fix}".strip()
        lines += [plain.paragraph(f"Do: {todo}", indent="    ")] if todo else []
        lines += [
            plain.paragraph(
                f"row {number(item.row)}  {item.column} = {item.value or '(empty)'}",
                indent="      ",
            )
            for item in finding.examples
        ]
    return "\n".join(lines)


def _mapping(rows: tuple[MappingView, ...]) -> list[Markup]:
    """Return where each field comes from."""
    if not rows:
        return []
    lines = [
        (parts.code(row.field), parts.code(row.column) if row.column else "", row.how, row.reason)
        for row in rows
    ]
    return [parts.fold(f"Mapping: {many(len(rows), 'field')}", parts.grid(_MAPPING_TITLES, lines))]


def _payloads(payloads: tuple[str, ...]) -> list[Markup]:
    """Return the first messages, exactly as they go over the wire."""
    if not payloads:
        return []
    return [parts.fold(_payloads_title(payloads), *map(parts.block, payloads))]


def _payloads_title(payloads: tuple[str, ...]) -> str:
    """Return what the messages below are."""
    count = "message" if len(payloads) == 1 else many(len(payloads), "message")
    return f"First {count}, exactly as sent"


def _payload_lines(payloads: tuple[str, ...]) -> str:
    return "\n".join(plain.block(payload) for payload in payloads)


def _notes(notes: tuple[str, ...]) -> list[Markup]:
    """Return what was chosen or converted on the way."""
    if not notes:
        return []
    return [
        parts.section("Notes", tag("ul", join(tag("li", note) for note in notes), style=css.LIST))
    ]
