"""Charts: bars over time, shares and meters.

A picture cannot know whether the page is light or dark, so it contains only shapes, in tones that
are visible on both. Words and numbers are text beside it.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

import msgspec

from cio_frames.views import style as css
from cio_frames.views.document import Chart, Layer
from cio_frames.views.markup import Markup, picture, shape
from cio_frames.views.style import Style, Tone
from cio_frames.views.wording import many, number

SVG = "http://www.w3.org/2000/svg"
BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = ".:-=+*#@"
_WIDTH = 1000.0
_HEIGHT = 100.0
_MIN_SIZE = 3.0
_BAR_HEIGHT = 8.0
_BAR_GAP = 3.0


def column_chart(chart: Chart) -> Markup:
    """Return vertical bars with stacked layers."""
    highest = max(totals(chart), default=0.0) or 1.0
    step = _WIDTH / max(len(totals(chart)), 1)
    shapes = [_rect(x=0, y=_HEIGHT - 1, width=_WIDTH, height=1, fill=css.LINE)]
    bottoms = [0.0] * len(totals(chart))
    for layer in chart.layers:
        for index, value in enumerate(layer.values):
            if value:
                height = max(value / highest * _HEIGHT, _MIN_SIZE)
                top = max(_HEIGHT - bottoms[index] - height, 0.0)
                shapes.append(_bar(index, step=step, y=top, height=height, tone=layer.tone))
                bottoms[index] += height
    if chart.mark is not None:
        x = chart.mark * _WIDTH
        shapes.append(_rect(x=x, y=0, width=2, height=_HEIGHT, fill=css.TONES["care"]))
    return _picture(
        shapes,
        width=_WIDTH,
        height=_HEIGHT,
        alt=f"{scale(chart)} {chart.alt}".strip(),
        style=css.CHART if chart.bar else css.SMALL_CHART,
    )


def share(value: int, *, maximum: int, tone: Tone) -> Markup:
    """Return a horizontal bar for the cell of a number."""
    width = max(value / maximum * _HEIGHT, _MIN_SIZE) if maximum and value else 0.0
    bar = _rect(x=0, y=0, width=width, height=10, fill=css.TONES[tone])
    return _picture([bar], width=_HEIGHT, height=10, alt=number(value), style=css.SHARE)


def bar(parts: Sequence[tuple[str, int, Tone]]) -> Markup | None:
    """Return a bar with parts in proportion to their counts, which are its description."""
    present = [part for part in parts if part[1]]
    total = sum(count for _, count, _ in present)
    gap = _BAR_GAP if len(present) > 1 else 0.0
    shapes, start = [], 0.0
    for _, count, tone in present:
        width = max(count / total * _WIDTH, 2 * _BAR_GAP)
        fill = css.TONES[tone]
        shapes.append(_rect(x=start, y=0, width=width - gap, height=_BAR_HEIGHT, fill=fill))
        start += width
    alt = ", ".join(f"{name} {number(count)}" for name, count, _ in present)
    return _wide_bar(shapes, width=start, alt=alt) if present else None


def meter(done: float, *, tone: Tone, alt: str) -> Markup:
    """Return a bar for the share that is done, from 0 to 1."""
    parts = ((_WIDTH, css.LINE), (done * _WIDTH, css.TONES[tone]))
    shapes = [_rect(x=0, y=0, width=width, height=_BAR_HEIGHT, fill=fill) for width, fill in parts]
    return _wide_bar(shapes, width=_WIDTH, alt=alt)


def totals(chart: Chart) -> list[float]:
    """Return the heights of the bars of a chart."""
    return [sum(values) for values in zip(*(layer.values for layer in chart.layers), strict=True)]


def scale(chart: Chart) -> str:
    """Return the sentence about the width and height of the bars, if the chart has one."""
    if chart.bar is None:
        return ""
    tallest = round(max(totals(chart), default=0.0))
    return f"Each bar is {_length(chart.bar)}; the tallest is {many(tallest, 'row')}."


def narrow(chart: Chart, *, max_bars: int | None) -> Chart:
    """Return a chart with at most `max_bars` bars, each the sum of neighbours."""
    count = len(totals(chart))
    step = 1 if max_bars is None else max(-(-count // max(max_bars, 1)), 1)
    layers = [
        Layer(
            [sum(layer.values[start : start + step]) for start in range(0, count, step)],
            layer.tone,
        )
        for layer in chart.layers
    ]
    return msgspec.structs.replace(chart, layers=layers, bar=chart.bar and chart.bar * step)


def sparkline(values: Sequence[float], bars: str = BARS) -> str:
    """Return bars as one line of text.

    Examples:
        >>> sparkline([0, 1, 4, 8])
        ' ▁▄█'
    """
    maximum = max(values, default=0.0) or 1.0
    return "".join(
        bars[max(round(value / maximum * len(bars)) - 1, 0)] if value else " " for value in values
    )


def _length(width: timedelta) -> str:
    """Return a duration in the largest unit that divides it."""
    hours = round(width.total_seconds() / 3600)
    for size, noun in ((168, "week"), (24, "day")):
        if hours % size == 0:
            return many(hours // size, noun)
    return many(hours, "hour")


def _bar(index: int, *, step: float, y: float, height: float, tone: Tone) -> Markup:
    gap = min(step * 0.2, 4.0)
    x = index * step + gap / 2
    return _rect(x=x, y=y, width=step - gap, height=height, fill=css.TONES[tone])


def _wide_bar(shapes: Iterable[Markup], *, width: float, alt: str) -> Markup:
    """Return a horizontal bar over the full width."""
    return _picture(shapes, width=width, height=_BAR_HEIGHT, alt=alt, style=css.BAR)


def _picture(
    shapes: Iterable[Markup], *, width: float, height: float, alt: str, style: Style
) -> Markup:
    """Return shapes as a picture that is stretched to its container."""
    attributes = {
        "xmlns": SVG,
        "viewBox": f"0 0 {width:g} {height:g}",
        "width": f"{width:g}",
        "height": f"{height:g}",
        "preserveAspectRatio": "none",
    }
    return picture(shape("svg", *shapes, attributes=attributes), alt=alt, style=style)


def _rect(*, x: float, y: float, width: float, height: float, fill: str) -> Markup:
    numbers = {"x": x, "y": y, "width": width, "height": height}
    return shape(
        "rect", attributes={**{key: f"{value:.1f}" for key, value in numbers.items()}, "fill": fill}
    )
