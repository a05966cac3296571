"""Senders that are wrong on purpose, to show that the checker catches them.

Each is the real sender with one or two functions replaced.
"""

import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl

import cio_frames as cio
from cio_frames.audit import AuditWriter, BackgroundWriter
from cio_frames.errors import AccountingError
from cio_frames.payloads.batches import Batch
from cio_frames.sandbox import Faults
from cio_frames.sending import BatchAttempted, Fact, delivery, scheduler
from cio_frames.sending.batch_progress import Bisection
from cio_frames.sending.blocking import BlockedPeople
from cio_frames.sending.http import Request, Response, Transport
from cio_frames.sending.retry_policy import Decision, Delivered, Rejected, decide
from cio_frames.sending.scheduler import Lanes
from torture.harness import Line, fast_clock, set_up
from torture.inputs import Workload, random_rows
from torture.proxy import ProxyTransport

FAULTS = Faults(
    failed=0.1, failed_after=0.05, reset_before=0.1, reset_after=0.05, truncated=0.05, late=0.5,
    hold_s=0.1,
)  # fmt: skip

FAILURE = 500


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A wrong sender.

    Attributes:
        what: What is wrong with it.
        caught_by: The numbers of the checker, one of which must not be 0.
        patches: What is replaced: an owner, a name, and the replacement.
        faults: The faults of the workspace.
        strict: Whether the client uses strict mode.
    """

    what: str
    caught_by: tuple[str, ...]
    patches: Sequence[tuple[Any, str, Any]]
    faults: Faults = FAULTS
    strict: bool = True


def _acks_every_answer(answer: Response, **context: Any) -> Decision:
    return Delivered() if answer.kind == "answer" else decide(answer, **context)


def _acks_before_the_answer(answer: Response, **context: Any) -> Decision:
    return Delivered() if answer.kind == "no-answer" else decide(answer, **context)


def _acks_without_strict_mode(answer: Response, **context: Any) -> Decision:
    return decide(answer, **context | {"strict": True})


def _drops_on_failure(answer: Response, **context: Any) -> Decision:
    if answer.status is not None and answer.status >= FAILURE:
        return Rejected(code="SERVER_ERROR", error="given up")
    return decide(answer, **context)


class _NoLanes(Lanes):
    """Lanes without an order: any batch may start."""

    def ready(self) -> Batch | None:
        """Return any batch that has not started."""
        for key, (batch, _) in reversed(self._open.items()):
            if key not in self._started:
                self._started.add(key)
                return batch
        return None


_RECORD, _BODY, _CALL, _POST = (
    AuditWriter.record,
    Batch.body,
    BackgroundWriter.__call__,
    Transport.post,
)


def _without_attempts(writer: AuditWriter, facts: Sequence[Fact]) -> None:
    _RECORD(writer, [fact for fact in facts if not isinstance(fact, BatchAttempted)])


def _slowly(writer: AuditWriter, facts: Sequence[Fact]) -> None:
    for fact in facts:
        time.sleep(0.005)
        _RECORD(writer, [fact])


def _unawaited(writer: BackgroundWriter, fact: Fact) -> None:
    _CALL(writer, fact)


async def _with_new_ids(transport: Transport, request: Request) -> Response:
    def new_id(match: "re.Match[bytes]") -> bytes:
        return b'"messageId":"%b%b"' % (match[1], secrets.token_hex(2).upper().encode())

    body = re.sub(rb'"messageId":"([0-9A-Z]{22})[0-9A-Z]{4}"', new_id, request.body)
    return await _POST(transport, replace(request, body=body))


def _without_last_row(batch: Batch) -> bytes:
    return _BODY(batch.part(0, len(batch) - 1) if len(batch) > 1 else batch)


MUTANTS: Mapping[str, Mutant] = {
    "acks-every-answer": Mutant(
        what="takes a 500 for a success",
        caught_by=("false_ack", "lost"),
        patches=[(delivery, "decide", _acks_every_answer)],
    ),
    "acks-before-the-answer": Mutant(
        what="records the outcome before there is an answer",
        caught_by=("false_ack", "lost"),
        patches=[(delivery, "decide", _acks_before_the_answer)],
    ),
    "acks-any-200": Mutant(
        what="takes a 200 without strict mode for a delivery",
        caught_by=("false_ack",),
        patches=[(delivery, "decide", _acks_without_strict_mode)],
        faults=Faults(dropped=0.5),
        strict=False,
    ),
    "drops-on-500": Mutant(
        what="abandons a batch when the server fails",
        caught_by=("lost",),
        patches=[(delivery, "decide", _drops_on_failure), (Bisection, "rejected", Bisection.skip)],
    ),
    "ignores-lanes": Mutant(
        what="sends batches in any order",
        caught_by=("out_of_order_components",),
        patches=[(scheduler, "Lanes", _NoLanes)],
    ),
    "records-no-attempts": Mutant(
        what="sends without having recorded the attempt",
        caught_by=("unattempted_seen",),
        patches=[(AuditWriter, "record", _without_attempts)],
    ),
    "does-not-wait-for-the-record": Mutant(
        what="sends before the attempt is on the disk",
        caught_by=("unattempted_seen",),
        patches=[(AuditWriter, "record", _slowly), (BackgroundWriter, "__call__", _unawaited)],
        faults=Faults(),
    ),
    "makes-new-ids": Mutant(
        what="gives each attempt new message ids",
        caught_by=("duplicated_after_dedupe",),
        patches=[(Transport, "post", _with_new_ids)],
    ),
    "blocks-nobody": Mutant(
        what="continues with people after a row of theirs was rejected",
        caught_by=("wrongly_blocked",),
        patches=[(BlockedPeople, "block", lambda *_, **__: False)],
    ),
    "forgets-the-last-row": Mutant(
        what="leaves the last message of a batch out of the request",
        caught_by=("false_ack", "lost"),
        patches=[(Batch, "body", _without_last_row)],
        faults=Faults(),
    ),
}  # fmt: skip

UNCHANGED = Mutant(what="the unchanged sender", caught_by=(), patches=())


def run_mutant(mutant: Mutant, *, seed: int, rows: int = 2_000) -> Line:
    """Run a sender, and compare the requests that leave it with the attempts it has recorded.

    Args:
        mutant: The sender.
        seed: Decides the rows and the faults.
        rows: How many rows.
    """
    poison = set(range(rows // 5, rows, rows // 5))
    frame = random_rows(rows, people=rows // 20, seed=seed, poison=poison)
    workload = Workload(frame=frame, batch_bytes=7_000, poison=poison)
    with fast_clock(), set_up("M", mutant.what, seed=seed, faults=mutant.faults) as harness:
        monitor = _Monitor(harness.audit)
        client = harness.client(transport=ProxyTransport(monitor.inspect), strict=mutant.strict)
        with _patched(mutant.patches), suppress(AccountingError):  # it may notice the fault itself
            harness.send(workload, client)
        line = harness.line(workload)
    unattempted = line.verdict.unattempted_seen + monitor.unattempted
    return replace(line, verdict=replace(line.verdict, unattempted_seen=unattempted))


@dataclass
class _Monitor:
    """Reads the record when a request has left."""

    audit: Path
    unattempted: int = 0
    requests: int = 0

    def inspect(self, messages: list[dict[str, Any]], _: bytes) -> None:
        """Count the messages of every fifth request that are not recorded as attempted."""
        self.requests += 1
        if self.requests % 5 == 1:
            keys = [(message.get("traits") or message["properties"])["n"] for message in messages]
            record = cio.audit(self.audit).messages.filter(pl.col("attempts") > 0)
            self.unattempted += len(set(keys) - set(record["row"]))


@contextmanager
def _patched(patches: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    with ExitStack() as stack:
        for owner, name, replacement in patches:
            stack.enter_context(mock.patch.object(owner, name, replacement))
        yield
