"""The short form of T26 to T29."""

import pytest

from torture.misleading_data import changed_parts, clock_set_back, many_runs, repeated_answers

SEED = 20276


@pytest.mark.parametrize("pause_s", [None, 0.001], ids=["one-packet", "later"])
def test_answers_that_are_repeated_cause_no_false_acknowledgement(pause_s):
    """With a third of the requests failing, every row recorded as delivered was accepted."""
    assert repeated_answers(seed=SEED, rows=300, pause_s=pause_s).verdict.false_ack == 0


def test_parts_that_were_saved_again_change_nothing():
    """Sending and resuming reject every changed part, and finish with the original ones."""
    assert changed_parts(seed=SEED).facts["errors"] >= 2


def test_many_earlier_runs_are_looked_up_quickly():
    """A hundred earlier runs take a fraction of a second, and each message is found once."""
    assert many_runs(100, seed=SEED, max_s=2.0).facts["rows"] == 5


def test_no_form_is_submitted_twice_when_the_clock_goes_back():
    """Submissions in doubt that seem to come from the future are not repeated."""
    assert clock_set_back(seed=SEED, rows=20).facts["submissions"] == 20
