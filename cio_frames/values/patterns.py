"""Patterns of texts: placeholders, white space, invisible characters and e-mail addresses.

There are four patterns of addresses, since their users ask for different things.
"""

import re
from typing import Final

PLACEHOLDERS: Final = (
    "", "nan", "none", "null", "nat", "n/a", "#n/a", "na", "-", ".", "..", "undefined",
    "[object object]", "<na>", "#ref!", "#value!", "#div/0!", "#name?", "#num!", "#null!", "loading...",
    "(blank)", "(not set)", r"\n",
)  # fmt: skip
"""What programs write for an empty cell, in lower case."""

_UNFILLED = r"\{\{[^{}]*\}\}|\$\{[^{}]*\}"

UNFILLED: Final = f"^(?:{_UNFILLED})$"
"""A place of a template that nobody has filled in, as the whole text."""

BLANK: Final = (
    rf"(?i)^\s*(?:{'|'.join(map(re.escape, filter(None, PLACEHOLDERS)))}|{_UNFILLED})?\s*$"
)
"""A placeholder or white space, as the whole text."""

PADDED: Final = r"^\s|\s$"
"""White space around a text."""

INVISIBLE: Final = (
    "[\u00a0\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u0000-\u001f\u007f-\u009f]"
)
"""One character that cannot be seen."""

ISO_TIME: Final = (
    r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
"""A text that Journeys takes for a time, as the whole text (reference 1.6)."""

UNUSUAL: Final = r"[^ -~]|[<&{\[]|^\s*[=+\-@]|^\s|\s$"
"""Found in every text with a character that checks of text look for; not in plain words and numbers."""

EMAIL: Final = r"^[^\s@,;<>:\"()\[\]\\]+@(?:[^\s@,;<>:\"()\[\]\\.]+\.)+[^\s@,;<>:\"()\[\]\\.]+$"
"""An address to which mail can be sent, as the whole text: what the checks accept."""

EMAIL_COLUMN: Final = r"^[^\s@]+@[^\s@]+\.[^\s@]+$"
"""An address as the whole text, well or badly written: what columns of addresses hold."""

EMAIL_INSIDE: Final = r"[^\s@<>\"',;]{1,100}@[^\s@<>\"',;]{1,200}"
"""An address anywhere in a text, in linear time: what the audit masks."""

EMAIL_REFERENCE: Final = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@"
    r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]*[a-z0-9])?",
    re.IGNORECASE | re.ASCII,
)
"""An identifier that Customer.io takes for an e-mail address (reference 3.1)."""
