"""HTML and SVG elements. The only module that escapes.

Text is escaped exactly once, even text that another library marks as safe; only markup of this
module is not escaped. A string from the data can never become an element or an attribute.
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
_SCRIPTED = (f'class="{_ROWS}"', "user-select")
"""What the script of a card handles: long tables, and text to be typed."""

_NO_ATTRIBUTES: Mapping[str, str] = {}
_NO_MATH = "mathjax_ignore tex2jax_ignore"
"""CSS classes that stop front ends from rendering text between two $ as a formula."""


class Markup(str):
    """HTML made by this module."""

    __slots__ = ()


def tag(
    name: str,
    *children: str,
    style: Style = PLAIN,
    attributes: Mapping[str, str] = _NO_ATTRIBUTES,
) -> Markup:
    """Return one of the elements that untrusted notebooks keep.

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
    return _element(name, children, {**_styled(style), **attributes})


def frame(*children: str, style: Style = PLAIN) -> Markup:
    """Return the block around a view, without formulas, and with the script if it has a use.

    Examples:
        >>> print(frame("$1 and $2"))
        <div class="mathjax_ignore tex2jax_ignore">$1 and $2</div>
    """
    is_scripted = any(mark in child for mark in _SCRIPTED for child in children)
    script = [_script()] if is_scripted else []
    return _element("div", [*children, *script], {**_styled(style), "class": _NO_MATH})


def long_table(*children: str) -> Markup:
    """Return the block around a long table, which scripts make searchable and sortable."""
    return _element("div", children, {"class": _ROWS})


@cache
def _script() -> Markup:
    """Return the script of cards. It is the same in all cards and contains no data."""
    text = Path(__file__).with_name("card.js").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if not line.startswith("//")]
    return Markup(f"<script>{' '.join(filter(None, lines))}</script>")


def link(text: str, *, page: str, style: Style = PLAIN) -> Markup:
    """Return a link to a page of the documentation; views link nowhere else.

    Examples:
        >>> print(link("id.float", page="checks.html#id-float"))
        <a href="https://cio-frames.readthedocs.io/checks.html#id-float">id.float</a>
    """
    return _element("a", [text], {**_styled(style), "href": DOCUMENTATION + page})


def download(text: str, *, name: str, content: str, style: Style = PLAIN) -> Markup:
    """Return a link that saves a CSV file, whose content is in the link.

    Untrusted notebooks remove the address and show plain text.

    Examples:
        >>> print(download("save", name="a.csv", content="x"))
        <a download="a.csv" href="data:text/csv;base64,eA==">save</a>
    """
    data = base64.b64encode(content.encode()).decode()
    return _element("a", [text], {**_styled(style), "download": name, "href": _CSV + data})


def join(children: Iterable[str]) -> Markup:
    """Return the children one after the other.

    Examples:
        >>> print(join([tag("strong", "a"), " & b"]))
        <strong>a</strong> &amp; b
    """
    return Markup("".join(map(_escaped, children)))


def shape(name: str, *children: str, attributes: Mapping[str, str]) -> Markup:
    """Return one SVG element, for `picture`.

    Raises:
        ValueError: The element is not allowed.
    """
    if name not in _DRAWING:
        raise ValueError(f"<{name}> is not part of a still drawing.")
    return _element(name, children, attributes)


def picture(drawing: Markup, *, alt: str, style: Style = PLAIN) -> Markup:
    """Return an SVG as an image, which no front end removes and in which no script runs."""
    data = base64.b64encode(drawing.encode()).decode()
    attributes = _attributes({"style": str(style), "alt": alt, "src": _SVG + data})
    return Markup(f"<img{attributes}>")


def _element(name: str, children: Iterable[str], attributes: Mapping[str, str]) -> Markup:
    return Markup(f"<{name}{_attributes(attributes)}>{join(children)}</{name}>")


def _styled(style: Style) -> dict[str, str]:
    return {"style": str(style)} if style else {}


def _attributes(attributes: Mapping[str, str]) -> str:
    return "".join(f' {key}="{_escaped(value)}"' for key, value in attributes.items())


def _escaped(text: str) -> str:
    """Return markup unchanged, and anything else escaped. The only escape function."""
    if type(text) is Markup:
        return str(text)
    from markupsafe import escape  # loaded on first use

    return str(escape(visible(str(text))))
