"""Keys, region and hosts of a client."""

import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Never
from urllib.parse import urlsplit

from cio_frames.errors import ConfigError, EndpointError
from cio_frames.spec import host

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""The only hosts of endpoints, compared exactly."""

_LOOPBACK_HINT = (
    "An endpoint may only be http://127.0.0.1:<port>, http://localhost:<port> or "
    'http://[::1]:<port>. For Customer.io itself, choose region="us" or region="eu".'
)


def variable(name: str, *, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the present value of a variable of the environment, or of `environ`; None without one.

    The environment is read here: as a default argument it would be part of a signature, and as a
    local variable part of tracebacks with values, with all keys in it.
    """
    return (os.environ if environ is None else environ).get(name)


class SecretKey:
    """A key that only `reveal` shows.

    Its text is `***` everywhere, and it cannot be pickled or copied.

    Args:
        value: The key itself. White space around it is removed.
        name: The name of the key in error messages.

    Raises:
        ConfigError: The value cannot be a key. The message does not contain it.

    Examples:
        >>> SecretKey("k1")
        ***
        >>> f"{SecretKey('k1')}"
        '***'
    """

    __slots__ = ("_reveal",)

    _reveal: Callable[[], str]

    def __init__(self, value: str, *, name: str = "The value") -> None:
        key = _valid_key(value, name=name)
        object.__setattr__(self, "_reveal", lambda: key)

    def reveal(self) -> str:
        """Return the key itself, to be used and forgotten."""
        return self._reveal()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretKey):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # a hash would allow testing guesses

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError("A SecretKey cannot be changed.")

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def _repr_html_(self) -> str:
        return "***"

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError(
            "A SecretKey cannot be pickled; read it from the environment of the other process."
        )

    def __copy__(self) -> Never:
        raise TypeError("A SecretKey cannot be copied; pass on the same object.")

    def __deepcopy__(self, memo: object) -> Never:
        raise TypeError("A SecretKey cannot be copied; pass on the same object.")


class MaskedText:
    """A secret for another process of the same run.

    A pickle contains it masked with a random pad, so that a search of plans, logs and files does not
    find it. This does not protect it from anyone who has the pickle.

    Args:
        text: The secret.

    Examples:
        >>> MaskedText("k1"), MaskedText("k1").reveal()
        (***, 'k1')
    """

    __slots__ = ("_masked", "_pad")

    def __init__(self, text: str) -> None:
        clear = text.encode()
        self._pad = secrets.token_bytes(len(clear))
        self._masked = _xor(clear, self._pad)

    def reveal(self) -> str:
        """Return the secret itself, to be used and forgotten."""
        return _xor(self._masked, self._pad).decode()

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(first ^ second for first, second in zip(left, right, strict=True))


def _valid_key(value: object, *, name: str) -> str:
    """Return the key without white space around it, or raise if it cannot be a key."""
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be text, not {type(value).__name__}.")
    key = value.strip()
    if not key or not key.isascii() or not key.isprintable() or ":" in key or " " in key:
        raise ConfigError(
            f"{name} cannot be a key: keys contain only visible ASCII characters, without spaces and "
            "colons. Copy it again from the settings of the integration."
        )
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The keys that authenticate requests to Customer.io.

    Attributes:
        write_key: Key of the Pipelines source.
        site_id: Public name of the workspace, for forms.
        track_api_key: Track API key that belongs to `site_id`.
        app_api_key: App API key, for reading the workspace.
    """

    write_key: SecretKey | None = None
    site_id: str | None = field(default=None, repr=False)
    track_api_key: SecretKey | None = None
    app_api_key: SecretKey | None = None


def credentials(
    *,
    write_key: str | SecretKey | None = None,
    site_id: str | None = None,
    track_api_key: str | SecretKey | None = None,
    app_api_key: str | SecretKey | None = None,
    environ: Mapping[str, str] | None = None,
) -> Credentials:
    """Collect keys from the arguments, else from the environment.

    Args:
        write_key: Pipelines write key, else `CIO_WRITE_KEY`.
        site_id: Site ID for forms, else `CIO_SITE_ID`.
        track_api_key: Track API key for forms, else `CIO_TRACK_API_KEY`.
        app_api_key: App API key for reading the workspace, else `CIO_APP_API_KEY`.
        environ: Is read instead of the environment.

    Examples:
        >>> credentials(environ={"CIO_WRITE_KEY": "k1"})
        Credentials(write_key=***, track_api_key=None, app_api_key=None)
    """
    read = partial(variable, environ=environ)
    site = site_id or read("CIO_SITE_ID")
    return Credentials(
        write_key=_secret("write_key", write_key or read("CIO_WRITE_KEY")),
        site_id=_valid_key(site, name="site_id") if site else None,
        track_api_key=_secret("track_api_key", track_api_key or read("CIO_TRACK_API_KEY")),
        app_api_key=_secret("app_api_key", app_api_key or read("CIO_APP_API_KEY")),
    )


def _secret(name: str, value: str | SecretKey | None) -> SecretKey | None:
    if isinstance(value, SecretKey):
        return value
    return SecretKey(value, name=name) if value else None


def base_url(region: str, api: str, *, endpoint: str | None = None) -> str:
    """Return the base address of one API.

    Args:
        region: `us` or `eu`.
        api: `pipelines`, `forms`, `form-action` or `app`.
        endpoint: A server on this machine that replaces all hosts.

    Raises:
        EndpointError: The endpoint is not on this machine.
        ConfigError: There is no such region or API.

    Examples:
        >>> base_url("eu", "pipelines")
        'https://cdp-eu.customer.io'
        >>> base_url("us", "forms", endpoint="http://127.0.0.1:8099/")
        'http://127.0.0.1:8099'
    """
    name = host(region, api)
    return f"https://{name}" if endpoint is None else _loopback(endpoint)


def _loopback(endpoint: str) -> str:
    """Return an endpoint in canonical form, or raise if it is not on this machine."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except (ValueError, TypeError, AttributeError):
        raise EndpointError(_host_of(endpoint), hint=_LOOPBACK_HINT) from None
    for name in LOOPBACK_HOSTS:
        canonical = f"http://{name}:{port}"
        if port and endpoint in {canonical, f"{canonical}/"}:
            return canonical
    raise EndpointError(_host_of(endpoint), hint=_LOOPBACK_HINT)


def _host_of(endpoint: object) -> str:
    """Return the host of an invalid endpoint; the rest of it may contain a key."""
    try:
        return urlsplit(str(endpoint)).hostname or "the endpoint"
    except ValueError:
        return "the endpoint"
