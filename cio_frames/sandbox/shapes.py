"""What a message must look like, compiled from the rows of the specification."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Union

import msgspec

from cio_frames.spec import CALLS, Call, Field


class JsonObject(msgspec.Struct, gc=False):
    """Any JSON object."""


EmptyUser = Literal["refused", "email"]

TYPES: Mapping[str, Any] = MappingProxyType(
    {
        "id": str,
        "text": str,
        "email": str,
        "time": datetime,
        "boolean": bool,
        "number": float,
        "object": JsonObject,
        "texts": list[str],
        "any": Any,
    }
)


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message that arrived, and why it was not accepted if it was not."""

    text: msgspec.Raw | bytes
    call: str
    message_id: str | None = None
    reason: str | None = None
    detail: str = ""
    form: dict[str, Any] | None = None

    def refused(self, reason: str, detail: str = "") -> "Message":
        """Return the message with a reason, or as it is when it has one already."""
        if self.reason:
            return self
        return Message(self.text, self.call, self.message_id, reason, detail)


@dataclass(frozen=True, slots=True)
class Shape:
    """The types of a call's fields, and the groups of which one field at least must be filled."""

    decode: Callable[[msgspec.Raw | bytes], Any]

    def judge(
        self,
        text: msgspec.Raw | bytes,
        *,
        message_bytes: int,
        call: str = "",
        empty_user: EmptyUser = "refused",
    ) -> Message:
        """Return the message, with a reason when it breaks its shape or its limit.

        Args:
            text: Its JSON, as the bytes that came.
            message_bytes: The most it may have.
            call: The call, where the path names it.
            empty_user: Whether an identify with an empty id is about the e-mail among its traits.
        """
        if len(text) > message_bytes:
            detail = f"{len(text)} bytes, the limit of a message is {message_bytes}"
            return _headed(text, call).refused("message.too-large", detail)
        try:
            found = self.decode(text)
        except msgspec.ValidationError as error:
            return _headed(text, call).refused("message.invalid", str(error))
        message = Message(text, found.__struct_config__.tag, found.messageId)
        for group in NEEDS[message.call]:
            given = [getattr(found, name) for name in group]
            if not any(map(_filled, given)):
                if empty_user == "email" and "" in given and _named_by_email(message):
                    continue
                return message.refused("message.invalid", f"{_either(group)} is required")
        return message


class _Traits(msgspec.Struct, gc=False):
    email: Any = None


class _Identify(msgspec.Struct, gc=False):
    traits: _Traits | None = None


def _named_by_email(message: Message) -> bool:
    """Return whether a message is an identify with an e-mail among its traits."""
    if message.call != "identify":
        return False
    traits = msgspec.json.decode(message.text, type=_Identify).traits
    return traits is not None and isinstance(traits.email, str) and _filled(traits.email)


class _Head(msgspec.Struct, gc=False):
    type: Any = None
    messageId: Any = None  # noqa: N815 (the name on the wire)


def _headed(text: msgspec.Raw | bytes, call: str) -> Message:
    """Return a message that cannot be read as its call, as far as it can be told."""
    try:
        head = msgspec.json.decode(text, type=_Head)
    except msgspec.ValidationError:
        return Message(text, call)
    named = head.type if isinstance(head.type, str) else ""
    return Message(text, call or named, head.messageId if isinstance(head.messageId, str) else None)


def _either(names: Sequence[str]) -> str:
    """Return names as an enumeration: `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _filled(value: Any) -> bool:
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _call(call: Call) -> Any:
    """Return the struct type of one call, told from the others by the field `type`.

    Inside `traits` and `properties` any JSON is allowed (C33), so those rows are not looked at.
    """
    rows = [row for row in call.fields if row.path[0] not in ("type", call.body)]
    body = [(call.body, JsonObject | None, None)] if call.body else []
    return _struct(call.name, rows, body, tag_field="type", tag=call.name)


def _struct(name: str, rows: Iterable[Field], more: Iterable[Any] = (), **options: Any) -> Any:
    """Return a struct type with an optional field for each first name of the rows' paths.

    Only fields of the official specification are held to their type: the others were only seen in
    what libraries send.
    """
    below: dict[str, list[Field]] = {}
    for row in rows:
        if row.path[0] != "*" and not row.read_only and row.source.startswith("SPEC"):
            below.setdefault(row.path[0], []).append(row)
    fields = [(key, _type(key, found) | None, None) for key, found in below.items()]
    return msgspec.defstruct(name, [*fields, *more], gc=False, **options)


def _type(key: str, rows: Sequence[Field]) -> Any:
    deeper = [replace(row, path=row.path[1:]) for row in rows if len(row.path) > 1]
    if deeper:
        return _struct(key, deeper)
    row = rows[0]
    return Literal[row.enum] if row.enum else TYPES[row.type]


def _needs(call: Call) -> tuple[tuple[str, ...], ...]:
    groups: dict[str, list[str]] = {}
    for row in call.fields:
        if row.required != "never" and row.path != ("type",):
            name = row.path[0] if row.required == "always" else row.required
            groups.setdefault(name, []).append(row.path[0])
    return tuple(map(tuple, groups.values()))


_ROWS = [call for call in CALLS.values() if call.batched]
_STRUCTS = {call.name: _call(call) for call in _ROWS}
NEEDS = MappingProxyType({call.name: _needs(call) for call in _ROWS})

ITEM = Shape(msgspec.json.Decoder(Union[tuple(_STRUCTS.values())]).decode)  # noqa: UP007
SINGLE: Mapping[str, Shape] = MappingProxyType(
    {name: Shape(msgspec.json.Decoder(kind).decode) for name, kind in _STRUCTS.items()}
)
