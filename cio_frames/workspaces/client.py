"""The client that users make: it says where to send, and reads what the workspace holds."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from cio_frames.config import Credentials, SecretKey, base_url, credentials, variable
from cio_frames.errors import ConfigError, MissingKeyError
from cio_frames.sending import Client as SendingClient
from cio_frames.sending.client import RATE, keys_for
from cio_frames.sending.http import ATTEMPT_SECONDS, TransportConfig
from cio_frames.sending.rate_limit import TokenBucket
from cio_frames.spec import APIS, KEYED_APIS, LIMITS, SENDABLE_APIS, PersonIdType, Region
from cio_frames.views.displays import ShowProgress


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Client(SendingClient):
    """Where a run sends to, and what a workspace holds. Made by `connect`; holds no connection.

    Reading needs an App API key. Ten requests a second are made at most, as Customer.io allows.

    Attributes:
        region: `us` or `eu`.
        endpoint: The host of the Pipelines surface, with the port if it is on this machine.
        strict: Whether Customer.io is asked to check what it gets. Without it a success says
            nothing, and rows end as `accepted_unverified`.
        gzip: Whether bodies are compressed.
        rate: Most requests per second, or None for no limit.
        concurrency: Most requests under way at once.
    """

    _reads: TokenBucket = field(repr=False)

    def people(
        self,
        *,
        attributes: Sequence[str] = (),
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - Customer.io's word
        export: int | None = None,
        progress: ShowProgress = "auto",
    ) -> pl.DataFrame:
        """Read the people of the workspace: have them exported, wait, and fetch the file.

        The frame is what `known=` takes. Values are text, as Customer.io keeps them; an attribute
        that nobody has is a column without values.

        Args:
            attributes: Attributes to read besides the identifiers and what `known=` needs.
            filter: Whom to read, as the App API describes it, such as
                `{"attribute": {"field": "plan", "operator": "eq", "value": "pro"}}`; else everybody.
            export: The id of an export that was started before, to take it up again. Errors and the
                display tell it, and `exports()` lists all.
            progress: As for `plan.send`.

        Returns:
            Columns id, email, cio_id, anonymous_id, created_at, unsubscribed and
            cio_subscription_preferences, then the attributes.

        Raises:
            MissingKeyError: The client has no App API key.
            AccessRefusedError: The key is not accepted, or may not read people.
            ExportError: The export has failed or is unknown, or its file cannot be read.
            WorkspaceReadError: There is no answer, or none that can be used.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> people = pl.DataFrame({"id": ["u1", "u2"], "plan": ["pro", "free"]})
            >>> with cio.sandbox() as workspace:
            ...     client = workspace.client()
            ...     run = people.cio.identify(user_id="id").send(client, progress=False)
            ...     client.people(attributes=["plan"], progress=False).select("id", "plan").rows()
            [('u1', 'pro'), ('u2', 'free')]
        """
        from cio_frames.workspaces.people import people

        self.require_reading()
        return people(
            self,
            self._reads,
            attributes=attributes,
            filters=filter,
            export=export,
            progress=progress,
        )

    def exports(self) -> pl.DataFrame:
        """Return the exports of the workspace, those of others too, the latest first.

        Raises:
            MissingKeyError: The client has no App API key.
            WorkspaceReadError: They cannot be read.
        """
        from cio_frames.workspaces.profiles import exports

        self.require_reading()
        return exports(self, self._reads)

    def attributes(self, people: Sequence[str], *, id_type: PersonIdType = "id") -> pl.DataFrame:
        """Return what is known of some people now, a hundred with each request.

        Args:
            people: Their identifiers. Who is not there has no row.
            id_type: What the identifiers are: "id", "email" or "cio_id".

        Returns:
            Columns id, email, cio_id, unsubscribed, and as JSON attributes and timestamps: all
            attributes, and when each was set, in Unix seconds.

        Raises:
            MissingKeyError: The client has no App API key.
            ChoiceError: `id_type` is none of the three.
            WorkspaceReadError: They cannot be read.

        Examples:
            >>> import cio_frames as cio
            >>> with cio.sandbox() as workspace:
            ...     workspace.load([{"id": "u1", "attributes": '{"plan": "pro"}'}])
            ...     workspace.client().attributes(["u1", "u2"])["id"].to_list()
            ['u1']
        """
        from cio_frames.workspaces.profiles import attributes

        self.require_reading()
        return attributes(self, self._reads, people, id_type=id_type)

    def activities(
        self,
        person: str | None = None,
        *,
        id_type: PersonIdType = "id",
        type: str | None = None,  # noqa: A002 - Customer.io's word
        name: str | None = None,
        most: int | None = None,
    ) -> pl.DataFrame:
        """Return what happened to one person, or to everybody, in the last 30 days.

        Args:
            person: An identifier; everybody without.
            id_type: What the identifier is: "id", "email" or "cio_id".
            type: Only activities of this type, such as "event" or "attribute_change".
            name: Only those with this name of an event or attribute.
            most: How many to read, the latest; all without.

        Returns:
            Columns activity, type, name, timestamp, id, email, cio_id, and data as JSON.

        Raises:
            MissingKeyError: The client has no App API key.
            ChoiceError: `id_type` is none of the three.
            WorkspaceReadError: They cannot be read, or nobody has this identifier.
        """
        from cio_frames.workspaces.profiles import activities

        self.require_reading()
        return activities(
            self, self._reads, person, id_type=id_type, type=type, name=name, most=most
        )


def connect(
    region: Region | None = None,
    *,
    write_key: str | SecretKey | None = None,
    site_id: str | None = None,
    track_api_key: str | SecretKey | None = None,
    app_api_key: str | SecretKey | None = None,
    endpoint: str | None = None,
    strict: bool = True,
    rate: float | None = RATE,
    gzip: bool = True,
    transport: Any = None,
    attempt_s: float = ATTEMPT_SECONDS,
    environ: Mapping[str, str] | None = None,
) -> Client:
    """Make a client for one workspace. Nothing is sent or read.

    Args:
        region: "us" or "eu", where the account is; else `CIO_REGION`, else "us".
        write_key: Key of the Pipelines source, else `CIO_WRITE_KEY`.
        site_id: Site ID, needed for forms; else `CIO_SITE_ID`.
        track_api_key: Track API key, needed for forms; else `CIO_TRACK_API_KEY`.
        app_api_key: App API key, needed to read the workspace; else `CIO_APP_API_KEY`. A client
            with no other key can read, and not send.
        endpoint: A server on this machine that is used in place of Customer.io.
        strict: Whether Customer.io is asked to check what it gets.
        rate: Most requests per second; None lifts the limit.
        gzip: Whether bodies are compressed.
        transport: A transport of httpx that takes the place of the network.
        attempt_s: Total seconds of one attempt of a request.
        environ: What is read instead of the environment of this process.

    Raises:
        MissingKeyError: There is no key at all.
        EndpointError: The endpoint is not on this machine.
        ConfigError: Region, key or rate cannot be used.

    Examples:
        >>> connect("eu", write_key="k1")
        Client(region='eu', endpoint='cdp-eu.customer.io', strict=True, gzip=True, rate=200.0, concurrency=16)
    """
    try:
        place = _region(region or variable("CIO_REGION", environ=environ) or "us")
        keys = credentials(
            write_key=write_key,
            site_id=site_id,
            track_api_key=track_api_key,
            app_api_key=app_api_key,
            environ=environ,
        )
        bases = {api.name: base_url(place, api.name, endpoint=endpoint) for api in KEYED_APIS}
        loopback = endpoint is not None
    except ConfigError as error:
        raise error.with_traceback(None) from None  # the frames below hold keys
    finally:
        # A traceback that shows the values of variables must not show these.
        del region, write_key, site_id, track_api_key, app_api_key, endpoint, environ
    if rate is not None and not (rate > 0 and math.isfinite(rate)):
        raise ConfigError(f"rate={rate} is not a number of requests per second; None lifts it.")
    if keys.write_key is None and keys.track_api_key is None and keys.app_api_key is None:
        raise MissingKeyError("write_key", variable="CIO_WRITE_KEY")
    wire = TransportConfig(
        bases=bases,
        basic=partial(_keys_of, keys),
        loopback=loopback,
        strict=strict,
        gzip=gzip,
        attempt_s=attempt_s,
        transport=transport,
    )
    host = urlsplit(bases[SENDABLE_APIS[0].name]).netloc
    return Client(
        region=place,
        endpoint=host,
        strict=strict,
        gzip=gzip,
        rate=rate,
        _wire=wire,
        _credentials=keys,
        _reads=TokenBucket(_read_rate(rate), now=time.monotonic()),
    )


def _region(name: str) -> Region:
    match name.strip().lower():
        case "us":
            return "us"
        case "eu":
            return "eu"
        case _:
            raise ConfigError(
                'region must be "us" or "eu", where your account is: cio.connect("eu"), or CIO_REGION=eu. '
                "The given value is not shown, because it could be a key; pass a key as write_key=."
            )


def _read_rate(rate: float | None) -> float:
    """Return the most requests per second that read; None lifts no limit, as that of Customer.io stands."""
    most = float(LIMITS["app_requests_per_s"].value)
    return most if rate is None else min(rate, most)


def _keys_of(keys: Credentials, api: str) -> tuple[str, str]:
    return keys_for(keys, APIS[api])
