"""Nobody else gets the rows: not a redirect's host, not one that cannot prove who it is."""

import asyncio
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import polars as pl
import pytest
import trustme

import cio_frames as cio
from cio_frames.errors import ConfigError, EndpointError, RunStoppedError
from cio_frames.sending.http import Request, Transport, TransportConfig

PEOPLE = pl.DataFrame({"id": [f"u{n}" for n in range(5)]})


@contextmanager
def host(status: int, location: str = ""):
    """Serve one answer to everything; yields the port and the requested paths."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            if location:
                self.send_header("Location", location.format(port=self.server.server_port))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST  # noqa: N815 - the name that is looked for

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("where", ["same", "other"])
def test_a_run_follows_no_redirect(status, where, tmp_path):
    """The run stops at its first request, and no second host hears of any row."""
    with host(200) as (other_port, other):
        location = "http://127.0.0.1:{port}/x"
        location = location if where == "same" else location.format(port=other_port)
        with host(status, location) as (port, asked):
            client = cio.connect(endpoint=f"http://127.0.0.1:{port}", write_key="k1", environ={})
            plan = PEOPLE.cio.identify(user_id="id")
            with pytest.raises(RunStoppedError) as caught:
                plan.send(client, audit=tmp_path, progress=False)

    assert caught.value.run.stopped[0] == "REDIRECTED"
    assert caught.value.run.counts["pending"] == 5
    assert (asked, other) == (["/v1/batch"], [])


@pytest.mark.parametrize(
    "name",
    [
        "http://cdp.customer.io", "https://cdp.customer.io.evil.example", "https://evilcustomer.io",
        "https://cdp.customer.io@evil.example", "http://127.0.0.1.evil.example:80",
        "http://127.attacker.example:80", "http://localhost.evil.example", "file:///etc/passwd",
        "http://[::ffff:10.0.0.1]:80", "http://169.254.169.254/latest", "http://0.0.0.0:80",
        "http://127.0.0.1:80@evil.example", "http://evil.example#@127.0.0.1:80",
        "http://127.0.0.1:80\\@evil.example", "http://127.0.0.1:80/../..//evil.example",
    ],
)  # fmt: skip
def test_a_client_cannot_be_led_elsewhere(name):
    """Whatever an endpoint looks like, only this machine is accepted."""
    with pytest.raises((EndpointError, ConfigError)):
        cio.connect(endpoint=name, write_key="k1", environ={})


YESTERDAY = datetime.now(UTC) - timedelta(days=1)
CASES = {
    "the right one": ("known", "127.0.0.1", None, "answer"),
    "another name": ("known", "other.example", None, "TLS"),
    "expired": ("known", "127.0.0.1", YESTERDAY, "TLS"),
    "an unknown issuer": ("unknown", "127.0.0.1", None, "TLS"),
    "its own word": ("itself", "127.0.0.1", None, "TLS"),
}


@pytest.mark.parametrize("case", list(CASES.values()), ids=list(CASES))
def test_a_host_must_prove_who_it_is(case, tmp_path, monkeypatch):
    """Only a valid certificate of that very host, from a known issuer, gets the request."""
    issuer, host_name, ends, outcome = case
    known = trustme.CA()
    known.cert_pem.write_to_path(tmp_path / "known.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "known.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if issuer == "itself":
        signed = tmp_path / "itself.pem"
        alone = trustme.CA()
        signed.write_bytes(alone.private_key_pem.bytes() + alone.cert_pem.bytes())
        context.load_cert_chain(signed)
    else:
        authority = known if issuer == "known" else trustme.CA()
        authority.issue_cert(host_name, not_after=ends).configure_cert(context)
    heard: list[bytes] = []

    async def take(reader, writer):
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async def work():
        server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        wire = TransportConfig(
            bases={"pipelines": f"https://127.0.0.1:{port}"}, basic=lambda _: ("k1", "")
        )
        async with server, Transport(wire) as transport:
            return await transport.post(Request(api="pipelines", path="/v1/batch", body=b"{}"))

    answer = asyncio.run(work())

    expected = ("answer", "") if outcome == "answer" else ("never-sent", "TLS")
    assert (answer.kind, answer.network_error) == expected
    assert bool(heard) == (outcome == "answer")
