"""The schema of each message, compiled from the rows of the specification."""

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
    """One message that arrived, and why it was rejected, if it was."""

    text: msgspec.Raw | bytes
    call: str
    message_id: str | None = None
    reason: str | None = None
    detail: str = ""
    form: dict[str, Any] | None = None

    def rejected(self, reason: str, detail: str = "") -> "Message":
        """Return the message with a reason; unchanged if it has one already."""
        if self.reason:
            return self
        return Message(self.text, self.call, self.message_id, reason, detail)


@dataclass(frozen=True, slots=True)
class MessageSchema:
    """Validates the messages of a call: types of fields, and groups of which one field is required."""

    decode: Callable[[msgspec.Raw | bytes], Any]

    def validate(
        self,
        text: msgspec.Raw | bytes,
        *,
        message_bytes: int,
        call: str = "",
        empty_user: EmptyUser = "refused",
    ) -> Message:
        """Return the message, with a reason if it is invalid or too large."""
        if len(text) > message_bytes:
            detail = f"{len(text)} bytes, the limit of a message is {message_bytes}"
            return _unvalidated(text, call).rejected("message.too-large", detail)
        try:
            decoded = self.decode(text)
        except msgspec.ValidationError as error:
            return _unvalidated(text, call).rejected("message.invalid", str(error))
        message = Message(text, decoded.__struct_config__.tag, decoded.messageId)
        for group in NEEDS[message.call]:
            values = [getattr(decoded, name) for name in group]
            if not any(map(_is_filled, values)):
                if empty_user == "email" and "" in values and _named_by_email(message):
                    continue
                return message.rejected("message.invalid", f"{_either(group)} is required")
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
    return traits is not None and isinstance(traits.email, str) and _is_filled(traits.email)


class _Head(msgspec.Struct, gc=False):
    type: Any = None
    messageId: Any = None  # noqa: N815 (the name in JSON)


def _unvalidated(text: msgspec.Raw | bytes, call: str) -> Message:
    """Return an invalid message, with its call and id if they can be read."""
    try:
        head = msgspec.json.decode(text, type=_Head)
    except msgspec.ValidationError:
        return Message(text, call)
    type_name = head.type if isinstance(head.type, str) else ""
    return Message(
        text, call or type_name, head.messageId if isinstance(head.messageId, str) else None
    )


def _either(names: Sequence[str]) -> str:
    """Return names as an enumeration: `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _is_filled(value: Any) -> bool:
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _call(call: Call) -> Any:
    """Return the struct type of one call, which the field `type` identifies.

    `traits` and `properties` may hold any JSON (C33), so their rows are not used.
    """
    rows = [row for row in call.fields if row.path[0] not in ("type", call.body)]
    body = [(call.body, JsonObject | None, None)] if call.body else []
    return _struct(call.name, rows, body, tag_field="type", tag=call.name)


def _struct(name: str, rows: Iterable[Field], more: Iterable[Any] = (), **options: Any) -> Any:
    """Return a struct type with an optional field for each first name of the rows' paths.

    Only fields of the official specification are checked: the others were only observed in what
    libraries send.
    """
    below: dict[str, list[Field]] = {}
    for row in rows:
        if row.path[0] != "*" and not row.read_only and row.source.startswith("SPEC"):
            below.setdefault(row.path[0], []).append(row)
    fields = [(key, _type(key, nested) | None, None) for key, nested in below.items()]
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

ITEM = MessageSchema(msgspec.json.Decoder(Union[tuple(_STRUCTS.values())]).decode)  # noqa: UP007
SINGLE: Mapping[str, MessageSchema] = MappingProxyType(
    {name: MessageSchema(msgspec.json.Decoder(kind).decode) for name, kind in _STRUCTS.items()}
)
