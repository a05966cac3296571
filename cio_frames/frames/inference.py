"""Let Arrow infer a column of Python values, if the result is the same as converting each value."""

import sys
from collections.abc import Sequence
from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING, Any

import polars as pl

from cio_frames.frames.python_values import LEVELS_MAX, PARTS_MAX

if TYPE_CHECKING:
    import pyarrow as pa

STRUCT_KEYS_MAX = 100  # with more keys in all, dictionaries are JSON, not structs
BUILTIN = frozenset({NoneType, bool, int, float, str, list, tuple, dict})


def infer_column(name: str, values: Sequence[object]) -> pl.Series | None:
    """Return the column if all values consist of builtin types, and one type keeps them exactly."""
    if "pandas" not in sys.modules:
        return None  # pyarrow would load it; without it, columns of Python objects are rare
    if {int, float} <= set(map(type, values)):
        return None  # these become floats, and a note counts them
    booleans = _count_booleans(values)
    if booleans is None:
        return None
    import pyarrow as pa

    try:
        dtype = _with_sorted_members(pa.infer_type(values, from_pandas=True))
        array = None if dtype is None else pa.array(values, type=dtype, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    if not isinstance(array, pa.Array) or (booleans and _booleans_in(array) < booleans):
        return None  # next to 1.5, Arrow turns True into 1.0
    return pl.Series(name, pl.from_arrow(array))


def _count_booleans(values: Sequence[object]) -> int | None:
    """Count the booleans; None if a value is too deep or too large, or not of builtin types."""
    level: Sequence[Any] = values
    booleans, parts_max, largest = 0, 1, 1
    for _ in range(LEVELS_MAX):
        types = list(map(type, level))
        distinct = set(types)
        if not distinct <= BUILTIN:
            return None
        booleans += types.count(bool) if bool in distinct else 0
        has_containers = not distinct.isdisjoint((dict, list, tuple))
        dicts, lists = _containers(level) if has_containers else ([], [])
        if not dicts and not lists:
            return booleans
        keys = set(chain.from_iterable(dicts))
        largest *= max(map(len, chain(dicts, lists)))
        parts_max += largest
        if len(keys) > STRUCT_KEYS_MAX or set(map(type, keys)) - {str} or parts_max > PARTS_MAX:
            return None
        if "\0" in "".join(keys):
            return None  # Arrow would cut the name of the field there
        members = chain.from_iterable(map(dict.values, dicts))
        level = list(chain(members, chain.from_iterable(lists)))
    return None


def _containers(level: Sequence[Any]) -> tuple[list[dict[str, Any]], list[Sequence[Any]]]:
    dicts: list[dict[str, Any]] = [value for value in level if type(value) is dict]
    lists: list[Sequence[Any]] = [
        value for value in level if type(value) is list or type(value) is tuple
    ]
    return dicts, lists


def _booleans_in(array: "pa.Array") -> int:
    """Count the booleans of an array, nested ones included."""
    import pyarrow as pa

    if pa.types.is_boolean(array.type):
        return len(array) - int(array.null_count)
    if pa.types.is_large_list(array.type):
        return _booleans_in(array.flatten())
    return sum(map(_booleans_in, array.flatten())) if pa.types.is_struct(array.type) else 0


def _with_sorted_members(dtype: "pa.DataType") -> "pa.DataType | None":
    """Return a type with sorted members of structs; None if JSON has no such type."""
    import pyarrow as pa

    if pa.types.is_list(dtype):
        inner = _with_sorted_members(dtype.value_type)
        return None if inner is None else pa.large_list(inner)
    if pa.types.is_struct(dtype):
        fields = (dtype.field(place) for place in range(dtype.num_fields))
        members = {field.name: _with_sorted_members(field.type) for field in fields}
        if not members or None in members.values():
            return None
        return pa.struct(sorted(members.items()))
    scalars = (pa.null(), pa.bool_(), pa.int64(), pa.float64(), pa.string())
    return dtype if dtype in scalars else None
