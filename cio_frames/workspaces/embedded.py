"""The embedded workspace with clients of this package."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from cio_frames.identity import Settings
from cio_frames.sandbox import FaultProfile, Faults
from cio_frames.spec import Region
from cio_frames.workspaces.client import Client, connect

if TYPE_CHECKING:
    from cio_frames.sandbox import Sandbox


def sandbox(
    *,
    settings: Settings | None = None,
    rate: float | None = None,
    batch_errors: Literal["whole", "items"] = "whole",
    oversize_status: int = 400,
    faults: FaultProfile | Faults = "none",
    seed: int | None = None,
    keep: Literal["all", "counts"] = "all",
    port: int = 0,
    region: Region = "us",
    write_key: str | None = None,
    site_id: str | None = None,
    track_api_key: str | None = None,
    app_api_key: str | None = None,
    clock: Callable[[], datetime] | None = None,
    page: bool = True,
    forms: Mapping[str, Mapping[str, str]] | None = None,
    app_rate: float | None = 10.0,
    export_s: float = 0.0,
    link_s: float = 900.0,
    link_needs_key: bool = False,
) -> "Sandbox[Client]":
    """Create an embedded workspace that answers on this machine like Customer.io.

    Args:
        settings: The settings of the workspace; those of a new one by default.
        rate: The most requests per second of its clients; no limit by default.
        batch_errors: Whether strict mode rejects a whole batch for one bad message (the cautious
            reading of an undocumented point), or only that message.
        oversize_status: The status of strict mode for too many bytes, which is not documented.
        faults: The faults to inject: the name of a profile, or your own `cio.Faults`. They depend
            only on the number of the request and the seed.
        seed: The seed of the faults.
        keep: "counts" stores no messages, for measuring a sender.
        port: The port on the loopback address; 0 takes a free one.
        region: The answer of the region lookup.
        write_key: The key of the Pipelines calls; random if not given.
        site_id: The site id of forms; random if not given.
        track_api_key: The key that belongs to the site id; random if not given.
        app_api_key: The key to read the workspace; random if not given.
        clock: Returns the time of arrival; the clock of this machine by default.
        page: Whether a browser can show the contents of the workspace, at `page_url`.
        forms: Existing forms, with the attributes that their fields set, as
            `{"newsletter": {"email_address": "email"}}`.
        app_rate: The most requests of the App API answered per second; None for no limit.
        export_s: The seconds that an export of people takes, which are not documented.
        link_s: The seconds for which the link to its file works.
        link_needs_key: Whether that link works only with the key, which is not documented.

    Examples:
        >>> import polars as pl, cio_frames as cio
        >>> people = pl.DataFrame({"id": ["u1"], "email": ["ada@example.com"]})
        >>> with cio.sandbox() as workspace:
        ...     workspace.people.height
        0
    """
    from cio_frames.sandbox import Sandbox

    def client(workspace: Sandbox[Client]) -> Client:
        return connect(
            "us",
            endpoint=workspace.url,
            write_key=workspace.write_key,
            site_id=workspace.site_id,
            track_api_key=workspace.track_api_key,
            app_api_key=workspace.app_api_key,
            rate=rate,
        )

    return Sandbox(
        settings=settings,
        batch_errors=batch_errors,
        oversize_status=oversize_status,
        faults=faults,
        seed=seed,
        keep=keep,
        port=port,
        region=region,
        write_key=write_key,
        site_id=site_id,
        track_api_key=track_api_key,
        app_api_key=app_api_key,
        clock=clock,
        page=page,
        forms=forms,
        app_rate=app_rate,
        export_s=export_s,
        link_s=link_s,
        link_needs_key=link_needs_key,
        connect=client,
    )
