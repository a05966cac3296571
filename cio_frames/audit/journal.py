"""The journal of a segment: one line per fact, with a checksum.

A line is the CRC of its JSON (chained: it starts from the CRC of the line before), a space, the
JSON and a newline. A crash can only leave an incomplete last line, which is dropped. Any other
damage (a changed bit, a missing or moved line) breaks the chain and raises an error.
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
_DEFAULTS = {"attempt": 0, "attempts": 0, "after_s": 0.0, "elapsed_s": 0.0}


def upgrade(line: dict[str, Any]) -> dict[str, Any] | None:
    """Return a line of format 1 in the present format; None for a split, which changes no row.

    Examples:
        >>> upgrade({"k": "C", "segment": 3})["k"]
        'Part'
    """
    if line["k"] == "B":
        return None
    upgraded = {**_DEFAULTS, **line, "k": _KINDS[line["k"]]}
    if "batch" in line:
        upgraded["batch"] = [line["batch"], line.get("start", 0), line.get("size", -1)]
    if "at" in line:
        upgraded["at"] = datetime.fromtimestamp(line["at"] / 1000, UTC)
    return upgraded


_PREFIX = 9
ENTIRE_BATCH = -1


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="k"):
    """The first line: the run and the segment of the journal."""

    format: int
    run: str
    segment: int
    plan_sha256: str = ""


class MessageRange(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A range of messages of a planned batch."""

    batch: int
    start: int = 0
    size: int = ENTIRE_BATCH

    def within(self, messages: int) -> tuple[int, int]:
        """Return the half-open interval of positions, in a batch with this number of messages."""
        stop = messages if self.size == ENTIRE_BATCH else min(self.start + self.size, messages)
        return self.start, stop


class Part(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="k"):
    """The part of a segment was written completely (in the journal of the run itself)."""

    segment: int
    rows: int
    bytes: int
    sha256: str
    counts: dict[str, int]
    requests: int
    retries: int
    sent_bytes: int


Entry = BatchAttempted[MessageRange] | BatchRetried[MessageRange] | BatchFinished[MessageRange]
"""A fact about messages, as in a journal. A split changes no row, and is not written."""

Record = Opened | Part | RunStopped | Entry
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
State = Literal["open", "failed", "closed"]


class Journal:
    """A journal open for appending.

    A failed write is truncated, so that the file always ends with a complete line. A failed sync
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
        """Write one line; if that raises OSError, the line is not in the file."""
        if self._state != "open":
            raise AuditError(f"{self.path} is {self._state}: nothing can be recorded in it.")
        payload = _ENCODER.encode(record)
        chain = crc32(payload, self._chain)
        line = b"%08x %b\n" % (chain, payload)
        try:
            self._disk.write(self._handle, line)
        except OSError:
            self._truncate()
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
        """Close the file, without waiting for the disk."""
        if self._state != "closed":
            self._state = "closed"
            self._disk.close(self._handle)

    def _truncate(self) -> None:
        try:
            self._disk.truncate(self._handle, self._size)
        except OSError:
            self._state = "failed"


def parse(data: bytes, *, path: Path | str) -> list[Record]:
    """Return the records of a journal, without an incomplete last line that a crash may leave.

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
    """Return the record in a line, of this format or an earlier one; None if no row changes."""
    with suppress(msgspec.MsgspecError):
        return _DECODER.decode(payload)
    try:
        record = upgrade(msgspec.json.decode(payload, type=dict[str, Any]))
        return None if record is None else msgspec.convert(record, Record)
    except (ArithmeticError, KeyError, OSError, TypeError, ValueError):
        raise _damaged(path, line=line) from None


def _damaged(path: Path | str, *, line: int) -> AuditCorruptError:
    return AuditCorruptError(
        str(path),
        problem=f"line {line} was changed after it was written",
        hint="Restore the file from a backup. Without it, count the rows of this segment as in doubt.",
    )
