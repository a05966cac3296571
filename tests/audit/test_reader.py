"""The reader returns the rows of one run and of all runs, and notices damage."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from cio_frames.audit import Audit, recover, run_file
from cio_frames.audit.file_system import LocalFileSystem
from cio_frames.audit.schema import FAILED, PART_SCHEMA, STATES
from cio_frames.errors import AuditCorruptError, AuditError
from cio_frames.sending.events import RunFinished

OTHER = "20260302T120000000Z-zzzzzz"


@pytest.fixture
def run(begin, make_scripted_run) -> Path:
    """The directory of a run in which everything happened."""
    writer = begin()
    make_scripted_run(writer).run()
    return writer.directory


@pytest.fixture
def two_runs(run, begin, info, make_segment, make_scripted_run) -> Path:
    """A directory with that run and a second one that delivered all."""
    writer = begin(info=replace(info, run_id=OTHER))
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(3, 2))
    scripted.plan(made)
    for batch in made.batches:
        scripted.deliver(batch)
    writer.close()
    return run.parent


def problems(directory: Path) -> str:
    """Return the problems that `verify` finds, as text."""
    return " ".join(Audit(directory).verify()["problem"])


def test_every_tool_reads_the_record(run):
    """pandas, polars and DuckDB see the same rows, states and moments."""
    duckdb = pytest.importorskip("duckdb")
    pd = pytest.importorskip("pandas")
    files = sorted((run / "parts").iterdir())

    with_polars = pl.read_parquet(files)
    with_pandas = pd.concat([pd.read_parquet(file) for file in files])
    query = (
        "select state, count(*), min(epoch_ms(first_attempt_at)) from read_parquet(?) group by 1"
    )
    with_duckdb = duckdb.connect().execute(query, [str(run / "parts" / "*.parquet")]).fetchall()

    assert with_polars.columns == PART_SCHEMA.names() == list(with_pandas.columns)
    assert with_polars["message_id"].to_list() == with_pandas["message_id"].tolist()
    by_state = with_polars.group_by("state").agg(
        pl.len(), pl.col("first_attempt_at").min().dt.epoch("ms")
    )
    assert set(with_duckdb) == set(by_state.iter_rows())
    assert with_pandas["first_attempt_at"].min() == with_polars["first_attempt_at"].min()


def test_all_runs_of_a_directory_are_read(two_runs):
    """The parent directory gives all runs, and a run's own directory that one."""
    audit = Audit(two_runs)

    assert audit.runs["run_id"].to_list() == sorted([OTHER, *set(audit.runs["run_id"])])[:2]
    assert audit.messages.height == 18 + 5
    assert Audit(two_runs / OTHER).messages["state"].unique().to_list() == ["delivered"]
    assert "2 runs: 18 rows, 7 of them not delivered" in repr(audit)  # the 5 are in both


def test_the_states_of_a_run_add_up(two_runs):
    """Every row of every run is in exactly one state."""
    runs = Audit(two_runs).runs

    assert runs.select(pl.sum_horizontal(STATES) == pl.col("rows")).to_series().all()


def test_failed_are_the_rows_that_did_not_arrive(two_runs):
    """The failed rows are all that are neither delivered nor skipped."""
    audit = Audit(two_runs)

    assert set(audit.failed()["state"]) == {
        "rejected_server", "rejected_local", "in_doubt", "pending"
    } <= set(FAILED)  # fmt: skip
    assert audit.failed(run=OTHER).is_empty()


@pytest.mark.parametrize(
    ("row", "sentences"),
    [
        pytest.param(
            0,
            ["bytes)", "was sent 3 times", "refused it with status 400", "bad: <person>"],
            id="refused",
        ),
        pytest.param(9, ["was not sent: id.missing"], id="rejected-locally"),
        pytest.param(4, ["sent 2 times", "accepted it in strict mode with status 200"], id="ok"),
        pytest.param(
            13, ["There was no clear answer (net.broken)", "may or may not"], id="in-doubt"
        ),
        pytest.param(11, ["It has not been sent", "Resuming the run will send it"], id="pending"),
    ],
)
def test_a_row_is_explained_in_sentences(run, row, sentences):
    """The sentences describe the message, its attempts and its outcome."""
    text = Audit(run).explain(row=row)

    assert text.startswith(f"Row {row} of run ")
    assert [sentence for sentence in sentences if sentence not in text] == []


def test_a_row_that_is_in_two_runs_has_two_stories(two_runs):
    """Without a run, `explain` describes every run; with one, that run."""
    audit = Audit(two_runs)

    assert audit.explain(row=0).count("Row 0 of run") == 2
    assert audit.explain(row=0, run=OTHER, plan=0).count("Row 0 of run") == 1


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        pytest.param(lambda audit: audit.explain(row=99), "has a row 99", id="no-row"),
        pytest.param(lambda audit: audit.failed(run="x"), "There is no run 'x'", id="no-run"),
        pytest.param(lambda audit: Audit(audit.directory / "parts"), "There is no run", id="none"),
    ],
)
def test_a_missing_row_or_run_is_an_error(run, ask, answer):
    """What is not there is an error that names what is."""
    with pytest.raises(AuditError, match=answer):
        ask(Audit(run))


def test_two_runs_are_compared_by_message(two_runs):
    """Comparing gives the messages whose state is not the same in both runs."""
    audit = Audit(two_runs)
    first = next(name for name in audit.runs["run_id"] if name != OTHER)

    changed = audit.diff(first, OTHER)

    assert changed.filter(pl.col("state_after") == "delivered")["state"].to_list() == [
        "rejected_server"
    ]
    assert changed["state_after"].null_count() == changed.height - 1


def test_a_whole_record_has_no_problems(two_runs):
    """Verifying is silent about an undamaged directory."""
    assert Audit(two_runs).verify().is_empty()


def test_a_missing_part_is_noticed(run):
    """A missing part is named, and its rows are not silently left out."""
    (run / "parts" / "audit-000001.parquet").unlink()

    assert "audit-000001.parquet: missing" in problems(run)
    with pytest.raises(AuditCorruptError, match="missing"):
        _ = Audit(run).messages


def test_every_changed_byte_of_a_part_is_noticed(run):
    """Whichever byte of a part is changed, verify names the part."""
    path = run / "parts" / "audit-000001.parquet"
    whole = path.read_bytes()

    for position in range(0, len(whole), max(1, len(whole) // 25)):
        changed = bytearray(whole)
        changed[position] ^= 1
        path.write_bytes(changed)

        assert "changed after it was written" in problems(run)


def test_a_foreign_part_is_noticed(run):
    """A file among the parts that the run does not know is named."""
    shutil.copy(run / "parts" / "audit-000000.parquet", run / "parts" / "audit-000007.parquet")

    assert problems(run) == "not a file of this run"


def test_swapped_parts_are_noticed(run):
    """A part in the place of another one is not what run.json has the hash of."""
    one, two = (run / "parts" / f"audit-00000{number}.parquet" for number in (0, 1))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)

    assert Audit(run).verify().height == 2


def test_the_run_json_of_another_run_is_noticed(two_runs, run):
    """run.json belongs to its directory."""
    shutil.copy(two_runs / OTHER / "run.json", run / "run.json")

    assert "of another run" in problems(run)
    with pytest.raises(AuditCorruptError):
        _ = Audit(run).runs


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: text.replace('"delivered": 10', '"delivered": 11'), id="count"),
        pytest.param(lambda text: text.replace("us", "eu", 1), id="region"),
        pytest.param(lambda text: text[:-20], id="cut"),
        pytest.param(lambda text: text[:0] + "[]", id="other-json"),
        pytest.param(lambda text: text[:0], id="empty"),
    ],
)
def test_a_changed_run_json_is_noticed(run, damage):
    """run.json vouches for its own content."""
    path = run / "run.json"
    text = path.read_text()
    assert damage(text) != text
    path.write_text(damage(text))

    assert len(problems(run)) > 0


def test_counts_that_were_forged_are_noticed(run):
    """Counts with a right checksum are still compared with the rows themselves."""
    content = run_file.read(LocalFileSystem(), run)
    forged = replace(content, counts={**content.counts, "delivered": 12, "pending": 0})
    run_file.write(LocalFileSystem(), run, forged)

    assert problems(run) == "its counts are not those of the parts"


def test_a_gap_in_the_row_numbers_is_noticed(begin, make_segment, make_scripted_run):
    """A run whose rows do not begin at 0 lacks some."""
    writer = begin()
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=5, sizes=(3,))
    scripted.plan(made)
    scripted.deliver(made.batches[0])
    writer.close()

    assert problems(writer.directory) == "row numbers are missing"


def test_a_finished_run_has_all_the_rows_it_was_given(begin, info, make_segment, make_scripted_run):
    """Fewer recorded rows than the plans had are noticed."""
    writer = begin(info=replace(info, rows=9))
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(3,))
    scripted.plan(made)
    scripted.deliver(made.batches[0])
    writer(RunFinished(at=scripted.at))

    assert problems(writer.directory) == "9 rows were to be sent, and 3 are recorded"


def test_a_running_run_is_read_without_touching_it(begin, make_segment, make_scripted_run):
    """The rows of a run in progress have their present states, and its files do not change."""
    writer = begin()
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(3, 2))
    scripted.plan(made)
    scripted.deliver(made.batches[0])
    before = {p: p.read_bytes() for p in writer.directory.rglob("*") if p.is_file()}

    audit = Audit(writer.directory)
    counts = audit.messages["state"].value_counts()

    assert dict(counts.iter_rows()) == {"delivered": 3, "pending": 2}
    assert audit.runs["state"].item() == "running"
    assert audit.verify().is_empty()
    assert before == {p: p.read_bytes() for p in writer.directory.rglob("*") if p.is_file()}
    writer.close()


def test_the_plan_of_an_open_segment_is_checked(begin, make_segment, make_scripted_run):
    """A changed or missing plan is an error."""
    writer = begin()
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(3,))
    scripted.plan(made)
    scripted.attempt(made.batches[0])
    writer._store.close()
    plan = writer.directory / "plan" / "seg-000000.parquet"
    whole = plan.read_bytes()

    plan.write_bytes(whole[:-1])
    with pytest.raises(AuditCorruptError, match="changed after it was written"):
        recover(writer.directory)
    plan.unlink()
    with pytest.raises(AuditCorruptError, match="its plan is missing"):
        recover(writer.directory)
    plan.write_bytes(whole)
    journal = writer.directory / "wal" / "seg-000000.wal"
    journal.unlink()
    with pytest.raises(AuditCorruptError, match="missing"):
        recover(writer.directory)


def test_run_json_is_plain_json(run):
    """Anybody can read run.json, with the mapping, the limits and the versions in it."""
    content = json.loads((run / "run.json").read_text())

    assert content["mapping"] == {"0": {"user_id": "id"}}
    assert content["limits"] == {"message_bytes": 32_000}
    assert content["parts"][0].keys() >= {"segment", "rows", "bytes", "sha256", "counts"}
