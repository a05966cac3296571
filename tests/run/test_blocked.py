"""A refused identify holds the person's later rows back, in runs and in what resumes them."""

import asyncio
import json
from collections import Counter
from concurrent.futures import Future

import httpx2
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.audit import FINAL_STATES, recover
from cio_frames.errors import AuditError
from cio_frames.run.start import blocked_people, blocking_rows

REFUSED = "toaster"  # no kind of device: the workspace refuses it, and no local check looks at it
PEOPLE = {
    "id": ["ann", "bob", "eve", "bob", "eve"],
    "device": [None, REFUSED, None, None, REFUSED],
    "n": [0, 1, 2, 3, 4],
}
EVENTS = {"id": ["bob", "ann", "eve", "bob"], "n": [0, 1, 2, 3]}


@pytest.fixture
def workspace():
    """Give an embedded workspace that is stopped afterwards."""
    with cio.sandbox() as sandbox:
        yield sandbox


def back_fill(**changes):
    """Return people, of whom bob is refused and eve is in the end, and events of them."""
    people = pl.DataFrame(PEOPLE | changes).cio.identify(
        user_id="id", traits=["n"], context={"device.type": "device"}
    )
    events = pl.DataFrame(EVENTS).cio.track(
        event=cio.lit("Seen"), user_id="id", properties=["n"], key=["n"]
    )
    return cio.backfill([people, events])


def states(directory):
    """Return the state of each row, by plan."""
    rows = cio.audit(directory).messages.sort("plan", "row")
    return [list(rows.filter(pl.col("plan") == plan)["state"]) for plan in (0, 1)]


EXPECTED = [
    ["delivered", "rejected_server", "delivered", "blocked", "rejected_server"],
    ["blocked", "delivered", "blocked", "blocked"],
]


def test_a_refused_person_is_held_back_end_to_end(workspace, tmp_path):
    """What follows a refused identify is blocked in this plan and in the next; others arrive."""
    run = back_fill().send(workspace.client(), audit=tmp_path, progress=False)

    assert states(tmp_path) == EXPECTED
    assert (run.counts["blocked"], run.counts["delivered"]) == (4, 3)
    assert run.stopped is None
    assert cio.audit(tmp_path).verify().is_empty()
    accepted = workspace.messages.filter(pl.col("reason").is_null())
    assert accepted.height == 3


def test_the_story_of_a_blocked_row_names_the_refused_one(workspace, tmp_path):
    """`explain` names the row that was refused and what to do, in a text without identifiers."""
    run = back_fill().send(workspace.client(), audit=tmp_path, progress=False)
    text = cio.audit(run.audit).explain(row=3, plan=1)

    assert text.startswith("Row 3 of plan 1 of run")
    assert "It has not been sent." in text
    assert "It was held back because an earlier row of the same person was refused" in text
    assert "BLOCKED_BY_ROW: Row 1 of plan 0 (identify) about the same person was refused." in text
    assert "bob" not in text
    assert "Row 1 of plan 0" in repr(run)


def test_a_row_that_was_carried_before_it_was_held_back_says_so(workspace, tmp_path):
    """A row in the batch of the refused one was sent with it; the story does not deny it."""
    run = back_fill().send(workspace.client(), audit=tmp_path, progress=False)
    text = cio.audit(run.audit).explain(row=3, plan=0)

    assert "The whole request that contained it was refused. It was held back" in text


def test_a_resume_holds_the_same_people_back_again(workspace, tmp_path):
    """The refused row is not sent again by a resume, so what it held back stays so."""
    plans = back_fill()
    run = plans.send(workspace.client(), audit=tmp_path, progress=False)
    before = workspace.requests.height

    for _ in range(2):
        again = cio.resume(run.audit, workspace.client(), back_fill(), progress=False)
        assert again.counts["blocked"] == 4
        assert (
            sum(again.counts[state] for state in (*FINAL_STATES, "blocked", "in_doubt", "pending"))
            == 9
        )

    assert workspace.requests.height == before
    assert states(run.audit) == EXPECTED
    assert cio.audit(tmp_path).verify().is_empty()


class StopsAtRefusal(httpx2.AsyncHTTPTransport):
    """Stops a run when a message is refused alone."""

    def __init__(self):
        super().__init__()
        self.run = Future()

    async def handle_async_request(self, request):
        """Pass a request on, and look at its answer."""
        response = await super().handle_async_request(request)
        if response.status_code == 400 and len(json.loads(request.content)["batch"]) == 1:
            (await asyncio.wrap_future(self.run)).stop()
        return response


def test_a_stopped_run_is_resumed_with_its_people_held_back(workspace, tmp_path):
    """Rows that a run never came to are blocked by its resume, if their person was refused."""
    plans, wire = back_fill(), StopsAtRefusal()
    client = cio.connect(
        endpoint=workspace.url, write_key=workspace.write_key, transport=wire, gzip=False
    )
    run = plans.send(client, audit=tmp_path, progress=False, wait=False)
    wire.run.set_result(run)
    run.wait()
    assert run.counts["pending"] + run.counts["in_doubt"] > 0

    again = cio.resume(run.audit, workspace.client(), progress=False)

    states_by_row = states(run.audit)
    recorded = Counter(state for each in states_by_row for state in each)
    assert {state: again.counts[state] for state in recorded} == dict(recorded)
    assert states_by_row[1] == EXPECTED[1]
    assert states_by_row[0][1] == "rejected_server"
    assert states_by_row[0][3] in ("blocked", "in_doubt")


def test_the_corrected_rows_send_what_was_held_back(workspace, tmp_path):
    """Sent again with the row put right, everything arrives once and nothing is sent twice."""
    back_fill().send(workspace.client(), audit=tmp_path, progress=False)

    again = back_fill(device=[None] * 5).send(workspace.client(), audit=tmp_path, progress=False)

    assert again.counts["skipped_done"] == 3
    assert again.counts["delivered"] == 6
    accepted = workspace.messages.filter(pl.col("reason").is_null())
    assert accepted.height == accepted["message_id"].n_unique() == 9


def test_a_resume_with_the_corrected_rows_says_how_to_send_them(workspace, tmp_path):
    """A resume never sends a refused row again, so a corrected one is pointed to `send`."""
    run = back_fill().send(workspace.client(), audit=tmp_path, progress=False)

    with pytest.raises(AuditError, match="Send the new table with"):
        cio.resume(run.audit, workspace.client(), back_fill(device=[None] * 5), progress=False)


def test_who_is_connected_is_held_back_together(workspace, tmp_path):
    """A device that an identify ties to a person counts as that person, in groups' rows too."""
    people = pl.DataFrame(
        {
            "id": ["ann", "bob", "eve"],
            "device": ["d1", "d2", "d5"],
            "kind": [REFUSED, None, REFUSED],
        }
    )
    visits = pl.DataFrame({"device": ["d5", "d2", "d3"]})
    members = pl.DataFrame({"device": ["d1", "d2", None], "id": [None, None, "ann"]})
    plans = cio.backfill(
        [
            people.cio.identify(
                user_id="id", anonymous_id="device", context={"device.type": "kind"}
            ),
            visits.cio.track(event=cio.lit("Seen"), anonymous_id="device"),
            members.cio.group(group_id=cio.lit("eve"), user_id="id", anonymous_id="device"),
        ]
    )
    plans.send(workspace.client(), audit=tmp_path, progress=False)
    rows = cio.audit(tmp_path).messages.sort("plan", "row")

    assert list(rows["state"]) == [
        "rejected_server", "delivered", "rejected_server", "blocked", "delivered", "delivered",
        "blocked", "delivered", "blocked",
    ]  # fmt: skip


def test_a_refused_alias_holds_back_both_of_its_people(workspace, tmp_path):
    """What it would have made one person is held back under either identifier."""
    pairs = pl.DataFrame({"old": ["d1", "d2"], "id": ["ann", "bob"]})
    events = pl.DataFrame({"device": ["d1", None, "d2", None], "id": [None, "ann", None, "bob"]})
    plans = cio.backfill(
        [
            pairs.cio.alias(previous_id="old", user_id="id"),
            events.cio.track(event=cio.lit("Seen"), user_id="id", anonymous_id="device"),
        ]
    )

    def answer(request):
        refused = b'"previousId":"d1"' in request.content
        return httpx2.Response(400 if refused else 200, json={})

    client = cio.connect(
        write_key="k1", transport=httpx2.MockTransport(answer), gzip=False, environ={}
    )
    allow = {"campaigns": 4, "merges": 2}
    plans.send(client, audit=tmp_path, progress=False, allow=allow)

    assert states(tmp_path) == [
        ["rejected_server", "delivered"], ["blocked", "blocked", "delivered", "delivered"],
    ]  # fmt: skip


def test_only_refused_rows_of_calls_that_hold_are_looked_up(workspace, tmp_path):
    """A record without such rows plans nothing once more."""
    run = back_fill().send(workspace.client(), audit=tmp_path, progress=False)
    rows = cio.audit(run.audit).messages

    assert blocking_rows(rows).select("plan", "row").rows() == [(0, 1), (0, 4)]
    assert blocked_people(None, blocking_rows(rows).clear()) == {}
    assert recover(run.audit).unfinished["state"].unique().to_list() == ["blocked"]
