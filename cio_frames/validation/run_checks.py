"""Run the checks: on the call, on rows chunk by chunk, on the whole table, and on the messages."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass

import polars as pl

from cio_frames.checks import (
    Aggregate,
    Check,
    ColumnTest,
    MessageTest,
    Predicate,
    Prefilter,
    Scope,
    TableTest,
)
from cio_frames.errors import MappingError, errors_as
from cio_frames.frames import ROW, Note, Table
from cio_frames.frames.column import NOTE_TEXTS
from cio_frames.mapping import MessageMapping
from cio_frames.validation.compiled import (
    CompiledCheck,
    allowance,
    compile_check,
    passes_prefilters,
    sentence_about,
    text_about,
)
from cio_frames.validation.findings import BLOCKING, FINDING_SCHEMA
from cio_frames.values import as_text, few_texts, many

SHOWN_CHARACTERS = 200
LARGEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The outcome for one chunk: every row is in `valid` or has a blocking finding.

    Attributes:
        rows: Row numbers of the whole chunk.
        valid: The prepared rows that can be sent.
        findings: The findings, with the columns of `FINDING_SCHEMA`.
    """

    rows: pl.Series
    valid: pl.DataFrame
    findings: pl.DataFrame


def check(
    prepared: pl.DataFrame,
    *,
    tests: Sequence[CompiledCheck],
    table_findings: pl.DataFrame | None = None,
    raw: pl.DataFrame | None = None,
) -> Checked:
    """Return which of the prepared rows can be sent, and the findings.

    Args:
        prepared: Rows with one column per field.
        tests: The checks, from `compile_checks`.
        table_findings: Findings about rows from the tests of the whole table.
        raw: The same rows with the user's own columns, for the rules on them.
    """
    rows = prepared[ROW]
    parts = [FINDING_SCHEMA.to_frame(), *_row_findings(prepared, tests, raw=raw)]
    if table_findings is not None and table_findings.height:
        parts.append(table_findings.filter(pl.col("row").is_in(rows.implode())))
    findings = pl.concat(parts)
    blocked = findings.filter(pl.col("severity").is_in(BLOCKING))["row"]
    valid = prepared.filter(~pl.col(ROW).is_in(blocked.implode())) if len(blocked) else prepared
    return Checked(rows=rows, valid=valid, findings=findings)


def check_messages(
    messages: pl.DataFrame,
    *,
    checks: Sequence[Check],
    scope: Scope,
    prepared: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the findings about encoded messages, with the columns of `FINDING_SCHEMA`.

    Args:
        messages: The encoded messages.
        checks: The checks that apply.
        scope: The mapping and what else the checks may read.
        prepared: The rows of the messages, to name their largest columns.
    """
    findings = [FINDING_SCHEMA.to_frame()]
    for item in checks:
        if isinstance(item.test, MessageTest):
            failed = messages.filter(item.test.fails(scope)).select(
                pl.col("row").alias(ROW), "bytes"
            )
            if failed.height:
                if prepared is not None:
                    failed = failed.join(prepared, on=ROW, how="left", maintain_order="left")
                predicate = Predicate(fails=pl.lit(value=True), value=_sizes(failed, scope))
                findings.append(_findings(failed, test=compile_check(item, predicate, scope=scope)))
    return pl.concat(findings)


def _row_findings(
    prepared: pl.DataFrame, tests: Sequence[CompiledCheck], *, raw: pl.DataFrame | None
) -> Iterator[pl.DataFrame]:
    distinct = _distinct_texts(prepared)
    groups: dict[str, list[CompiledCheck]] = {}
    prefilters: dict[str, Prefilter] = {}
    for test in _tests_that_can_fail(tests, distinct=distinct):
        prefilter = test.predicate.prefilter
        key = prefilter.name if prefilter else _INPUT if test.predicate.on_input else ""
        groups.setdefault(key, []).append(test)
        if prefilter:
            prefilters[key] = prefilter
    passed = dict(_prefiltered_rows(prepared, prefilters, distinct=distinct))
    frames = {"": prepared, _INPUT: raw, **passed}
    for key, group in groups.items():
        frame = frames.get(key)
        if frame is not None and frame.height:
            with errors_as(_rule_failed, any_error=True) if key == _INPUT else nullcontext():
                findings = list(_findings_of_group(frame, group))
            yield from findings


def _distinct_texts(prepared: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the distinct values of the columns that have few."""
    texts = ((column.name, few_texts(column)) for column in prepared.iter_columns())
    return {name: values.to_frame() for name, values in texts if values is not None}


def _tests_that_can_fail(
    tests: Sequence[CompiledCheck], *, distinct: Mapping[str, pl.DataFrame]
) -> list[CompiledCheck]:
    """Return the tests, except those of a single column if none of its distinct values fails."""
    by_column: dict[str, list[CompiledCheck]] = {}
    for test in tests:
        predicate = test.predicate
        names = set(predicate.fails.meta.root_names())
        if len(names) == 1 and not (predicate.prefilter or predicate.on_input):
            by_column.setdefault(names.pop(), []).append(test)
    cannot_fail: set[int] = set()
    for name, values in distinct.items():
        column_tests = by_column.get(name, [])
        fails = (test.predicate.fails.any() for test in column_tests)
        named = [expr.alias(f"{number}") for number, expr in enumerate(fails)]
        hits = values.select(named).row(0) if named else ()
        pairs = zip(column_tests, hits, strict=True)
        cannot_fail |= {id(test) for test, is_hit in pairs if not is_hit}
    return [test for test in tests if id(test) not in cannot_fail]


_INPUT = "\0input"
"""Groups the tests of the user's own columns; no prefilter has this name."""


def _rule_failed(kind: str) -> MappingError:
    return MappingError(
        f"A rule of checks= cannot be computed ({kind}): it fails on some rows. Run it alone with "
        "frame.select(...) to see where."
    )


def _prefiltered_rows(
    prepared: pl.DataFrame,
    prefilters: Mapping[str, Prefilter],
    *,
    distinct: Mapping[str, pl.DataFrame],
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the rows that pass each prefilter, with its name."""
    by_column: dict[str, list[Prefilter]] = {}
    for prefilter in prefilters.values():
        by_column.setdefault(prefilter.column, []).append(prefilter)
    conditions = {name: passes_prefilters(group) for name, group in by_column.items()}
    conditions = {
        name: condition
        for name, condition in conditions.items()
        if name not in distinct or distinct[name].select(condition.any()).item()
    }
    if not conditions:
        return
    flags = prepared.select(condition.alias(name) for name, condition in conditions.items())
    for column in flags.iter_columns():
        if column.any():
            positions, values = column.arg_true(), prepared.select(column.name).filter(column)
            for prefilter in by_column[column.name]:
                passes = values.select(passes_prefilters([prefilter])).to_series()
                if passes.any():
                    yield prefilter.name, prepared[positions.filter(passes)]


def _findings_of_group(
    frame: pl.DataFrame, tests: Sequence[CompiledCheck]
) -> Iterator[pl.DataFrame]:
    fails = (test.predicate.fails.fill_null(value=False) for test in tests)
    named = (expr.alias(f"{number}") for number, expr in enumerate(fails))
    flags = frame.select(pl.col(ROW), *named).drop(ROW)
    for test, column, is_hit in zip(tests, flags, flags.select(pl.all().any()).row(0), strict=True):
        if is_hit:
            yield _findings(frame.filter(column), test=test)


def _findings(failed: pl.DataFrame, *, test: CompiledCheck) -> pl.DataFrame:
    values = failed.select(test.predicate.value.alias("value")).to_series()
    if values.dtype != pl.String:
        text = as_text(pl.col("value"), dtype=values.dtype)
        values = values.to_frame().select(text.alias("value")).to_series()
    if len(values) != failed.height:  # a constant
        values = values.extend_constant(values[0], failed.height - len(values))
    return failed.select(
        pl.col(ROW).alias("row"),
        pl.lit(test.code).alias("code"),
        pl.lit(test.severity).alias("severity"),
        pl.lit(test.column, pl.String).alias("column"),
        values.str.head(SHOWN_CHARACTERS),
        pl.lit(test.message).alias("message"),
        pl.lit(test.hint).alias("hint"),
    ).cast(FINDING_SCHEMA)


def _sizes(rows: pl.DataFrame, scope: Scope) -> pl.Expr:
    """Return each message's size, and its largest columns of text."""
    size = pl.format("{} bytes", pl.col("bytes"))
    long = _longest_texts(rows, scope.mapping)
    return pl.concat_str(size, long, separator=": ", ignore_nulls=True)


def _longest_texts(rows: pl.DataFrame, mapping: MessageMapping) -> pl.Expr:
    fields = [
        field for field in mapping.fields if field.dtype == pl.String and field.name in rows.columns
    ]
    if not fields:
        return pl.lit(None, pl.String)
    sizes = pl.concat_list(
        pl.struct(
            pl.col(field.name).str.len_bytes().fill_null(0).cast(pl.Int64).alias("bytes"),
            pl.lit(field.label).alias("name"),
        )
        for field in fields
    )
    largest = sizes.list.sort(descending=True).list.head(LARGEST)
    return largest.list.eval(
        pl.format("{} {}", pl.element().struct.field("name"), pl.element().struct.field("bytes"))
    ).list.join(", ")


CHUNK_ROWS = 50_000


def check_call(
    checks: Sequence[Check], *, scope: Scope, notes: Sequence[Note] = ()
) -> pl.DataFrame:
    """Return the findings that need no rows: about columns, the call, and reading the table."""
    rows = [
        _column_finding(check, field.label if field else None, evidence, scope=scope)
        for check in checks
        if isinstance(check.test, ColumnTest)
        for field, evidence in check.test.failures(scope)
    ]
    rows += [_note_finding(note) for note in notes if note.severity != "reject"]
    return pl.DataFrame(rows, schema=FINDING_SCHEMA, orient="row")


def check_table(table: Table, *, checks: Sequence[Check], scope: Scope) -> pl.DataFrame:
    """Return the findings of the tests of the whole table."""
    aggregates = TableAggregates(table, checks=checks, scope=scope)
    if aggregates:
        with closing(table.chunks(CHUNK_ROWS)) as chunks:
            for chunk in chunks:
                aggregates.add(aggregates.aggregated(scope.mapping.prepare(chunk)))
    return aggregates.findings()


MIN_REDUCED = 500_000
"""Minimum rows of results of chunks that are reduced; later they are reduced when they double again."""


class TableAggregates:
    """The aggregates of the tests of the whole table, chunk by chunk; false if there are none."""

    def __init__(self, table: Table, *, checks: Sequence[Check], scope: Scope) -> None:
        self._table = table
        self._scope = scope
        self._tests = [(item, item.test) for item in checks if isinstance(item.test, TableTest)]
        self._aggregates = dict.fromkeys(test.aggregate for _, test in self._tests)
        self._reductions = {
            test.aggregate: test.reduce for _, test in self._tests if test.reduce is not None
        }
        self._parts: dict[Aggregate, list[pl.DataFrame]] = {}
        self._reduce_above: dict[Aggregate, int] = {}

    def __bool__(self) -> bool:
        return bool(self._aggregates)

    def aggregated(self, prepared: pl.DataFrame) -> dict[Aggregate, pl.DataFrame]:
        """Return the aggregates of prepared rows; this can be called on any thread."""
        return aggregate_rows(prepared, self._aggregates, scope=self._scope)

    def can_block(self, aggregated: Mapping[Aggregate, pl.DataFrame]) -> bool:
        """Return whether a test of the whole table may exclude rows of the chunk with these aggregates."""
        blocking = (test for item, test in self._tests if item.severity in BLOCKING)
        return any(
            test.aggregate in aggregated and test.can_fail(aggregated[test.aggregate])
            for test in blocking
        )

    def add(self, aggregated: Mapping[Aggregate, pl.DataFrame]) -> None:
        """Add the aggregates of the next rows."""
        for aggregate, part in aggregated.items():
            parts = self._parts.setdefault(aggregate, [])
            parts.append(part)
            reduce_above = self._reduce_above.get(aggregate, MIN_REDUCED)
            if aggregate in self._reductions and sum(map(len, parts)) > reduce_above:
                reduced = self._reductions[aggregate](pl.concat(parts))
                self._parts[aggregate] = [reduced]
                self._reduce_above[aggregate] = max(MIN_REDUCED, 2 * len(reduced))

    def findings(self) -> pl.DataFrame:
        """Return the findings, with the columns of `FINDING_SCHEMA`."""
        findings = self._current_findings()
        if self._table.order.differs:  # the rows were read in another order than before
            self._table.load_in_order()
            findings = self._current_findings()
        return pl.concat([FINDING_SCHEMA.to_frame(), *findings])

    def _current_findings(self) -> list[pl.DataFrame]:
        aggregated = {aggregate: pl.concat(parts) for aggregate, parts in self._parts.items()}
        rows = self._scope.mapping.prepare(self._table.numbered())
        return [
            as_findings(
                item,
                test.finish(aggregated[test.aggregate], rows, self._scope),
                scope=self._scope,
            )
            for item, test in self._tests
            if test.aggregate in aggregated and test.can_fail(aggregated[test.aggregate])
        ]


def aggregate_rows(
    prepared: pl.DataFrame, aggregates: Iterable[Aggregate], *, scope: Scope
) -> dict[Aggregate, pl.DataFrame]:
    """Return the results of the aggregates that apply to prepared rows."""
    rows = prepared.lazy()
    queries = {
        aggregate: query
        for aggregate in aggregates
        if (query := aggregate(rows, scope)) is not None
    }
    results = pl.collect_all(list(queries.values())) if queries else []
    return dict(zip(queries, results, strict=True))


def as_findings(check: Check, failures: pl.DataFrame, *, scope: Scope) -> pl.DataFrame:
    """Return the failures of a test of the whole table as findings, with the columns of `FINDING_SCHEMA`."""
    if not failures.height:
        return FINDING_SCHEMA.to_frame()
    evidence = pl.col("evidence") if "evidence" in failures.columns else pl.lit(None, pl.String)
    names = failures["column"].unique().to_list()
    sentences = {name: sentence_about(check.texts.sentence, name) for name in names}
    hints = {name: text_about(check.texts.hint, name) for name in names}
    allowed = {name: allowance(check, column=name, scope=scope) for name in names}
    severities = {name: "info" if allowed[name] else check.severity for name in names}
    sentence = pl.col("column").replace_strict(sentences, return_dtype=pl.String)
    allowance_of = pl.col("column").replace_strict(allowed, return_dtype=pl.String)
    return (
        failures.sort("row")
        .select(
            pl.col("row").cast(pl.Int64),
            pl.lit(check.code).alias("code"),
            pl.col("column").replace_strict(severities, return_dtype=pl.String).alias("severity"),
            pl.col("column").cast(pl.String),
            pl.col("value").cast(pl.String).str.head(SHOWN_CHARACTERS),
            (
                pl.concat_str(sentence, evidence, separator=" ", ignore_nulls=True) + allowance_of
            ).alias("message"),
            pl.col("column").replace_strict(hints, return_dtype=pl.String).alias("hint"),
        )
        .cast(FINDING_SCHEMA)
    )


def _column_finding(
    check: Check, column: str | None, evidence: str, *, scope: Scope
) -> tuple[object, ...]:
    allowed = allowance(check, column=column, scope=scope)
    severity = "info" if allowed else check.severity
    sentence = sentence_about(check.texts.sentence, column) + allowed
    hint = text_about(check.texts.hint, column)
    return (None, check.code, severity, column, evidence, sentence, hint)


def _note_finding(note: Note) -> tuple[object, ...]:
    has_count = note.code in NOTE_TEXTS  # notes about files name what they count in the message
    evidence = many(note.count, "value") if has_count else ""
    return (None, note.code, note.severity, note.column, evidence, note.message, "")
