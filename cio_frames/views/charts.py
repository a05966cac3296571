"""Pictures: bars over time, shares and meters.

A picture cannot know whether it stands on a light or a dark page, so it holds shapes only, in tones
that stand out from both. Every word and number stands beside it, as text.
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
PLAIN_BARS = ".:-=+*#@"
_WIDTH = 1000.0
_HEIGHT = 100.0
_LEAST = 3.0
_BAR_HEIGHT = 8.0
_BAR_GAP = 3.0


def columns(chart: Chart) -> Markup:
    """Return upright bars, the layers on top of each other."""
    highest = max(totals(chart), default=0.0) or 1.0
    step = _WIDTH / max(len(totals(chart)), 1)
    shapes = [_rect(x=0, y=_HEIGHT - 1, width=_WIDTH, height=1, fill=css.LINE)]
    grounds = [0.0] * len(totals(chart))
    for layer in chart.layers:
        for place, value in enumerate(layer.values):
            if value:
                height = max(value / highest * _HEIGHT, _LEAST)
                top = max(_HEIGHT - grounds[place] - height, 0.0)
                shapes.append(_bar(place, step=step, y=top, height=height, tone=layer.tone))
                grounds[place] += height
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


def share(value: int, *, most: int, tone: Tone) -> Markup:
    """Return a lying bar beside a number that is said in words already."""
    width = max(value / most * _HEIGHT, _LEAST) if most and value else 0.0
    bar = _rect(x=0, y=0, width=width, height=10, fill=css.TONES[tone])
    return _picture([bar], width=_HEIGHT, height=10, alt=number(value), style=css.SHARE)


def bar(parts: Sequence[tuple[str, int, Tone]]) -> Markup | None:
    """Return a bar whose parts are as long as their counts, with the counts as its description."""
    present = [part for part in parts if part[1]]
    total = sum(count for _, count, _ in present)
    gap = _BAR_GAP if len(present) > 1 else 0.0
    shapes, start = [], 0.0
    for _, count, tone in present:
        width = max(count / total * _WIDTH, 2 * _BAR_GAP)
        fill = css.TONES[tone]
        shapes.append(_rect(x=start, y=0, width=width - gap, height=_BAR_HEIGHT, fill=fill))
        start += width
    told = ", ".join(f"{name} {number(count)}" for name, count, _ in present)
    return _lying(shapes, width=start, alt=told) if present else None


def meter(done: float, *, tone: Tone, alt: str) -> Markup:
    """Return how much of a whole is done, from 0 to 1, in tones that hold on light and dark."""
    parts = ((_WIDTH, css.LINE), (done * _WIDTH, css.TONES[tone]))
    shapes = [_rect(x=0, y=0, width=width, height=_BAR_HEIGHT, fill=fill) for width, fill in parts]
    return _lying(shapes, width=_WIDTH, alt=alt)


def totals(chart: Chart) -> list[float]:
    """Return how high the bars of a chart are."""
    return [sum(values) for values in zip(*(layer.values for layer in chart.layers), strict=True)]


def scale(chart: Chart) -> str:
    """Return what the bars of a chart are, if it says so."""
    if chart.bar is None:
        return ""
    most = round(max(totals(chart), default=0.0))
    return f"Each bar is {_length(chart.bar)}; the tallest is {many(most, 'row')}."


def narrowed(chart: Chart, *, places: int | None) -> Chart:
    """Return a chart of at most so many bars: neighbours become one."""
    count = len(totals(chart))
    at_once = 1 if places is None else max(-(-count // max(places, 1)), 1)
    layers = [
        Layer(
            [sum(layer.values[place : place + at_once]) for place in range(0, count, at_once)],
            layer.tone,
        )
        for layer in chart.layers
    ]
    return msgspec.structs.replace(chart, layers=layers, bar=chart.bar and chart.bar * at_once)


def sparkline(values: Sequence[float], bars: str = BARS) -> str:
    """Return bars as one line of text.

    Examples:
        >>> sparkline([0, 1, 4, 8])
        ' ▁▄█'
    """
    most = max(values, default=0.0) or 1.0
    return "".join(
        bars[max(round(value / most * len(bars)) - 1, 0)] if value else " " for value in values
    )


def _length(width: timedelta) -> str:
    """Return a length of time in the largest whole unit."""
    hours = round(width.total_seconds() / 3600)
    for size, noun in ((168, "week"), (24, "day")):
        if hours % size == 0:
            return many(hours // size, noun)
    return many(hours, "hour")


def _bar(place: int, *, step: float, y: float, height: float, tone: Tone) -> Markup:
    """Return one bar of a layer."""
    gap = min(step * 0.2, 4.0)
    x = place * step + gap / 2
    return _rect(x=x, y=y, width=step - gap, height=height, fill=css.TONES[tone])


def _lying(shapes: Iterable[Markup], *, width: float, alt: str) -> Markup:
    """Return a bar that is as wide as its place."""
    return _picture(shapes, width=width, height=_BAR_HEIGHT, alt=alt, style=css.BAR)


def _picture(
    shapes: Iterable[Markup], *, width: float, height: float, alt: str, style: Style
) -> Markup:
    """Return shapes as a picture that fills the place it is given."""
    attributes = {
        "xmlns": SVG,
        "viewBox": f"0 0 {width:g} {height:g}",
        "width": f"{width:g}",
        "height": f"{height:g}",
        "preserveAspectRatio": "none",
    }
    return picture(shape("svg", *shapes, attributes=attributes), alt=alt, style=style)


def _rect(*, x: float, y: float, width: float, height: float, fill: str) -> Markup:
    """Return one rectangle."""
    places = {"x": x, "y": y, "width": width, "height": height}
    return shape(
        "rect", attributes={**{key: f"{value:.1f}" for key, value in places.items()}, "fill": fill}
    )
