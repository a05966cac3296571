"""Messages in doubt: which are sent again by themselves."""

import asyncio
import json
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

import httpx2
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.run.start import AUTOMATIC, is_resent
from cio_frames.spec import CALLS

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def rows(call, age):
    """Return one row in doubt."""
    return pl.DataFrame({"call": [call], "first_attempt_at": [NOW - age]}).cast(
        {"first_attempt_at": pl.Datetime("ms", "UTC")}
    )


@pytest.mark.parametrize(
    ("call", "age", "again"),
    [
        pytest.param("track", timedelta(hours=23), True, id="event-within-a-day"),
        pytest.param("track", timedelta(hours=25), False, id="event-after-a-day"),
        pytest.param("identify", timedelta(minutes=5), True, id="person"),
        pytest.param("group", timedelta(days=2), False, id="old-group"),
        pytest.param("alias", timedelta(hours=1), True, id="merge-within-a-day"),
        pytest.param("form", timedelta(0), False, id="form-at-once"),
        pytest.param("form", timedelta(minutes=1), False, id="form"),
        pytest.param("form", timedelta(minutes=-1), False, id="form-of-the-future"),
        pytest.param("form", timedelta(days=-400), False, id="form-of-another-year"),
        pytest.param("track", timedelta(hours=-1), True, id="event-of-the-future"),
        pytest.param("track", timedelta(hours=-25), False, id="event-of-another-day"),
    ],
)
def test_the_call_and_the_age_decide(call, age, again):
    """Without a word from the user, events and people are repeated within a day, forms never."""
    assert is_resent(rows(call, age), now=NOW, wanted=None).to_list() == [again]


@pytest.mark.parametrize(("word", "again"), [("resend", True), ("report", False), ("skip", False)])
def test_the_users_word_counts_more(word, again):
    """The user may have forms sent again, and keep events from it."""
    assert is_resent(rows("form", timedelta(days=9)), now=NOW, wanted=word).to_list() == [again]


def test_every_call_that_is_sent_has_a_policy():
    """No call is left without a window."""
    assert set(AUTOMATIC) == {
        name for name, call in CALLS.items() if call.api.name != "form-action"
    }


class LosesTheAnswer(httpx2.AsyncHTTPTransport):
    """Passes requests on, but loses the first answer and has the run end there."""

    def __init__(self):
        super().__init__()
        self.run = Future()

    async def handle_async_request(self, request):
        """Pass a request on."""
        response = await super().handle_async_request(request)
        await response.aread()
        await response.aclose()
        (await asyncio.wrap_future(self.run)).stop()
        raise httpx2.ReadError("the connection is gone")


def plan_of(call):
    """Return three rows as messages of a call."""
    frame = pl.DataFrame({"id": ["u1", "u2", "u3"], "n": [1, 2, 3]})
    if call == "identify":
        return frame.cio.identify(user_id="id")
    if call == "group":
        return frame.cio.group(group_id=cio.lit("acme"), object_type_id=cio.lit("1"), user_id="id")
    return frame.cio.track(event=cio.lit("Seen"), user_id="id", key=["n"])


@pytest.mark.parametrize("way", ["resume", "send"])
@pytest.mark.parametrize(("call", "rows"), [("identify", 3), ("group", 3), ("track", 0)])
def test_what_a_repeat_can_overwrite_is_noted(tmp_path, call, rows, way):
    """People and groups in doubt are sent again with a note in the run and its record; events without."""
    with cio.sandbox() as workspace:
        wire = LosesTheAnswer()
        client = cio.connect(
            endpoint=workspace.url, write_key=workspace.write_key, transport=wire, gzip=False
        )
        first = plan_of(call).send(client, audit=tmp_path, progress=False, wait=False)
        wire.run.set_result(first)
        first.wait()
        assert first.counts["in_doubt"] == 3

        if way == "resume":
            again = cio.resume(first.audit, workspace.client(), plan_of(call), progress=False)
        else:
            again = plan_of(call).send(workspace.client(), audit=tmp_path, progress=False)

    assert again.counts["delivered"] == 3
    assert [note.startswith(f"{rows} rows") for note in again.notes] == [True] * bool(rows)
    assert json.loads((again.audit / "run.json").read_text())["notes"] == list(again.notes)
    assert all(note in " ".join(str(again).split()) for note in again.notes)
