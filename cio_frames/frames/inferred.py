"""Python values to a column as Arrow infers it, where that is exactly what looking at each would give."""

import sys
from collections.abc import Sequence
from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa

KEYS = 100  # dictionaries with more keys than this, taken together, are no struct
BUILTIN = frozenset({NoneType, bool, int, float, str, list, tuple, dict})


def inferred(name: str, values: Sequence[object], *, levels: int, parts: int) -> pl.Series | None:
    """Return the column if builtin types make up all values, and one type holds them exactly.

    Args:
        name: The name of the column.
        values: Its values.
        levels: How deep values may be nested.
        parts: How many parts a value may have.
    """
    if "pandas" not in sys.modules:
        return None  # pyarrow would load it; without it, few have columns of Python objects
    if {int, float} <= set(map(type, values)):
        return None  # the reader tells how many numbers of a column become floats
    truths = _truths(values, levels=levels, parts=parts)
    if truths is None:
        return None
    import pyarrow as pa

    try:
        dtype = _sorted(pa.infer_type(values, from_pandas=True))
        array = None if dtype is None else pa.array(values, type=dtype, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    if not isinstance(array, pa.Array) or (truths and _truths_in(array) < truths):
        return None  # Arrow takes True beside 1.5 for 1.0
    return pl.Series(name, pl.from_arrow(array))


def _truths(values: Sequence[object], *, levels: int, parts: int) -> int | None:
    """Count the booleans; None if a value is too deep or too large, or not made of builtin types."""
    level: Sequence[Any] = values
    truths, most, largest = 0, 1, 1
    for _ in range(levels):
        kinds = list(map(type, level))
        found = set(kinds)
        if not found <= BUILTIN:
            return None
        truths += kinds.count(bool) if bool in found else 0
        dicts, lists = ([], []) if found.isdisjoint((dict, list, tuple)) else _containers(level)
        if not dicts and not lists:
            return truths
        keys = set(chain.from_iterable(dicts))
        largest *= max(map(len, chain(dicts, lists)))
        most += largest
        if len(keys) > KEYS or set(map(type, keys)) - {str} or most > parts:
            return None
        if "\0" in "".join(keys):
            return None  # the name of a field ends there
        members = chain.from_iterable(map(dict.values, dicts))
        level = list(chain(members, chain.from_iterable(lists)))
    return None


def _containers(level: Sequence[Any]) -> tuple[list[dict[str, Any]], list[Sequence[Any]]]:
    dicts: list[dict[str, Any]] = [value for value in level if type(value) is dict]
    lists: list[Sequence[Any]] = [
        value for value in level if type(value) is list or type(value) is tuple
    ]
    return dicts, lists


def _truths_in(array: "pa.Array") -> int:
    """Count the booleans of an array, whatever they are nested in."""
    import pyarrow as pa

    if pa.types.is_boolean(array.type):
        return len(array) - int(array.null_count)
    if pa.types.is_large_list(array.type):
        return _truths_in(array.flatten())
    return sum(map(_truths_in, array.flatten())) if pa.types.is_struct(array.type) else 0


def _sorted(dtype: "pa.DataType") -> "pa.DataType | None":
    """Return a type with the members of structs in order; None if it is not one of JSON's."""
    import pyarrow as pa

    if pa.types.is_list(dtype):
        inner = _sorted(dtype.value_type)
        return None if inner is None else pa.large_list(inner)
    if pa.types.is_struct(dtype):
        fields = (dtype.field(place) for place in range(dtype.num_fields))
        members = {field.name: _sorted(field.type) for field in fields}
        if not members or None in members.values():
            return None
        return pa.struct(sorted(members.items()))
    plain = (pa.null(), pa.bool_(), pa.int64(), pa.float64(), pa.string())
    return dtype if dtype in plain else None
