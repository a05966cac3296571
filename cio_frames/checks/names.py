"""Names: of traits, properties and fields, and which columns stand behind them."""

from cio_frames.checks.check import ByCall, ByColumn, Check, Scope
from cio_frames.mapping import Slot
from cio_frames.spec import (
    FORM_RESERVED,
    LIMITS,
    OVERRIDE_PROPERTIES,
    RESERVED_TRAITS,
    STRIPPED_TRAITS,
)

STATE = ("identify", "group")


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
        code="name.stripped", severity="warn", test=ByColumn(bad=_stripped),
        sentence="{column} is a name that Customer.io reads in its own way and does not store.",
        hint="Rename the column if it is meant as an attribute.",
        consequence="It makes or changes a relationship or an object type.",
        source="reference 3.5, 6 (ACT)",
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
        consequence="The rows would be about other people if the guess is wrong.",
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
