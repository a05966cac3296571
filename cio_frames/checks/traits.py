"""Traits that Customer.io acts on, and times among the data."""

import re
from datetime import timedelta

import polars as pl

from cio_frames.checks.check import Check, Repair, Scope, by_value
from cio_frames.checks.fields import UNSUBSCRIBED, blank, is_number, is_plain_text, is_text
from cio_frames.checks.time_formats import is_other_format
from cio_frames.mapping import CREATED, FieldMapping, MessageMapping
from cio_frames.values import is_date_only

READ = ("true", "false", "1", "0")
YES = ("yes", "y", "ja", "j", "oui", "si", "sí", "on", "t", "1.0", "wahr", "vrai")
NO = ("no", "n", "nein", "non", "off", "f", "0.0", "falsch", "faux")
TIMELIKE = re.compile(
    r"(?:^|_)(?:at|on|date|time|datetime|timestamp|since|until)$|(?<=[a-z])(?:At|On|Date|Time)$"
)
SPACED = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}"
WRITTEN = r"^\s*\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})(?:\s+\d{1,2}:\d{2}.*)?\s*$"
DATED = r"^\s*\d{1,4}[./-]\d"
MILLISECONDS = (10**11, 10**14)
TOLERATED = timedelta(days=1)


def _is_subscription(slot: FieldMapping) -> bool:
    return slot.path == UNSUBSCRIBED


def _folded(slot: FieldMapping, scope: Scope) -> pl.Expr:
    return scope.text(slot).str.strip_chars().str.to_lowercase()


def _known_word(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not (_is_subscription(slot) and is_text(slot)):
        return None
    return _folded(slot, scope).is_in((*YES, *NO))


def _unknown_word(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not _is_subscription(slot) or slot.dtype in (pl.Boolean, pl.Null):
        return None
    if not is_text(slot):
        values = pl.col(slot.name)
        return (values != 0) & (values != 1) if slot.dtype.is_numeric() else values.is_not_null()
    said = _folded(slot, scope)
    return ~said.is_in((*READ, *YES, *NO)) & ~blank(said)


def _truth(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    if not (_is_subscription(slot) and is_text(slot)):
        return None
    values = slot.expr.cast(pl.String)
    said = values.str.strip_chars().str.to_lowercase()
    yes, no = pl.when(said.is_in(YES)).then(pl.lit("true")), pl.lit("false")
    return yes.when(said.is_in(NO)).then(no).otherwise(values)


def _is_trait(slot: FieldMapping) -> bool:
    return slot.role == "body" and bool(slot.path) and slot.how != "constant"


def _milliseconds(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    timelike = _is_trait(slot) and TIMELIKE.search(slot.path[-1])
    if not timelike or not is_number(slot):
        return None
    values = pl.col(slot.name)
    return (values >= MILLISECONDS[0]) & (values < MILLISECONDS[1])


def _date(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not _is_trait(slot):
        return None
    if slot.dtype == pl.Date:
        return pl.col(slot.name).is_not_null()
    return is_date_only(pl.col(slot.name)) if is_plain_text(slot) else None


def _is_text_trait(slot: FieldMapping) -> bool:
    return _is_trait(slot) and is_plain_text(slot)


def _spaced(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    return pl.col(slot.name).str.contains(SPACED) if _is_text_trait(slot) else None


def _written(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    return pl.col(slot.name).str.contains(WRITTEN) if _is_text_trait(slot) else None


def _with_t(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    with_t = slot.expr.str.replace(r"^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2})", "${1}T${2}")
    return with_t if _is_text_trait(slot) else None


def _future(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    return pl.col(slot.moment) > scope.now + TOLERATED if slot.path in CREATED else None


def _unread(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if slot.path not in CREATED or not is_text(slot):
        return None
    return pl.col(slot.moment).is_null() & ~blank(scope.text(slot)) & ~is_other_format(slot)


TRAIT_CHECKS = (
    Check(
        "trait.unsubscribed-word", "reject", by_value(_known_word),
        source="SPEC-AUG traits.unsubscribed; reference 2.1", repair=Repair(_truth, safe=False),
    ),
    Check(
        "trait.unsubscribed-unknown", "reject", by_value(_unknown_word),
        source="SPEC-AUG traits.unsubscribed; reference 2.1",
    ),
    Check("trait.milliseconds", "warn", by_value(_milliseconds), source="reference 1.6 (milliseconds are never fixed)"),
    Check(
        "trait.date-only", "info", by_value(_date, prefilter=DATED),
        source="reference 1.6 (ACT: ISO texts become seconds, also dates alone)",
    ),
    Check(
        "trait.time-space", "info", by_value(_spaced, prefilter=DATED),
        source="reference 1.6 (ACT)", repair=Repair(_with_t, safe=True),
    ),
    Check(
        "trait.date-written", "info", by_value(_written, prefilter=DATED),
        source="reference 1.6 (ACT: only ISO texts become times)",
    ),
    Check("trait.created-future", "warn", by_value(_future), source="reference 3.8"),
    Check("trait.created-unread", "warn", by_value(_unread), source="reference 1.6, 6 (created_at)"),
)  # fmt: skip
