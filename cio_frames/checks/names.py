"""Names: of traits, properties, fields, events and forms, and which are nearly the same as others."""

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from functools import partial

import polars as pl

from cio_frames.checks.check import FOUND_SCHEMA, ByCall, ByColumn, ByTable, Check, Scope, found
from cio_frames.checks.identifiers import text
from cio_frames.mapping import FieldMapping
from cio_frames.spec import (
    CALLS,
    FLAT_PREFIXES,
    FORM_RESERVED,
    LIMITS,
    OVERRIDE_PROPERTIES,
    RESERVED_PREFIXES,
    RESERVED_TRAITS,
    STRIPPED_TRAITS,
    folded,
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


def _long_name(slot: FieldMapping, _: Scope) -> str | None:
    name = ".".join(slot.path[1:])
    over = slot.role == "body" and len(name.encode()) > LIMITS["name_bytes"].value
    return f"{len(name.encode())} bytes" if over else None


def _many(scope: Scope) -> str | None:
    count = sum(slot.role == "body" for slot in scope.mapping.slots)
    many = scope.mapping.call.name in STATE and count > LIMITS["attributes"].value
    return f"{count} attributes" if many else None


def _first_key(slot: FieldMapping) -> str | None:
    return slot.path[1] if slot.role == "body" and len(slot.path) > 1 else None


def _reserved(slot: FieldMapping, scope: Scope) -> str | None:
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


def _nearly(slot: FieldMapping, scope: Scope) -> str | None:
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


def _envelope(slot: FieldMapping, _: Scope) -> str | None:
    key = _first_key(slot)
    return key if key in ENVELOPE and slot.how != "constant" else None


def _odd(slot: FieldMapping, _: Scope) -> str | None:
    is_odd = slot.role == "body" and any(ODD.search(part) or not part for part in slot.path[1:])
    return repr(slot.label) if is_odd else None


def _stripped(slot: FieldMapping, scope: Scope) -> str | None:
    row = STRIPPED_TRAITS.get(_first_key(slot) or "")
    return row.effect if row and scope.mapping.call.name in STATE and not row.settable else None


def _overriding(slot: FieldMapping, scope: Scope) -> str | None:
    row = OVERRIDE_PROPERTIES.get(_first_key(slot) or "")
    return row.effect if row and scope.mapping.call.name == "track" else None


def _form_key(slot: FieldMapping, scope: Scope) -> str | None:
    row = FORM_RESERVED.get(_first_key(slot) or "")
    return row.effect if row and scope.mapping.call.name == "form" else None


def _proposed(slot: FieldMapping, _: Scope) -> str | None:
    return slot.reason if slot.how == "proposed" else None


def _unused(scope: Scope) -> str | None:
    return ", ".join(scope.mapping.unused) or None


NAME_CHECKS = (
    Check(
        code="form.ignored", severity="warn", test=ByColumn(fails=_form_key),
        sentence="{column} has a name that forms ignore.",
        hint="Rename the column.",
        consequence="The value is not stored.",
        source="TRACK forms; reference 5, C29",
        no_repair_because="another name is for you to choose",
    ),
    Check(
        code="name.too-long", severity="refuse", test=ByColumn(fails=_long_name),
        sentence="{column} has a name longer than 150 bytes.",
        hint='Rename it: {"short": "{column}"}.',
        consequence="The workspace does not keep the attribute.",
        source="TRACK customer limits; reference 6",
        no_repair_because="another name is for you to choose",
    ),
    Check(
        code="name.too-many", severity="warn", test=ByCall(fails=_many),
        sentence="More than 300 attributes would be set.",
        hint="List the columns that are needed.",
        consequence="The workspace keeps 300 attributes of a person and drops the rest.",
        source="TRACK customer limits; reference 6",
        no_repair_because="which columns are needed is for you to say",
    ),
    Check(
        code="name.reserved", severity="warn", test=ByColumn(fails=_reserved),
        sentence="{column} is a name that Customer.io keeps for itself.",
        hint='Rename it: {"my_name": "{column}"}, or leave the column out.',
        consequence="The value is not stored under that name, or changes who the person is.",
        source="reference 6 (reserved attributes)",
        no_repair_because="another name is for you to choose",
    ),
    Check(
        code="name.nearly", severity="warn", test=ByColumn(fails=_nearly),
        sentence="{column} is another name for an attribute that Customer.io acts on.",
        hint="Rename the column to that name if it is meant.",
        consequence="It is stored under its own name, and nothing acts on it: no mail goes to an Email.",
        source="reference 6 (attribute names are case-sensitive; reserved attributes)",
        no_repair_because="whether it is meant as that is for you to say",
    ),
    Check(
        code="name.stripped", severity="warn", test=ByColumn(fails=_stripped),
        sentence="{column} is a name that Customer.io reads in its own way and does not store.",
        hint="Rename the column if it is meant as an attribute.",
        consequence="It makes or changes a relationship or an object type.",
        source="reference 3.5, 6 (ACT)",
        no_repair_because="another name is for you to choose",
    ),
    Check(
        code="name.envelope", severity="info", test=ByColumn(fails=_envelope),
        sentence="{column} is named like a field of the message, and is sent as data.",
        hint="Name it in the verb if it is that field.",
        consequence="It becomes an attribute or property; the message's own field is not changed by it.",
        source="reference 2 (common envelope); reliability 3.8 (146)",
        no_repair_because="what the column means is for you to say",
    ),
    Check(
        code="name.odd", severity="info", test=ByColumn(fails=_odd),
        sentence="{column} has a name that is hard to use in messages.",
        hint='Rename it: {"my_name": "{column}"}.',
        consequence="Templates and conditions have trouble with spaces at the ends, signs and empty parts.",
        source="reliability 3.8 (142)",
        no_repair_because="another name is for you to choose",
    ),
    Check(
        code="property.override", severity="warn", test=ByColumn(fails=_overriding),
        sentence="{column} overrides the settings of every message that the event triggers.",
        hint="Rename the column unless that is meant.",
        consequence="Messages go to, or come from, the address in this column.",
        source="TRACK event properties; reference 6",
        no_repair_because="whether it is meant is for you to say",
    ),
    Check(
        code="mapping.proposed", severity="info", test=ByColumn(fails=_proposed),
        sentence="{column} was taken without being named.",
        hint="Name it to make sure.",
        consequence="If the guess is wrong, so is every message.",
        source="cio.suggest",
        no_repair_because="the right column is for you to name",
    ),
    Check(
        code="mapping.unused", severity="info", test=ByCall(fails=_unused),
        sentence="Some columns are not sent.",
        hint="Nothing to do unless they are needed.",
        consequence="Their values stay in the table.",
        source="the mapping",
        no_repair_because="there is nothing to repair",
    ),
)  # fmt: skip


RARE = 0.05
LISTED, COMPARED = 2_000, 200
LIKE = 0.85
LONG_ENOUGH = 5


def _counted(rows: pl.LazyFrame, scope: Scope, *, argument: str) -> pl.LazyFrame | None:
    slot = scope.mapping.find(argument)
    if slot is None or slot.column is None:
        return None
    return rows.group_by(text(slot, scope).alias("name")).agg(pl.len().alias("rows")).drop_nulls()


def _spelt_like(
    aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope, *, argument: str
) -> pl.DataFrame:
    slot = scope.mapping.find(argument)
    counted = aggregated.group_by("name").agg(pl.col("rows").sum())
    frequent = counted.sort("rows", "name", descending=[True, False]).head(LISTED)
    near = dict(_near(dict(frequent.rows())))
    if slot is None or not near:
        return FOUND_SCHEMA.to_frame()
    value = text(slot, scope)
    rare = found(rows, value.is_in(list(near)), column=slot.label, value=value)
    usual = pl.col("value").replace_strict(near, return_dtype=pl.String)
    return rare.with_columns(pl.format("Most rows say {}.", usual).alias("evidence"))


def _near(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield each name that is nearly another, more frequent one, with that."""
    usual: dict[str, str] = {}
    for name in counts:
        same = usual.setdefault(folded(name), name)
        if same != name:
            yield name, same
    names = list(usual.values())[:COMPARED]
    for place, name in enumerate(names):
        for other in names[:place]:
            if counts[name] <= counts[other] * RARE and _is_typo(name, other):
                yield name, other
                break


def _is_typo(name: str, other: str) -> bool:
    """Tell whether two names differ in little, and not in a number alone."""
    one, two = folded(name), folded(other)
    if min(len(one), len(two)) < LONG_ENOUGH or abs(len(one) - len(two)) > 1:
        return False
    bare_one, bare_two = ("".join(c for c in word if not c.isdigit()) for word in (one, two))
    return bare_one != bare_two and SequenceMatcher(None, one, two).ratio() >= LIKE


def _columns(scope: Scope) -> str | None:
    """Name the columns that differ in case, white space or punctuation only."""
    groups: dict[str, list[str]] = {}
    for slot in scope.mapping.slots:
        if slot.role == "body":
            name = ".".join(slot.path[1:])
            groups.setdefault(folded(name) or name, []).append(name)
    alike = [" and ".join(map(repr, names)) for names in groups.values() if len(set(names)) > 1]
    return "; ".join(alike) or None


_events = partial(_counted, argument="event")
_forms = partial(_counted, argument="form_id")

SPELLING_CHECKS = (
    Check(
        code="event.variants", severity="warn",
        test=ByTable(
            aggregate=_events,
            finish=partial(_spelt_like, argument="event"),
        ),
        sentence="{column} is nearly the name of another event.",
        hint="Write each event in one way.",
        consequence="Each spelling is an event of its own: campaigns and segments know one of them.",
        source="reference 6 (event names); reliability 3.6 (114)",
        no_repair_because="whether it is the same event is for you to say",
    ),
    Check(
        code="form.typo", severity="warn",
        test=ByTable(
            aggregate=_forms,
            finish=partial(_spelt_like, argument="form_id"),
        ),
        sentence="{column} is nearly the id of another form.",
        hint="Correct it, unless there are two forms.",
        consequence="A form id that is not known makes a new form in the workspace.",
        source="TRACK forms; reference 5",
        no_repair_because="whether it is the same form is for you to say",
    ),
    Check(
        code="name.variants", severity="warn", test=ByCall(fails=_columns),
        sentence="Columns are named nearly the same.",
        hint="Keep one of them, or rename the other.",
        consequence="Names are compared with their case: each becomes an attribute of its own.",
        source="reference 6 (attribute names are case-sensitive); reliability 3.8 (143)",
        no_repair_because="which column is right cannot be known",
    ),
)  # fmt: skip
