"""The short form of T4 and T5."""

import pytest

from torture.chaos import (
    FAULT_PROFILES,
    links_of_earlier_plans,
    prescribed_answers,
    require_all_faults,
    send_with_faults,
)

SEED = 20261


def test_faults_lose_nothing():
    """Under every fault profile all rows arrive in order, and every kind of fault has happened."""
    require_all_faults(
        [
            send_with_faults(name, seed=SEED + at, rows=1_500, requests=30)
            for at, name in enumerate(FAULT_PROFILES)
        ]
    )


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_prescribed_answers_are_followed(seed):
    """Each of 800 messages with prescribed answers ends once, as prescribed, in order."""
    line = prescribed_answers(seed=seed, users=40, rows_per_user=20)
    assert line.states["rejected_server"] > 0


def test_links_of_earlier_plans_keep_the_order():
    """Later plans of a back-fill know the person of a device, so no row overtakes another."""
    assert links_of_earlier_plans(seed=SEED).verdict.open == 0
