"""Times in other formats than ISO 8601, recognised by their form and by the whole column."""

from functools import partial

import polars as pl

from cio_frames.checks.check import (
    Check,
    ExprFunction,
    Repair,
    RowTest,
    Scope,
    Suspect,
    TableTest,
    by_value,
    column_findings,
    failing_cells,
    summed,
)
from cio_frames.checks.fields import is_number, is_text
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.values import EPOCH_UNITS, epoch_unit, instant, iso

SLASHED = (
    r"^(\d{1,2})[/.\-](\d{1,2})[/.\-]((?:19|20)\d{2})"
    r"(?:,?[\sT]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3})\d*)?)?(?:\s*([AaPp])\.?[Mm]\.?|\s*Uhr)?)?$"
)
"""Day, month, year, hour, minute, second, its fraction, and the half of the day."""
SERIAL = r"^[2-7]\d{4}(?:\.\d+)?$"
COMPACT = r"^(?:19|20)\d{6}$"
EPOCH = r"^-?\d{9,19}(?:\.\d+)?$"
SERIAL_DAYS = (29_221, 73_051)
COMPACT_DAYS = (19_000_101, 21_001_231)
DAY_MS = 86_400_000
UNIX_DAY = 25_569
HOURS, MINUTES, NOON = 24, 60, 12


def is_other_format(field: FieldMapping) -> pl.Expr:
    """Return a boolean expression: True where a check of this module recognises a time."""
    if is_text(field):
        values = _not_iso(field)
        return _is_slashed(values) | _is_serial(values) | _is_compact(values) | _is_epoch(values)
    if is_number(field):
        return _is_serial_number(pl.col(field.name)) | _is_compact_number(pl.col(field.name))
    return pl.lit(value=False)


def _text(values: pl.Expr) -> pl.Expr:
    return values.cast(pl.String).str.strip_chars()


def _not_iso(field: FieldMapping) -> pl.Expr:
    """Return the texts of a field that cannot be read as a point in time."""
    return _text(pl.when(pl.col(field.utc_column).is_null()).then(pl.col(field.name)))


def _from_parts(*, day: int, month: int) -> pl.Expr:
    """Return the datetime of the parts of a date in a given order, null if it does not exist."""
    year, months, days = (pl.field(f"{group}").str.zfill(2) for group in (3, month, day))
    hour, minute, second = (pl.field(f"{group}").cast(pl.Int64).fill_null(0) for group in (4, 5, 6))
    date = pl.format("{}-{}-{}", year, months, days).str.to_date("%Y-%m-%d", strict=False)
    fraction = pl.field("7").str.pad_end(3, "0").cast(pl.Int64).fill_null(0)
    half = pl.field("8").str.to_lowercase()
    hour = (
        pl.when(half.is_null()).then(hour)
        .when(hour.is_between(1, NOON)).then(hour % NOON + pl.when(half == "p").then(NOON).otherwise(0))
    )  # fmt: skip
    clock = (hour < HOURS) & (minute < MINUTES) & (second < MINUTES)
    moment = date.cast(pl.Datetime("ms")) + pl.duration(
        hours=hour, minutes=minute, seconds=second, milliseconds=fraction
    )
    return pl.when(clock).then(moment)


DAY_FIRST, MONTH_FIRST = _from_parts(day=1, month=2), _from_parts(day=2, month=1)


def _over_parts(values: pl.Expr, result: pl.Expr) -> pl.Expr:
    """Return the result of an expression over the parts of each date, which are extracted once."""
    parts = values.str.extract_groups(SLASHED)
    return parts.struct.with_fields(result.alias("result")).struct.field("result")


def _is_slashed(values: pl.Expr) -> pl.Expr:
    return _over_parts(values, DAY_FIRST.is_not_null() | MONTH_FIRST.is_not_null())


def _is_serial(values: pl.Expr) -> pl.Expr:
    return values.str.contains(SERIAL) & _is_serial_number(values.cast(pl.Float64, strict=False))


def _is_serial_number(values: pl.Expr) -> pl.Expr:
    return (values >= SERIAL_DAYS[0]) & (values < SERIAL_DAYS[1])


def _is_compact(values: pl.Expr) -> pl.Expr:
    return values.str.contains(COMPACT) & values.str.to_date("%Y%m%d", strict=False).is_not_null()


def _is_compact_number(values: pl.Expr) -> pl.Expr:
    inside = (values >= COMPACT_DAYS[0]) & (values <= COMPACT_DAYS[1])
    return inside & _compact_day(values).is_not_null()


def _compact_day(values: pl.Expr) -> pl.Expr:
    whole = values.cast(pl.Int64, strict=False).cast(pl.String)
    return whole.str.to_date("%Y%m%d", strict=False)


def _is_epoch(values: pl.Expr) -> pl.Expr:
    number = values.cast(pl.Float64, strict=False)
    return values.str.contains(EPOCH) & (number.abs() >= EPOCH_UNITS[-1].least)


def _format_test(of_text: ExprFunction, of_number: ExprFunction | None = None) -> RowTest:
    def fails(field: FieldMapping, _: Scope) -> pl.Expr | None:
        if not field.is_time:
            return None
        if is_text(field):
            return of_text(_not_iso(field))
        return of_number(pl.col(field.name)) if is_number(field) and of_number else None

    return by_value(fails)


def _as_iso(moments: pl.Expr) -> pl.Expr:
    return moments.dt.strftime("%Y-%m-%dT%H:%M:%S%.3f")


def _from_serial(days: pl.Expr) -> pl.Expr:
    ms = ((days.cast(pl.Float64, strict=False) - UNIX_DAY) * DAY_MS).round().cast(pl.Int64)
    return ms.cast(pl.Datetime("ms"))


def _from_epoch(values: pl.Expr) -> pl.Expr:
    seconds = values.cast(pl.Float64, strict=False)
    whole = values.cast(pl.Int64, strict=False)
    moment = instant(whole, dtype=pl.Int64())
    return iso(pl.coalesce(moment, instant(seconds, dtype=pl.Float64())))


def _repair(
    matches: ExprFunction,
    rewrite: ExprFunction,
    *,
    matches_number: ExprFunction | None = None,
    from_number: ExprFunction | None = None,
) -> Repair:
    def change(field: FieldMapping, _: MessageMapping) -> pl.Expr | None:
        if not field.is_time:
            return None
        if is_text(field):
            values = _text(field.expr)
            text = field.expr.cast(pl.String)
            return pl.when(matches(values)).then(rewrite(values)).otherwise(text)
        if matches_number is None or from_number is None or not field.dtype.is_numeric():
            return None
        number = field.expr
        ms = from_number(number).dt.epoch("ms").cast(pl.Float64)
        return pl.when(matches_number(number)).then(ms).otherwise(number.cast(pl.Float64))

    return Repair(change, safe=False)


def _count_orders(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count the dates that can be read only with the day first, only with the month first, or both ways."""
    queries = []
    for field in scope.mapping.fields:
        if field.is_time and is_text(field):
            unread = rows.filter(pl.col(field.utc_column).is_null())
            slashed = unread.select(value=_text(pl.col(field.name))).filter(
                pl.col("value").str.contains(SLASHED)
            )
            both = pl.struct(day=DAY_FIRST.is_not_null(), month=MONTH_FIRST.is_not_null())
            day, month = pl.col("day"), pl.col("month")
            queries.append(
                slashed.select(_over_parts(pl.col("value"), both).alias("read"))
                .unnest("read")
                .select(
                    pl.lit(field.name).alias("field"),
                    (day & ~month).sum().alias("day"),
                    (month & ~day).sum().alias("month"),
                    (day & month).sum().alias("either"),
                )
            )
    return pl.concat(queries) if queries else None


def _order(day: int, month: int) -> str:
    return "day" if day and not month else "month" if month and not day else "open"


def _by_order(
    aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope, *, order: str
) -> pl.DataFrame:
    """Return the dates of the columns in which the order of day and month is `order`."""
    fields = {field.name: field for field in scope.mapping.fields}
    suspects = []
    counts = aggregated.group_by("field", maintain_order=True).agg(pl.all().sum())
    for name, day, month, either in counts.rows():
        if day + month + either and _order(day, month) == order:
            evidence = (
                f"{day:,} of the dates can only be read day first, {month:,} only month first, "
                f"and {either:,} either way."
            )
            value = pl.col(name).cast(pl.String)
            fails = _is_slashed(_text(value))
            label = fields[name].label
            suspects.append(Suspect(column=label, fails=fails, value=value, evidence=evidence))
    return failing_cells(rows, suspects)


def _count_units(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count the numbers of each column by their unit."""
    queries = []
    for field in scope.mapping.fields:
        if field.is_time and is_number(field):
            values = pl.col(field.name)
            queries.append(
                rows.select(values.alias("value"))
                .filter(~_is_serial_number(pl.col("value")) & ~_is_compact_number(pl.col("value")))
                .group_by(epoch_unit(pl.col("value")).alias("unit"))
                .agg(pl.len().alias("rows"), pl.col("value").first().cast(pl.String))
                .select(pl.lit(field.label).alias("column"), "unit", "rows", "value")
            )
    return pl.concat(queries) if queries else None


def _summed_units(aggregated: pl.DataFrame) -> pl.DataFrame:
    return aggregated.group_by("column", "unit", maintain_order=True).agg(
        pl.col("rows").sum(), pl.col("value").first()
    )


def _mixed_unit_findings(
    aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope
) -> pl.DataFrame:
    counted = (
        _summed_units(aggregated).drop_nulls("unit").sort("rows", "unit", descending=[True, False])
    )
    return column_findings(
        (
            str(column),
            ", ".join(f"{n:,} in {unit} (such as {value})" for _, unit, n, value in units.rows())
            + ".",
        )
        for (column,), units in counted.group_by("column", maintain_order=True)
        if units.height > 1
    )


TIME_FORMAT_CHECKS = (
    Check(
        "time.day-first", "reject", TableTest(_count_orders, partial(_by_order, order="day"), summed("field")),
        source="reliability 3.5 (89); reference 1.6",
        repair=_repair(_is_slashed, lambda v: _as_iso(_over_parts(v, DAY_FIRST))),
    ),
    Check(
        "time.month-first", "reject", TableTest(_count_orders, partial(_by_order, order="month"), summed("field")),
        source="reliability 3.5 (89); reference 1.6",
        repair=_repair(_is_slashed, lambda v: _as_iso(_over_parts(v, MONTH_FIRST))),
    ),
    Check(
        "time.day-or-month", "reject", TableTest(_count_orders, partial(_by_order, order="open"), summed("field")),
        source="reliability 3.5 (89)",
    ),
    Check(
        "time.excel-serial", "reject", _format_test(_is_serial, _is_serial_number),
        source="reliability 3.5 (87)",
        repair=_repair(
            _is_serial, lambda v: _as_iso(_from_serial(v)), matches_number=_is_serial_number, from_number=_from_serial
        ),
    ),
    Check(
        "time.compact", "reject", _format_test(_is_compact, _is_compact_number),
        source="reliability 3.5 (88)",
        repair=_repair(
            _is_compact, lambda v: v.str.to_date("%Y%m%d", strict=False).dt.strftime("%Y-%m-%d"),
            matches_number=_is_compact_number, from_number=lambda v: _compact_day(v).cast(pl.Datetime("ms")),
        ),
    ),
    Check(
        "time.epoch-text", "reject", _format_test(_is_epoch),
        source="reference 1.6; reliability 3.5 (82-85)",
        repair=_repair(_is_epoch, _from_epoch),
    ),
    Check("time.epoch-mixed", "refuse", TableTest(_count_units, _mixed_unit_findings, _summed_units), source="reliability 3.5 (82-85)"),
)  # fmt: skip
