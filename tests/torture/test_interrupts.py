"""The short form of T14."""

import pytest

from torture.interrupts import CELLS, closed_output, interrupt_cell, interrupt_script

SEED = 20274


@pytest.mark.parametrize("signals", [1, 2])
def test_an_interrupted_script_can_be_resumed(signals):
    """One interrupt drains the run, two stop it at once; it reports what arrived, and a resume completes it."""
    assert interrupt_script(signals, seed=SEED).facts["took"] > 0


def test_a_terminal_that_goes_away_does_not_stop_a_run():
    """If the outputs of a script are closed, its run continues to its end."""
    assert closed_output(seed=SEED).states["delivered"] > 0


@pytest.mark.parametrize("name", list(CELLS))
def test_an_interrupted_cell_can_be_resumed(name):
    """The stop button ends a cell, awaited or not, and the next cell resumes the run."""
    assert interrupt_cell(name, seed=SEED).facts["took"] > 0
