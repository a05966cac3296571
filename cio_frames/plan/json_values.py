"""What a verb was asked for and which checks apply, as plain values of JSON, and back."""

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
UNKNOWN: Final = "$written"
"""Keys of values that JSON has no name for: constants, times, limits, and what cannot be read back."""


class NotRestorableError(Exception):
    """A value that stands in a file as a reader sees it, and not as it was."""


def arguments_values(arguments: CallArguments | None) -> dict[str, Any]:
    """Return the arguments that were given; an expression stands for itself as text.

    Examples:
        >>> arguments_values(CallArguments(fields={"user_id": "id", "event": pl.lit("Joined")}))
        {'fields': {'user_id': 'id', 'event': {'$constant': 'Joined'}}}
    """
    if arguments is None:
        return {}
    default = CallArguments(fields={})
    given = {field.name: getattr(arguments, field.name) for field in fields(CallArguments)}
    found = {
        name: _plain(value) for name, value in given.items() if value != getattr(default, name)
    }
    named = {name: _plain(value) for name, value in arguments.fields.items() if value is not None}
    return found | {"fields": named}


def arguments_of(values: Mapping[str, Any]) -> CallArguments:
    """Return the arguments that `arguments_values` wrote.

    Raises:
        NotRestorableError: One is an expression.
    """
    return CallArguments(**{name: _restored(value) for name, value in values.items()})


def checks_values(checks: Checks) -> dict[str, Any]:
    """Return what is not as usual about the checks.

    Examples:
        >>> checks_values(Checks(ignore=["time.naive"]))
        {'ignore': ['time.naive']}
    """
    default = Checks()
    given = {field.name: getattr(checks, field.name) for field in fields(Checks)}
    rules = given.pop("rules")
    found = {
        name: _plain(value) for name, value in given.items() if value != getattr(default, name)
    }
    if rules:
        found["rules"] = [{UNKNOWN: f"{rule.code} ({rule.severity})"} for rule in rules]
    return found


def checks_of(values: Mapping[str, Any]) -> Checks:
    """Return the checks that `checks_values` wrote.

    Raises:
        NotRestorableError: There are rules or values of the user's own among them.
    """
    return Checks(**{name: _restored(value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    match value:
        case pl.Expr():
            return _expression(value)
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case str() | bool() | int() | float() | None:
            return value
        case _:
            return _marked(value)


def _marked(value: Any) -> Any:
    """Return a value that JSON has no name for, under a key that says what it is."""
    match value:
        case datetime() | date():
            return {TIME: value.isoformat()}
        case Drift():
            given = {field.name: getattr(value, field.name) for field in fields(Drift)}
            return {DRIFT: _plain(given)}
        case PathLike():
            return str(value)
        case _:
            return {UNKNOWN: f"values of a {type(value).__name__}"}


def _expression(expr: pl.Expr) -> dict[str, Any]:
    """Return a constant as its value. Other expressions could run code where they are read back."""
    if expr.meta.is_literal():
        found = pl.select(expr).item()
        value = found.to_list() if isinstance(found, pl.Series) else found
        return {CONSTANT: _plain(value)}
    return {UNKNOWN: str(expr)}


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
            return {name: _restored(each) for name, each in value.items()}
        case list():
            return [_restored(each) for each in value]
        case _:
            return value
