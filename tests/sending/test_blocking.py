"""After a refused identify or alias nothing later of that person is sent, and only of that one."""

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


def refusing(*bad):
    """Return a host that refuses requests with bad rows."""
    return Host(lambda heard: 400 if set(bad) & set(heard.rows) else 200)


@pytest.mark.parametrize(
    ("call", "held"),
    [(call, call in ("identify", "alias")) for call in SENT],
    ids=SENT,
)
def test_only_calls_that_say_who_somebody_is_hold_back(call, held):
    """A refused identify or alias blocks the person's later rows; any other call blocks nothing."""
    first = segment(4, call=call, lane_of=lambda _: 7)
    later = segment(4, call="track", plan=1, number=1, first_row=10, lane_of=lambda _: 7)

    record = run([first, later], refusing(1))

    assert record.rows("rejected_server") == [1]
    assert record.rows("blocked") == ([2, 3, 10, 11, 12, 13] if held else [])
    assert (call in BLOCKING_CALLS) == held


@pytest.mark.parametrize(
    ("plan", "row", "person", "held"),
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
def test_what_is_held_back(plan, row, person, held):
    """What comes later, of the same person, is held back."""
    hold = BlockedPeople({77: REFUSAL})
    spans = list(hold.blocked_parts(batch([row], number=0, plan=plan), people=[person]))

    assert spans == ([(0, 1, REFUSAL)] if held else [])


def test_the_first_refusal_is_the_one_that_is_told():
    """A second refused row of a person changes nothing."""
    hold = BlockedPeople({77: REFUSAL})

    assert hold.block(BlockingRow(plan=1, row=9, call="alias"), person=77)
    assert [span[2] for span in hold.blocked_parts(batch([12], number=0, plan=1), people=[77])] == [
        REFUSAL
    ]


@given(st.lists(st.sampled_from([None, 1, 2, 3]), max_size=20), st.sets(st.sampled_from([1, 2, 3])))
def test_spans_cover_exactly_what_is_held(people, held):
    """The spans are disjoint, in order, and hold the positions of held people and no other."""
    hold = BlockedPeople({person: BlockingRow(plan=0, row=person, call="alias") for person in held})
    spans = list(hold.blocked_parts(batch(range(len(people)), number=0, plan=1), people=people))

    covered = [at for start, stop, _ in spans for at in range(start, stop)]
    assert covered == [at for at, person in enumerate(people) if person in held]
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_nobody_is_looked_up_while_nothing_is_held():
    """Without a refusal that holds back, the people of a batch are never asked for."""
    plain = segment(40, call="track")
    without = type(plain)(
        plan=0, number=0, call="track", rows=plain.rows.drop("component"), batches=plain.batches
    )

    assert run([without], refusing(13)).counts == {"delivered": 39, "rejected_server": 1}


def test_others_in_the_lane_and_in_the_batch_still_go():
    """Two people share lane and batch: the refusal of one leaves the rows of the other alone."""
    mixed = segment(10, call="identify", lane_of=lambda _: 3, person_of=lambda row: row % 2)

    record = run([mixed], refusing(2))

    assert record.rows("rejected_server") == [2]
    assert record.rows("blocked") == [4, 6, 8]
    assert record.rows("delivered") == [0, 1, 3, 5, 7, 9]


def test_the_reason_names_the_row_and_what_to_do():
    """A blocked row tells which row was refused, and how to go on."""
    people = segment(2, call="identify", lane_of=lambda _: 3)
    events = segment(3, plan=1, number=1, first_row=10, lane_of=lambda _: 3)

    record = run([people, events], refusing(0))
    end = record.ends[11]

    assert (end.code, end.status, end.attempts) == (BLOCKED, None, 0)
    assert "Row 0 of plan 0 (identify) about the same person was refused." in end.error
    assert "send again" in end.error


def test_later_segments_and_plans_are_blocked_and_others_are_not():
    """One of five people is refused; her later rows wait in every plan, the others' arrive."""
    plans = [
        segment(20, call=call, plan=at, number=at, first_row=100 * at, lane_of=lambda row: row % 5)
        for at, call in enumerate(["identify", "group", "track", "form"])
    ]

    record = run(plans, refusing(2))

    blocked = [row for each in plans for row in each.rows["row"] if row % 5 == 2 and row != 2]
    assert record.rows("blocked") == blocked
    assert record.counts == {"rejected_server": 1, "blocked": 15, "delivered": 64}
    assert not {row for heard in record.host.requests[10:] for row in heard.rows} & set(blocked)


def test_what_follows_in_a_searched_batch_is_not_sent_again():
    """After the row at fault was found, no request carries a later row of that person."""
    people = segment(64, per_batch=64, call="identify", lane_of=lambda row: row // 8)

    record = run([people], refusing(18))
    found = max(at for at, heard in enumerate(record.host.requests) if heard.rows == [18])

    assert record.rows("blocked") == [19, 20, 21, 22, 23]
    assert record.counts["delivered"] == 58
    later = {row for heard in record.host.requests[found + 1 :] for row in heard.rows}
    assert not later & {19, 20, 21, 22, 23}
    assert later >= set(range(24, 64))


def test_an_answer_in_doubt_stays_in_doubt_when_its_row_is_held_back():
    """A row that an unanswered request may have brought is told as in doubt, not as blocked."""
    people = segment(8, per_batch=8, call="identify", lane_of=lambda _: 0)
    late = segment(4, call="track", plan=1, number=1, first_row=10, lane_of=lambda _: 0)

    def answer(heard):
        return 500 if heard.number == 1 else 400 if 3 in heard.rows else 200

    record = run([people, late], Host(answer))

    assert record.rows("in_doubt") == [4, 5, 6, 7]
    assert {record.ends[row].code for row in (4, 7, 12)} == {BLOCKED}
    assert record.rows("blocked") == [10, 11, 12, 13]


def test_one_person_who_is_refused_is_no_sign_of_a_wrong_plan():
    """The rows behind a refused first row are not tried as samples of the plan."""
    record = run([segment(10, call="identify", lane_of=lambda _: 0)], refusing(*range(10)))

    assert record.stopped is None
    assert record.counts == {"rejected_server": 1, "blocked": 9}


def test_samples_of_the_plan_are_taken_from_what_is_not_held_back():
    """Three people who are refused, each with many rows, stop a run; nothing else was tried."""
    people = segment(90, per_batch=90, call="identify", lane_of=lambda row: row // 30)

    record = run([people], refusing(*range(90)))

    assert record.stopped == "SYSTEMIC_REJECT"
    assert record.rows("rejected_server") == [0, 30, 60]
    assert len(record.rows("blocked")) == 87


def test_a_run_can_begin_with_people_held_back():
    """What an earlier run was refused holds back from the start, and only what comes after it."""
    people = segment(20, call="identify", lane_of=lambda row: row % 2)

    record = run([people], held={1: BlockingRow(plan=0, row=5, call="alias")})

    assert record.rows("blocked") == [7, 9, 11, 13, 15, 17, 19]
    assert record.counts["delivered"] == 13


def test_blocked_rows_are_finished_once():
    """Every blocked row has one end, and the ends of a batch leave nothing out."""
    people = segment(50, per_batch=25, call="identify", lane_of=lambda row: row // 10)
    record = run([people], refusing(3, 17, 44))

    ends = [row for end in record.of(BatchFinished) for row in end.batch.rows]
    assert sorted(ends) == list(range(50))
    assert record.rows("blocked") == [*range(4, 10), 18, 19, *range(45, 50)]


def naive(plans, calls):
    """Return the state of each row, by going through the rows of all plans one by one."""
    states, held, number = {}, set(), 0
    for rows, call in zip(plans, calls, strict=True):
        for person, bad in rows:
            if person in held:
                states[number] = "blocked"
            elif bad:
                states[number] = "rejected_server"
                held |= {person} if call in ("identify", "alias") else set()
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
    """Whoever is refused in whatever plan, lane and batch, exactly their later rows are blocked."""
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

    record = run(segments, refusing(*(row for row, bad in enumerate(flags) if bad)))

    assume(record.stopped is None)
    assert record.states == naive(plans, calls)
