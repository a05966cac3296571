"""Each request gets its own response, whatever else a host or a proxy sends on the connection."""

import asyncio
import contextlib
import json
import ssl
import traceback

import httpcore2
import httpx2
import polars as pl
import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.errors import ConfigError
from cio_frames.sending import connections, http
from cio_frames.sending.connections import HostBehavior, ResponseBytes, ResponseStream
from cio_frames.sending.http import Request, Transport, TransportConfig
from tests.sending.test_http import heard, listening, wire


@pytest.fixture(params=["httpx", "httpx2"], autouse=True)
def library(request, monkeypatch):
    """Send with each library in turn."""
    if request.param == "httpx":
        monkeypatch.setattr(http, "find_spec", lambda _: None)


def sized(body: bytes) -> bytes:
    """Return a response with its length."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def folded(body: bytes) -> bytes:
    """Return an answer whose length is on a line of its own."""
    return b"HTTP/1.1 200 OK\r\ncontent-length:\r\n %d\r\n\r\n%b" % (len(body), body)


def chunked(body: bytes) -> bytes:
    """Return an answer in two chunks."""
    pieces = [body[:3], body[3:]]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks


def interim(body: bytes) -> bytes:
    """Return a response after an interim one."""
    return b"HTTP/1.1 103 Early\r\nLink: x\r\nContent-Length: 400\r\n\r\n" + sized(body)


FORMS = {each.__name__: each for each in (sized, folded, chunked, interim)}


def repeating(answer, *, pause: float | None, seen: list[int]):
    """Serve answers that name their request, each of them twice."""

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                number = json.loads((await heard(reader)).partition(b"\r\n\r\n")[2])["number"]
                seen.append(number)
                response_bytes = answer(json.dumps({"for": number}).encode())
                if pause is None:
                    writer.write(response_bytes + response_bytes)
                    continue
                writer.write(response_bytes)
                await asyncio.sleep(pause)
                writer.write(response_bytes)

    return serve


def asked(serve, *, count: int, rest: float = 0.0, tls=None) -> tuple[list[object], int]:
    """Post numbered requests one after the other; return what was answered, and the connections."""

    async def work():
        async with listening(serve, tls=tls) as (port, connections):
            options = wire(f"http://127.0.0.1:{port}")
            if tls:
                base = {"pipelines": f"https://127.0.0.1:{port}"}
                options = TransportConfig(bases=base, basic=lambda _: ("k", ""))
            async with Transport(options) as transport:
                answers = []
                for number in range(count):
                    body = json.dumps({"number": number}).encode()
                    request = Request(api="pipelines", path="/v1/batch", body=body)
                    answers.append((await transport.post(request)).json)
                    await asyncio.sleep(rest)
            return answers, len(connections)

    return asyncio.run(work())


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize(
    ("pause", "rest"),
    [(None, 0.0), (0.0, 0.0), (0.005, 0.0), (0.05, 0.1)],
    ids=["one-packet", "at-once", "later", "at-rest"],
)
def test_an_answer_that_is_repeated_is_not_the_next_ones(form, pause, rest):
    """A host that repeats every response gets a new connection for each request."""
    seen: list[int] = []
    count = 30 if pause is None else 5
    answers, opened = asked(repeating(form, pause=pause, seen=seen), count=count, rest=rest)

    assert answers == [{"for": number} for number in range(count)]
    assert seen == list(range(count))  # nothing was sent twice
    assert opened == count


@pytest.mark.parametrize("pause", [None, 0.0], ids=["one-packet", "at-once"])
def test_an_answer_that_is_repeated_under_tls_is_not_the_next_ones(pause, tmp_path, monkeypatch):
    """What waits in the layer of TLS, where no socket shows it, is noticed as well."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "known.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "known.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    serve = repeating(sized, pause=pause, seen=[])
    answers, _ = asked(serve, count=10, rest=0.01, tls=context)

    assert answers == [{"for": number} for number in range(10)]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_connection_with_nothing_left_over_is_used_again(form):
    """Answers that come once cost one connection, however they are framed."""

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await heard(reader)
                writer.write(form(b'{"a": 1}'))

    answers, opened = asked(serve, count=5)

    assert answers == [{"a": 1}] * 5
    assert opened == 1


class Talker:
    """A connection on which something has come already."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    async def read(self, *_: object) -> bytes:
        """Return a response without a request."""
        return sized(b"{}")

    async def write(self, buffer: bytes, *_: object) -> None:
        """Keep what is written."""
        self.written.append(buffer)

    async def aclose(self) -> None:
        """Note that it is closed."""
        self.is_closed = True


def test_a_host_that_speaks_first_is_not_believed():
    """What comes on a new connection before the request is no answer to it, and nothing is sent."""
    talker = Talker()

    with pytest.raises(httpcore2.ConnectError, match=r"sent data, or closed .*before the request"):
        asyncio.run(
            ResponseStream(talker, httpcore2, HostBehavior()).write(b"POST / HTTP/1.1\r\n\r\n")
        )
    assert (talker.written, talker.is_closed) == ([], True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(list(FORMS.values())),
    st.binary(min_size=3, max_size=40),
    st.binary(max_size=30),
    st.lists(st.integers(1, 60), max_size=20),
    st.integers(1, 200),
)
def test_exactly_one_answer_is_handed_out(form, body, after, sizes, most):
    """However the bytes arrive and are read, the bytes after a response are not returned."""
    answer = form(body)
    pieces, data = [], answer + after
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    stream, taken = ResponseBytes(), b""
    for piece in filter(None, [*pieces, data]):
        stream.add(piece)
        while stream.buffer and len(taken) < len(answer):
            taken += stream.take(most)
    assert taken == answer
    assert stream.buffer == after


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture
def network(monkeypatch):
    """Return a setter of the network's variables; the others are unset."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch.setenv


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        pytest.param(
            "HTTPS_PROXY", "ftp://proxy:8080", "HTTPS_PROXY is not a proxy address", id="scheme"
        ),
        pytest.param(
            "HTTPS_PROXY", "http://:8080", "HTTPS_PROXY is not a proxy address", id="no-host"
        ),
        pytest.param(
            "HTTPS_PROXY", "http://a:b:c", "HTTPS_PROXY is not a proxy address", id="port"
        ),
        pytest.param(
            "ALL_PROXY", "::nonsense::", "ALL_PROXY is not a proxy address", id="nonsense"
        ),
        pytest.param(
            "SSL_CERT_FILE", "/nowhere/cert.pem", "SSL_CERT_FILE=/nowhere", id="no-certificates"
        ),
        pytest.param("SSL_CERT_FILE", __file__, "SSL_CERT_FILE", id="junk-certificates"),
    ],
)
def test_a_wrong_network_setting_is_an_error_before_a_run_begins(
    network, tmp_path, name, value, message
):
    """The variable at fault is named, its value is not, and there is no record of a run."""
    network(name, value)
    plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")

    with pytest.raises(ConfigError, match=message) as error:
        plan.send(cio.connect(write_key="k", environ={}), audit=tmp_path, progress=False)
    assert name == "SSL_CERT_FILE" or value not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_socks_proxy_needs_its_package(network, tmp_path, monkeypatch):
    """Without socksio the error names the package to install."""
    network("ALL_PROXY", "socks5://user:secret@127.0.0.1:1080")
    monkeypatch.setattr(connections, "find_spec", lambda name: None if name == "socksio" else name)
    plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")

    with pytest.raises(ConfigError, match="pip install socksio") as error:
        plan.send(cio.connect(write_key="k", environ={}), audit=tmp_path, progress=False)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("address", ["ftp://user:secret@proxy", "http://user:secret@:8080"])
def test_the_password_of_an_invalid_proxy_is_in_no_frame_of_the_traceback(network, address):
    """A traceback that shows the values of variables does not show it."""
    network("HTTPS_PROXY", address)

    with pytest.raises(ConfigError) as error:
        connections._proxy_of(httpx2.URL("https://cdp.customer.io"), library=httpx2)
    shown = traceback.TracebackException.from_exception(error.value, capture_locals=True)
    (frame,) = (frame for frame in shown.stack if frame.filename == connections.__file__)
    assert "secret" not in str(frame.locals)


@pytest.mark.parametrize("status", [b"407 Authentication Required", b"502 Bad Gateway"])
def test_a_proxy_that_refuses_is_named(network, status):
    """A request that a proxy rejects was never sent, and the error has the proxy's text."""
    heads = []

    async def serve(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
        await writer.drain()

    async def work():
        async with listening(serve) as (port, _):
            network("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{port}")
            base = {"pipelines": "https://cdp.customer.io"}
            async with Transport(TransportConfig(bases=base, basic=lambda _: ("k", ""))) as it:
                return await it.post(Request(api="pipelines", path="/v1/batch", body=b"{}"))

    answer = asyncio.run(work())

    assert (answer.kind, answer.network_error) == ("never-sent", "PROXY")
    assert answer.error == f"ProxyError: {status.decode()}"
    assert heads[0].startswith(b"CONNECT cdp.customer.io:443 HTTP/1.1\r\n")


def test_a_host_of_no_proxy_is_reached_directly(network):
    """NO_PROXY is kept to, as other programs do."""
    network("HTTPS_PROXY", "http://127.0.0.1:9")
    network("NO_PROXY", "localhost,.customer.io")
    proxied = [
        connections._proxy_of(httpx2.URL(f"https://{host}"), library=httpx2) is not None
        for host in ("cdp.customer.io", "elsewhere.example")
    ]

    assert proxied == [False, True]
