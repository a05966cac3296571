"""The embedded App API: people, attributes, activities and exports, as Customer.io describes them."""

import csv
import io
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from customerio.api import APIClient
from customerio.client_base import CustomerIOException

from cio_frames.errors import SandboxError
from cio_frames.identity import Settings
from cio_frames.sandbox import Faults, Sandbox
from cio_frames.sandbox.filters import DEPTH, FilterError, compile_filter
from cio_frames.spec import OPERATIONS

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PEOPLE = [
    {"id": "u1", "email": "Ada@example.com", "cio_id": "c1", "attributes": {"plan": "pro", "vip": True}},
    {"id": "u2", "cio_id": "c2", "attributes": {"plan": "free", "score": 12.5, "unsubscribed": "1"}},
    {"email": "bo@example.com", "cio_id": "c3", "attributes": {"address": {"city": "Oslo"}, "none": None}},
    {"id": "a/b c?d", "cio_id": "c4", "attributes": {}},
]  # fmt: skip


class Asker:
    """Sends requests to a workspace, with its key by default."""

    def __init__(self, sandbox: Sandbox, http: httpx.Client) -> None:
        self.sandbox = sandbox
        self.http = http
        self.clock = [NOW]

    def __call__(self, method, path, *, key=None, **more):
        """Return the answer."""
        key = self.sandbox.app_api_key if key is None else key
        headers = {"Authorization": f"Bearer {key}"}
        return self.http.request(method, path, headers=headers, **more)


@pytest.fixture
def ask():
    """Ask a workspace with people, whose clock stands still."""
    clock = [NOW]
    with (
        Sandbox(app_rate=None, clock=lambda: clock[0], export_s=5) as sandbox,
        httpx.Client(base_url=sandbox.url, trust_env=False) as http,
    ):
        sandbox.load(PEOPLE)
        asker = Asker(sandbox, http)
        asker.clock = clock
        yield asker


def attribute(field, operator="exists", **more):
    """Return a condition."""
    return {"attribute": {"field": field, "operator": operator} | more}


EVERYBODY = {"or": [attribute("x"), {"not": attribute("x")}]}


@pytest.mark.parametrize(
    ("condition", "meant"),
    [
        pytest.param(attribute("plan"), ["c1", "c2"], id="exists"),
        pytest.param(attribute("plan", "eq", value="pro"), ["c1"], id="eq"),
        pytest.param(attribute("plan", "eq", value="Pro"), [], id="case"),
        pytest.param(attribute("vip", "eq", value=True), ["c1"], id="boolean"),
        pytest.param(attribute("score", "eq", value=12.5), ["c2"], id="number"),
        pytest.param(attribute("address", "eq", value={"city": "Oslo"}), ["c3"], id="object"),
        pytest.param(attribute("none"), [], id="null"),
        pytest.param(attribute("id"), ["c1", "c2", "c4"], id="identifier"),
        pytest.param(attribute("cio_id"), ["c1", "c2", "c3", "c4"], id="cio-id"),
        pytest.param({"not": attribute("email")}, ["c2", "c4"], id="not"),
        pytest.param({"and": [attribute("plan"), {"not": attribute("vip")}]}, ["c2"], id="and"),
        pytest.param({"or": [attribute("vip"), attribute("address")]}, ["c1", "c3"], id="or"),
        pytest.param({"not": {"or": [attribute("plan"), attribute("address")]}}, ["c4"], id="nested"),
        pytest.param(EVERYBODY, ["c1", "c2", "c3", "c4"], id="everybody"),
    ],
)  # fmt: skip
def test_a_filter_means_the_same_in_search_and_export(ask, condition, meant):
    """Both give the same people, in the order in which they came to be."""
    found = ask("POST", "/v1/customers", json={"filter": condition}).json()
    started = ask(
        "POST", "/v1/exports/customers", json={"filters": condition, "attributes": ["cio_id"]}
    ).json()["export"]
    ask.clock[0] += timedelta(seconds=5)
    link = ask("GET", f"/v1/exports/{started['id']}/download").json()["url"]

    assert [person["cio_id"] for person in found["identifiers"]] == meant
    assert found["next"] == ""
    assert httpx.get(link, trust_env=False).text.split()[1:] == meant


@pytest.mark.parametrize(
    "condition",
    [
        None, [], "x", {}, {"attribute": {}, "not": {}}, {"xor": []}, {"and": []}, {"and": {}},
        {"not": []}, {"segment": {"id": 3}}, {"attribute": []}, {"attribute": {"field": "x"}},
        attribute("x", "gt", value=1), attribute("x", "eq"), attribute(7), {"or": [attribute("x"), {}]},
    ],
)  # fmt: skip
def test_an_invalid_filter_is_an_error(ask, condition):
    """It is answered 400 with an error; a segment too, as the workspace has none."""
    answer = ask("POST", "/v1/customers", json={"filter": condition})

    assert answer.status_code == 400
    assert answer.json()["meta"]["errors"][0]


def test_a_filter_has_a_depth():
    """It cannot exhaust the stack."""
    nested = attribute("x")
    for _ in range(DEPTH + 1):
        nested = {"not": nested}
    with pytest.raises(FilterError, match="levels"):
        compile_filter(nested)


def test_an_export_goes_from_pending_to_a_file(ask):
    """Its number of people is 0 until it is done; people are those of its start; downloads are counted."""
    body = {"filters": EVERYBODY, "attributes": ["id", "email", "plan", "address"]}
    started = ask("POST", "/v1/exports/customers", json=body).json()["export"]
    early = ask("GET", "/v1/exports/1/download")
    ask.http.post(
        "/v1/identify", json={"userId": "late"}, auth=(ask.sandbox.write_key, "")
    ).raise_for_status()
    ask.clock[0] += timedelta(seconds=5)
    ready = ask("GET", "/v1/exports/1").json()["export"]
    link = ask("GET", "/v1/exports/1/download").json()["url"]
    rows = list(csv.reader(io.StringIO(httpx.get(link, trust_env=False).text)))
    listed = ask("GET", "/v1/exports").json()["exports"]

    assert (started["status"], started["total"], started["failed"]) == ("pending", 0, False)
    assert early.status_code == 404
    assert (ready["status"], ready["total"], ready["type"]) == ("done", 4, "customers")
    assert rows == [
        ["id", "email", "plan", "address"], ["u1", "Ada@example.com", "pro", ""], ["u2", "", "free", ""],
        ["", "bo@example.com", "", '{"city":"Oslo"}'], ["a/b c?d", "", "", ""],
    ]  # fmt: skip
    assert [(each["id"], each["downloads"]) for each in listed] == [(1, 1)]


def test_a_link_expires(ask):
    """After fifteen minutes a new link is needed; an invented one is answered 404."""
    ask("POST", "/v1/exports/customers", json={"filters": EVERYBODY})
    ask.clock[0] += timedelta(seconds=5)
    old = ask("GET", "/v1/exports/1/download").json()["url"]
    ask.clock[0] += timedelta(minutes=15, seconds=1)
    new = ask("GET", "/v1/exports/1/download").json()["url"]

    assert httpx.get(old, trust_env=False).status_code == 403
    assert httpx.get(new, trust_env=False).status_code == 200
    assert httpx.get(new[:-8] + "beef.csv", trust_env=False).status_code == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "filters is required"), ({"filters": EVERYBODY, "attributes": "id"}, "list of names"),
        ({"filters": EVERYBODY, "attributes": [1]}, "list of names"), ([], "object"),
    ],
)  # fmt: skip
def test_a_malformed_export_is_an_error(ask, body, words):
    """400, with what is wrong, and nothing is started."""
    answer = ask("POST", "/v1/exports/customers", json=body)

    assert (answer.status_code, words in answer.text) == (400, True)
    assert ask("GET", "/v1/exports").json() == {"exports": []}


@pytest.mark.parametrize("number", ["7", "-1", "x", "\u0663"])
def test_an_unknown_export_is_404(ask, number):
    """So is what is no number."""
    assert ask("GET", f"/v1/exports/{number}").status_code == 404


def test_a_person_is_found_by_each_identifier(ask):
    """By id, by e-mail whatever its case, and by cio_id with and without its prefix."""
    for path, kind in [
        ("u1", "id"),
        ("ADA@example.com", "email"),
        ("c1", "cio_id"),
        ("cio_c1", "cio_id"),
    ]:
        answer = ask("GET", f"/v1/customers/{path}/attributes", params={"id_type": kind})
        assert answer.json()["customer"]["identifiers"]["cio_id"] == "c1"

    strange = ask("GET", "/v1/customers/a%2Fb%20c%3Fd/attributes").json()["customer"]
    assert strange["id"] == "a/b c?d"
    assert ask("GET", "/v1/customers/u9/attributes").status_code == 404
    assert ask("GET", "/v1/customers/u1/attributes", params={"id_type": "phone"}).status_code == 400


def test_attributes_are_texts(ask):
    """Identifiers are among them, null is not, and `unsubscribed` is read in any spelling."""
    one = ask("GET", "/v1/customers/u1/attributes").json()["customer"]
    many = ask("POST", "/v1/customers/attributes", json={"ids": ["u2", "u9", "u1"]}).json()

    assert one["attributes"] == {
        "plan": "pro", "vip": "true", "id": "u1", "email": "Ada@example.com", "cio_id": "c1",
    }  # fmt: skip
    assert [each["customer"]["id"] for each in many["customers"]] == ["u2", "u1"]
    assert [each["customer"]["unsubscribed"] for each in many["customers"]] == [True, False]
    assert many["customers"][1]["customer"] == one


@pytest.mark.parametrize("ids", [[], ["u"] * 101, "u1", None])
def test_a_hundred_people_are_asked_for_at_most(ask, ids):
    """None and more than a hundred are errors."""
    assert ask("POST", "/v1/customers/attributes", json={"ids": ids}).status_code == 400


def test_people_are_found_by_email(ask):
    """An unknown address gives an empty list; no address is an error."""
    found = ask("GET", "/v1/customers", params={"email": "ada@EXAMPLE.com"}).json()

    assert found == {"results": [{"email": "Ada@example.com", "id": "u1", "cio_id": "c1"}]}
    assert ask("GET", "/v1/customers", params={"email": "x@example.com"}).json() == {"results": []}
    assert ask("GET", "/v1/customers").status_code == 400


def test_search_comes_in_pages(ask):
    """`next` leads through everybody once, whatever the size of a page."""
    seen, start = [], ""
    while True:
        query = {"limit": 3, "start": start}
        page = ask("POST", "/v1/customers", params=query, json={"filter": EVERYBODY}).json()
        seen += page["ids"]
        start = page["next"]
        if not start:
            break

    assert seen == ["u1", "u2", "", "a/b c?d"]
    for query in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"start": "!"}, {"start": "eA=="}):
        assert (
            ask("POST", "/v1/customers", params=query, json={"filter": EVERYBODY}).status_code
            == 400
        )


def event(ask, user, name, *, days, kind="track"):
    """Send an event of some days ago."""
    at = (NOW - timedelta(days=days)).isoformat()
    body = {"userId": user, "timestamp": at, "properties": {"n": days}}
    body |= {"event": name} if kind == "track" else {"name": name}
    if kind == "page":
        body["properties"]["url"] = name
    ask.http.post(f"/v1/{kind}", json=body, auth=(ask.sandbox.write_key, "")).raise_for_status()


def test_activities_are_the_events_of_thirty_days(ask):
    """The latest come first; types and names select; older events are left out."""
    event(ask, "u1", "Old", days=31)
    event(ask, "u1", "Joined", days=20)
    event(ask, "u2", "Joined", days=10)
    event(ask, "u1", "https://example.com/", days=5, kind="page")
    event(ask, "u1", "Main", days=1, kind="screen")

    def activities(path, **query):
        answer = ask("GET", path, params=query).json()
        return [(each["type"], each.get("name", each.get("url"))) for each in answer["activities"]]

    mine = "/v1/customers/u1/activities"
    assert activities(mine) == [
        ("screen", "Main"),
        ("page", "https://example.com/"),
        ("event", "Joined"),
    ]
    assert activities("/v1/activities") == [
        *activities(mine)[:2],
        ("event", "Joined"),
        ("event", "Joined"),
    ]
    assert activities("/v1/activities", customer_id="cio_c2", id_type="cio_id") == [
        ("event", "Joined")
    ]
    assert (
        activities(mine, type="event") == activities(mine, name="Joined") == [("event", "Joined")]
    )
    assert activities(mine, type="attribute_change") == []
    (first,) = ask("GET", mine, params={"limit": 1}).json()["activities"]
    assert first["customer_identifiers"] == {"email": "Ada@example.com", "id": "u1", "cio_id": "c1"}
    assert (first["timestamp"], first["data"]) == (
        int((NOW - timedelta(days=1)).timestamp()),
        {"n": 1},
    )
    assert ask("GET", "/v1/customers/u9/activities").status_code == 404
    assert ask("GET", mine, params={"limit": 101}).status_code == 400


@pytest.mark.parametrize("row", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("key", ["wrong", "", "basic", "write"])
def test_every_operation_needs_the_app_key(ask, row, key):
    """401 to no key, to another, to one that comes as a user name, and to the key that sends."""
    path = row.path.format(customer_id="u1", export_id=1)
    if key == "basic":
        answer = ask.http.request(row.method, path, auth=(ask.sandbox.app_api_key, ""))
    elif key:
        given = ask.sandbox.write_key if key == "write" else key
        answer = ask(row.method, path, key=given)
    else:
        answer = ask.http.request(row.method, path)

    assert answer.status_code == 401


def test_the_app_key_does_not_send(ask):
    """It is none of the keys of the other APIs."""
    answer = ask("POST", "/v1/identify", json={"userId": "u1"}, extensions={})
    strict = ask.http.post(
        "/v1/identify", json={"userId": "u7"}, auth=(ask.sandbox.app_api_key, ""),
        headers={"X-Strict-Mode": "1"},
    )  # fmt: skip

    assert (answer.status_code, strict.status_code) == (200, 401)
    assert ask.sandbox.dropped["reason"].to_list() == ["key.unknown"] * 2


def test_ten_requests_a_second_are_answered():
    """More are 429, whoever asks; a second later they are answered again."""
    with (
        Sandbox() as sandbox,
        httpx.Client(base_url=sandbox.url, trust_env=False) as http,
    ):
        headers = {"Authorization": f"Bearer {sandbox.app_api_key}"}
        began = time.monotonic()
        statuses = [http.get("/v1/exports", headers=headers).status_code for _ in range(30)]
        took = time.monotonic() - began
        time.sleep(1.1)
        later = http.get("/v1/exports", headers=headers).status_code

    assert statuses[:10] == [200] * 10
    assert statuses.count(200) <= 10 * (took + 1)
    assert took > 2 or 429 in statuses
    assert later == 200


def test_a_workspace_of_counts_has_no_people():
    """The answer is 501 with what to do, so it is not taken for an empty workspace."""
    with (
        Sandbox(keep="counts") as sandbox,
        httpx.Client(base_url=sandbox.url, trust_env=False) as http,
    ):
        headers = {"Authorization": f"Bearer {sandbox.app_api_key}"}
        answer = http.post("/v1/customers", json={"filter": EVERYBODY}, headers=headers)

    assert answer.status_code == 501
    assert "counts only" in answer.text


def test_email_is_no_identifier_everywhere():
    """If a workspace has ids only, people cannot be read by e-mail."""
    with (
        Sandbox(settings=Settings(identifiers=("id",))) as sandbox,
        httpx.Client(base_url=sandbox.url, trust_env=False) as http,
    ):
        headers = {"Authorization": f"Bearer {sandbox.app_api_key}"}
        answer = http.get("/v1/customers/u1/attributes?id_type=email", headers=headers)

    assert answer.status_code == 400


def test_a_reset_forgets_exports(ask):
    """Numbers begin again."""
    ask("POST", "/v1/exports/customers", json={"filters": EVERYBODY})
    ask.sandbox.reset()

    assert ask("GET", "/v1/exports").json() == {"exports": []}


def test_faults_reach_those_who_read(ask):
    """Throttled requests are answered 429, even if sending would be answered 200."""
    ask.sandbox.faults = Faults(dropped=1.0)

    assert ask("GET", "/v1/exports").status_code == 429


def test_the_key_can_be_given():
    """It is that of the sandbox, and drawn nowhere."""
    sandbox = Sandbox(app_api_key="CANARYapp")

    assert sandbox.app_api_key == "CANARYapp"
    assert "CANARYapp" not in repr(sandbox) + repr(sandbox._keys)
    with pytest.raises(SandboxError):
        _ = sandbox.url


@pytest.fixture
def official(ask):
    """The official client of the App API."""
    with APIClient(ask.sandbox.app_api_key, url=ask.sandbox.url, retries=0) as client:
        client.http.trust_env = False
        yield lambda method, path, body: client.send_request(
            method, f"{ask.sandbox.url}{path}", body
        ).json()


def test_the_official_client_reads(ask, official):
    """What it sends through its own session is answered: people, attributes, and an export to its end."""
    found = official("POST", "/v1/customers", {"filter": attribute("plan", "eq", value="pro")})
    attributes = official("GET", "/v1/customers/u1/attributes", {})
    several = official("POST", "/v1/customers/attributes", {"ids": ["u1", "u2"]})
    started = official(
        "POST", "/v1/exports/customers", {"filters": EVERYBODY, "attributes": ["id"]}
    )
    ask.clock[0] += timedelta(seconds=5)
    ready = official("GET", f"/v1/exports/{started['export']['id']}", {})
    link = official("GET", f"/v1/exports/{started['export']['id']}/download", {})

    assert [person["id"] for person in found["identifiers"]] == ["u1"]
    assert attributes["customer"]["attributes"]["plan"] == "pro"
    assert len(several["customers"]) == 2
    assert (ready["export"]["status"], ready["export"]["total"]) == ("done", 4)
    assert httpx.get(link["url"], trust_env=False).text.startswith("id\n")
    assert official("GET", "/v1/activities", {}) == {"activities": [], "next": ""}


def test_the_official_client_is_refused_with_another_key(ask):
    """It raises, with the status; what it can send besides is no part of the embedded workspace."""
    wrong = APIClient("wrong", url=ask.sandbox.url, retries=0)
    right = APIClient(ask.sandbox.app_api_key, url=ask.sandbox.url, retries=0)
    for client in (wrong, right):
        client.http.trust_env = False
    with wrong, pytest.raises(CustomerIOException, match="401"):
        wrong.send_request("GET", f"{ask.sandbox.url}/v1/exports", {})
    with right, pytest.raises(CustomerIOException, match="404"):
        right.send_email({"to": "ada@example.com"})
