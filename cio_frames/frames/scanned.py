"""What `scan` knows of the lazy frame it made; frames derived from it know nothing of it."""

import weakref
from dataclasses import dataclass

import polars as pl

from cio_frames.frames.file_stamp import Stamp
from cio_frames.frames.notes import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """Where a frame comes from.

    Attributes:
        label: What reports call it.
        notes: What was chosen.
        files: The files, as they were.
        pieces: The same rows, in order, in frames that can be read one by one; none where the
            engine streams the frame itself.
    """

    label: str = "polars lazy frame"
    notes: tuple[Note, ...] = ()
    files: tuple[Stamp, ...] = ()
    pieces: tuple[pl.LazyFrame, ...] = ()


_KNOWN: dict[int, Scanned] = {}
_OTHER = Scanned()


def keep(frame: pl.LazyFrame, scanned: Scanned) -> pl.LazyFrame:
    """Keep what is known of a frame for as long as it lives.

    A lazy frame has no place for metadata and cannot be a dictionary key, hence the identity.
    """
    _KNOWN[id(frame)] = scanned
    weakref.finalize(frame, _KNOWN.pop, id(frame), None)
    return frame


def scanned_of(frame: pl.LazyFrame) -> Scanned:
    """Return what is known of a frame."""
    return _KNOWN.get(id(frame), _OTHER)
