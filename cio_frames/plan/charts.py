"""When the rows of a plan happened: counted by the hour, in one pass over one column."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from cio_frames.errors import engine_errors
from cio_frames.frames import ROW, collected
from cio_frames.frames.table import reading
from cio_frames.spec import LIMITS
from cio_frames.views.timeline import TimelineView

if TYPE_CHECKING:
    from cio_frames.plan.plan import Plan

MOST_BARS = 80
WIDTHS_H = (1, 2, 3, 6, 12, 24, 48, 168, 336, 672, 2016, 8064, 80640)
TRIGGERING = ("track", "page", "screen")
_HOUR_MS = 3_600_000


@engine_errors("the times were counted")
def timeline(plan: "Plan") -> TimelineView | None:
    """Return the rows that would be sent, over time; None if they have no times to speak of."""
    counted = _by_hour(plan)
    if counted is None:
        return None
    known = counted.drop_nulls("hour")
    if known.is_empty():
        return None
    hours = known["hour"].to_list()
    first, last = min(hours), max(hours)
    width = next((w for w in WIDTHS_H if (last - first) // w < MOST_BARS), WIDTHS_H[-1])
    bars = (last - first) // width + 1
    placed = known.with_columns(bar=(pl.col("hour") - first) // width)
    return TimelineView(
        first=_moment(first),
        last=_moment(last),
        width=timedelta(hours=width),
        older=_filled(placed.filter(~pl.col("recent")), bars=bars),
        recent=_filled(placed.filter("recent"), bars=bars),
        hours=LIMITS["trigger_hours"].value if plan.call in TRIGGERING else None,
        unknown=int(counted["rows"].sum()) - int(known["rows"].sum()),
    )


def _by_hour(plan: "Plan") -> pl.DataFrame | None:
    """Return hour, recent and rows."""
    slot = plan.mapping.find("timestamp")
    if slot is None:
        return None
    at = pl.col(slot.moment)
    since = plan.clock() - timedelta(hours=LIMITS["trigger_hours"].value)
    recent = at >= since if plan.call in TRIGGERING else pl.lit(value=False)
    with reading(plan.table.label):
        counted = (
            plan.mapping.prepare(_sent(plan))
            .select(
                hour=at.dt.epoch("ms") // _HOUR_MS,
                recent=recent.fill_null(value=False),
            )
            .group_by("hour", "recent")
            .agg(rows=pl.len())
        )
        return collected(counted)


def _sent(plan: "Plan") -> pl.LazyFrame:
    """Return the rows that would be sent."""
    lost = plan.survey.reasons["row"]
    numbered = plan.table.lazy.with_row_index(ROW)
    return numbered if lost.is_empty() else numbered.filter(~pl.col(ROW).is_in(lost.implode()))


def _filled(placed: pl.DataFrame, *, bars: int) -> tuple[int, ...]:
    """Return the rows of each bar."""
    rows = dict(placed.group_by("bar").agg(pl.col("rows").sum()).iter_rows())
    return tuple(rows.get(bar, 0) for bar in range(bars))


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * _HOUR_MS / 1000, tz=UTC)
