"""Make characters visible that a reader could not see, or that would act on a screen.

Data may hold escape sequences that steer a terminal, marks that turn the reading direction around,
and letters without width. Drawn as they are, they would hide what an identifier really contains.
"""

import re
import unicodedata

_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, except tab and line feed
    "\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # formats
    "\u3164\uffa0"  # letters drawn as nothing
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"  # no characters at all: files and browsers refuse them
    "\U000e0000-\U000e007f"  # tags, an invisible copy of ASCII
    "]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]"  # joiners, unless they join emoji or letters that need them
)
_LINES = re.compile("[\t\n]")
_CONTROL_PICTURES = 0x2400
_DELETE = "\x7f"


def visible(text: str, *, pictures: bool = True) -> str:
    r"""Return the text with every hidden character written out.

    Args:
        text: Any text, from a cell, a column name, a file name or a server.
        pictures: Whether there are control pictures; without them, controls have numbers too.

    Returns:
        The text with control pictures for controls and `[U+202E]` for the rest. Tabs and line
        feeds stay.

    Examples:
        >>> visible("u1\x1b[31m")
        'u1␛[31m'
        >>> visible("user\u200b1")
        'user[U+200B]1'
    """
    return _HIDDEN.sub(_picture if pictures else _number, text)


def one_line(text: str, *, pictures: bool = True) -> str:
    r"""Return the visible text with its line feeds and tabs written out too.

    Examples:
        >>> one_line("a\nb")
        'a␊b'
    """
    shown = visible(text, pictures=pictures)
    return _LINES.sub(_picture if pictures else _number, shown)


def cells(text: str) -> int:
    """Return how many places of a terminal a text fills.

    Examples:
        >>> cells("Ada"), cells("日本")
        (3, 4)
    """
    return len(text) if text.isascii() else sum(_cells(character) for character in text)


def shortened(text: str, places: int, *, end: str = "…") -> str:
    """Return one line of at most so many places.

    Examples:
        >>> shortened("sending 日本", 11), shortened("short", 11)
        ('sending 日…', 'short')
    """
    line = one_line(text)
    if cells(line) <= places:
        return line
    while line and cells(line + end) > places:
        line = line[:-1]
    return (line + end)[:places]


def _cells(character: str) -> int:
    """Return how many places one character fills."""
    if unicodedata.combining(character) or character in "\u200c\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _picture(match: re.Match[str]) -> str:
    """Return the picture of a control, or the number of another character."""
    character = match.group()
    if character < " ":
        return chr(_CONTROL_PICTURES + ord(character))
    return "␡" if character == _DELETE else _number(match)


def _number(match: re.Match[str]) -> str:
    """Return the number of one character."""
    return f"[U+{ord(match.group()):04X}]"
