"""Runs on Spark: what arrives, what is recorded, and what is left to resume."""

from pathlib import Path
from typing import Any

import polars as pl

import cio_frames as cio
from cio_frames.run import SendOptions
from cio_frames.spark.run import SparkOptions, start
from tests.spark.plans import by_person, events, plan_of


def _options(folder: Path, **others: Any) -> SendOptions:
    return SendOptions(audit=folder, progress=False, **others)


def test_all_rows_arrive_once_and_in_order(spark: Any, tmp_path: Path) -> None:
    """Every row is delivered once, the rows of a person in their order, and the record says so."""
    plan = plan_of(events(spark, rows=3_000))
    with cio.sandbox() as workspace:
        run = start(
            plan,
            workspace.client(),
            options=_options(tmp_path),
            spark=SparkOptions(partitions=4, in_order=by_person, lease_s=4),
        ).wait()
        came = workspace.messages
    told = came.select(
        pl.col("json")
        .str.json_decode(pl.Struct({"userId": pl.String, "properties": pl.Struct({"n": pl.Int64})}))
        .struct.unnest(),
        "number",
    ).unnest("properties")
    assert sorted(told["n"]) == list(range(3_000))
    assert (
        told.sort("userId", "number").select((pl.col("n").diff().over("userId") > 0).all()).item()
    )
    record = cio.audit(tmp_path)
    assert run.counts["delivered"] == 3_000
    assert sorted(record.messages["row"]) == list(range(3_000))
    assert set(record.messages["state"]) == {"delivered"}
    assert record.verify().is_empty()
    print(run)
