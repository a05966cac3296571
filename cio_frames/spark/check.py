"""The full check of a Spark frame: one pass on the executors, whose sums make the report."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from cio_frames.checks import MessageTest
from cio_frames.errors import engine_errors
from cio_frames.frames import ROW
from cio_frames.frames.column import NOTE_TEXTS, counted_rows, note
from cio_frames.plan.allowance_counts import SUMS, AllowanceCounts
from cio_frames.plan.chunks import rows_at_once
from cio_frames.plan.finding_kinds import FindingKinds
from cio_frames.plan.fixes import CHANGE_SCHEMA, EXAMPLES
from cio_frames.plan.full_check import (
    KEPT_MESSAGES,
    FullCheck,
    PreSendCheck,
    kinds_of,
    refusals_of,
    summed_hours,
)
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spark.chunks import map_chunks
from cio_frames.spark.failures import spark_failures
from cio_frames.spark.judge import (
    FINDING_TEXTS,
    OBJECTS,
    PARTS,
    PEOPLE,
    REASON_SCHEMA,
    STATE_SCHEMA,
    count_distinct,
    find_in_rows,
    first_values,
    rejected_rows,
    summarize,
    values_kind,
)
from cio_frames.spark.reading import FINDINGS, PlanSettings, from_bytes
from cio_frames.spark.repeats import without_rejected_repeats
from cio_frames.spark.table import SparkTable, to_arrow
from cio_frames.spark.table_checks import TableFindings, table_findings
from cio_frames.spark.types import quoted
from cio_frames.validation import (
    BLOCKING,
    FINDING_SCHEMA,
    SUMMARY_SCHEMA,
    as_texts,
    check_call,
    hide_sensitive,
    rejection_reasons,
    summary_texts,
    threshold_refusals,
    with_summaries,
    worst_first,
)
from cio_frames.validation.findings import SENSITIVE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BROADCAST_FINDINGS = 200_000
"""Up to this many findings of the whole table are sent to every executor, so that no row has to move."""

NUMBERS_AT_ONCE = 100_000
"""How many numbers are counted at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The result of the full check, combined from the partial results of the executors.

    Attributes:
        full: The same as for a local table; its findings are the first of each kind.
        summaries: The summary of all findings of a code and column.
        of_table: The findings that name no row.
        changed: What the repairs changed.
    """

    full: FullCheck
    summaries: pl.DataFrame
    of_table: pl.DataFrame
    changed: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkCheck:
    """What all checks found in a Spark frame.

    Attributes:
        table: The rows, with the findings of the whole table about each.
        row_findings: The findings of the whole table about rows; None if there are none.
        settings: The settings that executors get.
        result: The combined results of the executors.
        persisted: The frame that Spark keeps for it.
        sets_state: Whether an event sets a state.
    """

    table: SparkTable
    row_findings: "DataFrame | None"
    settings: PlanSettings
    result: CheckResult
    persisted: "DataFrame"
    sets_state: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkPreSendCheck:
    """What must be known of a Spark frame before any of it is sent, if nothing forbids sending.

    Attributes:
        row_findings: The findings of the whole table that exclude rows; None if there are none.
        before_send: The same as for a local table.
        sets_state: Whether an event sets a state.
        persisted: The frame that Spark keeps for it.
    """

    row_findings: "DataFrame | None"
    before_send: PreSendCheck
    sets_state: bool
    persisted: "DataFrame"


@spark_failures("the table was checked")
@engine_errors("the table was checked")
def check_fully(table: SparkTable, pipeline: Pipeline) -> SparkCheck:
    """Apply every check on the executors, and count."""
    settings = PlanSettings.of(pipeline)
    pipeline = replace(pipeline, clock=lambda: settings.now)
    whole = table_findings(table, pipeline)
    row_findings, blocking = _row_findings(table, whole, settings=settings)
    checked = table
    if row_findings is not None:
        checked = table.with_rows(_with_findings(table, row_findings))
    result = combine(
        _partial_results(checked, settings=settings), pipeline=pipeline, rows=table.rows,
        of_table=whole.of_table, blocking=blocking, fingerprint=whole.fingerprint,
    )  # fmt: skip
    return SparkCheck(
        table=checked,
        row_findings=None if row_findings is None else row_findings[0],
        settings=settings,
        result=result,
        persisted=whole.rows,
        sets_state=whole.sets_state,
    )


@spark_failures("the table was checked")
@engine_errors("the table was checked")
def check_before_send(table: SparkTable, pipeline: Pipeline) -> SparkPreSendCheck | None:
    """Look only for what excludes rows, in one pass.

    Returns:
        The result; None if something may forbid sending, which the full check reports.
    """
    settings = PlanSettings.of(pipeline)
    pipeline = replace(pipeline, clock=lambda: settings.now)
    blocking = [each for each in pipeline.applied if each.severity in BLOCKING]
    strict = [each for each in blocking if each.severity == "refuse"]
    needs_messages = any(isinstance(each.test, MessageTest) for each in strict)
    if (
        needs_messages
        or pipeline.checks.shares()
        or check_call(strict, scope=pipeline.scope()).height
    ):
        return None
    whole = table_findings(table, pipeline, checks=blocking, strict=strict)
    refused = whole.of_table.filter(pl.col("severity") == "refuse").height
    if whole.refused or refused or any(each.code in whole.counts for each in strict):
        return None
    row_findings, of_first = _row_findings(table, whole, settings=settings)
    before = PreSendCheck(
        rows=table.rows,
        blocking=pl.concat([of_first, whole.of_table.filter(pl.col("severity").is_in(BLOCKING))]),
        refusals=FINDING_SCHEMA.to_frame(),
        fingerprint=whole.fingerprint,
        components=None,
    )
    return SparkPreSendCheck(
        row_findings=None if row_findings is None else row_findings[0],
        before_send=before,
        sets_state=whole.sets_state,
        persisted=whole.rows,
    )


def _partial_results(table: SparkTable, *, settings: PlanSettings) -> pl.DataFrame:
    """Have the executors check every row once, and return their results."""
    results = map_chunks(
        table.chunks, partial(summarize, settings=settings), schema=STATE_SCHEMA,
        rows=rows_at_once(table.sample),
    )  # fmt: skip
    by_number = results.repartition("kind", "number")
    return pl.DataFrame(
        to_arrow(map_chunks(by_number, count_distinct, schema=STATE_SCHEMA, rows=NUMBERS_AT_ONCE))
    )


def combine(
    results: pl.DataFrame, *, pipeline: Pipeline, rows: int, of_table: pl.DataFrame,
    blocking: pl.DataFrame, fingerprint: str,
) -> CheckResult:  # fmt: skip
    """Combine the results of all partitions.

    Args:
        results: What `count_distinct` yields for all partitions.
        pipeline: The pipeline of the first rows.
        rows: Rows read.
        of_table: Findings of the whole table that name no row.
        blocking: Findings that exclude some of the first rows.
        fingerprint: The fingerprint of the table.
    """
    sums = _Sums.of(results)
    summaries = _summaries(sums, pipeline=pipeline)
    ordered = _table_findings(sums, of_table, rows=rows, summaries=summaries, pipeline=pipeline)
    in_rows = replace(sums.kinds, kinds=_with_summaries(sums.kinds.kinds, summaries))
    own = kinds_of(ordered, excluded=pl.Series(dtype=pl.Int64), checks=pipeline.applied)
    kinds = FindingKinds.joined([own, in_rows])
    findings = _first_findings(kinds)
    before = PreSendCheck(
        rows=rows,
        blocking=pl.concat([blocking, of_table.filter(pl.col("severity").is_in(BLOCKING))]),
        refusals=refusals_of(findings),
        fingerprint=fingerprint,
        components=None,  # they decide where rows go, not what is found in them
        allowances=sums.allowances,
    )
    full = _full_check(sums, kinds, findings=findings, before=before, pipeline=pipeline)
    changed = _changed(sums, pipeline)
    return CheckResult(full=full, summaries=summaries, of_table=ordered, changed=changed)


def _row_findings(
    table: SparkTable, whole: TableFindings, *, settings: PlanSettings
) -> tuple["tuple[DataFrame, int] | None", pl.DataFrame]:
    """Return the findings of the whole table about rows and how many, and those that exclude first rows."""
    findings, counts = whole.rows, whole.counts
    count = sum(counts.values())
    if not count:
        return None, FINDING_SCHEMA.to_frame()
    first = findings.where(f"row < {table.sample.rows()} AND severity IN {BLOCKING}")
    blocking = pl.DataFrame(to_arrow(first)).match_to_schema(FINDING_TEXTS).cast(FINDING_SCHEMA)
    kept = without_rejected_repeats(table, findings, codes=counts, settings=settings)
    return (kept, count), blocking


def _with_findings(table: SparkTable, row_findings: tuple["DataFrame", int]) -> "DataFrame":
    """Return the rows with the findings of the whole table about each in a column `FINDINGS`."""
    findings, count = row_findings
    texts = [name for name in FINDING_TEXTS if name != "row"]
    each = findings.selectExpr("row", f"struct({', '.join(map(quoted, texts))}) AS finding")
    of_row = each.groupBy("row").agg({"finding": "collect_list"}).toDF(ROW, FINDINGS)
    of_row = of_row.selectExpr(quoted(ROW), f"array_sort({FINDINGS}) AS {FINDINGS}")
    if count <= BROADCAST_FINDINGS:
        return table.frame.join(of_row.hint("broadcast"), ROW, "left")
    return table.frame.join(of_row, ROW, "left").sortWithinPartitions(ROW)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """The small frames of all partitions, and how many different numbers of each kind there are."""

    parts: Mapping[str, pl.DataFrame]
    kinds: FindingKinds
    distinct: Mapping[str, int]

    @classmethod
    def of(cls, results: pl.DataFrame) -> "_Sums":
        """Add up the results of executors."""
        frames: dict[str, list[pl.DataFrame]] = {name: [] for name in PARTS}
        distinct: dict[str, int] = {}
        for kind, number, state in results.match_to_schema(STATE_SCHEMA).iter_rows():
            if state is None:
                distinct[kind] = distinct.get(kind, 0) + number
            else:
                frames[kind].append(from_bytes(state))
        parts = {
            name: pl.concat([PARTS[name].to_frame(), *parts]) for name, parts in frames.items()
        }
        affected = parts["affected"].group_by("effect").agg(pl.col("rows").sum())
        part = FindingKinds(
            kinds=parts["kinds"], codes=parts["codes"], affected=dict(affected.iter_rows())
        )
        return cls(parts=parts, kinds=FindingKinds.joined([part]), distinct=distinct)

    @property
    def notes(self) -> pl.DataFrame:
        """The notes of readers, with the counts of all chunks."""
        whole = self.parts["notes"].group_by("code", "column", "severity", maintain_order=True)
        return whole.agg(pl.col("count").sum())

    @property
    def allowances(self) -> AllowanceCounts:
        """The rows that would be sent and need an allowance."""
        sums = {name: self.total(name) for name in SUMS}
        return AllowanceCounts.joined([AllowanceCounts(**sums, recent=self.parts["recent"])])

    def total(self, name: str) -> int:
        """Return a sum over all rows that would be sent."""
        return int(self.parts["counts"][name].sum())


def _table_findings(
    sums: _Sums, of_table: pl.DataFrame, *, rows: int, summaries: pl.DataFrame, pipeline: Pipeline
) -> pl.DataFrame:
    """Return the findings that name no row, worst first: about the call, the reader and the whole table."""
    shares, rejected = pipeline.checks.shares(), rows - sums.total("valid")
    failed = {
        code: rejected
        if code == "*"
        else int(sums.kinds.codes.filter(pl.col("code") == code)["rows"].sum())
        for code in shares
    }
    notes = [each for each in pipeline.table.notes if each.code not in NOTE_TEXTS]
    of_reader = sums.notes.select("code", "column", "count")
    notes += [note(code, column, count=count) for code, column, count in of_reader.iter_rows()]
    of_call = check_call(pipeline.applied, scope=pipeline.scope(), notes=notes)
    sensitive = sums.kinds.kinds.filter(pl.col("code").str.starts_with(SENSITIVE))["column"]
    whole = with_summaries(pl.concat([of_call, of_table]), _with_finding_types(summaries))
    visible = hide_sensitive(whole, columns=sensitive.drop_nulls().unique().to_list())
    return worst_first(pl.concat([visible, threshold_refusals(failed, rows=rows, shares=shares)]))


def _with_finding_types(summaries: pl.DataFrame) -> pl.DataFrame:
    return summaries.cast({name: FINDING_SCHEMA[name] for name in ("code", "column")})


def _with_summaries(kinds: pl.DataFrame, summaries: pl.DataFrame) -> pl.DataFrame:
    """Return kinds whose messages end with the summary of all their findings."""
    joined = kinds.join(
        summaries, on=["code", "column"], how="left", nulls_equal=True, maintain_order="left"
    )
    message = pl.concat_str(
        pl.col("first").struct.field("message"), "summary", separator=" ", ignore_nulls=True
    )
    return joined.with_columns(pl.col("first").struct.with_fields(message=message)).drop("summary")


def _summaries(sums: _Sums, *, pipeline: Pipeline) -> pl.DataFrame:
    """Return code, column and summary of all findings whose message has one."""
    checks = {check.code: check for check in pipeline.applied if check.texts.summary}
    numbered = sums.kinds.kinds.filter(pl.col("rows") > 0)
    rows = numbered.group_by("code", "column", maintain_order=True).agg(pl.col("rows").sum())
    named = first_values(sums.parts["named"]).group_by("code", "column", maintain_order=True)
    listed = {(code, column): values for code, column, values in named.agg("value").iter_rows()}
    lines = [
        (code, column, count, sums.distinct.get(values_kind(code, column), 0),
         listed.get((code, column), []))
        for code, column, count in rows.iter_rows()
        if code in checks
    ]  # fmt: skip
    summaries = pl.DataFrame(lines, schema=SUMMARY_SCHEMA, orient="row")
    of_reader = sums.notes.filter(severity="reject").select("code", "column", "count")
    unread = [(code, column, counted_rows(count)) for code, column, count in of_reader.iter_rows()]
    schema = dict.fromkeys(("code", "column", "summary"), pl.String)
    texts = summary_texts(summaries, checks=checks).cast(pl.String)
    return pl.concat([texts, pl.DataFrame(unread, schema=schema, orient="row")])


def _full_check(
    sums: _Sums,
    kinds: FindingKinds,
    *,
    findings: pl.DataFrame,
    before: PreSendCheck,
    pipeline: Pipeline,
) -> FullCheck:
    return FullCheck(
        before_send=before,
        valid=sums.total("valid"),
        bytes=sums.total("bytes"),
        batches=sums.total("batches"),
        unclear=sums.total("unclear"),
        people=sums.distinct.get(PEOPLE, 0),
        objects=sums.distinct.get(OBJECTS, 0),
        findings=findings,
        kinds=kinds,
        reasons=rejection_reasons(findings),
        first_messages=tuple(sample_pipeline(pipeline, before).messages(KEPT_MESSAGES)),
        hours=summed_hours([sums.parts["hours"].cast({"rows": pl.get_index_type()})])
        if pipeline.mapping.find("timestamp")
        else None,
        ids=None,
    )


def sample_pipeline(pipeline: Pipeline, before: PreSendCheck | None = None) -> Pipeline:
    """Return the pipeline of the first rows alone, with the results of a check if there are any."""
    sample = replace(PlanSettings.of(pipeline).pipeline(), table=pipeline.table)
    return sample if before is None else sample.with_pre_send_check(before)


def _first_findings(kinds: FindingKinds) -> pl.DataFrame:
    """Return the first finding of each kind."""
    first = kinds.kinds.select("severity", "code", "column", "first").unnest("first")
    return first.select(
        pl.col(name).cast(pl.String).cast(dtype) if name != "row" else name
        for name, dtype in FINDING_SCHEMA.items()
    )


def _changed(sums: _Sums, pipeline: Pipeline) -> pl.DataFrame:
    """Return what repairs changed in all rows, with the columns of `CHANGE_SCHEMA`."""
    parts = sums.parts["changes"].sort("row", maintain_order=True)
    is_counted = pl.col("rows").is_not_null().any()
    summed = parts.group_by("code", "column", maintain_order=True).agg(
        pl.when(is_counted).then(pl.col("rows").sum()).alias("rows"),
        *(pl.col(name).explode(empty_as_null=False).head(EXAMPLES) for name in ("before", "after")),
    )
    order = {code: place for place, code in enumerate(pipeline.mapping.repairs)}
    place = pl.col("code").replace_strict(order, return_dtype=pl.Int64)
    ordered = summed.sort(pl.col("rows").is_not_null(), place, maintain_order=True)
    return ordered.select(CHANGE_SCHEMA.names())


def findings_of(check: SparkCheck, table: SparkTable) -> "DataFrame":
    """Return all findings, worst first, as a lazy Spark frame."""
    of_rows = map_chunks(
        check.table.chunks,
        partial(find_in_rows, settings=check.settings, summaries=check.result.summaries),
        schema=FINDING_TEXTS,
        rows=rows_at_once(table.sample),
    )
    session, of_table = table.frame.sparkSession, as_texts(check.result.of_table)
    whole = session.createDataFrame(of_table.select(FINDING_TEXTS.names()).rows(), of_rows.schema)
    order = "array_position(array('refuse', 'reject', 'warn', 'info'), severity) AS rank"
    ordered = whole.union(of_rows).selectExpr("*", order).orderBy("rank", "code", "row")
    return ordered.select(*FINDING_TEXTS.names()).select(*FINDING_SCHEMA.names())


def rejected_of(check: SparkCheck, table: SparkTable) -> "DataFrame":
    """Return the rows that would not be sent as the user has them, with `reasons`."""
    rejected = map_chunks(
        check.table.chunks, partial(rejected_rows, settings=check.settings), schema=REASON_SCHEMA,
        rows=rows_at_once(table.sample),
    )  # fmt: skip
    return table.matching(rejected)
