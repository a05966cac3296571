"""After a rejected identify or alias the later rows of that person, and of no other, are not sent."""

from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cio_frames.sending.blocking import BLOCKED, BLOCKING_CALLS, BlockedPeople, BlockingRow
from cio_frames.sending.events import BatchFinished
from cio_frames.spec import CALLS
from tests.sending.conftest import Host, batch, run, segment

SENT = [name for name, call in CALLS.items() if call.api.name in ("pipelines", "forms")]
REFUSAL = BlockingRow(plan=1, row=5, call="identify")


def host_rejecting(*bad):
    """Return a host that rejects requests with bad rows."""
    return Host(lambda heard: 400 if set(bad) & set(heard.rows) else 200)


@pytest.mark.parametrize(
    ("call", "blocks"),
    [(call, call in ("identify", "alias")) for call in SENT],
    ids=SENT,
)
def test_only_identify_and_alias_block_later_rows(call, blocks):
    """A rejected identify or alias blocks the person's later rows; any other call blocks nothing."""
    first = segment(4, call=call, lane_of=lambda _: 7)
    later = segment(4, call="track", plan=1, number=1, first_row=10, lane_of=lambda _: 7)

    record = run([first, later], host_rejecting(1))

    assert record.rows("rejected_server") == [1]
    assert record.rows("blocked") == ([2, 3, 10, 11, 12, 13] if blocks else [])
    assert (call in BLOCKING_CALLS) == blocks


@pytest.mark.parametrize(
    ("plan", "row", "person", "is_blocked"),
    [
        pytest.param(1, 6, 77, True, id="later-row"),
        pytest.param(1, 4, 77, False, id="earlier-row"),
        pytest.param(1, 5, 77, False, id="the-row-itself"),
        pytest.param(2, 0, 77, True, id="later-plan"),
        pytest.param(0, 9, 77, False, id="earlier-plan"),
        pytest.param(1, 6, 78, False, id="somebody-else"),
        pytest.param(1, 6, None, False, id="nobody"),
    ],
)
def test_later_rows_of_the_person_are_blocked(plan, row, person, is_blocked):
    """Only later rows of the same person are blocked."""
    blocked_people = BlockedPeople({77: REFUSAL})
    spans = list(blocked_people.blocked_parts(batch([row], number=0, plan=plan), people=[person]))

    assert spans == ([(0, 1, REFUSAL)] if is_blocked else [])


def test_the_first_rejected_row_is_named():
    """A second rejected row of a person does not replace the first."""
    blocked_people = BlockedPeople({77: REFUSAL})

    assert blocked_people.block(BlockingRow(plan=1, row=9, call="alias"), person=77)
    assert [
        span[2] for span in blocked_people.blocked_parts(batch([12], number=0, plan=1), people=[77])
    ] == [REFUSAL]


@given(st.lists(st.sampled_from([None, 1, 2, 3]), max_size=20), st.sets(st.sampled_from([1, 2, 3])))
def test_blocked_parts_cover_exactly_the_blocked_rows(people, blocked):
    """The parts are disjoint, in order, and contain exactly the positions of blocked people."""
    blocked_people = BlockedPeople(
        {person: BlockingRow(plan=0, row=person, call="alias") for person in blocked}
    )
    parts = list(
        blocked_people.blocked_parts(batch(range(len(people)), number=0, plan=1), people=people)
    )

    covered = [at for start, stop, _ in parts for at in range(start, stop)]
    assert covered == [at for at, person in enumerate(people) if person in blocked]
    assert all(before[1] <= after[0] for before, after in pairwise(parts))


def test_people_are_not_read_while_nothing_is_blocked():
    """Without a rejection that blocks people, the people of a batch are not looked up."""
    plain = segment(40, call="track")
    without = type(plain)(
        plan=0, number=0, call="track", rows=plain.rows.drop("component"), batches=plain.batches
    )

    assert run([without], host_rejecting(13)).counts == {"delivered": 39, "rejected_server": 1}


def test_others_in_the_lane_and_in_the_batch_still_go():
    """Two people share lane and batch: a rejected row of one does not block the other."""
    mixed = segment(10, call="identify", lane_of=lambda _: 3, person_of=lambda row: row % 2)

    record = run([mixed], host_rejecting(2))

    assert record.rows("rejected_server") == [2]
    assert record.rows("blocked") == [4, 6, 8]
    assert record.rows("delivered") == [0, 1, 3, 5, 7, 9]


def test_the_reason_names_the_row_and_what_to_do():
    """The reason names the rejected row, and what to do."""
    people = segment(2, call="identify", lane_of=lambda _: 3)
    events = segment(3, plan=1, number=1, first_row=10, lane_of=lambda _: 3)

    record = run([people, events], host_rejecting(0))
    end = record.ends[11]

    assert (end.code, end.status, end.attempts) == (BLOCKED, None, 0)
    assert "Row 0 of plan 0 (identify) about the same person was refused." in end.error
    assert "send again" in end.error


def test_later_segments_and_plans_are_blocked_and_others_are_not():
    """One of five people is rejected; her later rows are blocked in every plan, the others' arrive."""
    plans = [
        segment(20, call=call, plan=at, number=at, first_row=100 * at, lane_of=lambda row: row % 5)
        for at, call in enumerate(["identify", "group", "track", "form"])
    ]

    record = run(plans, host_rejecting(2))

    blocked = [row for each in plans for row in each.rows["row"] if row % 5 == 2 and row != 2]
    assert record.rows("blocked") == blocked
    assert record.counts == {"rejected_server": 1, "blocked": 15, "delivered": 64}
    assert not {row for heard in record.host.requests[10:] for row in heard.rows} & set(blocked)


def test_what_follows_in_a_searched_batch_is_not_sent_again():
    """After the row at fault was found, no request carries a later row of that person."""
    people = segment(64, per_batch=64, call="identify", lane_of=lambda row: row // 8)

    record = run([people], host_rejecting(18))
    found = max(at for at, heard in enumerate(record.host.requests) if heard.rows == [18])

    assert record.rows("blocked") == [19, 20, 21, 22, 23]
    assert record.counts["delivered"] == 58
    later = {row for heard in record.host.requests[found + 1 :] for row in heard.rows}
    assert not later & {19, 20, 21, 22, 23}
    assert later >= set(range(24, 64))


def test_a_row_in_doubt_stays_in_doubt_when_it_is_blocked():
    """A row that an unanswered request may have delivered is in doubt, not blocked."""
    people = segment(8, per_batch=8, call="identify", lane_of=lambda _: 0)
    late = segment(4, call="track", plan=1, number=1, first_row=10, lane_of=lambda _: 0)

    def answer(heard):
        return 500 if heard.number == 1 else 400 if 3 in heard.rows else 200

    record = run([people, late], Host(answer))

    assert record.rows("in_doubt") == [4, 5, 6, 7]
    assert {record.ends[row].code for row in (4, 7, 12)} == {BLOCKED}
    assert record.rows("blocked") == [10, 11, 12, 13]


def test_one_rejected_person_does_not_stop_the_run():
    """The later rows of a rejected person are not used as probes."""
    record = run([segment(10, call="identify", lane_of=lambda _: 0)], host_rejecting(*range(10)))

    assert record.stopped is None
    assert record.counts == {"rejected_server": 1, "blocked": 9}


def test_probes_are_taken_from_rows_that_are_not_blocked():
    """Three rejected people, each with many rows, stop a run; no other row is sent."""
    people = segment(90, per_batch=90, call="identify", lane_of=lambda row: row // 30)

    record = run([people], host_rejecting(*range(90)))

    assert record.stopped == "SYSTEMIC_REJECT"
    assert record.rows("rejected_server") == [0, 30, 60]
    assert len(record.rows("blocked")) == 87


def test_a_run_can_begin_with_blocked_people():
    """A rejected row of an earlier run blocks later rows from the start, and only those."""
    people = segment(20, call="identify", lane_of=lambda row: row % 2)

    record = run([people], blocked={1: BlockingRow(plan=0, row=5, call="alias")})

    assert record.rows("blocked") == [7, 9, 11, 13, 15, 17, 19]
    assert record.counts["delivered"] == 13


def test_blocked_rows_are_finished_once():
    """Every blocked row has one end, and the ends of a batch leave nothing out."""
    people = segment(50, per_batch=25, call="identify", lane_of=lambda row: row // 10)
    record = run([people], host_rejecting(3, 17, 44))

    ends = [row for end in record.of(BatchFinished) for row in end.batch.rows]
    assert sorted(ends) == list(range(50))
    assert record.rows("blocked") == [*range(4, 10), 18, 19, *range(45, 50)]


def naive(plans, calls):
    """Return the state of each row, by going through the rows of all plans one by one."""
    states, blocked, number = {}, set(), 0
    for rows, call in zip(plans, calls, strict=True):
        for person, bad in rows:
            if person in blocked:
                states[number] = "blocked"
            elif bad:
                states[number] = "rejected_server"
                blocked |= {person} if call in ("identify", "alias") else set()
            else:
                states[number] = "delivered"
            number += 1
    return states


ROW = st.tuples(st.integers(0, 5), st.booleans())
PLAN = st.tuples(st.lists(ROW, min_size=1, max_size=12), st.sampled_from(["identify", "track"]))


@settings(max_examples=60)
@given(st.lists(PLAN, min_size=1, max_size=3), st.integers(1, 4), st.integers(1, 6))
@example([([(0, True), (1, True), (1, False), (1, False)], "identify")], 1, 4)
def test_every_row_ends_as_a_naive_walk_says(planned, lanes, per_batch):
    """Whoever is rejected in whatever plan, lane and batch, exactly their later rows are blocked."""
    plans, calls = zip(*planned, strict=True)
    segments, first = [], 0
    for at, (rows, call) in enumerate(planned):
        people = [person for person, _ in rows]
        segments.append(
            segment(
                len(rows), per_batch=per_batch, number=at, plan=at, first_row=first, call=call,
                lane_of=lambda row, people=people, first=first: people[row - first] % lanes,
                person_of=lambda row, people=people, first=first: people[row - first],
            )
        )  # fmt: skip
        first += len(rows)
    flags = [bad for rows in plans for _, bad in rows]

    record = run(segments, host_rejecting(*(row for row, bad in enumerate(flags) if bad)))

    assume(record.stopped is None)
    assert record.states == naive(plans, calls)
