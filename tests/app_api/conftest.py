"""An App API with prescribed answers, and virtual time."""

import asyncio
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest

from cio_frames.sending.app_api import Reader
from cio_frames.sending.exports import EVERYBODY, Export, Exporting, ExportProgress
from cio_frames.sending.rate_limit import TokenBucket
from cio_frames.workspaces import Client, connect
from tests.sending.conftest import run_virtually, virtual_clock

APP_KEY = "CANARYappkey"
CSV = "id,email,cio_id\nu1,ada@example.com,c1\nu2,,c2\n"
LINK = "https://files.example.com/export.csv?signature=s1"

Answer = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


def response(status: int, **body: Any) -> httpx2.Response:
    """Return an answer in JSON."""
    return httpx2.Response(status, json=body)


def export(status: str = "done", *, number: int = 7, **more: Any) -> httpx2.Response:
    """Return the API's description of an export."""
    progress = {"id": number, "status": status, "failed": False, "total": 0} | more
    return response(200, export=progress)


def link(url: object = LINK) -> httpx2.Response:
    """Return where a file is."""
    return response(200, url=url)


def file(content: bytes | str = CSV, **headers: str) -> httpx2.Response:
    """Return a file."""
    return httpx2.Response(200, content=content, headers=headers)


def zipped(*contents: str) -> bytes:
    """Return files in a ZIP archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"people-{number}.csv", content)
    return packed.getvalue()


@dataclass
class AppHost:
    """The App API as lists of answers, by path; the last answer of a list stands.

    Attributes:
        answers: What is answered, by the end of the path.
        asked: Method and path of each request, in order.
        times: When each came.
        requests: The requests.
    """

    answers: dict[str, list[Answer]]
    asked: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    requests: list[httpx2.Request] = field(default_factory=list)

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        self.asked.append(f"{request.method} {request.url.path}")
        self.times.append(asyncio.get_running_loop().time())
        self.requests.append(request)
        answers = next(
            found for end, found in self.answers.items() if request.url.path.endswith(end)
        )
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer


def host(**answers: Answer | list[Answer]) -> AppHost:
    """Return a host on which an export is ready at once, except for the given answers."""
    usual: dict[str, Any] = {
        "customers": export("pending"), "seven": export(), "download": link(), "csv": file(),
    }  # fmt: skip
    ends = {
        "customers": "/exports/customers",
        "seven": "/7",
        "download": "/download",
        "csv": ".csv",
    }
    given = usual | answers
    return AppHost(
        {ends[name]: value if isinstance(value, list) else [value] for name, value in given.items()}
    )


def client_of(app: AppHost, **options: Any) -> Client:
    """Return a client that reads from a host in this process."""
    transport = httpx2.MockTransport(app.handle)
    return connect(app_api_key=APP_KEY, transport=transport, environ={}, **options)


def reading(app: AppHost, work: Callable[[Reader], Any], **options: Any) -> Any:
    """Do something with a reader of a host, in virtual time."""

    async def main() -> Any:
        clock, client = virtual_clock(), client_of(app, **options)
        bucket = TokenBucket(10.0, now=clock.monotonic())
        async with client.session(monotonic=clock.monotonic) as transport:
            return await work(Reader(client, transport, bucket=bucket, clock=clock))

    return run_virtually(main)


def exported(
    app: AppHost,
    path: Path,
    *,
    number: int | None = None,
    on_progress: Any = lambda _: None,
    **options: Any,
) -> Export:
    """Save an export of a host, in virtual time."""

    async def work(reader: Reader) -> Export:
        exporting = Exporting(reader, on_progress=on_progress)
        started = number or await exporting.start(filters=EVERYBODY, attributes=["id"])
        return await exporting.save(started, path)

    found: Export = reading(app, work, **options)
    return found


@pytest.fixture
def progress() -> list[ExportProgress]:
    """Return a list for the progress."""
    return []


def texts(rows: Mapping[str, list[Any]]) -> pl.DataFrame:
    """Return a frame of texts."""
    return pl.DataFrame(rows, schema=dict.fromkeys(rows, pl.String))
