"""Other tables: people, wide, nested and full of empty cells, and events in a CSV file."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.inputs import SEED, events, write_once


def people(rows: int) -> pl.DataFrame:
    """Return people with 12 traits."""
    random = np.random.default_rng(SEED)
    number = pl.int_range(rows, eager=True)
    return pl.DataFrame({"number": number}).select(
        pl.format("user-{}", "number").alias("user_id"),
        pl.format("person{}@example.com", "number").alias("email"),
        pl.format("First{}", pl.col("number") % 997).alias("first_name"),
        pl.format("Last{}", pl.col("number") % 4999).alias("last_name"),
        pl.Series("plan", np.take(np.array(["free", "pro", "team"]), random.integers(0, 3, rows))),
        pl.Series("score", np.round(random.normal(50, 15, rows), 3)),
        pl.Series("orders", random.integers(0, 400, rows)),
        pl.Series("is_active", random.random(rows) < 0.7),
        pl.format("City {}", pl.col("number") % 211).alias("address.city"),
        pl.format("{}", 10_000 + pl.col("number") % 80_000).alias("address.zip"),
        pl.lit("import").alias("source"),
        pl.when(pl.col("number") % 5 > 0)
        .then(pl.format("+1555{}", pl.col("number")))
        .alias("phone_text"),
        pl.lit("en").alias("language"),
    )


def wide(rows: int) -> pl.DataFrame:
    """Return events with 60 further number columns."""
    random = np.random.default_rng(SEED)
    numbers = {f"metric_{index:02d}": random.random(rows).round(4) for index in range(60)}
    return events(rows).hstack(pl.DataFrame(numbers))


def nested(rows: int) -> pl.DataFrame:
    """Return events with a list of three structs per row."""
    line = pl.struct(
        pl.col("order_id").alias("sku"), pl.col("amount").alias("price"), pl.lit(1).alias("qty")
    )
    return events(rows).with_columns(pl.concat_list(line, line, line).alias("items"))


def sparse(rows: int) -> pl.DataFrame:
    """Return events with 30 further text columns, nine tenths of them empty."""
    random = np.random.default_rng(SEED)
    columns = {}
    for index in range(30):
        filled = pl.Series(random.random(rows) < 0.1)
        columns[f"note_{index:02d}"] = pl.select(
            pl.when(filled).then(pl.lit(f"note {index}"))
        ).to_series()
    return events(rows).hstack(pl.DataFrame(columns))


def flat(rows: int) -> pl.DataFrame:
    """Return events without lists and structs, and their times as texts."""
    return events(rows).select(
        pl.exclude("tags", "device", "occurred_at"),
        pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
        pl.col("tags").list.join("|"),
        pl.col("device").struct.field("os"),
    )


def warning(rows: int) -> pl.DataFrame:
    """Return events with a text in the wrong encoding."""
    return events(rows).with_columns(pl.col("currency") + " fÃ¼r")


def rejected(rows: int) -> pl.DataFrame:
    """Return events of which only the last has a person."""
    last = pl.int_range(rows) == rows - 1
    return events(rows).with_columns(pl.when(last).then("user_id").alias("user_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A shape of table.

    Attributes:
        make: Makes the given number of rows.
        is_large: Whether it is measured with the largest tables too.
        suffix: The suffix of its file.
    """

    make: Callable[[int], pl.DataFrame]
    is_large: bool = False
    suffix: str = ".parquet"


VARIANTS = {
    "csv": Variant(make=flat, is_large=True, suffix=".csv"),
    "people": Variant(make=people, is_large=True),
    "wide": Variant(make=wide),
    "nested": Variant(make=nested),
    "sparse": Variant(make=sparse),
}


UNSENT = {"warning": Variant(make=warning), "rejected": Variant(make=rejected)}
"""Tables that are reported and not sent."""


def variant_file(folder: Path, name: str, rows: int) -> Path:
    """Return a file of one variant; write it if it does not exist."""
    path = folder / f"{name}-{rows}{(VARIANTS | UNSENT)[name].suffix}"
    return write_once("benchmarks.variants", name, str(rows), path=path)


def main(name: str, rows: int, path: Path) -> None:
    """Write the file of one variant."""
    table = (VARIANTS | UNSENT)[name].make(rows)
    if path.suffix == ".csv":
        table.write_csv(path)
    else:
        table.write_parquet(path, row_group_size=100_000)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
