"""Checks of times: events recorded at the wrong time, or old events taken for new ones."""

from datetime import UTC, datetime, timedelta

import polars as pl

from cio_frames.checks.calls import is_semantic_event
from cio_frames.checks.check import (
    FAILURE_SCHEMA,
    Check,
    Scope,
    TableTest,
    by_column,
    by_value,
    column_findings,
    summed,
)
from cio_frames.checks.fields import PEOPLE, STATE_CALLS, blank, is_text
from cio_frames.checks.time_formats import is_other_format
from cio_frames.frames import ROW
from cio_frames.mapping import ALMOST_ALL, UNNAMED, FieldMapping, time_rank
from cio_frames.spec import EVENT_CALLS
from cio_frames.values import (
    anywhere,
    epoch_unit,
    has_text,
    has_zone,
    instant,
    is_date_only,
    is_time,
    many,
    out_of_range,
)

SAMPLE, SAMPLED = 200, 50_000
"""How many rows out of how many are sampled for times."""
TRIGGERS_FOR = timedelta(hours=72)
CLOCK_TOLERANCE = timedelta(days=1)
CURRENT_FOR = timedelta(hours=1)
"""Maximum age of the time of a current change: clocks differ, and an export takes time."""
MISREAD_UNTIL = datetime(1970, 3, 1, tzinfo=UTC)
OFFSET = r"\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)? ?([Zz]|[+-]\d{2}:?\d{2})$"
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def _is_event_time(field: FieldMapping, scope: Scope) -> bool:
    return field.argument == "timestamp" and scope.mapping.call.name in EVENT_CALLS


def _out_of_range(field: FieldMapping, _: Scope) -> pl.Expr | None:
    holds_times = out_of_range(pl.col(field.name), dtype=field.dtype) is not None
    return pl.col(field.out_of_range_column) if holds_times else None


def _unreadable(field: FieldMapping, _: Scope) -> pl.Expr | None:
    if not field.is_time_field:
        return None
    unread = pl.when(pl.col(field.utc_column).is_null()).then(pl.col(field.name))
    has_own_check = pl.col(field.ambiguous_column) | is_other_format(field)
    return unread.is_not_null() & ~_is_empty(field, unread) & ~has_own_check


def _clock_change(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if scope.mapping.timezone is None:
        return None
    if field.is_time_field:
        return pl.col(field.ambiguous_column)

    def skipped(values: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
        if not isinstance(dtype, pl.Datetime):
            return None
        here = instant(values, dtype=dtype, timezone=scope.mapping.timezone)
        return values.is_not_null() & here.is_null()

    return anywhere(pl.col(field.name), dtype=field.dtype, test=skipped)


def _is_empty(field: FieldMapping, values: pl.Expr) -> pl.Expr:
    return blank(values.cast(pl.String)) if is_text(field) else pl.lit(value=False)


def _missing(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not _is_event_time(field, scope):
        return None
    values = pl.col(field.name)
    return (values.is_null() | _is_empty(field, values)) & ~is_semantic_event(scope)


def _future(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    return pl.col(field.utc_column) > scope.now + CLOCK_TOLERANCE if field.is_time_field else None


def _early(field: FieldMapping, _: Scope) -> pl.Expr | None:
    return pl.col(field.utc_column) < EARLIEST if field.is_time_field else None


def _can_trigger(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not _is_event_time(field, scope):
        return None
    return pl.col(field.utc_column).is_between(
        scope.now - TRIGGERS_FOR, scope.now + CLOCK_TOLERANCE
    ) & ~is_semantic_event(scope)


def _stale(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if field.argument != "timestamp" or scope.mapping.call.name not in STATE_CALLS:
        return None
    return pl.col(field.utc_column) < scope.now - CURRENT_FOR


def _naive_column(field: FieldMapping, scope: Scope) -> str | None:
    naive = isinstance(field.dtype, pl.Datetime) and field.dtype.time_zone is None
    return "a column of times" if naive and scope.mapping.timezone is None else None


def _naive(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not (field.is_time_field and is_text(field)) or scope.mapping.timezone is not None:
        return None
    values = _stripped(field)
    return pl.col(field.utc_column).is_not_null() & ~has_zone(values) & ~is_date_only(values)


def _stripped(field: FieldMapping) -> pl.Expr:
    return pl.col(field.name).cast(pl.String).str.strip_chars()


def _date(field: FieldMapping, _: Scope) -> pl.Expr | None:
    if not field.is_time_field:
        return None
    if field.dtype == pl.Date:
        return pl.col(field.name).is_not_null()
    return is_date_only(_stripped(field)) if is_text(field) else None


def _epoch(field: FieldMapping, _: Scope) -> pl.Expr | None:
    if not (field.is_time_field and field.dtype.is_numeric()):
        return None
    return pl.col(field.utc_column).is_not_null() & epoch_unit(pl.col(field.name)).is_not_null()


def _misread(field: FieldMapping, _: Scope) -> pl.Expr | None:
    if not field.is_time:
        return None
    return pl.col(field.utc_column).is_between(EARLIEST, MISREAD_UNTIL, closed="left")


def _count_offsets(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count the offsets in columns of text."""
    queries = [
        rows.select(pl.col(field.name).cast(pl.String).str.extract(OFFSET).alias("offset"))
        .drop_nulls()
        .group_by(pl.lit(field.label).alias("column"), "offset")
        .agg(pl.len().alias("rows"))
        for field in scope.mapping.fields
        if field.is_time and is_text(field)
    ]
    return pl.concat(queries) if queries else None


def _several_offsets(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    counted = aggregated.group_by("column", "offset").agg(pl.col("rows").sum())
    ordered = counted.sort("rows", "offset", descending=[True, False])
    return column_findings(
        (
            str(column),
            ", ".join(f"{offset} ({count:,})" for _, offset, count in offsets.rows()) + ".",
        )
        for (column,), offsets in ordered.group_by("column", maintain_order=True)
        if offsets.height > 1
    )


def _person_times(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Return the time of each row, with its person."""
    field = scope.mapping.find("timestamp")
    identifiers = filter(None, map(scope.mapping.find, PEOPLE))
    people = [identifier for identifier in identifiers if has_text(identifier.dtype)]
    if field is None or not people or scope.mapping.call.name not in (*EVENT_CALLS, "identify"):
        return None
    person = pl.coalesce(scope.text(identifier) for identifier in people).hash()
    return rows.select(
        pl.col(ROW).cast(pl.get_index_type()).alias("row"),
        person.alias("person"),
        pl.col(field.utc_column).alias("at"),
        pl.lit(0, pl.UInt64).alias("late"),
    ).drop_nulls()


def _latest_and_late(aggregated: pl.DataFrame) -> pl.DataFrame:
    """Return the latest time of each person, and a row without a person for the late rows.

    A row is late if an earlier row of its person has a later time. The row without a person has the
    number of late rows, and the number of the first one.
    """
    ordered = aggregated.filter(pl.col("late") == 0)
    if not ordered["row"].is_sorted():
        ordered = ordered.sort("row")
    late_rows = aggregated.filter(pl.col("late") > 0)
    if not ordered["at"].is_sorted():
        late = ordered.filter(pl.col("at") < pl.col("at").cum_max().shift().over("person"))
        first = late.head(1).with_columns(late=pl.lit(late.height, pl.UInt64))
        late_rows = pl.concat([late_rows, first])
    latest = ordered.group_by("person").agg(
        pl.col("row").last(), pl.col("at").max(), late=pl.lit(0, pl.UInt64)
    )
    counted = late_rows.select(
        pl.col("row").min(), person=None, at=None, late=pl.col("late").sum()
    ).filter(pl.col("late") > 0)
    parts = (latest.sort("row"), counted)
    return pl.concat(part.select(aggregated.columns).cast(aggregated.schema) for part in parts)


def _late_rows(aggregated: pl.DataFrame) -> pl.DataFrame:
    """Return how many rows are late, and the first of them, in one row; no row if none is late."""
    return _latest_and_late(aggregated).filter(pl.col("late") > 0)


def _unordered(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    field = scope.mapping.find("timestamp")
    late = _late_rows(aggregated)
    if field is None or late.is_empty():
        return column_findings([])
    first, count = late.select("row", "late").row(0)
    evidence = f"{many(count, 'row is', 'rows are')} out of order; the first is row {first}."
    return column_findings([(field.label, evidence)])


def _count_recorded(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count the rows of calls without a time, and how many of them are recorded as events."""
    if scope.mapping.call.name not in EVENT_CALLS or scope.mapping.find("timestamp"):
        return None
    # the row numbers repeat a constant expression for each row
    recorded = rows.select(ROW, recorded=~is_semantic_event(scope))
    return recorded.select(pl.len().alias("rows"), pl.col("recorded").sum())


def _sent_as_now(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    rows, recorded = aggregated["rows"].sum(), aggregated["recorded"].sum()
    extent = "every row" if recorded >= rows else many(int(recorded), "row")
    findings = [(None, None, extent, None)] if recorded else []
    return pl.DataFrame(findings, schema=FAILURE_SCHEMA, orient="row")


def _time_candidates(scope: Scope) -> dict[str, tuple[FieldMapping, int]]:
    """Return the columns sent as data that may be the time of the call, with a rank of how likely.

    A call that sets attributes should have no time; see `time.stale`.
    """
    if scope.mapping.find("timestamp") or scope.mapping.call.name in STATE_CALLS:
        return {}
    ranked = {
        field.name: (field, time_rank(field.column, call=scope.mapping.call))
        for field in scope.mapping.fields
        if field.role == "body" and field.column
    }
    return {name: (field, rank) for name, (field, rank) in ranked.items() if rank is not None}


def _count_times(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count the times in a sample of each column that may be the time of the call."""
    tests = {}
    recorded = ~is_semantic_event(scope)
    for name, (field, rank) in _time_candidates(scope).items():
        test = is_time(pl.col(name), dtype=field.dtype, counts=rank < UNNAMED)
        if test is not None:
            tests[name] = test
    if not tests:
        return None
    counts = [
        pl.struct(
            filled=(pl.col(name).is_not_null() & recorded).sum(), times=(test & recorded).sum()
        ).alias(name)
        for name, test in tests.items()
    ]
    return rows.filter(pl.col(ROW) % SAMPLED < SAMPLE).select(counts)


def _unmapped_time(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    likely = []
    for name, (field, rank) in _time_candidates(scope).items():
        counts = aggregated[name].struct.unnest().sum() if name in aggregated.columns else None
        if counts is not None and (filled := counts.item(0, "filled")):
            share = counts.item(0, "times") / filled
            likely += [(rank, field.label)] if share >= ALMOST_ALL else []
    first = sorted(likely, key=lambda pair: pair[0])[:1]
    return column_findings((label, "Its values are times.") for _, label in first)


TIME_CHECKS = (
    Check("time.unreadable", "reject", by_value(_unreadable), source="reference 1.6"),
    Check("time.clock-change", "reject", by_value(_clock_change), source="reliability 3.5"),
    Check("time.missing", "reject", by_value(_missing), source="SPEC-AUG timestamp; reference 3.8"),
    Check("time.out-of-range", "reject", by_value(_out_of_range), source="RFC 3339 5.6: a year has four digits"),
    Check("time.future", "reject", by_value(_future), source="reference 3.8; reliability 3.5"),
    Check("time.early", "reject", by_value(_early), source="reference 1.6; reliability 3.5"),
    Check("time.recent", "warn", by_value(_can_trigger), source="reference 3.6, 3.8 (DOC importing-old-data)"),
    Check(
        "time.stale", "warn", by_value(_stale),
        source="reference 3.7 (ordering); TRACK identify (_timestamp)",
    ),
    Check("time.naive", "warn", by_column(_naive_column), source="reliability 3.5; reference 4.3"),
    Check("time.naive-text", "warn", by_value(_naive), source="reliability 3.5"),
    Check("time.date-only", "warn", by_value(_date), source="reliability 3.5"),
    Check("time.epoch", "warn", by_value(_epoch), source="reference 1.6; reliability 3.5"),
    Check("time.misread-unit", "warn", by_value(_misread), source="reliability 3.5 (86)"),
    Check("time.offsets", "info", TableTest(_count_offsets, _several_offsets, summed("column", "offset")), source="reliability 3.5 (78, 93)"),
    Check(
        "time.unsorted", "info", TableTest(_person_times, _unordered, _latest_and_late, by="person", condense=_late_rows),
        source="reference 3.7; reliability 3.5 (101)",
    ),
    Check(
        "time.now", "warn", TableTest(_count_recorded, _sent_as_now, summed()),
        source="SPEC-AUG timestamp; reference 1.6, 3.6, 3.8",
    ),
    Check("time.unmapped", "warn", TableTest(_count_times, _unmapped_time, summed()), source="reference 3.8"),
)  # fmt: skip
