"""What the benchmark compares is comparable."""

import sys
from math import isnan
from pathlib import Path

import pytest

import cio_frames as cio
from benchmarks import ours, without_stages
from benchmarks.aims import QUIET, ROWS, TABLES, Figure, Row, Settings, measured, medians
from benchmarks.contenders import CONTENDERS
from benchmarks.inputs import events_file
from benchmarks.measure import run, sink, totals
from benchmarks.peers import PEERS
from benchmarks.tasks import TASKS
from benchmarks.unchecked import unchecked
from benchmarks.variants import variant_file
from cio_frames.plan import chunks


def test_the_straight_line_sends_what_the_package_sends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The limit without checks is of the same messages: as many requests, and the same bytes."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = str(events_file(tmp_path, 20_000))
    with sink() as url:
        ours.main(path, url, gzip=True)
        checked = totals(url)
    with sink() as url:
        unchecked(path, url)
        straight = totals(url)

    assert straight == checked
    assert checked["requests"] == checked["gzip"] > 0
    assert len(list(tmp_path.glob("audit-*/p*-0"))) == 2  # a plan and a part


@pytest.mark.parametrize("name", without_stages.VARIANTS)
def test_what_costs_nothing_sends_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With a stage left out, or its work lying ready, the same bytes are sent."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = str(events_file(tmp_path, 60_000))
    without_stages.write_ready(path)
    with sink() as url:
        ours.main(path, url, gzip=True)
        whole = totals(url)
    monkeypatch.setattr(chunks, "encode", chunks.encode)  # so that it is put back
    with sink() as url:
        without_stages.send(name, path, url)
        counts = totals(url)

    assert counts == whole
    assert counts["requests"] > 0


@pytest.mark.parametrize("name", TASKS)
def test_what_is_waited_for_is_done(name: str, tmp_path: Path):
    """Each work does what it is named for: its own assertions hold, with whatever it makes first."""
    rows = 3 if name in ("wide_report", "earlier_runs") else 500

    figures = TASKS[name](rows, tmp_path)()

    assert all(figure >= 0 for figure in (figures or {}).values())


def test_what_the_table_names_is_there():
    """Each row has a work or a contender, an aim or a peer, and each peer a table and a way to run it."""
    for row in ROWS:
        assert row.sends or row.task in TASKS
        assert row.aims or row.peers
    peers = {peer for row in ROWS for peer in row.peers if not row.sends}
    senders = {peer for row in ROWS for peer in row.peers if row.sends}

    assert peers == TABLES.keys() == PEERS.keys() | {"mixpanel-import"}
    assert senders <= CONTENDERS.keys()


def test_every_row_of_the_table_for_reports_is_as_it_is_named(tmp_path: Path):
    """Of the one table all rows warn; of the other only the last can be sent."""

    def plan_of(name: str) -> cio.Plan:
        table = cio.scan(variant_file(tmp_path, name, 300))
        return cio.frame(table).track(event="event", user_id="user_id", timestamp="occurred_at")

    findings, counts = plan_of("warning").findings, plan_of("rejected").counts

    assert findings["row"].n_unique() == 300
    assert "warn" in findings["severity"]
    assert counts["valid"] == 1


def test_a_missed_aim_says_what_stands_in_the_way():
    """An aim is a bound from above, or from below where more is better."""
    slow = Figure(what="a", measured=2.0, unit="s", aim=1.0, obstacle="reading")
    more = Figure(what="a", measured=2.0, unit="x", aim=1.0, is_floor=True)
    failed = Figure(what="a", measured=float("nan"), unit="s", aim=1.0)

    assert slow.verdict == "no: reading"
    assert more.verdict == "yes"
    assert failed.verdict == "no"
    assert Figure(what="a", measured=2.0, unit="s").verdict == ""


def test_a_peer_that_is_not_installed_is_named(tmp_path: Path):
    """Without the environment of the peers this package is measured, and a word stands for each of them."""
    row = Row(what="objects", task="objects", rows=50, aims={"us_a_row": 2}, peers=("orjson",))
    asked = Settings(rows=100, times=1, folder=tmp_path, peers=tmp_path / "nowhere")

    (figure,) = measured(asked, [row])

    assert figure.measured > 0
    assert figure.beside.endswith("orjson is not installed")


def test_what_takes_too_long_is_stopped_and_has_no_figure():
    """A peer is not waited for for ever, and what failed counts as nothing."""
    stopped = run([sys.executable, "-c", "import time; time.sleep(60)"], env=QUIET, timeout_s=0.2)

    assert not stopped.ok
    assert stopped.wall_s < 30
    assert isnan(medians([stopped], rows=1)["s"])
