"""The APIs: their credentials, the envelope of their messages, and their guarantees."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

BATCH_PATH = "/v1/batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One API.

    Attributes:
        name: Its name, as in records of runs.
        keys: The credentials used as user name and password, the first of which identifies the
            workspace; none if the package sends no requests to it.
        auth: How the credentials are sent: as user name and password, or the first as a token.
        reads: Whether the package only reads the contents of a workspace from it.
        envelope: Whether a message contains its type and its id.
        batch_path: The path that takes many messages in one request; None if there is none.
        deduplicates: Whether a message with an id that was sent before is ignored.
        texts_only: Whether every value is sent as text.
        gzip: Whether bodies may be compressed.
        success: The statuses of a success: the documented one first, then others that occur. The
            body is `{}` or empty.
        rate_limit: The limit of `LIMITS` that no chosen rate may exceed.
        source: Tags of the API facts this row rests on.
    """

    name: str
    keys: tuple[str, ...] = ()
    auth: Literal["basic", "bearer"] = "basic"
    reads: bool = False
    envelope: bool = False
    batch_path: str | None = None
    deduplicates: bool = False
    texts_only: bool = False
    gzip: bool = False
    success: tuple[int, ...] = (200,)
    rate_limit: str | None = None
    source: str


PIPELINES = Api(
    name="pipelines",
    keys=("write_key",),
    envelope=True,
    batch_path=BATCH_PATH,
    deduplicates=True,
    gzip=True,
    source="SPEC-AUG; SEED-API; C8; C19",
)
FORMS = Api(
    name="forms",
    keys=("site_id", "track_api_key"),
    texts_only=True,
    success=(204, 200),
    rate_limit="track_requests_per_s",
    source="TRACK; SEED-FORMS; C28",
)
FORM_ACTION = Api(name="form-action", texts_only=True, source="SEED-FORMS; WILD")
APP = Api(
    name="app",
    keys=("app_api_key",),
    auth="bearer",
    reads=True,
    rate_limit="app_requests_per_s",
    source="APP",
)

APIS: Mapping[str, Api] = MappingProxyType(
    {row.name: row for row in (PIPELINES, FORMS, FORM_ACTION, APP)}
)
KEYED_APIS: tuple[Api, ...] = tuple(row for row in APIS.values() if row.keys)
"""The APIs that the package sends requests to."""
SENDABLE_APIS: tuple[Api, ...] = tuple(row for row in KEYED_APIS if not row.reads)
"""The APIs that the package sends messages to."""
