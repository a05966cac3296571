"""The loopback server: one daemon thread with its own event loop, and nothing left after a stop."""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from cio_frames.errors import SandboxError
from cio_frames.sandbox.breakage import Line
from cio_frames.sandbox.guard import HEADER_BYTES

LOOPBACK = "127.0.0.1"
BACKLOG = 256
CONNECTIONS = 512
IDLE_S = 30.0
START_S = 20.0
DRAIN_S = 1
STOP_S = 10.0


class Server:
    """An application on a port of the loopback address."""

    def __init__(self, app: Callable[[str], ASGIApp], *, port: int) -> None:
        """Bind the port, build the application for its host, and serve it.

        Args:
            app: Gets `host:port` and returns the application.
            port: The port; 0 takes a free one.

        Raises:
            SandboxError: The port is taken, or the server does not come up.
        """
        self._socket = _bind(port)
        self.host: str = f"{LOOPBACK}:{self._socket.getsockname()[1]}"
        self._up = threading.Event()
        self._faults: list[BaseException] = []
        self._server = _Uvicorn(_config(app(self.host)), up=self._up)
        self._thread = threading.Thread(target=self._run, name=f"cio-sandbox-{port}", daemon=True)
        self._thread.start()
        self._up.wait(START_S)
        if not self._server.started:
            self.stop()
            reason = self._faults[0] if self._faults else None
            raise SandboxError(
                f"The sandbox did not start on {self.host}: {reason or 'no answer'}. "
                "Try another port, or use it in process through `sandbox.app`."
            ) from reason

    def stop(self) -> None:
        """Answer what is being answered, close every socket, and end the thread."""
        self._server.should_exit = True
        self._thread.join(STOP_S)
        self._socket.close()

    def _run(self) -> None:
        logger = logging.getLogger("uvicorn.error")
        silence = _Silence(threading.get_ident())
        logger.addFilter(silence)
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as error:  # noqa: BLE001 (told by the thread that waits for the start)
            self._faults.append(error)
        finally:
            self._up.set()
            logger.removeFilter(silence)


class _Uvicorn(uvicorn.Server):
    """Tells when it is up, and closes connections that wait too long for a request."""

    def __init__(self, config: uvicorn.Config, *, up: threading.Event) -> None:
        super().__init__(config)
        self._up = up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._up.set()

    async def on_tick(self, counter: int) -> bool:
        limit = time.monotonic() - IDLE_S
        for connection in list(self.server_state.connections):
            if _waits_since(connection) < limit:
                connection.transport.abort()
        return await super().on_tick(counter)


class _Connection(H11Protocol):
    """A connection that knows since when it waits, so that the longest waiting one can go first."""

    idle_since = float("inf")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.app_state = {**self.app_state, "line": Line(self.transport)}
        self.idle_since = time.monotonic()
        if len(self.connections) > CONNECTIONS:
            min(self.connections, key=_waits_since).transport.abort()

    def on_response_complete(self) -> None:
        self.idle_since = time.monotonic()
        super().on_response_complete()


def _waits_since(connection: Any) -> float:
    """Return when a connection began to wait for a request; infinity while one is answered."""
    busy = connection.cycle is not None and not connection.cycle.response_complete
    return float("inf") if busy else connection.idle_since


class _Silence(logging.Filter):
    """Keeps what one thread says out of the logs, but for faults with a traceback."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self.thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        is_fault = record.exc_info is not None and isinstance(record.exc_info[1], Exception)
        return record.thread != self.thread or is_fault


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
