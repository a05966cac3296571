"""Plans of Spark frames beside local plans of the same rows, on two executors."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cio_frames as cio
from cio_frames.errors import ColumnTypeError
from cio_frames.frames import ROW
from cio_frames.plan.pipeline import Pipelines
from cio_frames.spark import SparkPlan
from cio_frames.spark.reading import PlanSettings
from cio_frames.spark.repeats import without_rejected_repeats
from cio_frames.spark.table import to_arrow
from cio_frames.validation import FINDING_SCHEMA, as_texts
from cio_frames.validation.findings import complete_findings
from tests.spark.parts import described, jobs, rows_of, view_of

NOW = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
MOST_JOBS = {"read": 8, "report": 45, "again": 0}
"""Jobs of Spark that reading a frame, its first report and a second one take."""

PEOPLE = {
    "id": ["u1", " u2", None, "-", "u1", "n/a", "u7", "u8", "u9", "guest", "u11", "u12"],
    "email": ["a@b.co", "A@b.co", "c@d.co", "x", None, "e@f.co", "g@h.co", "mailto:i@j.co", "k@l.co", "", "m@n.co", "o@p.co"],
    "created_at": ["20.01.2024", "30.03.2024", "21.04.2024", None, "2024-01-01", "x", *["2024-05-06T07:08:09Z"] * 6],
    "note": [*["4111 1111 1111 1111", None] * 5, "b", "y" * 40_000],
    "n": [1.0, float("inf"), float("nan"), *range(9)],
}  # fmt: skip
EVENTS = {
    "who": ["u1", "u2", "u1", None, "u3", "u1", "u2", "u3", "u4"],
    "what": ["Ordered", "ordered", "Ordered", "Ordered", "", "User Deleted", "Ordered", "Ordered", "Ordered"],
    "at": [NOW - dt.timedelta(hours=hours) for hours in (1, 2, 1, 100, 5, 6, 7_000, -900, 9)],
    "n": list(range(9)),
}  # fmt: skip


def at_now(plan: Any) -> Any:
    """Return a plan at a fixed time."""
    return replace(plan, pipelines=Pipelines((replace(plan.pipeline, clock=lambda: NOW),)))


def spark_plan(spark: Any, folder: Path, rows: Any, verb: str, **asked: Any) -> SparkPlan:
    """Return the plan of rows in three partitions."""
    pq.write_table(pa.table(rows), folder / "rows.parquet")
    frame = spark.read.parquet((folder / "rows.parquet").as_uri()).repartition(3)
    plan: SparkPlan = at_now(getattr(cio.frame(frame), verb)(**asked))
    return plan


def local_plan(plan: SparkPlan, verb: str, **asked: Any) -> cio.Plan:
    """Return the local plan of the same rows in the same order."""
    rows = to_arrow(plan.table.original.orderBy(ROW)).drop_columns([ROW])
    local: cio.Plan = at_now(getattr(cio.frame(rows), verb)(**asked))
    return local


def require_same(plan: SparkPlan, local: cio.Plan) -> None:
    """Require that both plans have the same results."""
    assert described(plan.pipeline.full_check) == described(local.pipeline.full_check)
    assert view_of(plan.pipeline) == view_of(local.pipeline)
    assert plan.summary.equals(local.summary)
    assert plan.payloads(50) == local.payloads(50)
    assert plan.pipeline.full_check.before_send.fingerprint == (
        local.pipeline.full_check.before_send.fingerprint
    )


@pytest.mark.slow
def test_a_plan_of_people_is_that_of_a_local_plan(spark: Any, tmp_path: Path) -> None:
    """Counts, findings, examples, rejected rows, payloads, ids and repairs are those of a local plan."""
    with jobs(spark, "read") as reading:
        plan = spark_plan(spark, tmp_path, PEOPLE, "identify", user_id="id")
    with jobs(spark, "report") as reporting:
        shown = repr(plan)
    with jobs(spark, "again") as again:
        assert repr(plan) == shown
        assert plan.fixes.height
        assert plan.payloads(3)
    local = local_plan(plan, "identify", user_id="id")

    require_same(plan, local)
    ran = {"read": len(reading), "report": len(reporting), "again": len(again)}
    assert all(ran[what] <= most for what, most in MOST_JOBS.items()), ran
    findings = pl.DataFrame(to_arrow(plan.findings)).select(local.findings.columns)
    assert findings.select("severity", "code").equals(local.findings.select("severity", "code"))
    assert rows_of(findings) == rows_of(local.findings)
    lost = pl.DataFrame(to_arrow(plan.rejected))
    assert lost.cast(pl.String).equals(local.rejected.cast(pl.String))
    assert plan.refusals() == local.refusals()
    require_same(plan.fix("safe"), local.fix("safe"))
    assert plan.fix("safe").changes.equals(local.fix("safe").changes)


@pytest.mark.slow
def test_a_plan_of_events_is_that_of_a_local_plan(spark: Any, tmp_path: Path) -> None:
    """Times, deletions, and rows that the whole table rejects are those of a local plan."""
    asked = {"event": "what", "user_id": "who", "timestamp": "at"}
    plan = spark_plan(spark, tmp_path, EVENTS, "track", **asked)
    local = local_plan(plan, "track", **asked)

    require_same(plan, local)
    assert plan.counts["rejected"] == local.counts["rejected"] > 0
    assert plan.estimate().new_profiles == local.estimate().new_profiles


def test_messages_beyond_the_first_rows_are_made_by_executors(spark: Any) -> None:
    """More messages than the first rows make are the first of the whole frame, under the same ids."""
    frame = spark.range(0, 1_500, 1, 3).selectExpr("IF(id < 1200, NULL, concat('u', id % 7)) AS id")
    plan = at_now(frame.cio.identify(user_id="id"))
    local = local_plan(plan, "identify", user_id="id")

    assert plan.payloads(20) == local.payloads(20)
    assert len(plan.payloads(20)) == 20


@pytest.mark.slow
@pytest.mark.parametrize("others", [(), ((3, "x.y", "reject", "id", None, "lost", ""),)])
def test_repeats_of_excluded_rows(spark: Any, others: Any) -> None:
    """The finding of a row that repeats an excluded one names the first row that stays, or is removed."""
    values = {
        0: "u as row 0",
        1: "u as row 0",
        2: "u as row 0, row 1 wins",
        5: "v as row 4",
        6: "v as row 3",
    }
    frame = spark.range(0, 8, 1, 2).selectExpr("IF(id IN (0, 1, 4), NULL, concat('u', id)) AS id")
    plan = cio.frame(frame).identify(user_id="id")
    findings = [
        (row, "id.duplicate", "info", "id", value, "repeated", "") for row, value in values.items()
    ]
    findings += others
    names = "row bigint, code string, severity string, column string, value string, message string, hint string"
    given = spark.createDataFrame(findings, names)
    settings = PlanSettings.of(plan.pipeline)

    on_spark = without_rejected_repeats(
        plan.table, given, codes={each[1] for each in findings}, settings=settings
    )

    missing = [(row, "id.missing", "reject", None, None, "no id", "") for row in (0, 1, 4)]
    whole = pl.DataFrame([*findings, *missing], schema=FINDING_SCHEMA, orient="row")
    local = complete_findings(whole, checks=(), rows=8).filter(pl.col("code") != "id.missing")
    assert rows_of(pl.DataFrame(to_arrow(on_spark))) == rows_of(as_texts(local))


TYPES = {
    "tiny": "CAST(5 AS TINYINT)",
    "whole": "CAST(5 AS BIGINT)",
    "half": "CAST(0.1 AS FLOAT)",
    "double": "CAST(1.5 AS DOUBLE)",
    "money": "CAST(1.10 AS DECIMAL(10, 2))",
    "exact": "CAST(1.25 AS DECIMAL(38, 10))",
    "truth": "TRUE",
    "text": "'é'",
    "day": "DATE '2024-01-02'",
    "instant": "TIMESTAMP '2024-01-02 03:04:05.678 UTC'",
    "local": "TIMESTAMP_NTZ '2024-01-02 03:04:05.678'",
    "bytes": "X'6162'",
    "span": "INTERVAL '1 02:03:04' DAY TO SECOND",
    "list": "array(1, 2)",
    "texts": "array('a', NULL)",
    "object": "named_struct('a', 1, 'b', 'x')",
    "map": "IF(id % 2 = 0, map('k', 1), map('z', NULL))",
    "empty_map": "CAST(map() AS MAP<STRING, INT>)",
    "maps": "array(map('k', 1.5))",
    "nothing": "NULL",
}
SENT = {
    "tiny": 5, "whole": 5, "half": 0.1, "double": 1.5, "money": 1.1, "exact": 1.25, "truth": True,
    "text": "é", "day": "2024-01-02", "instant": "2024-01-02T03:04:05.678Z",
    "local": "2024-01-02T03:04:05.678Z", "span": "P1DT2H3M4S", "list": [1, 2], "texts": ["a", None],
    "object": {"a": 1, "b": "x"}, "map": {"k": 1}, "empty_map": {}, "maps": [{"k": 1.5}],
}  # fmt: skip
"""What a local plan sends of the same values. Bytes are rejected, and `nothing` is omitted."""


@pytest.mark.slow
def test_each_type_is_sent_as_by_a_local_plan(spark: Any) -> None:
    """A type of Spark is sent as the same Arrow type is, in every chunk alike."""
    columns = [f"{expression} AS `{name}`" for name, expression in TYPES.items()]
    frame = spark.range(0, 6, 1, 3).selectExpr("concat('u', id) AS who", *columns)
    ignored = cio.Checks(ignore=["type.unsupported"])
    asked = {"user_id": "who", "traits": [name for name in TYPES if name != "bytes"]}
    plan = at_now(cio.frame(frame).identify(**asked, checks=ignored))
    local = local_plan(plan, "identify", **asked, checks=ignored)

    assert [each["traits"] for each in plan.payloads(6)] == [
        each["traits"] for each in local.payloads(6)
    ]
    assert plan.payloads(1)[0]["traits"] == SENT
    assert plan.counts["valid"] == local.counts["valid"] == 6
    assert plan.counts["bytes"] == local.counts["bytes"]


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("parse_json('1')", r"CAST\(`x` AS STRING\)"),
        ("array(parse_json('1'))", r"CAST\(`x` AS STRING\)"),
        ("INTERVAL '1-2' YEAR TO MONTH", r"CAST\(`x` AS STRING\)"),
        ("make_interval(1)", r"CAST\(`x` AS STRING\)"),
        ("map(1, 'a')", r"CAST\(`x` AS MAP<STRING, STRING>\)"),
    ],
)
def test_a_type_that_arrow_does_not_have_is_refused(spark: Any, expression: str, hint: str) -> None:
    """The error says which cast makes the column one that can be sent, before a row is read."""
    frame = spark.range(3).selectExpr("concat('u', id) AS who", f"{expression} AS x")

    with pytest.raises(ColumnTypeError, match=hint):
        frame.cio.identify(user_id="who")


def test_a_type_of_the_user_is_refused(spark: Any) -> None:
    """A vector is refused with the function that makes an array of it."""
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql.types import StructField, StructType

    frame = spark.createDataFrame([], StructType([StructField("x", VectorUDT())]))

    with pytest.raises(ColumnTypeError, match="vector_to_array"):
        frame.cio.identify(user_id="x")


def test_a_backfill_takes_no_plan_of_spark(spark: Any) -> None:
    """Plans of Spark are sent one after the other; a back-fill takes local plans only."""
    plan = spark.range(2).selectExpr("concat('u', id) AS id").cio.identify(user_id="id")

    with pytest.raises(
        cio.MappingError, match=r"no plans of Spark frames\. Send them one after another"
    ):
        cio.backfill([plan])
