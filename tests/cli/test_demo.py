"""`demo` and `sandbox`: the main job, and a workspace to try things against."""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.cli import main
from cio_frames.cli.sample import LOADS

DATA = Path(__file__).resolve().parents[2] / "sample_data"
FILES = [*(load.file for load in LOADS), "people_dirty.csv"]


def rows_of(path: Path) -> int:
    """Count the rows of a file without this package."""
    read = pl.read_parquet if path.suffix == ".parquet" else pl.read_csv
    return read(path, **({} if path.suffix == ".parquet" else {"infer_schema": False})).height


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Path]:
    """Run the demo once: its exit code, its output, and its record."""
    audit = tmp_path_factory.mktemp("demo") / "kept"
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = main(["demo", "--data", str(DATA), "--audit", str(audit)])
    return code, output.getvalue(), audit


def test_the_demo_accounts_for_every_row(sent):
    """Every row of the sample data is in one state, in the table and in the record."""
    code, output, audit = sent
    expected = {name: rows_of(DATA / name) for name in FILES}
    record = cio.audit(audit).messages

    assert code == 0
    for name, rows in expected.items():
        assert re.search(rf"^  {re.escape(name)} +\w+ +{rows:,} ", output, re.MULTILINE), name
    assert record.height == sum(expected.values())
    assert f"= {record.height:,} rows read." in output
    assert set(record["state"]) == {"delivered", "rejected_local"}


def test_the_demo_shows_the_dirty_file_refused_then_repaired(sent):
    """The dirty file is refused with reasons and repaired, and its excluded rows are listed."""
    _, output, audit = sent
    refused, _, repaired = output.partition("It is repaired like this:")
    rejected = pl.read_csv(audit / "people_dirty.rejected.csv", infer_schema=False)
    dirty = cio.audit(audit).runs.sort("created").tail(1)

    assert re.search(r"\[refuse\] +id\.cio +2 ", refused)
    assert "Rows excluded instead of refusing all of them: id.cio" in repaired
    assert "Repaired id.padded" in repaired
    assert re.search(r"^ +id\.missing: (\d+, )+", repaired, re.MULTILINE)
    assert rejected.height == dirty["rejected_local"].item() > 0
    assert rejected["reasons"].null_count() == 0


def test_the_demo_previews_who_is_who(sent):
    """Where plans have an identity preview, its counts are shown before anything is sent."""
    assert ("Identity preview, before anything is sent" in sent[1]) is hasattr(
        cio.Backfill, "identity"
    )


def test_the_demo_names_the_file_that_is_missing(cli, folder):
    """A file that is not there is named, and where to find it."""
    shutil.copy(DATA / "people_known.csv", folder)
    result = cli("demo", "--data", folder)

    assert result.code == 4
    assert "events.parquet of the sample data is missing" in result.err


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is another thing elsewhere")
def test_the_sandbox_serves_until_it_is_interrupted():
    """The sandbox says how to connect, answers, and ends with 0 when it is interrupted."""
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "cio_frames.cli", "sandbox", "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        assert program.stdout is not None
        lines = "".join(iter(program.stdout.readline, "Ctrl-C stops it.\n"))
        variables = dict(re.findall(r"export (\w+)=(\S+)", lines))
        url = re.findall(r"http://127\.0\.0\.1:\d+", lines)[0]
        answer = httpx.post(
            f"{url}/v1/identify",
            json={"userId": "u1", "traits": {"email": "ada@example.com"}},
            auth=(variables["CIO_WRITE_KEY"], ""),
            headers={"X-Strict-Mode": "1"},
        )
        program.send_signal(signal.SIGINT)
        rest = program.stdout.read()

    assert answer.status_code == 200
    assert program.returncode == 0
    assert set(variables) == {
        "CIO_WRITE_KEY",
        "CIO_SITE_ID",
        "CIO_TRACK_API_KEY",
        "CIO_APP_API_KEY",
    }
    assert "people            1  1 with an id, 1 with an e-mail address" in rest
