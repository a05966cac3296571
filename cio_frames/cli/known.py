"""`--known`: the people whom the workspace has, from a file or from the workspace itself."""

from collections.abc import Callable

from cio_frames.errors import UsageError
from cio_frames.frames import scan
from cio_frames.plan import Plan
from cio_frames.plan.known import Known
from cio_frames.views.displays import ShowProgress
from cio_frames.workspaces import Client

WORKSPACE = "workspace"
EXPORT = "export:"


def preview_with(
    plan: Plan, known: str | None, *, client: Callable[[], Client], progress: ShowProgress = "auto"
) -> None:
    """Find out who is new, for the report of a plan; without `known` nobody is asked.

    Args:
        plan: The plan.
        known: A file, "workspace", or "export:" and the id of an export.
        client: Makes or returns the client that reads the workspace.
        progress: As for `send`.

    Raises:
        UsageError: The id of an export is not a number.
    """
    if known is not None:
        plan.identity(_people(known, client=client, progress=progress), progress=progress)


def _people(known: str, *, client: Callable[[], Client], progress: ShowProgress) -> Known:
    if known == WORKSPACE:
        return client()
    if not known.startswith(EXPORT):
        return scan(known)
    number = known.removeprefix(EXPORT)
    if not (number.isascii() and number.isdigit()):
        raise UsageError(f"--known {known}: write the id of an export, such as {EXPORT}110.")
    return client().people(export=int(number), progress=progress)
