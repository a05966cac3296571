"""The first messages of a plan, as Python values and as a notebook shows them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from cio_frames.views import payloads
from cio_frames.views.html import bundle


class Payloads(list[dict[str, Any]]):
    """Messages as dictionaries: a plain list, which a notebook shows as JSON.

    Args:
        messages: JSON texts.
        title: What they are messages of.
    """

    def __init__(self, messages: Sequence[str], *, title: str = "") -> None:
        super().__init__(msgspec.json.decode(text) for text in messages)
        self._messages = tuple(messages)
        self._title = title

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(payloads.html(self._messages, title=self._title), repr(self))
