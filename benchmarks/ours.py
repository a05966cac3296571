"""cio_frames: all checks, deterministic ids, gzip, and the audit of every row."""

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from runpy import run_module
from tempfile import mkdtemp

import polars as pl

import cio_frames as cio


def record_directory() -> Path:
    """Return a directory for the record; `measure` deletes it, so that sending does not."""
    return Path(mkdtemp(prefix="audit-"))


def main(path: str, url: str, *, gzip: bool, lazy: bool = False) -> None:
    """Send a file of events, or of people if it has no events."""
    client = cio.connect(endpoint=url, write_key="benchmark", rate=None, gzip=gzip)
    table = pl.scan_parquet(path).filter(pl.col("amount") >= 0) if lazy else cio.scan(path)
    if "event" in table.collect_schema():
        plan = cio.frame(table).track(event="event", user_id="user_id", timestamp="occurred_at")
    else:
        plan = cio.frame(table).identify(user_id="user_id")
    run = plan.send(client, audit=record_directory(), progress=False)
    assert run.counts["delivered"] == run.counts["rows"], run.counts


def latency(path: str, url: str) -> None:
    """Send a file with the default settings, rate limit included."""
    client = cio.connect(endpoint=url, write_key="benchmark")
    plan = cio.frame(cio.scan(path)).track(
        event="event", user_id="user_id", timestamp="occurred_at"
    )
    run = plan.send(client, audit=record_directory(), progress=False)
    assert run.counts["delivered"] == run.counts["rows"], run.counts


def command(path: str, url: str) -> None:
    """Send a file of people with the command line, rate limit included."""
    os.environ["CIO_WRITE_KEY"] = "benchmark"
    plan_options = ["--call", "identify", "--user-id", "user_id"]
    target_options = ["--endpoint", url, "--audit", str(record_directory())]
    sys.argv = ["cio-frames", "send", path, *plan_options, *target_options]
    with redirect_stdout(sys.stderr):
        try:
            run_module("cio_frames.cli", run_name="__main__")
        except SystemExit as exit_:
            if exit_.code:
                raise
