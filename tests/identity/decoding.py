"""The identifiers in JSON messages, read one by one: the oracle of the columns."""

import json

import polars as pl

from cio_frames.identity.identifiers import seconds, text
from cio_frames.identity.messages import COLUMNS, with_kind
from cio_frames.spec import SEMANTIC_EVENTS

PLACES = {
    "user": {"": ["userId"]},
    "email": {"identify": ["traits.email"], "form": ["data.email"]},
    "id": {"identify": ["traits.id"], "form": ["data.id"]},
    "anonymous": {
        "": ["anonymousId"], "identify": ["anonymousId", "traits.anonymous_id"],
        "alias": [], "form": ["data.anonymous_id"],
    },
    "previous": {"alias": ["previousId"]},
    "object": {"identify": ["traits.objectId"], "group": ["groupId"]},
    "name": {"track": ["event"], "page": ["properties.url"], "screen": ["name"], "form": ["formId"]},
}  # fmt: skip
"""Column and call to the places that are read; "" stands for the calls that are not named."""


def at(message, place):
    """Return what stands at a dotted place, None if nothing does."""
    for key in place.split("."):
        message = message.get(key) if isinstance(message, dict) else None
    return message


def object_type(message):
    """Return the type of an object: the older spelling counts before the newer one."""
    values = [at(message, f"traits.{name}") for name in ("object_type_id", "objectTypeId")]
    return text(next((value for value in values if value is not None), None))


def identity_of(message, call):
    """Return the identity columns of one message, without kind and text."""
    row = {}
    for column, calls in PLACES.items():
        places = calls.get(call, calls.get("", []))
        texts = [text(at(message, place)) for place in places]
        row[column] = next((value for value in texts if value is not None), None)
    if call == "form":
        row["user"] = None
    row["object_type"] = object_type(message) if call in ("identify", "group") else None
    row["at"] = None if call == "form" else seconds(message.get("timestamp"))
    row["message_id"] = None if call == "form" else text(message.get("messageId"))
    return row


def needs_text(message, call):
    """Tell whether more of a message matters than its columns."""
    if call == "track":
        return text(message.get("event")) in SEMANTIC_EVENTS
    if call == "page":
        return text(at(message, "properties.url")) is None
    if call == "form":
        return not all(isinstance(value, str) for value in message.get("data", {}).values())
    traits = message.get("traits")
    unsettable = {"cio_id", "_created_in_customerio_at"}
    return call == "identify" and isinstance(traits, dict) and not unsettable.isdisjoint(traits)


def columns_of(call, messages, *, whole=False, dated=False):
    """Return the identity columns of messages; their rows are their positions."""
    dated = dated and call in ("identify", "form", "group")
    lines = [
        identity_of(message, call)
        | {
            "row": row,
            "text": json.dumps(message) if whole or needs_text(message, call) else None,
            "dated": json.dumps(message) if dated else None,
        }
        for row, message in enumerate(messages)
    ]
    frame = pl.DataFrame(lines, schema={**COLUMNS, "kind": pl.String})
    return frame.with_columns(kind=pl.lit("others")) if whole else with_kind(frame, call=call)
