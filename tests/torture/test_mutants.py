"""Senders that are wrong on purpose are caught, so that the zeros of the others mean something."""

import pytest

from torture.mutants import FAULTS, MUTANTS, UNCHANGED, run_mutant

SEED = 20268


@pytest.mark.parametrize("mutant", list(MUTANTS.values()), ids=list(MUTANTS))
def test_each_wrong_sender_is_caught(mutant):
    """At least one of the numbers that stand for its fault is not zero."""
    violations = run_mutant(mutant, seed=SEED, rows=1_200).verdict.violations
    assert set(violations) & set(mutant.caught_by), violations


def test_the_unchanged_sender_is_not_caught():
    """Under the same faults the unchanged sender has only zeros."""
    assert UNCHANGED.faults == FAULTS
    assert run_mutant(UNCHANGED, seed=SEED, rows=1_200).verdict.violations == {}
