"""Points in time: from whatever a column holds to UTC milliseconds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import polars as pl

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

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

    Values without a zone are read in `timezone`, else as UTC; a local time that a change of clocks
    skips or repeats is null.

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
    if _is_text(dtype):
        return _from_text(values, timezone=timezone)
    if dtype.is_integer():
        return _from_epoch(values.cast(pl.Int64, strict=False))
    if dtype.is_float():
        seconds = values.is_between(10**8, 10**11, closed="left")
        whole = pl.when(seconds).then(values * 1000).otherwise(values)
        return _from_epoch(whole.cast(pl.Int64, strict=False))
    return values.is_null().replace_strict({True: None, False: None}, return_dtype=UTC_MS)


def with_instant(
    frame: Frame,
    column: str,
    *,
    name: str,
    skipped: str,
    dtype: pl.DataType,
    timezone: str | None = None,
) -> Frame:
    """Return the frame with what `instant` says of a column beside it, and why it says nothing.

    The engine computes an expression again wherever it stands in another one. A text takes several
    steps, so each of them is a column here until all are done.

    Args:
        frame: The rows.
        column: The column that holds times.
        name: Name of the new column. Names that begin with it and a colon must be free.
        skipped: Name of a column that tells of each local time whether a change of clocks skips or
            repeats it.
        dtype: Type of `column`.
        timezone: Zone of values that carry none; UTC when not given.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"t": ["2024-01-02T03:04:05Z"]})
        >>> with_instant(frame, "t", name="at", skipped="lost", dtype=pl.String()).row(0)[1:]
        (datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=zoneinfo.ZoneInfo(key='UTC')), False)
    """
    values = pl.col(column)
    if not _is_text(dtype):
        read = frame.with_columns(instant(values, dtype=dtype, timezone=timezone).alias(name))
        return read.with_columns(_skipped(instant(values, dtype=dtype), at=name).alias(skipped))
    found = {"values": values.cast(pl.String)}
    for step, made in _TEXT_STEPS.items():
        frame = frame.with_columns(made(found).alias(f"{name}:{step}"))
        found[step] = pl.col(f"{name}:{step}")
    read = frame.with_columns(_read(found, timezone=timezone).alias(name))
    read = read.with_columns(_skipped(found["naive"], at=name).alias(skipped))
    return read.drop(f"{name}:{step}" for step in _TEXT_STEPS)


def _skipped(somewhere: pl.Expr, *, at: str) -> pl.Expr:
    """Return an expression: true where a value is a moment in another zone, and none in its own."""
    return somewhere.is_not_null() & pl.col(at).is_null()


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
    """Return an expression: true where a text ends in an offset or in Z."""
    return values.str.contains(_OFFSET)


def is_date_only(values: pl.Expr) -> pl.Expr:
    """Return an expression: true where a text is a date without a time."""
    return values.str.contains(_DATES)


def _is_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum)


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
    found = {"values": values.cast(pl.String)}
    for name, step in _TEXT_STEPS.items():
        found[name] = step(found)
    return _read(found, timezone=timezone)


def _read(found: Mapping[str, pl.Expr], *, timezone: str | None) -> pl.Expr:
    """Return the moments of texts that went through all the steps."""
    aware = found["aware"].dt.convert_time_zone("UTC").dt.cast_time_unit("ms")
    return pl.coalesce(aware, _localised(found["naive"], timezone=timezone))


def _shaped(found: Mapping[str, pl.Expr]) -> pl.Expr:
    text = found["text"]
    is_time = text.str.contains(_TIMES) & ~text.str.contains(_LEAP_SECOND)
    return pl.when(is_time).then(text.str.replace(r"[Tt ]", "T"))


def _aware(found: Mapping[str, pl.Expr]) -> pl.Expr:
    zoned = found["zoned"]
    rest = found["has_seconds"] & found["rfc_3339"].is_null()
    return pl.coalesce(
        found["rfc_3339"],
        _parsed(pl.when(rest).then(zoned), "%Y-%m-%dT%H:%M:%S%.f%#z"),
        _parsed(pl.when(~found["has_seconds"]).then(zoned), "%Y-%m-%dT%H:%M%#z"),
    )


def _naive(found: Mapping[str, pl.Expr]) -> pl.Expr:
    local = pl.when(~found["is_zoned"]).then(found["shaped"])
    has_fraction = local.str.len_bytes() > _TO_SECONDS
    to_seconds = found["has_seconds"] & ~has_fraction
    text = found["text"]
    return pl.coalesce(
        _parsed(pl.when(to_seconds).then(local), "%Y-%m-%dT%H:%M:%S"),  # ten times as fast
        _parsed(pl.when(found["has_seconds"] & has_fraction).then(local), "%Y-%m-%dT%H:%M:%S%.f"),
        _parsed(pl.when(~found["has_seconds"]).then(local), "%Y-%m-%dT%H:%M"),
        _parsed(pl.when(is_date_only(text)).then(text), "%Y-%m-%d"),
    )


def _parsed(texts: pl.Expr, form: str) -> pl.Expr:
    return texts.str.to_datetime(form, time_unit="us", strict=False)


_TO_SECONDS = len("2026-01-31T12:00:00")
_TEXT_STEPS: Mapping[str, Callable[[Mapping[str, pl.Expr]], pl.Expr]] = MappingProxyType(
    {
        "text": lambda found: found["values"].str.strip_chars(),
        "shaped": _shaped,
        "is_zoned": lambda found: has_zone(found["shaped"]),
        "has_seconds": lambda found: found["shaped"].str.slice(16, 1) == ":",
        "zoned": lambda found: (
            pl.when(found["is_zoned"])
            .then(found["shaped"])
            .str.replace(r"(?:[Zz]| UTC)$", "+00:00")
        ),
        "rfc_3339": lambda found: _parsed(pl.when(found["has_seconds"]).then(found["zoned"]), "%+"),
        "aware": _aware,
        "naive": _naive,
    }
)
"""How a text becomes a moment: each step is made of those before it. Texts that a step is not for
are null in it, which costs the engine nothing."""


def _from_epoch(values: pl.Expr) -> pl.Expr:
    size = values.abs()
    instants = pl.lit(None, pl.Int64)
    for unit in reversed(EPOCH_UNITS):
        scaled = values // int(unit.per_ms) if unit.per_ms >= 1 else values * round(1 / unit.per_ms)
        instants = pl.when(size >= unit.least).then(scaled).otherwise(instants)
    return instants.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
