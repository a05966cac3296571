"""Identifiers that a program has rewritten: as decimals, in scientific notation, in other scripts."""

from collections.abc import Iterable

import polars as pl

from cio_frames.checks.check import (
    Check,
    Predicate,
    Repair,
    RowTest,
    Scope,
    Suspect,
    TableTest,
    by_text,
    by_value,
    contains,
    failing_cells,
    summed,
    text_repair,
)
from cio_frames.checks.fields import (
    EMAIL_PATHS,
    PEOPLE,
    blank,
    is_address,
    is_id,
    is_id_text,
    is_text,
)
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
PERSON_ID = ("user_id", "id")
MAJORITY = 0.5


def _negative(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not is_id(field):
        return None
    if field.dtype.is_signed_integer() or field.dtype.is_float():
        return pl.col(field.name) < 0
    return scope.text(field).str.contains(NEGATIVE) if is_text(field) else None


def _is_id_or_address(field: FieldMapping) -> bool:
    return is_id_text(field) or is_address(field)


def _mixes_scripts(values: pl.Expr) -> pl.Expr:
    return values.str.contains(LATIN) & values.str.contains(OTHER_SCRIPT)


def _is_person_id_text(field: FieldMapping) -> bool:
    return field.argument in PEOPLE and is_text(field)


def _is_broken_address(values: pl.Expr) -> pl.Expr:
    return values.str.contains("@", literal=True) & ~values.str.strip_chars().str.contains(EMAIL)


def _broken_address_predicates(scope: Scope) -> Iterable[Predicate]:
    """Test IDs, except in columns that are also sent as addresses, which have checks of their own."""
    address_columns = {
        field.column for field in scope.mapping.fields if is_address(field) and field.column
    }
    test = by_text(
        _is_broken_address,
        fields=lambda field: _is_person_id_text(field) and field.column not in address_columns,
        prefilter="@",
    )
    return test.predicates(scope)


def _swapped(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    pair = _id_and_address(scope.mapping) if field.argument in PERSON_ID else None
    if pair is None or field.name != pair[0].name:
        return None
    return _are_swapped(*(scope.text(part) for part in pair))


def _are_swapped(person: pl.Expr, email: pl.Expr) -> pl.Expr:
    """Return a boolean expression: True where the ID is an address and the address is not."""
    is_no_address = ~email.str.contains("@", literal=True) & ~blank(email)
    return person.str.strip_chars().str.contains(EMAIL) & is_no_address


def _id_and_address(mapping: MessageMapping) -> tuple[FieldMapping, FieldMapping] | None:
    """Return the fields of the ID and of the address, if they are two columns of text."""
    person = next(filter(None, map(mapping.find, PERSON_ID)), None)
    email = next((field for field in mapping.fields if field.path in EMAIL_PATHS), None)
    if person is None or email is None or not (is_text(person) and is_text(email)):
        return None
    return (person, email) if person.column != email.column else None


def _swap(field: FieldMapping, mapping: MessageMapping) -> pl.Expr | None:
    is_half = field.argument in PERSON_ID or field.path in EMAIL_PATHS
    pair = _id_and_address(mapping) if is_half else None
    if pair is None or field.name not in (pair[0].name, pair[1].name):
        return None
    crossed = _are_swapped(*(part.expr.cast(pl.String) for part in pair)).fill_null(value=False)
    other = pair[1] if field.name == pair[0].name else pair[0]
    return pl.when(crossed).then(other.expr.cast(pl.String)).otherwise(field.expr.cast(pl.String))


def _without_point(values: pl.Expr) -> pl.Expr:
    without_point = values.str.replace(r"\.0+$", "")
    return pl.when(values.str.contains(FLOAT_TEXT)).then(without_point).otherwise(values)


def _count_addresses(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count the IDs that are addresses."""
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


def _rare_addresses(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the addresses in columns in which most IDs are not addresses."""
    suspects = []
    fields = {field.name: field for field in scope.mapping.fields}
    counted = aggregated.group_by("field", maintain_order=True).agg(pl.all().sum())
    for name, count, addresses in counted.rows():
        if 0 < addresses < count * MAJORITY:
            text = scope.text(fields[name])
            fails = text.str.contains(EMAIL)
            evidence = f"{addresses:,} of {count:,} values are addresses, the others are not."
            label = fields[name].label
            suspects.append(Suspect(column=label, fails=fails, value=text, evidence=evidence))
    return failing_cells(rows, suspects)


FORMS = (
    r"^[0-9]+$",
    r"^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$",
    EMAIL_SHAPED,
    r"^[A-Za-z]{1,12}[-_:.]?[0-9]+$",
    r"^[0-9A-Fa-f]{16,64}$",
    r"^[A-Za-z]{1,12}[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9]{6,}$",
    r"^[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?$",
)
"""Forms of identifiers; a column has a form if nearly all of its values have it."""
OTHER_CHECKS = (
    rf"{BLANK}|{FLOAT_TEXT}|{SCIENTIFIC}|{NEGATIVE}|{TRUTH}|{PADDED}|^=?[\"']|@"
    r"|(?i)^(?:unknown|guest|anonymous|test)$"
)
"""Identifiers that other checks report."""
MIN_VALUES, MAX_SHARE, SAMPLE = 100, 0.01, 1_000
COUNTS = pl.Schema(
    {"field": pl.String(), "form": pl.String(), "all": pl.Int64(), "fits": pl.Int64()}
)


def _count_common_form(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count the IDs of each column that have the form of its first values."""
    texts = [
        scope.text(field).alias(field.name) for field in scope.mapping.fields if is_id_text(field)
    ]
    return rows.select(texts).map_batches(_form_counts, schema=COUNTS) if texts else None


def _form_counts(values: pl.DataFrame) -> pl.DataFrame:
    counts = []
    for column in values.iter_columns():
        filled = column.drop_nulls()
        first = filled.head(SAMPLE)
        text = pl.col(column.name)
        counted = first.to_frame().select(
            text.str.contains(form).sum().alias(form) for form in FORMS
        )
        shares = counted.row(0, named=True)
        form = max(shares, key=lambda form: shares[form])
        fits = filled.str.contains(form).sum() if shares[form] > len(first) * MAJORITY else 0
        counts.append((column.name, form, len(filled), fits))
    return pl.DataFrame(counts, schema=COUNTS, orient="row")


def _different_form(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the few IDs that do not have the form of all others."""
    suspects = []
    fields = {field.name: field for field in scope.mapping.fields}
    counted = aggregated.filter(pl.col("all") > 0).group_by("field", maintain_order=True)
    totals = counted.agg(
        pl.col("form").sort_by("fits").last(),
        pl.col("all", "fits").sum(),
        pl.col("form").filter(pl.col("fits") > 0).n_unique().alias("forms"),
    )
    for name, form, count, fits, forms in totals.rows():
        if forms == 1 and count >= MIN_VALUES and 0 < count - fits <= count * MAX_SHARE:
            text = scope.text(fields[name])
            fails = ~text.str.contains(form) & ~text.str.contains(OTHER_CHECKS)
            evidence = f"{fits:,} of {count:,} values have a different form."
            label = fields[name].label
            suspects.append(Suspect(column=label, fails=fails, value=text, evidence=evidence))
    return failing_cells(rows, suspects)


ID_FORMAT_CHECKS = (
    Check("id.unlike", "warn", TableTest(_count_common_form, _different_form, summed("field", "form")), source="reliability 3.3: totals and notes among ids"),
    Check(
        "id.float-text", "reject", by_text(contains(FLOAT_TEXT), fields=is_id_text, prefilter=REWRITTEN),
        source="reliability 3.3 (31): pandas and spreadsheets store whole numbers as decimals",
        repair=text_repair(_without_point, fields=is_id_text, safe=False),
    ),
    Check(
        "id.scientific", "reject", by_text(contains(SCIENTIFIC), fields=is_id_text, prefilter=REWRITTEN),
        source="reliability 3.3 (33, 35)",
    ),
    Check(
        "id.truth-word", "reject", by_text(contains(TRUTH), fields=is_id_text, prefilter=TRUTH),
        source="reliability 3.3 (41)",
    ),
    Check("id.negative", "warn", by_value(_negative, prefilter=NEGATIVE), source="reliability 3.3 (39)"),
    Check(
        "id.two-scripts", "warn", by_text(_mixes_scripts, fields=_is_id_or_address, prefilter=UNUSUAL),
        source="reliability 3.3 (48); Unicode TR39",
    ),
    Check(
        "id.broken-address", "warn", RowTest(unit="text", predicates=_broken_address_predicates),
        source="reference 3.1 (ACT resolver)",
    ),
    Check(
        "id.swapped", "reject", by_value(_swapped, prefilter="@"),
        source="reliability 3.3 (50, 51)", repair=Repair(_swap, safe=False),
    ),
    Check(
        "id.some-addresses", "warn", TableTest(_count_addresses, _rare_addresses, summed("field")),
        source="reference 3.1 (ACT resolver); reliability 3.3 (50)",
    ),
)  # fmt: skip
