"""From a Spark frame to an audited run, as a user types it."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.audit import STATES
from cio_frames.errors import ArgumentError, PlanRefusedError, RowOrderError
from cio_frames.spark.plan import SparkPlan
from tests.spark.parts import jobs

ORDERS = (
    "concat('u', id % 40) AS customer", "TIMESTAMP '2026-01-01 00:00:00' + make_interval(0, 0, 0, 0, 0, 0, id) AS at",
    "id AS number", "if(id % 100 = 7, NULL, concat('o', id)) AS order",
)  # fmt: skip


MOST_JOBS = {"before": 4, "send": 2}
"""Jobs of Spark that a send takes before it begins and then, where no report was asked for."""


def test_a_frame_of_spark_is_planned_sent_and_audited(spark: Any, tmp_path: Path) -> None:
    """All planned rows arrive in few jobs, are recorded, and are not sent again by a resume."""
    orders = (
        spark.range(0, 600, 1, 3).selectExpr(*ORDERS).where("`order` IS NOT NULL OR number = 7")
    )
    plan = orders.cio.track(
        event=cio.lit("Ordered"), user_id="customer", timestamp="at", properties=["number", "order"]
    )
    assert isinstance(plan, SparkPlan)
    with cio.sandbox() as workspace:
        client = workspace.client()
        with jobs(spark, "before") as before:
            run = plan.send(client, audit=tmp_path, progress=False)
        assert run.counts["delivered"] == 595
        sent = spark.sparkContext.statusTracker().getJobIdsForGroup(run.run_id)
        ran = {"before": len(before), "send": len(sent)}
        assert all(0 < ran[what] <= most for what, most in MOST_JOBS.items()), ran
        assert plan.counts["valid"] == plan.counts["rows"] == 595
        record = cio.audit(tmp_path)
        assert record.verify().is_empty()
        assert run.failed().count() == 0
        assert "15 rows in 1 run: 15 delivered." in record.explain(id="u8")
        for method, words in ((run.undo, "undone"), (run.reconcile, "compared")):
            with pytest.raises(ArgumentError, match=words):
                method()
        again = cio.resume(run.audit, client, plan, progress=False)
        assert again.counts["delivered"] == 595
        assert workspace.messages.height == 595


@pytest.mark.slow
def test_a_send_reads_nothing_again_after_a_report(spark: Any, tmp_path: Path) -> None:
    """After a report Spark runs no job but that of sending: the findings of the report are used."""
    orders = spark.range(0, 600, 1, 3).selectExpr(*ORDERS)
    plan = orders.cio.track(event=cio.lit("Ordered"), user_id="customer", timestamp="at")
    assert plan.counts["valid"] == 600
    with cio.sandbox() as workspace, jobs(spark, "after a report") as more:
        run = plan.send(workspace.client(), audit=tmp_path, progress=False)
    assert run.counts["delivered"] == 600
    assert more == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Ordered", "User Deleted"])
def test_what_forbids_sending_is_found_without_a_report(
    spark: Any, tmp_path: Path, name: str
) -> None:
    """Rows are left out, and a plan is refused, as by a local plan that is sent without a report."""
    given = [
        (f"u{n % 3}", name if n == 7 else "Ordered", f"m{n if n < 8 else n // 2}", n)
        for n in range(12)
    ]
    frame = spark.createDataFrame(given, "who string, event string, id string, n bigint")
    rows = pl.DataFrame(given, schema=["who", "event", "id", "n"], orient="row")
    asked = {"user_id": "who", "event": "event", "message_id": "id"}
    plans = [cio.frame(each).track(**asked) for each in (frame.coalesce(1), rows)]
    outcomes = []
    with cio.sandbox() as workspace:
        for place, plan in enumerate(plans):
            try:
                run = plan.send(workspace.client(), audit=tmp_path / str(place), progress=False)
            except PlanRefusedError as error:
                outcomes.append(str(error))
            else:
                outcomes.append(str({state: run.counts[state] for state in STATES}))
    assert outcomes[0] == outcomes[1]


def test_what_is_not_offered_is_refused_before_anything_is_done(spark: Any, tmp_path: Path) -> None:
    """What is for a sample, and states without an order, are refused before a record is begun."""
    people = spark.range(0, 20, 1, 2).selectExpr("concat('u', id % 5) AS id", "id AS score")
    plan = cio.frame(people).identify(user_id="id")
    with pytest.raises(ArgumentError, match=r"plan\.sample\(10_000\)\.identity\(on_conflict"):
        plan.identity(on_conflict="reject")  # type: ignore[call-arg]
    with pytest.raises(ArgumentError, match=r"plan\.sample\(10_000\)\.save"):
        plan.save(tmp_path / "people.cioplan")
    with pytest.raises(ArgumentError, match=r"plan\.rejected"):
        plan.corrected("people.csv")
    with pytest.raises(ArgumentError, match=r"send\(client, wait=False\)"):
        plan.asend()
    for action, words in ((cio.reconcile, "compared"), (cio.undo, "undone")):
        with pytest.raises(ArgumentError, match=words):
            action(tmp_path, people, plan=plan)
    with pytest.raises(ArgumentError, match="-1 is not a number of rows"):
        plan.sample(-1)
    ordered = cio.frame(people, order_by="score").identify(user_id="id")
    assert [ordered.sample(rows).counts["rows"] for rows in (0, 10**12)] == [0, 20]
    assert len(ordered.payloads(10**12)) == 20
    with cio.sandbox() as workspace, pytest.raises(RowOrderError, match="order_by"):
        plan.send(workspace.client(), audit=tmp_path / "audit", progress=False)
    assert not (tmp_path / "audit").exists()


def test_campaigns_and_merges_need_an_allowance(spark: Any, tmp_path: Path) -> None:
    """Executors count campaigns and merges; unless they are allowed nothing is sent, and the record has what was allowed."""
    seen = spark.range(0, 30, 1, 3).selectExpr("concat('u', id) AS id", "id AS n")
    plan = cio.frame(seen).track(user_id="id", event=cio.lit("Seen"))
    people = spark.createDataFrame(
        [("u1", None, 1), ("b@x.org", None, 2), ("u1", "b@x.org", 3)],
        "id string, email string, n int",
    )
    merging = cio.frame(people, order_by="n").identify(user_id="id")
    abroad = cio.connect("eu", write_key="k", environ={})
    for one, needed in ((plan, {"campaigns": 30}), (merging, {"merges": 1})):
        with pytest.raises(cio.AllowanceError) as refused:
            one.send(abroad, audit=tmp_path, progress=False)
        assert refused.value.needed == needed
    assert not list(tmp_path.iterdir())
    with cio.sandbox() as workspace:
        allow = {"campaigns": "thirty"}
        run = plan.send(workspace.client(), audit=tmp_path, progress=False, allow=allow)
        assert run.counts["delivered"] == 30
        assert '"allow"' in (run.audit / "run.json").read_text()
