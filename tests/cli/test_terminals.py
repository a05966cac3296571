"""Commands on terminals of every code page and width."""

import io
import json
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path

import polars as pl
import pytest

from cio_frames.cli import main, sandbox
from cio_frames.cli.send import confirm
from cio_frames.errors import UsageError
from cio_frames.sandbox import Sandbox
from cio_frames.views.characters import display_width
from cio_frames.views.environment import Output, writing_to

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
STRANGE = """id,E-Mail,имя и ещё несколько слов
u1,straße@example.com,Zoë
,ø@example.com,日本語の長い名前
 u3,ann@example.com,Ann — Bär ✓
"""
CHECK = ("check", "straße.csv", "--call", "identify", "--user-id", "id")
SEND = ("send", *CHECK[1:], "--to", "sandbox", "--audit", "straße")
CODE_PAGES = ("ascii", "cp1252", "cp437")
COMMANDS = (
    CHECK,
    (*CHECK, "--format", "json"),
    (*CHECK, "--format", "html"),
    ("preview", *CHECK[1:]),
    ("preview", *CHECK[1:], "--format", "json"),
    SEND,
    (*SEND, "--format", "json"),
    (*SEND, "--progress", "lines"),
    (*SEND, "--progress", "terminal"),
    ("audit", "straße"),
    ("audit", "straße", "--failed"),
    ("audit", "straße", "--failed", "--csv", "ошибки.csv"),
    ("audit", "straße", "--explain", "1"),
    ("audit", "straße", "--verify"),
    ("audit", "straße", "--format", "json"),
    ("check", "нет.csv", "--call", "identify"),
    (*CHECK[:-1], "имя"),
    (*CHECK, "--ignoré"),
    ("resume", "straße", *CHECK[1:], "--to", "sandbox"),
    ("--help",),
    *((command, "--help") for command in ("check", "preview", "send", "resume", "audit", "demo")),
)
TEXTS = [words for words in COMMANDS if words[-1] not in ("json", "html")]


@pytest.fixture
def terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str]]:
    """Run a command on a terminal; return what it wrote to standard output and standard error."""
    (folder / "straße.csv").write_text(STRANGE, encoding="utf-8")

    def run(*words: str, encoding: str = "utf-8", columns: int | None = None) -> tuple[str, str]:
        if words[0] == "audit":
            main([*SEND, "--progress", "off"])
        out, err = io.BytesIO(), io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding, errors="strict"))
            patch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding, errors="strict"))
            if columns:
                patch.setenv("COLUMNS", str(columns))
            main(words)
            sys.stdout.flush()
            sys.stderr.flush()
            return out.getvalue().decode(encoding), err.getvalue().decode(encoding)

    return run


def too_long(text: str, columns: int) -> list[str]:
    """Return the lines that are longer than they may be, and could be broken."""
    long = [line for line in text.replace("\r", "\n").splitlines() if display_width(line) > columns]
    return [line for line in long if " " in line.strip() and not line.strip().startswith('"')]


@pytest.mark.parametrize("encoding", CODE_PAGES)
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_writes_in_every_code_page(terminal, words, encoding):
    """No command raises, and nothing becomes a question mark, whatever characters it must write."""
    out, err = terminal(*words, encoding=encoding)

    assert out or err
    assert "??" not in out + err
    assert "stra?e" not in out + err


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("words", TEXTS, ids=" ".join)
def test_every_line_of_a_command_fits(terminal, words, columns):
    """No line is longer than the terminal, unless it holds one thing that cannot be broken."""
    out, err = terminal(*words, columns=columns)

    assert too_long(out, columns) == []
    assert too_long(err, columns) == []


@pytest.mark.parametrize("columns", [40, 80])
def test_every_line_of_the_demo_fits(terminal, folder, columns):
    """The demo keeps to the width as well, here on the first rows of its files."""
    (folder / "data").mkdir()
    for path in (path for path in SAMPLE.iterdir() if path.suffix in (".csv", ".parquet")):
        if path.suffix == ".csv":
            lines = path.read_bytes().splitlines(keepends=True)
            (folder / "data" / path.name).write_bytes(b"".join(lines[:30]))
        else:
            pl.read_parquet(path).head(30).write_parquet(folder / "data" / path.name)

    out, err = terminal("demo", "--data", "data", encoding="ascii", columns=columns)

    assert out.rstrip().endswith("audit/demo")
    assert too_long(out + err, columns) == []


def test_the_keys_of_a_sandbox_can_be_pasted():
    """The output of `sandbox` fits, and its commands can be pasted into a shell."""
    with Sandbox() as served, writing_to(Output(encoding="ascii", columns=40)):
        text = "\n\n".join(sandbox._connection_lines(served))

    assert too_long(text, 40) == []
    assert f"export CIO_SITE_ID={served.site_id}" in text.replace("\\\n    ", "")


def test_json_stays_json_in_every_code_page(terminal):
    """A program that reads the JSON gets the same values, whatever the code page of the pipe."""
    words = ("preview", *CHECK[1:], "--format", "json")
    previews = {
        encoding: json.loads(terminal(*words, encoding=encoding)[0]) for encoding in CODE_PAGES
    }

    assert previews["ascii"] == previews["cp1252"] == previews["cp437"]
    assert previews["ascii"]["messages"][0]["traits"]["имя и ещё несколько слов"] == "Zoë"


def test_html_stays_html_in_every_code_page(terminal):
    """A page that is written to a pipe is ASCII, so that any browser reads it as it is meant."""
    out, _ = terminal(*CHECK, "--format", "html", encoding="cp1252")

    assert out.isascii()
    assert "имя и ещё несколько слов" in unescape(out)


def test_a_report_in_a_file_is_utf8_and_as_wide_as_words_are(terminal, folder):
    """A report that goes to a file does not depend on the terminal that asks for it."""
    terminal(*CHECK, "--output", "report.txt", encoding="ascii", columns=40)
    report = (folder / "report.txt").read_text(encoding="utf-8")

    assert "Plan: identify · straße.csv · ! ready: " in report
    assert "[U+" not in report
    assert max(display_width(line) for line in report.splitlines()) > 40


def test_a_table_that_does_not_fit_becomes_lists(terminal):
    """Where columns have no place beside each other, every row is a list of its values."""
    wide, _ = terminal("audit", "straße", columns=200)
    narrow, _ = terminal("audit", "straße", columns=40)

    assert wide.splitlines()[0].split("  ")[0] == "run"
    assert narrow.startswith("run: ")
    assert "\n  arrived: 1\n" in narrow


def test_the_question_before_a_send_fits_and_can_be_written():
    """What is asked before rows leave the machine arrives in every code page."""
    raw = io.BytesIO()
    prompts = io.TextIOWrapper(raw, "ascii")
    answers = io.StringIO("3\n")
    answers.isatty = lambda: True  # type: ignore[method-assign]

    confirm(3, host="straße.example", answers=answers, prompts=prompts)

    assert raw.getvalue().decode("ascii") == (
        "This sends 3 rows to stra\\xdfe.example. This cannot be undone.\n"
        "Type the number of rows to continue: "
    )


def test_an_error_is_made_for_standard_error(folder, monkeypatch):
    """Standard error may take other characters than standard output, and is written to as it can be."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, "cp437"))

    main(["check", "bell\x07.csv", "--call", "identify"])

    assert raw.getvalue().startswith(b"cio-frames: bell[U+0007].csv: no such file.")


def test_without_a_console_a_command_does_its_work(terminal, monkeypatch, folder):
    """A command in a program that has no streams sends and ends as it does with them."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)

    assert main([*SEND]) == 1
    assert main([*CHECK[:2], "--call", "nope"]) == 2
    with pytest.raises(UsageError, match="not an interactive terminal"):
        confirm(3, host="eu", answers=None, prompts=io.StringIO())
    assert list((folder / "straße").glob("*/run.json"))
