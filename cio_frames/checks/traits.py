"""Traits that Customer.io gives a meaning of its own, and times among the data."""

import re
from datetime import timedelta

import polars as pl

from cio_frames.checks.check import ByValue, Check, Repair, Scope
from cio_frames.checks.identifiers import blank, is_text, text
from cio_frames.checks.time_formats import in_other_form
from cio_frames.mapping import CREATED, FieldMapping, MessageMapping
from cio_frames.values import is_date_only

UNSUBSCRIBED = ("traits", "unsubscribed")
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


def _said(slot: FieldMapping, scope: Scope) -> pl.Expr:
    return text(slot, scope).str.strip_chars().str.to_lowercase()


def _known_word(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not (_is_subscription(slot) and is_text(slot)):
        return None
    return _said(slot, scope).is_in((*YES, *NO))


def _unknown_word(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not _is_subscription(slot) or slot.dtype in (pl.Boolean, pl.Null):
        return None
    if not is_text(slot):
        values = pl.col(slot.name)
        return (values != 0) & (values != 1) if slot.dtype.is_numeric() else values.is_not_null()
    said = _said(slot, scope)
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
    if not timelike or not (slot.dtype.is_integer() or slot.dtype.is_float()):
        return None
    values = pl.col(slot.name)
    return (values >= MILLISECONDS[0]) & (values < MILLISECONDS[1])


def _date(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not _is_trait(slot):
        return None
    if slot.dtype == pl.Date:
        return pl.col(slot.name).is_not_null()
    return is_date_only(pl.col(slot.name)) if slot.dtype == pl.String and not slot.json else None


def _spaced(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not (_is_trait(slot) and slot.dtype == pl.String and not slot.json):
        return None
    return pl.col(slot.name).str.contains(SPACED)


def _written(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not (_is_trait(slot) and slot.dtype == pl.String and not slot.json):
        return None
    return pl.col(slot.name).str.contains(WRITTEN)


def _with_t(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    if not (_is_trait(slot) and slot.dtype == pl.String and not slot.json):
        return None
    return slot.expr.str.replace(r"^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2})", "${1}T${2}")


def _future(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if slot.path not in CREATED:
        return None
    return pl.col(slot.moment) > scope.now + TOLERATED


def _unread(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if slot.path not in CREATED or not is_text(slot):
        return None
    return pl.col(slot.moment).is_null() & ~blank(text(slot, scope)) & ~in_other_form(slot)


TRAIT_CHECKS = (
    Check(
        code="trait.unsubscribed-word", severity="reject", test=ByValue(fails=_known_word),
        sentence="{column} says yes or no in words that Customer.io takes for subscribed.",
        hint='plan.fix("trait.unsubscribed-word") writes them as true and false.',
        summary="{rows}.",
        consequence="Only true and 1 unsubscribe: somebody who said JA to unsubscribing would get mail.",
        source="SPEC-AUG traits.unsubscribed; reference 2.1",
        repair=Repair(change=_truth, safe=False, sentence="yes and no, in words, become true and false"),
    ),
    Check(
        code="trait.unsubscribed-unknown", severity="reject", test=ByValue(fails=_unknown_word),
        sentence="{column} is neither true nor false, so it counts as subscribed.",
        hint="Find out what it means, and write true or false.",
        consequence="The person would be subscribed, whatever was meant.",
        source="SPEC-AUG traits.unsubscribed; reference 2.1",
        no_repair_because="what was meant cannot be known",
    ),
    Check(
        code="trait.milliseconds", severity="warn", test=ByValue(fails=_milliseconds),
        sentence="{column} is named like a time and holds milliseconds.",
        hint="Turn the column into datetimes: they are sent as ISO 8601.",
        consequence="Conditions read numbers as seconds: the time lies thousands of years ahead.",
        source="reference 1.6 (milliseconds are never fixed)",
        no_repair_because="a number may be meant",
    ),
    Check(
        code="trait.date-only", severity="info", test=ByValue(fails=_date, prefilter=DATED),
        sentence="{column} holds dates, which Journeys stores as numbers of seconds at midnight.",
        hint="Nothing to do for conditions on time; to show the date, send it as other text.",
        consequence="A message that shows the value shows a number.",
        source="reference 1.6 (ACT: ISO texts become seconds, also dates alone)",
        no_repair_because="it is what conditions on time need",
    ),
    Check(
        code="trait.time-space", severity="info", test=ByValue(fails=_spaced, prefilter=DATED),
        sentence="{column} holds times with a space instead of T, which stay text.",
        hint='plan.fix("trait.time-space") writes the T.',
        consequence="Conditions on time do not hold.",
        source="reference 1.6 (ACT)",
        repair=Repair(change=_with_t, safe=True, sentence="times as text get a T between date and time"),
    ),
    Check(
        code="trait.date-written", severity="info", test=ByValue(fails=_written, prefilter=DATED),
        sentence="{column} holds dates as people write them, which stay text.",
        hint='Turn the column into dates before: pd.to_datetime(..., dayfirst=True), or .str.to_date("%d/%m/%Y").',
        consequence="Conditions on time do not hold.",
        source="reference 1.6 (ACT: only ISO texts become times)",
        no_repair_because="which part is the day and which the month cannot be known of a single value",
    ),
    Check(
        code="trait.created-future", severity="warn", test=ByValue(fails=_future),
        sentence="{column} lies more than a day in the future.",
        hint="Check the unit and the time zone of the column.",
        consequence="Campaigns that wait for the person's sign-up wait until that day.",
        source="reference 3.8",
        no_repair_because="when it was cannot be known",
    ),
    Check(
        code="trait.created-unread", severity="warn", test=ByValue(fails=_unread),
        sentence="{column} cannot be read as a time.",
        hint="Write it as ISO 8601, e.g. 2026-03-01T12:00:00Z.",
        summary="{values} in {rows}.",
        consequence="It stays text: segments by age of the profile pass the person over.",
        source="reference 1.6, 6 (created_at)",
        no_repair_because="when it was cannot be known",
    ),
)  # fmt: skip
