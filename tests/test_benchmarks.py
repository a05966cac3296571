"""What the benchmark compares is comparable."""

from pathlib import Path

import pytest

from benchmarks import ours, without
from benchmarks.inputs import events_file
from benchmarks.measure import sink, totals
from benchmarks.unchecked import unchecked
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


@pytest.mark.parametrize("name", without.VARIANTS)
def test_what_costs_nothing_sends_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With a stage left out, or its work lying ready, the same bytes are sent."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = str(events_file(tmp_path, 60_000))
    without.write_ready(path)
    with sink() as url:
        ours.main(path, url, gzip=True)
        whole = totals(url)
    monkeypatch.setattr(chunks, "encode", chunks.encode)  # so that it is put back
    with sink() as url:
        without.send(name, path, url)
        found = totals(url)

    assert found == whole
    assert found["requests"] > 0
