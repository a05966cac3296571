"""Look whether a run has arrived, or undo it, in whichever process: the run is known by its directory."""

from pathlib import Path
from typing import TYPE_CHECKING

from cio_frames.checks import Checks
from cio_frames.frames import AnyTable
from cio_frames.identity import Settings
from cio_frames.plan.follow_up import FollowUp
from cio_frames.plan.known import Known
from cio_frames.plan.plan import Backfill, Sendable, backfill_of, made_from_plan
from cio_frames.views.displays import ShowProgress

if TYPE_CHECKING:
    from cio_frames.run.reconciliation import Reconciliation
    from cio_frames.run.undo import Undo


def reconcile(
    directory: Path | str,
    held: Known,
    plan: Sendable | None = None,
    *,
    before: AnyTable | None = None,
    settings: Settings | None = None,
    events: int = 300,
    seed: int | None = None,
    progress: ShowProgress = "auto",
) -> "Reconciliation":
    """Compare what a workspace holds now with what a run should have left there, as `run.reconcile` does.

    Args:
        directory: The run's directory, `audit/<run>`.
        held: A client with an App API key, which reads the workspace, or an export of its people as a
            table.
        plan: The plan or back-fill the run was made from. Messages are not kept on disk, so it
            is needed in another process than the one that made the run.
        before: As for `run.reconcile`.
        settings: As for `run.reconcile`.
        events: As for `run.reconcile`.
        seed: As for `run.reconcile`.
        progress: As for `plan.send`.

    Raises:
        AuditError: The plan is needed, or is not the one the run was made from.
        MissingKeyError: The client has no App API key.
        WorkspaceReadError: The people cannot be read.

    Examples:
        >>> import polars as pl, cio_frames as cio, tempfile
        >>> plan = pl.DataFrame({"id": ["u1", "u2"], "tier": ["pro", "free"]}).cio.identify(user_id="id")
        >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
        ...     run = plan.send(workspace.client(), audit=folder, progress=False)
        ...     export = pl.DataFrame({"id": ["u1", "u2"], "tier": ["pro", "basic"]})
        ...     found = cio.reconcile(run.audit, export, plan, progress=False)
        >>> found.differences.select("kind", "id", "name", "expected", "actual").rows()
        [('other value', 'u2', 'tier', 'free', 'basic')]
    """
    made_from = made_from_plan(directory, plan, how="cio.reconcile({!r}, client, plan)")
    return FollowUp(made_from.pipelines, backfill_of).reconcile(
        Path(directory), held, before=before, settings=settings, events=events, seed=seed,
        progress=progress,
    )  # fmt: skip


def undo(
    directory: Path | str,
    known: AnyTable | None = None,
    plan: Sendable | None = None,
    *,
    objects: AnyTable | None = None,
    relationships: AnyTable | None = None,
    current: Known | None = None,
    settings: Settings | None = None,
    checks: Checks | None = None,
) -> "Undo[Backfill]":
    """Do what `run.undo` does, for the run of a directory. Nothing is sent.

    Args:
        directory: The run's directory, `audit/<run>`.
        known: The people as they were before the run; those that it has kept without.
        plan: The plan or back-fill the run was made from. Messages are not kept on disk, so it is
            needed in another process than the one that made the run.
        objects: As for `run.undo`.
        relationships: As for `run.undo`.
        current: As for `run.undo`.
        settings: As for `run.undo`.
        checks: As for `run.undo`.

    Raises:
        AuditError: The plan is needed, or is not the one the run was made from.
        MappingError: `known` is missing, is a client, or has no column of identifiers.

    Examples:
        >>> import polars as pl, cio_frames as cio, tempfile
        >>> plan = pl.DataFrame({"id": ["u1", "u2"], "plan": ["pro"] * 2}).cio.identify(user_id="id")
        >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
        ...     workspace.load([{"id": "u1", "attributes": '{"plan": "free"}'}])
        ...     before, client = workspace.people, workspace.client()
        ...     run = plan.send(client, audit=folder, progress=False)
        ...     undo = cio.undo(run.audit, before, plan=plan)
        ...     undo.summary["attributes_restored"], undo.summary["people_deleted"]
        (1, 1)
    """
    made_from = made_from_plan(directory, plan, how="cio.undo({!r}, known=known, plan=plan)")
    return FollowUp(made_from.pipelines, backfill_of).undo(
        Path(directory), known, objects=objects, relationships=relationships, current=current,
        settings=settings, checks=checks,
    )  # fmt: skip
