"""Columns as a whole: empty, constant, left over from an export, or of several kinds at once."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from cio_frames.checks.check import ByColumn, ByTable, Check, Scope, about, listed
from cio_frames.checks.texts import stands_for_nothing
from cio_frames.mapping import FieldMapping
from cio_frames.values import as_text, has_text

LEFT_OVER = re.compile(
    r"^(?:Unnamed: \d+(?:_level_\d+)?|level_\d+|index|column_\d+|__index_level_\d+__|_duplicated_\d+)$"
)
FORMATTED = r"^[-+(]?\s*(?:[$€£¥]|CHF|EUR|USD|GBP)?\s*-?\d{1,3}(?:[.,' ]?\d{3})*(?:[.,]\d+|\.-)?\s*(?:%|[$€£¥]|CHF|EUR|USD|GBP|k|kg|km|cm|m|g|l|h|min)?\)?$"
PLAIN = r"^-?\d+(?:\.\d+)?$"
TRUTHS = (
    ("true", "false"), ("yes", "no"), ("y", "n"), ("ja", "nein"), ("oui", "non"), ("on", "off"), ("t", "f"),
    ("1", "0"),
)  # fmt: skip
WORDS = [
    form for pair in TRUTHS[:-1] for word in pair for form in (word, word.upper(), word.title())
]
SUBSCRIPTION = ("traits", "unsubscribed")
HALF, MOST, SOME = 0.5, 0.8, 0.1
FEW = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something that is counted in each column."""

    name: str
    of: Callable[[FieldMapping], pl.Expr | None]


def _of_text(count: Callable[[pl.Expr], pl.Expr]) -> Callable[[FieldMapping], pl.Expr | None]:
    return lambda slot: count(pl.col(slot.name)).sum() if _is_text(slot) else None


def _is_text(slot: FieldMapping) -> bool:
    return slot.dtype == pl.String and not slot.json


def _least(slot: FieldMapping) -> pl.Expr | None:
    return _told(slot, _filled(slot).min())


def _most(slot: FieldMapping) -> pl.Expr | None:
    return _told(slot, _filled(slot).max())


def _told(slot: FieldMapping, value: pl.Expr) -> pl.Expr | None:
    if not has_text(slot.dtype) or slot.dtype == pl.Categorical:
        return None
    return as_text(value, dtype=slot.dtype)


def _filled(slot: FieldMapping) -> pl.Expr:
    """Return the values of a column, NaN as what it is sent as: nothing."""
    values = pl.col(slot.name)
    return values.fill_nan(None) if slot.dtype.is_float() else values


def _plain(values: pl.Expr) -> pl.Expr:
    return values.str.contains(PLAIN)


def _formatted(values: pl.Expr) -> pl.Expr:
    return values.str.contains(FORMATTED) & ~_plain(values)


MEASURES = (
    Measure(name="rows", of=lambda _: pl.len()),
    Measure(name="filled", of=lambda slot: _filled(slot).count()),
    Measure(name="least", of=_least),
    Measure(name="most", of=_most),
    Measure(name="nothing", of=_of_text(stands_for_nothing)),
    Measure(name="numbers", of=_of_text(_plain)),
    Measure(name="written", of=_of_text(_formatted)),
    Measure(name="true", of=_of_text(lambda values: values.is_in(WORDS))),
    Measure(name="digit", of=_of_text(lambda values: values.is_in(["0", "1"]))),
)


def _columns(scope: Scope) -> Iterator[FieldMapping]:
    return (
        slot
        for slot in scope.mapping.slots
        if slot.role == "body" and slot.column and slot.path != SUBSCRIPTION
    )


def _measured(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate the measures of every column in one row; the same query serves all these checks."""
    found = [
        expr.alias(f"{measure.name} {slot.name}")
        for slot in _columns(scope)
        for measure in MEASURES
        if (expr := measure.of(slot)) is not None
    ]
    return rows.select(found) if found else None


Measured = dict[str, Any]
Judge = Callable[[Measured], str | None]


def _judged(
    aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope, *, judge: Judge
) -> pl.DataFrame:
    results = []
    totals = {parts.name: _total(parts) for parts in aggregated.iter_columns()}
    for slot in _columns(scope):
        names = {measure.name: f"{measure.name} {slot.name}" for measure in MEASURES}
        measured = {name: totals[column] for name, column in names.items() if column in totals}
        evidence = judge(measured) if measured.get("rows") else None
        if evidence:
            results.append(about(slot.label, evidence))
    return listed(results)


def _total(parts: pl.Series) -> Any:
    """Return the sum of counts, or the texts that there are."""
    return set(parts) if parts.dtype == pl.String else parts.sum()


def _empty(of: Measured) -> str | None:
    return f"All {of['rows']:,} cells are empty." if not of["filled"] else None


def _constant(of: Measured) -> str | None:
    same = of.get("least") == of.get("most") and len(of.get("least", ())) == 1
    whole = of["rows"] == of["filled"] > 1
    return f"All {of['rows']:,} rows say the same." if same and whole else None


def _nothing(of: Measured) -> str | None:
    count = of.get("nothing", 0)
    return _share(count, of, "are words for nothing") if count > of["filled"] * HALF else None


def _numbers(of: Measured) -> str | None:
    written, numbers = of.get("written", 0), of.get("numbers", 0)
    mostly = written and written + numbers >= of["filled"] * MOST
    return _share(written, of, "are numbers with signs around them") if mostly else None


def _truths(of: Measured) -> str | None:
    words, ones = of.get("true", 0), of.get("digit", 0)
    mostly = words and words + ones >= of["filled"] * MOST
    return _share(words, of, "are words for true and false") if mostly else None


def _kinds(of: Measured) -> str | None:
    if "numbers" not in of:
        return None
    numbers = of["numbers"] + of["written"]
    words = of["filled"] - numbers - of["nothing"]
    both = min(numbers, words) >= max(of["filled"] * SOME, 1) and of["filled"] >= FEW
    return f"{numbers:,} values are numbers, {words:,} are words." if both else None


def _share(count: int, of: Measured, what: str) -> str:
    return f"{count:,} of {of['filled']:,} values {what}."


def _by_measures(judge: Judge) -> ByTable:
    return ByTable(aggregate=_measured, finish=partial(_judged, judge=judge))


def _left_over(slot: FieldMapping, _: Scope) -> str | None:
    is_one = slot.role == "body" and slot.column and LEFT_OVER.match(slot.column)
    return slot.column if is_one else None


COLUMN_CHECKS = (
    Check(
        code="column.left-over", severity="warn", test=ByColumn(fails=_left_over),
        sentence="{column} looks like row numbers that an export left behind.",
        hint="Leave it out: list the columns to send, or drop it.",
        consequence="Everyone gets an attribute of that name, and the row number in it.",
        source="reliability 3.8 (148)",
        no_repair_because="leaving a column out is for you to say",
    ),
    Check(
        code="column.empty", severity="info", test=_by_measures(_empty),
        sentence="{column} is empty in every row.",
        hint="Nothing to do, unless it was filled in the file.",
        consequence='Nothing is sent of it; with nulls="send" it clears the attribute of everyone.',
        source="reliability 3.1 (10)",
        no_repair_because="there is nothing to repair",
    ),
    Check(
        code="column.constant", severity="info", test=_by_measures(_constant),
        sentence="{column} is the same in every row.",
        hint="Leave it out if it tells nothing.",
        consequence="Everyone gets the same value, and one of 300 attributes is used for it.",
        source="reliability 3.8 (148)",
        no_repair_because="leaving a column out is for you to say",
    ),
    Check(
        code="column.placeholders", severity="warn", test=_by_measures(_nothing),
        sentence="{column} holds words for nothing more often than not.",
        hint='plan.fix("value.placeholder") makes these cells empty.',
        consequence="Most people would get a word such as nan as an attribute.",
        source="reliability 3.2",
        no_repair_because="value.placeholder has the repair",
    ),
    Check(
        code="column.numbers-as-text", severity="info", test=_by_measures(_numbers),
        sentence="{column} holds numbers as text, with currency, percent or separators.",
        hint="Turn the column into numbers before, if conditions should compare them.",
        consequence="They are sent as text: conditions compare $900 with $1,000 letter by letter.",
        source="reliability 3.4 (70-72, 74)",
        no_repair_because="1.234 is a thousand in one country and one and a bit in another",
    ),
    Check(
        code="column.truth-as-text", severity="info", test=_by_measures(_truths),
        sentence="{column} holds true and false in words.",
        hint="Turn the column into true and false before, if conditions should read it so.",
        consequence="They are sent as text: a condition that asks for true does not hold.",
        source="reliability 3.4 (73)",
        no_repair_because="which word means what is for you to say",
    ),
    Check(
        code="column.mixed-kinds", severity="info", test=_by_measures(_kinds),
        sentence="{column} holds numbers in some rows and words in others.",
        hint="Check whether two columns were pasted under each other.",
        consequence="The attribute changes its kind from person to person; conditions pass over one part.",
        source="reliability 3.3 (37), 3.7 (116)",
        no_repair_because="which of them is right cannot be known",
    ),
)  # fmt: skip
