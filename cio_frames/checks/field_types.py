"""Types and words that the specification gives to the fields of a call, and of events that act."""

from collections.abc import Callable, Iterator, Mapping

import polars as pl

from cio_frames.checks.check import Check, Scope, by_value
from cio_frames.checks.fields import IDS, UNSUBSCRIBED, blank, is_text
from cio_frames.mapping import FieldMapping
from cio_frames.spec import SEMANTIC_EVENTS, Field
from cio_frames.values.dtypes import has_text

PREFERENCES = "cio_subscription_preferences"

EVENT_PATHS = frozenset(row.path for event in SEMANTIC_EVENTS.values() for row in event.fields)
"""The places that the fields of events that act have."""


def _field(field: FieldMapping, scope: Scope) -> Field | None:
    """Return the row of a field that the user fills, its own or that of any key beside it."""
    if field.role == "field" or field.json or scope.mapping.call.name == "form":
        return None  # arguments have checks of their own, and all of a form is sent as text
    if field.path == UNSUBSCRIBED or PREFERENCES in ".".join(field.path) or field.argument in IDS:
        return None
    rows = {row.path: row for row in scope.mapping.call.fields}
    return rows.get(field.path) or rows.get((*field.path[:-1], "*"))


def _other_type(field: FieldMapping, row: Field) -> bool:
    """Return whether no value of a column is of the type of a field."""
    takes = _TAKES.get(row.type)
    return takes is not None and field.dtype != pl.Null and not takes(field.dtype)


def _is_text(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


_TAKES: Mapping[str, Callable[[pl.DataType], bool]] = {
    "text": _is_text,
    "email": _is_text,
    "id": has_text,
    "boolean": lambda dtype: dtype == pl.Boolean,
    "number": lambda dtype: dtype.is_numeric(),
    "texts": lambda dtype: isinstance(dtype, pl.List | pl.Array),
    "time": lambda dtype: has_text(dtype) and dtype not in (pl.Boolean, pl.Time, pl.Duration),
}


def _wrong_type(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    row = _field(field, scope)
    other = row is not None and _other_type(field, row)
    return pl.col(field.name).is_not_null() if other else None


def _wrong_word(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    row = _field(field, scope)
    if row is None or not row.enum or not is_text(field):
        return None
    said = scope.text(field)
    return ~said.is_in(row.enum) & ~blank(said)


def _wrong_of_event(field: FieldMapping, scope: Scope) -> pl.Expr | None:
    """Return an expression: true where an event that acts has a field of another type or word."""
    is_acting = field.role == "body" and field.path in EVENT_PATHS
    tests = list(_of_events(field, scope)) if is_acting else []
    return pl.any_horizontal(tests) if tests else None


def _of_events(field: FieldMapping, scope: Scope) -> Iterator[pl.Expr]:
    event = scope.mapping.find("event")
    for name, semantic in SEMANTIC_EVENTS.items():
        for row in semantic.fields:
            if event is None or row.path != field.path or field.json:
                continue
            named = (scope.text(event).str.strip_chars() == name) & pl.col(field.name).is_not_null()
            if _other_type(field, row):
                yield named
            elif row.enum and is_text(field):
                yield named & ~scope.text(field).is_in(row.enum)


FIELD_TYPE_CHECKS = (
    Check("field.type", "warn", by_value(_wrong_type), source="SPEC-AUG: the types of fields"),
    Check("field.word", "warn", by_value(_wrong_word), source="SPEC-AUG: the words that fields take"),
    Check("event.field-type", "reject", by_value(_wrong_of_event), source="SPEC-AUG semantic events; reference N8"),
)  # fmt: skip
