"""The rows are complete, consistent and cannot be changed."""

import re
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import get_args

import pytest

from cio_frames import spec
from cio_frames.config import Credentials
from cio_frames.spec import (
    APIS,
    BATCH_FIELDS,
    CALLS,
    CONTEXT,
    FORM_RESERVED,
    HOSTS,
    IDENTIFIERS,
    LIMITS,
    LINKING_CALLS,
    OPERATIONS,
    OVERRIDE_PROPERTIES,
    RESERVED_TRAITS,
    SEMANTIC_EVENTS,
    STRIPPED_TRAITS,
    FieldType,
)

TAG = re.compile(
    r"SPEC-AUG|APP|SPEC-SEP|SEED-(API|HTTP|FORMS|INT)|TRACK|ACT|PY|GO|NODE|NODE-CDP|WILD|DOC:\S+|C\d{1,2}"
)

ARGUMENTS = {
    "identify": {"user_id", "anonymous_id", "traits"},
    "track": {"event", "user_id", "anonymous_id", "group_id", "properties"},
    "page": {"name", "user_id", "anonymous_id", "properties"},
    "screen": {"name", "user_id", "anonymous_id", "properties"},
    "group": {"group_id", "user_id", "anonymous_id", "object_type_id", "traits", "relationship"},
    "alias": {"previous_id", "user_id"},
    "form": {"form_id", "email", "id", "fields"},
    "form_action": {"form_id", "email", "id", "fields"},
}
ENVELOPE = {"timestamp", "context", "integrations", "message_id"}

TABLES = {name: call.fields for name, call in CALLS.items()} | {
    "batch": BATCH_FIELDS,
    "context": CONTEXT,
    **{name: event.fields for name, event in SEMANTIC_EVENTS.items() if event.fields},
}
tables = pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES)
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@tables
def test_every_path_of_a_table_is_there_once(rows):
    """No two rows of a call speak of the same place."""
    paths = [row.path for row in rows]
    assert len(paths) == len(set(paths))
    assert all(path and all(path) for path in paths)


@tables
def test_a_star_stands_last_and_below_something(rows):
    """Any further key is a key of a named object."""
    for row in rows:
        assert "*" not in row.path[:-1], row.path
        assert row.path != ("*",)


@tables
def test_types_and_rules_are_known(rows):
    """Every row uses a type and a required rule that the other rooms understand."""
    for row in rows:
        assert row.type in get_args(FieldType), row.path
        assert re.fullmatch(r"always|never|one-of:[a-z]+", row.required), row.path


@tables
def test_enumerations_are_distinct_words_of_text(rows):
    """Only text is enumerated, and no value twice."""
    for row in rows:
        assert not row.enum or row.type == "text", row.path
        assert len(row.enum) == len(set(row.enum)), row.path
        assert all(row.enum), row.path


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (("context", "channel"), {"browser", "server", "mobile"}),
        (("context", "device", "type"), {"android", "ios"}),
    ],
)
def test_enumerated_context_has_its_values(path, values):
    """The context's enumerations are those of the reference."""
    (row,) = [row for row in CONTEXT if row.path == path]
    assert set(row.enum) == values


@tables
def test_fields_that_the_server_sets_have_no_argument(rows):
    """A read-only field has no argument, no synonym and is never required."""
    read_only = [row for row in rows if row.read_only]
    for row in read_only:
        assert (row.argument, row.synonyms, row.required) == (None, (), "never"), row.path


@calls
def test_a_group_of_required_fields_has_at_least_two(call):
    """At least one of a single field would be `always`."""
    groups = [row.required for row in call.fields if row.required.startswith("one-of:")]
    assert all(groups.count(group) >= 2 for group in groups)


@calls
def test_each_argument_of_the_verb_fills_one_place(call):
    """Every argument of the design has one row in its call, and no row another argument."""
    fed = [row.argument for row in call.fields if row.argument]
    envelope = ENVELOPE if call.api.envelope else set()
    assert sorted(fed) == sorted(ARGUMENTS[call.name] | envelope)


ROWS = {
    **{f"{table} {'.'.join(row.path)}": row for table, rows in TABLES.items() for row in rows},
    **{f"call {row.name}": row for row in CALLS.values()},
    **{f"limit {row.name}": row for row in LIMITS.values()},
    **{f"host {row.host}": row for row in HOSTS},
    **{f"operation {row.name}": row for row in OPERATIONS.values()},
    **{f"event {row.name}": row for row in SEMANTIC_EVENTS.values()},
    **{
        f"name {row.of} {row.name}": row
        for names in (OVERRIDE_PROPERTIES, RESERVED_TRAITS, STRIPPED_TRAITS, FORM_RESERVED)
        for row in names.values()
    },
}


@pytest.mark.parametrize("kind", ["call", "limit", "host", "operation", "event", "name", *TABLES])
def test_every_row_has_known_sources(kind):
    """Each fact carries the tags it rests on, in one spelling, and none twice."""
    rows = {name: row for name, row in ROWS.items() if name.startswith(f"{kind} ")}
    assert rows
    for name, row in rows.items():
        tags = row.source.split("; ")
        assert all(TAG.fullmatch(tag) for tag in tags), name
        assert len(tags) == len(set(tags)), name
        assert not all(re.fullmatch(r"C\d+", tag) for tag in tags), name


def test_values_are_deeply_immutable():
    """Nothing reachable from a public table can be changed."""
    for name, row in ROWS.items():
        assert _is_frozen(row), name


def _is_frozen(value):
    if is_dataclass(value):
        with pytest.raises((FrozenInstanceError, AttributeError)):
            value.source = ""
        return all(_is_frozen(getattr(value, part.name)) for part in fields(value))
    if isinstance(value, tuple):
        return all(map(_is_frozen, value))
    return value is None or isinstance(value, str | int)


@pytest.mark.parametrize(
    "table",
    [
        CALLS,
        LIMITS,
        OPERATIONS,
        SEMANTIC_EVENTS,
        OVERRIDE_PROPERTIES,
        RESERVED_TRAITS,
        STRIPPED_TRAITS,
        FORM_RESERVED,
    ],
)
def test_mappings_cannot_be_changed_and_are_keyed_by_name(table):
    """A public mapping refuses assignment, and its keys are its rows' names."""
    assert isinstance(table, Mapping)
    assert table
    assert all(name == row.name for name, row in table.items())
    with pytest.raises(TypeError):
        table["more"] = None


def test_all_is_sorted_and_complete():
    """`__all__` is in order and names what the package imports, no more and no less."""
    constants = sorted(name for name in spec.__all__ if name.isupper())
    classes = sorted(name for name in spec.__all__ if name[0].isupper() and not name.isupper())
    functions = sorted(name for name in spec.__all__ if name.islower())
    assert spec.__all__ == constants + classes + functions
    modules = {
        "apis",
        "app_api",
        "calls",
        "column_words",
        "context",
        "fields",
        "identifiers",
        "limits",
        "names",
        "regions",
    }
    assert {name for name in vars(spec) if not name.startswith("_")} - modules == set(spec.__all__)


@calls
def test_the_body_is_a_field_of_the_call(call):
    """The object that holds the other columns is a row, with a row for any key below it."""
    paths = {row.path: row for row in call.fields}
    if call.body is not None:
        assert paths[(call.body,)].type == "object"
        assert (call.body, "*") in paths


@pytest.mark.parametrize("call", IDENTIFIERS)
def test_identifiers_are_places_of_their_call(call):
    """Each is a field of the call or any key below one, once, with a source; one is addressed."""
    rows = IDENTIFIERS[call]
    fields_ = {field.path for field in CALLS[call].fields}
    assert len({row.path for row in rows}) == len(rows)
    for row in rows:
        assert row.path in fields_ or (*row.path[:-1], "*") in fields_
        assert all(TAG.fullmatch(tag) for tag in row.source.split("; "))
        assert _is_frozen(row)
    assert any(row.addressed for row in rows)


def test_every_call_with_a_verb_has_identifiers():
    """No call is left out, and those that link are calls."""
    assert set(IDENTIFIERS) == set(CALLS) - {"form_action"}
    assert set(IDENTIFIERS) > LINKING_CALLS


def test_an_api_names_what_there_is():
    """The keys of an API are credentials, what limits its rate is a limit, and it has hosts.

    What is sent to has calls; what is read from has a key that is a token, and operations.
    """
    for name, api in APIS.items():
        assert name == api.name
        assert set(api.keys) <= {item.name for item in fields(Credentials)}
        assert api.rate_limit is None or api.rate_limit in LIMITS
        assert {row.region for row in HOSTS if row.api == name} == {"us", "eu"}
        assert (api in [call.api for call in CALLS.values()]) != api.reads
        assert (api.auth == "bearer") == api.reads
        assert len(api.keys) == 1 or not api.reads
        assert all(map(TAG.fullmatch, api.source.split("; ")))


def test_an_operation_reads():
    """Its path begins with the version, what it asks for at most is a limit, and no other asks the same."""
    assert len({(row.method, row.path) for row in OPERATIONS.values()}) == len(OPERATIONS)
    for row in OPERATIONS.values():
        assert re.fullmatch(r"/v1(/(\w+|\{(customer|export)_id\}))+", row.path)
        assert row.most is None or row.most in LIMITS
