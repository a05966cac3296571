"""What holds for every stream of messages."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.identity import Model, Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
USERS = ["u1", "u2", "U1", "a@example.com", "A@EXAMPLE.com", "b@example.com",
         "cio_c10000000001", "cio_c10000000002", "", None]  # fmt: skip
VISITORS = ["x", "y", None]
EVENTS = ["View", "User Deleted", "User Suppressed", "User Unsuppressed", "Object Deleted",
          "Relationship Deleted", "Application Opened"]  # fmt: skip

users = st.sampled_from(USERS)
visitors = st.sampled_from(VISITORS)
traits = st.fixed_dictionaries(
    {},
    optional={
        "id": users,
        "email": users,
        "plan": st.sampled_from(["pro", "", None]),
        "objectId": st.sampled_from(["g1", "g2"]),
    },
)
messages = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("identify"),
            "userId": users,
            "anonymousId": visitors,
            "traits": traits,
            "timestamp": st.sampled_from([None, "2026-01-01T00:00:00Z", "2026-02-01"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("track"),
            "userId": users,
            "anonymousId": visitors,
            "event": st.sampled_from(EVENTS),
            "properties": st.fixed_dictionaries({"objectId": st.sampled_from(["g1", "g2"])}),
            "context": st.just({"device": {"token": "t"}}),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("group"),
            "userId": users,
            "anonymousId": visitors,
            "groupId": st.sampled_from(["g1", "g2"]),
        }
    ),
    st.fixed_dictionaries({"type": st.just("alias"), "userId": users, "previousId": users}),
    st.fixed_dictionaries(
        {
            "type": st.just("form"),
            "formId": st.just("f"),
            "data": st.fixed_dictionaries({}, optional={"email": st.sampled_from(["a@example.com"]),
                                                        "id": st.sampled_from(["u1", "u2"])}),
        }
    ),
)  # fmt: skip
streams = st.lists(messages, max_size=30)
settings_ = st.builds(
    Settings,
    auto_merge=st.booleans(),
    anonymous_merge=st.booleans(),
    email_updates=st.booleans(),
    identifiers=st.sampled_from([("id", "email"), ("id",), ("email",)]),
    taken_identifier=st.sampled_from(["separate", "update", "rekey"]),
    event_for_unknown=st.sampled_from(["create", "drop"]),
    late_anonymous=st.sampled_from(["lost", "reidentify"]),
    merged_relationships=st.sampled_from(["move", "drop"]),
    alias_previous=st.sampled_from(["id", "id-or-anonymous"]),
    alias_unknown=st.sampled_from(["nothing", "create"]),
    object_type_place=st.sampled_from(["traits", "top"]),
)


def state(model):
    """Return everything a workspace holds, but for what it ignored."""
    return json.dumps(
        [
            model.people(), model.events(), model.objects(), model.relationships(),
            model.merges(), model.anonymous(), model.devices(), model.suppressed(), model.forms(),
        ],
        default=str,
    )  # fmt: skip


def applied(stream, settings=None):
    """Return the workspace after a stream, and the changes of every message."""
    model = Model(settings)
    changes = [
        model.apply(message, received_at=NOW + timedelta(minutes=number))
        for number, message in enumerate(stream)
    ]
    return model, changes


@given(streams, settings_)
def test_people_are_creations_less_merges_less_deletions(stream, settings):
    """Every person is accounted for by the changes, and every message has a change."""
    model, changes = applied(stream, settings)

    kinds = Counter(change.kind for message in changes for change in message)
    gone = kinds["merged"] + kinds["auto-merged"] + kinds["deleted"]
    assert len(model.people()) == kinds["created"] - gone
    assert all(changes)
    assert len(model.merges()) == kinds["merged"] + kinds["auto-merged"]


@given(streams, settings_)
def test_identifiers_belong_to_one_person_each(stream, settings):
    """No two people share an id, an e-mail (without case) or an anonymous id, and all have a key."""
    model, _ = applied(stream, settings)

    people = model.people()
    for kind in ("id", "email", "cio_id"):
        values = [
            row[kind].lower() if kind == "email" else row[kind] for row in people if row[kind]
        ]
        assert len(values) == len(set(values))
    anonymous = [value for row in people for value in row["anonymous_ids"]]
    assert len(anonymous) == len(set(anonymous))
    assert all(row["id"] or row["email"] for row in people)


@given(streams, settings_)
def test_everything_refers_to_what_exists(stream, settings):
    """Relationships, events and devices belong to people and objects that are there."""
    model, _ = applied(stream, settings)

    people = {row["cio_id"] for row in model.people()}
    objects = {(row["object_type_id"], row["object_id"]) for row in model.objects()}
    for row in model.relationships():
        assert (row["object_type_id"], row["object_id"]) in objects
        assert (row["person"] is None) != (row["anonymous_id"] is None)
        assert row["person"] is None or row["person"] in people
    for row in [*model.events(), *model.devices()]:
        assert row["person"] is None or row["person"] in people


@given(streams)
def test_a_message_id_is_applied_once(stream):
    """Sending everything twice changes nothing: the message ids were seen before."""
    stream = [
        {**message, "messageId": f"m{number}"}
        for number, message in enumerate(stream)
        if message["type"] != "form"
    ]
    once, _ = applied(stream)
    twice, changes = applied([*stream, *stream])

    assert state(twice) == state(once)
    assert [change.rule.name for message in changes[len(stream) :] for change in message] == (
        ["message.duplicate"] * len(stream)
    )


@pytest.mark.parametrize(("dedupe", "events"), [("calls", 1), ("events", 1), ("off", 2)])
def test_dedupe_is_a_setting(dedupe, events):
    """A repeated event counts twice only where nothing is deduplicated."""
    message = {"type": "track", "userId": "u1", "event": "View", "messageId": "m"}

    model, _ = applied([message, message], Settings(dedupe=dedupe))

    assert len(model.events()) == events


@given(streams, settings_)
def test_equal_streams_give_equal_workspaces(stream, settings):
    """The model has no clock and no chance: the same messages give the same workspace."""
    assert state(applied(stream, settings)[0]) == state(applied(stream, settings)[0])


@given(streams)
def test_a_message_is_never_changed(stream):
    """Applying a message leaves it as it was."""
    before = json.dumps(stream)

    applied(stream)

    assert json.dumps(stream) == before


@given(streams, users, users)
def test_alias_never_adds_people(stream, previous, user):
    """An alias call leaves as many people, or one less."""
    model, _ = applied(stream)
    before = len(model.people())

    model.apply({"type": "alias", "previousId": previous, "userId": user}, received_at=NOW)

    assert len(model.people()) in (before, before - 1)


@given(streams, st.sampled_from(["A@example.com", "a@EXAMPLE.COM", "a@example.com"]))
def test_an_email_in_any_case_reaches_the_same_person(stream, spelling):
    """How an e-mail is written does not matter for whom it reaches."""
    event = {"type": "track", "event": "View", "userId": spelling}
    plain = {**event, "userId": "a@example.com"}

    person = applied([*stream, event])[1][-1][-1].person

    assert person == applied([*stream, plain])[1][-1][-1].person


@given(streams, settings_)
def test_every_change_reads_as_a_sentence(stream, settings):
    """Each change has a sentence without a hole and cites its source."""
    _, changes = applied(stream, settings)

    for change in [change for message in changes for change in message]:
        assert "None" not in change.sentence
        assert change.source.startswith("reference ")


@given(streams)
def test_failures_are_the_changes_reported_as_failures(stream):
    """The list of failures holds every failed change with the number of its message."""
    model, changes = applied(stream)

    expected = [
        (number, change.rule.name)
        for number, message in enumerate(changes)
        for change in message
        if change.kind in {"attribute-failure", "ignored", "rejected"}
    ]
    assert [(row["number"], row["rule"]) for row in model.failures()] == expected
