"""Checks of sensitive data, which refuse a plan until the data is left out, hashed or allowed."""

from collections.abc import Iterator

import polars as pl

from cio_frames.checks.check import Check, ColumnTest, Scope, by_column, by_text
from cio_frames.checks.detectors import ANY_SECRET, CARD, IBAN, NATIONAL_NUMBER, SECRET
from cio_frames.checks.fields import is_body, name_words
from cio_frames.checks.number_shares import by_share, is_readable
from cio_frames.mapping import FieldMapping
from cio_frames.values import instance_of

HEALTH = (
    "diagnosis", "diagnoses", "disease", "illness", "medication", "prescription", "hiv", "hiv status",
    "pregnant", "pregnancy", "blood type", "blood pressure", "disability", "allergy", "allergies",
    "therapy", "patient id", "patient", "icd10", "icd", "medical", "medical record", "medical history",
    "mental health", "symptom", "symptoms", "treatment", "vaccination", "health condition", "bmi",
)  # fmt: skip
SECRETS = (
    "password", "passwd", "pwd", "passphrase", "password hash", "secret", "client secret", "api key",
    "apikey", "access token", "auth token", "refresh token", "session token", "bearer token",
    "private key", "secret key", "write key", "credentials", "security answer",
)  # fmt: skip
IDENTITY = (
    "ssn", "social security", "social security number", "nino", "national insurance number",
    "national id", "national id number", "passport", "passport number", "passport no", "tax id",
    "tax number", "bsn", "pesel", "aadhaar", "aadhar", "cpf", "curp", "personnummer", "steuer id",
    "drivers license", "driver license", "license number", "iban", "bank account",
    "bank account number", "routing number", "sort code", "card number", "credit card",
    "credit card number", "cc number", "cvv", "cvc",
)  # fmt: skip


def _by_column_name(names: tuple[str, ...]) -> ColumnTest:
    def fails(field: FieldMapping, _: Scope) -> str | None:
        if not is_body(field) or field.how in ("hashed", "constant"):
            return None
        similar = [name for name in _names(field) if " ".join(name_words(name)) in names]
        return ", ".join(dict.fromkeys(similar)) or None

    return by_column(fails)


def _names(field: FieldMapping) -> Iterator[str]:
    yield field.label
    yield field.path[-1] if field.path else ""
    yield from _names_inside(field.dtype)


def _names_inside(dtype: pl.DataType) -> Iterator[str]:
    if isinstance(dtype, pl.List | pl.Array):
        yield from _names_inside(instance_of(dtype.inner))
    if isinstance(dtype, pl.Struct):
        for part in dtype.fields:
            yield part.name
            yield from _names_inside(instance_of(part.dtype))


SENSITIVE_CHECKS = (
    Check(
        "sensitive.card", "refuse", by_share(CARD),
        source="SEED-INT (do not send card numbers); ISO/IEC 7812 (Luhn)",
    ),
    Check("sensitive.iban", "refuse", by_share(IBAN), source="SEED-INT (do not send bank accounts); ISO 13616 (mod 97)"),
    Check("sensitive.national-id", "refuse", by_share(NATIONAL_NUMBER), source="reliability 3.10; python-stdnum"),
    Check(
        "sensitive.secret", "refuse",
        by_text(SECRET.finds, fields=is_readable, prefilter=ANY_SECRET, value=SECRET.samples),
        source="DOC attributes (do not send passwords or tokens)",
    ),
    Check("sensitive.secret-column", "refuse", _by_column_name(SECRETS), source="DOC attributes; reliability 3.8"),
    Check("sensitive.identity-column", "refuse", _by_column_name(IDENTITY), source="SEED-INT; reliability 3.10"),
    Check("sensitive.health-column", "refuse", _by_column_name(HEALTH), source="SEED-INT (do not send health information)"),
)  # fmt: skip
