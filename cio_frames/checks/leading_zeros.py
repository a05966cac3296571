"""Leading zeros that identifiers and other texts have lost."""

from collections import Counter

import polars as pl

from cio_frames.checks.check import (
    Check,
    Scope,
    Suspect,
    TableTest,
    column_findings,
    failing_cells,
    failing_rows,
    summed,
)
from cio_frames.checks.fields import PEOPLE, is_id, is_number, is_plain_text, is_text, name_words
from cio_frames.frames import ROW
from cio_frames.mapping import FieldMapping
from cio_frames.values import many

DIGITS = r"^\d+$"
MIN_NUMBERS = 20
FREE_CODES = frozenset({"sku", "stock", "stockcode", "item", "part", "product", "article", "style"})
"""Words in the names of columns whose codes may have any width, with or without leading zeros."""


def _id_fields(scope: Scope) -> list[FieldMapping]:
    return [
        field
        for field in scope.mapping.fields
        if field.argument in (*PEOPLE, "group_id") and (is_text(field) or is_number(field))
    ]


def _data_fields(scope: Scope) -> list[FieldMapping]:
    return [
        field
        for field in scope.mapping.fields
        if field.role == "body" and is_plain_text(field) and field.how != "hashed"
        if FREE_CODES.isdisjoint(name_words(field.label))
    ]


def _count_id_widths(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count the identifiers made of digits by width, with and without leading zeros."""
    return _count_widths(rows, scope, fields=_id_fields(scope))


def _count_data_widths(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count data stored as text, such as postal codes, in the same way."""
    return _count_widths(rows, scope, fields=_data_fields(scope))


def _count_widths(
    rows: pl.LazyFrame, scope: Scope, *, fields: list[FieldMapping]
) -> pl.LazyFrame | None:
    if not fields:
        return None
    labels = {field.name: field.label for field in fields}
    texts = {field.name: is_text(field) for field in fields}
    kinds = [_width_counts(scope.text(field)).alias(field.name) for field in fields]
    counted = rows.select(kinds).unpivot(variable_name="field", value_name="kinds")
    return (
        counted.explode("kinds", empty_as_null=True)
        .drop_nulls("kinds")
        .unnest("kinds")
        .select(
            pl.col("field").replace_strict(labels, return_dtype=pl.String).alias("column"),
            pl.col("field").replace_strict(texts, return_dtype=pl.Boolean).alias("text"),
            (pl.col("kind") // 2).alias("width"),
            (pl.col("kind") % 2 == 1).alias("zero"),
            "rows",
        )
    )


def _width_counts(values: pl.Expr) -> pl.Expr:
    """Count texts of digits by a number: twice their width, plus one if they begin with a zero."""
    digits = values.filter(values.str.contains(DIGITS))
    kind = digits.str.len_bytes() * 2 + digits.str.starts_with("0").cast(pl.UInt32)
    return kind.alias("kind").value_counts(name="rows").implode()


Widths = Counter[tuple[int, bool]]
"""How many numbers there are, by their width and whether they begin with a zero."""


def _by_column(aggregated: pl.DataFrame) -> dict[str, Widths]:
    widths_by_column: dict[str, Widths] = {}
    for column, width, zero, rows in aggregated.select("column", "width", "zero", "rows").rows():
        widths_by_column.setdefault(column, Counter())[width, zero] += rows
    return widths_by_column


def _histogram(widths: Widths) -> str:
    rows_by_width: Counter[int] = Counter()
    for (width, _), rows in sorted(widths.items()):
        rows_by_width[width] += rows
    return ", ".join(
        f"{rows:,} with {many(width, 'digit')}" for width, rows in rows_by_width.items()
    )


def _mixed_zeros(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Find numbers that are shorter than those of the column that have leading zeros."""
    suspects = []
    fields = {field.label: field for field in (*_data_fields(scope), *_id_fields(scope))}
    for column, widths in _by_column(aggregated.filter("text")).items():
        padded_widths = {width for width, zero in widths if zero}
        if len(padded_widths) != 1:
            continue
        width = padded_widths.pop()
        if any(other < width for other, zero in widths if not zero):
            values = scope.text(fields[column])
            narrow = values.str.contains(r"^[1-9]\d*$") & (values.str.len_bytes() < width)
            evidence = f"{_histogram(widths)}; those with {width} digits include leading zeros."
            suspects.append(Suspect(column=column, fails=narrow, value=values, evidence=evidence))
    return failing_cells(rows, suspects)


def _risky_widths(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    """Find columns of numbers of different widths, which may have lost leading zeros."""
    return column_findings(
        (column, f"{_histogram(widths)}.")
        for column, widths in _by_column(aggregated.filter(~pl.col("text"))).items()
        if widths.total() >= MIN_NUMBERS and len({width for width, _ in widths}) > 1
    )


def _zeros_elsewhere(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Find identifiers that another column, or the reference, has with leading zeros."""
    queries = [
        query
        for field in _id_fields(scope)
        if (query := _padded_in_columns(rows, field, scope)) is not None
    ]
    queries += [
        _padded_in_reference(rows, field, scope, reference)
        for field in _id_fields(scope)
        if (reference := _reference(field, scope)) is not None
    ]
    return pl.concat(queries) if queries else None


def _reference(field: FieldMapping, scope: Scope) -> pl.Series | None:
    """Return the reference for the identifiers of a field."""
    reference = scope.reference.get(field.label)
    return scope.reference.get(field.argument or "") if reference is None else reference


def _padded_in_columns(
    rows: pl.LazyFrame, field: FieldMapping, scope: Scope
) -> pl.LazyFrame | None:
    """Find the rows in which another column has the identifier with leading zeros."""
    others = [
        other
        for other in scope.mapping.fields
        if other.dtype == pl.String and other.name != field.name and other.column != field.column
    ]
    if not others:
        return None
    values = scope.text(field)
    padded = {
        f"{place}": _is_padded(pl.col(other.name), values) for place, other in enumerate(others)
    }
    evidence = [
        f'Column "{other.label}" of the same row has it with the zeros.' for other in others
    ]
    return (
        rows.select(pl.col(ROW).alias("row"), values.alias("value"), **padded)
        .filter(pl.any_horizontal(*padded))
        .unpivot(
            on=list(padded), index=["row", "value"], variable_name="place", value_name="padded"
        )
        .filter("padded")
        .select(
            "row",
            pl.lit(field.label).alias("column"),
            "value",
            pl.col("place").replace_strict(list(padded), evidence).alias("evidence"),
        )
    )


def _is_padded(other: pl.Expr, values: pl.Expr) -> pl.Expr:
    padding = pl.when(other.str.starts_with("0")).then(other)  # null cells are not searched
    bare = padding.str.strip_chars_start("0")
    return padding.str.contains(r"^0\d+$") & (bare == values) & (values != "")


def _padded_in_reference(
    rows: pl.LazyFrame, field: FieldMapping, scope: Scope, reference: pl.Series
) -> pl.LazyFrame:
    padded = reference.filter(reference.str.contains(r"^0\d+$"))
    bare = padded.str.strip_chars_start("0").filter(padded.str.strip_chars_start("0") != "")
    values = scope.text(field)
    lost = values.is_in(bare.implode()) & ~values.is_in(reference.implode())
    evidence = "The reference has it with the zeros."
    return failing_rows(rows, lost, column=field.label, value=values, evidence=evidence)


def _unknown(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    queries = [
        failing_rows(
            rows,
            ~scope.text(field).is_in(reference.implode()),
            column=field.label,
            value=scope.text(field),
        )
        for field in scope.mapping.fields
        if is_id(field) and (reference := _reference(field, scope)) is not None
    ]
    return pl.concat(queries) if queries else None


_by_width = summed("column", "text", "width", "zero")

ZERO_CHECKS = (
    Check("id.zeros-lost", "refuse", TableTest(_zeros_elsewhere, by="row"), source="reliability 3.3 (36)"),
    Check("id.zeros-mixed", "warn", TableTest(_count_id_widths, _mixed_zeros, _by_width), source="reliability 3.3 (36)"),
    Check("value.zeros-mixed", "info", TableTest(_count_data_widths, _mixed_zeros, _by_width), source="reliability 3.3 (36)"),
    Check("id.zeros-risk", "info", TableTest(_count_id_widths, _risky_widths, _by_width), source="reliability 3.3 (36)"),
    Check("id.unknown", "warn", TableTest(_unknown, by="row"), source="the reference you gave"),
)  # fmt: skip
