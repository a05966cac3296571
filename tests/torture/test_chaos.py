"""The short form of T4 and T5."""

import pytest

from torture.chaos import WEATHERS, links_of_earlier_plans, prescribed, require_hit, weather

SEED = 20261


def test_bad_weather_loses_nothing():
    """In every weather all rows arrive in order, and every kind of trouble has happened."""
    require_hit(
        [weather(name, seed=SEED + at, rows=1_500, requests=30) for at, name in enumerate(WEATHERS)]
    )


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_prescribed_answers_are_followed(seed):
    """Each of 800 messages with prescribed answers ends once, as prescribed, in order."""
    line = prescribed(seed=seed, users=40, each=20)
    assert line.states["rejected_server"] > 0


def test_links_of_earlier_plans_keep_the_order():
    """A device is known to be somebody's in later plans of a back-fill, so nothing is overtaken."""
    assert links_of_earlier_plans(seed=SEED).verdict.open == 0
