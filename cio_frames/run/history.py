"""The record of runs, as a notebook shows it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import polars as pl

from cio_frames.audit import STATES
from cio_frames.audit import Audit as Reader
from cio_frames.errors import AuditError
from cio_frames.views import history, story, text
from cio_frames.views.history import RunLine
from cio_frames.views.html import bundle, join
from cio_frames.views.story import StoryView

_FACTS = (
    "call", "person_key", "message_id", "payload_hash", "bytes", "lane", "batch", "attempts",
    "http_status", "code", "error",
)  # fmt: skip


class Story(str):
    """What became of a row, in sentences: a text, which a notebook shows with all that is known."""

    __slots__ = ("_views",)
    _views: tuple[StoryView, ...]

    def __new__(cls, told: str, *, views: Sequence[StoryView]) -> Self:
        """Make the text, and keep what a notebook shows of it."""
        made = super().__new__(cls, told)
        made._views = tuple(views)
        return made

    def __str__(self) -> str:
        return text.page([self])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(join(story.html(view) for view in self._views), str(self))


class Audit(Reader):
    """The record of every row of one run, or of all runs in a directory.

    Reading changes nothing, and needs no recovery first: the rows of a run that was killed are
    told as they are known.

    Args:
        directory: `audit/<run>`, or the directory of all runs.

    Raises:
        AuditError: If there is no run.
    """

    def explain(self, *, row: int, run: str | None = None, plan: int | None = None) -> str:
        """Tell what became of a row, in sentences: one paragraph per run and plan that has it.

        Args:
            row: Number of the row in its table, from 0.
            run: One run; all runs if not given.
            plan: Position of the plan in a back-fill; all if not given.

        Raises:
            AuditError: If no run has that row.
        """
        told = super().explain(row=row, run=run, plan=plan)
        rows = self._of(run).filter(pl.col("row") == row)
        if plan is not None:
            rows = rows.filter(pl.col("plan") == plan)
        found = self._collected(rows).sort("run_id", "plan").to_dicts()
        paragraphs = told.split("\n\n")
        views = [_story(item, told=it) for item, it in zip(found, paragraphs, strict=True)]
        return Story(told, views=views)

    def __str__(self) -> str:
        try:
            return history.text(str(self.directory), _lines(self))
        except (AuditError, OSError):
            return repr(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        try:
            lines = _lines(self)
        except (AuditError, OSError):
            return {"text/plain": repr(self)}
        where = str(self.directory)
        return bundle(history.html(where, lines), history.text(where, lines))


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


def _lines(audit: Reader) -> list[RunLine]:
    """Return one line per run."""
    return [
        RunLine(
            run_id=row["run_id"],
            created=f"{row['created']:%Y-%m-%d %H:%M}",
            endpoint=row["endpoint"],
            outcome=f"{row['state']} ({row['stopped']})" if row["stopped"] else row["state"],
            counts={state: row[state] for state in STATES},
        )
        for row in audit.runs.iter_rows(named=True)
    ]


def _story(record: Mapping[str, Any], *, told: str) -> StoryView:
    """Return one row's way as plain values."""
    facts = [(name, str(record[name])) for name in _FACTS if record[name] is not None]
    times = {"first sent": record["first_attempt_at"], "ended": record["finished_at"]}
    facts += [(name, _moment(at)) for name, at in times.items() if at is not None]
    return StoryView(
        title=f"Row {record['row']} · {record['call']}",
        source=f"run {record['run_id']}",
        state=record["state"],
        told=told,
        facts=tuple(facts),
    )


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
