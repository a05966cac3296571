"""Traits that Customer.io acts on, and times among the data."""

import re
from datetime import timedelta

import polars as pl

from cio_frames.checks.check import Check, Repair, Scope, TableTest, by_value, column_findings
from cio_frames.checks.fields import UNSUBSCRIBED, blank, is_number, is_plain_text, is_text
from cio_frames.checks.time_formats import is_other_format
from cio_frames.mapping import ALMOST_ALL, CREATED, FieldMapping, MessageMapping
from cio_frames.spec import folded, is_time_name
from cio_frames.values import EPOCH_UNITS, is_date_only, many
from cio_frames.values.patterns import BLANK, ISO_TIME

WHOLE = frozenset(
    {
        "cio_subscription_preferences",
        "cio_subscription_preferences.topics",
        "cio_subscription_preferences.channels",
    }
)
READ = ("true", "false", "1", "0")
YES = ("yes", "y", "ja", "j", "oui", "si", "sí", "on", "t", "1.0", "wahr", "vrai")
NO = ("no", "n", "nein", "non", "off", "f", "0.0", "falsch", "faux")
PREFERENCES = re.compile(r"traits\.cio_subscription_preferences\.(?:topics|channels)\.")
REFUSAL = re.compile(
    r"do(?:n?o)?n?t(?:e?mail|contact|market|send|disturb)|opt(?:ed)?out|^no(?:e?mails?|marketing|newsletter)$|unsubscri"
)
CONSENT = re.compile(
    r"^(?:is|has)?subscribed|accepts?(?:e?mail|marketing|newsletter)|opt(?:ed)?in|^(?:e?mail|marketing|newsletter)?consent"
    r"|(?:e?mail|newsletter|marketing)(?:consent|permission|allowed|subscription|subscribed|ok)$"
    r"|^allows?(?:e?mail|marketing)|^(?:mail|contact|email)able$|^newsletter$"
)
TIMELIKE = re.compile(
    r"(?:^|_)(?:at|on|date|time|datetime|timestamp|since|until)$|(?<=[a-z])(?:At|On|Date|Time)$"
)
CLOCKED = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}"
NO_HOUR = r"T(?:2[4-9]|[3-9])|:[6-9]"
WRITTEN = r"^\s*\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})(?:\s+\d{1,2}:\d{2}.*)?\s*$"
DATED = r"^\s*\d{1,4}[./-]\d"
MILLISECONDS = (10**11, 10**19)
TOLERATED = timedelta(days=1)


def _is_subscription(slot: FieldMapping) -> bool:
    """Return whether a field subscribes somebody: to everything, or to one topic or channel."""
    return slot.path == UNSUBSCRIBED or PREFERENCES.match(".".join(slot.path)) is not None


def _folded(slot: FieldMapping, scope: Scope) -> pl.Expr:
    return scope.text(slot).str.strip_chars().str.to_lowercase()


def _known_word(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not (_is_subscription(slot) and is_text(slot)):
        return None
    said, sent = _folded(slot, scope), scope.text(slot).str.to_lowercase()
    return said.is_in((*YES, *NO)) | (said.is_in(READ) & ~sent.is_in(READ))


def _empty_word(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    return blank(scope.text(slot)) if _is_subscription(slot) and is_text(slot) else None


def _unknown_word(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not _is_subscription(slot) or slot.dtype in (pl.Boolean, pl.Null):
        return None
    if not is_text(slot):
        values = pl.col(slot.name)
        return (values != 0) & (values != 1) if slot.dtype.is_numeric() else values.is_not_null()
    said = _folded(slot, scope)
    return ~said.is_in((*READ, *YES, *NO)) & ~blank(scope.text(slot))


def _truth(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    if not (_is_subscription(slot) and is_text(slot)):
        return None
    values = slot.expr.cast(pl.String)
    said = values.str.strip_chars().str.to_lowercase()
    return (
        pl.when(said.is_in((*YES, "true", "1"))).then(pl.lit("true"))
        .when(said.is_in((*NO, "false", "0"))).then(pl.lit("false"))
        .otherwise(values)
    )  # fmt: skip


def _without_blank(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    if not (_is_subscription(slot) and is_text(slot)):
        return None
    values = slot.expr.cast(pl.String)
    return pl.when(~blank(values)).then(values)


def _replacing(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    """Return an expression: true where an object takes the place of all topics or channels."""
    name = ".".join(slot.path[1:])
    if scope.mapping.call.name != "identify" or slot.path[:1] != ("traits",) or name not in WHOLE:
        return None
    return pl.lit(value=True) if slot.nulls == "send" else pl.col(slot.name).is_not_null()


def _resubscribing(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    """Return an expression: true where somebody who has unsubscribed is subscribed again."""
    if slot.path not in (UNSUBSCRIBED, ("data", "unsubscribed")):
        return None
    values, cleared = pl.col(slot.name), pl.lit(slot.nulls == "send")
    if slot.dtype == pl.Boolean:
        said = ~values
    elif slot.dtype.is_numeric():
        said = values == 0
    elif is_text(slot):
        said = _folded(slot, scope).is_in(("false", "0"))
    else:
        said = pl.lit(value=False)
    return said.fill_null(cleared)


def _consents(scope: Scope) -> dict[str, tuple[FieldMapping, bool]]:
    """Return the traits named like a consent to mail, and whether their truth refuses it."""
    if scope.mapping.call.name != "identify" or any(
        slot.path == UNSUBSCRIBED for slot in scope.mapping.slots
    ):
        return {}
    named = {}
    for slot in filter(_is_trait, scope.mapping.slots):
        name = folded(slot.path[-1])
        if REFUSAL.search(name):
            named[slot.name] = (slot, True)
        elif CONSENT.search(name):
            named[slot.name] = (slot, False)
    return named


def _said(slot: FieldMapping, scope: Scope, *, refusing: bool) -> pl.Expr | None:
    """Return how many values are yes or no, and how many of them refuse mail."""
    if slot.dtype == pl.Boolean or slot.dtype.is_numeric() or is_text(slot):
        said = _folded(slot, scope)
        truth, falsehood = said.is_in((*YES, "true", "1")), said.is_in((*NO, "false", "0"))
        return pl.struct(
            filled=pl.col(slot.name).count(),
            judged=(truth | falsehood).sum(),
            refused=(truth if refusing else falsehood).sum(),
        ).alias(slot.name)
    return None


def _consent_rows(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    counted = [
        said
        for slot, refusing in _consents(scope).values()
        if (said := _said(slot, scope, refusing=refusing)) is not None
    ]
    return rows.select(counted) if counted else None


def _unheard(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    found = []
    for name, (slot, _) in _consents(scope).items():
        if name in aggregated.columns:
            filled, judged, refused = aggregated[name].struct.unnest().sum().row(0)
            if judged and judged >= filled * ALMOST_ALL:
                found.append(
                    (slot.label, f"{many(refused, 'row')} refuse mail here and would be mailable.")
                )
    return column_findings(found)


def _is_trait(slot: FieldMapping) -> bool:
    return slot.role == "body" and bool(slot.path) and slot.how != "constant"


def _milliseconds(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    timelike = _is_trait(slot) and TIMELIKE.search(slot.path[-1])
    if not timelike or not is_number(slot):
        return None
    values = pl.col(slot.name)
    return (values >= MILLISECONDS[0]) & (values < float(MILLISECONDS[1]))


def _counted(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count the times and the zeros in columns of numbers that are named like times."""
    counts = [
        pl.struct(
            zeros=((pl.col(slot.name) == 0) | (pl.col(slot.name) == -1)).sum(),
            times=(pl.col(slot.name) >= EPOCH_UNITS[-1].least).sum(),
        ).alias(slot.name)
        for slot in scope.mapping.slots
        if _is_trait(slot) and is_time_name(slot.path[-1]) and is_number(slot)
    ]
    return rows.select(counts) if counts else None


def _zeros(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    found = []
    for slot in scope.mapping.slots:
        if slot.name in aggregated.columns:
            zeros, times = aggregated[slot.name].struct.unnest().sum().row(0)
            if zeros and times:
                found.append(
                    (slot.label, f"{many(zeros, 'row')} {'does' if zeros == 1 else 'do'}.")
                )
    return column_findings(found)


def _date(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not _is_trait(slot):
        return None
    if slot.dtype == pl.Date:
        return pl.col(slot.name).is_not_null()
    values = pl.col(slot.name)
    return is_date_only(values) & _is_possible(values) if is_plain_text(slot) else None


def _is_text_trait(slot: FieldMapping) -> bool:
    return _is_trait(slot) and is_plain_text(slot)


def _is_iso(values: pl.Expr) -> pl.Expr:
    """Return whether Journeys takes a text for a time, by its look."""
    return values.str.contains(f"(?-u)^(?:{ISO_TIME})$")


def _is_possible(values: pl.Expr) -> pl.Expr:
    """Return whether the day of a text exists, and the hour if there is one."""
    day = values.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).is_not_null()
    return day & ~values.str.contains(NO_HOUR)


def _as_iso(values: pl.Expr) -> pl.Expr:
    """Return texts with the signs that Journeys wants: T, Z, and offsets with their minutes."""
    return (
        values.str.replace(r"^(\d{4}-\d{2}-\d{2})[ t](\d{2}:\d{2})", "${1}T${2}")
        .str.replace(r"(:\d{2}(?:\.\d+)?) ?(?:UTC|GMT|[zZ])$", "${1}Z")
        .str.replace(r"(:\d{2}(?:\.\d+)?) ([+-]\d{2}(?::?\d{2})?)$", "${1}${2}")
        .str.replace(r"(:\d{2}(?:\.\d+)?[+-]\d{2})$", "${1}:00")
    )


def _is_misspelt(values: pl.Expr) -> pl.Expr:
    written = _as_iso(values)
    return (
        values.str.contains(CLOCKED)
        & (written != values)
        & _is_iso(written)
        & _is_possible(written)
    )


def _spaced(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    return _is_misspelt(pl.col(slot.name)) if _is_text_trait(slot) else None


def _impossible(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not _is_text_trait(slot):
        return None
    written = _as_iso(pl.col(slot.name))
    return _is_iso(written) & ~_is_possible(written)


def _written(slot: FieldMapping, _: Scope) -> pl.Expr | None:
    if not _is_text_trait(slot) or slot.is_time:  # of times their own checks speak
        return None
    return pl.col(slot.name).str.contains(WRITTEN)


def _with_t(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    if not _is_text_trait(slot):
        return None
    return pl.when(_is_misspelt(slot.expr)).then(_as_iso(slot.expr)).otherwise(slot.expr)


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
    Check(
        "trait.unsubscribed-empty", "reject", by_value(_empty_word, prefilter=BLANK),
        source="SPEC-AUG traits.unsubscribed; reference 2.1", repair=Repair(_without_blank, safe=True),
    ),
    Check(
        "trait.preferences-replaced", "warn", by_value(_replacing),
        source="SPEC-AUG traits.cio_subscription_preferences; reference 2.1",
    ),
    Check(
        "trait.resubscribed", "warn", by_value(_resubscribing),
        source="SPEC-AUG traits.unsubscribed; reference 2.1, 6 (null removes)",
    ),
    Check(
        "trait.consent", "warn", TableTest(_consent_rows, _unheard),
        source="SPEC-AUG traits.unsubscribed; reference 6 (reserved attributes)",
    ),
    Check("trait.milliseconds", "warn", by_value(_milliseconds), source="reference 1.6 (milliseconds are never fixed)"),
    Check("trait.time-zero", "warn", TableTest(_counted, _zeros), source="reference 1.6"),
    Check(
        "trait.date-only", "info", by_value(_date, prefilter=DATED),
        source="reference 1.6 (ACT: ISO texts become seconds, also dates alone)",
    ),
    Check(
        "trait.time-space", "info", by_value(_spaced, prefilter=DATED),
        source="reference 1.6 (ACT)", repair=Repair(_with_t, safe=True),
    ),
    Check(
        "trait.time-impossible", "warn", by_value(_impossible, prefilter=DATED),
        source="reference 1.6 (ACT)",
    ),
    Check(
        "trait.date-written", "info", by_value(_written, prefilter=DATED),
        source="reference 1.6 (ACT: only ISO texts become times)",
    ),
    Check("trait.created-future", "warn", by_value(_future), source="reference 3.8"),
    Check("trait.created-unread", "warn", by_value(_unread), source="reference 1.6, 6 (created_at)"),
)  # fmt: skip
