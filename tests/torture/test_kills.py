"""The short form of T1."""

import os

import pytest

from torture.kills import PHASES, kill_senders

SEED = 20261


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")
def test_kills_lose_nothing():
    """Fourteen senders and more are killed in every phase of their work; what they sent is complete."""
    line = kill_senders(14, seed=SEED, rows=1_000, parts=8, kills_per_phase=1)
    assert line.kills >= 14
    assert set(line.facts["hits"]) == set(PHASES)
