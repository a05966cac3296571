"""The two kinds of workspace a plan can be sent to: a real one, and an embedded one."""

from typing import TYPE_CHECKING, Any

from cio_frames.identity import Settings
from cio_frames.sending import Client, connect

if TYPE_CHECKING:
    from cio_frames.sandbox import Sandbox


def sandbox(
    *, settings: Settings | None = None, rate: float | None = None, **options: Any
) -> "Sandbox":
    """Make an embedded workspace that answers on this machine as Customer.io does.

    Args:
        settings: How the workspace is set up; a new one without.
        rate: Most requests per second of its clients; none by default.
        options: Further settings of `cio_frames.sandbox.Sandbox`.

    Examples:
        >>> import polars as pl, cio_frames as cio
        >>> people = pl.DataFrame({"id": ["u1"], "email": ["ada@example.com"]})
        >>> with cio.sandbox() as workspace:
        ...     workspace.people.height
        0
    """
    from cio_frames.sandbox import Sandbox

    def client(workspace: Sandbox) -> Client:
        return connect(
            "us",
            endpoint=workspace.url,
            write_key=workspace.write_key,
            site_id=workspace.site_id,
            track_api_key=workspace.track_api_key,
            rate=rate,
        )

    return Sandbox(settings=settings, connect=client, **options)
