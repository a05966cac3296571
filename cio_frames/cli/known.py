"""`--known`: the people of the workspace, from a file or from the workspace itself."""

from collections.abc import Callable

from cio_frames.errors import MissingKeyError, UsageError
from cio_frames.frames import scan
from cio_frames.plan import Plan
from cio_frames.plan.workspace_people import WorkspacePeople
from cio_frames.spec import Region
from cio_frames.views.displays import ShowProgress
from cio_frames.workspaces import Client, connect

WORKSPACE = "workspace"
EXPORT = "export:"


def preview_known(
    plan: Plan, known: str | None, *, client: Callable[[], Client], progress: ShowProgress = "auto"
) -> None:
    """Compute the identity preview for the report of a plan, if there is `known`.

    Args:
        plan: The plan.
        known: A file, "workspace", or "export:" and the id of an export.
        client: Returns the client that reads the workspace.
        progress: As for `send`.

    Raises:
        UsageError: The id of an export is not a number.
    """
    people = people_of(known, client=client, progress=progress)
    if people is not None:
        plan.identity(people, progress=progress)


def app_api_client(region: Region | None = None, *, endpoint: str | None = None) -> Client:
    """Return a client that reads the workspace.

    Args:
        region: Where the account is; CIO_REGION if not given.
        endpoint: A server on this machine instead of Customer.io.

    Raises:
        MissingKeyError: There is no App API key.
    """
    try:
        return connect(region, endpoint=endpoint)
    except MissingKeyError:
        raise MissingKeyError("app_api_key", variable="CIO_APP_API_KEY") from None


def people_of(
    known: str | None, *, client: Callable[[], Client], progress: ShowProgress = "auto"
) -> WorkspacePeople | None:
    """Return the people that the option names, or None; the arguments of `preview_known`."""
    return None if known is None else read_people(known, client=client, progress=progress)


def read_people(
    known: str, *, client: Callable[[], Client], progress: ShowProgress = "auto"
) -> WorkspacePeople:
    """Return the people of a file, "workspace" or an export; the arguments of `preview_known`."""
    if known == WORKSPACE:
        return client()
    if not known.startswith(EXPORT):
        return scan(known)
    number = known.removeprefix(EXPORT)
    if not (number.isascii() and number.isdigit()):
        raise UsageError(f"--known {known}: write the id of an export, such as {EXPORT}110.")
    return client().people(export=int(number), progress=progress)
