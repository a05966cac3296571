"""Tables for measurements: random with a fixed seed, realistic, written once."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

SEED = 20261101
EVENTS = (
    "Order Completed",
    "Product Viewed",
    "Cart Updated",
    "Subscription Started",
    "Search Made",
)
CURRENCIES = ("EUR", "USD", "GBP")
CHUNK_ROWS = 250_000


def events(rows: int, *, start: int = 0) -> pl.DataFrame:
    """Return events with 10 columns: one list, one struct, two with empty cells."""
    random = np.random.default_rng(SEED + start)
    people = random.integers(0, max(rows // 20, 1_000), rows)
    moments = np.datetime64("2024-11-01T00:00:00.000") + random.integers(
        0, 730 * 86_400_000, rows
    ).astype("timedelta64[ms]")
    frame = pl.DataFrame(
        {
            "event": np.take(np.array(EVENTS), random.integers(0, len(EVENTS), rows)),
            "user_id": people,
            "occurred_at": np.sort(moments),
            "order_id": np.arange(start, start + rows),
            "amount": np.round(random.gamma(2.0, 30.0, rows), 2),
            "currency": np.take(np.array(CURRENCIES), random.integers(0, 3, rows)),
            "quantity": random.integers(1, 9, rows).astype(np.int32),
            "coupon": random.integers(0, 40, rows),
            "tag": random.integers(0, 50, rows),
            "os": np.take(np.array(["ios", "android", "web"]), random.integers(0, 3, rows)),
        }
    )
    return frame.select(
        "event",
        pl.format("user-{}", "user_id").alias("user_id"),
        pl.col("occurred_at").dt.replace_time_zone("UTC"),
        pl.format("order-{}", "order_id").alias("order_id"),
        "amount",
        "currency",
        pl.when(pl.col("quantity") > 1).then("quantity").alias("quantity"),
        pl.when(pl.col("coupon") < 8).then(pl.format("SAVE{}", "coupon")).alias("coupon"),
        pl.concat_list(pl.format("tag-{}", "tag"), pl.lit("imported")).alias("tags"),
        pl.struct(pl.col("os"), pl.format("{}.{}", "quantity", "tag").alias("version")).alias(
            "device"
        ),
    )


def events_file(folder: Path, rows: int) -> Path:
    """Return a Parquet file of events; write it if it does not exist."""
    path = folder / f"events-{rows}.parquet"
    return write_once("benchmarks.inputs", str(rows), path=path)


def lines_file(folder: Path, rows: int) -> Path:
    """Return the same events as a file of JSON lines."""
    path = folder / f"events-{rows}.jsonl"
    return write_once("benchmarks.inputs", str(rows), path=path)


def write_once(module: str, *arguments: str, path: Path) -> Path:
    """Let a module write a file in a separate process, if it does not exist.

    The memory of this process would count as memory of the contenders that it starts.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", module, *arguments, str(path)], check=True)
    return path


def main(rows: int, path: Path) -> None:
    """Write events to a file."""
    parts = [
        events(min(CHUNK_ROWS, rows - start), start=start) for start in range(0, rows, CHUNK_ROWS)
    ]
    table = pl.concat(parts)
    if path.suffix == ".jsonl":
        table.write_ndjson(path)
    else:
        table.write_parquet(path, row_group_size=100_000)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
