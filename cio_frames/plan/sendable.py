"""What can be done with a plan, and in the same way with several in order."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from cio_frames.errors import AuditError, PlanRefusedError
from cio_frames.payloads import Segment
from cio_frames.plan.foresight import Foresight
from cio_frames.run import Choice, InDoubt, Job, Run, begin, choose, take_up
from cio_frames.run.doubt import require_in_doubt
from cio_frames.run.start import Durability, Pii
from cio_frames.sending import Client
from cio_frames.views.displays import ShowProgress

if TYPE_CHECKING:
    from cio_frames.plan.plan import Plan


_INTERNAL = frozenset({"job", "premise", "require_sendable"})
"""What only this package asks of plans; completion does not offer it."""


class Sendable(Foresight, ABC):
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
        refused = [item for plan in self.plans for item in plan.refusals()]
        if refused:
            raise PlanRefusedError(refused)

    def send(
        self,
        client: Client,
        *,
        audit: Path | str = "audit",
        progress: ShowProgress = "auto",
        wait: bool = True,
        repeat: bool = False,
        in_doubt: InDoubt | None = None,
        durability: Durability = "power",
        pii: Pii = "hmac",
    ) -> Run:
        """Check again, send, show progress, and record what became of every row.

        Args:
            client: Where to send: `cio.connect(...)` or `cio.sandbox().client()`.
            audit: Directory of the records of all runs.
            progress: "auto", False, a kind of display, or a function that gets the states.
            wait: Whether to wait for the end; without, `run.wait()` and `run.stop()` do.
            repeat: Whether to send again what an earlier run in `audit` delivered.
            in_doubt: What to do with messages that an earlier run left in doubt: "resend",
                "skip", "report"; without, it depends on the call and on their age.
            durability: What the record is safe against: a "power" cut, or the end of the
                "process".
            pii: What the record keeps of identifiers: keyed hashes ("hmac"), nothing but row
                numbers and message ids ("ids"), or themselves ("full").

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
        job, choice = self._made(client, audit=audit, repeat=repeat, in_doubt=in_doubt)
        run = begin(
            job,
            client=client,
            audit=audit,
            choice=choice,
            progress=progress,
            detached=not wait,
            durability=durability,
            pii=pii,
        )
        self._remember(run)
        return run.start().wait() if wait else run.start()

    async def asend(
        self,
        client: Client,
        *,
        audit: Path | str = "audit",
        progress: ShowProgress = "auto",
        repeat: bool = False,
        in_doubt: InDoubt | None = None,
        durability: Durability = "power",
        pii: Pii = "hmac",
    ) -> Run:
        """Do what `send` does, and let other tasks go on meanwhile.

        Args:
            client: Where to send.
            audit: Directory of the records of all runs.
            progress: "auto", False, a kind of display, or a function that gets the states.
            repeat: As for `send`.
            in_doubt: As for `send`.
            durability: As for `send`.
            pii: As for `send`.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first; nothing was sent.
            RunStoppedError: The answers forbid going on; its `run` tells about each row.
        """
        job, choice = await asyncio.to_thread(
            self._made, client, audit=audit, repeat=repeat, in_doubt=in_doubt
        )
        run = begin(
            job,
            client=client,
            audit=audit,
            choice=choice,
            progress=progress,
            detached=True,
            durability=durability,
            pii=pii,
        )
        self._remember(run)
        return await run.start()

    def job(self) -> Job:
        """Return what a run is given to do."""
        plans = self.plans
        return Job(
            calls=tuple(plan.call for plan in plans),
            tables=tuple(plan.table for plan in plans),
            rows=tuple(plan.rows for plan in plans),
            fingerprints=tuple(plan.fingerprint for plan in plans),
            segments=self._segments,
            mapping={
                f"{place} {plan.call}": plan.mapping.describe() for place, plan in enumerate(plans)
            },
            decisions={f"{place} {plan.call}": plan.decisions for place, plan in enumerate(plans)},
            limits={"message_bytes": plans[0].message_bytes, "batch_bytes": plans[0].batch_bytes},
            namespace=" ".join(dict.fromkeys(plan.namespace for plan in plans)),
        )

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) - _INTERNAL)

    def _segments(self, choice: Choice) -> Generator[Segment]:
        from cio_frames.plan.links import linked

        first, links = 0, linked(self.plans)
        for place, plan in enumerate(self.plans):
            with closing(plan.segments(choice, links=links, plan=place, first=first)) as segments:
                for segment in segments:
                    yield segment
                    first = segment.number + 1

    def _made(
        self, client: Client, *, audit: Path | str, repeat: bool, in_doubt: InDoubt | None
    ) -> tuple[Job, Choice]:
        """Return what a run is given to do, and which rows it sends."""
        require_in_doubt(in_doubt)
        self.require_sendable()
        if repeat:
            return self.job(), Choice()
        now = self.plans[0].clock()
        return self.job(), choose(audit, client=client, in_doubt=in_doubt, now=now)

    def _remember(self, run: Run) -> None:
        _MADE[str(run.audit)] = self


_MADE: WeakValueDictionary[str, Sendable] = WeakValueDictionary()
"""What the runs of this process were made from, as long as somebody keeps it."""


def resume(
    directory: Path | str,
    client: Client,
    plan: Sendable | None = None,
    *,
    in_doubt: InDoubt | None = None,
    progress: ShowProgress = "auto",
    wait: bool = True,
) -> Run:
    """Finish what a run left: after a crash, an interrupt or an outage.

    What arrived is not sent again. What is pending is sent; what is in doubt follows a policy by
    call and age: events, people and groups are sent again within a day of their first attempt,
    form submissions never.

    Args:
        directory: The run's directory, `audit/<run>`.
        client: Where to send; the same workspace.
        plan: The plan or back-fill the run was made from. Messages are not kept on disk, so it
            is needed in another process than the one that made the run.
        in_doubt: "resend", "skip" (take as arrived) or "report" (leave in doubt) instead of the
            policy.
        progress: "auto", False, a kind of display, or a function that gets the states.
        wait: Whether to wait for the end.

    Raises:
        AuditError: The plan is needed, or is not the one the run was made from.
    """
    made_from = plan if plan is not None else _MADE.get(str(Path(directory).absolute()))
    if made_from is None:
        raise AuditError(
            f"The messages of {directory} are not kept on disk. Pass the plan it was made from: "
            "cio.resume(directory, client, plan)."
        )
    run = take_up(
        made_from.job(),
        client=client,
        directory=directory,
        in_doubt=in_doubt,
        progress=progress,
        detached=not wait,
    )
    return run.start().wait() if wait else run.start()
