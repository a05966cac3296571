"""Convert columns of any type to points in time, as UTC milliseconds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TypeVar

import polars as pl

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

UTC_MS = pl.Datetime("ms", "UTC")
ISO = "%Y-%m-%dT%H:%M:%S%.3fZ"

_OFFSET = r"(?:[Zz]| UTC|\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)? ?[+-]\d{2}(?::?\d{2})?)$"
_TIMES = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}"
_DATES = r"^\d{4}-\d{2}-\d{2}$"
_WRITTEN = (
    r"^(?:\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{4}[./]\d{1,2}[./]\d{1,2}"
    r"|(?:[A-Z][a-z]{2,8},? )?(?:\d{1,2}[ -][A-Z][a-z]{2,8}|[A-Z][a-z]{2,8} \d{1,2}),?[ -]\d{4})(?:[ T,]+\d{1,2}:\d{2}.*)?$"
)
_PLAUSIBLE = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC))
_LEAP_SECOND = r":\d{2}:6\d"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochUnit:
    """A unit of numbers that count time since 1970; the size of a number determines its unit.

    Attributes:
        name: Name of the unit.
        least: The smallest absolute value in this unit.
        per_ms: Units in a millisecond; below 1 for seconds.
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
"""All units begin in 1973, so that the sizes of their numbers do not overlap."""


def instant(values: pl.Expr, *, dtype: pl.DataType, timezone: str | None = None) -> pl.Expr:
    """Return points in time as UTC milliseconds, null where a value cannot be read as one.

    Values without a zone are read in `timezone`, else as UTC; local times that a change of clocks
    skips or repeats are null.

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
        milliseconds = pl.when(seconds).then(values * 1000).otherwise(values)
        return _from_epoch(milliseconds.cast(pl.Int64, strict=False))
    return values.is_null().replace_strict({True: None, False: None}, return_dtype=UTC_MS)


def with_instant(
    frame: Frame,
    column: str,
    *,
    name: str,
    ambiguous: str,
    dtype: pl.DataType,
    timezone: str | None = None,
) -> Frame:
    """Return the frame with the `instant` of a column as `name`, and whether it is `ambiguous`.

    Ambiguous are local times that a change of clocks skips or repeats. polars computes an expression
    again for each of its uses; a text takes several steps, so each of them is a temporary column here,
    whose name begins with `name` and a colon.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"t": ["2024-01-02T03:04:05Z"]})
        >>> with_instant(frame, "t", name="at", ambiguous="lost", dtype=pl.String()).row(0)[1:]
        (datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=zoneinfo.ZoneInfo(key='UTC')), False)
    """
    values = pl.col(column)
    if not _is_text(dtype):
        frame = frame.with_columns(instant(values, dtype=dtype, timezone=timezone).alias(name))
        in_utc = instant(values, dtype=dtype)
        return frame.with_columns((in_utc.is_not_null() & pl.col(name).is_null()).alias(ambiguous))
    steps = {"values": values.cast(pl.String)}
    for step, compute in _TEXT_STEPS.items():
        frame = frame.with_columns(compute(steps).alias(f"{name}:{step}"))
        steps[step] = pl.col(f"{name}:{step}")
    frame = frame.with_columns(_instants_of(steps, timezone=timezone).alias(name))
    is_ambiguous = steps["naive"].is_not_null() & pl.col(name).is_null()
    frame = frame.with_columns(is_ambiguous.alias(ambiguous))
    return frame.drop(f"{name}:{step}" for step in _TEXT_STEPS)


def is_time(values: pl.Expr, *, dtype: pl.DataType, counts: bool = False) -> pl.Expr | None:
    """Return a boolean expression: True where a value is a time, also in everyday notation.

    With `counts`, numbers and texts of numbers are times too, if they count the time since 1970, in any
    unit, to a day from 2000 to 2040.

    Returns:
        The expression; None for types without times.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"t": ["2024-01-02T03:04", "12/1/2010 8:26", "20240", "a"]})
        >>> frame.select(is_time(pl.col("t"), dtype=pl.String()))["t"].to_list()
        [True, True, False, False]
    """
    if isinstance(dtype, pl.Datetime | pl.Date):
        return values.is_not_null()
    if dtype.is_numeric():
        return _is_epoch(values) if counts else None
    if not _is_text(dtype):
        return None
    texts = values.cast(pl.String).str.strip_chars()
    is_iso = instant(texts, dtype=pl.String()).is_not_null()
    is_written = is_iso | texts.str.contains(_WRITTEN)
    return is_written | _is_epoch(texts.cast(pl.Float64, strict=False)) if counts else is_written


def _is_epoch(values: pl.Expr) -> pl.Expr:
    instants = _from_epoch(values.cast(pl.Int64, strict=False))
    return instants.is_between(*_PLAUSIBLE).fill_null(value=False)


def iso(instants: pl.Expr) -> pl.Expr:
    """Return UTC milliseconds as ISO 8601 text, as messages have it (reference 1.6)."""
    return instants.dt.strftime(ISO)


def epoch_unit(values: pl.Expr) -> pl.Expr:
    """Return the name of the unit of each number, null where it is too small."""
    size = values.abs()
    name = pl.lit(None, pl.String)
    for unit in reversed(EPOCH_UNITS):
        name = pl.when(size >= unit.least).then(pl.lit(unit.name)).otherwise(name)
    return name


def has_zone(values: pl.Expr) -> pl.Expr:
    """Return a boolean expression: True where a text ends in an offset or in Z."""
    return values.str.contains(_OFFSET)


def is_date_only(values: pl.Expr) -> pl.Expr:
    """Return a boolean expression: True where a text is a date without a time."""
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
    steps = {"values": values.cast(pl.String)}
    for name, compute in _TEXT_STEPS.items():
        steps[name] = compute(steps)
    return _instants_of(steps, timezone=timezone)


def _instants_of(steps: Mapping[str, pl.Expr], *, timezone: str | None) -> pl.Expr:
    """Return the points in time from the steps of texts."""
    aware = steps["aware"].dt.convert_time_zone("UTC").dt.cast_time_unit("ms")
    return pl.coalesce(aware, _localised(steps["naive"], timezone=timezone))


def _iso_text(steps: Mapping[str, pl.Expr]) -> pl.Expr:
    text = steps["text"]
    is_time = text.str.contains(_TIMES) & ~text.str.contains(_LEAP_SECOND)
    return pl.when(is_time).then(text.str.replace(r"[Tt ]", "T"))


def _aware(steps: Mapping[str, pl.Expr]) -> pl.Expr:
    zoned = steps["zoned"]
    rest = steps["has_seconds"] & steps["rfc_3339"].is_null()
    return pl.coalesce(
        steps["rfc_3339"],
        _parsed(pl.when(rest).then(zoned), "%Y-%m-%dT%H:%M:%S%.f%#z"),
        _parsed(pl.when(~steps["has_seconds"]).then(zoned), "%Y-%m-%dT%H:%M%#z"),
    )


def _naive(steps: Mapping[str, pl.Expr]) -> pl.Expr:
    local = pl.when(~steps["is_zoned"]).then(steps["iso_text"])
    has_fraction = local.str.len_bytes() > _SECONDS_BYTES
    to_seconds = steps["has_seconds"] & ~has_fraction
    text = steps["text"]
    return pl.coalesce(
        _parsed(pl.when(to_seconds).then(local), "%Y-%m-%dT%H:%M:%S"),  # ten times as fast
        _parsed(pl.when(steps["has_seconds"] & has_fraction).then(local), "%Y-%m-%dT%H:%M:%S%.f"),
        _parsed(pl.when(~steps["has_seconds"]).then(local), "%Y-%m-%dT%H:%M"),
        _parsed(pl.when(is_date_only(text)).then(text), "%Y-%m-%d"),
    )


def _parsed(texts: pl.Expr, pattern: str) -> pl.Expr:
    return texts.str.to_datetime(pattern, time_unit="us", strict=False)


_SECONDS_BYTES = len("2026-01-31T12:00:00")
_TEXT_STEPS: Mapping[str, Callable[[Mapping[str, pl.Expr]], pl.Expr]] = MappingProxyType(
    {
        "text": lambda steps: steps["values"].str.strip_chars(),
        "iso_text": _iso_text,
        "is_zoned": lambda steps: has_zone(steps["iso_text"]),
        "has_seconds": lambda steps: steps["iso_text"].str.slice(16, 1) == ":",
        "zoned": lambda steps: (
            pl.when(steps["is_zoned"])
            .then(steps["iso_text"])
            .str.replace(r"(?:[Zz]| UTC)$", "+00:00")
        ),
        "rfc_3339": lambda steps: _parsed(pl.when(steps["has_seconds"]).then(steps["zoned"]), "%+"),
        "aware": _aware,
        "naive": _naive,
    }
)
"""The steps from a text to a point in time; each uses earlier ones. A step is null for texts that it
does not apply to, which costs nothing."""


def _from_epoch(values: pl.Expr) -> pl.Expr:
    size = values.abs()
    instants = pl.lit(None, pl.Int64)
    for unit in reversed(EPOCH_UNITS):
        scaled = values // int(unit.per_ms) if unit.per_ms >= 1 else values * round(1 / unit.per_ms)
        instants = pl.when(size >= unit.least).then(scaled).otherwise(instants)
    return instants.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
