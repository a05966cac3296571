"""How much work a preview is, counted: chains grow with their links, plain people cost no object."""

import sys
from collections import Counter

import pytest

from cio_frames.identity import person_events, state
from cio_frames.identity.model import Model
from tests.identity.conftest import NOW

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
    """Return a back-fill of people and events whom no other row confuses."""
    people = [
        {"userId": f"u{n}", "anonymousId": f"a{n}", "traits": {"email": f"m{n}@x.co"}}
        for n in range(rows)
    ]
    return [
        ("identify", people),
        ("track", [{"userId": f"u{n}", "event": "View"} for n in range(rows)]),
    ]


def test_nobody_is_modelled_whom_nothing_meets(preview_of):
    """The model makes a person only for people whom rows confuse."""
    made = Counter()

    def count(frame, event, _):
        made[frame.f_code] += event == "call"

    confused = ("identify", [{"userId": "x1", "traits": {"email": "m1@x.co"}}])
    sys.setprofile(count)
    try:
        found = preview_of([*plain(300), confused])
    finally:
        sys.setprofile(None)

    assert found.summary["creates"] == 300
    assert made[state.People.create.__code__] == 1


def test_what_plain_rows_did_is_worked_out_when_it_is_asked_for(preview_of):
    """A preview keeps a line only for what meets others or rests on an open setting."""
    found = preview_of(plain(300))

    assert found.notable.is_empty()
    assert found.changes["rule"].value_counts(sort=True).rows() == [
        ("person.created", 300), ("anonymous.linked", 300),
    ]  # fmt: skip
