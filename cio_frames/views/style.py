"""Spacing, type and colour, as literal inline declarations.

Front ends remove most HTML from untrusted notebooks: style sheets, variables, drawings and unknown
declarations. This module uses only what they keep.

No single colour is readable as text on both light and dark pages. So text inherits its colour, and
a colour is only the background of a badge with white text, or a shape beside words. No meaning
depends on colour alone.
"""

from typing import Literal, NewType

Style = NewType("Style", str)
Tone = Literal["good", "care", "bad", "calm", "dull"]

TONES: dict[Tone, str] = {
    "good": "#2b7d46",
    "care": "#8f6a14",
    "bad": "#c62f2f",
    "calm": "#2f6fb5",
    "dull": "#6b7280",
}
ON_TONE = "#ffffff"
LINE = "#80808055"
WASH = "#80808018"
MUTED_OPACITY = 0.75

PLAIN = Style("")
CARD = Style(
    "font-family:system-ui, sans-serif;font-size:14px;line-height:1.5;text-align:left;"
    f"max-width:920px;border:1px solid {LINE};border-radius:8px;padding:16px 20px;margin:4px 0"
)
HEAD = Style("margin:0 0 4px 0")
TITLE = Style("font-size:17px;font-weight:600;margin-right:8px")
MUTED = Style(f"opacity:{MUTED_OPACITY}")
STRONG = Style("font-weight:600")
SMALL = Style("font-size:12px")
LEAD = Style("margin:0 0 12px 0;max-width:780px")
SECTION = Style("margin:20px 0 0 0")
SECTION_TITLE = Style("font-weight:600;margin:0 0 4px 0")
PARAGRAPH = Style("margin:0;max-width:780px")
AFTER = Style("margin:12px 0 0 0")
FIGURES = Style("margin:0 0 8px 0")
FIGURE = Style("display:inline-block;vertical-align:top;margin:4px 28px 4px 0")
FIGURE_VALUE = Style("font-size:20px;font-weight:600;line-height:1.3")
ITEM = Style("padding:8px 0 8px 12px;margin:8px 0 0 0")
NOTICE = Style("padding:8px 0 8px 12px;margin:0 0 12px 0")
LINK = Style("color:inherit;text-decoration:underline dotted")
CODE = Style(
    "font-family:ui-monospace, Menlo, Consolas, monospace;font-size:12px;"
    f"background-color:{WASH};padding:1px 5px;border-radius:4px;white-space:pre-wrap;"
    "overflow-wrap:break-word"
)
COMMAND = Style(f"{CODE};user-select:all")
BLOCK = Style(
    "font-family:ui-monospace, Menlo, Consolas, monospace;font-size:12px;line-height:1.5;"
    f"background-color:{WASH};padding:8px 12px;border-radius:4px;margin:8px 0 0 0;"
    "white-space:pre-wrap;overflow-wrap:break-word"
)
SCROLL = Style("overflow-x:auto;margin:8px 0 0 0")
TABLE = Style("border-collapse:collapse;margin:0;font-size:13px;border:none")
ROW = Style("background-color:transparent")
CELL = Style(
    f"padding:4px 20px 4px 0;border:none;border-bottom:1px solid {LINE};vertical-align:top;"
    "text-align:left;max-width:420px;white-space:pre-wrap;overflow-wrap:break-word"
)
HEAD_CELL = Style(
    f"padding:4px 20px 4px 0;border:none;border-bottom:1px solid {LINE};vertical-align:bottom;"
    "text-align:left;font-weight:600;white-space:pre-wrap"
)
TO_THE_RIGHT = Style("text-align:right")
ON_ONE_LINE = Style("white-space:nowrap")
LIST = Style("margin:0;padding:0 0 0 20px;max-width:780px")
FOLD = Style("margin:12px 0 0 0")
INNER_FOLD = Style("margin:4px 0 0 0")
FOLD_TITLE = Style("cursor:pointer")
BAR = Style("display:block;width:100%;max-width:none;height:8px;margin:8px 0 4px 0")
CHART = Style("display:block;width:100%;max-width:none;height:88px;margin:8px 0 0 0")
SMALL_CHART = Style("display:block;width:100%;max-width:none;height:48px;margin:8px 0 0 0")
SHARE = Style("display:inline-block;width:100px;max-width:none;height:10px;margin:0 8px 0 0")
AXIS = Style("border-collapse:collapse;margin:0;font-size:12px;border:none;width:100%")
AXIS_CELL = Style(f"padding:2px 0 0 0;border:none;opacity:{MUTED_OPACITY};text-align:left")
AFTER_CHART = Style("margin:4px 0 0 0;max-width:780px")
METER = Style("width:100%;height:14px;margin:8px 0")


def join(*styles: Style) -> Style:
    """Return one style from several; later declarations win.

    Examples:
        >>> join(SMALL, PLAIN, TO_THE_RIGHT)
        'font-size:12px;text-align:right'
    """
    return Style(";".join(style for style in styles if style))


def badge(tone: Tone) -> Style:
    """Return the style of a word on a coloured background."""
    return Style(
        f"background-color:{TONES[tone]};color:{ON_TONE};font-size:12px;font-weight:600;"
        "padding:1px 8px;border-radius:4px;margin-right:8px;white-space:nowrap"
    )


def edge(tone: Tone) -> Style:
    """Return the style of a coloured line to the left of a paragraph."""
    return Style(f"border-left:3px solid {TONES[tone]}")
