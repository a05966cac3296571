"""Every text of the package can be printed, in any code page, on lines that fit."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.views.characters import display_width
from cio_frames.views.environment import Output, output, output_of, writing_to
from cio_frames.views.text import write

NAMES = ["Zoë", "Łukasz", "日本語", "Ann — Bär", "\x1b[31m✓", "🎉"]
PEOPLE = pl.DataFrame({
    "id": [*(f"u{place}" for place in range(len(NAMES))), None],
    "email": [*(f"straße{place}@example.com" for place in range(len(NAMES))), "ø@example.com"],
    "имя и ещё несколько слов": [*NAMES, "Ø"],
})  # fmt: skip
EVENTS = pl.DataFrame({
    "who": ["u0", "u1", "u2"],
    "what": ["Bestellung — fertig", "注文", "Ordered"],
    "when": ["2024-01-01T10:00:00Z", "2024-05-01T10:00:00Z", "2024-09-01T10:00:00Z"],
})  # fmt: skip
CODE_PAGES = ("ascii", "cp1252", "cp437", "shift_jis", "utf-8")
SHOWN = (
    "plan", "empty", "refused", "backfill", "advice", "identity", "person", "estimate", "rehearsal",
    "run", "comparison", "audit", "story", "client", "workspace",
)  # fmt: skip
TEXTS = SHOWN[:-3]  # the others are sentences of a string, and what constructors are called with


def shown(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield everything that the package shows, by name."""
    people = PEOPLE.cio.identify(user_id="id")
    events = EVENTS.cio.track(user_id="who", event="what", timestamp="when")
    float_ids = PEOPLE.select(pl.int_range(pl.len()).cast(pl.Float64).alias("№"))
    yield "plan", people
    yield "empty", PEOPLE.clear().cio.identify(user_id="id")
    yield "refused", float_ids.cio.identify(user_id="№")
    backfill = cio.backfill([people, events])
    yield "backfill", backfill
    yield "advice", backfill.advice(progress=False)
    preview = backfill.identity(progress=False)
    yield "identity", preview
    yield "person", preview.explain("straße0@example.com")
    estimate = backfill.estimate()
    yield "estimate", estimate
    yield "rehearsal", backfill.rehearse(progress=False)
    with cio.sandbox() as workspace:
        client = workspace.client()
        run = people.send(client, audit=folder / "straße", progress=False)
        yield "run", run
        yield "comparison", estimate.compare(run)
        yield "audit", cio.audit(folder / "straße")
        yield "story", cio.audit(folder / "straße").explain(row=6)
        yield "client", client
        yield "workspace", workspace


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Make everything that the package shows once."""
    return dict(shown(tmp_path_factory.mktemp("shown")))


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Print on a terminal of a code page that takes no other characters, and of a width."""

    def print_on(thing: object, *, encoding: str = "utf-8", columns: int | None = None) -> str:
        raw = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, errors="strict"))
            patch.delenv("COLUMNS", raising=False)
            if columns:
                patch.setenv("COLUMNS", str(columns))
            print(thing)
            sys.stdout.flush()
            return raw.getvalue().decode(encoding)

    return print_on


def too_long(text: str, columns: int) -> list[str]:
    """Return the lines that are longer than they may be, and could be broken."""
    long = [line for line in text.splitlines() if display_width(line) > columns]
    return [line for line in long if " " in line.strip() and not line.strip().startswith('"')]


@pytest.mark.parametrize("encoding", CODE_PAGES)
@pytest.mark.parametrize("name", SHOWN)
def test_everything_can_be_printed_in_every_code_page(things, printed, name, encoding):
    """`print` never raises, and nothing becomes a question mark: it is escaped."""
    text = printed(things[name], encoding=encoding)

    assert text.strip()
    assert text.count("?") == printed(things[name]).count("?")


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
@pytest.mark.parametrize("name", TEXTS)
def test_every_line_fits(things, printed, name, encoding, columns):
    """No line is longer than the terminal, unless it holds one thing that cannot be broken."""
    text = printed(things[name], encoding=encoding, columns=columns)

    assert too_long(text, columns) == []


def test_the_names_are_those_that_are_shown(things):
    """The list of what is shown is whole."""
    assert tuple(things) == SHOWN


def test_marks_and_values_are_written_in_other_ways(things, printed):
    """Our marks become words or signs of ASCII, and values become their escapes, JSON stays JSON."""
    plan = printed(things["plan"], encoding="ascii")
    run = printed(things["run"], encoding="ascii")

    assert plan.startswith("Plan: identify | polars frame | ! ready")
    assert r'"email":"stra\u00dfe0@example.com"' in plan
    assert r"\u0438\u043c\u044f" in plan
    assert "OK delivered" in run
    assert "\\xb7" not in plan + run + printed(things["backfill"], encoding="ascii")
    assert "[U+001B]" in printed(
        PEOPLE[4:].cio.identify(user_id="имя и ещё несколько слов"), encoding="cp437"
    )


def test_an_output_that_takes_everything_is_given_everything(things, printed):
    """In UTF-8 marks and values stay as they are."""
    plan, run = printed(things["plan"]), printed(things["run"])

    assert "Plan: identify · polars frame · ! ready" in plan
    assert '"email":"straße0@example.com"' in plan
    assert "✓ delivered" in run


class Window:
    """Something that a program shows text in, with nothing of a stream but `write`."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        """Take a text."""
        self.text += text
        return len(text)


def test_an_object_without_an_encoding_takes_everything(things, monkeypatch):
    """What stands in for standard output and names no encoding gets text as it is."""
    window = Window()
    monkeypatch.setattr(sys, "stdout", window)

    print(things["run"])

    assert "✓ delivered" in window.text


@pytest.mark.parametrize("encoding", ["no such thing", 7])
def test_an_encoding_that_nobody_knows_takes_ascii(encoding):
    """A stream with an encoding that Python does not know is given ASCII only."""
    window = Window()
    window.encoding = encoding  # type: ignore[attr-defined]

    write(window, "Zoë")  # type: ignore[arg-type]

    assert window.text == "Zo\\xeb"


def test_without_streams_a_run_sends_all_the_same(tmp_path, monkeypatch):
    """A program without a console has no streams; it plans, prints and sends as any other."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)

    with cio.sandbox() as workspace:
        run = PEOPLE.cio.identify(user_id="id").send(workspace.client(), audit=tmp_path)

    print(run)
    assert run.counts["delivered"] == len(NAMES)


@pytest.mark.parametrize("progress", ["lines", "terminal"])
def test_a_console_that_takes_only_ascii_is_written_to(tmp_path, monkeypatch, progress):
    """Progress and summary arrive on a standard error that takes only ASCII, on lines that fit."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, "ascii"))
    monkeypatch.setenv("COLUMNS", "40")

    with cio.sandbox() as workspace:
        plan = PEOPLE.cio.identify(user_id="id")
        plan.send(workspace.client(), audit=tmp_path / "straße", progress=progress)

    text = raw.getvalue().decode("ascii").replace("\r", "\n")
    assert "OK delivered" in text
    assert "Checking identify" in text
    assert too_long(text, 40) == []


def test_text_is_made_for_the_stream_it_is_written_to(monkeypatch):
    """`writing_to` holds for what is made inside it, then standard output counts again."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "cp1252"))

    with writing_to(Output(encoding="ascii", columns=40)):
        assert output() == Output(encoding="ascii", columns=40)

    assert output().encoding == "cp1252"


@pytest.mark.parametrize(
    ("setting", "columns"), [("80", 80), ("0", None), ("", None), ("wide", None), ("-3", None)]
)
def test_columns_of_the_environment_count(monkeypatch, setting, columns):
    """`COLUMNS` says how long lines are, if it is a number."""
    monkeypatch.setenv("COLUMNS", setting)

    assert output_of(io.StringIO()).columns == columns


def test_a_terminal_knows_its_width(monkeypatch):
    """Where `COLUMNS` is not set, a terminal is asked, but not the one that a kernel was started in."""
    monkeypatch.delenv("COLUMNS", raising=False)
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios

    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 57, 0, 0))
    with os.fdopen(far, "w") as terminal:
        assert output_of(terminal).columns == 57
        shell = SimpleNamespace(kernel=object())
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
        assert output_of(terminal).columns is None
    os.close(near)


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"PYTHONIOENCODING": "cp437"}, id="cp437"),
        pytest.param({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, id="c-locale"),
    ],
)
def test_a_script_ends_well_whatever_its_environment_says(environment):
    """A script that prints a plan to a pipe ends well, as the environment says how it is encoded."""
    script = (
        "import polars as pl, cio_frames as cio\n"
        r"print(pl.DataFrame({'id': ['u1'], 'a': ['\u65e5']}).cio.identify(user_id='id'))"
    )
    ended = subprocess.run(  # noqa: S603 - this program
        [sys.executable, "-c", script],
        env={**os.environ, **environment}, capture_output=True, check=False, timeout=120,
    )  # fmt: skip

    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"OK ready" in ended.stdout
