"""What the checks found, worst first: what, how often, what it would do, and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cio_frames.views import charts, components
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Child, Markup, tag
from cio_frames.views.style import Tone
from cio_frames.views.wording import many, number

Severity = Literal["refuse", "reject", "warn", "info"]


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
class _Group:
    """How findings of one severity are shown."""

    title: str
    badge: str
    tone: Tone


GROUPS: dict[Severity, _Group] = {
    "refuse": _Group(title="Fix before anything can be sent", badge="✕ refuse", tone="bad"),
    "reject": _Group(title="Rows that would be left out", badge="- reject", tone="care"),
    "warn": _Group(title="Look at before sending", badge="! warn", tone="calm"),
    "info": _Group(title="Good to know", badge="i info", tone="dull"),
}


_MANY = 4
_SHORT = 64


def html(findings: Iterable[FindingView]) -> list[Markup]:
    """Return the findings for a notebook, one part per severity."""
    return [_group(severity, found) for severity, found in _grouped(findings)]


def text(findings: Iterable[FindingView]) -> list[str]:
    """Return the findings for a terminal, one block per severity."""
    return [_group_text(severity, found) for severity, found in _grouped(findings)]


def _grouped(findings: Iterable[FindingView]) -> list[tuple[Severity, list[FindingView]]]:
    """Return the findings by what to do, the worst and most frequent first."""
    ordered = sorted(findings, key=lambda finding: (-finding.rows, finding.code))
    groups = [
        (severity, [finding for finding in ordered if finding.severity == severity])
        for severity in GROUPS
    ]
    return [(severity, found) for severity, found in groups if found]


def _group(severity: Severity, found: list[FindingView]) -> Markup:
    """Return the findings of one severity; many are listed first and read one by one."""
    group = GROUPS[severity]
    if len(found) < _MANY or severity == "refuse":
        return components.section(group.title, *(_finding(group, finding) for finding in found))
    most = max(finding.rows for finding in found)
    lines = [_folded(group, finding, most=most) for finding in found]
    if severity == "info":
        return components.fold(f"{group.title}: {many(len(found), 'finding')}", *lines)
    return components.section(group.title, *lines)


def _folded(group: _Group, finding: FindingView, *, most: int) -> Markup:
    """Return one finding on a line, with a bar as long as its rows are many; the rest folded."""
    bar = [charts.share(finding.rows, most=most, tone=group.tone)] if most else []
    told = tag("span", plain.shortened(finding.sentence, _SHORT), style=css.MUTED)
    line = tag("span", *bar, components.code(finding.code), f" {_extent(finding)} ", told)
    return components.fold(
        line,
        tag("div", *_told(finding), style=css.join(css.ITEM, css.edge(group.tone))),
        style=css.INNER_FOLD,
    )


def _finding(group: _Group, finding: FindingView) -> Markup:
    """Return one finding: what, how often, what it would do, what to do, and the evidence."""
    badge = components.badge(group.badge, tone=group.tone)
    return tag(
        "div",
        tag("div", badge, components.code(finding.code), f" {_extent(finding)}"),
        *_told(finding),
        style=css.join(css.ITEM, css.edge(group.tone)),
    )


def _told(finding: FindingView) -> list[Markup]:
    """Return what was found, what it would do, what to do about it, and the evidence."""
    todo: list[Child] = [tag("strong", "Do: "), finding.hint]
    if finding.fix:
        todo += [" Repair it with ", components.code(finding.fix), "."]
    consequence = [" ", finding.consequence] if finding.consequence else []
    return [
        components.sentence(finding.sentence, *consequence),
        *([components.sentence(*todo)] if finding.hint or finding.fix else []),
        *([_examples(finding)] if finding.examples else []),
    ]


def _examples(finding: FindingView) -> Markup:
    """Return the evidence."""
    rows = [
        (
            number(item.row),
            item.column,
            components.code(item.value) if item.value else components.muted("empty"),
        )
        for item in finding.examples
    ]
    table = components.grid(("row", "column", "value"), rows, right={0})
    worst = finding.severity == "refuse"
    return components.fold(many(len(rows), "example"), table, is_open=worst, style=css.INNER_FOLD)


def _extent(finding: FindingView) -> str:
    """Return how much of the table a finding is about."""
    return many(finding.rows, "row") if finding.rows else "whole table"


def _group_text(severity: Severity, found: list[FindingView]) -> str:
    """Return the findings of one severity for a terminal."""
    lines = [GROUPS[severity].title]
    for finding in found:
        title = plain.joined(f"[{severity}] {finding.code}", _extent(finding))
        lines.append(plain.paragraph(title, indent="  ", hanging="    "))
        told = f"{finding.sentence} {finding.consequence}".strip()
        lines.append(plain.paragraph(told, indent="    "))
        todo = f"{finding.hint} {finding.fix}".strip()
        lines += [plain.paragraph(f"Do: {todo}", indent="    ")] if todo else []
        lines += [
            plain.paragraph(_example_line(item), indent="      ", hanging="        ")
            for item in finding.examples
        ]
    return "\n".join(lines)


def _example_line(item: Example) -> str:
    row = f"row {number(item.row)}"
    return f"{row}  {item.column} = {item.value or '(empty)'}" if item.column else row
