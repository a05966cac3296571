"""Rows that repeat others, where some of these are left out: what a local plan says of them."""

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from cio_frames.plan.chunks import rows_at_once
from cio_frames.spark.chunks import map_chunks
from cio_frames.spark.judge import FINDING_TEXTS, blocked
from cio_frames.spark.reading import PlanSettings
from cio_frames.spark.table import SparkTable
from cio_frames.validation.findings import BLOCKING, REPEATED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PLACES = {"first": r"as row (\\d+)", "wins": r", row (\\d+) wins$"}
"""How a finding says which row it repeats, and where times decide, which row wins; as SQL has it."""


def without_rejected_repeats(
    table: SparkTable, found: "DataFrame", *, codes: Collection[str], settings: PlanSettings
) -> "DataFrame":
    """Return findings in which no row repeats, or is repeated by, a row that is left out anyway.

    Args:
        table: The rows.
        found: What the whole table shows of rows.
        codes: The codes that are found.
        settings: What executors are given; only the rows that repeats name are judged.
    """
    if REPEATED not in codes:
        return found
    texts = ", ".join(FINDING_TEXTS)
    places = [
        f"TRY_CAST(regexp_extract(value, '{said}', 1) AS BIGINT) AS {name}"
        for name, said in _PLACES.items()
    ]
    repeats = found.where(f"code = '{REPEATED}'").selectExpr("*", *places)
    named = repeats.selectExpr("explode(array(row, first, wins)) AS row")
    lost = _blocked(table, found, named.where("row IS NOT NULL").distinct(), settings=settings)
    for name in ("row", *_PLACES):
        flags = lost.selectExpr(f"row AS {name}", f"TRUE AS {name}_lost")
        repeats = repeats.join(flags, name, "left")
    sent = "IF(first_lost, min(row) OVER (PARTITION BY first), first) AS sent"
    told = repeats.where("row_lost IS NULL").selectExpr("*", sent).where("row <> sent")
    value = f"regexp_replace(value, '{_PLACES['first']}', concat('as row ', sent))"
    shorter = f"IF(wins_lost, regexp_replace({value}, '{_PLACES['wins']}', ''), {value}) AS value"
    kept = told.selectExpr(*(shorter if name == "value" else name for name in FINDING_TEXTS))
    return found.where(f"code <> '{REPEATED}'").selectExpr(*texts.split(", ")).union(kept)


def _blocked(
    table: SparkTable, found: "DataFrame", rows: "DataFrame", *, settings: PlanSettings
) -> "DataFrame":
    """Return those of the rows that something else keeps from being sent."""
    by_table = found.where(f"code <> '{REPEATED}' AND severity IN {BLOCKING}").select("row")
    named = table.frame.join(rows.withColumnRenamed("row", "__row__"), "__row__", "left_semi")
    by_row = map_chunks(
        named,
        partial(blocked, settings=settings, but=REPEATED),
        schema=pl.Schema({"row": pl.Int64()}),
        rows=rows_at_once(table.sample),
    )
    return by_table.union(by_row).distinct()
