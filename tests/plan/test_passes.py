"""How often each operation reads the table: counted as rows read, of plans and of a back-fill."""

from datetime import UTC, datetime

import polars as pl
import pytest

import cio_frames as cio

ROWS = 60_000  # more than one chunk
OLD = datetime(2024, 1, 1, tzinfo=UTC)


class Reads:
    """Counts the rows that are read of the frames it has counted."""

    def __init__(self):
        self.rows = 0

    def counted(self, frame):
        """Return a lazy frame of the same rows that takes note of each that is read."""

        def note(rows):
            self.rows += rows.height
            return rows

        return cio.frame(frame.lazy().map_batches(note, schema=frame.schema, streamable=True))

    def passes(self, act, *, rows=ROWS):
        """Return how many passes over so many rows an act takes."""
        self.rows = 0
        act()
        return self.rows / rows


@pytest.fixture
def reads():
    """Count what is read in a test."""
    return Reads()


def numbers(rows):
    """Return the numbers of rows as texts."""
    return pl.int_range(rows, eager=True).cast(pl.String)


def people(reads, rows=ROWS):
    """Return a plan of people who are linked by their addresses."""
    ids = "u" + numbers(rows)
    return reads.counted(pl.DataFrame({"id": ids, "email": ids + "@example.com"})).identify(
        user_id="id"
    )


def events(reads):
    """Return a plan of events with times."""
    frame = pl.DataFrame({"id": "u" + numbers(ROWS), "at": OLD})
    return reads.counted(frame).track(event=cio.lit("Seen"), user_id="id", timestamp="at")


def both(reads):
    """Return a back-fill of the two."""
    return cio.backfill([people(reads), events(reads)])


def send(plan, folder):
    """Send a plan to a workspace."""
    with cio.sandbox() as workspace:
        plan.send(workspace.client(), audit=folder, progress=False)


PLANS = [
    pytest.param(people, ROWS, id="people"),
    pytest.param(events, ROWS, id="events"),
    pytest.param(both, 2 * ROWS, id="back-fill"),
]


@pytest.mark.parametrize(("make", "rows"), PLANS)
def test_the_report_is_one_pass_and_what_follows_from_it_is_none(make, rows, reads):
    """Counts, findings and the first messages are what the pass of the report has found."""
    plan = make(reads)

    assert reads.passes(lambda: repr(plan), rows=rows) == 1
    assert reads.passes(lambda: (plan._repr_mimebundle_(), plan.counts, plan.findings)) == 0
    for each in getattr(plan, "plans", [plan]):
        assert reads.passes(lambda one=each: (one.payloads(5), one.refusals(), one.fixes)) == 0


@pytest.mark.parametrize(("make", "rows"), PLANS)
def test_a_preview_is_one_more_pass_and_an_estimate_none_more(make, rows, reads):
    """The estimate takes its counts from the report and the preview, if both assume the same."""
    plan = make(reads)
    repr(plan)

    assert reads.passes(plan.identity, rows=rows) == 1
    assert reads.passes(plan.estimate, rows=rows) == 0
    known = pl.DataFrame({"id": ["u1", "u2"]})
    assert reads.passes(lambda: plan.estimate(known=known), rows=rows) == 1
    assert reads.passes(lambda: plan.estimate(known=known), rows=rows) == 0
    assert plan.estimate(known=known).new_profiles == ROWS - 2
    assert plan.estimate().new_profiles == ROWS


@pytest.mark.parametrize(("make", "rows"), PLANS)
def test_without_a_report_each_takes_one_pass_of_checks_more(make, rows, reads):
    """Who looks at the checks' findings first causes their pass; of events by ids an estimate needs no other."""
    assert reads.passes(lambda: make(reads).identity(), rows=rows) == 2
    assert reads.passes(lambda: make(reads).estimate(), rows=rows) == (1 if make is events else 2)


@pytest.mark.parametrize(("make", "rows"), PLANS)
def test_sending_after_the_report_is_one_pass(make, rows, reads, tmp_path):
    """The check before sending is part of the report's; without one it is a pass of its own."""
    plan, other = make(reads), make(reads)
    repr(plan)

    assert reads.passes(lambda: send(plan, tmp_path / "after"), rows=rows) == 1
    assert reads.passes(lambda: send(other, tmp_path / "alone"), rows=rows) == 2
    assert reads.passes(other.refusals if rows == ROWS else other.identity, rows=rows) <= 1


def test_plans_that_were_checked_before_they_are_joined_are_read_once_more_for_their_links(reads):
    """Each was checked for itself; who is connected across them takes a look at both."""
    plans = [people(reads), events(reads)]
    for plan in plans:
        repr(plan)

    assert reads.passes(cio.backfill(plans).identity, rows=2 * ROWS) == 2


def test_the_first_messages_are_found_without_the_rest_of_the_table(reads):
    """How much is read for them does not grow with the table."""
    read = []
    for rows in (400_000, 1_200_000):
        plan = people(reads, rows)
        reads.rows = 0
        assert [message["userId"] for message in plan.payloads(2)] == ["u0", "u1"]
        read.append(reads.rows)

    assert max(read) < 200_000


@pytest.mark.parametrize("rows", [10, ROWS])
def test_what_the_whole_table_rejects_is_known_to_a_small_table_and_after_a_check(rows, reads):
    """Until then a large table shows messages of rows that only the whole of it rejects."""
    ids = "u" + numbers(rows)
    circle = pl.DataFrame({"old": ids, "new": ids.gather((pl.int_range(rows, eager=True) + 1) % 2)})
    plan = reads.counted(circle).alias(previous_id="old", user_id="new")
    first = reads.passes(lambda: plan.payloads(1), rows=rows)

    shown = plan.payloads(1)[0]["previousId"]

    assert plan.refusals() == []
    assert shown == ("u2" if rows == 10 else "u0")
    assert first <= 1
    assert plan.payloads(1)[0]["previousId"] == "u2"
    assert plan.counts["rejected"] == 2
    assert plan.payloads(1)[0]["previousId"] == "u2"
