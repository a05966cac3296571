"""Who is who for a million people and a million events: seconds, and peak memory.

Run it as `python -m benchmarks.identity [rows]`.
"""

import resource
import sys
import time

import numpy as np
import polars as pl

import cio_frames as cio

SEED = 20261101
ROWS = 1_000_000


def people(rows: int) -> pl.DataFrame:
    """Return people of whom one in 50 comes twice, one in 100 with somebody else's e-mail."""
    numbers = np.arange(rows)
    random = np.random.default_rng(SEED)
    ids = np.where(numbers % 50 == 49, random.integers(0, rows, rows), numbers)
    emails = np.where(numbers % 100 == 98, random.integers(0, rows, rows), ids)
    return pl.DataFrame({"n": ids, "e": emails}).select(
        pl.format("user-{}", "n").alias("id"),
        pl.format("user{}@example.com", "e").alias("email"),
        pl.when(pl.col("n") % 2 == 0).then(pl.format("visitor-{}", "n")).alias("anonymous_id"),
        pl.lit("pro").alias("plan"),
        (pl.col("n") % 7).alias("visits"),
    )


def events(rows: int) -> pl.DataFrame:
    """Return events of a twentieth of the people; a tenth of them before they were known."""
    random = np.random.default_rng(SEED + 1)
    users = random.integers(0, max(rows // 20, 1), rows)
    moments = np.datetime64("2026-09-01T00:00:00.000") + random.integers(
        0, 60 * 86_400_000, rows
    ).astype("timedelta64[ms]")
    known = random.random(rows) < 0.9
    return pl.DataFrame({"n": users, "at": np.sort(moments), "known": known}).select(
        pl.when("known").then(pl.format("user-{}", "n")).alias("user_id"),
        pl.format("visitor-{}", "n").alias("anonymous_id"),
        pl.lit("Order Completed").alias("event"),
        pl.col("at").dt.replace_time_zone("UTC"),
        (pl.col("n") % 90).alias("amount"),
    )


def main(rows: int) -> None:
    """Preview a back-fill and print what it took."""
    backfill = cio.backfill(
        [
            cio.frame(people(rows)).identify(user_id="id", anonymous_id="anonymous_id"),
            cio.frame(events(rows)).track(
                event="event", user_id="user_id", anonymous_id="anonymous_id", timestamp="at"
            ),
        ]
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, cpu = time.perf_counter(), time.process_time()
    preview = backfill.identity(progress="lines")
    took, worked = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    text = repr(preview)
    drawn = time.perf_counter() - started
    print(preview.summary)
    print(f"{2 * rows:,} rows: {took:.1f} s, {worked:.1f} s of CPU, report {drawn:.2f} s")
    print(
        f"peak {peak / 1024:,.0f} MB ({before / 1024:,.0f} MB of it the tables); {len(text)} characters"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else ROWS)
