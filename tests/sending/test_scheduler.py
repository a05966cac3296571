"""Every planned row gets exactly one outcome, in order, whatever the host does."""

import asyncio
import random
from collections import defaultdict

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.exceptions import PanicException

from cio_frames.errors import EngineError, MissingKeyError
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    Paused,
    RunStopped,
    SegmentPlanned,
)
from cio_frames.sending.retry_policy import RetryLimits
from tests.sending.conftest import Host, run, segment


def reset(*, applied):
    """Return a connection that breaks after the request, applied or not."""
    error = httpx2.ReadError("connection reset")
    error.applied = applied
    return error


def test_every_row_is_delivered_once_by_a_host_that_takes_everything():
    """Rows, requests and ends are the same in number, and a success needs one attempt."""
    record = run([segment(100, number=0), segment(50, number=1, first_row=100)])

    assert record.counts == {"delivered": 150}
    assert len(record.host.requests) == 15
    assert sorted(record.host.applied) == list(range(150))
    assert {end.attempts for end in record.ends.values()} == {1}
    assert not any(end.in_doubt or end.code or end.error for end in record.ends.values())
    assert {end.status for end in record.ends.values()} == {200}


def test_nothing_to_send_is_no_run_at_all():
    """No segments, or segments without batches, make no request."""
    assert run([]).facts == []
    assert [type(fact) for fact in run([segment(0)]).facts] == [SegmentPlanned]


def test_requests_have_the_headers_that_customer_io_expects():
    """They ask for strict mode and an uncompressed JSON response, with Basic authentication and a blank password."""
    record = run([segment(10)])
    headers = record.host.requests[0].headers

    assert headers["x-strict-mode"] == "1"
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"].startswith("cio_frames/")
    assert headers["authorization"] == "Basic Q0FOQVJZd3JpdGVrZXk6"


def test_one_request_goes_first_and_alone():
    """Until the first success only one request is in flight, then more are."""
    record = run([segment(400)])
    first, second = record.host.requests[:2]

    assert second.at >= first.at + record.host.seconds
    assert record.host.most_under_way > 4


def test_facts_come_in_the_order_of_what_happens():
    """The fact of a segment precedes those of its batches, and an attempt precedes its outcome."""
    record = run([segment(20)])

    assert [type(fact) for fact in record.facts] == [
        SegmentPlanned, BatchAttempted, BatchFinished, BatchAttempted, BatchFinished,
    ]  # fmt: skip


def test_a_permissive_success_is_not_a_delivery():
    """Without strict mode a 200 counts as accepted_unverified, and the header is not sent."""
    record = run([segment(30)], strict=False)

    assert record.counts == {"accepted_unverified": 30}
    assert "x-strict-mode" not in record.host.requests[0].headers


def test_at_most_two_segments_are_planned_ahead():
    """The sender pulls: a slow host keeps the planner waiting."""
    pulled, lead, taken = [], [], []

    def segments():
        for number in range(20):
            pulled.append(number)
            yield segment(200, number=number, first_row=number * 200)

    def listen(fact):
        if isinstance(fact, SegmentPlanned):
            taken.append(fact.segment.number)
        lead.append(len(pulled) - len(taken))

    record = run(segments(), Host(seconds=1.0), listen=listen)

    assert record.counts == {"delivered": 4_000}
    assert max(lead) <= 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 522, 524])
def test_a_passing_failure_is_retried_with_the_same_bytes(status):
    """After two failures the third attempt delivers; doubt is kept apart from certainty."""
    record = run([segment(10)], Host(lambda heard: 200 if heard.number > 2 else status))
    end = record.ends[0]

    assert [each.rows for each in record.host.requests] == [list(range(10))] * 3
    assert (end.state, end.attempts, end.in_doubt) == ("delivered", 3, status >= 500)
    assert [fact.attempt for fact in record.facts if isinstance(fact, BatchRetried)] == [1, 2]


@pytest.mark.parametrize("applied", [False, True])
def test_a_connection_that_breaks_leaves_doubt_and_is_tried_again(applied):
    """Whether or not the first request was applied, the row ends delivered and marked."""
    record = run(
        [segment(10)], Host(lambda heard: reset(applied=applied) if heard.number == 1 else 200)
    )

    assert record.counts == {"delivered": 10}
    assert all(end.in_doubt for end in record.ends.values())
    assert len(record.host.applied) == (20 if applied else 10)


def test_a_connection_that_is_refused_leaves_no_doubt():
    """What never left is tried again without a mark."""
    record = run(
        [segment(10)],
        Host(lambda heard: httpx2.ConnectError("refused") if heard.number < 5 else 200),
    )

    assert record.counts == {"delivered": 10}
    assert not any(end.in_doubt for end in record.ends.values())


def test_an_answer_that_never_comes_is_given_up_and_halved():
    """After two timeouts of a batch its halves are tried, and all of it is marked."""

    def answer(heard):
        return late() if len(heard.rows) > 5 else 200

    async def late():
        await asyncio.sleep(3_600)

    record = run([segment(10)], Host(answer))

    assert record.counts == {"delivered": 10}
    assert [len(each.rows) for each in record.host.requests] == [10, 10, 5, 5]
    assert all(end.in_doubt for end in record.ends.values())
    assert 120 <= record.seconds < 130


def test_retry_after_delays_every_request():
    """After a 429 with 30 s in Retry-After no lane sends for 30 s, and a fact says so."""
    answers = {5: httpx2.Response(429, headers={"Retry-After": "30"})}
    record = run([segment(400)], Host(lambda heard: answers.get(heard.number, 200)))
    pause = next(fact for fact in record.facts if isinstance(fact, Paused))
    asked = record.host.requests[4].at + record.host.seconds
    times = [each.at for each in record.host.requests]

    assert pause.seconds == 30.0
    assert not [at for at in times if asked < at < asked + 30]
    assert min(at for at in times if at > asked) == pytest.approx(asked + 30, rel=0.05)
    assert record.counts == {"delivered": 400}


def test_a_storm_of_429_slows_the_run_and_loses_nothing():
    """A host that accepts 20 requests a second gets all rows with few rejected requests."""
    seen = defaultdict(int)

    def answer(heard):
        seen[int(heard.at)] += 1
        return 200 if seen[int(heard.at)] <= 20 else 429

    record = run([segment(2_000)], Host(answer, seconds=0.1), rate=200.0)
    refused = sum(isinstance(fact, BatchRetried) for fact in record.facts)

    assert record.counts == {"delivered": 2_000}
    assert refused <= 0.6 * len(record.host.requests)


def test_an_outage_is_probed_not_hammered():
    """While nothing works, requests stay few, one at a time, and the run ends resumably."""
    up = lambda heard: 200 if heard.number <= 20 else 503  # noqa: E731
    record = run([segment(2_000)], Host(up), retry_limits=RetryLimits(outage_s=600))
    late = [each.at for each in record.host.requests if each.at > 60]

    assert record.stopped == "OUTAGE"
    assert record.seconds < 1_200
    assert len(late) <= 600 / 15 * 1.2 + 5
    assert record.counts["delivered"] == 200
    assert record.counts["in_doubt"] + record.counts["pending"] == 1_800


def test_a_run_goes_on_when_the_outage_is_over():
    """Five minutes of failures cost time and no row."""
    record = run(
        [segment(1_000)], Host(lambda heard: 503 if 1 < heard.at < 300 else 200, seconds=0.5)
    )

    assert record.counts == {"delivered": 1_000}
    assert record.seconds < 600


def test_only_failures_in_a_row_are_an_outage():
    """Two halves that each fail for twenty minutes are delivered within a patience of thirty."""
    failed = defaultdict(int)

    def answer(heard):
        if len(heard.rows) > 5:
            return 413
        failed[heard.rows[0]] += 1
        later = httpx2.Response(429, headers={"Retry-After": "300"})
        return later if failed[heard.rows[0]] <= 4 else 200

    record = run([segment(10)], Host(answer))

    assert record.counts == {"delivered": 10}
    assert record.seconds == pytest.approx(2_400, rel=0.05)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 403, 404, 405, 410, 418, 501, 505])
def test_an_answer_that_will_not_change_stops_the_run_at_its_first_request(status):
    """One request is made, and every row stays pending."""
    record = run([segment(100)], Host(status))

    assert len(record.host.requests) == 1
    assert record.counts == {"pending": 100}
    assert {end.code for end in record.ends.values()} == {record.stopped}
    assert record.ends[0].status == status
    assert record.ends[99].status is None
    assert record.ends[99].attempts == 0


def test_a_key_that_is_revoked_in_mid_run_stops_it():
    """After the first 401 only requests in flight are answered; the rest stays pending."""
    host = Host(lambda heard: 200 if heard.number <= 30 else 401)
    record = run([segment(5_000)], host)
    delivered = record.counts["delivered"]

    assert record.stopped == "UNAUTHORIZED"
    assert sum(isinstance(fact, RunStopped) for fact in record.facts) == 1
    assert len(host.requests) - delivered // 10 <= 16
    assert record.counts == {"delivered": delivered, "pending": 5_000 - delivered}


def test_a_login_page_is_not_taken_for_customer_io():
    """An HTML 200 is tried four times, then the run stops and the rows are in doubt."""
    page = httpx2.Response(200, text="<html>Log in for ann@example.com</html>")
    record = run([segment(20)], Host(page))

    assert record.stopped == "NOT_CUSTOMERIO"
    assert len(record.host.requests) == 4
    assert record.counts == {"in_doubt": 10, "pending": 10}


def test_plans_follow_each_other():
    """No request of a plan leaves before all of the plan before it are finished."""
    plans = [
        segment(100, number=n, first_row=100 * n, plan=n, lane_of=lambda row: row % 7)
        for n in range(3)
    ]
    record = run(plans)
    seen = [each.rows[0] // 100 for each in record.host.requests]

    assert seen == sorted(seen)
    for earlier, later in zip(record.host.requests, record.host.requests[1:], strict=False):
        if earlier.rows[0] // 100 != later.rows[0] // 100:
            assert later.at >= earlier.at + record.host.seconds


def test_the_rate_is_kept():
    """1,000 requests at 200 a second take about five seconds."""
    record = run([segment(10_000)], rate=200.0)

    assert record.seconds == pytest.approx(5.0, rel=0.1)


def test_forms_go_one_by_one_to_their_path_at_their_own_rate():
    """Each submission is a request with the site's credentials; at most 100 leave in a second."""
    record = run([segment(500, call="form")], rate=200.0)

    assert record.counts == {"delivered": 500}
    assert {each.path for each in record.host.requests} == {"/api/v1/forms/f1/submit"}
    assert record.host.requests[0].headers["authorization"] == "Basic czE6Q0FOQVJZdHJhY2trZXk="
    assert record.seconds == pytest.approx(4.9, rel=0.1)


@pytest.mark.parametrize(
    "fault",
    [lambda: reset(applied=True), lambda: 500, lambda: 503, lambda: httpx2.ReadTimeout("late")],
    ids=["reset", "500", "503", "timeout"],
)
def test_a_form_that_may_have_arrived_is_never_sent_again(fault):
    """The submission stays in doubt; all others are delivered once."""
    record = run(
        [segment(20, call="form")], Host(lambda heard: fault() if heard.number == 3 else 200)
    )

    assert record.counts == {"delivered": 19, "in_doubt": 1}
    assert len(record.host.requests) == 20


def test_a_login_page_in_place_of_a_form_leaves_one_submission_in_doubt():
    """The run stops at the first one; the others stay pending."""
    page = httpx2.Response(200, text="<html>Log in</html>")
    record = run([segment(20, call="form")], Host(page))

    assert record.stopped == "NOT_CUSTOMERIO"
    assert record.counts == {"in_doubt": 1, "pending": 19}


def test_a_form_that_certainly_did_not_arrive_is_sent_again():
    """After a 429 or a refused connection a submission is sent again."""
    faults = {3: 429, 5: httpx2.ConnectError("refused")}
    record = run([segment(20, call="form")], Host(lambda heard: faults.get(heard.number, 200)))

    assert record.counts == {"delivered": 20}


def test_only_the_rejected_form_is_recorded_as_rejected():
    """A 400 rejects that submission with the server's words."""
    record = run([segment(20, call="form")], Host(lambda heard: 400 if heard.rows == [7] else 200))

    assert record.rows("rejected_server") == [7]
    assert record.ends[7].error == "bad thing"


def test_a_form_that_rejects_its_first_submissions_is_skipped():
    """After three rejections the rest of that form stays pending, and other plans are sent."""
    unmapped = segment(50, call="form", path="/api/v1/forms/new/submit")
    known = segment(50, call="form", number=1, first_row=50, plan=1)
    record = run([unmapped, known], Host(lambda heard: 400 if "new" in heard.path else 200))

    assert record.counts == {"rejected_server": 3, "pending": 47, "delivered": 50}
    assert record.ends[49].code == "FORM_HELD"
    assert record.stopped is None


def test_a_missing_key_is_an_error_before_anything_is_sent():
    """A plan of forms without a Track key fails and plans nothing."""
    facts = []
    with pytest.raises(MissingKeyError, match="track_api_key"):
        run([segment(5, call="form")], listen=facts.append, track_api_key=None)

    assert [type(fact) for fact in facts] == [RunStopped]


@pytest.mark.parametrize(
    ("trouble", "raised"),
    [
        pytest.param(OSError("disk full"), OSError, id="disk"),
        pytest.param(PanicException("panicked"), EngineError, id="panic"),
    ],
)
def test_a_listener_that_fails_ends_the_run_before_the_request(trouble, raised):
    """What cannot be recorded is not sent, and the error comes out."""
    host, facts = Host(), []

    def listen(fact):
        facts.append(fact)
        if isinstance(fact, BatchAttempted) and list(fact.batch.rows) == list(range(50, 60)):
            raise trouble

    with pytest.raises(raised):
        run([segment(200)], host, listen=listen)

    finished = [row for fact in facts if isinstance(fact, BatchFinished) for row in fact.batch.rows]
    assert sorted(finished) == list(range(200))
    assert not set(range(50, 60)) & set(host.applied)


@pytest.mark.parametrize(
    ("trouble", "raised"),
    [
        pytest.param(ValueError("bad file"), ValueError, id="value"),
        pytest.param(PanicException("panicked"), EngineError, id="panic"),
    ],
)
def test_a_plan_that_fails_while_it_is_made_ends_the_run(trouble, raised):
    """Rows planned before are accounted for, and the error comes out."""
    facts = []

    def segments():
        yield segment(50)
        raise trouble

    with pytest.raises(raised):
        run(segments(), listen=facts.append)

    finished = [row for fact in facts if isinstance(fact, BatchFinished) for row in fact.batch.rows]
    assert sorted(finished) == list(range(50))


def test_a_fault_of_the_transport_itself_leaves_its_rows_in_doubt():
    """An error that is not the network's ends the run; requests in flight are in doubt."""
    facts = []

    def answer(heard):
        return KeyError("a fault of the program") if heard.number == 5 else 200

    with pytest.raises(KeyError):
        run([segment(100)], Host(answer), listen=facts.append)

    states = [
        fact.state for fact in facts if isinstance(fact, BatchFinished) for _ in fact.batch.rows
    ]
    assert len(states) == 100
    assert 10 <= states.count("in_doubt") <= 20


def person_of(row):
    """Return whose row it is."""
    return row % 37


FAULTS = st.sampled_from(
    [
        "ok",
        "ok",
        "ok",
        "ok",
        "500",
        "429",
        "later",
        "reset",
        "applied",
        "timeout",
        "garbage",
        "refused",
    ]
)


@given(
    faults=st.lists(FAULTS, min_size=1, max_size=40),
    rows=st.integers(1, 300),
    per_batch=st.integers(1, 30),
    poison=st.sets(st.integers(0, 299), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_doubled_or_out_of_order_under_faults(faults, rows, per_batch, poison):
    """With deterministic ids: each row is applied or accounted for, and first arrivals keep order."""

    def answer(heard):
        fault = faults[heard.number % len(faults)]
        if len(faults) * 2 < heard.number:
            fault = "ok"
        if fault in {"ok", "applied"} and poison & set(heard.rows):
            return 400
        return {
            "ok": 200, "500": 500, "429": 429, "later": httpx2.Response(429, headers={"Retry-After": "2"}),
            "reset": reset(applied=False), "applied": reset(applied=True), "refused": httpx2.ConnectError("x"),
            "timeout": httpx2.ReadTimeout("x"), "garbage": httpx2.Response(200, text="<p>"),
        }[fault]  # fmt: skip

    half = rows // 2
    record = run(
        [
            segment(half, number=0, per_batch=per_batch, lane_of=person_of),
            segment(rows - half, number=1, first_row=half, per_batch=per_batch, lane_of=person_of),
        ],
        Host(answer),
    )
    first_arrival = {}
    for at, row in enumerate(record.host.applied):
        first_arrival.setdefault(row, at)
    by_person = defaultdict(list)
    for row, at in sorted(first_arrival.items()):
        by_person[person_of(row)].append(at)

    assert all(arrivals == sorted(arrivals) for arrivals in by_person.values())
    if record.stopped is None:
        assert record.rows("rejected_server") == sorted(row for row in poison if row < rows)
        assert record.counts.get("delivered", 0) == rows - len(
            [row for row in poison if row < rows]
        )


@pytest.mark.parametrize("empty", [{0}, {1}, {0, 1, 2}, {3}], ids=str)
def test_a_segment_with_nothing_to_send_does_not_end_the_run(empty):
    """Wherever segments without requests are, all others are sent."""
    segments = [
        segment(0 if at in empty else 5, number=at, first_row=10 * at) for at in range(4)
    ]  # fmt: skip

    assert run(segments).counts == ({"delivered": 5 * (4 - len(empty))})


@pytest.mark.parametrize("seed", range(5))
def test_prescribed_answers_per_message_are_followed_to_their_end(seed):
    """50 people with 40 messages each and scripted answers: each ends once, in order."""
    chance = random.Random(seed)
    script = {
        row: [chance.choice([500, 503, 429]) for _ in range(chance.choice([0, 0, 0, 0, 0, 1, 3]))]
        + [400 if chance.random() < 0.01 else 200]
        for row in range(2_000)
    }

    def answer(heard):
        for row in heard.rows:
            if len(script[row]) > 1:
                return script[row].pop(0)
        return 400 if any(script[row][0] == 400 for row in heard.rows) else 200

    record = run([segment(2_000, per_batch=40, lane_of=lambda row: row % 50)], Host(answer))
    bad = sorted(row for row, answers in script.items() if answers[-1] == 400)
    arrivals = defaultdict(list)
    for row in record.host.applied:
        arrivals[row % 50].append(row)

    assert record.rows("rejected_server") == bad
    assert record.counts["delivered"] == 2_000 - len(bad)
    assert all(rows == sorted(rows) for rows in arrivals.values())
