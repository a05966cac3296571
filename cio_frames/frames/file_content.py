"""Read files on disk, compressed or not, and detect whether they change."""

import codecs
import gzip
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Self

from cio_frames.errors import InputFileError

HEAD_BYTES = 256 * 1024
BLOCK_BYTES = 256 * 1024
GZIP = b"\x1f\x8b"
DEFLATE_MAX = 1032  # gzip never compresses by a larger factor
RATIO_MAX = 200  # text tables compress by a factor of 10, rarely of 100
UNPACKED_MAX_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStamp:
    """The size of a file and when it was last written, in nanoseconds."""

    path: str
    bytes: int
    written_ns: int

    @classmethod
    def of(cls, path: str) -> Self:
        """Return the stamp of a file."""
        status = Path(path).stat()
        return cls(path=path, bytes=status.st_size, written_ns=status.st_mtime_ns)

    def require_same(self) -> None:
        """Raise if the file has changed: its rows may not be those that were checked.

        Raises:
            InputFileError: The file was changed.
        """
        if FileStamp.of(self.path) != self:
            raise InputFileError(
                self.path,
                problem="was changed after it was scanned",
                hint="Wait until it is complete, and scan it again.",
            )


def opened(path: str) -> gzip.GzipFile | BufferedReader:
    """Open a file for reading, and decompress it if its content is gzip."""
    with Path(path).open("rb") as raw:
        is_gzip = raw.read(2) == GZIP
    return gzip.open(path, "rb") if is_gzip else Path(path).open("rb")


def lines_after(content: str | bytes, skip: int) -> Generator[bytes]:
    """Yield the lines of a file, or of text in memory, after `skip` of them."""
    with _opened_after(content, skip) as file:
        yield from file


def blocks_after(content: str | bytes, skip: int) -> Generator[bytes]:
    """Yield the bytes of a file, or of text in memory, after `skip` lines, block by block."""
    with _opened_after(content, skip) as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _opened_after(content: str | bytes, skip: int) -> gzip.GzipFile | BufferedReader | BytesIO:
    file = BytesIO(content) if isinstance(content, bytes) else opened(content)
    if not skip and file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        file.seek(0)
    for _ in range(skip):
        file.readline()
    return file


def first_bytes(path: str) -> bytes:
    """Return the start of a file's content.

    Raises:
        InputFileError: If the file cannot be opened or unpacked.
    """
    try:
        with opened(path) as file:
            return file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputFileError(
            path,
            problem=f"cannot be read ({type(error).__name__})",
            hint="Check the permissions, and that the file is complete.",
        ) from error


def all_bytes(path: str) -> bytes:
    """Return the complete content of a file."""
    with opened(path) as file:
        return file.read()


def refuse_bomb(path: str, *, unpacked_max_bytes: int = UNPACKED_MAX_BYTES) -> None:
    """Raise if a gzip file unpacks to more than `unpacked_max_bytes` and 200 times its size.

    Raises:
        InputFileError: If it unpacks to more.
    """
    size = Path(path).stat().st_size
    if not size * RATIO_MAX < unpacked_max_bytes < size * DEFLATE_MAX:
        return  # too large to be a bomb, or too small to hold one
    unpacked = 0
    with opened(path) as file:
        while block := file.read(1024 * 1024):
            unpacked += len(block)
            if unpacked > unpacked_max_bytes:
                raise InputFileError(
                    path,
                    problem=f"unpacks to more than {RATIO_MAX} times its size",
                    hint="If this is expected, unpack it first.",
                )
