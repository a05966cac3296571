"""What a check is: a code, words for people, and an expression that tells the bad rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

import polars as pl

from cio_frames.frames import ROW, collected
from cio_frames.mapping import FieldMapping, MessageMapping

Severity = Literal["refuse", "reject", "warn", "info"]
SEVERITIES: tuple[Severity, ...] = ("refuse", "reject", "warn", "info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a check may know beside the value it looks at.

    Attributes:
        mapping: Where every value goes.
        now: The planned time of sending, in UTC.
        allow: Names the user has allowed, such as events that delete people.
        sensitive: Columns that may hold sensitive data, with the reason for each.
        reference: Values that an identifier is known to have, by column.
        message_bytes: The most bytes a message may have.
    """

    mapping: MessageMapping
    now: datetime
    allow: frozenset[str] = frozenset()
    sensitive: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    reference: Mapping[str, pl.Series] = field(default_factory=lambda: MappingProxyType({}))
    message_bytes: int = 32_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ByValue:
    """A test of each value of a slot.

    Attributes:
        fails: The test; None where the slot is none of its business.
        prefilter: As for `ByText`, or a test of the text, true wherever `bad` could be. Every row is
            tested without one, and where the slot holds no text.
    """

    fails: Callable[[FieldMapping, Scope], pl.Expr | None]
    prefilter: str | Callable[[pl.Expr], pl.Expr] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByText:
    """A test of the text in a slot's values, whatever they are nested in.

    Attributes:
        slots: Tells which slots it concerns.
        prefilter: A pattern that is found wherever `bad` could be true; only such rows are tested. All
            the prefilters of a column are looked for at once.
        fails: The test.
        numbers: A test with the part of `prefilter` for columns of numbers; these are passed over
            without one.
        shown: The part of the text to show; all of it without.
    """

    slots: Callable[[FieldMapping, Scope], bool]
    prefilter: str
    fails: Callable[[pl.Expr], pl.Expr]
    numbers: Callable[[pl.Expr], pl.Expr] | None = None
    shown: Callable[[pl.Expr], pl.Expr] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ByRow:
    """A test of each row; `bad` gives None for calls it does not concern."""

    fails: Callable[[Scope], pl.Expr | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByColumn:
    """A test of a column by its name and type alone; `bad` gives the evidence, or None."""

    fails: Callable[[FieldMapping, Scope], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByCall:
    """A test of the call as it was asked for; `bad` gives the evidence, or None."""

    fails: Callable[[Scope], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByMessage:
    """A test of each encoded message, over the columns that encoding gives."""

    fails: Callable[[Scope], pl.Expr]


Aggregate = Callable[[pl.LazyFrame, Scope], pl.LazyFrame | None]


def _as_aggregated(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    return aggregated


@dataclass(frozen=True, slots=True, kw_only=True)
class ByTable:
    """A test that must see the whole table.

    Attributes:
        aggregate: Gives a query over prepared rows whose result is small, or None for tables that
            it does not concern. It is asked of each part of the table, and all answers are put
            under each other; checks that share it, the same function, share the answer.
        finish: Makes the findings of that, asking all rows again where need be: columns row
            (null for the table), column, value and, if there is some, evidence.
    """

    aggregate: Aggregate
    finish: Callable[[pl.DataFrame, pl.LazyFrame, Scope], pl.DataFrame] = _as_aggregated


@dataclass(frozen=True, slots=True, kw_only=True)
class ByInputRow:
    """A test of each row of the user's own table, before anything is mapped."""

    fails: pl.Expr


Test = ByValue | ByText | ByRow | ByColumn | ByCall | ByMessage | ByTable | ByInputRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A change of a column that mends a finding.

    Attributes:
        change: Gives the slot's new expression within its mapping, or None where it stays.
        safe: Whether it can be undone in thought: no two values become one.
        sentence: What it does, for the report.
    """

    change: Callable[[FieldMapping, MessageMapping], pl.Expr | None]
    safe: bool
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that can be wrong with a table.

    Attributes:
        code: Stable name, `subject.problem`.
        severity: What it means for sending.
        sentence: What is wrong, about `{column}`.
        hint: What to do next.
        consequence: What would happen if it were sent.
        source: Where the rule comes from.
        test: How it is found.
        summary: What it comes to in all, about `{values}` different values in `{rows}` rows.
        repair: How it is mended, where that can be done without asking.
        no_repair_because: Why there is no repair, where there is none.
    """

    code: str
    severity: Severity
    sentence: str
    hint: str
    consequence: str
    source: str
    test: Test
    summary: str = ""
    repair: Repair | None = None
    no_repair_because: str = ""


FOUND_SCHEMA = pl.Schema(
    {"row": pl.Int64(), "column": pl.String(), "value": pl.String(), "evidence": pl.String()}
)


def found(
    rows: pl.LazyFrame,
    fails: pl.Expr,
    *,
    column: str | None,
    value: pl.Expr,
    evidence: str | None = None,
) -> pl.DataFrame:
    """Return the rows for which a test holds.

    Args:
        rows: The prepared rows.
        fails: The test.
        column: The column it is about.
        value: What to show.
        evidence: What proves it.
    """
    chosen = rows.filter(fails.fill_null(value=False)).select(
        pl.col(ROW).alias("row"),
        pl.lit(column, pl.String).alias("column"),
        value.alias("value"),
        pl.lit(evidence, pl.String).alias("evidence"),
    )
    return collected(chosen)


def about(column: str, evidence: str) -> tuple[None, str, str, str]:
    """Return a finding about a whole column."""
    return None, column, evidence, evidence


def listed(findings: list[tuple[None, str, str, str]]) -> pl.DataFrame:
    """Return findings about whole columns as a table."""
    return pl.DataFrame(findings, schema=FOUND_SCHEMA, orient="row")
