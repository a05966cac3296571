"""A state that comes back arrives: what is sent again, under which id, and what the run reports about it."""

import asyncio
from concurrent.futures import Future

import httpx2
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.payloads.ids import run_ids
from cio_frames.plan import chunks

ALLOWED = cio.Checks(allow=["User Deleted", "Relationship Deleted", "Object Deleted"])


@pytest.fixture
def workspace():
    """Return an embedded workspace."""
    with cio.sandbox() as workspace:
        yield workspace


@pytest.fixture
def send(workspace, tmp_path):
    """Return a function that sends a plan with one record."""

    def sent(plan, folder="audit", **options):
        return plan.send(workspace.client(), audit=tmp_path / folder, progress=False, **options)

    return sent


def people(**columns):
    """Return a plan of people."""
    return cio.frame(pl.DataFrame(columns)).identify(user_id="id")


def events(*names, person="u1"):
    """Return a plan of events of one person."""
    frame = pl.DataFrame({"id": [person] * len(names), "event": names})
    return cio.frame(frame).track(user_id="id", event="event", checks=ALLOWED)


def member(role):
    """Return a plan of one person's role in a company."""
    frame = pl.DataFrame({"company": ["acme"], "id": ["u1"], "role": [role]})
    return cio.frame(frame).group(
        group_id="company", user_id="id", relationship={"role": "role"}, traits=[]
    )


def merge(kept, lost):
    """Return a plan of one merge."""
    frame = pl.DataFrame({"id": [kept], "old": [lost]})
    return cio.frame(frame).alias(user_id="id", previous_id="old")


def attributes(workspace):
    """Return the attributes of each person, by id."""
    return dict(workspace.people.select("id", "attributes").iter_rows())


def test_the_state_of_the_third_day_arrives(workspace, send):
    """True, False, True: the last word counts, and the same once more sends nothing."""
    runs = [send(people(id=["u1"], unsubscribed=[value])) for value in (True, False, True, True)]

    assert [run.counts["delivered"] for run in runs] == [1, 1, 1, 0]
    assert runs[3].counts["skipped_done"] == 1
    assert attributes(workspace) == {"u1": '{"unsubscribed":true}'}


def test_a_person_who_came_back_is_deleted_again(workspace, send):
    """They came back by a row about them, or by an event."""
    back = [people(id=["u1"], plan=["x"]), events("Seen")]
    for plan in (people(id=["u1"], plan=["x"]), events("User Deleted"), *back):
        send(plan)
        send(events("User Deleted"))
        assert workspace.people.is_empty()
        assert send(events("User Deleted")).counts["requests"] == 0


def test_who_was_deleted_is_made_again(workspace, send):
    """The same row after a deletion arrives, and so does what relates them to a company."""
    for plan in (people(id=["u1"], plan=["x"]), member("admin"), events("User Deleted")):
        send(plan)

    assert send(people(id=["u1"], plan=["x"])).counts["delivered"] == 1
    assert send(member("admin")).counts["delivered"] == 1
    assert workspace.relationships.height == 1


def test_a_role_comes_back(workspace, send):
    """Admin, member, admin on one company."""
    for role in ("admin", "member", "admin"):
        send(member(role))

    assert '"admin"' in workspace.relationships["attributes"][0]


@pytest.mark.parametrize("rows", [1, 2, 50_000])
def test_a_state_comes_back_within_a_table(rows, workspace, send, monkeypatch):
    """Free, pro, free ends as free, whatever the size of the chunks; twice sends nothing twice."""
    monkeypatch.setattr(chunks, "CHUNK_ROWS", rows)
    plan = people(id=["u1", "u2", "u1", "u1"], plan=["free", "free", "pro", "free"])

    ids = [message["messageId"] for message in plan.payloads(4)]
    assert len(set(ids)) == 4
    run = send(plan)
    assert run.counts["delivered"] == 4
    assert attributes(workspace)["u1"] == '{"plan":"free"}'
    assert run_ids(workspace.messages["message_id"], seed=run.run_id).sort().to_list() == sorted(
        ids
    )
    assert send(plan).counts["requests"] == 0
    assert plan.rehearse(progress=False).identical


def test_a_state_comes_back_within_a_back_fill(workspace, send):
    """The third plan has the content of the first one."""
    plans = [people(id=["u1"], plan=[value]) for value in ("free", "pro", "free")]

    send(cio.backfill(plans))

    assert attributes(workspace) == {"u1": '{"plan":"free"}'}
    assert send(cio.backfill(plans)).counts["requests"] == 0


def test_a_merge_in_between_counts(workspace, send):
    """Who was merged away is made again, and merged away again."""
    both = people(id=["u1", "u2"], plan=["x", "y"])
    for plan in (both, merge("u1", "u2"), both):
        send(plan)
    assert workspace.people.height == 2

    send(merge("u1", "u2"))

    assert workspace.people.height == 1


def test_one_person_under_two_identifiers_is_one(workspace, send):
    """What an address changed is changed back by the id, once a row has tied the two together."""
    send(people(id=["u1"], email=["a@example.com"], plan=["free"]))
    send(people(id=["u1"], plan=["free"]))
    send(people(id=["a@example.com"], plan=["pro"]))

    assert send(people(id=["u1"], plan=["free"])).counts["delivered"] == 1
    assert attributes(workspace) == {"u1": '{"plan":"free"}'}


def test_other_people_are_not_sent_again(send):
    """Of a table in which one row changed, that row alone goes out."""
    send(people(id=["u1", "u2", "u3"], plan=["x", "x", "x"]))

    run = send(people(id=["u3", "u1", "u2"], plan=["x", "x", "y"]))

    assert (run.counts["delivered"], run.counts["skipped_done"]) == (1, 2)


@pytest.mark.parametrize("pii", ["hmac", "ids", "full"])
def test_without_subjects_a_table_that_is_sent_again_is_done(pii, send):
    """In the same order nothing is sent; in another one, only a row whose subjects the record does not have."""
    plan = people(id=["u1", "u2"], plan=["x", "y"])
    send(plan, pii=pii)

    assert send(plan, pii=pii).counts["requests"] == 0
    turned = send(people(id=["u2", "u1"], plan=["y", "x"]), pii=pii)
    assert turned.counts["delivered"] == (1 if pii == "ids" else 0)


def test_with_another_record_a_state_that_returns_arrives(workspace, send):
    """Somebody else sends the same, after something has changed: Customer.io does not ignore it."""
    for folder, value in (("one", "x"), ("one", "y"), ("other", "x")):
        run = send(people(id=["u1"], plan=[value]), folder=folder)

    assert run.counts["delivered"] == 1
    assert attributes(workspace) == {"u1": '{"plan":"x"}'}


def test_with_another_record_events_count_once(workspace, send):
    """The id of an event is the same whoever sends it; that of a deletion is not."""
    for folder in ("one", "other"):
        send(people(id=["u1"], plan=[folder]), folder=folder)
        send(events("Seen", "User Deleted"), folder=folder)

    twice = workspace.messages.filter(pl.col("message_id").is_duplicated())
    assert twice["json"].str.contains("Seen").to_list() == [True, True]
    assert workspace.people.is_empty()


@pytest.mark.parametrize("way", ["resume", "send"])
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_in_doubt_keeps_its_id(way, times, workspace, send, tmp_path):
    """Whoever sends a message in doubt once more, it goes out as it did first, and counts once."""
    plan = people(id=["u1"], plan=["x"])
    first = None
    for _ in range(times):
        wire = LosesAnAnswer(1)
        client = cio.connect(
            endpoint=workspace.url, write_key=workspace.write_key, transport=wire, gzip=False
        )
        options = {"progress": False, "wait": False}
        if first and way == "resume":
            run = cio.resume(first.audit, client, plan, **options)
        else:
            run = first = plan.send(client, audit=tmp_path / "audit", **options)
        wire.run.set_result(run)
        run.wait()
        assert run.counts["in_doubt"] == 1

    if way == "resume":
        cio.resume(first.audit, workspace.client(), plan, progress=False)
    else:
        send(plan)

    assert workspace.messages.height == times + 1
    assert workspace.messages["message_id"].n_unique() == 1


def test_an_id_that_was_given_is_not_replaced(send):
    """A row that would be ignored as a repeat is rejected, with what to do."""

    def plan(value):
        frame = pl.DataFrame({"id": ["u1"], "plan": [value], "m": [f"m-{value}"]})
        return cio.frame(frame).identify(user_id="id", message_id="m")

    for value in ("free", "pro"):
        send(plan(value))
    run = send(plan("free"))

    assert run.counts["rejected_local"] == 1
    assert run.failed()["code"].to_list() == ["message.repeat"]
    assert "message_id" in run.failed()["error"][0]


def test_events_stay_deduplicated(workspace, send):
    """An event counts once, whatever came after it."""
    for plan in (events("Seen"), people(id=["u1"], plan=["x"]), events("Other"), events("Seen")):
        send(plan)

    assert sorted(workspace.events["name"]) == ["Other", "Seen"]


def test_why_a_row_was_sent_again_is_reported(send, tmp_path):
    """The run counts the rows, and `explain` says which case it was."""
    for value in (True, False):
        assert send(people(id=["u1"], unsubscribed=[value])).notes == ()
    again = send(people(id=["u1"], unsubscribed=[True]))
    same = send(people(id=["u1"], unsubscribed=[True]))

    assert [note.startswith("1 row was sent again") for note in again.notes] == [True]
    record = cio.audit(tmp_path / "audit")
    assert "was sent again under a new message ID" in record.explain(row=0, run=again.run_id)
    assert "nothing newer about the same person" in record.explain(row=0, run=same.run_id)
    assert record.verify().is_empty()


class LosesAnAnswer(httpx2.AsyncHTTPTransport):
    """Passes requests on, but loses the answer to one of them and has the run end there."""

    def __init__(self, number):
        super().__init__()
        self.run, self.left = Future(), number

    async def handle_async_request(self, request):
        """Pass a request on."""
        response = await super().handle_async_request(request)
        self.left -= 1
        if self.left:
            return response
        await response.aread()
        await response.aclose()
        (await asyncio.wrap_future(self.run)).stop()
        raise httpx2.ReadError("the connection is gone")


@pytest.fixture
def row_by_row(monkeypatch):
    """Have each row be a request of its own."""
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 1)


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("way", ["resume", "send"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_run_that_was_cut_off_ends_as_the_table_does(number, way, workspace, send, tmp_path):
    """Whichever answer is lost: what is resumed or sent again ends as it should, and is done then."""
    plan = people(id=["u1"] * 4, plan=["free", "pro", "free", "gone"])
    send(people(id=["u1"], plan=["free"]))
    wire = LosesAnAnswer(number)
    client = cio.connect(
        endpoint=workspace.url, write_key=workspace.write_key, transport=wire, gzip=False
    )
    first = plan.send(client, audit=tmp_path / "audit", progress=False, wait=False)
    wire.run.set_result(first)
    first.wait()

    if way == "resume":
        again = cio.resume(first.audit, workspace.client(), plan, progress=False)
        assert (again.counts["delivered"], again.counts["skipped_done"]) == (3, 1)
        assert workspace.messages["message_id"].n_unique() == 1 + 3
    else:
        again = send(plan)

    assert attributes(workspace) == {"u1": '{"plan":"gone"}'}
    assert send(plan).counts["requests"] == 0
    assert cio.audit(tmp_path / "audit").verify().is_empty()


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("repeat", [False, True])
def test_a_resume_goes_on_as_its_run_was_asked_to(repeat, workspace, send, tmp_path):
    """Rows that a run had not planned yet are sent again where it was to repeat them, and else not."""
    names = [f"u{row}" for row in range(40)]
    plan = people(id=names, plan=["free"] * 40)
    send(people(id=names[1:], plan=["free"] * 39))
    wire = LosesAnAnswer(1)
    client = cio.connect(
        endpoint=workspace.url, write_key=workspace.write_key, transport=wire, gzip=False
    )
    first = plan.send(client, audit=tmp_path / "audit", repeat=repeat, progress=False, wait=False)
    wire.run.set_result(first)
    first.wait()
    assert first.counts["pending"] > 0

    again = cio.resume(first.audit, workspace.client(), plan, progress=False)

    done = again.counts["delivered"] + again.counts["skipped_done"]
    assert done == 40
    assert (again.counts["skipped_done"] == 0) == repeat
