"""Messages in doubt: which are sent again by themselves."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from cio_frames.run.doubt import AUTOMATIC, resent
from cio_frames.spec import CALLS

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def rows(call, age):
    """Return one row in doubt."""
    return pl.DataFrame({"call": [call], "first_attempt_at": [NOW - age]}).cast(
        {"first_attempt_at": pl.Datetime("ms", "UTC")}
    )


@pytest.mark.parametrize(
    ("call", "age", "again"),
    [
        pytest.param("track", timedelta(hours=23), True, id="event-within-a-day"),
        pytest.param("track", timedelta(hours=25), False, id="event-after-a-day"),
        pytest.param("identify", timedelta(minutes=5), True, id="person"),
        pytest.param("group", timedelta(days=2), False, id="old-group"),
        pytest.param("alias", timedelta(hours=1), True, id="merge-within-a-day"),
        pytest.param("form", timedelta(0), False, id="form-at-once"),
        pytest.param("form", timedelta(minutes=1), False, id="form"),
    ],
)
def test_the_call_and_the_age_decide(call, age, again):
    """Without a word from the user, events and people are repeated within a day, forms never."""
    assert resent(rows(call, age), now=NOW, in_doubt=None).to_list() == [again]


@pytest.mark.parametrize(("word", "again"), [("resend", True), ("report", False), ("skip", False)])
def test_the_users_word_counts_more(word, again):
    """The user may have forms sent again, and keep events from it."""
    assert resent(rows("form", timedelta(days=9)), now=NOW, in_doubt=word).to_list() == [again]


def test_every_call_that_is_sent_has_a_policy():
    """No call is left without a window."""
    assert set(AUTOMATIC) == {name for name, call in CALLS.items() if call.api != "form-action"}
