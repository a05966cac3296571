"""Types of columns, and which of them have a text form."""

import polars as pl
from polars.datatypes import DataTypeClass


def has_text(dtype: pl.DataType) -> bool:
    """Return whether each value of a type can be written as one text."""
    texts = (pl.String, pl.Boolean, pl.Categorical)
    return dtype.is_numeric() or dtype.is_temporal() or dtype in texts or isinstance(dtype, pl.Enum)


def instance_of(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    """Return a type as an instance, also if it is a class.

    Examples:
        >>> instance_of(pl.List(pl.Int8).inner)
        Int8
    """
    return dtype() if isinstance(dtype, type) else dtype
