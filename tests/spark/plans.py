"""Plans for tests of sending on Spark, and the tables of events that they send."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

import cio_frames as cio
from cio_frames.audit import RunInfo
from cio_frames.clock import utc_now
from cio_frames.config import MaskedText
from cio_frames.frames import ROW
from cio_frames.payloads import RUN_ALGORITHM
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spark import SparkTable, read_spark
from cio_frames.spark.attempt import Work
from cio_frames.spark.order import in_order
from cio_frames.spark.reading import PlanSettings

RUN = "20260601T000000000Z-abcdef"
KEY = "11" * 32
"""The key of pseudonyms and ids in the record: that of the environment of all tests."""


@dataclass(frozen=True, kw_only=True)
class SparkEvents:
    """A plan of events."""

    table: SparkTable
    pipeline: Pipeline


def events(spark: Any, *, rows: int, people: int = 50, partitions: int = 3) -> Any:
    """Return events of people in a Spark frame, numbered through."""
    return spark.range(0, rows, 1, partitions).selectExpr(
        "concat('event ', id % 7) AS event",
        f"concat('u', id % {people}) AS user_id",
        "id AS n",
        "TIMESTAMP '2026-01-01 00:00:00' + make_interval(0, 0, 0, 0, 0, 0, id) AS at",
    )


def plan_of(frame: Any, **others: int) -> SparkEvents:
    """Return the plan that sends them."""
    table = read_spark(frame)
    plan = cio.frame(table.sample.eager).track(
        event="event", user_id="user_id", timestamp="at", properties=["n"]
    )
    return SparkEvents(table=table, pipeline=replace(plan.pipeline, **others))


BY_PERSON = partial(in_order, components=None)
"""Puts the rows of a person into one partition: each has one identifier, so nothing connects them."""


def local_plan(frame: pl.DataFrame, *, call: str = "track") -> Pipeline:
    """Return the pipeline of a polars frame."""
    if call == "identify":
        plan = cio.frame(frame).identify(
            user_id="user_id", traits=["n"], context={"device.type": "device"}
        )
    else:
        plan = cio.frame(frame).track(
            event="event", user_id="user_id", timestamp="at", properties=["n"]
        )
    return plan.pipeline


def work_of(
    client: cio.Client, folder: Path, frame: pl.DataFrame, *, call: str = "track", **others: int
) -> Work:
    """Return what attempts at partitions of a table are given."""
    pipeline = replace(local_plan(frame, call=call), **others)
    info = RunInfo(
        run_id=RUN, created=utc_now(), region="us", endpoint=client.endpoint, strict=True,
        workspaces=client.workspaces, id_algorithm=RUN_ALGORITHM, rows=frame.height,
        plans=((call, frame.height),), decisions={"spark": {"partitions": 3}},
    )  # fmt: skip
    return Work(
        directory=str(folder), info=info, plan=PlanSettings.of(pipeline), client=client.settings(),
        key=MaskedText(KEY), in_doubt=None, durability="process", slots=1, lease_s=3.0,
    )  # fmt: skip


def chunks_of(
    frame: pl.DataFrame, *, first: int = 1, step: int = 2, size: int = 400
) -> list[pa.Table]:
    """Return rows as Spark gives them, under numbers of this step."""
    numbered = frame.with_row_index("place").select(
        (first + step * pl.col("place").cast(pl.Int64)).alias(ROW), pl.exclude("place")
    )
    return [part.to_arrow() for part in numbered.iter_slices(size)]


def local_events(rows: int, *, people: int = 20) -> pl.DataFrame:
    """Return events in a polars frame, with odd row numbers."""
    n = pl.int_range(rows, dtype=pl.Int64)
    return pl.select(
        n.alias("n"),
        event=pl.format("event {}", n % 7),
        user_id=pl.format("u{}", n % people),
        at=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)) + pl.duration(seconds=n),
    ).select("event", "user_id", "n", "at")
