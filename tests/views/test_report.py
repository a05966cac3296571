"""The report of a plan: worst first, with counts, examples and what to do."""

from dataclasses import replace

import pytest
from inline_snapshot import snapshot

from cio_frames.views import findings, html, report, text
from cio_frames.views.report import PlanView


def _html(view: PlanView) -> str:
    return html.render(report.plan(view))


def _text(view: PlanView) -> str:
    return text.render(report.plan(view))


def test_the_report_in_a_notebook(plan_view, read):
    """The report reads from the verdict over the worst findings down to the details."""
    assert read(_html(plan_view)).outline == snapshot(
        [
            "Plan: identify",
            "✕ refused",
            "people.csv",
            "Nothing can be sent until 1 finding is fixed or explicitly allowed.",
            "rows",
            "5,000",
            "valid",
            "4,981",
            "rejected",
            "19",
            "To fix before anything can be sent",
            "✕ refuse",
            "sensitive.card",
            "whole table",
            "Card numbers.",
            "How to fix:",
            "Drop the column.",
            "1 example",
            "row",
            "column",
            "value",
            "3",
            "note",
            "empty",
            "Rows that will be excluded",
            "- reject",
            "email.invalid",
            "15 rows",
            "Bad.",
            "How to fix:",
            "Correct it.",
            "- reject",
            "id.missing",
            "4 rows",
            "No id.",
            "How to fix:",
            "Add one.",
            "Check before sending",
            "! warn",
            "id.float",
            "4,981 rows",
            "Decimal ids. New people appear.",
            "How to fix:",
            "Read as text. To repair it, use",
            "plan.fix('id.float')",
            ".",
            "1 example",
            "row",
            "column",
            "value",
            "1,200",
            "id",
            "123.0",
            "Good to know",
            "i info",
            "time.naive",
            "5,000 rows",
            "No zone.",
            "How to fix:",
            "Say it.",
            "Mapping: 2 fields, 1 of them chosen automatically",
            "field",
            "comes from",
            "how",
            "why",
            "userId",
            "id",
            "named",
            "traits.createdAt",
            "made",
            "proposed",
            "a time",
            "First message, exactly as sent",
            '{"type":"identify"}',
            "5 requests, 1.8 MB of messages.",
            "Notes",
            "Dates were read.",
        ]
    )


def test_the_report_in_a_terminal(plan_view):
    """The text says the same as the HTML, in the same order."""
    assert _text(plan_view) == snapshot("""\
Plan: identify · people.csv · ✕ refused

Nothing can be sent until 1 finding is fixed or explicitly allowed.

rows      5,000
valid     4,981
rejected     19

To fix before anything can be sent
  [refuse] sensitive.card · whole table
    Card numbers.
    How to fix: Drop the column.
      row  column  value
        3  note    (empty)

Rows that will be excluded
  [reject] email.invalid · 15 rows
    Bad.
    How to fix: Correct it.
  [reject] id.missing · 4 rows
    No id.
    How to fix: Add one.

Check before sending
  [warn] id.float · 4,981 rows
    Decimal ids. New people appear.
    How to fix: Read as text. To repair it, use plan.fix('id.float').
        row  column  value
      1,200  id      123.0

Good to know
  [info] time.naive · 5,000 rows
    No zone.
    How to fix: Say it.

Mapping: 2 fields, 1 of them chosen automatically
  field             comes from  how       why
  userId            id          named
  traits.createdAt  made        proposed  a time

First message, exactly as sent
  {"type":"identify"}

5 requests, 1.8 MB of messages.

Notes
  - Dates were read.\
""")


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        pytest.param({}, "✕ refused", id="refused"),
        pytest.param({"findings": ()}, "! ready: 19 rows excluded", id="some-rejected"),
        pytest.param({"findings": (), "rejected": 0, "valid": 5000}, "✓ ready", id="ready"),
        pytest.param(
            {"findings": (), "valid": 0, "rejected": 5000}, "✕ nothing can be sent", id="none"
        ),
        pytest.param({"findings": (), "rows": 0, "valid": 0, "rejected": 0}, "○ empty", id="empty"),
    ],
)
def test_the_verdict(plan_view, read, changed, word):
    """One word says whether the plan can be sent, in both forms."""
    view = replace(plan_view, **changed)

    assert word in read(_html(view)).outline
    assert word in _text(view)


def test_a_plan_without_anything_special_is_short(plan_view, read):
    """No empty section is shown."""
    bare = replace(plan_view, findings=(), mapping=(), payloads=(), notes=())

    outline = read(_html(bare)).outline

    assert not {"Notes", "Mapping: 2 fields", "Good to know"} & set(outline)
    assert _text(bare).count("\n\n") == 3


def test_every_finding_is_shown_with_its_evidence(plan_view, read):
    """Code, sentence, consequence, hint, repair and examples of each finding are in both forms."""
    shown, printed = read(_html(plan_view)).text, _text(plan_view)

    for finding in plan_view.findings:
        parts = [finding.code, finding.sentence, finding.consequence, finding.hint, finding.fix]
        parts += [example.value for example in finding.examples]
        assert [part for part in parts if part not in shown or part not in printed] == []


def test_findings_about_the_whole_table_have_no_empty_bars(plan_view, read):
    """Where no finding of a kind counts rows, no line leaves room for a bar."""
    finding = replace(plan_view.findings[0], severity="info", rows=0)
    several = [replace(finding, code=f"column.{n}") for n in range(5)]
    counted = [replace(item, rows=3) for item in several]

    assert "img" not in dict(read(html.render_nodes(findings.sections(several))).elements)
    assert "img" in dict(read(html.render_nodes(findings.sections(counted))).elements)


def test_the_reasons_of_a_mapping_are_shown_where_there_are_any(plan_view, read):
    """A mapping that was named in full has no column of reasons."""
    named, proposed = plan_view.mapping

    both, one = [report.mapping([named, proposed])], [report.mapping([named])]
    assert "why" in read(html.render_nodes(both)).outline
    assert "why" not in read(html.render_nodes(one)).outline
    assert "why" not in text.render_nodes(one)


def test_events_without_a_time_come_first(plan_view):
    """That events count as now stands before every other finding, under a title of its own."""
    now = replace(
        plan_view.findings[0], severity="warn", code="time.now", rows=0, sentence="As of now."
    )
    view = replace(plan_view, findings=(*plan_view.findings, now))
    refusals = [item for item in view.findings if item.severity != "refuse"]

    printed = _text(replace(view, findings=tuple(refusals)))
    others = [printed.index(item.code) for item in refusals if item.code != "time.now"]

    assert "Decide first" in printed[: printed.index("time.now")]
    assert all(printed.index("time.now") < place for place in others)
    assert "Decide first" not in _text(plan_view)


def test_however_many_findings_there_are_all_are_shown(plan_view):
    """No finding is cut off: three hundred of each severity are all there, with their repairs."""
    many = tuple(
        findings.FindingView(
            severity=severity, code=f"x.{severity}-{number}", rows=1, sentence="S.", hint="",
            fix=f'plan.fix("x.{severity}-{number}")',
        )
        for severity in findings.GROUPS
        for number in range(300)
    )  # fmt: skip
    view = replace(plan_view, findings=many)

    for drawn in (str(_html(view)).replace("&#34;", '"').replace("&quot;", '"'), _text(view)):
        assert [each.fix for each in many if each.fix not in drawn] == []
