"""Leading zeros that identifiers and other texts have lost, and the evidence."""

import polars as pl

from cio_frames.checks.check import (
    FOUND_SCHEMA,
    Check,
    Scope,
    TableTest,
    column_findings,
    failing_rows,
)
from cio_frames.checks.fields import PEOPLE, is_id, is_number, is_plain_text, is_text
from cio_frames.frames import collected
from cio_frames.mapping import FieldMapping

DIGITS = r"^\d+$"
MANY = 20


def _id_slots(scope: Scope) -> list[FieldMapping]:
    return [
        slot
        for slot in scope.mapping.slots
        if slot.argument in (*PEOPLE, "group_id") and (is_text(slot) or is_number(slot))
    ]


def _data_slots(scope: Scope) -> list[FieldMapping]:
    return [
        slot
        for slot in scope.mapping.slots
        if slot.role == "body" and is_plain_text(slot) and slot.how != "hashed"
    ]


def _id_widths(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count the identifiers made of digits by width, with and without leading zeros."""
    return _widths(rows, scope, slots=_id_slots(scope))


def _data_widths(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count data as text, such as postal codes, in the same way."""
    return _widths(rows, scope, slots=_data_slots(scope))


def _widths(rows: pl.LazyFrame, scope: Scope, *, slots: list[FieldMapping]) -> pl.LazyFrame | None:
    queries = [
        rows.select(
            pl.lit(slot.label).alias("column"),
            scope.text(slot).alias("value"),
            pl.lit(value=is_text(slot)).alias("text"),
        )
        .filter(pl.col("value").str.contains(DIGITS))
        .group_by(
            "column", "text",
            pl.col("value").str.len_bytes().alias("width"),
            pl.col("value").str.starts_with("0").alias("zero"),
        )
        .agg(pl.len().alias("rows"), pl.col("value").min().alias("value"))
        for slot in slots
    ]  # fmt: skip
    return pl.concat(queries) if queries else None


def _histogram(widths: pl.DataFrame) -> str:
    counted = widths.group_by("width").agg(pl.col("rows").sum()).sort("width")
    return ", ".join(f"{rows:,} of {width}" for width, rows in counted.iter_rows())


def _mixed_zeros(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Find numbers narrower than the width at which others of the column keep their zeros."""
    results = [FOUND_SCHEMA.to_frame()]
    for (column,), widths in aggregated.filter("text").group_by("column"):
        padded = widths.filter("zero").group_by("width").agg(pl.col("rows").sum())
        if padded.height != 1:
            continue
        width = padded.item(0, "width")
        narrow = widths.filter(~pl.col("zero"), pl.col("width") < width)
        if narrow.height:
            evidence = f"Digits: {_histogram(widths)}; those of {width} keep their zeros."
            results.append(_narrow(rows, scope, column=str(column), width=width, evidence=evidence))
    return pl.concat(results)


def _narrow(
    rows: pl.LazyFrame, scope: Scope, *, column: str, width: int, evidence: str
) -> pl.DataFrame:
    slots = (*_id_slots(scope), *_data_slots(scope))
    values = scope.text(next(slot for slot in slots if slot.label == column))
    narrow = values.str.contains(r"^[1-9]\d*$") & (values.str.len_bytes() < width)
    return collected(failing_rows(rows, narrow, column=column, value=values, evidence=evidence))


def _risky_widths(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    """Find columns of numbers that are not equally wide: text with zeros may have been cut."""
    return column_findings(
        (str(column), f"Digits: {_histogram(widths)}.")
        for (column,), widths in aggregated.filter(~pl.col("text")).group_by("column")
        if widths["rows"].sum() >= MANY and widths["width"].n_unique() > 1
    )


def _beside(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Find identifiers that another column, or the reference, has with zeros in front."""
    queries = [
        _padded_twin(rows, slot, scope, other)
        for slot in _id_slots(scope)
        for other in scope.mapping.slots
        if other.dtype == pl.String and other.name != slot.name and other.column != slot.column
    ]
    queries += [
        _padded_known(rows, slot, scope, known)
        for slot in _id_slots(scope)
        if (known := _reference(slot, scope)) is not None
    ]
    return pl.concat(queries) if queries else None


def _reference(slot: FieldMapping, scope: Scope) -> pl.Series | None:
    """Return the reference for the identifiers of a field."""
    known = scope.reference.get(slot.label)
    return scope.reference.get(slot.argument or "") if known is None else known


def _padded_twin(
    rows: pl.LazyFrame, slot: FieldMapping, scope: Scope, other: FieldMapping
) -> pl.LazyFrame:
    values, twin = scope.text(slot), pl.col(other.name)
    padding = pl.when(twin.str.starts_with("0")).then(twin)  # empty cells cost no search
    bare = padding.str.strip_chars_start("0")
    padded = padding.str.contains(r"^0\d+$") & (bare == values) & (values != "")
    evidence = f"Column {other.label!r} of the same row has it with the zeros."
    return failing_rows(rows, padded, column=slot.label, value=values, evidence=evidence)


def _padded_known(
    rows: pl.LazyFrame, slot: FieldMapping, scope: Scope, known: pl.Series
) -> pl.LazyFrame:
    padded = known.filter(known.str.contains(r"^0\d+$"))
    bare = padded.str.strip_chars_start("0").filter(padded.str.strip_chars_start("0") != "")
    values = scope.text(slot)
    lost = values.is_in(bare.implode()) & ~values.is_in(known.implode())
    evidence = "The reference has it with the zeros."
    return failing_rows(rows, lost, column=slot.label, value=values, evidence=evidence)


def _unknown(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    queries = [
        failing_rows(rows, ~value.is_in(known.implode()), column=slot.label, value=value)
        for slot in scope.mapping.slots
        if is_id(slot) and (known := _reference(slot, scope)) is not None
        for value in (scope.text(slot),)
    ]
    return pl.concat(queries) if queries else None


ZERO_CHECKS = (
    Check("id.zeros-lost", "refuse", TableTest(_beside), source="reliability 3.3 (36)"),
    Check("id.zeros-mixed", "warn", TableTest(_id_widths, _mixed_zeros), source="reliability 3.3 (36)"),
    Check("value.zeros-mixed", "info", TableTest(_data_widths, _mixed_zeros), source="reliability 3.3 (36)"),
    Check("id.zeros-risk", "info", TableTest(_id_widths, _risky_widths), source="reliability 3.3 (36)"),
    Check("id.unknown", "warn", TableTest(_unknown), source="the reference you gave"),
)  # fmt: skip
