"""Columns as a whole: empty, constant, left over from an export, or of several kinds at once."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import polars as pl

from cio_frames.checks.check import (
    Check,
    OfValues,
    Scope,
    TableTest,
    by_column,
    column_findings,
    contains,
)
from cio_frames.checks.fields import UNSUBSCRIBED, is_placeholder, is_plain_text
from cio_frames.mapping import FieldMapping
from cio_frames.values import as_text, has_text

LEFT_OVER = re.compile(
    r"^(?:Unnamed: \d+(?:_level_\d+)?|level_\d+|index|__index_level_\d+__|_duplicated_\d+)$"
)
FORMATTED = r"^[-+(]?\s*(?:[$€£¥]|CHF|EUR|USD|GBP)?\s*-?\d{1,3}(?:[.,' ]?\d{3})*(?:[.,]\d+|\.-)?\s*(?:%|[$€£¥]|CHF|EUR|USD|GBP|k|kg|km|cm|m|g|l|h|min)?\)?$"
PLAIN = r"^-?\d+(?:\.\d+)?$"
TRUTHS = "true false yes no y n ja nein oui non on off t f"
WORDS = [form for word in TRUTHS.split() for form in (word, word.upper(), word.title())]
HALF, MOST, SOME = 0.5, 0.8, 0.1
FEW = 10


Measure = Callable[[FieldMapping], pl.Expr | None]
"""Counts something in a column; None for columns that it does not concern."""


def _of_text(condition: OfValues) -> Measure:
    return lambda slot: condition(pl.col(slot.name)).sum() if is_plain_text(slot) else None


def _extreme(slot: FieldMapping, value: pl.Expr) -> pl.Expr | None:
    if not has_text(slot.dtype) or slot.dtype == pl.Categorical:
        return None
    return as_text(value, dtype=slot.dtype)


def _filled(slot: FieldMapping) -> pl.Expr:
    """Return the values of a column, NaN as what it is sent as: nothing."""
    values = pl.col(slot.name)
    return values.fill_nan(None) if slot.dtype.is_float() else values


def _formatted(values: pl.Expr) -> pl.Expr:
    return values.str.contains(FORMATTED) & ~values.str.contains(PLAIN)


MEASURES: dict[str, Measure] = {
    "rows": lambda _: pl.len(),
    "filled": lambda slot: _filled(slot).count(),
    "least": lambda slot: _extreme(slot, _filled(slot).min()),
    "most": lambda slot: _extreme(slot, _filled(slot).max()),
    "placeholders": _of_text(is_placeholder),
    "numbers": _of_text(contains(PLAIN)),
    "formatted": _of_text(_formatted),
    "true": _of_text(lambda values: values.is_in(WORDS)),
    "digit": _of_text(lambda values: values.is_in(["0", "1"])),
}


def _columns(scope: Scope) -> Iterator[FieldMapping]:
    return (
        slot
        for slot in scope.mapping.slots
        if slot.role == "body" and slot.column and slot.path != UNSUBSCRIBED
    )


def _measured(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate the measures of every column in one row; the same query serves all these checks."""
    measures = [
        expr.alias(f"{name} {slot.name}")
        for slot in _columns(scope)
        for name, measure in MEASURES.items()
        if (expr := measure(slot)) is not None
    ]
    return rows.select(measures) if measures else None


Measured = dict[str, Any]
Verdict = Callable[[Measured], str | None]


def _judged(
    aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope, *, verdict: Verdict
) -> pl.DataFrame:
    totals = {parts.name: _total(parts) for parts in aggregated.iter_columns()}
    return column_findings(
        (slot.label, evidence)
        for slot in _columns(scope)
        for of in (_measured_of(slot, totals),)
        if of.get("rows") and (evidence := verdict(of))
    )


def _measured_of(slot: FieldMapping, totals: Measured) -> Measured:
    names = {name: f"{name} {slot.name}" for name in MEASURES}
    return {name: totals[column] for name, column in names.items() if column in totals}


def _total(parts: pl.Series) -> Any:
    """Return the sum of counts, or the different texts."""
    return set(parts) if parts.dtype == pl.String else parts.sum()


def _empty(of: Measured) -> str | None:
    return f"All {of['rows']:,} cells are empty." if not of["filled"] else None


def _constant(of: Measured) -> str | None:
    same = of.get("least") == of.get("most") and len(of.get("least", ())) == 1
    whole = of["rows"] == of["filled"] > 1
    return f"All {of['rows']:,} rows say the same." if same and whole else None


def _mostly_placeholders(of: Measured) -> str | None:
    count = of.get("placeholders", 0)
    return _share(count, of, "are words for nothing") if count > of["filled"] * HALF else None


def _numbers_as_text(of: Measured) -> str | None:
    formatted, numbers = of.get("formatted", 0), of.get("numbers", 0)
    mostly = formatted and formatted + numbers >= of["filled"] * MOST
    return _share(formatted, of, "are numbers with signs around them") if mostly else None


def _truth_as_text(of: Measured) -> str | None:
    words, digits = of.get("true", 0), of.get("digit", 0)
    mostly = words and words + digits >= of["filled"] * MOST
    return _share(words, of, "are words for true and false") if mostly else None


def _mixed(of: Measured) -> str | None:
    if "numbers" not in of:
        return None
    numbers = of["numbers"] + of["formatted"]
    words = of["filled"] - numbers - of["placeholders"]
    both = min(numbers, words) >= max(of["filled"] * SOME, 1) and of["filled"] >= FEW
    return f"{numbers:,} values are numbers, {words:,} are words." if both else None


def _share(count: int, of: Measured, what: str) -> str:
    return f"{count:,} of {of['filled']:,} values {what}."


def _by_measures(verdict: Verdict) -> TableTest:
    return TableTest(_measured, partial(_judged, verdict=verdict))


def _left_over(slot: FieldMapping, _: Scope) -> str | None:
    is_one = slot.role == "body" and slot.column and LEFT_OVER.match(slot.column)
    return slot.column if is_one else None


COLUMN_CHECKS = (
    Check("column.left-over", "warn", by_column(_left_over), source="reliability 3.8 (148)"),
    Check("column.empty", "info", _by_measures(_empty), source="reliability 3.1 (10)"),
    Check("column.constant", "info", _by_measures(_constant), source="reliability 3.8 (148)"),
    Check("column.placeholders", "warn", _by_measures(_mostly_placeholders), source="reliability 3.2"),
    Check("column.numbers-as-text", "info", _by_measures(_numbers_as_text), source="reliability 3.4 (70-72, 74)"),
    Check("column.truth-as-text", "info", _by_measures(_truth_as_text), source="reliability 3.4 (73)"),
    Check("column.mixed-kinds", "info", _by_measures(_mixed), source="reliability 3.3 (37), 3.7 (116)"),
)  # fmt: skip
