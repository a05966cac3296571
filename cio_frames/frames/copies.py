"""Copies of tables in a folder of this process: unpacked, fetched or rewritten once, then left alone."""

import atexit
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import BinaryIO

from cio_frames.errors import InputFileError
from cio_frames.frames.column import Note
from cio_frames.frames.file_content import (
    BLOCK_BYTES,
    RATIO_MAX,
    UNPACKED_MAX_BYTES,
)

SIZES = ("file_size", "compress_size")
_NUMBERS = count(1)


@cache
def _folder() -> str:
    """Return the folder, which nobody else can read and which goes when the process ends."""
    folder = mkdtemp(prefix="cio_frames-")
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not in a child that was forked
        shutil.rmtree(folder, ignore_errors=True)


def copy(name: str, write: Callable[[BinaryIO], object]) -> str:
    """Return the path of a new file of that name, written by a function."""
    place = Path(_folder(), str(next(_NUMBERS)))
    place.mkdir()
    path = place / Path(name).name
    with path.open("wb") as file:
        write(file)
    return str(path)


def unpacked(path: str) -> str:
    """Return the path of a copy of the one file in a ZIP archive.

    Raises:
        InputFileError: If the archive is damaged, protected, or holds none or several files.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = _only_member(path, archive)
            with archive.open(member) as content:
                return copy(member.filename, lambda file: _pour(content.read, file))
    except RuntimeError as error:
        raise InputFileError(
            path, problem="is protected by a password", hint="Unpack it first."
        ) from error
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, zlib.error) as error:
        raise InputFileError(
            path,
            problem=f"cannot be unpacked ({type(error).__name__})",
            hint="Copy or export it again, or unpack it first.",
        ) from error


def _only_member(path: str, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [
        item
        for item in archive.infolist()
        if not item.is_dir()
        and not item.filename.startswith("__MACOSX/")
        and not Path(item.filename).name.startswith(".")
    ]
    if len(members) != 1:
        named = ", ".join(repr(item.filename) for item in members[:5])
        holds = f"holds {len(members):,} files ({named})" if members else "holds no file"
        raise InputFileError(
            path, problem=holds, hint="Unpack it, and scan the files that hold the table."
        )
    refuse_zip_bomb(path, members)
    return members[0]


def refuse_zip_bomb(path: str, members: Iterable[zipfile.ZipInfo]) -> None:
    """Refuse a small archive that unpacks to gigabytes.

    Raises:
        InputFileError: If it does.
    """
    listed = list(members)
    size, packed = (sum(getattr(each, name) for each in listed) for name in SIZES)
    if size > UNPACKED_MAX_BYTES and size > RATIO_MAX * packed:
        raise InputFileError(
            path,
            problem=f"unpacks to more than {RATIO_MAX} times its size",
            hint="If this is expected, unpack it first.",
        )


def _pour(read: Callable[[int], bytes], file: BinaryIO) -> None:
    while block := read(BLOCK_BYTES):
        file.write(block)


@contextmanager
def errors_named(names: Mapping[str, str]) -> Iterator[None]:
    """Have errors about copies speak of what was copied."""
    try:
        yield
    except InputFileError as error:
        text = renamed(str(error), names)
        if text == str(error):
            raise
        path, hint = renamed(error.path, names), renamed(error.hint, names)
        problem = text.removeprefix(f"{path}: ").removesuffix(f". {hint}")
        raise InputFileError(path, problem=problem, hint=hint) from None


def notes_named(notes: tuple[Note, ...], names: Mapping[str, str]) -> tuple[Note, ...]:
    """Have notes about copies speak of what was copied."""
    return tuple(replace(note, message=renamed(note.message, names)) for note in notes)


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a text with the names of what was copied in place of those of the copies."""
    for path, name in names.items():
        text = text.replace(path, name)
    return text
