"""A transport between sender and workspace that may answer in place of the workspace."""

import gzip
from collections.abc import Callable
from typing import Any

import httpx2
import msgspec

Responder = Callable[[list[dict[str, Any]], bytes], int | None]
"""Gets the messages and the body of a request; returns the status to answer, or None to forward it."""


class ProxyTransport(httpx2.AsyncBaseTransport):
    """A transport that answers or forwards each request.

    Args:
        responder: Decides on each request.
    """

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._network = httpx2.AsyncHTTPTransport()
        self.requests = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer or forward the request."""
        self.requests += 1
        body = await request.aread()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        messages = msgspec.json.decode(body)["batch"]
        status = self._responder(messages, body)
        if status is None:
            return await self._network.handle_async_request(request)
        return httpx2.Response(status, json={"meta": {"errors": ["prescribed by the test"]}})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._network.aclose()
