"""The requests of the App API that read what a workspace holds.

The tag `APP` is the official App API, OpenAPI 3.1: the pages of its operations at
docs.customer.io/integrations/api/app, read in November 2026, and the same description as published
in September 2026 by api-evangelist/customer-io (`openapi/customer-io-exports-api-openapi.yml`,
`...-customers-...` and `...-activities-...`).

What it leaves open: which columns the file of an export has besides those that were asked for, and
how an empty cell, an object or a quote is written in it; which filter covers everybody; how long an
export takes; whether its link can be used without the key; what a page says after which there is no
other. Whoever relies on one of these says what is assumed.

Where it disagrees with itself: the text of `exportPeopleData` has an export downloaded at its own
path, but `downloadExport` gives the link. A cio_id has the prefix `cio_` in `listActivities`, and none
in any example. A filter has one property, but samples have several. `timestamps`, the times at which
attributes were set, are given and called deprecated. Attributes are stored as texts, whatever was sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

PersonIdType = Literal["id", "email", "cio_id"]
"""What a person can be asked for by. A phone number can be one as well, in workspaces that say so."""

ACTIVITY_TYPES: Mapping[str, str] = MappingProxyType(
    {"track": "event", "page": "page", "screen": "screen"}
)
"""What `type` of activity the events of each call are (APP, `getPersonActivities`). How a form submission
is listed is not documented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request.

    Attributes:
        name: Its name in the official description, its `operationId`.
        method: Its method.
        path: Its path, with the parameters in it in braces.
        most: The limit of `LIMITS` on what one request asks for; None where there is none.
        source: Tags of the API facts this row rests on.
    """

    name: str
    method: Literal["GET", "POST"]
    path: str
    most: str | None = None
    source: str = "APP"


# fmt: off
_ROWS = (
    Operation(name="exportPeopleData",    method="POST", path="/v1/exports/customers"),
    Operation(name="listExports",         method="GET",  path="/v1/exports"),
    Operation(name="getExport",           method="GET",  path="/v1/exports/{export_id}"),
    Operation(name="downloadExport",      method="GET",  path="/v1/exports/{export_id}/download"),
    Operation(name="getPeopleEmail",      method="GET",  path="/v1/customers"),
    Operation(name="getPeopleFilter",     method="POST", path="/v1/customers",                          most="app_search_page"),
    Operation(name="getPeopleById",       method="POST", path="/v1/customers/attributes",               most="app_people"),
    Operation(name="getPersonAttributes", method="GET",  path="/v1/customers/{customer_id}/attributes"),
    Operation(name="getPersonActivities", method="GET",  path="/v1/customers/{customer_id}/activities", most="app_activities_page"),
    Operation(name="listActivities",      method="GET",  path="/v1/activities",                         most="app_activities_page"),
)
# fmt: on

OPERATIONS: Mapping[str, Operation] = MappingProxyType({row.name: row for row in _ROWS})
