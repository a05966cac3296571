"""Patterns of texts: placeholders, white space, invisible characters and e-mail addresses.

What an address is has one definition, `EMAIL`. The two other patterns find what looks like one.
"""

import re
from typing import Final

PLACEHOLDERS: Final = (
    "", "nan", "none", "null", "nat", "n/a", "#n/a", "na", "-", ".", "..", "undefined",
    "[object object]", "<na>", "#ref!", "#value!", "#div/0!", "#name?", "#num!", "#null!", "loading...",
    "(blank)", "(not set)", "(not provided)", r"\n", "n.a.", "--", "---",
)  # fmt: skip
"""What programs write for an empty cell, in lower case."""

_UNFILLED = (
    r"\{\{[^{}]*\}\}|\$\{[^{}]*\}|\*\|[^|]+\|\*|%%[^%]+%%|%[A-Za-z][A-Za-z_.]*%|<%[^%]*%>|\[\[[A-Za-z][^\[\]]*\]\]"
    r"|#(?-i:[¡¿]?\p{Lu}[\p{Lu}/0-9_]*[!?])|#N/A N/A|#NV"
    r"|[(\[<](?i:null|none|nil|nan|n/a|empty|undefined)[)\]>]"
)

UNFILLED: Final = f"^(?:{_UNFILLED})$"
"""A place of a template that nobody has filled in, an error of a spreadsheet in any language, or a word
for nothing in brackets, as the whole text."""

BLANK: Final = (
    rf"(?i)^\s*(?:{'|'.join(map(re.escape, filter(None, PLACEHOLDERS)))}|{_UNFILLED})?\s*$"
)
"""A placeholder or white space, as the whole text."""

SINGLE_QUOTE: Final = r"['`\x{B4}\x{2018}\x{2019}]"
DOUBLE_QUOTE: Final = r"[\"\x{AB}\x{BB}\x{201C}-\x{201E}]"
"""Quotes as programs and people write them, one of them."""

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

_LOCAL: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"

EMAIL: Final = rf"^{_LOCAL}(?:\.{_LOCAL})*@(?:{_LABEL}\.)+{_LABEL}$"
"""What Customer.io takes for an e-mail address, as the whole text: the one definition, for checks and
for who is who. Every other text is an id (reference 3.1 and section 6: ajv's full email format)."""

_ONE_EMAIL: Final = re.compile(EMAIL)

EMAIL_SHAPED: Final = r"^[^\s@]+@[^\s@]+\.[^\s@]+$"
"""Something like an address as the whole text, well or badly written: by it a column of addresses is
known for one."""

EMAIL_INSIDE: Final = r"[^\s@<>\"',;]{1,100}@[^\s@<>\"',;]{1,200}"
"""Something like an address anywhere in a text, in linear time: what the record masks."""


def is_email(text: str) -> bool:
    """Return whether Customer.io takes a text for an e-mail address, as `EMAIL` does.

    Examples:
        >>> is_email("ada@example.com"), is_email("a..b@x.example"), is_email("a@bücher.example")
        (True, False, False)
    """
    return _ONE_EMAIL.fullmatch(text) is not None
