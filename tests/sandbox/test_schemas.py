"""The shapes follow the rows of the specification."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.sandbox.schemas import ITEM, SINGLE
from cio_frames.spec import CALLS

CALL_ROWS = [call for call in CALLS.values() if call.batched]
VALUES = {
    "id": "x",
    "text": "x",
    "email": "a@example.com",
    "time": "2026-01-02T03:04:05.678Z",
    "boolean": True,
    "number": 1.5,
    "object": {"x": 1},
    "texts": ["x"],
    "any": None,
}
WRONG = {
    "id": 5,
    "text": ["x"],
    "email": {},
    "time": "yesterday",
    "boolean": "yes",
    "number": "1",
    "object": "x",
    "texts": [1],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def nested(path, value):
    """Return a value under a path."""
    for key in reversed(path):
        value = {key: value}
    return value


def merged(left: dict, right: dict) -> dict:
    """Return both objects in one, down to the leaves."""
    out = dict(left)
    for key, value in right.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


def smallest(call) -> dict:
    """Return the smallest good message of a call, made from its rows."""
    message = {"type": call.name}
    for row in call.fields:
        if row.required == "always" and row.path != ("type",):
            message = merged(message, nested(row.path, VALUES[row.type]))
    group = [row for row in call.fields if row.required.startswith("one-of")]
    return merged(message, nested(group[0].path, VALUES[group[0].type])) if group else message


def validated(message):
    """Return the validated message of a batch."""
    return ITEM.validate(json.dumps(message).encode(), message_bytes=32_000)


TYPED = [
    pytest.param(call, row, id=f"{call.name}-{'.'.join(row.path)}")
    for call in CALL_ROWS
    for row in call.fields
    if row.source.startswith("SPEC")
    and "*" not in row.path
    and not row.read_only
    and row.type != "any"
    and (row.path[0] != call.body or len(row.path) == 1)
]


@pytest.mark.parametrize("call", CALL_ROWS, ids=lambda call: call.name)
def test_smallest_message_is_good(call):
    """The required fields are enough, alone and in a batch."""
    message = smallest(call)

    assert validated(message).reason is None
    del message["type"]
    text = json.dumps(message).encode()
    assert SINGLE[call.name].validate(text, message_bytes=32_000).reason is None


@pytest.mark.parametrize(("call", "row"), TYPED)
def test_a_documented_field_must_have_its_type(call, row):
    """A field of the specification is rejected with another JSON type, and accepted with its own."""
    good = row.enum[0] if row.enum else VALUES[row.type]

    assert validated(merged(smallest(call), nested(row.path, good))).reason is None
    bad = validated(merged(smallest(call), nested(row.path, WRONG[row.type])))
    assert bad.reason == "message.invalid"


@pytest.mark.parametrize(
    ("call", "row"),
    [
        pytest.param(call, row, id=f"{call.name}-{row.path[0]}")
        for call in CALL_ROWS
        for row in call.fields
        if row.required == "always"
    ],
)
@pytest.mark.parametrize("value", [None, "", " "], ids=["null", "empty", "blank"])
def test_required_field_must_be_filled(call, row, value):
    """A required field that is null or blank is as good as missing."""
    assert validated(smallest(call) | {row.path[0]: value}).reason == "message.invalid"


@pytest.mark.parametrize(
    "context",
    [{"channel": "satellite"}, {"device": {"type": "toaster"}}, {"page": "x"}, {"ip": 1}],
    ids=repr,
)
def test_context_keeps_to_its_enumerations_and_types(context):
    """What the specification enumerates or types in context is insisted on."""
    assert validated(smallest(CALLS["track"]) | {"context": context}).reason == "message.invalid"


def test_unknown_and_undocumented_keys_pass():
    """Keys that are not in the specification, or only in libraries, have no type to keep to."""
    more = {"context": {"location": {"latitude": "59.9"}, "x": [1]}, "category": 1, "version": "2"}

    assert validated(smallest(CALLS["track"]) | more).reason is None


@given(traits=st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_traits_take_any_json(traits):
    """Inside traits any JSON is accepted (C33)."""
    assert validated({"type": "identify", "userId": "u", "traits": traits}).reason is None


@given(message=JSON)
def test_any_json_is_validated(message):
    """Whatever the JSON, it is validated and keeps its text."""
    text = json.dumps(message).encode()

    assert ITEM.validate(text, message_bytes=32_000).text == text
