"""Types of columns: which have a text of their own, and what they hold."""

import polars as pl
from polars.datatypes import DataTypeClass


def has_text(dtype: pl.DataType) -> bool:
    """Return whether values of a type can be written as one text."""
    return (
        dtype.is_numeric() or dtype.is_temporal() or dtype in _TEXTS or isinstance(dtype, pl.Enum)
    )


def instance_of(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    """Return a type as an object, also where it was given as a class.

    Examples:
        >>> instance_of(pl.List(pl.Int8).inner)
        Int8
    """
    return dtype() if isinstance(dtype, type) else dtype


_TEXTS = (pl.String, pl.Boolean, pl.Categorical)
