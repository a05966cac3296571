"""Identifiers: what makes, merges or splits people without anyone wanting it."""

import re

import polars as pl

from cio_frames.checks.check import ByColumn, ByRow, ByText, ByValue, Check, Repair, Scope
from cio_frames.checks.nested import UNUSUAL
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.spec import CALLS, LIMITS
from cio_frames.values import as_text, has_text

PEOPLE = ("user_id", "anonymous_id", "previous_id", "id")
IDS = (*PEOPLE, "email", "group_id", "form_id")
EMAILS = (("traits", "email"), ("data", "email"))
PLACEHOLDERS = (
    "", "nan", "none", "null", "nat", "n/a", "#n/a", "na", "-", ".", "..", "undefined",
    "[object object]", "<na>",
)  # fmt: skip
BLANK = rf"(?i)^\s*(?:{'|'.join(map(re.escape, filter(None, PLACEHOLDERS)))})?\s*$"
NOBODY = ("0", "unknown", "guest", "anonymous", "test", "00000000-0000-0000-0000-000000000000")
INVISIBLE = "[\u00a0\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u0000-\u001f\u007f-\u009f]"
EMAIL = r"^[^\s@,;<>:\"()\[\]\\]+@(?:[^\s@,;<>:\"()\[\]\\.]+\.)+[^\s@,;<>:\"()\[\]\\.]+$"
EXACT = 2**53


def is_id(slot: FieldMapping) -> bool:
    """Tell whether a slot holds an identifier."""
    return slot.argument in IDS


def is_text(slot: FieldMapping) -> bool:
    """Tell whether a slot holds text."""
    return slot.dtype in (pl.String, pl.Categorical) or isinstance(slot.dtype, pl.Enum)


def text(slot: FieldMapping, scope: Scope) -> pl.Expr:
    """Return a slot's values as the text they are sent as."""
    return as_text(pl.col(slot.name), dtype=slot.dtype, timezone=scope.mapping.timezone)


def blank(values: pl.Expr) -> pl.Expr:
    """Tell of each text whether it stands for nothing."""
    return values.str.contains(BLANK)


def _missing(scope: Scope) -> pl.Expr | None:
    tests = []
    for arguments in _needed(scope.mapping.call.name):
        slots = [slot for name in arguments if (slot := scope.mapping.find(name))]
        empty = [pl.col(slot.name).is_null() for slot in slots]
        if slots:
            tests.append(pl.all_horizontal(empty))
    return pl.any_horizontal(tests) if tests else None


def _needed(call: str) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for row in CALLS[call].fields:
        if row.argument in IDS and row.required != "never":
            key = row.required if row.required != "always" else row.argument
            groups.setdefault(key, []).append(row.argument)
    return list(groups.values())


def _float(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not (is_id(slot) and slot.dtype.is_float()) or "id.float" in scope.mapping.repairs:
        return None
    values = pl.col(slot.name)
    return (values == values.round(0)) & (values.abs() <= EXACT)


def _precision(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not (is_id(slot) and slot.dtype.is_float()):
        return None
    values = pl.col(slot.name)
    return values.is_finite() & (values.abs() > EXACT)


def _fractional(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not (is_id(slot) and slot.dtype.is_float()):
        return None
    values = pl.col(slot.name)
    return (values != values.round(0)) | ~values.is_finite()


def _boolean(slot: FieldMapping, _: Scope) -> str | None:
    return "true and false" if is_id(slot) and slot.dtype == pl.Boolean else None


def _untextual(slot: FieldMapping, _: Scope) -> str | None:
    wrong = not has_text(slot.dtype) or slot.dtype.is_temporal() or slot.json
    return f"{slot.dtype}" if is_id(slot) and wrong and slot.dtype != pl.Null else None


def _placeholder(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    return blank(text(slot, scope)) if is_id(slot) and is_text(slot) else None


def _nobody(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if slot.argument not in PEOPLE or not has_text(slot.dtype):
        return None
    return text(slot, scope).str.to_lowercase().is_in(NOBODY)


def _padded(values: pl.Expr) -> pl.Expr:
    return values.str.contains(r"^\s|\s$") & ~blank(values)


def _invisible(values: pl.Expr) -> pl.Expr:
    return values.str.strip_chars(" \t\r\n").str.contains(INVISIBLE)


def _long(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not is_id(slot) or not has_text(slot.dtype):
        return None
    return text(slot, scope).str.len_bytes() > LIMITS["id_bytes"].value


def _cio(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if slot.argument not in PEOPLE or not is_text(slot):
        return None
    return text(slot, scope).str.starts_with("cio_")


def _alias_to_itself(scope: Scope) -> pl.Expr | None:
    previous, kept = scope.mapping.find("previous_id"), scope.mapping.find("user_id")
    if previous is None or kept is None:
        return None
    return text(previous, scope) == text(kept, scope)


def _object_type(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if slot.argument != "object_type_id":
        return None
    return ~text(slot, scope).str.contains(r"^[1-9]\d*$")


def _no_message_id(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    is_message = slot.argument == "message_id" and is_text(slot)
    return blank(text(slot, scope)) if is_message else None


def _whole(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    """Leave the column as it is: whole numbers are written without a point anyway.

    So the checks for fractions and lost digits still see what they look for.
    """
    return slot.expr if is_id(slot) and slot.dtype.is_float() else None


def _stripped(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    return slot.expr.cast(pl.String).str.strip_chars() if _repaired(slot) else None


def _visible(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    if not _repaired(slot):
        return None
    return slot.expr.cast(pl.String).str.replace_all(INVISIBLE, "").str.strip_chars()


def _is_mended(slot: FieldMapping, _: Scope) -> bool:
    return _repaired(slot)


def _repaired(slot: FieldMapping) -> bool:
    """Tell whether repairs of identifiers concern a slot: an address is one too, as a trait."""
    return (is_id(slot) or slot.path in EMAILS) and is_text(slot)


IDENTIFIER_CHECKS = (
    Check(
        code="id.missing", severity="reject", test=ByRow(fails=_missing),
        sentence="No identifier: the row is about nobody.",
        hint="Fill the identifier, or name another column.",
        summary="{rows} about nobody.",
        consequence="Customer.io drops the call, and answers 200 unless strict mode is on.",
        source="SPEC-AUG oneOf userId, anonymousId; reference C11, C12, C16",
        no_repair_because="nothing in the row says who it is about",
    ),
    Check(
        code="id.float", severity="refuse", test=ByValue(fails=_float),
        sentence="{column} holds decimals: 123 would be sent as a number that was stored as 123.0.",
        hint='plan.fix("id.float") writes them as whole numbers.',
        summary="{values} in {rows}: sent as decimals, each would become a second profile.",
        consequence="Nothing is sent until you say so: another source may have sent the same person as 123.0.",
        source="reliability: pandas stores whole numbers with empty cells as decimals",
        repair=Repair(change=_whole, safe=True, sentence="decimals without a fraction become whole numbers"),
    ),
    Check(
        code="id.precision-lost", severity="refuse", test=ByValue(fails=_precision),
        sentence="{column} holds decimals beyond 2^53: the last digits are already lost.",
        hint="Read the column again as text, e.g. with cio.scan or dtype=str.",
        summary="{values} left in {rows}.",
        consequence="Different people would share one identifier; nothing in this table can tell them apart.",
        source="IEEE 754 doubles hold 53 bits",
        no_repair_because="the digits are gone; they are only in the source",
    ),
    Check(
        code="id.fractional", severity="reject", test=ByValue(fails=_fractional),
        sentence="{column} holds a number with a fraction, or no number at all.",
        hint="Check whether the right column is named.",
        summary="{values} in {rows}: a profile would be made for each.",
        consequence="A profile would be made for a number that is no identifier.",
        source="reliability 3.3",
        no_repair_because="a number with a fraction is no identifier",
    ),
    Check(
        code="id.boolean", severity="refuse", test=ByColumn(fails=_boolean),
        sentence="{column} holds true and false.",
        hint="Name the column that holds the identifiers.",
        consequence="All rows would end up in two profiles.",
        source="reliability 3.3",
        no_repair_because="nothing in the column says who the rows are about",
    ),
    Check(
        code="id.type", severity="refuse", test=ByColumn(fails=_untextual),
        sentence="{column} cannot be an identifier: its values are no single text or number.",
        hint="Name another column, or turn its values into text.",
        consequence="Identifiers are strings; no string could be made of these values without guessing.",
        source="SPEC-AUG: userId is a string",
        no_repair_because="a text could only be guessed",
    ),
    Check(
        code="id.placeholder", severity="reject", test=ByValue(fails=_placeholder, prefilter=BLANK),
        sentence="{column} holds a word for nothing.",
        hint="Leave these rows out, or fill in who they are about.",
        summary="{values}: {rows} would end up in as many profiles.",
        consequence="Everyone without an identifier would be merged into one profile of that name.",
        source="reliability 3.2",
        no_repair_because="nothing in the value says who the row is about",
    ),
    Check(
        code="id.nobody", severity="warn", test=ByValue(fails=_nobody, prefilter=rf"(?i)^(?:{'|'.join(NOBODY)})$"),
        sentence="{column} holds a value that many systems use for nobody in particular.",
        hint='Refuse them with Checks(severity={"id.nobody": "reject"}).',
        summary="{values}: {rows} would end up in as many profiles.",
        consequence="Rows of many people may end up in one profile.",
        source="reliability 3.2, 3.3",
        no_repair_because="it may be meant",
    ),
    Check(
        code="id.padded", severity="reject", test=ByText(slots=_is_mended, prefilter=UNUSUAL, fails=_padded),
        sentence="{column} begins or ends with white space.",
        hint='plan.fix("id.padded") strips it.',
        summary="{values} in {rows}: one profile too many for each.",
        consequence="The padded identifier is another person than the one without the space.",
        source="reference 3.1: ids are compared as they are",
        repair=Repair(change=_stripped, safe=False, sentence="white space around identifiers is stripped"),
    ),
    Check(
        code="id.invisible", severity="reject", test=ByText(slots=_is_mended, prefilter=UNUSUAL, fails=_invisible),
        sentence="{column} holds characters that cannot be seen.",
        hint='plan.fix("id.invisible") removes them.',
        summary="{values} in {rows}: one profile too many for each.",
        consequence="The identifier looks like another person's and is not.",
        source="reliability 3.3",
        repair=Repair(change=_visible, safe=False, sentence="characters that cannot be seen are removed"),
    ),
    Check(
        code="message.no-id", severity="reject", test=ByValue(fails=_no_message_id),
        sentence="{column} holds a word for nothing where the message id should be.",
        hint="Empty these cells: an id is derived for them.",
        consequence="Messages of one id count as one: all but the first would be dropped.",
        source="reference 2 (messageId), 3.7",
        no_repair_because="emptying the cell changes the id of the message; that is for you to say",
    ),
    Check(
        code="id.too-long", severity="reject", test=ByValue(fails=_long),
        sentence="{column} is longer than 150 bytes.",
        hint="Use a shorter identifier.",
        consequence="Customer.io drops it; the error shows in the workspace's log only.",
        source="TRACK customer limits; reference 6, C31",
        no_repair_because="cutting it off could merge two people",
    ),
    Check(
        code="id.cio", severity="warn", test=ByValue(fails=_cio),
        sentence="{column} begins with cio_ and will be read as Customer.io's own identifier.",
        hint="Rename the identifiers unless they are cio_ids.",
        summary="{values} in {rows}.",
        consequence="The rest of the value is looked up as a cio_id; where it is unknown, the call is dropped.",
        source="reference 3.1 (ACT resolver)",
        no_repair_because="it may be meant",
    ),
    Check(
        code="alias.self", severity="reject", test=ByRow(fails=_alias_to_itself),
        sentence="previous_id and user_id are the same.",
        hint="Leave the row out.",
        consequence="A profile cannot be merged into itself.",
        source="reference 3.4",
        no_repair_because="there is nothing to merge",
    ),
    Check(
        code="group.type", severity="reject", test=ByValue(fails=_object_type),
        sentence="{column} is not a whole number from 1 up.",
        hint="Object types are numbers that Customer.io gives; see the workspace's object settings.",
        consequence="The object would not be found or made.",
        source="SEED-HTTP objectTypeId; reference C17, 3.5",
        no_repair_because="which type was meant cannot be known",
    ),
)  # fmt: skip
