"""Names: of traits, properties and fields, and which columns stand behind them."""

import re

from cio_frames.checks.check import ByCall, ByColumn, Check, Scope
from cio_frames.mapping import Slot
from cio_frames.spec import (
    CALLS,
    FLAT_PREFIXES,
    FORM_RESERVED,
    LIMITS,
    OVERRIDE_PROPERTIES,
    RESERVED_PREFIXES,
    RESERVED_TRAITS,
    STRIPPED_TRAITS,
)

STATE = ("identify", "group")
ENVELOPE = (
    "type",
    "messageId",
    "userId",
    "anonymousId",
    "sentAt",
    "receivedAt",
    "originalTimestamp",
    "version",
)
ODD = re.compile(r"^[$\s]|\s$|[\x00-\x1f\x7f]|[.]{2}|^[.]|[.]$|[{}<>\"]")


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
    if row is not None:
        return row.effect if not row.settable and row.of == owner else None
    key = _first_key(slot) or ""
    prefixed = owner == "person" and key.startswith(RESERVED_PREFIXES)
    return "Begins as names do that Customer.io keeps." if prefixed and not _flat(key) else None


def _plain(name: str) -> str:
    """Return a name without case, spaces and signs."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


_SPELLED = {"createdAt": "created_at"}
_MEANT = {
    _plain(word): _SPELLED.get(field.path[1], field.path[1])
    for field in CALLS["identify"].fields
    if field.path[0] == "traits" and field.synonyms
    for word in field.synonyms
} | {
    _plain(row.name): row.name
    for row in RESERVED_TRAITS.values()
    if row.settable and row.of == "person"
}
"""What the name of a trait is meant as, where Customer.io gives one spelling of it a meaning."""


def _nearly(slot: Slot, scope: Scope) -> str | None:
    """Tell of a trait that is named nearly like one with a meaning, which is not there."""
    key = _first_key(slot)
    if scope.mapping.call.name != "identify" or key is None or len(slot.path) > 2:  # noqa: PLR2004
        return None
    meant = _MEANT.get(_plain(key))
    exact = {*RESERVED_TRAITS, *STRIPPED_TRAITS}
    there = {other.path for other in scope.mapping.slots}
    if meant is None or key in exact or ("traits", meant) in there:
        return None
    return f"Customer.io knows it as {meant}."


def _flat(key: str) -> bool:
    """Tell whether a name sets one topic or channel of a subscription."""
    return key.startswith(FLAT_PREFIXES)


def _envelope(slot: Slot, _: Scope) -> str | None:
    key = _first_key(slot)
    return key if key in ENVELOPE and slot.how != "constant" else None


def _odd(slot: Slot, _: Scope) -> str | None:
    is_odd = slot.role == "body" and any(ODD.search(part) or not part for part in slot.path[1:])
    return repr(slot.label) if is_odd else None


def _stripped(slot: Slot, scope: Scope) -> str | None:
    row = STRIPPED_TRAITS.get(_first_key(slot) or "")
    return row.effect if row and scope.mapping.call.name in STATE and not row.settable else None


def _overriding(slot: Slot, scope: Scope) -> str | None:
    row = OVERRIDE_PROPERTIES.get(_first_key(slot) or "")
    return row.effect if row and scope.mapping.call.name == "track" else None


def _form_key(slot: Slot, scope: Scope) -> str | None:
    row = FORM_RESERVED.get(_first_key(slot) or "")
    return row.effect if row and scope.mapping.call.name == "form" else None


def _proposed(slot: Slot, _: Scope) -> str | None:
    return slot.reason if slot.how == "proposed" else None


def _unused(scope: Scope) -> str | None:
    return ", ".join(scope.mapping.unused) or None


NAME_CHECKS = (
    Check(
        code="form.ignored", severity="warn", test=ByColumn(bad=_form_key),
        sentence="{column} has a name that forms ignore.",
        hint="Rename the column.",
        consequence="The value is not stored.",
        source="TRACK forms; reference 5, C29",
        unrepaired="another name is for you to choose",
    ),
    Check(
        code="name.too-long", severity="refuse", test=ByColumn(bad=_long_name),
        sentence="{column} has a name longer than 150 bytes.",
        hint='Rename it: {"short": "{column}"}.',
        consequence="The workspace does not keep the attribute.",
        source="TRACK customer limits; reference 6",
        unrepaired="another name is for you to choose",
    ),
    Check(
        code="name.too-many", severity="warn", test=ByCall(bad=_many),
        sentence="More than 300 attributes would be set.",
        hint="List the columns that are needed.",
        consequence="The workspace keeps 300 attributes of a person and drops the rest.",
        source="TRACK customer limits; reference 6",
        unrepaired="which columns are needed is for you to say",
    ),
    Check(
        code="name.reserved", severity="warn", test=ByColumn(bad=_reserved),
        sentence="{column} is a name that Customer.io keeps for itself.",
        hint='Rename it: {"my_name": "{column}"}, or leave the column out.',
        consequence="The value is not stored under that name, or changes who the person is.",
        source="reference 6 (reserved attributes)",
        unrepaired="another name is for you to choose",
    ),
    Check(
        code="name.nearly", severity="warn", test=ByColumn(bad=_nearly),
        sentence="{column} is another name for an attribute that Customer.io acts on.",
        hint="Rename the column to that name if it is meant.",
        consequence="It is stored under its own name, and nothing acts on it: no mail goes to an Email.",
        source="reference 6 (attribute names are case-sensitive; reserved attributes)",
        unrepaired="whether it is meant as that is for you to say",
    ),
    Check(
        code="name.stripped", severity="warn", test=ByColumn(bad=_stripped),
        sentence="{column} is a name that Customer.io reads in its own way and does not store.",
        hint="Rename the column if it is meant as an attribute.",
        consequence="It makes or changes a relationship or an object type.",
        source="reference 3.5, 6 (ACT)",
        unrepaired="another name is for you to choose",
    ),
    Check(
        code="name.envelope", severity="info", test=ByColumn(bad=_envelope),
        sentence="{column} is named like a field of the message, and is sent as data.",
        hint="Name it in the verb if it is that field.",
        consequence="It becomes an attribute or property; the message's own field is not changed by it.",
        source="reference 2 (common envelope); reliability 3.8 (146)",
        unrepaired="what the column means is for you to say",
    ),
    Check(
        code="name.odd", severity="info", test=ByColumn(bad=_odd),
        sentence="{column} has a name that is hard to use in messages.",
        hint='Rename it: {"my_name": "{column}"}.',
        consequence="Templates and conditions have trouble with spaces at the ends, signs and empty parts.",
        source="reliability 3.8 (142)",
        unrepaired="another name is for you to choose",
    ),
    Check(
        code="property.override", severity="warn", test=ByColumn(bad=_overriding),
        sentence="{column} overrides the settings of every message that the event triggers.",
        hint="Rename the column unless that is meant.",
        consequence="Messages go to, or come from, the address in this column.",
        source="TRACK event properties; reference 6",
        unrepaired="whether it is meant is for you to say",
    ),
    Check(
        code="mapping.proposed", severity="info", test=ByColumn(bad=_proposed),
        sentence="{column} was taken without being named.",
        hint="Name it to make sure.",
        consequence="If the guess is wrong, so is every message.",
        source="cio.suggest",
        unrepaired="the right column is for you to name",
    ),
    Check(
        code="mapping.unused", severity="info", test=ByCall(bad=_unused),
        sentence="Some columns are not sent.",
        hint="Nothing to do unless they are needed.",
        consequence="Their values stay in the table.",
        source="the mapping",
        unrepaired="there is nothing to repair",
    ),
)  # fmt: skip
