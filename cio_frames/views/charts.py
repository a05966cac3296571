"""Charts: bars over time and shares, as pictures that no front end removes.

A picture cannot know whether it stands on a light or a dark page, so it holds shapes only, in tones
that stand out from both. Every word and number stands beside it, as text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from cio_frames.views import style as css
from cio_frames.views.environment import output
from cio_frames.views.html import Markup, picture, shape, tag
from cio_frames.views.style import Style, Tone
from cio_frames.views.wording import number

_WIDTH = 1000.0
_HEIGHT = 100.0
_LEAST = 3.0
Number = TypeVar("Number", int, float)

_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = ".:-=+*#@"
_SVG = "http://www.w3.org/2000/svg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One layer of the bars.

    Attributes:
        values: One value per bar.
        tone: How it looks.
    """

    values: Sequence[float]
    tone: Tone


def columns(
    layers: Sequence[Series], *, alt: str, mark: float | None = None, style: Style = css.CHART
) -> Markup:
    """Return upright bars, the layers on top of each other.

    Args:
        layers: The layers from the ground up, all with as many values.
        alt: What the chart says, in words.
        mark: Where a line stands across all bars, from 0 to 1.
        style: The style of the picture.
    """
    totals = [sum(values) for values in zip(*(layer.values for layer in layers), strict=True)]
    most = max(totals, default=0.0) or 1.0
    step = _WIDTH / max(len(totals), 1)
    shapes = [_rect(x=0, y=_HEIGHT - 1, width=_WIDTH, height=1, fill=css.LINE)]
    grounds = [0.0] * len(totals)
    for layer in layers:
        for place, value in enumerate(layer.values):
            if value:
                height = max(value / most * _HEIGHT, _LEAST)
                top = _HEIGHT - grounds[place] - height
                shapes.append(_bar(place, step=step, y=max(top, 0.0), height=height, layer=layer))
                grounds[place] += height
    if mark is not None:
        x = mark * _WIDTH
        shapes.append(_rect(x=x, y=0, width=2, height=_HEIGHT, fill=css.TONES["care"]))
    return picture(_svg(shapes, width=_WIDTH, height=_HEIGHT), alt=alt, style=style)


def share(value: int, *, most: int, tone: Tone) -> Markup:
    """Return a lying bar beside a number that is said in words already."""
    width = max(value / most * _HEIGHT, _LEAST) if most and value else 0.0
    drawing = _svg(
        [_rect(x=0, y=0, width=width, height=10, fill=css.TONES[tone])], width=_HEIGHT, height=10
    )
    return picture(drawing, alt=number(value), style=css.SHARE)


def axis(first: str, last: str) -> Markup:
    """Return the words under a chart: where it begins and where it ends."""
    right = css.join(css.AXIS_CELL, css.TO_THE_RIGHT)
    cells = (
        tag("td", first, style=css.AXIS_CELL),
        tag("td", last, style=right, attributes={"align": "right"}),
    )
    row = tag("tr", *cells, style=css.ROW)
    return tag("table", tag("tbody", row), style=css.AXIS)


def sparkline(values: Sequence[float]) -> str:
    """Return the bars as one line of a terminal.

    Examples:
        >>> sparkline([0, 1, 4, 8])
        ' ▁▄█'
    """
    bars = _BARS if output().takes(_BARS) else _PLAIN_BARS
    most = max(values, default=0.0) or 1.0
    return "".join(
        bars[max(round(value / most * len(bars)) - 1, 0)] if value else " " for value in values
    )


def crowding(bars: int, *, beside: str) -> int:
    """Return how many bars must become one to fit on a line of the output beside other text."""
    places = output().columns
    return 1 if places is None else -(-bars // max(places - len(beside), 1))


def joined(values: Sequence[Number], *, at_once: int) -> tuple[Number, ...]:
    """Return the sums of so many neighbours.

    Examples:
        >>> joined([1, 2, 3, 4, 5], at_once=2)
        (3, 7, 5)
    """
    return tuple(sum(values[start : start + at_once]) for start in range(0, len(values), at_once))


def _bar(place: int, *, step: float, y: float, height: float, layer: Series) -> Markup:
    """Return one bar of a layer."""
    gap = min(step * 0.2, 4.0)
    return _rect(
        x=place * step + gap / 2, y=y, width=step - gap, height=height, fill=css.TONES[layer.tone]
    )


def _svg(shapes: Sequence[Markup], *, width: float, height: float) -> Markup:
    """Return a drawing that fills the place it is given."""
    attributes = {
        "xmlns": _SVG,
        "viewBox": f"0 0 {width:g} {height:g}",
        "width": f"{width:g}",
        "height": f"{height:g}",
        "preserveAspectRatio": "none",
    }
    return shape("svg", *shapes, attributes=attributes)


def _rect(*, x: float, y: float, width: float, height: float, fill: str) -> Markup:
    """Return one rectangle."""
    places = {"x": x, "y": y, "width": width, "height": height}
    return shape(
        "rect", attributes={**{key: f"{value:.1f}" for key, value in places.items()}, "fill": fill}
    )
