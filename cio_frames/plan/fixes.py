"""Repairs: applying them to a mapping, and showing what they changed, before and after."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

import polars as pl

from cio_frames.checks import Check, masked
from cio_frames.errors import engine_errors
from cio_frames.frames import Table
from cio_frames.frames.table import frame_errors
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.values import as_text, has_text

EXAMPLES = 3
CHANGE_SCHEMA = pl.Schema(
    {
        "code": pl.String(),
        "column": pl.String(),
        "rows": pl.Int64(),
        "before": pl.List(pl.String()),
        "after": pl.List(pl.String()),
    }
)
"""The columns of changes: how many rows a repair changed, and a few values before and after.

For a column that is sent under another name, these are the two names, and the rows are not counted.
"""


def repaired(mapping: MessageMapping, check: Check) -> MessageMapping:
    """Return a mapping with the repair of a check applied."""
    repair = check.repair
    if repair is None:
        return mapping
    return mapping.repaired(check.code, change=repair.change, place=repair.new_path)


def offered(
    kinds: pl.DataFrame, *, checks: Sequence[Check], mapping: MessageMapping
) -> dict[str, tuple[Check, int]]:
    """Return the checks whose findings can be repaired, and how many findings, by code."""
    counted: dict[str, dict[str | None, int]] = {}
    for code, column, count in kinds.select("code", "column", "findings").iter_rows():
        of_code = counted.setdefault(code, {})
        of_code[column] = of_code.get(column, 0) + count
    offers = {}
    for check in checks:
        of_code = counted.get(check.code, {})
        columns = _repaired_labels(check, mapping, columns_found=of_code)
        rows = sum(
            rows
            for column, rows in of_code.items()
            if columns and (column is None or column in columns)
        )
        if rows:
            offers[check.code] = (check, rows)
    return offers


def _repaired_labels(
    check: Check, mapping: MessageMapping, *, columns_found: Collection[str | None]
) -> frozenset[str]:
    """Return the columns with findings of a check that its repair would change."""
    repair = check.repair
    if repair is None or not columns_found:
        return frozenset()
    return frozenset(
        field.label
        for field in mapping.fields
        if None in columns_found or field.label in columns_found
        if repair.concerns(field, mapping)
    )


@engine_errors("changed values were counted")
def changes(
    table: Table, steps: Sequence[MessageMapping], *, checks: Mapping[str, Check]
) -> pl.DataFrame:
    """Return what repairs changed, with the columns of `CHANGE_SCHEMA`."""
    changed = [
        (after.repairs[-1], field.label, _changed(table.lazy, before, after, pair=(field, other)))
        for before, after in pairwise(steps)
        for field, other in _changed_fields(before, after, check=checks[after.repairs[-1]])
    ]
    renamed = [
        (after.repairs[-1], field.label, None, [".".join(field.path)], [".".join(other.path)])
        for before, after in pairwise(steps)
        for field, other in zip(before.fields, after.fields, strict=True)
        if field.path != other.path
    ]
    if not changed:
        return pl.DataFrame(renamed, schema=CHANGE_SCHEMA, orient="row")
    with frame_errors(table.label):
        answers = pl.collect_all([query for _, _, query in changed])
    rows = [
        (code, label, *_masked_answer(answer))
        for (code, label, _), answer in zip(changed, answers, strict=True)
        if answer.item(0, "rows")
    ]
    return pl.DataFrame([*renamed, *rows], schema=CHANGE_SCHEMA, orient="row")


def _changed_fields(
    before: MessageMapping, after: MessageMapping, *, check: Check
) -> Iterator[tuple[FieldMapping, FieldMapping]]:
    for one, other in zip(before.fields, after.fields, strict=True):
        have_text = has_text(one.dtype) and has_text(other.dtype)
        if have_text and check.repair and check.repair.change(one, before) is not None:
            yield one, other


@engine_errors("examples were repaired")
def after_repair(
    rows: pl.DataFrame, before: MessageMapping, after: MessageMapping, *, check: Check, column: str
) -> list[str | None]:
    """Return what a column is sent as after the repair of a check; empty if the repair does not change it."""
    for one, other in _changed_fields(before, after, check=check):
        if one.label == column:
            pairs = _pairs(rows.lazy(), before, after, pair=(one, other)).collect()
            return [masked(text) for text in pairs["after"]]
    return []


def _changed(
    rows: pl.LazyFrame,
    before: MessageMapping,
    after: MessageMapping,
    *,
    pair: tuple[FieldMapping, FieldMapping],
) -> pl.LazyFrame:
    pairs = _pairs(rows, before, after, pair=pair)
    changed = pairs.filter(pl.col("before").ne_missing(pl.col("after")))
    return changed.select(pl.len().cast(pl.Int64).alias("rows"), pl.all().head(EXAMPLES).implode())


def _pairs(
    rows: pl.LazyFrame,
    before: MessageMapping,
    after: MessageMapping,
    *,
    pair: tuple[FieldMapping, FieldMapping],
) -> pl.LazyFrame:
    """Return the values of a field before and after a repair, as texts."""
    one, other = pair
    value = pl.col(one.name)
    text = value.cast(pl.String) if one.dtype.is_float() else _text(one, before)
    pairs = before.filled(rows).with_columns(text.alias("before"))
    return pairs.with_columns(after.steps[-1]).select("before", _text(other, after).alias("after"))


def _text(field: FieldMapping, mapping: MessageMapping) -> pl.Expr:
    return as_text(pl.col(field.name), dtype=field.dtype, timezone=mapping.timezone)


def _masked_answer(answer: pl.DataFrame) -> tuple[object, ...]:
    rows, before, after = answer.row(0)
    return rows, *([masked(text) for text in texts] for texts in (before, after))
