"""How fast a run went, as a part of its summary."""

from dataclasses import dataclass

from cio_frames.views import charts, components
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.charts import Series
from cio_frames.views.html import Markup
from cio_frames.views.wording import duration, many, rate

LEAST_SLICES = 4
_TITLE = "Pace"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceView:
    """Slices of a run's time, as plain values.

    Attributes:
        width_s: Seconds of a slice.
        rows: Rows answered in each slice.
        waits_s: Mean seconds to an answer in each slice.
        longest_s: The longest wait for an answer in each slice.
        retries: Requests repeated in each slice.
        mean_s: Mean seconds to an answer, over the whole run.
    """

    width_s: float
    rows: tuple[int, ...]
    waits_s: tuple[float, ...]
    longest_s: tuple[float, ...]
    retries: tuple[int, ...]
    mean_s: float

    @property
    def is_long(self) -> bool:
        """Whether there is enough of it for a picture."""
        return len(self.rows) >= LEAST_SLICES


def html(view: PaceView) -> Markup:
    """Return the charts with their words, folded."""
    tones = [
        Series(values=[_kept(rows, tries) for rows, tries in _pairs(view)], tone="calm"),
        Series(values=[_shaken(rows, tries) for rows, tries in _pairs(view)], tone="care"),
    ]
    waits = [
        Series(values=view.waits_s, tone="dull"),
        Series(
            values=[most - mean for most, mean in zip(view.longest_s, view.waits_s, strict=True)],
            tone="calm",
        ),
    ]
    end = duration(len(view.rows) * view.width_s)
    return components.fold(
        _TITLE,
        components.sentence(_speed(view), style=css.AFTER_CHART),
        charts.columns(tones, alt=_speed(view), style=css.SMALL_CHART),
        charts.axis("start", end),
        components.sentence(_waits(view), style=css.AFTER_CHART),
        charts.columns(waits, alt=_waits(view), style=css.SMALL_CHART),
        charts.axis("start", end),
    )


def text(view: PaceView) -> str:
    """Return the charts as lines of a terminal."""
    rows, answers = "  rows/s   ", "  answers  "
    at_once = charts.crowding(len(view.rows), beside=answers)
    return "\n".join(
        (
            _TITLE,
            rows + charts.sparkline(charts.joined(view.rows, at_once=at_once)),
            answers + charts.sparkline(charts.joined(view.waits_s, at_once=at_once)),
            plain.paragraph(f"{_speed(view)} {_waits(view)}", indent="  "),
        )
    )


def _pairs(view: PaceView) -> list[tuple[int, int]]:
    return list(zip(view.rows, view.retries, strict=True))


def _kept(rows: int, retries: int) -> int:
    return 0 if retries else rows


def _shaken(rows: int, retries: int) -> int:
    return rows if retries else 0


def _speed(view: PaceView) -> str:
    """Return how many rows were answered, in words."""
    best = rate(max(view.rows), seconds=view.width_s)
    mean = rate(sum(view.rows), seconds=len(view.rows) * view.width_s)
    repeated = sum(view.retries)
    told = f"Rows answered: {mean} on average, {best} at best."
    if not repeated:
        return told
    return f"{told} In the yellow bars {many(repeated, 'request')} had to be repeated."


def _waits(view: PaceView) -> str:
    """Return how long answers took, in words."""
    return (
        f"Time to an answer: {_seconds(view.mean_s)} on average (grey), "
        f"{_seconds(max(view.longest_s))} at most (blue)."
    )


def _seconds(seconds: float) -> str:
    """Return a short time with its unit."""
    return duration(seconds) if seconds >= 1 else f"{round(seconds * 1000)} ms"
