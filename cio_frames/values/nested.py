"""Conditions on all values inside lists and structs."""

from collections.abc import Callable
from datetime import date

import polars as pl

from cio_frames.values.dtypes import instance_of

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST, _LAST = date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH
_DAY = {"ms": 86_400_000, "us": 86_400_000_000}


def anywhere(
    values: pl.Expr, *, dtype: pl.DataType, test: Callable[[pl.Expr, pl.DataType], pl.Expr | None]
) -> pl.Expr | None:
    """Return a boolean expression: True where a test holds for a value or for any value inside it.

    `test` is called for types that are not nested; it returns None for types it does not apply to.
    """
    match dtype:
        case pl.List() | pl.Array():
            items = values.arr.to_list() if isinstance(dtype, pl.Array) else values
            condition = anywhere(pl.element(), dtype=instance_of(dtype.inner), test=test)
            return None if condition is None else items.list.eval(condition).list.any()
        case pl.Struct():
            conditions = [
                anywhere(values.struct.field(part.name), dtype=instance_of(part.dtype), test=test)
                for part in dtype.fields
            ]
            applicable = [condition for condition in conditions if condition is not None]
            return pl.any_horizontal(applicable) if applicable else None
        case _:
            return test(values, dtype)


def out_of_range(values: pl.Expr, *, dtype: pl.DataType) -> pl.Expr | None:
    """Return a boolean expression: True where a value is or contains a time outside the years 1 to 9999.

    ISO 8601 cannot represent it, and polars panics when it writes such a year.

    Returns:
        The expression; None for types without such times.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"day": [19_000, 2**31 - 1]}).cast(pl.Date)
        >>> frame.select(out_of_range(pl.col("day"), dtype=pl.Date()))["day"].to_list()
        [False, True]
    """
    return anywhere(values, dtype=dtype, test=_is_out_of_range)


def _is_out_of_range(values: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    match dtype:
        case pl.Date():
            day = 1
        case pl.Datetime() if dtype.time_unit in _DAY:  # nanoseconds reach from 1677 to 2262
            day = _DAY[dtype.time_unit]
        case _:
            return None
    return ~values.cast(pl.Int64).is_between(_FIRST * day, (_LAST + 1) * day, closed="left")
