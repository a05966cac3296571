"""T25: the official SDK, with its defaults, on the same rows, workspace and trouble."""

import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import polars as pl

from cio_frames.sandbox import Faults
from torture.checker import Verdict, check
from torture.harness import Bench, Line, bench, require, require_clean
from torture.inputs import Input, arrivals, people, tracked

TROUBLES = {
    "no trouble": Faults(),
    "flaky": Faults(
        failed=0.10, reset_before=0.03, reset_after=0.03, truncated=0.03, throttled=0.05,
    ),
    "dropping host": Faults(dropped=0.10),
}  # fmt: skip


def compared(name: str, *, seed: int, rows: int, seconds: float = 60.0) -> tuple[Line, Line]:
    """Send the same rows with both, and return the line of each: ours, then the SDK's.

    Args:
        name: A key of `TROUBLES`.
        seed: Decides the rows and the trouble.
        rows: How many rows.
        seconds: After how long the SDK is ended.
    """
    faults = TROUBLES[name]
    given = Input(frame=people(rows, people=rows // 10, seed=seed), calls=(tracked,))
    with bench("T25", f"cio_frames, {name}", seed=seed, faults=faults) as put:
        put.send(given)
        ours = require_clean(put.line(given))
    require(ours.verdict.open == 0, ours, "every row has its end")
    with bench("T25", f"official SDK, {name}", seed=seed, faults=faults) as put:
        theirs = _sdk(put, given, seconds=seconds)
    return ours, theirs


def _sdk(put: Bench, given: Input, *, seconds: float) -> Line:
    path = put.audit / "rows.parquet"
    given.frame.write_parquet(path)
    order = {"url": put.workspace.url, "key": put.workspace.write_key, "rows": str(path)}
    command = [sys.executable, "-m", "torture.baseline", json.dumps(order)]
    nowhere = subprocess.DEVNULL
    told = ""
    with subprocess.Popen(  # noqa: S603 - this very program
        command, stdout=subprocess.PIPE, stderr=nowhere, text=True
    ) as process:
        try:
            told, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    refused = json.loads(told or "{}")
    log = arrivals(put.workspace.messages, given)
    return Line(
        test=put.test,
        what=put.what,
        rows=given.frame.height,
        requests=put.workspace.counts["requests"],
        verdict=_verdict(given, log),
        seed=put.seed,
        seconds=time.monotonic() - put.started,
        facts=refused or {"ended_after_s": seconds},
        note=f"the SDK said no to {refused['refused']:,} rows"
        if refused
        else f"the SDK was ended after {seconds:.0f} s",
    )


def _verdict(given: Input, log: pl.DataFrame) -> Verdict:
    """Return what can be said of a sender without a record: what is lost, doubled, out of order."""
    rows = given.rows.with_columns(payload_sha=pl.lit(None, pl.String))
    record = rows.select(
        pl.lit("sdk").alias("run_id"), "plan", "row", pl.lit("in_doubt").alias("state"),
        pl.lit(1, pl.Int32).alias("attempts"),
    )  # fmt: skip
    found = check(rows, record=record, arrivals=log)
    there = log.filter("applied")["key"]
    missing = rows.filter(~pl.col("key").is_in(there.implode()) & ~pl.col("refused"))
    return Verdict(
        lost=missing.height,
        duplicated_raw=found.duplicated_raw,
        duplicated_after_dedupe=found.duplicated_after_dedupe,
        out_of_order_components=found.out_of_order_components,
    )


def main() -> None:
    """Send rows with the official SDK as its README says, and tell how many it did not take."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from customerio.analytics.client import Client

    order = json.loads(sys.argv[1])
    client = Client(order["key"], host=order["url"])
    refused = 0
    for row in pl.read_parquet(Path(order["rows"])).to_dicts():
        took, _ = client.track(
            user_id=f"u{row['component']}",
            event="Torture",
            properties={"n": row["n"], "amount": row["amount"]},
            timestamp=row["at"],
        )
        refused += not took
    client.shutdown()
    sys.stdout.write(json.dumps({"refused": refused}))


if __name__ == "__main__":
    main()
