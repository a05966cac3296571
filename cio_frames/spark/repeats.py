"""Findings about repeated rows, where some of the repeated rows are excluded."""

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from cio_frames.frames import ROW
from cio_frames.plan.chunks import rows_at_once
from cio_frames.spark.chunks import map_chunks
from cio_frames.spark.judge import FINDING_TEXTS, blocked_rows
from cio_frames.spark.reading import PlanSettings
from cio_frames.spark.table import SparkTable
from cio_frames.validation.findings import BLOCKING, REPEATED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PLACES = {"first": r"as row (\\d+)", "wins": r", row (\\d+) wins$"}
"""Patterns of SQL: which row a finding repeats, and if times decide, which row wins."""


def without_rejected_repeats(
    table: SparkTable, findings: "DataFrame", *, codes: Collection[str], settings: PlanSettings
) -> "DataFrame":
    """Return findings in which no row repeats, or is repeated by, a row that is excluded anyway.

    Args:
        table: The rows.
        findings: The findings of the whole table about rows.
        codes: The codes of these findings.
        settings: The settings that executors get; only the rows that repeats name are checked.
    """
    if REPEATED not in codes:
        return findings
    texts = ", ".join(FINDING_TEXTS)
    places = [
        f"TRY_CAST(regexp_extract(value, '{pattern}', 1) AS BIGINT) AS {name}"
        for name, pattern in _PLACES.items()
    ]
    repeats = findings.where(f"code = '{REPEATED}'").selectExpr("*", *places)
    named = repeats.selectExpr("explode(array(row, first, wins)) AS row")
    lost = _blocked(table, findings, named.where("row IS NOT NULL").distinct(), settings=settings)
    for name in ("row", *_PLACES):
        flags = lost.selectExpr(f"row AS {name}", f"TRUE AS {name}_lost")
        repeats = repeats.join(flags, name, "left")
    sent = "IF(first_lost, min(row) OVER (PARTITION BY first), first) AS sent"
    kept = repeats.where("row_lost IS NULL").selectExpr("*", sent).where("row <> sent")
    value = f"regexp_replace(value, '{_PLACES['first']}', concat('as row ', sent))"
    shorter = f"IF(wins_lost, regexp_replace({value}, '{_PLACES['wins']}', ''), {value}) AS value"
    kept = kept.selectExpr(*(shorter if name == "value" else name for name in FINDING_TEXTS))
    return findings.where(f"code <> '{REPEATED}'").selectExpr(*texts.split(", ")).union(kept)


def _blocked(
    table: SparkTable, findings: "DataFrame", rows: "DataFrame", *, settings: PlanSettings
) -> "DataFrame":
    """Return those of the rows that other findings exclude."""
    by_table = findings.where(f"code <> '{REPEATED}' AND severity IN {BLOCKING}").select("row")
    named = table.frame.join(rows.withColumnRenamed("row", ROW), ROW, "left_semi")
    by_row = map_chunks(
        named,
        partial(blocked_rows, settings=settings, but=REPEATED),
        schema=pl.Schema({"row": pl.Int64()}),
        rows=rows_at_once(table.sample),
    )
    return by_table.union(by_row).distinct()
