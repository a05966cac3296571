"""How much work a preview is, counted: chains grow with their links, plain people cost no object."""

import sys
from collections import Counter
from contextlib import contextmanager

import pytest

from cio_frames.identity import Settings, columnar, components, person_events, state
from cio_frames.identity.model import Model
from tests.identity.conftest import NOW
from tests.identity.test_preview import comparable

OURS = (person_events.__file__, state.__file__)


def merged(links, aliases):
    """Return how many lines of code merges execute, of people with events and visitors."""
    model, lines = Model(), Counter()
    for n in range(links):
        who = {"userId": f"u{n}", "anonymousId": f"a{n}"}
        model.apply({"type": "identify", **who}, received_at=NOW)
        for at in ("2026-02-20T00:00:00Z", "2026-01-01T00:00:00Z"):
            event = {"type": "track", "userId": f"u{n}", "event": "View", "timestamp": at}
            model.apply(event, received_at=NOW)

    def trace(frame, event, _):
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        lines["all"] += event == "line"
        return trace

    sys.settrace(trace)
    try:
        for previous, user in aliases:
            message = {"type": "alias", "previousId": previous, "userId": user}
            model.apply(message, received_at=NOW)
        owners = {event["person"] for event in model.events()}
    finally:
        sys.settrace(None)
    assert len(owners) == len(model.people()) == 1
    (last,) = model.people()
    assert len(last["anonymous_ids"]) == links
    return lines["all"]


SHAPES = {
    "chain": lambda links: [(f"u{n}", f"u{n + 1}") for n in range(links - 1)],
    "star": lambda links: [(f"u{n}", "u0") for n in range(1, links)],
    "inverted chain": lambda links: [(f"u{n + 1}", f"u{n}") for n in reversed(range(links - 1))],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_merges_cost_the_same_however_long_the_chain_is(shape):
    """Events and anonymous ids are not touched again by each merge that hands them on."""
    few, many = (merged(links, SHAPES[shape](links)) for links in (100, 400))

    assert many < 4.4 * few


def plain(rows):
    """Return a back-fill of independent people and their events."""
    people = [
        {"userId": f"u{n}", "anonymousId": f"a{n}", "traits": {"email": f"m{n}@x.co"}}
        for n in range(rows)
    ]
    return [
        ("identify", people),
        ("track", [{"userId": f"u{n}", "event": "View"} for n in range(rows)]),
    ]


@contextmanager
def counted():
    """Count the calls of each function."""
    calls = Counter()

    def count(frame, event, _):
        calls[frame.f_code] += event == "call"

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def test_people_in_one_message_do_not_need_the_model(preview_of):
    """The model creates only the people of connected rows."""
    confused = ("identify", [{"userId": "x1", "traits": {"email": "m1@x.co"}}])
    with counted() as made:
        preview = preview_of([*plain(300), confused])

    assert preview.summary["creates"] == 300
    assert made[state.People.create.__code__] == 1


def visits(rows, *, days):
    """Return events of visitors, some of them unidentified, with any names and ages."""
    names = ("View", " Spaced\u3000", "\x1fView", "View")
    return [
        {"anonymousId": f"a{n}", "event": names[n % 4], "timestamp": f"2026-02-{days:02}"}
        for n in range(0, 2 * rows, 3)
    ]


@pytest.mark.parametrize("age", ["received", "timestamp"])
@pytest.mark.parametrize("trims", [True, False], ids=["trimmed", "as it is"])
def test_events_of_visitors_need_no_model_for_independent_people(preview_of, age, trims):
    """They are linked before and after the identify, old or new, as the model does it one by one."""
    settings = Settings(anonymous_age=age, trim_event_names=trims)
    plans = [
        ("track", [*visits(100, days=28), *visits(100, days=1)]),
        ("screen", [{"anonymousId": "a3"}, {"anonymousId": "a6", "name": " Home "}]),
        *plain(100), ("identify", plain(20)[0][1]), ("track", visits(100, days=27)),
        ("page", [{"anonymousId": "a3", "properties": {"url": " https://x.co "}}]),
        ("screen", [{"anonymousId": "a3"}, {"anonymousId": "a6", "name": " Home "}]),
    ]  # fmt: skip
    with counted() as made:
        preview = preview_of(plans, settings=settings)

    assert made[Model.apply.__code__] == 0
    assert {*preview.summary["anonymous_events"]} >= {"linked", "anonymous"}
    assert comparable(preview) == comparable(preview_of(plans, settings=settings, whole=True))


def test_independent_people_are_listed_only_on_request(preview_of):
    """A preview counts them; their lines are made when they are asked for, and once."""
    with counted() as made:
        preview = preview_of(plain(300))
        assert preview.summary["creates"] == 300
        assert made[columnar.people.__code__] == 1  # of those whose visitors act: nobody
        assert preview.people.height == preview.people.height == 300

    assert preview.connected_people.is_empty()
    assert made[columnar.people.__code__] == 2


def test_keys_that_occur_twice_are_found_by_sorting_each_once(preview_of):
    """Message ids, users and keys are sorted once each, however many plans there are."""
    made = Counter()
    for plans in (1, 4):
        with counted() as calls:
            preview_of(plain(50) * plans)
        made[plans] = calls[components.repeated_numbers.__code__]

    assert made[1] == made[4] <= 4


def test_what_plain_rows_did_is_worked_out_when_it_is_asked_for(preview_of):
    """A preview keeps a line only for what meets others or rests on an open setting."""
    preview = preview_of(plain(300))

    assert preview.notable_changes.is_empty()
    assert preview.changes["rule"].value_counts(sort=True).rows() == [
        ("person.created", 300), ("anonymous.linked", 300),
    ]  # fmt: skip
