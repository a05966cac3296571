"""The undo of a run, as a notebook shows it: its plan, and what it cannot undo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import polars as pl

from cio_frames.errors import MappingError
from cio_frames.views.document import (
    Badge,
    Document,
    Heading,
    Node,
    Notice,
    Paragraph,
    Section,
    Step,
    Table,
)
from cio_frames.views.render import Shown
from cio_frames.views.wording import many, number

SHOWN: Final = 20
FIRST_STEP: Final = (
    "Look at undo.plan, which names the deletions that have to be allowed, then send it:"
)
_LINES: Final[Mapping[str, str]] = {
    "people_changed": "people whose attributes are restored",
    "attributes_restored": "attributes that get their former value",
    "attributes_cleared": "attributes that are cleared",
    "identifiers_restored": "identifiers that are restored",
    "people_created_again": "deleted people who are created again",
    "people_deleted": "people who are deleted",
    "objects_restored": "objects that are restored",
    "objects_deleted": "objects that are deleted",
    "relationships_restored": "relationships that are restored",
    "relationships_removed": "relationships that are removed",
}

Planned = TypeVar("Planned")
"""A back-fill."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Undo(Shown, Generic[Planned]):
    """The back-fill that undoes a run, and what it cannot undo.

    Attributes:
        run_id: The run.
        not_undone: What stays as the run made it, row by row: plan, row (empty where no row alone did
            it), what, name (of the attribute, event or object) and why.
        summary: The counts of what the plan does.
        notes: What to know before the undo is sent, in sentences.
        plans: How many plans it has.
        rows: How many messages they have.
    """

    run_id: str
    not_undone: pl.DataFrame
    summary: Mapping[str, int]
    notes: tuple[str, ...] = ()
    plans: int = 0
    rows: int = 0
    _plan: Planned | None = None
    _save: Callable[..., Any] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send."""
        return self._plan is None

    @property
    def plan(self) -> Planned:
        """The back-fill, which can be shown, saved and sent like any other.

        Raises:
            MappingError: There is nothing to send.
        """
        if self._plan is None:
            raise MappingError(
                f"There is nothing to undo of run {self.run_id}: nothing differs from before, or what "
                "differs cannot be undone. See undo.not_undone."
            )
        return self._plan

    def save(self, directory: Path | str, **options: Any) -> Any:
        """Write the plan and its tables into a directory that only its owner can read, to be applied later.

        The tables have the former values of the workspace. The command line sends them with
        `cio-frames apply DIR/undo.cioplan DIR/*.parquet`.

        Args:
            directory: Where `undo.cioplan` and the tables are written.
            options: As for `plan.save`: client, known, settings, expires.

        Returns:
            The saved plan.

        Raises:
            MappingError: There is nothing to send.
            SavedPlanError: The plan cannot be written.
        """
        if self._save is None:
            return self.plan  # which raises
        return self._save(Path(directory), **options)

    def _document(self) -> Document:
        verdict = Badge("undoes everything", "good")
        if self.not_undone.height:
            rows = self.summary["rows_not_undone"]
            verdict = Badge(f"{many(rows, 'row')} not undone in full", "care")
        if self.is_empty:
            verdict = Badge("nothing to send", "care")
        return Document(Heading("Undo", self.run_id, verdict), self._body())

    def _body(self) -> list[Node]:
        body: list[Node] = [Paragraph(self._lead(), "lead")]
        counts = [(line, self.summary[name]) for name, line in _LINES.items() if self.summary[name]]
        if counts:
            body.append(Table(("what the plan does", "count"), counts, right={1}))
        body += [Notice([note], "care") for note in self.notes]
        if self.not_undone.height:
            body.append(Section("What is not undone", [self._not_undone_table()]))
        if not self.is_empty:
            body.append(Step(FIRST_STEP, "undo.plan.send(client)"))
        return body

    def _lead(self) -> str:
        if self.is_empty:
            is_same = not self.not_undone.height
            sentence = "Nothing differs from before the run."
            return sentence if is_same else "What the run has changed cannot be undone."
        plans, messages = many(self.plans, "plan"), many(self.rows, "message")
        return f"A back-fill of {plans} with {messages} undoes the run. Nothing has been sent."

    def _not_undone_table(self) -> Table:
        """Return what is not undone, one line for each kind and reason."""
        rows = pl.struct("plan", "row").n_unique().alias("rows")
        reasons = self.not_undone.group_by("what", "why").agg(rows)
        first = reasons.sort("rows", "what", "why", descending=[True, False, False]).head(SHOWN)
        lines = [(what, why, number(count)) for what, why, count in first.iter_rows()]
        return Table(("what", "why", "rows"), lines, right={2})
