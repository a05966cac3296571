"""The bytes of a file, compressed or not."""

import gzip
import zlib
from io import BufferedReader
from pathlib import Path

from cio_frames.errors import InputFileError

HEAD_BYTES = 256 * 1024
GZIP = b"\x1f\x8b"
DEFLATE_MAX = 1032  # no gzip file unpacks to more times its size
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


def refuse_bomb(path: str, *, unpacked_max_bytes: int = UNPACKED_MAX_BYTES) -> None:
    """Refuse a small gzip file that unpacks to gigabytes.

    Args:
        path: The file.
        unpacked_max_bytes: What a file under a two-hundredth of it may unpack to.

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
                    hint="If it is meant to, unpack it first.",
                )
