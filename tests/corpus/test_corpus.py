"""What becomes of files as analysts have them, and that the page says so."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests.corpus.export import Grid
from tests.corpus.judge import Judged, judge
from tests.corpus.shops import stripe_customers
from tests.corpus.table import MAKERS, SCREEN, page, summed

PAGE = Path(__file__).parents[2] / "docs" / "corpus.md"
SOURCES = (
    "Shopify", "Stripe", "Mailchimp", "HubSpot", "Salesforce", "Mixpanel", "Amplitude", "Klaviyo", "Snowplow",
    "Segment", "Qualtrics", "SurveyMonkey", "Typeform", "WooCommerce", "Zendesk", "Intercom",
)  # fmt: skip
PLACES = range(len(MAKERS))
MOST_FALSE = 0.03
UNSURE = {"no header"}
"""Files with a false finding that cannot be avoided: a column without a name contains names."""


@cache
def judged(place: int) -> Judged:
    """Return how a file is judged, once."""
    return judge(MAKERS[place]())


@pytest.mark.parametrize("place", PLACES, ids=[f"{e.source}-{e.file}" for e in (make() for make in MAKERS)])  # fmt: skip
def test_a_file_is_read_and_reported_as_an_analyst_wants(place):
    """The table is the one of the file, nothing is refused that is good, nothing needed is missed."""
    file = judged(place)

    assert (file.differing, file.refused, file.missed) == ((), "", ())
    assert file.false == () or file.export.source in UNSURE


def test_findings_are_nearly_always_true():
    """False findings stay under three in a hundred, and a file without a warning fills one screen."""
    sums = summed([judged(place) for place in PLACES])

    assert sums.false_share < MOST_FALSE
    assert sums.longest <= SCREEN


def test_every_program_is_there():
    """The corpus holds a file of every program that the documentation speaks of."""
    sources = {judged(place).export.source for place in PLACES}

    assert sources >= set(SOURCES)


def test_the_page_is_current():
    """The page of the documentation is the one that the corpus makes now."""
    made = page([judged(place) for place in PLACES])

    assert PAGE.read_text(encoding="utf-8") == made, "run: python -m tests.corpus > docs/corpus.md"


def test_a_table_that_differs_is_noticed():
    """The comparison of cells finds a value, a row and a name that are not those of the file."""
    good = stripe_customers()
    assert good.grid is not None
    names, rows = good.grid.names, good.grid.rows
    for grid in (
        Grid(names, [["x", *rows[0][1:]], *rows[1:]]),
        Grid(names, rows[1:]),
        Grid(["x", *names[1:]], rows),
    ):
        assert judge(replace(good, grid=grid)).differing
    assert judge(replace(good, expected={})).false
    assert judge(replace(good, expected={**good.expected, "id.float": ("id",)})).missed == (
        "id.float: id",
    )
    assert judge(replace(good, person=("Name",))).wrong
