"""A plan: what would be sent, checked and counted, before anything is."""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl

from cio_frames.checks import CATALOGUE, Check, Checks, Scope, utc_now
from cio_frames.errors import RepairError
from cio_frames.frames import ROW, Table, fingerprint
from cio_frames.mapping import MessageMapping
from cio_frames.payloads import Segment
from cio_frames.plan.fixes import changes, offered, repaired
from cio_frames.plan.payloads import Payloads
from cio_frames.plan.pipeline import (
    Glance,
    Survey,
    Worked,
    glance,
    overlook,
    segments,
    survey,
    work,
)
from cio_frames.plan.report import plan_view
from cio_frames.plan.sendable import Sendable
from cio_frames.run import Choice
from cio_frames.spec import LIMITS
from cio_frames.validation import BLOCKING, as_texts
from cio_frames.views import report
from cio_frames.views.html import bundle

PREVIEW_ROWS = 1_000
_INTERNAL = frozenset({
    "applied", "batch_bytes", "changed", "clock", "decisions", "fingerprint", "mapping",
    "message_bytes", "messages", "namespace", "offered", "plans", "rows", "scope",
    "segments", "steps", "survey", "table", "worked",
})  # fmt: skip
"""What only this package asks of a plan; completion does not offer it."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Plan(Sendable):
    """What would be sent for one table. Nothing leaves before `send`.

    Attributes:
        checks: Which checks apply.
    """

    table: Table
    mapping: MessageMapping
    checks: Checks = field(default_factory=Checks)
    namespace: str = ""  # keeps message ids of one place apart from those of another
    clock: Callable[[], datetime] = utc_now  # tells the planned time of sending
    steps: tuple[MessageMapping, ...] = ()  # the mapping as it was before each repair
    message_bytes: int = LIMITS["message_bytes"].value
    batch_bytes: int = LIMITS["batch_bytes"].value

    @property
    def plans(self) -> tuple["Plan", ...]:
        """This plan alone: what is done with a back-fill can be done with one plan."""
        return (self,)

    @property
    def call(self) -> str:
        """The name of the call."""
        return self.mapping.call.name

    @cached_property
    def survey(self) -> Survey:
        """One pass over all rows: counts, findings, reasons."""
        return survey(
            self.table,
            scope=self.scope(),
            checks=self.applied,
            namespace=self.namespace,
            batch_bytes=self.batch_bytes,
            whole=self._whole,
            shares=self.checks.shares(),
        )

    @cached_property
    def _whole(self) -> pl.DataFrame:
        """What only a look at the whole table finds."""
        return overlook(self.table, scope=self.scope(), checks=self.applied)

    @cached_property
    def _foreseen(self) -> pl.DataFrame:
        """The part of that which keeps rows from being sent; alone, it is found faster."""
        if "_glance" in self.__dict__:
            return self._glance.foreseen
        if "_whole" in self.__dict__:
            return self._whole.filter(pl.col("severity").is_in(BLOCKING))
        strict = [check for check in self.applied if check.severity in BLOCKING]
        return overlook(self.table, scope=self.scope(), checks=strict)

    @property
    def counts(self) -> dict[str, int]:
        """Rows read, rows that would be sent and left out, bytes of the messages, requests."""
        found = self.survey
        return {
            "rows": found.rows,
            "valid": found.valid,
            "rejected": found.rows - found.valid,
            "bytes": found.bytes,
            "batches": found.batches,
        }

    @property
    def findings(self) -> Any:
        """Everything the checks found, worst first, as a frame of the user's library.

        Columns are row, code, severity, column, value, message and hint; row is empty where a
        finding is about the whole table.
        """
        return self._native(as_texts(self.survey.findings))

    @property
    def rejected(self) -> Any:
        """The rows that would not be sent, all their columns, plus `reasons`."""
        lost = self.survey.reasons.sort("row")
        extra = lost.select(pl.col("row").alias(ROW), pl.col("code").alias("reasons"))
        return self.table.pick(lost["row"], extra)

    @property
    def fixes(self) -> Any:
        """What can be repaired, with code, what the repair does, whether it is safe, and rows."""
        rows = [
            {
                "code": check.code,
                "repair": check.repair.sentence,
                "safe": check.repair.safe,
                "rows": rows,
            }
            for check, rows in self.offered.values()
            if check.repair is not None
        ]
        schema = {"code": pl.String, "repair": pl.String, "safe": pl.Boolean, "rows": pl.Int64}
        return self._native(pl.DataFrame(rows, schema=schema))

    def fix(self, code: str) -> "Plan":
        """Return a new plan with a repair applied.

        Args:
            code: The code of a finding, or "safe" for all repairs that are safe, if there are any.

        Raises:
            RepairError: Nothing of this plan has that code, or it cannot be repaired.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> plan = pl.DataFrame({"id": [1.0, 2.0]}).cio.identify(user_id="id")
            >>> plan.fix("id.float").payloads(1)[0]["userId"]
            '1'
        """
        offered = {code: check for code, (check, _) in self.offered.items()}
        if code == "safe":
            chosen = [check for check in offered.values() if check.repair and check.repair.safe]
        else:
            chosen = [offered[code]] if code in offered else []
        if not chosen and code != "safe":
            problem = "is found nowhere in this plan, or cannot be repaired"
            raise RepairError(code, problem=problem, available=tuple(offered))
        steps = [*self.steps, self.mapping]
        for check in chosen:
            steps.append(repaired(steps[-1], check, schema=self.table.schema()))
        return replace(self, mapping=steps[-1], steps=tuple(steps[:-1]))

    @property
    def changes(self) -> Any:
        """What the repairs changed, with code, column, rows, and a few values before and after."""
        return self._native(self.changed)

    @cached_property
    def changed(self) -> pl.DataFrame:
        """What the repairs changed, with the columns of `CHANGE_SCHEMA`."""
        checks = {check.code: check for check in self.applied}
        return changes(self.table, (*self.steps, self.mapping), checks=checks)

    def payloads(self, count: int = 5) -> list[dict[str, Any]]:
        """Return the first messages, exactly as they go over the wire."""
        return Payloads(self.messages(count), title=f"Messages: {self.call}")

    def messages(self, count: int) -> list[str]:
        """Return the JSON text of the first messages."""
        found: list[str] = []
        with closing(self.worked(chunk_rows=PREVIEW_ROWS)) as chunks:
            for worked in chunks:
                found += worked.messages["message"].head(count - len(found)).to_list()
                if len(found) >= count:
                    break
        return found

    def worked(self, *, chunk_rows: int, links: pl.DataFrame | None = None) -> Generator[Worked]:
        """Yield the rows chunk by chunk, checked and encoded. Close it unless it is read to the end."""
        return work(
            self.table,
            scope=self.scope(),
            checks=self.applied,
            namespace=self.namespace,
            chunk_rows=chunk_rows,
            known=self._foreseen,
            links=links,
        )

    def segments(
        self, choice: Choice, *, links: pl.DataFrame | None = None, plan: int = 0, first: int = 0
    ) -> Generator[Segment]:
        """Yield what becomes of each row, and the requests, segment by segment.

        Close it unless it is read to the end: threads work ahead.

        Args:
            choice: Which rows are sent.
            links: Who is connected with whom; found in this plan alone if not given.
            plan: Position of this plan in its back-fill.
            first: Number of the first segment.
        """
        return segments(
            self.table,
            scope=self.scope(),
            checks=self.applied,
            namespace=self.namespace,
            batch_bytes=self.batch_bytes,
            known=self._foreseen,
            choice=choice,
            links=links,
            plan=plan,
            first=first,
        )

    @cached_property
    def _glance(self) -> Glance:
        """One pass over all rows that looks only for what keeps them from being sent."""
        return glance(self.table, scope=self.scope(), checks=self.applied)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.survey.rows if self._surveyed else self._glance.rows

    @cached_property
    def fingerprint(self) -> str:
        """What tells the table that was checked from another one."""
        return fingerprint(self.table) if self._surveyed else self._glance.fingerprint

    @property
    def _surveyed(self) -> bool:
        """Whether every finding is there already, or is needed."""
        return "survey" in self.__dict__ or bool(self.checks.shares())

    def refusals(self) -> list[dict[str, Any]]:
        """Return one finding of each code that forbids sending.

        Where the survey was not asked for, only what could forbid is looked at.
        """
        found = self.survey.findings if self._surveyed else self._glance.findings
        refused = found.filter(pl.col("severity") == "refuse")
        return refused.unique("code", maintain_order=True).to_dicts()

    @property
    def decisions(self) -> dict[str, Any]:
        """What the user chose that the record must tell."""
        return {
            "repairs": list(self.mapping.repairs),
            "select": list(self.checks.select),
            "ignore": list(self.checks.ignore),
            "severity": dict(self.checks.severity),
            "allow": list(self.checks.allow),
            "allow_sensitive": dict(self.checks.allow_sensitive),
            "thresholds": self.checks.shares(),
            "hashed": [slot.label for slot in self.mapping.slots if slot.how == "hashed"],
            "timezone": self.mapping.timezone,
        }

    def scope(self) -> Scope:
        """Return what the checks may know, as of now."""
        return Scope(
            mapping=self.mapping,
            now=self.clock(),
            allow=frozenset(self.checks.allow),
            sensitive=self.checks.allow_sensitive,
            reference=self._references,
            message_bytes=self.message_bytes,
        )

    @cached_property
    def _references(self) -> Mapping[str, pl.Series]:
        """What identifiers are known to look like, read once."""
        return self.checks.references()

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) - _INTERNAL)

    def __repr__(self) -> str:
        return report.text(plan_view(self))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        view = plan_view(self)
        return bundle(report.html(view), report.text(view))

    @cached_property
    def applied(self) -> tuple[Check, ...]:
        """The checks that apply, with the severities asked for."""
        return self.checks.of(CATALOGUE)

    @cached_property
    def offered(self) -> dict[str, tuple[Check, int]]:
        """The checks whose findings can be repaired, and how many findings, by code."""
        return offered(self.survey.findings, checks=self.applied, mapping=self.mapping)

    def _native(self, frame: pl.DataFrame) -> Any:
        return frame.to_pandas() if self.table.library == "pandas" else frame
