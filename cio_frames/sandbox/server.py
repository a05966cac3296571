"""The loopback server: a daemon thread with its own event loop, and a check of who sends a request."""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from cio_frames.errors import SandboxError
from cio_frames.spec import CALLS

LOOPBACK = "127.0.0.1"
BACKLOG = 256
CONNECTIONS = 512
IDLE_S = 30.0
START_S = 20.0
DRAIN_S = 1
STOP_S = 10.0
HEADER_BYTES = 32_768
_FORM_ACTION = CALLS["form_action"].path


class Server:
    """An application on a port of the loopback address."""

    def __init__(self, app: Callable[[str], ASGIApp], *, port: int) -> None:
        """Bind the port, build the application for its host, and serve it.

        Port 0 takes a free one. `app` gets `host:port`.

        Raises:
            SandboxError: The port is taken, or the server does not come up.
        """
        self._socket = _bind(port)
        self.host: str = f"{LOOPBACK}:{self._socket.getsockname()[1]}"
        self._is_up = threading.Event()
        self._errors: list[BaseException] = []
        self._server = _Uvicorn(_config(app(self.host)), is_up=self._is_up)
        self._thread = threading.Thread(target=self._run, name=f"cio-sandbox-{port}", daemon=True)
        self._thread.start()
        self._is_up.wait(START_S)
        if not self._server.started:
            self.stop()
            reason = self._errors[0] if self._errors else None
            raise SandboxError(
                f"The sandbox did not start on {self.host}: {reason or 'no answer'}. "
                "Try another port, or use it in process through `sandbox.app`."
            ) from reason

    def stop(self) -> None:
        """Finish the requests that are being answered, close every socket, and end the thread."""
        self._server.should_exit = True
        self._thread.join(STOP_S)
        self._socket.close()

    def _run(self) -> None:
        logger = logging.getLogger("uvicorn.error")
        log_filter = _Silence(threading.get_ident())
        logger.addFilter(log_filter)
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as error:  # noqa: BLE001 (raised by the thread that waits for the start)
            self._errors.append(error)
        finally:
            self._is_up.set()
            logger.removeFilter(log_filter)


class HostCheck:
    """Lets only requests through that name this host and do not come from another origin.

    A web page can make a browser post to a loopback address, and its host name can be made to
    resolve to one (DNS rebinding). Such requests have another Host, or an Origin. Only the action
    of a web form may be posted from any origin: it needs the site id, and its answer holds no data.
    """

    def __init__(self, app: ASGIApp, *, host: str) -> None:
        self._app = app
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer other hosts and origins with 403 and long headers with 431; pass the rest on."""
        if scope["type"] != "http":
            return
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
            status, problem = 431, f"No more than {HEADER_BYTES} bytes of headers are read."
        else:
            status, problem = 403, self._problem(scope)
        if problem:
            closing = {"connection": "close"}
            refusal = PlainTextResponse(problem, status_code=status, headers=closing)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        is_action = scope["method"] == "POST" and scope["path"] == _FORM_ACTION
        if headers.getlist("host") != [self._host]:
            return f"This server answers requests to {self._host} only."
        if not is_action and any(
            origin != f"http://{self._host}" for origin in headers.getlist("origin")
        ):
            return "This server does not answer requests that come from web pages."
        return ""


class _Uvicorn(uvicorn.Server):
    """Signals when it is up, and closes connections that have waited too long for a request."""

    def __init__(self, config: uvicorn.Config, *, is_up: threading.Event) -> None:
        super().__init__(config)
        self._is_up = is_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._is_up.set()

    async def on_tick(self, counter: int) -> bool:
        limit = time.monotonic() - IDLE_S
        for connection in list(self.server_state.connections):
            if _idle_since(connection) < limit:
                connection.transport.abort()
        return await super().on_tick(counter)


class _Connection(H11Protocol):
    """A connection that knows since when it is idle, so that the one idle for longest is closed first."""

    idle_since = float("inf")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.app_state = {**self.app_state, "connection": self.transport}
        self.idle_since = time.monotonic()
        if len(self.connections) > CONNECTIONS:
            min(self.connections, key=_idle_since).transport.abort()

    def on_response_complete(self) -> None:
        self.idle_since = time.monotonic()
        super().on_response_complete()


def _idle_since(connection: Any) -> float:
    """Return when a connection became idle; infinity while a request is being answered."""
    busy = connection.cycle is not None and not connection.cycle.response_complete
    return float("inf") if busy else connection.idle_since


class _Silence(logging.Filter):
    """Keeps the messages of one thread out of the logs, except errors with a traceback."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self.thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        is_error = record.exc_info is not None and isinstance(record.exc_info[1], Exception)
        return record.thread != self.thread or is_error


def _bind(port: int) -> socket.socket:
    """Return a socket bound to the loopback address, never to any other."""
    # Named in full: only then asyncio turns off Nagle's delay, 40 ms on each answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise SandboxError(
            f"The sandbox cannot listen on {LOOPBACK}:{port}: {str(error).rstrip('.')}. "
            "Leave out `port` to use a free one."
        ) from error
    return listener


def _config(app: ASGIApp) -> uvicorn.Config:
    settings: dict[str, Any] = {
        "http": _Connection,
        "ws": "none",
        "loop": "asyncio",
        "lifespan": "off",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "backlog": BACKLOG,
        "timeout_keep_alive": int(IDLE_S),
        "timeout_graceful_shutdown": DRAIN_S,
        "h11_max_incomplete_event_size": HEADER_BYTES,
    }
    return uvicorn.Config(app, **settings)
