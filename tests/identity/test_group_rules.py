"""Objects, relationships and forms."""

from datetime import UTC, datetime

import pytest

from cio_frames.identity import Model, Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def group(user=None, visitor=None, **traits):
    """Build a group call about the object g1."""
    return {
        "type": "group", "groupId": "g1", "userId": user, "anonymousId": visitor, "traits": traits,
    }  # fmt: skip


def event(name, user="u1", **properties):
    """Build a track call."""
    return {"type": "track", "event": name, "userId": user, "properties": properties}


def run(*messages, **settings):
    """Apply messages to a new workspace; returns it and the rules of the last message."""
    model = Model(Settings(**settings))
    changes = ()
    for message in messages:
        changes = model.apply(message, received_at=NOW)
    return model, [change.rule.name for change in changes]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(group(), "1", id="default"),
        pytest.param(group(objectTypeId="2"), "2", id="objectTypeId"),
        pytest.param(group(object_type_id=3, objectTypeId="2"), "3", id="object_type_id first"),
        pytest.param(group(object_type_id=None, objectTypeId="2"), "2", id="null is absent"),
    ],
)
def test_the_object_type_is_read_from_traits(message, expected):
    """The type of an object comes from its traits, in this order, else it is 1 (C17)."""
    model, applied = run(message)

    assert [row["object_type_id"] for row in model.objects()] == [expected]
    assert applied == ["object.created"]


@pytest.mark.parametrize("name", ["objectTypeId", "object_type_id"])
def test_an_object_type_beside_the_traits_is_not_read_and_is_reported(name):
    """A type at the top of a message is not that of the object, and a failure says so (C17)."""
    message = {**group(), name: "9"}

    model, applied = run(message)
    other, quiet = run(message, object_type_place="top")

    assert [row["object_type_id"] for row in model.objects()] == ["1"]
    assert applied == ["object.created", "object.type-aside"]
    assert [(row["rule"], row["subject"]) for row in model.failures()] == [
        ("object.type-aside", name)
    ]
    assert [row["object_type_id"] for row in other.objects()] == ["9"]
    assert quiet == ["object.created"]


def test_an_object_type_beside_the_properties_of_an_event_is_reported():
    """A deletion whose type stands at the top deletes the object of type 1, and a failure says so."""
    deleted = {**event("Object Deleted", objectId="g1"), "objectTypeId": 2}

    model, applied = run(group(objectTypeId="2"), deleted)

    assert applied == ["object.unknown", "object.type-aside"]
    assert len(model.objects()) == 1
    assert model.objects()[0]["attributes"] == {}


RELATED = {
    "3.5 without a person": ([group()], ["object.created"], []),
    "3.5 with a person": (
        [group("u1")],
        ["object.created", "person.created-by-group", "relationship.set"], [("c10000000001", None)]),
    "3.3 with a visitor": (
        [group(None, "x")], ["object.created", "relationship.anonymous"], [(None, "x")]),
    "3.3 with both, only the person": (
        [group("u1", "x")],
        ["object.created", "person.created-by-group", "relationship.set"], [("c10000000001", None)]),
    "3.3 a visitor's relationship carries over": (
        [group(None, "x"), {"type": "identify", "userId": "u1", "anonymousId": "x"}],
        ["person.created", "anonymous.linked", "relationship.carried"], [("c10000000001", None)]),
    "3.3 a known visitor is the person": (
        [{"type": "identify", "userId": "u1", "anonymousId": "x"}, group(None, "x")],
        ["object.created", "relationship.set"], [("c10000000001", None)]),
    "3.6 Relationship Deleted with an integer type": (
        [group("u1"), event("Relationship Deleted", objectId="g1", objectTypeId=1)],
        ["relationship.deleted"], []),
    "3.6 Relationship Deleted twice": (
        [group("u1"), event("Relationship Deleted", objectId="g1"),
         event("Relationship Deleted", objectId="g1")], ["relationship.unknown"], []),
    "3.6 Relationship Deleted without objectId": (
        [group("u1"), event("Relationship Deleted")],
        ["object.missing"], [("c10000000001", None)]),
    "3.6 Object Deleted takes the relationships": (
        [group("u1"), event("Object Deleted", "anyone", objectId="g1")], ["object.deleted"], []),
    "3.6 Object Deleted of another type": (
        [group("u1"), event("Object Deleted", objectId="g1", objectTypeId=2)],
        ["object.unknown"], [("c10000000001", None)]),
    "3.5 a deleted person is related to nothing": (
        [group("u1"), event("User Deleted")], ["person.deleted"], []),
    "3.5 objectId on identify": (
        [{"type": "identify", "userId": "u1", "traits": {"objectId": "g1"}}],
        ["person.created", "object.created", "relationship.set"], [("c10000000001", None)]),
    "3.4 a merge moves relationships": (
        [{"type": "identify", "userId": "u2"}, group("u1"),
         {"type": "alias", "userId": "u2", "previousId": "u1"}],
        ["alias.merged"], [("c10000000001", None)]),
    "2.5 a group needs groupId": (
        [{"type": "group", "userId": "u1"}], ["object.missing"], []),
    "3.2 row 7: a suppressed person": (
        [event("User Suppressed"), group("u1")], ["identifier.suppressed"], []),
}  # fmt: skip


@pytest.mark.parametrize(("messages", "rules", "related"), RELATED.values(), ids=RELATED.keys())
def test_relationships_follow_the_rule(messages, rules, related):
    """Who is related to the object after the last message is what its section says."""
    model, applied = run(*messages)

    assert applied == rules
    assert [(row["person"], row["anonymous_id"]) for row in model.relationships()] == related


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_text_remove_object_and_relationship_attributes(nothing):
    """Attributes of objects and relationships are removed by null or empty text (3.5)."""
    first = group("u1", plan="pro", size=3, relationshipAttributes={"role": "owner", "since": 1})
    second = group("u1", plan=nothing, relationshipAttributes={"role": nothing})

    model, _ = run(first, second)

    assert model.objects()[0]["attributes"] == {"size": 3}
    assert model.relationships()[0]["attributes"] == {"since": 1}


def test_a_merge_keeps_what_the_kept_person_has_of_a_relationship():
    """Of two relationships to one object, the kept person's attributes stay and gaps fill."""
    first = group("u1", relationshipAttributes={"role": "owner"})
    second = group("u2", relationshipAttributes={"role": "guest", "since": 1})

    model, _ = run(first, second, {"type": "alias", "userId": "u1", "previousId": "u2"})

    assert model.relationships()[0]["attributes"] == {"role": "owner", "since": 1}


@pytest.mark.parametrize(
    ("settings", "message", "people", "objects"),
    [
        pytest.param({"group_for_unknown": "object-only"}, group("u1"), 0, 1, id="object-only"),
        pytest.param({"object_types": frozenset({"2"})}, group("u1"), 0, 0, id="no-such-type"),
        pytest.param({"object_types": frozenset({"1"})}, group("u1"), 1, 1, id="type-exists"),
    ],
)
def test_settings_decide_what_a_group_creates(settings, message, people, objects):
    """Unknown people and unknown object types are settings of the workspace."""
    model, _ = run(message, **settings)

    assert (len(model.people()), len(model.objects())) == (people, objects)


def form(**data):
    """Build a form submission."""
    return {"type": "form", "formId": "f1", "data": data}


FORMS = {
    "5 an e-mail creates": (
        [form(email="a@example.com", city="Bonn")], {}, ["person.created", "form.submitted"], 1),
    "5 an id creates": ([form(id="u1")], {}, ["person.created", "form.submitted"], 1),
    "5 a known person is updated": (
        [form(id="u1"), form(id="u1")], {}, ["person.updated", "form.submitted"], 1),
    "C27 both identifiers": (
        [form(id="u1", email="a@example.com")], {}, ["form.two-identifiers"], 0),
    "form_identifiers=any": (
        [form(id="u1", email="a@example.com")], {"form_identifiers": "any"},
        ["person.created", "form.submitted"], 1),
    "5 no identifier": ([form(city="Bonn")], {}, ["form.no-identifier"], 0),
    "C28 a value that is not text": (
        [form(email="a@example.com", age=5)], {}, ["form.not-text"], 0),
    "3.2 row 7: a suppressed e-mail": (
        [event("User Suppressed", "a@example.com"), form(email="A@example.com")],
        {}, ["identifier.suppressed"], 0),
}  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "settings", "rules", "people"), FORMS.values(), ids=FORMS.keys()
)
def test_forms_follow_the_rule(messages, settings, rules, people):
    """A submission identifies one person by one identifier, or is refused (section 5)."""
    model, applied = run(*messages, **settings)

    assert applied == rules
    assert len(model.people()) == people


def test_a_form_sets_attributes_and_records_an_event():
    """Fields become attributes, reserved ones do not, and the submission is an event."""
    model, _ = run(form(email="a@example.com", city="Bonn", form_name="Trial"))

    assert model.people()[0]["attributes"] == {"city": "Bonn"}
    (submission,) = model.events()
    assert (submission["type"], submission["name"]) == ("form", "f1")
    assert submission["timestamp"] == NOW


def test_a_refused_form_exists_and_works_once_mapped():
    """The first submission without identifier is refused, and works after mapping the field."""
    model, applied = run(form(email_address="a@example.com"))
    model.map_form("f1", {"email_address": "email"})

    changes = model.apply(form(email_address="a@example.com"), received_at=NOW)

    assert applied == ["form.no-identifier"]
    assert [change.kind for change in changes] == ["created", "event"]
    assert model.forms()[0]["submissions"] == 1
    assert model.forms()[0]["refused"] == 1


@pytest.mark.parametrize(
    ("settings", "plan", "applied"),
    [
        ({}, "old", ["object.updated"]),
        ({"object_order": "timestamp"}, "new", ["object.updated", "object.stale"]),
    ],
)
def test_whether_older_attributes_replace_newer_ones_is_a_setting(settings, plan, applied):
    """No source has a time for attributes of objects; whichever side is taken, it is marked (3.7)."""
    times = {"new": "2026-02-02T00:00:00Z", "old": "2026-02-01T00:00:00Z"}
    messages = [group(plan=value, size=1) | {"timestamp": at} for value, at in times.items()]
    model = Model(Settings(**settings))
    for message in messages:
        changes = model.apply(message, received_at=NOW)

    assert model.objects()[0]["attributes"] == {"plan": plan, "size": 1}
    assert [change.rule.name for change in changes] == applied
    assert [change.rests_on for change in changes] == ["object_order"] * len(applied)
