"""What follows an answer. Pure: the same answer and history always give the same decision.

The rows come from public statements about the API, from Customer.io's own Node library
(`DEFAULT_RETRY`), and from what HTTP libraries report of broken connections; where the sources are
silent the row is on the side of not losing and not doubling.
"""

import math
import random
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from cio_frames.sending.clock import header_instant
from cio_frames.sending.http import Response
from cio_frames.spec import CALLS, Api


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """The messages were checked and taken."""


class Unverified(msgspec.Struct, frozen=True, kw_only=True):
    """The host said yes in a way that proves nothing.

    Attributes:
        code: Why, if it was asked to check and its answer is not the documented one.
        error: The same in a sentence.
    """

    code: str = ""
    error: str = ""


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """This single message is refused, for good."""

    code: str
    error: str


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The request is refused as a whole; parts of it may be fine.

    Attributes:
        code: Why.
        too_large: Whether size is the cause, not a message at fault.
        in_doubt: Whether some messages may have been applied all the same.
    """

    code: str
    too_large: bool
    in_doubt: bool = False


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """The same bytes are sent again.

    Attributes:
        after_s: Seconds to wait.
        code: Why.
        in_doubt: Whether this attempt may have been applied.
        pause_s: Seconds in which nothing else may be sent either.
        slow_down: Whether the host is overloaded, so that fewer requests should be under way.
    """

    after_s: float
    code: str
    in_doubt: bool
    pause_s: float = 0.0
    slow_down: bool = False


class InDoubt(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody knows whether it was applied, and sending it twice would do harm."""

    code: str
    error: str


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """The run must not go on: whatever is sent next would fare alike."""

    code: str
    reason: str
    in_doubt: bool = False


Decision = Delivered | Unverified | Rejected | Split | Retry | InDoubt | Stop


class RetryLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a run waits for better times.

    Attributes:
        outage_s: Seconds without any success, after which the run ends and can be resumed.
        garbage: Tries of answers that are not Customer.io's.
        setup: Tries of a host that is unknown or cannot prove who it is.
        unreached: Tries of a host that has not answered once in this run.
        timeouts: Timeouts in a row, after which a batch is halved.
        backoff_s: The longest wait between two tries.
    """

    outage_s: float = 1_800.0
    invalid_responses: int = 4
    setup: int = 3
    unreached: int = 6
    timeouts: int = 2
    backoff_s: float = 30.0


class AttemptHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the attempts so far.

    Attributes:
        attempt: Number of the attempt that was just answered, from 1.
        repeats: How many attempts in a row came to this same end, this one included.
        outage_s: Seconds since the first of a row of failures.
        verified: Whether the host has taken anything in this run.
    """

    attempt: int = 1
    repeats: int = 1
    outage_s: float = 0.0
    verified: bool = True


Action = Literal["refuse", "split", "retry", "doubt", "stop"]


class StatusRule(msgspec.Struct, frozen=True, kw_only=True):
    """What an HTTP status leads to. The first row that covers a status holds.

    Attributes:
        first: First status covered.
        last: Last status covered.
        then: `refuse` the message or search the batch; `split` by size; `retry` when it was
            certainly not applied; `doubt` when it may have been; `stop` the run.
        code: Public, stable name of the outcome.
        reason: Why, and what to do.
    """

    first: int
    last: int
    then: Action
    code: str
    reason: str


# fmt: off
STATUS_ROWS = (
    StatusRule(first=300, last=399, then="stop",   code="REDIRECTED",        reason='The host redirects requests. The account is probably in the other region: connect with region="eu" or region="us".'),
    StatusRule(first=400, last=400, then="refuse", code="REFUSED",           reason="Customer.io refused the message."),
    StatusRule(first=422, last=422, then="refuse", code="REFUSED",           reason="Customer.io refused the message."),
    StatusRule(first=401, last=401, then="stop",   code="UNAUTHORIZED",      reason="The key was not accepted. Check the key and the region. Then send the plan again with the right key, or resume with the same one."),
    StatusRule(first=403, last=403, then="stop",   code="FORBIDDEN",         reason="The key has no permission for this. Check its source and workspace, then resume."),
    StatusRule(first=404, last=405, then="stop",   code="WRONG_PATH",        reason="This path does not exist on the host. Check the endpoint and any proxy."),
    StatusRule(first=410, last=410, then="stop",   code="WRONG_PATH",        reason="This path no longer exists on the host."),
    StatusRule(first=407, last=407, then="stop",   code="PROXY",             reason="The proxy requires a user name and password. Add them to HTTPS_PROXY: http://user:password@host:port."),
    StatusRule(first=408, last=408, then="retry",  code="HTTP_408",          reason="The host timed out waiting for the request."),
    StatusRule(first=413, last=413, then="split",  code="TOO_LARGE",         reason="The request was too large for the host."),
    StatusRule(first=429, last=429, then="retry",  code="THROTTLED",         reason="Too many requests."),
    StatusRule(first=501, last=501, then="stop",   code="NOT_SUPPORTED",     reason="The host does not support this. Check the endpoint and any proxy."),
    StatusRule(first=505, last=505, then="stop",   code="NOT_SUPPORTED",     reason="The host does not support this. Check the endpoint and any proxy."),
    StatusRule(first=500, last=599, then="doubt",  code="SERVER_ERROR",      reason="The host had an internal error."),
    StatusRule(first=100, last=999, then="stop",   code="UNEXPECTED_STATUS", reason="The host does not answer like Customer.io. Check the endpoint and any proxy."),
)
# fmt: on

_OVERLOADED = frozenset({429, 503})


def decide(
    answer: Response,
    *,
    call: str,
    size: int,
    strict: bool,
    history: AttemptHistory,
    retry_limits: RetryLimits,
    chance: Callable[[], float] = random.random,
) -> Decision:
    """Decide what follows an answer.

    Args:
        answer: What came back.
        call: Name of the call.
        size: How many messages the request had.
        strict: Whether the host was asked to check them.
        history: What is known of the attempts so far.
        retry_limits: How long to wait for better times.
        chance: A number from 0 up to 1, for the length of a wait.

    Returns:
        The decision. Forms have no message id: once a form may have been applied it is never
        sent again.
    """
    form = not CALLS[call].api.deduplicates
    wait_s = backoff(history.attempt, retry_limits=retry_limits, chance=chance)
    match answer.kind:
        case "never-sent":
            decision = _never_sent(
                answer, history=history, retry_limits=retry_limits, wait_s=wait_s
            )
        case "no-answer":
            halve = size > 1 and history.repeats >= retry_limits.timeouts
            decision = _no_answer(answer, halve=halve, wait_s=wait_s)
        case "answer" if 200 <= (answer.status or 0) < 300:  # noqa: PLR2004
            last = form or history.repeats >= retry_limits.invalid_responses
            decision = _succeeded(
                answer, api=CALLS[call].api, size=size, strict=strict, last=last, wait_s=wait_s
            )
        case "answer":
            decision = _failed(answer, size=size, wait_s=wait_s)
    if form and isinstance(decision, Retry | Split) and decision.in_doubt:
        return InDoubt(code=decision.code, error=answer.error)
    if isinstance(decision, Retry) and history.outage_s > retry_limits.outage_s:
        return _outage(decision, outage_s=history.outage_s)
    return decision


def decide_read(
    answer: Response,
    *,
    history: AttemptHistory,
    retry_limits: RetryLimits,
    is_file: bool = False,
    chance: Callable[[], float] = random.random,
) -> Delivered | Rejected | Retry | Stop:
    """Decide what follows the answer to a request that only reads, and can always be repeated.

    Args:
        answer: What came back.
        history: What is known of the attempts so far.
        retry_limits: How long to wait for better times.
        is_file: Whether the answer is a file of any form, and no JSON.
        chance: A number from 0 up to 1, for the length of a wait.
    """
    wait_s = backoff(history.attempt, retry_limits=retry_limits, chance=chance)
    decision: Decision
    match answer.kind:
        case "never-sent":
            decision = _never_sent(
                answer, history=history, retry_limits=retry_limits, wait_s=wait_s
            )
        case "no-answer":
            decision = Retry(after_s=wait_s, code=answer.trouble, in_doubt=False)
        case "answer" if 200 <= (answer.status or 0) < 300:  # noqa: PLR2004
            if is_file or (isinstance(answer.json, Mapping) and not answer.error):
                return Delivered()
            if answer.json is not None and answer.error:
                return Rejected(code="REFUSED", error=answer.error)
            last = history.repeats >= retry_limits.invalid_responses
            again = Retry(after_s=wait_s, code="GARBAGE", in_doubt=False)
            decision = _not_customerio(answer, in_doubt=False) if last else again
        case "answer":
            decision = _failed(answer, size=1, wait_s=wait_s)
    if isinstance(decision, Retry) and history.outage_s > retry_limits.outage_s:
        return _outage(decision, outage_s=history.outage_s)
    assert isinstance(decision, Rejected | Retry | Stop), "one request is not parted"  # noqa: S101
    return decision


def _outage(retry: Retry, *, outage_s: float) -> Stop:
    reason = (
        f"A request has failed for {outage_s / 60:.0f} minutes ({retry.code}). "
        "Resume when the service is back."
    )
    return Stop(code="OUTAGE", reason=reason, in_doubt=retry.in_doubt)


_SETUP = {
    "UNKNOWN_HOST": "The host name could not be resolved. Check the network and any proxy.",
    "TLS": "The host could not prove that it is Customer.io. Check any proxy that inspects TLS.",
}


_PROXY = "The proxy in HTTPS_PROXY or ALL_PROXY does not reach Customer.io"
_UNREACHABLE = "The host has not answered at all. Check the host and the network, then resume."


_PROXY_REFUSALS = re.compile(r"\w+: 4\d\d")
"""What a proxy says that will not let anything through, however often it is asked."""


def _never_sent(
    answer: Response, *, history: AttemptHistory, retry_limits: RetryLimits, wait_s: float
) -> Decision:
    if answer.trouble == "PROXY":
        refused = _PROXY_REFUSALS.match(answer.error) is not None
        tries = retry_limits.setup if refused else retry_limits.unreached
        if history.repeats >= tries and (refused or not history.verified):
            return Stop(code="PROXY", reason=f"{_PROXY}: {answer.error}. Correct it, then resume.")
    reason = _SETUP.get(answer.trouble)
    if reason and history.repeats >= retry_limits.setup:
        return Stop(code=answer.trouble, reason=reason)
    if not history.verified and history.repeats >= retry_limits.unreached:
        return Stop(code="UNREACHABLE", reason=_UNREACHABLE)
    return Retry(after_s=wait_s, code=answer.trouble, in_doubt=False)


def _no_answer(answer: Response, *, halve: bool, wait_s: float) -> Decision:
    slow = answer.trouble == "TIMEOUT"
    if slow and halve:
        return Split(code="TIMEOUT", too_large=True, in_doubt=True)
    return Retry(after_s=wait_s, code=answer.trouble, in_doubt=True, slow_down=slow)


def _succeeded(
    answer: Response, *, api: Api, size: int, strict: bool, last: bool, wait_s: float
) -> Decision:
    """Decide on a 2xx. It counts only if status and body are what Customer.io documents."""
    said = answer.json
    if isinstance(said, Mapping) and answer.error:
        return _refused(answer, code="REFUSED", size=size)
    is_empty = said is None and not answer.error and not api.deduplicates
    if is_empty or (isinstance(said, Mapping) and not _denies(said)):
        if said or answer.status not in api.success:
            return Unverified(code="UNDOCUMENTED_SUCCESS", error=_undocumented(answer))
        return Delivered() if strict or not api.deduplicates else Unverified()
    if not last:
        return Retry(after_s=wait_s, code="GARBAGE", in_doubt=True)
    return _not_customerio(answer, in_doubt=True)


def _not_customerio(answer: Response, *, in_doubt: bool) -> Stop:
    return Stop(
        code="NOT_CUSTOMERIO",
        reason=f"HTTP {answer.status}, but the answer is not from Customer.io. Something in "
        "between is answering, such as a login page or a proxy.",
        in_doubt=in_doubt,
    )


_DENYING = ("error", "errors", "message", "redirect")


def _denies(said: Mapping[str, Any]) -> bool:
    """Tell whether the body of a 2xx says that it is none."""
    meta = said.get("meta")
    parts = (said, meta) if isinstance(meta, Mapping) else (said,)
    return not said.get("success", True) or any(part.get(key) for part in parts for key in _DENYING)


def _undocumented(answer: Response) -> str:
    body = "an undocumented body" if answer.json else "no error"
    return (
        f"The host answered HTTP {answer.status} with {body}, which is not the success "
        "that Customer.io documents."
    )


def _failed(answer: Response, *, size: int, wait_s: float) -> Decision:
    status = answer.status or 0
    row = next((row for row in STATUS_ROWS if row.first <= status <= row.last), STATUS_ROWS[-1])
    match row.then:
        case "refuse":
            return _refused(answer, code=row.code, size=size)
        case "split" if size > 1:
            return Split(code=row.code, too_large=True)
        case "split":
            return Rejected(code=row.code, error=answer.error or row.reason)
        case "retry" | "doubt":
            return _again(answer, row, wait_s=wait_s)
        case "stop":
            said = f" It says: {answer.error.rstrip('.')}." if answer.error else ""
            return Stop(code=row.code, reason=f"HTTP {status}. {row.reason}{said}")


def _refused(answer: Response, *, code: str, size: int) -> Decision:
    if size > 1:
        return Split(code=code, too_large=False)
    return Rejected(code=code, error=answer.error)


def _again(answer: Response, row: StatusRule, *, wait_s: float) -> Retry:
    pause_s = retry_after(answer.retry_after, date=answer.date) or 0.0
    return Retry(
        after_s=pause_s or wait_s,
        code=row.code,
        in_doubt=row.then == "doubt",
        pause_s=pause_s,
        slow_down=answer.status in _OVERLOADED,
    )


def backoff(attempt: int, *, retry_limits: RetryLimits, chance: Callable[[], float]) -> float:
    """Return the seconds to wait after the `attempt`-th try: full jitter under a doubling cap."""
    doublings = min(attempt - 1, 20)
    return chance() * min(retry_limits.backoff_s, 0.5 * 2.0**doublings)


RETRY_AFTER_SECONDS = 300.0
"""The longest wait that a host may ask for."""


def retry_after(value: str | None, *, date: str | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, or None if it says nothing usable.

    Args:
        value: The header: seconds, or an HTTP date.
        date: The answer's own `Date` header. A date is measured against it, not against the
            clock of this machine, which may be wrong.

    Examples:
        >>> retry_after("7")
        7.0
        >>> retry_after("Mon, 02 Mar 2026 10:00:30 GMT", date="Mon, 02 Mar 2026 10:00:00 GMT")
        30.0
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until, since = header_instant(value), header_instant(date)
        if until is None or since is None:
            return None
        seconds = (until - since).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS) if math.isfinite(seconds) else None
