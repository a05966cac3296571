"""The values of a field: from a column, a constant, an expression for each row, or a hash."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from typing import Any
from zoneinfo import available_timezones

import polars as pl
import polars.selectors as cs

from cio_frames.errors import ColumnNotFoundError, MappingError, errors_as
from cio_frames.frames import ROW
from cio_frames.mapping.message_mapping import FieldMapping, dtype_of
from cio_frames.values import as_text, has_text, sha256

Value = str | pl.Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The values of one place of a message."""

    expr: pl.Expr  # over the columns of the table
    column: str | None  # the only column it reads; None for constants and expressions
    dtype: pl.DataType
    how: str  # "named", "constant" or "expression"


def source_of(value: Any, *, argument: str, schema: pl.Schema) -> Source:
    """Return the values that an argument names.

    Raises:
        ColumnNotFoundError: The column is not in the table.
        MappingError: It is neither a name nor an expression with one value for each row.
    """
    if isinstance(value, pl.Expr):
        return _expression(value, argument=argument, schema=schema)
    if isinstance(value, str):
        require_column(value, argument=argument, schema=schema)
        is_pattern = value == "*" or value.startswith("^")
        expr = cs.by_name(value).as_expr() if is_pattern else pl.col(value)
        return Source(expr=expr, column=value, dtype=schema[value], how="named")
    if isinstance(value, int | float | date):
        raise MappingError(
            f"{argument}={value!r} is not a column name or an expression. "
            f"For a constant, write cio.lit({value!r})."
        )
    raise MappingError(
        f'{argument} is a {type(value).__name__}, not the name of a column. Pass {argument}="column"; to send other '
        "values, add them to the table as a column first."
    )


def require_column(name: str, *, argument: str, schema: pl.Schema) -> None:
    """Raise if the table has no such column.

    Raises:
        ColumnNotFoundError: It is not in the table.
    """
    if name not in schema or name == ROW:
        available = [column for column in schema.names() if column != ROW]
        raise ColumnNotFoundError(name, argument=argument, available=available)


def timezone_name(timezone: Any) -> str | None:
    """Return the name of a time zone, if there is such a zone.

    Raises:
        MappingError: There is no such zone.
    """
    if timezone is None or (isinstance(timezone, str) and _is_zone(timezone)):
        return timezone
    near = _nearest_zone(str(timezone))
    hint = f"Did you mean {near!r}?" if near else 'Time zones have names such as "Europe/Berlin".'
    raise MappingError(f"timezone={timezone!r} is not the name of a time zone. {hint}")


def _expression(expr: pl.Expr, *, argument: str, schema: pl.Schema) -> Source:
    if expr.meta.has_multiple_outputs():
        raise MappingError(f"{argument} takes one column, but this expression returns several.")
    roots = expr.meta.root_names()
    for name in roots:
        require_column(name, argument=argument, schema=schema)
    with errors_as(lambda kind: _expression_error(argument, kind), any_error=True):
        dtype, is_by_row = dtype_of(expr, schema), _is_by_row(expr, schema=schema)
        schema.to_frame().select(expr)
    if not is_by_row:
        raise MappingError(
            f"The expression for {argument} looks at several rows at once (an aggregation, a window, "
            "a filter, or times parsed without a format). Rows are read in chunks: add it to the "
            "frame first with frame.with_columns(...) and name the new column."
        )
    how = "expression" if roots else "constant"
    return Source(expr=expr, column=None, dtype=dtype, how=how)


def _expression_error(argument: str, kind: str) -> MappingError:
    return MappingError(
        f"The expression for {argument} does not fit this table ({kind}). It is tried on the table "
        "without its rows, as frame.clear().select(...) does."
    )


def _is_by_row(expr: pl.Expr, *, schema: pl.Schema) -> bool:
    """Return whether an expression gives each row the same value in any chunk.

    polars moves a slice before an expression only if that changes nothing; then the slice is not
    the last step of the query plan.
    """
    lazy = pl.LazyFrame(schema=schema).with_columns(expr.alias(ROW))
    return not lazy.slice(1, 1).explain().lstrip().startswith("SLICE")


def _is_zone(name: str) -> bool:
    try:
        pl.Series(dtype=pl.Datetime("ms", name))
    except pl.exceptions.PolarsError:
        return False
    return bool(name)


def _nearest_zone(name: str) -> str | None:
    """Return the most similar zone, by its complete name or by its city."""
    zones: dict[str, str] = {}
    for zone_name in sorted(available_timezones()):
        zones.setdefault(zone_name.rsplit("/", 1)[-1].lower(), zone_name)
        zones[zone_name.lower()] = zone_name
    matches: Sequence[str] = get_close_matches(name.lower().replace(" ", "_"), zones, n=1)
    return zones[matches[0]] if matches else None


def with_hashes(
    fields: Sequence[FieldMapping],
    *,
    columns: str | Sequence[str],
    schema: pl.Schema,
    timezone: str | None = None,
) -> tuple[FieldMapping, ...]:
    """Return the fields, with the values of some columns hashed: SHA-256 of the text, in hexadecimal.

    There is no key, so that other systems can compute the same hash of the same value. Values that
    can be guessed, such as card numbers, can be found by trying all of them; leave such columns out
    if that matters.

    Raises:
        MappingError: A column is not sent as a trait, property or form field, or has no text.
    """
    if not isinstance(columns, str | Sequence):
        raise MappingError(f"hash={columns!r} is not a column or a list of columns.")
    names = [columns] if isinstance(columns, str) else list(columns)
    for column in names:
        require_column(column, argument="hash", schema=schema)
        if not any(field.role == "body" and field.column == column for field in fields):
            raise MappingError(
                f"hash={column!r} is not sent as a trait, property or form field. Only these can "
                "be hashed: a hashed identifier would be another person."
            )
    return tuple(
        _hashed_field(field, timezone=timezone)
        if field.role == "body" and field.column in names
        else field
        for field in fields
    )


def _hashed_field(field: FieldMapping, *, timezone: str | None) -> FieldMapping:
    if not has_text(field.dtype):
        raise MappingError(
            f"hash={field.column!r}: its values are lists or objects, which have no single text."
        )
    text = as_text(field.expr, dtype=field.dtype, timezone=timezone)
    return replace(
        field,
        expr=sha256(text),
        dtype=pl.String(),
        how="hashed",
        json=False,
        reason="sent as its SHA-256",
    )
