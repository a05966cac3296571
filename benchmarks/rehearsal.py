"""The rehearsal of a million events of 50,000 people, and of a million people: seconds, and peak memory.

Run it as `python -m benchmarks.rehearsal [rows]`. Each is a process of its own.
"""

import resource
import subprocess
import sys
import time

import polars as pl

import cio_frames as cio
from benchmarks.inputs import events

ROWS = 1_000_000
AIMS = {"events": 30, "people": 60}
"""Seconds that a million rows may take on two cores."""


def people(rows: int) -> pl.DataFrame:
    """Return people of whom no two share an identifier."""
    number = pl.int_range(rows, dtype=pl.Int64)
    return pl.select(
        pl.format("user-{}", number).alias("id"),
        pl.format("user{}@example.com", number).alias("email"),
        pl.format("City {}", number % 100).alias("city"),
        (number % 97).alias("score"),
    )


def rehearsed(name: str, rows: int) -> None:
    """Rehearse one table and print what it took."""
    plan: cio.Plan
    if name == "people":
        plan = cio.frame(people(rows)).identify(user_id="id")
    else:
        plan = cio.frame(events(rows)).track(
            event="event", user_id="user_id", timestamp="occurred_at"
        )
    began, worked = time.perf_counter(), time.process_time()
    found = plan.rehearse(progress="lines")
    took, worked = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert found.identical
    print(
        f"| {name} | {rows:,} | {took:.1f} | {worked:.1f} | {worked / rows * 1e6:.1f} | {peak:,.0f} | "
        f"{AIMS[name]} s, 2,000 MB |"
    )


def main(rows: int) -> None:
    """Rehearse each table in a process of its own."""
    print("| rehearsal of | rows | wall s | cpu s | cpu us a row | peak MB | aim for a million |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in AIMS:
        command = [sys.executable, "-m", "benchmarks.rehearsal", str(rows), name]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    asked = sys.argv[1:]
    if asked[1:]:
        rehearsed(asked[1], int(asked[0]))
    else:
        main(int(asked[0]) if asked else ROWS)
