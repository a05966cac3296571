"""Who is connected with whom: whoever shares an identifier keeps their order together."""

import threading
from collections import Counter

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.mapping import numbered
from cio_frames.plan.full_check import link_keys
from cio_frames.plan.pipeline import Pipelines

names = st.sampled_from("abcdef")
some = st.one_of(st.none(), names)
identified = st.lists(st.tuples(names, some, some), max_size=12)
followed = st.lists(st.tuples(some, names), max_size=12)


def connected(people: list[tuple], events: list[tuple]) -> dict[str, set[str]]:
    """Return, the naive way, everybody who is addressed and whom each belongs together with."""
    groups: list[set[str]] = []
    for row in [*people, *[(user or anonymous,) for user, anonymous in events]]:
        met = {name for name in row if name is not None}
        touched = [group for group in groups if group & met]
        groups = [group for group in groups if not group & met] + [met.union(*touched)]
    addressed = {row[0] for row in people} | {user or anonymous for user, anonymous in events}
    return {name: next(g for g in groups if name in g) & addressed for name in addressed}


def number(name: str) -> int:
    """Return the number of an identifier."""
    return pl.DataFrame({"name": [name]}).select(numbered(pl.col("name"))).item()


@given(people=identified, events=followed)
def test_people_who_share_an_identifier_are_one(people, events):
    """Through chains of identifiers and across plans, no one is left out and no one is added."""
    identify = pl.DataFrame(
        people, schema=dict.fromkeys(("id", "device", "email"), pl.String), orient="row"
    ).cio.identify(user_id="id", anonymous_id="device", traits={"email": "email"})
    track = pl.DataFrame(
        events, schema=dict.fromkeys(("id", "device"), pl.String), orient="row"
    ).cio.track(user_id="id", anonymous_id="device", event=pl.lit("Seen"))

    components = Pipelines((identify.pipeline, track.pipeline)).components

    component = {} if components is None else dict(components.iter_rows())
    wanted = connected(people, events)
    for one, together in wanted.items():
        for other in wanted:
            same = component.get(number(one), number(one)) == component.get(
                number(other), number(other)
            )
            assert same == (other in together)


def test_people_of_whom_each_has_an_address_of_their_own_are_not_connected():
    """Where nobody shares anything, nothing is kept in memory."""
    people = pl.DataFrame({"id": ["u1", "u2", "u1"], "email": ["a@x.org", "b@x.org", "a@x.org"]})
    plan = people.cio.identify(user_id="id")

    assert plan.pipelines.components is None


def test_each_identifier_of_a_row_is_numbered_once():
    """However many identifiers a row links, the one that it is about is numbered for all of them together."""
    people = pl.DataFrame({"id": ["u1"], "device": ["a1"], "email": ["a@example.com"]})
    plan = people.cio.identify(user_id="id", anonymous_id="device", traits={"email": "email"})
    made = Counter()

    def count(frame, event, _):
        made[frame.f_code] += event == "call"

    threading.setprofile(count)
    try:
        Pipelines((plan.pipeline,)).before_send()
    finally:
        threading.setprofile(None)

    assert made[link_keys.__code__] == 1
    assert made[numbered.__code__] == 3
