"""The totals of an audit count each row once, however many runs it was in."""

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.audit.distinct_rows import distinct_rows


@pytest.fixture
def client():
    """A client of an embedded workspace."""
    with cio.sandbox() as workspace:
        yield workspace.client()


def plan_of(ids, **columns):
    """Return a plan of people."""
    return pl.DataFrame({"id": ids, **columns}).cio.identify(user_id="id")


def totals(folder):
    """Return the totals of the card that are not zero, and the rows that it names."""
    audit = cio.audit(folder)
    counts = {state: rows for state, rows in audit._totals(audit.runs).items() if rows}
    rows = sum(counts.values())
    assert f"{rows:,} rows" in repr(audit)
    figures = next(line for line in str(audit).splitlines() if line.startswith("rows "))
    assert figures.split() == ["rows", f"{rows:,}"]
    return counts


def test_a_row_that_was_skipped_as_done_counts_once_as_delivered(client, tmp_path):
    """The table again, whole or with rows more, has the delivered rows no second time."""
    for ids in (["u1", "u2"], ["u1", "u2"], ["u1", "u2", "u3"]):
        plan_of(ids).send(client, audit=tmp_path, progress=False)

    assert cio.audit(tmp_path).runs["rows"].to_list() == [2, 2, 3]
    assert totals(tmp_path) == {"delivered": 3}
    assert "count a row of several runs once" in str(cio.audit(tmp_path))


def test_a_row_that_was_left_out_counts_once(client, tmp_path):
    """Rows without a message are known by their table and number."""
    for _ in range(3):
        plan_of(["u1", None, None]).send(client, audit=tmp_path, progress=False)

    assert totals(tmp_path) == {"delivered": 1, "rejected_local": 2}


def test_a_row_that_is_sent_again_counts_once(client, tmp_path):
    """`repeat=True`, and a state that comes back under another id, make no other rows."""
    for value in ("a", "b", "a"):
        plan_of(["u1"], plan=[value]).send(client, audit=tmp_path, progress=False)
    plan_of(["u1"], plan=["a"]).send(client, audit=tmp_path, progress=False, repeat=True)

    assert totals(tmp_path) == {"delivered": 2}


def test_a_run_that_stopped_and_was_sent_again_counts_once(client, tmp_path):
    """Rows that were pending with a wrong key are those that the right one delivers elsewhere."""
    plan = plan_of(["u1", "u2"])
    with pytest.raises(cio.errors.RunStoppedError):
        plan.send(
            cio.connect(endpoint=f"http://{client.endpoint}", write_key="wrong"),
            audit=tmp_path, progress=False,
        )  # fmt: skip
    plan.send(client, audit=tmp_path, progress=False)

    assert totals(tmp_path) == {"delivered": 2, "pending": 2}  # another key is another workspace


def test_rows_that_are_alike_are_rows(client, tmp_path):
    """Two equal events, one table under two names, and two plans of one table each count."""
    events = pl.DataFrame({"id": ["u1", "u1"], "at": ["2026-01-01T00:00:00Z"] * 2})
    plans = [
        events.cio.track(event=cio.lit(name), user_id="id", timestamp="at")
        for name in ("Joined", "Left", "Left")
    ]
    for _ in range(2):
        cio.backfill(plans).send(client, audit=tmp_path, progress=False)

    assert totals(tmp_path) == {"delivered": 6}


def test_one_run_is_not_read(client, tmp_path):
    """The totals of one run are those of its summary; its parts need not be there."""
    run = plan_of(["u1", None]).send(client, audit=tmp_path, progress=False)
    for part in (run.audit / "parts").iterdir():
        part.unlink()

    assert "2 rows" in repr(cio.audit(tmp_path))


def test_nothing_but_the_columns_that_count_is_read(client, tmp_path):
    """Of the record five columns are read, neither people nor reasons."""
    plan_of(["u1"]).send(client, audit=tmp_path, progress=False)
    rows = cio.audit(tmp_path).scan()

    read = distinct_rows(rows, []).explain()

    assert "5/" in read.replace("PROJECT ", "")
