"""Senders that are wrong on purpose: if the checker does not catch them, it proves nothing.

Each is the true sender with one edge replaced, and is caught by numbers that are not 0.
"""

import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
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
from torture.harness import Line, bench, hurried
from torture.inputs import Input, people
from torture.proxy import Front

WEATHER = Faults(
    failed=0.1, failed_after=0.05, reset_before=0.1, reset_after=0.05, truncated=0.05, late=0.5,
    hold_s=0.1,
)  # fmt: skip

FAILURE = 500


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A wrong sender.

    Attributes:
        what: What is wrong with it.
        caught_by: The numbers of which one at least must not be 0.
        edges: What is replaced: an owner, a name, and the wrong thing.
        faults: The weather in which it is put on the bench.
        strict: Whether the client asks to be told of faults.
    """

    what: str
    caught_by: tuple[str, ...]
    edges: Sequence[tuple[Any, str, Any]]
    faults: Faults = WEATHER
    strict: bool = True


def _acks_every_answer(answer: Response, **given: Any) -> Decision:
    return Delivered() if answer.kind == "answer" else decide(answer, **given)


def _acks_before_the_answer(answer: Response, **given: Any) -> Decision:
    return Delivered() if answer.kind == "no-answer" else decide(answer, **given)


def _acks_without_strict_mode(answer: Response, **given: Any) -> Decision:
    return decide(answer, **given | {"strict": True})


def _drops_on_failure(answer: Response, **given: Any) -> Decision:
    if answer.status is not None and answer.status >= FAILURE:
        return Rejected(code="SERVER_ERROR", error="given up")
    return decide(answer, **given)


class _NoLanes(Lanes):
    """Starts whatever is there, whoever it is about."""

    def ready(self) -> Batch | None:
        """Return any batch that is not under way."""
        for key, (batch, _) in reversed(self._open.items()):
            if key not in self._under_way:
                self._under_way.add(key)
                return batch
        return None


_RECORD, _BODY, _CALL, _POST = (
    AuditWriter.record,
    Batch.body,
    BackgroundWriter.__call__,
    Transport.post,
)


def _without_attempts(recorder: AuditWriter, facts: Sequence[Fact]) -> None:
    _RECORD(recorder, [fact for fact in facts if not isinstance(fact, BatchAttempted)])


def _slowly(recorder: AuditWriter, facts: Sequence[Fact]) -> None:
    for fact in facts:
        time.sleep(0.005)
        _RECORD(recorder, [fact])


def _unawaited(ledger: BackgroundWriter, fact: Fact) -> None:
    _CALL(ledger, fact)


async def _with_new_ids(transport: Transport, request: Request) -> Response:
    def other(found: "re.Match[bytes]") -> bytes:
        return b'"messageId":"%b%b"' % (found[1], secrets.token_hex(2).upper().encode())

    body = re.sub(rb'"messageId":"([0-9A-Z]{22})[0-9A-Z]{4}"', other, request.body)
    return await _POST(transport, replace(request, body=body))


def _without_last_row(batch: Batch) -> bytes:
    return _BODY(batch.part(0, len(batch) - 1) if len(batch) > 1 else batch)


MUTANTS: Mapping[str, Mutant] = {
    "acks-every-answer": Mutant(
        what="takes a 500 for a success",
        caught_by=("false_ack", "lost"),
        edges=[(delivery, "decide", _acks_every_answer)],
    ),
    "acks-before-the-answer": Mutant(
        what="records the outcome before there is an answer",
        caught_by=("false_ack", "lost"),
        edges=[(delivery, "decide", _acks_before_the_answer)],
    ),
    "acks-any-200": Mutant(
        what="takes a 200 without strict mode for a delivery",
        caught_by=("false_ack",),
        edges=[(delivery, "decide", _acks_without_strict_mode)],
        faults=Faults(dropped=0.5),
        strict=False,
    ),
    "drops-on-500": Mutant(
        what="gives a batch up when the server fails",
        caught_by=("lost",),
        edges=[(delivery, "decide", _drops_on_failure), (Bisection, "refused", Bisection.settled)],
    ),
    "ignores-lanes": Mutant(
        what="sends whatever is there",
        caught_by=("out_of_order_components",),
        edges=[(scheduler, "Lanes", _NoLanes)],
    ),
    "records-no-attempts": Mutant(
        what="sends without having recorded the attempt",
        caught_by=("unattempted_seen",),
        edges=[(AuditWriter, "record", _without_attempts)],
    ),
    "does-not-wait-for-the-record": Mutant(
        what="sends before the attempt is on the disk",
        caught_by=("unattempted_seen",),
        edges=[(AuditWriter, "record", _slowly), (BackgroundWriter, "__call__", _unawaited)],
        faults=Faults(),
    ),
    "makes-new-ids": Mutant(
        what="gives each attempt ids of its own",
        caught_by=("duplicated_after_dedupe",),
        edges=[(Transport, "post", _with_new_ids)],
    ),
    "holds-nobody-back": Mutant(
        what="goes on with people of whom a row was refused",
        caught_by=("misheld",),
        edges=[(BlockedPeople, "refused", lambda *_, **__: False)],
    ),
    "forgets-the-last-row": Mutant(
        what="leaves the last message of a batch out of the request",
        caught_by=("false_ack", "lost"),
        edges=[(Batch, "body", _without_last_row)],
        faults=Faults(),
    ),
}  # fmt: skip

TRUE = Mutant(what="the true sender", caught_by=(), edges=())


def unmask(mutant: Mutant, *, seed: int, rows: int = 2_000) -> Line:
    """Put a sender on the bench and look at what it has on record when each request arrives.

    Args:
        mutant: The sender.
        seed: Decides the rows and the trouble.
        rows: How many rows.
    """
    poison = set(range(rows // 5, rows, rows // 5))
    frame = people(rows, people=rows // 20, seed=seed, poison=poison)
    given = Input(frame=frame, batch_bytes=7_000, poison=poison)
    with hurried(), bench("M", mutant.what, seed=seed, faults=mutant.faults) as put:
        watch = _Watch(given, put.audit)
        client = put.client(transport=Front(watch.look), strict=mutant.strict)
        with _replaced(mutant.edges), suppress(AccountingError):  # it may notice by itself
            put.send(given, client)
        line = put.line(given)
    unseen = line.verdict.unattempted_seen + watch.unattempted
    return replace(line, verdict=replace(line.verdict, unattempted_seen=unseen))


@dataclass
class _Watch:
    """Looks into the record when a request has left."""

    given: Input
    audit: Any
    unattempted: int = 0
    looks: int = 0
    places: dict[int, int] = field(default_factory=dict)

    def look(self, messages: list[dict[str, Any]], _: bytes) -> None:
        """Count the messages of a request that are not on record as attempted."""
        self.looks += 1
        if self.looks % 5 == 1:
            keys = [(message.get("traits") or message["properties"])["n"] for message in messages]
            record = cio.audit(self.audit).messages.filter(pl.col("attempts") > 0)
            self.unattempted += len(set(keys) - set(record["row"]))


@contextmanager
def _replaced(edges: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    if not edges:
        yield
        return
    owner, name, wrong = edges[0]
    with mock.patch.object(owner, name, wrong), _replaced(edges[1:]):
        yield
