"""A host with prescribed answers, and virtual time."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import polars as pl

from cio_frames.payloads.batches import Batch, Segment
from cio_frames.sending.blocking import BlockingRow
from cio_frames.sending.clock import Clock
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchSplit,
    Fact,
    RunStopped,
    SegmentPlanned,
)
from cio_frames.sending.retry_policy import RetryLimits
from cio_frames.sending.run_controls import PaceControl, StopSignal
from cio_frames.sending.scheduler import send
from cio_frames.workspaces import Client, connect
from torture.virtual_time import run_virtually

WRITE_KEY = "CANARYwritekey"
TRACK_KEY = "CANARYtrackkey"


def virtual_clock() -> Clock:
    """Return a clock that reads the running loop's time, with a fixed chance of one half."""
    epoch = datetime(2026, 1, 1, tzinfo=UTC)
    now = lambda: asyncio.get_running_loop().time()  # noqa: E731
    return Clock(
        monotonic=now,
        now=lambda: epoch + timedelta(seconds=now()),
        sleep=asyncio.sleep,
        random=lambda: 0.5,
    )


@dataclass
class Heard:
    """One request as the host saw it."""

    number: int
    at: float
    path: str
    rows: list[int]
    gzipped: bool
    headers: Any


@dataclass
class Host:
    """Customer.io as a function: `answer(heard)` gives a status, a response or an error.

    A status, a response or an error in place of the function is given to every request.

    `applied` lists the rows that were taken, in order, however often.
    """

    answer: Any = 200
    seconds: float = 0.01
    requests: list[Heard] = field(default_factory=list)
    applied: list[int] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        gzipped = request.headers.get("content-encoding") == "gzip"
        message = json.loads(gzip.decompress(request.content) if gzipped else request.content)
        heard = Heard(
            number=len(self.requests) + 1,
            at=asyncio.get_running_loop().time(),
            path=request.url.path,
            rows=[item["row"] for item in message.get("batch", [message])],
            gzipped=gzipped,
            headers=request.headers,
        )
        self.requests.append(heard)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.seconds)
            return await self._respond(heard)
        finally:
            self.under_way -= 1

    async def _respond(self, heard: Heard) -> httpx2.Response:
        form = "/forms/" in heard.path
        outcome = self.answer(heard) if callable(self.answer) else self.answer
        if asyncio.iscoroutine(outcome):
            outcome = await outcome
        if isinstance(outcome, Exception):
            if getattr(outcome, "applied", False):
                self.applied += heard.rows
            raise outcome
        if isinstance(outcome, int):
            ok = 200 <= outcome < 300
            if ok:
                self.applied += heard.rows
            if ok and form:
                return httpx2.Response(204)
            return httpx2.Response(outcome, json={} if ok else {"meta": {"errors": ["bad thing"]}})
        return outcome


def batch(
    rows: Iterable[int], *, number: int, segment: int = 0, plan: int = 0, call: str = "track",
    lanes: tuple[int, int] = (0, 1023), path: str | None = None,
) -> Batch:  # fmt: skip
    """Return a batch whose messages have the numbers of their rows."""
    rows = list(rows)
    batched = call != "form"
    messages = [json.dumps({"type": call, "row": row}) for row in rows]
    return Batch(
        plan=plan,
        segment=segment,
        number=number,
        call=call,
        path=path or ("/v1/batch" if batched else "/api/v1/forms/f1/submit"),
        batched=batched,
        messages=pl.Series(messages),
        rows=pl.Series(rows, dtype=pl.Int64),
        message_bytes=sum(map(len, messages)),
        lanes=lanes,
    )


def segment(
    rows: int, *, per_batch: int = 10, number: int = 0, first_row: int = 0, plan: int = 0,
    call: str = "track", lane_of: Callable[[int], int] | None = None, path: str | None = None,
    person_of: Callable[[int], int] | None = None,
) -> Segment:  # fmt: skip
    """Return a segment; by default each batch has lanes of its own, two rows to a lane.

    By default every lane has one person.
    """
    numbers = list(range(first_row, first_row + rows))
    lanes = [lane_of(row) if lane_of else (row - first_row) // 2 % 1024 for row in numbers]
    order = sorted(range(rows), key=lambda at: (lanes[at], at))
    size = 1 if call == "form" else per_batch
    cuts = [order[at : at + size] for at in range(0, rows, size)]
    batches = tuple(
        batch(
            [numbers[at] for at in cut], number=count, segment=number, plan=plan, call=call,
            lanes=(lanes[cut[0]], lanes[cut[-1]]), path=path,
        )
        for count, cut in enumerate(cuts)
    )  # fmt: skip
    people = [person_of(row) for row in numbers] if person_of else lanes
    frame = pl.DataFrame(
        {"row": numbers, "lane": lanes, "component": people},
        schema={"row": pl.Int64, "lane": pl.Int32, "component": pl.UInt64},
    )
    return Segment(plan=plan, number=number, call=call, rows=frame, batches=batches)


@dataclass
class Record:
    """The facts of a run, and the requests that the host received."""

    host: Host
    facts: list[Fact]
    seconds: float

    def of(self, *kinds: type) -> list[Any]:
        """Return the facts of some kinds."""
        return [fact for fact in self.facts if isinstance(fact, kinds)]

    @property
    def states(self) -> dict[int, str]:
        """Return the state of each row."""
        return {row: end.state for end in self.of(BatchFinished) for row in end.batch.rows}

    @property
    def ends(self) -> dict[int, BatchFinished]:
        """Return the end of each row."""
        return {row: end for end in self.of(BatchFinished) for row in end.batch.rows}

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows ended in each state."""
        return dict(Counter(self.states.values()))

    @property
    def stopped(self) -> str | None:
        """Return why the run stopped, if it did."""
        return next((fact.code for fact in self.of(RunStopped)), None)

    def rows(self, state: str) -> list[int]:
        """Return the rows that ended in a state."""
        return sorted(row for row, found in self.states.items() if found == state)


def check(record: Record) -> Record:
    """Check what must hold in every run, whatever happened in it."""
    _check_order_of_facts(record)
    planned = Counter(
        row
        for fact in record.of(SegmentPlanned)
        for each in fact.segment.batches
        for row in each.rows
    )
    finished = Counter(row for fact in record.of(BatchFinished) for row in fact.batch.rows)
    assert planned == finished, "each planned row has exactly one end"
    for split in record.of(BatchSplit):
        parts = [row for part in split.into for row in part.rows]
        assert parts == list(split.batch.rows), "a split loses rows"
    heard = Counter(row for request in record.host.requests for row in request.rows)
    for end in record.of(BatchFinished):
        assert end.attempts == heard[end.batch.rows[0]], "attempts are counted"
    applied = set(record.host.applied)
    assert applied >= set(record.rows("delivered")), "a delivered row was applied"
    assert not applied & set(record.rows("rejected_server")), "a rejected row was not applied"
    assert not applied & set(record.rows("pending")), "a pending row was not applied"
    return record


def _check_order_of_facts(record: Record) -> None:
    planned: set[int] = set()
    attempted: set[int] = set()
    finished: set[int] = set()
    for fact in record.facts:
        match fact:
            case SegmentPlanned(segment=each):
                planned.update(row for cut in each.batches for row in cut.rows)
            case BatchAttempted(batch=each):
                assert planned >= set(each.rows), "a row is sent before it is planned"
                assert not finished & set(each.rows), "a finished row is sent again"
                attempted.update(each.rows)
            case BatchFinished(batch=each):
                finished.update(each.rows)
    heard = {row for request in record.host.requests for row in request.rows}
    assert heard <= attempted, "the host sees only rows whose attempt was emitted before"


def client_of(host: Host, **options: Any) -> Client:
    """Return a client that speaks to `host` in this process."""
    options = {
        "rate": None,
        "write_key": WRITE_KEY,
        "site_id": "s1",
        "track_api_key": TRACK_KEY,
    } | options
    return connect(transport=httpx2.MockTransport(host.handle), environ={}, **options)


def run(
    segments: Iterable[Segment], host: Host | None = None, *, stop: StopSignal | None = None,
    listen: Callable[[Fact], None] | None = None, retry_limits: RetryLimits | None = None,
    blocked: Mapping[int, BlockingRow] | None = None, control: PaceControl | None = None, **options: Any,
) -> Record:  # fmt: skip
    """Send segments to a host in virtual time and check what must always hold."""
    host = host or Host()
    facts: list[Fact] = []

    def listener(fact: Fact) -> None:
        facts.append(fact)
        if listen:
            listen(fact)

    async def work() -> float:
        before = asyncio.all_tasks()
        source: Iterator[Segment] = iter(segments)
        await send(
            source, client=client_of(host, **options), listener=listener, stop=stop or StopSignal(),
            clock=virtual_clock(), retry_limits=retry_limits, blocked=blocked or {}, control=control,
        )  # fmt: skip
        assert asyncio.all_tasks() == before, "no task is left behind"
        return asyncio.get_running_loop().time()

    seconds = run_virtually(work)
    return check(Record(host, facts, seconds))
