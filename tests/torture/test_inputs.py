"""Which ids a message may come under."""

from hashlib import sha256

import polars as pl
import pytest

from cio_frames.payloads.ids import run_ids
from torture.inputs import Workload, arrivals, random_rows

RUN, OTHER = "20260601T000000000Z-abcdef", "20260601T000000000Z-ghijkl"
GIVEN = Workload(frame=random_rows(2, people=1, seed=1, parts=2), parts=2)
STATE, EVENT = GIVEN.texts[0], GIVEN.texts[1]


def came(text: str, *, seed: str | None) -> pl.DataFrame:
    """Return the log of a message that came under the id that a run makes of its own."""
    own = text.split('"messageId":"')[1][:26]
    sent = own if seed is None else run_ids(pl.Series([own]), seed=seed)[0]
    text = text.replace(own, sent)
    row = {
        "number": 1, "message_id": sent, "json": text, "reason": None,
        "payload_sha": sha256(text.encode()).hexdigest(),
    }  # fmt: skip
    return pl.DataFrame([row], schema_overrides={"reason": pl.String})


@pytest.mark.parametrize(
    ("text", "seed", "is_planned"),
    [
        (STATE, RUN, True),
        (STATE, OTHER, False),
        (STATE, None, False),
        (STATE.replace('"n":0', '"n":0,"x":1'), RUN, False),
        (EVENT, None, True),
        (EVENT, RUN, False),
    ],
    ids=[
        "state",
        "state, strange run",
        "state, planned id",
        "state, changed",
        "event",
        "event, id of run",
    ],
)
def test_only_states_come_under_ids_of_a_run(text, seed, is_planned):
    """A state comes under an id that one of the runs makes, an event under the planned one."""
    log = came(text, seed=seed)
    found = arrivals(log, GIVEN, runs=[RUN]).row(0, named=True)
    planned = dict(GIVEN.rows.select("key", "payload_sha").iter_rows())
    assert found["message_id"] == log["message_id"][0]
    assert (found["payload_sha"] == planned[found["key"]]) is is_planned
