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
    OfValues,
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
from cio_frames.values.counts import many

LEFT_OVER = re.compile(
    r"^(?:Unnamed: \d+(?:_level_\d+)?|level_\d+|index|__index_level_\d+__|_duplicated_\d+)$"
)
DETAIL = re.compile(r"((?:^|_)attributes_)(?:type|url)$")
_MONEY = r"(?:[$€£¥]|CHF|EUR|USD|GBP)"
_AMOUNT = r"\d{1,3}(?:[.,' ]?\d{3})*(?:[.,]\d+|\.-)?"
FORMATTED = rf"^[-+(]?\s*{_MONEY}?\s*-?{_AMOUNT}\s*(?:%|{_MONEY}|k|kg|km|cm|m|g|l|h|min)?\)?$"
UNIT = r"\d(?:k|kg|km|cm|m|g|l|h|min)$"
DIALLED = r"^\s*(?:\+|00|\(|0\d)?[\d\s().\-/]{6,}(?:\s*(?i:x|ext\.?)\s*\d+)?\s*$"
"""A telephone number, as people write them."""
NOT_DIALLED = rf"[.,]\d{{1,2}}\)?$|{_MONEY}|^\d{{4}}-\d{{2}}-\d{{2}}|^\d{{1,3}}(?:\.\d{{3}})+$|^[1-9]\d?(?: \d{{3}})+$"
CODES = frozenset(
    [
        "phone",
        "phones",
        "mobile",
        "tel",
        "telephone",
        "fax",
        "cell",
        "whatsapp",
        "zip",
        "zipcode",
        "postal",
        "postcode",
        "plz",
        "sku",
        "code",
        "stockcode",
        "barcode",
        "ean",
    ]
)
"""Words in the names of columns whose digits are no amount."""
DATE = r"^\d{4}[./-]\d{1,2}[./-]\d{1,2}|^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}"
PLAIN = r"^-?\d+(?:\.\d+)?$"
TRUTHS = "true false yes no y n ja nein oui non on off t f"
WORDS = [form for word in TRUTHS.split() for form in (word, word.upper(), word.title())]
PLAINLY = frozenset({"true", "false", "yes", "ja", "nein", "oui"})
"""Words that mean true or false without the other beside them; ON is a province, NO a country."""
OPPOSITES = (
    ("true", "false"),
    ("yes", "no"),
    ("y", "n"),
    ("ja", "nein"),
    ("oui", "non"),
    ("on", "off"),
    ("t", "f"),
)
HALF, MOST, SOME = 0.5, 0.8, 0.1
FEW = 10
ENOUGH, STRAY = 10, 0.01
"""Numbers from which on a column is one of numbers, and the share of other cells that are a mistake."""
NAMED = 10
"""How many columns are listed by name."""


Measure = Callable[[FieldMapping], pl.Expr | None]
"""Counts something in a column; None for columns that it does not concern."""


def _of_text(condition: OfValues) -> Measure:
    return lambda field: condition(pl.col(field.name)).sum() if is_plain_text(field) else None


def _extreme(field: FieldMapping, value: pl.Expr) -> pl.Expr | None:
    if not has_text(field.dtype) or field.dtype == pl.Categorical:
        return None
    return as_text(value, dtype=field.dtype)


def _filled(field: FieldMapping) -> pl.Expr:
    """Return the values of a column, NaN as what it is sent as: nothing."""
    values = pl.col(field.name)
    return values.fill_nan(None) if field.dtype.is_float() else values


def _dialled(values: pl.Expr) -> pl.Expr:
    phone = values.str.contains(DIALLED) & ~values.str.contains(PLAIN)
    return phone & ~values.str.contains(NOT_DIALLED)


def _wordless(values: pl.Expr) -> pl.Expr:
    """Return whether a text is neither a plain number nor a word or date: versions, fractions, ranges."""
    has_word = values.str.contains(r"\p{L}") | values.str.contains(DATE)
    return ~has_word & ~values.str.contains(PLAIN) & ~_formatted(values) & ~_dialled(values)


def _formatted(values: pl.Expr) -> pl.Expr:
    return values.str.contains(FORMATTED) & ~values.str.contains(PLAIN)


def _said(field: FieldMapping) -> pl.Expr | None:
    """Return the different words for true and false in a column, as one text."""
    if not is_plain_text(field):
        return None
    values = pl.col(field.name)
    said = values.filter(values.is_in(WORDS)).str.to_lowercase()
    return said.unique().sort().str.join(" ")


MEASURES: dict[str, Measure] = {
    "rows": lambda _: pl.len(),
    "filled": lambda field: _filled(field).count(),
    "least": lambda field: _extreme(field, _filled(field).min()),
    "most": lambda field: _extreme(field, _filled(field).max()),
}
CONDITIONS: dict[str, Callable[[FieldMapping, pl.Expr], pl.Expr]] = {
    "placeholders": is_placeholder,
    "numbers": lambda _, values: contains(PLAIN)(values),
    "formatted": lambda _, values: _formatted(values),
    "true": lambda _, values: values.is_in(WORDS),
    "digit": lambda _, values: values.is_in(["0", "1"]),
}
"""What is counted in columns of text."""
CLOSER: dict[str, Measure] = {
    "dialled": _of_text(_dialled),
    "formatted and dialled": _of_text(lambda values: _formatted(values) & _dialled(values)),
    "units": _of_text(lambda values: _formatted(values) & values.str.contains(UNIT)),
    "said": _said,
    "wordless": _of_text(_wordless),
}
"""Measures of the columns alone that the others speak against; these can only take that back."""


def _columns(scope: Scope) -> Iterator[FieldMapping]:
    return (
        field
        for field in scope.mapping.fields
        if field.role == "body" and field.column and not is_subscription(field)
    )


def _measured(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate the measures of every column in one row; the same query serves all these checks."""
    columns = list(_columns(scope))
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
    """Return the measures; conditions on a column of few different texts are tested on each once."""
    parts, sums = [], []
    for name, conditions in texts.items():
        if few_texts(rows[name]) is None:
            sums += [condition.sum() for condition in conditions]
            continue
        counted = rows.group_by(name).agg(pl.len().alias(_ROWS))
        parts.append(
            counted.select(
                pl.col(_ROWS).filter(condition).sum().alias(condition.meta.output_name())
                for condition in conditions
            )
        )
    parts.append(rows.select(*measures, *sums))
    order = [expr.meta.output_name() for expr in (*measures, *itertools.chain(*texts.values()))]
    return pl.DataFrame([*itertools.chain(*parts)]).select(order)


_ROWS = "\0rows"
"""How many rows have a text; no column has this name."""


Measured = dict[str, Any]
Verdict = Callable[[Measured], str | None]


def _suspicious(
    aggregated: pl.DataFrame, scope: Scope, *, verdict: Verdict
) -> dict[str, tuple[FieldMapping, Measured]]:
    """Return the columns that their measures speak against, with these."""
    totals = _totals(aggregated)
    return {
        field.name: (field, of)
        for field in _columns(scope)
        for of in (_measured_of(field, totals),)
        if of.get("rows") and verdict(of)
    }


def _told(
    aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope, *, verdict: Verdict
) -> pl.DataFrame:
    judged = _suspicious(aggregated, scope, verdict=verdict)
    return column_findings((field.label, verdict(of) or "") for field, of in judged.values())


def _judged(
    aggregated: pl.DataFrame, looked: pl.DataFrame, scope: Scope, *, verdict: Verdict
) -> pl.DataFrame:
    judged, counted = _suspicious(aggregated, scope, verdict=verdict), _totals(looked)
    for name, (field, of) in judged.items():
        of.update({each: counted[f"{each} {name}"] for each in CLOSER if counted})
        of["is_code"] = _is_code(field)
    return column_findings(
        (field.label, evidence) for field, of in judged.values() if (evidence := verdict(of))
    )


def _closer(aggregated: pl.DataFrame, scope: Scope, *, verdict: Verdict) -> list[pl.Expr]:
    """Return the measures of a closer look at the columns in question."""
    judged = _suspicious(aggregated, scope, verdict=verdict)
    return [
        expr.alias(f"{name} {field.name}")
        for field, _ in judged.values()
        for name, measure in CLOSER.items()
        if (expr := measure(field)) is not None
    ]


def _looked_at(looked: pl.DataFrame) -> pl.DataFrame:
    """Return the sum of each count, and the different words of each column."""
    return looked.select(
        pl.col(name).str.split(" ").explode(empty_as_null=True).unique().sort().str.join(" ")
        if dtype == pl.String
        else pl.col(name).sum()
        for name, dtype in looked.schema.items()
    )


def _is_code(field: FieldMapping) -> bool:
    """Return whether a column is named like one of codes or identifiers, whose digits are no amount."""
    return bool(CODES & set(name_words(field.label))) or is_id_name(field.label)


def _measured_of(field: FieldMapping, totals: Measured) -> Measured:
    names = {name: f"{name} {field.name}" for name in (*MEASURES, *CONDITIONS)}
    return {name: totals[column] for name, column in names.items() if column in totals}


def _totals(aggregated: pl.DataFrame) -> Measured:
    """Return the sum of the counts of each column, or its different texts."""
    return {
        column.name: set(column) if column.dtype == pl.String else column.sum()
        for column in aggregated.iter_columns()
    }


def _totalled(aggregated: pl.DataFrame) -> pl.DataFrame:
    """Return as much in two rows: the sums, and of texts the least and the greatest."""
    texts, numbers = cs.string(), ~cs.string()
    sums = aggregated.select(texts.min(), numbers.sum())
    rest = aggregated.select(texts.max(), numbers.sum() * 0)
    return pl.concat(
        part.select(aggregated.columns).cast(aggregated.schema) for part in (sums, rest)
    )


def _empty(of: Measured) -> str | None:
    return f"All {of['rows']:,} cells are empty." if not of["filled"] else None


def _constant(of: Measured) -> str | None:
    same = of.get("least") == of.get("most") and len(of.get("least", ())) == 1
    whole = of["rows"] == of["filled"] > 1
    return f"All {of['rows']:,} rows are the same." if same and whole else None


def _mostly_placeholders(of: Measured) -> str | None:
    count = of.get("placeholders", 0)
    return _share(count, of, "are placeholders") if count > of["filled"] * HALF else None


def _numbers_as_text(of: Measured) -> str | None:
    numbers = of.get("numbers", 0)
    formatted = of.get("formatted", 0) - of.get("formatted and dialled", 0)
    is_code = of.get("is_code") or of.get("dialled", 0) > formatted
    are_units = 0 < of.get("units", 0) < of["filled"] * HALF  # as in 84029g beside 84029
    mostly = formatted and formatted + numbers >= of["filled"] * MOST
    mostly = mostly and not is_code and not are_units and not _has_strays(of)
    return _share(formatted, of, "are numbers written as text") if mostly else None


def _truth_as_text(of: Measured) -> str | None:
    words, digits = of.get("true", 0), of.get("digit", 0)
    said = set(" ".join(of.get("said", {"true"})).split())
    is_clear = said & PLAINLY or any(said >= set(pair) for pair in OPPOSITES)
    mostly = is_clear and words and words + digits >= of["filled"] * MOST
    return _share(words, of, "mean true or false") if mostly else None


def _mixed(of: Measured) -> str | None:
    if "numbers" not in of or of.get("is_code"):
        return None
    numbers = of["numbers"] + of["formatted"] - of.get("formatted and dialled", 0)
    words = of["filled"] - numbers - of["placeholders"] - of.get("dialled", 0)
    words -= of.get("wordless", 0)
    both = min(numbers, words) >= max(of["filled"] * SOME, 1) and of["filled"] >= FEW
    return f"{numbers:,} values look like numbers, {words:,} look like text." if both else None


def _has_strays(of: Measured) -> bool:
    """Return whether a column is of numbers but for a few cells; words for nothing have their own code."""
    numbers = of.get("numbers", 0)
    others = of["filled"] - numbers - of.get("placeholders", 0)
    return bool(numbers >= ENOUGH and 0 < others <= max(of["filled"] * STRAY, 1))


def _stray(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the few cells for which a column of numbers is text."""
    totals = _totals(aggregated)
    suspects = []
    for field in _columns(scope):
        of = _measured_of(field, totals)
        if not _has_strays(of) or _is_code(field):
            continue
        values = pl.col(field.name)
        stray = ~values.str.contains(PLAIN) & ~is_placeholder(field, values)
        evidence = f"{of['numbers']:,} of {of['filled']:,} values are numbers."
        suspects.append(Suspect(column=field.label, fails=stray, value=values, evidence=evidence))
    return failing_cells(rows, suspects)


def _share(count: int, of: Measured, what: str) -> str:
    return f"{count:,} of {of['filled']:,} values {what}."


def _by_measures(verdict: Verdict) -> TableTest:
    return TableTest(_measured, partial(_told, verdict=verdict), _totalled)


def _by_closer_measures(verdict: Verdict) -> TableTest:
    closer = SecondCount(
        measures=partial(_closer, verdict=verdict),
        reduce=_looked_at,
        judge=partial(_judged, verdict=verdict),
    )
    return TableTest(_measured, closer, _totalled)


def _left_over(field: FieldMapping, _: Scope) -> str | None:
    is_one = field.role == "body" and field.column and LEFT_OVER.match(field.column)
    return field.column if is_one else None


def _nested(scope: Scope) -> str | None:
    """Return the columns whose dots make them values inside others."""
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


def _salesforce(field: FieldMapping, scope: Scope) -> str | None:
    """Return what simple-salesforce says of each record, if that is in the column."""
    name = field.column or ""
    is_part = re.search(r"(?:^|\.)attributes\.(?:type|url)$", name) or (
        DETAIL.search(name)
        and {DETAIL.sub(rf"\1{part}", name) for part in ("type", "url")}
        <= {other.column for other in scope.mapping.fields}
    )
    is_whole = _has_details(name.split(".")[-1], field.dtype)
    return name if field.role == "body" and (is_whole or is_part) else None


def _has_details(name: str, dtype: pl.DataType) -> bool:
    """Return whether a value, or a record inside it, has the type and the address of a record."""
    if isinstance(dtype, pl.List | pl.Array):
        return _has_details(name, instance_of(dtype.inner))
    if not isinstance(dtype, pl.Struct):
        return False
    is_detail = name == "attributes" and {part.name for part in dtype.fields} == {"type", "url"}
    return is_detail or any(
        _has_details(part.name, instance_of(part.dtype)) for part in dtype.fields
    )


COLUMN_CHECKS = (
    Check(
        "column.record-details", "warn", by_column(_salesforce),
        source="Salesforce REST API: every record carries attributes with its type and url",
    ),
    Check("column.left-over", "warn", by_column(_left_over), source="reliability 3.8 (148)"),
    Check("column.nested", "info", by_call(_nested), source="SPEC-AUG traits; reference 6 (dots in names)"),
    Check("column.empty", "info", _by_measures(_empty), source="reliability 3.1 (10)"),
    Check("column.constant", "info", _by_measures(_constant), source="reliability 3.8 (148)"),
    Check("column.placeholders", "warn", _by_measures(_mostly_placeholders), source="reliability 3.2"),
    Check("column.numbers-as-text", "info", _by_closer_measures(_numbers_as_text), source="reliability 3.4 (70-72, 74)"),
    Check("column.truth-as-text", "info", _by_closer_measures(_truth_as_text), source="reliability 3.4 (73)"),
    Check("column.stray-text", "warn", TableTest(_measured, _stray, _totalled), source="reliability 3.3 (37), 3.4"),
    Check("column.mixed-kinds", "info", _by_closer_measures(_mixed), source="reliability 3.3 (37), 3.7 (116)"),
)  # fmt: skip
