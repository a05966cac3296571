"""Every file of the record is compared with its hash, and reading many runs stays cheap."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from cio_frames.audit import Audit, earlier_runs, recover
from cio_frames.audit.file_system import LocalFileSystem
from cio_frames.cli.app import main
from cio_frames.cli.exit_codes import Exit
from cio_frames.errors import AuditCorruptError

WORKSPACES = {"pipelines": "w1"}
PART = "audit-000001.parquet"


@pytest.fixture
def run(begin, info, make_scripted_run, key, monkeypatch) -> Path:
    """The directory of a run in which everything happened."""
    monkeypatch.setenv("CIO_AUDIT_KEY", key)
    writer = begin(info=replace(info, workspaces=WORKSPACES))
    make_scripted_run(writer).run()
    return writer.directory


WAYS: dict[str, Callable[[Path], object]] = {
    "messages": lambda run: Audit(run).messages,
    "scan": lambda run: Audit(run).scan(),
    "failed": lambda run: Audit(run).failed(),
    "explain": lambda run: Audit(run).explain(row=0),
    "diff": lambda run: Audit(run).diff(run.name, run.name),
    "all runs": lambda run: Audit(run.parent).messages,
    "earlier": lambda run: earlier_runs(run.parent, workspaces=WORKSPACES),
    "recover": recover,
}


def forged(path: Path) -> bytes:
    """Return a part that was read, changed to say that all was delivered, and saved again."""
    rows = pl.read_parquet(path).with_columns(state=pl.lit("delivered"))
    rows.write_parquet(path)
    return path.read_bytes()


def flipped(path: Path) -> bytes:
    """Return a part with one bit of its data changed."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    return bytes(data)


DAMAGES = [
    pytest.param(forged, id="saved again"),
    pytest.param(flipped, id="bit"),
    pytest.param(lambda path: path.read_bytes()[:-9], id="cut"),
    pytest.param(lambda path: path.with_name("audit-000000.parquet").read_bytes(), id="swapped"),
    pytest.param(lambda _: b"", id="empty"),
]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("damage", DAMAGES)
def test_no_way_of_reading_believes_a_changed_part(run, way, damage):
    """A part that differs from its hash is an error with its name, whatever reads it."""
    path = run / "parts" / PART
    path.write_bytes(damage(path))

    with pytest.raises(AuditCorruptError, match=rf"{PART}: changed after it was written"):
        way(run)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_every_way_of_reading_takes_a_whole_record(run, way):
    """What was not changed is read."""
    assert way(run) is not None


@pytest.mark.parametrize("options", [["--explain", "0"], ["--failed"], ["--verify"]], ids=str)
def test_the_command_line_names_a_changed_part(run, options, capsys):
    """The command `audit` names the changed file, and exits with the code of a damaged record."""
    path = run / "parts" / PART
    path.write_bytes(flipped(path))

    assert main(["audit", str(run), *options]) == Exit.AUDIT
    output = capsys.readouterr()
    assert PART in "".join((output.err + output.out).split())


def test_a_record_without_its_run_json_is_not_passed_over(run):
    """Parts without run.json show that there was a run; a new run is not sent in its place."""
    (run / "run.json").unlink()

    with pytest.raises(AuditCorruptError, match=r"run\.json: missing"):
        earlier_runs(run.parent, workspaces=WORKSPACES)


class CountingDisk(LocalFileSystem):
    """The real disk, which counts its operations."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.lists = 0

    def read(self, path: Path) -> bytes:
        """Count, and read."""
        self.reads += 1
        return super().read(path)

    def listdir(self, directory: Path) -> list[str]:
        """Count, and list."""
        self.lists += 1
        return super().listdir(directory)


def test_each_earlier_run_costs_the_same(run, begin, info, make_segment, make_scripted_run):
    """Looking earlier runs up reads each file once, and its query does not grow with the runs."""
    work, queries = [], []
    for number in range(6):
        name = f"20260302T12000{number}000Z-aaaaaa"
        writer = begin(info=replace(info, run_id=name, workspaces=WORKSPACES))
        scripted = make_scripted_run(writer)
        scripted.plan(made := make_segment(0, first=0, sizes=(3,)))
        scripted.deliver(made.batches[0])
        writer.close()
        disk = CountingDisk()
        query, *_ = Audit(run.parent, disk=disk)._sent(WORKSPACES)
        work.append((disk.reads, disk.lists))
        queries.append(query.explain(optimized=False).count("\n"))

    more = {(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(work)}
    assert more == {(2, 1)}  # run.json and one part; the names in its directory
    assert len(set(queries)) == 1
