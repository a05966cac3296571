"""Who may talk to the server at all: nobody who was led here by a web page."""

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cio_frames.spec import CALLS

HEADER_BYTES = 32_768
ACTION = CALLS["form_action"].path


class Guard:
    """Let requests through that name this very host and come from no other origin.

    A web page can make a browser post to a loopback address, and its own host name can be made to
    lead there (DNS rebinding). Such requests carry another Host or an Origin. The action of a web
    form is posted by pages of any origin: it needs the site id, and its answer holds nothing.
    """

    def __init__(self, app: ASGIApp, *, host: str) -> None:
        self.app = app
        self.host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer strangers with 403 and boundless headers with 431, and pass the others on."""
        if scope["type"] != "http":
            return
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
            status, problem = 431, f"No more than {HEADER_BYTES} bytes of headers are read."
        else:
            status, problem = 403, self._problem(scope)
        if problem:
            closing = {"connection": "close"}
            refusal = PlainTextResponse(problem, status_code=status, headers=closing)
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _problem(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        is_action = scope["method"] == "POST" and scope["path"] == ACTION
        if headers.getlist("host") != [self.host]:
            return f"This server answers requests to {self.host} only."
        if not is_action and any(
            origin != f"http://{self.host}" for origin in headers.getlist("origin")
        ):
            return "This server does not answer requests that come from web pages."
        return ""
