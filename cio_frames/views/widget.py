"""The display of progress where ipywidgets are drawn and clicks arrive."""

from collections.abc import Callable
from typing import Any

from cio_frames.views import live
from cio_frames.views.html import Drawn
from cio_frames.views.progress import ProgressState
from cio_frames.views.style import Tone
from cio_frames.views.watching import Leaves
from cio_frames.views.wording import INTERRUPT

Show = Callable[..., Any]
"""`IPython.display.display`, or what stands for it: returns a handle with `update`."""


class Widget:
    """An ipywidgets view that gives way to static HTML: a saved notebook cannot show a widget."""

    leaves: Leaves = "output"

    def __init__(self, show: Show, *, stop: Callable[[], None] | None = None) -> None:
        import ipywidgets

        self._show = show
        self._handle: Any = None
        self._stop = stop
        self._head, self._report = ipywidgets.HTML(), ipywidgets.HTML()
        wide = ipywidgets.Layout(width="100%", max_width="920px")
        self._bar = ipywidgets.FloatProgress(min=0.0, max=1.0, layout=wide)
        self._box = ipywidgets.VBox([self._head, self._bar, self._report])
        if stop:
            button = ipywidgets.Button(description="Stop", tooltip="Send nothing more")
            button.on_click(self._clicked)
            self._box.children += (button,)
        self._box.add_class("cio-progress")
        self._advice = "" if stop else INTERRUPT

    def show(self, state: ProgressState) -> None:
        """Show the widget and keep the handle of its output."""
        self.update(state)
        self._handle = self._show(self._box, display_id=True)

    def update(self, state: ProgressState) -> None:
        """Change the widget's values."""
        self._head.value = str(live.heading(state))
        self._report.value = str(live.report(state, advice=self._advice))
        self._bar.value = live.share(state) or 0.0
        self._bar.bar_style = _BAR_STYLES[live.tone(state)]

    def close(self, summary: Drawn) -> None:
        """Replace the widget by the summary and let it go."""
        self._handle.update(summary)
        for widget in (*self._box.children, self._box):
            for part in (widget.layout, getattr(widget, "style", widget), widget):
                part.close()

    def _clicked(self, button: Any) -> None:
        """Ask the run to stop, once."""
        button.disabled = True
        button.description = "Stopping"
        if self._stop:
            self._stop()


_BAR_STYLES: dict[Tone, str] = {
    "good": "success",
    "care": "warning",
    "bad": "danger",
    "calm": "info",
    "dull": "",
}
