"""`audit`: the outcome of every row."""

import json
from pathlib import Path

import polars as pl
import pytest

IDENTIFY = ("--call", "identify", "--user-id", "id")


@pytest.fixture
def run(cli, mixed) -> Path:
    """Send three rows of which one arrives."""
    cli("send", mixed, *IDENTIFY, "--to", "sandbox", "--progress", "off")
    return next(path.parent for path in mixed.parent.glob("audit/*/run.json"))


def test_runs_are_listed(cli, run):
    """Without options there is one line per run."""
    result = cli("audit", "audit")

    assert result.code == 0
    line = next(line for line in result.out.splitlines() if run.name in line)
    assert line.split()[1] == "finished"
    assert line.split()[-5:] == ["3", "1", "2", "0", "0"]


def test_failed_rows_are_listed_with_reasons(cli, run):
    """The rows that did not arrive are listed by reason and one by one."""
    result = cli("audit", "audit", "--failed")

    assert "2 rows did not arrive" in result.out
    assert "rejected_local  id.missing     1" in result.out
    assert result.out.count(run.name) == 2


def test_a_run_without_failures(cli, people):
    """Where every row arrived, the output says so."""
    cli("send", people, *IDENTIFY, "--to", "sandbox", "--progress", "off", "--audit", "kept")

    assert cli("audit", "kept", "--failed").out.strip() == "Every row arrived."


def test_failed_rows_go_to_a_file(cli, run):
    """The failed rows can be written to a file."""
    result = cli("audit", "audit", "--run", run.name, "--failed", "--csv", "failed.csv")

    assert pl.read_csv("failed.csv")["row"].to_list() == [1, 2]
    assert "Written to failed.csv." in result.out


def test_a_row_is_explained(cli, run):
    """The history of one row is printed in sentences."""
    assert "It was not sent: id.missing" in cli("audit", run, "--explain", 1).out.replace("\n", " ")
    assert cli("audit", run, "--explain", 9).code == 7


def test_a_whole_record_is_verified(cli, run):
    """A record that nobody touched is whole; a changed one ends with 7."""
    whole = cli("audit", "audit", "--verify")
    part = next((run / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:-1])
    changed = cli("audit", "audit", "--verify")

    assert (whole.code, changed.code) == (0, 7)
    assert part.name in changed.out


def test_an_unknown_run_is_an_error(cli, run):
    """The error about an unknown run lists those that exist."""
    result = cli("audit", "audit", "--run", "nope")

    assert result.code == 7
    assert run.name in result.err


def test_json_has_what_was_asked_for(cli, run):
    """As JSON, the answer has one key for each thing that was asked for."""
    runs = json.loads(cli("audit", "audit", "--format", "json").out)
    answers = json.loads(
        cli("audit", "audit", "--failed", "--verify", "--explain", 0, "--format", "json").out
    )

    assert [item["run_id"] for item in runs["runs"]] == [run.name]
    assert set(answers) == {"failed", "problems", "story"}
    assert [item["row"] for item in answers["failed"]] == [1, 2]
