"""A minimal server: read a request, answer 200, count. Runs in its own process."""

import argparse
import asyncio
import json
from dataclasses import dataclass, field

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Totals:
    """Counts of what arrived."""

    requests: int = 0
    bytes: int = 0
    gzip: int = 0


@dataclass
class Sink(asyncio.Protocol):
    """Reads the requests of one connection."""

    totals: Totals
    latency_s: float
    _transport: asyncio.Transport | None = None
    _head: bytearray = field(default_factory=bytearray)
    _remaining: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Count down the body, or read the head of the next request."""
        while data:
            if self._remaining:
                count = min(self._remaining, len(data))
                self._remaining -= count
                data = data[count:]
                if not self._remaining:
                    self._answer(ANSWER)
                continue
            data = self._read_head(data)

    def _read_head(self, data: bytes) -> bytes:
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return b""
        head, rest = bytes(self._head[:end]).lower(), bytes(self._head[end + 4 :])
        self._head.clear()
        if head.startswith(b"get /totals"):
            body = json.dumps(vars(self.totals)).encode()
            self._answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            return rest
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        self._remaining = int(fields.get(b"content-length", b"0"))
        self.totals.requests += 1
        self.totals.bytes += self._remaining
        self.totals.gzip += fields.get(b"content-encoding") == b"gzip"
        if not self._remaining:
            self._answer(ANSWER)
        return rest

    def _answer(self, answer: bytes) -> None:
        if self.latency_s:
            asyncio.get_running_loop().call_later(self.latency_s, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


async def serve(*, latency_s: float) -> None:
    """Serve on a free loopback port, and print it."""
    totals = Totals()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Sink(totals=totals, latency_s=latency_s), "127.0.0.1", 0, backlog=256
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    asyncio.run(serve(latency_s=parser.parse_args().latency_ms / 1000))
