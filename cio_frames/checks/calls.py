"""Checks of calls: names of events, semantic events, pages, screens, merges and forms."""

import re
from collections.abc import Callable, Mapping

import polars as pl

from cio_frames.checks.check import (
    Check,
    ColumnTest,
    RowTest,
    Scope,
    by_call,
    by_row,
    by_value,
    text_repair,
)
from cio_frames.checks.fields import (
    OBJECT_TYPES,
    OWNERS,
    blank,
    stripped,
)
from cio_frames.mapping import FieldMapping
from cio_frames.spec import LIMITS, OTHER_NAMES, SEMANTIC_EVENTS
from cio_frames.values.patterns import PADDED, UNUSUAL

DESTRUCTIVE = tuple(name for name, event in SEMANTIC_EVENTS.items() if event.destructive)
NON_DESTRUCTIVE = tuple(name for name, event in SEMANTIC_EVENTS.items() if not event.destructive)
SEMANTIC_NAME = rf"^\s*(?:{'|'.join(map(re.escape, SEMANTIC_EVENTS))})\s*$"
SIMILAR_NAME = r"(?i)^[\W_]*(?:{})[\W_]*$".format(
    "|".join(
        r"[\W_]*".join(map(re.escape, name.split())) for name in (*SEMANTIC_EVENTS, *OTHER_NAMES)
    )
)
"""The name of a semantic event, or another word for one, in any case and with any punctuation."""


def is_semantic_event(scope: Scope) -> pl.Expr:
    """Return a boolean expression: True where an event acts instead of being recorded, so it starts no campaign."""
    event = scope.mapping.find("event")
    if event is None or scope.mapping.call.name != "track":
        return pl.lit(value=False)
    return scope.text(event).str.strip_chars().is_in(list(SEMANTIC_EVENTS)).fill_null(value=False)


def _is_event_name(field: FieldMapping) -> bool:
    return field.argument == "event"


def _by_event_name(fails: Callable[[pl.Expr, Scope], pl.Expr], *, prefilter: str = "") -> RowTest:
    """Return a test of the names of events, as text."""

    def fails_in_field(field: FieldMapping, scope: Scope) -> pl.Expr | None:
        return fails(scope.text(field), scope) if _is_event_name(field) else None

    return by_value(fails_in_field, prefilter=prefilter)


def _event_missing(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not _is_event_name(field):
        return None
    return pl.col(field.name).is_null() | blank(scope.text(field))


def _is_allowed_semantic(name: pl.Expr, scope: Scope) -> pl.Expr:
    allowed = [each for each in DESTRUCTIVE if each in scope.allow]
    return name.str.strip_chars().is_in([*NON_DESTRUCTIVE, *allowed])


def _is_forbidden(name: pl.Expr, scope: Scope) -> pl.Expr:
    return name.str.strip_chars().is_in([each for each in DESTRUCTIVE if each not in scope.allow])


def _is_similar(name: pl.Expr, _: Scope) -> pl.Expr:
    return name.str.contains(SIMILAR_NAME) & ~name.str.strip_chars().is_in(list(SEMANTIC_EVENTS))


def _page_without_url(scope: Scope) -> pl.Expr | None:
    if scope.mapping.call.name != "page":
        return None
    url = next((s for s in scope.mapping.fields if s.path == ("properties", "url")), None)
    return pl.col(url.name).is_null() if url else pl.lit(value=True)


def _screen_without_name(scope: Scope) -> pl.Expr | None:
    if scope.mapping.call.name != "screen":
        return None
    name = scope.mapping.find("name")
    return pl.col(name.name).is_null() if name else pl.lit(value=True)


def _no_object_type(scope: Scope) -> str | None:
    typed = any(field.path in OBJECT_TYPES for field in scope.mapping.fields)
    return "every row" if scope.mapping.call.name == "group" and not typed else None


def _no_person(scope: Scope) -> pl.Expr | None:
    if scope.mapping.call.name != "group":
        return None
    people = [field for name in OWNERS if (field := scope.mapping.find(name))]
    return pl.all_horizontal(
        pl.lit(value=True), *(pl.col(field.name).is_null() for field in people)
    )


def _incomplete(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    """Return a boolean expression: True where a semantic event lacks a required field."""
    if not _is_event_name(field):
        return None
    filled = {field.path: pl.col(field.name).is_not_null() for field in scope.mapping.fields}
    names = scope.text(field).str.strip_chars()
    tests = [
        (names == name) & ~pl.all_horizontal(_filled(path, filled) for path in event.requires)
        for name, event in SEMANTIC_EVENTS.items()
        if event.requires
    ]
    return pl.any_horizontal(tests)


def _filled(path: tuple[str, ...], filled: Mapping[tuple[str, ...], pl.Expr]) -> pl.Expr:
    """Return a boolean expression: True where a place of the message, or an object that contains it, is filled."""
    containers = [
        filled[path[:depth]] for depth in range(1, len(path) + 1) if path[:depth] in filled
    ]
    return pl.any_horizontal(containers) if containers else pl.lit(value=False)


def _is_call(name: str) -> ColumnTest:
    return by_call(lambda scope: "every row" if scope.mapping.call.name == name else None)


def _two_people(scope: Scope) -> pl.Expr | None:
    email, identifier = scope.mapping.find("email"), scope.mapping.find("id")
    if scope.mapping.call.name != "form" or email is None or identifier is None:
        return None
    return pl.col(email.name).is_not_null() & pl.col(identifier.name).is_not_null()


CALL_CHECKS = (
    Check("event.missing", "reject", by_value(_event_missing), source="SPEC-AUG track.event required"),
    Check(
        "event.padded", "reject", _by_event_name(lambda name, _: name.str.contains(PADDED), prefilter=UNUSUAL),
        source="reference 6 (event names)", repair=text_repair(stripped, fields=_is_event_name, safe=True),
    ),
    Check(
        "event.too-long", "reject",
        _by_event_name(lambda name, _: name.str.len_bytes() > LIMITS["event_name_bytes"].value),
        source="TRACK event limits; reference C32",
    ),
    Check(
        "event.destructive", "refuse", _by_event_name(_is_forbidden, prefilter=SEMANTIC_NAME),
        source="SPEC-AUG semantic events; reference 3.6",
    ),
    Check(
        "event.semantic", "warn", _by_event_name(_is_allowed_semantic, prefilter=SEMANTIC_NAME),
        source="SPEC-AUG semantic events; reference 3.6",
    ),
    Check(
        "event.nearly", "warn", _by_event_name(_is_similar, prefilter=SIMILAR_NAME),
        source="SPEC-AUG semantic events; reference C14, N7",
    ),
    Check(
        "event.incomplete", "reject", by_value(_incomplete, prefilter=SEMANTIC_NAME),
        source="SPEC-AUG semantic events; reference 3.6",
    ),
    Check("screen.no-name", "warn", by_row(_screen_without_name), source="reference 2.4 (ACT), C15"),
    Check("group.no-type", "info", by_call(_no_object_type), source="SPEC-SEP traits.objectTypeId; reference C17, 3.5"),
    Check("group.no-person", "info", by_row(_no_person), source="reference 2.5, 3.5 (DOC group-spec)"),
    Check("page.no-url", "warn", by_row(_page_without_url), source="reference 2.3 (ACT)"),
    Check("alias.irreversible", "warn", _is_call("alias"), source="reference 3.4, C23"),
    Check("form.no-time", "info", _is_call("form"), source="TRACK forms; reference 5"),
    Check("form.two-people", "reject", by_row(_two_people), source="TRACK forms; reference C27"),
)  # fmt: skip
