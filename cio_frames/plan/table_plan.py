"""The plan of one table, on this machine or on Spark: its report, its counts, and its repairs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Self

import msgspec
import polars as pl

from cio_frames.checks import Checks
from cio_frames.errors import ArgumentError, RepairError
from cio_frames.frames.pandas import native
from cio_frames.plan.fixes import repaired
from cio_frames.plan.pipeline import Pipeline, Pipelines
from cio_frames.plan.report import plan_view, summary
from cio_frames.views import html, report
from cio_frames.views.document import Document
from cio_frames.views.render import Shown


def require_count(count: object, *, of: str, call: str) -> None:
    """Raise unless this is a whole number from 0 on."""
    if not isinstance(count, Integral) or count < 0:
        raise ArgumentError(f"{count!r} is not a number of {of}: {call}.")


@dataclass(frozen=True, eq=False, repr=False)
class TablePlan(Shown):
    """What would be sent for one table."""

    pipelines: Pipelines

    @property
    def pipeline(self) -> Pipeline:
        """The table and the messages that it becomes."""
        return self.pipelines.all[0]

    @property
    def call(self) -> str:
        """The name of the call."""
        return self.pipeline.call

    @property
    def checks(self) -> Checks:
        """Which checks apply."""
        return self.pipeline.checks

    @property
    def counts(self) -> dict[str, int]:
        """Rows read, rows that would be sent or excluded, bytes of the messages, requests."""
        return self.pipeline.counts

    @property
    def summary(self) -> Any:
        """The findings of the checks, one line for each code and column, worst first.

        Columns are severity, code, columns, rows (0 where a finding is about the whole table),
        message, consequence, hint, repair (what to type, if there is one), examples (row and
        value) and page (of the documentation). It is a frame of the user's library.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> plan = pl.DataFrame({"id": ["u1", "-"]}).cio.identify(user_id="id")
            >>> plan.summary.select("code", "columns", "rows").rows()
            [('id.placeholder', ['id'], 1)]
        """
        return self._native(summary(self.pipeline))

    @property
    def fixes(self) -> Any:
        """What can be repaired, with code, what the repair does, whether it is safe, and rows."""
        rows = [
            {
                "code": check.code,
                "repair": check.texts.repair,
                "safe": check.repair.safe,
                "rows": rows,
            }
            for check, rows in self.pipeline.offered.values()
            if check.repair is not None
        ]
        schema = {"code": pl.String, "repair": pl.String, "safe": pl.Boolean, "rows": pl.Int64}
        return self._native(pl.DataFrame(rows, schema=schema))

    def fix(self, code: str) -> Self:
        """Return a new plan with a repair applied.

        Args:
            code: The code of a finding, or "safe" for all repairs that are safe. Where there are none,
                the report of the new plan says so.

        Raises:
            RepairError: Nothing of this plan has that code, or it cannot be repaired.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> plan = pl.DataFrame({"id": [1.0, 2.0]}).cio.identify(user_id="id")
            >>> plan.fix("id.float").payloads(1)[0]["userId"]
            '1'
        """
        pipeline = self.pipeline
        offered = {code: check for code, (check, _) in pipeline.offered.items()}
        if code == "safe":
            chosen = [check for check in offered.values() if check.repair and check.repair.safe]
        else:
            chosen = [offered[code]] if code in offered else []
        if not chosen and code != "safe":
            problem = "was not found in this plan, or cannot be repaired"
            raise RepairError(code, problem=problem, available=tuple(offered))
        steps = [*pipeline.steps, pipeline.mapping]
        for check in chosen:
            steps.append(repaired(steps[-1], check))
        fixed = replace(
            pipeline, mapping=steps[-1], steps=tuple(steps[:-1]), had_no_safe_repair=not chosen
        )
        return replace(self, pipelines=Pipelines((fixed,)))

    @property
    def changes(self) -> Any:
        """What the repairs changed, with code, column, rows, and a few values before and after."""
        return self._native(self.pipeline.changed)

    def payloads(self, count: int = 5) -> list[dict[str, Any]]:
        """Return the first messages as they go over the wire.

        One thing differs: a run gives each message that sets a state (a person, group, merge or
        deletion) a `messageId` of its own, unless `message_id` names a column. Customer.io ignores
        ids that it has seen, and would ignore a return to an earlier state.

        Only as much of the table is read as this takes. A row that only a check of the whole table
        rejects, such as a link in a circle of aliases, is included until the plan was checked (by its
        report, `counts` or `send`), unless the table is one chunk (50,000 rows).

        Raises:
            ArgumentError: `count` is not a whole number, or is negative.
        """
        require_count(count, of="messages", call="plan.payloads(5)")
        return Payloads(self.pipeline.messages(count), title=f"Messages: {self.call}")

    def refusals(self) -> list[dict[str, Any]]:
        """Return one finding of each code that forbids sending.

        Without a report, only the checks that can forbid sending are applied.
        """
        return self.pipeline.before_send.refusals.to_dicts()

    def _document(self) -> Document:
        pipelines = self.pipelines
        return report.plan(
            plan_view(self.pipeline, pipelines.last_preview, client=pipelines.client)
        )

    def _native(self, frame: pl.DataFrame) -> Any:
        return native(frame, library=self.pipelines.library)


class Payloads(list[dict[str, Any]]):
    """Messages as dictionaries: a list, which a notebook shows as JSON."""

    def __init__(self, messages: Sequence[str], *, title: str = "") -> None:
        super().__init__(msgspec.json.decode(text) for text in messages)
        self._messages = tuple(messages)
        self._title = title

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        drawn = html.render(report.payloads(self._messages, title=self._title))
        return {"text/plain": repr(self), "text/html": str(drawn)}
