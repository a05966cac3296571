"""T25: the official SDK with its defaults, on the same rows, workspace and faults."""

import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import polars as pl

from cio_frames.sandbox import Faults
from torture.checker import Verdict, check
from torture.harness import Harness, Line, require, require_clean, set_up
from torture.inputs import Workload, arrivals, random_rows, track_plan

FAULT_PROFILES = {
    "no trouble": Faults(),
    "flaky": Faults(
        failed=0.10, reset_before=0.03, reset_after=0.03, truncated=0.03, throttled=0.05,
    ),
    "dropping host": Faults(dropped=0.10),
}  # fmt: skip


def compare_with_sdk(
    name: str, *, seed: int, rows: int, seconds: float = 60.0
) -> tuple[Line, Line]:
    """Send the same rows with both, and return the line of each: ours, then the SDK's.

    Args:
        name: A key of `FAULT_PROFILES`.
        seed: Decides the rows and the faults.
        rows: How many rows.
        seconds: After how long the SDK is ended.
    """
    faults = FAULT_PROFILES[name]
    workload = Workload(frame=random_rows(rows, people=rows // 10, seed=seed), calls=(track_plan,))
    with set_up("T25", f"cio_frames, {name}", seed=seed, faults=faults) as harness:
        harness.send(workload)
        ours = require_clean(harness.line(workload))
    require(ours.verdict.open == 0, ours, "every row has a final state")
    with set_up("T25", f"official SDK, {name}", seed=seed, faults=faults) as harness:
        theirs = _sdk(harness, workload, seconds=seconds)
    return ours, theirs


def _sdk(harness: Harness, workload: Workload, *, seconds: float) -> Line:
    path = harness.audit / "rows.parquet"
    workload.frame.write_parquet(path)
    job = {"url": harness.workspace.url, "key": harness.workspace.write_key, "rows": str(path)}
    command = [sys.executable, "-m", "torture.baseline", json.dumps(job)]
    output = ""
    with subprocess.Popen(  # noqa: S603 - this very program
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    facts = json.loads(output or "{}")
    log = arrivals(harness.workspace.messages, workload)
    return Line(
        test=harness.test,
        what=harness.what,
        rows=workload.frame.height,
        requests=harness.workspace.counts["requests"],
        verdict=_verdict(workload, log),
        seed=harness.seed,
        seconds=time.monotonic() - harness.started,
        facts=facts or {"ended_after_s": seconds},
        note=f"the SDK rejected {facts['rejected']:,} rows"
        if facts
        else f"the SDK was ended after {seconds:.0f} s",
    )


def _verdict(workload: Workload, log: pl.DataFrame) -> Verdict:
    """Return the numbers that need no record: rows lost, duplicated and out of order."""
    rows = workload.rows.with_columns(payload_sha=pl.lit(None, pl.String))
    record = rows.select(
        pl.lit("sdk").alias("run_id"), "plan", "row", pl.lit("in_doubt").alias("state"),
        pl.lit(1, pl.Int32).alias("attempts"),
    )  # fmt: skip
    verdict = check(rows, record=record, arrivals=log)
    arrived = log.filter("applied")["key"]
    missing = rows.filter(~pl.col("key").is_in(arrived.implode()) & ~pl.col("rejected"))
    return Verdict(
        lost=missing.height,
        duplicated_raw=verdict.duplicated_raw,
        duplicated_after_dedupe=verdict.duplicated_after_dedupe,
        out_of_order_components=verdict.out_of_order_components,
    )


def main() -> None:
    """Send rows with the official SDK as its README shows, and print how many it rejected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from customerio.analytics.client import Client

    job = json.loads(sys.argv[1])
    client = Client(job["key"], host=job["url"])
    rejected = 0
    for row in pl.read_parquet(Path(job["rows"])).to_dicts():
        accepted, _ = client.track(
            user_id=f"u{row['component']}",
            event="Torture",
            properties={"n": row["n"], "amount": row["amount"]},
            timestamp=row["at"],
        )
        rejected += not accepted
    client.shutdown()
    sys.stdout.write(json.dumps({"rejected": rejected}))


if __name__ == "__main__":
    main()
