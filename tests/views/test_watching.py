"""A run that a cell shows already is not shown a second time."""

import pytest
from polars.exceptions import PanicException

from cio_frames.views.document import Document, Heading
from cio_frames.views.progress import Progress
from cio_frames.views.progress_state import ProgressState

SUMMARY = Document(Heading("the end"), ())


class _Screen:
    """A display that shows nothing."""

    def __init__(self, *, persistence: str = "output", fails: BaseException | None = None) -> None:
        self.persistence = persistence
        self._fails = fails
        self.closed = 0

    def show(self, _: ProgressState) -> None:
        if self._fails:
            raise self._fails

    def update(self, _: ProgressState) -> None:
        """Do nothing."""

    def close(self, _: Document) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("screen", "cells", "expected"),
    [
        pytest.param(_Screen(), [7, 7], True, id="same-cell"),
        pytest.param(_Screen(), [7, 8], False, id="later-cell"),
        pytest.param(_Screen(), [None, None], False, id="no-ipython"),
        pytest.param(_Screen(persistence="nothing"), [7, 7], False, id="replaced-by-the-value"),
        pytest.param(_Screen(fails=OSError()), [7, 7], False, id="broken-display"),
        pytest.param(_Screen(fails=PanicException()), [7, 7], False, id="panicking-display"),
    ],
)
def test_a_run_is_in_view_only_in_the_cell_that_shows_it(screen, cells, expected):
    """Another cell, another front end or a display that failed: then the value is shown whole."""
    executions = iter(cells)
    progress = Progress(screen, label="track", execution=lambda: next(executions))

    progress.show()
    progress.finish(SUMMARY)

    assert progress.is_in_view is expected


def test_a_run_without_display_is_not_in_view():
    """Before it was shown anywhere, a run is in view nowhere."""
    progress = Progress(_Screen(), label="track", execution=lambda: 7)

    assert progress.is_in_view is False


@pytest.mark.parametrize(
    ("persistence", "closed"),
    [
        pytest.param("output", 2, id="output-replaced-again"),
        pytest.param("text", 1, id="text-not-repeated"),
        pytest.param("nothing", 1, id="nothing-to-replace"),
    ],
)
def test_the_summary_is_drawn_again_only_where_it_replaces_itself(persistence, closed):
    """A notebook without a front end gets the summary when a later cell waits for the run."""
    screen = _Screen(persistence=persistence)
    progress = Progress(screen, label="track", execution=lambda: 7)
    progress.show()

    progress.finish(SUMMARY)
    progress.finish(SUMMARY)

    assert screen.closed == closed
