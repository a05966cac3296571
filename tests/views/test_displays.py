"""The displays: the right one for each place, and nothing left behind that cannot be saved."""

import io
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import ipywidgets
import pytest
from inline_snapshot import snapshot

from cio_frames.errors import MappingError
from cio_frames.views import html as to_html
from cio_frames.views import progress_state
from cio_frames.views.displays import Html, LogLines, Marimo, Off, Terminal, Widget, display
from cio_frames.views.document import Document, Heading
from cio_frames.views.environment import KINDS, Environment, detect, pick_display
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.render import Rendered
from cio_frames.views.wording import INTERRUPT, STEER

SUMMARY = Document(Heading("the end"), ())
STATE = ProgressState(
    label="track",
    total=20_000,
    phase="sending",
    counts={"delivered": 8_000, "rejected_local": 219},
    retries=3,
    doubtful={(0, 0, 1, 0): 500},
    waiting="rate limited",
    waits_until_s=12.4,
    now_s=10.0,
    answered=((0.0, 0), (10.0, 8_000)),
)


def _drawn(read, state):
    return read(to_html.render(progress_state.document(state)))


MARIMO = Environment(marimo=True, kernel=True, widgets=True, tty=True)
JUPYTER = Environment(kernel=True, widgets=True)


@pytest.mark.parametrize(
    ("wanted", "environment", "kind"),
    [
        pytest.param("auto", MARIMO, "marimo", id="marimo"),
        pytest.param("auto", JUPYTER, "widget", id="jupyter"),
        pytest.param("auto", replace(JUPYTER, vscode=True), "html", id="vscode"),
        pytest.param("auto", replace(JUPYTER, widgets=False), "html", id="no-widgets"),
        pytest.param("auto", Environment(tty=True, widgets=True), "terminal", id="terminal"),
        pytest.param("auto", Environment(tty=True, vscode=True), "terminal", id="vscode-terminal"),
        pytest.param("auto", Environment(widgets=True), "lines", id="log"),
        pytest.param(True, JUPYTER, "widget", id="true"),
        pytest.param(False, JUPYTER, "off", id="false"),
        pytest.param(None, JUPYTER, "off", id="none"),
        *(pytest.param(kind, JUPYTER, kind, id=f"asked-{kind}") for kind in KINDS),
    ],
)
def test_the_display_fits_the_place(wanted, environment, kind):
    """What was asked for comes first; else the place decides."""
    assert pick_display(wanted, environment) == kind


@pytest.mark.parametrize("wanted", ["tqdm", 3, 1.5, []])
def test_an_unknown_display_is_an_error_that_lists_the_known(wanted):
    """A wish that cannot be met is not ignored."""
    with pytest.raises(MappingError, match="auto, False, marimo, widget, html, terminal"):
        pick_display(wanted, JUPYTER)


@pytest.mark.parametrize(
    ("modules", "environ", "expected"),
    [
        pytest.param({}, {}, Environment(widgets=True), id="script"),
        pytest.param({"IPython": None}, {}, Environment(widgets=True), id="blocked-ipython"),
        pytest.param(
            {"IPython": SimpleNamespace(get_ipython=lambda: None)},
            {},
            Environment(widgets=True),
            id="ipython-imported-only",
        ),
        pytest.param(
            {"IPython": SimpleNamespace(get_ipython=lambda: SimpleNamespace(user_ns={}))},
            {},
            Environment(widgets=True),
            id="ipython-terminal",
        ),
        pytest.param(
            {
                "IPython": SimpleNamespace(
                    get_ipython=lambda: SimpleNamespace(
                        kernel=object(), user_ns={"__vsc_ipynb_file__": "a.ipynb"}
                    )
                )
            },
            {},
            Environment(kernel=True, widgets=True, vscode=True),
            id="vscode-notebook",
        ),
        pytest.param(
            {}, {"VSCODE_PID": "1"}, Environment(widgets=True, vscode=True), id="vscode-terminal"
        ),
        pytest.param(
            {"marimo": SimpleNamespace(running_in_notebook=lambda: True)},
            {},
            Environment(marimo=True, widgets=True),
            id="marimo",
        ),
        pytest.param(
            {"marimo": SimpleNamespace(running_in_notebook=lambda: False)},
            {},
            Environment(widgets=True),
            id="marimo-imported-only",
        ),
    ],
)
def test_the_place_is_found_out_from_what_is_loaded(modules, environ, expected):
    """Only modules that a notebook has loaded itself are asked; nothing is imported."""
    assert detect(modules=modules, environ=environ, stream=io.StringIO()) == expected


def test_the_line():
    """One line shows how far, how fast, how long, and everything unusual."""
    assert progress_state.line(STATE) == snapshot(
        "Sending track 41 % · 8,219 of 20,000 rows · 800 rows/s · about 15 s left · 219 rejected · 3 retries · 500 in doubt · waiting 2.4 s: rate limited"
    )
    assert progress_state.line(ProgressState(label="track", planned=7)) == snapshot(
        "Checking track · 7 rows"
    )
    assert progress_state.line(replace(STATE, phase="finished", stopped="wrong key")) == snapshot(
        "Stopped track 41 % · 8,219 of 20,000 rows · 800 rows/s · 219 rejected · 3 retries · 500 in doubt · waiting 2.4 s: rate limited · wrong key"
    )


@pytest.mark.parametrize(
    ("changed", "tone"),
    [
        pytest.param({}, "care", id="waiting"),
        pytest.param({"waiting": "", "doubtful": {}}, "calm", id="going-well"),
        pytest.param({"waiting": "", "doubtful": {}, "phase": "finished"}, "good", id="finished"),
        pytest.param({"stopped": "wrong key"}, "bad", id="stopped"),
    ],
)
def test_the_tone(changed, tone):
    """A problem is visible at a glance, with a text beside it."""
    assert progress_state.tone(replace(STATE, **changed)) == tone


def test_a_pause_is_seen_and_promises_nothing():
    """A paused run says so, shows the requested rate, and no time left."""
    paused = replace(
        STATE, waiting="", doubtful={}, paused=True, requested_rate="at most 5 requests/s"
    )

    assert progress_state.line(paused) == snapshot(
        "Paused track 41 % · 8,219 of 20,000 rows · 219 rejected · 3 retries · at most 5 requests/s"
    )
    assert progress_state.tone(paused) == "care"


def test_a_terminal_draws_one_line_over_itself(monkeypatch):
    """A shorter line leaves nothing of the longer one; at the end the summary is in its place."""
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    terminal = Terminal(stream)

    terminal.show(STATE)
    terminal.update(ProgressState(label="track", total=4))
    terminal.close(SUMMARY)

    assert stream.getvalue() == snapshot(
        """\
Ctrl-C stops; cio.resume(...) continues
from there.
\rSending track 41 % · 8,219 of 20,000 r…\rChecking track 0 % · 0 of 4 rows       \r                                \rthe end
"""
    )
    assert all(len(line) < 40 for line in re.split("[\r\n]", stream.getvalue()))


def test_a_terminal_without_the_letters_shows_others():
    """Our own marks become others, and a name that the stream cannot write is escaped."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")

    Terminal(stream).update(replace(STATE, label="Zoë"))

    assert raw.getvalue().startswith(b"\rSending Zo\\xeb 41 % | 8,219 of 20,000 rows | ")


def test_a_name_cannot_begin_a_line_of_a_log():
    """A line feed in what is sent is written out, so that each state is one line."""
    stream = io.StringIO()

    LogLines(stream).show(ProgressState(label="a\nFinished"))

    assert stream.getvalue() == "Checking a␊Finished · 0 rows\n"


def test_a_log_gets_a_line_now_and_then():
    """A line is written at the start, on a new phase, when a wait begins, and every ten seconds."""
    stream = io.StringIO()
    lines = LogLines(stream)
    calm = ProgressState(label="track", phase="sending")

    lines.show(ProgressState(label="track"))
    for second in range(1, 14):
        lines.update(replace(calm, now_s=float(second)))
    for second in (14, 15):
        lines.update(replace(calm, now_s=float(second), waiting="slow down", waits_until_s=20.0))
    lines.close(SUMMARY)

    assert stream.getvalue() == snapshot("""\
Checking track · 0 rows
Sending track · 0 rows
Sending track · 0 rows
Sending track · 0 rows · waiting 6.0 s: slow down
the end
""")
    assert "\r" not in stream.getvalue()


class _Screen:
    """What a notebook shows: the objects that were displayed, and what they were replaced by."""

    def __init__(self) -> None:
        self.shown: list[object] = []

    def __call__(self, what: object, *, display_id: bool) -> "_Screen":
        assert display_id
        self.shown.append(what)
        return self

    def update(self, what: object) -> None:
        self.shown.append(what)


def test_the_bar_is_as_long_as_what_is_done(read):
    """The bar of plain HTML is a picture with its share as text; without a total it only moves."""
    known = dict(_drawn(read, replace(STATE, total=200, counts={"delivered": 50})).elements)
    unknown = dict(_drawn(read, replace(STATE, total=None)).elements)

    assert dict(known["img"])["alt"] == "25 %"
    assert "progress" in unknown
    assert "img" not in unknown


def test_html_is_replaced_again_and_again_and_stays_as_the_summary():
    """Without widgets, one output is replaced by each state and at last by the summary."""
    screen = _Screen()
    html = Html(screen)

    html.show(STATE)
    html.update(replace(STATE, phase="finishing"))
    html.close(SUMMARY)

    texts = [what._repr_mimebundle_()["text/html"] for what in screen.shown]
    assert "Sending track" in texts[0]
    assert INTERRUPT in texts[0]
    assert "Finishing track" in texts[1]
    assert screen.shown[-1] == Rendered(SUMMARY)


def test_a_widget_shows_the_state_and_gives_way_to_static_html():
    """The bar moves; at the end the output holds the summary and every widget is closed."""
    screen = _Screen()
    widget = Widget(screen)

    widget.show(STATE)
    box = screen.shown[0].widget
    head, bar, report = box.children
    assert bar.value == pytest.approx(0.41095)
    assert bar.bar_style == "warning"
    assert "Sending track" in head.value
    assert "rate limited" in report.value
    assert INTERRUPT in report.value
    widget.update(replace(STATE, waiting="", doubtful={}, counts={"delivered": 20_000}))
    assert (bar.value, bar.bar_style) == (1.0, "info")
    widget.close(SUMMARY)

    assert screen.shown[-1] == Rendered(SUMMARY)
    assert len(screen.shown) == 2
    assert [child.comm for child in (box, head, bar, report)] == [None] * 4


def test_a_widget_takes_no_markup_from_data():
    """A server's words in a live widget are text, as everywhere."""
    screen = _Screen()
    widget = Widget(screen)

    widget.show(replace(STATE, label="<b>", waiting="<img src=x onerror=alert(1)>"))

    values = [child.value for child in screen.shown[0].widget.children if hasattr(child, "value")]
    assert "<b>" not in values[0]
    assert "<img" not in str(values)


class _Run:
    """A run that notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def stop(self) -> None:
        self.asked.append("stop")

    def pause(self) -> None:
        self.asked.append("pause")

    def go_on(self) -> None:
        self.asked.append("go on")

    def slow_down(self) -> None:
        self.asked.append("slow down")


def test_buttons_are_there_only_if_a_click_arrives():
    """With a run to steer there are three buttons; else there is no dead one, but a sentence."""
    run, screen, without = _Run(), _Screen(), _Screen()
    Widget(screen, run=run).show(STATE)
    Widget(without).show(STATE)
    stop, pause, slower = screen.shown[0].widget.children[-1].children

    for button in (slower, pause, pause, stop):
        button.click()

    assert run.asked == ["slow down", "pause", "go on", "stop"]
    assert (stop.disabled, stop.description) == (True, "Stopping")
    assert pause.description == "Pause"
    assert INTERRUPT not in screen.shown[0].widget.children[2].value
    assert not any(isinstance(child, ipywidgets.HBox) for child in without.shown[0].widget.children)
    assert INTERRUPT in without.shown[0].widget.children[2].value


def test_closing_lets_every_widget_go():
    """Buttons and the box that holds them are closed as well."""
    screen = _Screen()
    widget = Widget(screen, run=_Run())
    widget.show(STATE)
    row = screen.shown[0].widget.children[-1]
    buttons = row.children

    widget.close(SUMMARY)

    assert [each.comm for each in (row, *buttons)] == [None] * 4


@pytest.mark.parametrize("kind", [Widget, Html])
def test_what_is_saved_during_a_run_says_how_to_finish_it(kind):
    """An output without widgets holds the record's place and the line to type, until the end."""
    screen = _Screen()
    shown = kind(screen)

    shown.show(replace(STATE, record="audit/r"))
    saved = screen.shown[-1]
    assert "cio.resume('audit/r', client, plan)" in str(saved)
    assert "cio.resume(&#39;audit/r&#39;, client, plan)" in saved.html
    shown.close(SUMMARY)

    later = screen.shown[screen.shown.index(saved) + 1 :]
    assert later
    assert not any("client, plan" in each.html for each in later)


def test_where_there_are_no_buttons_the_words_are_there():
    """Plain HTML says what to type in another cell, if nobody waits in this one."""
    blocking, free = _Screen(), _Screen()
    Html(blocking).show(STATE)
    Html(free, advice=STEER).show(STATE)

    assert "run.pause()" not in blocking.shown[0].html
    assert "run.pause()" in free.shown[0].html


def test_marimo_moves_its_own_bar():
    """The bar is made at once, moved by what is new, removed, and the summary put in its place."""
    moves: list[tuple[int, str | None, str | None]] = []
    events: list[object] = []

    class Bar:
        def update(self, increment=1, title=None, subtitle=None) -> None:
            moves.append((increment, title, subtitle))

    @contextmanager
    def progress_bar(*, total, title, show_rate, show_eta, remove_on_exit):
        assert not show_rate
        assert not show_eta
        events.append(("made", total, title, remove_on_exit))
        yield Bar()
        events.append("removed")

    marimo = Marimo(progress_bar, events.append)
    marimo.show(STATE)
    marimo.update(STATE)
    marimo.update(replace(STATE, counts={"delivered": 20_000}))
    marimo.update(STATE)
    marimo.close(SUMMARY)

    assert [(increment, title) for increment, title, _ in moves] == [
        (411, "Sending track"),
        (589, "Sending track"),
        (0, "Sending track"),
    ]
    assert "waiting 2.4 s: rate limited" in str(moves[0][2])
    assert events == [("made", 1000, "Sending track", True), "removed", SUMMARY]


def test_a_function_gets_every_state():
    """A function given as the display gets the states, and nothing at the end."""
    states: list[ProgressState] = []
    shown = display(states.append, environment=Environment())

    shown.show(STATE)
    shown.update(STATE)
    shown.close(SUMMARY)

    assert states == [STATE, STATE]


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        pytest.param("terminal", Terminal, id="terminal"),
        pytest.param("lines", LogLines, id="lines"),
        pytest.param("html", Html, id="html"),
        pytest.param("widget", Widget, id="widget"),
        pytest.param(False, Off, id="off"),
    ],
)
def test_the_chosen_display_is_made(wanted, kind):
    """Every kind that was chosen is one that can be made."""
    assert isinstance(display(wanted, environment=Environment(), stream=io.StringIO()), kind)


def test_no_display_shows_nothing():
    """With progress off, nothing is written at all."""
    stream = io.StringIO()
    off = display(None, environment=Environment(tty=True), stream=stream)

    off.show(STATE)
    off.close(SUMMARY)

    assert stream.getvalue() == ""


def test_no_notebook_library_is_loaded_before_it_is_used():
    """Importing the displays loads neither ipywidgets nor IPython nor marimo."""
    code = (
        "import sys, cio_frames.views.displays\n"
        "print(sorted({'ipywidgets', 'IPython', 'marimo', 'httpx', 'pandas'} & sys.modules.keys()))"
    )

    result = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert result.stdout.strip() == "[]"
