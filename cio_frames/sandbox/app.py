"""The web application of a workspace: each request is read, answered and logged."""

import asyncio
import base64
import binascii
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from http import HTTPStatus
from secrets import token_hex

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from cio_frames.sandbox import handlers, request_body
from cio_frames.sandbox.app_api import FILE_PATH, AppApi, AppRequest
from cio_frames.sandbox.fault_injection import BrokenResponse, answer_with_fault
from cio_frames.sandbox.faults import Fault
from cio_frames.sandbox.handlers import Answer, Rules, Submit
from cio_frames.sandbox.page import HEADERS, download, render
from cio_frames.sandbox.request_body import Body, Bounds
from cio_frames.sandbox.store import Arrival, Store
from cio_frames.spec import BATCH_PATH, CALLS, OPERATIONS, REGION_PATH, Operation, Region

CLIENT_LEFT = 499
ENVIRONMENT_ID = 1
JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The credentials of a workspace, random unless given."""

    write_key: str = field(default_factory=lambda: token_hex(16), repr=False)
    site_id: str = field(default_factory=lambda: token_hex(10), repr=False)
    track_api_key: str = field(default_factory=lambda: token_hex(16), repr=False)
    app_api_key: str = field(default_factory=lambda: token_hex(16), repr=False)
    page_token: str = field(default_factory=lambda: token_hex(16), repr=False)

    def opens_pipelines(self, header: str | None) -> bool:
        """Whether an Authorization header holds the write key with a blank password."""
        return _matches(header, f"{self.write_key}:")

    def opens_page(self, token: str) -> bool:
        """Whether this is the secret part of the page's address."""
        return hmac.compare_digest(token.encode(), self.page_token.encode())

    def opens_track(self, header: str | None) -> bool:
        """Whether an Authorization header holds the site id and its API key."""
        return _matches(header, f"{self.site_id}:{self.track_api_key}")

    def opens_app(self, header: str | None) -> bool:
        """Whether an Authorization header holds the App API key as a token."""
        scheme, _, value = (header or "").partition(" ")
        is_same = hmac.compare_digest(value.strip().encode(), self.app_api_key.encode())
        return is_same and scheme.lower() == "bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceApp:
    """Answers the requests to one workspace."""

    store: Store
    keys: Keys
    rules: Rules
    app_api: AppApi
    bounds: Bounds
    region: Region
    clock: Callable[[], datetime]
    fault_for: Callable[[int], Fault | None]
    has_page: bool = True

    def app(self) -> Starlette:
        """Return the ASGI application."""
        calls = {call.path: call.name for call in CALLS.values() if call.batched}
        form_path = CALLS["form"].path.replace("{form_id}", "{form_id:path}")
        pipelines = [
            Route(path, partial(self._pipelines, call=call), methods=["POST"])
            for path, call in (calls | {BATCH_PATH: handlers.BATCH}).items()
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
        codes = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
        return Starlette(
            routes=[*pipelines, *others], exception_handlers=dict.fromkeys(codes, self._no_route)
        )

    async def _pipelines(self, request: Request, *, call: str) -> Response:
        has_key = self.keys.opens_pipelines(request.headers.get("authorization"))
        strict = _is_strict(request)

        def answer(body: bytes, _: Submit) -> Answer:
            return handlers.pipelines(call, body, has_key=has_key, strict=strict, rules=self.rules)

        return await self._receive(request, answer)

    async def _form(self, request: Request) -> Response:
        has_key = self.keys.opens_track(request.headers.get("authorization"))
        form_id = request.path_params["form_id"]

        def answer(body: bytes, submit: Submit) -> Answer:
            return handlers.form(form_id, body, has_key=has_key, submit=submit)

        return await self._receive(request, answer)

    async def _form_action(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "")
        query = dict(request.query_params)
        site_id = self.keys.site_id

        def answer(body: bytes, submit: Submit) -> Answer:
            data = request_body.fields(body, kind)
            return handlers.form_action(data, query, site_id=site_id, submit=submit)

        return await self._receive(request, answer)

    def _operation(self, row: Operation) -> Route:
        """Return the route of an operation of the App API; an identifier may have any character."""
        path = row.path.replace("{customer_id}", "{customer_id:path}")
        return Route(path, partial(self._app, operation=row.name), methods=[row.method])

    async def _app(self, request: Request, *, operation: str) -> Response:
        app_request = AppRequest(
            parameters=request.path_params,
            query=request.query_params,
            body=b"",
            host=request.headers["host"],
            has_key=self.keys.opens_app(request.headers.get("authorization")),
        )

        def answer(body: bytes, _: Submit) -> Answer:
            return self.app_api.answer(operation, replace(app_request, body=body))

        return await self._receive(request, answer, shows_faults=True)

    async def _file(self, request: Request) -> Response:
        has_key = self.keys.opens_app(request.headers.get("authorization"))
        token = request.path_params["token"]

        def answer(_: bytes, __: Submit) -> Answer:
            return self.app_api.file(token, has_key=has_key)

        return await self._receive(request, answer, shows_faults=True)

    async def _region(self, request: Request) -> Response:
        has_key = self.keys.opens_track(request.headers.get("authorization"))
        content = {
            "url": f"http://{request.headers['host']}",
            "region": self.region,
            "environment_id": ENVIRONMENT_ID,
        }

        def answer(_: bytes, __: Submit) -> Answer:
            if has_key:
                return Answer(status=200, content=content)
            return Answer(status=401, errors=["the site id and API key are unknown"])

        return await self._receive(request, answer)

    async def _page(self, request: Request) -> Response:
        """Show what is in the workspace to whoever has the address; this is not logged as a request.

        The search is posted, so that it is in no address in the history of the browser.
        """
        if not self.keys.opens_page(request.path_params["token"]):
            return await self._no_route(request, HTTPException(HTTPStatus.NOT_FOUND))
        form: dict[str, str] = {}
        if request.method == "POST":
            body = await request_body.read(request, bounds=self.bounds)
            form = request_body.fields(body.data, request.headers.get("content-type", ""))
        search, name = form.get("search", "").strip(), form.get("download")
        if name is None:
            page = await run_in_threadpool(render, self.store, search=search)
            return HTMLResponse(page, headers=HEADERS)
        file = await run_in_threadpool(download, self.store, name, search=search)
        if file is None:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "this page has no such file")
        saved = HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(file, headers=saved, media_type="application/octet-stream")

    async def _no_route(self, request: Request, error: Exception) -> Response:
        """Answer a request to a path or with a method that does not exist."""

        def answer(_: bytes, __: Submit) -> Answer:
            raise error

        return await self._receive(request, answer)

    async def _receive(
        self,
        request: Request,
        decide: Callable[[bytes, Submit], Answer],
        *,
        shows_faults: bool = False,
    ) -> Response:
        """Read a request, answer it and log it. Messages are applied in the order in which they end.

        With `shows_faults`, faults are answered as such without strict mode too.
        """
        started = time.perf_counter()
        number = self.store.number()
        fault = self.fault_for(number)
        at, body, headers = self.clock(), Body(), {}
        try:
            body = await request_body.read(request, bounds=self.bounds)
            if fault is not None:
                await asyncio.sleep(fault.hold_s)
            at = self.clock()
            answer = answer_with_fault(
                partial(decide, body.data),
                fault,
                submit=partial(self.store.submit, at=at),
                strict=shows_faults or _is_strict(request),
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
        return _with_fault(_response(answer, headers=headers), fault, request=request)


def _matches(header: str | None, expected: str) -> bool:
    """Compare in constant time, so that a key cannot be guessed byte by byte."""
    scheme, _, value = (header or "").partition(" ")
    try:
        credentials = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(credentials, expected.encode()) and scheme.lower() == "basic"


def _is_strict(request: Request) -> bool:
    """Return whether strict mode is on: only the text 1 turns it on."""
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


def _with_fault(response: Response, fault: Fault | None, *, request: Request) -> Response:
    """Return the response as its fault lets it arrive."""
    if fault is None:
        return response
    if fault.wait_s is not None:
        response.headers["retry-after"] = f"{fault.wait_s:g}"
    if fault.kind.ending == "complete":
        return response
    connection = request.scope.get("state", {}).get("connection")
    return BrokenResponse(response, fault=fault, connection=connection)
