"""One person's story, and the order of plans."""

import pytest

from cio_frames.identity import Settings, plan_order
from cio_frames.identity.explain import explain
from cio_frames.identity.plan_order import OrderProblem


def identify(user=None, visitor=None, **traits):
    """Build an identify call."""
    return {"userId": user, "anonymousId": visitor, "traits": traits}


def track(user=None, visitor=None):
    """Build a track call."""
    return {"userId": user, "anonymousId": visitor, "event": "View"}


MERGED = [
    (
        "identify",
        [identify("u1", email="a@x.co"), identify("old", "v1"), identify("u1", plan="pro")],
    ),
    ("track", [track("old"), track("old"), track("u1")]),
    ("alias", [{"previousId": "old", "userId": "u1"}]),
]
CALLS = [call for call, _ in MERGED]


@pytest.mark.parametrize("who", ["u1", "A@x.co", "old", "v1"])
def test_every_identifier_leads_to_the_whole_explain(preview_of, who):
    """A person is found by what they are called in the end, were called, or browsed under."""
    lines = explain(preview_of(MERGED), who, calls=CALLS)

    assert lines[0].startswith("Plan 0 (identify), row 0: u1 is new")
    assert any("old is merged into u1 and permanently deleted" in line for line in lines)
    assert lines[-1] == (
        "Result: a person with id u1, email a@x.co, anonymous IDs v1, who is created and gets "
        "3 events."
    )


def test_a_story_counts_events_by_plan(preview_of):
    """Events are summed up with their rows, not listed one by one."""
    lines = explain(preview_of(MERGED), "u1", calls=CALLS)

    assert "Plan 1 (track), rows 0 to 2: 3 events of this person." in lines


def test_a_story_of_one_plan_has_row_numbers_only(preview_of):
    """Where there is one plan, it is not named."""
    lines = explain(preview_of([("identify", [identify("u1")])]), "u1", calls=["identify"])

    assert lines[0].startswith("Row 0: u1 is new")


def test_a_story_names_both_people_of_a_conflict(preview_of):
    """The holder of the e-mail is named by an identifier that the reader knows."""
    rows = [identify("u1", email="a@x.co"), identify("u2", email="a@x.co")]
    separate = Settings(taken_identifier="separate")
    lines = explain(preview_of([("identify", rows)], settings=separate), "u2", calls=["identify"])

    assert any("belongs to another person (u1)" in line for line in lines)


def test_a_story_marks_what_rests_on_an_open_setting(preview_of):
    """Under either id, the step and the end name the setting; steps that are settled do not."""
    rows = [identify("u1", email="a@x.co"), identify("u2", email="a@x.co")]
    for who in ("u1", "u2"):
        lines = explain(preview_of([("identify", rows)]), who, calls=["identify"])

        assert [("Open: taken_identifier." in line) for line in lines] == [False, True, True]


def test_a_story_of_a_visitor_ends_with_what_is_nobodys(preview_of):
    """The events of a visitor whom no row identifies belong to no person."""
    lines = explain(preview_of([("track", [track(None, "v1")])]), "v1", calls=["track"])

    assert lines == ["Result: the visitor v1 stays anonymous, with 1 event that no person gets."]


def test_an_explanation_of_an_unknown_identifier_says_so(preview_of):
    """An identifier that no row names has no story."""
    lines = explain(preview_of([("identify", [identify("u1")])]), "u7", calls=["identify"])

    assert lines == ["No row contains u7, and no one in the workspace has that identifier."]


def test_a_long_story_is_cut(preview_of):
    """After many steps the rest is counted."""
    rows = [identify("u1", f"v{n}") for n in range(90)]
    lines = explain(preview_of([("identify", rows)]), "u1", calls=["identify"])

    assert len(lines) < 70
    assert any("more steps in preview.changes" in line for line in lines)


def losses(preview_of, plans, **options):
    """Return what the order of plans loses, as kind, first and then."""
    preview = preview_of(plans, **options)
    lost = plan_order.order_problems(preview, calls=[call for call, _ in plans])
    return [(loss.kind, loss.first, loss.then) for loss in lost], lost


PEOPLE = ("identify", [identify("u1", "v1"), identify("u2")])
VISITS = ("track", [track(None, "v1")])
EVENTS = ("track", [track("u2")])
ALIASES = ("alias", [{"previousId": "u2", "userId": "u1"}])
GROUPS = ("group", [{"userId": "u2", "groupId": "g"}])

ORDERS = {
    "events of visitors before their identify lose nothing": ([VISITS, PEOPLE], []),
    "events of visitors after their identify may be lost":
        ([PEOPLE, VISITS], [("late-events", 1, 0)]),
    "aliases after their people lose nothing": ([PEOPLE, ALIASES], []),
    "aliases before their people merge nobody": ([ALIASES, PEOPLE], [("alias-too-early", 1, 0)]),
    "people after their merge are created again":
        ([PEOPLE, ALIASES, ("identify", [identify("u2", plan="pro")])], [("created-again", 2, 1)]),
    "events before their people create them bare": ([EVENTS, PEOPLE], [("created-bare", 1, 0)]),
    "groups before their people create them bare": ([GROUPS, PEOPLE], [("created-bare", 1, 0)]),
    "events after their people lose nothing": ([PEOPLE, EVENTS], []),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_what_an_order_loses(preview_of, name):
    """Each loss names the plan that should come first."""
    plans, expected = ORDERS[name]

    problems, lost = losses(preview_of, plans)

    assert problems == expected
    assert all(loss.rows == 1 and loss.sentence.endswith(".") for loss in lost)


def test_dropped_events_are_a_loss(preview_of):
    """Where unknown people's events are dropped, the order decides whether they are."""
    problems, _ = losses(preview_of, [EVENTS, PEOPLE], settings=Settings(event_for_unknown="drop"))

    assert problems == [("dropped", 1, 0)]


def test_chains_are_flattened(preview_of):
    """An alias into a person who was merged away names the person to write instead."""
    rows = [identify("a"), identify("b"), identify("c")]
    chain = [{"previousId": "b", "userId": "c"}, {"previousId": "a", "userId": "b"}]
    preview = preview_of([("identify", rows), ("alias", chain)])

    assert plan_order.alias_chains(preview).rows() == [(1, 1, "b", "c")]


def test_a_cycle_of_aliases_has_an_end(preview_of):
    """Of a into b and b into a, the second finds no person, and the search for the successor ends."""
    rows = [identify("a"), identify("b")]
    cycle = [{"previousId": "a", "userId": "b"}, {"previousId": "b", "userId": "a"}]
    preview = preview_of([("identify", rows), ("alias", cycle)])

    assert plan_order.alias_chains(preview).rows() == [(1, 1, "a", "b")]
    assert preview.merges.height == 1


def test_visitors_who_were_identified_long_ago_are_counted(preview_of):
    """Their events stay anonymous in any order."""
    known = {"id": ["u1"], "anonymous_id": ["v1"]}
    preview = preview_of([VISITS], known=known)

    assert plan_order.unlinked_events(preview) == 1


def wish(first, then, kind="alias-too-early"):
    """Return a loss that wants one plan before another."""
    return OrderProblem(kind=kind, first=first, then=then, rows=1, sentence="")


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        pytest.param([], (0, 1, 2), id="nothing to do"),
        pytest.param([wish(2, 0)], (1, 2, 0), id="one plan moves back"),
        pytest.param([wish(1, 0), wish(2, 1)], (2, 1, 0), id="all turn around"),
        pytest.param([wish(1, 0), wish(0, 1)], None, id="a circle has no order"),
    ],
)
def test_the_advised_order_fulfils_all_wishes(wishes, expected):
    """Plans stay where they are unless a wish moves them."""
    assert plan_order.advised(3, wishes) == expected


def test_a_torn_plan_is_one_of_events():
    """Of two plans that want to be before each other, the events are those to be split."""
    assert plan_order.must_split([wish(1, 0, "late-events"), wish(0, 1, "created-bare")]) == (1,)


def test_sentences_mention_alias_chains_and_unlinked_events():
    """Problems that no order solves have a sentence as well."""
    late = OrderProblem(kind="late-events", first=1, then=0, rows=1, sentence="plan 1 is late.")
    sentences = plan_order.sentences([late], chains=2, unlinked=3)

    assert sentences[0] == "Plan 1 is late."
    assert sentences[1].startswith("2 alias rows")
    assert sentences[2].startswith("3 anonymous events")
