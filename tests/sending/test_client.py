"""A client knows where to send and never shows or gives away its keys."""

import base64
import copy
import logging
import pickle
import traceback

import httpx
import httpx2
import pytest

from cio_frames.errors import ConfigError, EndpointError, MissingKeyError
from cio_frames.sending import http
from cio_frames.sending.http import Request
from cio_frames.workspaces import connect
from tests.sending.conftest import TRACK_KEY, WRITE_KEY, Host, run, run_virtually, segment

KEYS = {"write_key": WRITE_KEY, "site_id": "s1", "track_api_key": TRACK_KEY}
FORMS_OF_THE_KEY = [
    WRITE_KEY,
    TRACK_KEY,
    base64.b64encode(f"{WRITE_KEY}:".encode()).decode(),
    base64.b64encode(f"s1:{TRACK_KEY}".encode()).decode(),
    WRITE_KEY[::-1],
]


def assert_no_key(text):
    """Check that no form of a key is in a text."""
    assert not [form for form in FORMS_OF_THE_KEY if form in text]


@pytest.mark.parametrize(
    ("options", "environ", "endpoint", "region"),
    [
        pytest.param({}, {}, "cdp.customer.io", "us", id="default"),
        pytest.param({"region": "eu"}, {}, "cdp-eu.customer.io", "eu", id="eu"),
        pytest.param({}, {"CIO_REGION": "eu"}, "cdp-eu.customer.io", "eu", id="environment"),
        pytest.param(
            {"region": "us"}, {"CIO_REGION": "eu"}, "cdp.customer.io", "us", id="argument"
        ),
        pytest.param({"endpoint": "http://127.0.0.1:8099"}, {}, "127.0.0.1:8099", "us", id="local"),
    ],
)
def test_a_client_shows_where_it_sends(options, environ, endpoint, region):
    """Region and endpoint come from the arguments, else from the environment."""
    client = connect(**KEYS, **options, environ=environ)

    assert (client.endpoint, client.region) == (endpoint, region)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        pytest.param({"region": "asia"}, ConfigError, id="region"),
        pytest.param({"rate": 0}, ConfigError, id="no-rate"),
        pytest.param({"rate": -1.0}, ConfigError, id="negative-rate"),
        pytest.param({"rate": float("nan")}, ConfigError, id="nan-rate"),
        pytest.param({"rate": float("inf")}, ConfigError, id="infinite-rate"),
        pytest.param({"endpoint": "https://cdp.customer.io.evil.tld"}, EndpointError, id="host"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(options, error):
    """Connecting fails before anything is sent."""
    with pytest.raises(error):
        connect(**KEYS, **options, environ={})


def test_the_environment_is_read_when_a_client_is_made(monkeypatch):
    """A variable that is set after the import counts, and one that is removed does not."""
    for name in ("CIO_WRITE_KEY", "CIO_SITE_ID", "CIO_TRACK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingKeyError):
        connect()

    monkeypatch.setenv("CIO_WRITE_KEY", WRITE_KEY)
    monkeypatch.setenv("CIO_REGION", "eu")

    assert connect().endpoint == "cdp-eu.customer.io"
    assert connect().require("track") is None


def test_a_client_without_any_key_is_refused():
    """The error names the argument and the variable."""
    with pytest.raises(MissingKeyError, match=r"write_key.*CIO_WRITE_KEY"):
        connect(environ={})


@pytest.mark.parametrize(
    ("keys", "call", "missing"),
    [
        pytest.param({"write_key": "k"}, "form", "site_id", id="no-site"),
        pytest.param(
            {"write_key": "k", "site_id": "s"}, "form", "track_api_key", id="no-track-key"
        ),
        pytest.param(
            {"site_id": "s", "track_api_key": "k"}, "track", "write_key", id="no-write-key"
        ),
        pytest.param({"write_key": "k"}, "track", None, id="pipelines"),
        pytest.param({"site_id": "s", "track_api_key": "k"}, "form", None, id="forms"),
    ],
)
def test_an_error_names_the_key_that_a_call_needs(keys, call, missing):
    """`require` passes, or names the argument that is missing."""
    client = connect(**keys, environ={})

    if missing is None:
        assert client.require(call) is None
    else:
        with pytest.raises(MissingKeyError, match=missing):
            client.require(call)


@pytest.mark.parametrize(
    ("rate", "pipelines", "forms"),
    [(200.0, 200.0, 100.0), (20.0, 20.0, 20.0), (None, None, None)],
    ids=["default", "slow", "unlimited"],
)
def test_forms_have_a_rate_of_their_own(rate, pipelines, forms):
    """Forms never exceed what the Track host allows, unless the limit is lifted."""
    client = connect(**KEYS, rate=rate, environ={})

    assert (client.request_rate("pipelines"), client.request_rate("forms")) == (pipelines, forms)


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(repr, id="repr"),
        pytest.param(str, id="str"),
        pytest.param(lambda client: repr(client._transport_config), id="wire"),
        pytest.param(lambda client: repr(client._credentials), id="credentials"),
        pytest.param(lambda client: repr(client.session()), id="session"),
        pytest.param(lambda client: repr(vars(client.session())), id="session-attributes"),
    ],
)
def test_a_client_is_drawn_without_keys(draw):
    """No drawing of a client or its parts has a key in any form."""
    assert_no_key(draw(connect(**KEYS, environ={})))


@pytest.mark.parametrize(
    "take", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)
def test_a_client_cannot_be_taken_along(take):
    """Pickling and copying raise errors."""
    with pytest.raises(TypeError, match="contains keys"):
        take(connect(**KEYS, environ={}))


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize(
    ("request_", "handler"),
    [
        pytest.param(Request(api="pipelines", path="/v1/batch", body=b"{}"), 200, id="success"),
        pytest.param(Request(api="pipelines", path="/v1/batch", body=b"{}"), 400, id="refusal"),
        pytest.param(
            Request(api="forms", path="/api/v1/forms/f/submit", body=b"{}"), 500, id="form"
        ),
        pytest.param(Request(api="pipelines", path="/v1/batch", body=b"{}"), "error", id="network"),
    ],
)
def test_no_log_and_no_answer_has_a_key(library, request_, handler, caplog, capfd):
    """A host and a network that repeat the key do not get it into logs, answers or output."""
    text = f"bad key {WRITE_KEY} / {TRACK_KEY} / {FORMS_OF_THE_KEY[2]} / {FORMS_OF_THE_KEY[3]}"

    def handle(request):
        if handler == "error":
            raise library.ReadError(text, request=request)
        return library.Response(handler, json={"meta": {"error": text}} if handler != 200 else {})

    client = connect(**KEYS, transport=library.MockTransport(handle), environ={})
    with caplog.at_level(logging.DEBUG):
        answer = run_virtually(lambda: client.post(request_))
    shown = (
        WRITE_KEY if request_.api == "forms" else TRACK_KEY
    )  # of the other surface: unknown here

    text = (
        repr(answer)
        .replace(shown, "")
        .replace(FORMS_OF_THE_KEY[3 if shown == TRACK_KEY else 2], "")
    )
    assert_no_key(text)
    assert_no_key(caplog.text + "".join(capfd.readouterr()))


def test_a_fault_in_a_transport_does_not_carry_the_key_in_its_traceback():
    """Even a traceback with local variables has no key in it."""

    async def app(scope, receive, send):
        raise KeyError("a fault of the program")

    client = connect(**KEYS, transport=httpx2.ASGITransport(app), environ={})
    with pytest.raises(KeyError) as caught:
        run_virtually(lambda: client.post(Request(api="pipelines", path="/v1/batch", body=b"{}")))
    drawn = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    own = [frame for frame in drawn.stack if "cio_frames" in frame.filename]

    assert own
    assert_no_key("".join(drawn.format()))


@pytest.mark.parametrize("api", ["pipelines", "forms", "app"])
def test_no_key_is_in_a_variable_while_headers_are_made(monkeypatch, api):
    """A traceback from there has no key, even with local variables."""

    def broken():
        raise KeyError("a fault of the program")

    monkeypatch.setattr(http, "_version", broken)
    client = connect(**KEYS, app_api_key=WRITE_KEY, environ={})
    with pytest.raises(KeyError) as caught:
        run_virtually(lambda: client.post(Request(api=api, path="/v1/batch", body=b"{}")))
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)

    assert any(frame.name == "_headers" for frame in shown.stack)
    assert_no_key("".join(shown.format()))


def test_no_fact_has_a_key():
    """No fact of a run contains a key, whatever the host answers."""
    response = httpx2.Response(401, json={"meta": {"error": f"unknown key {WRITE_KEY}"}})
    record = run([segment(20)], Host(response))

    assert_no_key(repr(record.facts))
    assert record.ends[0].error.endswith("It says: unknown key ***.")


def test_settings_create_the_same_client_elsewhere():
    """The settings create the same client in another process, and show no key in any form."""
    client = connect(
        "eu", **KEYS, endpoint="http://127.0.0.1:9", strict=False, rate=7.0, gzip=False, attempt_s=3.0,
        environ={},
    )  # fmt: skip
    settings = client.settings()
    travelled = pickle.dumps(settings)
    same = pickle.loads(travelled).client()  # noqa: S301 - made here
    for name in ("region", "endpoint", "strict", "gzip", "rate", "concurrency", "workspaces"):
        assert getattr(same, name) == getattr(client, name)
    assert same._transport_config.attempt_s == 3.0
    assert same._transport_config.basic("forms") == client._transport_config.basic("forms")
    assert_no_key(repr(settings) + f"{settings.write_key}" + travelled.decode("latin-1"))


def test_settings_of_a_client_with_a_transport_are_an_error():
    """A client that sends through an object of this process has no settings for others."""
    client = connect(write_key=WRITE_KEY, transport=httpx.MockTransport(lambda _: None), environ={})
    with pytest.raises(ConfigError, match="transport="):
        client.settings()
