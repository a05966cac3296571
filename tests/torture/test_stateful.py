"""The short form of T2 and T3."""

from torture.stateful import crash_at_every_operation, run_histories


def test_random_histories_break_nothing():
    """Crashes, full disks, interrupts and bad answers in any order leave every number at zero."""
    line = run_histories(8, steps=10, seed=20263)
    assert line.facts["requests"] > 50


def test_an_end_at_any_operation_breaks_nothing():
    """Wherever on its way the process ends, what it left is true, and the rest is sent."""
    line = crash_at_every_operation(seed=20263, every=17)
    assert line.kills > 5
