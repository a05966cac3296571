"""The one place that speaks HTTP. Everything the network does comes back as an `Answer`.

The library is `httpx2` where it is installed and `httpx` else; it is loaded when a client first
sends. Redirects are never followed: a 301 would turn the POST into a GET and lose the rows, a 307
would hand them to another host. Certificates are always verified.
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
"""How much of a server's words is kept."""

ANSWER_BYTES = 64 * 1024
"""How much of an answer is read where it only says whether something was taken."""

NetworkError = Literal[
    "", "CONNECT", "UNKNOWN_HOST", "TLS", "PROXY", "POOL", "TIMEOUT", "RESET", "PROTOCOL"
]
"""Why there is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: a POST, unless it says otherwise."""

    api: str
    path: str = field(repr=False)  # it can name a person
    body: bytes = field(default=b"", repr=False)
    method: Literal["GET", "POST"] = "POST"
    plain: bool = False
    most_bytes: int = ANSWER_BYTES  # how much of the answer is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What came back for a request."""

    kind: Literal["answer", "never-sent", "no-answer"]
    status: int | None = None
    json: Any = field(default=None, repr=False)
    retry_after: str | None = None
    date: str | None = None
    error: str = ""
    trouble: NetworkError = ""
    compressed: bool = False
    elapsed_s: float = 0.0


def error_text(body: Any) -> str:
    """Return what an error body says, whichever of the known shapes it has.

    Source: API facts 1.4 and C3. Known are `meta.error`, `meta.errors`, and a list `errors`
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
    found = [text for part in sources for key in ("error", "errors") for text in _texts(part, key)]
    return "; ".join(found)


def _texts(part: Mapping[str, Any], key: str) -> list[str]:
    value = part.get(key)
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [text for item in items if (text := _text(item))]


def _text(item: Any) -> str:
    if isinstance(item, Mapping):
        subject = " ".join(str(item[key]) for key in ("reason", "field") if item.get(key))
        return ": ".join(part for part in (subject, str(item.get("message") or "")) if part)
    return item.strip() if isinstance(item, str) else ""


_SCRUBBED_CHARACTERS = 4096  # bounds the work; far more than is kept
_ADDRESS = re.compile(r"[^\s@<>\"'=&,;:]{1,64}(?:@|%40)[^\s@<>\"'&,;:]{1,255}", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]+")


def redact(text: str, *, secrets: Iterable[str] = ()) -> str:
    r"""Return a server's words without keys, e-mail addresses and control characters.

    Examples:
        >>> redact("no person ann@example.com\n for key k1", secrets=["k1"])
        'no person [email] for key ***'
    """
    # Half a character, which JSON can hold, could not be written into any record.
    kept = text[:_SCRUBBED_CHARACTERS].encode("utf-8", "replace").decode()
    for secret in secrets:
        kept = kept.replace(secret, "***")
    kept = _UNSEEN.sub(" ", _ADDRESS.sub("[email]", kept)).strip()
    return kept if len(kept) <= ERROR_CHARACTERS else kept[: ERROR_CHARACTERS - 1] + "…"


ATTEMPT_SECONDS = 60.0
"""The total time of one attempt, however slowly the answer drips."""

CONNECT_SECONDS = 10.0

_PLAIN_BYTES = 1_200  # compressing less than a packet saves nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConfig:
    """How requests travel."""

    bases: Mapping[str, str]
    basic: Callable[[str], tuple[str, str]] = field(repr=False)
    loopback: bool = False
    strict: bool = True
    gzip: bool = True
    attempt_s: float = ATTEMPT_SECONDS
    transport: Any = None


class Transport:
    """Makes requests over connections that are kept open until the `async with` ends."""

    def __init__(
        self, wire: TransportConfig, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wire = wire
        self._monotonic = monotonic
        self._library = _library(wire.transport)
        timeout = self._library.Timeout(wire.attempt_s, connect=CONNECT_SECONDS)
        self._timeout = timeout.as_dict()
        self._urls: dict[str, httpx.URL] = {}
        self._client: httpx.AsyncClient | None = None
        self._network: Any = None
        self._packers = ThreadPool(os.cpu_count() or 1)
        self._fast_gzip = _fast_gzip()

    async def __aenter__(self) -> Self:
        self._network = self._wire.transport or pool_of(self._wire)
        self._client = self._library.AsyncClient(
            transport=self._network, trust_env=False, follow_redirects=False
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None
        self._packers.close()

    async def post(self, request: Request) -> Response:
        """Send one request and return what came of it. Trouble of the network never raises."""
        started = self._monotonic()
        compressed = self._wire.gzip and _compressible(request)
        headers = self._headers(request, compressed=compressed)
        body = await self._compressed(request.body) if compressed else request.body
        seen: dict[str, Any] = {}
        try:
            async with asyncio.timeout(self._wire.attempt_s):
                await self._exchange(request, body=body, headers=headers, seen=seen)
        except (self._library.HTTPError, OSError) as error:
            parts = self._troubled(error, seen=seen, request=request)
        except Exception as error:  # noqa: BLE001
            # A fault of a transport, not of the network. The frames below hold headers in clear.
            raise error.with_traceback(None) from None
        else:
            parts = self._read(seen, request=request)
        return Response(**parts, compressed=compressed, elapsed_s=self._monotonic() - started)

    async def fetch(self, address: str, *, api: str, take: Callable[[bytes], object]) -> Response:
        """Give a file to a function, piece by piece, and return what came of it.

        An attempt may take as long as it likes, as long as something comes. The key goes along only
        to the API's own host.

        Args:
            address: Where the file is, as an API has said.
            api: The API that has said it.
            take: Is given the bytes of a success. What it raises is raised.
        """
        request = Request(api=api, path="", method="GET")
        url = self._library.URL(address)
        is_own = f"{url.scheme}://{url.netloc.decode()}" == self._wire.bases[api]
        headers = self._headers(request, compressed=False)
        if not is_own:
            del headers["Authorization"]
        seen: dict[str, Any] = {}
        asked = self._library.Request(
            "GET", url, headers=headers, extensions={"timeout": self._timeout}
        )
        started = self._monotonic()
        try:
            async with self._network_of(url, is_own=is_own) as network:
                await self._poured(asked, network=network, seen=seen, take=take)
            if not is_own:  # what another host says can repeat the signature of the link
                del seen["content"]
        except (self._library.HTTPError, OSError) as error:
            parts = self._troubled(error, seen=seen, request=request)
        except Exception as error:  # noqa: BLE001
            raise error.with_traceback(None) from None  # as in `post`
        else:
            parts = self._read(seen, request=request)
        return Response(**parts, elapsed_s=self._monotonic() - started)

    @asynccontextmanager
    async def _network_of(self, url: "httpx.URL", *, is_own: bool) -> AsyncIterator[Any]:
        """Give connections to a host, those of the API's own where it is there."""
        if is_own or self._wire.transport:
            yield self._network
            return
        origin = f"{url.scheme}://{url.netloc.decode()}"
        pool = ConnectionPool(self._library, [origin], trust_env=not self._wire.loopback)
        try:
            yield pool
        finally:
            await pool.aclose()

    async def _poured(
        self,
        asked: "httpx.Request",
        *,
        network: Any,
        seen: dict[str, Any],
        take: Callable[[bytes], object],
    ) -> None:
        """Give the body of a success to a function; fill `seen` with the rest, and with other bodies."""
        response = await network.handle_async_request(asked)
        try:
            seen["status"] = response.status_code
            content = bytearray()
            async for piece in response.stream:
                if 200 <= response.status_code < 300:  # noqa: PLR2004
                    take(piece)
                elif len(content) < ANSWER_BYTES:
                    content += piece
            seen["content"] = bytes(content)
        finally:
            await response.aclose()

    async def _exchange(
        self, request: Request, *, body: bytes, headers: "httpx.Headers", seen: dict[str, Any]
    ) -> None:
        """Fill `seen` with what arrives, so that a status is known even if the body breaks off."""
        assert self._client is not None, "A transport posts inside its `async with`."  # noqa: S101
        address = self._wire.bases[request.api] + request.path
        url = self._urls.get(address) or self._urls.setdefault(address, self._library.URL(address))
        # Made here, not by the client, which would merge its defaults into every request.
        asked = self._library.Request(
            request.method,
            url,
            headers=headers,
            content=body,
            extensions={"timeout": self._timeout},
        )
        if APIS[request.api].reads:  # past the client, which logs the address: it can name a person
            response = await self._network.handle_async_request(asked)
        else:
            response = await self._client.send(asked, stream=True)
        try:
            seen["status"] = response.status_code
            seen["retry_after"] = response.headers.get("retry-after")
            seen["date"] = response.headers.get("date")
            content = bytearray()
            stream: Any = response.stream  # as it came: an answer is never inflated
            async for piece in stream:
                content += piece
                if len(content) > request.most_bytes:
                    break
            seen["content"] = bytes(content)
        finally:
            await response.aclose()

    async def _compressed(self, body: bytes) -> bytes:
        """Compress, with the same bytes for the same body.

        A full body takes isal less than a millisecond, which is less than a thread costs; zlib takes
        ten, which would hold up the other requests.
        """
        if self._fast_gzip is not None:
            return self._fast_gzip(body, 1, mtime=0)
        return await asyncio.wrap_future(
            self._packers.start(gzip.compress, body, compresslevel=1, mtime=0)
        )

    def _headers(self, request: Request, *, compressed: bool) -> "httpx.Headers":
        """Return the headers in a type that masks the key when it is drawn."""
        api = APIS[request.api]
        headers: httpx.Headers = self._library.Headers(
            {
                "Authorization": _authorization(api, *self._wire.basic(api.name)),
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"cio_frames/{_version()}",
            }
        )
        if self._wire.strict and not api.reads:
            headers["X-Strict-Mode"] = "1"
        if compressed:
            headers["Content-Encoding"] = "gzip"
        return headers

    def _troubled(
        self, error: Exception, *, seen: dict[str, Any], request: Request
    ) -> dict[str, Any]:
        """Return the answer's parts when the exchange broke off.

        A status other than a success is as good without its body. A success is not: whatever cut
        the body off may have made it up.
        """
        status = seen.get("status")
        if status is not None and not 200 <= status < 300:  # noqa: PLR2004
            return self._read(seen, request=request)
        trouble, sent = _trouble(error, self._library)
        return {
            "kind": "no-answer" if sent else "never-sent",
            "status": status,
            "trouble": trouble,
            "error": self._redact(f"{type(error).__name__}: {error}", request=request),
        }

    def _read(self, seen: dict[str, Any], *, request: Request) -> dict[str, Any]:
        """Return the answer's parts, with the body as JSON or as a few scrubbed words."""
        content: bytes = seen.pop("content", b"")
        body, words = None, ""
        if len(content) > request.most_bytes:
            words = f"the answer is longer than {request.most_bytes // 1024:,} KB"
        elif content:
            try:
                body = json.loads(content)
                words = error_text(body)
            except (ValueError, RecursionError):
                words = content[:4096].decode("utf-8", "replace")
        return {
            **seen,
            "kind": "answer",
            "json": body,
            "error": self._redact(words, request=request),
        }

    def _redact(self, words: str, *, request: Request) -> str:
        if not words:
            return ""
        user, password = self._wire.basic(request.api)
        secrets = (password, user, _token(user, password))
        return redact(words, secrets=[secret for secret in secrets if secret])


def pool_of(wire: TransportConfig) -> ConnectionPool:
    """Return the connections of a transport that none was given for.

    Raises:
        ConfigError: A proxy or a file of certificates of the environment cannot be used.
    """
    return ConnectionPool(_library(None), wire.bases.values(), trust_env=not wire.loopback)


def _authorization(api: Api, user: str, password: str) -> str:
    """Return what proves to an API who asks."""
    return f"Bearer {user}" if api.auth == "bearer" else f"Basic {_token(user, password)}"


def _token(user: str, password: str) -> str:
    return b64encode(f"{user}:{password}".encode()).decode()


def _library(transport: Any) -> ModuleType:
    """Return the library that a given transport belongs to, else the preferred one."""
    for kind in type(transport).__mro__:
        root = kind.__module__.partition(".")[0]
        if root in {"httpx", "httpx2"}:
            return import_module(root)
    return import_module("httpx2" if find_spec("httpx2") else "httpx")


def _fast_gzip() -> Callable[..., bytes] | None:
    """Return isal's compression, None where isal is not installed."""
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
    """Tell whether the body may be compressed: not every API is known to take that."""
    return APIS[request.api].gzip and not request.plain and len(request.body) >= _PLAIN_BYTES


def _trouble(error: Exception, library: ModuleType) -> tuple[NetworkError, bool]:
    """Return what went wrong and whether the host may have got the request."""
    if isinstance(error, library.ConnectError):
        return _connect_trouble(error), False
    rows: tuple[tuple[Any, NetworkError, bool], ...] = (
        (library.ConnectTimeout, "CONNECT", False),
        (library.PoolTimeout, "POOL", False),
        (library.ProxyError, "PROXY", False),
        ((library.TimeoutException, TimeoutError), "TIMEOUT", True),
        ((library.NetworkError, OSError), "RESET", True),
    )
    for kinds, trouble, sent in rows:
        if isinstance(error, kinds):
            return trouble, sent
    return "PROTOCOL", True


def _connect_trouble(error: BaseException) -> NetworkError:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return "TLS"
        if isinstance(cause, socket.gaierror):
            return "CONNECT" if cause.errno == socket.EAI_AGAIN else "UNKNOWN_HOST"
    return "CONNECT"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
