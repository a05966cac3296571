"""What every run shows of itself, and how it is steered, wherever its rows are sent from."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from cio_frames.errors import ConfigError
from cio_frames.sending import INTERRUPTED, Client, PaceControl
from cio_frames.views import html, summary, text
from cio_frames.views.displays import Off, ShowProgress, Told, display
from cio_frames.views.document import EMPTY, Document, Paragraph
from cio_frames.views.progress import Progress
from cio_frames.views.render import bundle
from cio_frames.views.summary import Outcome, RunView
from cio_frames.views.wording import resume_line

LEAST_S = 0.1
"""Requests per second are not told from less time than this."""
_INTERNAL = frozenset({"control", "start", "view"})
"""What plans and the command line ask of a run; completion does not offer it."""


class ShownRun(ABC):
    """One sending: its display, its summary, and its pace.

    Attributes:
        audit: The run's directory.
    """

    audit: Path
    _client: Client

    def _show_in(
        self, progress: ShowProgress, *, label: str, total: int, plans: int = 1, detached: bool
    ) -> None:
        """Make the display; with `detached` nobody waits for the run, so that its buttons can be pressed."""
        self._control = PaceControl()
        shown = display(progress, run=self if detached else None)
        self._is_shown = not isinstance(shown, Off)
        self._is_summed_up = not isinstance(shown, Off | Told)
        self._progress = Progress(
            shown, label=label, total=total, record=str(self.audit), plans=plans,
            limit=self._client.rate,
        )  # fmt: skip

    @property
    @abstractmethod
    def counts(self) -> dict[str, int]:
        """Rows in each state, and rows, requests, retries and bytes in all."""

    @property
    @abstractmethod
    def elapsed_s(self) -> float:
        """Seconds from the start to the end, or until now."""

    @property
    @abstractmethod
    def stopped(self) -> tuple[str, str] | None:
        """Why the run ended early, as a code and a sentence; None if it did not."""

    @abstractmethod
    def stop(self) -> None:
        """Ask the run to end: requests under way are finished, nothing else is started."""

    @abstractmethod
    def view(self) -> RunView:
        """Return what the summary shows."""

    @property
    def client(self) -> Client:
        """Where the run sends to."""
        return self._client

    def pause(self) -> None:
        """Let nothing more leave until `go_on`; requests under way are finished."""
        self._control.paused = True
        self._hold()

    def go_on(self) -> None:
        """End a pause."""
        self._control.paused = False
        self._hold()

    def slow_down(self) -> None:
        """Halve the requests per second, each time it is called."""
        measured = max(self.counts["requests"] / max(self.elapsed_s, LEAST_S), 1.0)
        self._control.slow_down(current=min(measured, self._client.rate or measured))
        self._hold()

    @property
    def rate(self) -> float | None:
        """Most requests per second, None for no limit. Set it to go slower or faster.

        It never goes beyond the rate of the client.
        """
        return self._client.rate if self._control.rate is None else self._control.rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        if rate is not None and not rate > 0:
            raise ConfigError(f"rate={rate} is not a number of requests per second greater than 0.")
        self._control.rate = rate
        self._hold()

    def _hold(self) -> None:
        """Show what was asked of the pace."""
        rate = self._control.rate
        slow = f"at most {rate:.3g} requests/s" if rate is not None else ""
        self._progress.hold(paused=self._control.paused, held=slow)

    def _note(self) -> str:
        """Say how far the run came, and how to finish it: in another program it takes the plan."""
        counts = self.counts
        arrived = counts["delivered"] + counts["accepted_unverified"] + counts["skipped_done"]
        is_left = counts["pending"] or counts["in_doubt"]
        return (
            f"{arrived:,} of {counts['rows']:,} rows arrived; {counts['pending']:,} are pending, "
            f"{counts['in_doubt']:,} in doubt. The record of every row is in {self.audit}."
            + (f" Finish it with\n    {resume_line(str(self.audit))}" if is_left else "")
        )

    def _outcome(self) -> Outcome:
        if self.stopped is None:
            return "finished"
        return "interrupted" if self.stopped[0] == INTERRUPTED else "stopped"

    def _show_summary(self) -> None:
        """Put the summary in the display's place; it is drawn only for one that shows it."""
        if self._is_shown:
            self._progress.finish(self._document() if self._is_summed_up else EMPTY)

    def _document(self) -> Document:
        return summary.document(self.view())

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) - _INTERNAL)

    def __repr__(self) -> str:
        if not hasattr(self, "_progress"):  # a traceback shows it before it is made
            return object.__repr__(self)
        return text.render(self._document())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        if self._progress.is_in_view:
            line = [Paragraph(summary.line(self.view()), "aside")]
            return {"text/plain": text.drawn(line), "text/html": str(html.drawn(line))}
        return bundle(self._document())
