"""What an identify writes about a person."""

from datetime import UTC, datetime

import pytest

from cio_frames.identity import Model, Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


def identify(traits, timestamp=None):
    """Build an identify call."""
    return {"type": "identify", "userId": "u1", "traits": traits, "timestamp": timestamp}


def person(*messages, **settings):
    """Return the only person after these messages."""
    model = Model(Settings(**settings))
    for message in messages:
        model.apply(message, received_at=NOW)
    (row,) = model.people()
    return row


ORDER = {
    "the later timestamp wins": (
        [identify({"a": 2}, LATE), identify({"a": 1}, EARLY)], {}, {"a": 2}),
    "attribute_order=arrival": (
        [identify({"a": 2}, LATE), identify({"a": 1}, EARLY)],
        {"attribute_order": "arrival"}, {"a": 1}),
    "each attribute has its own time": (
        [identify({"a": 2}, LATE), identify({"a": 1, "b": 1}, EARLY)], {}, {"a": 2, "b": 1}),
    "a third time between the two": (
        [identify({"a": 1}, EARLY), identify({"b": 1}, LATE),
         identify({"a": 2, "b": 2}, "2026-01-15T00:00:00Z")], {}, {"a": 2, "b": 1}),
    "of equal times the last to arrive wins": (
        [identify({"a": 1}, LATE), identify({"a": 2}, LATE)], {}, {"a": 2}),
    "of equal times the last to arrive wins, beside another time": (
        [identify({"b": 1}, EARLY), identify({"a": 1}, LATE), identify({"a": 2}, LATE)],
        {}, {"a": 2, "b": 1}),
    "null removes": ([identify({"a": 1}), identify({"a": None})], {}, {}),
    "a removal has its time, too": (
        [identify({"a": None}, LATE), identify({"a": 1}, EARLY)], {}, {}),
    "null_attribute=store": (
        [identify({"a": 1}), identify({"a": None})], {"null_attribute": "store"}, {"a": None}),
    "null_attribute=ignore": (
        [identify({"a": 1}), identify({"a": None})], {"null_attribute": "ignore"}, {"a": 1}),
    "an empty text is stored": ([identify({"a": 1}), identify({"a": ""})], {}, {"a": ""}),
    "names have case": ([identify({"Email": "x", "plan": 1, "Plan": 2})], {},
                        {"Email": "x", "plan": 1, "Plan": 2}),
    "one preference by its dotted path": (
        [identify({"cio_subscription_preferences": {"topics": {"topic_1": True, "topic_2": True}}}),
         identify({"cio_subscription_preferences.topics.topic_1": False})], {},
        {"cio_subscription_preferences": {"topics": {"topic_1": False, "topic_2": True}}}),
    "all preferences by the object": (
        [identify({"cio_subscription_preferences": {"topics": {"topic_1": True}}}),
         identify({"cio_subscription_preferences": {"channels": {"sms": True}}})], {},
        {"cio_subscription_preferences": {"channels": {"sms": True}}}),
    "other dots are part of the name": ([identify({"a.b": 1})], {}, {"a.b": 1}),
    "relationship traits are taken out, objectId is not (3.5)": (
        [identify({"objectId": "o", "objectTypeId": "2", "object_type_id": None,
                   "relationshipAttributes": {}})], {}, {"objectId": "o"}),
    "only Customer.io sets these": (
        [identify({"cio_id": "x", "_created_in_customerio_at": 1, "a": 1})], {}, {"a": 1}),
}  # fmt: skip


@pytest.mark.parametrize(("messages", "settings", "expected"), ORDER.values(), ids=ORDER.keys())
def test_attributes_are_written_in_order(messages, settings, expected):
    """Attributes end as their times, nulls and names say (2.1, 3.5, 3.7, section 6)."""
    assert person(*messages, **settings)["attributes"] == expected


@pytest.mark.parametrize(
    ("traits", "created"),
    [
        pytest.param({"createdAt": "1970-01-02"}, 86_400, id="createdAt"),
        pytest.param({"created_at": 5}, 5, id="created_at"),
        pytest.param({"created_at": 5, "createdAt": "1970-01-02"}, 5, id="both"),
        pytest.param({"created_at": None, "createdAt": 7}, 7, id="null-and-createdAt"),
        pytest.param({}, None, id="neither"),
    ],
)
def test_created_at_comes_from_either_trait(traits, created):
    """created_at is traits.created_at, else traits.createdAt (C7)."""
    row = person(identify(traits))

    assert row["created_at"] == created
    assert row["attributes"] == {}


def test_a_read_only_attribute_is_a_failure():
    """Trying to set what only Customer.io sets is reported, not dropped in silence."""
    model = Model()

    model.apply(identify({"cio_id": "x"}), received_at=NOW)

    (failure,) = model.failures()
    assert (failure["rule"], failure["subject"]) == ("attribute.read-only", "cio_id")
    assert failure["reason"] == "cio_id is read-only and will be ignored."


def test_a_person_that_is_merged_keeps_times_of_inherited_attributes():
    """An inherited attribute is overwritten by a later identify, not by an earlier one."""
    model = Model()
    for message in (
        identify({"b": 1}, EARLY),
        {**identify({"a": 1}, LATE), "userId": "u2"},
        {"type": "alias", "userId": "u1", "previousId": "u2"},
        identify({"a": 0, "b": 2}, "2026-01-15T00:00:00Z"),
    ):
        model.apply(message, received_at=NOW)

    assert model.people()[0]["attributes"] == {"a": 1, "b": 2}
