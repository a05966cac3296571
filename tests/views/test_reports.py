"""The reports of several things at once: back-fills, messages, the record, many findings."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from inline_snapshot import snapshot

from cio_frames.views import findings, history, html, report, text
from cio_frames.views.findings import FindingView
from cio_frames.views.report import PlanView
from cio_frames.views.summary import STATES

READY = PlanView(call="identify", source="a.csv", rows=9, valid=9, rejected=0, bytes=90, batches=1)


def _opened(reading) -> list[bool]:
    return ["open" in dict(attributes) for tag, attributes in reading.elements if tag == "details"]


def test_a_back_fill_is_one_report(plan_view, read):
    """One head with the sums, a line per plan, and each plan folded; one that refuses is open."""
    reading = read(html.render(report.backfill([READY, plan_view])))

    assert reading.outline[:23] == snapshot(
        [
            "Back-fill",
            "✕ refused",
            "2 plans, in order",
            "Nothing can be sent: 1 plan is refused.",
            "rows",
            "5,009",
            "valid",
            "4,990",
            "rejected",
            "19",
            "plan",
            "call",
            "from",
            "rows",
            "excluded",
            "requests",
            "verdict",
            "0",
            "identify",
            "a.csv",
            "9",
            "0",
            "1",
        ]
    )
    assert reading.outline.count("Back-fill") == 1
    assert _opened(reading)[:2] == [False, True]


@pytest.mark.parametrize(
    ("views", "verdict"),
    [
        pytest.param([READY], "✓ ready", id="ready"),
        pytest.param(
            [READY, replace(READY, valid=8, rejected=1)],
            "! ready: 1 row excluded",
            id="some-left-out",
        ),
    ],
)
def test_the_verdict_on_a_back_fill_is_that_of_its_worst_plan(views, verdict, read):
    """A back-fill is as ready as the plan that is least so."""
    whole = report.backfill(views)
    assert read(html.render(whole)).outline[1] == verdict
    assert text.render(whole).split("\n")[0].endswith(verdict)


def _findings(count: int, *, severity: str) -> list[FindingView]:
    return [
        FindingView(severity=severity, code=f"a.b{n}", rows=n, sentence="s", hint="h")
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("severity", "count", "folds"),
    [
        pytest.param("refuse", 9, 0, id="refusals-are-open"),
        pytest.param("reject", 3, 0, id="few-are-open"),
        pytest.param("reject", 4, 4, id="many-are-a-list"),
        pytest.param("info", 4, 5, id="many-asides-are-behind-one-line"),
    ],
)
def test_many_findings_stay_readable(severity, count, folds, read):
    """What must be done is open; many others are lines that open one by one."""
    drawn = html.render_nodes(findings.sections(_findings(count, severity=severity)))

    assert len(_opened(read(drawn))) == folds


def test_no_finding_is_lost_in_folds(read):
    """Every code and every hint is in the report, folded or not."""
    several = [*_findings(30, severity="warn"), *_findings(30, severity="info")]

    shown = read(html.render(report.plan(replace(READY, findings=tuple(several))))).text

    assert all(shown.count(f"a.b{n}") >= 2 for n in range(30))
    assert shown.count("How to fix: h") == 60


def test_messages_are_spread_out_and_whole(read):
    """What is shown is the message itself with blanks; many are counted, not drawn."""
    messages = [json.dumps({"userId": f"u{n}", "traits": {"a": [1, "é"]}}) for n in range(60)]

    reading = read(html.render(report.payloads(messages, title="Messages: identify")))

    blocks = [chunk for chunk in reading.chunks if chunk.startswith("{")]
    assert [json.loads(block) for block in blocks] == [json.loads(m) for m in messages[:50]]
    assert "And 10 more messages." in reading.text


def test_the_record_of_all_runs(read):
    """The latest run is first; rows that are not sent yet or in doubt decide the verdict."""
    first = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    later = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    none = {**dict.fromkeys(STATES, 0), "endpoint": "h", "stopped": None}
    runs = [
        {**none, "run_id": "r1", "created": first, "state": "finished", "delivered": 9},
        {
            **none, "run_id": "r2", "created": later, "state": "stopped", "stopped": "OUTAGE",
            "delivered": 1_000, "pending": 7, "rejected_local": 2,
        },
    ]  # fmt: skip

    totals = {state: sum(run[state] for run in runs) for state in STATES}
    audit = history.audit("audit", runs, totals=totals)
    outline = read(html.render(audit)).outline

    assert outline[1] == "… some rows not sent yet"
    assert outline.index("r2") < outline.index("r1")
    assert text.render(audit) == snapshot("""\
Audit · audit · … some rows not sent yet

2 runs, with a record of every row. .failed() lists the rows that did not arrive;
.explain(row=...) shows what happened to one.

runs                     2
rows                 1,018
arrived              1,009
not sent or refused      9
outcome unknown          0

run  when (UTC)        to  end                rows  arrived  not sent  outcome unknown
r2   2026-11-22 09:30  h   stopped (OUTAGE)  1,009    1,000         9                0
r1   2026-11-21 09:30  h   finished              9        9         0                0\
""")
    doubtful = text.render(history.audit("audit", runs, totals=totals | {"in_doubt": 1}))
    assert doubtful.startswith("Audit · audit · ! outcome of some rows unknown")
