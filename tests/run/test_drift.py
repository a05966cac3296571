"""Runs keep a profile of their tables, and the next run is compared with it."""

import json
from pathlib import Path

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.audit.run_file import checksum
from cio_frames.cli import main
from cio_frames.cli.exit_codes import Exit
from cio_frames.errors import AuditCorruptError

ROWS = 60


@pytest.fixture(scope="module")
def client():
    """A client of a workspace."""
    with cio.sandbox() as workspace:
        yield workspace.client()


def people(night: int, rows: int = ROWS) -> pl.DataFrame:
    """Return the people of a night."""
    ids = [f"u{number}" for number in range(rows)]
    emails = [f"{name}@example.com" for name in ids]
    visits = [night + number % 7 for number in range(rows)]
    return pl.DataFrame({"id": ids, "email": emails, "visits": visits})


def sent(frame, client, audit: Path, *, checks: cio.Checks | None = None, **options):
    """Send people and return the run."""
    plan = frame.cio.identify(user_id="id", checks=checks or cio.Checks())
    return plan.send(client, audit=audit, progress=False, **options)


@pytest.fixture
def audit(client, tmp_path) -> Path:
    """The directory of two healthy nights."""
    for night in range(2):
        assert not sent(people(night), client, tmp_path).notes
    return tmp_path


def latest(audit: Path) -> Path:
    """Return the directory of the latest run."""
    return audit / cio.audit(audit).runs["run_id"].max()


BROKEN = people(2).with_columns(email=pl.lit(None, pl.String))


def test_a_run_notes_what_differs_from_the_last_ones(client, audit):
    """The notes name the earlier run and both figures, and the record keeps them."""
    before = latest(audit).name

    run = sent(BROKEN, client, audit)

    assert any(f"100.0% now. In run {before} it was 0.0%" in note for note in run.notes)
    assert json.loads((run.audit / "run.json").read_text())["notes"] == list(run.notes)
    assert "Compared with earlier runs" in repr(run)


def test_a_report_compares_where_it_is_asked_to(audit):
    """`Checks(drift=...)` takes the directory, one run, or limits; without, a report is silent."""
    codes = {
        name: set(BROKEN.cio.identify(user_id="id", checks=checks).findings["code"])
        for name, checks in {
            "none": cio.Checks(),
            "directory": cio.Checks(drift=audit),
            "run": cio.Checks(drift=str(latest(audit))),
            "limits": cio.Checks(drift=cio.Drift(audit=audit, share=1.0)),
            "ignored": cio.Checks(drift=audit, ignore=["drift"]),
            "elsewhere": cio.Checks(drift=audit / "nowhere"),
        }.items()
    }

    assert {name for name, of_plan in codes.items() if "drift.empty" in of_plan} == {
        "directory",
        "run",
    }


@pytest.mark.parametrize("where", ["report", "send"])
def test_a_difference_is_refused_if_the_user_says_so(client, audit, where):
    """Nothing is sent, and no run is made."""
    runs = cio.audit(audit).runs.height
    checks = cio.Checks(
        severity={"drift.empty": "refuse"}, drift=audit if where == "report" else None
    )
    plan = BROKEN.cio.identify(user_id="id", checks=checks)

    with pytest.raises(cio.PlanRefusedError, match=r"drift\.empty"):
        plan.send(client, audit=audit, progress=False)

    assert cio.audit(audit).runs.height == runs
    assert bool(plan.refusals()) == (where == "report")


def test_a_back_fill_is_compared_plan_by_plan(client, audit):
    """Each plan has a profile of its own, and notes of its own."""
    visits = people(2).select("id", page=pl.lit("Home"))
    plans = [
        BROKEN.cio.identify(user_id="id"),
        visits.cio.page(user_id="id", name="page"),
    ]

    run = cio.backfill(plans).send(client, audit=audit, progress=False)

    assert [note for note in run.notes if '"email"' in note]
    profiles = cio.audit(run.audit).profiles
    assert profiles.group_by("plan").agg(pl.col("call").first()).sort("plan")["call"].to_list() == [
        "identify", "page",
    ]  # fmt: skip


def test_profiles_are_a_frame(audit):
    """One row per column and run, with no value of the table; runs without a profile have none."""
    profiles = cio.audit(audit).profiles

    email = profiles.filter(pl.col("column") == "email")
    assert email["filled"].to_list() == [ROWS, ROWS]
    assert email["type"].to_list() == ["text", "text"]
    assert profiles["run_id"].n_unique() == 2


def test_rows_that_come_back_are_not_compared(client, audit):
    """Corrected rows are a part of a table: they are neither measured nor a measure."""
    plan = (
        people(3)
        .with_columns(id=pl.when(pl.col("visits") != 9).then("id"))
        .cio.identify(user_id="id")
    )
    plan.send(client, audit=audit, progress=False)
    for again in (
        plan.corrected(plan.rejected.with_columns(id=pl.lit("u1"))),
        plan.rejected.with_columns(id=pl.lit("u1")).cio.identify(user_id="id"),
    ):
        run = again.send(client, audit=audit, progress=False)

        assert not [note for note in run.notes if "Beside" in note]
        assert not (run.audit / "profile.json").exists()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"email", b"mails")), "changed"),
    ],
)
def test_a_damaged_profile_is_noticed(client, audit, damage, problem):
    """`verify` reports it; a profile that was changed is not used for comparison."""
    assert cio.audit(audit).verify().is_empty()
    damage(latest(audit) / "profile.json")

    problems = cio.audit(audit).verify()

    assert problems.select("file").rows() == [("profile.json",)]
    assert problem in problems["problem"].item()
    with pytest.raises(AuditCorruptError, match=problem):
        _ = cio.audit(audit).profiles
    if problem == "changed":
        with pytest.raises(AuditCorruptError, match=problem):
            sent(people(4), client, audit)


def test_a_record_without_profiles_is_read_as_ever(client, tmp_path):
    """Records of former versions have none: they are whole, and nothing is compared with them."""
    run = sent(people(0), client, tmp_path)
    path = run.audit / "run.json"
    former = json.loads(path.read_text())
    del former["profile"]
    del former["checksum"]
    path.write_text(json.dumps({**former, "checksum": checksum(former)}))
    (run.audit / "profile.json").unlink()

    assert cio.audit(tmp_path).verify().is_empty()
    assert cio.audit(tmp_path).profiles.is_empty()
    assert not sent(BROKEN, client, tmp_path).notes


def test_a_record_without_identifiers_keeps_no_ranges(client, tmp_path):
    """`pii="ids"` keeps counts and forms only."""
    run = sent(people(0), client, tmp_path, pii="ids")

    profiles = cio.audit(run.audit).profiles
    assert profiles["filled"].to_list() == [ROWS] * 3
    assert profiles.select("least", "most", "magnitude", "length").null_count().row(0) == (3,) * 4


def test_a_run_of_which_nothing_arrived_is_no_measure(audit):
    """A run that Customer.io refused is not a measure for later tables."""
    for path in audit.glob("*/run.json"):
        text = path.read_text()
        former = json.loads(text)
        del former["checksum"]
        former["counts"] = {**former["counts"], "delivered": 0, "skipped_done": 0, "pending": ROWS}
        path.write_text(json.dumps({**former, "checksum": checksum(former)}))

    plan = BROKEN.cio.identify(user_id="id", checks=cio.Checks(drift=audit))

    assert "drift.empty" not in set(plan.findings["code"])


def test_a_saved_plan_keeps_the_limits(client, audit, tmp_path):
    """A job that applies a plan each night compares as the plan says."""
    checks = cio.Checks(drift=cio.Drift(audit=audit, share=1.0), severity={"drift.empty": "refuse"})
    file = tmp_path / "nightly.cioplan"
    people(2).cio.identify(user_id="id", checks=checks).save(file)

    run = cio.apply(
        file, BROKEN, client, only_if="rows>1", audit=audit, progress=False, repeat=True
    )

    assert run.counts["delivered"] == ROWS
    assert not [note for note in run.notes if "Beside" in note]


def test_the_command_line_compares(audit, tmp_path, capsys):
    """`check --drift` shows the findings, a limit widens them, and a refusal is exit code 3."""
    file = tmp_path / "people.csv"
    BROKEN.write_csv(file)
    words = ["check", str(file), "--call", "identify", "--user-id", "id", "--drift", str(audit)]

    assert main(words) == Exit.OK
    assert "drift.empty" in capsys.readouterr().out
    assert main([*words, "--drift-limit", "share=1"]) == Exit.OK
    assert "drift.empty" not in capsys.readouterr().out
    assert main([*words, "--severity", "drift.empty=refuse"]) == Exit.REFUSED
    assert main([*words, "--drift-limit", "shares=1"]) == Exit.USAGE
    assert main([*words, "--drift-limit", "share=much"]) == Exit.USAGE
