"""Ask the App API: one request after the other, each again until it is answered."""

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

READ_BYTES = 64 * 1024 * 1024
"""How much of an answer is read: a hundred people with all the attributes they may have have half of it."""

READ_LIMITS = RetryLimits(outage_s=300.0)
"""Somebody waits for what is read, so an outage is told sooner than to a run."""

_KEY_HINT = (
    "Check app_api_key=, or CIO_APP_API_KEY, and the region. It is none of the keys that send: create it in the "
    "account settings of Customer.io, under API Credentials, App API Keys."
)
_SCOPE_HINT = "Give the App API key the permission to read people, or use another one."
_UNKNOWN_HINT = "Check what was asked for, and that the key is that of the right workspace."
_ACCESS = (401, 403)
_AGAIN_HINT = "Ask again later."
_ADVICE = re.compile(r"(?:, then resume\.)|(?: Resume when the service is back\.)")
"""What the reasons of runs advise, which is no advice where something is read."""

Read = TypeVar("Read")
Waits = Callable[[float, str], object]
"""Is told for how many seconds nothing is asked, and why."""


class Reader:
    """Asks the App API on behalf of a client.

    Args:
        client: Who asks.
        transport: A transport that is open.
        bucket: Keeps to the rate of all that the client reads.
        waits: Is told of waits.
        clock: Where time and chance come from.
        retry_limits: How long to wait for better times.
    """

    def __init__(
        self,
        client: Client,
        transport: Transport,
        *,
        bucket: TokenBucket,
        waits: Waits = lambda _seconds, _why: None,
        clock: Clock | None = None,
        retry_limits: RetryLimits = READ_LIMITS,
    ) -> None:
        self.transport = transport
        self.clock: Clock = clock or Clock()
        self.host: str = host_of(client)
        self._base = client.base(APP)
        self._is_local = self._base.startswith("http://")
        self.waits = waits
        self._retry_limits = retry_limits
        self._bucket = bucket
        self._is_known = False  # whether the host has answered anything yet

    async def ask(
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
        """Return the answer to one of `OPERATIONS`.

        Args:
            operation: Its name.
            what: What is read, to begin the sentence "... could not be read".
            parameters: The parameters in its path.
            query: The others; those that are None are left out.
            body: What is sent as JSON, if anything.
            unknown: What a 404 says, in a sentence.
            export: The export that this is about.

        Raises:
            AccessRefusedError: The key is not accepted, or may not do this.
            WorkspaceReadError: There is no answer, or none that can be used.
        """
        row = OPERATIONS[operation]
        given = {name: quote(str(value), safe="") for name, value in (parameters or {}).items()}
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        path = row.path.format(**given) + ("?" if asked else "") + urlencode(asked, quote_via=quote)
        request = Request(
            api=APP,
            path=path,
            method=row.method,
            body=b"" if body is None else msgspec.json.encode(body),
            most_bytes=READ_BYTES,
        )
        answer, decision = await self.settled(lambda: self.transport.post(request))
        if isinstance(decision, Delivered):
            return dict(answer.json)
        raise self._refusal(answer, decision, what=what, unknown=unknown, export=export)

    async def pages(
        self, operation: str, *, what: str, query: Mapping[str, object], **asked: Any
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the answers to an operation that comes in pages.

        Assumed, as it is not documented: the last page says an empty `next`, or none.
        """
        start: object = None
        while True:
            page = await self.ask(operation, what=what, query={**query, "start": start}, **asked)
            yield page
            start, before = page.get("next"), start
            if not start or start == before:
                return

    async def settled(
        self, attempt: Callable[[], Awaitable[Response]], *, is_file: bool = False
    ) -> tuple[Response, Delivered | Rejected | Stop]:
        """Repeat an attempt until something other than another one follows.

        Args:
            attempt: Makes the request once.
            is_file: Whether its answer is a file, and no JSON.
        """
        tries, repeats, kind = 0, 0, ""
        failing_since: float | None = None
        while True:
            await self._turn()
            answer = await attempt()
            seen = f"{answer.kind} {answer.status} {answer.trouble}"
            tries, repeats, kind = tries + 1, repeats + 1 if seen == kind else 1, seen
            now = self.clock.monotonic()
            decision = decide_read(
                answer,
                history=AttemptHistory(
                    attempt=tries,
                    repeats=repeats,
                    outage_s=0.0 if failing_since is None else now - failing_since,
                    verified=self._is_known,
                ),
                retry_limits=self._retry_limits,
                is_file=is_file,
                chance=self.clock.random,
            )
            self._is_known = self._is_known or isinstance(decision, Delivered)
            if not isinstance(decision, Retry):
                return answer, decision
            failing_since = now if failing_since is None else failing_since
            await self._rest(decision)

    def may_lead_to(self, address: str) -> bool:
        """Return whether a file may be fetched from an address that the API gave.

        A host of somebody else has to prove who it is; a client of this machine stays on it.
        """
        base = f"{urlsplit(address).scheme}://{urlsplit(address).netloc}"
        return base == self._base or (not self._is_local and address.startswith("https://"))

    async def wait(self, seconds: float, why: str) -> None:
        """Ask nothing for some seconds."""
        self.waits(seconds, why)
        await self.clock.sleep(seconds)

    async def _turn(self) -> None:
        """Wait until one more request may leave."""
        while wait_s := self._bucket.take(self.clock.monotonic()):
            await self.clock.sleep(wait_s)

    async def _rest(self, retry: Retry) -> None:
        now = self.clock.monotonic()
        if retry.pause_s:
            self._bucket.pause(retry.pause_s, now=now)
        if retry.slow_down:
            self._bucket.slow_down(now)
        await self.wait(retry.after_s, retry.code)

    def _refusal(
        self,
        answer: Response,
        decision: Rejected | Stop,
        *,
        what: str,
        unknown: str,
        export: int | None,
    ) -> WorkspaceReadError:
        """Return an answer that is none, as an error."""
        status, said = answer.status, words(answer)
        match status:
            case 401:
                problem, hint = f"the key is refused{said}.", _KEY_HINT
            case 403:
                problem, hint = f"the key has no permission for this{said}.", _SCOPE_HINT
            case 404 if unknown:
                problem, hint = f"{unknown}{said}.", _UNKNOWN_HINT
            case 400 | 422:
                problem, hint = f"the request is refused{said}.", "Correct what was asked for."
            case _:
                told = f"Customer.io says: {answer.error.rstrip('.')}."
                reason = decision.reason if isinstance(decision, Stop) else told
                problem = _ADVICE.sub(lambda found: "." if found[0][0] == "," else "", reason)
                hint = _AGAIN_HINT
        kind = AccessRefusedError if status in _ACCESS else WorkspaceReadError
        if export is not None:
            hint += f" client.people(export={export}) takes the export up again."
        return kind(what, host=self.host, problem=problem, hint=hint, status=status, export=export)

    def unexpected(
        self, what: str, answer: Mapping[str, Any], *, export: int | None = None
    ) -> WorkspaceReadError:
        """Return as an error that an answer is not of the documented form, with the names in it."""
        names = ", ".join(sorted(answer))
        return WorkspaceReadError(
            what,
            host=self.host,
            problem=f"the answer is not of the documented form; it has {names[:_SHOWN] or 'nothing'}.",
            hint="Update cio_frames. If that does not help, report this sentence.",
            export=export,
        )


_SHOWN = 200


def host_of(client: Client) -> str:
    """Return the host that a client reads from."""
    return urlsplit(client.base(APP)).netloc


def words(answer: Response) -> str:
    """Return what an answer says, to end a sentence."""
    status = f"HTTP {answer.status}" if answer.status else ""
    said = f"it says: {answer.error.rstrip('.')}" if answer.error else ""
    told = ", ".join(filter(None, (status, said)))
    return f" ({told})" if told else ""


def apart(
    work: Callable[[], Coroutine[Any, Any, Read]], *, meanwhile: Callable[[], object] = lambda: None
) -> Read:
    """Run a coroutine on a thread of its own, and wait for it; a notebook has a loop of its own.

    Args:
        work: What is run. It is cancelled when the wait is interrupted.
        meanwhile: Is called a few times a second while it lasts, on the caller's thread.
    """
    stop = StopSignal()

    async def watched() -> Read:
        task, loop = asyncio.ensure_future(work()), asyncio.get_running_loop()

        def end() -> None:
            loop.call_soon_threadsafe(task.cancel)

        stop.watch(end)
        try:
            return await task
        finally:
            stop.unwatch(end)

    worker = BackgroundLoop(watched, stop=stop)
    worker.start()
    try:
        while not worker.wait(_SLICE_S):
            meanwhile()
    except BaseException:
        worker.abandon()
        worker.wait()
        raise
    try:
        result: Read = worker.result()
    except CioError as error:
        raise error.with_traceback(None) from None  # the frames below hold what a host has said
    return result


_SLICE_S = 0.25
