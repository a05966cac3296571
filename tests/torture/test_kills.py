"""The short form of T1."""

import os

import pytest

from torture.kills import PHASES, killed

SEED = 20261


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")
def test_kills_lose_nothing():
    """Fourteen senders and more are killed in every phase of their work; what they sent is complete."""
    line = killed(14, seed=SEED, rows=1_000, parts=8, least=1)
    assert line.kills >= 14
    assert set(line.facts["hit"]) == set(PHASES)
