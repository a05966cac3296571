"""Types and words that the specification requires of the fields of calls and semantic events."""

from collections.abc import Callable, Iterator, Mapping

import polars as pl

from cio_frames.checks.check import Check, Scope, by_value
from cio_frames.checks.fields import IDS, UNSUBSCRIBED, blank, is_text
from cio_frames.mapping import FieldMapping
from cio_frames.spec import SEMANTIC_EVENTS, Field
from cio_frames.values.dtypes import has_text

PREFERENCES = "cio_subscription_preferences"

EVENT_PATHS = frozenset(row.path for event in SEMANTIC_EVENTS.values() for row in event.fields)
"""The paths of the fields of semantic events."""


def _specified_field(field: FieldMapping, scope: Scope) -> Field | None:
    """Return the specification of a field that the user fills: by its own path, or by `*`."""
    if field.role == "field" or field.json or scope.mapping.call.name == "form":
        return None  # arguments have their own checks, and forms send everything as text
    if field.path == UNSUBSCRIBED or PREFERENCES in ".".join(field.path) or field.argument in IDS:
        return None
    rows = {row.path: row for row in scope.mapping.call.fields}
    return rows.get(field.path) or rows.get((*field.path[:-1], "*"))


def _has_other_type(field: FieldMapping, row: Field) -> bool:
    """Return whether the type of a column is not accepted by a field."""
    accepts = _ACCEPTS.get(row.type)
    return accepts is not None and field.dtype != pl.Null and not accepts(field.dtype)


def _is_text(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


_ACCEPTS: Mapping[str, Callable[[pl.DataType], bool]] = {
    "text": _is_text,
    "email": _is_text,
    "id": has_text,
    "boolean": lambda dtype: dtype == pl.Boolean,
    "number": lambda dtype: dtype.is_numeric(),
    "texts": lambda dtype: isinstance(dtype, pl.List | pl.Array),
    "time": lambda dtype: has_text(dtype) and dtype not in (pl.Boolean, pl.Time, pl.Duration),
}


def _wrong_type(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    row = _specified_field(field, scope)
    other = row is not None and _has_other_type(field, row)
    return pl.col(field.name).is_not_null() if other else None


def _unknown_word(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    row = _specified_field(field, scope)
    if row is None or not row.enum or not is_text(field):
        return None
    words = scope.text(field)
    return ~words.is_in(row.enum) & ~blank(words)


def _wrong_in_event(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    """Return a boolean expression: True where a semantic event has a field of another type or word."""
    is_event_field = field.role == "body" and field.path in EVENT_PATHS
    tests = list(_event_tests(field, scope)) if is_event_field else []
    return pl.any_horizontal(tests) if tests else None


def _event_tests(field: FieldMapping, scope: Scope) -> Iterator[pl.Expr]:
    event = scope.mapping.find("event")
    for name, semantic in SEMANTIC_EVENTS.items():
        for row in semantic.fields:
            if event is None or row.path != field.path or field.json:
                continue
            is_filled = (scope.text(event).str.strip_chars() == name) & pl.col(
                field.name
            ).is_not_null()
            if _has_other_type(field, row):
                yield is_filled
            elif row.enum and is_text(field):
                yield is_filled & ~scope.text(field).is_in(row.enum)


FIELD_TYPE_CHECKS = (
    Check("field.type", "warn", by_value(_wrong_type), source="SPEC-AUG: the types of fields"),
    Check("field.word", "warn", by_value(_unknown_word), source="SPEC-AUG: the words that fields take"),
    Check("event.field-type", "reject", by_value(_wrong_in_event), source="SPEC-AUG semantic events; reference N8"),
)  # fmt: skip
