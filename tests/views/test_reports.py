"""The reports of several things at once: back-fills, messages, the record, many findings."""

import json
from dataclasses import replace

import pytest
from inline_snapshot import snapshot

from cio_frames.views import backfill, findings, history, payloads, report
from cio_frames.views.findings import FindingView
from cio_frames.views.history import RunLine
from cio_frames.views.report import PlanView

READY = PlanView(call="identify", source="a.csv", rows=9, valid=9, rejected=0, bytes=90, batches=1)


def _opened(reading) -> list[bool]:
    return ["open" in dict(attributes) for tag, attributes in reading.elements if tag == "details"]


def test_a_back_fill_is_one_report(plan_view, read):
    """One head with the sums, a line per plan, and each plan folded; one that refuses is open."""
    reading = read(backfill.html([READY, plan_view]))

    assert reading.outline[:22] == snapshot(
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
            "size",
            "1.8 MB",
            "requests",
            "6",
            "call",
            "from",
            "rows",
            "left out",
            "requests",
            "verdict",
            "1",
            "identify",
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
            "! ready, not all rows",
            id="some-left-out",
        ),
    ],
)
def test_the_verdict_on_a_back_fill_is_that_of_its_worst_plan(views, verdict, read):
    """A back-fill is as ready as the plan that is least so."""
    assert read(backfill.html(views)).outline[1] == verdict
    assert backfill.text(views).split("\n")[0].endswith(verdict)


def _found(count: int, *, severity: str) -> list[FindingView]:
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
    drawn = findings.html(_found(count, severity=severity))

    assert sum(len(_opened(read(part))) for part in drawn) == folds


def test_no_finding_is_lost_in_folds(read):
    """Every code and every hint is in the report, folded or not."""
    found = [*_found(30, severity="warn"), *_found(30, severity="info")]

    text = read(report.html(replace(READY, findings=tuple(found)))).text

    assert all(text.count(f"a.b{n}") >= 2 for n in range(30))
    assert text.count("Do: h") == 60


def test_messages_are_spread_out_and_whole(read):
    """What is shown is the message itself with blanks; many are counted, not drawn."""
    messages = [json.dumps({"userId": f"u{n}", "traits": {"a": [1, "é"]}}) for n in range(60)]

    reading = read(payloads.html(messages, title="Messages: identify"))

    blocks = [chunk for chunk in reading.chunks if chunk.startswith("{")]
    assert [json.loads(block) for block in blocks] == [json.loads(m) for m in messages[:50]]
    assert "And 10 more messages." in reading.text


def test_the_record_of_all_runs(read):
    """The latest run is first; rows that are not known to have arrived decide the verdict."""
    runs = [
        RunLine(
            run_id="r1", created="t1", endpoint="h", outcome="finished", counts={"delivered": 9}
        ),
        RunLine(
            run_id="r2",
            created="t2",
            endpoint="h",
            outcome="stopped (OUTAGE)",
            counts={"delivered": 1_000, "pending": 7, "rejected_local": 2},
        ),
    ]

    outline = read(history.html("audit", runs)).outline

    assert outline[1] == "! rows not known to have arrived"
    assert outline.index("r2") < outline.index("r1")
    assert history.text("audit", runs) == snapshot("""\
Audit: audit · ! rows not known to have arrived

2 runs, one row kept for every row of every run. .failed() has the rows that did not arrive,
.explain(row=...) the story of one.

run  when (UTC)  to  end                rows  arrived  left out  not known
r2   t2          h   stopped (OUTAGE)  1,009    1,000         2          7
r1   t1          h   finished              9        9         0          0\
""")
