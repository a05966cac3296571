"""The display of progress where ipywidgets are drawn and clicks arrive."""

from collections.abc import Callable
from typing import Any, Protocol

from cio_frames.views import progress_text
from cio_frames.views.html import Drawn
from cio_frames.views.progress import Leaves
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.style import Tone
from cio_frames.views.wording import INTERRUPT

Show = Callable[..., Any]
"""`IPython.display.display`, or what stands for it: returns a handle with `update`."""


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


class Widget:
    """An ipywidgets view that gives way to static HTML: a saved notebook cannot show a widget."""

    leaves: Leaves = "output"

    def __init__(self, show: Show, *, run: Steered | None = None) -> None:
        import ipywidgets

        self._show = show
        self._handle: Any = None
        self._run = run
        self._head, self._report = ipywidgets.HTML(), ipywidgets.HTML()
        wide = ipywidgets.Layout(width="100%", max_width="920px")
        self._bar = ipywidgets.FloatProgress(min=0.0, max=1.0, layout=wide)
        self._box = ipywidgets.VBox([self._head, self._bar, self._report])
        if run:
            buttons = (
                self._button("Stop", self._stopped, tooltip="Finish what is under way, then end"),
                self._button("Pause", self._paused, tooltip="Send nothing more for now"),
                self._button("Slower", self._slowed, tooltip="Halve the requests per second"),
            )
            self._box.children += (ipywidgets.HBox(buttons),)
        self._box.add_class("cio-progress")
        self._advice = "" if run else INTERRUPT

    def show(self, state: ProgressState) -> None:
        """Show the widget and keep the handle of its output."""
        self.update(state)
        self._handle = self._show(self._box, display_id=True)

    def update(self, state: ProgressState) -> None:
        """Change the widget's values."""
        self._head.value = str(progress_text.heading(state))
        self._report.value = str(progress_text.report(state, advice=self._advice))
        self._bar.value = progress_text.share(state) or 0.0
        self._bar.bar_style = _BAR_STYLES[progress_text.tone(state)]

    def close(self, summary: Drawn) -> None:
        """Replace the widget by the summary and let it go."""
        self._handle.update(summary)
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
            button.description = "Go on"
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
