"""A server that writes every request to a file, in order, and is unreliable on purpose.

`python -m torture.recording_server FILE` prints its port. A request is written before it is answered.
"""

import argparse
import asyncio
import gzip
import random
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

import polars as pl

from torture.checker import ARRIVALS

_HEAD = struct.Struct("<I?")
"""Precedes each body: its length, and whether it is compressed."""

_MESSAGES = pl.Struct(
    {
        "batch": pl.List(
            pl.Struct({"messageId": pl.String, "properties": pl.Struct({"n": pl.Int64})})
        )
    }
)


@dataclass(frozen=True, kw_only=True)
class FaultRates:
    """How often each fault happens, as a share of all requests.

    Attributes:
        failed: Answered with 500, and not written.
        throttled: Answered with 429 and Retry-After of a second, and not written.
        cut: Written, and the connection closed in place of an answer.
        wait_s: How long every answer takes.
    """

    failed: float = 0.02
    throttled: float = 0.002
    cut: float = 0.01
    wait_s: float = 0.0


class RecordingServer:
    """Writes bodies, and decides on the answers."""

    def __init__(self, file: IO[bytes], faults: FaultRates, *, seed: int) -> None:
        self._file = file
        self._faults = faults
        self._random = random.Random(seed)  # noqa: S311 - decides on faults

    async def serve(self) -> None:
        """Serve on a free port of this machine, and print it."""
        server = await asyncio.start_server(self._serve_connection, "127.0.0.1", 0, backlog=256)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")[1:]
                fields = dict(line.split(b": ", 1) for line in lines if b": " in line)
                body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
                answer = self._answer_to(body, is_gzip=fields.get(b"content-encoding") == b"gzip")
                await asyncio.sleep(self._faults.wait_s)
                if not answer:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer_to(self, body: bytes, *, is_gzip: bool) -> bytes:
        """Write a body, unless it fails; return the answer, which is empty to cut the connection."""
        number, faults = self._random.random(), self._faults
        if number < faults.failed:
            return _answer("500 Internal Server Error")
        if number < faults.failed + faults.throttled:
            return _answer("429 Too Many Requests", "Retry-After: 1\r\n")
        self._file.write(_HEAD.pack(len(body), is_gzip))
        self._file.write(body)
        self._file.flush()
        is_cut = number > 1 - faults.cut
        return b"" if is_cut else _answer("200 OK")


def _answer(status: str, fields: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{fields}Content-Length: 2\r\n\r\n{{}}"
    return head.encode()


def arrivals(path: Path) -> tuple[pl.DataFrame, int]:
    """Return the messages, with the columns of `ARRIVALS`, and the number of requests."""
    parts, requests = [ARRIVALS.to_frame()], 0
    number = 0
    for bodies in _bodies(path):
        requests += len(bodies)
        batches = pl.Series(bodies).str.json_decode(_MESSAGES).struct.field("batch")
        flat = pl.DataFrame({"message": batches.explode(empty_as_null=False)}).unnest("message")
        messages = flat.unnest("properties").with_row_index("number", offset=number)
        number += messages.height
        parts.append(
            messages.select(
                key="n",
                number=pl.col("number").cast(pl.Int64),
                message_id="messageId",
                payload_sha=pl.lit(""),
                applied=pl.lit(value=True),
            )
        )
    return pl.concat(parts), requests


def _bodies(path: Path, *, at_once: int = 200) -> Iterator[list[str]]:
    """Yield the bodies of a file as texts, some at a time."""
    bodies: list[str] = []
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, is_gzip = _HEAD.unpack(head)
            body = file.read(length)
            bodies.append((gzip.decompress(body) if is_gzip else body).decode())
            if len(bodies) == at_once:
                yield bodies
                bodies = []
    if bodies:
        yield bodies


def main() -> None:
    """Serve until the process is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    for field in fields(FaultRates):
        name = f"--{field.name.replace('_', '-')}"
        parser.add_argument(name, type=float, default=field.default)
    arguments = parser.parse_args()
    faults = FaultRates(
        **{field.name: getattr(arguments, field.name) for field in fields(FaultRates)}
    )
    with arguments.file.open("ab") as file:
        asyncio.run(RecordingServer(file, faults, seed=arguments.seed).serve())


if __name__ == "__main__":
    main()
