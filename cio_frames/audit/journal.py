"""The journal of a segment: one line per thing that happened, each proof against damage.

A line is the CRC of its JSON (chained: it starts from the CRC of the line before), a space, the
JSON and a newline. A crash can only leave a piece of the last line, which is cut off. Any other
damage (a changed bit, a line that is missing or in another place) breaks the chain and is refused.
"""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import msgspec

from cio_frames.audit.file_system import FileSystem
from cio_frames.errors import AuditCorruptError, AuditError
from cio_frames.sending.events import BatchAttempted, BatchFinished, BatchRetried, RunStopped

_KINDS = {
    "H": "Opened",
    "A": "BatchAttempted",
    "R": "BatchRetried",
    "O": "BatchFinished",
    "C": "Part",
    "S": "RunStopped",
}
_NOT_KEPT = {"attempt": 0, "attempts": 0, "after_s": 0.0, "elapsed_s": 0.0}


def upgraded(line: dict[str, Any]) -> dict[str, Any] | None:
    """Return a line as a journal holds it today; None for a split, which changes no row.

    Examples:
        >>> upgraded({"k": "C", "segment": 3})["k"]
        'Part'
    """
    if line["k"] == "B":
        return None
    now = {**_NOT_KEPT, **line, "k": _KINDS[line["k"]]}
    if "batch" in line:
        now["batch"] = [line["batch"], line.get("start", 0), line.get("size", -1)]
    if "at" in line:
        now["at"] = datetime.fromtimestamp(line["at"] / 1000, UTC)
    return now


_PREFIX = 9
WHOLE = -1


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="k"):
    """The first line: what this journal belongs to."""

    format: int
    run: str
    segment: int
    plan_sha256: str = ""


class Place(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """Some of the messages of a planned batch, by their positions in it."""

    batch: int
    start: int = 0
    size: int = WHOLE

    def within(self, messages: int) -> tuple[int, int]:
        """Return first position and the one after the last, in a batch of so many messages."""
        stop = messages if self.size == WHOLE else min(self.start + self.size, messages)
        return self.start, stop


class Part(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="k"):
    """The part of a segment is complete under its final name (in the run's own journal)."""

    segment: int
    rows: int
    bytes: int
    sha256: str
    counts: dict[str, int]
    requests: int
    retries: int
    sent_bytes: int


Entry = BatchAttempted[Place] | BatchRetried[Place] | BatchFinished[Place]
"""A fact about messages, as a journal holds it. A split changes no row, and is not written."""

Record = Opened | Part | RunStopped | Entry
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
State = Literal["open", "failed", "closed"]


class Journal:
    """A journal open for appending.

    A failed write is cut off again, so that the file always ends in a whole line. A failed sync
    cannot be repaired by another one, so nothing is written after it.
    """

    def __init__(self, disk: FileSystem, path: Path, *, first: Opened) -> None:
        self.path = path
        self.unsynced: int = 0
        self._disk = disk
        self._chain = 0
        self._size = 0
        self._state: State = "open"
        self._handle = disk.create(path)
        self.append(first)
        self.sync()
        disk.fsync_dir(path.parent)

    def append(self, record: Record) -> None:
        """Write one line; OSError if the disk refuses, and then the line is not there."""
        if self._state != "open":
            raise AuditError(f"{self.path} is {self._state}: nothing can be recorded in it.")
        payload = _ENCODER.encode(record)
        chain = crc32(payload, self._chain)
        line = b"%08x %b\n" % (chain, payload)
        try:
            self._disk.write(self._handle, line)
        except OSError:
            self._cut()
            raise
        self._chain = chain
        self._size += len(line)
        self.unsynced += 1

    def sync(self) -> None:
        """Return when every line would survive a power cut."""
        try:
            self._disk.sync(self._handle)
        except OSError:
            self._state = "failed"
            raise
        self.unsynced = 0

    def close(self) -> None:
        """Give the file back, without waiting for the disk."""
        if self._state != "closed":
            self._state = "closed"
            self._disk.close(self._handle)

    def _cut(self) -> None:
        try:
            self._disk.truncate(self._handle, self._size)
        except OSError:
            self._state = "failed"


def parse(data: bytes, *, path: Path | str) -> list[Record]:
    """Return the records of a journal, without the piece of a line that a crash may leave.

    Raises:
        AuditCorruptError: If anything but the end of the file is damaged.

    Examples:
        >>> parse(b'9ae0', path="seg-000000.wal")
        []
    """
    records: list[Record] = []
    chain = start = 0
    line = 1
    while (end := data.find(b"\n", start)) >= 0:
        payload = data[start + _PREFIX : end]
        chain = crc32(payload, chain)
        if data[start : start + _PREFIX] != b"%08x " % chain:
            raise _damaged(path, line=line)
        if record := _decode(payload, path=path, line=line):
            records.append(record)
        start = end + 1
        line += 1
    tail = data[start:]
    if tail[:_PREFIX] == b"%08x " % crc32(tail[_PREFIX:-1], chain):
        raise _damaged(path, line=line)
    return records


def _decode(payload: bytes, *, path: Path | str, line: int) -> Record | None:
    """Return the record in a line, of this format or of the one before; None if it says nothing."""
    with suppress(msgspec.MsgspecError):
        return _DECODER.decode(payload)
    try:
        former = upgraded(msgspec.json.decode(payload, type=dict[str, Any]))
        return None if former is None else msgspec.convert(former, Record)
    except (ArithmeticError, KeyError, OSError, TypeError, ValueError):
        raise _damaged(path, line=line) from None


def _damaged(path: Path | str, *, line: int) -> AuditCorruptError:
    return AuditCorruptError(
        str(path),
        problem=f"line {line} was changed after it was written",
        hint="Restore the file from a backup. Without it, count the rows of this segment as in doubt.",
    )
