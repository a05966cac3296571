"""The background writer records on a thread what its writer would, and urgent facts first."""

import asyncio
import errno
import threading
from collections.abc import Callable

import polars as pl
import pytest
from polars.exceptions import PanicException

from cio_frames.audit import Audit, AuditWriter, BackgroundWriter
from cio_frames.errors import AuditError, EngineError
from cio_frames.sending.events import BatchAttempted, Fact, RunFinished, SegmentPlanned
from torture.fake_disk import FakeDisk
from torture.scripted_run import START, ScriptedRun, segment

MANY = [segment(n, first=13 * n, sizes=(4, 3, 5), rejected=1) for n in range(8)]


async def record_in_background(writer: AuditWriter, work: Callable[[ScriptedRun], None]) -> None:
    """Pass the facts of a scripted run to a background writer; as a sender does, wait for each attempt."""
    loop = asyncio.get_running_loop()
    with writer:
        async with BackgroundWriter(writer) as background:

            async def record(fact: Fact) -> None:
                if recorded := background(fact):
                    await recorded

            def listen(fact: Fact) -> None:
                asyncio.run_coroutine_threadsafe(record(fact), loop).result(10)

            await asyncio.to_thread(work, ScriptedRun(listen))


def delivered(scripted: ScriptedRun) -> None:
    """Plan, attempt and deliver many segments, one after the other."""
    for made in MANY:
        scripted.plan(made)
        for batch in made.batches:
            scripted.deliver(batch)
    scripted.writer(RunFinished(at=scripted.at))


@pytest.mark.parametrize("work", [delivered, ScriptedRun.run], ids=["delivered", "with-faults"])
def test_the_background_writer_records_what_its_writer_would(begin, info, tmp_path, work, key):
    """Every row of the record is the same with and without the thread."""
    direct = begin()
    work(ScriptedRun(direct))
    direct.close()

    threaded = AuditWriter.start(tmp_path / "threaded", info, key=key, now=lambda: START)
    asyncio.run(record_in_background(threaded, work))

    actual, expected = (Audit(each.directory).messages.sort("row") for each in (threaded, direct))
    assert actual.equals(expected)
    assert Audit(threaded.directory).verify().is_empty()
    assert threaded.run.state == direct.run.state


class Gated(FakeDisk):
    """A disk that waits, on the first sync of an attempt, until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.gate = threading.Event(), threading.Event()
        self.is_gated = False

    def sync(self, handle: int) -> None:
        """Make a file's bytes safe, when the gate is open."""
        if self.is_gated and not self.waits.is_set():
            self.waits.set()
            assert self.gate.wait(60)
        super().sync(handle)


def test_a_request_does_not_wait_for_the_plan_of_another_segment(begin):
    """Of facts that arrive while the disk is busy, the attempt is recorded before the later plan."""
    disk, (first, second, *_) = Gated(), MANY

    async def run() -> list[str]:
        with begin(disk=disk) as writer:
            async with BackgroundWriter(writer) as background:
                background(SegmentPlanned(segment=first))
                disk.is_gated = True
                one, two = (
                    BatchAttempted(batch=batch, attempt=1, at=START) for batch in first.batches[:2]
                )
                recorded = background(one)
                await asyncio.to_thread(disk.waits.wait, 10)
                background(SegmentPlanned(segment=second))
                later = background(two)
                before = len(disk.steps)
                disk.gate.set()
                await asyncio.gather(recorded, later)
                steps = disk.steps[before:]
                await background(BatchAttempted(batch=second.batches[0], attempt=1, at=START))
                return steps

    steps = asyncio.run(run())

    assert any("000000" in step for step in steps)
    assert not any("000001" in step for step in steps)


@pytest.mark.parametrize(
    ("trouble", "raised", "words"),
    [
        pytest.param(OSError(errno.EIO, "broken"), AuditError, "could not be written", id="disk"),
        pytest.param(PanicException("broken"), EngineError, "PanicException", id="engine"),
    ],
)
@pytest.mark.parametrize("where", ["parts", "journal"])
def test_a_failed_write_fails_later_facts(begin, where, trouble, raised, words):
    """When the disk or the engine fails, later facts and the end raise the error."""
    made = MANY[0]

    class Full(FakeDisk):
        """A disk on which no part, or no further line of the journal, can be made."""

        def create(self, path):
            """Make an empty file, unless it is a part."""
            if path.parent.name == where:
                raise trouble
            return super().create(path)

        def write(self, handle, data):
            """Write, unless it is a line about an attempt."""
            if where == "journal" and b'"k":"BatchAttempted"' in data:
                raise trouble
            return super().write(handle, data)

    async def run() -> None:
        async with BackgroundWriter(begin(disk=Full())) as background:
            scripted = ScriptedRun(background)
            scripted.plan(made)
            for batch in made.batches:
                scripted.deliver(batch)
            later = MANY[1]
            for _ in range(6_000):
                await asyncio.sleep(0.01)
                background(SegmentPlanned(segment=later))

    with pytest.raises(raised, match=words):
        asyncio.run(run())


def test_a_part_is_written_while_the_run_is_running(begin):
    """A segment's part is there soon after its last row is done, not only at the end."""
    writer = begin()

    async def run() -> int:
        async with BackgroundWriter(writer) as background:
            scripted = ScriptedRun(background)
            scripted.plan(MANY[0])
            for batch in MANY[0].batches:
                scripted.deliver(batch)
            for _ in range(6_000):
                await asyncio.sleep(0.01)
                if writer.run.parts:
                    break
            return len(writer.run.parts)

    assert asyncio.run(run()) == 1
    writer.close()
    states = Audit(writer.directory).messages["state"].value_counts().sort("state")
    assert states.equals(
        pl.DataFrame(
            {"state": ["delivered", "rejected_local"], "count": [12, 1]},
            schema_overrides={"count": states["count"].dtype},
        )
    )
