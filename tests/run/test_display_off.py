"""What a run without a display spares: no drawing, and no reading of the record it has written."""

import sys
import threading
from pathlib import Path

import polars as pl
import pytest

import cio_frames as cio

PACKAGE = Path(cio.__file__).parent
ROWS = 3


def _calls(plan, client, *, audit, progress):
    """Send, and return each function of the package that ran, as file and name."""
    calls = set()

    def note(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            calls.add((path.relative_to(PACKAGE).as_posix(), frame.f_code.co_name))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        run = plan.send(client, audit=audit, progress=progress)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert run.counts["delivered"] == ROWS
    return calls


@pytest.fixture
def calls(tmp_path):
    """Return what finds out which functions run for a way to show progress."""

    def calls_with(progress):
        plan = pl.DataFrame({"id": [f"u{n}" for n in range(ROWS)]}).cio.identify(user_id="id")
        with cio.sandbox() as workspace:
            return _calls(plan, workspace.client(), audit=tmp_path, progress=progress)

    return calls_with


def _drawing(calls):
    return {path for path, _ in calls} & {"views/summary.py", "views/text.py", "views/html.py"}


def test_a_display_that_is_off_costs_nothing(calls):
    """With progress=False nothing is drawn, no thread draws, and the record is not read back."""
    ran = calls(False)

    assert not _drawing(ran)
    assert ("audit/reader.py", "collect_rows") not in ran
    assert ("views/progress.py", "_update_until_stopped") not in ran


def test_a_function_that_gets_the_states_has_no_summary_made(calls):
    """A function sees the states; no summary is drawn that nobody could see."""
    states = []
    ran = calls(states.append)

    assert states
    assert not _drawing(ran)
    assert ("audit/reader.py", "collect_rows") not in ran


def test_a_display_that_shows_a_summary_has_it_made(calls):
    """Log lines end with the summary as text, whose reasons come from the record; no HTML is made."""
    ran = calls("lines")

    assert _drawing(ran) == {"views/summary.py", "views/text.py"}
    assert ("audit/reader.py", "collect_rows") in ran
    assert ("views/progress.py", "_update_until_stopped") in ran
