"""The client that users create: it sends to a workspace and reads from it."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from cio_frames.config import (
    Credentials,
    MaskedText,
    SecretKey,
    base_url,
    credentials,
    variable,
)
from cio_frames.errors import ConfigError, MissingKeyError
from cio_frames.sending import Client as SendingClient
from cio_frames.sending.client import RATE, key_of, keys_for
from cio_frames.sending.http import ATTEMPT_SECONDS, TransportConfig
from cio_frames.sending.rate_limit import TokenBucket
from cio_frames.spec import APIS, KEYED_APIS, LIMITS, SENDABLE_APIS, PersonIdType, Region
from cio_frames.views.displays import ShowProgress


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClientSettings:
    """The settings to create the same client in another process. They can be pickled; keys are masked."""

    region: Region
    endpoint: str | None
    strict: bool
    gzip: bool
    rate: float | None
    concurrency: int
    attempt_s: float
    write_key: MaskedText | None
    site_id: MaskedText | None
    track_api_key: MaskedText | None

    def client(self) -> "Client":
        """Return the client, which can send, but not read."""
        client = connect(
            self.region,
            write_key=self.write_key.reveal() if self.write_key else None,
            site_id=self.site_id.reveal() if self.site_id else None,
            track_api_key=self.track_api_key.reveal() if self.track_api_key else None,
            endpoint=self.endpoint,
            strict=self.strict,
            rate=self.rate,
            gzip=self.gzip,
            attempt_s=self.attempt_s,
            environ={},
        )
        return replace(client, concurrency=self.concurrency)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Client(SendingClient):
    """Sends runs to a workspace and reads from it. Created by `connect`; holds no connection.

    Reading needs an App API key. It makes at most ten requests a second, as Customer.io allows.

    Attributes:
        region: `us` or `eu`.
        endpoint: The host of the Pipelines API, with the port if it is on this machine.
        strict: Whether Customer.io checks messages before it answers. If not, success proves
            nothing, and rows end as `accepted_unverified`.
        gzip: Whether bodies are compressed.
        rate: The most requests per second, or None for no limit.
        concurrency: The most requests in flight at once.
    """

    _reads: TokenBucket = field(repr=False)

    def settings(self) -> ClientSettings:
        """Return the settings to create the same client in another process.

        Raises:
            ConfigError: The client has its own transport, which other processes cannot use.
        """
        if self._transport_config.transport is not None:
            raise ConfigError(
                "A client with transport= sends from this process only. Connect without it, or with "
                "endpoint= for a server on this machine."
            )
        keys, base = self._credentials, self._transport_config.bases[SENDABLE_APIS[0].name]
        masked = {
            name: MaskedText(key)
            for name in ("write_key", "site_id", "track_api_key")
            if (key := key_of(keys, name))
        }
        return ClientSettings(
            region=_region(self.region),
            endpoint=base if self._transport_config.loopback else None,
            strict=self.strict,
            gzip=self.gzip,
            rate=self.rate,
            concurrency=self.concurrency,
            attempt_s=self._transport_config.attempt_s,
            write_key=masked.get("write_key"),
            site_id=masked.get("site_id"),
            track_api_key=masked.get("track_api_key"),
        )

    def people(
        self,
        *,
        attributes: Sequence[str] = (),
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - Customer.io's word
        export: int | None = None,
        progress: ShowProgress = "auto",
    ) -> pl.DataFrame:
        """Read the people of the workspace: start an export, wait, and fetch the file.

        Pass the frame as `known=`. Values are text, as Customer.io stores them; the column of an
        attribute that nobody has is empty.

        Args:
            attributes: Attributes to read besides the identifiers and what `known=` needs.
            filter: The people to read, as the App API describes it, such as
                `{"attribute": {"field": "plan", "operator": "eq", "value": "pro"}}`; all by default.
            export: The id of an export that was started before, to resume it. Errors and the
                display show it, and `exports()` lists all.
            progress: As for `plan.send`.

        Returns:
            Columns id, email, cio_id, anonymous_id, created_at, unsubscribed and
            cio_subscription_preferences, then the attributes.

        Raises:
            MissingKeyError: The client has no App API key.
            AccessRefusedError: The key is wrong, or may not read people.
            ExportError: The export has failed or is unknown, or its file cannot be read.
            WorkspaceReadError: There is no answer, or an unusable one.

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
        """Return the exports of the workspace, also those started by others, the latest first.

        Raises:
            MissingKeyError: The client has no App API key.
            WorkspaceReadError: They cannot be read.
        """
        from cio_frames.workspaces.profiles import exports

        self.require_reading()
        return exports(self, self._reads)

    def attributes(self, people: Sequence[str], *, id_type: PersonIdType = "id") -> pl.DataFrame:
        """Return the current attributes of some people, a hundred per request.

        Args:
            people: Their identifiers. People who do not exist have no row.
            id_type: The type of the identifiers: "id", "email" or "cio_id".

        Returns:
            Columns id, email, cio_id, unsubscribed, and as JSON attributes and timestamps: all
            attributes, and when each was set, in Unix seconds.

        Raises:
            MissingKeyError: The client has no App API key.
            ChoiceError: `id_type` is not one of the three.
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
        """Return the activities of one person, or of all people, in the last 30 days.

        Args:
            person: An identifier; all people by default.
            id_type: The type of the identifier: "id", "email" or "cio_id".
            type: Only activities of this type, such as "event" or "attribute_change".
            name: Only activities with this event or attribute name.
            most: How many of the latest to read; all by default.

        Returns:
            Columns activity, type, name, timestamp, id, email, cio_id, and data as JSON.

        Raises:
            MissingKeyError: The client has no App API key.
            ChoiceError: `id_type` is not one of the three.
            WorkspaceReadError: They cannot be read, or no person has this identifier.
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
    """Create a client for one workspace. Nothing is sent or read yet.

    Args:
        region: The region of the account, "us" or "eu"; else `CIO_REGION`, else "us".
        write_key: Key of the Pipelines source, else `CIO_WRITE_KEY`.
        site_id: Site ID, needed for forms; else `CIO_SITE_ID`.
        track_api_key: Track API key, needed for forms; else `CIO_TRACK_API_KEY`.
        app_api_key: App API key, needed to read the workspace; else `CIO_APP_API_KEY`. A client
            with no other key can read, but not send.
        endpoint: A server on this machine to use instead of Customer.io.
        strict: Whether Customer.io checks messages before it answers.
        rate: The most requests per second; None removes the limit.
        gzip: Whether bodies are compressed.
        transport: An httpx transport to use instead of the network.
        attempt_s: The most seconds for one attempt of a request.
        environ: Variables to read instead of the environment of this process.

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
    transport_config = TransportConfig(
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
        _transport_config=transport_config,
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
    """Return the most reading requests per second; None still means the limit of Customer.io."""
    most = float(LIMITS["app_requests_per_s"].value)
    return most if rate is None else min(rate, most)


def _keys_of(keys: Credentials, api: str) -> tuple[str, str]:
    return keys_for(keys, APIS[api])
