"""Identity columns taken from prepared rows say exactly what the messages say."""

import json
from datetime import UTC
from decimal import Decimal
from urllib.parse import unquote

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.frames import ROW
from cio_frames.identity.messages import (
    COLUMNS,
    IdentityColumns,
    identity_columns,
    is_content_needed,
)
from cio_frames.mapping import CallArguments, resolve
from cio_frames.payloads import contents, encode, max_message_bytes
from cio_frames.spec import CALLS
from tests.identity.decoding import identity_of, needs_text

TEXTS = st.one_of(
    st.sampled_from(["u1", "", " ", "A@x.co", "a@x.co", "cio_1", "User Deleted", "Ä", '"\\\n\x00']),
    st.text(max_size=5),
)
JSON = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    TEXTS, st.lists(TEXTS, max_size=2), st.dictionaries(st.sampled_from("ab"), TEXTS),
).map(json.dumps)  # fmt: skip
VALUES = {
    "text": (pl.String(), TEXTS),
    "integer": (pl.Int64(), st.one_of(st.integers(-9, 9), st.integers(-(2**60), 2**60))),
    "small": (pl.UInt8(), st.integers(0, 255)),
    "float": (pl.Float64(), st.one_of(st.sampled_from([3.0, 1e-7, 1e22, 0.5]), st.floats())),
    "decimal": (
        pl.Decimal(30, 9),
        st.decimals(-(10**15), 10**15, places=9).filter(lambda value: value.is_finite()),
    ),
    "boolean": (pl.Boolean(), st.booleans()),
    "date": (pl.Date(), st.dates()),
    "moment": (pl.Datetime("us", "UTC"), st.datetimes(timezones=st.just(UTC))),
    "list": (pl.List(pl.String), st.lists(TEXTS, max_size=2)),
    "object": (pl.Struct({"a": pl.String}), st.fixed_dictionaries({"a": st.none() | TEXTS})),
    "category": (pl.Categorical(), TEXTS),
    "json": (pl.String(), JSON),
}
FIELDS = {
    "identify": (["user_id"], ["anonymous_id"]),
    "track": (["user_id", "event"], ["anonymous_id"]),
    "page": (["user_id"], ["anonymous_id", "name"]),
    "screen": (["user_id"], ["anonymous_id", "name"]),
    "group": (["group_id"], ["user_id", "anonymous_id", "object_type_id"]),
    "alias": (["user_id", "previous_id"], []),
    "form": (["form_id", "email"], ["id"]),
}
BODIES = {
    "identify": ["email", "id", "anonymous_id", "objectId", "objectTypeId", "object_type_id", "cio_id"],
    "track": ["objectId", "url"],
    "page": ["url", "name"],
    "screen": ["url"],
    "group": ["object_type_id", "cio_id", "plan"],
    "alias": [],
    "form": ["anonymous_id", "plan"],
}  # fmt: skip


@st.composite
def sent(draw, call):
    """Return a table and a mapping of one call: any columns, feeding any of its places."""
    rows = draw(st.integers(1, 4))
    needed, optional = FIELDS[call]
    shared = [] if call == "form" else ["timestamp", "message_id"]
    fields = needed + draw(st.lists(st.sampled_from([*optional, *shared, *needed]), unique=True))
    traits = draw(st.lists(st.sampled_from(BODIES[call]), unique=True)) if BODIES[call] else []
    columns, json_columns = {}, set()
    for name in {*fields, *(f"body {trait}" for trait in traits)}:
        often = ["text"] * 6 if name != "timestamp" else ["moment"] * 6
        kind = draw(st.sampled_from([*often, *VALUES]))
        if kind == "json" and name in ("timestamp", "message_id"):
            kind = "text"
        dtype, values = VALUES[kind]
        cells = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        columns[name] = pl.Series(name, cells, dtype=dtype, strict=False)
        json_columns |= {name} if kind == "json" else set()
    frame = pl.DataFrame(columns).with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
    ask = CallArguments(
        fields={name: name for name in fields},
        body={trait: f"body {trait}" for trait in traits} if BODIES[call] else None,
        nulls=draw(st.sampled_from(["omit", "send"])),
    )
    schema = pl.Schema({name: dtype for name, dtype in frame.schema.items() if name != ROW})
    return frame, resolve(
        ask, call=CALLS[call], schema=schema, json_columns=frozenset(json_columns)
    )


@pytest.mark.parametrize("call", FIELDS)
@settings(deadline=None)
@given(data=st.data())
def test_columns_say_what_the_messages_say(call, data):
    """Whatever columns feed a message, what is read from them is what is read from its JSON."""
    frame, mapping = data.draw(sent(call))
    prepared = mapping.prepare(frame)
    messages = encode(prepared, mapping)
    most = max_message_bytes(prepared, mapping)
    assert most is None or most >= messages["bytes"].max()
    for content, message in zip(contents(prepared, mapping), messages["message"], strict=True):
        whole = json.loads(message)
        whole.pop("messageId", None)
        assert json.loads(content) == whole
    left_out = data.draw(st.integers(0, messages.height - 1))
    messages = messages.filter(pl.col("row") >= left_out)

    columns = identity_columns(prepared, messages, mapping)

    assert columns.schema == COLUMNS
    rows = prepared.filter(pl.col(ROW) >= left_out)
    needed = pl.when(is_content_needed(rows, mapping)).then("message").alias("message")
    assert columns.equals(identity_columns(prepared, messages.with_columns(needed), mapping))
    assert columns["row"].to_list() == messages.sort("lane", "row")["row"].to_list()
    texts = dict(messages.select("row", "message").iter_rows())
    for row in columns.iter_rows(named=True):
        message = json.loads(texts[row["row"]])
        if call == "form":
            message["formId"] = form_of(frame, mapping, row["row"])
        wanted = identity_of(message, call)
        assert {name: row[name] for name in wanted} == wanted, texts[row["row"]]
        assert row["text"] in (None, texts[row["row"]])
        assert row["text"] is not None or not needs_text(message, call)


def form_of(frame, mapping, row):
    """Return the form that a row is sent to, as its path says."""
    one = mapping.prepare(frame.filter(pl.col(ROW) == row))
    path = encode(one, mapping)["path"].item()
    before, after = CALLS["form"].path.split("{form_id}")
    return unquote(path.removeprefix(before).removesuffix(after))


def columns_of_all(frame, mapping):
    """Return the identity columns of all rows of a table, whatever the checks say of them."""
    prepared = mapping.prepare(frame.with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64)))
    return identity_columns(prepared, encode(prepared, mapping), mapping)


def test_times_beyond_what_can_be_written_are_no_times():
    """A year of five digits is no time: the event counts as of now, as its message does."""
    moments = pl.Series("at", [0, 10**15], dtype=pl.Int64).cast(pl.Datetime("ms", "UTC"))
    frame = pl.DataFrame({"u": ["u1", "u2"], "at": moments})
    plan = frame.cio.track(event=cio.lit("View"), user_id="u", timestamp="at")

    columns = columns_of_all(frame, plan.pipeline.mapping)

    assert columns.sort("row")["at"].to_list() == [0, None]


def test_a_number_of_the_year_0_is_no_time():
    """A number of seconds before the year 1 is written as a time that nobody reads."""
    frame = pl.DataFrame({"u": ["u1", "u2"], "at": [-62_135_596_801.0, -62_135_596_800.0]})
    plan = frame.cio.track(event=cio.lit("View"), user_id="u", timestamp="at")

    columns = columns_of_all(frame, plan.pipeline.mapping)

    assert columns.sort("row")["at"].to_list() == [None, -62_135_596_800]


def test_only_what_acts_by_more_than_its_identifiers_keeps_its_json():
    """Groups, aliases, forms and odd identifies are read from columns; reserved names are not."""
    frame = pl.DataFrame({"id": ["u1", "u2"], "to": ["u3", "u4"], "objectId": ["g1", None]})
    frame = frame.with_columns(name=pl.Series(["User Deleted", "View"]))
    plans = {
        "group": frame.cio.group(group_id="to", user_id="id"),
        "alias": frame.cio.alias(previous_id="id", user_id="to"),
        "form": frame.cio.form(form_id=cio.lit("f"), id="id", fields=["to"]),
        "identify": frame.cio.identify(user_id="id"),
        "track": frame.cio.track(event="name", user_id="id", properties=[]),
    }

    kept = {
        call: columns_of_all(frame, plan.pipeline.mapping)
        .sort("row")["text"]
        .is_not_null()
        .to_list()
        for call, plan in plans.items()
    }

    assert kept.pop("track") == [True, False]
    assert set(map(tuple, kept.values())) == {(False, False)}


def test_simple_messages_need_no_model():
    """Plain tables of people and events take the short way; what is special does not."""
    people = pl.DataFrame({"id": ["u1", "cio_2", "u3"], "email": ["a@x.co", None, "b@x.co"]})
    events = pl.DataFrame({"id": ["u1", None, "u2"], "v": ["v1", "v2", None]})
    names = pl.Series("name", ["View", "注文", "User Deleted"])
    plans = [
        people.cio.identify(user_id="id"),
        events.with_columns(names).cio.track(event="name", user_id="id", anonymous_id="v"),
    ]

    for plan, kinds in zip(
        plans,
        [["identifies", "others", "identifies"], ["events", "anonymous_events", "others"]],
        strict=True,
    ):
        columns = columns_of_all(plan.pipeline.table.lazy.collect(), plan.pipeline.mapping)
        assert columns.sort("row")["kind"].to_list() == kinds
        parts = IdentityColumns.from_columns(columns, plan=0, first=5)
        assert sorted(n for frame in parts.frames() for n in frame["number"]) == [5, 6, 7]


def test_decimals_and_small_floats_are_read_as_json_numbers_are():
    """A number that is no whole one is an identifier as its JSON reads, not as its column does."""
    frame = pl.DataFrame({"id": ["u1"], "n": [1e-7], "d": [Decimal("0.0000001")]})
    plan = frame.cio.identify(user_id="id", traits={"id": "n", "email": "d"})

    columns = columns_of_all(frame, plan.pipeline.mapping)

    assert columns.select("id", "email").row(0) == ("1e-07", "1e-07")
