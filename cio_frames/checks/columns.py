"""Columns as a whole: empty, constant, left over from an export, or of several kinds at once."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl
import polars.selectors as cs

from cio_frames.checks.check import (
    Check,
    ExprFunction,
    Scope,
    SecondCount,
    Suspect,
    TableTest,
    by_call,
    by_column,
    column_findings,
    contains,
    failing_cells,
)
from cio_frames.checks.fields import is_placeholder, is_plain_text, is_subscription, name_words
from cio_frames.frames import is_id_name
from cio_frames.mapping import FieldMapping
from cio_frames.values import as_text, few_texts, has_text, instance_of
from cio_frames.values.number_words import many

LEFT_OVER = re.compile(
    r"^(?:Unnamed: \d+(?:_level_\d+)?|level_\d+|index|__index_level_\d+__|_duplicated_\d+)$"
)
DETAIL = re.compile(r"((?:^|_)attributes_)(?:type|url)$")
_MONEY = r"(?:[$€£¥]|CHF|EUR|USD|GBP)"
_AMOUNT = r"\d{1,3}(?:[.,' ]?\d{3})*(?:[.,]\d+|\.-)?"
FORMATTED = rf"^[-+(]?\s*{_MONEY}?\s*-?{_AMOUNT}\s*(?:%|{_MONEY}|k|kg|km|cm|m|g|l|h|min)?\)?$"
UNIT = r"\d(?:k|kg|km|cm|m|g|l|h|min)$"
PHONE_NUMBER = r"^\s*(?:\+|00|\(|0\d)?[\d\s().\-/]{6,}(?:\s*(?i:x|ext\.?)\s*\d+)?\s*$"
"""A telephone number, as people write it."""
NOT_PHONE_NUMBER = rf"[.,]\d{{1,2}}\)?$|{_MONEY}|^\d{{4}}-\d{{2}}-\d{{2}}|^\d{{1,3}}(?:\.\d{{3}})+$|^[1-9]\d?(?: \d{{3}})+$"
CODES = frozenset({
    "phone", "phones", "mobile", "tel", "telephone", "fax", "cell", "whatsapp", "zip", "zipcode", "postal",
    "postcode", "plz", "sku", "code", "stockcode", "barcode", "ean",
})  # fmt: skip
"""Words in the names of columns whose digits are not amounts."""
DATE = r"^\d{4}[./-]\d{1,2}[./-]\d{1,2}|^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}"
NUMBER = r"^-?\d+(?:\.\d+)?$"
TRUTH_WORDS = "true false yes no y n ja nein oui non on off t f"
TRUTH_SPELLINGS = [
    form for word in TRUTH_WORDS.split() for form in (word, word.upper(), word.title())
]
UNAMBIGUOUS = frozenset({"true", "false", "yes", "ja", "nein", "oui"})
"""Words that mean true or false even if their opposite is missing; ON is a province, NO a country."""
OPPOSITES = (
    ("true", "false"), ("yes", "no"), ("y", "n"), ("ja", "nein"), ("oui", "non"), ("on", "off"), ("t", "f"),
)  # fmt: skip
HALF, MOST, SOME = 0.5, 0.8, 0.1
FEW = 10
ENOUGH, STRAY = 10, 0.01
"""Minimum numbers in a column of numbers, and the largest share of other cells that are a mistake."""
NAMED = 10
"""How many columns a finding lists by name."""


Measure = Callable[[FieldMapping], pl.Expr | None]
"""Counts something in a column; None for columns to which it does not apply."""


def _of_text(condition: ExprFunction) -> Measure:
    return lambda field: condition(pl.col(field.name)).sum() if is_plain_text(field) else None


def _extreme(field: FieldMapping, value: pl.Expr) -> pl.Expr | None:
    if not has_text(field.dtype) or field.dtype == pl.Categorical:
        return None
    return as_text(value, dtype=field.dtype)


def _filled(field: FieldMapping) -> pl.Expr:
    """Return the values of a column, with null in place of NaN, which is not sent."""
    values = pl.col(field.name)
    return values.fill_nan(None) if field.dtype.is_float() else values


def _is_phone_number(values: pl.Expr) -> pl.Expr:
    phone = values.str.contains(PHONE_NUMBER) & ~values.str.contains(NUMBER)
    return phone & ~values.str.contains(NOT_PHONE_NUMBER)


def _is_wordless(values: pl.Expr) -> pl.Expr:
    """Return whether a text is neither a number nor a word or date: versions, fractions, ranges."""
    has_word = values.str.contains(r"\p{L}") | values.str.contains(DATE)
    return (
        ~has_word
        & ~values.str.contains(NUMBER)
        & ~_is_formatted(values)
        & ~_is_phone_number(values)
    )


def _is_formatted(values: pl.Expr) -> pl.Expr:
    return values.str.contains(FORMATTED) & ~values.str.contains(NUMBER)


def _truth_words(field: FieldMapping) -> pl.Expr | None:
    """Return the distinct words for true and false in a column, as one text."""
    if not is_plain_text(field):
        return None
    values = pl.col(field.name)
    words = values.filter(values.is_in(TRUTH_SPELLINGS)).str.to_lowercase()
    return words.unique().sort().str.join(" ")


MEASURES: dict[str, Measure] = {
    "rows": lambda _: pl.len(),
    "filled": lambda field: _filled(field).count(),
    "least": lambda field: _extreme(field, _filled(field).min()),
    "most": lambda field: _extreme(field, _filled(field).max()),
}
CONDITIONS: dict[str, Callable[[FieldMapping, pl.Expr], pl.Expr]] = {
    "placeholders": is_placeholder,
    "numbers": lambda _, values: contains(NUMBER)(values),
    "formatted": lambda _, values: _is_formatted(values),
    "true": lambda _, values: values.is_in(TRUTH_SPELLINGS),
    "digit": lambda _, values: values.is_in(["0", "1"]),
}
"""What is counted in columns of text."""
SECOND_MEASURES: dict[str, Measure] = {
    "phone numbers": _of_text(_is_phone_number),
    "formatted phone numbers": _of_text(
        lambda values: _is_formatted(values) & _is_phone_number(values)
    ),
    "units": _of_text(lambda values: _is_formatted(values) & values.str.contains(UNIT)),
    "truth words": _truth_words,
    "wordless": _of_text(_is_wordless),
}
"""Measures of suspicious columns only; they can only clear a column of suspicion."""


def _data_columns(scope: Scope) -> Iterator[FieldMapping]:
    return (
        field
        for field in scope.mapping.fields
        if field.role == "body" and field.column and not is_subscription(field)
    )


def _aggregate_measures(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate the measures of every column in one row; the same query serves all these checks."""
    columns = list(_data_columns(scope))
    measures = [
        expr.alias(f"{name} {field.name}")
        for field in columns
        for name, measure in MEASURES.items()
        if (expr := measure(field)) is not None
    ]
    texts = {
        field.name: [
            condition(field, pl.col(field.name)).alias(f"{name} {field.name}")
            for name, condition in CONDITIONS.items()
        ]
        for field in columns
        if is_plain_text(field)
    }
    if not texts:
        return rows.select(measures) if measures else None
    sums = [condition.sum() for conditions in texts.values() for condition in conditions]
    return rows.select(field.name for field in columns).map_batches(
        partial(_summed, measures=measures, texts=texts),
        schema=rows.select(*measures, *sums).collect_schema(),
    )


def _summed(
    rows: pl.DataFrame, *, measures: Sequence[pl.Expr], texts: Mapping[str, Sequence[pl.Expr]]
) -> pl.DataFrame:
    """Return the measures; in columns of few distinct texts, conditions are tested once per text."""
    parts, sums = [], []
    for name, conditions in texts.items():
        if few_texts(rows[name]) is None:
            sums += [condition.sum() for condition in conditions]
            continue
        text_counts = rows.group_by(name).agg(pl.len().alias(_ROWS))
        parts.append(
            text_counts.select(
                pl.col(_ROWS).filter(condition).sum().alias(condition.meta.output_name())
                for condition in conditions
            )
        )
    parts.append(rows.select(*measures, *sums))
    order = [expr.meta.output_name() for expr in (*measures, *itertools.chain(*texts.values()))]
    return pl.DataFrame([*itertools.chain(*parts)]).select(order)


_ROWS = "\0rows"
"""The column with how many rows have a text; no column of a table has this name."""


Measures = dict[str, Any]
Verdict = Callable[[Measures], str | None]


def _suspicious_columns(
    aggregated: pl.DataFrame, scope: Scope, *, verdict: Verdict
) -> list[tuple[FieldMapping, Measures]]:
    """Return the columns whose measures point to a problem, with the measures."""
    totals = _totals(aggregated)
    return [
        (field, measured)
        for field in _data_columns(scope)
        if (measured := _measures_of(field, totals)).get("rows") and verdict(measured)
    ]


def _findings(
    aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope, *, verdict: Verdict
) -> pl.DataFrame:
    columns = _suspicious_columns(aggregated, scope, verdict=verdict)
    return column_findings((field.label, verdict(measured) or "") for field, measured in columns)


def _recounted_findings(
    aggregated: pl.DataFrame, counts: pl.DataFrame, scope: Scope, *, verdict: Verdict
) -> pl.DataFrame:
    columns, totals = _suspicious_columns(aggregated, scope, verdict=verdict), _totals(counts)
    for field, measured in columns:
        measured.update(
            {name: totals[f"{name} {field.name}"] for name in SECOND_MEASURES if totals}
        )
        measured["is_code"] = _is_code(field)
    return column_findings(
        (field.label, evidence) for field, measured in columns if (evidence := verdict(measured))
    )


def _second_measures(aggregated: pl.DataFrame, scope: Scope, *, verdict: Verdict) -> list[pl.Expr]:
    """Return the second measures of the suspicious columns."""
    columns = _suspicious_columns(aggregated, scope, verdict=verdict)
    return [
        expr.alias(f"{name} {field.name}")
        for field, _ in columns
        for name, measure in SECOND_MEASURES.items()
        if (expr := measure(field)) is not None
    ]


def _summed_counts(counts: pl.DataFrame) -> pl.DataFrame:
    """Return the sum of each count, and the distinct words of each column."""
    return counts.select(
        pl.col(name).str.split(" ").explode(empty_as_null=True).unique().sort().str.join(" ")
        if dtype == pl.String
        else pl.col(name).sum()
        for name, dtype in counts.schema.items()
    )


def _is_code(field: FieldMapping) -> bool:
    """Return whether a column is named like one of codes or identifiers, whose digits are not amounts."""
    return bool(CODES & set(name_words(field.label))) or is_id_name(field.label)


def _measures_of(field: FieldMapping, totals: Measures) -> Measures:
    names = {name: f"{name} {field.name}" for name in (*MEASURES, *CONDITIONS)}
    return {name: totals[column] for name, column in names.items() if column in totals}


def _totals(aggregated: pl.DataFrame) -> Measures:
    """Return the sum of the counts of each column, or its distinct texts."""
    return {
        column.name: set(column) if column.dtype == pl.String else column.sum()
        for column in aggregated.iter_columns()
    }


def _as_totals(aggregated: pl.DataFrame) -> pl.DataFrame:
    """Return the same totals in two rows: the sums, and the least and the greatest text."""
    texts, numbers = cs.string(), ~cs.string()
    sums_and_minima = aggregated.select(texts.min(), numbers.sum())
    maxima = aggregated.select(texts.max(), numbers.sum() * 0)
    return pl.concat(
        part.select(aggregated.columns).cast(aggregated.schema)
        for part in (sums_and_minima, maxima)
    )


def _empty(measured: Measures) -> str | None:
    return f"All {measured['rows']:,} cells are empty." if not measured["filled"] else None


def _constant(measured: Measures) -> str | None:
    same = measured.get("least") == measured.get("most") and len(measured.get("least", ())) == 1
    is_full = measured["rows"] == measured["filled"] > 1
    return f"All {measured['rows']:,} rows are the same." if same and is_full else None


def _mostly_placeholders(measured: Measures) -> str | None:
    count = measured.get("placeholders", 0)
    return (
        _share(count, measured, "are placeholders") if count > measured["filled"] * HALF else None
    )


def _numbers_as_text(measured: Measures) -> str | None:
    numbers = measured.get("numbers", 0)
    formatted = measured.get("formatted", 0) - measured.get("formatted phone numbers", 0)
    is_code = measured.get("is_code") or measured.get("phone numbers", 0) > formatted
    # letters after few of the numbers are not units: 84029g among 84029, 85123
    are_codes = 0 < measured.get("units", 0) < measured["filled"] * HALF
    mostly = formatted and formatted + numbers >= measured["filled"] * MOST
    mostly = mostly and not is_code and not are_codes and not _has_stray_texts(measured)
    return _share(formatted, measured, "are numbers written as text") if mostly else None


def _truth_as_text(measured: Measures) -> str | None:
    words, digits = measured.get("true", 0), measured.get("digit", 0)
    distinct = set(" ".join(measured.get("truth words", {"true"})).split())
    is_clear = distinct & UNAMBIGUOUS or any(distinct >= set(pair) for pair in OPPOSITES)
    mostly = is_clear and words and words + digits >= measured["filled"] * MOST
    return _share(words, measured, "mean true or false") if mostly else None


def _mixed(measured: Measures) -> str | None:
    if "numbers" not in measured or measured.get("is_code"):
        return None
    numbers = (
        measured["numbers"] + measured["formatted"] - measured.get("formatted phone numbers", 0)
    )
    words = (
        measured["filled"] - numbers - measured["placeholders"] - measured.get("phone numbers", 0)
    )
    words -= measured.get("wordless", 0)
    both = min(numbers, words) >= max(measured["filled"] * SOME, 1) and measured["filled"] >= FEW
    return f"{numbers:,} values look like numbers, {words:,} look like text." if both else None


def _has_stray_texts(measured: Measures) -> bool:
    """Return whether all but a few cells are numbers; placeholders have a check of their own."""
    numbers = measured.get("numbers", 0)
    others = measured["filled"] - numbers - measured.get("placeholders", 0)
    return bool(numbers >= ENOUGH and 0 < others <= max(measured["filled"] * STRAY, 1))


def _stray_texts(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the few cells that make a column of numbers a column of text."""
    totals = _totals(aggregated)
    suspects = []
    for field in _data_columns(scope):
        measured = _measures_of(field, totals)
        if not _has_stray_texts(measured) or _is_code(field):
            continue
        values = pl.col(field.name)
        stray = ~values.str.contains(NUMBER) & ~is_placeholder(field, values)
        evidence = f"{measured['numbers']:,} of {measured['filled']:,} values are numbers."
        suspects.append(Suspect(column=field.label, fails=stray, value=values, evidence=evidence))
    return failing_cells(rows, suspects)


def _share(count: int, measured: Measures, what: str) -> str:
    return f"{count:,} of {measured['filled']:,} values {what}."


def _by_measures(verdict: Verdict) -> TableTest:
    return TableTest(_aggregate_measures, partial(_findings, verdict=verdict), _as_totals)


def _by_second_count(verdict: Verdict) -> TableTest:
    closer = SecondCount(
        measures=partial(_second_measures, verdict=verdict),
        reduce=_summed_counts,
        judge=partial(_recounted_findings, verdict=verdict),
    )
    return TableTest(_aggregate_measures, closer, _as_totals)


def _left_over(field: FieldMapping, _: Scope) -> str | None:
    is_left_over = field.role == "body" and field.column and LEFT_OVER.match(field.column)
    return field.column if is_left_over else None


def _nested(scope: Scope) -> str | None:
    """Return the columns that become nested values because their names contain dots."""
    nested = [
        field.column
        for field in scope.mapping.fields
        if field.role == "body" and field.column and "." in field.column
        if field.path[-field.column.count(".") - 1 :] == tuple(field.column.split("."))
    ]
    if not nested:
        return None
    listed = ", ".join(nested[:NAMED])
    more = len(nested) - NAMED
    return f"{listed} and {many(more, 'other')}" if more > 0 else listed


def _record_details(field: FieldMapping, scope: Scope) -> str | None:
    """Return the name of a column that holds the record details which simple-salesforce adds."""
    name = field.column or ""
    is_part = re.search(r"(?:^|\.)attributes\.(?:type|url)$", name) or (
        DETAIL.search(name)
        and {DETAIL.sub(rf"\1{part}", name) for part in ("type", "url")}
        <= {other.column for other in scope.mapping.fields}
    )
    is_record = _has_record_details(name.split(".")[-1], field.dtype)
    return name if field.role == "body" and (is_record or is_part) else None


def _has_record_details(name: str, dtype: pl.DataType) -> bool:
    """Return whether a value, or a record inside it, has Salesforce's record details: type and url."""
    if isinstance(dtype, pl.List | pl.Array):
        return _has_record_details(name, instance_of(dtype.inner))
    if not isinstance(dtype, pl.Struct):
        return False
    is_detail = name == "attributes" and {part.name for part in dtype.fields} == {"type", "url"}
    return is_detail or any(
        _has_record_details(part.name, instance_of(part.dtype)) for part in dtype.fields
    )


COLUMN_CHECKS = (
    Check(
        "column.record-details", "warn", by_column(_record_details),
        source="Salesforce REST API: every record carries attributes with its type and url",
    ),
    Check("column.left-over", "warn", by_column(_left_over), source="reliability 3.8 (148)"),
    Check("column.nested", "info", by_call(_nested), source="SPEC-AUG traits; reference 6 (dots in names)"),
    Check("column.empty", "info", _by_measures(_empty), source="reliability 3.1 (10)"),
    Check("column.constant", "info", _by_measures(_constant), source="reliability 3.8 (148)"),
    Check("column.placeholders", "warn", _by_measures(_mostly_placeholders), source="reliability 3.2"),
    Check("column.numbers-as-text", "info", _by_second_count(_numbers_as_text), source="reliability 3.4 (70-72, 74)"),
    Check("column.truth-as-text", "info", _by_second_count(_truth_as_text), source="reliability 3.4 (73)"),
    Check("column.stray-text", "warn", TableTest(_aggregate_measures, _stray_texts, _as_totals), source="reliability 3.3 (37), 3.4"),
    Check("column.mixed-kinds", "info", _by_second_count(_mixed), source="reliability 3.3 (37), 3.7 (116)"),
)  # fmt: skip
