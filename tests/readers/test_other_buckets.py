"""Tables at gs:// and az:// addresses, read from stand-ins for the two stores on this machine."""

import http.server
import io
import json
import threading
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.cli import main
from cio_frames.errors import FrameError, InputFileError
from cio_frames.frames import read, scan

SECRET = "dmVyeS1zZWNyZXQ="
PEOPLE = pl.DataFrame({"id": ["u1", "u2"], "visits": [1, 2]})


def parquet(frame: pl.DataFrame) -> bytes:
    """Return a frame as a Parquet file."""
    written = io.BytesIO()
    frame.write_parquet(written)
    return written.getvalue()


OBJECTS = {
    "people.csv": b"id,visits\r\nu1,1\r\nu2,2\r\n",
    "people.jsonl": b'{"id":"u1","visits":1}\n{"id":"u2","visits":2}\n',
    "people.parquet": parquet(PEOPLE),
    "broken.csv": b'id,x\nu1,"a"b"\n',
    "days/1/a.csv": b"id,visits\nu1,1\n",
    "days/2/b.csv": b"id,visits\nu2,2\n",
    "days/2/c.txt.bak": b"",
    "parts/1.parquet": parquet(PEOPLE.head(1)),
    "parts/2.parquet": parquet(PEOPLE.tail(1)),
    "zwei Wörter/a b.csv": b"id,visits\nu1,1\nu2,2\n",
}


class Store(http.server.BaseHTTPRequestHandler):
    """What Google's and Azure's stores answer: objects, parts of them, and lists of names."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]

    def do_HEAD(self) -> None:
        """Answer with what is known of an object."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer with a list, an object, or a part of one."""
        place = urlsplit(self.path)
        is_azure = place.path.startswith("/account/")
        if is_azure and not self.headers["Authorization"].startswith("SharedKey account:"):
            self._answer(HTTPStatus.FORBIDDEN, b"")
            return
        _, _, key = unquote(place.path).removeprefix("/account")[1:].partition("/")
        asked = parse_qs(place.query)
        if "list-type" in asked or "comp" in asked:
            keys = [name for name in self.objects if name.startswith(asked.get("prefix", [""])[0])]
            self._answer(HTTPStatus.OK, self._list(keys, is_azure=is_azure).encode())
        elif key not in self.objects:
            self._answer(HTTPStatus.NOT_FOUND, b"")
        else:
            self._part(self.objects[key])

    def _part(self, content: bytes) -> None:
        headers = {"ETag": f'"{hash(content)}"'}
        wanted = self.headers.get("Range")
        if wanted is None:
            self._answer(HTTPStatus.OK, content, **headers)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(len(content) - int(last), 0)
        part = content[start : int(last) + 1 if first and last else None]
        headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
        self._answer(HTTPStatus.PARTIAL_CONTENT, part, **headers)

    def _list(self, keys: list[str], *, is_azure: bool) -> str:
        if is_azure:
            about = "<Properties><Last-Modified>Mon, 01 Jan 2024 00:00:00 GMT</Last-Modified><Content-Length>1</Content-Length><Content-Type>text/plain</Content-Type><Etag>1</Etag></Properties>"
            blobs = "".join(f"<Blob><Name>{key}</Name>{about}</Blob>" for key in keys)
            return f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>"
        about = "<LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>1</ETag><Size>1</Size>"
        contents = "".join(f"<Contents><Key>{key}</Key>{about}</Contents>" for key in keys)
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"

    def _answer(self, status: HTTPStatus, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def objects() -> dict[str, bytes]:
    """What is in the bucket."""
    return dict(OBJECTS)


@pytest.fixture
def server(objects) -> Iterator[str]:
    """The address of both stores."""
    handler = type("Served", (Store,), {"objects": objects})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        served.daemon_threads = True
        threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def options_of(scheme: str, server: str) -> dict[str, str]:
    """Return how a store is reached, in the words of polars."""
    if scheme == "gs":
        account = {"gcs_base_url": server, "disable_oauth": True, "client_email": "ada@example.com", "private_key": SECRET, "private_key_id": "1"}  # fmt: skip
        return {"google_service_account_key": json.dumps(account), "google_allow_http": "true"}
    return {
        "azure_storage_account_name": "account", "azure_storage_account_key": SECRET,
        "azure_storage_endpoint": f"{server}/account", "azure_allow_http": "true",
    }  # fmt: skip


@pytest.fixture(params=["gs", "az"])
def store(request, server) -> tuple[str, dict[str, str]]:
    """The address of a bucket, and how it is reached."""
    return f"{request.param}://tables", options_of(request.param, server)


@pytest.mark.parametrize(
    "name",
    [
        "people.csv",
        "people.jsonl",
        "people.parquet",
        "days/*/*.csv",
        "days/**/*.csv",
        "parts/*.parquet",
        "zwei Wörter/a b.csv",
    ],
)
def test_tables_in_a_bucket_are_read(store, name):
    """CSV, JSON Lines and Parquet, one object or a glob: the same table as from a disk."""
    root, options = store

    table = read(scan(f"{root}/{name}", storage_options=options))

    assert [
        row for chunk in table.chunks(1) for row in chunk.drop("__row__").rows()
    ] == PEOPLE.rows()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("no.csv", "no.csv: no such object", id="missing"),
        pytest.param("no.parquet", "no such object", id="missing-parquet"),
        pytest.param("no-*.csv", "no such object", id="empty-glob"),
        pytest.param("", "names no file", id="bucket"),
        pytest.param("broken.csv", "broken.csv: line 2 has a double", id="broken"),
    ],
)
def test_what_cannot_be_read_is_reported(store, name, words):
    """The error names the address, and holds no key."""
    root, options = store
    with pytest.raises(InputFileError, match=words) as caught:
        scan(f"{root}/{name}", storage_options=options)

    assert root in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_changed_object_is_noticed(store, objects):
    """A Parquet file that is written to is refused by its tag: what is sent was checked."""
    root, options = store
    plan = scan(f"{root}/people.parquet", storage_options=options).cio.identify(user_id="id")
    assert plan.counts["valid"] == 2
    objects["people.parquet"] = parquet(PEOPLE.with_columns(visits=9))

    with cio.sandbox() as workspace, pytest.raises(FrameError, match="was changed after it was"):
        plan.send(workspace.client(), progress=False)


def test_keys_stand_in_no_repr(store):
    """Neither the frame, its plan nor the report holds a key."""
    root, options = store
    frame = scan(f"{root}/people.parquet", storage_options=options)
    plan, table = frame.cio.identify(user_id="id"), read(frame)

    words = [repr(frame), frame.explain(), repr(plan), str(plan._repr_mimebundle_()), repr(table)]
    assert not any(SECRET in each for each in words)


@pytest.mark.parametrize("name", ["people.csv", "people.jsonl", "people.parquet", "days/*/*.csv"])
def test_the_command_line_reads_them_by_the_environment(store, name, monkeypatch, capsys):
    """The variables of the store's own tools say how it is reached."""
    root, options = store
    for key, value in options.items():
        monkeypatch.setenv(key.upper(), value)

    code = main(
        ["check", f"{root}/{name}", "--call", "identify", "--user-id", "id", "--format", "json"]
    )

    assert code == 0
    assert json.loads(capsys.readouterr().out)["counts"]["valid"] == 2
