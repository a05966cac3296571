"""What of a message decides who is who: everything else is skipped while it is read."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypedDict

import msgspec

Reader = Callable[[str], dict[str, Any]]


class _Traits(TypedDict, total=False):
    id: Any
    email: Any
    anonymous_id: Any
    cio_id: Any
    _created_in_customerio_at: Any
    objectId: Any
    objectTypeId: Any
    object_type_id: Any


class _Properties(TypedDict, total=False):
    url: Any
    objectId: Any
    objectTypeId: Any
    object_type_id: Any


class _Device(TypedDict, total=False):
    token: Any
    type: Any


class _Context(TypedDict, total=False):
    device: _Device


class _Person(TypedDict, total=False):
    type: Any
    messageId: Any
    userId: Any
    anonymousId: Any
    timestamp: Any


class _Identify(_Person, total=False):
    traits: _Traits


class _Track(_Person, total=False):
    event: Any
    properties: _Properties
    context: _Context


class _Page(_Person, total=False):
    name: Any
    properties: _Properties


class _Screen(_Person, total=False):
    name: Any


class _Group(_Person, total=False):
    groupId: Any
    traits: _Traits


class _Alias(_Person, total=False):
    previousId: Any


class _Form(TypedDict, total=False):
    data: dict[str, Any]


_SHAPES: Final[Mapping[str, Any]] = MappingProxyType({
    "identify": _Identify,
    "track": _Track,
    "page": _Page,
    "screen": _Screen,
    "group": _Group,
    "alias": _Alias,
    "form": _Form,
})  # fmt: skip


def reader(call: str) -> Reader:
    """Return what reads the identity-relevant part of the messages of one call.

    Args:
        call: Name of the call.

    Examples:
        >>> text = '{"type":"identify","userId":"u1","traits":{"email":"a@b.co","plan":"pro"}}'
        >>> reader("identify")(text)
        {'type': 'identify', 'userId': 'u1', 'traits': {'email': 'a@b.co'}}
    """
    decode: Reader = msgspec.json.Decoder(_SHAPES[call]).decode
    return decode
