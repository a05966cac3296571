"""A scripted run: the facts passed to the audit writer, and what the server really received."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl

from cio_frames.audit import AuditWriter, RunInfo
from cio_frames.payloads.batches import SEGMENT_SCHEMA, Batch, Segment
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    BatchSplit,
    RunFinished,
    RunStarted,
    RunStopped,
    SegmentPlanned,
    State,
)

KEY = "0123456789abcdef" * 4
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN_ID = "20260301T120000000Z-abcdef"
INFO = RunInfo(
    run_id=RUN_ID,
    created=START,
    region="us",
    endpoint="cdp.customer.io",
    strict=True,
    namespace="test",
    id_algorithm="1",
    limits={"message_bytes": 32_000},
    mapping={"0": {"user_id": "id"}},
)


@dataclass
class Server:
    """What really happened: the numbers of the rows received, accepted and rejected."""

    received: set[int] = field(default_factory=set)
    accepted: set[int] = field(default_factory=set)
    rejected: set[int] = field(default_factory=set)
    planned: set[int] = field(default_factory=set)


def segment(
    number: int,
    *,
    first: int,
    sizes: Sequence[int],
    rejected: int = 0,
    plan: int = 0,
    call: str = "track",
) -> Segment:
    """Return a segment of batches of these sizes, followed by locally rejected rows."""
    count = sum(sizes)
    rows = list(range(first, first + count + rejected))
    order = rows[:count][::-1]
    ends = list(itertools.accumulate(sizes))
    batch_rows = [order[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    batch_of = {row: at for at, numbers in enumerate(batch_rows) for row in numbers}
    table = pl.DataFrame(
        {
            "row": rows,
            "call": [call] * len(rows),
            "person": [f"person{row}@example.com" for row in rows],
            "message_id": [f"01HF7YZFPF{row:016d}" for row in rows],
            "payload_hash": [f"{row:032x}" for row in rows],
            "subjects": [f"0person{row}@example.com" for row in rows],
            "bytes": [100 + row for row in rows],
            "lane": [batch_of.get(row) for row in rows],
            "component": rows,
            "batch": [batch_of.get(row) for row in rows],
            "state": ["pending"] * count + ["rejected_local"] * rejected,
            "code": [None] * count + ["id.missing"] * rejected,
            "error": [None] * count + ["no identifier for person@example.com"] * rejected,
        },
        schema=SEGMENT_SCHEMA,
    )
    batches = tuple(
        Batch(
            plan=plan,
            segment=number,
            number=at,
            call=call,
            path="/v1/batch",
            batched=True,
            messages=pl.Series([f'{{"n":{row}}}' for row in numbers]),
            rows=pl.Series(numbers, dtype=pl.Int64),
            message_bytes=sum(100 + row for row in numbers),
            lanes=(at, at),
        )
        for at, numbers in enumerate(batch_rows)
    )
    return Segment(plan=plan, number=number, call=call, rows=table, batches=batches)


class ScriptedRun:
    """Passes the facts of a run to an audit writer, as a sender would, and keeps the truth.

    Args:
        writer: The audit writer.
        server: Keeps what really happened.
        outcome_first: Whether each outcome is recorded before the request is sent, which is wrong.
    """

    def __init__(
        self, writer: AuditWriter, server: Server | None = None, *, outcome_first: bool = False
    ) -> None:
        self.writer = writer
        self.server = server or Server()
        self.outcome_first = outcome_first
        self.at = START

    def plan(self, segment: Segment) -> None:
        """Plan a segment."""
        self.writer(SegmentPlanned(segment=segment))
        self.server.planned |= set(segment.rows["row"])

    def attempt(self, batch: Batch, number: int = 1, *, arrives: bool = True) -> None:
        """Record an attempt and send the request."""
        self.at += timedelta(milliseconds=5)
        self.writer(BatchAttempted(batch=batch, attempt=number, at=self.at))
        if arrives:
            self.server.received |= set(batch.rows)

    def retry(self, batch: Batch, *, status: int | None, in_doubt: bool) -> None:
        """Record that a request failed and is repeated."""
        code = "answer.busy" if status else "net.broken"
        fact = BatchRetried(
            batch=batch, attempt=1, after_s=0.1, status=status, code=code, in_doubt=in_doubt
        )
        self.writer(fact)

    def finish(
        self, batch: Batch, state: State = "delivered", *, status: int | None = 200, **details: str
    ) -> None:
        """Record the outcome of a request."""
        rows = set(batch.rows)
        if state == "delivered" and not self.outcome_first:
            self.server.accepted |= rows
        if state == "rejected_server":
            self.server.rejected |= rows
        self.at += timedelta(milliseconds=5)
        self.writer(
            BatchFinished(
                batch=batch,
                state=state,
                attempts=1,
                status=status,
                code=details.get("code", ""),
                error=details.get("error", ""),
                in_doubt=state == "in_doubt",
                elapsed_s=0.1,
                at=self.at,
            )
        )

    def deliver(self, batch: Batch) -> None:
        """Send a request that is accepted."""
        if self.outcome_first:
            self.finish(batch)
            self.attempt(batch)
            self.server.accepted |= set(batch.rows)
            return
        self.attempt(batch)
        self.finish(batch)

    def run(self) -> None:
        """Record everything that can happen to a row; the run stops before the last are sent."""
        self.writer(RunStarted(run_id=RUN_ID, at=self.at))
        first = segment(0, first=0, sizes=(3, 2, 4), rejected=2)
        self.plan(first)
        self.deliver(first.batches[0])
        second = segment(1, first=11, sizes=(2, 3, 1, 1))
        self.plan(second)
        self._retry_and_split(first)
        self.deliver(second.batches[0])
        self.attempt(second.batches[1])
        self.writer(RunStopped(code="answer.401", reason="the key was refused", at=self.at))
        self.finish(second.batches[1], "in_doubt", status=None, code="net.broken")
        self.attempt(second.batches[2], arrives=False)
        self.retry(second.batches[2], status=None, in_doubt=False)
        self.writer(RunFinished(at=self.at))

    def _retry_and_split(self, first: Segment) -> None:
        """Retry one batch, and split another to find the message at fault."""
        _, retried, rejected = first.batches
        self.attempt(retried)
        self.retry(retried, status=None, in_doubt=True)
        self.attempt(retried, 2)
        self.finish(retried)
        self.attempt(rejected)
        left, right = rejected.split()
        self.writer(BatchSplit(batch=rejected, into=(left, right)))
        self.deliver(left)
        self.attempt(right)
        good, bad = right.split()
        self.writer(BatchSplit(batch=right, into=(good, bad)))
        self.deliver(good)
        self.attempt(bad)
        self.finish(
            bad, "rejected_server", status=400, code="answer.400", error="bad: person0@example.com"
        )
