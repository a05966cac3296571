"""Bring one batch to its end: attempts, retries and the search for messages at fault."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from cio_frames.payloads.batches import Batch
from cio_frames.sending.batch_progress import BatchProgress, probes
from cio_frames.sending.blocking import BLOCKED, BLOCKING_CALLS, BlockedPeople, BlockingRow
from cio_frames.sending.clock import Clock
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    BatchSplit,
    Listener,
    State,
)
from cio_frames.sending.http import Request, Response, Transport
from cio_frames.sending.rate_limit import Throttle
from cio_frames.sending.retry_policy import (
    AttemptHistory,
    Decision,
    Delivered,
    InDoubt,
    Rejected,
    Retry,
    RetryLimits,
    Split,
    Stop,
    Unverified,
    decide,
)
from cio_frames.spec import CALLS

SYSTEMIC = Stop(
    code="SYSTEMIC_REJECT",
    reason="Customer.io refuses most of these rows. See the errors of the "
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


class AbortRules:
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
    throttle: Throttle
    abort_rules: AbortRules = field(default_factory=AbortRules)
    blocked: BlockedPeople = field(default_factory=BlockedPeople)
    tell: Listener
    halt: Callable[[Stop], None]
    strict: bool
    clock: Clock
    retry_limits: RetryLimits

    async def deliver(
        self, batch: Batch, *, places: Callable[[], pl.DataFrame], why: Callable[[], Stop]
    ) -> None:
        """Bring a batch to its end; when the run ends first, tell what is left of it."""
        progress = BatchProgress(batch, places=places)
        left_alone = self.abort_rules.holds(batch)
        try:
            self._block(progress)
            while not left_alone and not progress.done and await self._step(progress):
                if _looks_systemic(progress):
                    await self._probe(progress)
        except asyncio.CancelledError:
            progress.doubt(progress.in_flight_until)
        except Exception:
            progress.doubt(progress.in_flight_until)
            raise
        finally:
            self.leave(progress, why=FORM_HELD if left_alone else why())

    def leave(self, progress: BatchProgress, *, why: Stop) -> None:
        """Tell what becomes of the messages that a run leaves behind."""
        start, size = progress.search.start, len(progress.batch)
        border = min(size, max(start, progress.doubt_until, progress.refused_until))
        for first, stop in progress.unanswered(start, border):
            self._tell_end(progress, first, stop, state="in_doubt", code=why.code, error=why.reason)
        for first, stop in progress.unanswered(border, size):
            self._tell_end(progress, first, stop, state="pending", code=why.code, error=why.reason)

    async def _step(self, progress: BatchProgress) -> bool:
        """Send the next part. Returns whether the run goes on."""
        start, stop = progress.next()
        decision = await self._settled(progress, start, stop)
        match decision:
            case None:
                return False
            case Stop():
                self._stop(progress, stop, decision)
                progress.in_flight_until = 0
                return False
            case Split():
                self._split(progress, start, stop, split=decision)
            case Retry():
                raise AssertionError("A settled part is not retried.")
            case _:
                self._end(progress, start, stop, end=decision)
                self._advance(progress, stop, end=decision)
        progress.in_flight_until = 0
        return True

    def _advance(self, progress: BatchProgress, stop: int, *, end: Ended) -> None:
        match end:
            case Delivered() | Unverified():
                progress.search.accepted(stop)
            case Rejected():
                progress.search.refused(stop)
            case InDoubt():
                progress.search.settled(stop)

    async def _probe(self, progress: BatchProgress) -> None:
        """Try two more messages alone: if they are refused too, the whole plan would be."""
        progress.probed, lanes = True, progress.lanes
        tried = [progress.search.start - 1, *progress.open]
        places = [tried[at] for at in probes([lanes[at] for at in tried])]
        api_state = self.throttle.api_state(CALLS[progress.batch.call].api.name)
        if api_state.verified and lanes[places[0]] == lanes[tried[0]]:
            return  # one person's messages say little about those of others
        for at in places:
            if at not in progress.open:
                break  # held back by the one before
            decision = await self._settled(progress, at, at + 1)
            if isinstance(decision, Stop):
                self._stop(progress, at + 1, decision)
            if not isinstance(decision, Delivered | Unverified | Rejected):
                progress.in_flight_until = 0
                break
            self._end(progress, at, at + 1, end=decision)
            progress.answered(at, at + 1)
            progress.in_flight_until = 0
            if not isinstance(decision, Rejected):
                break
        else:
            self.halt(SYSTEMIC)

    async def _settled(self, progress: BatchProgress, start: int, stop: int) -> Decision | None:
        """Send a part until something other than another attempt follows.

        Returns:
            The decision, or None when the run ends first.
        """
        part = progress.part(start, stop)
        body = part.body()
        after_s, tries, repeats, kind = 0.0, 0, 0, ""
        while answer := await self._attempt(
            progress, part, body, span=(start, stop), after_s=after_s
        ):
            seen = f"{answer.kind} {answer.status} {answer.trouble}"
            tries, repeats, kind = tries + 1, repeats + 1 if seen == kind else 1, seen
            decision = self._decide(progress, answer, part=part, tries=tries, repeats=repeats)
            if self._without_gzip(progress, (start, stop), answer=answer, decision=decision):
                decision = Retry(after_s=0.0, code="GZIP_REFUSED", in_doubt=False)
            else:
                self.throttle.record(CALLS[part.call].api.name, answer=answer, decision=decision)
            if not isinstance(decision, Retry):
                return decision
            after_s = decision.after_s
            self._retry(progress, part, stop, retry=decision)
            progress.in_flight_until = 0
        return None

    async def _attempt(
        self,
        progress: BatchProgress,
        part: Batch,
        body: bytes,
        *,
        span: tuple[int, int],
        after_s: float,
    ) -> Response | None:
        """Send a part once, when its turn comes. Returns None when the run ends first."""
        api = CALLS[part.call].api.name
        async with self.throttle.acquire(api, after_s=after_s) as may:
            if not may:
                return None
            plain = progress.plain or self.throttle.api_state(api).gzip == "refused"
            request = Request(api=api, path=part.path, body=body, plain=plain)
            attempt = progress.record_attempt(*span)
            if progress.first_at is None:
                progress.first_at = self.clock.monotonic()
            kept = self.tell(BatchAttempted(batch=part, attempt=attempt, at=self.clock.now()))
            if kept is not None:
                await kept
            progress.in_flight_until = span[1]
            progress.last = await self.transport.post(request)
            return progress.last

    def _decide(
        self, progress: BatchProgress, answer: Response, *, part: Batch, tries: int, repeats: int
    ) -> Decision:
        since = progress.failing_since
        outage_s = 0.0 if since is None else self.throttle.running_s - since
        return decide(
            answer,
            call=part.call,
            size=len(part),
            strict=self.strict,
            history=AttemptHistory(
                attempt=tries,
                repeats=repeats,
                outage_s=outage_s,
                verified=self.throttle.api_state(CALLS[part.call].api.name).verified,
            ),
            retry_limits=self.retry_limits,
            chance=self.clock.random,
        )

    def _without_gzip(
        self,
        progress: BatchProgress,
        span: tuple[int, int],
        *,
        answer: Response,
        decision: Decision,
    ) -> bool:
        """Find out whether compression is what a host refuses, by the same bytes without it.

        Returns:
            Whether to try that now.
        """
        api_state = self.throttle.api_state(CALLS[progress.batch.call].api.name)
        if isinstance(decision, Delivered | Unverified):
            if progress.gzip_refused == span and not answer.compressed:
                api_state.gzip = "refused"
            return False
        suspect = answer.compressed and answer.status in _GZIP_REFUSALS
        if suspect and api_state.gzip == "unproven":
            progress.plain, progress.gzip_refused = True, span
            return True
        return False

    def _retry(self, progress: BatchProgress, part: Batch, stop: int, *, retry: Retry) -> None:
        if progress.failing_since is None:
            progress.failing_since = self.throttle.running_s
        if retry.in_doubt:
            progress.doubt(stop)
        self.tell(
            BatchRetried(
                batch=part,
                attempt=progress.attempts(stop - 1),
                after_s=retry.after_s,
                status=progress.last.status if progress.last else None,
                code=retry.code,
                in_doubt=retry.in_doubt,
            )
        )

    def _split(self, progress: BatchProgress, start: int, stop: int, *, split: Split) -> None:
        if split.in_doubt:
            progress.doubt(stop)
        if split.too_large:
            progress.search.too_large(stop)
        else:
            progress.refuse(stop)
            progress.search.refused(stop)
        middle = progress.search.part()[1]
        parts = progress.part(start, middle), progress.part(middle, stop)
        self.tell(BatchSplit(batch=progress.part(start, stop), into=parts))

    def _stop(self, progress: BatchProgress, stop: int, decision: Stop) -> None:
        if decision.in_doubt:
            progress.doubt(stop)
        self.halt(decision)

    def _end(self, progress: BatchProgress, start: int, stop: int, *, end: Ended) -> None:
        """Tell the end of a part, and judge the plan by it."""
        match end:
            case Delivered():
                self._accepted(progress, start, stop, state="delivered")
            case Unverified(code=code, error=error):
                self._accepted(
                    progress, start, stop, state="accepted_unverified", code=code, error=error
                )
            case Rejected(code=code, error=error):
                progress.rejected += 1
                self._tell_end(
                    progress, start, stop, state="rejected_server", code=code, error=error
                )
                self._hold(progress, start)
                if systemic := self.abort_rules.rejected(progress.batch):
                    self.halt(systemic)
            case InDoubt(code=code, error=error):
                self._tell_end(progress, start, stop, state="in_doubt", code=code, error=error)

    def _hold(self, progress: BatchProgress, position: int) -> None:
        """Hold back what is to come of a person, if a refused message is one that does that."""
        batch = progress.batch
        if batch.call not in BLOCKING_CALLS:
            return
        refusal = BlockingRow(plan=batch.plan, row=batch.rows[position], call=batch.call)
        self.blocked.refused(refusal, person=progress.people[position])
        self._block(progress)

    def _block(self, progress: BatchProgress) -> None:
        """Tell which messages of a batch are held back, so that they are not sent."""
        if not self.blocked:
            return
        for first, last, refusal in self.blocked.spans(progress.batch, people=progress.people):
            for start, stop in progress.unanswered(max(first, progress.search.start), last):
                border = min(max(start, progress.doubt_until), stop)
                told = {"code": BLOCKED, "error": refusal.reason}
                if start < border:
                    self._tell_end(progress, start, border, state="in_doubt", **told)
                if border < stop:
                    self._tell_end(progress, border, stop, state="blocked", **told)
                progress.answered(start, stop)

    def _accepted(
        self,
        progress: BatchProgress,
        start: int,
        stop: int,
        *,
        state: State,
        code: str = "",
        error: str = "",
    ) -> None:
        progress.accepted += stop - start
        progress.failing_since = None
        self.abort_rules.accepted(progress.batch)
        self._tell_end(progress, start, stop, state=state, code=code, error=error)

    def _tell_end(
        self,
        progress: BatchProgress,
        start: int,
        stop: int,
        *,
        state: State,
        code: str = "",
        error: str = "",
    ) -> None:
        began, attempts = progress.first_at, progress.attempts(start)
        self.tell(
            BatchFinished(
                batch=progress.part(start, stop),
                state=state,
                attempts=attempts,
                status=progress.last.status if progress.last and attempts else None,
                code=code,
                error=error,
                in_doubt=state == "in_doubt" or start < progress.doubt_until,
                elapsed_s=0.0 if began is None else self.clock.monotonic() - began,
                at=self.clock.now(),
            )
        )


def _looks_systemic(progress: BatchProgress) -> bool:
    """Tell whether the very first message was refused alone, in a batch with many more."""
    untried = progress.rejected and not progress.accepted and not progress.probed
    return bool(untried and len(progress.open) >= _PROBED_ROWS - 1)
