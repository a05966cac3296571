"""Events, traits and form fields: names that act, values that get lost."""

import polars as pl

from cio_frames.checks.check import (
    ByCall,
    ByColumn,
    ByMessage,
    ByRow,
    ByValue,
    Check,
    Repair,
    Scope,
)
from cio_frames.checks.identifiers import blank, is_text, text
from cio_frames.mapping import Slot
from cio_frames.spec import (
    FORM_RESERVED,
    LIMITS,
    OVERRIDE_PROPERTIES,
    RESERVED_TRAITS,
    SEMANTIC_EVENTS,
    STRIPPED_TRAITS,
)
from cio_frames.values import has_text

STATE = ("identify", "group")
SAFE_INTEGER = 2**53
DESTRUCTIVE = tuple(name for name, event in SEMANTIC_EVENTS.items() if event.destructive)
ACTING = tuple(name for name, event in SEMANTIC_EVENTS.items() if not event.destructive)


def _event(slot: Slot) -> bool:
    return slot.argument == "event"


def _event_missing(slot: Slot, scope: Scope) -> pl.Expr | None:
    if not _event(slot):
        return None
    return pl.col(slot.name).is_null() | blank(text(slot, scope))


def _event_padded(slot: Slot, scope: Scope) -> pl.Expr | None:
    return text(slot, scope).str.contains(r"^\s|\s$") if _event(slot) else None


def _event_long(slot: Slot, scope: Scope) -> pl.Expr | None:
    limit = LIMITS["event_name_bytes"].value
    return text(slot, scope).str.len_bytes() > limit if _event(slot) else None


def _event_destructive(slot: Slot, scope: Scope) -> pl.Expr | None:
    refused = [name for name in DESTRUCTIVE if name not in scope.allow]
    return text(slot, scope).str.strip_chars().is_in(refused) if _event(slot) else None


def _event_acting(slot: Slot, scope: Scope) -> pl.Expr | None:
    allowed = [name for name in DESTRUCTIVE if name in scope.allow]
    return text(slot, scope).str.strip_chars().is_in([*ACTING, *allowed]) if _event(slot) else None


def _event_trimmed(slot: Slot) -> pl.Expr | None:
    return slot.expr.cast(pl.String).str.strip_chars() if _event(slot) else None


def _page_without_url(scope: Scope) -> pl.Expr | None:
    if scope.mapping.call.name != "page":
        return None
    url = next((s for s in scope.mapping.slots if s.path == ("properties", "url")), None)
    return pl.col(url.name).is_null() if url else pl.lit(value=True)


def _merge(scope: Scope) -> str | None:
    return "every row" if scope.mapping.call.name == "alias" else None


def _no_form_time(scope: Scope) -> str | None:
    return "every row" if scope.mapping.call.name == "form" else None


def _infinite(slot: Slot, _: Scope) -> pl.Expr | None:
    return (
        pl.col(slot.name).is_infinite() if slot.role == "body" and slot.dtype.is_float() else None
    )


def _nan(slot: Slot, _: Scope) -> pl.Expr | None:
    return pl.col(slot.name).is_nan() if slot.role == "body" and slot.dtype.is_float() else None


def _large(slot: Slot, _: Scope) -> pl.Expr | None:
    if slot.role != "body" or not slot.dtype.is_integer():
        return None
    return ~pl.col(slot.name).is_between(-SAFE_INTEGER, SAFE_INTEGER)


def _unsupported(slot: Slot, _: Scope) -> pl.Expr | None:
    wrong = slot.dtype == pl.Binary or isinstance(slot.dtype, pl.Object)
    return pl.col(slot.name).is_not_null() if slot.role == "body" and wrong else None


def _long_value(slot: Slot, scope: Scope) -> pl.Expr | None:
    if slot.role != "body" or scope.mapping.call.name not in STATE or not is_text(slot):
        return None
    return text(slot, scope).str.len_bytes() > LIMITS["value_bytes"].value


def _long_name(slot: Slot, _: Scope) -> str | None:
    name = ".".join(slot.path[1:])
    over = slot.role == "body" and len(name.encode()) > LIMITS["name_bytes"].value
    return f"{len(name.encode())} bytes" if over else None


def _many(scope: Scope) -> str | None:
    count = sum(slot.role == "body" for slot in scope.mapping.slots)
    many = scope.mapping.call.name in STATE and count > LIMITS["attributes"].value
    return f"{count} attributes" if many else None


def _first_key(slot: Slot) -> str | None:
    return slot.path[1] if slot.role == "body" and len(slot.path) > 1 else None


def _reserved(slot: Slot, scope: Scope) -> str | None:
    row = RESERVED_TRAITS.get(_first_key(slot) or "")
    owner = {"identify": "person", "group": "object"}.get(scope.mapping.call.name)
    return row.effect if row and not row.settable and row.of == owner else None


def _stripped(slot: Slot, scope: Scope) -> str | None:
    row = STRIPPED_TRAITS.get(_first_key(slot) or "")
    return row.effect if row and scope.mapping.call.name in STATE and not row.settable else None


def _overriding(slot: Slot, scope: Scope) -> str | None:
    row = OVERRIDE_PROPERTIES.get(_first_key(slot) or "")
    return row.effect if row and scope.mapping.call.name == "track" else None


def _form_key(slot: Slot, scope: Scope) -> str | None:
    row = FORM_RESERVED.get(_first_key(slot) or "")
    return row.effect if row and scope.mapping.call.name == "form" else None


def _form_value(slot: Slot, scope: Scope) -> pl.Expr | None:
    wrong = slot.json or not (has_text(slot.dtype) or slot.dtype == pl.Null)
    is_field = scope.mapping.call.name == "form" and slot.role == "body"
    return pl.col(slot.name).is_not_null() if is_field and wrong else None


def _two_people(scope: Scope) -> pl.Expr | None:
    email, identifier = scope.mapping.find("email"), scope.mapping.find("id")
    if scope.mapping.call.name != "form" or email is None or identifier is None:
        return None
    return pl.col(email.name).is_not_null() & pl.col(identifier.name).is_not_null()


def _oversize(scope: Scope) -> pl.Expr:
    return pl.col("bytes") > scope.message_bytes


def _proposed(slot: Slot, _: Scope) -> str | None:
    return slot.reason if slot.how == "proposed" else None


def _unused(scope: Scope) -> str | None:
    return ", ".join(scope.mapping.unused) or None


CONTENT_CHECKS = (
    Check(
        code="event.missing", severity="reject", test=ByValue(bad=_event_missing),
        sentence="{column} is empty: the event has no name.",
        hint="Name the event.",
        consequence="Customer.io drops events without a name.",
        source="SPEC-AUG track.event required",
    ),
    Check(
        code="event.padded", severity="reject", test=ByValue(bad=_event_padded),
        sentence="{column} begins or ends with white space.",
        hint='plan.fix("event.padded") strips it.',
        consequence="Campaigns and segments look for the name without the space and do not find it.",
        source="reference 6 (event names)",
        repair=Repair(change=_event_trimmed, safe=True, sentence="white space around event names is stripped"),
    ),
    Check(
        code="event.too-long", severity="reject", test=ByValue(bad=_event_long),
        sentence="{column} is longer than 100 bytes.",
        hint="Shorten the event's name.",
        consequence="The event is dropped in the workspace.",
        source="TRACK event limits; reference C32",
    ),
    Check(
        code="event.destructive", severity="refuse", test=ByValue(bad=_event_destructive),
        sentence="{column} names an event that deletes or suppresses instead of being recorded.",
        hint='If that is meant, pass checks=cio.Checks(allow=["User Deleted"]).',
        consequence="People, objects, relationships or devices would be deleted; that cannot be taken back.",
        source="SPEC-AUG semantic events; reference 3.6",
    ),
    Check(
        code="event.semantic", severity="warn", test=ByValue(bad=_event_acting),
        sentence="{column} names an event that acts on the workspace instead of being recorded.",
        hint="Rename the event if it should be recorded.",
        consequence="The event changes people or devices and does not show as an event.",
        source="SPEC-AUG semantic events; reference 3.6",
    ),
    Check(
        code="page.no-url", severity="warn", test=ByRow(bad=_page_without_url),
        sentence="No url among the properties.",
        hint='Send the address as properties={"url": "column"}.',
        consequence="The page view may never show in Journeys, which names page views by their url.",
        source="reference 2.3 (ACT)",
    ),
    Check(
        code="alias.irreversible", severity="warn", test=ByCall(bad=_merge),
        sentence="Each alias merges previous_id into user_id for good.",
        hint="Look at plan.identity() before you send.",
        consequence="The profile of previous_id is deleted; no call brings it back.",
        source="reference 3.4, C23",
    ),
    Check(
        code="form.no-time", severity="info", test=ByCall(bad=_no_form_time),
        sentence="A form submission always counts as happening now.",
        hint="Send past submissions as track events with a timestamp instead.",
        consequence="Each submission can start campaigns.",
        source="TRACK forms; reference 5",
    ),
    Check(
        code="form.two-people", severity="reject", test=ByRow(bad=_two_people),
        sentence="Both email and id are given.",
        hint="Give one of the two, rather the e-mail address.",
        consequence="Customer.io answers 400 to more than one identifier.",
        source="TRACK forms; reference C27",
    ),
    Check(
        code="form.not-text", severity="reject", test=ByValue(bad=_form_value),
        sentence="{column} is a list or an object; form fields are text.",
        hint="Write it as one text, or leave the column out.",
        consequence="Customer.io answers 400 to values that are no strings.",
        source="TRACK forms; reference C28",
    ),
    Check(
        code="form.ignored", severity="warn", test=ByColumn(bad=_form_key),
        sentence="{column} has a name that forms ignore.",
        hint="Rename the column.",
        consequence="The value is not stored.",
        source="TRACK forms; reference 5, C29",
    ),
    Check(
        code="number.infinite", severity="reject", test=ByValue(bad=_infinite),
        sentence="{column} is infinite.",
        hint="Replace the value, or empty the cell.",
        consequence="JSON has no infinity; the trait would be cleared instead.",
        source="RFC 8259; reliability 3.4",
    ),
    Check(
        code="number.nan", severity="info", test=ByValue(bad=_nan),
        sentence="{column} is not a number (NaN); it counts as an empty cell.",
        hint="Nothing to do unless zero was meant.",
        consequence="The trait stays as it is.",
        source="RFC 8259; reliability 3.1",
    ),
    Check(
        code="number.large", severity="warn", test=ByValue(bad=_large),
        sentence="{column} is beyond 2^53 and is sent as text.",
        hint="Turn the column into text to make that plain.",
        consequence="As a number it would lose digits in most readers.",
        source="IEEE 754; reliability 3.4",
    ),
    Check(
        code="type.unsupported", severity="reject", test=ByValue(bad=_unsupported),
        sentence="{column} holds bytes or objects, which JSON cannot carry.",
        hint="Turn the column into text, or leave it out.",
        consequence="No value could be sent without guessing.",
        source="reliability 3.7",
    ),
    Check(
        code="value.too-long", severity="warn", test=ByValue(bad=_long_value),
        sentence="{column} is longer than 1,000 bytes.",
        hint="Shorten the value, or leave the column out.",
        consequence="The workspace may not keep the value; the error shows in its log only.",
        source="TRACK customer limits; reference 6, C33",
    ),
    Check(
        code="name.too-long", severity="refuse", test=ByColumn(bad=_long_name),
        sentence="{column} has a name longer than 150 bytes.",
        hint='Rename it: {"short": "{column}"}.',
        consequence="The workspace does not keep the attribute.",
        source="TRACK customer limits; reference 6",
    ),
    Check(
        code="name.too-many", severity="warn", test=ByCall(bad=_many),
        sentence="More than 300 attributes would be set.",
        hint="List the columns that are needed.",
        consequence="The workspace keeps 300 attributes of a person and drops the rest.",
        source="TRACK customer limits; reference 6",
    ),
    Check(
        code="name.reserved", severity="warn", test=ByColumn(bad=_reserved),
        sentence="{column} is a name that Customer.io keeps for itself.",
        hint='Rename it: {"my_name": "{column}"}, or leave the column out.',
        consequence="The value is not stored under that name, or changes who the person is.",
        source="reference 6 (reserved attributes)",
    ),
    Check(
        code="name.stripped", severity="warn", test=ByColumn(bad=_stripped),
        sentence="{column} is a name that Customer.io reads in its own way and does not store.",
        hint="Rename the column if it is meant as an attribute.",
        consequence="It makes or changes a relationship or an object type.",
        source="reference 3.5, 6 (ACT)",
    ),
    Check(
        code="property.override", severity="warn", test=ByColumn(bad=_overriding),
        sentence="{column} overrides the settings of every message that the event triggers.",
        hint="Rename the column unless that is meant.",
        consequence="Messages go to, or come from, the address in this column.",
        source="TRACK event properties; reference 6",
    ),
    Check(
        code="message.too-large", severity="reject", test=ByMessage(bad=_oversize),
        sentence="The message is larger than 32,000 bytes.",
        hint="Leave out the largest columns.",
        consequence="Customer.io answers 200 and does not process it.",
        source="SPEC-AUG limits; reference C4, C6",
    ),
    Check(
        code="mapping.proposed", severity="info", test=ByColumn(bad=_proposed),
        sentence="{column} was taken without being named.",
        hint="Name it to make sure.",
        consequence="The rows would be about other people if the guess is wrong.",
        source="cio.suggest",
    ),
    Check(
        code="mapping.unused", severity="info", test=ByCall(bad=_unused),
        sentence="Some columns are not sent.",
        hint="Nothing to do unless they are needed.",
        consequence="Their values stay in the table.",
        source="the mapping",
    ),
)  # fmt: skip
