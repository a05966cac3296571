"""The parts that views are composed of: heads, figures, sections, folds, tables, bars."""

from collections.abc import Collection, Iterable, Sequence

from cio_frames.views import style as css
from cio_frames.views.html import NOTHING, Child, Markup, picture, shape, tag
from cio_frames.views.style import Style, Tone
from cio_frames.views.wording import number

_SHORT_CELL = 26
_LONG_CELL = 300
_BAR_UNITS = 1000
_BAR_GAP = 3


def card(*children: Child) -> Markup:
    """Return a whole view in its frame."""
    return tag("div", *children, style=css.CARD)


def head(title: str, *, about: str, verdict: str = "", tone: Tone = "dull") -> Markup:
    """Return what the view is about and what it found, in one line."""
    found: list[Child] = [badge(verdict, tone=tone), " "] if verdict else []
    where = tag("span", about, style=css.join(css.MUTED, css.SMALL), attributes={"dir": "auto"})
    return tag("div", tag("strong", title, style=css.TITLE), " ", *found, where, style=css.HEAD)


def badge(word: str, *, tone: Tone) -> Markup:
    """Return a word on coloured ground."""
    return tag("strong", word, style=css.badge(tone))


def sentence(*children: Child, style: Style = css.PARAGRAPH) -> Markup:
    """Return a paragraph."""
    return tag("p", *children, style=style)


def figures(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Return the numbers that matter most, each under its name."""
    return tag("div", *(_figure(name, value) for name, value in pairs), style=css.FIGURES)


def section(title: str, *children: Child) -> Markup:
    """Return a titled part of a view. It is no heading: it must not enter the notebook's contents."""
    return tag("section", tag("div", title, style=css.SECTION_TITLE), *children, style=css.SECTION)


def fold(title: Child, *children: Child, is_open: bool = False, style: Style = css.FOLD) -> Markup:
    """Return a part that a reader opens with a click or the keyboard."""
    return tag(
        "details",
        tag("summary", title, style=css.FOLD_TITLE),
        *children,
        style=style,
        attributes={"open": "open"} if is_open else {},
    )


def code(text: str) -> Markup:
    """Return text as it would be typed, or as it stands in the data."""
    return tag("code", text, style=css.CODE, attributes={"dir": "auto"})


def muted(text: str) -> Markup:
    """Return text that stands back."""
    return tag("em", text, style=css.MUTED)


def block(text: str) -> Markup:
    """Return text that keeps its own lines."""
    return tag("pre", text, style=css.BLOCK)


def grid(
    headers: Sequence[str], rows: Sequence[Sequence[Child]], *, right: Collection[int] = ()
) -> Markup:
    """Return a table that scrolls sideways when it is wider than the page.

    Args:
        headers: Titles of the columns.
        rows: One text or markup per column, in every row.
        right: Positions of the columns that are aligned to the right.
    """
    top = tag(
        "tr", *(_cell("th", name, i in right) for i, name in enumerate(headers)), style=css.ROW
    )
    body = (
        tag("tr", *(_cell("td", value, i in right) for i, value in enumerate(row)), style=css.ROW)
        for row in rows
    )
    table = tag("table", tag("thead", top), tag("tbody", *body), style=css.TABLE)
    return tag("div", table, style=css.SCROLL)


def bar(parts: Sequence[tuple[str, int, Tone]]) -> Markup:
    """Return a bar whose parts are as long as their counts, with the counts as its description."""
    present = [part for part in parts if part[1]]
    total = sum(count for _, count, _ in present)
    if not total:
        return NOTHING
    shapes, start = [], 0.0
    for _, count, tone in present:
        width = max(count / total * _BAR_UNITS, 2 * _BAR_GAP)
        gap = _BAR_GAP if len(present) > 1 else 0
        shapes.append(_stripe(start, width - gap, css.TONES[tone]))
        start += width
    told = ", ".join(f"{name} {number(count)}" for name, count, _ in present)
    return _stripes(shapes, width=start, alt=told)


def meter(done: float, *, tone: Tone, alt: str) -> Markup:
    """Return how much of a whole is done, from 0 to 1, in tones that hold on light and dark."""
    shapes = [_stripe(0.0, _BAR_UNITS, css.LINE), _stripe(0.0, done * _BAR_UNITS, css.TONES[tone])]
    return _stripes(shapes, width=_BAR_UNITS, alt=alt)


def _figure(name: str, value: str) -> Markup:
    """Return one number under its name."""
    return tag(
        "div",
        tag("div", name, style=css.join(css.SMALL, css.MUTED)),
        tag("div", value, style=css.FIGURE_VALUE),
        style=css.FIGURE,
    )


def _cell(name: str, value: Child, to_the_right: bool) -> Markup:  # noqa: FBT001
    """Return one cell. Alignment is also said as an attribute, for renderers without styles."""
    style = css.HEAD_CELL if name == "th" else css.CELL
    attributes = {"scope": "col"} if name == "th" else {"dir": "auto"}
    if to_the_right:
        style, attributes = css.join(style, css.TO_THE_RIGHT), attributes | {"align": "right"}
    if isinstance(value, str) and len(value) <= _SHORT_CELL:
        style = css.join(style, css.ON_ONE_LINE)
    if isinstance(value, str) and len(value) > _LONG_CELL:
        value = fold(f"{value[:80]}… ({number(len(value))} characters)", value)
    return tag(name, value, style=style, attributes=attributes)


def _stripes(shapes: Iterable[Markup], *, width: float, alt: str) -> Markup:
    """Return the parts of a bar as a picture that is as wide as its place."""
    drawing = shape(
        "svg",
        *shapes,
        attributes={
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width:.1f} 8",
            "width": f"{_BAR_UNITS}",
            "height": "8",
            "preserveAspectRatio": "none",
        },
    )
    return picture(drawing, alt=alt, style=css.BAR)


def _stripe(start: float, width: float, fill: str) -> Markup:
    """Return one part of a bar."""
    return shape(
        "rect",
        attributes={
            "x": f"{start:.1f}",
            "y": "0",
            "width": f"{width:.1f}",
            "height": "8",
            "fill": fill,
        },
    )
