"""The journal of a segment: one line per thing that happened, each proof against damage.

A line is the CRC of its JSON (chained: it starts from the CRC of the line before), a space, the
JSON and a newline. A crash can only leave a piece of the last line, which is cut off. Any other
damage (a changed bit, a line that is missing or in another place) breaks the chain and is refused.
"""

from pathlib import Path
from typing import Literal
from zlib import crc32

import msgspec

from cio_frames.audit.disk import Disk
from cio_frames.errors import AuditCorruptError, AuditError

_PREFIX = 9
WHOLE = -1


class Opened(msgspec.Struct, frozen=True, tag="H", tag_field="k", kw_only=True):
    """The first line: what this journal belongs to."""

    format: int
    run: str
    segment: int
    plan_sha256: str = ""


class Attempted(msgspec.Struct, frozen=True, omit_defaults=True, tag="A", tag_field="k"):
    """A request with these rows of the batch is about to leave."""

    batch: int
    at: int
    start: int = 0
    size: int = WHOLE


class Retried(msgspec.Struct, frozen=True, omit_defaults=True, tag="R", tag_field="k"):
    """That request came to nothing, or to nothing that is known."""

    batch: int
    start: int = 0
    size: int = WHOLE
    status: int | None = None
    code: str = ""
    in_doubt: bool = False


class Split(msgspec.Struct, frozen=True, omit_defaults=True, tag="B", tag_field="k"):
    """These rows of the batch go on in two parts, divided at `middle`."""

    batch: int
    middle: int
    start: int = 0
    size: int = WHOLE


class Finished(msgspec.Struct, frozen=True, omit_defaults=True, tag="O", tag_field="k"):
    """What became of these rows of the batch."""

    batch: int
    state: str
    at: int
    start: int = 0
    size: int = WHOLE
    status: int | None = None
    code: str = ""
    error: str = ""
    in_doubt: bool = False


class Part(msgspec.Struct, frozen=True, tag="C", tag_field="k", kw_only=True):
    """The part of a segment is complete under its final name (in the run's own journal).

    Attributes:
        segment: Number of the segment, and of the file.
        rows: How many rows it has.
        bytes: Size of the file.
        sha256: Hash of the file.
        counts: Rows in each state.
        requests: Requests that carried its messages.
        retries: How many of them came to nothing.
        sent_bytes: Bytes of the messages that were attempted.
    """

    segment: int
    rows: int
    bytes: int
    sha256: str
    counts: dict[str, int]
    requests: int
    retries: int
    sent_bytes: int


class Stopped(msgspec.Struct, frozen=True, tag="S", tag_field="k", kw_only=True):
    """The run stopped before its rows were done (in the run's own journal)."""

    code: str
    reason: str
    at: int


Record = Opened | Attempted | Retried | Split | Finished | Part | Stopped
Entry = Attempted | Retried | Split | Finished
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
Mood = Literal["open", "poisoned", "closed"]


class Journal:
    """A journal open for appending.

    A failed write is cut off again, so that the file always ends in a whole line. A failed sync
    cannot be repaired by another one, so nothing is written after it.
    """

    def __init__(self, disk: Disk, path: Path, *, first: Opened) -> None:
        self.path = path
        self.unsynced: int = 0
        self._disk = disk
        self._chain = 0
        self._size = 0
        self._mood: Mood = "open"
        self._handle = disk.create(path)
        self.append(first)
        self.sync()
        disk.sync_names(path.parent)

    def append(self, record: Record) -> None:
        """Write one line; OSError if the disk refuses, and then the line is not there."""
        if self._mood != "open":
            raise AuditError(f"{self.path} is {self._mood}: nothing can be recorded in it.")
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
            self._mood = "poisoned"
            raise
        self.unsynced = 0

    def close(self) -> None:
        """Give the file back, without waiting for the disk."""
        if self._mood != "closed":
            self._mood = "closed"
            self._disk.close(self._handle)

    def _cut(self) -> None:
        try:
            self._disk.truncate(self._handle, self._size)
        except OSError:
            self._mood = "poisoned"


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
    while (end := data.find(b"\n", start)) >= 0:
        payload = data[start + _PREFIX : end]
        chain = crc32(payload, chain)
        if data[start : start + _PREFIX] != b"%08x " % chain:
            raise _damaged(path, line=len(records) + 1)
        records.append(_decode(payload, path=path, line=len(records) + 1))
        start = end + 1
    tail = data[start:]
    if tail[:_PREFIX] == b"%08x " % crc32(tail[_PREFIX:-1], chain):
        raise _damaged(path, line=len(records) + 1)
    return records


def _decode(payload: bytes, *, path: Path | str, line: int) -> Record:
    try:
        return _DECODER.decode(payload)
    except msgspec.MsgspecError:
        raise _damaged(path, line=line) from None


def _damaged(path: Path | str, *, line: int) -> AuditCorruptError:
    return AuditCorruptError(
        str(path),
        problem=f"line {line} was changed after it was written",
        hint="Restore the file from a copy. Without it, count the rows of this segment as in doubt.",
    )
