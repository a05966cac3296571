"""The full check of a Spark frame: one pass where the rows are, whose sums make the report."""

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
    finding_kinds,
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
    add_up,
    count_once,
    find,
    first_named,
    reject,
    unpacked,
    values_of,
)
from cio_frames.spark.reading import FINDINGS, PlanSettings
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
    rejection_reasons,
    summary_texts,
    threshold_refusals,
    with_summaries,
    without_sensitive_values,
    worst_first,
)
from cio_frames.validation.findings import SENSITIVE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SENT_TO_ALL = 200_000
"""Findings of the whole table up to which every executor gets all of them: no row of the table moves."""

STATES_AT_ONCE = 100_000
"""How many numbers are counted at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """What follows from what all executors told.

    Attributes:
        full: The same as of a local table; its findings are the first of each kind.
        summaries: What the findings of a code and column come to in all.
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
        rows: The rows, with what the whole table shows of each.
        of_rows: What the whole table shows of rows; None if that is nothing.
        settings: What executors are given.
        concluded: What follows from what they told.
        kept: The frame that Spark keeps for it.
        sets_state: Whether an event sets a state.
    """

    rows: "DataFrame"
    of_rows: "DataFrame | None"
    settings: PlanSettings
    concluded: Concluded
    kept: "DataFrame"
    sets_state: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkPreSendCheck:
    """What must be known of a Spark frame before anything of it is sent; nothing forbids it.

    Attributes:
        of_rows: What the whole table shows of rows and keeps them from being sent; None if that is nothing.
        before_send: The same as of a local table.
        sets_state: Whether an event sets a state.
        kept: The frame that Spark keeps for it.
    """

    of_rows: "DataFrame | None"
    before_send: PreSendCheck
    sets_state: bool
    kept: "DataFrame"


@spark_failures("the table was checked")
@engine_errors("the table was checked")
def check_fully(table: SparkTable, pipeline: Pipeline) -> SparkCheck:
    """Apply every check where the rows are, and count."""
    settings = PlanSettings.of(pipeline)
    pipeline = replace(pipeline, clock=lambda: settings.now)
    whole = table_findings(table, pipeline)
    known, blocking = _settled(table, whole, settings=settings)
    rows = table.frame if known is None else _with_findings(table, known)
    concluded = conclude(
        _answers(rows, table=table, settings=settings), pipeline=pipeline, rows=table.rows,
        of_table=whole.of_table, blocking=blocking, fingerprint=whole.fingerprint,
    )  # fmt: skip
    return SparkCheck(
        rows=rows,
        of_rows=None if known is None else known[0],
        settings=settings,
        concluded=concluded,
        kept=whole.rows,
        sets_state=whole.sets_state,
    )


@spark_failures("the table was checked")
@engine_errors("the table was checked")
def check_before_send(table: SparkTable, pipeline: Pipeline) -> SparkPreSendCheck | None:
    """Look only for what keeps rows from being sent, in one pass.

    Returns:
        What is found; None where something may forbid sending, for the full check to tell.
    """
    settings = PlanSettings.of(pipeline)
    pipeline = replace(pipeline, clock=lambda: settings.now)
    blocking = [each for each in pipeline.applied if each.severity in BLOCKING]
    strict = [each for each in blocking if each.severity == "refuse"]
    asks_more = any(isinstance(each.test, MessageTest) for each in strict)  # than rows tell
    if asks_more or pipeline.checks.shares() or check_call(strict, scope=pipeline.scope()).height:
        return None
    whole = table_findings(table, pipeline, checks=blocking, strict=strict)
    refused = whole.of_table.filter(pl.col("severity") == "refuse").height
    if whole.refused or refused or any(each.code in whole.counts for each in strict):
        return None
    known, of_first = _settled(table, whole, settings=settings)
    before = PreSendCheck(
        rows=table.rows,
        blocking=pl.concat([of_first, whole.of_table.filter(pl.col("severity").is_in(BLOCKING))]),
        refusals=FINDING_SCHEMA.to_frame(),
        fingerprint=whole.fingerprint,
        components=None,
    )
    return SparkPreSendCheck(
        of_rows=None if known is None else known[0],
        before_send=before,
        sets_state=whole.sets_state,
        kept=whole.rows,
    )


def _answers(rows: "DataFrame", *, table: SparkTable, settings: PlanSettings) -> pl.DataFrame:
    """Have the executors judge the rows, each of them once, and return what they tell."""
    told = map_chunks(
        rows, partial(add_up, settings=settings), schema=STATE_SCHEMA,
        rows=rows_at_once(table.sample),
    )  # fmt: skip
    together = told.repartition("kind", "number")
    return pl.DataFrame(
        to_arrow(map_chunks(together, count_once, schema=STATE_SCHEMA, rows=STATES_AT_ONCE))
    )


def conclude(
    answers: pl.DataFrame, *, pipeline: Pipeline, rows: int, of_table: pl.DataFrame,
    blocking: pl.DataFrame, fingerprint: str,
) -> Concluded:  # fmt: skip
    """Return what follows once all is in.

    Args:
        answers: What `count_once` told, of all partitions.
        pipeline: The pipeline of the first rows.
        rows: Rows read.
        of_table: Findings of the whole table that name no row.
        blocking: Those that keep some of the first rows from being sent.
        fingerprint: The fingerprint of the table.
    """
    found = _Sums.of(answers)
    summaries = _summaries(found, pipeline=pipeline)
    ordered = _of_table(found, of_table, rows=rows, summaries=summaries, pipeline=pipeline)
    of_rows = replace(found.kinds, kinds=_longer(found.kinds.kinds, summaries))
    own = finding_kinds(ordered, excluded=pl.Series(dtype=pl.Int64), checks=pipeline.applied)
    kinds = FindingKinds.joined([own, of_rows])
    findings = _first_of_each(kinds)
    before = PreSendCheck(
        rows=rows,
        blocking=pl.concat([blocking, of_table.filter(pl.col("severity").is_in(BLOCKING))]),
        refusals=refusals_of(findings),
        fingerprint=fingerprint,
        components=None,  # who is connected decides where rows go, not what is said of them
        allowances=found.allowances,
    )
    full = _full_check(found, kinds, findings=findings, before=before, pipeline=pipeline)
    changed = _changed(found, pipeline)
    return Concluded(full=full, summaries=summaries, of_table=ordered, changed=changed)


def _settled(
    table: SparkTable, whole: TableFindings, *, settings: PlanSettings
) -> tuple["tuple[DataFrame, int] | None", pl.DataFrame]:
    """Return what the whole table shows of rows and how often, and what it rejects of the first rows."""
    found, counts = whole.rows, whole.counts
    count = sum(counts.values())
    if not count:
        return None, FINDING_SCHEMA.to_frame()
    first = found.where(f"row < {table.sample.rows()} AND severity IN {BLOCKING}")
    blocking = pl.DataFrame(to_arrow(first)).match_to_schema(FINDING_TEXTS).cast(FINDING_SCHEMA)
    told = without_rejected_repeats(table, found, codes=counts, settings=settings)
    return (told, count), blocking


def _with_findings(table: SparkTable, known: tuple["DataFrame", int]) -> "DataFrame":
    """Return the rows with what the whole table shows of each in a column `FINDINGS`."""
    found, count = known
    texts = [name for name in FINDING_TEXTS if name != "row"]
    each = found.selectExpr("row", f"struct({', '.join(map(quoted, texts))}) AS found")
    of_row = each.groupBy("row").agg({"found": "collect_list"}).toDF(ROW, FINDINGS)
    of_row = of_row.selectExpr(quoted(ROW), f"array_sort({FINDINGS}) AS {FINDINGS}")
    if count <= SENT_TO_ALL:
        return table.frame.join(of_row.hint("broadcast"), ROW, "left")
    return table.frame.join(of_row, ROW, "left").sortWithinPartitions(ROW)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """What the executors told: small frames of all partitions, and how many different numbers."""

    parts: Mapping[str, pl.DataFrame]
    kinds: FindingKinds
    distinct: Mapping[str, int]

    @classmethod
    def of(cls, answers: pl.DataFrame) -> "_Sums":
        """Return what the answers of executors say."""
        frames: dict[str, list[pl.DataFrame]] = {name: [] for name in PARTS}
        distinct: dict[str, int] = {}
        for kind, number, state in answers.match_to_schema(STATE_SCHEMA).iter_rows():
            if state is None:
                distinct[kind] = distinct.get(kind, 0) + number
            else:
                frames[kind].append(unpacked(state))
        parts = {
            name: pl.concat([PARTS[name].to_frame(), *found]) for name, found in frames.items()
        }
        affected = parts["affected"].group_by("effect").agg(pl.col("rows").sum())
        part = FindingKinds(
            kinds=parts["kinds"], codes=parts["codes"], affected=dict(affected.iter_rows())
        )
        return cls(parts=parts, kinds=FindingKinds.joined([part]), distinct=distinct)

    @property
    def notes(self) -> pl.DataFrame:
        """What readers noted, with the values of all chunks counted."""
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


def _of_table(
    found: _Sums, of_table: pl.DataFrame, *, rows: int, summaries: pl.DataFrame, pipeline: Pipeline
) -> pl.DataFrame:
    """Return the findings that name no row, worst first: of the call, the reader, the whole table."""
    shares, rejected = pipeline.checks.shares(), rows - found.total("valid")
    failed = {
        code: rejected
        if code == "*"
        else int(found.kinds.codes.filter(pl.col("code") == code)["rows"].sum())
        for code in shares
    }
    notes = [each for each in pipeline.table.notes if each.code not in NOTE_TEXTS]
    of_reader = found.notes.select("code", "column", "count")
    notes += [note(code, column, count=count) for code, column, count in of_reader.iter_rows()]
    of_call = check_call(pipeline.applied, scope=pipeline.scope(), notes=notes)
    sensitive = found.kinds.kinds.filter(pl.col("code").str.starts_with(SENSITIVE))["column"]
    whole = with_summaries(pl.concat([of_call, of_table]), _as_findings(summaries))
    told = without_sensitive_values(whole, columns=sensitive.drop_nulls().unique().to_list())
    return worst_first(pl.concat([told, threshold_refusals(failed, rows=rows, shares=shares)]))


def _as_findings(summaries: pl.DataFrame) -> pl.DataFrame:
    return summaries.cast({name: FINDING_SCHEMA[name] for name in ("code", "column")})


def _longer(kinds: pl.DataFrame, summaries: pl.DataFrame) -> pl.DataFrame:
    """Return kinds whose messages end with what the findings come to in all."""
    joined = kinds.join(
        summaries, on=["code", "column"], how="left", nulls_equal=True, maintain_order="left"
    )
    message = pl.concat_str(
        pl.col("first").struct.field("message"), "summary", separator=" ", ignore_nulls=True
    )
    return joined.with_columns(pl.col("first").struct.with_fields(message=message)).drop("summary")


def _summaries(found: _Sums, *, pipeline: Pipeline) -> pl.DataFrame:
    """Return code, column and summary of all findings whose message says what they come to."""
    checks = {check.code: check for check in pipeline.applied if check.texts.summary}
    numbered = found.kinds.kinds.filter(pl.col("rows") > 0)
    rows = numbered.group_by("code", "column", maintain_order=True).agg(pl.col("rows").sum())
    named = first_named(found.parts["named"]).group_by("code", "column", maintain_order=True)
    listed = {(code, column): values for code, column, values in named.agg("value").iter_rows()}
    lines = [
        (code, column, count, found.distinct.get(values_of(code, column), 0),
         listed.get((code, column), []))
        for code, column, count in rows.iter_rows()
        if code in checks
    ]  # fmt: skip
    summaries = pl.DataFrame(lines, schema=SUMMARY_SCHEMA, orient="row")
    of_reader = found.notes.filter(severity="reject").select("code", "column", "count")
    unread = [(code, column, counted_rows(count)) for code, column, count in of_reader.iter_rows()]
    schema = dict.fromkeys(("code", "column", "summary"), pl.String)
    told = summary_texts(summaries, checks=checks).cast(pl.String)
    return pl.concat([told, pl.DataFrame(unread, schema=schema, orient="row")])


def _full_check(
    found: _Sums,
    kinds: FindingKinds,
    *,
    findings: pl.DataFrame,
    before: PreSendCheck,
    pipeline: Pipeline,
) -> FullCheck:
    return FullCheck(
        before_send=before,
        valid=found.total("valid"),
        bytes=found.total("bytes"),
        batches=found.total("batches"),
        unclear=found.total("unclear"),
        people=found.distinct.get(PEOPLE, 0),
        objects=found.distinct.get(OBJECTS, 0),
        findings=findings,
        kinds=kinds,
        reasons=rejection_reasons(findings),
        first_messages=tuple(of_sample(pipeline, before).messages(KEPT_MESSAGES)),
        hours=summed_hours([found.parts["hours"].cast({"rows": pl.get_index_type()})])
        if pipeline.mapping.find("timestamp")
        else None,
        ids=None,
    )


def of_sample(pipeline: Pipeline, before: PreSendCheck | None = None) -> Pipeline:
    """Return the pipeline of the first rows alone, as if they had been checked before."""
    settings = PlanSettings.of(pipeline)
    alone = replace(settings.pipeline(), table=pipeline.table)
    return alone if before is None else alone.with_pre_send_check(before)


def _first_of_each(kinds: FindingKinds) -> pl.DataFrame:
    """Return the first finding of each kind."""
    first = kinds.kinds.select("severity", "code", "column", "first").unnest("first")
    return first.select(
        pl.col(name).cast(pl.String).cast(dtype) if name != "row" else name
        for name, dtype in FINDING_SCHEMA.items()
    )


def _changed(found: _Sums, pipeline: Pipeline) -> pl.DataFrame:
    """Return what repairs changed in all rows, with the columns of `CHANGE_SCHEMA`."""
    parts = found.parts["changes"].sort("row", maintain_order=True)
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
    """Return all findings, worst first, as a Spark frame that nobody has asked yet."""
    of_rows = map_chunks(
        check.rows,
        partial(find, settings=check.settings, summaries=check.concluded.summaries),
        schema=FINDING_TEXTS,
        rows=rows_at_once(table.sample),
    )
    session, of_table = table.frame.sparkSession, as_texts(check.concluded.of_table)
    whole = session.createDataFrame(of_table.select(FINDING_TEXTS.names()).rows(), of_rows.schema)
    order = "array_position(array('refuse', 'reject', 'warn', 'info'), severity) AS __order__"
    ordered = whole.union(of_rows).selectExpr("*", order).orderBy("__order__", "code", "row")
    return ordered.select(*FINDING_TEXTS.names()).select(*FINDING_SCHEMA.names())


def rejected_of(check: SparkCheck, table: SparkTable) -> "DataFrame":
    """Return the rows that would not be sent as the user has them, with `reasons`."""
    lost = map_chunks(
        check.rows, partial(reject, settings=check.settings), schema=REASON_SCHEMA,
        rows=rows_at_once(table.sample),
    )  # fmt: skip
    name = "reasons"
    while name in table.given.columns:
        name += "_"
    found = table.given.join(lost.toDF(ROW, name), ROW)
    return found.orderBy(ROW).drop(ROW)
