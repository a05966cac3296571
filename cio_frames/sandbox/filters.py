"""The filters of the App API: which people they match."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

Texts = Mapping[str, str]
"""The attributes of a person, as Customer.io stores them."""

Matches = Callable[[Texts], bool]

DEPTH: Final = 20


class FilterError(ValueError):
    """A filter is not of the documented form; the sentence says why."""


def text(value: Any) -> str:
    """Return the value of an attribute as Customer.io stores it: as text.

    Examples:
        >>> text("pro"), text(True), text(12.5), text({"a": 1})
        ('pro', 'true', '12.5', '{"a":1}')
    """
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def compile_filter(condition: object, *, depth: int = 0) -> Matches:
    """Return a function that tests whether a filter matches a person.

    Raises:
        FilterError: The filter is not of the documented form, or names a segment.

    Examples:
        >>> matches = compile_filter({"not": {"attribute": {"field": "plan", "operator": "exists"}}})
        >>> matches({"plan": "pro"}), matches({})
        (False, True)
    """
    if not isinstance(condition, dict) or len(condition) != 1:
        raise FilterError("a filter is an object with one of and, or, not, attribute and segment")
    if depth > DEPTH:
        raise FilterError(f"a filter has no more than {DEPTH} levels")
    ((kind, value),) = condition.items()
    match kind:
        case "and" | "or":
            if not isinstance(value, list) or not value:
                raise FilterError(f"{kind} is a list of filters")
            parts = [compile_filter(part, depth=depth + 1) for part in value]
            joined = all if kind == "and" else any
            return lambda texts: joined(part(texts) for part in parts)
        case "not":
            part = compile_filter(value, depth=depth + 1)
            return lambda texts: not part(texts)
        case "attribute":
            return _of_attribute(value)
        case "segment":
            raise FilterError("this workspace has no segments")
        case _:
            raise FilterError(f"there is no filter {kind!r}")


def _of_attribute(value: object) -> Matches:
    field = value.get("field") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(field, str):
        raise FilterError("an attribute has a field")
    name: str = field
    match value.get("operator"):
        case "exists":
            return lambda texts: name in texts
        case "eq" if value.get("value") is not None:
            wanted = text(value["value"])
            return lambda texts: texts.get(name) == wanted
        case "eq":
            raise FilterError("eq needs a value")
        case _:
            raise FilterError("an operator is eq or exists")
