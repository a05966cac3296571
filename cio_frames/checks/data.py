"""Values: what JSON cannot carry, what readers lose, what the workspace does not keep."""

from collections.abc import Callable

import polars as pl

from cio_frames.checks.check import ByColumn, ByMessage, ByValue, Check, Scope
from cio_frames.checks.identifiers import IDS, is_text, text
from cio_frames.mapping import FieldMapping
from cio_frames.spec import LIMITS
from cio_frames.values import anywhere, exact_as_double, has_text

STATE = ("identify", "group")
TEXTS = ("id", "text", "email")


def _infinite(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    return _inside(slot, lambda v, dtype: v.is_infinite() if dtype.is_float() else None)


def _nan(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    return _inside(slot, lambda v, dtype: v.is_nan() if dtype.is_float() else None)


def _large(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    return _inside(slot, _inexact)


def _inexact(values: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    counted = dtype.is_integer() or isinstance(dtype, pl.Decimal)
    return ~exact_as_double(values, dtype=dtype) if counted else None


def _unsupported(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    return _inside(
        slot,
        lambda v, dtype: v.is_not_null() if isinstance(dtype, pl.Binary | pl.Object) else None,
    )


def _inside(
    slot: FieldMapping, test: Callable[[pl.Expr, pl.DataType], pl.Expr | None]
) -> pl.Expr | None:
    if slot.role not in ("body", "context"):
        return None
    return anywhere(pl.col(slot.name), dtype=slot.dtype, test=test)


def _untextual(slot: FieldMapping, _: Scope) -> str | None:
    is_text_field = slot.role == "field" and slot.type in TEXTS and slot.argument not in IDS
    wrong = not (has_text(slot.dtype) or slot.dtype == pl.Null) or slot.json
    return f"{slot.dtype}" if is_text_field and wrong else None


def _long_value(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if slot.role != "body" or scope.mapping.call.name not in STATE or not is_text(slot):
        return None
    return text(slot, scope).str.len_bytes() > LIMITS["value_bytes"].value


def _form_value(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    wrong = slot.json or not (has_text(slot.dtype) or slot.dtype == pl.Null)
    is_field = scope.mapping.call.name == "form" and slot.role == "body"
    return pl.col(slot.name).is_not_null() if is_field and wrong else None


def _oversize(scope: Scope) -> pl.Expr:
    return pl.col("bytes") > scope.message_bytes


VALUE_CHECKS = (
    Check(
        code="field.not-text", severity="refuse", test=ByColumn(fails=_untextual),
        sentence="{column} is no single text or number, and its field takes nothing else.",
        hint="Name another column, or turn its values into text.",
        consequence="The field would be left out, or hold what Customer.io drops the call for.",
        source="SPEC-AUG: event and name are strings",
        no_repair_because="a text could only be guessed",
    ),
    Check(
        code="form.not-text", severity="reject", test=ByValue(fails=_form_value),
        sentence="{column} is a list or an object; form fields are text.",
        hint="Write it as one text, or leave the column out.",
        consequence="Customer.io answers 400 to values that are no strings.",
        source="TRACK forms; reference C28",
        no_repair_because="a text could only be guessed",
    ),
    Check(
        code="number.infinite", severity="reject", test=ByValue(fails=_infinite),
        sentence="{column} is infinite.",
        hint="Replace the value, or empty the cell.",
        consequence="JSON has no infinity; the trait would be cleared instead.",
        source="RFC 8259; reliability 3.4",
        no_repair_because="what was meant cannot be known",
    ),
    Check(
        code="number.nan", severity="info", test=ByValue(fails=_nan),
        sentence="{column} is not a number (NaN); it counts as an empty cell.",
        hint="Nothing to do unless zero was meant.",
        consequence="The trait stays as it is.",
        source="RFC 8259; reliability 3.1",
        no_repair_because="it is left out, as an empty cell is",
    ),
    Check(
        code="number.large", severity="warn", test=ByValue(fails=_large),
        sentence="{column} has more digits than most readers keep and is sent as text.",
        hint="Turn the column into text to make that plain.",
        consequence="As a number it would lose digits in most readers.",
        source="IEEE 754; reliability 3.4",
        no_repair_because="it is sent as text, which loses nothing",
    ),
    Check(
        code="type.unsupported", severity="reject", test=ByValue(fails=_unsupported),
        sentence="{column} holds bytes or objects, which JSON cannot carry.",
        hint="Turn the column into text, or leave it out.",
        consequence="No value could be sent without guessing.",
        source="reliability 3.7",
        no_repair_because="a text could only be guessed",
    ),
    Check(
        code="value.too-long", severity="warn", test=ByValue(fails=_long_value),
        sentence="{column} is longer than 1,000 bytes.",
        hint="Shorten the value, or leave the column out.",
        consequence="The workspace may not keep the value; the error shows in its log only.",
        source="TRACK customer limits; reference 6, C33",
        no_repair_because="which part may go is for you to say",
    ),
    Check(
        code="message.too-large", severity="reject", test=ByMessage(fails=_oversize),
        sentence="The message is larger than 32,000 bytes.",
        hint="Leave out the largest columns.",
        consequence="Customer.io answers 200 and does not process it.",
        source="SPEC-AUG limits; reference C4, C6",
        no_repair_because="which columns may go is for you to say",
    ),
)  # fmt: skip
