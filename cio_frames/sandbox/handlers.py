"""The answers of Customer.io to the requests that change a workspace."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import msgspec

from cio_frames.identity import Change
from cio_frames.sandbox.schemas import ITEM, SINGLE, EmptyUser, JsonObject, Message, MessageSchema
from cio_frames.spec import CALLS, LIMITS

Submit = Callable[[Mapping[str, Any]], Sequence[Change]]
"""Applies a form submission to the workspace and returns the changes."""

BATCH = "batch"
ERRORS_SHOWN = 20
TOO_LARGE = frozenset({"message.too-large", "batch.too-large"})
WEB_ADDRESS = re.compile(r"https?://[^\s\\]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Limits, and what to do where the documentation is silent.

    Attributes:
        message_bytes: Most bytes of a message.
        batch_bytes: Most bytes of a batch request.
        batch_errors: Whether strict mode rejects the whole batch for one bad item, or only the item.
        oversize_status: The status for too many bytes in strict mode; it is not documented.
        empty_user: Whether an identify with an empty id is about the e-mail among its traits.
    """

    message_bytes: int = LIMITS["message_bytes"].value
    batch_bytes: int = LIMITS["batch_bytes_documented"].value
    batch_errors: Literal["whole", "items"] = "whole"
    oversize_status: int = 400
    empty_user: EmptyUser = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The content of a response, and the messages of the request, with reasons for those dropped."""

    status: int
    messages: Sequence[Message] = ()
    errors: Sequence[str] = ()
    location: str | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    file: bytes | None = None


class Batch(msgspec.Struct, gc=False):
    """A batch request. Its items stay bytes, because limits count bytes."""

    batch: list[msgspec.Raw]
    context: JsonObject | None = None
    integrations: JsonObject | None = None


class Submission(msgspec.Struct, forbid_unknown_fields=True):
    """A form submission: values must be text (C28), and there is nothing beside `data`."""

    data: dict[str, str]


class _MalformedError(Exception):
    """The bytes are not JSON."""


def pipelines(call: str, body: bytes, *, has_key: bool, strict: bool, rules: Rules) -> Answer:
    """Answer identify, track, page, screen, group, alias or batch."""
    messages = _read(call, body, rules=rules)
    errors = _sentences(messages)
    if not has_key:
        messages = [message.rejected("key.unknown") for message in messages]
        if strict:
            return Answer(status=401, messages=messages, errors=["the write key is unknown"])
    reasons = {message.reason for message in messages if message.reason}
    if "json.malformed" in reasons:
        return Answer(status=400, messages=messages, errors=errors)
    if not strict or not reasons:
        return Answer(status=200, messages=messages)
    if rules.batch_errors == "whole":
        messages = [message.rejected("batch.refused") for message in messages]
    status = rules.oversize_status if reasons <= TOO_LARGE else 400
    return Answer(status=status, messages=messages, errors=errors)


def form(form_id: str, body: bytes, *, has_key: bool, submit: Submit) -> Answer:
    """Answer a submission through the Forms API."""
    message = Message(body, "form")
    if not has_key:
        return _reject(message, "key.unknown", "the site id and API key are unknown", status=401)
    try:
        data = _decode(body, Submission).data
    except _MalformedError as error:
        return _reject(message, "json.malformed", str(error))
    except msgspec.ValidationError as error:
        return _reject(message, "message.invalid", str(error))
    return _submitted(message, form_id, data, submit=submit)


def form_action(
    data: Mapping[str, str],
    query: Mapping[str, str],
    *,
    site_id: str,
    submit: Submit,
) -> Answer:
    """Answer a web form that a browser posted; after success it is redirected to `success_url`."""
    message = Message(msgspec.json.encode({"data": data}), "form_action")
    names = [row.path[1] for row in CALLS["form_action"].fields if row.path[0] == "query"]
    missing = [name for name in names if not query.get(name)]
    if missing:
        detail = f"{' and '.join(missing)} must be in the query"
        return _reject(message, "message.invalid", detail)
    if query["site_id"] != site_id:
        return _reject(message, "key.unknown", "the site id is unknown")
    if not WEB_ADDRESS.fullmatch(query["success_url"]):
        return _reject(message, "message.invalid", "success_url must be a full web address")
    answer = _submitted(message, query["form_id"], data, submit=submit)
    if answer.errors:
        return answer
    return Answer(status=302, messages=answer.messages, location=query["success_url"])


def _submitted(
    message: Message, form_id: str, data: Mapping[str, str], *, submit: Submit
) -> Answer:
    form = {"type": "form", "formId": form_id, "data": data}
    rejected = [change for change in submit(form) if change.kind == "rejected"]
    if rejected:
        return _reject(message, rejected[0].rule.name, rejected[0].sentence)
    return Answer(status=204, messages=[Message(message.text, message.call, form=form)])


def _reject(message: Message, reason: str, detail: str, *, status: int = 400) -> Answer:
    return Answer(status=status, messages=[message.rejected(reason, detail)], errors=[detail])


def _read(call: str, body: bytes, *, rules: Rules) -> list[Message]:
    """Return the messages of a body; one for the whole body if it cannot be divided."""
    validate = partial(
        MessageSchema.validate, message_bytes=rules.message_bytes, empty_user=rules.empty_user
    )
    try:
        if call != BATCH:
            _decode(body, Any)
            return [validate(SINGLE[call], body, call=call)]
        items = _decode(body, Batch).batch
    except _MalformedError as error:
        return [Message(body, call).rejected("json.malformed", str(error))]
    except msgspec.ValidationError as error:
        return [Message(body, call).rejected("message.invalid", str(error))]
    messages = [validate(ITEM, item) for item in items]
    if len(body) <= rules.batch_bytes:
        return messages
    detail = f"{len(body)} bytes, the limit of a batch is {rules.batch_bytes}"
    return [message.rejected("batch.too-large", detail) for message in messages]


def _decode(body: bytes, kind: Any) -> Any:
    """Return the body as a type; JSON of another type raises a `ValidationError`."""
    try:
        body.decode()
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        if kind is not Any:
            _decode(body, Any)  # the rest of the body may not be JSON
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _MalformedError(f"the body is not JSON: {error}") from error


def _sentences(messages: Sequence[Message]) -> list[str]:
    """Return the first errors, each with the number of its item."""
    errors = [(number, message.detail) for number, message in enumerate(messages) if message.detail]
    return [f"[{number}] {detail}" for number, detail in errors[:ERRORS_SHOWN]]
