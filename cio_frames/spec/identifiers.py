"""The paths that identify people and objects in the messages of each call, with their roles."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

IdentifierRole = Literal["person", "id", "email", "anonymous", "previous", "object", "object_type"]
"""What a path identifies: a person by any identifier or by one kind of it, or an object or its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """A path of a message that identifies a person or an object.

    Attributes:
        role: What it identifies.
        path: The path in the message.
        addressed: Whether the message is about this person; of several, the first that is filled.
        source: Tags of the API facts this row rests on.
    """

    role: IdentifierRole
    path: tuple[str, ...]
    addressed: bool = False
    source: str


def _row(role: IdentifierRole, place: str, source: str, *, addressed: bool = False) -> Identifier:
    return Identifier(role=role, path=tuple(place.split(".")), addressed=addressed, source=source)


# fmt: off
_PERSON = (
    _row("person",      "userId",                "SPEC-AUG; C12", addressed=True),
    _row("anonymous",   "anonymousId",           "SPEC-AUG; C12", addressed=True),
)
_TRACK = (
    *_PERSON,
    _row("object",      "groupId",               "SPEC-AUG"),
)
_OBJECT_TYPE = (
    _row("object_type", "traits.object_type_id", "ACT; C17"),
    _row("object_type", "traits.objectTypeId",   "ACT; C17"),
)
_IDENTIFY = (
    *_PERSON,
    _row("email",       "traits.email",          "TRACK; C11"),
    _row("id",          "traits.id",             "TRACK"),
    _row("anonymous",   "traits.anonymous_id",   "TRACK"),
    _row("object",      "traits.objectId",       "ACT"),
    *_OBJECT_TYPE,
)
_GROUP = (
    _row("object",      "groupId",               "SPEC-AUG; C16"),
    *_PERSON, *_OBJECT_TYPE,
)
_ALIAS = (
    _row("person",      "userId",                "SPEC-AUG; C23", addressed=True),
    _row("previous",    "previousId",            "SPEC-AUG; C18; C23", addressed=True),
)
_FORM = (
    _row("email",       "data.email",            "TRACK; C27", addressed=True),
    _row("id",          "data.id",               "TRACK; C21; C27", addressed=True),
    _row("anonymous",   "data.anonymous_id",     "TRACK"),
)
# fmt: on

IDENTIFIERS: Mapping[str, tuple[Identifier, ...]] = MappingProxyType({
    "identify": _IDENTIFY, "track": _TRACK, "page": _PERSON, "screen": _PERSON,
    "group": _GROUP, "alias": _ALIAS, "form": _FORM,
})  # fmt: skip
"""The paths of each call; of several with the same role, the first takes precedence."""

LINKING_CALLS = frozenset({"identify", "alias", "form"})
"""Calls that merge all people they identify into one."""
