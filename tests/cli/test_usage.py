"""Commands that cannot work end with the documented code and one clear sentence."""

import gc
import io
import subprocess
import sys

import pytest

from cio_frames.cli.exit_codes import Exit

CHECK = ("check", "people.csv", "--call", "identify", "--user-id", "id")
TRACK = ("check", "people.csv", "--call", "track", "--user-id", "id")
SEND = ("send", "people.csv", "--call", "identify", "--user-id", "id")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        pytest.param(("chek",), 2, 'Did you mean "check"?', id="unknown-command"),
        pytest.param(("check", "people.csv"), 2, "--call", id="no-call"),
        pytest.param(("check", "people.csv", "--call", "x"), 2, "Choose from", id="unknown-call"),
        pytest.param((*CHECK, "--nope"), 2, "--nope", id="unknown-option"),
        pytest.param((*CHECK, "--event", "plan"), 2, "identify has no --event", id="not-its-option"),
        pytest.param((*CHECK[:-1], "idd"), 2, "Did you mean 'id'?", id="unknown-column"),
        pytest.param((*CHECK, "--traits", "nope"), 2, "'nope' is not a column", id="unknown-trait"),
        pytest.param(TRACK, 2, "--event COLUMN", id="no-event"),
        pytest.param((*TRACK, "--lit", "event"), 2, "argument=value", id="constant-without-value"),
        pytest.param((*TRACK, "--lit", "evnt=x"), 2, "cannot be a constant", id="unknown-constant"),
        pytest.param(
            (*TRACK, "--event", "plan", "--lit", "event=x"), 2, "both given", id="given-twice"
        ),
        pytest.param((*CHECK, "--fix", "id.float"), 2, "'id.float'", id="nothing-to-repair"),
        pytest.param((*CHECK, "--severity", "a=b"), 2, "refuse, reject", id="unknown-severity"),
        pytest.param((*CHECK, "--threshold", "few"), 2, "not a share", id="no-share"),
        pytest.param((*CHECK, "--nulls", "x"), 2, "omit", id="unknown-nulls"),
        pytest.param((*CHECK, "--timezone", "Mars"), 2, "time zone", id="unknown-zone"),
        pytest.param((*CHECK, "--output", "no/x"), 2, "cannot be written", id="unwritable-output"),
        pytest.param((*CHECK, "--findings", "x.txt"), 2, ".parquet", id="unknown-table-format"),
        pytest.param(("check", "no.csv", "--call", "identify"), 4, "no.csv", id="no-file"),
        pytest.param(("check", "x*.csv", "--call", "identify"), 4, "x*.csv", id="empty-glob"),
        pytest.param(("check", "zero.csv", "--call", "identify"), 4, "empty", id="empty-file"),
        pytest.param(("check", "twice.csv", "--call", "identify"), 4, "'id'", id="doubled-column"),
        pytest.param(("check", "a.xlsx", "--call", "identify"), 4, "workbook", id="excel"),
        pytest.param(SEND, 2, "--to sandbox", id="no-target"),
        pytest.param((*SEND, "--to", "us"), 5, "CIO_WRITE_KEY", id="no-key"),
        pytest.param(
            (*SEND, "--to", "sandbox", "--endpoint", "http://127.0.0.1:9"), 2, "two", id="two-targets"
        ),
        pytest.param((*SEND, "--to", "sandbox", "--rate", "0"), 5, "rate", id="rate-of-zero"),
        pytest.param((*SEND, "--to", "sandbox", "--rate", "x"), 2, "--rate", id="no-rate"),
        pytest.param(("resume", "r", *SEND[1:], "--to", "sandbox"), 2, "disappears", id="resume-sandbox"),
        pytest.param(("audit", "nowhere"), 7, "no run", id="no-audit"),
        pytest.param(("audit", ".", "--explain", "-1"), 2, "from 0", id="negative-row"),
        pytest.param(("sandbox", "--port", "99999"), 5, "99999", id="no-such-port"),
        pytest.param(("demo", "--data", "."), 4, "--data", id="no-sample-data"),
    ],
)  # fmt: skip
def test_a_wrong_command_has_one_message(cli, people, words, code, message):
    """A command that cannot work says why on standard error, without a traceback."""
    (people.parent / "zero.csv").touch()
    (people.parent / "twice.csv").write_text("id,id\n1,2\n")
    (people.parent / "a.xlsx").write_bytes(b"PK\x03\x04")
    result = cli(*words)

    assert result.code == code
    assert result.err.startswith("cio-frames: ")
    assert message in result.err
    assert "Traceback" not in result.err


def test_an_unforeseen_error_keeps_its_traceback(cli, people, monkeypatch):
    """An unexpected error is not swallowed."""

    class Broken(io.StringIO):
        """A stream that fails in a way of its own."""

        def write(self, _text: str) -> int:
            raise ZeroDivisionError

    monkeypatch.setattr("sys.stdout", Broken())
    with pytest.raises(ZeroDivisionError):
        cli("check", people, "--call", "identify", "--user-id", "id")


def test_exit_codes_are_stable():
    """Scripts rely on the codes, and each has a sentence of its own."""
    assert [end.value for end in Exit] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]
    assert len({end.sentence for end in Exit}) == len(Exit)


PROGRAM = """
import atexit, gc, sys
atexit.register(lambda: print(gc.get_freeze_count() > 10_000))  # runs after those that are registered later
sys.argv = ["cio-frames", "--version"]
from cio_frames.cli import main
print("cyclopts" in sys.modules)
main()
print(gc.get_threshold()[0] > 10_000)
"""


def test_the_program_looks_for_less_garbage():
    """As a program it is loaded and ends without garbage being looked for in what it has loaded."""
    lines = subprocess.run(  # noqa: S603 - this program
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    ).stdout.split("\n")

    assert lines[0] == "False"
    assert lines[2:4] == ["True", "True"]


def test_a_call_from_python_leaves_the_collector_alone(cli):
    """Within the process of another program nothing is changed permanently."""
    before = gc.get_threshold(), gc.get_freeze_count()

    cli("--version")

    assert (gc.get_threshold(), gc.get_freeze_count()) == before
