"""A run made by hand: the facts a recorder is told, and what really happened to each row."""

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
    """What really happened to each row, by segment and row number."""

    received: set[int] = field(default_factory=set)
    accepted: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
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
    sent = sum(sizes)
    rows = list(range(first, first + sent + rejected))
    order = rows[:sent][::-1]
    ends = list(itertools.accumulate(sizes))
    cuts = [order[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    batch_of = {row: at for at, cut in enumerate(cuts) for row in cut}
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
            "state": ["pending"] * sent + ["rejected_local"] * rejected,
            "code": [None] * sent + ["id.missing"] * rejected,
            "error": [None] * sent + ["no identifier for person@example.com"] * rejected,
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
            messages=pl.Series([f'{{"n":{row}}}' for row in cut]),
            rows=pl.Series(cut, dtype=pl.Int64),
            message_bytes=sum(100 + row for row in cut),
            lanes=(at, at),
        )
        for at, cut in enumerate(cuts)
    )
    return Segment(plan=plan, number=number, call=call, rows=table, batches=batches)


class Driver:
    """Tells a recorder the facts of a run, as a sender would, and keeps what really happened."""

    def __init__(
        self, recorder: AuditWriter, server: Server | None = None, *, hasty: bool = False
    ) -> None:
        self.recorder = recorder
        self.server = server or Server()
        self.hasty = hasty
        self.at = START

    def plan(self, made: Segment) -> None:
        """Plan a segment."""
        self.recorder(SegmentPlanned(segment=made))
        self.server.planned |= set(made.rows["row"])

    def attempt(self, batch: Batch, number: int = 1, *, arrives: bool = True) -> None:
        """Send a request."""
        self.at += timedelta(milliseconds=5)
        self.recorder(BatchAttempted(batch=batch, attempt=number, at=self.at))
        if arrives:
            self.server.received |= set(batch.rows)

    def retry(self, batch: Batch, *, status: int | None, in_doubt: bool) -> None:
        """Come to nothing."""
        code = "answer.busy" if status else "net.broken"
        fact = BatchRetried(
            batch=batch, attempt=1, after_s=0.1, status=status, code=code, in_doubt=in_doubt
        )
        self.recorder(fact)

    def finish(
        self, batch: Batch, state: State = "delivered", *, status: int | None = 200, **told: str
    ) -> None:
        """Come to an end."""
        rows = set(batch.rows)
        if state == "delivered" and not self.hasty:
            self.server.accepted |= rows
        if state == "rejected_server":
            self.server.refused |= rows
        self.at += timedelta(milliseconds=5)
        self.recorder(
            BatchFinished(
                batch=batch,
                state=state,
                attempts=1,
                status=status,
                code=told.get("code", ""),
                error=told.get("error", ""),
                in_doubt=state == "in_doubt",
                elapsed_s=0.1,
                at=self.at,
            )
        )

    def deliver(self, batch: Batch) -> None:
        """Send a request that is accepted."""
        if self.hasty:
            self.finish(batch)
            self.attempt(batch)
            self.server.accepted |= set(batch.rows)
            return
        self.attempt(batch)
        self.finish(batch)

    def whole_run(self) -> None:
        """Go through everything that can happen to a row, and stop before the last are sent."""
        self.recorder(RunStarted(run_id=RUN_ID, at=self.at))
        first = segment(0, first=0, sizes=(3, 2, 4), rejected=2)
        self.plan(first)
        self.deliver(first.batches[0])
        second = segment(1, first=11, sizes=(2, 3, 1, 1))
        self.plan(second)
        self._troubled(first)
        self.deliver(second.batches[0])
        self.attempt(second.batches[1])
        self.recorder(RunStopped(code="answer.401", reason="the key was refused", at=self.at))
        self.finish(second.batches[1], "in_doubt", status=None, code="net.broken")
        self.attempt(second.batches[2], arrives=False)
        self.retry(second.batches[2], status=None, in_doubt=False)
        self.recorder(RunFinished(at=self.at))

    def _troubled(self, first: Segment) -> None:
        """Retry one batch and search another for the message at fault."""
        _, retried, refused = first.batches
        self.attempt(retried)
        self.retry(retried, status=None, in_doubt=True)
        self.attempt(retried, 2)
        self.finish(retried)
        self.attempt(refused)
        left, right = refused.split()
        self.recorder(BatchSplit(batch=refused, into=(left, right)))
        self.deliver(left)
        self.attempt(right)
        good, bad = right.split()
        self.recorder(BatchSplit(batch=right, into=(good, bad)))
        self.deliver(good)
        self.attempt(bad)
        self.finish(
            bad, "rejected_server", status=400, code="answer.400", error="bad: person0@example.com"
        )
