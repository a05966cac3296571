"""The displays of progress: marimo, Jupyter widgets, plain HTML, a terminal, log lines, none."""

import importlib.util
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol, TextIO, assert_never

from cio_frames.errors import MissingLibraryError
from cio_frames.views import html, progress_state, text
from cio_frames.views.characters import cells
from cio_frames.views.document import EMPTY, Document, Heading
from cio_frames.views.environment import (
    Kind,
    Surroundings,
    choose,
    look,
    output_of,
    writing_to,
)
from cio_frames.views.progress import Display, Leaves
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.render import Rendered
from cio_frames.views.style import Tone
from cio_frames.views.text import block, paragraph, single_line, write
from cio_frames.views.wording import CTRL_C, INTERRUPT, STEER

ShowProgress = Literal["auto"] | bool | Kind | Callable[[ProgressState], object]
"""How progress is shown: as it fits, not at all, in one way, or by a function."""

Show = Callable[..., Any]
"""`IPython.display.display`, or what stands for it: returns a handle with `update`."""

_LINE_EVERY_S = 10.0
_TERMINAL_COLUMNS = 80
_LIBRARIES = MappingProxyType(
    {
        "marimo": ("marimo", "marimo"),
        "widget": ("ipywidgets", '"cio-frames[notebook]"'),
        "html": ("IPython", '"cio-frames[notebook]"'),
    }
)
"""What a kind of display needs, and what to install for it."""


class Steered(Protocol):
    """What buttons do to a run."""

    def stop(self) -> None:
        """Finish what is under way, start nothing else."""

    def pause(self) -> None:
        """Let nothing more leave for now."""

    def go_on(self) -> None:
        """End the pause."""

    def slow_down(self) -> None:
        """Halve the rate."""


def require(wanted: object) -> None:
    """Raise if a display cannot be shown; asked before a run begins.

    Raises:
        ValueError: There is no such display.
        MissingLibraryError: The library that draws it is not installed.
    """
    if not callable(wanted):
        _require_library(choose(wanted, look()))


def display(
    wanted: ShowProgress = "auto",
    *,
    run: Steered | None = None,
    surroundings: Surroundings | None = None,
    stream: TextIO | None = None,
) -> Display:
    """Return the display that was asked for or that fits.

    Args:
        wanted: `"auto"`, `False`, one of the kinds, or a function that is called with the states.
        run: What buttons steer; only where nobody waits in the cell, so that clicks arrive.
        surroundings: Where the program runs; looked up if not given.
        stream: Where a terminal's lines go; standard error if not given.

    Returns:
        A display that has not appeared yet.
    """
    if callable(wanted):
        return Told(wanted)
    stream = stream or sys.stderr
    kind = choose(wanted, surroundings or look(stream=stream))
    _require_library(kind)
    return _display(kind, run=run, stream=stream)


def _display(kind: Kind, *, run: Steered | None, stream: TextIO) -> Display:
    """Return a display of one kind, importing what it needs."""
    match kind:
        case "marimo":
            import marimo

            return Marimo(
                marimo.status.progress_bar,
                lambda document: _append(marimo, document),
                thread=marimo.Thread,
            )
        case "widget":
            from IPython.display import display as show

            return Widget(show, run=run)
        case "html":
            from IPython.display import display as show

            return Html(show, advice=STEER if run else INTERRUPT)
        case "terminal":
            return Terminal(stream)
        case "lines":
            return Lines(stream)
        case "off":
            return Off()
        case never:
            assert_never(never)


def _require_library(kind: Kind) -> None:
    library, install = _LIBRARIES.get(kind, ("", ""))
    if library and importlib.util.find_spec(library) is None:
        raise MissingLibraryError(library, wanted=f'progress="{kind}"', install=install)


def _append(marimo: Any, document: Document) -> None:
    """Put a finished view under a marimo cell."""
    marimo.output.append(marimo.Html(str(html.render(document))))


class Told:
    """Calls a function with each state."""

    leaves: Leaves = "nothing"

    def __init__(self, tell: Callable[[ProgressState], object]) -> None:
        self._tell = tell

    def show(self, state: ProgressState) -> None:
        """Tell the first state."""
        self._tell(state)

    def update(self, state: ProgressState) -> None:
        """Tell a later state."""
        self._tell(state)

    def close(self, summary: Document) -> None:
        """Do nothing: the last state was told, and whoever asked for it has the run."""


class Off:
    """Shows nothing. A run with it neither draws a summary nor reads its record for one."""

    leaves: Leaves = "nothing"

    def show(self, state: ProgressState) -> None:
        """Do nothing."""

    def update(self, state: ProgressState) -> None:
        """Do nothing."""

    def close(self, summary: Document) -> None:
        """Do nothing."""


class Terminal:
    """One line that is drawn over itself."""

    leaves: Leaves = "text"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._places = 0

    def show(self, state: ProgressState) -> None:
        """Say how to stop, and draw the line."""
        with writing_to(output_of(self._stream)):
            write(self._stream, paragraph(CTRL_C) + "\n")
        self.update(state)

    def update(self, state: ProgressState) -> None:
        """Draw the line over the last one."""
        target = output_of(self._stream)
        with writing_to(target):
            line = single_line(
                progress_state.line(state), (target.columns or _TERMINAL_COLUMNS) - 1
            )
        blanks = " " * (self._places - cells(line))
        self._places = cells(line)
        write(self._stream, f"\r{line}{blanks}")

    def close(self, summary: Document) -> None:
        """Leave the summary in place of the line."""
        write(self._stream, "\r" + " " * self._places + "\r")
        _leave(summary, self._stream)


class Lines:
    """A line now and then, for logs: when the phase changes, a wait begins, and every ten seconds."""

    leaves: Leaves = "text"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last: ProgressState | None = None

    def show(self, state: ProgressState) -> None:
        """Write the first line."""
        self._write(state)

    def update(self, state: ProgressState) -> None:
        """Write a line if enough happened or enough time went by."""
        last = self._last
        if (
            last is None
            or state.now_s - last.now_s >= _LINE_EVERY_S
            or (state.phase, state.stopped) != (last.phase, last.stopped)
            or (state.wait_s > 0) > (last.wait_s > 0)
        ):
            self._write(state)

    def close(self, summary: Document) -> None:
        """Write the summary."""
        _leave(summary, self._stream)

    def _write(self, state: ProgressState) -> None:
        self._last = state
        with writing_to(output_of(self._stream)):
            line = single_line(progress_state.line(state), sys.maxsize)
            write(self._stream, block(line, indent="") + "\n")


def _leave(summary: Document, stream: TextIO) -> None:
    """Write a summary as it suits the stream."""
    with writing_to(output_of(stream)):
        write(stream, f"{text.render(summary)}\n")


class Html:
    """Plain HTML in the output of a cell, replaced again and again."""

    leaves: Leaves = "output"

    def __init__(self, show: Show, *, advice: str = INTERRUPT) -> None:
        self._show = show
        self._advice = advice
        self._handle: Any = None

    def show(self, state: ProgressState) -> None:
        """Show the first state and keep the handle of its output."""
        self._handle = self._show(self._drawn(state), display_id=True)

    def update(self, state: ProgressState) -> None:
        """Replace the output."""
        self._handle.update(self._drawn(state))

    def close(self, summary: Document) -> None:
        """Replace the output by the summary, which stays in the saved notebook."""
        self._handle.update(Rendered(summary))

    def _drawn(self, state: ProgressState) -> Rendered:
        """Return a state as something that a notebook can show."""
        return Rendered(progress_state.document(state, advice=self._advice))


class Bar(Protocol):
    """marimo's own bar, as far as it is used."""

    def update(
        self, increment: int = 1, title: str | None = None, subtitle: str | None = None
    ) -> None:
        """Move on."""


class Marimo:
    """marimo's own bar: it shows neither ipywidgets nor output made on a thread that is not its own."""

    leaves: Leaves = "nothing"  # the value of a cell takes the place of what was shown before

    def __init__(
        self,
        bar: Callable[..., AbstractContextManager[Bar]],
        append: Callable[[Document], None],
        *,
        thread: type[threading.Thread] = threading.Thread,
    ) -> None:
        self.thread = thread
        self._make = bar
        self._append = append
        self._context: AbstractContextManager[Bar] | None = None
        self._bar: Bar | None = None
        self._at = 0

    def show(self, state: ProgressState) -> None:
        """Show the bar, on the cell's own thread."""
        self._context = self._make(
            total=_STEPS,
            title=progress_state.title(state),
            show_rate=False,
            show_eta=False,
            remove_on_exit=True,
        )
        self._bar = self._context.__enter__()

    def update(self, state: ProgressState) -> None:
        """Move the bar."""
        if self._bar is None:
            return
        at = round((progress_state.share(state) or 0.0) * _STEPS)
        self._bar.update(
            increment=max(at - self._at, 0),
            title=progress_state.title(state),
            subtitle=" · ".join(progress_state.details(state)),
        )
        self._at = max(at, self._at)

    def close(self, summary: Document) -> None:
        """Remove the bar and show the summary."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
        self._append(summary)


@dataclass(frozen=True)
class WidgetView:
    """A widget in an output that can be replaced: shown by itself, one of ipywidgets 7 cannot."""

    widget: Any
    state: ProgressState

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        return {
            "text/plain": progress_state.line(self.state),
            "application/vnd.jupyter.widget-view+json": view,
        }


class Widget:
    """An ipywidgets view that gives way to static HTML: a saved notebook cannot show a widget."""

    leaves: Leaves = "output"

    def __init__(self, show: Show, *, run: Steered | None = None) -> None:
        import ipywidgets

        self._show = show
        self._handle: Any = None
        self._note: Any = None
        self._run = run
        self._head, self._report = ipywidgets.HTML(), ipywidgets.HTML()
        wide = ipywidgets.Layout(width="100%", max_width="920px")
        self._bar = ipywidgets.FloatProgress(min=0.0, max=1.0, layout=wide)
        self._box = ipywidgets.VBox([self._head, self._bar, self._report])
        if run:
            buttons = (
                self._button(
                    "Stop", self._stopped, tooltip="Finish the current requests, then stop"
                ),
                self._button("Pause", self._paused, tooltip="Send nothing until you resume"),
                self._button("Slower", self._slowed, tooltip="Halve the requests per second"),
            )
            self._box.children += (ipywidgets.HBox(buttons),)
        self._box.add_class("cio-progress")
        self._advice = "" if run else INTERRUPT

    def show(self, state: ProgressState) -> None:
        """Show the widget and keep the handle of its output."""
        self.update(state)
        self._handle = self._show(WidgetView(self._box, state), display_id=True)
        if note := progress_state.afterwards(state):  # a reopened notebook cannot draw the widget
            heading = Heading("If this notebook is closed before the run ends")
            self._note = self._show(Rendered(Document(heading, note)), display_id=True)

    def update(self, state: ProgressState) -> None:
        """Change the widget's values."""
        self._head.value = str(html.drawn([progress_state.heading(state)]))
        self._report.value = str(html.drawn(progress_state.report(state, advice=self._advice)))
        self._bar.value = progress_state.share(state) or 0.0
        self._bar.bar_style = _BAR_STYLES[progress_state.tone(state)]

    def close(self, summary: Document) -> None:
        """Replace the widget by the summary and let it go."""
        self._handle.update(Rendered(summary))
        if self._note is not None:
            self._note.update(Rendered(EMPTY))
        for widget in _all(self._box):
            for part in (widget.layout, getattr(widget, "style", widget), widget):
                part.close()

    def _button(self, name: str, clicked: Callable[[Any], None], *, tooltip: str) -> Any:
        """Return a button, with a class that a browser finds it by."""
        import ipywidgets

        button = ipywidgets.Button(description=name, tooltip=tooltip)
        button.on_click(clicked)
        button.add_class(f"cio-{name.lower()}")
        return button

    def _stopped(self, button: Any) -> None:
        """Ask the run to stop, once."""
        button.disabled = True
        button.description = "Stopping"
        if self._run:
            self._run.stop()

    def _paused(self, button: Any) -> None:
        """Ask the run to pause, and the next time to go on."""
        if not self._run:
            return
        if button.description == "Pause":
            button.description = "Resume"
            self._run.pause()
        else:
            button.description = "Pause"
            self._run.go_on()

    def _slowed(self, _: Any) -> None:
        """Ask the run for half its rate, each time."""
        if self._run:
            self._run.slow_down()


def _all(widget: Any) -> list[Any]:
    """Return a widget with everything in it, the innermost first."""
    return [each for child in getattr(widget, "children", ()) for each in _all(child)] + [widget]


_BAR_STYLES: dict[Tone, str] = {
    "good": "success",
    "care": "warning",
    "bad": "danger",
    "calm": "info",
    "dull": "",
}
_STEPS = 1000
