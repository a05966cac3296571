"""The web application of a workspace: each request is read, answered and logged."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from http import HTTPStatus

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from cio_frames.sandbox import intake, reading
from cio_frames.sandbox.app_api import FILE_PATH, AppApi, Asked
from cio_frames.sandbox.breakage import Broken, answered
from cio_frames.sandbox.faults import Fault
from cio_frames.sandbox.intake import Answer, Rules, Submit
from cio_frames.sandbox.keys import Keys
from cio_frames.sandbox.page import HEADERS, download, render
from cio_frames.sandbox.reading import Body, Bounds
from cio_frames.sandbox.store import Arrival, Store
from cio_frames.spec import BATCH_PATH, CALLS, OPERATIONS, REGION_PATH, Operation, Region

CLIENT_LEFT = 499
ENVIRONMENT_ID = 1
JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Answers the requests to one workspace.

    Attributes:
        store: Where everything that arrives is kept.
        keys: What opens the workspace.
        rules: Limits and choices of the answers.
        app_api: Answers what is asked about people.
        bounds: Limits of reading.
        region: What the region lookup answers.
        clock: Tells the time of arrival.
        faults: Tells what happens to the request of a number.
        has_page: Whether there is a page of what is in the workspace.
    """

    store: Store
    keys: Keys
    rules: Rules
    app_api: AppApi
    bounds: Bounds
    region: Region
    clock: Callable[[], datetime]
    faults: Callable[[int], Fault | None]
    has_page: bool = True

    def app(self) -> Starlette:
        """Return the ASGI application."""
        calls = {call.path: call.name for call in CALLS.values() if call.batched}
        form_path = CALLS["form"].path.replace("{form_id}", "{form_id:path}")
        pipelines = [
            Route(path, partial(self._pipelines, call=call), methods=["POST"])
            for path, call in (calls | {BATCH_PATH: intake.BATCH}).items()
        ]
        others = [
            *map(self._operation, OPERATIONS.values()),
            Route(FILE_PATH, self._file, methods=["GET"]),
            Route(form_path, self._form, methods=["POST"]),
            Route(CALLS["form_action"].path, self._form_action, methods=["POST"]),
            Route(REGION_PATH, self._region, methods=["GET"]),
            *(
                [Route("/page/{token}", self._page, methods=["GET", "POST"])]
                if self.has_page
                else []
            ),
        ]
        astray = {HTTPStatus.NOT_FOUND: self._astray, HTTPStatus.METHOD_NOT_ALLOWED: self._astray}
        return Starlette(routes=[*pipelines, *others], exception_handlers=astray)

    async def _pipelines(self, request: Request, *, call: str) -> Response:
        known = self.keys.opens_pipelines(request.headers.get("authorization"))
        strict = _is_strict(request)

        def answer(body: bytes, _: Submit) -> Answer:
            return intake.pipelines(call, body, known=known, strict=strict, rules=self.rules)

        return await self._receive(request, answer)

    async def _form(self, request: Request) -> Response:
        known = self.keys.opens_track(request.headers.get("authorization"))
        form_id = request.path_params["form_id"]

        def answer(body: bytes, submit: Submit) -> Answer:
            return intake.form(form_id, body, known=known, submit=submit)

        return await self._receive(request, answer)

    async def _form_action(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "")
        query = dict(request.query_params)
        site_id = self.keys.site_id

        def answer(body: bytes, submit: Submit) -> Answer:
            data = reading.fields(body, kind)
            return intake.form_action(data, query, site_id=site_id, submit=submit)

        return await self._receive(request, answer)

    def _operation(self, row: Operation) -> Route:
        """Return the route of a request of the App API; an identifier may have any character."""
        path = row.path.replace("{customer_id}", "{customer_id:path}")
        return Route(path, partial(self._app, operation=row.name), methods=[row.method])

    async def _app(self, request: Request, *, operation: str) -> Response:
        asked = Asked(
            parameters=request.path_params,
            query=request.query_params,
            body=b"",
            host=request.headers["host"],
            known=self.keys.opens_app(request.headers.get("authorization")),
        )

        def answer(body: bytes, _: Submit) -> Answer:
            return self.app_api.answer(operation, replace(asked, body=body))

        return await self._receive(request, answer, told=True)

    async def _file(self, request: Request) -> Response:
        known = self.keys.opens_app(request.headers.get("authorization"))
        token = request.path_params["token"]

        def answer(_: bytes, __: Submit) -> Answer:
            return self.app_api.file(token, known=known)

        return await self._receive(request, answer, told=True)

    async def _region(self, request: Request) -> Response:
        known = self.keys.opens_track(request.headers.get("authorization"))
        content = {
            "url": f"http://{request.headers['host']}",
            "region": self.region,
            "environment_id": ENVIRONMENT_ID,
        }

        def answer(_: bytes, __: Submit) -> Answer:
            if known:
                return Answer(status=200, content=content)
            return Answer(status=401, errors=["the site id and API key are unknown"])

        return await self._receive(request, answer)

    async def _page(self, request: Request) -> Response:
        """Show what is in the workspace to who has its address; looking is no request to it.

        What is searched for is posted, so that no address in the history of the browser holds it.
        """
        if not self.keys.opens_page(request.path_params["token"]):
            return await self._astray(request, HTTPException(HTTPStatus.NOT_FOUND))
        asked: dict[str, str] = {}
        if request.method == "POST":
            body = await reading.read(request, bounds=self.bounds)
            asked = reading.fields(body.data, request.headers.get("content-type", ""))
        search, name = asked.get("search", "").strip(), asked.get("download")
        if name is None:
            page = await run_in_threadpool(render, self.store, search=search)
            return HTMLResponse(page, headers=HEADERS)
        file = await run_in_threadpool(download, self.store, name, search=search)
        if file is None:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "this page has no such file")
        saved = HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(file, headers=saved, media_type="application/octet-stream")

    async def _astray(self, request: Request, error: Exception) -> Response:
        """Answer a request to a path or with a method that does not exist."""

        def answer(_: bytes, __: Submit) -> Answer:
            raise error

        return await self._receive(request, answer)

    async def _receive(
        self,
        request: Request,
        decide: Callable[[bytes, Submit], Answer],
        *,
        told: bool = False,
    ) -> Response:
        """Read a request, decide on it, log it. Messages count in the order in which they end.

        Args:
            request: The request.
            decide: Gives the answer to a body.
            told: Whether a fault is told in any case, also without strict mode.
        """
        started = time.perf_counter()
        number = self.store.number()
        fault = self.faults(number)
        at, body, headers = self.clock(), Body(), {}
        try:
            body = await reading.read(request, bounds=self.bounds)
            if fault is not None:
                await asyncio.sleep(fault.hold_s)
            at = self.clock()
            answer = answered(
                partial(decide, body.data),
                fault,
                submit=partial(self.store.submit, at=at),
                strict=told or _is_strict(request),
            )
        except HTTPException as error:
            answer = Answer(status=error.status_code, errors=[error.detail])
            headers = dict(error.headers or {})
        except ClientDisconnect:
            answer, fault = Answer(status=CLIENT_LEFT), None
        arrival = Arrival(
            number=number,
            at=at,
            method=request.method,
            path=request.scope["path"],  # older starlettes cut the path of an URL at "?" and "#"
            status=answer.status,
            strict=_is_strict(request),
            bytes=len(body.data),
            wire_bytes=body.wire_bytes,
            items=len(answer.messages),
            dropped=sum(message.reason is not None for message in answer.messages),
            retries=_number(request.headers.get("x-retry-count")),
            elapsed_ms=(time.perf_counter() - started) * 1000,
            fault=fault.name if fault else None,
        )
        self.store.add(arrival, answer.messages)
        return _spoiled(_response(answer, headers=headers), fault, request=request)


def _is_strict(request: Request) -> bool:
    """Whether faults are to be told: only the text 1 turns that on."""
    return request.headers.get("x-strict-mode") == "1"


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _response(answer: Answer, *, headers: dict[str, str]) -> Response:
    if answer.location:
        return RedirectResponse(answer.location, status_code=answer.status)
    if answer.status == HTTPStatus.NO_CONTENT:
        return Response(status_code=answer.status)
    if answer.file is not None:
        return Response(answer.file, status_code=answer.status, media_type="text/csv")
    content = {"meta": {"errors": answer.errors}} if answer.errors else answer.content
    body = msgspec.json.encode(content) + b"\n"
    return Response(body, status_code=answer.status, headers=headers, media_type=JSON)


def _spoiled(answer: Response, fault: Fault | None, *, request: Request) -> Response:
    """Return the answer as it fares on its way back."""
    if fault is None:
        return answer
    if fault.wait_s is not None:
        answer.headers["retry-after"] = f"{fault.wait_s:g}"
    if fault.kind.way == "answer":
        return answer
    return Broken(answer, fault=fault, line=request.scope.get("state", {}).get("line"))
