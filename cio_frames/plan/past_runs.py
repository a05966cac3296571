"""Resume, reconcile or undo the run of a directory, in the process that made it or another one."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, overload, runtime_checkable

from cio_frames.audit import Audit, require_run
from cio_frames.checks import Checks
from cio_frames.errors import ArgumentError, AuditError
from cio_frames.frames import AnyTable
from cio_frames.identity import Settings
from cio_frames.plan.plan import PLANS_BY_RUN, Backfill, FollowUp, Sendable, job_of, require_client
from cio_frames.run import InDoubt, Run, SendOptions, resumed_run
from cio_frames.sending import Client
from cio_frames.views.displays import ShowProgress

if TYPE_CHECKING:
    from cio_frames.plan.workspace_people import WorkspacePeople
    from cio_frames.run.reconciliation import Reconciliation
    from cio_frames.run.undo import Undo


ResumedRun_co = TypeVar("ResumedRun_co", covariant=True)

NOT_OFFERED = (
    "A run on Spark cannot be {}: that takes its messages, which this machine does not have. "
    "cio.audit(run.audit).messages has the state of every row, and client.people() reads the workspace."
)


@runtime_checkable
class Resumable(Protocol[ResumedRun_co]):
    """A plan that is not sent from this process, and resumes its own runs."""

    def resumed(
        self, directory: Path | str, client: Client, *, options: SendOptions
    ) -> ResumedRun_co:
        """Send what the run of this directory has not finished."""


@overload
def resume(
    directory: Path | str,
    client: Client,
    plan: Sendable | None = None,
    *,
    in_doubt: InDoubt | None = None,
    progress: ShowProgress = "auto",
    wait: bool = True,
) -> Run: ...


@overload
def resume(
    directory: Path | str,
    client: Client,
    plan: Resumable[ResumedRun_co],
    *,
    in_doubt: InDoubt | None = None,
    progress: ShowProgress = "auto",
    wait: bool = True,
) -> ResumedRun_co: ...


def resume(
    directory: Path | str,
    client: Client,
    plan: Sendable | Resumable[ResumedRun_co] | None = None,
    *,
    in_doubt: InDoubt | None = None,
    progress: ShowProgress = "auto",
    wait: bool = True,
) -> Run | ResumedRun_co:
    """Finish a run after a crash, an interrupt or an outage.

    What arrived is not sent again; what is pending is sent. Messages in doubt are sent again within a
    day of their first attempt, except form submissions, which never are.

    Args:
        directory: The run's directory, `audit/<run>`.
        client: Where to send; the same workspace.
        plan: The plan or back-fill the run was made from. Messages are not kept on disk, so it
            is needed in another process than the one that made the run.
        in_doubt: "resend", "skip" (count as arrived) or "report" (leave in doubt) for all messages in
            doubt instead.
        progress: "auto", False, a kind of display, or a function that gets the states.
        wait: Whether to wait for the end.

    Raises:
        AuditError: The plan is needed, or is not the one the run was made from.
    """
    require_client(client)
    options = SendOptions(progress=progress, wait=wait, in_doubt=in_doubt)
    if isinstance(plan, Resumable):
        return plan.resumed(directory, client, options=options)
    original = _made_from(directory, plan, how="cio.resume({!r}, client, plan)")
    run = resumed_run(
        job_of(original.pipelines), client=client, directory=directory, options=options
    ).start()
    return run.wait() if wait else run


def reconcile(
    directory: Path | str,
    held: "WorkspacePeople",
    plan: Sendable | None = None,
    *,
    before: AnyTable | None = None,
    settings: Settings | None = None,
    events: int = 300,
    seed: int | None = None,
    progress: ShowProgress = "auto",
) -> "Reconciliation":
    """Compare a workspace with what a run should have left there, as `run.reconcile` does.

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
        ArgumentError: The run was on Spark.
        AuditError: The plan is needed, or is not the one the run was made from.
        MissingKeyError: The client has no App API key.
        WorkspaceReadError: The people cannot be read.

    Examples:
        >>> import polars as pl, cio_frames as cio, tempfile
        >>> plan = pl.DataFrame({"id": ["u1", "u2"], "tier": ["pro", "free"]}).cio.identify(user_id="id")
        >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
        ...     run = plan.send(workspace.client(), audit=folder, progress=False)
        ...     export = pl.DataFrame({"id": ["u1", "u2"], "tier": ["pro", "basic"]})
        ...     result = cio.reconcile(run.audit, export, plan, progress=False)
        >>> result.differences.select("kind", "id", "name", "expected", "actual").rows()
        [('other value', 'u2', 'tier', 'free', 'basic')]
    """
    _require_local(plan, action="compared with what the workspace holds")
    original = _made_from(directory, plan, how="cio.reconcile({!r}, client, plan)")
    return FollowUp(original.pipelines).reconcile(
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
    current: "WorkspacePeople | None" = None,
    settings: Settings | None = None,
    checks: Checks | None = None,
) -> "Undo[Backfill]":
    """Return the undo of the run of a directory, as `run.undo` does. Nothing is sent.

    Args:
        directory: The run's directory, `audit/<run>`.
        known: The people as they were before the run; without it, those that the run has kept.
        plan: The plan or back-fill the run was made from. Messages are not kept on disk, so it is
            needed in another process than the one that made the run.
        objects: As for `run.undo`.
        relationships: As for `run.undo`.
        current: As for `run.undo`.
        settings: As for `run.undo`.
        checks: As for `run.undo`.

    Raises:
        ArgumentError: The run was on Spark.
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
    _require_local(plan, action="undone")
    original = _made_from(directory, plan, how="cio.undo({!r}, known=known, plan=plan)")
    return FollowUp(original.pipelines).undo(
        Path(directory), known, objects=objects, relationships=relationships, current=current,
        settings=settings, checks=checks,
    )  # fmt: skip


def _require_local(plan: object, *, action: str) -> None:
    """Raise if a plan is for a Spark frame, whose messages only executors have."""
    if isinstance(plan, Resumable):
        raise ArgumentError(NOT_OFFERED.format(action))


def _made_from(directory: Path | str, plan: Sendable | None, *, how: str) -> Sendable:
    """Return the plan that was passed, or the one that a run of this process was made from.

    Raises:
        AuditError: It is needed; the error says `how` to pass it.
    """
    original = plan if plan is not None else PLANS_BY_RUN.get(str(Path(directory).absolute()))
    if original is None:
        require_run(directory)
        Audit(directory)  # raises where there is none
        raise AuditError(
            f"The messages of {directory} are not kept on disk. Pass the original plan:\n"
            f"    {how.format(str(directory))}"
        )
    return original
