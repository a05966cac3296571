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
"""Default limit of requests per second: a fifth of the documented one of Pipelines."""

CONCURRENCY = 16
"""Default limit of requests in flight."""


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
"""Members for the package itself; completion does not offer them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Client:
    """Where a run sends to; it holds no connection.

    Attributes:
        region: `us` or `eu`.
        endpoint: The host of the Pipelines API, with the port if it is on this machine.
        strict: Whether strict mode is on: Customer.io checks what it receives. Without it a success
            proves nothing, and rows end as `accepted_unverified`.
        gzip: Whether bodies are compressed.
        rate: Most requests per second, or None for no limit.
        concurrency: Most requests in flight.
    """

    region: str
    endpoint: str
    strict: bool = True
    gzip: bool = True
    rate: float | None = RATE
    concurrency: int = CONCURRENCY
    _transport_config: TransportConfig = field(repr=False)
    _credentials: Credentials = field(repr=False)

    def session(self, *, monotonic: Callable[[], float] = time.monotonic) -> Transport:
        """Return a transport for one event loop; its connections are closed with its `async with`."""
        return Transport(self._transport_config, monotonic=monotonic)

    async def post(self, batch_request: Request) -> Response:
        """Send one request over a new connection."""
        async with self.session() as transport:
            return await transport.post(batch_request)

    @property
    def is_local(self) -> bool:
        """Whether it sends to a server on this machine, not to Customer.io."""
        return self._transport_config.loopback

    def base(self, api: str) -> str:
        """Return the base address of an API."""
        return self._transport_config.bases[api]

    def require(self, call: str) -> None:
        """Require the keys for a call.

        Raises:
            MissingKeyError: A key is missing.
        """
        keys_for(self._credentials, CALLS[call].api)

    def require_reading(self) -> None:
        """Require the key for reading a workspace.

        Raises:
            MissingKeyError: It is missing.
        """
        for api in APIS.values():
            if api.reads:
                keys_for(self._credentials, api)

    def require_network(self) -> None:
        """Require that the proxies and certificates of the environment can be used.

        Raises:
            ConfigError: They cannot; the error names the variable.
        """
        if self._transport_config.transport is None:
            pool_of(self._transport_config)

    @property
    def workspaces(self) -> dict[str, str]:
        """An identifier of the workspace, by API; no key can be derived from it."""
        names = {api.name: key_of(self._credentials, api.keys[0]) for api in SENDABLE_APIS}
        return {
            api: hashlib.sha256(
                f"cio_frames {self._transport_config.bases[api]} {name}".encode()
            ).hexdigest()[:16]
            for api, name in names.items()
            if name
        }

    def request_rate(self, api: str) -> float | None:
        """Return the limit of requests per second to an API, or None."""
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
    """Return user name and password for an API, or its token and an empty text. Source: API facts 1.2.

    Raises:
        MissingKeyError: One of its keys is missing.
    """
    for name in api.keys:
        if key_of(keys, name) is None:
            raise MissingKeyError(name, variable=f"CIO_{name.upper()}")
    user, password, *_ = (*(key_of(keys, name) or "" for name in api.keys), "")
    return user, password


def key_of(keys: Credentials, name: str) -> str | None:
    """Return a key by its name, or None."""
    key: SecretKey | str | None = getattr(keys, name)
    return key.reveal() if isinstance(key, SecretKey) else key
