"""A check: a code, a severity, and a test that finds the rows, columns or messages that fail."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Literal

import polars as pl

from cio_frames.checks.fields import as_number_text, inner_text
from cio_frames.checks.texts import CheckTexts, check_texts
from cio_frames.frames import ROW, collect_streaming
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.values import as_text

ExprFunction = Callable[[pl.Expr], pl.Expr]
Change = Callable[[FieldMapping, MessageMapping], pl.Expr | None]
NewPath = Callable[[FieldMapping, MessageMapping], tuple[str, ...] | None]
Severity = Literal["refuse", "reject", "warn", "info"]
Effect = Literal["ignored", "resubscribes"]
"""What happens to rows with a finding, where a report counts them in its first sentence."""

SEVERITIES: tuple[Severity, ...] = ("refuse", "reject", "warn", "info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a check may read besides the value it tests.

    Attributes:
        mapping: The source of every field.
        now: The planned time of sending, in UTC.
        allow: Names the user has allowed, such as events that delete people.
        triggers: Names of events that start campaigns however old they are.
        sensitive: Columns that may hold sensitive data, with the reason for each.
        reference: The valid values of identifiers, by column.
        message_bytes: The maximum size of a message.
    """

    mapping: MessageMapping
    now: datetime
    allow: frozenset[str] = frozenset()
    triggers: frozenset[str] = frozenset()
    sensitive: Mapping[str, str] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    reference: Mapping[str, pl.Series] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    message_bytes: int = 32_000

    def text(self, field: FieldMapping) -> pl.Expr:
        """Return a field's values as the text they are sent as."""
        return as_text(pl.col(field.name), dtype=field.dtype, timezone=self.mapping.timezone)

    def shown(self, field: FieldMapping) -> pl.Expr:
        """Return a field's values as a report shows them."""
        values = pl.col(field.name)
        if field.dtype.is_float():
            return values.cast(pl.String)
        if isinstance(field.dtype, pl.Datetime):  # local times that the clocks skip have no text
            return pl.coalesce(self.text(field), values.dt.strftime("%Y-%m-%d %H:%M:%S%.f"))
        return self.text(field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefilter:
    """A cheap condition that holds wherever a test could fail; only such rows are tested.

    Attributes:
        column: The prepared column.
        dtype: Its type; texts in lists and structs are searched one by one.
        condition: A pattern to find in texts, or a condition on the values. The patterns of a
            column are searched for at once.
    """

    column: str
    dtype: pl.DataType
    condition: str | ExprFunction

    @property
    def name(self) -> str:
        """The column and the condition; equal prefilters have the same name."""
        condition = self.condition
        return f"{self.column} {condition if isinstance(condition, str) else condition.__name__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    """An expression that is true in the rows that fail.

    Attributes:
        fails: The expression, over the prepared columns.
        value: The value to show.
        column: The column it is about, as a report calls it; None for the whole row.
        prefilter: Which rows to test; all rows if there is none.
        on_input: Whether it reads the user's own columns, before they are mapped.
    """

    fails: pl.Expr
    value: pl.Expr = dataclasses.field(default_factory=lambda: pl.lit(None, pl.String))
    column: str | None = None
    prefilter: Prefilter | None = None
    on_input: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTest:
    """A test of rows, chunk by chunk: its predicates for a given mapping."""

    unit: Literal["value", "text", "row", "input_row"]
    predicates: Callable[[Scope], Iterable[Predicate]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnTest:
    """A test of the mapping alone: the columns that fail, or None for the call, with the evidence."""

    unit: Literal["column", "call"]
    failures: Callable[[Scope], Iterable[tuple[FieldMapping | None, str]]]


@dataclass(frozen=True, slots=True)
class MessageTest:
    """A test of each encoded message, over the columns of the encoder."""

    fails: Callable[[Scope], pl.Expr]
    _: KW_ONLY
    unit: Literal["message"] = "message"


Aggregate = Callable[[pl.LazyFrame, Scope], pl.LazyFrame | None]


def _as_aggregated(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    return aggregated


def _has_rows(result: pl.DataFrame) -> bool:
    return result.height > 0


@dataclass(frozen=True, slots=True)
class TableTest:
    """A test of the whole table.

    Attributes:
        aggregate: Returns a query over prepared rows whose result is small, or None for tables
            to which the test does not apply. It is called for each chunk, and the results are
            concatenated; checks with the same function share them.
        finish: Returns the findings from the result, reading all rows again if needed: columns row
            (null for the table), column, value and optionally evidence. A finding about a row depends
            only on the result and that row, unless it is `KeyedFindings`, `MergeFindings` or `SecondCount`.
        reduce: Shortens the concatenated results of the first chunks to what is still needed, once
            they are long. Checks with the same aggregate have the same.
        by: The column of a result that grows with the rows: rows of the result with the same value are
            judged together, apart from all others. "row" where each row is judged by itself. Without
            it a result stays small, and `reduce` shortens the results of any consecutive chunks.
        condense: Returns the few rows that are left to judge once all results of some values of `by`
            are together, where `finish` needs those of all values. It can be applied repeatedly.
        can_fail: Returns whether any row of the chunk can fail, from its result; an empty one has none.
    """

    aggregate: Aggregate
    finish: Callable[[pl.DataFrame, pl.LazyFrame, Scope], pl.DataFrame] = _as_aggregated
    reduce: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    _: KW_ONLY
    by: str = ""
    condense: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    can_fail: Callable[[pl.DataFrame], bool] = _has_rows
    unit: Literal["table"] = "table"


def summed(*by: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return a function that reduces counts to their sums, grouped by some columns."""
    return partial(_summed, by=by)


def _summed(aggregated: pl.DataFrame, *, by: Sequence[str]) -> pl.DataFrame:
    if by:
        return aggregated.group_by(by, maintain_order=True).agg(pl.all().sum())
    sums = [
        pl.struct(pl.col(name).struct.field(part.name).sum() for part in dtype.fields).alias(name)
        if isinstance(dtype, pl.Struct)
        else pl.col(name).sum()
        for name, dtype in aggregated.schema.items()
    ]
    return aggregated.select(sums).cast(aggregated.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRows:
    """How to select the rows of a key, and what findings show of them.

    Attributes:
        key: The key, a hash.
        where: True in rows that have a key.
        column: The column that findings name.
        value: The value that findings show.
    """

    key: pl.Expr
    where: pl.Expr
    column: str | None
    value: pl.Expr

    def of(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return row, key, column and value of the prepared rows."""
        return rows.filter(self.where).select(*self._columns())

    def among(self, rows: pl.LazyFrame, keys: pl.Series) -> pl.LazyFrame:
        """Return the same columns, for the rows of some keys only."""
        own = pl.col(_KEY)
        keyed = rows.filter(self.where).with_columns(self.key.alias(_KEY))
        return keyed.filter(own.is_in(keys.implode())).select(*self._columns(own))

    def _columns(self, key: pl.Expr | None = None) -> list[pl.Expr]:
        return [
            pl.col(ROW).alias("row"),
            (self.key if key is None else key).alias("key"),
            pl.lit(self.column, pl.String).alias("column"),
            self.value.cast(pl.String).alias("value"),
        ]


_KEY = "\0key"
"""The column with the key of a row; no field has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedFindings:
    """Findings of a test that reads the rows of some keys again and judges each key by itself.

    Attributes:
        suspects: Returns the suspicious keys, each once, optionally with a text about each, `what`.
        rows: Returns how to select the rows of a key.
        judge: Returns the findings from row, key, column, value and what of all rows of some keys, in
            the order of the rows.
        evidence: Returns the evidence from the number of suspicious keys, if there is no other.
    """

    suspects: Callable[[pl.DataFrame, Scope], pl.DataFrame]
    rows: Callable[[Scope], Iterable[KeyedRows]]
    judge: Callable[[pl.DataFrame, Scope], pl.DataFrame]
    evidence: Callable[[int], str] | None = None

    def __call__(self, aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
        """Return the findings."""
        suspects = self.suspects(aggregated, scope)
        if suspects.is_empty():
            return FAILURE_SCHEMA.to_frame()
        queries = [keyed.among(rows, suspects["key"]) for keyed in self.rows(scope)]
        keyed_rows = collect_streaming(pl.concat(queries)).sort("row", maintain_order=True)
        keyed_rows = keyed_rows.join(suspects, on="key", maintain_order="left")
        return self.findings(keyed_rows, scope, keys=suspects.height)

    def findings(self, keyed_rows: pl.DataFrame, scope: Scope, *, keys: int) -> pl.DataFrame:
        """Return the findings about the rows of some keys; `keys` is the number of all suspicious ones."""
        findings = self.judge(keyed_rows, scope)
        if self.evidence is None:
            return findings
        return findings.with_columns(pl.lit(self.evidence(keys)).alias("evidence"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondCount:
    """Findings of a test that counts once more, in the columns that the first counts make suspicious.

    Attributes:
        measures: Returns what to count in all rows, in one row; nothing if no column is suspicious.
        reduce: Returns one row for the counts of several chunks.
        judge: Returns the findings from the first counts and the second ones, if there are any.
    """

    measures: Callable[[pl.DataFrame, Scope], Sequence[pl.Expr]]
    reduce: Callable[[pl.DataFrame], pl.DataFrame]
    judge: Callable[[pl.DataFrame, pl.DataFrame, Scope], pl.DataFrame]

    def __call__(self, aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
        """Return the findings."""
        measures = self.measures(aggregated, scope)
        counts = collect_streaming(rows.select(measures)) if measures else pl.DataFrame()
        return self.judge(aggregated, counts, scope)


ColumnEvidence = tuple[str | None, str]
"""A column, None for the table, and the evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsTest:
    """A test that compares the profile of a table with those of earlier runs.

    Its function is in `differences.DIFFERENCES`, which is imported only if there are earlier runs.
    """

    unit: Literal["runs"] = "runs"


Test = RowTest | ColumnTest | MessageTest | TableTest | RunsTest


def by_value(
    fails: Callable[[FieldMapping, Scope], pl.Expr | None], *, prefilter: str | ExprFunction = ""
) -> RowTest:
    """Return a test of each value of the fields for which `fails` is not None."""

    def predicates(scope: Scope) -> Iterator[Predicate]:
        for field in scope.mapping.fields:
            failing = fails(field, scope)
            if failing is not None:
                yield Predicate(
                    fails=failing,
                    value=scope.shown(field),
                    column=field.label,
                    prefilter=Prefilter(column=field.name, dtype=field.dtype, condition=prefilter)
                    if prefilter and inner_text(field) is not None
                    else None,
                )

    return RowTest(unit="value", predicates=predicates)


def by_text(
    fails: ExprFunction,
    *,
    fields: Callable[[FieldMapping], bool],
    prefilter: str,
    numbers: ExprFunction | None = None,
    value: ExprFunction = lambda text: text,
) -> RowTest:
    """Return a test of the text in the values of fields, lists and structs included.

    Columns of numbers are tested if there is a prefilter for them, `numbers`.
    """

    def predicates(scope: Scope) -> Iterator[Predicate]:
        for field in filter(fields, scope.mapping.fields):
            text = inner_text(field)
            condition: str | ExprFunction = prefilter
            if text is None and numbers is not None:
                text, condition = as_number_text(field), numbers
            if text is not None:
                yield Predicate(
                    fails=fails(text),
                    value=value(text),
                    column=field.label,
                    prefilter=Prefilter(column=field.name, dtype=field.dtype, condition=condition),
                )

    return RowTest(unit="text", predicates=predicates)


def contains(pattern: str) -> ExprFunction:
    """Return a condition on texts: True where the pattern is found."""
    return lambda text: text.str.contains(pattern)


def by_row(fails: Callable[[Scope], pl.Expr | None]) -> RowTest:
    """Return a test of each row of the calls for which `fails` is not None."""

    def predicates(scope: Scope) -> Iterator[Predicate]:
        failing = fails(scope)
        if failing is not None:
            yield Predicate(fails=failing)

    return RowTest(unit="row", predicates=predicates)


def by_input_row(fails: pl.Expr) -> RowTest:
    """Return a test of each row of the user's own table, before it is mapped."""
    names = set(fails.meta.root_names())
    value = pl.col(*names) if len(names) == 1 else pl.lit(None, pl.String)
    predicate = Predicate(fails=fails, value=value, on_input=True)
    return RowTest(unit="input_row", predicates=lambda _: (predicate,))


def by_column(fails: Callable[[FieldMapping, Scope], str | None]) -> ColumnTest:
    """Return a test of each column by its name and type; `fails` returns the evidence."""
    return ColumnTest(
        unit="column",
        failures=lambda scope: (
            (field, evidence)
            for field in scope.mapping.fields
            if (evidence := fails(field, scope)) is not None
        ),
    )


def by_call(fails: Callable[[Scope], str | None]) -> ColumnTest:
    """Return a test of the call and its arguments; `fails` returns the evidence."""
    return ColumnTest(
        unit="call",
        failures=lambda scope: (
            (None, evidence) for evidence in (fails(scope),) if evidence is not None
        ),
    )


@dataclass(frozen=True, slots=True)
class Repair:
    """A change of a field that fixes a finding.

    Attributes:
        change: Returns the field's new expression within its mapping, or None to keep the old one.
        new_path: Returns the field's new path within its mapping, or None to keep the old one.
        safe: Whether no two different values become one, and no person is split or joined.
    """

    change: Change = lambda field, mapping: None  # noqa: ARG005
    _: KW_ONLY
    new_path: NewPath = lambda field, mapping: None  # noqa: ARG005
    safe: bool

    def concerns(self, field: FieldMapping, mapping: MessageMapping) -> bool:
        """Return whether the repair changes the values or the path of a field."""
        return self.change(field, mapping) is not None or self.new_path(field, mapping) is not None


def text_repair(
    change: ExprFunction, *, fields: Callable[[FieldMapping], bool], safe: bool
) -> Repair:
    """Return a repair that changes the texts of some fields."""

    def new_values(field: FieldMapping, _: MessageMapping) -> pl.Expr | None:
        return change(field.expr.cast(pl.String)) if fields(field) else None

    return Repair(new_values, safe=safe)


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of problem that a table can have. Its texts are in texts.toml.

    Attributes:
        code: A stable name, `subject.problem`.
        severity: What a finding means for sending.
        test: Finds what fails.
        source: Where the rule comes from.
        repair: How a finding is fixed, if that is possible without asking the user.
        effect: What happens to the rows, if the first sentence of a report counts them.
        own_texts: The texts of a check that is not in texts.toml.
    """

    code: str
    severity: Severity
    test: Test
    _: KW_ONLY
    source: str
    repair: Repair | None = None
    effect: Effect | None = None
    own_texts: CheckTexts | None = None

    @property
    def texts(self) -> CheckTexts:
        """The texts that reports show."""
        return self.own_texts or check_texts()[self.code]


FAILURE_SCHEMA = pl.Schema(
    {"row": pl.Int64(), "column": pl.String(), "value": pl.String(), "evidence": pl.String()}
)


def failing_rows(
    rows: pl.LazyFrame,
    fails: pl.Expr,
    *,
    column: str | None,
    value: pl.Expr,
    evidence: str | None = None,
) -> pl.LazyFrame:
    """Return the findings about the prepared rows for which `fails` is true."""
    return rows.filter(fails).select(
        pl.col(ROW).alias("row"),
        pl.lit(column, pl.String).alias("column"),
        value.alias("value"),
        pl.lit(evidence, pl.String).alias("evidence"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A column with values that fail: where, the values to show, and the evidence."""

    column: str
    fails: pl.Expr
    value: pl.Expr
    evidence: str


def failing_cells(rows: pl.LazyFrame, suspects: Iterable[Suspect]) -> pl.DataFrame:
    """Return the findings about the prepared rows for several columns, in one pass."""
    suspects = list(suspects)
    if not suspects:
        return FAILURE_SCHEMA.to_frame()
    numbers = [f"{number}" for number in range(len(suspects))]
    cells = [
        pl.when(suspect.fails).then(suspect.value).alias(number)
        for number, suspect in zip(numbers, suspects, strict=True)
    ]
    failing = rows.select(pl.col(ROW).alias("row"), *cells).unpivot(
        index="row", variable_name="suspect", value_name="value"
    )
    number = pl.col("suspect")
    return collect_streaming(failing.drop_nulls("value")).select(
        "row",
        number.replace_strict(numbers, [suspect.column for suspect in suspects]).alias("column"),
        "value",
        number.replace_strict(numbers, [suspect.evidence for suspect in suspects]).alias(
            "evidence"
        ),
    )


def column_findings(evidence: Iterable[ColumnEvidence]) -> pl.DataFrame:
    """Return findings about whole columns, or the whole table."""
    findings = [(None, column, text, text) for column, text in evidence]
    return pl.DataFrame(findings, schema=FAILURE_SCHEMA, orient="row")
