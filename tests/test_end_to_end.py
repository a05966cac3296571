"""From a frame to an audited send, for every call and every way to run it."""

import asyncio
import gc
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import (
    AuditError,
    ColumnNamesError,
    ColumnNotFoundError,
    InputFileError,
    NoIdentifierError,
    PlanRefusedError,
    RunStoppedError,
)
from cio_frames.payloads.ids import run_ids

SAMPLES = Path(__file__).parents[1] / "sample_data"
STATES = (
    "delivered", "accepted_unverified", "rejected_local", "rejected_server", "skipped_done",
    "blocked", "in_doubt", "pending",
)  # fmt: skip


@pytest.fixture
def workspace():
    """Give an embedded workspace that is stopped afterwards."""
    with cio.sandbox() as sandbox:
        yield sandbox


def plans():
    """Return one small plan per call."""
    rows = pl.DataFrame(
        {"id": ["u1", "u2"], "email": ["ada@example.com", "bo@example.com"], "x": [1, 2]}
    )
    return {
        "identify": rows.cio.identify(user_id="id"),
        "track": rows.cio.track(event=cio.lit("Done"), user_id="id"),
        "page": rows.cio.page(user_id="id", properties={"url": cio.lit("https://example.com/")}),
        "screen": rows.cio.screen(name=cio.lit("Home"), user_id="id"),
        "group": rows.cio.group(group_id=cio.lit("c1"), user_id="id", traits=["x"]),
        "alias": rows.cio.alias(previous_id="email", user_id="id"),
        "form": rows.cio.form(form_id=cio.lit("contact"), email="email", fields=["x"]),
    }


@pytest.mark.parametrize("call", plans())
def test_every_call_arrives(workspace, tmp_path, call):
    """Each call is delivered in strict mode, row by row, and found in the workspace."""
    run = plans()[call].send(workspace.client(), audit=tmp_path, progress=False)

    assert run.counts["delivered"] == run.counts["rows"] == 2
    assert sum(run.counts[state] for state in STATES) == 2
    assert workspace.messages.filter(pl.col("reason").is_null()).height == 2
    assert cio.audit(tmp_path).verify().is_empty()


def test_every_library_arrives_as_the_same_messages(frame_of, tmp_path, workspace):
    """Whatever built the frame, the workspace gets the same message ids, but for those of the run."""
    frame = frame_of({"id": ["u1", "u2"], "plan": ["pro", None]})
    reference = pl.DataFrame({"id": ["u1", "u2"], "plan": ["pro", None]})

    plan = cio.frame(frame).identify(user_id="id")
    run = plan.send(workspace.client(), audit=tmp_path, progress=False)

    expected = [message["messageId"] for message in reference.cio.identify(user_id="id").payloads()]
    # the order of two people is the order of their lanes, which depends on the version of polars
    sent = run_ids(workspace.messages["message_id"], seed=run.run_id)
    assert sorted(sent) == sorted(expected)


def test_a_wrong_key_stops_at_once_and_loses_nothing(workspace, tmp_path):
    """A 401 ends the run after one request; all rows stay pending, and can be sent later."""
    plan = cio.scan(SAMPLES / "people.csv").cio.identify(user_id="id")
    client = cio.connect(endpoint=workspace.url, write_key="wrong")

    with pytest.raises(RunStoppedError, match="401") as caught:
        plan.send(client, audit=tmp_path, progress=False)

    run = caught.value.run
    assert run.counts["pending"] == run.counts["rows"] == 2_000
    assert workspace.requests.height == 1
    assert run.failed().height == 2_000


def test_a_stopped_run_is_resumed_with_the_right_key_only_in_its_workspace(workspace, tmp_path):
    """A client with another key is a different workspace; the rows are sent by a new run."""
    plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")
    with pytest.raises(RunStoppedError) as caught:
        plan.send(
            cio.connect(endpoint=workspace.url, write_key="wrong"), audit=tmp_path, progress=False
        )

    with pytest.raises(AuditError, match="a different workspace"):
        cio.resume(caught.value.run.audit, workspace.client(), progress=False)

    run = plan.send(workspace.client(), audit=tmp_path, progress=False)
    assert run.counts["delivered"] == 1


def test_sending_twice_sends_once(workspace, tmp_path):
    """The same rows again, in another order and with new ones, send only what is new."""
    first = pl.DataFrame({"id": ["u1", "u2"]})
    longer = pl.DataFrame({"id": ["u3", "u2", "u1"]})
    first.cio.identify(user_id="id").send(workspace.client(), audit=tmp_path, progress=False)

    run = longer.cio.identify(user_id="id").send(workspace.client(), audit=tmp_path, progress=False)

    assert (run.counts["skipped_done"], run.counts["delivered"]) == (2, 1)
    assert workspace.messages.height == 3


def test_repeat_sends_again(workspace, tmp_path):
    """The user may insist."""
    plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")
    plan.send(workspace.client(), audit=tmp_path, progress=False)

    run = plan.send(workspace.client(), audit=tmp_path, progress=False, repeat=True)

    assert run.counts["delivered"] == 1


def test_an_interrupted_run_is_finished_by_resume(workspace, tmp_path):
    """A run that was stopped half-way is resumed without repeating or losing a row."""
    events = pl.read_parquet(SAMPLES / "events.parquet")
    plan = events.cio.track(
        event="event", user_id="user_id", anonymous_id="anonymous_id", timestamp="occurred_at"
    )
    slow = cio.connect(endpoint=workspace.url, write_key=workspace.write_key, rate=2)
    run = plan.send(slow, audit=tmp_path, progress=False, wait=False)
    while run.counts["delivered"] == 0:
        pass
    run.stop()
    run.wait()
    assert run.counts["pending"] > 0

    finished = cio.resume(run.audit, workspace.client(), progress=False)

    assert finished.counts["delivered"] == events.height
    assert workspace.messages.height == events.height
    assert workspace.messages["message_id"].n_unique() == events.height
    assert cio.audit(run.audit).verify().is_empty()


def test_resume_needs_the_plan_once_it_is_gone(workspace, tmp_path):
    """Messages are not kept on disk: without the plan, resume says what to pass."""
    plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")
    directory = plan.send(workspace.client(), audit=tmp_path, progress=False).audit
    del plan
    gc.collect()

    with pytest.raises(AuditError, match="Pass the original plan"):
        cio.resume(directory, workspace.client())


def test_failed_rows_come_back_as_they_were(workspace, tmp_path):
    """The rows that did not arrive come back with all columns, in the user's library."""
    pd = pytest.importorskip("pandas")
    people = pd.DataFrame({"id": ["u1", None], "note": ["a", "b"]}, index=[7, 9])

    run = people.cio.identify(user_id="id").send(workspace.client(), audit=tmp_path, progress=False)

    failed = run.failed()
    assert failed.index.tolist() == [9]
    assert failed["note"].tolist() == ["b"]
    assert failed["code"].tolist() == ["id.missing"]
    assert failed["row"].tolist() == [1]


def test_a_back_fill_sends_its_plans_in_order(workspace, tmp_path):
    """Everything of a plan has arrived before the next plan begins."""
    people = pl.DataFrame({"id": [f"u{n}" for n in range(50)]})
    fill = cio.backfill(
        [people.cio.identify(user_id="id"), people.cio.track(event=cio.lit("Joined"), user_id="id")]
    )

    run = fill.send(workspace.client(), audit=tmp_path, progress=False)

    assert run.counts["delivered"] == 100
    kinds = workspace.messages["type"].to_list()
    assert kinds == ["identify"] * 50 + ["track"] * 50


def test_asend_lets_other_tasks_go_on(workspace, tmp_path):
    """Under await, the program's own loop keeps running."""
    plan = cio.scan(SAMPLES / "people.csv").cio.identify(user_id="id")

    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(tick())
        run = await plan.asend(workspace.client(), audit=tmp_path, progress=False)
        beside.cancel()
        return run, ticks

    run, ticks = asyncio.run(main())
    assert run.counts["delivered"] == 2_000
    assert ticks > 10


def test_send_works_inside_a_running_loop(workspace, tmp_path):
    """A blocking send inside a coroutine, as in a notebook's cell, does not need another loop."""
    plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")

    async def main():
        return plan.send(workspace.client(), audit=tmp_path, progress=False)

    assert asyncio.run(main()).counts["delivered"] == 1


def test_a_plain_script_needs_one_line(tmp_path):
    """The line of the promise works in a script of its own and leaves nothing behind."""
    script = textwrap.dedent(f"""
        import pandas as pd
        import cio_frames as cio
        if __name__ == "__main__":
            people = pd.read_csv({str(SAMPLES / "people.csv")!r})
            run = people.cio.identify(user_id="id").send(cio.sandbox().client())
            print(run.counts["delivered"])
    """)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2000"


BAD = {
    "missing-column": (
        lambda _: pl.DataFrame({"user_id": ["u1"]}).cio.identify(user_id="userid"),
        ColumnNotFoundError,
        "Did you mean 'user_id'",
    ),
    "no-identifier": (
        lambda _: pl.DataFrame({"colour": ["red"]}).cio.identify(),
        NoIdentifierError,
        "identify needs user_id",
    ),
    "unreadable-file": (
        lambda folder: cio.scan(folder / "none.csv"),
        InputFileError,
        "none.csv",
    ),
    "duplicate-names": (
        lambda _: cio.frame(_doubled()).identify(user_id="id"),
        ColumnNamesError,
        "id",
    ),
}


def _doubled():
    import pyarrow as pa

    return pa.table([pa.array(["a"]), pa.array(["b"])], names=["id", "id"])


@pytest.mark.parametrize(("make", "error", "words"), BAD.values(), ids=BAD)
def test_bad_input_has_a_clear_error(tmp_path, make, error, words):
    """What cannot work raises one of the package's errors, which says what and what next."""
    with pytest.raises(error, match=words):
        make(tmp_path)


def test_an_empty_frame_is_a_run_of_no_rows(workspace, tmp_path):
    """No rows are not an error: nothing is sent, and the record says so."""
    empty = pl.DataFrame(schema={"id": pl.String, "plan": pl.String})

    run = empty.cio.identify(user_id="id").send(workspace.client(), audit=tmp_path, progress=False)

    assert run.counts["rows"] == 0
    assert workspace.requests.is_empty()
    assert cio.audit(tmp_path).runs["rows"].to_list() == [0]


def test_a_refused_plan_sends_nothing(workspace, tmp_path):
    """What could delete people is refused until it is allowed by name."""
    plan = pl.DataFrame({"id": ["u1"]}).cio.track(event=cio.lit("User Deleted"), user_id="id")

    with pytest.raises(PlanRefusedError, match=r"event\.destructive"):
        plan.send(workspace.client(), audit=tmp_path, progress=False)

    assert workspace.requests.is_empty()


def test_the_audit_is_read_by_any_parquet_tool(workspace, tmp_path):
    """pandas, polars and DuckDB read the same rows from the parts."""
    pd, duckdb = pytest.importorskip("pandas"), pytest.importorskip("duckdb")
    run = (
        pl.DataFrame({"id": ["u1", None]})
        .cio.identify(user_id="id")
        .send(workspace.client(), audit=tmp_path, progress=False)
    )
    parts = sorted((run.audit / "parts").glob("*.parquet"))

    with_polars = pl.read_parquet(parts).select("row", "state").rows()
    with_pandas = pd.concat(map(pd.read_parquet, parts))[["row", "state"]]
    with_duckdb = duckdb.read_parquet(str(parts[0])).select("row", "state").fetchall()

    assert with_polars == [(0, "delivered"), (1, "rejected_local")]
    assert list(with_pandas.itertuples(index=False, name=None)) == with_polars
    assert with_duckdb == with_polars
