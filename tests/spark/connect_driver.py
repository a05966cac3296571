"""Sends events from a session of Spark Connect: `python -m tests.spark.connect_driver URL AUDIT`."""

import json
import os
import sys

import cio_frames as cio
from cio_frames.run import SendOptions
from cio_frames.spark.run import SparkOptions, start
from tests.spark.plans import BY_PERSON, events, plan_of


def main() -> None:
    """Send, and print the counts of the run."""
    from pyspark.sql import SparkSession

    url, audit = sys.argv[1:]
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.remote("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    )
    plan = plan_of(events(session, rows=400, partitions=2))
    client = cio.connect(endpoint=url, write_key="cio_live_connect", environ={})
    run = start(
        plan,
        client,
        options=SendOptions(audit=audit, progress=False),
        spark=SparkOptions(partitions=2, slots=2, in_order=BY_PERSON),
    ).wait()
    result = {"kind": type(session).__module__, "failed": run.failed().count(), **run.counts}
    sys.stdout.write(f"{json.dumps(result)}\n")
    session.stop()


if __name__ == "__main__":
    main()
