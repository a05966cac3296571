"""The displays of progress: marimo, Jupyter widgets, plain HTML, a terminal, log lines, none."""

import importlib.util
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal, Protocol, TextIO, assert_never

from cio_frames.errors import MissingLibraryError
from cio_frames.views import html, progress_state, text
from cio_frames.views.characters import display_width
from cio_frames.views.document import EMPTY, Document, Heading
from cio_frames.views.environment import (
    Environment,
    Kind,
    detect,
    output_of,
    pick_display,
    writing_to,
)
from cio_frames.views.progress import Display, Persistence
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.render import Rendered
from cio_frames.views.style import Tone
from cio_frames.views.text import block, paragraph, single_line, write
from cio_frames.views.wording import CTRL_C, INTERRUPT, STEER

ShowProgress = Literal["auto"] | bool | Kind | Callable[[ProgressState], object]
"""How progress is shown: automatically, not at all, in one way, or by a function."""

Show = Callable[..., Any]
"""`IPython.display.display` or a substitute: returns a handle with `update`."""

_LINE_EVERY_S = 10.0
_TERMINAL_COLUMNS = 80
_LIBRARIES = MappingProxyType(
    {
        "marimo": ("marimo", "marimo"),
        "widget": ("ipywidgets", '"cio-frames[notebook]"'),
        "html": ("IPython", '"cio-frames[notebook]"'),
    }
)
"""The module that a kind of display needs, and what to install for it."""


class Steerable(Protocol):
    """A run that buttons control."""

    def stop(self) -> None:
        """Finish the requests in flight, start no others."""

    def pause(self) -> None:
        """Send no more requests for now."""

    def go_on(self) -> None:
        """End the pause."""

    def slow_down(self) -> None:
        """Halve the rate."""


def require(wanted: object) -> None:
    """Raise if a display cannot be shown; called before a run begins.

    Raises:
        ValueError: There is no such display.
        MissingLibraryError: The library that it needs is not installed.
    """
    if not callable(wanted):
        _require_library(pick_display(wanted, detect()))


def display(
    wanted: ShowProgress = "auto",
    *,
    run: Steerable | None = None,
    environment: Environment | None = None,
    stream: TextIO | None = None,
) -> Display:
    """Return the display of the kind named, or the one that fits the environment.

    Args:
        wanted: `"auto"`, `False`, one of the kinds, or a function that is called with the states.
        run: The run that buttons control; None while a cell waits for it, as clicks are not handled.
        environment: Where the program runs; detected if not given.
        stream: Receives the lines of a terminal; standard error if not given.

    Returns:
        A display that has not appeared yet.
    """
    if callable(wanted):
        return CallbackDisplay(wanted)
    stream = stream or sys.stderr
    kind = pick_display(wanted, environment or detect(stream=stream))
    _require_library(kind)
    return _display(kind, run=run, stream=stream)


def _display(kind: Kind, *, run: Steerable | None, stream: TextIO) -> Display:
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
            return LogLines(stream)
        case "off":
            return Off()
        case never:
            assert_never(never)


def _require_library(kind: Kind) -> None:
    library, install = _LIBRARIES.get(kind, ("", ""))
    if library and importlib.util.find_spec(library) is None:
        raise MissingLibraryError(library, wanted=f'progress="{kind}"', install=install)


def _append(marimo: Any, document: Document) -> None:
    marimo.output.append(marimo.Html(str(html.render(document))))


class CallbackDisplay:
    """Calls a function with each state."""

    persistence: Persistence = "nothing"

    def __init__(self, callback: Callable[[ProgressState], object]) -> None:
        self._callback = callback

    def show(self, state: ProgressState) -> None:
        """Pass the first state on."""
        self._callback(state)

    def update(self, state: ProgressState) -> None:
        """Pass a later state on."""
        self._callback(state)

    def close(self, summary: Document) -> None:
        """Do nothing: the function has received the last state."""


class Off:
    """Shows nothing, so a run needs no summary and does not read its record for one."""

    persistence: Persistence = "nothing"

    def show(self, state: ProgressState) -> None:
        """Do nothing."""

    def update(self, state: ProgressState) -> None:
        """Do nothing."""

    def close(self, summary: Document) -> None:
        """Do nothing."""


class Terminal:
    """One line that is overwritten again and again."""

    persistence: Persistence = "text"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._width = 0

    def show(self, state: ProgressState) -> None:
        """Write how to stop the run, and the line."""
        with writing_to(output_of(self._stream)):
            write(self._stream, paragraph(CTRL_C) + "\n")
        self.update(state)

    def update(self, state: ProgressState) -> None:
        """Overwrite the line."""
        target = output_of(self._stream)
        with writing_to(target):
            line = single_line(
                progress_state.line(state), (target.columns or _TERMINAL_COLUMNS) - 1
            )
        blanks = " " * (self._width - display_width(line))
        self._width = display_width(line)
        write(self._stream, f"\r{line}{blanks}")

    def close(self, summary: Document) -> None:
        """Replace the line by the summary."""
        write(self._stream, "\r" + " " * self._width + "\r")
        _write_summary(summary, self._stream)


class LogLines:
    """Log lines: when the phase changes or a wait begins, and every ten seconds."""

    persistence: Persistence = "text"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last: ProgressState | None = None

    def show(self, state: ProgressState) -> None:
        """Write the first line."""
        self._write(state)

    def update(self, state: ProgressState) -> None:
        """Write a line if the phase changed, a wait began or ten seconds passed."""
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
        _write_summary(summary, self._stream)

    def _write(self, state: ProgressState) -> None:
        self._last = state
        with writing_to(output_of(self._stream)):
            line = single_line(progress_state.line(state), sys.maxsize)
            write(self._stream, block(line, indent="") + "\n")


def _write_summary(summary: Document, stream: TextIO) -> None:
    """Write a summary in the encoding and width of the stream."""
    with writing_to(output_of(stream)):
        write(stream, f"{text.render(summary)}\n")


class Html:
    """HTML in the output of a cell, replaced again and again."""

    persistence: Persistence = "output"

    def __init__(self, show: Show, *, advice: str = INTERRUPT) -> None:
        self._show = show
        self._advice = advice
        self._handle: Any = None

    def show(self, state: ProgressState) -> None:
        """Show the first state and keep the handle of its output."""
        self._handle = self._show(self._render(state), display_id=True)

    def update(self, state: ProgressState) -> None:
        """Replace the output."""
        self._handle.update(self._render(state))

    def close(self, summary: Document) -> None:
        """Replace the output by the summary, which stays in the saved notebook."""
        self._handle.update(Rendered(summary))

    def _render(self, state: ProgressState) -> Rendered:
        return Rendered(progress_state.document(state, advice=self._advice))


class Bar(Protocol):
    """The part of marimo's progress bar that is used."""

    def update(
        self, increment: int = 1, title: str | None = None, subtitle: str | None = None
    ) -> None:
        """Advance the bar."""


class Marimo:
    """marimo's progress bar: marimo shows neither ipywidgets nor output of threads other than its own."""

    persistence: Persistence = "nothing"  # the value of a cell replaces what was shown before

    def __init__(
        self,
        bar: Callable[..., AbstractContextManager[Bar]],
        append: Callable[[Document], None],
        *,
        thread: type[threading.Thread] = threading.Thread,
    ) -> None:
        self.thread = thread
        self._bar_factory = bar
        self._append = append
        self._context: AbstractContextManager[Bar] | None = None
        self._bar: Bar | None = None
        self._steps = 0

    def show(self, state: ProgressState) -> None:
        """Show the bar, on the thread of the cell."""
        self._context = self._bar_factory(
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
        steps = round((progress_state.share(state) or 0.0) * _STEPS)
        self._bar.update(
            increment=max(steps - self._steps, 0),
            title=progress_state.title(state),
            subtitle=" · ".join(progress_state.details(state)),
        )
        self._steps = max(steps, self._steps)

    def close(self, summary: Document) -> None:
        """Remove the bar and show the summary."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
        self._append(summary)


@dataclass(frozen=True)
class WidgetView:
    """A widget in an output that can be replaced, which ipywidgets 7 does not do by itself."""

    widget: Any
    state: ProgressState

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        return {
            "text/plain": progress_state.line(self.state),
            "application/vnd.jupyter.widget-view+json": view,
        }


class Widget:
    """A widget that static HTML replaces in the end: a saved notebook cannot show a widget."""

    persistence: Persistence = "output"

    def __init__(self, show: Show, *, run: Steerable | None = None) -> None:
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
                    "Stop", self._on_stop, tooltip="Finish the current requests, then stop"
                ),
                self._button("Pause", self._on_pause, tooltip="Send nothing until you resume"),
                self._button("Slower", self._on_slower, tooltip="Halve the requests per second"),
            )
            self._box.children += (ipywidgets.HBox(buttons),)
        self._box.add_class("cio-progress")
        self._advice = "" if run else INTERRUPT

    def show(self, state: ProgressState) -> None:
        """Show the widget and keep the handle of its output."""
        self.update(state)
        self._handle = self._show(WidgetView(self._box, state), display_id=True)
        note = progress_state.steps_after_closing(state)
        if note:  # a reopened notebook cannot show the widget
            heading = Heading("If this notebook is closed before the run ends")
            self._note = self._show(Rendered(Document(heading, note)), display_id=True)

    def update(self, state: ProgressState) -> None:
        """Change the widget's values."""
        self._head.value = str(html.render_nodes([progress_state.heading(state)]))
        self._report.value = str(
            html.render_nodes(progress_state.report(state, advice=self._advice))
        )
        self._bar.value = progress_state.share(state) or 0.0
        self._bar.bar_style = _BAR_STYLES[progress_state.tone(state)]

    def close(self, summary: Document) -> None:
        """Replace the widget by the summary and release it."""
        self._handle.update(Rendered(summary))
        if self._note is not None:
            self._note.update(Rendered(EMPTY))
        for widget in _all(self._box):
            for part in (widget.layout, getattr(widget, "style", widget), widget):
                part.close()

    def _button(self, name: str, on_click: Callable[[Any], None], *, tooltip: str) -> Any:
        """Return a button with a CSS class of its own."""
        import ipywidgets

        button = ipywidgets.Button(description=name, tooltip=tooltip)
        button.on_click(on_click)
        button.add_class(f"cio-{name.lower()}")
        return button

    def _on_stop(self, button: Any) -> None:
        button.disabled = True
        button.description = "Stopping"
        if self._run:
            self._run.stop()

    def _on_pause(self, button: Any) -> None:
        """Pause the run, or resume it if it is paused."""
        if not self._run:
            return
        if button.description == "Pause":
            button.description = "Resume"
            self._run.pause()
        else:
            button.description = "Pause"
            self._run.go_on()

    def _on_slower(self, _: Any) -> None:
        if self._run:
            self._run.slow_down()


def _all(widget: Any) -> list[Any]:
    """Return a widget with its descendants, the innermost first."""
    return [*chain.from_iterable(map(_all, getattr(widget, "children", ()))), widget]


_BAR_STYLES: dict[Tone, str] = {
    "good": "success",
    "care": "warning",
    "bad": "danger",
    "calm": "info",
    "dull": "",
}
_STEPS = 1000
