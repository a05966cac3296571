"""Messages, as they go over the wire."""

import re
from collections.abc import Sequence

import msgspec

from cio_frames.views import components
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Markup
from cio_frames.views.wording import many, size

OPEN = 2
DRAWN = 50
_INDENT = "  "
_NAMED = re.compile(r'( *)("(?:[^"\\]|\\.)*":) (.+)')


def html(messages: Sequence[str], *, title: str) -> Markup:
    """Return messages with a line for each value, the first ones open.

    Args:
        messages: JSON texts.
        title: What they are messages of.
    """
    shown = [
        components.fold(
            _about(place, message), components.block(_spread(message)), is_open=place < OPEN
        )
        for place, message in enumerate(messages[:DRAWN])
    ]
    left = len(messages) - len(shown)
    rest = (
        [components.sentence(f"And {many(left, 'more message')}.", style=css.AFTER)] if left else []
    )
    note = "The values are exactly what is sent; the blanks and line breaks are for reading."
    return components.card(
        components.head(title, about=many(len(messages), "message")),
        components.sentence(note, style=css.LEAD),
        *shown,
        *rest,
    )


def fold(messages: Sequence[str]) -> Markup:
    """Return messages as a part of a report."""
    return components.fold(_title(messages), *map(components.block, messages))


def block(messages: Sequence[str]) -> str:
    """Return messages as a part of a report in a terminal: each on its line, if all fit."""
    exact = [plain.json_text(message) for message in messages]
    if all(plain.is_fitting(message, indent=_INDENT) for message in exact):
        return "\n".join((_title(messages), *(_INDENT + message for message in exact)))
    title = plain.paragraph(_title(messages, how="with line breaks for reading"))
    lines = (line for message in exact for line in _spread(message).split("\n"))
    return "\n".join((title, *map(_fitted, lines)))


def _fitted(line: str) -> str:
    """Return a line of JSON; where it is too long, the value stands below its name."""
    named = _NAMED.fullmatch(line)
    if named is None or plain.is_fitting(line, indent=_INDENT):
        return _INDENT + line
    blanks, name, value = named.groups()
    return f"{_INDENT}{blanks}{name}\n{_INDENT * 2}{blanks}{value}"


def _title(messages: Sequence[str], *, how: str = "exactly as sent") -> str:
    """Return what the messages below are."""
    count = "message" if len(messages) == 1 else many(len(messages), "message")
    return f"First {count}, {how}"


def _about(place: int, message: str) -> str:
    return f"Message {place + 1}, {size(len(message.encode()))}"


def _spread(message: str) -> str:
    """Return JSON with a line for each value."""
    return msgspec.json.format(message, indent=2)
