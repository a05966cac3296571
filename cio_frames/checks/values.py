"""Checks of traits and properties: values that JSON does not have, and artefacts in texts."""

from collections.abc import Callable, Iterable

import polars as pl

from cio_frames.checks.check import (
    Check,
    ExprFunction,
    MessageTest,
    Predicate,
    Repair,
    RowTest,
    Scope,
    by_column,
    by_text,
    by_value,
    contains,
    text_repair,
)
from cio_frames.checks.fields import (
    EMAIL_PATHS,
    IDS,
    STATE_CALLS,
    UNSUBSCRIBED,
    is_body,
    is_placeholder,
    is_plain_text,
    is_text,
    stripped,
)
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.spec import LIMITS, RESERVED_TRAITS
from cio_frames.values import anywhere, exact_as_double, has_text
from cio_frames.values.patterns import PADDED, SINGLE_QUOTE, UNFILLED, UNUSUAL


def _nested_values(test: Callable[[pl.Expr, pl.DataType], pl.Expr | None]) -> RowTest:
    """Return a test of each value of the data, including those inside lists and structs."""
    return by_value(
        lambda field, _: (
            anywhere(pl.col(field.name), dtype=field.dtype, test=test) if is_body(field) else None
        )
    )


def _infinite(values: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    return values.is_infinite() if dtype.is_float() else None


def _nan(values: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    return values.is_nan() if dtype.is_float() else None


def _large(values: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    is_exact_type = dtype.is_integer() or isinstance(dtype, pl.Decimal)
    return ~exact_as_double(values, dtype=dtype) if is_exact_type else None


def _unsupported(values: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    return values.is_not_null() if isinstance(dtype, pl.Binary | pl.Object) else None


def _is_nested(field: FieldMapping) -> bool:
    return field.json or not (has_text(field.dtype) or field.dtype == pl.Null)


def _field_not_text(field: FieldMapping, _: Scope) -> str | None:
    takes_text = field.role == "field" and field.type in ("id", "text", "email")
    is_other = takes_text and field.argument not in IDS
    return f"{field.dtype}" if is_other and _is_nested(field) else None


def _form_not_text(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    is_field = scope.mapping.call.name == "form" and field.role == "body"
    return pl.col(field.name).is_not_null() if is_field and _is_nested(field) else None


def _too_long(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if field.role != "body" or scope.mapping.call.name not in STATE_CALLS or not is_text(field):
        return None
    return scope.text(field).str.len_bytes() > LIMITS["value_bytes"].value


def _too_large(scope: Scope) -> pl.Expr:
    return pl.col("bytes") > scope.message_bytes


VALUE_CHECKS = (
    Check("field.not-text", "refuse", by_column(_field_not_text), source="SPEC-AUG: event and name are strings"),
    Check("form.not-text", "reject", by_value(_form_not_text), source="TRACK forms; reference C28"),
    Check("number.infinite", "reject", _nested_values(_infinite), source="RFC 8259; reliability 3.4"),
    Check("number.nan", "info", _nested_values(_nan), source="RFC 8259; reliability 3.1"),
    Check("number.large", "warn", _nested_values(_large), source="IEEE 754; reliability 3.4"),
    Check("type.unsupported", "reject", _nested_values(_unsupported), source="reliability 3.7"),
    Check("value.too-long", "warn", by_value(_too_long), source="TRACK customer limits; reference 6, C33"),
    Check("message.too-large", "reject", MessageTest(_too_large), source="SPEC-AUG limits; reference C4, C6"),
)  # fmt: skip


_OFTEN_MISREAD = (
    "äöüßÄÖÜéèêëáàâãåæçñóòôõøúùûíîïÉÈÊÀÁÂÃÇÑØÅÆÓÔŠšŽž\u2019\u2018\u201c\u2013\u2014\u2026€£°·\u00a0"
)
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{80}-\x{9f}\x{2028}\x{2029}]"
DIRECTION = r"[\x{200e}\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}]"
ENTITY = r"&(?:[A-Za-z]{2,8}|#[0-9]{2,5}|#[xX][0-9A-Fa-f]{2,5});"
MARKUP = r"(?i)<(?:[a-z!/?][^>@]*>|script|img|svg)|\]\((?:javascript|data):|\{\{.*\}\}|\{%.*%\}"
FORMULA = r"^[\s\x00]*(?:[=@\x{FF1D}\x{FF20}]\S|[+\-\x{FF0B}\x{FF0D}](?:[A-Za-z(]|[^A-Za-z\s][^A-Za-z]*[A-Za-z(]))"
_WORDS = r"[\p{L}\d.,:;'\x{2019}?%&\-]*"
_PROSE = rf"[+\-]*{_WORDS}\s(?:\s|{_WORDS})*"
HARMLESS = (
    r"^\s*(?:[+\-](?:[\d\s().,/\-]+(?:(?i:x|ext\.?)\s*\d+)?|[\d.,]+\s*[\p{L}°%/]+)"
    rf"|{_PROSE}|@[\w.\-]+)\s*$"
)
"""A telephone number, a number with its unit, words after a sign, or the name of an account, none of
which spreadsheets run."""
JSON = r"^\s*(?:\{\s*(?:\"|\})|\[\s*(?:[\[{\"\]]|-?[0-9]|true|false|null))"


def _is_read_by_people(field: FieldMapping) -> bool:
    """Return whether a field holds data of the user that people read."""
    is_data = is_body(field) or field.argument in ("event", "name")
    return is_data and field.how not in ("hashed", "constant")


def _is_plain_data(field: FieldMapping) -> bool:
    """Return whether a field holds such data as text that is not JSON."""
    return _is_read_by_people(field) and is_plain_text(field)


def _is_body_text(field: FieldMapping) -> bool:
    return is_body(field) and _is_plain_data(field) and field.path not in EMAIL_PATHS


def _as_misread(character: str, encoding: str) -> str | None:
    """Return the text that the UTF-8 bytes of a character are in another encoding."""
    try:
        return character.encode().decode(encoding)
    except UnicodeDecodeError:
        return None


MOJIBAKE = {
    wrong: right
    for encoding in ("mac_roman", "cp1252")  # Windows last, so it wins if both are possible
    for right in _OFTEN_MISREAD
    for wrong in [_as_misread(right, encoding)]
    if wrong is not None and wrong != "√π"  # a square root
}


def _any_text(fails: ExprFunction) -> RowTest:
    return by_text(fails, fields=_is_read_by_people, prefilter=UNUSUAL)


def _mojibake(scope: Scope) -> Iterable[Predicate]:
    """Test texts for mojibake, unless it is repaired: what the repair leaves may be intended."""
    test = _any_text(lambda text: text.str.contains_any(list(MOJIBAKE)))
    return () if "text.mojibake" in scope.mapping.repairs else test.predicates(scope)


def _is_markup(text: pl.Expr) -> pl.Expr:
    return text.str.contains(MARKUP) & ~text.str.contains(UNFILLED)


def _is_json(text: pl.Expr) -> pl.Expr:
    return text.str.contains(JSON) & ~text.str.contains(UNFILLED)


def _is_formula(text: pl.Expr) -> pl.Expr:
    harmless = text.str.contains(HARMLESS) | text.str.contains(QUOTED)
    return text.str.contains(FORMULA) & ~harmless


QUOTED = rf"^=T?\(?\"[^\"]*\"\)?$|^{SINGLE_QUOTE}[+\-=(]?\d[\d\s().\-]*$"
QUOTE_MARKS = rf"^(?:=T?\(?\"|{SINGLE_QUOTE})|\"\)?$"


def _unquoted(text: pl.Expr) -> pl.Expr:
    bare = text.str.replace_all(QUOTE_MARKS, "")
    return pl.when(text.str.contains(QUOTED)).then(bare).otherwise(text)


def _padded(text: pl.Expr) -> pl.Expr:
    return text.str.contains(PADDED) & (text.str.strip_chars() != "")


def _placeholder(field: FieldMapping, _: Scope) -> pl.Expr | None:
    return is_placeholder(field, pl.col(field.name)) if _is_body_text(field) else None


def _is_acting_trait(field: FieldMapping) -> bool:
    """Return whether Customer.io acts on a trait of people."""
    row = RESERVED_TRAITS.get(field.path[1]) if len(field.path) > 1 else None
    return field.path[:1] == ("traits",) and row is not None and row.of == "person" and row.settable


def _empty_text(field: FieldMapping, _: Scope) -> pl.Expr | None:
    is_tested = _is_body_text(field) and not _is_acting_trait(field)
    return pl.col(field.name) == "" if is_tested else None


def _empties_trait(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    is_tested = _is_body_text(field) and _is_acting_trait(field) and field.path != UNSUBSCRIBED
    return scope.text(field) == "" if is_tested else None


def _without_empty(text: pl.Expr) -> pl.Expr:
    return pl.when(text != "").then(text)


def _without(pattern: str) -> Repair:
    return text_repair(
        lambda text: text.str.replace_all(pattern, ""), fields=_is_plain_data, safe=False
    )


def _from_mojibake(text: pl.Expr) -> pl.Expr:
    return text.str.replace_many(list(MOJIBAKE), list(MOJIBAKE.values()), leftmost=True)


def _is_repairable(field: FieldMapping) -> bool:
    return _is_plain_data(field) and field.role != "field"


def _is_repairable_trait(field: FieldMapping) -> bool:
    return _is_repairable(field) and _is_acting_trait(field)


def _without_placeholders(field: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    filled = pl.when(~is_placeholder(field, field.expr)).then(field.expr)
    return filled if _is_repairable(field) else None


TEXT_CHECKS = (
    Check(
        "text.control", "warn", _any_text(contains(CONTROL)),
        source="reliability 3.6 (105, 106, 109)",
        repair=_without(CONTROL),
    ),
    Check(
        "text.direction", "warn", _any_text(contains(DIRECTION)),
        source="reliability 3.6 (107)",
        repair=_without(DIRECTION),
    ),
    Check(
        "text.mojibake", "warn", RowTest(unit="text", predicates=_mojibake),
        source="reliability 3.6 (112)",
        repair=text_repair(_from_mojibake, fields=_is_plain_data, safe=False),
    ),
    Check("text.lost-character", "warn", _any_text(contains("\ufffd")), source="reliability 3.9 (154)"),
    Check("text.entity", "info", _any_text(contains(ENTITY)), source="reliability 3.6 (113)"),
    Check("text.markup", "info", _any_text(_is_markup), source="reliability 3.10 (171)"),
    Check("text.formula", "info", _any_text(_is_formula), source="CWE-1236; reliability 3.10 (172)"),
    Check(
        "text.json", "info", by_text(_is_json, fields=_is_plain_data, prefilter=UNUSUAL),
        source="reliability 3.7 (134)",
    ),
    Check(
        "value.guarded", "warn", by_text(contains(QUOTED), fields=_is_body_text, prefilter=QUOTED),
        source="RFC 4180; what shops put before digits to keep them text in spreadsheets",
        repair=text_repair(_unquoted, fields=_is_repairable, safe=False),
    ),
    Check(
        "value.padded", "info", by_text(_padded, fields=_is_body_text, prefilter=UNUSUAL),
        source="reference 6",
        repair=text_repair(stripped, fields=_is_repairable, safe=False),
    ),
    Check(
        "value.placeholder", "info", by_value(_placeholder),
        source="reliability 3.2", repair=Repair(_without_placeholders, safe=False),
    ),
    Check(
        "value.empty", "info", by_value(_empty_text),
        source="reference 6 (null and empty texts); reliability 3.2 (17)",
        repair=text_repair(_without_empty, fields=_is_repairable, safe=False),
    ),
    Check(
        "trait.emptied", "warn", by_value(_empties_trait),
        source="reference 6 (null and empty texts; reserved attributes)",
        repair=text_repair(_without_empty, fields=_is_repairable_trait, safe=False),
    ),
)  # fmt: skip
