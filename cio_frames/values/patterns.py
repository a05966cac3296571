"""Patterns of texts: placeholders, white space, invisible characters and e-mail addresses.

`EMAIL` is the only definition of an address. The two other patterns find texts that look like one.
"""

import re
from typing import Final

PLACEHOLDERS: Final = (
    "", "nan", "none", "null", "nat", "n/a", "#n/a", "na", "-", ".", "..", "undefined",
    "[object object]", "<na>", "#ref!", "#value!", "#div/0!", "#name?", "#num!", "#null!", "loading...",
    "(blank)", "(not set)", "(not provided)", r"\n", "n.a.", "--", "---",
)  # fmt: skip
"""Texts that programs write for an empty cell, in lower case."""

_UNFILLED = (
    r"\{\{[^{}]*\}\}|\$\{[^{}]*\}|\*\|[^|]+\|\*|%%[^%]+%%|%[A-Za-z][A-Za-z_.]*%|<%[^%]*%>|\[\[[A-Za-z][^\[\]]*\]\]"
    r"|#(?-i:[¡¿]?\p{Lu}[\p{Lu}/0-9_]*[!?])|#N/A N/A|#NV"
    r"|[(\[<](?i:null|none|nil|nan|n/a|empty|undefined)[)\]>]"
)

UNFILLED: Final = f"^(?:{_UNFILLED})$"
"""A template placeholder, a spreadsheet error in any language, or a word for nothing in brackets, as the
complete text."""

BLANK: Final = (
    rf"(?i)^\s*(?:{'|'.join(map(re.escape, filter(None, PLACEHOLDERS)))}|{_UNFILLED})?\s*$"
)
"""A placeholder or white space, as the complete text."""

SINGLE_QUOTE: Final = r"['`\x{B4}\x{2018}\x{2019}]"
DOUBLE_QUOTE: Final = r"[\"\x{AB}\x{BB}\x{201C}-\x{201E}]"
"""One quotation mark, in any typographic form."""

PADDED: Final = r"^\s|\s$"
"""White space at the start or the end of a text."""

INVISIBLE: Final = (
    "[\u00a0\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u0000-\u001f\u007f-\u009f]"
)
"""One invisible character."""

ISO_TIME: Final = (
    r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
"""A text that Journeys reads as a time, as the complete text (reference 1.6)."""

UNUSUAL: Final = r"[^ -~]|[<&{\[]|^\s*[=+\-@]|^\s|\s$"
"""Matches every text with a character that checks of text look for, but not words and numbers."""

_LOCAL: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"

EMAIL: Final = rf"^{_LOCAL}(?:\.{_LOCAL})*@(?:{_LABEL}\.)+{_LABEL}$"
"""A text that Customer.io reads as an e-mail address, as the complete text: the only definition, for
checks and identities. Every other text is an id (reference 3.1 and section 6: the full email format of ajv)."""

_EMAIL: Final = re.compile(EMAIL)

EMAIL_SHAPED: Final = r"^[^\s@]+@[^\s@]+\.[^\s@]+$"
"""A text that looks like an address, valid or not: it identifies columns of addresses."""

EMAIL_INSIDE: Final = r"[^\s@<>\"',;]{1,100}@[^\s@<>\"',;]{1,200}"
"""What looks like an address anywhere in a text, in linear time: the record masks it."""


def is_email(text: str) -> bool:
    """Return whether Customer.io reads a text as an e-mail address, by `EMAIL`.

    Examples:
        >>> is_email("ada@example.com"), is_email("a..b@x.example"), is_email("a@bücher.example")
        (True, False, False)
    """
    return _EMAIL.fullmatch(text) is not None
