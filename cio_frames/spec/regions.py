"""Regions and hosts: the host of each API in the US and in the EU."""

from dataclasses import dataclass
from typing import Literal

from cio_frames.errors import ConfigError

Region = Literal["us", "eu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The host of one API in one region, always used with HTTPS.

    Attributes:
        region: The region of the account.
        api: The name of the API.
        host: The host name alone.
        source: Tags of the API facts this row rests on.
    """

    region: Region
    api: str
    host: str
    source: str


# fmt: off
HOSTS: tuple[Host, ...] = (
    Host(region="us", api="pipelines",   host="cdp.customer.io",         source="SPEC-AUG; SEED-API"),
    Host(region="eu", api="pipelines",   host="cdp-eu.customer.io",      source="SPEC-AUG; C1"),
    Host(region="us", api="forms",       host="track.customer.io",       source="TRACK; SEED-FORMS"),
    Host(region="eu", api="forms",       host="track-eu.customer.io",    source="TRACK; WILD"),
    Host(region="us", api="form-action", host="customerioforms.com",     source="SEED-FORMS"),
    Host(region="eu", api="form-action", host="eu.customerioforms.com",  source="WILD"),
    Host(region="us", api="app",         host="api.customer.io",         source="APP; NODE"),
    Host(region="eu", api="app",         host="api-eu.customer.io",      source="APP; NODE"),
)
# fmt: on

REGION_PATH = "/api/v1/accounts/region"
"""Returns the account's region, on the forms host of either region, with Track credentials."""


def host(region: str, api: str) -> str:
    """Return the host name of an API in a region.

    Args:
        region: `us` or `eu`.
        api: `pipelines`, `forms`, `form-action` or `app`.

    Raises:
        ConfigError: There is no such host.

    Examples:
        >>> host("eu", "pipelines")
        'cdp-eu.customer.io'
    """
    for row in HOSTS:
        if (row.region, row.api) == (region, api):
            return row.host
    hosts = ", ".join(f"{row.region} {row.api}" for row in HOSTS)
    raise ConfigError(f"Customer.io has no host for {region!r} {api!r}. There are: {hosts}.")
