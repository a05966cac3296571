"""Nobody is answered who was led here by a web page, and no request can exhaust the server."""

import asyncio
import gzip
import select
import socket
import time
from contextlib import suppress

import httpx
import pytest

from cio_frames.sandbox import Sandbox, server
from cio_frames.sandbox.request_body import Bounds, read

TRACK = b'{"userId":"u1","event":"x"}'


def exchange(sandbox, *, headers: list[str], body: bytes = TRACK) -> int:
    """Send a raw request and return the status of the answer, 0 if there was none."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    length = f"Content-Length: {len(body)}"
    head = "\r\n".join(["POST /v1/track HTTP/1.1", *headers, length, "Connection: close", "", ""])
    answer = b""
    with socket.create_connection((host, int(port)), timeout=10) as line, suppress(ConnectionError):
        line.sendall(head.encode() + body)
        while part := line.recv(4096):
            answer += part
    return int(answer.split()[1]) if answer else 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 403),
        ("127.0.0.1", 403),
        ("127.0.0.1:80", 403),
        ("127.0.0.1.attacker.example:{port}", 403),
        ("127.attacker.example:{port}", 403),
        ("attacker.example", 403),
        ("127.1:{port}", 403),
        ("[::1]:{port}", 403),
        ("0.0.0.0:{port}", 403),
        ("sandbox.invalid", 403),
        ("127.0.0.1:{port}.attacker.example", 403),
        ("user@127.0.0.1:{port}", 403),
        ("", 403),
    ],
)
def test_host_must_be_the_literal_loopback_address(sandbox, host, status):
    """Only the very host and port of the server is answered."""
    port = sandbox.url.rpartition(":")[2]

    assert exchange(sandbox, headers=[f"Host: {host.format(port=port)}"]) == status
    assert sandbox.counts["requests"] == (status == 200)


def test_two_host_headers_are_refused(sandbox):
    """A second Host header cannot smuggle another name in."""
    host = sandbox.url.removeprefix("http://")

    assert exchange(sandbox, headers=[f"Host: {host}", "Host: attacker.example"]) in (400, 403)
    assert sandbox.counts["requests"] == 0


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("{url}", 200),
        ("null", 403),
        ("https://attacker.example", 403),
        ("http://localhost", 403),
        ("http://127.0.0.1", 403),
        ("{url}.attacker.example", 403),
        ("", 403),
    ],
)
def test_origin_must_be_the_server_itself(caller, sandbox, origin, status):
    """A request from any other web page is rejected, and no answer allows cross-origin reading."""
    answer = caller.post(
        "/v1/track", content=TRACK, headers={"Origin": origin.format(url=sandbox.url)}
    )

    assert answer.status_code == status
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_preflight_gets_no_permission(caller):
    """A preflight request of a browser gets no permission."""
    answer = caller.http.options(
        "/v1/track",
        headers={"Origin": "https://attacker.example", "Access-Control-Request-Method": "POST"},
    )

    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("content", "encoding", "status"),
    [
        (gzip.compress(TRACK), "gzip", 200),
        (gzip.compress(TRACK), "GZIP", 200),
        (TRACK, "identity", 200),
        (TRACK, "gzip", 400),
        (gzip.compress(TRACK)[:-5], "gzip", 400),
        (gzip.compress(TRACK) + b"x", "gzip", 400),
        (b"", "gzip", 400),
        (TRACK, "br", 415),
        (TRACK, "gzip, gzip", 415),
        (gzip.compress(bytes(9_000_000)), "gzip", 413),
        (bytes(8_000_001), "identity", 413),
    ],
    ids=[
        "gzip", "case", "identity", "not-gzip", "cut", "trailing", "empty", "brotli", "twice",
        "bomb", "large",
    ],
)  # fmt: skip
def test_body_is_unpacked_within_bounds(caller, content, encoding, status):
    """Gzip is decompressed up to a limit; any other encoding is rejected."""
    answer = caller.post("/v1/track", content=content, headers={"Content-Encoding": encoding})

    assert answer.status_code == status


def test_slow_body_is_given_up():
    """A body that does not come in time is answered with 408."""
    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    async def never():
        await asyncio.sleep(60)

    request = Request({"type": "http", "method": "POST", "headers": []}, never)
    with pytest.raises(HTTPException) as caught:
        asyncio.run(read(request, bounds=Bounds(request_s=0.01)))

    assert caught.value.status_code == 408


def test_200_slow_connections_do_not_block(caller, sandbox):
    """Connections that never finish their headers do not keep others from being answered."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    lines = [socket.create_connection((host, int(port)), timeout=30) for _ in range(200)]
    try:
        for line in lines:
            line.sendall(b"POST /v1/track HTTP/1.1\r\n")
        answer = caller.post("/v1/track", content=TRACK)
        given_up, _, _ = select.select(lines, [], [], 0)
    finally:
        for line in lines:
            line.close()

    assert answer.status_code == 200
    assert given_up == []  # it was answered while they all went on


def test_connections_are_capped_by_closing_the_longest_waiting(monkeypatch):
    """Beyond the cap the connection that waited longest is closed, and new ones are served."""
    monkeypatch.setattr(server, "CONNECTIONS", 5)
    with Sandbox() as sandbox:
        host, port = sandbox.url.removeprefix("http://").split(":")
        lines = [socket.create_connection((host, int(port)), timeout=30) for _ in range(8)]
        status = exchange(sandbox, headers=[f"Host: {host}:{port}"])
        first = closed(lines[0])
        last = not closed(lines[-1], wait_s=0.2)
        for line in lines:
            line.close()

    assert (status, first, last) == (200, True, True)


def test_idle_connections_are_closed(monkeypatch):
    """A connection that sends no whole request within the limit is closed."""
    monkeypatch.setattr(server, "IDLE_S", 0.1)
    with Sandbox() as sandbox:
        host, port = sandbox.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as line:
            line.sendall(b"POST /v1/track HTTP/1.1\r\nHost:")

            assert closed(line)


def closed(line: socket.socket, *, wait_s: float = 30.0) -> bool:
    """Whether the other side closes a connection in time."""
    line.settimeout(wait_s)
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_sender_who_leaves_is_logged(sandbox):
    """A request that breaks off in its body is logged with status 499 and applies nothing."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    head = f"POST /v1/track HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 99\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(head.encode() + TRACK)
    deadline = time.monotonic() + 30
    while not sandbox.counts["requests"] and time.monotonic() < deadline:
        time.sleep(0.01)

    assert sandbox.requests.select("status", "items").rows() == [(499, 0)]
    assert sandbox.events.is_empty()


@pytest.mark.parametrize("size", [40_000, 400_000], ids=["at-once", "in-parts"])
def test_headers_are_bounded(sandbox, size):
    """A request with enormous headers is rejected, however they arrive."""
    host = sandbox.url.removeprefix("http://")

    assert exchange(sandbox, headers=[f"Host: {host}", f"X: {'x' * size}"]) in (0, 400, 431)
    assert sandbox.counts["requests"] == 0


def test_in_process_use_needs_no_socket(socket_disabled):
    """The application answers in process under its own name only, and logs like the server."""
    sandbox = Sandbox()

    async def post(url: str) -> int:
        transport = httpx.ASGITransport(app=sandbox.app)
        async with httpx.AsyncClient(transport=transport, base_url=url) as http:
            keys = (sandbox.write_key, "")
            return (await http.post("/v1/track", content=TRACK, auth=keys)).status_code

    async def both() -> list[int]:
        return [await post(sandbox.in_process_url), await post("http://127.0.0.1:8099")]

    assert asyncio.run(both()) == [200, 403]
    assert sandbox.events["name"].to_list() == ["x"]


def test_other_protocols_are_not_answered(sandbox):
    """A web socket, which could cross origins, gets no answer from the application."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "websocket.connect"}

    asyncio.run(sandbox.app({"type": "websocket", "headers": []}, receive, send))

    assert sent == []
