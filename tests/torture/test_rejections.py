"""The short form of T6, T7 and T8."""

import pytest

from torture.rejections import bad_rows, permissive_host, send_to_limited_host, sizes_around_limits

SEED = 20266


@pytest.mark.parametrize("count", [0, 1, 3, 50, None], ids=lambda count: f"{count} bad")
def test_exactly_the_bad_rows_are_rejected(count):
    """Bad rows among 4,000 are found with few requests; when all are bad the run stops."""
    assert bad_rows(count, seed=SEED).facts["batches"] >= 8


@pytest.mark.parametrize("has_key", [True, False], ids=["known key", "unknown key"])
def test_a_permissive_success_is_never_a_delivery(has_key):
    """Without strict mode the host drops rows behind a 200, and no row is called delivered."""
    assert permissive_host(seed=SEED, rows=1_000, has_key=has_key).verdict.lost > 0


def test_nothing_too_large_is_ever_sent():
    """The limits are exact for 300 sequences of sizes and 240 messages around 32,000 bytes."""
    assert set(sizes_around_limits(seed=SEED, combinations=300).states) == {
        "delivered",
        "rejected_local",
    }


@pytest.mark.parametrize("limit", [20_000, 1_000, 450, None], ids=lambda limit: f"{limit} B")
def test_a_host_with_less_room_brings_no_endless_loop(limit):
    """Batches are divided until they fit; single messages that never do are rejected."""
    assert send_to_limited_host(limit, seed=SEED).requests > 1
