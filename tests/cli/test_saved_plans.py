"""`plan`, `show`, `approve` and `apply` on the command line."""

import json
import re
import shlex
from pathlib import Path

import pytest

from cio_frames.cli.exit_codes import Exit

PAGE = Path(__file__).parents[2] / "docs" / "review.md"
IDENTIFY = ("--call", "identify", "--user-id", "id")
QUIET = ("--progress", "off")


@pytest.fixture(autouse=True)
def keys(monkeypatch, tmp_path):
    """Keep the key of approvals in the folder of the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_a_plan_is_saved_shown_approved_and_applied(cli, people, workspace):
    """The four commands take a table from review to arrival, with one approval."""
    there = ("--endpoint", workspace.url)
    saved = cli("plan", people, *IDENTIFY, *there, "--out", "july.cioplan")
    assert (saved.code, saved.err) == (0, "")
    assert "3 people" in saved.out
    key = cli("approve", "--key").out.strip()
    refused = cli("apply", "july.cioplan", people, *there, "--approved-by", key, *QUIET)
    assert refused.code == Exit.REFUSED
    assert "cio-frames approve" in refused.err
    assert key in cli("approve", "july.cioplan").out
    assert key in cli("show", "july.cioplan").out
    assert cli("show", "july.cioplan", "--format", "markdown").out.startswith("## Saved plan")
    assert json.loads(cli("show", "july.cioplan", "--format", "json").out)["format"] == 1
    assert cli("show", "july.cioplan", "--format", "html", "--output", "plan.html").code == 0
    applied = cli("apply", "july.cioplan", people, *there, "--approved-by", key, *QUIET)
    assert applied.code == 0
    assert "All 3 rows arrived." in applied.out
    assert workspace.people.height == 3


def test_a_file_is_read_as_it_was_for_the_review(cli, folder, workspace):
    """Separator, sheet and names of columns come from the plan; nobody types them again."""
    (folder / "odd.txt").write_text("u1;pro\nu2;free\n")
    there = ("--endpoint", workspace.url)
    how = ("--separator", ";", "--header", 0, "--columns", "id,plan")
    assert cli("plan", "odd.txt", *IDENTIFY, *how, "--out", "odd.cioplan").code == 0
    assert cli("apply", "odd.cioplan", "odd.txt", *there, *QUIET).code == 0
    assert workspace.people["id"].sort().to_list() == ["u1", "u2"]


def test_a_table_that_changed_ends_with_a_code_of_its_own(cli, people, workspace):
    """What is not as reviewed, and a condition that does not hold, end with 8; a condition that holds with 0."""
    there = ("--endpoint", workspace.url)
    assert cli("plan", people, *IDENTIFY, "--out", "one.cioplan", "--expires", "never").code == 0
    people.write_text(people.read_text() + "u4,d@example.com,free\n")
    changed = cli("apply", "one.cioplan", people, *there, *QUIET)
    assert (changed.code, changed.out) == (Exit.CHANGED, "")
    assert "reviewed 3, now 4" in changed.err
    assert cli("apply", "one.cioplan", people, *there, "--only-if", "rows<4", *QUIET).code == 8
    assert workspace.people.height == 0
    assert cli("apply", "one.cioplan", people, *there, "--only-if", "rejected<1%", *QUIET).code == 0


@pytest.mark.parametrize(("words", "code"), [
    (("show", "missing.cioplan"), Exit.REFUSED),
    (("plan", "people.csv", *IDENTIFY, "--to", "sandbox", "--out", "x.cioplan"), Exit.USAGE),
    (("plan", "people.csv", *IDENTIFY, "--out", "no/x.cioplan"), Exit.REFUSED),
], ids=["missing", "sandbox", "unwritable"])  # fmt: skip
def test_a_wrong_call_is_an_error(cli, people, words, code):
    """A missing plan, a temporary destination and a path that cannot be written are errors."""
    result = cli(*words)
    assert result.code == code
    assert result.err.startswith("cio-frames: ")


def test_customer_io_is_asked_for_like_a_send(cli, people, monkeypatch):
    """To Customer.io itself a plan is applied only after the number of rows was typed, or with --yes."""
    monkeypatch.setenv("CIO_WRITE_KEY", "key")
    assert cli("plan", people, *IDENTIFY, "--to", "eu", "--out", "eu.cioplan").code == 0
    result = cli("apply", "eu.cioplan", people, "--to", "eu", *QUIET)
    assert result.code == Exit.USAGE
    assert "needs confirmation" in result.err


def test_what_a_saved_plan_needs_is_allowed_when_it_is_applied(cli, people, workspace, monkeypatch):
    """The report shows the numbers, and `apply` takes them as options."""
    seen = ("--call", "track", "--user-id", "id", "--lit", "event=Seen")
    assert cli("plan", people, *seen, "--out", "seen.cioplan").code == 0
    assert 'allow={"campaigns": 3}' in cli("show", "seen.cioplan").out
    there = ("apply", "seen.cioplan", people, *QUIET)
    missing = cli(*there, "--to", "eu", "--yes")
    assert (missing.code, "--allow campaigns=3" in missing.err) == (Exit.REFUSED, True)
    local = (*there, "--endpoint", workspace.url, "--allow")
    assert cli(*local, "campaigns=2").code == Exit.REFUSED
    assert cli(*local, "campaigns=three").code == 0


def test_the_jobs_of_the_page_do_what_they_say(cli, people, workspace):
    """Each command in the examples for GitHub Actions and Airflow runs, with the table and the host of this test."""
    text = re.sub(r'"\s*\n\s*\'', "", PAGE.read_text())
    commands = re.findall(r"cio-frames (?:show|apply) [^>\n]*", text)
    assert len(commands) == 4
    assert cli("plan", people, *IDENTIFY, "--out", "a.cioplan").code == 0
    key = cli("approve", "a.cioplan").out.split()[-1].rstrip(".")
    for command in commands:
        words = shlex.split(command.replace("${{ vars.APPROVER }}", key).rstrip("'"))[1:]
        words = [re.sub(r"^\S+\.cioplan$", "a.cioplan", word) for word in words]
        words = [re.sub(r"^s3://.*|^people\.csv$", str(people), word) for word in words]
        words = [word.replace("/data/audit", "audit_jobs") for word in words]
        if "eu" in words:
            words[words.index("--to") : words.index("--to") + 2] = ["--endpoint", workspace.url]
        assert cli(*words).code == 0, command
