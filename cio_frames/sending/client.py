"""A client: where to send, with which keys, how fast."""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Never
from urllib.parse import urlsplit

from cio_frames.config import (
    Credentials,
    MaskedText,
    SecretKey,
    base_url,
    credentials,
    variable,
)
from cio_frames.errors import ConfigError, MissingKeyError
from cio_frames.sending.http import (
    ATTEMPT_SECONDS,
    Request,
    Response,
    Transport,
    TransportConfig,
    pool_of,
)
from cio_frames.spec import APIS, CALLS, LIMITS, SENDABLE_APIS, Api, Region

RATE = 200.0
"""Requests per second that are not exceeded: a fifth of what Pipelines documents."""

CONCURRENCY = 16
"""The most requests under way at once."""


_INTERNAL = frozenset(
    {"post", "request_rate", "require", "require_network", "session", "settings", "workspaces"}
)
"""What the sender asks of a client; completion does not offer it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClientSettings:
    """What makes the same client in another process of a run. It can be pickled; its keys are masked."""

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
        """Return the client."""
        made = connect(
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
        return replace(made, concurrency=self.concurrency)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Client:
    """Where a run sends to. Made by `connect`; holds no connection of its own.

    Attributes:
        region: `us` or `eu`.
        endpoint: The host of the Pipelines surface, with the port if it is on this machine.
        strict: Whether Customer.io is asked to check what it gets. Without it a success says
            nothing, and rows end as `accepted_unverified`.
        gzip: Whether bodies are compressed.
        rate: Most requests per second, or None for no limit.
        concurrency: Most requests under way at once.
    """

    region: str
    endpoint: str
    strict: bool = True
    gzip: bool = True
    rate: float | None = RATE
    concurrency: int = CONCURRENCY
    _wire: TransportConfig = field(repr=False)
    _credentials: Credentials = field(repr=False)

    def session(self, *, monotonic: Callable[[], float] = time.monotonic) -> Transport:
        """Return a transport for one event loop; its connections live in its `async with`."""
        return Transport(self._wire, monotonic=monotonic)

    async def post(self, batch_request: Request) -> Response:
        """Send one request over a connection of its own."""
        async with self.session() as transport:
            return await transport.post(batch_request)

    def require(self, call: str) -> None:
        """Make sure that the keys for a call are there.

        Raises:
            MissingKeyError: One is not.
        """
        _basic(self._credentials, CALLS[call].api)

    def require_network(self) -> None:
        """Make sure that the proxies and certificates of the environment can be used.

        Raises:
            ConfigError: They cannot; the error names the variable.
        """
        if self._wire.transport is None:
            pool_of(self._wire)

    @property
    def workspaces(self) -> dict[str, str]:
        """What tells one workspace from another, by surface; no key can be read from it."""
        named = {api.name: _key(self._credentials, api.keys[0]) for api in SENDABLE_APIS}
        return {
            api: hashlib.sha256(f"cio_frames {self._wire.bases[api]} {name}".encode()).hexdigest()[
                :16
            ]
            for api, name in named.items()
            if name
        }

    def request_rate(self, api: str) -> float | None:
        """Return the most requests per second to one surface, or None for no limit."""
        limit = APIS[api].rate_limit
        if self.rate is None or limit is None:
            return self.rate
        return min(self.rate, float(LIMITS[limit].value))

    def settings(self) -> ClientSettings:
        """Return what makes the same client in another process.

        Raises:
            ConfigError: It sends through a transport of its own, which other processes do not have.
        """
        if self._wire.transport is not None:
            raise ConfigError(
                "A client with transport= sends from this process only. Connect without it, or with "
                "endpoint= for a server on this machine."
            )
        keys, base = self._credentials, self._wire.bases[SENDABLE_APIS[0].name]
        masked = {
            name: MaskedText(key)
            for name in ("write_key", "site_id", "track_api_key")
            if (key := _key(keys, name))
        }
        return ClientSettings(
            region=_region(self.region),
            endpoint=base if self._wire.loopback else None,
            strict=self.strict,
            gzip=self.gzip,
            rate=self.rate,
            concurrency=self.concurrency,
            attempt_s=self._wire.attempt_s,
            write_key=masked.get("write_key"),
            site_id=masked.get("site_id"),
            track_api_key=masked.get("track_api_key"),
        )

    def __dir__(self) -> list[str]:
        return sorted(set(object.__dir__(self)) - _INTERNAL)

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError(
            "A Client cannot be pickled or copied, because it contains keys. Call cio.connect() in the other process."
        )


def connect(
    region: Region | None = None,
    *,
    write_key: str | SecretKey | None = None,
    site_id: str | None = None,
    track_api_key: str | SecretKey | None = None,
    endpoint: str | None = None,
    strict: bool = True,
    rate: float | None = RATE,
    gzip: bool = True,
    transport: Any = None,
    attempt_s: float = ATTEMPT_SECONDS,
    environ: Mapping[str, str] | None = None,
) -> Client:
    """Make a client for one workspace. Nothing is sent.

    Args:
        region: "us" or "eu", where the account is; else `CIO_REGION`, else "us".
        write_key: Key of the Pipelines source, else `CIO_WRITE_KEY`.
        site_id: Site ID, needed for forms; else `CIO_SITE_ID`.
        track_api_key: Track API key, needed for forms; else `CIO_TRACK_API_KEY`.
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
            write_key=write_key, site_id=site_id, track_api_key=track_api_key, environ=environ
        )
        bases = {api.name: base_url(place, api.name, endpoint=endpoint) for api in SENDABLE_APIS}
        loopback = endpoint is not None
    except ConfigError as error:
        raise error.with_traceback(None) from None  # the frames below hold keys
    finally:
        # A traceback that shows the values of variables must not show these.
        del region, write_key, site_id, track_api_key, endpoint, environ
    if rate is not None and not (rate > 0 and math.isfinite(rate)):
        raise ConfigError(f"rate={rate} is not a number of requests per second; None lifts it.")
    if keys.write_key is None and keys.track_api_key is None:
        raise MissingKeyError("write_key", variable="CIO_WRITE_KEY")
    wire = TransportConfig(
        bases=bases,
        basic=_basic_of(keys),
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


def _basic_of(keys: Credentials) -> Callable[[str], tuple[str, str]]:
    return lambda api: _basic(keys, APIS[api])


def _basic(keys: Credentials, api: Api) -> tuple[str, str]:
    """Return user name and password for an API. Source: API facts 1.2."""
    for name in api.keys:
        if _key(keys, name) is None:
            raise MissingKeyError(name, variable=f"CIO_{name.upper()}")
    user, password, *_ = (*(_key(keys, name) or "" for name in api.keys), "")
    return user, password


def _key(keys: Credentials, name: str) -> str | None:
    key: SecretKey | str | None = getattr(keys, name)
    return key.reveal() if isinstance(key, SecretKey) else key
