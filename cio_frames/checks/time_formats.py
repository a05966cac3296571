"""Times in other forms than ISO 8601: what they are, by how they look and by vote of the column."""

from collections.abc import Callable
from functools import partial

import polars as pl

from cio_frames.checks.check import (
    FOUND_SCHEMA,
    ByTable,
    ByValue,
    Check,
    Repair,
    Scope,
    about,
    found,
    listed,
)
from cio_frames.checks.identifiers import is_text
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.values import EPOCH_UNITS, epoch_unit, instant, iso

SLASHED = (
    r"^(\d{1,2})[/.\-](\d{1,2})[/.\-]((?:19|20)\d{2})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?$"
)
SERIAL = r"^[2-7]\d{4}(?:\.\d+)?$"
COMPACT = r"^(?:19|20)\d{6}$"
EPOCH = r"^-?\d{9,19}(?:\.\d+)?$"
SERIAL_DAYS = (29_221, 73_051)
COMPACT_DAYS = (19_000_101, 21_001_231)
DAY_MS = 86_400_000
UNIX_DAY = 25_569
HOURS, MINUTES = 24, 60


def in_other_form(slot: FieldMapping) -> pl.Expr:
    """Tell of each value of a slot of times whether a check of this module speaks about it."""
    if is_text(slot):
        values = _unread(slot)
        return _is_slashed(values) | _is_serial(values) | _is_compact(values) | _is_epoch(values)
    if slot.dtype.is_integer() or slot.dtype.is_float():
        return _is_serial_number(pl.col(slot.name)) | _is_compact_number(pl.col(slot.name))
    return pl.lit(value=False)


def _text(values: pl.Expr) -> pl.Expr:
    return values.cast(pl.String).str.strip_chars()


def _unread(slot: FieldMapping) -> pl.Expr:
    """Return the texts of a slot that cannot be read as a point in time; no other form can."""
    return _text(pl.when(pl.col(slot.moment).is_null()).then(pl.col(slot.name)))


def _moment(*, day: int, month: int) -> pl.Expr:
    """Return the moment of a date whose parts are in a given order, null where there is none."""
    year, months, days = (pl.field(f"{group}").str.zfill(2) for group in (3, month, day))
    hour, minute, second = (pl.field(f"{group}").cast(pl.Int64).fill_null(0) for group in (4, 5, 6))
    date = pl.format("{}-{}-{}", year, months, days).str.to_date("%Y-%m-%d", strict=False)
    clock = (hour < HOURS) & (minute < MINUTES) & (second < MINUTES)
    moment = date.cast(pl.Datetime("ms")) + pl.duration(hours=hour, minutes=minute, seconds=second)
    return pl.when(clock).then(moment)


DAY_FIRST, MONTH_FIRST = _moment(day=1, month=2), _moment(day=2, month=1)


def _slashed(values: pl.Expr, told: pl.Expr) -> pl.Expr:
    """Return what is told of the parts of each date, which are taken apart once."""
    parts = values.str.extract_groups(SLASHED)
    return parts.struct.with_fields(told.alias("told")).struct.field("told")


def _is_slashed(values: pl.Expr) -> pl.Expr:
    return _slashed(values, DAY_FIRST.is_not_null() | MONTH_FIRST.is_not_null())


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


def _either(
    of_text: Callable[[pl.Expr], pl.Expr], of_number: Callable[[pl.Expr], pl.Expr] | None
) -> ByValue:
    def bad(slot: FieldMapping, _: Scope) -> pl.Expr | None:
        if not slot.is_time:
            return None
        if is_text(slot):
            return of_text(_unread(slot))
        counted = slot.dtype.is_integer() or slot.dtype.is_float()
        return of_number(pl.col(slot.name)) if counted and of_number else None

    return ByValue(fails=bad)


def _written(moments: pl.Expr) -> pl.Expr:
    return moments.dt.strftime("%Y-%m-%dT%H:%M:%S%.3f")


def _from_serial(days: pl.Expr) -> pl.Expr:
    ms = ((days.cast(pl.Float64, strict=False) - UNIX_DAY) * DAY_MS).round().cast(pl.Int64)
    return ms.cast(pl.Datetime("ms"))


def _epoch_written(values: pl.Expr) -> pl.Expr:
    seconds = values.cast(pl.Float64, strict=False)
    whole = values.cast(pl.Int64, strict=False)
    moment = instant(whole, dtype=pl.Int64())
    return iso(pl.coalesce(moment, instant(seconds, dtype=pl.Float64())))


def _rewritten(
    is_form: Callable[[pl.Expr], pl.Expr],
    written: Callable[[pl.Expr], pl.Expr],
    *,
    is_number: Callable[[pl.Expr], pl.Expr] | None = None,
    moment: Callable[[pl.Expr], pl.Expr] | None = None,
) -> Callable[[FieldMapping, MessageMapping], pl.Expr | None]:
    def change(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
        if not slot.is_time:
            return None
        if is_text(slot):
            values = _text(slot.expr)
            text = slot.expr.cast(pl.String)
            return pl.when(is_form(values)).then(written(values)).otherwise(text)
        if is_number is None or moment is None or not slot.dtype.is_numeric():
            return None
        number = slot.expr
        ms = moment(number).dt.epoch("ms").cast(pl.Float64)
        return pl.when(is_number(number)).then(ms).otherwise(number.cast(pl.Float64))

    return change


def _votes(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate how many dates can only be read with the day first, with the month first, or both."""
    queries = []
    for slot in scope.mapping.slots:
        if slot.is_time and is_text(slot):
            unread = rows.filter(pl.col(slot.moment).is_null())
            slashed = unread.select(value=_text(pl.col(slot.name))).filter(
                pl.col("value").str.contains(SLASHED)
            )
            both = pl.struct(day=DAY_FIRST.is_not_null(), month=MONTH_FIRST.is_not_null())
            day, month = pl.col("day"), pl.col("month")
            queries.append(
                slashed.select(_slashed(pl.col("value"), both).alias("read"))
                .unnest("read")
                .select(
                    pl.lit(slot.name).alias("slot"),
                    (day & ~month).sum().alias("day"),
                    (month & ~day).sum().alias("month"),
                    (day & month).sum().alias("either"),
                )
            )
    return pl.concat(queries) if queries else None


def _verdict(day: int, month: int) -> str:
    return "day" if day and not month else "month" if month and not day else "open"


def _voted(
    aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope, *, verdict: str
) -> pl.DataFrame:
    slots = {slot.name: slot for slot in scope.mapping.slots}
    results = [FOUND_SCHEMA.to_frame()]
    counted = aggregated.group_by("slot", maintain_order=True).agg(pl.all().sum())
    for name, day, month, either in counted.rows():
        if day + month + either and _verdict(day, month) == verdict:
            evidence = (
                f"{day:,} of these dates can only have the day first, {month:,} only the month, "
                f"{either:,} could be both."
            )
            value = pl.col(name).cast(pl.String)
            results.append(
                found(
                    rows,
                    _is_slashed(_text(pl.col(name))),
                    column=slots[name].label,
                    value=value,
                    evidence=evidence,
                )
            )
    return pl.concat(results)


def _units(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate in how many units the numbers of a column are."""
    queries = []
    for slot in scope.mapping.slots:
        if slot.is_time and (slot.dtype.is_integer() or slot.dtype.is_float()):
            values = pl.col(slot.name)
            queries.append(
                rows.select(values.alias("value"))
                .filter(~_is_serial_number(pl.col("value")) & ~_is_compact_number(pl.col("value")))
                .group_by(epoch_unit(pl.col("value")).alias("unit"))
                .agg(pl.len().alias("rows"), pl.col("value").first().cast(pl.String))
                .select(pl.lit(slot.label).alias("column"), "unit", "rows", "value")
            )
    return pl.concat(queries) if queries else None


def _mixed_units(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    counted = (
        aggregated.drop_nulls("unit")
        .group_by("column", "unit", maintain_order=True)
        .agg(pl.col("rows").sum(), pl.col("value").first())
        .sort("rows", "unit", descending=[True, False])
    )
    results = []
    for (column,), units in counted.group_by("column", maintain_order=True):
        if units.height > 1:
            told = ", ".join(
                f"{rows:,} in {unit} (such as {value})" for _, unit, rows, value in units.rows()
            )
            results.append(about(str(column), f"{told}."))
    return listed(results)


SERIAL_NOTE = "Days since 1900, as spreadsheets count them; old ones of the Mac count from 1904."

TIME_FORM_CHECKS = (
    Check(
        code="time.day-first", severity="reject",
        test=ByTable(aggregate=_votes, finish=partial(_voted, verdict="day")),
        sentence="{column} is a date with the day first.",
        hint='plan.fix("time.day-first") reads the whole column that way.',
        consequence="Customer.io reads no such dates; pandas would take the month first where it can.",
        source="reliability 3.5 (89); reference 1.6",
        repair=Repair(
            change=_rewritten(_is_slashed, lambda v: _written(_slashed(v, DAY_FIRST))), safe=False,
            sentence="dates are read with the day first",
        ),
    ),
    Check(
        code="time.month-first", severity="reject",
        test=ByTable(aggregate=_votes, finish=partial(_voted, verdict="month")),
        sentence="{column} is a date with the month first.",
        hint='plan.fix("time.month-first") reads the whole column that way.',
        consequence="Customer.io reads no such dates.",
        source="reliability 3.5 (89); reference 1.6",
        repair=Repair(
            change=_rewritten(_is_slashed, lambda v: _written(_slashed(v, MONTH_FIRST))), safe=False,
            sentence="dates are read with the month first",
        ),
    ),
    Check(
        code="time.day-or-month", severity="reject",
        test=ByTable(aggregate=_votes, finish=partial(_voted, verdict="open")),
        sentence="{column} is a date of which the column does not tell whether day or month is first.",
        hint="Parse the column with a format that you know is right.",
        consequence="Read the wrong way, 3 April becomes 4 March.",
        source="reliability 3.5 (89)",
        no_repair_because="the column holds no date, or as many of either kind, that would tell",
    ),
    Check(
        code="time.excel-serial", severity="reject", test=_either(_is_serial, _is_serial_number),
        sentence="{column} looks like a spreadsheet's count of days.",
        hint=f'plan.fix("time.excel-serial") turns it into a date. {SERIAL_NOTE}',
        consequence="It cannot be read as a time; as seconds it would be 1 January 1970.",
        source="reliability 3.5 (87)",
        repair=Repair(
            change=_rewritten(
                _is_serial, lambda v: _written(_from_serial(v)),
                is_number=_is_serial_number, moment=_from_serial,
            ),
            safe=False, sentence="spreadsheet days become dates, counted from 1900",
        ),
    ),
    Check(
        code="time.compact", severity="reject", test=_either(_is_compact, _is_compact_number),
        sentence="{column} looks like a date written without separators, such as 20240102.",
        hint='plan.fix("time.compact") reads it as year, month and day.',
        consequence="It cannot be read as a time; as seconds it would be August 1970.",
        source="reliability 3.5 (88)",
        repair=Repair(
            change=_rewritten(
                _is_compact, lambda v: v.str.to_date("%Y%m%d", strict=False).dt.strftime("%Y-%m-%d"),
                is_number=_is_compact_number, moment=lambda v: _compact_day(v).cast(pl.Datetime("ms")),
            ),
            safe=False, sentence="dates without separators are read as year, month, day",
        ),
    ),
    Check(
        code="time.epoch-text", severity="reject", test=_either(_is_epoch, None),
        sentence="{column} is a count since 1970, written as text.",
        hint='plan.fix("time.epoch-text") reads it, in the unit that its size tells.',
        consequence="Customer.io does not read it as a time; milliseconds are never corrected.",
        source="reference 1.6; reliability 3.5 (82-85)",
        repair=Repair(
            change=_rewritten(_is_epoch, _epoch_written), safe=False,
            sentence="counts since 1970 become times, in the unit that their size tells",
        ),
    ),
    Check(
        code="time.epoch-mixed", severity="refuse", test=ByTable(aggregate=_units, finish=_mixed_units),
        sentence="{column} holds numbers of several units.",
        hint="Turn the column into datetimes, each part with its own unit.",
        consequence="Read in one unit, the others would move by decades or centuries.",
        source="reliability 3.5 (82-85)",
        no_repair_because="one of the units may be an error of another kind",
    ),
)  # fmt: skip
