"""Where the messages of each call name people and objects, by the role of each place."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

IdentifierRole = Literal["person", "id", "email", "anonymous", "previous", "object", "object_type"]
"""What a place names: a person by any identifier, by one of a kind, or an object and its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """One place of a message that names a person or an object.

    Attributes:
        role: What it names.
        path: The place in the message.
        addressed: Whether the message is about whom it names; of several, the first that is filled.
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
"""The places of each call, those that come first counting before others of the same role."""

LINKING_CALLS = frozenset({"identify", "alias", "form"})
"""Calls that make all people they name one; the others only name some."""
