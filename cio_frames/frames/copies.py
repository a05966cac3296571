"""Copies of files in a folder of this process: unpacked, downloaded or rewritten."""

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
    RATIO_MAX,
    UNPACKED_MAX_BYTES,
)

_NUMBERS = count(1)


@cache
def _folder() -> str:
    """Return the folder, which only this user can read, and which is removed when the process ends."""
    folder = mkdtemp(prefix="cio_frames-")
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child
        shutil.rmtree(folder, ignore_errors=True)


def copy(name: str, write: Callable[[BinaryIO], object]) -> str:
    """Write a new file of that name with a function, and return its path."""
    folder = Path(_folder(), str(next(_NUMBERS)))
    folder.mkdir()
    path = folder / Path(name).name
    with path.open("wb") as file:
        write(file)
    return str(path)


def unpack(path: str) -> str:
    """Unpack the only file of a ZIP archive, and return the path of the copy.

    Raises:
        InputFileError: If the archive is damaged, protected, or does not contain exactly one file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = _only_member(path, archive)
            with archive.open(member) as content:
                return copy(member.filename, lambda file: shutil.copyfileobj(content, file))
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
        problem = f"holds {len(members):,} files ({named})" if members else "holds no file"
        raise InputFileError(
            path, problem=problem, hint="Unpack it, and scan the files with the table."
        )
    refuse_zip_bomb(path, members)
    return members[0]


def refuse_zip_bomb(path: str, members: Iterable[zipfile.ZipInfo]) -> None:
    """Raise if a small archive unpacks to gigabytes.

    Raises:
        InputFileError: If it does.
    """
    listed = list(members)
    size = sum(member.file_size for member in listed)
    packed = sum(member.compress_size for member in listed)
    if size > UNPACKED_MAX_BYTES and size > RATIO_MAX * packed:
        raise InputFileError(
            path,
            problem=f"unpacks to more than {RATIO_MAX} times its size",
            hint="If this is expected, unpack it first.",
        )


@contextmanager
def errors_with_names(names: Mapping[str, str]) -> Iterator[None]:
    """Name the original file in errors about its copy."""
    try:
        yield
    except InputFileError as error:
        text = _renamed(str(error), names)
        if text == str(error):
            raise
        path, hint = _renamed(error.path, names), _renamed(error.hint, names)
        problem = text.removeprefix(f"{path}: ").removesuffix(f". {hint}")
        raise InputFileError(path, problem=problem, hint=hint) from None


def notes_with_names(notes: tuple[Note, ...], names: Mapping[str, str]) -> tuple[Note, ...]:
    """Name the original files in notes about their copies."""
    return tuple(replace(note, message=_renamed(note.message, names)) for note in notes)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a text with the names of the originals instead of the paths of the copies."""
    for path, name in names.items():
        text = text.replace(path, name)
    return text
