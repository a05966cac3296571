"""Conditions on everything inside lists and structs."""

from collections.abc import Callable
from datetime import date

import polars as pl

from cio_frames.values.dtypes import instance_of

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST, _LAST = date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH
_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000}


def anywhere(
    values: pl.Expr, *, dtype: pl.DataType, test: Callable[[pl.Expr, pl.DataType], pl.Expr | None]
) -> pl.Expr | None:
    """Return an expression: true where a test holds for a value or for anything inside it.

    `test` is called for types that hold no others; it returns None for types it does not concern.
    """
    match dtype:
        case pl.List() | pl.Array():
            items = values.arr.to_list() if isinstance(dtype, pl.Array) else values
            found = anywhere(pl.element(), dtype=instance_of(dtype.inner), test=test)
            return None if found is None else items.list.eval(found).list.any()
        case pl.Struct():
            inside = [
                anywhere(values.struct.field(part.name), dtype=instance_of(part.dtype), test=test)
                for part in dtype.fields
            ]
            some = [found for found in inside if found is not None]
            return pl.any_horizontal(some) if some else None
        case _:
            return test(values, dtype)


def out_of_range(values: pl.Expr, *, dtype: pl.DataType) -> pl.Expr | None:
    """Return an expression: true where a value is, or holds, a time outside the years 1 to 9999.

    ISO 8601 has no text for it, and polars panics where it writes a year that is far enough away.

    Returns:
        The test; None for types that hold no such times.

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
            a_day = 1
        case pl.Datetime() if dtype.time_unit in _A_DAY:  # nanoseconds reach from 1677 to 2262
            a_day = _A_DAY[dtype.time_unit]
        case _:
            return None
    return ~values.cast(pl.Int64).is_between(_FIRST * a_day, (_LAST + 1) * a_day, closed="left")
