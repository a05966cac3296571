"""The findings of a plan, worst first: what, how often, the consequence, and how to fix it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cio_frames.views.document import (
    Badge,
    Code,
    Command,
    Examples,
    Fold,
    Inline,
    Item,
    Muted,
    Node,
    Paragraph,
    Section,
    Strong,
    Table,
)
from cio_frames.views.wording import many

Severity = Literal["refuse", "reject", "warn", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One value that a finding is about, masked already if it is sensitive.

    `repaired` is the value after the proposed fix, if that is known.
    """

    row: int
    column: str
    value: str
    repaired: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """The finding of one check.

    Attributes:
        severity: What the finding means for sending.
        code: The check, as `subject.problem`.
        rows: How many rows it concerns; 0 for a finding about the whole table.
        sentence: What is wrong.
        hint: What to do.
        consequence: What would happen in the workspace.
        examples: A few of the values.
        fix: What to type to repair it, if there is a repair.
        columns: The columns it is about.
        page: Its page in the documentation; empty for a user's check.
    """

    severity: Severity
    code: str
    rows: int
    sentence: str
    hint: str
    consequence: str = ""
    examples: tuple[Example, ...] = ()
    fix: str = ""
    columns: tuple[str, ...] = ()
    page: str = ""


GROUPS: dict[Severity, tuple[str, Badge]] = {
    "refuse": ("To fix before anything can be sent", Badge("✕ refuse", "bad")),
    "reject": ("Rows that will be excluded", Badge("- reject", "care")),
    "warn": ("Check before sending", Badge("! warn", "calm")),
    "info": ("Good to know", Badge("i info", "dull")),
}
_MANY = 4
_REPAIR = re.compile(r"""(plan\.fix\((?:"[^"]*"|'[^']*')\))""")
NOW = "time.now"
"""The finding that events have no time: it comes before all others and is in the headline."""


def sections(findings: Iterable[FindingView]) -> list[Node]:
    """Return a section per severity, the most frequent findings first, after that of missing times."""
    ordered = sorted(findings, key=lambda finding: (-finding.rows, finding.code))
    first = [_item(finding) for finding in ordered if finding.code == NOW]
    others = [finding for finding in ordered if finding.code != NOW]
    groups = (
        [finding for finding in others if finding.severity == severity] for severity in GROUPS
    )
    parts = [_group(group) for group in groups if group]
    return [Section("Decide first: when did the events happen?", first), *parts] if first else parts


def _group(findings: Sequence[FindingView]) -> Node:
    """Return the findings of one severity; if they are many, each is folded."""
    severity = findings[0].severity
    title, _ = GROUPS[severity]
    if len(findings) < _MANY or severity == "refuse":
        return Section(title, [_item(finding) for finding in findings])
    max_rows = max(finding.rows for finding in findings)
    items = [
        _item(finding, brief=_first_sentence(finding.sentence), max_rows=max_rows)
        for finding in findings
    ]
    if severity == "info":
        return Fold(f"{title}: {many(len(findings), 'finding')}", items)
    return Section(title, items)


def _item(finding: FindingView, *, brief: str = "", max_rows: int = 0) -> Item:
    return Item(
        badge=GROUPS[finding.severity][1],
        name=finding.code,
        extent=many(finding.rows, "row") if finding.rows else "whole table",
        body=list(_body(finding)),
        brief=brief,
        share=(finding.rows, max_rows),
        page=finding.page,
    )


def _first_sentence(text: str) -> str:
    """Return a text up to the end of its first sentence.

    Examples:
        >>> _first_sentence('"x" is empty. 3 rows affected.')
        '"x" is empty.'
    """
    return text.partition(". ")[0].rstrip(".") + "."


def _body(finding: FindingView) -> Iterable[Node]:
    yield Paragraph((finding.sentence, f" {finding.consequence}" if finding.consequence else ""))
    pieces = enumerate(_REPAIR.split(finding.hint))
    hint = [Command(piece) if index % 2 else piece for index, piece in pieces]
    advice: list[Inline] = [Strong("How to fix: "), *hint]
    if finding.fix:
        advice += [" To repair it, use ", Command(finding.fix), "."]
    if finding.hint or finding.fix:
        yield Paragraph(advice)
    if finding.examples:
        columns = 4 if any(item.repaired is not None for item in finding.examples) else 3
        rows = [
            (item.row, item.column, _value(item.value), _repaired(item.repaired))[:columns]
            for item in finding.examples
        ]
        table = Table(("row", "column", "value", "after the repair")[:columns], rows, right={0})
        yield Examples(table, is_open=finding.severity == "refuse")


def _value(text: str) -> Inline:
    return Code(text) if text else Muted("empty")


def _repaired(text: str | None) -> Inline:
    """Return the value after the fix, or that it was not computed."""
    if text is None:
        return Muted("not computed")
    return Code(text) if text else Muted("empty cell")
