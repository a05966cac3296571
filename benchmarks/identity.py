"""Who is who for a million people and a million events: seconds, and peak memory.

Run it as `python -m benchmarks.identity [--rows ROWS] [--parquet] [--peers PYTHON]`: with the tables in
memory or in Parquet files, and beside the connected components of splink and recordlinkage in an
environment of their own (`uv pip install splink recordlinkage networkx pyarrow`).
"""

import argparse
import resource
import subprocess
import time
from pathlib import Path

import numpy as np
import polars as pl

import cio_frames as cio
from cio_frames.identity.components import components

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


def on_disk(rows: int, *, folder: Path) -> list[pl.LazyFrame]:
    """Return the tables as a user reads them; files of an earlier run stay, so that no table is in memory."""
    paths = [folder / f"{make.__name__}-{rows}.parquet" for make in (people, events)]
    for path, make in zip(paths, (people, events), strict=True):
        if not path.exists():
            make(rows).write_parquet(path)
    return [cio.scan(path) for path in paths]


def pairs(rows: int) -> pl.DataFrame:
    """Return the identifiers that a row of the people names together."""
    named = people(rows)
    each = [named.select(key="id", other=name) for name in ("email", "anonymous_id")]
    return pl.concat(each).drop_nulls().unique()


def beside_peers(rows: int, *, folder: Path, python: str) -> None:
    """Print what the components of the same pairs take, here and with libraries that link records."""
    path, found = folder / "pairs.parquet", pairs(rows)
    found.write_parquet(path)
    began = time.process_time()
    groups = components(found)["component"].n_unique()
    print(
        f"components alone, cio_frames: {time.process_time() - began:.1f} s of CPU, {groups:,} shared"
    )
    script = Path(__file__).with_name("identity_peers.py")
    for peer in ("splink", "recordlinkage"):
        subprocess.run([python, str(script), peer, str(path)], check=True)


def main(rows: int, *, folder: Path, parquet: bool) -> None:
    """Preview a back-fill and print what it took."""
    tables = on_disk(rows, folder=folder) if parquet else [people(rows), events(rows)]
    backfill = cio.backfill(
        [
            cio.frame(tables[0]).identify(user_id="id", anonymous_id="anonymous_id"),
            cio.frame(tables[1]).track(
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
    repr(backfill)
    started = time.perf_counter()
    backfill.estimate(progress=False)
    estimated = time.perf_counter() - started
    print(preview.summary)
    print(
        f"{2 * rows:,} rows: {took:.1f} s, {worked:.1f} s of CPU, report {drawn:.2f} s, estimate "
        f"after preview and report {estimated:.2f} s"
    )
    print(
        f"peak {peak / 1024:,.0f} MB ({before / 1024:,.0f} MB of it the tables); {len(text)} characters"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--parquet", action="store_true")
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--folder", type=Path, default=Path("build") / "benchmarks")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    main(asked.rows, folder=asked.folder, parquet=asked.parquet)
    if asked.peers:
        beside_peers(asked.rows, folder=asked.folder, python=asked.peers)
