"""An export is started, waited for and fetched, whatever the API answers on the way."""

import httpx2
import pytest

from cio_frames.errors import AccessRefusedError, ExportError, WorkspaceReadError
from cio_frames.sending.exports import EXPORT_TIMEOUT_S, MAX_LINKS, POLL_S
from tests.app_api.conftest import (
    APP_KEY,
    CSV,
    LINK,
    export,
    exported,
    file,
    host,
    link,
    reading,
    response,
)


def test_an_export_is_started_and_its_file_written(tmp_path, progress):
    """There are four requests in this order; the file has the bytes received; progress has id and total."""
    app = host(seven=[export("pending"), export(total=2)])

    found = exported(app, tmp_path / "x.csv", on_progress=progress.append)

    assert (tmp_path / "x.csv").read_text() == CSV
    assert (found.id, found.total, found.is_ready) == (7, 2, True)
    assert app.asked == [
        "POST /v1/exports/customers", "GET /v1/exports/7", "GET /v1/exports/7",
        "GET /v1/exports/7/download", "GET /export.csv",
    ]  # fmt: skip
    assert [each.export for each in progress] == [7] * len(progress)
    assert (progress[-1].total, progress[-1].rows) == (2, 2)
    assert any("prepares export 7" in each.why for each in progress)


def test_the_key_goes_to_the_api_and_not_along_with_a_link(tmp_path):
    """Requests to the API have the key as a token and no strict mode; the file's host gets neither."""
    app = host()
    exported(app, tmp_path / "x.csv")
    api, elsewhere = app.requests[:-1], app.requests[-1]

    assert {each.headers["authorization"] for each in api} == {f"Bearer {APP_KEY}"}
    assert [each for each in app.requests if "x-strict-mode" in each.headers] == []
    assert str(elsewhere.url) == LINK
    assert "authorization" not in elsewhere.headers


def test_a_link_to_the_apis_own_host_gets_the_key(tmp_path):
    """Whether a link needs the key is not documented; at the API's own host it is no secret."""
    app = host(download=link("https://api.customer.io/files/export.csv"))
    exported(app, tmp_path / "x.csv")

    assert app.requests[-1].headers["authorization"] == f"Bearer {APP_KEY}"


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example.com/export.csv", "ftp://files.example.com/export.csv", "file:///etc/passwd",
        "//files.example.com/export.csv", "/export.csv", "", None, 7, "http://127.0.0.1:80/export.csv",
    ],
)  # fmt: skip
def test_a_link_that_proves_nothing_is_not_followed(url, tmp_path):
    """Only https leads to another host; the error names the host and what to do."""
    app = host(download=link(url))
    with pytest.raises(ExportError, match=r"leads to .*https.*Fetch the file in Customer\.io"):
        exported(app, tmp_path / "x.csv")

    assert app.asked[-1] == "GET /v1/exports/7/download"


def test_a_client_of_this_machine_is_led_nowhere_else(tmp_path):
    """A server on this machine cannot send a client to the network."""
    app = host()
    with pytest.raises(ExportError, match=r"leads to files\.example\.com"):
        exported(app, tmp_path / "x.csv", endpoint="http://127.0.0.1:8099")


def test_an_export_is_looked_at_less_and_less_often(tmp_path):
    """Seconds lie between looks, five at most, and an export that never ends is left to Customer.io."""
    app = host(seven=export("pending"))
    with pytest.raises(ExportError, match=r"not ready after 60 minutes.*export=7\)") as caught:
        exported(app, tmp_path / "x.csv")

    gaps = [b - a for a, b in zip(app.times[1:-1], app.times[2:], strict=True)]
    assert gaps == sorted(gaps)
    assert max(gaps) == pytest.approx(POLL_S)
    assert app.times[-1] == pytest.approx(EXPORT_TIMEOUT_S, abs=2 * POLL_S)
    assert caught.value.export == 7


@pytest.mark.parametrize(
    "answer", [export("failed"), export("done", failed=True), export("pending", failed=True)]
)
def test_a_failed_export_is_an_error(answer, tmp_path):
    """Either of the two words of failure ends it."""
    with pytest.raises(ExportError, match=r"export 7 has failed.*Start it again"):
        exported(host(seven=answer), tmp_path / "x.csv")


def test_an_unknown_export_is_an_error(tmp_path):
    """The error names the call that lists the exports."""
    app = host(seven=response(404, meta={"error": "no such export"}))
    with pytest.raises(ExportError, match=r"no export 7 .*client\.exports\(\)") as caught:
        exported(app, tmp_path / "x.csv", number=7)

    assert (caught.value.status, caught.value.export) == (404, 7)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_expired_link_is_asked_for_again(status, tmp_path):
    """A new link is requested, and the file is written from its beginning."""
    app = host(csv=[httpx2.Response(status), file()])
    exported(app, tmp_path / "x.csv")

    assert (tmp_path / "x.csv").read_text() == CSV
    assert app.asked.count("GET /v1/exports/7/download") == 2


def test_a_missing_file_is_an_error(tmp_path):
    """After some links the error response how long one can be used, and how to continue."""
    app = host(csv=httpx2.Response(403, content=b"<Error>StringToSign s1</Error>"))
    with pytest.raises(ExportError, match=r"HTTP 403.*15 minutes.*export=7\)") as caught:
        exported(app, tmp_path / "x.csv")

    assert app.asked.count("GET /v1/exports/7/download") == MAX_LINKS
    assert "StringToSign" not in str(caught.value)


def test_a_file_that_breaks_off_is_fetched_again(tmp_path):
    """Nothing of the first attempt is left."""

    async def broken():
        yield b"id,email,cio_id\nu1,"
        raise httpx2.ReadError("reset")

    app = host(csv=[httpx2.Response(200, content=broken()), file()])
    exported(app, tmp_path / "x.csv")

    assert (tmp_path / "x.csv").read_text() == CSV


def test_a_full_disk_is_an_error(tmp_path):
    """The error response where space is needed, and how to resume the export."""
    with pytest.raises(ExportError, match=r"cannot be written here.*TMPDIR.*export=7\)"):
        exported(host(), tmp_path / "missing" / "x.csv")


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        pytest.param(
            response(401, errors=["unauthorized"]), AccessRefusedError,
            r"key is refused \(HTTP 401, it says: unauthorized\)\. Check app_api_key=", id="wrong-key",
        ),
        pytest.param(
            response(403), AccessRefusedError, r"no permission .*permission to read people", id="scope"
        ),
        pytest.param(
            response(400, meta={"errors": ["filters is required"]}), WorkspaceReadError,
            r"refused \(HTTP 400, it says: filters is required\)\. Correct", id="malformed",
        ),
        pytest.param(response(302), WorkspaceReadError, "HTTP 302", id="redirect"),
        pytest.param(response(200, exprt={"id": 1}), WorkspaceReadError, r"not of the documented form.*exprt", id="form"),
        pytest.param(
            httpx2.Response(200, content=b"<html>login</html>"), WorkspaceReadError,
            "not from Customer.io", id="login-page",
        ),
        pytest.param(
            httpx2.ConnectError("refused"), WorkspaceReadError, "has not answered at all", id="nobody"
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_an_error(answer, kind, words, tmp_path):
    """The error has what, where and what to do; a rejected key has its own type."""
    with pytest.raises(
        kind, match=r"The people could not be read from api\.customer\.io: "
    ) as caught:
        exported(host(customers=answer), tmp_path / "x.csv")

    assert type(caught.value) is kind
    assert caught.match(words)
    assert "resume" not in str(caught.value)


@pytest.mark.parametrize(
    "trouble",
    [response(429), response(500), response(503), httpx2.ReadError("reset"), httpx2.Response(200, content=b"{"),
     httpx2.ConnectTimeout("slow")],
)  # fmt: skip
def test_trouble_that_passes_is_outlasted(trouble, tmp_path):
    """Every step is repeated until it is answered."""
    app = host(
        customers=[trouble, export("pending")], seven=[trouble, export()], download=[trouble, link()],
    )  # fmt: skip
    exported(app, tmp_path / "x.csv")

    assert (tmp_path / "x.csv").read_text() == CSV


def test_an_outage_ends_the_reading(tmp_path, progress):
    """After five minutes of failures the error response so, and how to resume the export."""
    app = host(seven=response(503))
    with pytest.raises(WorkspaceReadError, match=r"failed for 5 minutes.*export=7\)") as caught:
        exported(app, tmp_path / "x.csv", on_progress=progress.append)

    assert caught.value.export == 7
    assert 300 < app.times[-1] < 400
    assert {each.why for each in progress} == {"SERVER_ERROR"}


def test_a_wait_that_is_asked_for_is_kept_to(tmp_path):
    """`Retry-After` counts."""
    slow = httpx2.Response(429, headers={"retry-after": "20"})
    app = host(seven=[slow, export()])
    exported(app, tmp_path / "x.csv")

    assert app.times[2] - app.times[1] >= 20


def test_no_second_has_more_requests_than_are_allowed():
    """A hundred requests take nine seconds and more: ten in any second at most."""
    app = host(seven=export())

    async def work(reader):
        for _ in range(100):
            await reader.request("getExport", what="An export", parameters={"export_id": 7})

    reading(app, work)

    times = app.times
    assert all(
        later - earlier >= 1.0 - 1e-6 for earlier, later in zip(times, times[10:], strict=False)
    )
    assert times[-1] < 11


def test_parameters_stay_in_their_place():
    """An identifier cannot lead to another path, nor a value to another parameter."""
    app = host(seven=response(200))

    async def work(reader):
        await reader.request(
            "getPersonActivities", what="Activities",
            parameters={"customer_id": "a/../b?x=1#y z@example.com"},
            query={"name": "a&limit=9", "type": None, "start": "é"},
        )  # fmt: skip

    app.answers = {"activities": [response(200)]}
    reading(app, work)

    assert app.requests[0].url.raw_path == (
        b"/v1/customers/a%2F..%2Fb%3Fx%3D1%23y%20z%40example.com/activities"
        b"?name=a%26limit%3D9&start=%C3%A9"
    )
