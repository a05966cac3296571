"""Nobody else gets the rows: not a redirect's host, not one that cannot prove who it is."""

import asyncio
import shutil
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import ConfigError, EndpointError, RunStoppedError
from cio_frames.sending.answers import Request
from cio_frames.sending.http import Transport, Wire

PEOPLE = pl.DataFrame({"id": [f"u{n}" for n in range(5)]})


@contextmanager
def host(status: int, location: str = ""):
    """Serve one answer to everything; yields the port and the paths that were asked for."""
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
    """Whatever an endpoint looks like, only this machine is taken for one."""
    with pytest.raises((EndpointError, ConfigError)):
        cio.connect(endpoint=name, write_key="k1", environ={})


def certificate(folder, *, name: str, host_name: str, days: str, issuer: str | None = None):
    """Make a key and a certificate, signed by itself or by an issuer made before."""
    openssl = shutil.which("openssl")

    def run(*arguments: object) -> None:
        subprocess.run([openssl, *map(str, arguments)], check=True, capture_output=True)  # noqa: S603

    key, wish, signed = folder / f"{name}.key", folder / f"{name}.csr", folder / f"{name}.pem"
    subject = ["-subj", f"/CN={name}", "-nodes", "-newkey", "rsa:2048", "-keyout", key]
    if issuer is None:
        run(
            "req",
            "-x509",
            *subject,
            "-out",
            signed,
            "-days",
            "2",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
        )
        return signed, key
    extension = folder / f"{name}.ext"
    extension.write_text(f"subjectAltName={host_name}\n")
    run("req", *subject, "-out", wish)
    run(
        "x509", "-req", "-in", wish, "-CA", folder / f"{issuer}.pem", "-CAkey", folder / f"{issuer}.key",
        "-CAcreateserial", "-out", signed, "-days", days, "-extfile", extension,
    )  # fmt: skip
    return signed, key


CASES = {
    "the right one": ("known", "IP:127.0.0.1", "2", "answer"),
    "another name": ("known", "DNS:other.example", "2", "TLS"),
    "expired": ("known", "IP:127.0.0.1", "-1", "TLS"),
    "an unknown issuer": ("unknown", "IP:127.0.0.1", "2", "TLS"),
}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")
@pytest.mark.parametrize("case", list(CASES.values()), ids=list(CASES))
def test_a_host_must_prove_who_it_is(case, tmp_path, monkeypatch):
    """Only a valid certificate of that very host, from a known issuer, gets the request."""
    issuer, host_name, days, outcome = case
    for name in ("known", "unknown"):
        certificate(tmp_path, name=name, host_name="", days="2")
    signed, key = certificate(tmp_path, name="host", host_name=host_name, days=days, issuer=issuer)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "known.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(signed, key)
    heard: list[bytes] = []

    async def take(reader, writer):
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async def work():
        server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        wire = Wire(bases={"pipelines": f"https://127.0.0.1:{port}"}, basic=lambda _: ("k1", ""))
        async with server, Transport(wire) as transport:
            return await transport.post(Request(api="pipelines", path="/v1/batch", body=b"{}"))

    answer = asyncio.run(work())

    assert outcome in (answer.kind, answer.trouble)
    assert bool(heard) == (outcome == "answer")
