"""Opt-outs: who has refused mail, and which rows end it."""

import json

import polars as pl
import pytest

import cio_frames as cio

OUT = {"unsubscribed": True}
TOPICS = {"cio_subscription_preferences": {"topics": {"topic_1": False, "topic_2": True}}}


def ended(rows, attributes, **asked):
    """Return how many opt-outs of one known person end, as the preview says and as it comes."""
    known = pl.DataFrame({"id": ["u1"], "email": ["a@example.com"], "cio_id": ["c1"]})
    known = known.with_columns(attributes=pl.lit(json.dumps(attributes)))
    plan = pl.DataFrame(rows).cio.identify(user_id="id", **asked)
    rehearsal = plan.rehearse(known, progress=False)
    counted = dict(rehearsal.compared.select("what", "actual").iter_rows())["opt-outs ended"]
    assert rehearsal.as_predicted
    assert plan.identity(known).summary["opt_outs_ended"] == counted
    return counted


CASES = {
    "false": ({"id": ["u1"], "unsubscribed": [False]}, OUT, {}, 1),
    "false as text": ({"id": ["u1"], "unsubscribed": ["false"]}, {"unsubscribed": "true"}, {}, 1),
    "under the e-mail": ({"id": ["A@example.com"], "unsubscribed": [False]}, OUT, {}, 1),
    "under the cio_id": ({"id": ["cio_c1"], "unsubscribed": [False]}, OUT, {}, 1),
    "cleared": ({"id": ["u1"], "unsubscribed": pl.Series([None], dtype=pl.Boolean)}, OUT, {"nulls": "send"}, 1),
    "empty and left out": ({"id": ["u1"], "unsubscribed": pl.Series([None], dtype=pl.Boolean)}, OUT, {}, 0),
    "true": ({"id": ["u1"], "unsubscribed": [True]}, OUT, {}, 0),
    "false and true again": ({"id": ["u1", "u1"], "unsubscribed": [False, True]}, OUT, {}, 0),
    "another person": ({"id": ["u2"], "unsubscribed": [False]}, OUT, {}, 0),
    "nobody had refused": ({"id": ["u1"], "unsubscribed": [False]}, {"unsubscribed": False}, {}, 0),
    "an object without the topic": (
        {"id": ["u1"], "cio_subscription_preferences": [{"topics": {"topic_2": True}}]}, TOPICS, {}, 1,
    ),
    "an object with the topic": (
        {"id": ["u1"], "cio_subscription_preferences": [{"topics": {"topic_1": False}}]}, TOPICS, {}, 0,
    ),
    "another topic alone": (
        {"id": ["u1"], "cio_subscription_preferences.topics.topic_2": [False]}, TOPICS, {}, 0,
    ),
    "the topic alone": (
        {"id": ["u1"], "cio_subscription_preferences.topics.topic_1": [True]}, TOPICS, {}, 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_opt_outs_that_end_are_counted(case):
    """The preview counts the refusals of the export that the rows end, and the workspace agrees."""
    rows, attributes, asked, count = CASES[case]

    assert ended(rows, attributes, **asked) == count


def test_an_export_may_have_consent_as_a_column():
    """The column `unsubscribed` of an export counts as the attribute does."""
    known = pl.DataFrame({"id": ["u1", "u2"], "unsubscribed": ["true", "false"]})
    plan = pl.DataFrame({"id": ["u1", "u2"], "unsubscribed": [False, False]}).cio.identify(
        user_id="id"
    )

    text = " ".join(repr(plan.identity(known)).split())

    assert "! 1 opt-out" in text
    assert (
        "1 opt-out would end: people who have unsubscribed from e-mail or a topic would receive it again."
        in text
    )


def test_an_opt_out_ends_with_the_person_who_is_made_again():
    """Whoever is deleted and created again by a later row is mailable again."""
    known = pl.DataFrame({"id": ["u1"], "unsubscribed": [True]})
    rows = pl.DataFrame({"u": ["u1", "u1"], "e": ["User Deleted", "View"]})
    plan = rows.cio.track(user_id="u", event="e", checks=cio.Checks(allow=["User Deleted"]))

    assert plan.identity(known).summary["opt_outs_ended"] == 1


def test_an_opt_out_ends_with_a_merge_into_a_subscriber():
    """The kept person's own value counts, also where the row names neither of the two."""
    known = pl.DataFrame({
        "id": ["u1", "u2"], "email": ["a@example.com", None], "unsubscribed": [True, None],
    })  # fmt: skip
    people = pl.DataFrame({"id": ["u2"], "unsubscribed": [False]}).cio.identify(user_id="id")
    merge = pl.DataFrame({"old": ["u1"], "new": ["u2"]}).cio.alias(previous_id="old", user_id="new")

    backfill = cio.backfill([people, merge])

    assert backfill.identity(known).summary["opt_outs_ended"] == 1
    assert backfill.rehearse(known, progress=False).as_predicted
