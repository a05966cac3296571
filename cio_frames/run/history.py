"""The record of runs, as a notebook shows it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import polars as pl

from cio_frames.audit import Audit as Reader
from cio_frames.errors import AuditError
from cio_frames.views import html, text
from cio_frames.views.document import Document, Step
from cio_frames.views.render import bundle
from cio_frames.views.wording import resume_line

SHOWN_RUNS: Final = 3


class Story(str):
    """The outcome of a row, in sentences: a text, which a notebook shows as cards with all details."""

    __slots__ = ("_documents",)
    _documents: tuple[Document, ...]

    def __new__(cls, sentences: str, *, documents: Sequence[Document]) -> Self:
        """Make the text, and keep the documents that a notebook shows."""
        story = super().__new__(cls, sentences)
        story._documents = tuple(documents)
        return story

    def __str__(self) -> str:
        return text.page([self])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        cards = "".join(str(html.render(document)) for document in self._documents)
        return {"text/plain": str(self), "text/html": cards}


class Audit(Reader):
    """The record of every row of one run, or of all runs in a directory.

    Reading changes nothing and needs no recovery first: the rows of a killed run have the states that
    are known of them.

    Args:
        directory: `audit/<run>`, or the directory of all runs.

    Raises:
        AuditError: If there is no run.
    """

    def _story(
        self, described: Sequence[tuple[dict[str, Any], str]], *, introduction: Sequence[str]
    ) -> str:
        from cio_frames.views import history  # sending does not need it

        documents = [history.explanation(record, text=text) for record, text in described]
        return Story(super()._story(described, introduction=introduction), documents=documents)

    def __str__(self) -> str:
        try:
            return text.render(self._document())
        except (AuditError, OSError):
            return repr(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        try:
            return bundle(self._document())
        except (AuditError, OSError):
            return {"text/plain": repr(self)}

    def _document(self) -> Document:
        from cio_frames.views import history

        runs = self.runs
        document = history.audit(str(self.directory), runs.to_dicts(), totals=self._totals(runs))
        return msgspec.structs.replace(document, body=[*document.body, *self._to_finish(runs)])

    def _to_finish(self, runs: pl.DataFrame) -> list[Step]:
        """Return how to finish the latest runs that ended before all their rows were sent."""
        paths = {path.name: str(path) for path in self._run_directories()}
        unfinished = runs.filter(
            pl.col("state") != "running", pl.sum_horizontal("pending", "in_doubt") > 0
        )
        return [
            Step(f"Run {run} was not finished. Make its plan again, then:", resume_line(paths[run]))
            for run in unfinished["run_id"].sort(descending=True).head(SHOWN_RUNS)
            if run in paths
        ]


def read(directory: Path | str) -> Audit:
    """Read the record of one run, or of all runs in a directory.

    Args:
        directory: `audit/<run>`, or the directory of all runs.

    Raises:
        AuditError: If there is no run.

    Examples:
        >>> import polars as pl, cio_frames as cio, tempfile
        >>> plan = pl.DataFrame({"id": ["u1", "u2"]}).cio.identify(user_id="id")
        >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
        ...     run = plan.send(workspace.client(), audit=folder, progress=False)
        ...     cio.audit(folder).messages["state"].to_list()
        ['delivered', 'delivered']
    """
    return Audit(directory)
