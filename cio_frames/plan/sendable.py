"""What can be done with a plan, and in the same way with several in order."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cio_frames.errors import PlanRefusedError
from cio_frames.payloads import Segment
from cio_frames.run import Job, Run
from cio_frames.sending import Client

if TYPE_CHECKING:
    from cio_frames.plan.plan import Plan


class Sendable(ABC):
    """One plan or several in order: what is sent is the same either way."""

    @property
    @abstractmethod
    def plans(self) -> tuple["Plan", ...]:
        """The plans, in the order in which they are sent."""

    def require_sendable(self) -> None:
        """Raise if findings forbid sending.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first.
        """
        refused = [item for plan in self.plans for item in plan.gate[1]]
        if refused:
            raise PlanRefusedError(refused)

    def send(
        self,
        client: Client,
        *,
        audit: Path | str = "audit",
        progress: object = "auto",
        wait: bool = True,
    ) -> Run:
        """Check again, send, show progress, and record what became of every row.

        Args:
            client: Where to send: `cio.connect(...)` or `cio.sandbox().client()`.
            audit: Directory of the records of all runs.
            progress: "auto", False, a kind of display, or a function that gets the states.
            wait: Whether to wait for the end; without, `run.wait()` and `run.stop()` do.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first; nothing was sent.
            RunStoppedError: The answers forbid going on; its `run` tells about each row.

        Examples:
            >>> import polars as pl, cio_frames as cio, tempfile
            >>> plan = pl.DataFrame({"id": ["u1", "u2"]}).cio.identify(user_id="id")
            >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
            ...     run = plan.send(workspace.client(), audit=folder, progress=False)
            ...     run.counts["delivered"], workspace.people.height
            (2, 2)
        """
        run = self._run(client, audit=audit, progress=progress, detached=not wait).start()
        return run.wait() if wait else run

    async def asend(
        self, client: Client, *, audit: Path | str = "audit", progress: object = "auto"
    ) -> Run:
        """Do what `send` does, and let other tasks go on meanwhile.

        Args:
            client: Where to send.
            audit: Directory of the records of all runs.
            progress: "auto", False, a kind of display, or a function that gets the states.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first; nothing was sent.
            RunStoppedError: The answers forbid going on; its `run` tells about each row.
        """
        run = await asyncio.to_thread(
            self._run, client, audit=audit, progress=progress, detached=True
        )
        return await run.start()

    def job(self) -> Job:
        """Return what a run is given to do."""
        plans = self.plans
        return Job(
            calls=tuple(plan.call for plan in plans),
            tables=tuple(plan.table for plan in plans),
            rows=tuple(plan.gate[0] for plan in plans),
            segments=self._segments,
            mapping={
                f"{place} {plan.call}": plan.mapping.describe() for place, plan in enumerate(plans)
            },
            decisions={f"{place} {plan.call}": plan.decisions for place, plan in enumerate(plans)},
            limits={"message_bytes": plans[0].message_bytes, "batch_bytes": plans[0].batch_bytes},
            namespace=" ".join(dict.fromkeys(plan.namespace for plan in plans)),
        )

    def _segments(self) -> Iterator[Segment]:
        first = 0
        for place, plan in enumerate(self.plans):
            for segment in plan.segments(plan=place, first=first):
                yield segment
                first = segment.number + 1

    def _run(self, client: Client, **options: Any) -> Run:
        self.require_sendable()
        return Run(self.job(), client=client, **options)
