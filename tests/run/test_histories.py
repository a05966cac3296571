"""Whatever tables are sent in whatever order, the workspace is what it is without deduplication."""

import itertools
import os
from copy import deepcopy
from datetime import timedelta
from functools import partial
from uuid import uuid4

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.audit.schema import PART_SCHEMA
from cio_frames.audit.segment_progress import plan_of
from cio_frames.clock import utc_now
from cio_frames.identity.model import Model
from cio_frames.payloads import RUN_ALGORITHM
from cio_frames.plan import chunks
from cio_frames.run import RowSelection
from cio_frames.run.job import FINISHED_SCHEMA
from cio_frames.run.start import in_doubt, with_kept_states
from cio_frames.run.state_rows import Recorded

EXAMPLES = int(os.environ.get("CIO_HISTORIES", "40"))
ALLOWED = cio.Checks(allow=["User Deleted", "Relationship Deleted", "Object Deleted"])
IDS = ("u1", "u2", "U3")
MAILS = ("a@example.com", "b@example.com")
KEY = "0" * 64
APPLIED = pl.Schema(
    {
        **{
            name: PART_SCHEMA[name]
            for name in (
                "run_id", "plan", "row", "call", "person_key", "message_id", "payload_hash",
                "subjects", "state", "first_attempt_at",
            )
        },
        "at": PART_SCHEMA["finished_at"],
    }
)  # fmt: skip


def people(rows):
    """Return people with attributes and addresses."""
    return cio.frame(pl.DataFrame(rows)).identify(user_id="id", checks=ALLOWED)


def merges(rows):
    """Return merges."""
    return cio.frame(pl.DataFrame(rows)).alias(user_id="id", previous_id="other", checks=ALLOWED)


def members(rows):
    """Return people of objects, with a role."""
    return cio.frame(pl.DataFrame(rows)).group(
        group_id="group", user_id="id", relationship={"role": "role"}, traits=[], checks=ALLOWED
    )


def objects(rows):
    """Return objects with attributes."""
    return cio.frame(pl.DataFrame(rows)).group(group_id="group", checks=ALLOWED)


def events(rows):
    """Return events, some of which act on the workspace."""
    return cio.frame(pl.DataFrame(rows)).track(user_id="id", event="event", checks=ALLOWED)


def rows(**columns):
    """Draw a few rows of columns."""
    return st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=4)


who, value = st.sampled_from(IDS), st.sampled_from(["x", "y"])
group = st.sampled_from(["g1", "g2"])
TABLE = st.one_of(
    st.tuples(st.just(people), rows(id=st.sampled_from([*IDS, MAILS[0]]), plan=value)),
    st.tuples(
        st.just(people),
        rows(id=st.sampled_from(IDS[:2]), email=st.none() | st.sampled_from(MAILS), plan=value),
    ),
    st.tuples(st.just(members), rows(group=group, id=who, role=value)),
    st.tuples(st.just(objects), rows(group=group, size=value)),
    st.tuples(
        st.just(events),
        rows(
            id=who,
            event=st.sampled_from(
                ["User Deleted", "Seen", "Relationship Deleted", "Object Deleted"]
            ),
            objectId=group,
        ),
    ),
    st.tuples(
        st.just(merges),
        st.lists(
            st.sampled_from([{"id": "u1", "other": "u2"}, {"id": "U3", "other": "u1"}]), min_size=1
        ),
    ),
)


def state(model, *, without=frozenset()):
    """Return how people and objects are, without what only counts their appearances.

    People of the identifiers in `without` are left out, with their relationships.
    """
    contents = {name: getattr(model, name)() for name in ("people", "objects", "relationships")}
    contents["people"] = [p for p in contents["people"] if not {p["id"], p["email"]} & without]
    people_ = {each["cio_id"]: (each["id"], each["email"]) for each in contents["people"]}
    contents["relationships"] = [r for r in contents["relationships"] if r["person"] in people_]
    return {
        "people": sorted(str((p["id"], p["email"], p["attributes"])) for p in contents["people"]),
        "objects": sorted(str((o["object_id"], o["attributes"])) for o in contents["objects"]),
        "relationships": sorted(
            str((r["object_id"], people_.get(r["person"]), r["attributes"]))
            for r in contents["relationships"]
        ),
    }


def sends(tables):
    """Return plans to send, each of one table or of several."""
    for each in tables:
        plans = [make(rows) for make, rows in each]
        yield plans[0] if len(plans) == 1 else cio.backfill(plans)


def messages_of(plan):
    """Return messages in the order of sending, without deduplication except for plain events."""
    for segment in plan.pipelines.segments(RowSelection()):
        is_event = dict(segment.rows.select("row", pl.col("subjects").is_null()).iter_rows())
        for batch in segment.batches:
            for row, text in zip(batch.rows, batch.messages, strict=True):
                message = msgspec.json.decode(text)
                if not is_event[row]:
                    message["messageId"] = str(uuid4())
                yield message


def people_of(row):
    """Return whom a row names."""
    return {row[name] for name in ("id", "other", "email") if row.get(name)}


def named(table):
    """Return the people and the objects that a table names."""
    everything = [row for _, rows in table for row in rows]
    objects_ = {row[name] for row in everything for name in ("group", "objectId") if name in row}
    return objects_.union(*map(people_of, everything))


def is_repeat(tables):
    """Return whether the last table was sent before, and nothing of its people and objects since.

    People that any row names as one count as one: what changes one of them changes the others.
    """
    *before, last = tables
    about, links = (
        named(last),
        [people_of(row) for each in tables for _, rows in each for row in rows],
    )
    for _ in links:
        about = about.union(*(link for link in links if link & about))
    since = itertools.takewhile(lambda each: each != last, reversed(before))
    return last in before and not any(named(each) & about for each in since)


def seen_after_deletion(tables):
    """Return people whom a table deletes and sees afterwards, with those they are linked to.

    Events are sent once. When the table is sent again, such a person stays if no other row has named
    them since, and else is deleted: the deletion is sent again, and the event is not.
    """
    people_ = set()
    for table in tables:
        deleted = set()
        for row in (row for _, rows in table for row in rows):
            if row.get("event") == "User Deleted":
                deleted.add(row["id"])
            elif row.get("event"):
                people_ |= deleted & {row["id"]}
    links = [people_of(row) for table in tables for _, rows in table for row in rows]
    for _ in links:
        people_ = people_.union(*(link for link in links if link & people_))
    return people_


class Record:
    """Sends plans to a model of the workspace, and keeps what a run's record keeps, in memory."""

    def __init__(self, pii, *, name="", model=None):
        self.model, self.oracle, self.pii = model or Model(), Model(), pii
        self.rows = APPLIED.to_frame()
        self.runs, self.name = 0, name

    def send(self, plan, *, cut=None, arrives=False):
        """Send a plan and return how many messages left.

        After `cut` messages the sender is killed; whether the next one `arrives`, it does not know.
        """
        job, self.runs = plan.pipelines.job(), self.runs + 1
        run = f"run{self.runs:04d}{self.name}"
        recorded = Recorded(
            states=self.rows.filter(pl.col("subjects").is_not_null()),
            events=self.rows.filter(pl.col("subjects").is_null()).lazy(),
            pii=self.pii,
            key=KEY,
            id_key=None,
            add_states=partial(with_kept_states, now=utc_now(), wanted=None),
        )
        finished = with_kept_states(self.rows, now=utc_now(), wanted=None).drop("state")
        finished = finished.rename({"kept_state": "state"}).drop_nulls("state")
        finished = finished.select(FINISHED_SCHEMA.names())
        selection = RowSelection(
            decided=recorded.decided(job.state_messages, repeat=False),
            finished=finished.unique("message_id"),
            in_doubt=in_doubt(
                self.best(), algorithms=dict.fromkeys(self.rows["run_id"], RUN_ALGORITHM)
            ),
            seed=run,
        )
        sent, parts = 0, [self.rows]
        for segment in job.segments(selection):
            states = {}
            for row, message in wire(segment):
                if sent == cut:
                    states[row] = "in_doubt"
                    if arrives:
                        self.model.apply(message, received_at=utc_now())
                    break
                self.model.apply(message, received_at=utc_now())
                states[row] = "delivered"
                sent += 1
            kept = plan_of(segment, pii=self.pii, key=KEY).filter(pl.col("row").is_in([*states]))
            moment = utc_now() + timedelta(seconds=self.runs)
            parts.append(
                kept.with_columns(
                    run_id=pl.lit(run),
                    state=pl.col("row").replace_strict(states, default="", return_dtype=pl.String),
                    at=moment,
                    first_attempt_at=moment,
                ).select(pl.col(name).cast(kind) for name, kind in APPLIED.items())
            )
            if "in_doubt" in states.values():
                break
        self.rows = pl.concat(parts)
        return sent

    def best(self):
        """Return the state of each message, as `audit.Earlier` does."""
        best = self.rows.sort(pl.col("state") == "delivered", descending=True, maintain_order=True)
        return best.unique("message_id", keep="first", maintain_order=True)


def wire(segment):
    """Yield rows and messages of a segment in the order of sending."""
    for batch in segment.batches:
        yield from zip(batch.rows, map(msgspec.json.decode, batch.messages), strict=True)


HISTORY = st.lists(st.lists(TABLE, min_size=1, max_size=2), min_size=2, max_size=6)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables=HISTORY, data=st.data(), pii=st.sampled_from(["hmac", "ids", "full"]))
def test_nothing_that_is_meant_is_swallowed(tables, data, pii):
    """Tables in any order, some several times, in chunks of any size, whatever the record keeps.

    Some are killed on the way and sent again. Sent once more at once, each sends nothing.
    """
    again = data.draw(st.lists(st.sampled_from(range(len(tables))), max_size=4))
    sent = [*tables, *(tables[place] for place in again)]
    record = Record(pii)
    for count, plan in enumerate(sends(sent), start=1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunks, "CHUNK_ROWS", data.draw(st.sampled_from([1, 2, 50_000])))
            if data.draw(st.booleans()):
                record.send(
                    plan, cut=data.draw(st.integers(0, 5)), arrives=data.draw(st.booleans())
                )
            record.send(plan)
            for message in () if is_repeat(sent[:count]) else messages_of(plan):
                record.oracle.apply(message, received_at=utc_now())
            assert record.send(plan) == 0
    unclear = seen_after_deletion(tables)
    assert state(record.model, without=unclear) == state(record.oracle, without=unclear)


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables=HISTORY, data=st.data(), pii=st.sampled_from(["hmac", "ids", "full"]))
def test_what_is_sent_without_a_record_arrives(tables, data, pii):
    """Somebody else, with another record, sends one of the tables again: all that sets a state arrives.

    Events count once. A sender who is killed on the way and sends again ends as the table does.
    """
    plans, record = list(sends(tables)), Record(pii)
    for plan in plans:
        record.send(plan)
    for name in ("b", "c"):
        plan, other = data.draw(st.sampled_from(plans)), Record(pii, name=name, model=record.model)
        oracle = deepcopy(record.model)
        if data.draw(st.booleans()):
            other.send(plan, cut=data.draw(st.integers(0, 5)), arrives=data.draw(st.booleans()))
        other.send(plan)
        for message in messages_of(plan):
            oracle.apply(message, received_at=utc_now())
        assert state(record.model) == state(oracle)
        assert other.send(plan) == 0


def test_who_is_seen_after_a_deletion_stays_when_the_table_is_sent_again():
    """Rows about others in between do not delete a person whose event would not be sent again."""
    record = Record("hmac")
    gone = events(
        [{"id": "u2", "event": name, "objectId": "g1"} for name in ("User Deleted", "Seen")]
    )
    table = cio.backfill([people([{"id": "u1", "plan": "x"}]), gone])
    for plan in (table, people([{"id": "u1", "plan": "y"}])):
        record.send(plan)

    assert record.send(table) == 1
    assert [each["id"] for each in record.model.people()] == ["u1", "u2"]


def test_who_was_named_since_is_deleted_when_the_table_is_sent_again():
    """The deletion is sent again, and the event that created the person again is not: it counts once."""
    record = Record("hmac")
    table = events(
        [{"id": "u2", "event": name, "objectId": "g1"} for name in ("User Deleted", "Seen")]
    )
    for plan in (table, people([{"id": "u2", "plan": "y"}])):
        record.send(plan)
    assert [each["id"] for each in record.model.people()] == ["u2"]

    assert record.send(table) == 1
    assert record.model.people() == []
    assert record.send(table) == 0


@pytest.mark.parametrize("arrives", [False, True])
def test_a_deletion_in_doubt_is_sent_once_more_and_no_other_under_its_id(arrives):
    """Of two rows with the same content, the one that was in doubt keeps its id for itself."""
    record = Record("hmac")
    names = ["User Deleted", "Seen", "User Deleted"]
    plan = events([{"id": "u1", "event": name, "objectId": "g1"} for name in names])

    assert record.send(plan, cut=2, arrives=arrives) == 2
    assert record.send(plan) == 1
    assert record.model.people() == []
    assert record.send(plan) == 0


@pytest.mark.parametrize("arrives", [False, True])
def test_a_row_whose_id_only_another_row_can_have_is_sent_under_a_new_one(arrives):
    """The first of two rows with the same content was in doubt under a new id; the last one arrives."""
    record = Record("hmac")
    rows = people([{"id": "u1", "plan": "x"}] * 2)
    merge = merges([{"id": "u1", "other": "u2"}])

    for plan in (rows, people([{"id": "u1", "plan": "y"}])):
        record.send(plan)
    assert record.send(cio.backfill([merge, rows]), cut=1, arrives=arrives) == 1
    assert record.send(cio.backfill([merge, rows])) == 1
    assert record.send(cio.backfill([merge, rows])) == 0
    assert record.model.people()[0]["attributes"] == {"plan": "x"}


def test_more_rows_with_a_content_that_is_done_are_not_sent_after_what_followed_it():
    """A content that was sent once and is in three rows now stays done: the others still follow it."""
    record = Record("hmac")
    known = people([{"id": name, "plan": "w"} for name in ("u1", "U3")])
    linked = merges([{"id": "U3", "other": "u1"}])
    both = people([{"id": "u1", "plan": "x"}, {"id": "U3", "plan": "y"}])
    record.send(cio.backfill([known, linked, both]))

    more = cio.backfill([people([{"id": "u1", "plan": "x"}] * 2), both])

    assert record.send(more) == 0
    assert record.model.people()[0]["attributes"] == {"plan": "y"}


def test_who_was_renamed_and_is_named_again_gets_what_the_first_table_says():
    """A membership creates a person again whom an e-mail address had renamed; the table with attributes is sent again."""
    record = Record("hmac")
    shared = [
        {"id": name, "email": "a@example.com", "plan": "x"} for name in ("u1", "u2")
    ]  # the second takes the place of the first
    record.send(people(shared))
    record.send(members([{"group": "g1", "id": "u1", "role": "x"}]))

    assert record.send(people(shared)) == 2
    assert {each["id"]: each["attributes"] for each in record.model.people()} == {
        "u1": {"plan": "x"},
        "u2": {"plan": "x"},
    }
