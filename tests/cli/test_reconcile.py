"""`reconcile`: what a workspace holds beside what a run should have left there."""

import json

import polars as pl
import pytest

from cio_frames.workspaces.embedded import sandbox

IDENTIFY = ("--call", "identify", "--user-id", "id")


@pytest.fixture
def run(cli, people, folder, monkeypatch):
    """Send three people to a workspace whose keys are in the environment; return run and address."""
    with sandbox() as served:
        monkeypatch.setenv("CIO_WRITE_KEY", served.write_key)
        monkeypatch.setenv("CIO_APP_API_KEY", served.app_api_key)
        cli("send", people, *IDENTIFY, "--endpoint", served.url)
        (directory,) = (path for path in (folder / "audit").iterdir() if path.is_dir())
        yield directory, served.url


def test_the_workspace_is_read_and_compared(cli, people, run):
    """It ends with 0 if all is as expected; the report is on standard output."""
    result = cli("reconcile", run[0], people, *IDENTIFY, "--endpoint", run[1])

    assert (
        result.code,
        "holds 3 of 3 people and 8 of 8 attributes" in " ".join(result.out.split()),
    ) == (0, True)


def test_a_file_is_compared(cli, people, run, folder):
    """It ends with 1 if something is otherwise; differences are written to a file."""
    (folder / "export.csv").write_text(
        "id,email,plan\nu1,ada@example.com,pro\nu2,bob@example.com,\n"
    )
    (folder / "before.csv").write_text("id\nu9\n")
    words = ("--known", "export.csv", "--before", "before.csv", "--differences", "left.csv")
    result = cli("reconcile", run[0], people, *IDENTIFY, *words, "--format", "json")

    assert result.code == 1
    assert [line["id"] for line in json.loads(result.out)["differences"]] == ["u3"]
    assert pl.read_csv(folder / "left.csv").select("kind", "id").rows() == [("not there", "u3")]


def test_another_table_is_refused(cli, mixed, run):
    """The record can only be compared with the files of its run."""
    result = cli("reconcile", run[0], mixed, *IDENTIFY, "--known", mixed)

    assert (result.code, "was not made from this plan" in result.err) == (7, True)
