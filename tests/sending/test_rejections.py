"""A rejected batch is searched, a rejected plan stops the run, and rejected compression rejects no row."""

import math
import random

import httpx2
import pytest

from cio_frames.sending.events import BatchRetried, BatchSplit
from tests.sending.conftest import Host, run, segment


def host_rejecting(bad):
    """Return a host that rejects requests with bad rows."""
    return Host(lambda heard: 400 if bad & set(heard.rows) else 200)


@pytest.mark.parametrize("count", [0, 1, 3, 50])
@pytest.mark.parametrize("seed", range(4))
def test_exactly_the_bad_rows_are_rejected(count, seed):
    """K bad rows in batches of 500 are found within 2 k ceil(log2 n) + batches requests."""
    bad = set(random.Random(seed).sample(range(1_500), count))
    record = run([segment(1_500, per_batch=500)], host_rejecting(bad))
    allowed = 2 * count * math.ceil(math.log2(500)) + 3

    assert record.rows("rejected_server") == sorted(bad)
    assert record.counts.get("delivered") == 1_500 - count
    assert record.stopped is None
    assert len(record.host.requests) <= allowed + 2 * (0 in bad)


def test_a_plan_that_is_wrong_as_a_rule_is_stopped_early():
    """When every row is rejected, at most 20 requests are made and the run stops with a reason."""
    record = run([segment(1_500, per_batch=500)], host_rejecting(set(range(1_500))))

    assert record.stopped == "SYSTEMIC_REJECT"
    assert len(record.host.requests) <= 20
    assert record.counts == {"rejected_server": 3, "in_doubt": 497, "pending": 1_000}
    assert {record.ends[row].error for row in record.rows("rejected_server")} == {"bad thing"}


def test_one_person_whose_rows_are_all_bad_does_not_stop_a_run_that_works():
    """A batch of one lane is searched to its end once something was delivered."""
    bad = set(range(10, 20))
    record = run([segment(100, lane_of=lambda row: row // 10)], host_rejecting(bad))

    assert record.rows("rejected_server") == sorted(bad)
    assert record.stopped is None


def test_a_first_batch_of_one_person_is_judged_by_its_first_three_rows():
    """Before anything was delivered, three rejections in a row stop the run."""
    record = run([segment(100, lane_of=lambda _: 0)], host_rejecting(set(range(100))))

    assert record.stopped == "SYSTEMIC_REJECT"
    assert record.rows("rejected_server") == [0, 1, 2]


@pytest.mark.parametrize("accepted", [248, 499])
def test_one_good_probe_lets_the_search_go_on(accepted):
    """If the middle or the last row is accepted, the run continues."""
    bad = {0, 248, 499} - {accepted}
    record = run([segment(500, per_batch=500)], host_rejecting(bad))

    assert record.rows("rejected_server") == sorted(bad)
    assert record.stopped is None


def test_a_fifth_of_the_first_batches_rejected_stops_the_run():
    """More than a fifth of rejections in the first five batches stops the run, even with successes."""
    bad = {row for row in range(2_000) if 30 <= row % 100 < 70}
    record = run([segment(2_000, per_batch=100)], host_rejecting(bad))

    assert record.stopped == "SYSTEMIC_REJECT"
    assert 100 < record.counts["rejected_server"] <= 120


def test_a_small_dirty_file_is_sent_to_its_end():
    """A few rejections among a few rows do not stop the run."""
    record = run([segment(10)], host_rejecting({1, 3, 5, 7}))

    assert record.counts == {"delivered": 6, "rejected_server": 4}


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_handful_of_bad_rows_are_simply_rejected(rows):
    """With fewer than four rows there is nothing to save by stopping."""
    record = run([segment(rows)], host_rejecting(set(range(rows))))

    assert record.counts == {"rejected_server": rows}
    assert record.stopped is None


def test_every_split_emits_a_fact():
    """The search for one bad row among eight is three splits, first part first."""
    record = run([segment(8, per_batch=8)], host_rejecting({6}))
    splits = [
        (list(fact.into[0].rows), list(fact.into[1].rows))
        for fact in record.facts
        if isinstance(fact, BatchSplit)
    ]

    assert splits == [
        ([0, 1, 2, 3], [4, 5, 6, 7]), ([4, 5], [6, 7]), ([6], [7]),
    ][: len(splits)]  # fmt: skip
    assert record.rows("rejected_server") == [6]


def test_attempts_count_the_requests_that_carried_a_row():
    """A row that was delivered in a part of a rejected batch has two attempts or more."""
    record = run([segment(4, per_batch=4)], host_rejecting({3}))

    assert record.ends[0].attempts == 2
    assert record.ends[3].attempts == sum(3 in each.rows for each in record.host.requests)


@pytest.mark.parametrize("room", [1, 3, 7, 100])
def test_a_batch_that_is_too_large_is_halved(room):
    """413 splits until it fits, and nothing is rejected."""
    record = run(
        [segment(20, per_batch=20)], Host(lambda heard: 413 if len(heard.rows) > room else 200)
    )

    assert record.counts == {"delivered": 20}
    assert not any(end.in_doubt for end in record.ends.values())


def test_a_single_row_that_is_too_large_is_rejected():
    """413 for one message alone ends it; the others go on."""
    record = run([segment(20, per_batch=20)], Host(lambda heard: 413 if 13 in heard.rows else 200))

    assert record.rows("rejected_server") == [13]
    assert record.ends[13].code == "TOO_LARGE"


def test_a_host_that_finds_everything_too_large_is_no_endless_loop():
    """Three single messages that are too large stop the run; nothing was applied."""
    record = run([segment(30)], Host(413))

    assert record.counts == {"rejected_server": 3, "pending": 27}
    assert record.stopped == "SYSTEMIC_REJECT"
    assert len(record.host.requests) <= 10


def padded(rows):
    """Return a segment whose bodies are large enough to be compressed."""
    return segment(rows, per_batch=100)


@pytest.mark.parametrize("status", [400, 415])
def test_a_host_that_rejects_compression_gets_uncompressed_bodies(status):
    """The first batch is tried once without; when that helps, nothing is compressed any more."""
    record = run([padded(500)], Host(lambda heard: status if heard.gzipped else 200))

    assert record.counts == {"delivered": 500}
    assert [each.gzipped for each in record.host.requests] == [True] + [False] * 5
    assert [fact.code for fact in record.facts if isinstance(fact, BatchRetried)] == [
        "GZIP_REFUSED"
    ]


def test_a_bad_row_in_the_first_batch_is_not_blamed_on_compression():
    """The uncompressed request is rejected too, the bad row is identified, and later batches are compressed."""
    bad = {42}
    record = run([padded(500)], host_rejecting(bad))

    assert record.rows("rejected_server") == [42]
    later = [each for each in record.host.requests if min(each.rows) >= 100]
    assert [each.gzipped for each in later] == [True] * 4


def test_compression_that_worked_once_is_not_suspected():
    """After a compressed success a 400 is the rows' fault at once."""
    record = run([padded(500)], host_rejecting({442}))

    assert record.rows("rejected_server") == [442]
    assert not [fact for fact in record.facts if isinstance(fact, BatchRetried)]


def test_compression_can_be_turned_off():
    """With gzip=False bodies travel as they are."""
    record = run([padded(200)], gzip=False)

    assert not any(each.gzipped for each in record.host.requests)


def test_an_order_of_refusals_and_successes_in_a_success_body_is_not_a_delivery():
    """A 207 with errors is searched like a 400."""

    def answer(heard):
        return (
            httpx2.Response(207, json={"errors": [{"message": "no"}]}) if 5 in heard.rows else 200
        )

    record = run([segment(10)], Host(answer))

    assert record.rows("rejected_server") == [5]
    assert record.ends[5].error == "no"
    assert record.counts["delivered"] == 9
