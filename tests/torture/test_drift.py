"""The short form of T12 and T13."""

import pytest

from torture.drift import DRIFTS, again, appended, corrupted, drifted

SEED = 20273


def test_a_finished_run_can_be_resumed_without_effect():
    """Resuming a finished run sends nothing and changes no byte of its record."""
    assert again(seed=SEED).facts["sent"] == 0


@pytest.mark.parametrize("name", list(DRIFTS))
def test_only_what_is_new_is_sent(name):
    """The same rows in another shape are skipped; a changed value sends its row alone."""
    assert drifted(name, seed=SEED).facts["sent"] == DRIFTS[name][2]


def test_appended_rows_are_sent_alone():
    """A table that has grown is sent from where it was."""
    assert appended(seed=SEED).facts["sent"] > 0


def test_damage_is_told_or_harmless():
    """Changed bits in the record of an unfinished run give an error, or what is true."""
    assert corrupted(seed=SEED, cases=150).facts["refused"] > 0
