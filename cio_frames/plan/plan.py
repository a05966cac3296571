"""Plans and back-fills: what would be sent, to be checked, previewed and rehearsed before it is."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

import polars as pl

from cio_frames.audit.file_system import Durability
from cio_frames.audit.pseudonyms import Pii
from cio_frames.errors import ArgumentError, ChoiceError, MappingError, checks_arguments
from cio_frames.frames import ROW
from cio_frames.identity import Settings
from cio_frames.identity.settings import LARGEST
from cio_frames.plan.outcome import allowing, outcome
from cio_frames.plan.pipeline import Pipeline, Pipelines
from cio_frames.plan.report import findings_of, plan_view, summary, with_other_forms
from cio_frames.plan.table_plan import TablePlan
from cio_frames.run import (
    InDoubt,
    Job,
    RowSelection,
    Run,
    SendOptions,
    new_run,
    select_rows,
    starting,
)
from cio_frames.sending import Client
from cio_frames.sending.client import RATE
from cio_frames.validation import as_texts
from cio_frames.views import report
from cio_frames.views.displays import ShowProgress
from cio_frames.views.document import Document
from cio_frames.views.render import Shown

if TYPE_CHECKING:  # loaded when they are used: most plans are sent without them
    from cio_frames.plan.corrected import Corrected
    from cio_frames.plan.estimate import Estimate
    from cio_frames.plan.identity_preview import IdentityPreview, OnConflict
    from cio_frames.plan.ordering import Advice
    from cio_frames.plan.rehearsal import Rehearsal
    from cio_frames.plan.saved_plan import SavedPlan
    from cio_frames.plan.workspace_people import WorkspacePeople
    from cio_frames.run.reconciliation import Reconciliation
    from cio_frames.run.undo import Undo

LATENCY_S = 0.15
"""How long a request to Customer.io is expected to take."""

_CLIENT = (
    "Pass a client: plan.send(cio.connect()) uses the keys in your environment, "
    "plan.send(cio.sandbox().client()) sends to an embedded workspace."
)
_takes_client = checks_arguments(lambda *_: _CLIENT)


def require_client(client: object) -> None:
    """Raise unless this is a client."""
    if not isinstance(client, Client):
        raise ArgumentError(f"A {type(client).__name__} is not a client. {_CLIENT}")


def allowed(allow: Mapping[str, int | str] | None) -> dict[str, int] | None:
    """Return the numbers in `allow=`; None if it was not passed."""
    if allow is None:
        return None
    from cio_frames.plan.allowances import allowances

    return allowances(allow)


def _require_allowed(pipelines: Pipelines, client: Client, options: SendOptions) -> None:
    """Raise if sending does more than is allowed; on this machine, only if numbers were passed."""
    if options.allow is None and client.is_local:
        return
    from cio_frames.plan.allowances import merge_preview, require_allowed

    preview = merge_preview(pipelines, progress=options.progress)
    require_allowed(pipelines, options.allow or {}, preview=preview)


_INTERNAL = frozenset({"pipeline", "pipelines", "require_sendable"})
"""Members for this package, which completion does not offer."""


@dataclass(frozen=True, eq=False, repr=False)
class Sendable:
    """What can be done with a plan or a back-fill."""

    pipelines: Pipelines

    def require_sendable(self) -> None:
        """Raise if findings forbid sending, or if there are rows and none of them can be sent.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first.
        """
        self.pipelines.require_sendable()

    def identity(
        self,
        known: "WorkspacePeople | None" = None,
        *,
        settings: Settings | None = None,
        on_conflict: "OnConflict" = "report",
        largest: int = LARGEST,
        progress: ShowProgress = "auto",
    ) -> "IdentityPreview[Plan | Backfill]":
        """Preview which people the rows create, update and merge, and the conflicts between them.

        Args:
            known: An export of the workspace's people: any table with the columns id, email,
                cio_id and anonymous_id. Without it everybody counts as new. With the column
                unsubscribed (or attributes, as JSON) the opt-outs that end are counted. A client
                with an App API key reads the people itself, once for this plan; to read them again,
                pass `client.people()`.
            settings: How the workspace is set up; as a new one if not given.
            on_conflict: "report" only reports; "reject" excludes the rows that cause conflicts
                (`.plan` of the result sends the rest); "refuse" raises.
            largest: The most identifiers that one person may have; ten times as many rows.
            progress: As for `send`; shown for large plans only.

        Raises:
            IdentityRefusedError: There are conflicts, and `on_conflict` is "refuse".
            MappingError: `known` has no column of identifiers.
            WorkspaceReadError: `known` is a client, and the people cannot be read.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> people = pl.DataFrame({"id": ["u1", "u2"], "email": ["a@example.com"] * 2})
            >>> preview = people.cio.identify(user_id="id").identity()
            >>> preview.summary["creates"], preview.conflicts["kind"].to_list()
            (1, ['identifier.replaced'])
        """
        from cio_frames.plan.identity_preview import identity, premise_of

        premise = premise_of(
            self.pipelines, known, settings=settings, progress=progress, largest=largest
        )
        return identity(
            self.pipelines, premise, on_conflict=on_conflict, progress=progress, plan_of=plan_of
        )

    def rehearse(
        self,
        known: "WorkspacePeople | None" = None,
        *,
        settings: Settings | None = None,
        progress: ShowProgress = "auto",
    ) -> "Rehearsal":
        """Send everything to a private embedded workspace, and compare with the preview.

        Args:
            known: As for `identity`.
            settings: As for `identity`.
            progress: As for `send`.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> people = pl.DataFrame({"id": ["u1", "u2"], "email": ["a@example.com"] * 2})
            >>> people.cio.identify(user_id="id").rehearse(progress=False).as_predicted
            True
        """
        from cio_frames.plan.identity_preview import premise_of
        from cio_frames.plan.rehearsal import rehearse

        premise = premise_of(self.pipelines, known, settings=settings, progress=progress)

        def send(client: Client, **values: Any) -> Run:
            options = SendOptions(**values)
            return self._sent(client, options, self._prepared(client, options))

        return rehearse(self.pipelines, premise, send=send, progress=progress)

    def estimate(
        self,
        client: Client | None = None,
        *,
        known: "WorkspacePeople | None" = None,
        settings: Settings | None = None,
        rate: float | None = RATE,
        latency_s: float = LATENCY_S,
        price_per_profile: float | None = None,
        progress: ShowProgress = "auto",
    ) -> "Estimate":
        """Estimate what sending takes: requests, bytes, time, new profiles and their price.

        Args:
            client: Where the plan would be sent, for its limits.
            known: As for `identity`; without it everybody counts as new.
            settings: As for `identity`.
            rate: The most requests per second, if there is no client.
            latency_s: How long Customer.io takes to answer.
            price_per_profile: What a new profile costs.
            progress: As for `send`.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> plan = pl.DataFrame({"id": ["u1", "u2"]}).cio.identify(user_id="id")
            >>> estimate = plan.estimate(price_per_profile=0.01)
            >>> estimate.requests, estimate.new_profiles, estimate.price
            (1, 2, 0.02)
        """
        from cio_frames.plan.estimate import estimate
        from cio_frames.plan.identity_preview import premise_of

        if client is not None:
            self.pipelines.remember_client(client)
        return estimate(
            self.pipelines,
            premise_of(self.pipelines, known, settings=settings, progress=progress),
            client=client,
            rate=rate,
            latency_s=latency_s,
            price_per_profile=price_per_profile,
            progress=progress,
        )

    def save(
        self,
        path: Path | str,
        *,
        client: Client | None = None,
        known: "WorkspacePeople | None" = None,
        settings: Settings | None = None,
        expires: timedelta | None = timedelta(days=7),
    ) -> "SavedPlan":
        """Write the plan to a file that others review, approve and `cio.apply`.

        It holds the mapping, repairs, checks with reasons, counts, findings by code, the outcome of the identity
        preview, the estimate, and hashes of the table and of its messages; no value of the table.

        Args:
            path: The file, such as "july.cioplan".
            client: Where to send; with it, the plan can be applied to that workspace only.
            known: As for `identity`.
            settings: As for `identity`.
            expires: How long it may be applied; None for no limit.

        Raises:
            SavedPlanError: The file cannot be written.

        Examples:
            >>> import polars as pl, cio_frames as cio, tempfile
            >>> plan = pl.DataFrame({"id": ["u1", "u2"]}).cio.identify(user_id="id")
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     plan.save(f"{folder}/people.cioplan").plans[0]["counts"]["valid"]
            2
        """
        from cio_frames.plan.saved_plan import saved_plan

        saved = saved_plan(
            self.pipelines, client=client, known=known, settings=settings, expires=expires
        )
        saved.write(path)
        return saved

    @_takes_client
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
        allow: Mapping[str, int | str] | None = None,
        keep_undo: bool = False,
    ) -> Run:
        """Check again, send, show progress, and record the outcome of every row.

        Args:
            client: Where to send: `cio.connect(...)` or `cio.sandbox().client()`.
            audit: Directory of the records of all runs.
            progress: "auto", False, a kind of display, or a function that gets the states.
            wait: Whether to wait for the end; otherwise `run.wait()` and `run.stop()` can be called.
            repeat: Whether to send again what an earlier run in `audit` delivered.
            in_doubt: What to do with messages that an earlier run left in doubt: "resend",
                "skip", "report"; by default it depends on the call and on their age.
            durability: What the record is safe against: a "power" cut, or the end of the
                "process".
            pii: How the record keeps identifiers: as keyed hashes ("hmac"), not at all, only row
                numbers and message ids ("ids"), or as they are ("full").
            allow: How many "campaigns" (events that can start some), "opt_outs" that end,
                "deletions" and "merges" are allowed, as `{"campaigns": 37}`, in figures or in words.
                None allows none of them in Customer.io, and all of them on this machine.
            keep_undo: Whether to read the people that the rows name before anything is sent, and to
                keep them with the record, encrypted, so that `run.undo()` needs no export. It needs
                an App API key.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first; nothing was sent.
            AllowanceError: More than `allow` would happen; nothing was sent.
            RunStoppedError: The answers forbid going on; its `run` has the outcome of each row.

        Examples:
            >>> import polars as pl, cio_frames as cio, tempfile
            >>> plan = pl.DataFrame({"id": ["u1", "u2"]}).cio.identify(user_id="id")
            >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
            ...     run = plan.send(workspace.client(), audit=folder, progress=False)
            ...     run.counts["delivered"], workspace.people.height
            (2, 2)
        """
        options = SendOptions(
            audit=audit, progress=progress, wait=wait, repeat=repeat, in_doubt=in_doubt,
            durability=durability, pii=pii, allow=allowed(allow), keep_undo=keep_undo,
        )  # fmt: skip
        prepared = self._prepared(client, options)
        self.pipelines.remember_client(client)
        return self._sent(client, options, prepared)

    @_takes_client
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
        allow: Mapping[str, int | str] | None = None,
        keep_undo: bool = False,
    ) -> Run:
        """Send as `send` does, without blocking other tasks.

        Args:
            client: Where to send.
            audit: Directory of the records of all runs.
            progress: "auto", False, a kind of display, or a function that gets the states.
            repeat: As for `send`.
            in_doubt: As for `send`.
            durability: As for `send`.
            pii: As for `send`.
            allow: As for `send`.
            keep_undo: As for `send`.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first; nothing was sent.
            AllowanceError: More than `allow` would happen; nothing was sent.
            RunStoppedError: The answers forbid going on; its `run` has the outcome of each row.
        """
        options = SendOptions(
            audit=audit, progress=progress, wait=False, repeat=repeat, in_doubt=in_doubt,
            durability=durability, pii=pii, allow=allowed(allow), keep_undo=keep_undo,
        )  # fmt: skip
        prepared = await asyncio.to_thread(self._prepared, client, options)
        self.pipelines.remember_client(client)
        return await self._new_run(client, options, prepared).start()

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) - _INTERNAL)

    def _prepared(
        self, client: Client, options: SendOptions
    ) -> tuple[Job, RowSelection, ExitStack]:
        """Return the job of a run, the rows that it sends, and a lock that keeps other runs from starting."""
        self.require_sendable()
        require_client(client)
        for pipeline in self.pipelines.all:
            client.require(pipeline.call)
        client.require_network()
        _require_allowed(self.pipelines, client, options)
        differences = self.pipelines.drift_notes(options.audit, workspaces=client.workspaces)
        job = job_of(self.pipelines)
        now = self.pipelines.all[0].clock()
        job = replace(job, notes=(*job.notes, *differences))
        if options.keep_undo:
            from cio_frames.plan.people_before import people_before

            former = people_before(self.pipelines, client, progress=options.progress)
            job = replace(job, former_people=former)
        with ExitStack() as stack:
            stack.enter_context(starting(job, client=client, directory=options.audit))
            return job, select_rows(job, client, options, now=now), stack.pop_all()

    def _sent(
        self, client: Client, options: SendOptions, prepared: tuple[Job, RowSelection, ExitStack]
    ) -> Run:
        run = self._new_run(client, options, prepared).start()
        return run.wait() if options.wait else run

    def _new_run(
        self, client: Client, options: SendOptions, prepared: tuple[Job, RowSelection, ExitStack]
    ) -> Run:
        job, selection, lock = prepared
        with lock:
            run = new_run(job, client=client, options=options, selection=selection)
        PLANS_BY_RUN[str(run.audit)] = self
        return run


PLANS_BY_RUN: WeakValueDictionary[str, Sendable] = WeakValueDictionary()
"""The plans of the runs of this process, as long as they are referenced."""


@dataclass(frozen=True, eq=False, repr=False)
class Plan(TablePlan, Sendable):
    """What would be sent for one table. Nothing is sent before `send`.

    Attributes:
        checks: Which checks apply.
    """

    @property
    def findings(self) -> Any:
        """All findings of the checks, worst first, as a frame of the user's library.

        Columns are row, code, severity, column, value, message and hint; row is empty where a
        finding is about the whole table.
        """
        findings = as_texts(self.pipeline.full_check.findings)
        if self.pipelines.library == "pandas":  # where a missing text would be a NaN
            findings = findings.with_columns(pl.col(pl.String).fill_null(""))
        return self._native(findings)

    @property
    def rejected(self) -> Any:
        """The rows that would not be sent, all their columns, plus `reasons`."""
        reasons = self.pipeline.full_check.reasons.sort("row")
        extra = reasons.select(pl.col("row").alias(ROW), pl.col("code").alias("reasons"))
        return self.pipeline.table.pick(reasons["row"], extra)

    def corrected(self, rows: "Corrected") -> "Plan":
        """Return a new plan for rows that were excluded and have been corrected since.

        The call, its arguments, the checks and the repairs are the same. Each column gets its former
        type, whatever a spreadsheet has made of it; the reasons and columns that the table did not
        have are ignored. Reports and the record number the rows as in the corrected table.

        Args:
            rows: The corrected rows: a frame, or the path of a CSV or Parquet file such as
                `cio-frames check --rejected` writes.

        Raises:
            FrameError: A column that is sent is missing, or a value does not fit its column.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> people = pl.DataFrame({"id": ["u1", None], "email": ["a@example.com"] * 2})
            >>> plan = people.cio.identify(user_id="id")
            >>> rows = plan.rejected.with_columns(id=pl.lit("u2"))
            >>> plan.corrected(rows).payloads()[0]["userId"]
            'u2'
        """
        from cio_frames.plan.corrected import corrected_table

        pipeline = self.pipeline
        table = corrected_table(rows, table=pipeline.table, mapping=pipeline.mapping)
        return planned(replace(pipeline, table=table, is_rest=True))


class Backfill(Shown, Sendable):
    """Several plans in order. Each starts after everything before it has arrived.

    Args:
        plans: The plans; at least one.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        if not plans:
            raise MappingError("A back-fill needs at least one plan: cio.backfill([plan, ...]).")
        given: Sequence[object] = plans
        others = [plan for plan in given if not isinstance(plan, Plan)]
        if others and isinstance(others[0], TablePlan):
            raise MappingError(
                "A back-fill takes no plans of Spark frames. Send them one after another: "
                "people.send(client), then events.send(client)."
            )
        if others:
            raise MappingError(
                f"A back-fill takes plans, not {type(others[0]).__name__}: "
                'cio.backfill([df.cio.identify(user_id="id"), ...]).'
            )
        super().__init__(Pipelines(tuple(plan.pipeline for plan in plans)))

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans, in the order in which they are sent."""
        return tuple(planned(pipeline) for pipeline in self.pipelines.all)

    @property
    def counts(self) -> dict[str, int]:
        """The counts of all plans together."""
        return self.pipelines.counts

    @property
    def findings(self) -> pl.DataFrame:
        """The findings of the checks, after `plan`, the position of the plan.

        `id.other-form` is about the plans together: ids that another plan has in another form.
        """
        frames = [
            as_texts(pipeline.full_check.findings).select(pl.lit(place).alias("plan"), pl.all())
            for place, pipeline in enumerate(self.pipelines.checked())
        ]
        return pl.concat([*frames, findings_of(self.pipelines.other_forms)])

    @property
    def summary(self) -> pl.DataFrame:
        """The findings of the checks, one line for each code and column, after `plan`."""
        frames = [
            summary(pipeline).select(pl.lit(place).alias("plan"), pl.all())
            for place, pipeline in enumerate(self.pipelines.checked())
        ]
        return pl.concat(frames)

    def advice(
        self,
        known: "WorkspacePeople | None" = None,
        *,
        settings: Settings | None = None,
        progress: ShowProgress = "auto",
    ) -> "Advice":
        """Return what is lost in the order of the plans, and an order in which nothing is.

        Args:
            known: As for `identity`.
            settings: As for `identity`.
            progress: As for `send`.
        """
        from cio_frames.plan.identity_preview import premise_of
        from cio_frames.plan.ordering import advise

        premise = premise_of(self.pipelines, known, settings=settings, progress=progress)
        return advise(self.pipelines, premise, progress=progress)

    def __repr__(self) -> str:
        if not hasattr(self, "pipelines"):  # in a traceback of its constructor
            return object.__repr__(self)
        return super().__repr__()

    def _document(self) -> Document:
        pipelines, preview = self.pipelines.checked(), self.pipelines.last_preview
        client = self.pipelines.client
        views = [replace(plan_view(pipeline), allow_line="") for pipeline in pipelines]
        return report.backfill(
            with_other_forms(views, self.pipelines.other_forms),
            outcome=outcome(pipelines, preview, client=client),
            allow_line=allowing(
                pipelines, preview, client=client, send_call=self.pipelines.send_call
            ),
        )


def backfill(
    plans: Sequence[Plan],
    *,
    order: Literal["given", "advised"] = "given",
    known: "WorkspacePeople | None" = None,
) -> Backfill:
    """Join several plans into one that is sent in order.

    Args:
        plans: The plans, in the order in which they are sent.
        order: "given" keeps that order; "advised" takes the one that `advice()` proposes.
        known: An export of the workspace's people, or a client that reads them, for the advice.

    Raises:
        MappingError: There is no plan, `order` has another value, or something is lost in every order.

    Examples:
        >>> import polars as pl, cio_frames as cio
        >>> people = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")
        >>> events = pl.DataFrame({"id": ["u1"]}).cio.track(event=cio.lit("Joined"), user_id="id")
        >>> cio.backfill([people, events]).counts["rows"]
        2
    """
    ChoiceError.require("order", order, ("given", "advised"))
    joined = Backfill(plans)
    if order == "given":
        return joined
    from cio_frames.plan.identity_preview import premise_of
    from cio_frames.plan.ordering import in_advised_order

    premise = premise_of(joined.pipelines, known, settings=None, progress="auto")
    return backfill_of(in_advised_order(joined.pipelines, premise))


def planned(pipeline: Pipeline) -> Plan:
    """Return the plan of one table."""
    return Plan(Pipelines((pipeline,)))


def plan_of(pipelines: Pipelines) -> Plan | Backfill:
    """Return the plan of one table, or the back-fill of several."""
    return Plan(pipelines) if len(pipelines.all) == 1 else backfill_of(pipelines)


def backfill_of(pipelines: Pipelines) -> Backfill:
    """Return the back-fill of several tables."""
    return Backfill([planned(pipeline) for pipeline in pipelines.all])


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What can be done with the plans of a run after it has ended, as `run.FollowUp`."""

    pipelines: Pipelines

    def reconcile(self, directory: Path, held: Any, **options: Any) -> "Reconciliation":
        """Compare a workspace with what the run of this directory should have left there."""
        from cio_frames.plan.reconciler import reconcile

        return reconcile(self.pipelines, directory, held, **options)

    def undo(self, directory: Path, known: Any = None, **options: Any) -> "Undo[Backfill]":
        """Return the back-fill that undoes the run of this directory."""
        from cio_frames.plan.undo import undo

        return undo(self.pipelines, directory, known, backfill_of=backfill_of, **options)


def job_of(pipelines: Pipelines) -> Job:
    """Return the job of a run, with what can be done after it."""
    return replace(pipelines.job(), follow_up=FollowUp(pipelines))
