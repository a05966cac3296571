"""When the rows of a plan happened, and which of them can still start campaigns."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cio_frames.views import charts, components
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.charts import Series
from cio_frames.views.html import Child, Markup
from cio_frames.views.wording import many, number, percent

_TITLE = "When it happened"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineView:
    """Rows over time, as plain values.

    Attributes:
        first: The earliest moment.
        last: The latest moment.
        width: How long one bar is.
        older: Rows per bar that can start nothing any more, or all rows of a call that never can.
        recent: Rows per bar that can start campaigns.
        hours: How old an event may be to start campaigns; None if the call never can.
        unknown: Rows without a time.
    """

    first: datetime
    last: datetime
    width: timedelta
    older: tuple[int, ...]
    recent: tuple[int, ...]
    hours: int | None = None
    unknown: int = 0


def html(view: TimelineView) -> Markup:
    """Return the chart with its words, as a part of a report."""
    chart = charts.columns(
        [Series(values=view.older, tone="calm"), Series(values=view.recent, tone="care")],
        alt=f"{_span(view)} {_triggering(view)}",
        mark=_mark(view),
    )
    return components.section(
        _TITLE,
        chart,
        charts.axis(_day(view.first), _day(view.last)),
        components.sentence(*_told(view), style=css.AFTER_CHART),
    )


def text(view: TimelineView) -> str:
    """Return the chart as one line of a terminal, and its words."""
    view = _narrowed(view)
    totals = [a + b for a, b in zip(view.older, view.recent, strict=True)]
    told = (f"{_span(view)} {_triggering(view)}", _unknown(view))
    words = [plain.paragraph(each, indent="  ") for each in told if each.strip()]
    return "\n".join((_TITLE, _line(view, charts.sparkline(totals)), *words))


def _line(view: TimelineView, bars: str) -> str:
    return f"  {_day(view.first)} {bars} {_day(view.last)}"


def _narrowed(view: TimelineView) -> TimelineView:
    """Return the same times in as many bars as fit on a line of the output."""
    at_once = charts.crowding(len(view.older), beside=_line(view, ""))
    return replace(
        view,
        width=view.width * at_once,
        older=charts.joined(view.older, at_once=at_once),
        recent=charts.joined(view.recent, at_once=at_once),
    )


def _told(view: TimelineView) -> list[Child]:
    """Return the words beside the chart."""
    told: list[Child] = [f"{_span(view)} "]
    if view.hours is not None:
        fresh = sum(view.recent)
        word, tone = ("! can start campaigns", "care") if fresh else ("✓ starts nothing", "good")
        told += [
            components.badge(word, tone="care" if tone == "care" else "good"),
            _triggering(view),
        ]
    return [*told, f" {_unknown(view)}"] if view.unknown else told


def _span(view: TimelineView) -> str:
    """Return what the bars are."""
    most = max(a + b for a, b in zip(view.older, view.recent, strict=True))
    return f"One bar is {_length(view.width)}; the highest stands for {many(most, 'row')}."


def _triggering(view: TimelineView) -> str:
    """Return how many rows can start campaigns."""
    if view.hours is None:
        return ""
    fresh, rows = sum(view.recent), sum(view.older) + sum(view.recent)
    if not fresh:
        return f"No row is less than {view.hours} hours old."
    return f"{number(fresh)} of {many(rows, 'row')} ({percent(fresh, rows)}) are less than {view.hours} hours old."


def _unknown(view: TimelineView) -> str:
    """Return how many rows are not in the chart."""
    return (
        f"{many(view.unknown, 'row')} without a time {'is' if view.unknown == 1 else 'are'} not shown."
        if view.unknown
        else ""
    )


def _mark(view: TimelineView) -> float | None:
    """Return where the rows begin that can start campaigns, if there is one."""
    places = [place for place, rows in enumerate(view.recent) if rows]
    return places[0] / len(view.recent) if places else None


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _length(width: timedelta) -> str:
    """Return a length of time in the largest whole unit."""
    hours = round(width.total_seconds() / 3600)
    for size, noun in ((168, "week"), (24, "day")):
        if hours % size == 0:
            return many(hours // size, noun)
    return many(hours, "hour")
