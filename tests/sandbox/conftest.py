"""One server for a module's tests, emptied before each of them."""

import httpx
import pytest

from cio_frames.sandbox import Sandbox


class Caller:
    """Sends requests to a sandbox, with its keys by default."""

    def __init__(self, sandbox: Sandbox, http: httpx.Client) -> None:
        self.sandbox = sandbox
        self.http = http

    def post(self, path: str, body=None, *, auth=None, strict=False, headers=None, **more):
        """Post a JSON body, or `content=` as it is."""
        if auth is None:
            on_track = path.startswith("/api/")
            keys = (self.sandbox.site_id, self.sandbox.track_api_key)
            auth = keys if on_track else (self.sandbox.write_key, "")
        sent = dict(headers or {}) | ({"X-Strict-Mode": "1"} if strict else {})
        content = {} if body is None else {"json": body}
        return self.http.post(path, auth=auth, headers=sent, **content, **more)


@pytest.fixture(scope="module")
def served():
    """A running sandbox and a client of it."""
    with Sandbox() as sandbox, httpx.Client(base_url=sandbox.url, trust_env=False) as http:
        yield Caller(sandbox, http)


@pytest.fixture
def caller(served):
    """The same, with nothing in it."""
    served.sandbox.reset()
    return served


@pytest.fixture
def sandbox(caller):
    """The empty sandbox."""
    return caller.sandbox
