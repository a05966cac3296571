"""Senders that are wrong on purpose are caught, so that the zeros of the others mean something."""

import pytest

from torture.mutants import MUTANTS, TRUE, WEATHER, unmask

SEED = 20268


@pytest.mark.parametrize("mutant", list(MUTANTS.values()), ids=list(MUTANTS))
def test_each_wrong_sender_is_caught(mutant):
    """At least one of the numbers that stand for its fault is not zero."""
    found = unmask(mutant, seed=SEED, rows=1_200).verdict.violations
    assert set(found) & set(mutant.caught_by), found


def test_the_true_sender_is_not_caught():
    """In the same weather, looked at in the same way, the true sender has nothing but zeros."""
    assert TRUE.faults == WEATHER
    assert unmask(TRUE, seed=SEED, rows=1_200).verdict.violations == {}
