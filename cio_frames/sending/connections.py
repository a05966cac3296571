"""Connections that are reused only if the last response left no unread data.

An HTTP/1.1 response does not name its request: the next data on a connection are taken for the
response to the next request. If a host or proxy repeated a response, messages would be counted as
delivered that never arrived. So the bytes of a connection are passed on one response at a time, and
a connection with unread data, or with data that no request asked for, is closed.

The pool is that of `httpcore` or `httpcore2`, on which httpx and httpx2 are built. Both accept a
network backend as an argument.
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

IDLE_CONNECTIONS = 32
IDLE_SECONDS = 5.0

REUSE_DELAY_SECONDS = 0.02
"""How long a new connection waits before it is reused, until the host is trusted."""

QUIET_DELAYS = 5
"""After how many such waits without data a host is trusted."""

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_READ_BYTES = 64 * 1024
_LOOP_TURNS = 3  # of the event loop, enough to read what has arrived
_REQUEST_STARTS = (b"GET ", b"POST ", b"CONNECT ")
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"^content-length:\s*(\d{1,18})\s*$", re.IGNORECASE | re.MULTILINE)
_ENCODED = re.compile(rb"^transfer-encoding:", re.IGNORECASE | re.MULTILINE)
_INTERIM = re.compile(rb"^HTTP/\d\.\d 1")


class ResponseBytes:
    r"""Returns the bytes of one response, and keeps what comes after it.

    A head ends at its blank line, a body after its length. A body without a length is returned line
    by line, because chunks end with a line; without chunks it ends with the connection.

    Examples:
        >>> response = ResponseBytes()
        >>> head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        >>> response.add(head + b"{}" + head + b"{}")
        >>> response.take(1_000) == head, response.take(1_000), len(response.buffer)
        (True, b'{}', 40)
    """

    def __init__(self) -> None:
        self.buffer: bytes = b""
        self._head = b""
        self._in_head = True
        self._body = 0

    def add(self, data: bytes) -> None:
        """Add data that have arrived."""
        self.buffer += data

    def take(self, maximum: int) -> bytes:
        """Return the next bytes, at most `maximum`."""
        if self._in_head:
            return self._take_head(maximum)
        if self._body:
            piece = self._pop(min(self._body, maximum))
            self._body -= len(piece)
            return piece
        return self._pop(min(self.buffer.find(b"\n") + 1 or len(self.buffer), maximum))

    def _take_head(self, maximum: int) -> bytes:
        match = _END_OF_HEAD.search(self._head + self.buffer)
        piece = self._pop(
            min(match.end() - len(self._head) if match else len(self.buffer), maximum)
        )
        self._head += piece
        if match and len(self._head) == match.end():
            self._in_head = _INTERIM.match(self._head) is not None
            length = None if _ENCODED.search(self._head) else _LENGTH.search(self._head)
            self._body = int(length[1]) if length and not self._in_head else 0
            self._head = b""
        return piece

    def _pop(self, size: int) -> bytes:
        piece, self.buffer = self.buffer[:size], self.buffer[size:]
        return piece


@dataclass(slots=True)
class HostBehavior:
    """How a host has behaved so far.

    A repeated response that arrives after the next request looks like the response to it. So the
    first connections wait before they are reused; once a host repeats anything, none is reused.

    Attributes:
        is_repeating: Whether it has sent data that no request asked for.
        quiet_delays: How often a connection waited and nothing came.
    """

    is_repeating: bool = False
    quiet_delays: int = 0


class ResponseStream:
    """The stream of a connection that allows one response per request and no other data.

    It reads ahead, so that unrequested data are noticed wherever they wait: in the socket, in the
    event loop, or in the TLS layer.
    """

    def __init__(
        self, inner: "httpcore.AsyncNetworkStream", core: ModuleType, behavior: HostBehavior
    ) -> None:
        self._inner = inner
        self._core = core
        self._behavior = behavior
        self._finished_at = 0.0
        self._response: ResponseBytes | None = None
        self._read_task: asyncio.Task[bytes] | None = None
        self._was_used = False

    @property
    def has_unrequested_data(self) -> bool:
        """Whether there are data that no request asked for, or the other side has closed."""
        is_buffered = self._response is not None and bool(self._response.buffer)
        is_read = self._read_task is not None and self._read_task.done()
        if self._was_used and (is_buffered or (is_read and _result_of(self._read_task))):
            self._behavior.is_repeating = True
        return is_buffered or is_read

    @property
    def _must_close(self) -> bool:
        return self.has_unrequested_data or (self._was_used and self._behavior.is_repeating)

    async def finish(self) -> None:
        """Check after a complete response whether data follow, and continue to read."""
        self._finished_at = asyncio.get_running_loop().time()
        await self._read_ahead()

    async def _wait_for_repeat(self) -> None:
        """Wait a moment for repeated data, until the host is trusted."""
        delay_s = self._finished_at + REUSE_DELAY_SECONDS - asyncio.get_running_loop().time()
        if (
            self._read_task is None
            or self._behavior.quiet_delays >= QUIET_DELAYS
            or self._behavior.is_repeating
        ):
            return
        if delay_s > 0:
            await asyncio.wait({self._read_task}, timeout=delay_s)
        self._behavior.quiet_delays += not self._read_task.done()

    async def _read_ahead(self) -> None:
        if self._read_task is None:
            self._read_task = asyncio.create_task(self._inner.read(_READ_BYTES))
            self._read_task.add_done_callback(_retrieve)
        for _ in range(_LOOP_TURNS):
            await asyncio.sleep(0)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Return the next bytes of this response only; empty at the end."""
        if self._response is None:
            return await self._inner.read(max_bytes, timeout)
        if not self._response.buffer:
            data = await self._received(timeout)
            if not data:
                return b""
            self._response.add(data)
        return self._response.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write; a request is sent only if no data have come since the last response."""
        if buffer.startswith(_REQUEST_STARTS):
            if self._was_used:
                await self._wait_for_repeat()
            await self._read_ahead()
            if self._must_close:
                await self.aclose()
                if self._was_used:
                    raise self._core.ConnectionNotAvailable
                raise self._core.ConnectError(
                    "The host sent data, or closed the connection, before the request."
                )
            self._response, self._was_used = ResponseBytes(), True
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection and stop reading."""
        if self._read_task is not None:
            self._read_task.cancel()
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> "ResponseStream":
        """Return the connection with TLS."""
        if self.has_unrequested_data:
            raise self._core.ConnectError("The proxy sent unexpected data after connecting.")
        inner = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        return ResponseStream(inner, self._core, self._behavior)

    def get_extra_info(self, info: str) -> Any:
        """Return information for the pool, which closes a connection that is readable between requests."""
        if info == "is_readable" and self._must_close:
            return True
        return self._inner.get_extra_info(info)

    async def _received(self, timeout: float | None) -> bytes:  # noqa: ASYNC109
        read_task = self._read_task
        if read_task is None:
            return await self._inner.read(_READ_BYTES, timeout)
        await asyncio.wait({read_task}, timeout=timeout)
        if not read_task.done():
            raise self._core.ReadTimeout
        self._read_task = None
        return read_task.result()


class _NetworkBackend:
    """The network backend, with streams that separate responses."""

    def __init__(self, core: ModuleType) -> None:
        self._core = core
        self._inner = core.AnyIOBackend()
        self._behavior = HostBehavior()

    async def connect_tcp(self, *args: Any, **options: Any) -> ResponseStream:
        inner = await self._inner.connect_tcp(*args, **options)
        return ResponseStream(inner, self._core, self._behavior)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class ConnectionPool:
    """A transport of httpx that reuses connections, through the proxies of the environment.

    Raises:
        ConfigError: A proxy or a file of certificates of the environment cannot be used.
    """

    def __init__(self, library: ModuleType, bases: Iterable[str], *, trust_env: bool) -> None:
        self._library = library
        has_core2 = library.__name__ == "httpx2" and find_spec("httpcore2") is not None
        self._core = import_module("httpcore2" if has_core2 else "httpcore")
        self._stream = _stream_of(library)
        urls = {base: library.URL(base) for base in bases}
        needs_tls = any(url.scheme == "https" for url in urls.values())
        context = _certificates(library, trust_env=trust_env) if needs_tls else None
        proxies = {
            url.host: _proxy_of(url, library=library) if trust_env else None
            for url in urls.values()
        }
        self._pools: Mapping[str, Any] = {
            host: self._pool(proxy, context=context) for host, proxy in proxies.items()
        }

    async def handle_async_request(self, request: "httpx.Request") -> "httpx.Response":
        """Send a request over a connection without unread data."""
        url = request.url
        core_request = self._core.Request(
            request.method,
            self._core_url(url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with self._translated_errors():
            core_response = await self._pools[url.host].handle_async_request(core_request)
        response: httpx.Response = self._library.Response(
            core_response.status,
            headers=core_response.headers,
            stream=self._stream(self._read(core_response), core_response.stream.aclose),
            extensions=core_response.extensions,
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

    async def _read(self, core_response: "httpcore.Response") -> AsyncIterator[bytes]:
        with self._translated_errors():
            async for piece in core_response.stream:  # type: ignore[union-attr]
                yield piece
        stream = core_response.extensions.get("network_stream")
        if isinstance(stream, ResponseStream):
            await stream.finish()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise the errors of the pool as those of httpx with the same names."""
        try:
            yield
        except Exception as error:
            error_type = getattr(self._library, type(error).__name__, None)
            if (
                error_type is None
                or type(error).__module__.partition(".")[0] != self._core.__name__
            ):
                raise
            raise error_type(str(error)) from error

    def _core_url(self, url: "httpx.URL") -> Any:
        return self._core.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )

    def _pool(self, proxy: Any, *, context: ssl.SSLContext | None) -> Any:
        options = {
            "ssl_context": context,
            # The scheduler limits requests in flight. A limit here could only leak away.
            "max_connections": None,
            "max_keepalive_connections": IDLE_CONNECTIONS,
            "keepalive_expiry": IDLE_SECONDS,
            "network_backend": _NetworkBackend(self._core),
        }
        if proxy is None:
            return self._core.AsyncConnectionPool(**options)
        proxy_url = self._core_url(proxy.url)
        if proxy.url.scheme.startswith("socks"):
            return self._core.AsyncSOCKSProxy(proxy_url, proxy_auth=proxy.raw_auth, **options)
        return self._core.AsyncHTTPProxy(
            proxy_url,
            proxy_auth=proxy.raw_auth,
            proxy_headers=proxy.headers.raw,
            proxy_ssl_context=proxy.ssl_context,
            **options,
        )


def _result_of(read_task: "asyncio.Task[bytes] | None") -> bytes:
    """Return the data of a finished read; empty if the connection ended."""
    if read_task is None or read_task.cancelled() or read_task.exception() is not None:
        return b""
    return read_task.result()


def _retrieve(read_task: "asyncio.Task[bytes]") -> None:
    """Retrieve the exception of a read that is no longer awaited, so that asyncio does not log it."""
    if not read_task.cancelled():
        read_task.exception()


def _stream_of(library: ModuleType) -> Any:
    """Return the class of a response stream for httpx."""

    class Stream(library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, pieces: AsyncIterator[bytes], close: Any) -> None:
            self._pieces = pieces
            self._close = close

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._pieces

        async def aclose(self) -> None:
            await self._close()

    return Stream


def _certificates(library: ModuleType, *, trust_env: bool) -> ssl.SSLContext:
    """Return the context that verifies hosts."""
    variables = [f"{name}={os.environ[name]}" for name in _CERTIFICATES if os.environ.get(name)]
    try:
        for name in _CERTIFICATES if trust_env else ():  # older versions ignore a missing file
            Path(os.environ.get(name) or os.curdir).stat()
        context: ssl.SSLContext = library.create_ssl_context(trust_env=trust_env)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(
            f"The certificates for verifying hosts cannot be read ({problem}). "
            f"Correct {' and '.join(variables) or 'SSL_CERT_FILE'}, or unset it."
        ) from None
    return context


def _proxy_of(url: "httpx.URL", *, library: ModuleType) -> Any:
    """Return the proxy of the environment for a host, or None."""
    # No address is in a variable here or in an error: it may have a password.
    scheme = url.scheme if getproxies().get(url.scheme) else "all"
    if not getproxies().get(scheme) or proxy_bypass(url.host):
        return None
    variable, proxy = f"{scheme.upper()}_PROXY", _parsed_proxy(getproxies()[scheme], library)
    if proxy is None:
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


def _parsed_proxy(address: str, library: ModuleType) -> Any:
    """Return the proxy at an address, or None if it is not an address of a host."""
    try:
        proxy = library.Proxy(address if "://" in address else f"http://{address}")
    except (ValueError, TypeError, library.InvalidURL):
        return None
    return proxy if proxy.url.host else None
