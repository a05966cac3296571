"""The official Python SDK is a client like any other."""

import warnings
from datetime import UTC, datetime

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from customerio.analytics.client import Client
    from customerio.analytics.request import _session

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def sdk(sandbox, monkeypatch):
    """The official client, one request for each call; its session is closed afterwards."""
    monkeypatch.setattr(_session, "trust_env", False)
    yield lambda **more: Client(sandbox.write_key, host=sandbox.url, sync_mode=True, **more)
    _session.close()


@pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning")
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_call_of_the_sdk_arrives(sandbox, sdk, packed):
    """People, events, objects, relationships and merges are those of the SDK's calls."""
    client = sdk(gzip=packed)
    client.track(anonymous_id="visitor", event="Ad Clicked", timestamp=WHEN)
    client.identify("u1", {"email": "ada@example.com", "plan": "pro"}, anonymous_id="visitor")
    client.identify("u0", {"city": "Oslo"})
    client.track("u1", "Order Completed", {"amount": 12.5, "tags": ["a"]}, timestamp=WHEN)
    client.page("u1", "Docs", "Home", {"url": "https://example.com/"}, timestamp=WHEN)
    client.screen("u1", "App", "Main", {"dark": True}, timestamp=WHEN)
    client.group("u1", "g1", {"name": "Initech", "relationshipAttributes": {"role": "admin"}})
    client.alias("u0", "u1")

    assert sandbox.dropped.is_empty()
    assert sandbox.counts["accepted"] == 8
    assert sandbox.people.select("id", "email", "anonymous_ids", "attributes").rows() == [
        ("u1", "ada@example.com", ["visitor"], '{"plan":"pro","city":"Oslo"}')
    ]
    assert sandbox.events.select("type", "name", "id").rows() == [
        ("track", "Ad Clicked", "u1"),
        ("track", "Order Completed", "u1"),
        ("page", "https://example.com/", "u1"),
        ("screen", "Main", "u1"),
    ]
    assert set(sandbox.events["timestamp"]) == {WHEN}
    assert sandbox.events["properties"][1] == '{"amount":12.5,"tags":["a"]}'
    assert sandbox.objects.rows() == [("1", "g1", '{"name":"Initech"}')]
    assert sandbox.relationships.select("object_id", "id", "attributes").rows() == [
        ("g1", "u1", '{"role":"admin"}')
    ]
    assert sandbox.merges["removed_keys"].to_list() == [["cio_c10000000002", "u0"]]


@pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning")
def test_sdk_takes_lost_data_for_success(sandbox, sdk):
    """The SDK does not notice that a wrong key loses everything: a 200 proves nothing."""
    client = sdk()
    client.write_key = "wrong"

    client.identify("u1", {"plan": "pro"})

    assert sandbox.people.is_empty()
    assert sandbox.dropped.select("type", "reason", "status").rows() == [
        ("identify", "key.unknown", 200)
    ]
