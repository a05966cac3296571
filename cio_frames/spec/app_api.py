"""The requests of the App API that read the contents of a workspace.

The tag `APP` is the official App API, OpenAPI 3.1: the pages of its operations at
docs.customer.io/integrations/api/app, read in November 2026, and the same description as published
in September 2026 by api-evangelist/customer-io (`openapi/customer-io-exports-api-openapi.yml`,
`...-customers-...` and `...-activities-...`).

What it leaves open: which columns an export file has besides the requested ones, and how it writes
empty cells, objects and quotes; which filter matches all people; how long an export takes; whether
its link can be used without the key; what the last page contains. Code that relies on any of these
documents its assumption.

Where it contradicts itself: the text of `exportPeopleData` has an export downloaded at its own path,
but `downloadExport` returns the link. A cio_id has the prefix `cio_` in `listActivities`, but in no
example. A filter has one property, but samples have several. `timestamps`, the times at which
attributes were set, are returned but called deprecated. Attributes are stored as texts, whatever was sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

PersonIdType = Literal["id", "email", "cio_id"]
"""The identifiers for requesting a person. A phone number is one too, in workspaces configured that way."""

ACTIVITY_TYPES: Mapping[str, str] = MappingProxyType(
    {"track": "event", "page": "page", "screen": "screen"}
)
"""The `type` of activity of each call's events (APP, `getPersonActivities`). How a form submission is
listed is not documented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request.

    Attributes:
        name: Its name in the official description, its `operationId`.
        method: Its method.
        path: Its path, with parameters in braces.
        most: The limit of `LIMITS` on what one request returns; None if there is none.
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
