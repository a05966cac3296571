"""Something between sender and workspace that answers in its place, before or after it."""

import gzip
from collections.abc import Callable
from typing import Any

import httpx2
import msgspec

Before = Callable[[list[dict[str, Any]], bytes], int | None]
"""Gets the messages and the body of a request; a status is answered in the workspace's place."""


class Front(httpx2.AsyncBaseTransport):
    """A transport of the sender that may answer itself, and else asks the workspace.

    Args:
        before: Decides on each request.
    """

    def __init__(self, before: Before) -> None:
        self._before = before
        self._network = httpx2.AsyncHTTPTransport()
        self.requests = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer, or pass the request on."""
        self.requests += 1
        body = await request.aread()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        messages = msgspec.json.decode(body)["batch"]
        status = self._before(messages, body)
        if status is None:
            return await self._network.handle_async_request(request)
        return httpx2.Response(status, json={"meta": {"errors": ["so it was prescribed"]}})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._network.aclose()
