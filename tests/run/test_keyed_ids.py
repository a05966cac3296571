"""Message ids in the record reveal nothing without the key, and still identify what was sent."""

import hashlib
from pathlib import Path

import httpx2
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import AuditError, RunStoppedError

OTHER_KEY = "22" * 32
ROWS = pl.DataFrame(
    {"id": [f"u{n}" for n in range(5)], "at": [f"2026-01-0{n + 1}" for n in range(5)]}
)
PLAN = ROWS.cio.track(event=cio.lit("Bought"), user_id="id", timestamp="at")


@pytest.fixture
def workspace():
    """A workspace of this machine."""
    with cio.sandbox() as sandbox:
        yield sandbox


def written(folder: Path) -> bytes:
    """Return every byte of a record."""
    parts = [pl.read_parquet(path).write_csv().encode() for path in folder.rglob("*.parquet")]
    return b"".join([*parts, *(path.read_bytes() for path in folder.rglob("*.json"))])


@pytest.mark.parametrize("pii", ["hmac", "ids"])
def test_the_ids_on_the_wire_are_not_in_the_record(workspace, tmp_path, pii):
    """Neither the ids that were sent, nor their plain hashes, can be looked up in the record."""
    PLAN.send(workspace.client(), audit=tmp_path, progress=False, pii=pii)

    record = written(tmp_path).lower()
    sent = workspace.messages["message_id"].to_list()
    assert sorted(sent) == sorted(payload["messageId"] for payload in PLAN.payloads())
    for each in sent:
        assert each.lower().encode() not in record
        assert hashlib.sha256(each.encode()).hexdigest()[:16].encode() not in record
    assert cio.audit(tmp_path).messages["message_id"].str.len_chars().unique().to_list() == [26]


@pytest.mark.parametrize("given", [None, "id"], ids=["derived", "of-a-column"])
@pytest.mark.parametrize(("first", "then"), [("hmac", "hmac"), ("full", "hmac"), ("hmac", "full")])
def test_what_arrived_is_known_again(workspace, tmp_path, given, first, then):
    """A second run skips what the first delivered, whether ids are held keyed or as they are."""
    plan = ROWS.cio.track(event=cio.lit("Bought"), user_id="id", timestamp="at", message_id=given)
    for pii in (first, then):
        run = plan.send(workspace.client(), audit=tmp_path, progress=False, pii=pii)

    assert run.counts["skipped_done"] == 5
    assert workspace.messages.height == 5


def test_another_message_under_a_known_id_is_a_conflict(workspace, tmp_path):
    """Hashes of payloads are compared although they are keyed."""
    for event in ("Bought", "Sold"):
        plan = ROWS.cio.track(event=cio.lit(event), user_id="id", message_id="id")
        run = plan.send(workspace.client(), audit=tmp_path, progress=False)

    assert run.failed()["code"].to_list() == ["message.conflict"] * 5


def test_a_record_under_another_key_is_not_passed_over(workspace, tmp_path, monkeypatch):
    """With another key nothing could be known again, so nothing is sent."""
    PLAN.send(workspace.client(), audit=tmp_path, progress=False)
    monkeypatch.setenv("CIO_AUDIT_KEY", OTHER_KEY)

    with pytest.raises(AuditError, match="made with another key"):
        PLAN.send(workspace.client(), audit=tmp_path, progress=False)
    assert workspace.messages.height == 5


@pytest.mark.parametrize("pii", ["hmac", "ids", "full"])
def test_a_run_is_resumed_as_it_was_begun(tmp_path, pii):
    """A run with a record of either kind is resumed, and its rows are skipped afterwards."""
    refusing = httpx2.MockTransport(lambda _: httpx2.Response(401))
    client = cio.connect(write_key="k", transport=refusing, environ={})
    with pytest.raises(RunStoppedError) as stopped:
        PLAN.send(client, audit=tmp_path, progress=False, pii=pii)
    taking = httpx2.MockTransport(lambda _: httpx2.Response(200, json={}))
    client = cio.connect(write_key="k", transport=taking, environ={})

    run = cio.resume(stopped.value.run.audit, client, PLAN, progress=False)

    assert run.counts["delivered"] == 5
    assert PLAN.send(client, audit=tmp_path, progress=False).counts["skipped_done"] == 5
