"""Make invisible characters visible, and characters that control a terminal harmless.

Data may contain terminal escape sequences, marks that reverse the reading direction, and letters
without width. Shown unchanged, they would hide what an identifier really contains.
"""

import re
import unicodedata

_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, except tab and line feed
    "\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # formats
    "\u3164\uffa0"  # letters without a glyph
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"  # noncharacters, which files and browsers reject
    "\U000e0000-\U000e007f"  # tags, an invisible copy of ASCII
    "]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]"  # joiners, except between emoji or letters that need them
)
_LINES = re.compile("[\t\n]")
_CONTROL_PICTURES = 0x2400
_DELETE = "\x7f"


def visible(text: str, *, pictures: bool = True) -> str:
    r"""Return the text with every hidden character written out.

    Args:
        text: Any text, from a cell, a column name, a file name or a server.
        pictures: Whether to use control pictures; without them, controls become numbers too.

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


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text fills.

    Examples:
        >>> display_width("Ada"), display_width("日本")
        (3, 4)
    """
    return len(text) if text.isascii() else sum(_character_width(character) for character in text)


def shorten(text: str, columns: int, *, end: str = "…") -> str:
    """Return the text as one line of at most that many columns.

    Examples:
        >>> shorten("sending 日本", 11), shorten("short", 11)
        ('sending 日…', 'short')
    """
    line = one_line(text)
    if display_width(line) <= columns:
        return line
    while line and display_width(line + end) > columns:
        line = line[:-1]
    return (line + end)[:columns]


def _character_width(character: str) -> int:
    """Return how many columns one character fills."""
    if unicodedata.combining(character) or character in "\u200c\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _picture(match: re.Match[str]) -> str:
    """Return the picture of a control, or the code point of another character."""
    character = match.group()
    if character < " ":
        return chr(_CONTROL_PICTURES + ord(character))
    return "␡" if character == _DELETE else _number(match)


def _number(match: re.Match[str]) -> str:
    return f"[U+{ord(match.group()):04X}]"
