"""Tables of people and events for identity previews, and the pairs of their identifiers."""

import sys
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.inputs import SEED, write_once


def people(rows: int) -> pl.DataFrame:
    """Return people; one in 50 is there twice, one in 100 has somebody else's e-mail address."""
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
    """Return events of a twentieth of the people; a tenth of the events are anonymous."""
    random = np.random.default_rng(SEED + 1)
    users = random.integers(0, max(rows // 20, 1), rows)
    moments = np.datetime64("2026-09-01T00:00:00.000") + random.integers(
        0, 60 * 86_400_000, rows
    ).astype("timedelta64[ms]")
    is_known = random.random(rows) < 0.9
    return pl.DataFrame({"n": users, "at": np.sort(moments), "is_known": is_known}).select(
        pl.when("is_known").then(pl.format("user-{}", "n")).alias("user_id"),
        pl.format("visitor-{}", "n").alias("anonymous_id"),
        pl.lit("Order Completed").alias("event"),
        pl.col("at").dt.replace_time_zone("UTC"),
        (pl.col("n") % 90).alias("amount"),
    )


def pairs(rows: int) -> pl.DataFrame:
    """Return the pairs of identifiers in each row of the people."""
    table = people(rows)
    frames = [table.select(key="id", other=name) for name in ("email", "anonymous_id")]
    return pl.concat(frames).drop_nulls().unique()


def unlinked_people(rows: int) -> pl.DataFrame:
    """Return people without shared identifiers."""
    number = pl.int_range(rows, dtype=pl.Int64)
    return pl.select(
        pl.format("user-{}", number).alias("id"),
        pl.format("user{}@example.com", number).alias("email"),
        pl.format("City {}", number % 100).alias("city"),
        (number % 97).alias("score"),
    )


TABLES = {"people": people, "events": events, "pairs": pairs, "unlinked": unlinked_people}


def table_file(folder: Path, name: str, rows: int) -> Path:
    """Return a Parquet file of one of the tables; write it if it does not exist."""
    path = folder / f"identity-{name}-{rows}.parquet"
    return write_once("benchmarks.identity", name, str(rows), path=path)


if __name__ == "__main__":
    TABLES[sys.argv[1]](int(sys.argv[2])).write_parquet(sys.argv[3])
