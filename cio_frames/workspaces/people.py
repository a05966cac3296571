"""Read the people of a workspace: an export, as a frame."""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final

import polars as pl

from cio_frames.errors import ExportError, InputFileError, errors_as
from cio_frames.frames import collect_streaming
from cio_frames.frames.copies import unpack
from cio_frames.sending import Client
from cio_frames.sending.app_api import Reader, host_of, run_in_thread
from cio_frames.sending.exports import EVERYBODY, SUBJECT, Export, Exporting, ExportProgress
from cio_frames.sending.rate_limit import TokenBucket
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.document import Document, Heading
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.wording import duration, many

IDENTIFIERS: Final = ("id", "email", "cio_id")
REQUESTED: Final = (
    *IDENTIFIERS, "anonymous_id", "created_at", "unsubscribed", "cio_subscription_preferences",
)  # fmt: skip
"""The attributes of every export, with the identifiers: the default columns are not documented."""

_ZIP: Final = b"PK\x03\x04"
_DUPLICATED: Final = re.compile(r"(.+)_duplicated_\d+")
"""The name that polars gives a repeated column."""


def people(
    client: Client,
    bucket: TokenBucket,
    *,
    attributes: Sequence[str],
    filters: Mapping[str, Any] | None,
    export: int | None,
    progress: ShowProgress,
) -> pl.DataFrame:
    """Return the people of a workspace.

    The file is written to a directory that only this user can read, and deleted afterwards.
    """
    wanted = tuple(dict.fromkeys((*REQUESTED, *attributes)))
    shown = _ExportDisplay(client, progress=progress, export=export)
    with TemporaryDirectory(prefix="cio-export-") as folder, shown.open():
        path = Path(folder, "people.csv")
        save = partial(
            _save, client, bucket, path,
            attributes=wanted, filters=EVERYBODY if filters is None else filters, export=export,
            listener=shown.record,
        )  # fmt: skip
        saved = run_in_thread(save, while_waiting=shown.draw)
        frame = _frame(path, saved, host=shown.host, wanted=wanted)
        shown.count = frame.height
    return frame


async def _save(
    client: Client,
    bucket: TokenBucket,
    path: Path,
    *,
    attributes: Sequence[str],
    filters: Mapping[str, Any],
    export: int | None,
    listener: Callable[[ExportProgress], object],
) -> Export:
    """Save the file of an export, which is started if `export` is None."""
    async with client.session() as transport:
        exporting = Exporting(Reader(client, transport, bucket=bucket), on_progress=listener)
        if export is None:
            export = await exporting.start(filters=filters, attributes=attributes)
        return await exporting.save(export, path)


class _ExportDisplay:
    """Shows the progress of an export."""

    def __init__(self, client: Client, *, progress: ShowProgress, export: int | None) -> None:
        self.host = host_of(client)
        self.count: int | None = None  # how many people were read
        self._display = display(progress)
        self._started = monotonic()
        self._latest = ExportProgress(export=export)
        self._waits_until = 0.0

    @contextmanager
    def open(self) -> Generator[None]:
        """Show the display, replace it by a sentence at the end, and say how to resume an export."""
        self._display.show(self._state())
        try:
            yield
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and self._latest.export is not None:
                error.add_note(
                    f"Customer.io goes on with export {self._latest.export}. Take it up again with "
                    f"client.people(export={self._latest.export})."
                )
            self._display.close(Document(Heading(f"{SUBJECT} were not read."), ()))
            raise
        took = duration(monotonic() - self._started)
        text = (
            f"{many(self.count or 0, 'person', 'people')} in {took}: export {self._latest.export}."
        )
        self._display.close(Document(Heading(text), ()))

    def record(self, progress: ExportProgress) -> None:
        """Remember the latest progress. Called on another thread."""
        self._latest = progress
        self._waits_until = monotonic() + progress.waits_s

    def draw(self) -> None:
        """Show the latest progress."""
        self._display.update(self._state())

    def _state(self) -> ProgressState:
        latest = self._latest
        named = f" (export {latest.export})" if latest.export is not None else ""
        return replace(
            ProgressState(label=f"the people of {self.host}{named}", phase="reading"),
            total=latest.total,
            planned=latest.rows,
            waiting=latest.why,
            waits_until_s=self._waits_until,
            started_s=self._started,
            now_s=monotonic(),
        )


def _frame(path: Path, export: Export, *, host: str, wanted: Sequence[str]) -> pl.DataFrame:
    """Return a file as a frame of texts, with the wanted columns first.

    The format is not documented. Assumed is a CSV file in UTF-8 with commas, doubled quotes, a
    header, and empty cells for missing values; or one such file in a ZIP archive.
    """
    failure = partial(_unreadable, export=export, host=host)
    if not path.stat().st_size and not export.total:
        return pl.DataFrame(schema=dict.fromkeys(wanted, pl.String))
    csv = _uncompressed(path, failure)
    try:
        with errors_as(lambda kind: failure(f"it is no CSV file as expected ({kind}).")):
            read = collect_streaming(pl.scan_csv(csv, infer_schema=False))
    finally:
        csv.unlink()
    names = {name.strip(): name for name in reversed(read.columns)}
    if not set(IDENTIFIERS) & set(names):
        raise failure(
            f"it has none of the columns {', '.join(IDENTIFIERS)}, but {', '.join(read.columns[:9])}."
        )
    if read.height < export.total:
        raise failure(f"it has {read.height:,} people of {export.total:,}.")
    others = [
        name for name in reversed(names) if name not in wanted and not _is_duplicate(name, wanted)
    ]
    return read.select(
        *(_values(names.get(name)).alias(name) for name in wanted),
        *(_values(names[name]).alias(name) for name in others),
    )


def _is_duplicate(name: str, wanted: Sequence[str]) -> bool:
    """Return whether a column repeats a wanted one, because the file has that one by default."""
    match = _DUPLICATED.fullmatch(name)
    return match is not None and match[1] in wanted


def _values(name: str | None) -> pl.Expr:
    """Return the values of a column, null for empty cells and for a missing column."""
    if name is None:
        return pl.lit(None, pl.String)
    return pl.when(pl.col(name) != "").then(pl.col(name))


def _uncompressed(path: Path, failure: Callable[[str], ExportError]) -> Path:
    """Return the CSV file, unpacked from a ZIP archive if it is in one."""
    with path.open("rb") as file:
        if file.read(len(_ZIP)) != _ZIP:
            return path
    try:
        return Path(unpack(str(path)))
    except InputFileError:
        raise failure("its ZIP archive cannot be unpacked, or holds several files.") from None


def _unreadable(problem: str, *, export: Export, host: str) -> ExportError:
    return ExportError(
        SUBJECT,
        host=host,
        problem=f"the file of export {export.id} is not as expected: {problem}",
        hint=f"Fetch it again with client.people(export={export.id}). If that does not help, download "
        "it in Customer.io, and pass it as a table.",
        export=export.id,
    )
