"""Traits that Customer.io acts on, and times among the data."""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import cast

import polars as pl

from cio_frames.checks.check import (
    Check,
    Scope,
    TableTest,
    by_value,
    column_findings,
    summed,
    text_repair,
)
from cio_frames.checks.fields import (
    PREFERENCES,
    UNSUBSCRIBED,
    blank,
    is_number,
    is_plain_text,
    is_subscription,
    is_text,
    is_text_type,
)
from cio_frames.checks.time_formats import is_other_format
from cio_frames.mapping import (
    ALMOST_ALL,
    CREATED,
    UNNAMED,
    FieldMapping,
    time_rank,
)
from cio_frames.spec import EVENT_CALLS, folded, is_time_name
from cio_frames.values import EPOCH_UNITS, is_date_only, many
from cio_frames.values.patterns import BLANK, ISO_TIME

PREFERENCE_OBJECTS = frozenset(
    {
        "cio_subscription_preferences",
        "cio_subscription_preferences.topics",
        "cio_subscription_preferences.channels",
    }
)
RECOGNISED = ("true", "false", "1", "0")
CONSENT_WORDS = ("subscribed", "opted in", "opted_in", "opted-in", "granted", "consented")
REFUSAL_WORDS = (
    "unsubscribed", "never_subscribed", "never subscribed", "not subscribed", "opted out", "opted_out",
    "opted-out", "denied", "revoked", "withdrawn",
)  # fmt: skip
"""Words for and against e-mail in exports of consents."""
YES = ("yes", "y", "ja", "j", "oui", "si", "sí", "on", "t", "1.0", "wahr", "vrai")
NO = ("no", "n", "nein", "non", "off", "f", "0.0", "falsch", "faux")
REFUSAL = re.compile(
    r"do(?:n?o)?n?t(?:e?mail|contact|market|send|disturb)|opt(?:ed)?out|^no(?:e?mails?|marketing|newsletter)$|unsubscri"
)
CONSENT = re.compile(
    r"^(?:is|has)?subscribed|accepts?(?:e?mail|marketing|newsletter)|opt(?:ed)?in|^(?:e?mail|marketing|newsletter)?consent"
    r"|(?:e?mail|newsletter|marketing)(?:consent|permission|allowed|subscription|subscribed|ok)$"
    r"|^allows?(?:e?mail|marketing)|^(?:mail|contact|email)able$|^newsletter$"
)
TIME_NAME = re.compile(
    r"(?:^|_)(?:at|on|date|time|datetime|timestamp|since|until)$|(?<=[a-z])(?:At|On|Date|Time)$"
)
WITH_CLOCK = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}"
IMPOSSIBLE_HOUR = r"T(?:2[4-9]|[3-9])|:[6-9]"
LOCAL_DATE = r"^\s*\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})(?:,?\s+\d{1,2}:\d{2}.*)?\s*$"
DATE_LIKE = r"^\s*\d{1,4}[./-]\d{1,2}[./-]\d"
MILLISECONDS = (10**11, 10**19)
CLOCK_TOLERANCE = timedelta(days=1)


def _lower(values: pl.Expr) -> pl.Expr:
    return values.str.strip_chars().str.to_lowercase()


def _subscriptions(field: FieldMapping) -> Iterator[tuple[pl.Expr, pl.DataType]]:
    """Yield subscriptions with their types: the field itself, or topics and channels inside a struct."""
    if not is_subscription(field):
        yield from _preferences_inside(pl.col(field.name), field.dtype, path=field.path)
    else:
        yield pl.col(field.name), field.dtype


def _preferences_inside(
    values: pl.Expr, dtype: pl.DataType, *, path: tuple[str, ...]
) -> Iterator[tuple[pl.Expr, pl.DataType]]:
    if PREFERENCES.match(".".join(path)):
        yield values, dtype
    elif isinstance(dtype, pl.Struct) and ".".join(path[1:]) in PREFERENCE_OBJECTS:
        for member in dtype.fields:
            kind = cast("pl.DataType", member.dtype)
            yield from _preferences_inside(
                values.struct.field(member.name), kind, path=(*path, member.name)
            )


def _any(conditions: Iterable[pl.Expr]) -> pl.Expr | None:
    conditions = list(conditions)
    return pl.any_horizontal(conditions) if conditions else None


def _convertible_word(field: FieldMapping, _: Scope) -> pl.Expr | None:
    return _any(
        _is_convertible(values.cast(pl.String))
        for values, dtype in _subscriptions(field)
        if is_text_type(dtype)
    )


def _is_convertible(texts: pl.Expr) -> pl.Expr:
    is_padded = _lower(texts).is_in(RECOGNISED) & ~texts.str.to_lowercase().is_in(RECOGNISED)
    return _lower(texts).is_in((*YES, *NO)) | is_padded


def _empty_word(field: FieldMapping, _: Scope) -> pl.Expr | None:
    return _any(
        blank(values.cast(pl.String))
        for values, dtype in _subscriptions(field)
        if is_text_type(dtype)
    )


def _unknown_word(field: FieldMapping, _: Scope) -> pl.Expr | None:
    return _any(
        _is_unknown(values, dtype)
        for values, dtype in _subscriptions(field)
        if dtype not in (pl.Boolean, pl.Null)
    )


def _is_unknown(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if not is_text_type(dtype):
        return (values != 0) & (values != 1) if dtype.is_numeric() else values.is_not_null()
    texts = values.cast(pl.String)
    return ~_lower(texts).is_in((*RECOGNISED, *YES, *NO)) & ~blank(texts)


def _is_subscription_text(field: FieldMapping) -> bool:
    return is_subscription(field) and is_text(field)


def _as_truth(values: pl.Expr) -> pl.Expr:
    words = _lower(values)
    return (
        pl.when(words.is_in((*YES, "true", "1"))).then(pl.lit("true"))
        .when(words.is_in((*NO, "false", "0"))).then(pl.lit("false"))
        .otherwise(values)
    )  # fmt: skip


def _without_blank(values: pl.Expr) -> pl.Expr:
    return pl.when(~blank(values)).then(values)


def _replaces_preferences(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    """Return a boolean expression: True where an object replaces all topics or channels."""
    name = ".".join(field.path[1:])
    if (
        scope.mapping.call.name != "identify"
        or field.path[:1] != ("traits",)
        or name not in PREFERENCE_OBJECTS
    ):
        return None
    return pl.lit(value=True) if field.nulls == "send" else pl.col(field.name).is_not_null()


def _resubscribes(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    """Return a boolean expression: True where a person who has unsubscribed would be subscribed again."""
    if field.path not in (UNSUBSCRIBED, ("data", "unsubscribed")):
        return None
    values, cleared = pl.col(field.name), pl.lit(field.nulls == "send")
    if field.dtype == pl.Boolean:
        subscribes = ~values
    elif field.dtype.is_numeric():
        subscribes = values == 0
    elif is_text(field):
        subscribes = _lower(scope.text(field)).is_in(("false", "0"))
    else:
        subscribes = pl.lit(value=False)
    return subscribes.fill_null(cleared)


def _consent_traits(scope: Scope) -> dict[str, tuple[FieldMapping, bool]]:
    """Return the traits named like a consent to e-mail, and whether yes means a refusal."""
    if scope.mapping.call.name != "identify" or any(
        field.path == UNSUBSCRIBED for field in scope.mapping.fields
    ):
        return {}
    consents = {}
    for field in filter(_is_trait, scope.mapping.fields):
        name = folded(field.path[-1])
        if REFUSAL.search(name):
            consents[field.name] = (field, True)
        elif CONSENT.search(name):
            consents[field.name] = (field, False)
    return consents


def _consent_counts(field: FieldMapping, scope: Scope, *, refusing: bool) -> pl.Expr | None:
    """Return how many values are yes or no, and how many of them refuse e-mail."""
    if field.dtype == pl.Boolean or field.dtype.is_numeric() or is_text(field):
        words = _lower(scope.text(field))
        is_yes = words.is_in((*YES, *CONSENT_WORDS, "true", "1"))
        is_no = words.is_in((*NO, *REFUSAL_WORDS, "false", "0"))
        return pl.struct(
            filled=pl.col(field.name).count(),
            judged=(is_yes | is_no).sum(),
            refused=(is_yes if refusing else is_no).sum(),
        ).alias(field.name)
    return None


def _consent_rows(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    counts = [
        count
        for field, refusing in _consent_traits(scope).values()
        if (count := _consent_counts(field, scope, refusing=refusing)) is not None
    ]
    return rows.select(counts) if counts else None


def _ignored_refusals(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    findings = []
    for name, (field, _) in _consent_traits(scope).items():
        if name in aggregated.columns:
            filled, judged, refused = aggregated[name].struct.unnest().sum().row(0)
            if judged and judged >= filled * ALMOST_ALL:
                findings.append(
                    (
                        field.label,
                        f"{many(refused, 'row refuses', 'rows refuse')} e-mail but would still receive it.",
                    )
                )
    return column_findings(findings)


def _is_trait(field: FieldMapping) -> bool:
    return field.role == "body" and bool(field.path) and field.how != "constant"


def _milliseconds(field: FieldMapping, _: Scope) -> pl.Expr | None:
    timelike = _is_trait(field) and TIME_NAME.search(field.path[-1])
    if not timelike or not is_number(field):
        return None
    values = pl.col(field.name)
    return (values >= MILLISECONDS[0]) & (values < float(MILLISECONDS[1]))


def _count_zeros(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Count the times and the zeros in columns of numbers that are named like times."""
    counts = [
        pl.struct(
            zeros=((pl.col(field.name) == 0) | (pl.col(field.name) == -1)).sum(),
            times=(pl.col(field.name) >= EPOCH_UNITS[-1].least).sum(),
        ).alias(field.name)
        for field in scope.mapping.fields
        if _is_trait(field) and is_time_name(field.path[-1]) and is_number(field)
    ]
    return rows.select(counts) if counts else None


def _zero_findings(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    findings = []
    for field in scope.mapping.fields:
        if field.name in aggregated.columns:
            zeros, times = aggregated[field.name].struct.unnest().sum().row(0)
            if zeros and times:
                findings.append((field.label, f"{many(zeros, 'row has', 'rows have')} 0 or -1."))
    return column_findings(findings)


def _date(field: FieldMapping, _: Scope) -> pl.Expr | None:
    if not _is_trait(field):
        return None
    if field.dtype == pl.Date:
        return pl.col(field.name).is_not_null()
    values = pl.col(field.name)
    return is_date_only(values) & _is_possible(values) if is_plain_text(field) else None


def _is_text_trait(field: FieldMapping) -> bool:
    return _is_trait(field) and is_plain_text(field)


def _is_iso(values: pl.Expr) -> pl.Expr:
    """Return a boolean expression: True where a text has a form that Journeys reads as a time."""
    return values.str.contains(f"(?-u)^(?:{ISO_TIME})$")


def _is_possible(values: pl.Expr) -> pl.Expr:
    """Return a boolean expression: True where the date of a text exists, and the hour if there is one."""
    day = values.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).is_not_null()
    return day & ~values.str.contains(IMPOSSIBLE_HOUR)


def _as_iso(values: pl.Expr) -> pl.Expr:
    """Return texts in the form that Journeys reads: with T, Z, and offsets with minutes."""
    return (
        values.str.replace(r"^(\d{4}-\d{2}-\d{2})[ t](\d{2}:\d{2})", "${1}T${2}")
        .str.replace(r"(:\d{2}(?:\.\d+)?) ?(?:UTC|GMT|[zZ])$", "${1}Z")
        .str.replace(r"(:\d{2}(?:\.\d+)?) ([+-]\d{2}(?::?\d{2})?)$", "${1}${2}")
        .str.replace(r"(:\d{2}(?:\.\d+)?[+-]\d{2})$", "${1}:00")
    )


def _is_misspelt_time(values: pl.Expr) -> pl.Expr:
    corrected = _as_iso(values)
    return (
        values.str.contains(WITH_CLOCK)
        & (corrected != values)
        & _is_iso(corrected)
        & _is_possible(corrected)
    )


def _correctable_time(field: FieldMapping, _: Scope) -> pl.Expr | None:
    return _is_misspelt_time(pl.col(field.name)) if _is_text_trait(field) else None


def _impossible(field: FieldMapping, _: Scope) -> pl.Expr | None:
    if not _is_text_trait(field) or field.path in CREATED:  # has trait.created-unread
        return None
    texts = _as_iso(pl.col(field.name))
    return _is_iso(texts) & ~_is_possible(texts)


def _is_reported_as_time(field: FieldMapping, scope: Scope) -> bool:
    """Return whether time.unmapped reports a column: it is named like the missing time of the event."""
    call = scope.mapping.call
    if call.name not in EVENT_CALLS or scope.mapping.find("timestamp") or not field.column:
        return False
    rank = time_rank(field.column, call=call)
    return rank is not None and rank < UNNAMED


def _local_date(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not _is_text_trait(field) or field.is_time or _is_reported_as_time(field, scope):
        return None  # times have checks of their own
    return pl.col(field.name).str.contains(LOCAL_DATE)


def _corrected(values: pl.Expr) -> pl.Expr:
    return pl.when(_is_misspelt_time(values)).then(_as_iso(values)).otherwise(values)


def _future(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    return pl.col(field.utc_column) > scope.now + CLOCK_TOLERANCE if field.path in CREATED else None


def _created_not_read(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if field.path not in CREATED or not is_text(field):
        return None
    return pl.col(field.utc_column).is_null() & ~blank(scope.text(field)) & ~is_other_format(field)


TRAIT_CHECKS = (
    Check(
        "trait.unsubscribed-word", "reject", by_value(_convertible_word),
        source="SPEC-AUG traits.unsubscribed; reference 2.1",
        repair=text_repair(_as_truth, fields=_is_subscription_text, safe=False),
    ),
    Check(
        "trait.unsubscribed-unknown", "reject", by_value(_unknown_word),
        source="SPEC-AUG traits.unsubscribed; reference 2.1",
    ),
    Check(
        "trait.unsubscribed-empty", "reject", by_value(_empty_word, prefilter=BLANK),
        source="SPEC-AUG traits.unsubscribed; reference 2.1",
        repair=text_repair(_without_blank, fields=_is_subscription_text, safe=True),
    ),
    Check(
        "trait.preferences-replaced", "warn", by_value(_replaces_preferences),
        source="SPEC-AUG traits.cio_subscription_preferences; reference 2.1",
    ),
    Check(
        "trait.resubscribed", "warn", by_value(_resubscribes),
        source="SPEC-AUG traits.unsubscribed; reference 2.1, 6 (null removes)", effect="resubscribes",
    ),
    Check(
        "trait.consent", "warn", TableTest(_consent_rows, _ignored_refusals, summed()),
        source="SPEC-AUG traits.unsubscribed; reference 6 (reserved attributes)",
    ),
    Check("trait.milliseconds", "warn", by_value(_milliseconds), source="reference 1.6 (milliseconds are never fixed)"),
    Check("trait.time-zero", "warn", TableTest(_count_zeros, _zero_findings, summed()), source="reference 1.6"),
    Check(
        "trait.date-only", "info", by_value(_date, prefilter=DATE_LIKE),
        source="reference 1.6 (ACT: ISO texts become seconds, also dates alone)",
    ),
    Check(
        "trait.time-space", "info", by_value(_correctable_time, prefilter=DATE_LIKE),
        source="reference 1.6 (ACT)", repair=text_repair(_corrected, fields=_is_text_trait, safe=True),
    ),
    Check(
        "trait.time-impossible", "warn", by_value(_impossible, prefilter=DATE_LIKE),
        source="reference 1.6 (ACT)",
    ),
    Check(
        "trait.date-written", "info", by_value(_local_date, prefilter=DATE_LIKE),
        source="reference 1.6 (ACT: only ISO texts become times)",
    ),
    Check("trait.created-future", "warn", by_value(_future), source="reference 3.8"),
    Check("trait.created-unread", "warn", by_value(_created_not_read), source="reference 1.6, 6 (created_at)"),
)  # fmt: skip
