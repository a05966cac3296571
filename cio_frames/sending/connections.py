"""Connections that are used again only when nothing is left over of the last answer.

HTTP/1.1 has no name for an answer: whatever comes next on a connection is taken for the answer to
the next request. A host or a proxy that repeats an answer would have messages counted as delivered
that nobody took. So the bytes of a connection are handed on one answer at a time, and one that has
bytes left over, or that speaks without having been asked, is closed.

The pool is that of `httpcore`, or of `httpcore2`, on which httpx and httpx2 are built. Both take
the place of the network as an argument.
"""

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self
from urllib.request import getproxies, proxy_bypass

from cio_frames.errors import ConfigError

if TYPE_CHECKING:
    import httpcore
    import httpx

KEPT_CONNECTIONS = 32
KEPT_SECONDS = 5.0

REST_SECONDS = 0.02
"""How long a connection rests before it is used again, while the host is not known yet."""

RESTS = 5
"""After how many rests without anything a host is known."""

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_READ_BYTES = 64 * 1024
_TURNS = 3  # of the event loop, in which what has arrived is read
_ASKING = (b"GET ", b"POST ", b"CONNECT ")
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"^content-length:\s*(\d{1,18})\s*$", re.IGNORECASE | re.MULTILINE)
_ENCODED = re.compile(rb"^transfer-encoding:", re.IGNORECASE | re.MULTILINE)
_INTERIM = re.compile(rb"^HTTP/\d\.\d 1")


class AnswerBytes:
    r"""Hands out the bytes of one answer, and keeps what comes after it.

    A head is handed out to its end, a body by its length. A body without one is handed out line by
    line, because chunks end with a line; without chunks it lasts as long as the connection.

    Examples:
        >>> answer = AnswerBytes()
        >>> head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        >>> answer.add(head + b"{}" + head + b"{}")
        >>> answer.take(1_000) == head, answer.take(1_000), len(answer.left)
        (True, b'{}', 40)
    """

    def __init__(self) -> None:
        self.left: bytes = b""
        self._head = b""
        self._in_head = True
        self._body = 0

    def add(self, data: bytes) -> None:
        """Take what has arrived."""
        self.left += data

    def take(self, most: int) -> bytes:
        """Return the next bytes, `most` of them at most."""
        if self._in_head:
            return self._take_head(most)
        if self._body:
            piece = self._cut(min(self._body, most))
            self._body -= len(piece)
            return piece
        return self._cut(min(self.left.find(b"\n") + 1 or len(self.left), most))

    def _take_head(self, most: int) -> bytes:
        found = _END_OF_HEAD.search(self._head + self.left)
        piece = self._cut(min(found.end() - len(self._head) if found else len(self.left), most))
        self._head += piece
        if found and len(self._head) == found.end():
            self._in_head = _INTERIM.match(self._head) is not None
            length = None if _ENCODED.search(self._head) else _LENGTH.search(self._head)
            self._body = int(length[1]) if length and not self._in_head else 0
            self._head = b""
        return piece

    def _cut(self, size: int) -> bytes:
        piece, self.left = self.left[:size], self.left[size:]
        return piece


@dataclass(slots=True)
class Habits:
    """What was learned about how a host answers.

    A repeat that comes while the next request is under way looks like its answer. So the first
    connections rest before they are used again, and as soon as a host repeats anything, none is.

    Attributes:
        is_repeating: Whether it has said something that no request asked for.
        rests: How often a connection rested and nothing came.
    """

    is_repeating: bool = False
    rests: int = 0


class AnswerStream:
    """The stream of a connection: one request, one answer, and nothing else in between.

    It reads ahead, so that what comes without a request is noticed wherever it waits: in the
    socket, in the event loop, or in the layer of TLS.
    """

    def __init__(
        self, inner: "httpcore.AsyncNetworkStream", core: ModuleType, habits: Habits
    ) -> None:
        self._inner = inner
        self._core = core
        self._habits = habits
        self._answered_at = 0.0
        self._answer: AnswerBytes | None = None
        self._reading: asyncio.Task[bytes] | None = None
        self._was_used = False

    @property
    def is_left_over(self) -> bool:
        """Whether something came that no request asked for, or the other side has closed."""
        is_kept = self._answer is not None and bool(self._answer.left)
        is_read = self._reading is not None and self._reading.done()
        if self._was_used and (is_kept or (is_read and _data_of(self._reading))):
            self._habits.is_repeating = True
        return is_kept or is_read

    async def finish(self) -> None:
        """Look, once an answer is complete, whether anything follows; then keep on looking."""
        self._answered_at = asyncio.get_running_loop().time()
        await self._settle()

    async def _rest(self) -> None:
        """Give a host that is not known yet the time to repeat itself."""
        left_s = self._answered_at + REST_SECONDS - asyncio.get_running_loop().time()
        if self._reading is None or self._habits.rests >= RESTS or self._habits.is_repeating:
            return
        if left_s > 0:
            await asyncio.wait({self._reading}, timeout=left_s)
        self._habits.rests += not self._reading.done()

    async def _settle(self) -> None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._inner.read(_READ_BYTES))
            self._reading.add_done_callback(_retrieve)
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Return the next bytes of the answer, and nothing of the next one; empty at the end."""
        if self._answer is None:
            return await self._inner.read(max_bytes, timeout)
        if not self._answer.left:
            data = await self._received(timeout)
            if not data:
                return b""
            self._answer.add(data)
        return self._answer.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write; a request leaves only if nothing has come since the last answer."""
        if buffer.startswith(_ASKING):
            if self._was_used:
                await self._rest()
            await self._settle()
            if self.is_left_over or (self._was_used and self._habits.is_repeating):
                await self.aclose()
                if self._was_used:
                    raise self._core.ConnectionNotAvailable
                raise self._core.ConnectError(
                    "The host sent data, or closed the connection, before the request."
                )
            self._answer, self._was_used = AnswerBytes(), True
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection, and read no further."""
        if self._reading is not None:
            self._reading.cancel()
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> "AnswerStream":
        """Return the same connection with TLS from here on."""
        if self.is_left_over:
            raise self._core.ConnectError("The proxy sent unexpected data after connecting.")
        inner = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        return AnswerStream(inner, self._core, self._habits)

    def get_extra_info(self, info: str) -> Any:
        """Return what the pool asks; a connection that is readable between requests is closed."""
        if info == "is_readable" and (
            self.is_left_over or (self._was_used and self._habits.is_repeating)
        ):
            return True
        return self._inner.get_extra_info(info)

    async def _received(self, timeout: float | None) -> bytes:  # noqa: ASYNC109
        reading = self._reading
        if reading is None:
            return await self._inner.read(_READ_BYTES, timeout)
        await asyncio.wait({reading}, timeout=timeout)
        if not reading.done():
            raise self._core.ReadTimeout
        self._reading = None
        return reading.result()


class _Network:
    """The network, with streams that keep answers apart."""

    def __init__(self, core: ModuleType) -> None:
        self._core = core
        self._inner = core.AnyIOBackend()
        self._habits = Habits()

    async def connect_tcp(self, *args: Any, **options: Any) -> AnswerStream:
        inner = await self._inner.connect_tcp(*args, **options)
        return AnswerStream(inner, self._core, self._habits)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class ConnectionPool:
    """A transport of httpx: connections are kept, each way out through the proxy it needs.

    Raises:
        ConfigError: A proxy or a file of certificates of the environment cannot be used.
    """

    def __init__(self, library: ModuleType, bases: Iterable[str], *, trust_env: bool) -> None:
        self._library = library
        self._core = _core_of(library)
        self._stream = _stream_of(library)
        urls = {base: library.URL(base) for base in bases}
        context = _certificates(library, trust_env=trust_env) if _needs_tls(urls.values()) else None
        proxies = {
            url.host: _proxy_of(url, library=library) if trust_env else None
            for url in urls.values()
        }
        self._pools: Mapping[str, Any] = {
            host: self._pool(proxy, context=context) for host, proxy in proxies.items()
        }

    async def handle_async_request(self, request: "httpx.Request") -> "httpx.Response":
        """Send a request over a connection that has nothing left over."""
        url = request.url
        asked = self._core.Request(
            request.method,
            self._core.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with self._translated():
            answer = await self._pools[url.host].handle_async_request(asked)
        response: httpx.Response = self._library.Response(
            answer.status,
            headers=answer.headers,
            stream=self._stream(self._read(answer), answer.stream.aclose),
            extensions=answer.extensions,
        )
        return response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()

    async def _read(self, answer: "httpcore.Response") -> AsyncIterator[bytes]:
        with self._translated():
            async for piece in answer.stream:  # type: ignore[union-attr]
                yield piece
        stream = answer.extensions.get("network_stream")
        if isinstance(stream, AnswerStream):
            await stream.finish()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise the errors of the pool as those of httpx, which have the same names."""
        try:
            yield
        except Exception as error:
            kind = getattr(self._library, type(error).__name__, None)
            if kind is None or type(error).__module__.partition(".")[0] != self._core.__name__:
                raise
            raise kind(str(error)) from error

    def _pool(self, proxy: Any, *, context: ssl.SSLContext | None) -> Any:
        options = {
            "ssl_context": context,
            # The engine bounds what is under way. A bound here could only be leaked away.
            "max_connections": None,
            "max_keepalive_connections": KEPT_CONNECTIONS,
            "keepalive_expiry": KEPT_SECONDS,
            "network_backend": _Network(self._core),
        }
        if proxy is None:
            return self._core.AsyncConnectionPool(**options)
        url = proxy.url
        where = self._core.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        if url.scheme.startswith("socks"):
            return self._core.AsyncSOCKSProxy(where, proxy_auth=proxy.raw_auth, **options)
        return self._core.AsyncHTTPProxy(
            where,
            proxy_auth=proxy.raw_auth,
            proxy_headers=proxy.headers.raw,
            proxy_ssl_context=proxy.ssl_context,
            **options,
        )


def _data_of(reading: "asyncio.Task[bytes] | None") -> bytes:
    """Return what a reading that is done has brought, nothing if the connection ended."""
    if reading is None or reading.cancelled() or reading.exception() is not None:
        return b""
    return reading.result()


def _retrieve(reading: "asyncio.Task[bytes]") -> None:
    """Take note of what a connection that nobody asks any more has raised."""
    if not reading.cancelled():
        reading.exception()


def _core_of(library: ModuleType) -> ModuleType:
    name = "httpcore2" if library.__name__ == "httpx2" and find_spec("httpcore2") else "httpcore"
    return import_module(name)


def _stream_of(library: ModuleType) -> Any:
    """Return a stream as httpx wants one."""

    class Stream(library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, pieces: AsyncIterator[bytes], close: Any) -> None:
            self._pieces = pieces
            self._close = close

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._pieces

        async def aclose(self) -> None:
            await self._close()

    return Stream


def _needs_tls(urls: Iterable["httpx.URL"]) -> bool:
    return any(url.scheme == "https" for url in urls)


def _certificates(library: ModuleType, *, trust_env: bool) -> ssl.SSLContext:
    """Return what hosts are verified with."""
    named = [f"{name}={os.environ[name]}" for name in _CERTIFICATES if os.environ.get(name)]
    try:
        for name in _CERTIFICATES if trust_env else ():  # older versions pass over a missing file
            Path(os.environ.get(name) or os.curdir).stat()
        context: ssl.SSLContext = library.create_ssl_context(trust_env=trust_env)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(
            f"The certificates for verifying hosts cannot be read ({problem}). "
            f"Correct {' and '.join(named) or 'SSL_CERT_FILE'}, or unset it."
        ) from None
    return context


def _proxy_of(url: "httpx.URL", *, library: ModuleType) -> Any:
    """Return the proxy that the environment names for a host, None if it names none."""
    named = getproxies()
    address = named.get(url.scheme) or named.get("all")
    if not address or proxy_bypass(url.host):
        return None
    variable = f"{url.scheme.upper()}_PROXY" if named.get(url.scheme) else "ALL_PROXY"
    try:
        proxy = library.Proxy(address if "://" in address else f"http://{address}")
        is_host = bool(proxy.url.host)
    except (ValueError, TypeError, library.InvalidURL):
        is_host = False
    if not is_host:  # the address is not repeated: it may hold a password
        raise ConfigError(
            f"{variable} is not a proxy address. "
            "Use http://host:port or socks5://host:port, or unset it."
        )
    if proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ConfigError(
            f"{variable} is a SOCKS proxy, which needs the package socksio, and it is not "
            "installed. Run: pip install socksio"
        )
    return proxy
