"""A client: where to send, with which keys, how fast."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Never

from cio_frames.config import Credentials, SecretKey
from cio_frames.errors import MissingKeyError
from cio_frames.sending.http import Request, Response, Transport, TransportConfig, pool_of
from cio_frames.spec import APIS, CALLS, LIMITS, SENDABLE_APIS, Api

RATE = 200.0
"""Requests per second that are not exceeded: a fifth of what Pipelines documents."""

CONCURRENCY = 16
"""The most requests under way at once."""


_INTERNAL = frozenset(
    {
        "base",
        "is_local",
        "post",
        "request_rate",
        "require",
        "require_network",
        "require_reading",
        "session",
        "settings",
        "workspaces",
    }
)
"""What the sender asks of a client; completion does not offer it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Client:
    """Where a run sends to; holds no connection of its own.

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

    @property
    def is_local(self) -> bool:
        """Whether it sends to a server on this machine instead of Customer.io."""
        return self._wire.loopback

    def base(self, api: str) -> str:
        """Return the address that requests to one surface start with."""
        return self._wire.bases[api]

    def require(self, call: str) -> None:
        """Make sure that the keys for a call are there.

        Raises:
            MissingKeyError: One is not.
        """
        keys_for(self._credentials, CALLS[call].api)

    def require_reading(self) -> None:
        """Make sure that the key is there with which a workspace is read.

        Raises:
            MissingKeyError: It is not.
        """
        for api in APIS.values():
            if api.reads:
                keys_for(self._credentials, api)

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
        named = {api.name: key_of(self._credentials, api.keys[0]) for api in SENDABLE_APIS}
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

    def __dir__(self) -> list[str]:
        return sorted(set(object.__dir__(self)) - _INTERNAL)

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError(
            "A Client cannot be pickled or copied, because it contains keys. Call cio.connect() in the other process."
        )


def keys_for(keys: Credentials, api: Api) -> tuple[str, str]:
    """Return user name and password for an API, or its token and nothing. Source: API facts 1.2.

    Raises:
        MissingKeyError: One of its keys is missing.
    """
    for name in api.keys:
        if key_of(keys, name) is None:
            raise MissingKeyError(name, variable=f"CIO_{name.upper()}")
    user, password, *_ = (*(key_of(keys, name) or "" for name in api.keys), "")
    return user, password


def key_of(keys: Credentials, name: str) -> str | None:
    """Return a key by its name, None where it is missing."""
    key: SecretKey | str | None = getattr(keys, name)
    return key.reveal() if isinstance(key, SecretKey) else key
