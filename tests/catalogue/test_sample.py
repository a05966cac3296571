"""The dirty sample export: what was planted in it is what the checks find."""

from pathlib import Path

import polars as pl
import pytest

import cio_frames as cio

SAMPLES = Path(__file__).parents[2] / "sample_data"
PLANTED = {
    ("sensitive.card", "notes"): 3,
    ("sensitive.iban", "notes"): 1,
    ("id.swapped", "user_id"): 9,
    ("id.float-text", "user_id"): 122,
    ("id.truth-word", "user_id"): 2,
    ("id.scientific", "user_id"): 6,
    ("id.cio", "user_id"): 2,
    ("id.too-long", "user_id"): 1,
    ("id.invisible", "user_id"): 6,
    ("time.day-first", "signup_date"): 65,
    ("time.excel-serial", "signup_date"): 60,
    ("time.epoch-text", "signup_date"): 5,
    ("trait.time-space", "signup_date"): 132,
    ("trait.unsubscribed-word", "unsubscribed"): 130,
    ("text.mojibake", "city"): 5,
    ("text.entity", "last_name"): 3,
    ("text.control", "last_name"): 4,
    ("text.direction", "last_name"): 1,
    ("value.placeholder", "first_name"): 8,
    ("text.markup", "notes"): 6,
    ("column.left-over", "Unnamed: 0"): 1,
    ("name.variants", None): 1,
}
"""Findings by code and column, as `sample_data/README.md` counts the mistakes."""


@pytest.fixture(scope="module")
def counted() -> dict[tuple[str, str | None], int]:
    """Return how often each code is found in each column of the dirty export."""
    people = cio.scan(SAMPLES / "people_dirty.csv").collect()
    traits = {name: name for name in people.columns if name not in ("user_id", "signup_date")}
    plan = people.cio.identify(user_id="user_id", traits={**traits, "created_at": "signup_date"})
    counts = plan.pipeline.full_check.findings.group_by("code", "column").agg(pl.len())
    return {(code, column): count for code, column, count in counts.rows()}


@pytest.mark.parametrize("mistake", PLANTED, ids=str)
def test_what_was_planted_is_found(counted, mistake):
    """Each mistake is found as often as it was planted, no more and no less."""
    assert counted.get(mistake) == PLANTED[mistake]


CLEAN = {
    "people.csv": ("identify", {"user_id": "id"}),
    "events.csv": ("track", {}),
    "companies.csv": ("group", {}),
    "memberships.csv": ("group", {}),
    "page_views.csv": ("page", {}),
    "screens.csv": ("screen", {}),
}


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_file_gives_no_alarm(name):
    """No row of a clean file is left out, and nothing forbids sending it."""
    verb, asked = CLEAN[name]

    plan = getattr(cio.frame(cio.scan(SAMPLES / name)), verb)(**asked)

    assert plan.counts["rejected"] == 0
    assert not plan.refusals()
    assert set(plan.pipeline.full_check.findings["severity"]) <= {"info", "warn"}
