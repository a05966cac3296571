"""Tables in buckets and on the web: read as from a disk, with no credential in any word."""

import http.server
import io
import threading
import traceback
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import boto3
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

import cio_frames as cio
from cio_frames.errors import FrameError, InputFileError
from cio_frames.frames import read, scan
from cio_frames.frames.remote import GLOB, _matches, without_credentials

SECRET = "very-secret-5f1c"
PEOPLE = pl.DataFrame({"id": ["u1", "u2"], "visits": [1, 2]})


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3 on this machine."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()
    moto._server.server_close()


@pytest.fixture(scope="module")
def bucket(server: str) -> Iterator[Any]:
    """A bucket in it with files of all kinds."""
    client = boto3.client(
        "s3", endpoint_url=server, region_name="us-east-1",
        aws_access_key_id="key", aws_secret_access_key=SECRET,
    )  # fmt: skip
    client.create_bucket(Bucket="tables")
    for name, content in {
        "people.csv": b"id,visits\r\nu1,1\r\nu2,2\r\n",
        "people.jsonl": b'{"id":"u1","visits":1}\n{"id":"u2","visits":2}\n',
        "broken.csv": b'id,x\nu1,"a"b"\n',
        "days/1/a.csv": b"id,visits\nu1,1\n",
        "days/2/b.csv": b"id,visits\nu2,2\n",
        "days/2/c.txt.bak": b"",
    }.items():
        client.put_object(Bucket="tables", Key=name, Body=content)
    client.put_object(Bucket="tables", Key="people.parquet", Body=parquet(PEOPLE))
    yield client
    client.close()


def parquet(frame: pl.DataFrame) -> bytes:
    """Return a frame as a Parquet file."""
    written = io.BytesIO()
    frame.write_parquet(written)
    return written.getvalue()


@pytest.fixture
def options(server: str) -> dict[str, str]:
    """How the bucket is reached, in the words of polars."""
    return {
        "aws_endpoint_url": server, "aws_region": "us-east-1", "aws_allow_http": "true",
        "aws_access_key_id": "key", "aws_secret_access_key": SECRET,
    }  # fmt: skip


@pytest.mark.parametrize(
    "address",
    [
        "s3://tables/people.csv",
        "s3://tables/people.jsonl",
        "s3://tables/people.parquet",
        "s3://tables/days/*/*.csv",
        "s3://tables/days/**/*.csv",
    ],
)
def test_tables_in_a_bucket_are_read(bucket, options, address):
    """CSV, JSON Lines and Parquet, one object or a glob: the same table as from a disk."""
    table = read(scan(address, storage_options=options))

    assert [
        row for chunk in table.chunks(1) for row in chunk.drop("__row__").rows()
    ] == PEOPLE.rows()
    assert table.label.startswith(("people.", "a.csv and 1 more"))


def test_the_environment_says_how_a_bucket_is_reached(bucket, options, monkeypatch):
    """Without storage_options= the variables of the store's own tools count."""
    for name, value in options.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")

    assert scan("s3://tables/people.csv").collect().equals(PEOPLE)
    assert scan("s3://tables/people.parquet").collect().equals(PEOPLE)


@pytest.mark.parametrize(
    "other", [PEOPLE.with_columns(visits=9), PEOPLE.head(1)], ids=["same-size", "shorter"]
)
def test_a_changed_object_is_noticed(bucket, options, other):
    """A Parquet file in a bucket that is written to is refused by its tag: what is sent was checked."""
    bucket.put_object(Bucket="tables", Key="changing.parquet", Body=parquet(PEOPLE))
    plan = scan("s3://tables/changing.parquet", storage_options=options).cio.identify(user_id="id")
    assert plan.counts["valid"] == 2
    bucket.put_object(Bucket="tables", Key="changing.parquet", Body=parquet(other))

    with (
        cio.sandbox() as workspace,
        pytest.raises(FrameError, match="was changed after it was scanned"),
    ):
        plan.send(workspace.client(), progress=False)


def test_a_copy_is_what_was_scanned(bucket, options):
    """Of a CSV file a copy is read: what comes into the bucket later is not sent unchecked."""
    bucket.put_object(Bucket="tables", Key="changing.csv", Body=b"id\nu1\n")
    frame = scan("s3://tables/changing.csv", storage_options=options)
    bucket.put_object(Bucket="tables", Key="changing.csv", Body=b"id\nu9\n")

    assert frame.collect().rows() == [("u1",)]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        pytest.param("s3://tables/no.csv", "s3://tables/no.csv: no such object", id="missing"),
        pytest.param("s3://tables/no.parquet", "no such object", id="missing-parquet"),
        pytest.param("s3://tables/no-*.csv", "no such object", id="empty-glob"),
        pytest.param("s3://tables", "names no file", id="bucket"),
        pytest.param("s3://tables/broken.csv", "s3://tables/broken.csv: line 2 has a double", id="broken"),
        pytest.param("s3://tables/days/2/c.txt.bak", r"\(.bak\) are not scanned", id="other-kind"),
    ],
)  # fmt: skip
def test_objects_that_cannot_be_read_say_why(bucket, options, address, words):
    """Errors name the address, not a copy, and hold no credential."""
    with pytest.raises(InputFileError, match=words) as caught:
        scan(address, storage_options=options)
    assert_no_secret(caught.value)


def assert_no_secret(error: BaseException) -> None:
    """Check that neither an exception nor its traceback holds the secret."""
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"aws_endpoint_url": "http://127.0.0.1:9", "timeout": "1s"}, "cannot be reached", id="nobody"),
        pytest.param({"no_such_option": SECRET}, "storage_options=", id="unknown-option"),
    ],
)  # fmt: skip
def test_a_bucket_that_cannot_be_reached_is_reported(options, changed, words, monkeypatch):
    """A wrong host or option is a typed error; its words are ours, since the store's hold addresses."""
    monkeypatch.setattr("cio_frames.frames.remote.RETRY", {"max_retries": 0})
    with pytest.raises(InputFileError, match=words) as caught:
        scan("s3://tables/people.csv", storage_options=options | changed)
    assert_no_secret(caught.value)


def test_keys_stand_in_no_repr(bucket, options):
    """Neither the frame, its plan, the report nor the record of a run holds a key."""
    frame = scan("s3://tables/people.parquet", storage_options=options)
    plan = frame.cio.identify(user_id="id")
    table = read(frame)

    shown_words = [
        repr(frame),
        frame.explain(),
        repr(plan),
        str(plan._repr_mimebundle_()),
        repr(table),
        repr(table.files),
    ]
    assert not any(SECRET in words for words in shown_words)


class Web(http.server.BaseHTTPRequestHandler):
    """A web server with one table, for those who have the signature."""

    content = b"id,visits\nu1,1\nu2,2\n"

    def do_GET(self) -> None:
        """Answer with the table."""
        if self.path == f"/away.csv?signature={SECRET}":
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", f"/people.csv?signature={SECRET}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        bodies = {
            "/people.csv": self.content,
            "/people.parquet": parquet(PEOPLE),
            "/cut.csv": self.content,
        }
        path, _, query = self.path.partition("?")
        if path not in bodies or query != f"signature={SECRET}":
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(bodies[path]) + 5 * (path == "/cut.csv")))
        self.end_headers()
        self.wfile.write(bodies[path])

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """The address of the web server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


@pytest.mark.parametrize("name", ["people.csv", "people.parquet", "away.csv"])
def test_tables_behind_a_signed_address_are_read(web, name):
    """The signature is used, and stands in no repr, plan, label or query of the engine."""
    frame = scan(f"{web}/{name}?signature={SECRET}")
    plan = frame.cio.identify(user_id="id")

    assert frame.collect().equals(PEOPLE)
    for words in (repr(frame), frame.explain(), repr(plan), repr(read(frame)), read(frame).label):
        assert SECRET not in words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("other.csv", "/other.csv: is answered with HTTP 403", id="forbidden"),
        pytest.param("cut.csv", "came cut off", id="cut-off"),
    ],
)
def test_what_the_web_does_not_give_is_reported(web, name, words):
    """The error has the address without its query, user or password."""
    with pytest.raises(InputFileError, match=words) as caught:
        scan(f"{web}/{name}?signature={SECRET}")
    assert_no_secret(caught.value)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        pytest.param(f"http://example.com/a.csv?k={SECRET}", "without encryption. Use https", id="http"),
        pytest.param(f"ftp://ann:{SECRET}@example.com/a.csv", "not read from ftp://", id="ftp"),
        pytest.param("https://example.com", "names no file", id="no-path"),
    ],
)  # fmt: skip
def test_addresses_that_are_not_taken_say_why(address, words):
    """Tables with people in them are not read over open lines."""
    with pytest.raises(InputFileError, match=words) as caught:
        scan(address)
    assert_no_secret(caught.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://ann:pw@example.com:8443/a/b.csv?sig=1#x", "https://example.com:8443/a/b.csv"),
        ("az://container/a.csv", "az://container/a.csv"),
        ("abfss://container@account.dfs.core.windows.net/a.csv", "abfss://container@account.dfs.core.windows.net/a.csv"),
    ],
)  # fmt: skip
def test_addresses_are_shown_without_credentials(address, expected):
    """User, password, query and fragment are left out."""
    assert without_credentials(address) == expected


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("a/*.csv", "a/b.csv", True),
        ("a/*.csv", "a/b/c.csv", False),
        ("a/**/*.csv", "a/b/c.csv", True),
        ("a/**/*.csv", "a/c.csv", True),
        ("a/*/c.csv", "a/b/c.csv", True),
        ("a/[12].csv", "a/3.csv", False),
    ],
)
def test_globs_of_buckets_are_those_of_paths(pattern, key, fits):
    """One star stays in its folder, two go deeper."""
    assert GLOB.search(pattern)
    assert _matches(key, pattern) is fits
