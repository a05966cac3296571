"""Messages, as they go over the wire."""

from collections.abc import Sequence

import msgspec

from cio_frames.views import components
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Markup
from cio_frames.views.wording import many, size

OPEN = 2
DRAWN = 50


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
    """Return messages as a part of a report in a terminal."""
    return "\n".join((_title(messages), *map(plain.block, messages)))


def _title(messages: Sequence[str]) -> str:
    """Return what the messages below are."""
    count = "message" if len(messages) == 1 else many(len(messages), "message")
    return f"First {count}, exactly as sent"


def _about(place: int, message: str) -> str:
    return f"Message {place + 1}, {size(len(message.encode()))}"


def _spread(message: str) -> str:
    """Return JSON with a line for each value."""
    return msgspec.json.format(message, indent=2)
