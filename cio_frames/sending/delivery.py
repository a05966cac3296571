"""Bring one batch to its end: attempts, retries and the search for messages at fault."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from cio_frames.payloads.batches import Batch
from cio_frames.sending.batch_progress import Load, probes
from cio_frames.sending.blocking import BLOCKED, HOLDING, Hold, Refusal
from cio_frames.sending.clock import Clock
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    BatchSplit,
    Listener,
    State,
)
from cio_frames.sending.http import Answer, Request, Transport
from cio_frames.sending.rate_limit import Flow
from cio_frames.sending.retry_policy import (
    Decision,
    Delivered,
    History,
    InDoubt,
    Patience,
    Rejected,
    Retry,
    Split,
    Stop,
    Unverified,
    decide,
)
from cio_frames.spec import CALLS

SYSTEMIC = Stop(
    code="SYSTEMIC_REJECT",
    reason="Customer.io refuses these rows as a rule, not by exception. See the errors of the "
    "rejected rows, correct the plan and send it again.",
)
FORM_HELD = Stop(
    code="FORM_HELD",
    reason="The form refused its first submissions. Map its fields in Customer.io, then resume.",
)

_FIRST_BATCHES = 5
_REJECTED_SHARE = 0.2
_REJECTED_ROWS = 20  # fewer are no evidence against a plan
_FORM_REFUSALS = 3


class Guard:
    """Counts refusals among what a run sends first."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], int] = {}
        self._rejected = 0
        self._refusals: Counter[str] = Counter()
        self._working: set[str] = set()

    def plan(self, batch: Batch) -> None:
        """Count a batch among the first ones, by which the run is judged."""
        if batch.batched and len(self._first) < _FIRST_BATCHES:
            self._first[batch.segment, batch.number] = len(batch)

    def accepted(self, batch: Batch) -> None:
        """Learn that the path takes messages."""
        self._working.add(batch.path)

    def rejected(self, batch: Batch) -> Stop | None:
        """Learn that one message was refused.

        Returns:
            The reason to stop the run, if more than a fifth of the first batches is refused.
        """
        self._refusals[batch.path] += 1
        if (batch.segment, batch.number) not in self._first:
            return None
        self._rejected += 1
        limit = max(_REJECTED_ROWS - 1, _REJECTED_SHARE * sum(self._first.values()))
        return SYSTEMIC if self._rejected > limit else None

    def holds(self, batch: Batch) -> bool:
        """Tell whether a form is to be left alone: it refused its first submissions."""
        refused = self._refusals[batch.path] >= _FORM_REFUSALS
        return refused and not batch.batched and batch.path not in self._working


_PROBED_ROWS = 4  # fewer are not worth a guess about the rest
_GZIP_REFUSALS = frozenset({400, 415})

Ended = Delivered | Unverified | Rejected | InDoubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Brings batches to their end."""

    transport: Transport
    flow: Flow
    guard: Guard = field(default_factory=Guard)
    hold: Hold = field(default_factory=Hold)
    tell: Listener
    halt: Callable[[Stop], None]
    strict: bool
    clock: Clock
    patience: Patience

    async def deliver(
        self, batch: Batch, *, places: Callable[[], pl.DataFrame], why: Callable[[], Stop]
    ) -> None:
        """Bring a batch to its end; when the run ends first, tell what is left of it."""
        load = Load(batch, places=places)
        left_alone = self.guard.holds(batch)
        try:
            self._block(load)
            while not left_alone and not load.done and await self._step(load):
                if _looks_systemic(load):
                    await self._probe(load)
        except asyncio.CancelledError:
            load.doubt(load.flying_until)
        except Exception:
            load.doubt(load.flying_until)
            raise
        finally:
            self.leave(load, why=FORM_HELD if left_alone else why())

    def leave(self, load: Load, *, why: Stop) -> None:
        """Tell what becomes of the messages that a run leaves behind."""
        start, size = load.search.start, len(load.batch)
        border = min(size, max(start, load.doubt_until, load.refused_until))
        for first, stop in load.left(start, border):
            self._tell_end(load, first, stop, state="in_doubt", code=why.code, error=why.reason)
        for first, stop in load.left(border, size):
            self._tell_end(load, first, stop, state="pending", code=why.code, error=why.reason)

    async def _step(self, load: Load) -> bool:
        """Send the next part. Returns whether the run goes on."""
        start, stop = load.next()
        decision = await self._settled(load, start, stop)
        match decision:
            case None:
                return False
            case Stop():
                self._stop(load, stop, decision)
                return False
            case Split():
                self._split(load, start, stop, split=decision)
            case Retry():
                raise AssertionError("A settled part is not retried.")
            case _:
                self._end(load, start, stop, end=decision)
                self._advance(load, stop, end=decision)
        return True

    def _advance(self, load: Load, stop: int, *, end: Ended) -> None:
        match end:
            case Delivered() | Unverified():
                load.search.accepted(stop)
            case Rejected():
                load.search.refused(stop)
            case InDoubt():
                load.search.settled(stop)

    async def _probe(self, load: Load) -> None:
        """Try two more messages alone: if they are refused too, the whole plan would be."""
        load.probed, lanes = True, load.lanes
        tried = [load.search.start - 1, *load.open]
        places = [tried[at] for at in probes([lanes[at] for at in tried])]
        course = self.flow.course(CALLS[load.batch.call].api)
        if course.verified and lanes[places[0]] == lanes[tried[0]]:
            return  # one person's messages say little about those of others
        for at in places:
            if at not in load.open:
                break  # held back by the one before
            decision = await self._settled(load, at, at + 1)
            if isinstance(decision, Stop):
                self._stop(load, at + 1, decision)
            if not isinstance(decision, Delivered | Unverified | Rejected):
                break
            load.answered(at, at + 1)
            self._end(load, at, at + 1, end=decision)
            if not isinstance(decision, Rejected):
                break
        else:
            self.halt(SYSTEMIC)

    async def _settled(self, load: Load, start: int, stop: int) -> Decision | None:
        """Send a part until something other than another attempt follows.

        Returns:
            The decision, or None when the run ends first.
        """
        part = load.part(start, stop)
        body = part.body()
        after_s, tries, repeats, kind = 0.0, 0, 0, ""
        while answer := await self._attempt(load, part, body, span=(start, stop), after_s=after_s):
            seen = f"{answer.kind} {answer.status} {answer.trouble}"
            tries, repeats, kind = tries + 1, repeats + 1 if seen == kind else 1, seen
            decision = self._decide(load, answer, part=part, tries=tries, repeats=repeats)
            if self._without_gzip(load, (start, stop), answer=answer, decision=decision):
                decision = Retry(after_s=0.0, code="GZIP_REFUSED", in_doubt=False)
            else:
                self.flow.learn(CALLS[part.call].api, answer=answer, decision=decision)
            if not isinstance(decision, Retry):
                return decision
            after_s = decision.after_s
            self._retry(load, part, stop, retry=decision)
        return None

    async def _attempt(
        self, load: Load, part: Batch, body: bytes, *, span: tuple[int, int], after_s: float
    ) -> Answer | None:
        """Send a part once, when its turn comes. Returns None when the run ends first."""
        api = CALLS[part.call].api
        async with self.flow.leave(api, after_s=after_s) as may:
            if not may:
                return None
            plain = load.plain or self.flow.course(api).gzip == "refused"
            request = Request(api=api, path=part.path, body=body, plain=plain)
            attempt = load.carry(*span)
            if load.first_at is None:
                load.first_at = self.clock.monotonic()
            kept = self.tell(BatchAttempted(batch=part, attempt=attempt, at=self.clock.now()))
            if kept is not None:
                await kept
            load.flying_until = span[1]
            load.last = await self.transport.post(request)
            load.flying_until = 0
            return load.last

    def _decide(
        self, load: Load, answer: Answer, *, part: Batch, tries: int, repeats: int
    ) -> Decision:
        since = load.failing_since
        outage_s = 0.0 if since is None else self.flow.running_s - since
        return decide(
            answer,
            call=part.call,
            size=len(part),
            strict=self.strict,
            history=History(
                attempt=tries,
                repeats=repeats,
                outage_s=outage_s,
                verified=self.flow.course(CALLS[part.call].api).verified,
            ),
            patience=self.patience,
            chance=self.clock.random,
        )

    def _without_gzip(
        self, load: Load, span: tuple[int, int], *, answer: Answer, decision: Decision
    ) -> bool:
        """Find out whether compression is what a host refuses, by the same bytes without it.

        Returns:
            Whether to try that now.
        """
        course = self.flow.course(CALLS[load.batch.call].api)
        if isinstance(decision, Delivered | Unverified):
            if load.gzip_refused == span and not answer.compressed:
                course.gzip = "refused"
            return False
        suspect = answer.compressed and answer.status in _GZIP_REFUSALS
        if suspect and course.gzip == "unproven":
            load.plain, load.gzip_refused = True, span
            return True
        return False

    def _retry(self, load: Load, part: Batch, stop: int, *, retry: Retry) -> None:
        if load.failing_since is None:
            load.failing_since = self.flow.running_s
        if retry.in_doubt:
            load.doubt(stop)
        self.tell(
            BatchRetried(
                batch=part,
                attempt=load.attempts(stop - 1),
                after_s=retry.after_s,
                status=load.last.status if load.last else None,
                code=retry.code,
                in_doubt=retry.in_doubt,
            )
        )

    def _split(self, load: Load, start: int, stop: int, *, split: Split) -> None:
        if split.in_doubt:
            load.doubt(stop)
        if split.too_large:
            load.search.too_large(stop)
        else:
            load.refuse(stop)
            load.search.refused(stop)
        middle = load.search.part()[1]
        parts = load.part(start, middle), load.part(middle, stop)
        self.tell(BatchSplit(batch=load.part(start, stop), into=parts))

    def _stop(self, load: Load, stop: int, decision: Stop) -> None:
        if decision.in_doubt:
            load.doubt(stop)
        self.halt(decision)

    def _end(self, load: Load, start: int, stop: int, *, end: Ended) -> None:
        """Tell the end of a part, and judge the plan by it."""
        match end:
            case Delivered():
                self._accepted(load, start, stop, state="delivered")
            case Unverified():
                self._accepted(load, start, stop, state="accepted_unverified")
            case Rejected(code=code, error=error):
                load.rejected += 1
                self._tell_end(load, start, stop, state="rejected_server", code=code, error=error)
                self._hold(load, start)
                if systemic := self.guard.rejected(load.batch):
                    self.halt(systemic)
            case InDoubt(code=code, error=error):
                self._tell_end(load, start, stop, state="in_doubt", code=code, error=error)

    def _hold(self, load: Load, position: int) -> None:
        """Hold back what is to come of a person, if a refused message is one that does that."""
        batch = load.batch
        if batch.call not in HOLDING:
            return
        refusal = Refusal(plan=batch.plan, row=batch.rows[position], call=batch.call)
        self.hold.refused(refusal, person=load.people[position])
        self._block(load)

    def _block(self, load: Load) -> None:
        """Tell which messages of a batch are held back, so that they are not sent."""
        if not self.hold:
            return
        for first, last, refusal in self.hold.spans(load.batch, people=load.people):
            for start, stop in load.left(max(first, load.search.start), last):
                border = min(max(start, load.doubt_until), stop)
                told = {"code": BLOCKED, "error": refusal.reason}
                if start < border:
                    self._tell_end(load, start, border, state="in_doubt", **told)
                if border < stop:
                    self._tell_end(load, border, stop, state="blocked", **told)
                load.answered(start, stop)

    def _accepted(self, load: Load, start: int, stop: int, *, state: State) -> None:
        load.accepted += stop - start
        load.failing_since = None
        self.guard.accepted(load.batch)
        self._tell_end(load, start, stop, state=state)

    def _tell_end(
        self, load: Load, start: int, stop: int, *, state: State, code: str = "", error: str = ""
    ) -> None:
        began, attempts = load.first_at, load.attempts(start)
        self.tell(
            BatchFinished(
                batch=load.part(start, stop),
                state=state,
                attempts=attempts,
                status=load.last.status if load.last and attempts else None,
                code=code,
                error=error,
                in_doubt=state == "in_doubt" or start < load.doubt_until,
                elapsed_s=0.0 if began is None else self.clock.monotonic() - began,
                at=self.clock.now(),
            )
        )


def _looks_systemic(load: Load) -> bool:
    """Tell whether the very first message was refused alone, in a batch with many more."""
    untried = load.rejected and not load.accepted and not load.probed
    return bool(untried and len(load.open) >= _PROBED_ROWS - 1)
