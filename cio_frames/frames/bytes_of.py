"""The bytes of a file, compressed or not."""

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from cio_frames.errors import InputFileError

HEAD_BYTES = 256 * 1024
GZIP = b"\x1f\x8b"
RATIO_MAX = 200  # a table of text compresses to a tenth, seldom to a hundredth
UNPACKED_MAX_BYTES = 2 * 1024**3


def opened(path: str) -> gzip.GzipFile | BufferedReader:
    """Open a file for reading, unpacking it if it is gzip, whatever its name says."""
    with Path(path).open("rb") as raw:
        packed = raw.read(2) == GZIP
    return gzip.open(path, "rb") if packed else Path(path).open("rb")


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
            hint="Check the permissions, and that the file is whole.",
        ) from error


def all_bytes(path: str) -> bytes:
    """Return a file's whole content."""
    with opened(path) as file:
        return file.read()


def lines(path: str) -> Iterator[bytes]:
    """Yield a file's lines with their ends."""
    with opened(path) as file:
        yield from file


def refuse_bomb(path: str) -> None:
    """Refuse a small gzip file that unpacks to gigabytes.

    Raises:
        InputFileError: If it unpacks to over 2 GiB and over 200 times its size.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as raw:
        packed = raw.read(2) == GZIP
    if not packed or size * 1032 < UNPACKED_MAX_BYTES or size * RATIO_MAX > UNPACKED_MAX_BYTES * 4:
        return  # deflate packs at most 1032 to 1; and a large file is no bomb
    unpacked = 0
    with opened(path) as file:
        while block := file.read(1024 * 1024):
            unpacked += len(block)
            if unpacked > UNPACKED_MAX_BYTES and unpacked > size * RATIO_MAX:
                raise InputFileError(
                    path,
                    problem=f"unpacks to more than {RATIO_MAX} times its size",
                    hint="If it is meant to, unpack it first.",
                )
