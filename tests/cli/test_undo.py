"""`undo` on the command line."""

from cio_frames.cli.exit_codes import Exit

IDENTIFY = ("--call", "identify", "--user-id", "id")
QUIET = ("--progress", "off")


def test_a_run_is_undone_from_files(cli, people, folder, workspace):
    """The plan and its tables are written, and `apply` sends them."""
    there = ("--endpoint", workspace.url)
    workspace.load([{"id": "u1", "attributes": '{"plan": "basic"}'}])
    before = workspace.people
    before.drop("anonymous_ids").write_parquet(folder / "before.parquet")
    assert cli("send", people, *IDENTIFY, *there, *QUIET).code == 0
    run = next(path.parent for path in (folder / "audit").glob("*/run.json"))
    shown = cli("undo", run, people, *IDENTIFY, "--known", "before.parquet", "--out", "back")
    assert shown.code == 0
    assert "people who are deleted" in shown.out
    assert "Saved in back." in shown.out
    files = sorted((folder / "back").glob("*.parquet"))
    assert cli("apply", "back/undo.cioplan", *files, *there, *QUIET).code == 0
    assert workspace.people.select("id", "attributes").equals(before.select("id", "attributes"))


def test_an_undo_needs_the_people_from_before(cli, people, folder, workspace):
    """The command ends with what is missing."""
    assert cli("send", people, *IDENTIFY, "--endpoint", workspace.url, *QUIET).code == 0
    run = next(path.parent for path in (folder / "audit").glob("*/run.json"))
    result = cli("undo", run, people, *IDENTIFY)
    assert result.code == Exit.USAGE
    assert "pass an export from before as --known." in result.err
    assert "send --keep-undo does" in result.err
