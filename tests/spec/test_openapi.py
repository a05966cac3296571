"""The rows against Customer.io's own OpenAPI files, in both directions, where they are at hand."""

import json
import re
from dataclasses import dataclass, field
from functools import cache, reduce
from pathlib import Path

import pytest

from cio_frames.spec import (
    BATCH_FIELDS,
    BATCH_PATH,
    CALLS,
    FORM_RESERVED,
    HOSTS,
    LIMITS,
    REGION_PATH,
    SEMANTIC_EVENTS,
)

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference"

JSON_TYPES = {
    "id": ("string", ""),
    "text": ("string", ""),
    "email": ("string", ""),
    "time": ("string", "date-time"),
    "boolean": ("boolean", ""),
    "number": ("number", ""),
    "object": ("object", ""),
    "texts": ("array", ""),
    "any": ("", ""),
}

# Where the rows knowingly say something else than SPEC-AUG: calls, path, what differs, why.
DEVIATIONS = (
    ("*", "type", "read_only", "each item of a batch needs it (SPEC-SEP)"),
    ("*", "type", "required", "each item of a batch needs it (SPEC-SEP)"),
    ("group", "groupId", "required", "C16: the single schema forgot it, the batch schema has it"),
    ("batch", "batch", "type", "a list of objects has no field type"),
    ("batch", "batch", "required", "C19: a batch without it says nothing"),
    ("form", "data.email", "null", "C28: values are strings"),
    ("form", "data.id", "null", "C28: values are strings"),
)

# Where the semantic events' rows knowingly differ: event, path, why.
EVENT_DEVIATIONS = (
    ("Object Deleted", "anonymousId", "C24: required, yet the workspace reads the properties only"),
    ("Object Deleted", "properties.objectId", "C24: not required, yet nothing says which object"),
    ("Report Delivery Event", "properties.deliveryId", "not required, yet nothing says which message"),
    ("Report Delivery Event", "properties.metric", "not required, yet nothing says what happened"),
    ("Report Content Event", "properties.activityType", "C26: required, but the field is actionType"),
    ("Report Content Event", "properties.actionType", "C26: meant where activityType is required"),
)  # fmt: skip


@dataclass
class Node:
    """A schema with its references and combinations resolved."""

    types: frozenset[str] = frozenset()
    format: str = ""
    enum: frozenset[str] = frozenset()
    read_only: bool = False
    required: frozenset[str] = frozenset()
    sometimes: frozenset[str] = frozenset()
    keys: dict[str, "Node"] = field(default_factory=dict)


@cache
def _document(name):
    path = REFERENCE / name
    if not path.exists():
        pytest.skip(f"shared/reference/{name} is not beside this project")
    return json.loads(path.read_text(encoding="utf-8"))


def _resolve(schema, document):
    while "$ref" in schema:
        place = schema["$ref"].removeprefix("#/").split("/")
        schema = reduce(lambda inner, key: inner[key], place, document)
    kinds = schema.get("type", [])
    keys = {name: _resolve(inner, document) for name, inner in schema.get("properties", {}).items()}
    if isinstance(schema.get("additionalProperties"), dict):
        keys["*"] = _resolve(schema["additionalProperties"], document)
    required = frozenset(schema.get("required", []))
    node = Node(
        types=frozenset([kinds] if isinstance(kinds, str) else kinds),
        format=schema.get("format", ""),
        enum=frozenset(schema.get("enum", [])),
        read_only=schema.get("readOnly", False),
        required=required,
        sometimes=required,
        keys=keys,
    )
    for inner in schema.get("allOf", []):
        node = _both(node, _resolve(inner, document))
    for word in ("oneOf", "anyOf"):
        if word in schema:
            variants = [_resolve(inner, document) for inner in schema[word]]
            node = _both(node, reduce(_either, variants))
    return node


def _both(one, other):
    return Node(
        types=(one.types & other.types) or one.types | other.types,
        format=one.format or other.format,
        enum=(one.enum & other.enum) or one.enum | other.enum,
        read_only=one.read_only or other.read_only,
        required=one.required | other.required,
        sometimes=one.sometimes | other.sometimes,
        keys=_joined(one.keys, other.keys, _both),
    )


def _either(one, other):
    return Node(
        types=one.types | other.types,
        format=one.format if one.format == other.format else "",
        enum=one.enum | other.enum if one.enum and other.enum else frozenset(),
        read_only=one.read_only and other.read_only,
        required=one.required & other.required,
        sometimes=one.sometimes | other.sometimes,
        keys=_joined(one.keys, other.keys, _either),
    )


def _joined(one, other, join):
    return {
        key: join(one[key], other[key]) if key in one and key in other else one.get(key, other.get(key))
        for key in {**one, **other}
    }  # fmt: skip


def _flat(node, *, path=(), rule="never"):
    if path:
        yield ".".join(path), _documented(node, rule)
    for key, inner in node.keys.items():
        always, sometimes = key in node.required, key in node.sometimes
        below = "always" if always else "one-of:person" if sometimes else "never"
        yield from _flat(inner, path=(*path, key), rule=below)


def _documented(node, rule):
    kinds = {"number" if kind == "integer" else kind for kind in node.types}
    return {
        "type": ("".join(sorted(kinds - {"null"})), node.format),
        "null": "null" in kinds,
        "enum": node.enum,
        "read_only": node.read_only,
        "required": rule,
    }


def _row_documented(row):
    return {
        "type": JSON_TYPES[row.type],
        "null": False,
        "enum": frozenset(row.enum),
        "read_only": row.read_only,
        "required": row.required,
    }


def _differences(call, *, rows, node):
    """Return path and property of everything on which rows and specification differ."""
    documented = dict(_flat(node))
    ours = {".".join(row.path): row for row in rows}
    for path, meaning in documented.items():
        if path in ours:
            mine = _row_documented(ours[path])
            yield from ((path, part) for part in meaning if meaning[part] != mine[part])
        elif not any(other.startswith(f"{path}.") for other in ours):
            yield path, "no row"
    for path, row in ours.items():
        if ("SPEC-AUG" in row.source.split("; ")) != (path in documented):
            yield path, "not in the specification" if path not in documented else "not cited"


def _allowed(call):
    return {(path, part) for name, path, part, _ in DEVIATIONS if name in ("*", call)}


def _pipelines(name):
    document = _document("pipelines-openapi.json")
    schema = document["components"]["schemas"][name]
    if name == "track":
        schema = schema["oneOf"][0]
    return _resolve(schema, document)


SCHEMAS = {
    "identify": "identify",
    "track": "track",
    "page": "page",
    "screen": "screen",
    "group": "group",
    "alias": "alias_all",
}


@pytest.mark.parametrize(("call", "schema"), SCHEMAS.items(), ids=SCHEMAS)
def test_rows_and_specification_say_the_same(call, schema):
    """Paths, types, enumerations, read-only and required agree both ways, but for the list."""
    differences = set(_differences(call, rows=CALLS[call].fields, node=_pipelines(schema)))
    assert differences - _allowed(call) == set()


def test_every_listed_deviation_is_one():
    """A deviation that the specification no longer causes leaves the list."""
    nodes = {call: (CALLS[call].fields, _pipelines(name)) for call, name in SCHEMAS.items()}
    nodes["batch"] = (BATCH_FIELDS, _batch_envelope())
    nodes["form"] = (_form_rows(), _form_node())
    differences = {(call, *each) for call, (rows, node) in nodes.items() for each in _differences(call, rows=rows, node=node)}  # fmt: skip
    for call, path, part, _ in DEVIATIONS:
        callers = SCHEMAS if call == "*" else (call,)
        assert any((name, path, part) in differences for name in callers), (call, path, part)


def _batch_envelope():
    node = _pipelines("batch")
    node.keys["batch"] = Node(types=frozenset(["array"]))
    node.keys["context"] = Node(types=frozenset(["object"]))
    return node


def test_the_batch_envelope_says_the_same():
    """The keys around the messages agree; what they mean is contradicted (C19, C20)."""
    differences = set(_differences("batch", rows=BATCH_FIELDS, node=_batch_envelope()))
    assert differences - _allowed("batch") == set()


def test_items_of_a_batch_are_the_calls():
    """Every field of every kind of item is a row of the call its type names; alias is added (C19)."""
    document = _document("pipelines-openapi.json")
    kinds = document["components"]["schemas"]["batch"]["properties"]["batch"]["items"]["anyOf"]
    seen = set()
    for kind in kinds:
        node = _resolve(kind, document)
        (call,) = node.keys["type"].enum
        rows = {".".join(row.path) for row in CALLS[call].fields}
        parents = {path.rpartition(".")[0] for path in rows}
        assert {path for path, _ in _flat(node)} - rows - parents - _grandparents(rows) == set()
        seen.add(call)
    assert seen | {"alias"} == {name for name, call in CALLS.items() if call.batched}


def _grandparents(paths):
    return {path.rsplit(".", 2)[0] for path in paths}


def test_paths_and_hosts_are_those_of_the_specification():
    """Each Pipelines operation is a call or the batch, below the documented server."""
    document = _document("pipelines-openapi.json")
    bases = {server["url"].rstrip("/") for server in document["servers"]}
    ours = {call.path for call in CALLS.values() if call.api.name == "pipelines"} | {BATCH_PATH}
    assert ours == {f"/v1{path}" for path in document["paths"]}
    assert all(set(operation) == {"post"} for operation in document["paths"].values())
    assert bases <= {f"https://{row.host}/v1" for row in HOSTS if row.api == "pipelines"}


def test_sizes_are_those_of_the_specification():
    """The documented sizes, read in decimal kilobytes (C4, C6), are the limits."""
    text = _document("pipelines-openapi.json")["paths"]["/batch"]["post"]["description"]
    batch, message = re.search(r"(\d+)KB total per request and (\d+)KB per call", text).groups()
    assert LIMITS["batch_bytes_documented"].value == int(batch) * 1000
    assert LIMITS["message_bytes"].value == int(message) * 1000


def _semantic_nodes():
    document = _document("pipelines-openapi.json")
    for schema in document["components"]["schemas"]["track"]["oneOf"][1:]:
        node = _resolve(schema, document)
        (name,) = node.keys["event"].enum
        yield name, node


def test_semantic_events_are_those_of_the_specification():
    """The specification's event names are rows; only the application events are added (ACT)."""
    named = {name for name, _ in _semantic_nodes()}
    added = set(SEMANTIC_EVENTS) - named
    assert named <= set(SEMANTIC_EVENTS)
    assert added == {"Application Installed", "Application Opened", "Application Uninstalled"}


def test_fields_of_semantic_events_say_the_same():
    """Paths, types and enumerations of each event's own fields agree, both ways."""
    common = {".".join(row.path): row for row in CALLS["track"].fields}
    for name, node in _semantic_nodes():
        own = {".".join(row.path): row for row in SEMANTIC_EVENTS[name].fields}
        documented = {path: meaning for path, meaning in _flat(node) if path != "event"}
        assert set(own) <= set(documented), name
        for path, meaning in documented.items():
            parent = any(other.startswith(f"{path}.") for other in common)
            row = own.get(path) or common.get(path)
            assert row or parent, (name, path)
            if row:
                assert JSON_TYPES[row.type] == meaning["type"], (name, path)
                assert set(row.enum) == meaning["enum"], (name, path)


def test_what_semantic_events_require():
    """What an event needs is what its schema requires, but for the list."""
    deviations = set()
    for name, node in _semantic_nodes():
        documented = {path for path in _required(node) if path != "event"}
        ours = {".".join(path) for path in SEMANTIC_EVENTS[name].requires}
        deviations |= {(name, path) for path in documented ^ ours}
    assert deviations == {(name, path) for name, path, _ in EVENT_DEVIATIONS}


def _required(node, path=()):
    """Yield the required places that require nothing further inside."""
    for key in sorted(node.required):
        inner = node.keys.get(key, Node())
        if inner.required:
            yield from _required(inner, (*path, key))
        elif "object" not in inner.types:
            yield ".".join((*path, key))


def _form_operation():
    document = _document("track-openapi.json")
    return document, document["paths"][CALLS["form"].path]["post"]


def _form_node():
    document, operation = _form_operation()
    return _resolve(operation["requestBody"]["content"]["application/json"]["schema"], document)


def _form_rows():
    return [row for row in CALLS["form"].fields if row.path[0] == "data"]


def test_the_form_body_says_the_same():
    """The body of a submission agrees with its schema, both ways, but for the list."""
    documented = dict(_flat(_form_node()))
    ours = {".".join(row.path): row for row in _form_rows()}
    assert set(documented) == set(ours)
    allowed = {(path, part) for call, path, part, _ in DEVIATIONS if call == "form"}
    for path, meaning in documented.items():
        mine = _row_documented(ours[path])
        differing = {(path, part) for part in ("type", "enum", "read_only", "null") if meaning[part] != mine[part]}  # fmt: skip
        assert differing <= allowed, path


def test_a_form_needs_one_identifier():
    """Each variant of the body requires one identifier, which the rows put in one group (C27)."""
    data = _form_node().keys["data"]
    grouped = {row.path[-1] for row in _form_rows() if row.required == "one-of:person"}
    assert data.required == frozenset()
    assert data.sometimes == grouped == {"email", "id"}


def test_the_form_id_travels_in_the_path():
    """The one path parameter is the form's id, a required string."""
    _, operation = _form_operation()
    (parameter,) = operation["parameters"]
    (row,) = [row for row in CALLS["form"].fields if row.path == ("formId",)]
    assert f"{{{parameter['name']}}}" in CALLS["form"].path
    assert (parameter["in"], parameter["required"], row.required) == ("path", True, "always")
    assert parameter["schema"]["type"] == JSON_TYPES[row.type][0]


def test_reserved_form_keys_are_those_of_the_operation():
    """The keys that a form ignores are those the operation's text names."""
    _, operation = _form_operation()
    sentence = re.search(r"Customer\.io reserves (.*?) keys", operation["description"]).group(1)
    assert set(re.findall(r"`(\w+)`", sentence)) == set(FORM_RESERVED)


def test_track_hosts_and_region_path():
    """The forms hosts are the documented servers, and the region look-up exists there."""
    document = _document("track-openapi.json")
    documented = {server["url"] for server in document["servers"]}
    assert documented == {f"https://{row.host}" for row in HOSTS if row.api == "forms"}
    assert set(document["paths"][REGION_PATH]) == {"get"}
