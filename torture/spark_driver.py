"""A driver of Spark that sends a table, or resumes what earlier drivers left: `python -m torture.spark_driver SETTINGS`."""

import json
import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cio_frames as cio
from cio_frames.errors import RunError
from cio_frames.plan.pipeline import Pipeline
from cio_frames.run import SendOptions
from cio_frames.spark import SparkTable, read_spark
from cio_frames.spark.order import in_order
from cio_frames.spark.run import SparkOptions, SparkRun, resume, start

DONE = "done"
"""The file beside the record of a run that has ended."""

FAILED = 3
"""The exit status of a driver whose job failed."""

SPARK_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.ui.showConsoleProgress": "false",
    "spark.task.maxFailures": "50",
    "spark.stage.maxConsecutiveAttempts": "100",
    "spark.deploy.maxExecutorRetries": "-1",
    "spark.speculation": "true",
    "spark.speculation.interval": "200ms",
    "spark.speculation.multiplier": "1.2",
    "spark.speculation.quantile": "0.2",
    "spark.speculation.minTaskRuntime": "2s",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
}


@dataclass(frozen=True, kw_only=True)
class Events:
    """A plan of events."""

    table: SparkTable
    pipeline: Pipeline


def start_session(settings: dict[str, Any]) -> Any:
    """Return a session on a local cluster."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    folder = Path(settings["folder"])
    (folder / "events").mkdir(exist_ok=True)
    places = {
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.eventLog.dir": (folder / "events").as_uri(),
        "spark.sql.shuffle.partitions": str(settings["partitions"]),
    }
    builder = SparkSession.builder.master(settings["master"]).appName("torture")
    for name, value in (SPARK_SETTINGS | places).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def send(settings: dict[str, Any], number: int) -> SparkRun:
    """Send the table of a run, or resume what earlier drivers left of it."""
    rows = start_session(settings).read.parquet(f"{settings['table']}/{number:03d}")
    table = read_spark(rows, order_by=settings["order_by"])
    plan = cio.frame(table.sample.lazy).track(
        event="event", user_id="user_id", timestamp="at", properties=["n"]
    )
    pipeline = replace(plan.pipeline, batch_bytes=settings["batch_bytes"])
    client = cio.connect(
        endpoint=settings["url"],
        write_key=settings["write_key"],
        rate=None,
        attempt_s=10.0,
        environ={},
    )
    audit = Path(settings["audit"]) / f"{number:03d}"
    options = SendOptions(audit=audit, progress=False, durability="process", wait=False)
    spark = SparkOptions(
        partitions=settings["partitions"],
        lease_s=settings["lease_s"],
        in_order=partial(in_order, components=None),
    )
    unfinished = sorted(path.parent for path in audit.glob("*/run.json"))
    events = Events(table=table, pipeline=pipeline)
    if unfinished:
        return resume(unfinished[-1], events, client, options=options, spark=spark)
    return start(events, client, options=options, spark=spark)


def main() -> None:
    """Send all tables, one run after the other; exit with `FAILED` if rows are left."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    for number in range(settings["runs"]):
        done = Path(settings["audit"]) / f"{number:03d}" / DONE
        if not done.exists():
            try:
                run = send(settings, number).wait()
            except RunError as error:
                sys.stdout.write(f"{error}\n")
                sys.exit(FAILED)
            sys.stdout.write(f"{run}\n")
            sys.stdout.flush()
            done.touch()


if __name__ == "__main__":
    main()
