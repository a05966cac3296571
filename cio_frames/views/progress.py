"""Watch a run: a listener that has its progress drawn."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, Protocol

from cio_frames.errors import engine_errors
from cio_frames.sending.events import Fact
from cio_frames.sending.totals import Totals
from cio_frames.views.document import Document
from cio_frames.views.environment import execution
from cio_frames.views.progress_state import ProgressState, advance, summed

Leaves = Literal["nothing", "text", "output"]

UPDATE_S = 0.25
_IDLE_S = 1.0


class Display(Protocol):
    """Something that shows a state. It may fail: the run goes on.

    Attributes:
        leaves: What it leaves behind: nothing that lasts, text, or an output of a notebook, which
            can be replaced from a later cell too.
    """

    leaves: Leaves

    def show(self, state: ProgressState) -> None:
        """Appear. Called once, on the thread that started the run."""

    def update(self, state: ProgressState) -> None:
        """Show a later state. Called on another thread."""

    def close(self, summary: Document) -> None:
        """Give way to the summary. Called once, on the thread that started the run."""


class Progress:
    """A listener that has a display drawn at most four times a second.

    Facts only change the state. A thread of its own draws, so a slow display does not slow the run
    down, and one that breaks does not break it.

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
        patience_s: float = 2.0,
        execution: Callable[[], int | None] = execution,
    ) -> None:
        self._display = display
        self._clock = clock
        self._patience_s = patience_s
        self._execution = execution
        self._shown_in: int | None = None
        self._lock = threading.Lock()
        self._drawing = threading.Lock()
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        now_s = clock()
        self.state: ProgressState = ProgressState(
            label=label, record=record, total=total, plans=plans, limit=limit, started_s=now_s,
            now_s=now_s,
        )  # fmt: skip
        self.errors: int = 0
        self._drawn, self._drawn_s = self.state, now_s

    def __call__(self, fact: Fact) -> None:
        """Take note of a fact."""
        with self._lock:
            self.state = advance(self.state, fact, now_s=self._clock())

    def add_up(self, totals: Totals) -> None:
        """Take note of totals that others have added up."""
        with self._lock:
            self.state = summed(self.state, totals, now_s=self._clock())

    def start(self) -> None:
        """Show the display and have it drawn from now on."""
        self.show()
        thread = getattr(self._display, "thread", threading.Thread)  # marimo shows only its own
        self._thread = thread(target=self._draw_on, name="cio-progress", daemon=True)
        self._thread.start()

    @property
    def is_in_view(self) -> bool:
        """Whether the cell that is being executed shows the display already."""
        return (
            self._display.leaves != "nothing"
            and not self.errors
            and self._shown_in is not None
            and self._shown_in == self._execution()
        )

    @property
    def is_read(self) -> bool:
        """Whether what the display leaves stands right above what is written next."""
        return self.is_in_view or (self._display.leaves == "text" and not self.errors)

    def show(self) -> None:
        """Show the display once, without drawing it any further."""
        self._shown_in = self._execution()
        self._draw(lambda: self._display.show(self.state))

    def tick(self) -> None:
        """Draw if there is something new to see and the last drawing is long enough ago."""
        with self._lock:
            now_s = self._clock()
            since_s, seen = now_s - self._drawn_s, self._drawn is self.state
            if since_s < (_IDLE_S if seen else UPDATE_S):
                return
            self._drawn = self.state = replace(self.state, now_s=now_s)
            self._drawn_s = now_s
            state = self.state
        self._draw(lambda: self._display.update(state))

    def hold(self, *, paused: bool, held: str) -> None:
        """Show what the user asked of the pace.

        Args:
            paused: Whether nothing may leave.
            held: The rate, in words; empty if there is no other than the client's.
        """
        with self._lock:
            self.state = replace(self.state, paused=paused, held=held)

    def finish(self, summary: Document) -> None:
        """Stop drawing and leave the summary in the display's place.

        Args:
            summary: What stays.
        """
        if self._stop.is_set():
            self._finish_again(summary)
            return
        self._stop.set()
        if self._thread:
            self._ended.wait(self._patience_s)
        with self._lock:
            self.state = state = replace(self.state, now_s=self._clock())
        self._draw(lambda: self._display.update(state))
        self._draw(lambda: self._display.close(summary))

    def _finish_again(self, summary: Document) -> None:
        """Replace the output again: a notebook run by a program misses what comes between cells."""
        if self._display.leaves == "output":
            self._draw(lambda: self._display.close(summary))

    def _draw_on(self) -> None:
        """Draw again and again, until the run is over."""
        while not self._stop.wait(UPDATE_S):
            self.tick()
        self._ended.set()

    def _draw(self, draw: Callable[[], None]) -> None:
        """Draw; a display that fails or hangs is counted and left alone."""
        if not self._drawing.acquire(timeout=self._patience_s):
            self.errors += 1
            return
        try:
            with engine_errors("progress was shown"):
                draw()
        except Exception:  # noqa: BLE001 - whatever a display raises, the run goes on
            self.errors += 1
        finally:
            self._drawing.release()
