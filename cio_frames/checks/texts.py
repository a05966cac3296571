"""Texts: what programs put into them, and what they do to people who look at them."""

from collections.abc import Callable

import polars as pl

from cio_frames.checks.check import ByText, ByValue, Check, Repair, Scope
from cio_frames.checks.identifiers import EMAILS, PLACEHOLDERS
from cio_frames.checks.nested import UNUSUAL
from cio_frames.mapping import FieldMapping, MessageMapping

_MISREAD = (
    "äöüßÄÖÜéèêëáàâãåæçñóòôõøúùûíîïÉÈÊÀÁÂÃÇÑØÅÆÓÔŠšŽž\u2019\u2018\u201c\u2013\u2014\u2026€£°·\u00a0"
)
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{80}-\x{9f}\x{2028}\x{2029}]"
DIRECTION = r"[\x{200e}\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}]"
ENTITY = r"&(?:[A-Za-z]{2,8}|#[0-9]{2,5}|#[xX][0-9A-Fa-f]{2,5});"
MARKUP = r"(?i)<(?:[a-z!/?][^>@]*>|script|img|svg)|\]\((?:javascript|data):|\{\{.*\}\}|\{%.*%\}"
FORMULA = r"^[\s\x00]*(?:[=@\x{FF1D}\x{FF20}]\S|[+\-\x{FF0B}\x{FF0D}](?:[A-Za-z(]|[^A-Za-z\s][^A-Za-z]*[A-Za-z(]))"
JSON = r"^\s*(?:\{\s*(?:\"|\})|\[\s*(?:[\[{\"\]]|-?[0-9]|true|false|null))"
PADDED = r"^\s|\s$"
NAMES = ("event", "name")


def is_open(slot: FieldMapping) -> bool:
    """Tell whether a slot holds data of the user's that people read."""
    named = slot.role in ("body", "context") or slot.argument in NAMES
    return named and slot.how not in ("hashed", "constant")


def is_open_text(slot: FieldMapping) -> bool:
    """Tell whether a slot holds such data as plain text, which can be repaired."""
    return is_open(slot) and slot.dtype == pl.String and not slot.json


def _misread(character: str) -> str | None:
    """Return what a character becomes when its UTF-8 is read as Windows-1252."""
    try:
        return character.encode().decode("cp1252")
    except UnicodeDecodeError:
        return None


MOJIBAKE = {wrong: right for right in _MISREAD for wrong in [_misread(right)] if wrong is not None}


def _any_text(pattern: str) -> ByText:
    return ByText(
        slots=lambda slot, _: is_open(slot),
        prefilter=UNUSUAL,
        fails=lambda text: text.str.contains(pattern),
    )


def _looks_misread(slot: FieldMapping, scope: Scope) -> bool:
    return is_open(slot) and "text.mojibake" not in scope.mapping.repairs


def _is_json(slot: FieldMapping, _: Scope) -> bool:
    return is_open_text(slot)


def _padded(slot: FieldMapping, _: Scope) -> bool:
    return slot.role in ("body", "context") and is_open_text(slot) and slot.path not in EMAILS


def _blank(text: pl.Expr) -> pl.Expr:
    return text.str.strip_chars() == ""


def stands_for_nothing(values: pl.Expr) -> pl.Expr:
    """Tell of each text whether it is a word for nothing, as programs write it."""
    return values.is_in(_WORDS)


_WORDS = sorted(
    {" ", "  ", "   "}
    | {
        form
        for word in PLACEHOLDERS
        for form in (word, word.upper(), word.title(), word.capitalize())
        if word
    }
    | {"NaN", "NaT", "[object Object]"}
)


def _placeholder(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    return stands_for_nothing(pl.col(slot.name)) if _padded(slot, _) else None


def _empty(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    return pl.col(slot.name) == "" if _padded(slot, _) else None


def _changed(
    change: Callable[[pl.Expr], pl.Expr],
) -> Callable[[FieldMapping, MessageMapping], pl.Expr | None]:
    return lambda slot, _: change(slot.expr) if is_open_text(slot) else None


def _stripped(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    return slot.expr.str.strip_chars() if is_open_text(slot) and slot.role != "field" else None


def _emptied(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    if not is_open_text(slot) or slot.role == "field":
        return None
    return pl.when(~stands_for_nothing(slot.expr)).then(slot.expr)


TEXT_CHECKS = (
    Check(
        code="text.control", severity="warn", test=_any_text(CONTROL),
        sentence="{column} holds control characters.",
        hint='plan.fix("text.control") removes them.',
        consequence="They are sent as they are; forms, exports and terminals trip over them.",
        source="reliability 3.6 (105, 106, 109)",
        repair=Repair(
            change=_changed(lambda text: text.str.replace_all(CONTROL, "")), safe=False,
            sentence="control characters in texts are removed",
        ),
    ),
    Check(
        code="text.direction", severity="warn", test=_any_text(DIRECTION),
        sentence="{column} holds marks that turn the direction of writing.",
        hint='plan.fix("text.direction") removes them, unless the text is Arabic or Hebrew.',
        consequence="What follows is shown backwards: one name can look like another.",
        source="reliability 3.6 (107)",
        repair=Repair(
            change=_changed(lambda text: text.str.replace_all(DIRECTION, "")), safe=False,
            sentence="marks of writing direction are removed",
        ),
    ),
    Check(
        code="text.mojibake", severity="warn",
        test=ByText(
            slots=_looks_misread, prefilter=UNUSUAL,
            fails=lambda text: text.str.contains_any(list(MOJIBAKE)),
        ),
        sentence="{column} holds letters that were read in the wrong encoding.",
        hint='plan.fix("text.mojibake") puts the letters back; better, read the file as UTF-8.',
        consequence="People would read their own name as ZÃ¼rich.",
        source="reliability 3.6 (112)",
        repair=Repair(
            change=_changed(
                lambda text: text.str.replace_many(list(MOJIBAKE), list(MOJIBAKE.values()), leftmost=True)
            ),
            safe=False, sentence="letters read in the wrong encoding are put back",
        ),
    ),
    Check(
        code="text.lost-character", severity="warn", test=_any_text("\ufffd"),
        sentence="{column} holds the sign for a character that was lost.",
        hint="Read the file again in its own encoding.",
        consequence="The text stays broken.",
        source="reliability 3.9 (154)",
        no_repair_because="which character it was cannot be known from here",
    ),
    Check(
        code="text.entity", severity="info", test=_any_text(ENTITY),
        sentence="{column} holds HTML entities.",
        hint="Decode them before, unless the text is HTML.",
        consequence="They are sent as they are; a message shows &amp; where it escapes its values.",
        source="reliability 3.6 (113)",
        no_repair_because="in a text that is HTML, decoding would break it",
    ),
    Check(
        code="text.markup", severity="info", test=_any_text(MARKUP),
        sentence="{column} holds HTML, links with code, or template commands.",
        hint="Escape the value wherever a message uses it.",
        consequence="It is sent as it is, and could run where a template does not escape it.",
        source="reliability 3.10 (171)",
        no_repair_because="the text is data; what shows it must escape it, as every report here does",
    ),
    Check(
        code="text.formula", severity="info", test=_any_text(FORMULA),
        sentence="{column} holds texts that a spreadsheet would run.",
        hint="Nothing to do here: exports of rejected rows put an apostrophe in front.",
        consequence="It is sent as it is; an export of the workspace, opened in a spreadsheet, would run it.",
        source="CWE-1236; reliability 3.10 (172)",
        no_repair_because="the text is data; what exports it must guard it",
    ),
    Check(
        code="text.json", severity="info",
        test=ByText(slots=_is_json, prefilter=UNUSUAL, fails=lambda text: text.str.contains(JSON)),
        sentence="{column} holds JSON as text.",
        hint="Decode it before, if conditions should look inside.",
        consequence="It is sent as one text: conditions and messages cannot look inside.",
        source="reliability 3.7 (134)",
        no_repair_because="decoding would change what the trait is",
    ),
    Check(
        code="value.padded", severity="info",
        test=ByText(
            slots=_padded, prefilter=UNUSUAL, fails=lambda text: text.str.contains(PADDED) & ~_blank(text)
        ),
        sentence="{column} begins or ends with white space.",
        hint='plan.fix("value.padded") strips it.',
        consequence="Conditions that compare with the text without the space do not hold.",
        source="reference 6",
        repair=Repair(change=_stripped, safe=False, sentence="white space around values is stripped"),
    ),
    Check(
        code="value.placeholder", severity="info", test=ByValue(fails=_placeholder),
        sentence="{column} holds a word for nothing.",
        hint='plan.fix("value.placeholder") makes these cells empty.',
        consequence="It is sent as a text: a message would begin with Hello nan.",
        source="reliability 3.2",
        repair=Repair(change=_emptied, safe=False, sentence="words for nothing become empty cells"),
    ),
    Check(
        code="value.empty", severity="info", test=ByValue(fails=_empty),
        sentence="{column} is an empty text, which is not an empty cell.",
        hint='Pass nulls="send" and empty cells if the value should be cleared.',
        consequence="An object's attribute is removed by it; a person's becomes an empty text.",
        source="reference 6 (null and empty texts); reliability 3.2 (17)",
        no_repair_because="whether it should clear the value or leave it alone is for you to say",
    ),
)  # fmt: skip
