"""`--known`: who is new, from a file or from the workspace itself."""

import json

import pytest

from cio_frames.workspaces.embedded import sandbox


@pytest.fixture
def workspace(monkeypatch):
    """A workspace with one of the people, whose keys are in the environment."""
    with sandbox() as served:
        served.load([{"id": "u1", "email": "ada@example.com"}])
        monkeypatch.setenv("CIO_WRITE_KEY", served.write_key)
        monkeypatch.setenv("CIO_APP_API_KEY", served.app_api_key)
        yield served


CHECK = ("--call", "identify", "--user-id", "id")


def test_a_file_says_who_is_new(cli, people, folder):
    """The first sentence of the report counts people who are new and who are not."""
    (folder / "known.csv").write_text("id,email\nu1,ada@example.com\n")
    result = cli("check", people, *CHECK, "--known", "known.csv")

    assert (result.code, "2 new (billable), 1 updated" in result.out) == (0, True)


def test_the_workspace_says_who_is_new(cli, people, workspace):
    """It is read with the key of the environment; its display is on standard error."""
    result = cli("check", people, *CHECK, "--known", "workspace", "--endpoint", workspace.url)
    as_json = cli(
        "check", people, *CHECK, "--known", "export:1", "--endpoint", workspace.url, "--format", "json"
    )  # fmt: skip

    assert (result.code, "2 new (billable), 1 updated" in result.out) == (0, True)
    assert "1 person in" in result.err
    assert json.loads(as_json.out)["identity"]["creates"] == 2
    assert workspace.requests["path"].to_list().count("/v1/exports/customers") == 1


def test_sending_says_who_is_new_before_it_sends(cli, people, workspace):
    """The sentence stands on standard error, before the progress."""
    result = cli("send", people, *CHECK, "--endpoint", workspace.url, "--known", "workspace")

    assert result.code == 0
    assert result.err.index("2 new (billable), 1 updated") < result.err.index("Finished identify")


def test_without_a_key_it_says_which(cli, people, monkeypatch):
    """The variable is named, whichever other keys there are."""
    monkeypatch.delenv("CIO_APP_API_KEY", raising=False)
    monkeypatch.delenv("CIO_WRITE_KEY", raising=False)
    none = cli("check", people, *CHECK, "--known", "workspace")
    monkeypatch.setenv("CIO_WRITE_KEY", "k1")
    other = cli("check", people, *CHECK, "--known", "workspace")

    for result in (none, other):
        assert (result.code, "Set CIO_APP_API_KEY in the environment" in result.err) == (5, True)


def test_advice_can_be_typed(cli, people, workspace):
    """The errors about an unknown export and an invalid number use the words of the command line."""
    unknown = cli("check", people, *CHECK, "--known", "export:9", "--endpoint", workspace.url)
    strange = cli("check", people, *CHECK, "--known", "export:x")

    assert (unknown.code, "there is no export 9" in unknown.err) == (5, True)
    assert "client." not in unknown.err
    assert (strange.code, "such as export:110" in strange.err) == (2, True)


def test_a_saved_plan_is_compared_with_the_workspace(cli, people, workspace):
    """It is saved and applied with `--known workspace`, and refused when somebody else is there."""
    where = ("--endpoint", workspace.url, "--known", "workspace")
    saved = cli("plan", people, *CHECK, "--out", "p.cioplan", *where)
    applied = cli("apply", "p.cioplan", people, *where)
    again = cli("apply", "p.cioplan", people, *where, "--repeat")

    assert (saved.code, "2 new (billable), 1 updated" in saved.out) == (0, True)
    assert applied.code == 0
    assert again.code != 0
    assert "creates" in again.err
