"""A plan on Spark for tests of sending, and a table of events whose truth is known."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

import cio_frames as cio
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spark import SparkTable, read_spark


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


def plan_of(frame: Any) -> SparkEvents:
    """Return the plan that sends them."""
    table = read_spark(frame)
    plan = cio.frame(table.sample.eager).track(
        event="event", user_id="user_id", timestamp="at", properties=["n"]
    )
    return SparkEvents(table=table, pipeline=plan.pipeline)


def by_person(table: SparkTable, pipeline: Pipeline, *, partitions: int) -> Any:
    """Put the rows of a person into one partition, in the order of their numbers."""
    return table.frame.repartition(partitions, "user_id").sortWithinPartitions("__row__")


def local_plan(frame: Any) -> Pipeline:
    """Return the pipeline of events in a polars frame."""
    plan = cio.frame(frame).track(
        event="event", user_id="user_id", timestamp="at", properties=["n"]
    )
    return plan.pipeline


def local_events(rows: int, *, people: int = 20) -> pl.DataFrame:
    """Return events in a polars frame, with odd row numbers."""
    n = pl.int_range(rows, dtype=pl.Int64)
    return pl.select(
        n.alias("n"),
        event=pl.format("event {}", n % 7),
        user_id=pl.format("u{}", n % people),
        at=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)) + pl.duration(seconds=n),
    ).select("event", "user_id", "n", "at")
