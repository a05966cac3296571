"""Build HTML. The only place that escapes, so that nothing can be escaped twice or not at all.

`tag` takes text and `Markup` and returns `Markup`; text is escaped, `Markup` is not. Only this
module can make `Markup`, so a string from the data can never become an element or an attribute.
"""

import base64
import html
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cio_frames.views.characters import visible
from cio_frames.views.style import PLAIN, Style

_ELEMENTS = frozenset({
    "bdi", "code", "details", "div", "em", "img", "li", "ol", "p", "pre", "progress", "section",
    "span", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul",
})  # fmt: skip
_ATTRIBUTES = frozenset({"align", "alt", "dir", "max", "open", "scope", "title", "value"})
_DRAWING = frozenset({"circle", "g", "line", "path", "rect", "svg", "text"})
_EMPTY = frozenset({"img"})
_SVG = "data:image/svg+xml;base64,"
_NO_ATTRIBUTES: Mapping[str, str] = {}


class Markup:
    """HTML made by this module. Turn it into a string with `str`, at the very end."""

    __slots__ = ("_html",)

    def __init__(self, *_: object) -> None:
        raise TypeError("Markup is made by tag(), join() and picture() only.")

    def __str__(self) -> str:
        return self._html

    def __format__(self, spec: str) -> str:
        raise TypeError("Markup does not belong into a format string: pass it to tag().")

    def __repr__(self) -> str:
        return f"<Markup of {len(self._html)} characters>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Markup) and other._html == self._html

    def __hash__(self) -> int:
        return hash(self._html)

    def _repr_html_(self) -> str:
        return self._html

    _html: str


Child = Markup | str
NOTHING: Markup


def tag(
    name: str,
    *children: Child,
    style: Style = PLAIN,
    attributes: Mapping[str, str] = _NO_ATTRIBUTES,
) -> Markup:
    """Return one element.

    Args:
        name: The element, one of those that untrusted notebooks keep.
        *children: Text, which is escaped, and markup, which is taken as it is.
        style: A style of `cio_frames.views.style`.
        attributes: Further attributes; their values are escaped.

    Returns:
        The element as markup.

    Raises:
        ValueError: The element or an attribute is not one that front ends keep.

    Examples:
        >>> str(tag("td", "<b> & 'c'", attributes={"title": '"'}))
        '<td title="&quot;">&lt;b&gt; &amp; &#x27;c&#x27;</td>'
    """
    if name not in _ELEMENTS:
        raise ValueError(f"<{name}> is not kept by every front end.")
    if not _ATTRIBUTES.issuperset(attributes):
        raise ValueError(f"One of {sorted(attributes)} is not kept by every front end.")
    declared = {"style": str(style)} if style else {}
    return _element(name, children, {**declared, **attributes})


def join(children: Iterable[Child]) -> Markup:
    """Return the children one after the other.

    Examples:
        >>> str(join([tag("strong", "a"), " & b"]))
        '<strong>a</strong> &amp; b'
    """
    return _made("".join(_drawn(child) for child in children))


def shape(name: str, *children: Child, attributes: Mapping[str, str]) -> Markup:
    """Return one element of a drawing, for `picture`.

    Raises:
        ValueError: The element is not part of a still drawing.
    """
    if name not in _DRAWING:
        raise ValueError(f"<{name}> is not part of a still drawing.")
    return _element(name, children, attributes)


def picture(drawing: Markup, *, alt: str, style: Style = PLAIN) -> Markup:
    """Return a drawing as an image, which no front end removes and no script can run in.

    Args:
        drawing: The `svg` element made by `shape`.
        alt: What the picture says, in words.
        style: The style of the image.

    Returns:
        An `img` element that holds the whole drawing.
    """
    data = base64.b64encode(str(drawing).encode()).decode()
    return _element("img", (), {"style": str(style), "alt": alt, "src": _SVG + data})


def bundle(markup: Markup, text: str) -> dict[str, str]:
    """Return what `_repr_mimebundle_` should: the HTML for notebooks, the text for the rest.

    Examples:
        >>> bundle(tag("p", "1 < 2"), "1 < 2")
        {'text/plain': '1 < 2', 'text/html': '<p>1 &lt; 2</p>'}
    """
    return {"text/plain": text, "text/html": str(markup)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A finished view. A notebook shows the HTML, everything else the text.

    Attributes:
        html: For notebooks.
        make_text: Makes the text, for the output that it is about to be written to.
    """

    html: Markup
    make_text: Callable[[], str]

    @property
    def text(self) -> str:
        """The text, for the output of the moment."""
        return self.make_text()

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return bundle(self.html, self.text)


def _element(name: str, children: Iterable[Child], attributes: Mapping[str, str]) -> Markup:
    """Write one element out."""
    written = "".join(f' {key}="{_escaped(value)}"' for key, value in attributes.items())
    if name in _EMPTY:
        return _made(f"<{name}{written}>")
    return _made(f"<{name}{written}>{''.join(map(_drawn, children))}</{name}>")


def _drawn(child: Child) -> str:
    """Return markup as it is and text escaped."""
    return str(child) if isinstance(child, Markup) else _escaped(child)


def _escaped(text: str) -> str:
    """Return text that cannot become anything but text. The one escape function."""
    return html.escape(visible(text), quote=True)


def _made(markup: str) -> Markup:
    """Return a string of this module as markup."""
    made = object.__new__(Markup)
    made._html = markup
    return made


NOTHING = _made("")
