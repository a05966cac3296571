"""Watch a run: a listener that shows its progress on a display."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, Protocol

from cio_frames.errors import engine_errors
from cio_frames.sending.events import Fact, Totals
from cio_frames.views.document import Document
from cio_frames.views.environment import execution
from cio_frames.views.progress_state import ProgressState, advance, with_totals

Persistence = Literal["nothing", "text", "output"]

UPDATE_S = 0.25
_IDLE_S = 1.0


class Display(Protocol):
    """Shows states. If it fails, the run continues.

    Attributes:
        persistence: What it leaves behind: nothing that lasts, text, or an output of a notebook,
            which a later cell can replace.
    """

    persistence: Persistence

    def show(self, state: ProgressState) -> None:
        """Appear. Called once, on the thread that started the run."""

    def update(self, state: ProgressState) -> None:
        """Show a later state. Called on another thread."""

    def close(self, summary: Document) -> None:
        """Replace the state by the summary. Called on the thread that started the run."""


class Progress:
    """A listener that updates a display at most four times a second.

    Facts only change the state. A separate thread updates the display, so that a slow display does
    not slow the run down, and one that fails does not stop it.

    Attributes:
        state: The latest state.
        errors: How often the display failed.
    """

    def __init__(
        self,
        display: Display,
        *,
        label: str,
        total: int | None = None,
        record: str = "",
        plans: int = 1,
        limit: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        timeout_s: float = 2.0,
        execution: Callable[[], int | None] = execution,
    ) -> None:
        self._display = display
        self._clock = clock
        self._timeout_s = timeout_s
        self._execution = execution
        self._shown_in: int | None = None
        self._lock = threading.Lock()
        self._display_lock = threading.Lock()
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        now_s = clock()
        self.state: ProgressState = ProgressState(
            label=label, record=record, total=total, plans=plans, limit=limit, started_s=now_s,
            now_s=now_s,
        )  # fmt: skip
        self.errors: int = 0
        self._shown, self._shown_s = self.state, now_s

    def __call__(self, fact: Fact) -> None:
        """Update the state with a fact."""
        with self._lock:
            self.state = advance(self.state, fact, now_s=self._clock())

    def add_up(self, totals: Totals) -> None:
        """Update the state with totals that were added up elsewhere."""
        with self._lock:
            self.state = with_totals(self.state, totals, now_s=self._clock())

    def start(self) -> None:
        """Show the display and start to update it."""
        self.show()
        thread = getattr(self._display, "thread", threading.Thread)  # marimo shows only its own
        self._thread = thread(target=self._update_until_stopped, name="cio-progress", daemon=True)
        self._thread.start()

    @property
    def is_in_view(self) -> bool:
        """Whether the cell that is being executed shows the display."""
        return (
            self._display.persistence != "nothing"
            and not self.errors
            and self._shown_in is not None
            and self._shown_in == self._execution()
        )

    @property
    def is_read(self) -> bool:
        """Whether the output of the display is directly above what is written next."""
        return self.is_in_view or (self._display.persistence == "text" and not self.errors)

    def show(self) -> None:
        """Show the display once, without updates."""
        self._shown_in = self._execution()
        self._call(lambda: self._display.show(self.state))

    def tick(self) -> None:
        """Update the display if the state is new and the last update is long enough ago."""
        with self._lock:
            now_s = self._clock()
            since_s, is_shown = now_s - self._shown_s, self._shown is self.state
            if since_s < (_IDLE_S if is_shown else UPDATE_S):
                return
            self._shown = self.state = replace(self.state, now_s=now_s)
            self._shown_s = now_s
            state = self.state
        self._call(lambda: self._display.update(state))

    def set_pace(self, *, paused: bool, requested_rate: str) -> None:
        """Show the pace that the user requested; the rate in words, empty for the client's own."""
        with self._lock:
            self.state = replace(self.state, paused=paused, requested_rate=requested_rate)

    def finish(self, summary: Document) -> None:
        """Stop updating and replace the display by the summary."""
        if self._stop.is_set():
            self._finish_again(summary)
            return
        self._stop.set()
        if self._thread:
            self._ended.wait(self._timeout_s)
        with self._lock:
            self.state = state = replace(self.state, now_s=self._clock())
        self._call(lambda: self._display.update(state))
        self._call(lambda: self._display.close(summary))

    def _finish_again(self, summary: Document) -> None:
        """Replace the output again: a notebook run by a program misses updates between cells."""
        if self._display.persistence == "output":
            self._call(lambda: self._display.close(summary))

    def _update_until_stopped(self) -> None:
        while not self._stop.wait(UPDATE_S):
            self.tick()
        self._ended.set()

    def _call(self, method: Callable[[], None]) -> None:
        """Call the display; count it if it fails or hangs."""
        if not self._display_lock.acquire(timeout=self._timeout_s):
            self.errors += 1
            return
        try:
            with engine_errors("progress was shown"):
                method()
        except Exception:  # noqa: BLE001 - no error of a display stops the run
            self.errors += 1
        finally:
            self._display_lock.release()
