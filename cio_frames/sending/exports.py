"""Export people: start or take up an export, wait for it, and fetch its file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from cio_frames.errors import ExportError, WorkspaceReadError
from cio_frames.sending.app_api import APP, Reader, words
from cio_frames.sending.http import Response
from cio_frames.sending.retry_policy import Delivered
from cio_frames.spec import LIMITS

WHAT: Final = "The people"

EVERYBODY: Final[Mapping[str, Any]] = {
    "or": [
        {"attribute": {"field": "cio_id", "operator": "exists"}},
        {"not": {"attribute": {"field": "cio_id", "operator": "exists"}}},
    ]
}
"""A condition or its opposite. A filter is required, and none is documented that covers everybody."""

FIRST_LOOK_S: Final = 0.2
LOOK_S: Final = 5.0
PATIENCE_S: Final = 3_600.0
"""How long an export is waited for; no time is documented. Customer.io goes on with it."""

LINKS: Final = 4
"""How many links to a file are asked for: each can be used for a while only."""

_EXPIRED: Final = frozenset({401, 403, 404, 410})
"""What a link answers that cannot be used any more: which of them, depends on who keeps the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportProgress:
    """How far an export is.

    Attributes:
        export: Its id; None before it is known.
        total: How many people it has; None before it is ready.
        rows: About how many of them have arrived.
        waits_s: For how many seconds nothing is asked.
        why: Why.
    """

    export: int | None = None
    total: int | None = None
    rows: int = 0
    waits_s: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What the API says of an export."""

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
    """One export, from its start to its file.

    Args:
        reader: Asks the API.
        tell: Is told how far it is.
    """

    def __init__(self, reader: Reader, *, tell: Callable[[ExportProgress], object]) -> None:
        self._reader = reader
        self._tell = tell
        self._export: int | None = None
        self._total: int | None = None

    async def start(self, *, filters: Mapping[str, Any], attributes: Sequence[str]) -> int:
        """Start an export and return its id.

        An attempt whose answer is lost may have started one as well, which does no harm.
        """
        body = {"filters": filters, "attributes": list(attributes)}
        answer = await self._reader.ask("exportPeopleData", what=WHAT, body=body)
        return self._read(answer).id

    async def save(self, export: int, path: Path) -> Export:
        """Wait for an export and write its file.

        Raises:
            ExportError: It has failed, is unknown or not ready in time, or there is no file.
            AccessRefusedError: The key is not accepted, or may not do this.
            WorkspaceReadError: There is no answer, or none that can be used.
        """
        self._export = export
        self._reader.waits = self._waits
        ready = await self._ready(export)
        for _ in range(LINKS):
            link = await self._link(export)
            answer, decision = await self._reader.settled(
                partial(self._fetched, link, path), is_file=True
            )
            if isinstance(decision, Delivered):
                return ready
            if answer.status not in _EXPIRED:
                break
        is_expired = answer.status in _EXPIRED
        minutes = LIMITS["download_minutes"].value
        raise self._failure(
            f"the file of export {export} cannot be fetched{words(answer)}."
            + (f" Its link can be used for {minutes} minutes." if is_expired else ""),
            hint=f"Ask for it again: client.people(export={export}). If the file is gone, start a new export.",
            status=answer.status,
        )

    async def _ready(self, export: int) -> Export:
        """Wait until there is a file."""
        clock = self._reader.clock
        began, look_s = clock.monotonic(), FIRST_LOOK_S
        while True:
            found = await self._look(export)
            if found.failed or found.status == "failed":
                raise self._failure(
                    f"export {export} has failed at Customer.io.",
                    hint="Start it again, with fewer attributes or a narrower filter if it fails again.",
                )
            if found.is_ready:
                self._total = found.total
                self._tell(ExportProgress(export=export, total=found.total))
                return found
            if clock.monotonic() - began > PATIENCE_S:
                raise self._failure(
                    f"export {export} is not ready after {PATIENCE_S / 60:.0f} minutes.",
                    hint=f"Customer.io goes on with it. Ask again later: client.people(export={export}).",
                )
            await self._reader.wait(look_s, f"Customer.io prepares export {export}")
            look_s = min(look_s * 1.5, LOOK_S)

    async def _look(self, export: int) -> Export:
        try:
            answer = await self._reader.ask(
                "getExport", what=WHAT, parameters={"export_id": export}, export=export
            )
        except WorkspaceReadError as error:
            if error.status != _UNKNOWN:
                raise
            raise self._failure(
                f"there is no export {export} in the workspace of this key.",
                hint="client.exports() lists those that there are.",
                status=_UNKNOWN,
            ) from None
        return self._read(answer)

    async def _link(self, export: int) -> str:
        """Return where the file is: at Customer.io's own host, or encrypted on the way from another."""
        answer = await self._reader.ask(
            "downloadExport", what=WHAT, parameters={"export_id": export}, export=export
        )
        link = answer.get("url")
        if not isinstance(link, str) or not self._reader.may_lead_to(link):
            host = urlsplit(link).hostname if isinstance(link, str) else None
            raise self._failure(
                f"the link to the file of export {export} leads to {host or 'no address'}, "
                "which is not fetched from: it has no https.",
                hint="Fetch the file in Customer.io, and pass it as a table.",
            )
        return link

    async def _fetched(self, link: str, path: Path) -> Response:
        """Write the file from its beginning; count lines as people."""
        rows = -1  # the header is one
        try:
            with path.open("wb") as file:

                def take(piece: bytes) -> None:
                    nonlocal rows
                    rows += piece.count(b"\n")
                    self._write(file, piece)
                    self._tell(self._progress(rows=max(rows, 0)))

                return await self._reader.transport.fetch(link, api=APP, take=take)
        except OSError as error:
            raise self._unwritten(error) from None

    def _write(self, file: BinaryIO, piece: bytes) -> None:
        try:
            file.write(piece)
        except OSError as error:
            raise self._unwritten(error) from None

    def _unwritten(self, error: OSError) -> ExportError:
        return self._failure(
            f"the file of export {self._export} cannot be written here ({error.strerror}).",
            hint="Make room in the directory for temporary files (TMPDIR), then ask again: "
            f"client.people(export={self._export}).",
        )

    def _read(self, answer: Mapping[str, Any]) -> Export:
        """Return what an answer says of an export."""
        found = answer.get("export")
        if isinstance(found, Mapping) and isinstance(found.get("id"), int):
            total = found.get("total")
            return Export(
                id=found["id"],
                status=str(found.get("status")),
                failed=found.get("failed") is True,
                total=total if isinstance(total, int) else 0,
                description=str(found.get("description") or ""),
            )
        raise self._reader.unexpected(WHAT, answer, export=self._export)

    def _progress(self, *, rows: int = 0, waits_s: float = 0.0, why: str = "") -> ExportProgress:
        return ExportProgress(
            export=self._export, total=self._total, rows=rows, waits_s=waits_s, why=why
        )

    def _waits(self, seconds: float, why: str) -> None:
        self._tell(self._progress(waits_s=seconds, why=why))

    def _failure(self, problem: str, *, hint: str, status: int | None = None) -> ExportError:
        return ExportError(
            WHAT, host=self._reader.host, problem=problem, hint=hint, status=status,
            export=self._export,
        )  # fmt: skip


_UNKNOWN = 404
