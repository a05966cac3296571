"""A table that is checked in parts as on Spark, without Spark; and the results of both kinds of plans, to compare."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pyarrow as pa
from pyspark import cloudpickle

from cio_frames.frames import ROW
from cio_frames.frames.arrow import DECISIONS
from cio_frames.plan.allowance_counts import SUMS
from cio_frames.plan.full_check import FullCheck
from cio_frames.plan.pipeline import Pipeline
from cio_frames.plan.report import plan_view
from cio_frames.spark.check import CheckResult, combine
from cio_frames.spark.judge import (
    FINDING_TEXTS,
    count_distinct,
    find_in_rows,
    rejected_rows,
    summarize,
)
from cio_frames.spark.reading import FINDINGS, PlanSettings
from cio_frames.validation import BLOCKING, FINDING_SCHEMA, as_texts, check_table

PARTS = 3
CHUNK_ROWS = 2
BY_EACH = (
    "rows",
    "valid",
    "bytes",
    "people",
    "objects",
    "unclear",
)
"""The counts of a full check. Requests are made within a partition, so there may be more of them."""


@dataclass(frozen=True, kw_only=True)
class InParts:
    """The results of a table that was checked in parts."""

    pipeline: Pipeline
    result: CheckResult
    findings: pl.DataFrame
    rejected: pl.DataFrame


def is_of_spark(table: pa.Table) -> bool:
    """Return whether Spark would give such columns; it gives no maps, unions and calendar intervals."""
    is_odd, _ = DECISIONS[0]
    return not any(is_odd(kind) for kind in table.schema.types) and table.num_columns > 0


def in_parts(table: pa.Table, pipeline: Pipeline) -> InParts:
    """Check a table in three partitions of chunks of two rows, as executors do."""
    settings: PlanSettings = cloudpickle.loads(cloudpickle.dumps(PlanSettings.of(pipeline)))
    of_table = check_table(pipeline.table, checks=pipeline.applied, scope=pipeline.scope())
    row_findings = of_table.filter(pl.col("row").is_not_null())
    whole = _numbered(table, row_findings)
    states = pl.concat(
        [state for part in _parts(whole) for state in summarize(_chunks(part), settings=settings)]
    )
    counted = pl.concat(count_distinct(iter([states.to_arrow()])))
    result = combine(
        counted,
        pipeline=pipeline,
        rows=table.num_rows,
        of_table=of_table.filter(pl.col("row").is_null()),
        blocking=row_findings.filter(pl.col("severity").is_in(BLOCKING)),
        fingerprint="",
    )
    findings = [
        each
        for part in _parts(whole)
        for each in find_in_rows(_chunks(part), settings=settings, summaries=result.summaries)
    ]
    rejected = [
        each for part in _parts(whole) for each in rejected_rows(_chunks(part), settings=settings)
    ]
    return InParts(
        pipeline=pipeline,
        result=result,
        findings=pl.concat([as_texts(result.of_table), *findings]).match_to_schema(FINDING_TEXTS),
        rejected=pl.concat([pl.DataFrame(schema={ROW: pl.Int64, "reasons": pl.String}), *rejected]),
    )


def _numbered(table: pa.Table, row_findings: pl.DataFrame) -> pa.Table:
    numbers = pa.array(range(table.num_rows), pa.int64())
    texts = as_texts(row_findings).select(FINDING_SCHEMA.names())
    of_row = texts.group_by("row").agg(pl.struct(pl.all().exclude("row")).alias(FINDINGS))
    joined = pl.DataFrame({"row": pl.Series(range(table.num_rows), dtype=pl.Int64)}).join(
        of_row, on="row", how="left", maintain_order="left"
    )
    return table.append_column(ROW, numbers).append_column(FINDINGS, joined[FINDINGS].to_arrow())


def _parts(table: pa.Table) -> list[pa.Table]:
    size = -(-table.num_rows // PARTS) or 1
    return [table.slice(start, size) for start in range(0, PARTS * size, size)]


def _chunks(part: pa.Table) -> Iterator[pa.Table]:
    return (part.slice(start, CHUNK_ROWS) for start in range(0, part.num_rows, CHUNK_ROWS))


def described(full: FullCheck) -> dict[str, Any]:
    """Return the results of a full check, to compare."""
    kinds = full.kinds
    return {
        **{name: getattr(full, name) for name in BY_EACH},
        "kinds": kinds.kinds.to_dicts(),
        "codes": sorted(kinds.codes.rows(), key=repr),
        "affected": {effect: rows for effect, rows in kinds.affected.items() if rows},
        "refusals": sorted(as_texts(full.before_send.refusals).rows(), key=repr),
        "allowances": {name: getattr(full.allowances, name) for name in SUMS},
        "recent": sorted(full.allowances.recent.rows(), key=repr),
        "hours": None if full.hours is None else sorted(full.hours.rows(), key=repr),
    }


def rows_of(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Return the rows of a frame in one order."""
    return sorted(frame.rows(), key=repr)


def view_of(pipeline: Pipeline) -> Any:
    """Return what a report shows, without the source, the steps of saving and the number of requests."""
    return replace(plan_view(pipeline), source="", save_steps=(), batches=0)


@contextmanager
def jobs(spark: Any, name: str) -> Iterator[list[int]]:
    """Yield a list, which has the jobs that Spark ran in the block after it."""
    numbers: list[int] = []
    spark.sparkContext.setJobGroup(name, name)
    yield numbers
    numbers += spark.sparkContext.statusTracker().getJobIdsForGroup(name)
    spark.sparkContext.setJobGroup("", "")
