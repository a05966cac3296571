"""Convert values to text, as identifiers, names and form fields need it."""

import polars as pl

from cio_frames.values.dtypes import has_text
from cio_frames.values.instants import instant, iso

LARGEST_INTEGER = 2**53
"""Doubles keep integers exactly up to this size."""

MOST_DIGITS = 15
"""Doubles keep decimals of up to so many digits exactly."""

SAMPLE, FEW = 1_000, 100


def few_texts(column: pl.Series) -> pl.Series | None:
    """Return the distinct texts of a long column whose first rows have few; None for all others.

    A test of them need not read each of millions of rows.

    Examples:
        >>> few_texts(pl.Series("c", ["EUR", "USD"] * 6_000)).sort().to_list()
        ['EUR', 'USD']
        >>> few_texts(pl.Series("c", range(10_000))) is None
        True
    """
    is_long = column.dtype == pl.String and len(column) > SAMPLE * FEW // 10
    return column.unique() if is_long and column.head(SAMPLE).n_unique() <= FEW else None


def as_text(values: pl.Expr, *, dtype: pl.DataType, timezone: str | None = None) -> pl.Expr:
    """Return values as text, null if the type has no text form.

    Whole numbers are written without a point, so that `123.0` is `123`; checks decide whether this is
    allowed for an identifier.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"id": [123.0, 0.5, None]})
        >>> frame.select(as_text(pl.col("id"), dtype=pl.Float64()))["id"].to_list()
        ['123', '0.5', None]
    """
    if isinstance(dtype, pl.Datetime):
        return iso(instant(values, dtype=dtype, timezone=timezone))
    if dtype.is_float():
        return _from_float(values)
    if isinstance(dtype, pl.Decimal):
        return decimal_text(values)
    if dtype in (pl.Time, pl.Duration):
        return values.dt.to_string("iso")
    if has_text(dtype):
        return values.cast(pl.String)
    return pl.lit(None, pl.String)


def exact_as_double(values: pl.Expr, *, dtype: pl.DataType) -> pl.Expr:
    """Return a boolean expression: True where a double keeps all digits of an integer or decimal."""
    if isinstance(dtype, pl.Decimal):
        digits = decimal_text(values).str.replace_all(r"[-.]", "").str.strip_chars_start("0")
        return digits.str.len_bytes() <= MOST_DIGITS
    exact = values <= LARGEST_INTEGER
    return exact & (values >= -LARGEST_INTEGER) if dtype.is_signed_integer() else exact


def decimal_text(values: pl.Expr) -> pl.Expr:
    """Return decimals without trailing zeros, so that the scale of the column does not show."""
    text = values.cast(pl.String)
    trimmed = text.str.strip_chars_end("0").str.strip_suffix(".")
    return pl.when(text.str.contains(".", literal=True)).then(trimmed).otherwise(text)


def json_text(values: pl.Expr) -> pl.Expr:
    """Return texts as JSON strings, quotes included."""
    return pl.struct(values.alias("")).struct.json_encode().str.slice(len('{"":')).str.head(-1)


def _from_float(values: pl.Expr) -> pl.Expr:
    integers = values.cast(pl.Int128, strict=False)
    is_integer = integers.cast(pl.Float64) == values.cast(pl.Float64)
    text = pl.when(is_integer).then(integers.cast(pl.String)).otherwise(values.cast(pl.String))
    return pl.when(values.is_finite()).then(text)
