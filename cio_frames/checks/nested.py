"""What lies inside a value: all the text of lists and structs."""

import polars as pl

from cio_frames.mapping import FieldMapping
from cio_frames.values import anywhere, as_text, instance_of

TEXTS = (pl.String, pl.Categorical)
SEPARATOR = " | "
UNUSUAL = r"[^ -~]|[<&{\[]|^\s*[=+\-@]|^\s|\s$"
"""Found in texts with a character that could be part of what checks look for: not in plain words and
numbers."""


def holding(pattern: str, *, values: pl.Expr, dtype: pl.DataType) -> list[pl.Expr]:
    """Tell of each value whether a pattern is found in a text of it; nothing for types without."""

    def test(part: pl.Expr, kind: pl.DataType) -> pl.Expr | None:
        is_text = isinstance(kind, (pl.String, pl.Categorical, pl.Enum))
        return part.cast(pl.String).str.contains(pattern) if is_text else None

    found = anywhere(values, dtype=dtype, test=test)
    return [] if found is None else [found]


def text_of(slot: FieldMapping) -> pl.Expr | None:
    """Return all the text in each value of a slot as one, or None where its type has none."""
    return _joined(pl.col(slot.name), slot.dtype)


def number_text(slot: FieldMapping) -> pl.Expr | None:
    """Return each number of a slot as text, or None where its type holds no numbers."""
    numeric = slot.dtype.is_numeric()
    return as_text(pl.col(slot.name), dtype=slot.dtype) if numeric else None


def _joined(values: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    match dtype:
        case pl.String():
            return values
        case pl.Categorical() | pl.Enum():
            return values.cast(pl.String)
        case pl.List() | pl.Array():
            items = values.arr.to_list() if isinstance(dtype, pl.Array) else values
            inner = instance_of(dtype.inner)
            found = _joined(pl.element(), inner)
            if found is None:
                return None
            words = items if inner == pl.String else items.list.eval(found)
            return words.list.join(SEPARATOR, ignore_nulls=True)
        case pl.Struct():
            inside = [
                _joined(values.struct.field(part.name), instance_of(part.dtype))
                for part in dtype.fields
            ]
            some = [found for found in inside if found is not None]
            return pl.concat_str(some, separator=SEPARATOR, ignore_nulls=True) if some else None
        case _:
            return None
