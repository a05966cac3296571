"""Events, pages, merges and forms: what a call does beside being recorded."""

import re
from collections.abc import Mapping

import polars as pl

from cio_frames.checks.check import ByCall, ByRow, ByValue, Check, Repair, Scope
from cio_frames.checks.identifiers import blank, text
from cio_frames.checks.nested import UNUSUAL
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.spec import LIMITS, SEMANTIC_EVENTS

DESTRUCTIVE = tuple(name for name, event in SEMANTIC_EVENTS.items() if event.destructive)
ACTING = tuple(name for name, event in SEMANTIC_EVENTS.items() if not event.destructive)
SEMANTIC = rf"^\s*(?:{'|'.join(map(re.escape, SEMANTIC_EVENTS))})\s*$"


def _event(slot: FieldMapping) -> bool:
    return slot.argument == "event"


def _event_missing(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not _event(slot):
        return None
    return pl.col(slot.name).is_null() | blank(text(slot, scope))


def _event_padded(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    return text(slot, scope).str.contains(r"^\s|\s$") if _event(slot) else None


def _event_long(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    limit = LIMITS["event_name_bytes"].value
    return text(slot, scope).str.len_bytes() > limit if _event(slot) else None


def _event_destructive(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    refused = [name for name in DESTRUCTIVE if name not in scope.allow]
    return text(slot, scope).str.strip_chars().is_in(refused) if _event(slot) else None


def _event_acting(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    allowed = [name for name in DESTRUCTIVE if name in scope.allow]
    return text(slot, scope).str.strip_chars().is_in([*ACTING, *allowed]) if _event(slot) else None


def _event_trimmed(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    return slot.expr.cast(pl.String).str.strip_chars() if _event(slot) else None


def _page_without_url(scope: Scope) -> pl.Expr | None:
    if scope.mapping.call.name != "page":
        return None
    url = next((s for s in scope.mapping.slots if s.path == ("properties", "url")), None)
    return pl.col(url.name).is_null() if url else pl.lit(value=True)


def _screen_without_name(scope: Scope) -> pl.Expr | None:
    if scope.mapping.call.name != "screen":
        return None
    name = scope.mapping.find("name")
    return pl.col(name.name).is_null() if name else pl.lit(value=True)


def _no_object_type(scope: Scope) -> str | None:
    untyped = scope.mapping.call.name == "group" and not scope.mapping.find("object_type_id")
    taken = any(slot.path[1:2] == ("object_type_id",) for slot in scope.mapping.slots)
    return "every row" if untyped and not taken else None


def _incomplete(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    """Tell of each event that acts whether something it needs is missing."""
    if not _event(slot):
        return None
    filled = {slot.path: pl.col(slot.name).is_not_null() for slot in scope.mapping.slots}
    names = text(slot, scope).str.strip_chars()
    tests = [
        (names == name) & ~pl.all_horizontal(_filled(path, filled) for path in event.requires)
        for name, event in SEMANTIC_EVENTS.items()
        if event.requires
    ]
    return pl.any_horizontal(tests)


def _filled(path: tuple[str, ...], filled: Mapping[tuple[str, ...], pl.Expr]) -> pl.Expr:
    """Tell of each row whether a place of the message, or one around it, is filled."""
    around = [filled[path[:depth]] for depth in range(1, len(path) + 1) if path[:depth] in filled]
    return pl.any_horizontal(around) if around else pl.lit(value=False)


def _merge(scope: Scope) -> str | None:
    return "every row" if scope.mapping.call.name == "alias" else None


def _no_form_time(scope: Scope) -> str | None:
    return "every row" if scope.mapping.call.name == "form" else None


def _two_people(scope: Scope) -> pl.Expr | None:
    email, identifier = scope.mapping.find("email"), scope.mapping.find("id")
    if scope.mapping.call.name != "form" or email is None or identifier is None:
        return None
    return pl.col(email.name).is_not_null() & pl.col(identifier.name).is_not_null()


CONTENT_CHECKS = (
    Check(
        code="event.missing", severity="reject", test=ByValue(fails=_event_missing),
        sentence="{column} is empty: the event has no name.",
        hint="Name the event.",
        consequence="Customer.io drops events without a name.",
        source="SPEC-AUG track.event required",
        no_repair_because="the name is not in the row",
    ),
    Check(
        code="event.padded", severity="reject", test=ByValue(fails=_event_padded, prefilter=UNUSUAL),
        sentence="{column} begins or ends with white space.",
        hint='plan.fix("event.padded") strips it.',
        consequence="Campaigns and segments look for the name without the space and do not find it.",
        source="reference 6 (event names)",
        repair=Repair(change=_event_trimmed, safe=True, sentence="white space around event names is stripped"),
    ),
    Check(
        code="event.too-long", severity="reject", test=ByValue(fails=_event_long),
        sentence="{column} is longer than 100 bytes.",
        hint="Shorten the event's name.",
        consequence="The event is dropped in the workspace.",
        source="TRACK event limits; reference C32",
        no_repair_because="cutting names off could make two events one",
    ),
    Check(
        code="event.destructive", severity="refuse", test=ByValue(fails=_event_destructive, prefilter=SEMANTIC),
        sentence="{column} names an event that deletes or suppresses instead of being recorded.",
        hint='If that is meant, pass checks=cio.Checks(allow=["User Deleted"]).',
        consequence="People, objects, relationships or devices would be deleted; that cannot be taken back.",
        source="SPEC-AUG semantic events; reference 3.6",
        no_repair_because="whether it is meant is for you to say",
    ),
    Check(
        code="event.semantic", severity="warn", test=ByValue(fails=_event_acting, prefilter=SEMANTIC),
        sentence="{column} names an event that acts on the workspace instead of being recorded.",
        hint="Rename the event if it should be recorded.",
        consequence="The event changes people or devices and does not show as an event.",
        source="SPEC-AUG semantic events; reference 3.6",
        no_repair_because="whether it is meant is for you to say",
    ),
    Check(
        code="event.incomplete", severity="reject", test=ByValue(fails=_incomplete, prefilter=SEMANTIC),
        sentence="{column} names an event that acts, and something it needs is missing.",
        hint="The page of this code lists what each of these events needs.",
        consequence="Customer.io would do nothing, or refuse the event.",
        source="SPEC-AUG semantic events; reference 3.6",
        no_repair_because="what is missing is not in the row",
    ),
    Check(
        code="screen.no-name", severity="warn", test=ByRow(fails=_screen_without_name),
        sentence="The screen has no name.",
        hint='Pass name="column" or name=cio.lit("Home").',
        consequence="Journeys names screen views by their name: this one has none.",
        source="reference 2.4 (ACT), C15",
        no_repair_because="the name is not in the row",
    ),
    Check(
        code="group.no-type", severity="info", test=ByCall(fails=_no_object_type),
        sentence="No object type is given, so type 1 is taken.",
        hint='Pass object_type_id="column" or object_type_id=cio.lit("2") if there are several types.',
        consequence="The objects are found or made among those of type 1.",
        source="SPEC-SEP traits.objectTypeId; reference C17, 3.5",
        no_repair_because="1 is what Customer.io takes as well",
    ),
    Check(
        code="page.no-url", severity="warn", test=ByRow(fails=_page_without_url),
        sentence="No url among the properties.",
        hint='Send the address as properties={"url": "column"}.',
        consequence="The page view may never show in Journeys, which names page views by their url.",
        source="reference 2.3 (ACT)",
        no_repair_because="the address is not in the row",
    ),
    Check(
        code="alias.irreversible", severity="warn", test=ByCall(fails=_merge),
        sentence="Each alias merges previous_id into user_id for good.",
        hint="Look at plan.identity() before you send.",
        consequence="The profile of previous_id is deleted; no call brings it back.",
        source="reference 3.4, C23",
        no_repair_because="that is what alias does",
    ),
    Check(
        code="form.no-time", severity="info", test=ByCall(fails=_no_form_time),
        sentence="A form submission always counts as happening now.",
        hint="Send past submissions as track events with a timestamp instead.",
        consequence="Each submission can start campaigns.",
        source="TRACK forms; reference 5",
        no_repair_because="forms have no field for it",
    ),
    Check(
        code="form.two-people", severity="reject", test=ByRow(fails=_two_people),
        sentence="Both email and id are given.",
        hint="Give one of the two, rather the e-mail address.",
        consequence="Customer.io answers 400 to more than one identifier.",
        source="TRACK forms; reference C27",
        no_repair_because="which of the two is meant is for you to say",
    ),
)  # fmt: skip
