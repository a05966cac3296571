"""Estimates: what sending will take, and what it took."""

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import cio_frames as cio


def people(rows=300):
    """Plan to identify many people."""
    ids = [f"u{n}" for n in range(rows)]
    return pl.DataFrame({"id": ids, "plan": ["pro"] * rows}).cio.identify(user_id="id")


def test_requests_and_bytes_are_exact(tmp_path):
    """The estimate names the requests and bytes that the sandbox then gets."""
    events = pl.DataFrame({"u": ["u1"] * 50}).with_row_index("n").cio.track(
        event=cio.lit("Joined"), user_id="u"
    )  # fmt: skip
    form = pl.DataFrame({"e": ["a@example.com", "b@example.com"]}).cio.form(
        form_id=cio.lit("news"), email="e"
    )
    backfill = cio.backfill([people(), events, form])
    estimate = backfill.estimate()

    with cio.sandbox() as workspace:
        run = backfill.send(workspace.client(), audit=tmp_path, progress=False)
        requests = workspace.requests

    assert estimate.requests == requests.height
    assert estimate.bytes == requests["bytes"].sum()
    assert estimate.compressed_bytes == pytest.approx(requests["wire_bytes"].sum(), rel=0.25)
    table = estimate.compare(run).table
    assert table["what"].to_list() == ["rows", "requests", "message bytes", "seconds"]
    assert table["off_by"].to_list()[:3] == [0, 0, 0]


def test_new_profiles_are_those_the_export_does_not_have():
    """Known people cost nothing; merges of known people take profiles away."""
    known = pl.DataFrame({"id": ["u1", "u2"], "email": [None, None], "cio_id": ["c1", "c2"]})
    aliases = pl.DataFrame({"old": ["u2"], "new": ["u1"]})
    backfill = cio.backfill([people(10), aliases.cio.alias(previous_id="old", user_id="new")])

    estimate = backfill.estimate(known=known, price_per_profile=0.5)

    assert (estimate.new_profiles, estimate.removed_profiles) == (8, 1)
    assert estimate.price == 4.0
    assert "at most 8" not in repr(estimate)


def test_without_an_export_the_number_of_profiles_is_an_upper_bound():
    """Everybody counts as new, and the report says so."""
    estimate = people(10).estimate()

    assert estimate.new_profiles == 10
    assert "at most 10" in repr(estimate)
    assert "price" not in repr(estimate)


@pytest.mark.parametrize(
    ("options", "seconds", "bound"),
    [
        pytest.param({"rate": 0.5}, 2.0, "the rate of requests", id="few requests a second"),
        pytest.param(
            {"rate": None, "latency_s": 32.0}, 2.0, "the response time", id="slow answers"
        ),
    ],
)
def test_the_time_is_set_by_what_is_slowest(options, seconds, bound):
    """The rate of requests or the response time, whichever is slower."""
    estimate = people(10).estimate(**options)

    assert estimate.seconds == pytest.approx(seconds + options.get("latency_s", 0.15))
    assert estimate.bound == bound


def test_a_clients_limits_count(tmp_path):
    """Rate and compression are those of the client."""
    client = cio.connect(endpoint="http://127.0.0.1:9", write_key="k", rate=0.1, gzip=False)

    estimate = people(10).estimate(client)

    assert estimate.seconds == pytest.approx(10.15)
    assert estimate.compressed_bytes == estimate.bytes


def test_objects_are_counted():
    """Each object of a group plan may be a new one."""
    plan = pl.DataFrame({"g": ["g1", "g2", "g1"]}).cio.group(group_id="g")

    assert plan.estimate().objects == 2


def test_an_estimate_reads_in_a_notebook():
    """HTML and text have the same lines; after a run, the outcome stands beside."""
    estimate = people(10).estimate(price_per_profile=1)
    shown = estimate._repr_mimebundle_()

    for words in ("requests", "new profiles", "10.00 for the new profiles"):
        assert words in shown["text/plain"]
        assert words in shown["text/html"]


def test_a_comparison_reads_in_a_notebook(tmp_path):
    """Estimate and outcome side by side."""
    plan = people(10)
    with cio.sandbox() as workspace:
        run = plan.send(workspace.client(), audit=tmp_path, progress=False)

    shown = plan.estimate().compare(run)._repr_mimebundle_()

    assert "outcome" in shown["text/plain"]
    assert "outcome" in shown["text/html"]


def require_as_previewed(estimate, plan):
    """Raise unless an estimate has the figures of a preview, which is made now."""
    preview = plan.identity()

    assert estimate.new_profiles == preview.summary["creates"]
    assert (estimate.removed_profiles, estimate.objects) == (0, preview.groups.height)
    assert estimate.open == plan.pipelines.last_preview.open


PLAIN = ["u1", "U1", " u2", "7", "cio"]
UNCLEAR = ["a@b.co", "A@b.co", "A@b", "a@b", "cio_9", "", None]
OTHERS = ["plan", "email", "id", "cio_id", "anonymous_id", "object_type_id"]


@settings(deadline=None, max_examples=60)
@given(
    ids=st.lists(st.sampled_from(PLAIN + UNCLEAR) | st.sampled_from(PLAIN), min_size=1, max_size=8),
    numbers=st.booleans(),
    other=st.sampled_from(OTHERS) | st.just("plan"),
)
@example(ids=[None, None], numbers=False, other="plan")
def test_an_estimate_counts_the_people_that_a_preview_counts(ids, numbers, other):
    """Where ids alone identify people, no preview is made, and the figures are the same as with one."""
    users = [len(each or "") for each in ids] if numbers else ids
    frame = pl.DataFrame({"user": users, other: [f"{each}x" for each in ids]})
    plan = frame.cio.identify(user_id="user", checks=cio.Checks(ignore=["id"]))

    estimate = plan.estimate()
    is_counted_by_checks = other == "plan" and (numbers or not set(ids) & set(UNCLEAR))
    assert (plan.pipelines.last_preview is None) >= is_counted_by_checks
    require_as_previewed(estimate, plan)


NAMES = ["Joined", "joined ", "User Deleted", " User Deleted", "Object Deleted"]
NAMES += ["Report Delivery Event", "Relationship Deleted", "User Suppressed", "Device Deleted"]


@settings(deadline=None, max_examples=20)
@given(
    ids=st.lists(st.sampled_from(PLAIN + UNCLEAR) | st.sampled_from(PLAIN), min_size=1, max_size=8),
    names=st.lists(st.sampled_from(NAMES) | st.just("Joined"), min_size=8, max_size=8),
    other=st.sampled_from([*OTHERS, "objectId", "objectTypeId", "device"]),
)
def test_an_estimate_counts_the_people_of_events_that_a_preview_counts(ids, names, other):
    """Events by ids need no preview either, unless one of them acts."""
    frame = pl.DataFrame({"user": ids, "event": names[: len(ids)], other: "x"})
    checks = cio.Checks(ignore=["id", "event"])
    plan = frame.cio.track(event="event", user_id="user", timestamp=None, checks=checks)

    estimate = plan.estimate()
    is_counted_by_checks = not set(ids) & set(UNCLEAR) and set(frame["event"]) <= {
        "Joined",
        "joined ",
    }
    assert (plan.pipelines.last_preview is None) >= is_counted_by_checks
    require_as_previewed(estimate, plan)


def test_an_estimate_reads_no_row_again_where_ids_alone_identify_people():
    """Links and an export take a preview."""
    known = pl.DataFrame({"id": ["u1"]})
    plan, linked = people(), pl.DataFrame({"id": ["u1"], "email": ["a@b.co"]}).cio.identify()
    events = pl.DataFrame({"id": ["u1", "u2", "u1"]}).cio.track(event=cio.lit("X"), user_id="id")

    plan.estimate()
    linked.estimate()

    assert (plan.pipelines.last_preview, plan.estimate().new_profiles) == (None, 300)
    assert (events.estimate().new_profiles, events.pipelines.last_preview) == (2, None)
    assert linked.pipelines.last_preview is not None
    assert plan.estimate(known=known).new_profiles == 299
