"""The short form of T3."""

from torture.machine import explored


def test_random_histories_break_nothing():
    """Crashes, full disks, interrupts and bad answers in any order leave every number at zero."""
    line = explored(8, steps=10, seed=20263)
    assert line.facts["requests"] > 50
