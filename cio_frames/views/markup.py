"""Elements of HTML and of still drawings. The only place that escapes.

Text is escaped exactly once, also text that another library marks as safe; markup of this module is
taken as it is. A string from the data can never become an element or an attribute.
"""

import base64
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from cio_frames.views.characters import visible
from cio_frames.views.style import PLAIN, Style

_ELEMENTS = frozenset({
    "bdi", "code", "details", "div", "em", "img", "li", "ol", "p", "pre", "progress", "section",
    "span", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul",
})  # fmt: skip
_ATTRIBUTES = frozenset({"align", "alt", "dir", "max", "open", "scope", "title", "value"})
_DRAWING = frozenset({"circle", "g", "line", "path", "rect", "svg", "text"})
DOCUMENTATION = "https://cio-frames.readthedocs.io/"
_SVG = "data:image/svg+xml;base64,"
_CSV = "data:text/csv;base64,"
_ROWS = "cio-rows"
_HELPED = (f'class="{_ROWS}"', "user-select")
"""What the script of a card looks for: long tables, and what is to be typed."""

_NO_ATTRIBUTES: Mapping[str, str] = {}
_NO_MATH = "mathjax_ignore tex2jax_ignore"
"""Classes in which front ends leave $ as it is, instead of drawing what is between two of them as a formula."""


class Markup(str):
    """HTML made by this module."""

    __slots__ = ()


def tag(
    name: str,
    *children: str,
    style: Style = PLAIN,
    attributes: Mapping[str, str] = _NO_ATTRIBUTES,
) -> Markup:
    """Return one element of those that untrusted notebooks keep.

    Raises:
        ValueError: The element or an attribute is not one that front ends keep.

    Examples:
        >>> print(tag("td", "<b> & 'c'", attributes={"title": '"'}))
        <td title="&#34;">&lt;b&gt; &amp; &#39;c&#39;</td>
    """
    if name not in _ELEMENTS:
        raise ValueError(f"<{name}> is not kept by every front end.")
    if not _ATTRIBUTES.issuperset(attributes):
        raise ValueError(f"One of {sorted(attributes)} is not kept by every front end.")
    declared = {"style": str(style)} if style else {}
    return _element(name, children, {**declared, **attributes})


def frame(*children: str, style: Style = PLAIN) -> Markup:
    """Return the block around a view, in which no front end draws formulas, with its script if it has use.

    Examples:
        >>> print(frame("$1 and $2"))
        <div class="mathjax_ignore tex2jax_ignore">$1 and $2</div>
    """
    declared = {"style": str(style)} if style else {}
    helped = [_script()] if any(mark in child for mark in _HELPED for child in children) else []
    return _element("div", [*children, *helped], {**declared, "class": _NO_MATH})


def long_table(*children: str) -> Markup:
    """Return the block around a long table, which is searched and sorted where scripts run."""
    return _element("div", children, {"class": _ROWS})


@cache
def _script() -> Markup:
    """Return the script of cards, the same in all: no word of the data is in it."""
    text = Path(__file__).with_name("card.js").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if not line.startswith("//")]
    return Markup(f"<script>{' '.join(filter(None, lines))}</script>")


def link(text: str, *, page: str, style: Style = PLAIN) -> Markup:
    """Return a link to a page of the documentation, the only place that views link to.

    Examples:
        >>> print(link("id.float", page="checks.html#id-float"))
        <a href="https://cio-frames.readthedocs.io/checks.html#id-float">id.float</a>
    """
    declared = {"style": str(style)} if style else {}
    return _element("a", [text], {**declared, "href": DOCUMENTATION + page})


def download(text: str, *, name: str, content: str, style: Style = PLAIN) -> Markup:
    """Return a link that saves a CSV file, which lies in the link itself.

    Notebooks that somebody else ran lose the address: there it is plain text.

    Examples:
        >>> print(download("save", name="a.csv", content="x"))
        <a download="a.csv" href="data:text/csv;base64,eA==">save</a>
    """
    declared = {"style": str(style)} if style else {}
    data = base64.b64encode(content.encode()).decode()
    return _element("a", [text], {**declared, "download": name, "href": _CSV + data})


def join(children: Iterable[str]) -> Markup:
    """Return the children one after the other.

    Examples:
        >>> print(join([tag("strong", "a"), " & b"]))
        <strong>a</strong> &amp; b
    """
    return Markup("".join(map(_escaped, children)))


def shape(name: str, *children: str, attributes: Mapping[str, str]) -> Markup:
    """Return one element of a drawing, for `picture`.

    Raises:
        ValueError: The element is not part of a still drawing.
    """
    if name not in _DRAWING:
        raise ValueError(f"<{name}> is not part of a still drawing.")
    return _element(name, children, attributes)


def picture(drawing: Markup, *, alt: str, style: Style = PLAIN) -> Markup:
    """Return a drawing as an image, which no front end removes and no script can run in."""
    data = base64.b64encode(drawing.encode()).decode()
    attributes = _attributes({"style": str(style), "alt": alt, "src": _SVG + data})
    return Markup(f"<img{attributes}>")


def _element(name: str, children: Iterable[str], attributes: Mapping[str, str]) -> Markup:
    return Markup(f"<{name}{_attributes(attributes)}>{join(children)}</{name}>")


def _attributes(attributes: Mapping[str, str]) -> str:
    return "".join(f' {key}="{_escaped(value)}"' for key, value in attributes.items())


def _escaped(text: str) -> str:
    """Return markup as it is, and anything else as text. The one escape function."""
    if type(text) is Markup:
        return str(text)
    from markupsafe import escape  # the first drawing loads it

    return str(escape(visible(str(text))))
