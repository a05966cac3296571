"""A server that keeps what arrives in a file, in order, and is unreliable on purpose.

`python -m torture.recording_server FILE` prints its port. An arrival is on file before it is answered.
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
"""Before each body: its length, and whether it is compressed."""

_MESSAGES = pl.Struct(
    {
        "batch": pl.List(
            pl.Struct({"messageId": pl.String, "properties": pl.Struct({"n": pl.Int64})})
        )
    }
)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """How often what goes wrong, as shares of all requests.

    Attributes:
        failed: Answered with 500, and not kept.
        throttled: Answered with 429 and a second's wait, and not kept.
        cut: Kept, and the connection cut in place of an answer.
        wait_s: How long every answer takes.
    """

    failed: float = 0.02
    throttled: float = 0.002
    cut: float = 0.01
    wait_s: float = 0.0


class Recorder:
    """Keeps bodies, and decides what is answered."""

    def __init__(self, file: IO[bytes], trouble: Trouble, *, seed: int) -> None:
        self._file = file
        self._trouble = trouble
        self._chance = random.Random(seed)  # noqa: S311 - made-up trouble

    async def serve(self) -> None:
        """Serve on a free port of this machine, and print it."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=256)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")[1:]
                fields = dict(line.split(b": ", 1) for line in lines if b": " in line)
                body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
                answer = self._taken(body, packed=fields.get(b"content-encoding") == b"gzip")
                await asyncio.sleep(self._trouble.wait_s)
                if not answer:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _taken(self, body: bytes, *, packed: bool) -> bytes:
        """Keep a body, unless it is refused; return the answer, which is empty where it is cut."""
        drawn, trouble = self._chance.random(), self._trouble
        if drawn < trouble.failed:
            return _answer("500 Internal Server Error")
        if drawn < trouble.failed + trouble.throttled:
            return _answer("429 Too Many Requests", "Retry-After: 1\r\n")
        self._file.write(_HEAD.pack(len(body), packed))
        self._file.write(body)
        self._file.flush()
        is_cut = drawn > 1 - trouble.cut
        return b"" if is_cut else _answer("200 OK")


def _answer(status: str, fields: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{fields}Content-Length: 2\r\n\r\n{{}}"
    return head.encode()


def arrivals(path: Path) -> tuple[pl.DataFrame, int]:
    """Return what arrived, with the columns of `ARRIVALS`, and in how many requests."""
    parts, requests = [ARRIVALS.to_frame()], 0
    number = 0
    for bodies in _bodies(path):
        requests += len(bodies)
        told = pl.Series(bodies).str.json_decode(_MESSAGES).struct.field("batch")
        flat = pl.DataFrame({"message": told.explode(empty_as_null=False)}).unnest("message")
        found = flat.unnest("properties").with_row_index("number", offset=number)
        number += found.height
        parts.append(
            found.select(
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
    waiting: list[str] = []
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, packed = _HEAD.unpack(head)
            body = file.read(length)
            waiting.append((gzip.decompress(body) if packed else body).decode())
            if len(waiting) == at_once:
                yield waiting
                waiting = []
    if waiting:
        yield waiting


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    for field in fields(Trouble):
        name = f"--{field.name.replace('_', '-')}"
        parser.add_argument(name, type=float, default=field.default)
    given = parser.parse_args()
    trouble = Trouble(**{field.name: getattr(given, field.name) for field in fields(Trouble)})
    with given.file.open("ab") as file:
        asyncio.run(Recorder(file, trouble, seed=given.seed).serve())


if __name__ == "__main__":
    main()
