"""Identifiers and e-mail addresses: values that create, merge or split people by mistake."""

import re

import polars as pl

from cio_frames.checks.check import (
    Check,
    Repair,
    Scope,
    by_column,
    by_row,
    by_text,
    by_value,
    contains,
    text_repair,
)
from cio_frames.checks.fields import (
    IDS,
    OBJECT_TYPES,
    PEOPLE,
    blank,
    is_address,
    is_id,
    is_id_text,
    is_text,
    stripped,
)
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.spec import CALLS, LIMITS, folded
from cio_frames.values import has_text
from cio_frames.values.patterns import (
    BLANK,
    DOUBLE_QUOTE,
    EMAIL,
    INVISIBLE,
    PADDED,
    SINGLE_QUOTE,
    UNUSUAL,
)

UNKNOWN_CUSTOMERS = (
    "0",
    "unknown",
    "guest",
    "anonymous",
    "test",
    "00000000-0000-0000-0000-000000000000",
)
MAX_EXACT = 2**53


def _missing(scope: Scope) -> pl.Expr | None:
    tests = []
    for arguments in _required_arguments(scope.mapping.call.name):
        fields = [field for name in arguments if (field := scope.mapping.find(name))]
        if fields:
            tests.append(pl.all_horizontal(pl.col(field.name).is_null() for field in fields))
    return pl.any_horizontal(tests) if tests else None


def _required_arguments(call: str) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for row in CALLS[call].fields:
        if row.argument in IDS and row.required != "never":
            key = row.required if row.required != "always" else row.argument
            groups.setdefault(key, []).append(row.argument)
    return list(groups.values())


def _is_float_id(field: FieldMapping) -> bool:
    return is_id(field) and field.dtype.is_float()


def _whole_float(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not _is_float_id(field) or "id.float" in scope.mapping.repairs:
        return None
    values = pl.col(field.name)
    return (values == values.round(0)) & (values.abs() <= MAX_EXACT)


def _precision_lost(field: FieldMapping, _: Scope) -> pl.Expr | None:
    values = pl.col(field.name)
    return values.is_finite() & (values.abs() > MAX_EXACT) if _is_float_id(field) else None


def _fractional(field: FieldMapping, _: Scope) -> pl.Expr | None:
    values = pl.col(field.name)
    return (values != values.round(0)) | ~values.is_finite() if _is_float_id(field) else None


def _boolean(field: FieldMapping, _: Scope) -> str | None:
    return "true and false" if is_id(field) and field.dtype == pl.Boolean else None


def _wrong_type(field: FieldMapping, _: Scope) -> str | None:
    wrong = not has_text(field.dtype) or field.dtype.is_temporal() or field.json
    return f"{field.dtype}" if is_id(field) and wrong and field.dtype != pl.Null else None


def _placeholder(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    return blank(scope.text(field)) if is_id(field) and is_text(field) else None


def _unknown_customer(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if field.argument not in PEOPLE or not has_text(field.dtype):
        return None
    return scope.text(field).str.to_lowercase().is_in(UNKNOWN_CUSTOMERS)


def _padded(values: pl.Expr) -> pl.Expr:
    return values.str.contains(PADDED) & ~blank(values)


def _invisible(values: pl.Expr) -> pl.Expr:
    return values.str.strip_chars(" \t\r\n").str.contains(INVISIBLE)


def _no_message_id(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    is_message = field.argument == "message_id" and is_text(field)
    return blank(scope.text(field)) if is_message else None


def _too_long(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    size = scope.text(field).str.len_bytes()
    return size > LIMITS["id_bytes"].value if is_id(field) and has_text(field.dtype) else None


def _cio_id(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    is_person = field.argument in PEOPLE and is_text(field)
    return scope.text(field).str.starts_with("cio_") if is_person else None


def _bare_cio_id(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    is_person = (
        field.argument in PEOPLE and has_text(field.dtype) and folded(field.column or "") == "cioid"
    )
    return ~scope.text(field).str.starts_with("cio_") if is_person else None


def _alias_to_itself(scope: Scope) -> pl.Expr | None:
    previous, kept = scope.mapping.find("previous_id"), scope.mapping.find("user_id")
    return scope.text(previous) == scope.text(kept) if previous and kept else None


def _object_type(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    is_type = scope.mapping.call.name == "group" and field.path in OBJECT_TYPES
    if is_type and field.dtype == pl.Null:
        return pl.col(field.name).is_null()
    if not is_type or not has_text(field.dtype):
        return None
    return ~scope.text(field).str.contains(r"^[1-9]\d*$").fill_null(value=False)


def _unchanged(field: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    """Return the column as it is: whole numbers are written without a point anyway.

    The checks for fractions and lost digits therefore still apply.
    """
    return field.expr if _is_float_id(field) else None


def _without_invisible(values: pl.Expr) -> pl.Expr:
    return values.str.replace_all(INVISIBLE, "").str.strip_chars()


QUOTED = (
    rf"^(?:=T?\(?)?{DOUBLE_QUOTE}.+{DOUBLE_QUOTE}\)?$|^{SINGLE_QUOTE}.+{SINGLE_QUOTE}$"
    rf"|^{SINGLE_QUOTE}[0-9+=@-]"
)
OPENING_QUOTES = rf"^(?:(?:=T?\(?)?(?:{DOUBLE_QUOTE}|{SINGLE_QUOTE}))+"
CLOSING_QUOTES = rf"(?:{DOUBLE_QUOTE}|{SINGLE_QUOTE})+\)?$"


def _unquoted(values: pl.Expr) -> pl.Expr:
    bare = values.str.replace(OPENING_QUOTES, "").str.replace(CLOSING_QUOTES, "")
    return pl.when(values.str.contains(QUOTED)).then(bare).otherwise(values)


def _column_name(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not is_id_text(field) or field.column is None:
        return None
    return scope.text(field).str.strip_chars().str.to_lowercase() == field.column.strip().lower()


def _is_repairable(field: FieldMapping) -> bool:
    """Return whether repairs of identifiers apply to a field: an address is an identifier as a trait too."""
    return is_id_text(field) or is_address(field)


IDENTIFIER_CHECKS = (
    Check("id.missing", "reject", by_row(_missing), source="SPEC-AUG oneOf userId, anonymousId; reference C11, C12, C16"),
    Check(
        "id.float", "refuse", by_value(_whole_float),
        source="reliability: pandas stores whole numbers with empty cells as decimals",
        repair=Repair(_unchanged, safe=False),
    ),
    Check("id.precision-lost", "refuse", by_value(_precision_lost), source="IEEE 754 doubles hold 53 bits"),
    Check("id.fractional", "reject", by_value(_fractional), source="reliability 3.3"),
    Check("id.boolean", "refuse", by_column(_boolean), source="reliability 3.3"),
    Check("id.type", "refuse", by_column(_wrong_type), source="SPEC-AUG: userId is a string"),
    Check("id.placeholder", "reject", by_value(_placeholder, prefilter=BLANK), source="reliability 3.2"),
    Check("id.nobody", "warn", by_value(_unknown_customer, prefilter=rf"(?i)^(?:{'|'.join(UNKNOWN_CUSTOMERS)})$"), source="reliability 3.2, 3.3"),
    Check(
        "id.padded", "reject", by_text(_padded, fields=_is_repairable, prefilter=UNUSUAL),
        source="reference 3.1: ids are compared as they are", repair=text_repair(stripped, fields=_is_repairable, safe=False),
    ),
    Check(
        "id.invisible", "reject", by_text(_invisible, fields=_is_repairable, prefilter=UNUSUAL),
        source="reliability 3.3", repair=text_repair(_without_invisible, fields=_is_repairable, safe=False),
    ),
    Check(
        "id.guarded", "reject", by_text(contains(QUOTED), fields=is_id_text, prefilter=QUOTED),
        source="RFC 4180; what spreadsheets put around digits to keep them text",
        repair=text_repair(_unquoted, fields=is_id_text, safe=False),
    ),
    Check(
        "id.column-name", "reject", by_value(_column_name),
        source="reliability 3.2: headers repeated where files are put together",
    ),
    Check("message.no-id", "reject", by_value(_no_message_id), source="reference 2 (messageId), 3.7"),
    Check("id.too-long", "reject", by_value(_too_long), source="TRACK customer limits; reference 6, C31"),
    Check("id.cio", "warn", by_value(_cio_id), source="reference 3.1 (ACT resolver)"),
    Check("id.cio-bare", "reject", by_value(_bare_cio_id), source="reference 3.1 (ACT resolver)"),
    Check("alias.self", "reject", by_row(_alias_to_itself), source="reference 3.4"),
    Check("group.type", "reject", by_value(_object_type), source="SEED-HTTP objectTypeId; reference C17, 3.5"),
)  # fmt: skip


WRAPPED = r"^(?:mailto:|<)|[>.,;]$|^[\"'].*[\"']$"
MAYBE_WRAPPED = r"^\s*(?:mailto:|[<\"'])|[>.,;]\s*$"
"""Matches every text that could be a wrapped address."""
WRAPPING = r"^(?:(?i)mailto:|[<\"'])+|[>.,;\"']+$"
PLACEHOLDER_ADDRESSES = (
    "none@none", "unknown", "noemail", "no email", "not given", "none@none.com", "no@email.com",
)  # fmt: skip
PLACEHOLDER = rf"{BLANK}|(?i)^\s*(?:{'|'.join(map(re.escape, PLACEHOLDER_ADDRESSES))})\s*$"


def _placeholder_address(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    return is_placeholder_address(scope.text(field)) if is_address(field) else None


def is_placeholder_address(values: pl.Expr) -> pl.Expr:
    """Return a boolean expression: True where a text is a placeholder, or stands for no address."""
    return blank(values) | values.str.strip_chars().str.to_lowercase().is_in(PLACEHOLDER_ADDRESSES)


def _wrapped(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    return _is_wrapped(scope.text(field).str.strip_chars()) if is_address(field) else None


def _is_wrapped(values: pl.Expr) -> pl.Expr:
    return values.str.contains(WRAPPED) & _unwrapped(values).str.contains(EMAIL)


def _unwrapped(values: pl.Expr) -> pl.Expr:
    return values.str.replace_all(WRAPPING, "").str.strip_chars()


def _invalid(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not is_address(field):
        return None
    values = scope.text(field).str.strip_chars()
    return ~values.str.contains(EMAIL) & ~is_placeholder_address(values) & ~_is_wrapped(values)


def _is_no_email(values: pl.Expr) -> pl.Expr:
    return ~values.cast(pl.String).str.strip_chars().str.contains(EMAIL)


def _without_placeholders(values: pl.Expr) -> pl.Expr:
    return pl.when(~is_placeholder_address(values)).then(values)


def _without_wrapping(field: FieldMapping, mapping: MessageMapping) -> pl.Expr | None:
    columns = {other.column for other in mapping.fields if is_address(other) and other.column}
    if not (is_address(field) or (is_id_text(field) and field.column in columns)):
        return None
    values = field.expr.cast(pl.String)
    bare = values.str.strip_chars()
    return pl.when(_is_wrapped(bare)).then(_unwrapped(bare)).otherwise(values)


EMAIL_CHECKS = (
    Check(
        "email.placeholder", "reject", by_value(_placeholder_address, prefilter=PLACEHOLDER),
        source="reference 3.1, 3.2; reliability 3.2",
        repair=text_repair(_without_placeholders, fields=is_address, safe=True),
    ),
    Check(
        "email.wrapped", "reject", by_value(_wrapped, prefilter=MAYBE_WRAPPED),
        source="reference 6; reliability 3.3 (52)", repair=Repair(_without_wrapping, safe=False),
    ),
    Check("email.invalid", "warn", by_value(_invalid, prefilter=_is_no_email), source="reference 6"),
)  # fmt: skip
