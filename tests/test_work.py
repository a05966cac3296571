"""A guard that counts work, not time: no Python object is made per row, and requests are full."""

import sys
import threading
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

import cio_frames as cio
from benchmarks.inputs import events
from benchmarks.measure import sink
from cio_frames.checks.times import _person_times
from cio_frames.frames import ROW
from cio_frames.payloads import Segment
from cio_frames.payloads import json as payloads_json
from cio_frames.payloads.encode import tree
from cio_frames.payloads.ids import ulids
from cio_frames.payloads.json import members
from cio_frames.plan import full_check
from cio_frames.plan.full_check import KEPT_MESSAGES
from cio_frames.run import RowSelection
from cio_frames.validation import BLOCKING, compile_checks, run_checks
from cio_frames.values import json_text

ROWS = (10_000, 45_000)
CALLS_PER_ROW = 0.6
OURS = (str(Path(cio.__file__).parent), __file__)
FILL = 0.95


class Counter:
    """Counts calls of this package's functions, and calls they make, in every thread.

    What the HTTP library and the event loop do for each request is left out: they make thousands
    of calls per request, which would hide a call per row.
    """

    def __init__(self):
        self.calls = 0

    def __call__(self, frame, event, _argument):
        """Take note of an event of the interpreter."""
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(OURS):
            self.calls += 1


@contextmanager
def counted():
    """Count the calls made in this thread and in those that begin meanwhile."""
    counter = Counter()
    threading.setprofile(counter)
    sys.setprofile(counter)
    try:
        yield counter
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def plan_of(rows, tmp_path):
    """Return a plan for events in a Parquet file."""
    path = tmp_path / f"{rows}.parquet"
    events(rows).write_parquet(path)
    return cio.scan(path).cio.track(event="event", user_id="user_id", timestamp="occurred_at")


def slope(few, many):
    """Return how many more calls each further row made."""
    return (many - few) / (ROWS[1] - ROWS[0])


def test_planning_makes_no_call_per_row(tmp_path):
    """Checking, encoding and cutting take the same number of calls however many rows there are."""
    calls = []
    for rows in ROWS:
        plan = plan_of(rows, tmp_path)
        with counted() as counter:
            planned = list(plan.pipeline.segments(RowSelection()))
        assert sum(segment.rows.height for segment in planned) == rows
        calls.append(counter.calls)

    assert slope(*calls) < CALLS_PER_ROW


def test_sending_makes_no_call_per_row(tmp_path):
    """The whole way to the wire, record included, makes no call per row."""
    calls = []
    with sink() as url:
        client = cio.connect(endpoint=url, write_key="guard", rate=None)
        plan_of(100, tmp_path).send(client, audit=tmp_path / "warm", progress=False)
        for rows in ROWS:
            plan = plan_of(rows, tmp_path)
            with counted() as counter:
                run = plan.send(client, audit=tmp_path / "audit", progress=False, repeat=True)
            assert run.counts["delivered"] == rows
            calls.append(counter.calls)

    print(f"{slope(*calls):.3f} calls per further row")
    assert slope(*calls) < CALLS_PER_ROW


def test_a_report_writes_the_first_messages_alone(tmp_path, monkeypatch):
    """Of the others it takes the size, which is that of the written message, and derives no id."""
    plan, written = plan_of(20_000, tmp_path), []
    expected = sum(chunk.messages["bytes"].sum() for chunk in plan.pipeline.encode_chunks())
    monkeypatch.setattr(
        sys.modules["cio_frames.payloads.encode"],
        "ulids",
        lambda digests, **options: written.append(len(digests)) or ulids(digests, **options),
    )

    assert plan.counts["bytes"] == expected
    assert sum(written) == KEPT_MESSAGES


def test_rejected_rows_before_the_first_message_take_no_call_each(tmp_path):
    """The first messages of a table that rejects all rows but the last are found in whole chunks."""
    calls = []
    for rows in ROWS:
        path = tmp_path / f"last-{rows}.parquet"
        is_last = pl.int_range(pl.len()) == rows - 1
        frame = events(rows).with_columns(user_id=pl.when(is_last).then("user_id"))
        frame.write_parquet(path)
        plan = cio.scan(path).cio.track(event="event", user_id="user_id", timestamp="occurred_at")
        with counted() as counter:
            assert len(plan.payloads(5)) == 1
        calls.append(counter.calls)

    assert slope(*calls) < CALLS_PER_ROW / 10


def test_whether_anything_can_be_sent_is_not_asked_of_mere_warnings():
    """What decides which rows are sent is a part of the checks; only that is looked for before a send."""
    plan = pl.DataFrame({"id": ["u1"], "email": ["a@x.co"]}).cio.identify(user_id="id")

    tests = {test.code: test.severity for test in plan.pipeline.encoding().tests}
    asked = {test.code for test in plan.pipeline.encoding(only_blocking=True).tests}

    assert asked == {code for code, severity in tests.items() if severity in BLOCKING}
    assert 0 < 2 * len(asked) < len(tests)


QUERIES = 80


def test_a_small_plan_asks_the_engine_little():
    """The report of one row takes few queries: none is made about what is empty."""
    frame, queries = pl.DataFrame({"id": ["u1"], "email": ["a@x.co"], "plan": ["x"]}), []

    def note(_frame, event, called):
        if event == "c_call" and called.__name__ in ("collect", "collect_all"):
            queries.append(called)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        counts = frame.cio.identify(user_id="id").counts
    finally:
        sys.setprofile(None)
        threading.setprofile(None)

    assert counts["valid"] == 1
    assert 10 < len(queries) <= QUERIES


def test_a_loop_over_rows_would_be_noticed():
    """The guard has teeth: one call per row is more than it allows."""
    calls = []
    for rows in ROWS:
        frame = events(rows)
        with counted() as counter:
            for row in frame.iter_rows():
                len(row)
        calls.append(counter.calls)

    assert slope(*calls) > CALLS_PER_ROW


@pytest.mark.parametrize("rows", [50_000, 120_000])
def test_requests_are_full(tmp_path, rows):
    """Batches are filled to 95 % of the limit on average, but for the last of each segment."""
    plan = plan_of(rows, tmp_path)

    sizes = [
        len(batch.body())
        for segment in plan.pipeline.segments(RowSelection())
        for batch in full(segment)
    ]

    assert max(sizes) <= plan.pipeline.batch_bytes
    assert sum(sizes) / len(sizes) >= FILL * plan.pipeline.batch_bytes


def full(segment: Segment):
    """Return the batches of a segment that could have been filled."""
    return segment.batches[:-1] if len(segment.batches) > 1 else segment.batches


def test_chunks_do_not_change_the_messages(tmp_path):
    """Bytes and ids do not depend on how the rows are cut into chunks."""
    plan = plan_of(3_000, tmp_path)

    whole, parts = (
        pl.concat(
            [
                worked.messages.select("row", "message")
                for worked in plan.pipeline.encode_chunks(chunk_rows=rows)
            ]
        )
        for rows in (10_000, 700)
    )

    assert whole.equals(parts)


def test_bytes_are_copied_twice_at_most(tmp_path):
    """From messages to the body of a request, Python holds two copies of the bytes, no more."""
    (segment,) = plan_of(2_000, tmp_path).pipeline.segments(RowSelection())
    batch = segment.batches[0]
    batch.body()

    with allocations() as peak:
        body = batch.body()

    assert len(body) > 400_000
    assert len(body) <= peak() <= 2.1 * len(body)


def test_messages_are_not_copied_into_python(tmp_path):
    """Planning keeps the messages in the engine: what Python holds meanwhile is half of them."""
    plan = plan_of(20_000, tmp_path)
    list(plan_of(100, tmp_path).pipeline.segments(RowSelection()))

    with allocations() as peak:
        (segment,) = plan.pipeline.segments(RowSelection())

    assert peak() < 0.5 * segment.rows["bytes"].sum()


@contextmanager
def allocations():
    """Tell the most bytes that Python and numpy held at once."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        peak: list[int] = []
        yield lambda: peak[0]
        peak.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()


def test_times_written_as_text_are_read_once():
    """Checks and messages take a row's time from one column; no other expression parses texts.

    Those for dates in other forms are the exception: they ask only texts that are no ISO time.
    """
    frame = pl.DataFrame({"id": ["u1"], "event": ["E"], "at": ["2026-01-02 03:04:05"]})
    plan = frame.cio.track(user_id="id", event="event", timestamp="at", timezone="Europe/Berlin")
    field = plan.pipeline.mapping.find("timestamp")
    times = [
        test
        for test in compile_checks(plan.pipeline.applied, scope=plan.pipeline.scope())
        if test.column == "at"
    ]

    parsing = {test.code for test in times if "strptime" in str(test.predicate.fails)}
    known = {
        test.code
        for test in times
        if {field.utc_column, field.ambiguous_column} & set(roots(test.predicate.fails))
    }

    assert parsing == {"time.unreadable", "time.compact"}
    assert known >= parsing | {"time.future", "time.early", "time.recent", "time.clock-change"}
    assert field.utc_column in roots(
        members(tree(plan.pipeline.mapping), frame=plan.pipeline.mapping.prepare(numbered(frame)))
    )


def test_a_warning_about_every_row_is_small():
    """The text of a finding is not kept again for each row: a finding takes less than 50 bytes."""
    rows = 20_000
    frame = pl.DataFrame({"id": ["u1"], "event": ["E"], "at": ["2026-01-02 03:04:05"]})
    every = pl.concat([frame] * rows)

    plan = every.cio.track(user_id="id", event="event", timestamp="at")
    findings = plan.pipeline.full_check.findings.filter(pl.col("code") == "time.naive-text")

    assert findings.height == rows
    assert findings.rechunk().estimated_size() < 50 * rows
    assert set(plan.findings.drop("row").schema.dtypes()) == {pl.String}


def test_a_report_keeps_no_number_of_a_row_that_nothing_can_change(tmp_path, monkeypatch):
    """Of rows whose outcome no later chunk can change, sums are kept, and people once."""
    results, add = [], full_check._ChunkResults.add
    monkeypatch.setattr(
        full_check._ChunkResults, "add", lambda self, part: results.append(self) or add(self, part)
    )
    plan = plan_of(120_000, tmp_path)

    assert plan.counts["valid"] == 120_000
    assert len(results) > 1
    assert not sum(part.height for part in results[-1].measures)
    assert len(results[-1].people) == plan.pipeline.full_check.people


@pytest.mark.parametrize("is_sorted", [True, False])
def test_of_times_the_latest_of_each_person_is_kept(monkeypatch, is_sorted):
    """Rows that are out of order are found without the times of all rows, with the same result."""
    rows = events(6_000) if is_sorted else events(6_000).sample(fraction=1, shuffle=True, seed=1)
    columns = {"event": "event", "user_id": "user_id", "timestamp": "occurred_at"}
    findings, longest = rows.cio.track(**columns).findings, []
    monkeypatch.setattr(run_checks, "MIN_REDUCED", 100)
    monkeypatch.setattr("cio_frames.plan.chunks.CHUNK_ROWS", 500)
    add = run_checks.TableAggregates.add

    def noted(self, part):
        add(self, part)
        longest.append(sum(map(len, self._parts[_person_times])))

    monkeypatch.setattr(run_checks.TableAggregates, "add", noted)

    assert rows.cio.track(**columns).findings.equals(findings)
    assert longest[-1] <= 2 * rows["user_id"].n_unique() + 501


def test_the_size_of_plain_texts_and_times_is_taken_without_writing_them(monkeypatch):
    """Only values whose length in JSON differs from that of their text are written, such as texts with quotes."""
    written = []
    monkeypatch.setattr(
        payloads_json, "json_text", lambda values: written.append(values) or json_text(values)
    )
    rows = events(100)
    columns = {"event": "event", "user_id": "user_id", "timestamp": "occurred_at"}

    assert rows.cio.track(**columns).counts["valid"] == 100
    assert not written
    quoted = rows.with_columns(currency=pl.lit('"EUR"'))
    assert quoted.cio.track(**columns).counts["valid"] == 100
    assert len(written) == 1


def roots(expression):
    """Return the columns that an expression reads."""
    return expression.meta.root_names()


def numbered(frame):
    """Return a frame with the row numbers that a table gives it."""
    return frame.with_row_index(ROW).cast({ROW: pl.Int64})
