"""Times: what moves an event to another moment, or makes an old one look new."""

from datetime import UTC, datetime, timedelta

import polars as pl

from cio_frames.checks.check import ByColumn, ByTable, ByValue, Check, Scope, about, listed
from cio_frames.checks.identifiers import PEOPLE, blank, is_text, text
from cio_frames.checks.time_formats import in_other_form
from cio_frames.frames import ROW
from cio_frames.mapping import FieldMapping
from cio_frames.spec import folded
from cio_frames.values import (
    anywhere,
    epoch_unit,
    has_text,
    has_zone,
    instant,
    is_date_only,
    out_of_range,
)

EVENTS = ("track", "page", "screen")
TRIGGERING = timedelta(hours=72)
TOLERATED = timedelta(days=1)
MISREAD_UNTIL = datetime(1970, 3, 1, tzinfo=UTC)
OFFSET = r"\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)? ?([Zz]|[+-]\d{2}:?\d{2})$"
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def is_timestamp(slot: FieldMapping) -> bool:
    """Tell whether a slot holds the time of the call."""
    return slot.argument == "timestamp"


def _out_of_range(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    holds_times = out_of_range(pl.col(slot.name), dtype=slot.dtype) is not None
    return pl.col(slot.out_of_range) if holds_times else None


def _unreadable(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not slot.is_time_field:
        return None
    unread = pl.when(pl.col(slot.moment).is_null()).then(pl.col(slot.name))
    is_known = pl.col(slot.skipped) | in_other_form(slot)
    return unread.is_not_null() & ~_empty(slot, unread) & ~is_known


def _clock_change(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if scope.mapping.timezone is None:
        return None
    if slot.is_time_field:
        return pl.col(slot.skipped)

    def skipped(values: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
        if not isinstance(dtype, pl.Datetime):
            return None
        here = instant(values, dtype=dtype, timezone=scope.mapping.timezone)
        return values.is_not_null() & here.is_null()

    return anywhere(pl.col(slot.name), dtype=slot.dtype, test=skipped)


def _empty(slot: FieldMapping, values: pl.Expr) -> pl.Expr:
    return blank(values.cast(pl.String)) if is_text(slot) else pl.lit(value=False)


def _missing(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not is_timestamp(slot) or scope.mapping.call.name not in EVENTS:
        return None
    values = pl.col(slot.name)
    return values.is_null() | _empty(slot, values)


def _future(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    return pl.col(slot.moment) > scope.now + TOLERATED if slot.is_time_field else None


def _early(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    return pl.col(slot.moment) < EARLIEST if slot.is_time_field else None


def _recent(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not is_timestamp(slot) or scope.mapping.call.name not in EVENTS:
        return None
    return pl.col(slot.moment).is_between(scope.now - TRIGGERING, scope.now + TOLERATED)


def _naive_column(slot: FieldMapping, scope: Scope) -> str | None:
    naive = isinstance(slot.dtype, pl.Datetime) and slot.dtype.time_zone is None
    return f"{slot.dtype}" if naive and scope.mapping.timezone is None else None


def _naive(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not (slot.is_time_field and is_text(slot)) or scope.mapping.timezone is not None:
        return None
    values = _stripped(slot)
    return pl.col(slot.moment).is_not_null() & ~has_zone(values) & ~is_date_only(values)


def _stripped(slot: FieldMapping) -> pl.Expr:
    return pl.col(slot.name).cast(pl.String).str.strip_chars()


def _date(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not slot.is_time_field:
        return None
    if slot.dtype == pl.Date:
        return pl.col(slot.name).is_not_null()
    return is_date_only(_stripped(slot)) if is_text(slot) else None


def _epoch(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not (slot.is_time_field and slot.dtype.is_numeric()):
        return None
    return pl.col(slot.moment).is_not_null() & epoch_unit(pl.col(slot.name)).is_not_null()


def _misread(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not slot.is_time:
        return None
    return pl.col(slot.moment).is_between(EARLIEST, MISREAD_UNTIL, closed="left")


def _offsets(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate which offsets the times of a column of text have."""
    queries = [
        rows.select(pl.col(slot.name).cast(pl.String).str.extract(OFFSET).alias("offset"))
        .drop_nulls()
        .group_by(pl.lit(slot.label).alias("column"), "offset")
        .agg(pl.len().alias("rows"))
        for slot in scope.mapping.slots
        if slot.is_time and is_text(slot)
    ]
    return pl.concat(queries) if queries else None


def _several(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    counted = aggregated.group_by("column", "offset").agg(pl.col("rows").sum())
    ordered = counted.sort("rows", "offset", descending=[True, False])
    results = []
    for (column,), offsets in ordered.group_by("column", maintain_order=True):
        if offsets.height > 1:
            told = ", ".join(f"{offset} ({count:,})" for _, offset, count in offsets.rows())
            results.append(about(str(column), f"{told}."))
    return listed(results)


def _order(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate whose times are in which order; nothing where all rows are in order."""
    slot = scope.mapping.find("timestamp")
    people = [
        found for name in PEOPLE if (found := scope.mapping.find(name)) and has_text(found.dtype)
    ]
    if slot is None or not people or scope.mapping.call.name not in (*EVENTS, "identify"):
        return None
    person = pl.coalesce(text(part, scope) for part in people).hash()
    return rows.select(
        pl.col(ROW).alias("row"), person.alias("person"), pl.col(slot.moment).alias("at")
    ).drop_nulls()


def _unordered(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    slot = scope.mapping.find("timestamp")
    ordered = aggregated if aggregated["row"].is_sorted() else aggregated.sort("row")
    if slot is None or ordered["at"].is_sorted():
        return listed([])
    late = ordered.filter(pl.col("at") < pl.col("at").cum_max().shift().over("person"))
    if late.is_empty():
        return listed([])
    told = f"{late.height:,} rows are, the first is row {late.item(0, 'row')}."
    return listed([about(slot.label, told)])


def _unmapped(slot: FieldMapping, scope: Scope) -> str | None:
    if slot.role != "body" or scope.mapping.find("timestamp") or not slot.column:
        return None
    row = next((row for row in scope.mapping.call.fields if row.argument == "timestamp"), None)
    names = map(folded, row.synonyms) if row else ()
    return slot.column if folded(slot.column) in names else None


TIME_CHECKS = (
    Check(
        code="time.unreadable", severity="reject", test=ByValue(fails=_unreadable),
        sentence="{column} cannot be read as a point in time.",
        hint="Write it as ISO 8601, e.g. 2026-03-01T12:00:00Z, or turn the column into datetimes.",
        consequence="Without a time the event would count as happening now, and could start campaigns.",
        source="reference 1.6",
        no_repair_because="which moment was meant cannot be known",
    ),
    Check(
        code="time.clock-change", severity="reject", test=ByValue(fails=_clock_change),
        sentence="{column} is a local time that a change of clocks skips or repeats.",
        hint="Give these times with their offset.",
        consequence="The moment is not defined; it would be an hour off.",
        source="reliability 3.5",
        no_repair_because="the hour exists twice or not at all",
    ),
    Check(
        code="time.missing", severity="reject", test=ByValue(fails=_missing),
        sentence="{column} is empty.",
        hint="Fill in when it happened, or send these rows apart without a timestamp.",
        consequence="The event would count as happening now, and could start campaigns.",
        source="SPEC-AUG timestamp; reference 3.8",
        no_repair_because="when it happened is not in the row",
    ),
    Check(
        code="time.out-of-range", severity="reject", test=ByValue(fails=_out_of_range),
        sentence="{column} is outside the years 1 to 9999.",
        hint="Correct the value, or empty the cell.",
        consequence="No reader of dates takes such a year.",
        source="RFC 3339 5.6: a year has four digits",
        no_repair_because="what was meant cannot be known",
    ),
    Check(
        code="time.future", severity="reject", test=ByValue(fails=_future),
        sentence="{column} lies more than a day in the future.",
        hint="Check the unit and the time zone of the column.",
        consequence="Conditions on time would wait for that day.",
        source="reference 3.8; reliability 3.5",
        no_repair_because="when it happened cannot be known",
    ),
    Check(
        code="time.early", severity="reject", test=ByValue(fails=_early),
        sentence="{column} lies before 1970.",
        hint="Check the unit of the column.",
        consequence="Customer.io counts in seconds since 1970.",
        source="reference 1.6; reliability 3.5",
        no_repair_because="when it happened cannot be known",
    ),
    Check(
        code="time.recent", severity="warn", test=ByValue(fails=_recent),
        sentence="{column} is less than 72 hours before the planned sending.",
        hint="Send these rows later, or make sure that no campaign waits for these events.",
        consequence="The events can start campaigns: people may get messages.",
        source="reference 3.8 (DOC importing-old-data)",
        no_repair_because="whether campaigns may start is for you to say",
    ),
    Check(
        code="time.naive", severity="warn", test=ByColumn(fails=_naive_column),
        sentence="{column} has no time zone and is read as UTC.",
        hint='Pass timezone="Europe/Berlin" (or where it was recorded).',
        consequence="Every time would be off by the offset of that place.",
        source="reliability 3.5; reference 4.3",
        no_repair_because="the place is not in the value; timezone= says it",
    ),
    Check(
        code="time.naive-text", severity="warn", test=ByValue(fails=_naive),
        sentence="{column} has no offset and is read as UTC.",
        hint='Pass timezone="Europe/Berlin" (or where it was recorded).',
        consequence="The time would be off by the offset of that place.",
        source="reliability 3.5",
        no_repair_because="the place is not in the value; timezone= says it",
    ),
    Check(
        code="time.date-only", severity="warn", test=ByValue(fails=_date),
        sentence="{column} is a date; midnight is taken.",
        hint="Give the time of day if you know it.",
        consequence="All events of a day share one moment, and their order is lost.",
        source="reliability 3.5",
        no_repair_because="the time of day is not in the value",
    ),
    Check(
        code="time.epoch", severity="warn", test=ByValue(fails=_epoch),
        sentence="{column} is a number; its unit is taken from its size.",
        hint="Turn the column into datetimes to be sure.",
        consequence="A wrong unit would move the event by decades.",
        source="reference 1.6; reliability 3.5",
        no_repair_because="the unit is read from the size; nothing is wrong",
    ),
    Check(
        code="time.misread-unit", severity="warn", test=ByValue(fails=_misread),
        sentence="{column} lies in the first weeks of 1970.",
        hint="Check the unit: pandas reads bare numbers as nanoseconds.",
        consequence="The event would be recorded in 1970.",
        source="reliability 3.5 (86)",
        no_repair_because="which unit was meant is for you to say",
    ),
    Check(
        code="time.offsets", severity="info", test=ByTable(aggregate=_offsets, finish=_several),
        sentence="{column} holds times with several offsets.",
        hint="Nothing to do: each is converted with its own.",
        consequence="All are sent in UTC.",
        source="reliability 3.5 (78, 93)",
        no_repair_because="each is right as it is",
    ),
    Check(
        code="time.unsorted", severity="info", test=ByTable(aggregate=_order, finish=_unordered),
        sentence="{column} is earlier in some rows than in rows above about the same person.",
        hint="Sort the table by time if the order of events matters.",
        consequence="Rows of one person are sent in their order in the table.",
        source="reference 3.7; reliability 3.5 (101)",
        no_repair_because="rows are sent in the order you give them; frame.sort(...) changes it",
    ),
    Check(
        code="time.unmapped", severity="warn", test=ByColumn(fails=_unmapped),
        sentence="{column} looks like the time of the call but is sent as data.",
        hint='Pass timestamp="{column}".',
        consequence="The calls would count as happening now, and events could start campaigns.",
        source="reference 3.8",
        no_repair_because="what the column means is for you to say",
    ),
)  # fmt: skip
