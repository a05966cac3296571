"""The embedded workspace, with clients of this package."""

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
    """Make an embedded workspace that answers on this machine as Customer.io does.

    Args:
        settings: How the workspace is set up; a new one without.
        rate: Most requests per second of its clients; none by default.
        batch_errors: Whether strict mode refuses a whole batch for one bad message (the cautious
            reading of an undocumented point), or that message alone.
        oversize_status: What strict mode answers to too many bytes; the code is not documented.
        faults: What goes wrong: the name of a profile, or `cio.Faults` of your own. It depends on
            the number of the request and the seed only.
        seed: Seed of the faults.
        keep: "counts" keeps no messages, for measuring a sender.
        port: The port of the loopback address; 0 takes a free one.
        region: What the region lookup answers.
        write_key: The key of the Pipelines calls; random if not given.
        site_id: The site id of forms; random if not given.
        track_api_key: The key that belongs to the site id; random if not given.
        app_api_key: The key with which people are read; random if not given.
        clock: Tells the time of arrival, instead of this machine's clock.
        page: Whether a browser can show what is in the workspace, at `page_url`.
        forms: Forms that are there already, with the attributes that their fields feed, as
            `{"newsletter": {"email_address": "email"}}`.
        app_rate: How many requests of the App API are answered in a second; None for all.
        export_s: How long an export of people takes; that is not documented.
        link_s: How long the link to its file can be used.
        link_needs_key: Whether that link can be used with the key only; that is not documented.

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
