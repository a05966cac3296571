"""The different texts of a column that has few, so that a test need not read each of millions of rows."""

import polars as pl

SAMPLE, MOST = 1_000, 100


def few_texts(column: pl.Series) -> pl.Series | None:
    """Return the different texts of a column whose first rows have few; None of all others.

    Examples:
        >>> few_texts(pl.Series("c", ["EUR", "USD"] * 6_000)).sort().to_list()
        ['EUR', 'USD']
        >>> few_texts(pl.Series("c", range(10_000))) is None
        True
    """
    is_long = column.dtype == pl.String and len(column) > SAMPLE * MOST // 10
    return column.unique() if is_long and column.head(SAMPLE).n_unique() <= MOST else None
