"""Whatever the network does is returned as a response: never sent, no answer, or an answer."""

import asyncio
import contextlib
import gzip
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable

import httpx
import httpx2
import pytest

from cio_frames.sending.http import MAX_RESPONSE_BYTES, Request, Transport, TransportConfig
from cio_frames.workspaces import connect
from tests.sending.conftest import run_virtually

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
REQUEST = Request(api="pipelines", path="/v1/batch", body=b'{"batch":[]}')
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def wire(base, **options):
    """Return how requests travel to a server on this machine."""
    return TransportConfig(
        bases={"pipelines": base, "forms": base},
        basic=lambda _: ("CANARY", ""),
        loopback=True,
        **options,
    )


@contextlib.asynccontextmanager
async def listening(serve: Serve, *, port=0, tls=None):
    """Serve on this machine; yields the port and the connections, all closed at the end."""
    connections, serving = [], set()

    async def accept(reader, writer):
        connections.append(writer)
        serving.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], connections
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        for writer in connections:
            with contextlib.suppress(Exception):
                await writer.wait_closed()


def posted(serve: Serve, *, request=REQUEST, times=1, **options):
    """Post to a raw server on this machine; return the answers and how many connections it saw."""

    async def work():
        async with (
            listening(serve) as (port, connections),
            Transport(wire(f"http://127.0.0.1:{port}", **options)) as transport,
        ):
            return [await transport.post(request) for _ in range(times)], connections

    return asyncio.run(work())


async def heard(reader) -> bytes:
    """Read one request to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    return head + await reader.readexactly(length)


def responding_with(*pieces: bytes, pause=0.0) -> Serve:
    """Serve pieces of an answer, one after the other."""

    async def serve(reader, writer):
        await heard(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return serve


def test_a_complete_answer_is_read():
    """Status, JSON and the headers that matter come back."""
    headers = b"HTTP/1.1 429 X\r\nRetry-After: 7\r\nDate: Mon, 02 Mar 2026 10:00:00 GMT\r\n"
    (answer,), _ = posted(
        responding_with(headers + b'Content-Length: 28\r\n\r\n{"meta":{"errors":["slow"]}}')
    )

    assert (answer.kind, answer.status, answer.error) == ("answer", 429, "slow")
    assert (answer.retry_after, answer.date) == ("7", "Mon, 02 Mar 2026 10:00:00 GMT")
    assert answer.json == {"meta": {"errors": ["slow"]}}


def test_connections_are_used_again():
    """Three requests over a connection that stays open are one connection."""

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await heard(reader)
                writer.write(OK)

    answers, connections = posted(serve, times=3)

    assert [answer.status for answer in answers] == [200] * 3
    assert len(connections) == 1


async def reset(reader, writer):
    """Break the connection after the request."""
    await heard(reader)
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
    )
    writer.transport.abort()


async def close(reader, writer):
    """Close the connection after the request."""
    await heard(reader)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


@pytest.mark.parametrize(
    ("serve", "trouble"),
    [
        pytest.param(reset, "RESET", id="reset"),
        pytest.param(close, "PROTOCOL", id="closed"),
        pytest.param(responding_with(b"HTTP/1.1 200 O"), "PROTOCOL", id="cut-head"),
        pytest.param(responding_with(b"garbage\r\n\r\n"), "PROTOCOL", id="garbage"),
        pytest.param(responding_with(HEAD + b'{"x"'), "PROTOCOL", id="cut-body"),
    ],
)
def test_a_connection_that_breaks_off_leaves_doubt(serve, trouble):
    """After the request was sent, an incomplete response leaves its messages in doubt."""
    (answer,), _ = posted(serve)

    assert (answer.kind, answer.network_error) == ("no-answer", trouble)
    assert answer.json is None


def test_a_success_that_is_cut_off_without_a_length_is_no_json():
    """A 200 whose body just ends early is an answer, but not one in JSON."""
    (answer,), _ = posted(responding_with(b'HTTP/1.1 200 OK\r\n\r\n{"x"'))

    assert (answer.kind, answer.status, answer.json, answer.error) == ("answer", 200, None, '{"x"')


@pytest.mark.parametrize("status", [401, 400, 413, 503])
def test_a_refusal_counts_even_if_its_body_is_cut_off(status):
    """A status that is no success is known as soon as it is there."""
    (answer,), _ = posted(
        responding_with(b"HTTP/1.1 %d X\r\nContent-Length: 100\r\n\r\n{" % status)
    )

    assert (answer.kind, answer.status) == ("answer", status)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([HEAD, *[b" "] * 50], id="dripping-body"),
        pytest.param([bytes([byte]) for byte in HEAD], id="dripping-head"),
        pytest.param([b"", b""], id="silence"),
    ],
)
def test_a_dripping_answer_is_ended_by_the_deadline(pieces):
    """However regularly bytes come, an attempt ends when its time is over, and not before."""
    (answer,), _ = posted(
        responding_with(*pieces, pause=0.05 if len(pieces) > 2 else 2.0), attempt_s=0.4
    )

    assert (answer.kind, answer.network_error) == ("no-answer", "TIMEOUT")
    assert answer.elapsed_s > 0.3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["same", "other"])
def test_a_redirect_is_not_followed(status, host):
    """No request goes to the address of a redirect."""
    asked = []

    async def other(reader, writer):
        asked.append(await reader.readline())

    async def work():
        async with listening(other) as (port, _):

            async def first(reader, writer):
                asked.append(await heard(reader))
                place = "/elsewhere" if host == "same" else f"http://127.0.0.1:{port}/"
                head = f"HTTP/1.1 {status} X\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"
                writer.write(head.encode())

            async with (
                listening(first) as (first_port, _),
                Transport(wire(f"http://127.0.0.1:{first_port}")) as transport,
            ):
                return await transport.post(REQUEST)

    answer = asyncio.run(work())

    assert answer.status == status
    assert len(asked) == 1


def test_a_port_without_a_server_was_never_sent_to():
    """A refused connection cannot have delivered anything."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    async def work():
        async with Transport(wire(f"http://127.0.0.1:{port}")) as transport:
            return await transport.post(REQUEST)

    answer = asyncio.run(work())

    assert (answer.kind, answer.network_error, answer.status) == ("never-sent", "CONNECT", None)


@LIBRARIES
@pytest.mark.parametrize(
    ("name", "kind", "trouble"),
    [
        ("ConnectError", "never-sent", "CONNECT"),
        ("ConnectTimeout", "never-sent", "CONNECT"),
        ("PoolTimeout", "never-sent", "POOL"),
        ("ProxyError", "never-sent", "PROXY"),
        ("ReadTimeout", "no-answer", "TIMEOUT"),
        ("WriteTimeout", "no-answer", "TIMEOUT"),
        ("ReadError", "no-answer", "RESET"),
        ("WriteError", "no-answer", "RESET"),
        ("CloseError", "no-answer", "RESET"),
        ("RemoteProtocolError", "no-answer", "PROTOCOL"),
        ("LocalProtocolError", "no-answer", "PROTOCOL"),
        ("UnsupportedProtocol", "no-answer", "PROTOCOL"),
        ("DecodingError", "no-answer", "PROTOCOL"),
    ],
)
def test_every_error_of_the_library_becomes_an_answer(library, name, kind, trouble):
    """Errors are not raised; the response says whether the request may have been received."""

    def handle(request):
        raise getattr(library, name)("it broke for ann@example.com", request=request)

    client = connect(write_key="CANARY", transport=library.MockTransport(handle), environ={})
    answer = run_virtually(lambda: client.post(REQUEST))

    assert (answer.kind, answer.network_error) == (kind, trouble)
    assert answer.error == f"{name}: it broke for [email]"


@pytest.mark.parametrize(
    ("cause", "trouble"),
    [
        pytest.param(ssl.SSLCertVerificationError(1, "expired"), "TLS", id="certificate"),
        pytest.param(
            socket.gaierror(socket.EAI_NONAME, "unknown"), "UNKNOWN_HOST", id="unknown-name"
        ),
        pytest.param(socket.gaierror(socket.EAI_AGAIN, "later"), "CONNECT", id="dns-down"),
        pytest.param(ConnectionRefusedError(), "CONNECT", id="refused"),
    ],
)
@LIBRARIES
def test_the_reason_of_a_failed_connection_is_distinguished(library, cause, trouble):
    """Errors of the set-up differ from outages."""

    def handle(request):
        raise library.ConnectError("no connection") from cause

    client = connect(write_key="CANARY", transport=library.MockTransport(handle), environ={})
    answer = run_virtually(lambda: client.post(REQUEST))

    assert (answer.kind, answer.network_error) == ("never-sent", trouble)


def answered(content, *, library=httpx2, status=200, headers=None):
    """Return the answer for a body."""

    def handle(request):
        return library.Response(status, content=content, headers=headers)

    client = connect(write_key="CANARY", transport=library.MockTransport(handle), environ={})
    return run_virtually(lambda: client.post(REQUEST))


@LIBRARIES
@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(b"", "", id="empty"),
        pytest.param(b"<html>", "<html>", id="html"),
        pytest.param(b'{"a":', '{"a":', id="cut"),
        pytest.param(b"[" * 30_000, "[" * 299 + "…", id="deep"),
        pytest.param(b"\xff\xfe{}", "\ufffd\ufffd{}", id="not-text"),
        pytest.param(
            b'"' + b"x" * MAX_RESPONSE_BYTES + b'"', "the answer is longer than 64 KB", id="long"
        ),
        pytest.param(gzip.compress(b"{}" * 10), None, id="compressed"),
    ],
)
def test_what_is_not_short_json_is_not_read_as_json(library, content, error):
    """Anything but complete JSON of at most 64 KB gives no JSON and a few words."""
    answer = answered(content, library=library)

    assert answer.json is None
    assert error is None or answer.error == error


def test_a_compressed_bomb_is_not_inflated():
    """A response is not decompressed, even if it claims to be compressed."""
    bomb = gzip.compress(b'{"a":"' + b"x" * 50_000_000 + b'"}')
    (answer,), _ = posted(
        responding_with(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
            + bomb
        )
    )

    assert answer.json is None
    assert len(answer.error) <= 300


def test_an_endless_answer_is_not_read_to_its_end():
    """After 64 KB reading stops, without waiting for the rest."""
    (answer,), _ = posted(
        responding_with(b"HTTP/1.1 400 X\r\n\r\n" + b"x" * 200_000, pause=2.0), attempt_s=5.0
    )

    assert answer.error == "the answer is longer than 64 KB"
    assert answer.elapsed_s < 1.0


def test_every_request_carries_its_time_limits_and_nothing_of_the_library():
    """The network library gets the time limits, and adds no header of its own."""
    seen = []

    def handle(request):
        seen.append(request)
        return httpx2.Response(200, json={})

    client = connect(
        write_key="k", attempt_s=7.0, environ={}, transport=httpx2.MockTransport(handle)
    )
    asyncio.run(client.post(Request(api="pipelines", path="/v1/batch", body=b"{}")))

    (request,) = seen
    assert request.extensions["timeout"] == {
        "connect": 10.0,
        "read": 7.0,
        "write": 7.0,
        "pool": 7.0,
    }
    assert set(request.headers) == {
        "host", "authorization", "content-type", "accept", "accept-encoding", "user-agent",
        "x-strict-mode", "content-length",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("size", "api", "uncompressed", "on", "compressed"),
    [
        pytest.param(100_000, "pipelines", False, True, True, id="large"),
        pytest.param(2_000, "pipelines", False, True, True, id="small"),
        pytest.param(500, "pipelines", False, True, False, id="a-packet"),
        pytest.param(100_000, "pipelines", True, True, False, id="uncompressed"),
        pytest.param(100_000, "pipelines", False, False, False, id="off"),
        pytest.param(100_000, "forms", False, True, False, id="forms"),
    ],
)
def test_bodies_are_compressed_where_it_helps_and_is_known_to_be_taken(
    size, api, uncompressed, on, compressed
):
    """Only Pipelines bodies above a packet are compressed; the host reads the same bytes."""
    body, seen = b"x" * size, []

    def handle(request):
        seen.append((request.headers.get("content-encoding"), request.content))
        return httpx2.Response(200, json={})

    client = connect(
        write_key="k", site_id="s", track_api_key="t", gzip=on, environ={},
        transport=httpx2.MockTransport(handle),
    )  # fmt: skip
    request = Request(api=api, path="/x", body=body, uncompressed=uncompressed)
    answers = [run_virtually(lambda: client.post(request)) for _ in range(2)]
    (encoding, content), again = seen

    assert [answer.compressed for answer in answers] == [compressed] * 2
    assert encoding == ("gzip" if compressed else None)
    assert (gzip.decompress(content) if compressed else content) == body
    assert again == (encoding, content)
    assert not compressed or content[4:8] == b"\0\0\0\0", (
        "no time in it: a retry has the same bytes"
    )


def test_compression_works_without_isal(monkeypatch):
    """Where there is no fast gzip the standard one is used."""
    monkeypatch.setitem(sys.modules, "isal", None)
    seen = []

    def handle(request):
        seen.append(gzip.decompress(request.content))
        return httpx2.Response(200, json={})

    client = connect(write_key="k", transport=httpx2.MockTransport(handle), environ={})
    run_virtually(lambda: client.post(Request(api="pipelines", path="/x", body=b"y" * 5_000)))

    assert seen == [b"y" * 5_000]


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(monkeypatch):
    """HTTP_PROXY does not get what is sent to a loopback server."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    (answer,), connections = posted(responding_with(OK))

    assert answer.status == 200
    assert len(connections) == 1


def test_requests_given_up_do_not_use_up_the_connections():
    """After a hundred requests that got no answer in time, a good one still gets through."""
    served = asyncio.Event()

    async def slow(reader, writer):
        await heard(reader)
        await served.wait()
        writer.write(OK)

    async def work():
        async with contextlib.AsyncExitStack() as stack:
            port, _ = await stack.enter_async_context(listening(slow))
            transport = await stack.enter_async_context(
                Transport(wire(f"http://127.0.0.1:{port}", attempt_s=0.1))
            )
            late = await asyncio.gather(*[transport.post(REQUEST) for _ in range(100)])
            served.set()
            return late, [await transport.post(REQUEST) for _ in range(20)]

    late, good = asyncio.run(work())

    assert {answer.network_error for answer in late} == {"TIMEOUT"}
    assert any(answer.status == 200 for answer in good)  # a busy machine answers some too late
