"""Texts: what programs put into them, and what they do to people who look at them."""

import polars as pl

from cio_frames.checks.check import ByText, Check, Repair, Scope
from cio_frames.mapping import MessageMapping, Slot

TRAILS = (
    ("Ã¤", "ä"), ("Ã¶", "ö"), ("Ã¼", "ü"), ("Ã\u009f", "ß"), ("ÃŸ", "ß"), ("Ã„", "Ä"), ("Ã–", "Ö"),
    ("Ãœ", "Ü"), ("Ã©", "é"), ("Ã¨", "è"), ("Ãª", "ê"), ("Ã«", "ë"), ("Ã¡", "á"), ("Ã¢", "â"),
    ("Ã£", "ã"), ("Ã¥", "å"), ("Ã¦", "æ"), ("Ã§", "ç"), ("Ã±", "ñ"), ("Ã³", "ó"), ("Ã²", "ò"),
    ("Ã´", "ô"), ("Ãµ", "õ"), ("Ã¸", "ø"), ("Ãº", "ú"), ("Ã¹", "ù"), ("Ã»", "û"), ("Ã­", "í"),
    ("Ã®", "î"), ("Ã¯", "ï"), ("Ã‰", "É"), ("Ã€", "À"), ("Ã‡", "Ç"), ("Ã˜", "Ø"), ("Ã…", "Å"),
    ("â€™", "\u2019"), ("â€œ", "\u201c"), ("â€\u009d", "\u201d"), ("â€“", "\u2013"),
    ("â€”", "\u2014"), ("â€¦", "\u2026"), ("â‚¬", "€"), ("Â£", "£"), ("Â°", "°"), ("Â\u00a0", "\u00a0"),
)  # fmt: skip
"""UTF-8 that was read as Windows-1252, and what it was."""

ENTITIES = (
    ("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#34;", '"'), ("&#39;", "'"), ("&apos;", "'"),
    ("&nbsp;", "\u00a0"), ("&euro;", "€"), ("&auml;", "ä"), ("&ouml;", "ö"), ("&uuml;", "ü"),
    ("&szlig;", "ß"), ("&eacute;", "é"), ("&#8217;", "\u2019"), ("&amp;", "&"),
)  # fmt: skip
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{80}-\x{9f}]"
DIRECTION = r"[\x{200e}\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}]"
MARKUP = r"<(?:[A-Za-z!/?][^>]*>|script|img|svg)|\]\((?:javascript|data):|\{\{.*\}\}|\{%.*%\}"
FORMULA = r"^[\s\x00]*(?:[=@\x{FF1D}\x{FF20}]|[+\-\x{FF0B}\x{FF0D}][^0-9.\s,]|[+\-][0-9.,]+[^0-9.,\s%-])"
JSON = r"^\s*(?:\{\s*(?:\"|\})|\[\s*(?:[\[\]{\"0-9-]|true|false|null))"
ENTITY = r"&(?:[A-Za-z]{2,8}|#[0-9]{2,5}|#x[0-9A-Fa-f]{2,5});"


def _sent(slot: Slot, _: Scope) -> bool:
    return slot.role in ("body", "context") and slot.how not in ("hashed", "constant")


def _plain(slot: Slot, scope: Scope) -> bool:
    return _sent(slot, scope) and not slot.json and slot.dtype == pl.String


def unusual(text: pl.Expr) -> pl.Expr:
    """Tell of each text whether a character in it could be part of anything looked for here."""
    return text.str.contains(r"[^ -~]|[<&{\[]|^\s*[=+\-@]|^\s|\s$")


def _matches(pattern: str) -> ByText:
    return ByText(slots=_sent, gate=unusual, bad=lambda text: text.str.contains(pattern))


def _mojibake(text: pl.Expr) -> pl.Expr:
    return text.str.contains_any([wrong for wrong, _ in TRAILS])


def _replaced(pairs: tuple[tuple[str, str], ...]) -> Repair:
    def change(slot: Slot, _: MessageMapping) -> pl.Expr | None:
        if not _repairable(slot):
            return None
        for wrong, right in pairs:
            changed = changed.str.replace_all(wrong, right, literal=True) if wrong != pairs[0][0] else (
                slot.expr.str.replace_all(wrong, right, literal=True)
            )
        return changed

    return Repair(change=change, safe=False, sentence="")


def _repairable(slot: Slot) -> bool:
    return slot.role in ("body", "context") and slot.dtype == pl.String and not slot.json
