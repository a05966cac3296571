"""The first sentence of a report says what sending comes to."""

import tempfile

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.clock import utc_now

OLD, NEW, UNKNOWN = "2026-01-01T00:00:00Z", utc_now().isoformat(), None
ALLOWED = cio.Checks(allow=["User Deleted"], ignore=["time.missing"])
PEOPLE = pl.DataFrame({"id": ["u1", "u2", "u2"], "plan": ["a", "b", "c"]})


def people(**columns):
    """Return a plan of people."""
    return pl.DataFrame(columns).cio.identify(user_id="id", checks=ALLOWED)


def events(names, times):
    """Return a plan of events of one person."""
    rows = pl.DataFrame({"id": ["u1"] * len(names), "event": names, "at": times})
    return rows.cio.track(user_id="id", event="event", timestamp="at", checks=ALLOWED)


def first_sentence(plan):
    """Return the first sentence of a plan's report, on one line."""
    return " ".join(repr(plan).split("\n\n")[1].split()).partition(". ")[0]


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (lambda: people(id=["u1", "u2", "U2", "u2"]), "3 people created or updated"),
        (lambda: people(id=["a@x.org", "A@x.org"]), "1 person created or updated"),
        (lambda: people(id=["u1", "-"]), "1 person created or updated; 1 row excluded"),
        (
            lambda: people(id=["u1", "u2"], unsubscribed=[False, True]),
            "2 people created or updated; 1 row can subscribe people again",
        ),
        (
            lambda: people(id=["u1", "u1"], email=["a@x.org", "b@x.org"]),
            "1 person created or updated; 2 rows with changes that Customer.io may ignore",
        ),
        (lambda: events(["a", "b"], [OLD, OLD]), "2 events of 1 person; no campaigns"),
        (
            lambda: events(["a", "b"], [OLD, NEW]),
            "2 events of 1 person; 1 event less than 72 hours old, which can start campaigns",
        ),
        (
            lambda: events(["a", "b", "c"], [OLD, UNKNOWN, UNKNOWN]),
            (
                "3 events of 1 person; "
                "2 events counted as happening now, which can start campaigns"
            ),
        ),
        (
            lambda: events(["a", "User Deleted"], [OLD, OLD]),
            (
                "2 events of 1 person; "
                "1 event deletes or suppresses, which cannot be undone; no campaigns"
            ),
        ),
        (
            lambda: events(["User Deleted", *["Application Opened"] * 2], [UNKNOWN] * 3),
            (
                "3 events of 1 person; "
                "1 event deletes or suppresses, which cannot be undone; no campaigns"
            ),
        ),
        (
            lambda: events(["Application Opened", "Application Installed", "a"], [NEW, NEW, OLD]),
            "3 events of 1 person; no campaigns",
        ),
        (
            lambda: pl.DataFrame({"email": ["a@x.org"]}).cio.form(form_id=cio.lit("f"), email="email"),
            (
                "1 form submission of 1 person; "
                "1 event counted as happening now, which can start campaigns"
            ),
        ),
        (
            lambda: events(["User Deleted"], [NEW]),
            "1 event of 1 person; 1 event deletes or suppresses, which cannot be undone; no campaigns",
        ),
        (
            lambda: pl.DataFrame({"g": ["g1", "g1"], "id": ["u1", "u2"]}).cio.group(
                group_id="g", user_id="id"
            ),
            "1 object created or updated, with 2 people",
        ),
        (
            lambda: pl.DataFrame({"id": ["u1"], "old": ["u2"]}).cio.alias(
                user_id="id", previous_id="old"
            ),
            "1 profile merged into others, which cannot be undone",
        ),
    ],
)  # fmt: skip
def test_the_first_sentence_counts_what_happens(plan, sentence):
    """People, objects and events are counted once each, and what is dangerous is named."""
    assert first_sentence(plan()) == sentence


def test_a_preview_says_who_is_new():
    """With the people of the workspace, new and updated people are counted separately."""
    plan = PEOPLE.cio.identify(user_id="id")
    plan.identity(known=pl.DataFrame({"id": ["u2"]}))
    assert first_sentence(plan) == "2 people: 1 new (billable), 1 updated"


def test_a_preview_of_an_empty_workspace_says_so():
    """Without an export everybody counts as new, and the sentence says on what it rests."""
    plan = PEOPLE.cio.identify(user_id="id")
    plan.identity()
    sentence = "2 people: compared with an empty workspace, 2 new (billable)"
    assert first_sentence(plan) == sentence


def test_a_backfill_counts_over_all_its_plans():
    """Plans are named in the order of sending, with the excluded rows of all of them together."""
    whole = cio.backfill([people(id=["u1", "-"]), events(["a"], [OLD])])
    assert first_sentence(whole) == (
        "1 person created or updated and 1 event of 1 person; 1 row excluded; no campaigns"
    )


@pytest.mark.parametrize(
    ("region", "destination"),
    [("eu", "Customer.io EU"), ("us", "Customer.io US"), (None, "127.0.0.1:9 on this machine")],
)
def test_a_plan_that_was_given_a_client_names_the_destination(region, destination):
    """Once a plan was given a client, its sentence says where sending goes, also in a back-fill."""
    client = cio.connect(region, write_key="k", endpoint=None if region else "http://127.0.0.1:9")
    for plan in (people(id=["u1"]), cio.backfill([people(id=["u1"])])):
        assert "To " not in first_sentence(plan)
        plan.estimate(client)
        assert first_sentence(plan).startswith(f"To {destination}: 1 person")


def test_a_send_names_the_destination_and_a_rehearsal_does_not():
    """The sentence names the destination of the last send; a rehearsal does not count as one."""
    plan = people(id=["u1"])
    plan.rehearse(progress=False)
    assert "To " not in first_sentence(plan)
    with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
        client = workspace.client()
        plan.send(client, audit=folder, progress=False)
    assert first_sentence(plan).startswith(f"To {client.endpoint} on this machine: ")


def test_nothing_is_promised_of_a_refused_plan():
    """A plan that is refused sends nothing, so it does not say what it sends."""
    plan = pl.DataFrame({"id": ["u1"], "event": ["User Deleted"]}).cio.track(
        user_id="id", event="event"
    )
    assert "event of" not in first_sentence(plan)
