"""Points in time: from whatever a column holds to UTC milliseconds."""

from dataclasses import dataclass

import polars as pl

UTC_MS = pl.Datetime("ms", "UTC")
ISO = "%Y-%m-%dT%H:%M:%S%.3fZ"

_OFFSET = r"(?:[Zz]| UTC|\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)? ?[+-]\d{2}(?::?\d{2})?)$"
_TIMES = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}"
_DATES = r"^\d{4}-\d{2}-\d{2}$"
_LEAP_SECOND = r":\d{2}:6\d"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochUnit:
    """The unit a bare number is read in, by its size.

    Attributes:
        name: Name of the unit.
        least: Smallest magnitude read in this unit.
        per_ms: How many of it make a millisecond; below 1 for seconds.
    """

    name: str
    least: int
    per_ms: float


EPOCH_UNITS = (
    EpochUnit(name="ns", least=10**17, per_ms=1e6),
    EpochUnit(name="us", least=10**14, per_ms=1e3),
    EpochUnit(name="ms", least=10**11, per_ms=1),
    EpochUnit(name="s", least=10**8, per_ms=1e-3),
)
"""Seconds from 1973, milliseconds from 1973, and so on: no unit's years overlap another's."""


def instant(values: pl.Expr, *, dtype: pl.DataType, timezone: str | None = None) -> pl.Expr:
    """Return points in time as UTC milliseconds, null where a value cannot be read as one.

    Args:
        values: The column.
        dtype: Its type.
        timezone: Zone of values that carry none; UTC when not given. A local time that a
            change of clocks skips or repeats is null.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"t": ["2024-01-02T03:04:05+02:00", "soon"]})
        >>> frame.select(instant(pl.col("t"), dtype=pl.String()))["t"].to_list()
        [datetime.datetime(2024, 1, 2, 1, 4, 5, tzinfo=zoneinfo.ZoneInfo(key='UTC')), None]
    """
    if isinstance(dtype, pl.Datetime):
        return _from_datetime(values, zone=dtype.time_zone, timezone=timezone)
    if dtype == pl.Date:
        return _localised(values.cast(pl.Datetime("ms")), timezone=timezone)
    if dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum):
        return _from_text(values.cast(pl.String), timezone=timezone)
    if dtype.is_integer():
        return _from_epoch(values.cast(pl.Int64, strict=False))
    if dtype.is_float():
        seconds = values.is_between(10**8, 10**11, closed="left")
        whole = pl.when(seconds).then(values * 1000).otherwise(values)
        return _from_epoch(whole.cast(pl.Int64, strict=False))
    return values.is_null().replace_strict({True: None, False: None}, return_dtype=UTC_MS)


def iso(instants: pl.Expr) -> pl.Expr:
    """Return UTC milliseconds as the text that goes over the wire (reference 1.6)."""
    return instants.dt.strftime(ISO)


def epoch_unit(values: pl.Expr) -> pl.Expr:
    """Return the name of the unit each number is read in, null where it is too small."""
    size = values.abs()
    name = pl.lit(None, pl.String)
    for unit in reversed(EPOCH_UNITS):
        name = pl.when(size >= unit.least).then(pl.lit(unit.name)).otherwise(name)
    return name


def has_zone(values: pl.Expr) -> pl.Expr:
    """Tell of each text whether it ends in an offset or in Z."""
    return values.str.contains(_OFFSET)


def is_date_only(values: pl.Expr) -> pl.Expr:
    """Tell of each text whether it is a date without a time."""
    return values.str.contains(_DATES)


def _from_datetime(values: pl.Expr, *, zone: str | None, timezone: str | None) -> pl.Expr:
    if zone is None:
        return _localised(values, timezone=timezone)
    return values.dt.convert_time_zone("UTC").dt.cast_time_unit("ms")


def _localised(values: pl.Expr, *, timezone: str | None) -> pl.Expr:
    local = values.dt.cast_time_unit("ms").dt.replace_time_zone(
        timezone or "UTC", ambiguous="null", non_existent="null"
    )
    return local.dt.convert_time_zone("UTC")


def _from_text(values: pl.Expr, *, timezone: str | None) -> pl.Expr:
    text = values.str.strip_chars()
    readable = text.str.contains(_TIMES) & ~text.str.contains(_LEAP_SECOND)
    shaped = pl.when(readable).then(text.str.replace(r"[Tt ]", "T"))
    zoned = pl.when(has_zone(shaped)).then(shaped.str.replace(r"(?:[Zz]| UTC)$", "+00:00"))
    local = pl.when(~has_zone(shaped)).then(shaped)
    naive = pl.coalesce(
        local.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False),
        local.str.to_datetime("%Y-%m-%dT%H:%M", time_unit="us", strict=False),
        pl.when(is_date_only(text))
        .then(text)
        .str.to_datetime("%Y-%m-%d", time_unit="us", strict=False),
    )
    aware = pl.coalesce(
        zoned.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False),
        zoned.str.to_datetime("%Y-%m-%dT%H:%M%#z", time_unit="us", strict=False),
    )
    return pl.coalesce(
        aware.dt.convert_time_zone("UTC").dt.cast_time_unit("ms"),
        _localised(naive, timezone=timezone),
    )


def _from_epoch(values: pl.Expr) -> pl.Expr:
    size = values.abs()
    instants = pl.lit(None, pl.Int64)
    for unit in reversed(EPOCH_UNITS):
        scaled = values // int(unit.per_ms) if unit.per_ms >= 1 else values * round(1 / unit.per_ms)
        instants = pl.when(size >= unit.least).then(scaled).otherwise(instants)
    return instants.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
