"""The effect of a fault: how often messages are applied, and how the response arrives."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cio_frames.identity import Change
from cio_frames.sandbox.faults import Fault
from cio_frames.sandbox.handlers import Answer, Submit

PIECES = 20
"""Into how many pieces a dripping response is divided."""

_RESET = struct.pack("ii", 1, 0)  # closing discards what is unsent and resets the connection


def answer_with_fault(
    decide: Callable[[Submit], Answer], fault: Fault | None, *, submit: Submit, strict: bool
) -> Answer:
    """Return the answer under a fault, with the messages as often as they are applied."""
    if fault is None:
        return decide(submit)
    times = fault.kind.times_applied
    answers = [decide(submit) for _ in range(times)] or [decide(_discard)]
    messages = [message for answer in answers for message in answer.messages]
    if not times:
        messages = [message.rejected(f"fault.{fault.name}") for message in messages]
    if fault.status is None:
        return replace(answers[0], messages=messages)
    if fault.kind.hidden and not strict:
        return Answer(status=HTTPStatus.OK, messages=messages)
    return Answer(status=fault.status, messages=messages, errors=[f"fault: {fault.name}"])


def _discard(_: Mapping[str, Any]) -> Sequence[Change]:
    """Discard a form."""
    return ()


class BrokenResponse(Response):
    """A response that does not arrive whole.

    When the application is used in process there is no connection: a response that breaks off is
    a connection error, and one that drips is late.
    """

    def __init__(
        self, complete: Response, *, fault: Fault, connection: asyncio.Transport | None
    ) -> None:
        super().__init__(status_code=complete.status_code)
        self._complete = complete
        self._fault = fault
        self._connection = connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the fault lets through, and wait until the connection is closed."""
        if self._connection is None:
            await self._in_process(scope, receive, send)
            return
        if self._fault.kind.ending == "reset":
            _reset(self._connection)
        else:
            await self._write(self._connection)
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _write(self, connection: asyncio.Transport) -> None:
        data = b"".join(_raw(self._complete))
        if self._fault.kind.ending == "cut":
            connection.write(data[: int(self._fault.cut_at * (len(data) - 2))])
        else:
            size = max(1, len(data) // PIECES)
            for start in range(0, len(data), size):
                if connection.is_closing():
                    break
                connection.write(data[start : start + size])
                await asyncio.sleep(self._fault.drip_s / PIECES)
        connection.close()

    async def _in_process(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._fault.kind.ending != "drip":
            raise ConnectionResetError(f"fault: {self._fault.name}")
        await asyncio.sleep(self._fault.drip_s)
        await self._complete(scope, receive, send)


def _reset(connection: asyncio.Transport) -> None:
    sock: socket.socket | None = connection.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.abort()


def _raw(response: Response) -> Iterator[bytes]:
    """Yield the bytes of a response after which the connection is closed."""
    phrase = HTTPStatus(response.status_code).phrase
    yield f"HTTP/1.1 {response.status_code} {phrase}\r\n".encode()
    for name, value in [*response.raw_headers, (b"connection", b"close")]:
        yield name + b": " + value + b"\r\n"
    yield b"\r\n"
    yield bytes(response.body)
