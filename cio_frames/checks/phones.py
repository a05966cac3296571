"""Checks of people's telephone numbers: whether they have the form Customer.io needs, and exist."""

from functools import partial

import polars as pl

from cio_frames.checks.check import Check, Repair, Scope, Severity, TableTest
from cio_frames.checks.fields import blank, is_number, is_text
from cio_frames.checks.phone_numbers import can_read_numbers, read_numbers
from cio_frames.frames import ROW
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.values import as_text
from cio_frames.values.patterns import DOUBLE_QUOTE, SINGLE_QUOTE

PHONE = ("traits", "phone")
E164 = r"^\+[1-9]\d{6,14}$"
QUOTED = rf"^=?T?\(?(?:{DOUBLE_QUOTE}|{SINGLE_QUOTE})"
"""Characters before a number that value.guarded reports."""
PROBLEM_SCHEMA = pl.Schema({"row": pl.Int64(), "value": pl.String(), "problem": pl.String()})


def _is_phone(field: FieldMapping) -> bool:
    return field.path == PHONE and (is_text(field) or is_number(field))


def _phone(scope: Scope) -> FieldMapping | None:
    return next(filter(_is_phone, scope.mapping.fields), None)


def _problems(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Return the numbers that have a problem, each with the code of its check."""
    field = _phone(scope)
    if field is None:
        return None
    text = scope.text(field)
    texts = rows.select(row=pl.col(ROW).cast(pl.Int64), value=text)
    tested = texts.filter(~blank(pl.col("value")) & ~pl.col("value").str.contains(QUOTED))
    problems = partial(_add_problems, region=scope.mapping.phone_region)
    return tested.map_batches(problems, schema=PROBLEM_SCHEMA)


def _add_problems(texts: pl.DataFrame, *, region: str | None) -> pl.DataFrame:
    text = pl.col("value")
    is_e164 = text.str.contains(E164)
    if not can_read_numbers():
        return texts.filter(~is_e164).with_columns(problem=pl.lit("trait.phone-form"))
    read = texts.hstack(read_numbers(texts["value"], region=region))
    number = pl.col("number")
    problem = (
        pl.when(number.is_null() & is_e164).then(pl.lit("trait.phone-unknown"))
        .when(number.is_null()).then(pl.lit("trait.phone-form"))
        .when(number != text).then(pl.lit("trait.phone-written"))
        .when(~pl.col("is_mobile")).then(pl.lit("trait.phone-fixed"))
    )  # fmt: skip
    return read.select("row", "value", problem=problem).drop_nulls("problem")


def _findings(numbers: pl.DataFrame, _: pl.LazyFrame, scope: Scope, *, code: str) -> pl.DataFrame:
    field = _phone(scope)
    column = pl.lit(field.label if field else None, pl.String)
    return numbers.filter(pl.col("problem") == code).select("row", "value", column=column)


def _rewritten(field: FieldMapping, mapping: MessageMapping) -> pl.Expr | None:
    """Return numbers in E.164 form, and all other values unchanged."""
    if not (_is_phone(field) and can_read_numbers()):
        return None
    text = as_text(field.expr, dtype=field.dtype)
    numbers = text.map_batches(
        lambda texts: read_numbers(texts, region=mapping.phone_region)["number"],
        return_dtype=pl.String,
        is_elementwise=True,
    )
    return pl.coalesce(numbers, text)


def _phone_check(
    code: str, severity: Severity, *, source: str, repair: Repair | None = None
) -> Check:
    return Check(
        code,
        severity,
        TableTest(_problems, partial(_findings, code=code), by="row"),
        source=source,
        repair=repair,
    )


PHONE_CHECKS = (
    _phone_check("trait.phone-form", "warn", source="DOC:journeys/attributes (phone: E.164); ITU-T E.164"),
    _phone_check(
        "trait.phone-written", "warn", source="DOC:journeys/attributes (phone: E.164); ITU-T E.164; phonenumbers",
        repair=Repair(_rewritten, safe=False),
    ),
    _phone_check("trait.phone-unknown", "warn", source="ITU-T E.164; the numbering plans in phonenumbers"),
    _phone_check("trait.phone-fixed", "info", source="the numbering plans in phonenumbers"),
)  # fmt: skip
