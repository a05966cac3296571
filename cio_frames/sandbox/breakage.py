"""What a fault does to a request: to what is applied, and to the answer on its way back."""

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
from cio_frames.sandbox.intake import Answer, Submit

PIECES = 20
"""Into how many pieces a dripping answer is divided."""

_RESET = struct.pack("ii", 1, 0)  # closing discards what is unsent and resets the connection


class Line:
    """A connection, for answers that do not keep to HTTP."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    @property
    def is_closing(self) -> bool:
        """Whether nothing more can be sent: the other end is gone, or this one closes."""
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._transport.write(data)

    def close(self) -> None:
        """Close when everything is sent."""
        self._transport.close()

    def reset(self) -> None:
        """Reset the connection at once."""
        line: socket.socket | None = self._transport.get_extra_info("socket")
        if line is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()


def answered(
    decide: Callable[[Submit], Answer], fault: Fault | None, *, submit: Submit, strict: bool
) -> Answer:
    """Return what is answered under a fault, with the messages as often as they are applied.

    Args:
        decide: Gives the answer without a fault; applies forms through what it is given.
        fault: What happens to the request.
        submit: Applies a form.
        strict: Whether the request asked to be told of faults.
    """
    if fault is None:
        return decide(submit)
    times = fault.kind.times
    answers = [decide(submit) for _ in range(times)] or [decide(_nowhere)]
    messages = [message for answer in answers for message in answer.messages]
    if not times:
        messages = [message.refused(f"fault.{fault.name}") for message in messages]
    if fault.status is None:
        return replace(answers[0], messages=messages)
    if fault.kind.hidden and not strict:
        return Answer(status=HTTPStatus.OK, messages=messages)
    return Answer(status=fault.status, messages=messages, errors=[f"fault: {fault.name}"])


def _nowhere(_: Mapping[str, Any]) -> Sequence[Change]:
    """Apply a form to nothing."""
    return ()


class Broken(Response):
    """An answer that does not come through whole.

    Without a connection, when the application is used in process, an answer that breaks is an
    error of the connection, and one that drips is late.

    Args:
        whole: The true answer.
        fault: How it fares.
        line: The connection.
    """

    def __init__(self, whole: Response, *, fault: Fault, line: Line | None) -> None:
        super().__init__(status_code=whole.status_code)
        self._whole = whole
        self._fault = fault
        self._line = line

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as far as it goes, and wait until the connection is gone."""
        if self._line is None:
            await self._in_process(scope, receive, send)
            return
        if self._fault.kind.way == "reset":
            self._line.reset()
        else:
            await self._speak(self._line)
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _speak(self, line: Line) -> None:
        data = b"".join(_raw(self._whole))
        if self._fault.kind.way == "cut":
            line.write(data[: int(self._fault.place * (len(data) - 2))])
        else:
            size = max(1, len(data) // PIECES)
            for start in range(0, len(data), size):
                if line.is_closing:
                    break
                line.write(data[start : start + size])
                await asyncio.sleep(self._fault.drip_s / PIECES)
        line.close()

    async def _in_process(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._fault.kind.way != "drip":
            raise ConnectionResetError(f"fault: {self._fault.name}")
        await asyncio.sleep(self._fault.drip_s)
        await self._whole(scope, receive, send)


def _raw(answer: Response) -> Iterator[bytes]:
    """Yield the bytes of an answer after which the connection is closed."""
    phrase = HTTPStatus(answer.status_code).phrase
    yield f"HTTP/1.1 {answer.status_code} {phrase}\r\n".encode()
    for name, value in [*answer.raw_headers, (b"connection", b"close")]:
        yield name + b": " + value + b"\r\n"
    yield b"\r\n"
    yield bytes(answer.body)
