"""Who is meant, and which identifiers a person has afterwards."""

from datetime import UTC, datetime

import pytest

from cio_frames.identity import Model, Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def identify(user=None, **traits):
    """Build an identify call."""
    return {"type": "identify", "userId": user, "traits": traits}


def event(user, name):
    """Build a track call."""
    return {"type": "track", "userId": user, "event": name}


def alias(previous, user):
    """Build an alias call."""
    return {"type": "alias", "previousId": previous, "userId": user}


def run(messages, **settings):
    """Apply messages to a new workspace; returns it and the rules of the last message."""
    model = Model(Settings(**settings))
    changes = ()
    for message in messages:
        changes = model.apply(message, received_at=NOW)
    return model, [change.rule.name for change in changes]


def keys(model):
    """Return id and e-mail of every person."""
    return [(person["id"], person["email"]) for person in model.people()]


A, B = "a@example.com", "b@example.com"
CASES = {
    "3.1 a plain value is an id": ([identify("u1")], ["person.created"], [("u1", None)]),
    "3.1 an e-mail-shaped value is an e-mail": (
        [identify(A)], ["person.created"], [(None, A)]),
    "3.1 a phone number is an id": (
        [identify("+4930123456")], ["person.created"], [("+4930123456", None)]),
    "3.1 something with @ that is no e-mail is an id": (
        [identify("a@b")], ["person.created"], [("a@b", None)]),
    "3.1 a number is its text": ([identify(5)], ["person.created"], [("5", None)]),
    "3.1 id has case": (
        [identify("u1"), identify("U1")], ["person.created"], [("u1", None), ("U1", None)]),
    "3.1 e-mail has no case": (
        [identify(A), identify(A.upper())], ["person.updated"], [(None, A)]),
    "3.1 traits.email is the person without userId (C11)": (
        [identify(A), identify(None, email=A)], ["person.updated"], [(None, A)]),
    "3.1 a badly shaped traits.email without userId is an id": (
        [identify(None, email="n/a")], ["person.created"], [("n/a", "n/a")]),
    "3.1 cio_id reaches the first person": (
        [identify("u1"), identify("cio_c10000000001")], ["person.updated"], [("u1", None)]),
    "3.1 cio_id can change id and e-mail": (
        [identify("u1", email=A), identify("cio_c10000000001", id="u2", email=B)],
        ["person.updated", "person.identifier-changed", "person.identifier-changed"],
        [("u2", B)]),
    "3.1 cio_id cannot take what another person has": (
        [identify("u1"), identify("u2"), identify("cio_c10000000001", id="u2")],
        ["person.updated", "identifier.taken"], [("u1", None), ("u2", None)]),
    "3.2 row 6: an unknown cio_id is dropped": (
        [identify("cio_ffff")], ["cio-id.unknown"], []),
    "3.2 row 6: a deleted cio_id is dropped": (
        [identify("u1"), event("u1", "User Deleted"), identify("cio_c10000000001")],
        ["cio-id.unknown"], []),
    "2.1 nobody is named": ([identify(None, plan="pro")], ["person.missing"], []),
    "2.1 an empty userId names nobody": ([identify("")], ["person.missing"], []),
    "3.2 row 1: nobody has these ids": (
        [identify("u1", email=A)], ["person.created"], [("u1", A)]),
    "3.2 row 2: a known person gets a first e-mail": (
        [identify("u1"), identify("u1", email=A)], ["person.updated"], [("u1", A)]),
    "3.2 row 3: a new id with a known e-mail": (
        [identify(A), identify("u1", email=A)], ["person.rekeyed"], [("u1", A)]),
    "3.2 row 3: a new e-mail with a known id": (
        [identify("u1"), identify(A, id="u1")], ["person.rekeyed"], [("u1", A)]),
    "3.2 row 3: the known person has another id": (
        [identify("u1", email=A), identify("u2", email=A)],
        ["identifier.replaced"], [("u2", A)]),
    "N1: ever new ids with one e-mail update one person": (
        [identify("u1", email=A), identify("u2", email=A), identify("u1", email=A)],
        ["identifier.replaced"], [("u1", A)]),
    "N1: the tip is about ids, and an e-mail stays": (
        [identify("u1", email=A), identify(B, id="u1")],
        ["person.created", "identifier.taken"], [("u1", A), (None, B)]),
    "3.2 row 4: id of one, e-mail of another": (
        [identify("u1", email=A), identify("u2", email=B), identify("u1", email=B)],
        ["person.updated", "identifier.taken"], [("u1", A), ("u2", B)]),
    "3.2a the person matched by id has an e-mail: no merge": (
        [identify("u1", email=A), identify(B), identify("u1", email=B)],
        ["person.updated", "identifier.taken"], [("u1", A), (None, B)]),
    "3.2a the person matched by e-mail has an id: no merge": (
        [identify("u1"), identify("u2", email=B), identify("u1", email=B)],
        ["person.updated", "identifier.taken"], [("u1", None), ("u2", B)]),
    "3.2a all four conditions hold: one person": (
        [identify("u1"), identify(B), identify("u1", email=B)],
        ["person.auto-merged"], [("u1", B)]),
    "3.2a addressed by the e-mail": (
        [identify("u1"), identify(B), identify(B, id="u1")],
        ["person.auto-merged"], [("u1", B)]),
    "3.2 row 5: another e-mail for an id": (
        [identify("u1", email=A), identify("u1", email=B)],
        ["person.updated", "identifier.fixed"], [("u1", A)]),
    "3.1 another id among the traits": (
        [identify("u1"), identify("u1", id="u2")],
        ["person.updated", "identifier.fixed"], [("u1", None)]),
    "3.2 row 7: a suppressed id is ignored": (
        [event("u1", "User Suppressed"), identify("u1")], ["identifier.suppressed"], []),
    "3.2 row 7: so is a call that carries one": (
        [event(A, "User Suppressed"), identify("u1", email=A)], ["identifier.suppressed"], []),
    "3.4 alias keeps userId": (
        [identify("u1"), identify("u2"), alias("u1", "u2")], ["alias.merged"], [("u2", None)]),
    "3.4 alias fills an unset e-mail": (
        [identify("u1", email=A), identify("u2"), alias("u1", "u2")],
        ["alias.merged"], [("u2", A)]),
    "3.4 alias keeps the e-mail of the primary": (
        [identify("u1", email=A), identify("u2", email=B), alias("u1", "u2")],
        ["alias.merged"], [("u2", B)]),
    "3.4 the primary must exist": (
        [identify("u1"), alias("u1", "u2")], ["alias.primary-unknown"], [("u1", None)]),
    "3.4 an unknown previousId": (
        [identify("u2"), alias("u1", "u2")], ["alias.previous-unknown"], [("u2", None)]),
    "3.4 an alias with itself": (
        [identify("u1", email=A), alias(A, "u1")], ["alias.self"], [("u1", A)]),
    "3.4 a chain in order ends in one person": (
        [identify("u1"), identify("u2"), identify("u3"), alias("u1", "u2"), alias("u2", "u3")],
        ["alias.merged"], [("u3", None)]),
    "3.4 a chain out of order ends in one person": (
        [identify("u1"), identify("u2"), identify("u3"), alias("u2", "u3"), alias("u1", "u2")],
        ["alias.primary-unknown"], [("u1", None), ("u3", None)]),
    "3.4 the second half of a cycle finds nobody": (
        [identify("u1"), identify("u2"), alias("u1", "u2"), alias("u2", "u1")],
        ["alias.primary-unknown"], [("u2", None)]),
    "3.4 the removed id can be created again": (
        [identify("u1"), identify("u2"), alias("u1", "u2"), identify("u1")],
        ["person.created"], [("u2", None), ("u1", None)]),
    "2.6 alias needs both ids": ([alias("", "u1")], ["alias.incomplete"], []),
    "3.6 a deleted person can be created again": (
        [identify("u1"), event("u1", "User Deleted"), identify("u1")],
        ["person.created"], [("u1", None)]),
    "3.6 suppressing deletes": (
        [identify("u1", email=A), event("u1", "User Suppressed")],
        ["person.deleted", "person.suppressed"], []),
    "3.6 suppressing by id blocks the e-mail too": (
        [identify("u1", email=A), event("u1", "User Suppressed"), identify(A)],
        ["identifier.suppressed"], []),
    "3.6 unsuppressing by e-mail allows the id too": (
        [identify("u1", email=A), event("u1", "User Suppressed"),
         event(A, "User Unsuppressed"), identify("u1")],
        ["person.created"], [("u1", None)]),
    "3.6 unsuppressing somebody who is not": (
        [identify("u1"), event("u1", "User Unsuppressed")],
        ["person.not-suppressed"], [("u1", None)]),
    "3.6 deleting somebody unknown": ([event("u1", "User Deleted")], ["person.unknown"], []),
    "3.6 User Deleted needs userId": (
        [{"type": "track", "anonymousId": "x", "event": "User Deleted"}],
        ["person.missing"], []),
    "3.7 an event creates an unknown person": (
        [event("u1", "Order")], ["person.created-by-event", "event.recorded"], [("u1", None)]),
    "2 an unknown type": ([{"type": "shout"}], ["message.type"], []),
    "2 no type": ([{"userId": "u1"}], ["message.type"], []),
}  # fmt: skip


@pytest.mark.parametrize(("messages", "rules", "people"), CASES.values(), ids=CASES.keys())
def test_a_new_workspace_follows_the_rule(messages, rules, people):
    """With the settings of a new workspace, the last message does what its section says."""
    model, applied = run(messages)

    assert applied == rules
    assert keys(model) == people


SETTINGS = {
    "3.2a automatic merge is off": (
        {"auto_merge": False}, [identify("u1"), identify(B), identify("u1", email=B)],
        [("u1", None), (None, B)]),
    "3.1 e-mail updates are on": (
        {"email_updates": True}, [identify("u1", email=A), identify("u1", email=B)],
        [("u1", B)]),
    "3.1 e-mail is no identifier": (
        {"identifiers": ("id",)}, [identify(A), identify("u1", email=A)],
        [(A, None), ("u1", None)]),
    "3.1 id is no identifier": (
        {"identifiers": ("email",)}, [identify("u1"), identify(A)], [(None, A)]),
    "taken_identifier=update": (
        {"taken_identifier": "update"}, [identify("u1", email=A), identify("u2", email=A)],
        [("u1", A)]),
    "taken_identifier=separate": (
        {"taken_identifier": "separate"}, [identify("u1", email=A), identify("u2", email=A)],
        [("u1", A), ("u2", None)]),
    "event_for_unknown=drop": ({"event_for_unknown": "drop"}, [event("u1", "Order")], []),
    "alias_unknown=create": (
        {"alias_unknown": "create"},
        [identify("old", email=A), {"type": "alias", "previousId": "old", "userId": "new"}],
        [("new", A)]),
    "email_trait=attribute": ({"email_trait": "attribute"}, [identify(None, email=A)], []),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "messages", "people"), SETTINGS.values(), ids=SETTINGS.keys())
def test_a_setting_takes_the_other_side(settings, messages, people):
    """Each setting changes who the people are, and so it is really read."""
    model, _ = run(messages, **settings)
    default, _ = run(messages)

    assert keys(model) == people
    assert keys(default) != people


def test_automatic_merge_keeps_the_older_profile():
    """The older profile stays with its own values, inherits the others, and the merge is reported."""
    older, younger = identify(B, plan="pro", city=""), identify("u1", plan="free", city="Bonn")

    model, _ = run([older, younger, identify("u1", email=B, seen=1)])

    (person,) = model.people()
    (merge,) = model.merges()
    assert person["cio_id"] == "c10000000001"
    assert person["attributes"] == {"plan": "pro", "city": "Bonn", "seen": 1}
    assert (merge["kept"], merge["removed"], merge["why"], merge["number"]) == (
        "c10000000001", "c10000000002", "auto-merge", 2,
    )  # fmt: skip
    assert merge["irreversible"] is True


def test_a_loaded_person_is_older_than_a_new_one():
    """A profile of the export wins an automatic merge whatever its created_at says."""
    model = Model()
    model.load([{"email": B, "cio_id": "feed", "created_at": "2030-01-01T00:00:00Z"}])

    model.apply(identify("u1"), received_at=NOW)
    model.apply(identify("u1", email=B), received_at=NOW)

    assert [person["cio_id"] for person in model.people()] == ["feed"]


def test_load_keeps_the_first_of_two_rows_with_one_identifier():
    """A second row with a taken identifier is a failure, not a crash and not a theft."""
    model = Model()

    model.load([{"id": "u1", "email": A}, {"id": "u2", "email": A.upper()}])

    assert keys(model) == [("u1", A), ("u2", None)]
    assert [failure["rule"] for failure in model.failures()] == ["identifier.taken"]


def test_load_takes_attributes_and_anonymous_ids():
    """An export's attributes, creation time and anonymous ids are the person's."""
    model = Model()
    rows = [
        {
            "id": "u1",
            "anonymous_id": "x",
            "anonymous_ids": ["y"],
            "created_at": NOW,
            "attributes": {"plan": "pro"},
        }
    ]

    model.load(rows)

    (person,) = model.people()
    assert person["anonymous_ids"] == ["y", "x"]
    assert person["attributes"] == {"plan": "pro"}
    assert person["created_at"] == int(NOW.timestamp())


def test_merged_anonymous_ids_belong_to_the_kept_person():
    """An anonymous id of the removed profile is not free for another person."""
    linked = {"type": "identify", "userId": "u1", "anonymousId": "x"}
    stolen = {"type": "identify", "userId": "u3", "anonymousId": "x"}

    model, applied = run([linked, identify("u2"), alias("u1", "u2"), stolen])

    assert applied == ["person.created", "anonymous.not-reusable"]
    assert model.people()[0]["anonymous_ids"] == ["x"]


def test_a_time_without_offset_is_refused():
    """The model knows no local time, so it does not guess one."""
    with pytest.raises(ValueError, match="offset"):
        Model().apply(identify("u1"), received_at=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("side", "email", "applied"),
    [
        ("stored", "nobody", ["person.created"]),
        ("refused", None, ["person.created", "email.refused"]),
    ],
)
def test_whether_an_invalid_address_is_set_is_open(side, email, applied):
    """The API publishes no rule for addresses, the app checks them: both sides are marked."""
    model = Model(Settings(invalid_email=side))
    message = {"type": "identify", "userId": "u1", "traits": {"email": "nobody", "plan": "x"}}

    changes = model.apply(message, received_at=NOW)

    assert [(row["email"], row["attributes"]) for row in model.people()] == [(email, {"plan": "x"})]
    assert [(change.rule.name, change.rests_on) for change in changes] == [
        (name, "invalid_email") for name in applied
    ]
