"""Every Pipelines endpoint, good and bad, permissive and strict."""

import base64
import gzip
import json

import httpx
import pytest

from cio_frames.identity import Settings
from cio_frames.sandbox import Sandbox

GOOD = {
    "identify": {"userId": "u1", "traits": {"plan": "pro"}},
    "track": {"userId": "u1", "event": "Order Completed", "properties": {"amount": 3}},
    "page": {"userId": "u1", "name": "Home", "properties": {"url": "https://example.com/"}},
    "screen": {"anonymousId": "a1", "name": "Main"},
    "group": {"groupId": "g1", "userId": "u1", "traits": {"name": "Initech"}},
    "alias": {"previousId": "u0", "userId": "u1"},
}
BAD = {
    "identify": {"traits": {"plan": "pro"}},
    "track": {"userId": "u1", "event": "  "},
    "page": {"userId": 7, "name": "Home"},
    "screen": {"anonymousId": "a1", "properties": ["x"]},
    "group": {"userId": "u1", "groupId": None},
    "alias": {"previousId": "u0"},
}
SINGLE = sorted(GOOD)
FAULTS = {
    "bad-data": ("message.invalid", 400),
    "oversize": ("message.too-large", 400),
    "bad-key": ("key.unknown", 401),
    "no-key": ("key.unknown", 401),
    "key-as-password": ("key.unknown", 401),
}


def as_item(call: str, message: dict) -> dict:
    """Return a message as an item of a batch."""
    return {"type": call, **message}


def fill(message: dict, *, to_bytes: int) -> bytes:
    """Return the message as JSON of exactly that many bytes."""
    empty = json.dumps(message | {"context": {"locale": ""}}, separators=(",", ":"))
    padding = "x" * (to_bytes - len(empty))
    return json.dumps(message | {"context": {"locale": padding}}, separators=(",", ":")).encode()


def send(caller, call: str, fault: str, *, strict: bool, in_batch: bool):
    """Send a call, alone or as a batch of one, with one fault."""
    message = BAD[call] if fault == "bad-data" else GOOD[call]
    auth = {
        "bad-key": ("wrong", ""),
        "no-key": ("", ""),
        "key-as-password": ("", caller.sandbox.write_key),
    }.get(fault)
    body = fill(as_item(call, message), to_bytes=32_001 if fault == "oversize" else 2_000)
    if fault == "bad-data":
        body = json.dumps(as_item(call, message)).encode()
    if in_batch:
        body = b'{"batch":[' + body + b"]}"
    path = "/v1/batch" if in_batch else f"/v1/{call}"
    return caller.post(path, auth=auth, strict=strict, content=body)


@pytest.mark.parametrize("in_batch", [False, True], ids=["alone", "in-batch"])
@pytest.mark.parametrize("strict", [False, True], ids=["permissive", "strict"])
@pytest.mark.parametrize("call", SINGLE)
def test_good_message_is_accepted(caller, sandbox, call, strict, in_batch):
    """A good message is answered with 200 and an empty object, and nothing is dropped."""
    answer = send(caller, call, "", strict=strict, in_batch=in_batch)

    assert (answer.status_code, answer.json()) == (200, {})
    assert sandbox.dropped.is_empty()
    assert sandbox.messages["type"].to_list() == [call]


@pytest.mark.parametrize("in_batch", [False, True], ids=["alone", "in-batch"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("call", SINGLE)
def test_permissive_mode_answers_200_and_drops(caller, sandbox, call, fault, in_batch):
    """Without strict mode every fault is answered as success, and the message is dropped."""
    answer = send(caller, call, fault, strict=False, in_batch=in_batch)

    assert (answer.status_code, answer.json()) == (200, {})
    assert sandbox.dropped.select("type", "reason", "status").rows() == [
        (call, FAULTS[fault][0], 200)
    ]
    assert sandbox.people.is_empty()
    assert sandbox.events.is_empty()


@pytest.mark.parametrize("in_batch", [False, True], ids=["alone", "in-batch"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("call", SINGLE)
def test_strict_mode_returns_the_errors(caller, sandbox, call, fault, in_batch):
    """In strict mode the status and the errors show what was wrong, and nothing is applied."""
    reason, status = FAULTS[fault]

    answer = send(caller, call, fault, strict=True, in_batch=in_batch)

    assert answer.status_code == status
    assert len(answer.json()["meta"]["errors"]) == 1
    assert sandbox.dropped.select("reason", "status").rows() == [(reason, status)]
    assert sandbox.people.is_empty()


@pytest.mark.parametrize(
    ("value", "status"),
    [("1", 400), ("true", 200), ("01", 200), ("", 200), ("1, 1", 200)],
    ids=["one", "true", "01", "empty", "twice"],
)
def test_only_the_text_1_is_strict(caller, value, status):
    """Strict mode needs the header to be exactly 1."""
    answer = caller.post("/v1/track", BAD["track"], headers={"X-Strict-Mode": value})

    assert answer.status_code == status


@pytest.mark.parametrize("strict", [False, True], ids=["permissive", "strict"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"userId": NaN}', b'{"userId": "u"} x', b'{"a": "\xff"}', b"[" * 5_000],
    ids=["empty", "cut", "nan", "trailing", "not-utf-8", "too-deep"],
)
@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch"])
def test_malformed_json_is_400_in_both_modes(caller, sandbox, path, body, strict):
    """Bytes that are not JSON are rejected in both modes."""
    answer = caller.post(path, strict=strict, content=body)

    assert answer.status_code == 400
    assert sandbox.dropped["reason"].to_list() == ["json.malformed"]


@pytest.mark.parametrize(
    "body", [{}, [], {"batch": {}}, {"batch": None}, {"batch": [], "context": 1}], ids=repr
)
def test_body_that_is_no_batch_is_bad_data(caller, body):
    """A batch request without a list of messages is silently lost, or rejected in strict mode."""
    assert caller.post("/v1/batch", body).status_code == 200
    assert caller.post("/v1/batch", body, strict=True).status_code == 400


def test_a_strict_batch_with_one_bad_item_is_rejected_whole(caller, sandbox):
    """One bad message makes strict mode reject the batch, and none of it is applied."""
    items = [as_item("identify", GOOD["identify"]), as_item("track", BAD["track"])]

    answer = caller.post("/v1/batch", {"batch": items}, strict=True)

    assert answer.status_code == 400
    assert answer.json()["meta"]["errors"] == ["[1] event is required"]
    assert sandbox.dropped["reason"].to_list() == ["batch.refused", "message.invalid"]
    assert sandbox.people.is_empty()


def test_permissive_batch_drops_the_bad_item_alone(caller, sandbox):
    """Without strict mode the good messages of a batch are applied."""
    items = [as_item("identify", GOOD["identify"]), as_item("track", BAD["track"]), {"type": "x"}]

    answer = caller.post("/v1/batch", {"batch": items})

    assert answer.status_code == 200
    assert sandbox.people["id"].to_list() == ["u1"]
    assert sandbox.dropped.select("item", "type").rows() == [(1, "track"), (2, "x")]


def test_batch_errors_items_applies_the_good_ones(served):
    """With batch_errors="items" strict mode answers 400 and still applies the good messages."""
    with Sandbox(batch_errors="items") as other:
        items = [as_item("identify", GOOD["identify"]), as_item("track", BAD["track"])]
        answer = served.http.post(
            f"{other.url}/v1/batch",
            json={"batch": items},
            auth=(other.write_key, ""),
            headers={"X-Strict-Mode": "1"},
        )

        assert answer.status_code == 400
        assert other.people["id"].to_list() == ["u1"]


@pytest.mark.parametrize(
    ("size", "status"), [(32_000, 200), (32_001, 413)], ids=["limit", "one-more"]
)
def test_message_limit_counts_raw_bytes(served, size, status):
    """The limit of a message is 32,000 bytes of JSON, however small it was packed."""
    with Sandbox(oversize_status=413) as other:
        answer = served.http.post(
            f"{other.url}/v1/identify",
            content=gzip.compress(fill(GOOD["identify"], to_bytes=size)),
            auth=(other.write_key, ""),
            headers={"X-Strict-Mode": "1", "Content-Encoding": "gzip"},
        )

        assert answer.status_code == status


@pytest.mark.parametrize(("extra", "dropped"), [(0, 0), (1, 17)], ids=["limit", "one-more"])
def test_batch_limit_counts_the_envelope(caller, sandbox, extra, dropped):
    """The limit of a batch is 500,000 bytes with its envelope, and beyond it nothing counts."""
    items = [fill(as_item("identify", GOOD["identify"]), to_bytes=30_000) for _ in range(16)]
    rest = 500_000 + extra - sum(map(len, items)) - 16 - len(b'{"batch":[]}')
    items.append(fill(as_item("identify", GOOD["identify"]), to_bytes=rest))
    body = b'{"batch":[' + b",".join(items) + b"]}"

    answer = caller.post("/v1/batch", content=body)

    assert len(body) == 500_000 + extra
    assert answer.status_code == 200
    assert sandbox.counts == {
        "requests": 1,
        "messages": 17,
        "accepted": 17 - dropped,
        "dropped": dropped,
    }
    assert set(sandbox.dropped["reason"]) == ({"batch.too-large"} if dropped else set())


def test_number_beyond_a_float_does_not_break_the_workspace(caller, sandbox):
    """A number too large for a float is accepted as JSON, and the person exists."""
    body = b'{"batch":[{"type":"identify","userId":"u1","traits":{"n":1e999}}]}'

    assert caller.post("/v1/batch", strict=True, content=body).status_code == 200
    assert sandbox.people["id"].to_list() == ["u1"]


def test_requests_are_logged_without_their_content(caller, sandbox):
    """The log of requests has number, path, mode, sizes, items and the retry count."""
    body = json.dumps({"batch": [as_item("track", GOOD["track"])] * 3}).encode()
    packed = gzip.compress(body)
    caller.post(
        "/v1/batch",
        strict=True,
        content=packed,
        headers={"Content-Encoding": "gzip", "X-Retry-Count": "2"},
    )
    caller.http.get("/v1/nothing")

    first, second = sandbox.requests.rows(named=True)
    assert (first["number"], first["path"], first["status"]) == (1, "/v1/batch", 200)
    assert (first["bytes"], first["wire_bytes"]) == (len(body), len(packed))
    assert (first["strict"], first["items"], first["retries"]) == (True, 3, 2)
    assert (second["number"], second["method"], second["status"]) == (2, "GET", 404)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/track", 405), ("POST", "/v1/nothing", 404), ("PUT", "/v1/batch", 405)],
)
def test_a_wrong_path_or_method_is_an_error(caller, method, path, status):
    """A path or a method that does not exist is answered with its own status."""
    answer = caller.http.request(method, path)

    assert (answer.status_code, "errors" in answer.json()["meta"]) == (status, True)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Basic {good}", 200),
        ("basic {good}", 200),
        ("Bearer {good}", 401),
        ("Basic {bare}", 401),
        ("Basic {key}", 401),
        ("Basic {password}", 401),
        ("Basic ???", 401),
        ("Basic \u00e9", 401),
        ("{good}", 401),
        ("", 401),
    ],
)
def test_key_is_basic_with_a_blank_password(caller, sandbox, header, status):
    """Only base64 of the key and a colon opens the Pipelines calls (C2)."""
    key = sandbox.write_key
    forms = {"good": f"{key}:", "bare": key, "password": f"{key}:x"}
    values = {name: base64.b64encode(text.encode()).decode() for name, text in forms.items()}
    headers = {"Authorization": header.format(key=key, **values).encode(), "X-Strict-Mode": "1"}

    answer = caller.http.post("/v1/track", json=GOOD["track"], headers=headers)

    assert answer.status_code == status


def test_region_answers_only_track_credentials(caller, sandbox):
    """The region lookup answers good Track credentials, and 401 to everything else."""
    path = "/api/v1/accounts/region"

    good = caller.http.get(path, auth=(sandbox.site_id, sandbox.track_api_key))
    bad = caller.http.get(path, auth=(sandbox.write_key, ""))

    assert good.json() == {"url": sandbox.url, "region": "us", "environment_id": 1}
    assert bad.status_code == 401


def test_a_track_of_a_group_needs_no_person(caller, sandbox):
    """An event with groupId alone is accepted and recorded without a person."""
    message = {"groupId": "g1", "event": "Plan Changed"}

    assert caller.post("/v1/track", message, strict=True).status_code == 200
    assert sandbox.events.select("name", "person", "anonymous_id", "attribution").rows() == [
        ("Plan Changed", None, None, "group")
    ]
    assert sandbox.people.is_empty()
    assert sandbox.failures.is_empty()


@pytest.mark.parametrize("call", ["page", "screen"])
def test_only_a_track_can_be_of_a_group(caller, call):
    """Pages and screens need a person or a visitor."""
    message = {"groupId": "g1", "name": "Home", "properties": {"url": "https://example.com/"}}

    assert caller.post(f"/v1/{call}", message, strict=True).status_code == 400


EMPTY = {"userId": "", "traits": {"email": "ada@example.com"}}


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(
    ("setting", "message", "status"),
    [
        pytest.param("refused", EMPTY, 400, id="refused"),
        pytest.param("email", EMPTY, 200, id="email"),
        pytest.param("email", EMPTY | {"userId": None, "anonymousId": ""}, 200, id="anonymous"),
        pytest.param("email", {"traits": EMPTY["traits"]}, 400, id="no-id-at-all"),
        pytest.param("email", EMPTY | {"traits": {"email": " "}}, 400, id="blank-email"),
        pytest.param("email", EMPTY | {"traits": {"email": 5}}, 400, id="email-is-no-text"),
        pytest.param("email", {"userId": ""}, 400, id="no-traits"),
    ],
)
def test_an_empty_user_with_an_email_is_a_setting(setting, message, status, batched):
    """An identify with userId "" is invalid, or about traits.email where the workspace is set so."""
    body = {"batch": [as_item("identify", message)]} if batched else message
    path = "/v1/batch" if batched else "/v1/identify"
    settings = Settings(empty_user=setting)
    with Sandbox(settings=settings) as sandbox, httpx.Client(trust_env=False) as http:
        answer = http.post(
            f"{sandbox.url}{path}",
            json=body,
            auth=(sandbox.write_key, ""),
            headers={"X-Strict-Mode": "1"},
        )

        assert answer.status_code == status
        found = ["ada@example.com"] if status == 200 else []
        assert sandbox.people["email"].to_list() == found


def test_an_object_type_beside_the_traits_is_a_failure(caller, sandbox):
    """The object gets type 1, and the workspace's failures say that the other was not read."""
    message = GOOD["group"] | {"objectTypeId": "2"}

    assert caller.post("/v1/group", message, strict=True).status_code == 200
    assert sandbox.objects["object_type_id"].to_list() == ["1"]
    assert sandbox.failures.select("rule", "subject").rows() == [
        ("object.type-aside", "objectTypeId")
    ]
