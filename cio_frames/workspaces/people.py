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
from cio_frames.frames.copies import unpacked
from cio_frames.sending import Client
from cio_frames.sending.exports import EVERYBODY, WHAT, Export, Exporting, ExportProgress
from cio_frames.sending.rate_limit import TokenBucket
from cio_frames.sending.reading import Reader, apart, host_of
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.document import Document, Heading
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.wording import duration, many

IDENTIFIERS: Final = ("id", "email", "cio_id")
ASKED: Final = (
    *IDENTIFIERS, "anonymous_id", "created_at", "unsubscribed", "cio_subscription_preferences",
)  # fmt: skip
"""What is asked for in any case. Identifiers too: which columns a file has by itself is not documented."""

_ZIP: Final = b"PK\x03\x04"
_DOUBLED: Final = re.compile(r"(.+)_duplicated_\d+")
"""What polars makes of a name that comes once more."""


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

    The file is written to a directory that nobody else can read, and is gone afterwards.
    """
    wanted = tuple(dict.fromkeys((*ASKED, *attributes)))
    shown = _Shown(client, progress=progress, export=export)
    with TemporaryDirectory(prefix="cio-export-") as folder, shown.until_the_end():
        path = Path(folder, "people.csv")
        read = partial(
            _saved, client, bucket, path,
            attributes=wanted, filters=EVERYBODY if filters is None else filters, export=export,
            tell=shown.tell,
        )  # fmt: skip
        found = apart(read, meanwhile=shown.draw)
        frame = _frame(path, found, host=shown.host, wanted=wanted)
        shown.count = frame.height
    return frame


async def _saved(
    client: Client,
    bucket: TokenBucket,
    path: Path,
    *,
    attributes: Sequence[str],
    filters: Mapping[str, Any],
    export: int | None,
    tell: Callable[[ExportProgress], object],
) -> Export:
    """Write the file of an export, which is started unless it was before."""
    async with client.session() as transport:
        exporting = Exporting(Reader(client, transport, bucket=bucket), tell=tell)
        if export is None:
            export = await exporting.start(filters=filters, attributes=attributes)
        return await exporting.save(export, path)


class _Shown:
    """Shows how far an export is."""

    def __init__(self, client: Client, *, progress: ShowProgress, export: int | None) -> None:
        self.host = host_of(client)
        self.count: int | None = None  # how many people were read, once they are
        self._display = display(progress)
        self._began = monotonic()
        self._latest = ExportProgress(export=export)
        self._waits_until = 0.0

    @contextmanager
    def until_the_end(self) -> Generator[None]:
        """Show the display, and leave a sentence in its place; say how an export is taken up again."""
        self._display.show(self._state())
        try:
            yield
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and self._latest.export is not None:
                error.add_note(
                    f"Customer.io goes on with export {self._latest.export}. Take it up again with "
                    f"client.people(export={self._latest.export})."
                )
            self._display.close(Document(Heading(f"{WHAT} were not read."), ()))
            raise
        took = duration(monotonic() - self._began)
        told = (
            f"{many(self.count or 0, 'person', 'people')} in {took}: export {self._latest.export}."
        )
        self._display.close(Document(Heading(told), ()))

    def tell(self, progress: ExportProgress) -> None:
        """Take note of how far it is. Called on another thread."""
        self._latest = progress
        self._waits_until = monotonic() + progress.waits_s

    def draw(self) -> None:
        """Show it."""
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
            started_s=self._began,
            now_s=monotonic(),
        )


def _frame(path: Path, export: Export, *, host: str, wanted: Sequence[str]) -> pl.DataFrame:
    """Return a file as a frame of texts, with the columns that were asked for in front.

    Assumed, as it is not documented: it is a CSV file in UTF-8, with commas, quotes that are
    doubled, a header of names, and empty cells where there is no value; or one such file in a ZIP
    archive.
    """
    failure = partial(_unreadable, export=export, host=host)
    if not path.stat().st_size and not export.total:
        return pl.DataFrame(schema=dict.fromkeys(wanted, pl.String))
    plain = _plain(path, failure)
    try:
        with errors_as(lambda kind: failure(f"it is no CSV file as expected ({kind}).")):
            read = collect_streaming(pl.scan_csv(plain, infer_schema=False))
    finally:
        plain.unlink()
    names = {name.strip(): name for name in reversed(read.columns)}
    if not set(IDENTIFIERS) & set(names):
        raise failure(
            f"it has none of the columns {', '.join(IDENTIFIERS)}, but {', '.join(read.columns[:9])}."
        )
    if read.height < export.total:
        raise failure(f"it has {read.height:,} people of {export.total:,}.")
    others = [
        name for name in reversed(names) if name not in wanted and not _is_double(name, wanted)
    ]
    return read.select(
        *(_values(names.get(name)).alias(name) for name in wanted),
        *(_values(names[name]).alias(name) for name in others),
    )


def _is_double(name: str, wanted: Sequence[str]) -> bool:
    """Return whether a column is there only since it was asked for although the file has it anyway."""
    found = _DOUBLED.fullmatch(name)
    return found is not None and found[1] in wanted


def _values(name: str | None) -> pl.Expr:
    """Return the values of a column; an empty cell is none, and so is all of a column that is not there."""
    if name is None:
        return pl.lit(None, pl.String)
    return pl.when(pl.col(name) != "").then(pl.col(name))


def _plain(path: Path, failure: Callable[[str], ExportError]) -> Path:
    """Return the CSV file itself, unpacked if it was not."""
    with path.open("rb") as file:
        if file.read(len(_ZIP)) != _ZIP:
            return path
    try:
        return Path(unpacked(str(path)))
    except InputFileError:
        raise failure("its ZIP archive cannot be unpacked, or holds several files.") from None


def _unreadable(problem: str, *, export: Export, host: str) -> ExportError:
    return ExportError(
        WHAT,
        host=host,
        problem=f"the file of export {export.id} is not as expected: {problem}",
        hint=f"Fetch it again with client.people(export={export.id}). If that does not help, download "
        "it in Customer.io, and pass it as a table.",
        export=export.id,
    )
