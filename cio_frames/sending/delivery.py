"""Deliver one batch: attempts, retries and the search for bad messages."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from cio_frames.payloads.batches import Batch
from cio_frames.sending.batch_progress import BatchProgress, probe_positions
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
FORM_SKIPPED = Stop(
    code="FORM_HELD",
    reason="The form refused its first submissions. Map its fields in Customer.io, then resume.",
)

_FIRST_BATCHES = 5
_REJECTED_SHARE = 0.2
_REJECTED_ROWS = 20  # fewer prove nothing about the plan
_FORM_REJECTIONS = 3


class AbortRules:
    """Decides from the first rejections whether a run, or a form, is to be stopped."""

    def __init__(self) -> None:
        self._first_batches: dict[tuple[int, int], int] = {}
        self._rejected_rows = 0
        self._rejections_by_path: Counter[str] = Counter()
        self._accepting_paths: set[str] = set()

    def add(self, batch: Batch) -> None:
        """Add a batch to the first ones, by which the run is judged, until there are enough."""
        if batch.batched and len(self._first_batches) < _FIRST_BATCHES:
            self._first_batches[batch.segment, batch.number] = len(batch)

    def accepted(self, batch: Batch) -> None:
        """Record that a path accepts messages."""
        self._accepting_paths.add(batch.path)

    def rejected(self, batch: Batch) -> Stop | None:
        """Record that one message was rejected.

        Returns:
            The reason to stop the run, if more than a fifth of the first batches is rejected.
        """
        self._rejections_by_path[batch.path] += 1
        if (batch.segment, batch.number) not in self._first_batches:
            return None
        self._rejected_rows += 1
        limit = max(_REJECTED_ROWS - 1, _REJECTED_SHARE * sum(self._first_batches.values()))
        return SYSTEMIC if self._rejected_rows > limit else None

    def should_skip(self, batch: Batch) -> bool:
        """Return whether a form is skipped because it rejected its first submissions."""
        is_rejecting = self._rejections_by_path[batch.path] >= _FORM_REJECTIONS
        return is_rejecting and not batch.batched and batch.path not in self._accepting_paths


_PROBED_ROWS = 4  # fewer are simply sent
_GZIP_REJECTIONS = frozenset({400, 415})

Outcome = Delivered | Unverified | Rejected | InDoubt
_STATES: Mapping[type[Outcome], State] = {
    Delivered: "delivered",
    Unverified: "accepted_unverified",
    Rejected: "rejected_server",
    InDoubt: "in_doubt",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Delivers batches."""

    transport: Transport
    throttle: Throttle
    abort_rules: AbortRules = field(default_factory=AbortRules)
    blocked: BlockedPeople = field(default_factory=BlockedPeople)
    listener: Listener
    halt: Callable[[Stop], None]
    strict: bool
    clock: Clock
    retry_limits: RetryLimits

    async def deliver(
        self,
        batch: Batch,
        *,
        lane_rows: Callable[[], pl.DataFrame],
        stop_reason: Callable[[], Stop],
    ) -> None:
        """Deliver a batch, and emit the outcome of every message even if the run stops first."""
        progress = BatchProgress(batch, lane_rows=lane_rows)
        is_skipped = self.abort_rules.should_skip(batch)
        try:
            self._finish_blocked(progress)
            while not is_skipped and not progress.done and await self._step(progress):
                if _looks_systemic(progress):
                    await self._probe(progress)
        except asyncio.CancelledError:
            progress.mark_in_doubt(progress.in_flight_until)
        except Exception:
            progress.mark_in_doubt(progress.in_flight_until)
            raise
        finally:
            self.finish_unanswered(progress, reason=FORM_SKIPPED if is_skipped else stop_reason())

    def finish_unanswered(self, progress: BatchProgress, *, reason: Stop) -> None:
        """Emit the outcome of the messages that a stopped run leaves unanswered."""
        start, size = progress.search.start, len(progress.batch)
        border = min(size, max(start, progress.in_doubt_until, progress.rejected_until))
        details = {"code": reason.code, "error": reason.reason}
        for first, stop in progress.unanswered(start, border):
            self._emit_finished(progress, first, stop, state="in_doubt", **details)
        for first, stop in progress.unanswered(border, size):
            self._emit_finished(progress, first, stop, state="pending", **details)

    async def _step(self, progress: BatchProgress) -> bool:
        """Send the next part, and return whether the batch continues."""
        start, stop = progress.next_part()
        decision = await self._send_until_decided(progress, start, stop)
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
                raise AssertionError("A decided part is not retried.")
            case _:
                self._finish(progress, start, stop, outcome=decision)
                self._advance(progress, stop, outcome=decision)
        progress.in_flight_until = 0
        return True

    def _advance(self, progress: BatchProgress, stop: int, *, outcome: Outcome) -> None:
        match outcome:
            case Delivered() | Unverified():
                progress.search.accepted(stop)
            case Rejected():
                progress.search.rejected(stop)
            case InDoubt():
                progress.search.skip(stop)

    async def _probe(self, progress: BatchProgress) -> None:
        """Try two more messages alone: if they are rejected too, the whole plan would be."""
        progress.probed, lanes = True, progress.lanes
        candidates = [progress.search.start - 1, *progress.unanswered_positions]
        positions = [candidates[at] for at in probe_positions([lanes[at] for at in candidates])]
        api_state = self.throttle.api_state(CALLS[progress.batch.call].api.name)
        if api_state.verified and lanes[positions[0]] == lanes[candidates[0]]:
            return  # messages of one person say little about those of others
        for at in positions:
            if at not in progress.unanswered_positions:
                break  # blocked by the one before
            decision = await self._send_until_decided(progress, at, at + 1)
            if isinstance(decision, Stop):
                self._stop(progress, at + 1, decision)
            if not isinstance(decision, Delivered | Unverified | Rejected):
                progress.in_flight_until = 0
                break
            self._finish(progress, at, at + 1, outcome=decision)
            progress.mark_answered(at, at + 1)
            progress.in_flight_until = 0
            if not isinstance(decision, Rejected):
                break
        else:
            self.halt(SYSTEMIC)

    async def _send_until_decided(
        self, progress: BatchProgress, start: int, stop: int
    ) -> Decision | None:
        """Send a part until there is a decision other than a retry.

        Returns:
            The decision, or None if the run stops first.
        """
        part = progress.part(start, stop)
        body = part.body()
        after_s, attempts, repeats, kind = 0.0, 0, 0, ""
        while response := await self._attempt(
            progress, part, body, span=(start, stop), after_s=after_s
        ):
            result_kind = f"{response.kind} {response.status} {response.network_error}"
            attempts, repeats = attempts + 1, repeats + 1 if result_kind == kind else 1
            kind = result_kind
            decision = self._decide(
                progress, response, part=part, attempts=attempts, repeats=repeats
            )
            if self._retries_without_gzip(
                progress, (start, stop), response=response, decision=decision
            ):
                decision = Retry(after_s=0.0, code="GZIP_REFUSED", in_doubt=False)
            else:
                self.throttle.record(
                    CALLS[part.call].api.name, response=response, decision=decision
                )
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
        """Send a part once, as soon as the throttle allows; return None if the run stops first."""
        api = CALLS[part.call].api.name
        async with self.throttle.acquire(api, after_s=after_s) as may_send:
            if not may_send:
                return None
            uncompressed = progress.uncompressed or self.throttle.api_state(api).gzip == "refused"
            request = Request(api=api, path=part.path, body=body, uncompressed=uncompressed)
            attempt = progress.record_attempt(*span)
            if progress.first_attempt_at is None:
                progress.first_attempt_at = self.clock.monotonic()
            written = self.listener(
                BatchAttempted(batch=part, attempt=attempt, at=self.clock.now())
            )
            if written is not None:
                await written
            progress.in_flight_until = span[1]
            progress.last_response = await self.transport.post(request)
            return progress.last_response

    def _decide(
        self,
        progress: BatchProgress,
        response: Response,
        *,
        part: Batch,
        attempts: int,
        repeats: int,
    ) -> Decision:
        since = progress.failing_since
        outage_s = 0.0 if since is None else self.throttle.running_s - since
        return decide(
            response,
            call=part.call,
            size=len(part),
            strict=self.strict,
            history=AttemptHistory(
                attempt=attempts,
                repeats=repeats,
                outage_s=outage_s,
                verified=self.throttle.api_state(CALLS[part.call].api.name).verified,
            ),
            retry_limits=self.retry_limits,
            jitter=self.clock.random,
        )

    def _retries_without_gzip(
        self,
        progress: BatchProgress,
        span: tuple[int, int],
        *,
        response: Response,
        decision: Decision,
    ) -> bool:
        """Return whether to retry without compression, to find out if the host rejects it."""
        api_state = self.throttle.api_state(CALLS[progress.batch.call].api.name)
        if isinstance(decision, Delivered | Unverified):
            if progress.gzip_rejected_part == span and not response.compressed:
                api_state.gzip = "refused"
            return False
        is_suspect = response.compressed and response.status in _GZIP_REJECTIONS
        if is_suspect and api_state.gzip == "unproven":
            progress.uncompressed, progress.gzip_rejected_part = True, span
            return True
        return False

    def _retry(self, progress: BatchProgress, part: Batch, stop: int, *, retry: Retry) -> None:
        if progress.failing_since is None:
            progress.failing_since = self.throttle.running_s
        if retry.in_doubt:
            progress.mark_in_doubt(stop)
        self.listener(
            BatchRetried(
                batch=part,
                attempt=progress.attempts(stop - 1),
                after_s=retry.after_s,
                status=progress.last_response.status if progress.last_response else None,
                code=retry.code,
                in_doubt=retry.in_doubt,
            )
        )

    def _split(self, progress: BatchProgress, start: int, stop: int, *, split: Split) -> None:
        if split.in_doubt:
            progress.mark_in_doubt(stop)
        if split.too_large:
            progress.search.too_large(stop)
        else:
            progress.mark_rejected(stop)
            progress.search.rejected(stop)
        middle = progress.search.next_part()[1]
        parts = progress.part(start, middle), progress.part(middle, stop)
        self.listener(BatchSplit(batch=progress.part(start, stop), into=parts))

    def _stop(self, progress: BatchProgress, stop: int, decision: Stop) -> None:
        if decision.in_doubt:
            progress.mark_in_doubt(stop)
        self.halt(decision)

    def _finish(self, progress: BatchProgress, start: int, stop: int, *, outcome: Outcome) -> None:
        """Emit the outcome of a part, and update the rules that may stop the run."""
        reason = {}
        if isinstance(outcome, Delivered | Unverified):
            progress.accepted += stop - start
            progress.failing_since = None
            self.abort_rules.accepted(progress.batch)
        if not isinstance(outcome, Delivered):
            reason = {"code": outcome.code, "error": outcome.error}
        self._emit_finished(progress, start, stop, state=_STATES[type(outcome)], **reason)
        if isinstance(outcome, Rejected):
            progress.rejected += 1
            self._block_person(progress, start)
            if stop_reason := self.abort_rules.rejected(progress.batch):
                self.halt(stop_reason)

    def _block_person(self, progress: BatchProgress, position: int) -> None:
        """Block the later messages of a person if the rejected call says who the person is."""
        batch = progress.batch
        if batch.call not in BLOCKING_CALLS:
            return
        blocking_row = BlockingRow(plan=batch.plan, row=batch.rows[position], call=batch.call)
        self.blocked.block(blocking_row, person=progress.people[position])
        self._finish_blocked(progress)

    def _finish_blocked(self, progress: BatchProgress) -> None:
        """Emit the outcome of the blocked messages of a batch, so that they are not sent."""
        if not self.blocked:
            return
        parts = self.blocked.blocked_parts(progress.batch, people=progress.people)
        for first, last, blocking_row in parts:
            for start, stop in progress.unanswered(max(first, progress.search.start), last):
                border = min(max(start, progress.in_doubt_until), stop)
                reason = {"code": BLOCKED, "error": blocking_row.reason}
                if start < border:
                    self._emit_finished(progress, start, border, state="in_doubt", **reason)
                if border < stop:
                    self._emit_finished(progress, border, stop, state="blocked", **reason)
                progress.mark_answered(start, stop)

    def _emit_finished(
        self,
        progress: BatchProgress,
        start: int,
        stop: int,
        *,
        state: State,
        code: str = "",
        error: str = "",
    ) -> None:
        began, attempts = progress.first_attempt_at, progress.attempts(start)
        response = progress.last_response if attempts else None
        self.listener(
            BatchFinished(
                batch=progress.part(start, stop),
                state=state,
                attempts=attempts,
                status=response.status if response else None,
                code=code,
                error=error,
                in_doubt=state == "in_doubt" or start < progress.in_doubt_until,
                elapsed_s=0.0 if began is None else self.clock.monotonic() - began,
                at=self.clock.now(),
            )
        )


def _looks_systemic(progress: BatchProgress) -> bool:
    """Return whether the first message of a batch was rejected alone and most are unanswered."""
    only_rejected = progress.rejected and not progress.accepted and not progress.probed
    return bool(only_rejected and len(progress.unanswered_positions) >= _PROBED_ROWS - 1)
