"""The only module that uses HTTP. Whatever the network does is returned as a `Response`.

The library is `httpx2` if it is installed, else `httpx`; it is loaded when a client first sends.
Redirects are never followed: a 301 would turn the POST into a GET and lose the rows, a 307 would send
them to another host. Certificates are always verified.
"""

import asyncio
import gzip
import json
import os
import re
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Self

from cio_frames.frames import ThreadPool
from cio_frames.sending.connections import ConnectionPool
from cio_frames.spec import APIS, Api

if TYPE_CHECKING:
    import httpx

ERROR_CHARACTERS = 300
"""How many characters of a server's error are kept."""

MAX_RESPONSE_BYTES = 64 * 1024
"""How much of a response is read if it only says whether messages were accepted."""

NetworkError = Literal[
    "", "CONNECT", "UNKNOWN_HOST", "TLS", "PROXY", "POOL", "TIMEOUT", "RESET", "PROTOCOL"
]
"""Why there is no response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: a POST by default."""

    api: str
    path: str = field(repr=False)  # it can name a person
    body: bytes = field(default=b"", repr=False)
    method: Literal["GET", "POST"] = "POST"
    uncompressed: bool = False
    max_response_bytes: int = MAX_RESPONSE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The response to a request, or why there is none."""

    kind: Literal["answer", "never-sent", "no-answer"]
    status: int | None = None
    json: Any = field(default=None, repr=False)
    retry_after: str | None = None
    date: str | None = None
    error: str = ""
    network_error: NetworkError = ""
    compressed: bool = False
    elapsed_s: float = 0.0


def error_text(body: Any) -> str:
    """Return the text of an error body, in any of the known formats.

    Source: API facts 1.4 and C3. The formats are `meta.error`, `meta.errors`, and a list `errors`
    of texts or of objects with `reason`, `field` and `message`.

    Examples:
        >>> error_text({"meta": {"errors": ["name cannot be blank"]}})
        'name cannot be blank'
        >>> error_text({"errors": [{"reason": "invalid", "field": "id", "message": "too long"}]})
        'invalid id: too long'
        >>> error_text({})
        ''
    """
    if not isinstance(body, Mapping):
        return ""
    meta = body.get("meta")
    sources = (meta, body) if isinstance(meta, Mapping) else (body,)
    texts = [text for part in sources for key in ("error", "errors") for text in _texts(part, key)]
    return "; ".join(texts)


def _texts(part: Mapping[str, Any], key: str) -> list[str]:
    value = part.get(key)
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [text for item in items if (text := _text(item))]


def _text(item: Any) -> str:
    if isinstance(item, Mapping):
        subject = " ".join(str(item[key]) for key in ("reason", "field") if item.get(key))
        return ": ".join(part for part in (subject, str(item.get("message") or "")) if part)
    return item.strip() if isinstance(item, str) else ""


_REDACTED_CHARACTERS = 4096  # limits the work; far more than is kept
_ADDRESS = re.compile(r"[^\s@<>\"'=&,;:]{1,64}(?:@|%40)[^\s@<>\"'&,;:]{1,255}", re.IGNORECASE)
_INVISIBLE = re.compile(r"[\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]+")


def redact(text: str, *, secrets: Iterable[str] = ()) -> str:
    r"""Return a server's text without keys, e-mail addresses and control characters.

    Examples:
        >>> redact("no person ann@example.com\n for key k1", secrets=["k1"])
        'no person [email] for key ***'
    """
    # A lone surrogate, which JSON can contain, could not be written to a record.
    text = text[:_REDACTED_CHARACTERS].encode("utf-8", "replace").decode()
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _INVISIBLE.sub(" ", _ADDRESS.sub("[email]", text)).strip()
    return text if len(text) <= ERROR_CHARACTERS else text[: ERROR_CHARACTERS - 1] + "…"


ATTEMPT_SECONDS = 60.0
"""The total time of one attempt, however slowly the response arrives."""

CONNECT_SECONDS = 10.0

_UNCOMPRESSED_BYTES = 1_200  # compressing less than a packet saves nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConfig:
    """The settings of a transport."""

    bases: Mapping[str, str]
    basic: Callable[[str], tuple[str, str]] = field(repr=False)
    loopback: bool = False
    strict: bool = True
    gzip: bool = True
    attempt_s: float = ATTEMPT_SECONDS
    transport: Any = None


class Transport:
    """Sends requests over connections that stay open until the `async with` ends."""

    def __init__(
        self, config: TransportConfig, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._monotonic = monotonic
        self._library = _library(config.transport)
        timeout = self._library.Timeout(config.attempt_s, connect=CONNECT_SECONDS)
        self._timeout = timeout.as_dict()
        self._urls: dict[str, httpx.URL] = {}
        self._client: httpx.AsyncClient | None = None
        self._network: Any = None
        self._compressors = ThreadPool(os.cpu_count() or 1)
        self._fast_gzip = _fast_gzip()

    async def __aenter__(self) -> Self:
        self._network = self._config.transport or pool_of(self._config)
        self._client = self._library.AsyncClient(
            transport=self._network, trust_env=False, follow_redirects=False
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None
        self._compressors.close()

    async def post(self, request: Request) -> Response:
        """Send one request and return the response. Errors of the network are not raised."""
        started = self._monotonic()
        compressed = self._config.gzip and _compressible(request)
        headers = self._headers(request, compressed=compressed)
        body = await self._compressed(request.body) if compressed else request.body
        received: dict[str, Any] = {}
        try:
            async with asyncio.timeout(self._config.attempt_s):
                await self._exchange(request, body=body, headers=headers, received=received)
        except (self._library.HTTPError, OSError) as error:
            parts = self._failed_parts(error, received=received, request=request)
        except Exception as error:  # noqa: BLE001
            # A bug in a transport, not a network error. The frames below hold headers in clear text.
            raise error.with_traceback(None) from None
        else:
            parts = self._read(received, request=request)
        return Response(**parts, compressed=compressed, elapsed_s=self._monotonic() - started)

    async def fetch(
        self, address: str, *, api: str, on_chunk: Callable[[bytes], object]
    ) -> Response:
        """Download a file, pass its chunks to a function, and return the response.

        There is no limit of time as long as data arrive. The key is sent to the API's own host only.

        Args:
            address: The address of the file, as the API returned it.
            api: The API.
            on_chunk: Is called with the bytes of a success; its exceptions are raised.
        """
        request = Request(api=api, path="", method="GET")
        url = self._library.URL(address)
        is_own = f"{url.scheme}://{url.netloc.decode()}" == self._config.bases[api]
        headers = self._headers(request, compressed=False)
        if not is_own:
            del headers["Authorization"]
        received: dict[str, Any] = {}
        http_request = self._library.Request(
            "GET", url, headers=headers, extensions={"timeout": self._timeout}
        )
        started = self._monotonic()
        try:
            async with self._network_of(url, is_own=is_own) as network:
                await self._stream(
                    http_request, network=network, received=received, on_chunk=on_chunk
                )
            if not is_own:  # the response of another host can repeat the signature of the link
                del received["content"]
        except (self._library.HTTPError, OSError) as error:
            parts = self._failed_parts(error, received=received, request=request)
        except Exception as error:  # noqa: BLE001
            raise error.with_traceback(None) from None  # as in `post`
        else:
            parts = self._read(received, request=request)
        return Response(**parts, elapsed_s=self._monotonic() - started)

    @asynccontextmanager
    async def _network_of(self, url: "httpx.URL", *, is_own: bool) -> AsyncIterator[Any]:
        """Yield a connection pool for a host: the open one for the API's own host."""
        if is_own or self._config.transport:
            yield self._network
            return
        origin = f"{url.scheme}://{url.netloc.decode()}"
        pool = ConnectionPool(self._library, [origin], trust_env=not self._config.loopback)
        try:
            yield pool
        finally:
            await pool.aclose()

    async def _stream(
        self,
        http_request: "httpx.Request",
        *,
        network: Any,
        received: dict[str, Any],
        on_chunk: Callable[[bytes], object],
    ) -> None:
        """Pass the body of a success to a function; fill `received` with the rest, and other bodies."""
        response = await network.handle_async_request(http_request)
        try:
            received["status"] = response.status_code
            content = bytearray()
            async for chunk in response.stream:
                if 200 <= response.status_code < 300:  # noqa: PLR2004
                    on_chunk(chunk)
                elif len(content) < MAX_RESPONSE_BYTES:
                    content += chunk
            received["content"] = bytes(content)
        finally:
            await response.aclose()

    async def _exchange(
        self, request: Request, *, body: bytes, headers: "httpx.Headers", received: dict[str, Any]
    ) -> None:
        """Fill `received` with what arrives, so that a status is kept even if the body is cut off."""
        assert self._client is not None, "A transport posts inside its `async with`."  # noqa: S101
        address = self._config.bases[request.api] + request.path
        url = self._urls.get(address) or self._urls.setdefault(address, self._library.URL(address))
        # Not made by the client, which would merge its defaults into every request.
        http_request = self._library.Request(
            request.method,
            url,
            headers=headers,
            content=body,
            extensions={"timeout": self._timeout},
        )
        if APIS[request.api].reads:
            # Not by the client, which logs the address: it can name a person.
            response = await self._network.handle_async_request(http_request)
        else:
            response = await self._client.send(http_request, stream=True)
        try:
            received["status"] = response.status_code
            received["retry_after"] = response.headers.get("retry-after")
            received["date"] = response.headers.get("date")
            content = bytearray()
            stream: Any = response.stream  # raw: a response is never decompressed
            async for chunk in stream:
                content += chunk
                if len(content) > request.max_response_bytes:
                    break
            received["content"] = bytes(content)
        finally:
            await response.aclose()

    async def _compressed(self, body: bytes) -> bytes:
        """Compress; the same body gives the same bytes.

        isal takes less than a millisecond for a full body, which is less than a thread costs; zlib
        takes ten, which would delay the other requests.
        """
        if self._fast_gzip is not None:
            return self._fast_gzip(body, 1, mtime=0)
        return await asyncio.wrap_future(
            self._compressors.start(gzip.compress, body, compresslevel=1, mtime=0)
        )

    def _headers(self, request: Request, *, compressed: bool) -> "httpx.Headers":
        """Return the headers in a type whose repr masks the key."""
        api = APIS[request.api]
        headers: httpx.Headers = self._library.Headers(
            {
                "Authorization": _authorization(api, *self._config.basic(api.name)),
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"cio_frames/{_version()}",
            }
        )
        if self._config.strict and not api.reads:
            headers["X-Strict-Mode"] = "1"
        if compressed:
            headers["Content-Encoding"] = "gzip"
        return headers

    def _failed_parts(
        self, error: Exception, *, received: dict[str, Any], request: Request
    ) -> dict[str, Any]:
        """Return the fields of a response whose exchange failed.

        A status that is an error counts without its body. A success does not: whatever cut the body
        off may have made it up.
        """
        status = received.get("status")
        if status is not None and not 200 <= status < 300:  # noqa: PLR2004
            return self._read(received, request=request)
        network_error, is_sent = _network_error(error, self._library)
        return {
            "kind": "no-answer" if is_sent else "never-sent",
            "status": status,
            "network_error": network_error,
            "error": self._redact(f"{type(error).__name__}: {error}", request=request),
        }

    def _read(self, received: dict[str, Any], *, request: Request) -> dict[str, Any]:
        """Return the fields of a response, with the body as JSON or as a redacted text."""
        content: bytes = received.pop("content", b"")
        body, text = None, ""
        if len(content) > request.max_response_bytes:
            text = f"the answer is longer than {request.max_response_bytes // 1024:,} KB"
        elif content:
            try:
                body = json.loads(content)
                text = error_text(body)
            except (ValueError, RecursionError):
                text = content[:4096].decode("utf-8", "replace")
        return {
            **received,
            "kind": "answer",
            "json": body,
            "error": self._redact(text, request=request),
        }

    def _redact(self, text: str, *, request: Request) -> str:
        if not text:
            return ""
        user, password = self._config.basic(request.api)
        secrets = (password, user, _token(user, password))
        return redact(text, secrets=[secret for secret in secrets if secret])


def pool_of(config: TransportConfig) -> ConnectionPool:
    """Return the connections of a transport.

    Raises:
        ConfigError: A proxy or a file of certificates of the environment cannot be used.
    """
    return ConnectionPool(_library(None), config.bases.values(), trust_env=not config.loopback)


def _authorization(api: Api, user: str, password: str) -> str:
    """Return the header. No frame that a traceback can show has the keys in variables."""
    return f"Bearer {user}" if api.auth == "bearer" else f"Basic {_token(user, password)}"


def _token(user: str, password: str) -> str:
    return b64encode(f"{user}:{password}".encode()).decode()


def _library(transport: Any) -> ModuleType:
    """Return the library of a given transport, else the preferred one."""
    for kind in type(transport).__mro__:
        root = kind.__module__.partition(".")[0]
        if root in {"httpx", "httpx2"}:
            return import_module(root)
    return import_module("httpx2" if find_spec("httpx2") else "httpx")


def _fast_gzip() -> Callable[..., bytes] | None:
    """Return isal's compression, or None if isal is not installed."""
    try:
        from isal import igzip
    except ModuleNotFoundError:
        return None
    compress: Callable[..., bytes] = igzip.compress
    return compress


@cache
def _version() -> str:
    try:
        return metadata.version("cio-frames")
    except metadata.PackageNotFoundError:
        return "0"


def _compressible(request: Request) -> bool:
    """Return whether the body may be compressed: not every API documents that it accepts it."""
    return (
        APIS[request.api].gzip
        and not request.uncompressed
        and len(request.body) >= _UNCOMPRESSED_BYTES
    )


def _network_error(error: Exception, library: ModuleType) -> tuple[NetworkError, bool]:
    """Return what failed, and whether the host may have received the request."""
    if isinstance(error, library.ConnectError):
        return _connect_error(error), False
    rows: tuple[tuple[Any, NetworkError, bool], ...] = (
        (library.ConnectTimeout, "CONNECT", False),
        (library.PoolTimeout, "POOL", False),
        (library.ProxyError, "PROXY", False),
        ((library.TimeoutException, TimeoutError), "TIMEOUT", True),
        ((library.NetworkError, OSError), "RESET", True),
    )
    for kinds, network_error, is_sent in rows:
        if isinstance(error, kinds):
            return network_error, is_sent
    return "PROTOCOL", True


def _connect_error(error: BaseException) -> NetworkError:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return "TLS"
        if isinstance(cause, socket.gaierror):
            return "CONNECT" if cause.errno == socket.EAI_AGAIN else "UNKNOWN_HOST"
    return "CONNECT"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
