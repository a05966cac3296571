"""What the benchmark compares is comparable."""

from pathlib import Path

import pytest

from benchmarks import ours
from benchmarks.inputs import events_file
from benchmarks.measure import sink, totals
from benchmarks.unchecked import unchecked


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
