"""What the door did to a table, so that nothing is converted in silence."""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from cio_frames.frames.stamps import Stamp

Severity = Literal["info", "warn", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One conversion made at the door, or one reason why rows cannot be sent.

    `rows` is filled for severity "reject" only: the value of `column` is null in those rows, so
    whoever checks the table must leave them out.
    """

    code: str
    message: str
    severity: Severity = "info"
    column: str | None = None
    count: int = 0
    rows: tuple[int, ...] = ()


_SCANNED: dict[int, tuple[Note, ...]] = {}
_LABELS: dict[int, str] = {}
_FILES: dict[int, tuple[Stamp, ...]] = {}
_PIECES: dict[int, tuple[pl.LazyFrame, ...]] = {}


def remember(frame: pl.LazyFrame, notes: tuple[Note, ...]) -> pl.LazyFrame:
    """Keep the notes of a scanned file for as long as its lazy frame lives.

    A lazy frame has no place for metadata and cannot be a dictionary key, hence the identity.
    """
    _SCANNED[id(frame)] = notes
    weakref.finalize(frame, _SCANNED.pop, id(frame), None)
    return frame


def remembered(frame: pl.LazyFrame) -> tuple[Note, ...]:
    """Return the notes of a frame that `scan` made; a frame derived from it has none."""
    return _SCANNED.get(id(frame), ())


def give_label(frame: pl.LazyFrame, label: str) -> pl.LazyFrame:
    """Keep what a scanned file is called, for as long as its lazy frame lives."""
    _LABELS[id(frame)] = label
    weakref.finalize(frame, _LABELS.pop, id(frame), None)
    return frame


def label_of(frame: pl.LazyFrame) -> str:
    """Return what a frame is called: after its files, if `scan` made it."""
    return _LABELS.get(id(frame), "polars lazy frame")


def keep_files(frame: pl.LazyFrame, files: Sequence[Stamp]) -> pl.LazyFrame:
    """Keep what the scanned files were, for as long as their lazy frame lives."""
    _FILES[id(frame)] = tuple(files)
    weakref.finalize(frame, _FILES.pop, id(frame), None)
    return frame


def files_of(frame: pl.LazyFrame) -> tuple[Stamp, ...]:
    """Return what the files of a frame were when `scan` made it; a derived frame has none."""
    return _FILES.get(id(frame), ())


def keep_pieces(frame: pl.LazyFrame, pieces: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
    """Keep the pieces that a scanned file is read in, for as long as its lazy frame lives."""
    _PIECES[id(frame)] = tuple(pieces)
    weakref.finalize(frame, _PIECES.pop, id(frame), None)
    return frame


def pieces_of(frame: pl.LazyFrame) -> tuple[pl.LazyFrame, ...]:
    """Return the pieces of a frame that `scan` made; a frame derived from it has none."""
    return _PIECES.get(id(frame), ())
