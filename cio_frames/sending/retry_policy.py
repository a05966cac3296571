"""Decide what follows a response. Pure: the same response and history give the same decision.

The rules come from public statements about the API, from Customer.io's own Node library
(`DEFAULT_RETRY`), and from what HTTP libraries report about broken connections; where these sources
are silent, a rule neither loses nor duplicates messages.
"""

import math
import random
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from cio_frames.sending.clock import parse_http_date
from cio_frames.sending.http import Response
from cio_frames.spec import CALLS, Api


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """The messages were checked and accepted."""


class Unverified(msgspec.Struct, frozen=True, kw_only=True):
    """The host accepted the messages in a way that proves nothing.

    Attributes:
        code: Why, if strict mode was on and the response is not the documented one.
        error: The same in a sentence.
    """

    code: str = ""
    error: str = ""


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """This single message is permanently rejected."""

    code: str
    error: str


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The request is rejected as a whole; some of its messages may be valid.

    Attributes:
        code: Why.
        too_large: Whether the size is the cause, not a bad message.
        in_doubt: Whether some messages may have been applied anyway.
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
        slow_down: Whether the host is overloaded, so that fewer requests should be in flight.
    """

    after_s: float
    code: str
    in_doubt: bool
    pause_s: float = 0.0
    slow_down: bool = False


class InDoubt(msgspec.Struct, frozen=True, kw_only=True):
    """The message may have been applied, and sending it twice would do harm."""

    code: str
    error: str


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """The run must stop: the next requests would fail in the same way."""

    code: str
    reason: str
    in_doubt: bool = False


Decision = Delivered | Unverified | Rejected | Split | Retry | InDoubt | Stop


class RetryLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long a run retries.

    Attributes:
        outage_s: Seconds without any success, after which the run stops and can be resumed.
        invalid_responses: Attempts that get a response not from Customer.io.
        setup: Attempts at a host that is unknown or cannot prove who it is.
        unreached: Attempts at a host that has not responded once in this run.
        timeouts: Timeouts in a row, after which a batch is halved.
        backoff_s: The longest wait between two attempts.
    """

    outage_s: float = 1_800.0
    invalid_responses: int = 4
    setup: int = 3
    unreached: int = 6
    timeouts: int = 2
    backoff_s: float = 30.0


class AttemptHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The attempts so far.

    Attributes:
        attempt: Number of the attempt that just ended, from 1.
        repeats: How many attempts in a row had this same result, this one included.
        outage_s: Seconds since the first of several failures in a row.
        verified: Whether the host has accepted anything in this run.
    """

    attempt: int = 1
    repeats: int = 1
    outage_s: float = 0.0
    verified: bool = True


Action = Literal["reject", "split", "retry", "retry_in_doubt", "stop"]


class StatusRule(msgspec.Struct, frozen=True, kw_only=True):
    """What follows an HTTP status. The first rule that covers a status applies.

    Attributes:
        first: First status covered.
        last: Last status covered.
        action: `reject` the message or search the batch; `split` by size; `retry` if it was
            certainly not applied, `retry_in_doubt` if it may have been; `stop` the run.
        code: Public, stable name of the outcome.
        reason: Why, and what to do.
    """

    first: int
    last: int
    action: Action
    code: str
    reason: str


# fmt: off
STATUS_RULES = (
    StatusRule(first=300, last=399, action="stop",           code="REDIRECTED",        reason='The host redirects requests. The account is probably in the other region: connect with region="eu" or region="us".'),
    StatusRule(first=400, last=400, action="reject",         code="REFUSED",           reason="Customer.io refused the message."),
    StatusRule(first=422, last=422, action="reject",         code="REFUSED",           reason="Customer.io refused the message."),
    StatusRule(first=401, last=401, action="stop",           code="UNAUTHORIZED",      reason="The key was not accepted. Check the key and the region. Then send the plan again with the right key, or resume with the same one."),
    StatusRule(first=403, last=403, action="stop",           code="FORBIDDEN",         reason="The key has no permission for this. Check its source and workspace, then resume."),
    StatusRule(first=404, last=405, action="stop",           code="WRONG_PATH",        reason="This path does not exist on the host. Check the endpoint and any proxy."),
    StatusRule(first=410, last=410, action="stop",           code="WRONG_PATH",        reason="This path no longer exists on the host."),
    StatusRule(first=407, last=407, action="stop",           code="PROXY",             reason="The proxy requires a user name and password. Add them to HTTPS_PROXY: http://user:password@host:port."),
    StatusRule(first=408, last=408, action="retry",          code="HTTP_408",          reason="The host timed out waiting for the request."),
    StatusRule(first=413, last=413, action="split",          code="TOO_LARGE",         reason="The request was too large for the host."),
    StatusRule(first=429, last=429, action="retry",          code="THROTTLED",         reason="Too many requests."),
    StatusRule(first=501, last=501, action="stop",           code="NOT_SUPPORTED",     reason="The host does not support this. Check the endpoint and any proxy."),
    StatusRule(first=505, last=505, action="stop",           code="NOT_SUPPORTED",     reason="The host does not support this. Check the endpoint and any proxy."),
    StatusRule(first=500, last=599, action="retry_in_doubt", code="SERVER_ERROR",      reason="The host had an internal error."),
    StatusRule(first=100, last=999, action="stop",           code="UNEXPECTED_STATUS", reason="The host does not answer like Customer.io. Check the endpoint and any proxy."),
)
# fmt: on

_OVERLOADED = frozenset({429, 503})


def decide(
    response: Response,
    *,
    call: str,
    size: int,
    strict: bool,
    history: AttemptHistory,
    retry_limits: RetryLimits,
    jitter: Callable[[], float] = random.random,
) -> Decision:
    """Decide what follows a response.

    Returns:
        The decision. Forms have no message id: a form that may have been applied is never sent
        again.
    """
    is_form = not CALLS[call].api.deduplicates
    wait_s = backoff(history.attempt, retry_limits=retry_limits, jitter=jitter)
    match response.kind:
        case "never-sent":
            decision = _never_sent(
                response, history=history, retry_limits=retry_limits, wait_s=wait_s
            )
        case "no-answer":
            halve = size > 1 and history.repeats >= retry_limits.timeouts
            decision = _no_answer(response, halve=halve, wait_s=wait_s)
        case "answer" if 200 <= (response.status or 0) < 300:  # noqa: PLR2004
            is_last = is_form or history.repeats >= retry_limits.invalid_responses
            decision = _succeeded(
                response,
                api=CALLS[call].api,
                size=size,
                strict=strict,
                is_last=is_last,
                wait_s=wait_s,
            )
        case "answer":
            decision = _failed(response, size=size, wait_s=wait_s)
    if is_form and isinstance(decision, Retry | Split) and decision.in_doubt:
        return InDoubt(code=decision.code, error=response.error)
    if isinstance(decision, Retry) and history.outage_s > retry_limits.outage_s:
        return _outage(decision, outage_s=history.outage_s)
    return decision


def decide_read(
    response: Response,
    *,
    history: AttemptHistory,
    retry_limits: RetryLimits,
    is_file: bool = False,
    jitter: Callable[[], float] = random.random,
) -> Delivered | Rejected | Retry | Stop:
    """Decide what follows the response to a request that only reads and can always be repeated.

    The response to a request for a file need not be JSON.
    """
    wait_s = backoff(history.attempt, retry_limits=retry_limits, jitter=jitter)
    decision: Decision
    match response.kind:
        case "never-sent":
            decision = _never_sent(
                response, history=history, retry_limits=retry_limits, wait_s=wait_s
            )
        case "no-answer":
            decision = Retry(after_s=wait_s, code=response.network_error, in_doubt=False)
        case "answer" if 200 <= (response.status or 0) < 300:  # noqa: PLR2004
            if is_file or (isinstance(response.json, Mapping) and not response.error):
                return Delivered()
            if response.json is not None and response.error:
                return Rejected(code="REFUSED", error=response.error)
            is_last = history.repeats >= retry_limits.invalid_responses
            retry = Retry(after_s=wait_s, code="GARBAGE", in_doubt=False)
            decision = _not_customerio(response, in_doubt=False) if is_last else retry
        case "answer":
            decision = _failed(response, size=1, wait_s=wait_s)
    if isinstance(decision, Retry) and history.outage_s > retry_limits.outage_s:
        return _outage(decision, outage_s=history.outage_s)
    assert isinstance(decision, Rejected | Retry | Stop), "a request that reads is not split"  # noqa: S101
    return decision


def _outage(retry: Retry, *, outage_s: float) -> Stop:
    reason = (
        f"A request has failed for {outage_s / 60:.0f} minutes ({retry.code}). "
        "Resume when the service is back."
    )
    return Stop(code="OUTAGE", reason=reason, in_doubt=retry.in_doubt)


_SETUP_ERRORS = {
    "UNKNOWN_HOST": "The host name could not be resolved. Check the network and any proxy.",
    "TLS": "The host could not prove that it is Customer.io. Check any proxy that inspects TLS.",
}


_PROXY_ERROR = "The proxy in HTTPS_PROXY or ALL_PROXY does not reach Customer.io"
_UNREACHABLE = "The host has not answered at all. Check the host and the network, then resume."


_PROXY_REFUSALS = re.compile(r"\w+: 4\d\d")
"""The error of a proxy that refuses permanently."""


def _never_sent(
    response: Response, *, history: AttemptHistory, retry_limits: RetryLimits, wait_s: float
) -> Decision:
    if response.network_error == "PROXY":
        is_refusal = _PROXY_REFUSALS.match(response.error) is not None
        tries = retry_limits.setup if is_refusal else retry_limits.unreached
        if history.repeats >= tries and (is_refusal or not history.verified):
            return Stop(
                code="PROXY", reason=f"{_PROXY_ERROR}: {response.error}. Correct it, then resume."
            )
    reason = _SETUP_ERRORS.get(response.network_error)
    if reason and history.repeats >= retry_limits.setup:
        return Stop(code=response.network_error, reason=reason)
    if not history.verified and history.repeats >= retry_limits.unreached:
        return Stop(code="UNREACHABLE", reason=_UNREACHABLE)
    return Retry(after_s=wait_s, code=response.network_error, in_doubt=False)


def _no_answer(response: Response, *, halve: bool, wait_s: float) -> Decision:
    is_slow = response.network_error == "TIMEOUT"
    if is_slow and halve:
        return Split(code="TIMEOUT", too_large=True, in_doubt=True)
    return Retry(after_s=wait_s, code=response.network_error, in_doubt=True, slow_down=is_slow)


def _succeeded(
    response: Response, *, api: Api, size: int, strict: bool, is_last: bool, wait_s: float
) -> Decision:
    """Decide on a 2xx, which counts only if status and body are as Customer.io documents."""
    body = response.json
    if isinstance(body, Mapping) and response.error:
        return _rejected(response, code="REFUSED", size=size)
    is_empty = body is None and not response.error and not api.deduplicates
    if is_empty or (isinstance(body, Mapping) and not _denies_success(body)):
        if body or response.status not in api.success:
            return Unverified(code="UNDOCUMENTED_SUCCESS", error=_undocumented(response))
        return Delivered() if strict or not api.deduplicates else Unverified()
    if not is_last:
        return Retry(after_s=wait_s, code="GARBAGE", in_doubt=True)
    return _not_customerio(response, in_doubt=True)


def _not_customerio(response: Response, *, in_doubt: bool) -> Stop:
    return Stop(
        code="NOT_CUSTOMERIO",
        reason=f"HTTP {response.status}, but the answer is not from Customer.io. Something in "
        "between is answering, such as a login page or a proxy.",
        in_doubt=in_doubt,
    )


_DENYING = ("error", "errors", "message", "redirect")


def _denies_success(body: Mapping[str, Any]) -> bool:
    """Return whether the body of a 2xx says that the request failed."""
    meta = body.get("meta")
    parts = (body, meta) if isinstance(meta, Mapping) else (body,)
    return not body.get("success", True) or any(part.get(key) for part in parts for key in _DENYING)


def _undocumented(response: Response) -> str:
    body = "an undocumented body" if response.json else "no error"
    return (
        f"The host answered HTTP {response.status} with {body}, which is not the success "
        "that Customer.io documents."
    )


def _failed(response: Response, *, size: int, wait_s: float) -> Decision:
    status = response.status or 0
    rule = next(
        (rule for rule in STATUS_RULES if rule.first <= status <= rule.last), STATUS_RULES[-1]
    )
    match rule.action:
        case "reject":
            return _rejected(response, code=rule.code, size=size)
        case "split" if size > 1:
            return Split(code=rule.code, too_large=True)
        case "split":
            return Rejected(code=rule.code, error=response.error or rule.reason)
        case "retry" | "retry_in_doubt":
            return _retry(response, rule, wait_s=wait_s)
        case "stop":
            detail = f" It says: {response.error.rstrip('.')}." if response.error else ""
            return Stop(code=rule.code, reason=f"HTTP {status}. {rule.reason}{detail}")


def _rejected(response: Response, *, code: str, size: int) -> Decision:
    if size > 1:
        return Split(code=code, too_large=False)
    return Rejected(code=code, error=response.error)


def _retry(response: Response, rule: StatusRule, *, wait_s: float) -> Retry:
    pause_s = retry_after(response.retry_after, date=response.date) or 0.0
    return Retry(
        after_s=pause_s or wait_s,
        code=rule.code,
        in_doubt=rule.action == "retry_in_doubt",
        pause_s=pause_s,
        slow_down=response.status in _OVERLOADED,
    )


def backoff(attempt: int, *, retry_limits: RetryLimits, jitter: Callable[[], float]) -> float:
    """Return the seconds to wait after an attempt: full jitter under a doubling cap."""
    doublings = min(attempt - 1, 20)
    return jitter() * min(retry_limits.backoff_s, 0.5 * 2.0**doublings)


RETRY_AFTER_SECONDS = 300.0
"""The longest wait that a host may request."""


def retry_after(value: str | None, *, date: str | None = None) -> float | None:
    """Return the seconds in a `Retry-After` header, or None if it is missing or invalid.

    Args:
        value: The header: seconds, or an HTTP date.
        date: The `Date` header of the response. A date is compared with it, not with the clock of
            this machine, which may be wrong.

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
        until, since = parse_http_date(value), parse_http_date(date)
        if until is None or since is None:
            return None
        seconds = (until - since).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS) if math.isfinite(seconds) else None
