"""A run can be paused, slowed down and stopped while it goes on, and says so."""

import time
from dataclasses import replace

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import ConfigError
from cio_frames.plan.plan import planned
from cio_frames.views.progress_state import ProgressState

ROWS = 400


def _until(condition, *, within_s=60.0):
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.01)


def _rests(run):
    """Tell whether nothing changes for as long as sixteen requests take."""
    before = run.counts
    time.sleep(0.4)
    return run.counts == before


@pytest.fixture
def plan():
    """A plan of forty small requests."""
    people = pl.DataFrame({"id": [f"u{n}" for n in range(ROWS)], "note": ["x" * 900] * ROWS})
    return planned(replace(people.cio.identify(user_id="id").pipeline, batch_bytes=12_000))


@pytest.fixture
def workspace():
    """An embedded workspace whose clients send forty requests a second."""
    with cio.sandbox(rate=40.0) as workspace:
        yield workspace


def test_a_paused_run_sends_nothing_and_goes_on_to_its_end(plan, workspace, tmp_path):
    """During the pause no request leaves; afterwards every row arrives."""
    states: list[ProgressState] = []
    run = plan.send(workspace.client(), audit=tmp_path, progress=states.append, wait=False)
    _until(lambda: run.counts["delivered"])

    run.pause()
    _until(lambda: _rests(run))

    assert run.counts["pending"] > 0
    run.go_on()
    assert run.wait().counts["delivered"] == ROWS
    assert any(state.paused for state in states)


def test_a_paused_run_can_be_stopped(plan, workspace, tmp_path):
    """Stopping ends a pause as well: the run is over and the rest is pending."""
    run = plan.send(workspace.client(), audit=tmp_path, progress=False, wait=False)
    run.pause()

    run.stop()

    assert run.wait().stopped == ("INTERRUPTED", "You stopped the run. Resume it to send the rest.")
    assert run.counts["pending"] > 0


def test_a_slowed_run_shows_its_rate(plan, workspace, tmp_path):
    """Half the rate each time; the display says how many requests may leave."""
    states: list[ProgressState] = []
    run = plan.send(workspace.client(), audit=tmp_path, progress=states.append, wait=False)
    assert run.rate == 40.0

    run.rate = 10.0
    run.slow_down()

    assert run.rate == 5.0
    _until(lambda: any(state.requested_rate == "at most 5 requests/s" for state in states))
    run.rate = None
    assert run.wait().counts["delivered"] == ROWS


def test_a_rate_must_be_a_rate(plan, workspace, tmp_path):
    """Zero is no rate: that would be a pause."""
    run = plan.send(workspace.client(), audit=tmp_path, progress=False)

    with pytest.raises(ConfigError, match="requests per second"):
        run.rate = 0
