"""Sensitive data: what should not leave the house, until it is dropped, hashed or allowed."""

import re
from collections.abc import Iterator

import polars as pl

from cio_frames.checks.check import ByColumn, ByText, Check, Scope
from cio_frames.checks.detectors import (
    ANY,
    CARD,
    IBAN,
    NATIONAL_NUMBER,
    SECRET,
    Detector,
    has_card_length,
)
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
OPEN_ROLES = ("body", "context", "field")


def _looked_at(slot: FieldMapping, _: Scope) -> bool:
    return slot.role in OPEN_ROLES and slot.how != "hashed"


def _found(detector: Detector, *, numbers: bool = False) -> ByText:
    return ByText(
        slots=_looked_at,
        prefilter=ANY,
        fails=detector.finds,
        numbers=has_card_length if numbers else None,
        shown=detector.samples,
    )


def _named(names: tuple[str, ...]) -> ByColumn:
    def bad(slot: FieldMapping, _: Scope) -> str | None:
        if slot.role not in ("body", "context") or slot.how in ("hashed", "constant"):
            return None
        found = [name for name in _names(slot) if _words(name) in names]
        return ", ".join(dict.fromkeys(found)) or None

    return ByColumn(fails=bad)


def _names(slot: FieldMapping) -> Iterator[str]:
    yield slot.label
    yield slot.path[-1] if slot.path else ""
    yield from _fields(slot.dtype)


def _fields(dtype: pl.DataType) -> Iterator[str]:
    if isinstance(dtype, pl.List | pl.Array):
        yield from _fields(instance_of(dtype.inner))
    if isinstance(dtype, pl.Struct):
        for part in dtype.fields:
            yield part.name
            yield from _fields(instance_of(part.dtype))


def _words(name: str) -> str:
    """Return a name in lower case, its words apart.

    Examples:
        >>> _words("creditCard-Number")
        'credit card number'
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[a-z0-9]+", apart.lower()))


DO = (
    'Leave {column} out, hash it with hash=["{column}"], or allow it with '
    'checks=cio.Checks(allow_sensitive={"{column}": "the reason"}).'
)
NO_REPAIR = "whether it is left out, hashed or allowed is for you to say"
FOUND = "{values} in {rows}."

SENSITIVE_CHECKS = (
    Check(
        code="sensitive.card", severity="refuse", test=_found(CARD, numbers=True),
        sentence="{column} holds card numbers: their check digits are right.",
        hint=DO, summary=FOUND, no_repair_because=NO_REPAIR,
        consequence="Card numbers would be stored in the workspace and could be shown in messages.",
        source="SEED-INT (do not send card numbers); ISO/IEC 7812 (Luhn)",
    ),
    Check(
        code="sensitive.iban", severity="refuse", test=_found(IBAN),
        sentence="{column} holds bank account numbers (IBAN).",
        hint=DO, summary=FOUND, no_repair_because=NO_REPAIR,
        consequence="Bank accounts would be stored in the workspace and could be shown in messages.",
        source="SEED-INT (do not send bank accounts); ISO 13616 (mod 97)",
    ),
    Check(
        code="sensitive.national-id", severity="refuse", test=_found(NATIONAL_NUMBER),
        sentence="{column} holds numbers that a state gives to a person.",
        hint=DO, summary=FOUND, no_repair_because=NO_REPAIR,
        consequence="In many places they may not be kept without a reason in law.",
        source="reliability 3.10; python-stdnum",
    ),
    Check(
        code="sensitive.secret", severity="refuse", test=_found(SECRET),
        sentence="{column} holds keys, tokens or password hashes.",
        hint=DO, summary=FOUND, no_repair_because=NO_REPAIR,
        consequence="Everyone with access to the workspace could use them.",
        source="DOC attributes (do not send passwords or tokens)",
    ),
    Check(
        code="sensitive.secret-column", severity="refuse", test=_named(SECRETS),
        sentence="{column} is named like a password or a key.",
        hint=DO, no_repair_because=NO_REPAIR,
        consequence="Everyone with access to the workspace could use what is in it.",
        source="DOC attributes; reliability 3.8",
    ),
    Check(
        code="sensitive.identity-column", severity="refuse", test=_named(IDENTITY),
        sentence="{column} is named like a number of a state, a bank or a card.",
        hint=DO, no_repair_because=NO_REPAIR,
        consequence="Such numbers would be stored in the workspace and could be shown in messages.",
        source="SEED-INT; reliability 3.10",
    ),
    Check(
        code="sensitive.health-column", severity="refuse", test=_named(HEALTH),
        sentence="{column} is named like data about health.",
        hint=DO, no_repair_because=NO_REPAIR,
        consequence="Data about health would be stored where marketing works with it.",
        source="SEED-INT (do not send health information)",
    ),
)  # fmt: skip
