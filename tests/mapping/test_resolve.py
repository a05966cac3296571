"""The arguments of a verb become the fields of a message, or an error that says what to do."""

import inspect
from typing import Any

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import (
    ColumnNotFoundError,
    FieldConflictError,
    MappingError,
    NoIdentifierError,
)
from cio_frames.frames import ROW
from cio_frames.mapping import CallArguments, MessageMapping, resolve
from cio_frames.spec import CALLS

SCHEMA = pl.Schema(
    {
        "id": pl.String(), "email": pl.String(), "n": pl.Int64(), "at": pl.Datetime("us"),
        "tags": pl.List(pl.String()), "a.b": pl.String(), "box": pl.Struct({"x": pl.Int64()}),
    }
)  # fmt: skip


def mapped(call: str = "identify", *, schema: Any = SCHEMA, **asked: Any) -> MessageMapping:
    """Return the mapping of a call; fields are given as `fields`, the rest as `CallArguments` takes it."""
    return resolve(CallArguments(**asked), call=CALLS[call], schema=pl.Schema(schema))


def places(mapping: MessageMapping) -> dict[str, str | None]:
    """Return the place of every field, and its column."""
    return {".".join(field.path) or field.name: field.column for field in mapping.fields}


BY_ID = {"user_id": "id"}
ERRORS = {
    "unknown-column": (
        {"fields": {"user_id": "idd"}}, ColumnNotFoundError, "Did you mean 'id'?",
    ),
    "unknown-column-far-away": (
        {"fields": {"user_id": "zzz"}}, ColumnNotFoundError, "Columns: id, email, n",
    ),
    "a-constant-without-lit": (
        {"fields": {"user_id": "Order Completed"}}, ColumnNotFoundError, "cio.lit('Order Completed')",
    ),
    "the-row-number": ({"fields": {"user_id": ROW}}, ColumnNotFoundError, "is not a column"),
    "a-number": ({"fields": {"user_id": 5}}, MappingError, "cio.lit(5)"),
    "an-expression-of-an-unknown-column": (
        {"fields": {"user_id": pl.col("ix") + "x"}}, ColumnNotFoundError, "user_id='ix'",
    ),
    "an-expression-of-many-columns": ({"fields": {"user_id": pl.all()}}, MappingError, "several"),
    "an-expression-of-the-wrong-type": (
        {"fields": {"user_id": pl.col("n").str.to_lowercase()}}, MappingError, "does not fit",
    ),
    "an-expression-of-an-unknown-member": (
        {"fields": {"user_id": pl.col("box").struct.field("y")}}, MappingError, "does not fit",
    ),
    "unknown-trait": ({"fields": BY_ID, "body": ["emial"]}, ColumnNotFoundError, "'email'"),
    "traits-as-text": ({"fields": BY_ID, "body": "email"}, MappingError, "not a list"),
    "traits-as-number": ({"fields": BY_ID, "body": 3}, MappingError, "not a list"),
    "a-trait-of-a-number": ({"fields": BY_ID, "body": {"x": 3}}, MappingError, "cio.lit(3)"),
    "doubled-trait": ({"fields": BY_ID, "body": ["n", "n"]}, FieldConflictError, "traits.n"),
    "a-trait-inside-another": (
        {"fields": BY_ID, "body": {"a": "n", "a.b": "email"}}, FieldConflictError, "'n' and 'email'",
    ),
    "a-trait-deep-inside-another": (
        {"fields": BY_ID, "body": {"a.b.c": "n", "a": "email"}}, FieldConflictError, "would both be sent as traits.a",
    ),
    "context-of-numbers": ({"fields": BY_ID, "context": "n"}, MappingError, "column of Int64"),
    "context-of-nothing": ({"fields": BY_ID, "context": "nn"}, ColumnNotFoundError, "context='nn'"),
    "context-as-number": ({"fields": BY_ID, "context": 3}, MappingError, "not a list"),
    "integrations-of-numbers": (
        {"fields": BY_ID, "integrations": "n"}, MappingError, "integrations={field: 'n'}",
    ),
    "mapping-of-a-form-as-list": (
        {"fields": BY_ID, "mapping": ["email"]}, MappingError, "not a dict of form field",
    ),
    "unknown-dots": ({"fields": BY_ID, "dots": "flat"}, MappingError, '"nest" or "keep"'),
    "dots-of-an-unknown-column": (
        {"fields": BY_ID, "dots": {"nn": "keep"}}, ColumnNotFoundError, "dots='nn'",
    ),
    "unknown-context": ({"fields": BY_ID, "context": {"ip": "ipp"}}, ColumnNotFoundError, "context="),
    "context-inside-context": (
        {"fields": BY_ID, "context": {"page": "n", "page.url": "id"}}, FieldConflictError, "page",
    ),
    "integrations-as-list": (
        {"fields": BY_ID, "integrations": ["Slack"]}, MappingError, "not a dict of destination",
    ),
    "unknown-integration": (
        {"fields": BY_ID, "integrations": {"Slack": "nn"}}, ColumnNotFoundError, "integrations=",
    ),
    "unknown-key": ({"fields": BY_ID, "key": ["id", "order"]}, ColumnNotFoundError, "key='order'"),
    "key-as-expression": ({"fields": BY_ID, "key": pl.col("n")}, MappingError, "key="),
    "key-of-numbers": ({"fields": BY_ID, "key": [1]}, MappingError, "key="),
    "unknown-policy": ({"fields": BY_ID, "nulls": "keep"}, MappingError, '"omit" or "send"'),
    "unknown-policy-of-a-column": (
        {"fields": BY_ID, "nulls": {"n": "keep"}}, MappingError, '"omit" or "send"',
    ),
    "policy-of-an-unknown-column": (
        {"fields": BY_ID, "nulls": {"nn": "send"}}, ColumnNotFoundError, "nulls='nn'",
    ),
    "zone-in-lower-case": (
        {"fields": BY_ID, "timezone": "europe/berlin"}, MappingError, "'Europe/Berlin'",
    ),
    "zone-as-city": ({"fields": BY_ID, "timezone": "New York"}, MappingError, "'America/New_York'"),
    "zone-of-nowhere": ({"fields": BY_ID, "timezone": "q"}, MappingError, "such as"),
    "zone-empty": ({"fields": BY_ID, "timezone": ""}, MappingError, "such as"),
    "hash-of-an-id": ({"fields": BY_ID, "hash": "id"}, MappingError, "would be another person"),
    "hash-of-nothing": ({"fields": BY_ID, "hash": ["q"]}, ColumnNotFoundError, "hash='q'"),
    "zone-as-number": ({"fields": BY_ID, "timezone": 2}, MappingError, "timezone=2"),
    "nobody": ({"fields": {}}, NoIdentifierError, 'user_id="column" or anonymous_id="column"'),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "error", "words"), ERRORS.values(), ids=ERRORS)
def test_errors_about_arguments_say_what_is_wrong_and_what_to_do(asked, error, words):
    """Each wrong argument has an error of its own kind, with a hint."""
    with pytest.raises(MappingError) as caught:
        mapped(**asked)

    assert type(caught.value) is error
    assert words in str(caught.value)


REQUIRED = {
    "track-without-event": ("track", BY_ID, "track needs event"),
    "track-without-person": ("track", {"event": "id"}, "track needs user_id"),
    "page-without-person": ("page", {"name": "id"}, "page needs user_id"),
    "screen-without-person": ("screen", {}, "screen needs user_id"),
    "group-without-group": ("group", BY_ID, "group needs group_id"),
    "alias-without-previous": ("alias", BY_ID, "alias needs previous_id"),
    "alias-without-kept": ("alias", {"previous_id": "id"}, "alias needs user_id"),
    "form-without-form": ("form", {"email": "email"}, "form needs form_id"),
    "form-without-person": ("form", {"form_id": "id"}, "form needs email"),
}


@pytest.mark.parametrize(("call", "fields", "words"), REQUIRED.values(), ids=REQUIRED)
def test_what_a_call_needs_is_asked_for(call, fields, words):
    """A call without what it cannot do without is refused, with the argument to add."""
    with pytest.raises(MappingError, match=words):
        mapped(call, fields=fields)


MANY_ROWS = {
    "sum": pl.col("n").sum(),
    "difference-from-mean": pl.col("n") - pl.col("n").mean(),
    "over": pl.col("n").sum().over("id"),
    "running-sum": pl.col("n").cum_sum(),
    "shift": pl.col("n").shift(),
    "rank": pl.col("n").rank(),
    "filter": pl.col("n").filter(pl.col("n") > 1),
    "drop-nulls": pl.col("n").drop_nulls(),
    "unique": pl.col("n").unique(),
    "head": pl.col("n").head(1),
    "explode": pl.col("tags").explode(empty_as_null=False),
    "sort": pl.col("n").sort(),
    "count-of-rows": pl.len(),
    "row-number": pl.int_range(pl.len()),
    "series": pl.lit(pl.Series(["a", "b"])),
    "when-of-aggregate": pl.when(pl.col("n") == pl.col("n").max()).then(pl.lit("x")),
    "times-without-a-format": pl.col("id").str.to_datetime(),
}


@pytest.mark.parametrize("expr", MANY_ROWS.values(), ids=MANY_ROWS)
@pytest.mark.parametrize("place", ["field", "body"])
def test_expressions_over_several_rows_are_refused(expr, place):
    """What looks at other rows would depend on the chunk it stands in, so it is no mapping."""
    asked: dict[str, Any] = (
        {"fields": {"user_id": expr}}
        if place == "field"
        else {"fields": BY_ID, "body": {"x": expr}}
    )

    with pytest.raises(MappingError, match="several rows at once"):
        mapped(**asked)


ROW_BY_ROW = {
    "column": pl.col("n"),
    "arithmetic": pl.col("n") * 2 + 1,
    "text": pl.col("id").str.strip_chars().str.to_lowercase(),
    "format": pl.format("{}-{}", "id", "n"),
    "when": pl.when(pl.col("n") > 1).then(pl.lit("x")).otherwise("id"),
    "coalesce": pl.coalesce("email", "id"),
    "cast": pl.col("id").cast(pl.Int64),
    "parse": pl.col("id").str.to_datetime("%Y"),
    "strftime": pl.col("at").dt.strftime("%Y"),
    "member": pl.col("box").struct.field("x"),
    "struct": pl.struct("id", "n"),
    "list-eval": pl.col("tags").list.eval(pl.element().str.to_uppercase()),
    "list-sum": pl.col("tags").list.len(),
    "horizontal": pl.sum_horizontal("n", "n"),
    "replace": pl.col("n").replace_strict({1: "a"}, default="b"),
    "own-function": pl.col("id").map_elements(str.upper, return_dtype=pl.String),
    "constant": pl.lit("x"),
    "constant-list": pl.lit([1, 2]),
    "renamed": pl.col("n").alias("other"),
}


@pytest.mark.filterwarnings("ignore::polars.exceptions.PolarsInefficientMapWarning")
@pytest.mark.parametrize("expr", ROW_BY_ROW.values(), ids=ROW_BY_ROW)
def test_expressions_row_by_row_are_taken(expr):
    """An expression that gives each row its own value is taken as it is."""
    mapping = mapped(fields=BY_ID, body={"x": expr})
    field = mapping.fields[-1]

    assert field.path == ("traits", "x")
    assert field.column is None
    assert field.how == ("expression" if expr.meta.root_names() else "constant")


def test_names_that_are_patterns_are_columns():
    """A column whose name means something to polars is that column and no other."""
    frame = pl.DataFrame({"id": ["u"], "*": [1], "^a.*$": [2], "abc": [3]})

    assert frame.cio.identify(user_id="id").payloads()[0]["traits"] == {
        "*": 1, "abc": 3, "^a": {"*$": 2},
    }  # fmt: skip


def test_traits_default_to_every_column_left():
    """Without a list the traits are the columns that feed nothing else, by their names."""
    mapping = mapped(fields={"user_id": "id", "timestamp": "at"}, key=["n"])

    assert places(mapping) == {
        "userId": "id", "timestamp": "at", "traits.email": "email", "traits.n": "n",
        "traits.tags": "tags", "traits.a.b": "a.b", "traits.box": "box", "key:n": "n",
    }  # fmt: skip
    assert mapping.unused == ()


def test_a_list_of_traits_leaves_the_others_unused():
    """Columns that are not listed are not sent, and the mapping says which."""
    mapping = mapped(fields=BY_ID, body=["n"])

    assert places(mapping) == {"userId": "id", "traits.n": "n"}
    assert mapping.unused == ("email", "at", "tags", "a.b", "box")


def test_a_dict_of_traits_renames():
    """A dict gives each trait its column or expression, and dots in its names nest."""
    mapping = mapped(fields=BY_ID, body={"plan.name": "n", "plan.kind": cio.lit("x"), "copy": "id"})

    assert places(mapping) == {
        "userId": "id", "traits.plan.name": "n", "traits.plan.kind": None, "traits.copy": "id",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expr", "kept", "left"),
    [
        (pl.format("{}-{}", "id", "n"), {"n", "email"}, {"id"}),
        (pl.coalesce("id", "email"), {"n", "email"}, {"id"}),
        (pl.col("email").str.to_lowercase(), {"n", "email"}, set()),
        (pl.col("n").cast(pl.String), {"email"}, {"n"}),
    ],
)
def test_columns_inside_expressions_stay_what_they_are(expr, kept, left):
    """An expression takes its only column and the one named like its field; others stay traits."""
    traits = {place.removeprefix("traits.") for place in places(mapped(fields={"user_id": expr}))}

    assert kept <= traits
    assert not left & traits


@pytest.mark.parametrize("named", [{}, {"user_id": "email"}])
def test_a_column_named_like_a_place_of_the_call_is_taken(named):
    """A column objectTypeId is the type of the objects, whatever else the verb names."""
    schema = {"id": pl.String(), "email": pl.String(), "objectTypeId": pl.Int64()}

    mapping = mapped("group", schema=schema, fields={"group_id": "id", **named})

    assert mapping.find("object_type_id").column == "objectTypeId"
    assert mapping.unused == ()


@pytest.mark.parametrize("column", ["email", "E-Mail", "user_email"])
def test_people_named_by_their_address_keep_it_as_a_trait(column):
    """Where user_id is a column of addresses by its name, traits.email holds it too."""
    mapping = mapped(schema={column: pl.String(), "n": pl.Int64()}, fields={"user_id": column})

    assert places(mapping)["traits.email"] == column


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"fields": {"user_id": "id"}}, id="not-an-address"),
        pytest.param({"fields": {"anonymous_id": "email"}}, id="anonymous"),
        pytest.param({"fields": {"user_id": pl.col("email")}}, id="expression"),
        pytest.param({"fields": {"user_id": "email"}, "body": []}, id="traits-listed"),
    ],
)
def test_otherwise_no_trait_is_added(asked):
    """No trait is made out of an identifier unless its column is named like an address."""
    mapping = mapped(schema={"id": pl.String(), "email": pl.String()}, **asked)

    assert not any(field.reason for field in mapping.fields)


def test_events_get_no_email_trait():
    """An event has no traits, so none is added for it."""
    mapping = mapped("track", fields={"user_id": "email", "event": "id"}, body=None)

    assert "traits.email" not in places(mapping)


def test_group_places():
    """Object type and relationship go where the workspace reads them: inside the traits."""
    mapping = mapped(
        "group",
        fields={"group_id": "id", "user_id": "email", "object_type_id": cio.lit(2)},
        relationship={"role": "n"},
        body=["tags"],
    )

    assert places(mapping) == {
        "groupId": "id", "userId": "email", "traits.objectTypeId": None, "traits.tags": "tags",
        "traits.relationshipAttributes.role": "n",
    }  # fmt: skip


def test_a_trait_in_the_place_of_the_object_type_is_a_conflict():
    """Two things for one place are refused, also where one of them is an argument."""
    with pytest.raises(FieldConflictError, match=r"traits\.objectTypeId"):
        mapped(
            "group",
            fields={"group_id": "id", "object_type_id": "n"},
            body={"objectTypeId": "email"},
        )


def test_context_and_integrations_go_on_the_message():
    """Context nests by dots, names of integrations do not."""
    mapping = mapped(
        fields=BY_ID,
        body=[],
        context={"page.url": "email", "ip": cio.lit("192.0.2.1")},
        integrations={"All": False, "Google.Ads": "n"},
    )

    assert [field.path for field in mapping.fields[1:]] == [
        ("context", "page", "url"), ("context", "ip"),
        ("integrations", "All"), ("integrations", "Google.Ads"),
    ]  # fmt: skip


def test_context_as_a_list_takes_the_names():
    """A list of columns fills the context by their names."""
    assert places(mapped(fields=BY_ID, body=[], context=["n"]))["context.n"] == "n"


@pytest.mark.parametrize(
    ("named", "left_out"), [("email", "id"), ("id", "email")], ids=["by-email", "by-id"]
)
def test_forms_hold_one_identifier(named, left_out):
    """A column in the place of the other identifier is not sent: two would be refused."""
    schema = {"id": pl.String(), "email": pl.String(), "n": pl.Int64()}
    mapping = mapped("form", schema=schema, fields={named: named, "form_id": cio.lit("f")})

    assert places(mapping) == {f"data.{named}": named, "formId": None, "data.n": "n"}
    assert mapping.unused == (left_out,)


def test_names_of_forms_do_not_nest():
    """Form fields are texts, so a dot in their name stays a dot."""
    schema = {"email": pl.String(), "address.city": pl.String()}
    mapping = mapped("form", schema=schema, fields={"email": "email", "form_id": cio.lit("f")})

    assert mapping.fields[-1].path == ("data", "address.city")


def test_dots_are_kept_on_request():
    """A dot stays in the name of all columns, or of some; a place of the context nests always."""
    schema = {"id": pl.String(), "a.b": pl.String(), "c.d": pl.String()}
    context = {"page.url": "c.d"}

    everywhere = mapped(schema=schema, fields=BY_ID, dots="keep", context=context)
    some = mapped(schema=schema, fields=BY_ID, dots={"a.b": "keep"})
    others = mapped(schema=schema, fields=BY_ID, dots={"*": "keep", "c.d": "nest"})
    renamed = mapped(schema=schema, fields=BY_ID, body={"x.y": "a.b"}, dots="keep")

    assert [field.path for field in everywhere.fields[1:]] == [
        ("traits", "a.b"), ("context", "page", "url"),
    ]  # fmt: skip
    assert [field.path for field in some.fields[1:]] == [("traits", "a.b"), ("traits", "c", "d")]
    assert [field.path for field in others.fields[1:]] == [("traits", "a.b"), ("traits", "c", "d")]
    assert [field.path for field in renamed.fields[1:]] == [("traits", "x.y")]


def test_context_and_integrations_may_be_one_column_each():
    """Each value inside the structs has its place and its checks, and the column is no trait."""
    page = pl.Struct({"url": pl.String, "keywords": pl.List(pl.String)})
    schema = {
        "id": pl.String(), "n": pl.Int64(), "ctx": pl.Struct({"ip": pl.String, "page": page}),
        "sent_to": pl.Struct({"All": pl.Boolean, "Slack": pl.Struct({"channel": pl.String})}),
    }  # fmt: skip

    mapping = mapped(schema=schema, fields=BY_ID, context="ctx", integrations="sent_to")

    assert [field.path for field in mapping.fields[1:]] == [
        ("traits", "n"), ("context", "ip"), ("context", "page", "url"),
        ("context", "page", "keywords"), ("integrations", "All"), ("integrations", "Slack"),
    ]  # fmt: skip
    assert mapping.unused == ()


def test_subscription_preferences_stay_flat():
    """One topic is changed by its dotted key; nested, it would replace all others."""
    name = "cio_subscription_preferences.topics.topic_1"
    mapping = mapped(schema={"id": pl.String(), name: pl.Boolean()}, fields=BY_ID)

    assert mapping.fields[-1].path == ("traits", name)


def test_policies_of_empty_cells_are_per_column():
    """The policy of empty cells can be set for all columns, or for some."""
    everywhere = mapped(fields=BY_ID, nulls="send")
    some = mapped(fields=BY_ID, nulls={"n": "send"})

    assert {field.nulls for field in everywhere.fields if field.role == "body"} == {"send"}
    assert [field.column for field in some.fields if field.nulls == "send"] == ["n"]
    assert everywhere.fields[0].nulls == "omit"


def test_the_mapping_has_the_source_of_each_field():
    """The description has a line for each field, with how it was mapped."""
    mapping = mapped("track", fields={"user_id": "id", "event": cio.lit("E")}, body={"x": "n"})

    assert [tuple(line.values()) for line in mapping.describe()] == [
        ("userId", "id", "named", ""),
        ("event", "(constant)", "constant", ""),
        ("properties.x", "n", "named", ""),
    ]


def test_preparing_keeps_the_rows():
    """A prepared frame has the row number and one column per field, and as many rows as before."""
    frame = pl.DataFrame({ROW: [5, 6], "id": ["u", "v"], "n": [1, 2]})
    mapping = mapped(
        schema=frame.schema, fields={"user_id": "id"}, body={"x": cio.lit(1), "n": "n"}
    )

    prepared = mapping.prepare(frame)

    assert prepared.rows() == [(5, "u", 1, 1), (6, "v", 1, 2)]
    assert prepared.columns == [ROW, "user_id", "body:traits.x", "body:traits.n"]
    assert mapping.prepare(frame.lazy()).collect().equals(prepared)


def test_every_argument_has_a_case():
    """The cases above use every attribute of `CallArguments`."""
    used = {name for asked, _, _ in ERRORS.values() for name in asked} | {"relationship"}

    assert used == set(inspect.signature(CallArguments).parameters)
