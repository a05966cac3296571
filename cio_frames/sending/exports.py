"""Export people: start or continue an export, wait for it, and download its file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from cio_frames.errors import ExportError, WorkspaceReadError
from cio_frames.sending.app_api import APP, Reader, response_text
from cio_frames.sending.http import Response
from cio_frames.sending.retry_policy import Delivered
from cio_frames.spec import LIMITS

SUBJECT: Final = "The people"

EVERYBODY: Final[Mapping[str, Any]] = {
    "or": [
        {"attribute": {"field": "cio_id", "operator": "exists"}},
        {"not": {"attribute": {"field": "cio_id", "operator": "exists"}}},
    ]
}
"""A condition or its opposite: a filter is required, and none is documented that matches everybody."""

FIRST_POLL_S: Final = 0.2
POLL_S: Final = 5.0
EXPORT_TIMEOUT_S: Final = 3_600.0
"""How long to wait for an export; no time is documented. Customer.io continues it."""

MAX_LINKS: Final = 4
"""How many links to a file are requested: each expires."""

_EXPIRED: Final = frozenset({401, 403, 404, 410})
"""Status codes of an expired link; which one depends on the host of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportProgress:
    """The progress of an export.

    Attributes:
        export: Its id; None before it is known.
        total: How many people it has; None before it is ready.
        rows: About how many of them have been downloaded.
        waits_s: For how many seconds no request is sent.
        why: Why.
    """

    export: int | None = None
    total: int | None = None
    rows: int = 0
    waits_s: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export, as the API describes it."""

    id: int
    status: str
    failed: bool = False
    total: int = 0
    description: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether there is a file."""
        return self.status == "done" and not self.failed


class Exporting:
    """One export, from its start to its file."""

    def __init__(self, reader: Reader, *, on_progress: Callable[[ExportProgress], object]) -> None:
        self._reader = reader
        self._on_progress = on_progress
        self._export: int | None = None
        self._total: int | None = None

    async def start(self, *, filters: Mapping[str, Any], attributes: Sequence[str]) -> int:
        """Start an export and return its id.

        An attempt whose response is lost may have started another one, which does no harm.
        """
        body = {"filters": filters, "attributes": list(attributes)}
        response = await self._reader.request("exportPeopleData", what=SUBJECT, body=body)
        return self._parsed(response).id

    async def save(self, export: int, path: Path) -> Export:
        """Wait for an export and write its file.

        Raises:
            ExportError: It has failed, is unknown or not ready in time, or there is no file.
            AccessRefusedError: The key is not accepted, or has no permission.
            WorkspaceReadError: There is no response, or it cannot be used.
        """
        self._export = export
        self._reader.on_wait = self._report_wait
        ready = await self._ready(export)
        for _ in range(MAX_LINKS):
            link = await self._link(export)
            response, decision = await self._reader.request_until_decided(
                partial(self._download, link, path), is_file=True
            )
            if isinstance(decision, Delivered):
                return ready
            if response.status not in _EXPIRED:
                break
        is_expired = response.status in _EXPIRED
        minutes = LIMITS["download_minutes"].value
        raise self._failure(
            f"the file of export {export} cannot be fetched{response_text(response)}."
            + (f" Its link can be used for {minutes} minutes." if is_expired else ""),
            hint=f"Ask for it again: client.people(export={export}). If the file is gone, start a new export.",
            status=response.status,
        )

    async def _ready(self, export: int) -> Export:
        """Wait until there is a file."""
        clock = self._reader.clock
        started_at, poll_s = clock.monotonic(), FIRST_POLL_S
        while True:
            described = await self._status(export)
            if described.failed or described.status == "failed":
                raise self._failure(
                    f"export {export} has failed at Customer.io.",
                    hint="Start it again, with fewer attributes or a narrower filter if it fails again.",
                )
            if described.is_ready:
                self._total = described.total
                self._on_progress(ExportProgress(export=export, total=described.total))
                return described
            if clock.monotonic() - started_at > EXPORT_TIMEOUT_S:
                raise self._failure(
                    f"export {export} is not ready after {EXPORT_TIMEOUT_S / 60:.0f} minutes.",
                    hint=f"Customer.io goes on with it. Ask again later: client.people(export={export}).",
                )
            await self._reader.wait(poll_s, f"Customer.io prepares export {export}")
            poll_s = min(poll_s * 1.5, POLL_S)

    async def _status(self, export: int) -> Export:
        try:
            response = await self._reader.request(
                "getExport", what=SUBJECT, parameters={"export_id": export}, export=export
            )
        except WorkspaceReadError as error:
            if error.status != _NOT_FOUND:
                raise
            raise self._failure(
                f"there is no export {export} in the workspace of this key.",
                hint="client.exports() lists those that there are.",
                status=_NOT_FOUND,
            ) from None
        return self._parsed(response)

    async def _link(self, export: int) -> str:
        """Return the address of the file: at Customer.io's own host, or at another one with https."""
        response = await self._reader.request(
            "downloadExport", what=SUBJECT, parameters={"export_id": export}, export=export
        )
        link = response.get("url")
        if not isinstance(link, str) or not self._reader.is_allowed_address(link):
            host = urlsplit(link).hostname if isinstance(link, str) else None
            raise self._failure(
                f"the link to the file of export {export} leads to {host or 'no address'}, "
                "which is not fetched from: it has no https.",
                hint="Fetch the file in Customer.io, and pass it as a table.",
            )
        return link

    async def _download(self, link: str, path: Path) -> Response:
        """Write the file from its beginning; lines are counted as people."""
        rows = -1  # without the header
        try:
            with path.open("wb") as file:

                def on_chunk(chunk: bytes) -> None:
                    nonlocal rows
                    rows += chunk.count(b"\n")
                    self._write(file, chunk)
                    self._on_progress(self._progress(rows=max(rows, 0)))

                return await self._reader.transport.fetch(link, api=APP, on_chunk=on_chunk)
        except OSError as error:
            raise self._write_error(error) from None

    def _write(self, file: BinaryIO, chunk: bytes) -> None:
        try:
            file.write(chunk)
        except OSError as error:
            raise self._write_error(error) from None

    def _write_error(self, error: OSError) -> ExportError:
        return self._failure(
            f"the file of export {self._export} cannot be written here ({error.strerror}).",
            hint="Make room in the directory for temporary files (TMPDIR), then ask again: "
            f"client.people(export={self._export}).",
        )

    def _parsed(self, response: Mapping[str, Any]) -> Export:
        """Return the export in a response."""
        fields = response.get("export")
        if isinstance(fields, Mapping) and isinstance(fields.get("id"), int):
            total = fields.get("total")
            return Export(
                id=fields["id"],
                status=str(fields.get("status")),
                failed=fields.get("failed") is True,
                total=total if isinstance(total, int) else 0,
                description=str(fields.get("description") or ""),
            )
        raise self._reader.unexpected(SUBJECT, response, export=self._export)

    def _progress(self, *, rows: int = 0, waits_s: float = 0.0, why: str = "") -> ExportProgress:
        return ExportProgress(
            export=self._export, total=self._total, rows=rows, waits_s=waits_s, why=why
        )

    def _report_wait(self, seconds: float, why: str) -> None:
        self._on_progress(self._progress(waits_s=seconds, why=why))

    def _failure(self, problem: str, *, hint: str, status: int | None = None) -> ExportError:
        return ExportError(
            SUBJECT, host=self._reader.host, problem=problem, hint=hint, status=status,
            export=self._export,
        )  # fmt: skip


_NOT_FOUND = 404
