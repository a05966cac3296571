"""The journal gives back every whole line, and nothing that was changed."""

import errno
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.audit.journal import Journal, MessageRange, Opened, Part, Record, parse
from cio_frames.errors import AuditCorruptError, AuditError
from cio_frames.sending.events import BatchAttempted, BatchFinished, BatchRetried, RunStopped

PATH = Path("/audit/run/wal/seg-000000.wal")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAD = Opened(format=2, run="r", segment=0, plan_sha256="0" * 64)
RECORDS: list[Record] = [
    HEAD,
    BatchAttempted(batch=MessageRange(0), attempt=1, at=AT),
    BatchRetried(batch=MessageRange(0), attempt=1, after_s=0.5, status=429, code="answer.busy"),
    BatchAttempted(batch=MessageRange(0), attempt=2, at=AT),
    BatchAttempted(batch=MessageRange(0, 2, 2), attempt=3, at=AT),
    BatchFinished(batch=MessageRange(0, 0, 2), state="delivered", attempts=2, status=200, elapsed_s=0.1, at=AT),
    BatchFinished(
        batch=MessageRange(0, 2, 2), state="rejected_server", attempts=3, status=400, code="answer.400",
        error="no\nway Ünlü", elapsed_s=0.2, at=AT,
    ),
    Part(segment=0, rows=4, bytes=9, sha256="ab", counts={"delivered": 2}, requests=2, retries=1, sent_bytes=3),
    RunStopped(code="answer.401", reason="the key", at=AT),
]  # fmt: skip


def written(make_disk, records: list[Record]) -> bytes:
    """Return the bytes of a journal with these records."""
    disk = make_disk()
    journal = Journal(disk, PATH, first=records[0])
    for record in records[1:]:
        journal.append(record)
    journal.sync()
    return disk.read(PATH)


def test_a_journal_gives_back_what_was_written(make_disk):
    """Every kind of record survives the way to the disk and back."""
    assert parse(written(make_disk, RECORDS), path=PATH) == RECORDS


def test_every_cut_gives_back_every_whole_line(make_disk):
    """However short a crash leaves the file, the lines that are whole are read."""
    data = written(make_disk, RECORDS)

    for cut in range(len(data) + 1):
        whole = data[:cut].count(b"\n")
        assert parse(data[:cut], path=PATH) == RECORDS[:whole]


def test_no_changed_bit_is_accepted(make_disk):
    """Whichever single bit is changed, reading the journal raises an error."""
    data = written(make_disk, RECORDS)

    accepted = 0
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            parse(bytes(changed), path=PATH)
        except AuditCorruptError:
            continue
        accepted += 1

    assert accepted == 0


@pytest.mark.parametrize(
    "rearranged",
    [
        pytest.param(lambda lines: lines[:2] + lines[3:], id="line-missing"),
        pytest.param(lambda lines: [*lines[:2], lines[1], *lines[2:]], id="line-twice"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], id="lines-swapped"),
        pytest.param(lambda lines: [*lines[:3], b"\n", *lines[3:]], id="empty-line"),
        pytest.param(lambda lines: [*lines, b"garbage\n"], id="foreign-line-at-the-end"),
    ],
)
def test_lines_in_another_order_are_refused(make_disk, rearranged):
    """Each line vouches for the one before it."""
    lines = written(make_disk, RECORDS).splitlines(keepends=True)

    with pytest.raises(AuditCorruptError, match="was changed"):
        parse(b"".join(rearranged(lines)), path=PATH)


def test_an_upper_case_checksum_is_refused(make_disk):
    """The checksum is compared as bytes, so that no change of its letters goes unnoticed."""
    data = written(make_disk, [HEAD])
    upper = data[:8].upper() + data[8:]

    assert upper != data
    with pytest.raises(AuditCorruptError):
        parse(upper, path=PATH)


def test_a_checked_line_that_is_no_record_is_refused():
    """A line of another program is an error even if its checksum is right."""
    payload = b'{"k":"Z"}'

    with pytest.raises(AuditCorruptError, match="line 1"):
        parse(b"%08x %b\n" % (crc32(payload), payload), path=PATH)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes):
    """No content makes the reader raise any other error."""
    try:
        records = parse(data, path=PATH)
    except AuditCorruptError:
        return
    assert records == []


def test_a_failed_write_leaves_only_whole_lines(make_disk):
    """What a full disk let through of a line is cut off, and the next line follows the last."""
    disk = make_disk(torn=5)
    journal = Journal(disk, PATH, first=HEAD)
    disk.fail_at = len(disk.steps)
    with pytest.raises(OSError, match="the disk failed"):
        journal.append(RECORDS[1])
    disk.fail_at = -1

    journal.append(RECORDS[2])

    assert parse(disk.read(PATH), path=PATH) == [HEAD, RECORDS[2]]


def test_nothing_is_written_after_a_failed_sync(make_disk):
    """After a failed sync nothing more can be written to the journal."""
    disk = make_disk()
    journal = Journal(disk, PATH, first=HEAD)
    disk.fail_at, disk.failure = len(disk.steps), errno.EIO
    with pytest.raises(OSError, match="the disk failed"):
        journal.sync()
    disk.fail_at = -1

    with pytest.raises(AuditError, match="failed"):
        journal.append(RECORDS[1])
