"""Identifiers that a program has rewritten: numbers with a point, powers of ten, other scripts."""

from collections.abc import Iterable

import polars as pl

from cio_frames.checks.check import (
    FAILURE_SCHEMA,
    Check,
    Predicate,
    Repair,
    RowTest,
    Scope,
    TableTest,
    by_text,
    by_value,
    contains,
    failing_rows,
    summed,
)
from cio_frames.checks.fields import EMAIL_PATHS, PEOPLE, blank, is_address, is_id, is_text
from cio_frames.frames import collect_streaming
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.values.patterns import BLANK, EMAIL, EMAIL_SHAPED, PADDED, UNUSUAL

FLOAT_TEXT = r"^-?\d+\.0+$"
SCIENTIFIC = r"^-?\d(?:\.\d+)?[eE][+-]?\d{1,3}$"
REWRITTEN = r"^-?\d+[.eE]"
NEGATIVE = r"^-\d+$"
TRUTH = r"^(?i:true|false)$"
LATIN = r"[A-Za-z]"
OTHER_SCRIPT = r"[\p{Cyrillic}\p{Greek}\p{Armenian}\p{Cherokee}\x{FF21}-\x{FF5A}]"
OWNERS = ("user_id", "anonymous_id", "id")
PERSON = ("user_id", "id")
MOST = 0.5


def _is_id_text(field: FieldMapping) -> bool:
    return is_id(field) and is_text(field)


def _negative(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not is_id(field):
        return None
    if field.dtype.is_signed_integer() or field.dtype.is_float():
        return pl.col(field.name) < 0
    return scope.text(field).str.contains(NEGATIVE) if is_text(field) else None


def _is_id_or_address(field: FieldMapping) -> bool:
    return _is_id_text(field) or is_address(field)


def _two_scripts(values: pl.Expr) -> pl.Expr:
    return values.str.contains(LATIN) & values.str.contains(OTHER_SCRIPT)


def _is_person(field: FieldMapping) -> bool:
    return field.argument in PEOPLE and is_text(field)


def _broken_address(values: pl.Expr) -> pl.Expr:
    return values.str.contains("@", literal=True) & ~values.str.strip_chars().str.contains(EMAIL)


def _broken_addresses(scope: Scope) -> Iterable[Predicate]:
    """Test ids, but for columns that are sent as addresses too: of those the checks of addresses speak."""
    told = {field.column for field in scope.mapping.fields if is_address(field) and field.column}
    test = by_text(
        _broken_address,
        fields=lambda field: _is_person(field) and field.column not in told,
        prefilter="@",
    )
    return test.predicates(scope)


def _swapped(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    pair = _pair(scope.mapping) if field.argument in PERSON else None
    if pair is None or field.name != pair[0].name:
        return None
    return _crossed(*(scope.text(part) for part in pair))


def _crossed(person: pl.Expr, email: pl.Expr) -> pl.Expr:
    """Return an expression: true where the id is an address, and the address is not."""
    other = ~email.str.contains("@", literal=True) & ~blank(email)
    return person.str.strip_chars().str.contains(EMAIL) & other


def _pair(mapping: MessageMapping) -> tuple[FieldMapping, FieldMapping] | None:
    """Return the fields of the id and of the address, if they are two columns of text."""
    person = next(filter(None, map(mapping.find, PERSON)), None)
    email = next((field for field in mapping.fields if field.path in EMAIL_PATHS), None)
    if person is None or email is None or not (is_text(person) and is_text(email)):
        return None
    return (person, email) if person.column != email.column else None


def _swap(field: FieldMapping, mapping: MessageMapping) -> pl.Expr | None:
    is_half = field.argument in PERSON or field.path in EMAIL_PATHS
    pair = _pair(mapping) if is_half else None
    if pair is None or field.name not in (pair[0].name, pair[1].name):
        return None
    crossed = _crossed(*(part.expr.cast(pl.String) for part in pair)).fill_null(value=False)
    other = pair[1] if field.name == pair[0].name else pair[0]
    return pl.when(crossed).then(other.expr.cast(pl.String)).otherwise(field.expr.cast(pl.String))


def _without_point(field: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    if not _is_id_text(field):
        return None
    values = field.expr.cast(pl.String)
    whole = values.str.replace(r"\.0+$", "")
    return pl.when(values.str.contains(FLOAT_TEXT)).then(whole).otherwise(values)


def _addresses(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate how many ids read as addresses."""
    fields = [
        field for field in scope.mapping.fields if field.argument in OWNERS and is_text(field)
    ]
    queries = [
        rows.select(
            pl.lit(field.name).alias("field"),
            scope.text(field).count().alias("all"),
            scope.text(field).str.contains(EMAIL).sum().alias("fits"),
        )
        for field in fields
    ]
    return pl.concat(queries) if queries else None


def _exceptions(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the addresses of columns in which most ids are none."""
    results = [FAILURE_SCHEMA.to_frame()]
    counted = aggregated.group_by("field", maintain_order=True).agg(pl.all().sum())
    for name, count, fits in counted.rows():
        if 0 < fits < count * MOST:
            field = next(field for field in scope.mapping.fields if field.name == name)
            value, evidence = (
                scope.text(field),
                f"{fits:,} of {count:,} values are addresses, the others are not.",
            )
            fails = value.str.contains(EMAIL)
            query = failing_rows(rows, fails, column=field.label, value=value, evidence=evidence)
            results.append(collect_streaming(query))
    return pl.concat(results)


FORMS = (
    r"^[0-9]+$",
    r"^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$",
    EMAIL_SHAPED,
    r"^[A-Za-z]{1,12}[-_:.]?[0-9]+$",
    r"^[0-9A-Fa-f]{16,64}$",
    r"^[A-Za-z]{1,12}[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9]{6,}$",
    r"^[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?$",
)
"""Forms of identifiers, of which a column has one if nearly all of its values have it."""
TOLD = (
    rf"{BLANK}|{FLOAT_TEXT}|{SCIENTIFIC}|{NEGATIVE}|{TRUTH}|{PADDED}|^=?[\"']|@"
    r"|(?i)^(?:unknown|guest|anonymous|test)$"
)
"""Identifiers of which other checks speak."""
ENOUGH, FEW, LOOKED_AT = 100, 0.01, 1_000
COUNTS = pl.Schema(
    {"field": pl.String(), "form": pl.String(), "all": pl.Int64(), "fits": pl.Int64()}
)


def _formed(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count how many ids of each column have the form that its first values have."""
    texts = [
        scope.text(field).alias(field.name) for field in scope.mapping.fields if _is_id_text(field)
    ]
    return rows.select(texts).map_batches(_form_counts, schema=COUNTS) if texts else None


def _form_counts(values: pl.DataFrame) -> pl.DataFrame:
    counts = []
    for column in values.iter_columns():
        filled = column.drop_nulls()
        first = filled.head(LOOKED_AT)
        text = pl.col(column.name)
        counted = first.to_frame().select(
            text.str.contains(form).sum().alias(form) for form in FORMS
        )
        shares = counted.row(0, named=True)
        form = max(shares, key=lambda form: shares[form])
        fits = filled.str.contains(form).sum() if shares[form] > len(first) * MOST else 0
        counts.append((column.name, form, len(filled), fits))
    return pl.DataFrame(counts, schema=COUNTS, orient="row")


def _unlike(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the few ids that have not the form of all the others."""
    results = [FAILURE_SCHEMA.to_frame()]
    if aggregated["all"].sum() < ENOUGH:
        return results[0]
    fields = {field.name: field for field in scope.mapping.fields}
    counted = aggregated.filter(pl.col("all") > 0).group_by("field", maintain_order=True)
    for name, form, count, fits in counted.agg(
        pl.col("form").sort_by("fits").last(), pl.col("all").sum(), pl.col("fits").sum()
    ).rows():
        is_one_form = (
            aggregated.filter(pl.col("field") == name, pl.col("fits") > 0)["form"].n_unique() == 1
        )
        if is_one_form and count >= ENOUGH and 0 < count - fits <= count * FEW:
            text = scope.text(fields[name])
            fails = ~text.str.contains(form) & ~text.str.contains(TOLD)
            evidence = f"{fits:,} of {count:,} values have a different form."
            query = failing_rows(
                rows, fails, column=fields[name].label, value=text, evidence=evidence
            )
            results.append(collect_streaming(query))
    return pl.concat(results)


ID_FORMAT_CHECKS = (
    Check("id.unlike", "warn", TableTest(_formed, _unlike, summed("field", "form")), source="reliability 3.3: totals and notes among ids"),
    Check(
        "id.float-text", "reject", by_text(contains(FLOAT_TEXT), fields=_is_id_text, prefilter=REWRITTEN),
        source="reliability 3.3 (31): pandas and spreadsheets store whole numbers as decimals",
        repair=Repair(_without_point, safe=False),
    ),
    Check(
        "id.scientific", "reject", by_text(contains(SCIENTIFIC), fields=_is_id_text, prefilter=REWRITTEN),
        source="reliability 3.3 (33, 35)",
    ),
    Check(
        "id.truth-word", "reject", by_text(contains(TRUTH), fields=_is_id_text, prefilter=TRUTH),
        source="reliability 3.3 (41)",
    ),
    Check("id.negative", "warn", by_value(_negative, prefilter=NEGATIVE), source="reliability 3.3 (39)"),
    Check(
        "id.two-scripts", "warn", by_text(_two_scripts, fields=_is_id_or_address, prefilter=UNUSUAL),
        source="reliability 3.3 (48); Unicode TR39",
    ),
    Check(
        "id.broken-address", "warn", RowTest(unit="text", predicates=_broken_addresses),
        source="reference 3.1 (ACT resolver)",
    ),
    Check(
        "id.swapped", "reject", by_value(_swapped, prefilter="@"),
        source="reliability 3.3 (50, 51)", repair=Repair(_swap, safe=False),
    ),
    Check(
        "id.some-addresses", "warn", TableTest(_addresses, _exceptions, summed("field")),
        source="reference 3.1 (ACT resolver); reliability 3.3 (50)",
    ),
)  # fmt: skip
