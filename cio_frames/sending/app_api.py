"""Read from the App API: one request at a time, each repeated until it succeeds or fails finally."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from cio_frames.errors import AccessRefusedError, CioError, WorkspaceReadError
from cio_frames.sending.background import BackgroundLoop
from cio_frames.sending.client import Client
from cio_frames.sending.clock import Clock
from cio_frames.sending.http import Request, Response, Transport
from cio_frames.sending.rate_limit import TokenBucket
from cio_frames.sending.retry_policy import (
    AttemptHistory,
    Delivered,
    Rejected,
    Retry,
    RetryLimits,
    Stop,
    decide_read,
)
from cio_frames.sending.run_controls import StopSignal
from cio_frames.spec import OPERATIONS

APP = "app"

MAX_READ_BYTES = 64 * 1024 * 1024
"""Most bytes of a response that are read: twice those of a hundred people with all their attributes."""

READ_LIMITS = RetryLimits(outage_s=300.0)
"""A user waits for what is read, so an outage is reported sooner than in a run."""

_KEY_HINT = (
    "Check app_api_key=, or CIO_APP_API_KEY, and the region. It is none of the keys that send: create it in the "
    "account settings of Customer.io, under API Credentials, App API Keys."
)
_SCOPE_HINT = "Give the App API key the permission to read people, or use another one."
_UNKNOWN_HINT = "Check what was asked for, and that the key is that of the right workspace."
_ACCESS = (401, 403)
_AGAIN_HINT = "Ask again later."
_RESUME_ADVICE = re.compile(r"(?:, then resume\.)|(?: Resume when the service is back\.)")
"""The advice to resume in the reasons of runs, which does not apply to reading."""

Result = TypeVar("Result")
WaitListener = Callable[[float, str], object]
"""Called with the seconds for which no request is sent, and why."""


class Reader:
    """Reads from the App API for a client.

    The bucket limits the rate of all requests of the client that read. `on_wait` is called before
    each wait.
    """

    def __init__(
        self,
        client: Client,
        transport: Transport,
        *,
        bucket: TokenBucket,
        on_wait: WaitListener = lambda _seconds, _why: None,
        clock: Clock | None = None,
        retry_limits: RetryLimits = READ_LIMITS,
    ) -> None:
        self.transport = transport
        self.clock: Clock = clock or Clock()
        self.host: str = host_of(client)
        self._base = client.base(APP)
        self._is_local = self._base.startswith("http://")
        self.on_wait = on_wait
        self._retry_limits = retry_limits
        self._bucket = bucket
        self._is_verified = False  # whether the host has ever responded

    async def request(
        self,
        operation: str,
        *,
        what: str,
        parameters: Mapping[str, object] | None = None,
        query: Mapping[str, object] | None = None,
        body: Any = None,
        unknown: str = "",
        export: int | None = None,
    ) -> Mapping[str, Any]:
        """Return the response to one of `OPERATIONS`.

        Args:
            operation: Its name.
            what: What is read, to begin the sentence "... could not be read".
            parameters: The parameters in its path.
            query: The other parameters; None values are left out.
            body: The JSON body, if any.
            unknown: What a 404 means, in a sentence.
            export: The export that this is about.

        Raises:
            AccessRefusedError: The key is not accepted, or has no permission.
            WorkspaceReadError: There is no response, or it cannot be used.
        """
        api_operation = OPERATIONS[operation]
        path_values = {
            name: quote(str(value), safe="") for name, value in (parameters or {}).items()
        }
        query_values = {name: value for name, value in (query or {}).items() if value is not None}
        path = (
            api_operation.path.format(**path_values)
            + ("?" if query_values else "")
            + urlencode(query_values, quote_via=quote)
        )
        request = Request(
            api=APP,
            path=path,
            method=api_operation.method,
            body=b"" if body is None else msgspec.json.encode(body),
            max_response_bytes=MAX_READ_BYTES,
        )
        response, decision = await self.request_until_decided(lambda: self.transport.post(request))
        if isinstance(decision, Delivered):
            return dict(response.json)
        raise self._read_error(response, decision, what=what, unknown=unknown, export=export)

    async def pages(
        self, operation: str, *, what: str, query: Mapping[str, object], **options: Any
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the pages of an operation.

        Assumed, as it is not documented: the last page has an empty `next`, or none.
        """
        start: object = None
        while True:
            page = await self.request(
                operation, what=what, query={**query, "start": start}, **options
            )
            yield page
            start, before = page.get("next"), start
            if not start or start == before:
                return

    async def request_until_decided(
        self, attempt: Callable[[], Awaitable[Response]], *, is_file: bool = False
    ) -> tuple[Response, Delivered | Rejected | Stop]:
        """Repeat a request until there is a decision other than a retry.

        Args:
            attempt: Sends the request once.
            is_file: Whether the response is a file, not JSON.
        """
        attempts, repeats, kind = 0, 0, ""
        failing_since: float | None = None
        while True:
            await self._wait_for_rate()
            response = await attempt()
            result_kind = f"{response.kind} {response.status} {response.network_error}"
            attempts, repeats = attempts + 1, repeats + 1 if result_kind == kind else 1
            kind = result_kind
            now = self.clock.monotonic()
            decision = decide_read(
                response,
                history=AttemptHistory(
                    attempt=attempts,
                    repeats=repeats,
                    outage_s=0.0 if failing_since is None else now - failing_since,
                    verified=self._is_verified,
                ),
                retry_limits=self._retry_limits,
                is_file=is_file,
                jitter=self.clock.random,
            )
            self._is_verified = self._is_verified or isinstance(decision, Delivered)
            if not isinstance(decision, Retry):
                return response, decision
            failing_since = now if failing_since is None else failing_since
            await self._wait_before_retry(decision)

    def is_allowed_address(self, address: str) -> bool:
        """Return whether a file may be fetched from an address that the API returned.

        Another host has to prove its identity; a client for this machine uses no other host.
        """
        base = f"{urlsplit(address).scheme}://{urlsplit(address).netloc}"
        return base == self._base or (not self._is_local and address.startswith("https://"))

    async def wait(self, seconds: float, why: str) -> None:
        """Send no request for some seconds."""
        self.on_wait(seconds, why)
        await self.clock.sleep(seconds)

    async def _wait_for_rate(self) -> None:
        """Wait until the rate limit allows another request."""
        while wait_s := self._bucket.take(self.clock.monotonic()):
            await self.clock.sleep(wait_s)

    async def _wait_before_retry(self, retry: Retry) -> None:
        now = self.clock.monotonic()
        if retry.pause_s:
            self._bucket.pause(retry.pause_s, now=now)
        if retry.slow_down:
            self._bucket.slow_down(now)
        await self.wait(retry.after_s, retry.code)

    def _read_error(
        self,
        response: Response,
        decision: Rejected | Stop,
        *,
        what: str,
        unknown: str,
        export: int | None,
    ) -> WorkspaceReadError:
        """Return the error for a response that cannot be used."""
        status, detail = response.status, response_text(response)
        match status:
            case 401:
                problem, hint = f"the key is refused{detail}.", _KEY_HINT
            case 403:
                problem, hint = f"the key has no permission for this{detail}.", _SCOPE_HINT
            case 404 if unknown:
                problem, hint = f"{unknown}{detail}.", _UNKNOWN_HINT
            case 400 | 422:
                problem, hint = f"the request is refused{detail}.", "Correct what was asked for."
            case _:
                text = f"Customer.io says: {response.error.rstrip('.')}."
                reason = decision.reason if isinstance(decision, Stop) else text
                problem = _RESUME_ADVICE.sub(
                    lambda match: "." if match[0][0] == "," else "", reason
                )
                hint = _AGAIN_HINT
        kind = AccessRefusedError if status in _ACCESS else WorkspaceReadError
        if export is not None:
            hint += f" client.people(export={export}) takes the export up again."
        return kind(what, host=self.host, problem=problem, hint=hint, status=status, export=export)

    def unexpected(
        self, what: str, response: Mapping[str, Any], *, export: int | None = None
    ) -> WorkspaceReadError:
        """Return the error for a response that is not of the documented form, with its field names."""
        fields = ", ".join(sorted(response))
        return WorkspaceReadError(
            what,
            host=self.host,
            problem=f"the answer is not of the documented form; it has {fields[:_SHOWN_CHARACTERS] or 'nothing'}.",
            hint="Update cio_frames. If that does not help, report this sentence.",
            export=export,
        )


_SHOWN_CHARACTERS = 200


def host_of(client: Client) -> str:
    """Return the host that a client reads from."""
    return urlsplit(client.base(APP)).netloc


def response_text(response: Response) -> str:
    """Return status and error of a response, to end a sentence."""
    status = f"HTTP {response.status}" if response.status else ""
    detail = f"it says: {response.error.rstrip('.')}" if response.error else ""
    details = ", ".join(filter(None, (status, detail)))
    return f" ({details})" if details else ""


def run_in_thread(
    work: Callable[[], Coroutine[Any, Any, Result]],
    *,
    while_waiting: Callable[[], object] = lambda: None,
) -> Result:
    """Run a coroutine on another thread and wait for it, because a notebook runs its own event loop.

    Args:
        work: Returns the coroutine, which is cancelled if the wait is interrupted.
        while_waiting: Is called a few times a second, on the caller's thread.
    """
    stop = StopSignal()

    async def stoppable() -> Result:
        task, loop = asyncio.ensure_future(work()), asyncio.get_running_loop()

        def cancel() -> None:
            loop.call_soon_threadsafe(task.cancel)

        stop.watch(cancel)
        try:
            return await task
        finally:
            stop.unwatch(cancel)

    worker = BackgroundLoop(stoppable, stop=stop)
    worker.start()
    try:
        while not worker.wait(_POLL_S):
            while_waiting()
    except BaseException:
        worker.abandon()
        worker.wait()
        raise
    try:
        result: Result = worker.result()
    except CioError as error:
        raise error.with_traceback(None) from None  # the frames below hold the text of a host
    return result


_POLL_S = 0.25
