"""The ledger keeps on a thread what its recorder would keep by itself, and what is urgent first."""

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


async def told(recorder: AuditWriter, tell: Callable[[ScriptedRun], None]) -> None:
    """Tell a ledger what a driver tells; like a sender, go on when an attempt is kept."""
    loop = asyncio.get_running_loop()
    with recorder:
        async with BackgroundWriter(recorder) as ledger:

            async def keep(fact: Fact) -> None:
                if kept := ledger(fact):
                    await kept

            def listen(fact: Fact) -> None:
                asyncio.run_coroutine_threadsafe(keep(fact), loop).result(10)

            await asyncio.to_thread(tell, ScriptedRun(listen))


def delivered(driver: ScriptedRun) -> None:
    """Tell of many segments that are planned, attempted and delivered, one behind the other."""
    for made in MANY:
        driver.plan(made)
        for batch in made.batches:
            driver.deliver(batch)
    driver.writer(RunFinished(at=driver.at))


@pytest.mark.parametrize("tell", [delivered, ScriptedRun.run], ids=["delivered", "troubled"])
def test_a_ledger_keeps_what_its_recorder_would_keep(begin, info, tmp_path, tell, key):
    """Told on a thread or directly, every row of the record says the same."""
    direct = begin()
    tell(ScriptedRun(direct))
    direct.close()

    apart = AuditWriter.start(tmp_path / "apart", info, key=key, now=lambda: START)
    asyncio.run(told(apart, tell))

    kept, wanted = (Audit(each.directory).messages.sort("row") for each in (apart, direct))
    assert kept.equals(wanted)
    assert Audit(apart.directory).verify().is_empty()
    assert apart.run.state == direct.run.state


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
    """What is told while the disk is busy: the attempt is on the disk before the later plan."""
    disk, (first, second, *_) = Gated(), MANY

    async def run() -> list[str]:
        with begin(disk=disk) as recorder:
            async with BackgroundWriter(recorder) as ledger:
                ledger(SegmentPlanned(segment=first))
                disk.is_gated = True
                one, two = (
                    BatchAttempted(batch=batch, attempt=1, at=START) for batch in first.batches[:2]
                )
                kept = ledger(one)
                await asyncio.to_thread(disk.waits.wait, 10)
                ledger(SegmentPlanned(segment=second))
                later = ledger(two)
                before = len(disk.steps)
                disk.gate.set()
                await asyncio.gather(kept, later)
                steps = disk.steps[before:]
                await ledger(BatchAttempted(batch=second.batches[0], attempt=1, at=START))
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
def test_what_cannot_be_written_fails_what_is_told_afterwards(begin, where, trouble, raised, words):
    """When the disk or the engine fails, requests told later are refused, and the end says why."""
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
        async with BackgroundWriter(begin(disk=Full())) as ledger:
            driver = ScriptedRun(ledger)
            driver.plan(made)
            for batch in made.batches:
                driver.deliver(batch)
            later = MANY[1]
            for _ in range(6_000):
                await asyncio.sleep(0.01)
                ledger(SegmentPlanned(segment=later))

    with pytest.raises(raised, match=words):
        asyncio.run(run())


def test_rows_that_are_done_are_sealed_while_the_run_goes_on(begin):
    """A segment's part is there soon after its last row is done, not only at the end."""
    recorder = begin()

    async def run() -> int:
        async with BackgroundWriter(recorder) as ledger:
            driver = ScriptedRun(ledger)
            driver.plan(MANY[0])
            for batch in MANY[0].batches:
                driver.deliver(batch)
            for _ in range(6_000):
                await asyncio.sleep(0.01)
                if recorder.run.parts:
                    break
            return len(recorder.run.parts)

    assert asyncio.run(run()) == 1
    recorder.close()
    states = Audit(recorder.directory).messages["state"].value_counts().sort("state")
    assert states.equals(
        pl.DataFrame(
            {"state": ["delivered", "rejected_local"], "count": [12, 1]},
            schema_overrides={"count": states["count"].dtype},
        )
    )
