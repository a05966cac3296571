"""`send` and `resume`: against workspaces on this machine."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial

import polars as pl
import pytest

import cio_frames as cio
from benchmarks.inputs import events
from benchmarks.measure import sink, totals
from cio_frames.cli.send import confirm, confirm_allowances
from cio_frames.errors import UsageError
from cio_frames.plan.full_check import check_fully
from cio_frames.sandbox import Sandbox

IDENTIFY = ("--call", "identify", "--user-id", "id")


class Typed(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def test_rows_arrive_at_an_endpoint(cli, people, workspace):
    """Rows sent to a server on this machine arrive, and the outcome goes to standard output."""
    result = cli("send", people, *IDENTIFY, "--endpoint", workspace.url, "--progress", "off")

    assert (result.code, result.err) == (0, "")
    assert "All 3 rows arrived." in result.out
    assert workspace.people["email"].sort().to_list() == [
        "ada@example.com", "bob@example.com", "eve@example.com",
    ]  # fmt: skip


@pytest.mark.parametrize(("call", "checks"), [("identify", 0), ("track", 1)])
def test_all_rows_are_checked_only_where_they_are_counted(cli, people, workspace, call, checks):
    """The report of all rows is made where events without a time have to be counted, else not."""
    made = []

    def note(frame, event, _argument):
        if event == "call" and frame.f_code is check_fully.__wrapped__.__code__:
            made.append(event)

    words = ("--call", call, "--user-id", "id", *(("--lit", "event=Seen") if checks else ()))
    sys.setprofile(note)
    try:
        result = cli("send", people, *words, "--endpoint", workspace.url, "--progress", "off")
    finally:
        sys.setprofile(None)

    assert result.code == 0
    assert ("would count as happening now" in result.err) == bool(checks)
    assert len(made) == checks


def test_corrected_rows_are_sent_with_the_options_of_the_others(cli, mixed, workspace, tmp_path):
    """What --rejected wrote, corrected, is sent alone, in the words of the first command."""
    left = tmp_path / "left.csv"
    cli("check", mixed, *IDENTIFY, "--rejected", left)
    rows = left.read_text().splitlines()
    assert [row.count("id.") for row in rows] == [0, 1, 1]
    left.write_text("\n".join([rows[0], re.sub("^(?:[^,]*),", '"0042",', rows[1])]) + "\n")

    result = cli(
        "send", mixed, *IDENTIFY, "--corrected", left, "--endpoint", workspace.url, "--progress", "off"
    )  # fmt: skip

    assert result.code == 0
    assert workspace.people["id"].to_list() == ["0042"]
    assert "reasons" not in str(workspace.people.to_dicts())


def test_rows_left_out_end_with_1(cli, mixed, workspace):
    """A run that leaves rows out ends with 1 and says how to see them."""
    result = cli("send", mixed, *IDENTIFY, "--endpoint", workspace.url, "--progress", "off")

    assert result.code == 1
    assert "1 of 3 rows arrived" in result.out
    assert "--failed" in result.out
    assert workspace.people.height == 1


def test_a_throw_away_workspace_shows_what_it_holds(cli, people):
    """`--to sandbox` needs no key and prints what the workspace contains in the end."""
    result = cli("send", people, *IDENTIFY, "--to", "sandbox", "--progress", "lines")

    assert result.code == 0
    assert "people            3  3 with an id, 3 with an e-mail address" in result.out
    assert "Checking identify" in result.err


def test_the_outcome_as_json(cli, mixed, workspace):
    """The outcome as JSON accounts for every row."""
    result = cli(
        "send", mixed, *IDENTIFY, "--endpoint", workspace.url, "--format", "json",
        "--progress", "off",
    )  # fmt: skip

    report = json.loads(result.out)
    assert report["outcome"] == "finished"
    assert sum(report["counts"].values()) == 3
    assert report["counts"]["rejected_local"] == 2


def test_a_second_time_nothing_is_sent(cli, people, workspace):
    """What arrived is not sent again, unless that is asked for."""
    words = ("send", people, *IDENTIFY, "--endpoint", workspace.url, "--progress", "off")
    outcomes = [cli(*words), cli(*words), cli(*words, "--repeat")]

    assert [result.code for result in outcomes] == [0, 0, 0]
    assert workspace.counts["messages"] == 6
    assert "already delivered" in outcomes[1].out


def test_without_strict_mode_nothing_is_verified(cli, people):
    """Without strict mode, rows end as accepted but unverified."""
    result = cli("send", people, *IDENTIFY, "--to", "sandbox", "--no-strict", "--progress", "off")

    assert result.code == 0
    assert re.search(r"accepted, unverified +3 ", result.out)


def test_a_refused_plan_is_not_sent(cli, people, workspace):
    """A plan that is refused ends with 3 before any request."""
    result = cli(
        "send", people, "--call", "track", "--user-id", "id", "--lit", "event=User Deleted",
        "--endpoint", workspace.url,
    )  # fmt: skip

    assert result.code == 3
    assert "event.destructive" in result.err
    assert '--allow "User Deleted"' in result.err
    assert workspace.counts["requests"] == 0


def test_a_wrong_key_stops_the_run(cli, people, workspace, monkeypatch):
    """A wrong key stops at once with everything pending, and is not shown."""
    monkeypatch.setenv("CIO_WRITE_KEY", "canary-4711")
    result = cli("send", people, *IDENTIFY, "--endpoint", workspace.url, "--progress", "off")

    assert result.code == 6
    assert re.search(r"pending +3 ", result.out)
    assert "cio-frames resume" in result.out
    assert "canary-4711" not in result.out + result.err


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_reason_of_a_stop_is_printed_once(cli, people, workspace, monkeypatch, form):
    """The outcome says why a run stopped; the last line on standard error says how to finish it."""
    monkeypatch.setenv("CIO_WRITE_KEY", "wrong")
    result = cli(
        "send",
        people,
        *IDENTIFY,
        "--endpoint",
        workspace.url,
        "--progress",
        "off",
        "--format",
        form,
    )

    assert "The key was not accepted" in result.out
    assert result.out.count("The key was not accepted") == 1 or form == "json"
    assert "The key was not accepted" not in result.err
    assert result.err.startswith("cio-frames: The run stopped early (UNAUTHORIZED). 0 of 3 rows")
    assert "cio-frames resume" in result.err


def test_deletions_need_no_time(cli, people, workspace):
    """Events that act instead of being recorded are not counted as happening now."""
    result = cli(
        "send", people, "--call", "track", "--user-id", "id", "--lit", "event=User Deleted",
        "--allow", "User Deleted", "--endpoint", workspace.url, "--progress", "off",
    )  # fmt: skip

    assert (result.code, result.err) == (0, "")


def test_resume_finishes_what_a_run_left(cli, people, folder, monkeypatch):
    """A run that a wrong key stopped is finished once the workspace knows the key."""
    monkeypatch.setenv("CIO_WRITE_KEY", "later-known")
    with Sandbox() as before:
        target = ("--endpoint", before.url, "--progress", "off")
        stopped = cli("send", people, *IDENTIFY, *target)
        port = int(before.url.rpartition(":")[2])
    run = next(path.parent for path in folder.glob("audit/*/run.json"))
    with Sandbox(write_key="later-known", port=port) as after:
        resumed = cli("resume", run, people, *IDENTIFY, *target)
        arrived = after.people.height

    assert (stopped.code, resumed.code, arrived) == (6, 0, 3)
    assert cio.audit(run).runs["delivered"].to_list() == [3]


def test_resume_needs_the_same_rows(cli, people, folder, workspace):
    """A run is not resumed with another table."""
    target = ("--endpoint", workspace.url, "--progress", "off")
    cli("send", people, *IDENTIFY, *target)
    run = next(path.parent for path in folder.glob("audit/*/run.json"))
    people.write_text("id,email\nu9,other@example.com\n")
    result = cli("resume", run, people, *IDENTIFY, *target)

    assert result.code == 7
    assert "not with 1 row" in result.err or "not from 1 row" in result.err


@pytest.mark.parametrize("command", ["send", "resume"])
def test_without_a_terminal_nothing_leaves(  # noqa: PLR0917 - fixtures
    cli, people, folder, workspace, monkeypatch, command
):
    """Nothing goes to Customer.io without a word when there is nobody to ask."""
    cli("send", people, *IDENTIFY, "--endpoint", workspace.url, "--progress", "off")
    run = next(path.parent for path in folder.glob("audit/*/run.json"))
    monkeypatch.setattr("sys.stdin", io.StringIO("3\n"))
    before = [run] if command == "resume" else []
    result = cli(command, *before, people, *IDENTIFY, "--to", "us")

    assert result.code == 2
    assert "cdp.customer.io" in result.err
    assert "Nothing was sent. Use --yes" in result.err


def test_another_number_stops_it(cli, people, monkeypatch):
    """A number that is not the number of rows stops before anything is sent."""
    monkeypatch.setenv("CIO_WRITE_KEY", "any")
    monkeypatch.setattr("sys.stdin", Typed("4\n"))
    result = cli("send", people, *IDENTIFY, "--to", "eu")

    assert result.code == 2
    assert "This sends 3 rows to cdp-eu.customer.io." in result.err
    assert "To Customer.io EU: 3 people created or updated." in result.err
    assert "Nothing was sent." in result.err


def test_an_interrupt_ends_with_130(cli, people, monkeypatch):
    """Ctrl-C ends with 130 and one sentence."""

    class Interrupted(Typed):
        def readline(self, *_: object) -> str:
            raise KeyboardInterrupt

    monkeypatch.setenv("CIO_WRITE_KEY", "any")
    monkeypatch.setattr("sys.stdin", Interrupted())
    result = cli("send", people, *IDENTIFY, "--to", "us")

    assert result.code == 130
    assert result.err.endswith("cio-frames: Interrupted.\n")


@pytest.mark.skipif(os.name != "posix", reason="signals are another thing elsewhere")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_command_that_is_stopped_finishes_the_requests_in_flight(folder, name, request):
    """Ctrl-C, the end of a job and of a terminal: the record is complete, and the output says what is left."""
    events(60_000).drop("tags", "device").write_parquet("events.parquet")
    options = ["--call", "track", "--event", "event", "--user-id", "user_id", "--rate", "1"]
    options += ["--timestamp", "occurred_at"]
    number = getattr(signal, name)
    # A program inherits ignored signals: `nohup` ignores SIGHUP, a job in the background SIGINT.
    if signal.getsignal(number) is signal.SIG_IGN:
        request.addfinalizer(partial(signal.signal, number, signal.SIG_IGN))
        signal.signal(number, signal.SIG_DFL)
    with sink(latency_ms=80) as url, subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "cio_frames.cli", "send", "events.parquet", *options,
         "--endpoint", url, "--progress", "off"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"CIO_WRITE_KEY": "k"},
    ) as program:  # fmt: skip
        while not totals(url)["requests"]:
            assert program.poll() is None
            time.sleep(0.01)
        program.send_signal(number)
        out, err = program.communicate(timeout=60)

    assert program.returncode == 130
    assert err.startswith("cio-frames: Interrupted. ")
    for text in (out, err):
        assert re.search(r"^ +cio-frames resume \S+ FILES", text, re.MULTILINE)
    (run,) = cio.audit(folder / "audit").runs.to_dicts()
    assert (run["stopped"], run["in_doubt"]) == ("INTERRUPTED", 0)
    assert 0 < run["delivered"] < run["rows"] == run["delivered"] + run["pending"]


@pytest.mark.parametrize("typed", ["1234\n", "1,234\n", "  1234 \n"])
def test_the_number_of_rows_goes_on(typed):
    """The number of rows, however it is written, confirms."""
    asked = io.StringIO()
    confirm(1_234, host="cdp.customer.io", answers=Typed(typed), prompts=asked)

    assert "This sends 1,234 rows to cdp.customer.io." in asked.getvalue()


@pytest.mark.parametrize("typed", ["", "\n", "yes\n", "123\n", "12345\n"])
def test_anything_else_does_not_go_on(typed):
    """Anything but the number of rows does not confirm."""
    with pytest.raises(UsageError, match=r"does not match\. Nothing was sent\."):
        confirm(1_234, host="cdp.customer.io", answers=Typed(typed), prompts=io.StringIO())


def test_forms_are_sent_one_by_one(cli, folder, workspace):
    """Forms go to the Track host with its own keys."""
    (folder / "forms.csv").write_text("email,topic\nada@example.com,sales\n")
    result = cli(
        "send", "forms.csv", "--call", "form", "--email", "email", "--lit", "form-id=contact",
        "--endpoint", workspace.url, "--progress", "off", "--rate", "none",
    )  # fmt: skip

    assert result.code == 0
    assert workspace.forms["form_id"].to_list() == ["contact"]


def test_events_without_a_time_are_counted_before_they_are_sent(cli, folder):
    """Standard error says how many events count as now, unless a column gives their time."""
    (folder / "e.csv").write_text("id,at\nu,2024-01-02T03:04:05Z\nv,2024-01-02T03:04:05Z\n")
    events = ("send", "e.csv", "--call", "page", "--user-id", "id", "--to", "sandbox")

    assert "2 events would count as happening now" in cli(*events).err
    assert "happening now" not in cli(*events, "--timestamp", "at").err


@pytest.fixture
def recent(folder):
    """Write two events that can start campaigns."""
    (folder / "recent.csv").write_text("id\nu1\nu2\n")
    return "recent.csv"


SEEN = ("--call", "track", "--user-id", "id", "--lit", "event=Seen", "--progress", "off")


def test_without_a_terminal_each_number_is_an_option(cli, recent, monkeypatch):
    """--yes confirms the rows alone; what else is needed ends with 3 and is shown as options."""
    monkeypatch.setenv("CIO_WRITE_KEY", "k")
    result = cli("send", recent, *SEEN, "--to", "eu", "--yes")
    assert result.code == 3
    assert "campaigns: 2 events counted as happening now" in result.err
    assert result.err.rstrip().endswith("--allow campaigns=2")
    few = cli("send", recent, *SEEN, "--to", "eu", "--yes", "--allow", "campaigns=one")
    assert (few.code, "(1 allowed)" in few.err) == (3, True)


def test_numbers_that_are_given_hold_on_this_machine_too(cli, recent, workspace):
    """With --allow, a server on this machine gets no more than that; names beside it stay names."""
    there = ("send", recent, *SEEN, "--endpoint", workspace.url)
    assert cli(*there, "--allow", "campaigns=1", "--allow", "User Deleted").code == 3
    assert cli(*there, "--allow", "campaign=2").code == 2
    assert workspace.counts["requests"] == 0
    assert cli(*there, "--allow", "campaigns=two").code == 0


@pytest.mark.parametrize(("typed", "numbers"), [
    ("2\n1\n", {"campaigns": 2, "deletions": 1}), ("two\none\n", {"campaigns": 2, "deletions": 1}),
    ("2\n2\n", None), ("2\n", None), ("yes\n1\n", None),
])  # fmt: skip
def test_each_number_is_typed(typed, numbers):
    """At a terminal each number beyond the options is typed on its own."""
    rows = pl.DataFrame({"id": ["u1"] * 3, "event": ["A", "A", "User Deleted"]})
    plan = rows.cio.track(user_id="id", event="event", checks=cio.Checks(allow=["User Deleted"]))
    asked = io.StringIO()
    given = {
        "allow": {"campaigns": 1},
        "progress": False,
        "answers": Typed(typed),
        "prompts": asked,
    }
    if numbers is None:
        with pytest.raises(UsageError, match="does not match"):
            confirm_allowances(plan.pipelines, **given)
        return
    assert confirm_allowances(plan.pipelines, **given) == numbers
    assert "2 events counted as happening now, which can start campaigns.\n" in asked.getvalue()
    assert "Type the number of deletions to continue: " in asked.getvalue()
    rest = confirm_allowances(plan.pipelines, **{**given, "allow": numbers, "answers": Typed("")})
    assert rest == numbers
