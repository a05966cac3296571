"""This machine's clock is compared with the host's, once in a run and for the record only."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.sending.clock import SKEW_SECONDS, skew
from cio_frames.sending.events import ClockSkewed
from tests.sending.conftest import Host, run, segment

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
VIRTUAL = datetime(2026, 1, 1, tzinfo=UTC)


def header(at: datetime) -> str:
    """Return an instant as a `Date` header."""
    return format_datetime(at, usegmt=True)


@pytest.mark.parametrize(
    ("date", "ahead_s"),
    [
        pytest.param(header(NOON), 0.0, id="same"),
        pytest.param(header(NOON - timedelta(seconds=300)), 0.0, id="five-minutes"),
        pytest.param(header(NOON - timedelta(seconds=301)), 301.0, id="ahead"),
        pytest.param(header(NOON + timedelta(seconds=301)), -301.0, id="behind"),
        pytest.param(header(NOON + timedelta(days=400)), -400 * 86_400.0, id="another-year"),
        pytest.param("Thu, 01 Jan 2026 12:00:00", 0.0, id="no-zone"),
        pytest.param(None, 0.0, id="none"),
        pytest.param("", 0.0, id="empty"),
        pytest.param("soon", 0.0, id="garbage"),
        pytest.param("Thu, 99 Jan 2026 12:00:00 GMT", 0.0, id="no-such-day"),
        pytest.param("1 Jan 99999 00:00:00 GMT", 0.0, id="no-such-year"),
        pytest.param(f"1 Jan {'9' * 40} 00:00:00 GMT", 0.0, id="no-such-number"),
        pytest.param("1 Jan 2026 00:00:00 +9999", 0.0, id="no-such-zone"),
    ],
)
def test_the_clocks_are_compared(date, ahead_s):
    """More than five minutes are returned with their sign; an invalid header gives 0."""
    assert skew(date, now=NOON) == ahead_s


@given(st.integers(-(10**8), 10**8))
def test_only_a_large_difference_is_returned(seconds):
    """A difference beyond the limit is returned as it is, else 0."""
    ahead_s = skew(header(NOON - timedelta(seconds=seconds)), now=NOON)
    assert ahead_s == (seconds if abs(seconds) > SKEW_SECONDS else 0)


def dated(by: timedelta, status=200):
    """Return a host whose clock differs from virtual time."""

    def answer(heard):
        at = VIRTUAL + timedelta(seconds=heard.at) + by
        return httpx2.Response(status, json={}, headers={"Date": header(at)})

    return Host(answer)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        pytest.param(timedelta(hours=-2), [7_200], id="ahead"),
        pytest.param(timedelta(minutes=10), [-600], id="behind"),
        pytest.param(timedelta(minutes=4), [], id="close"),
    ],
)
def test_a_run_emits_the_fact_once(by, expected):
    """Of many responses with a distant date only the first causes a fact."""
    host = dated(by)
    facts = run_facts(host)

    assert [round(fact.ahead_s, -1) for fact in facts] == expected
    assert len(host.requests) == 10


def run_facts(host):
    """Return the facts of a run about the clocks; the host's responses mark nothing as applied."""
    found = []
    host.answer, answer = (lambda heard: _applied(host, heard, answer)), host.answer
    run([segment(100)], host, listen=found.append)
    return [fact for fact in found if isinstance(fact, ClockSkewed)]


def _applied(host, heard, answer):
    host.applied += heard.rows
    return answer(heard)


def test_the_note_is_in_the_summary_and_the_record(tmp_path):
    """The run shows a note, and run.json keeps it; no row and no state is different for it."""
    answer = httpx2.Response(200, json={}, headers={"Date": "Thu, 01 Jan 2015 00:00:00 GMT"})
    client = cio.connect(
        write_key="k1", transport=httpx2.MockTransport(lambda _: answer), environ={}
    )
    plan = pl.DataFrame({"id": ["u1", "u2"]}).cio.identify(user_id="id")

    run = plan.send(client, audit=tmp_path, progress=False)

    (note,) = run.notes
    assert "minutes ahead of Customer.io" in note
    assert run.counts["delivered"] == 2
    shown = run._repr_mimebundle_()
    assert "Note: This machine" in shown["text/plain"]
    assert "minutes ahead of Customer.io" in shown["text/html"]
    assert json.loads((run.audit / "run.json").read_text())["notes"] == [note]
    assert cio.audit(tmp_path).verify().is_empty()
