"""The arguments of a verb and its checks as values of JSON, and back."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from os import PathLike
from typing import Any, Final

import polars as pl

from cio_frames.checks import Checks, Drift
from cio_frames.mapping import CallArguments

CONSTANT: Final = "$constant"
TIME: Final = "$time"
DRIFT: Final = "$drift"
UNRESTORABLE: Final = "$written"
"""Keys of values that JSON cannot represent: constants, times, limits, and what cannot be read back."""


class NotRestorableError(Exception):
    """A value is in a file in a readable form only."""


def arguments_values(arguments: CallArguments | None) -> dict[str, Any]:
    """Return the arguments that were passed; an expression is written as text.

    Examples:
        >>> arguments_values(CallArguments(fields={"user_id": "id", "event": pl.lit("Joined")}))
        {'fields': {'user_id': 'id', 'event': {'$constant': 'Joined'}}}
    """
    if arguments is None:
        return {}
    default = CallArguments(fields={})
    values = {field.name: getattr(arguments, field.name) for field in fields(CallArguments)}
    changed = {
        name: _json(value) for name, value in values.items() if value != getattr(default, name)
    }
    named = {name: _json(value) for name, value in arguments.fields.items() if value is not None}
    return changed | {"fields": named}


def arguments_of(values: Mapping[str, Any]) -> CallArguments:
    """Return the arguments that `arguments_values` wrote.

    Raises:
        NotRestorableError: An argument is an expression.
    """
    return CallArguments(**{name: _restored(value) for name, value in values.items()})


def checks_values(checks: Checks) -> dict[str, Any]:
    """Return the settings of checks that are not the default.

    Examples:
        >>> checks_values(Checks(ignore=["time.naive"]))
        {'ignore': ['time.naive']}
    """
    default = Checks()
    values = {field.name: getattr(checks, field.name) for field in fields(Checks)}
    rules = values.pop("rules")
    changed = {
        name: _json(value) for name, value in values.items() if value != getattr(default, name)
    }
    if rules:
        changed["rules"] = [{UNRESTORABLE: f"{rule.code} ({rule.severity})"} for rule in rules]
    return changed


def checks_of(values: Mapping[str, Any]) -> Checks:
    """Return the checks that `checks_values` wrote.

    Raises:
        NotRestorableError: There are rules of the user among them.
    """
    return Checks(**{name: _restored(value) for name, value in values.items()})


def _json(value: Any) -> Any:
    match value:
        case pl.Expr():
            return _expression(value)
        case Mapping():
            return {str(name): _json(item) for name, item in value.items()}
        case list() | tuple():
            return [_json(item) for item in value]
        case str() | bool() | int() | float() | None:
            return value
        case _:
            return _marked(value)


def _marked(value: Any) -> Any:
    """Return a value that JSON cannot represent, under a key that names its type."""
    match value:
        case datetime() | date():
            return {TIME: value.isoformat()}
        case Drift():
            values = {field.name: getattr(value, field.name) for field in fields(Drift)}
            return {DRIFT: _json(values)}
        case PathLike():
            return str(value)
        case _:
            return {UNRESTORABLE: f"values of a {type(value).__name__}"}


def _expression(expr: pl.Expr) -> dict[str, Any]:
    """Return a constant as its value. Reading back other expressions could run code."""
    if expr.meta.is_literal():
        constant = pl.select(expr).item()
        value = constant.to_list() if isinstance(constant, pl.Series) else constant
        return {CONSTANT: _json(value)}
    return {UNRESTORABLE: str(expr)}


def _restored(value: Any) -> Any:
    match value:
        case {"$constant": constant}:
            return pl.lit(_restored(constant))
        case {"$time": str(text)}:
            return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)
        case {"$drift": dict(limits)}:
            return Drift(**limits)
        case {"$written": str(text)}:
            raise NotRestorableError(text)
        case dict():
            return {name: _restored(item) for name, item in value.items()}
        case list():
            return [_restored(item) for item in value]
        case _:
            return value
