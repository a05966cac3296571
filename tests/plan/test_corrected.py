"""Rows that were left out come back: what was added to them is left out, and the plan stays the same."""

from datetime import UTC, date, datetime

import pandas as pd
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.audit import write_csv
from cio_frames.errors import FrameError

PEOPLE = {
    "id": ["007", None, " u3", None],
    "state": ["CA", "NY", "TX", "WA"],
    "reasons": ["likes it", "none", "a friend", "price"],
    "code": ["A", "B", "C", "D"],
}


def codes(plan):
    """Return the codes that a plan found."""
    return pl.DataFrame(plan.findings)["code"].to_list()


def rejects(frame, folder, *, form):
    """Return the rejected rows of a plan in some form."""
    plan = frame.cio.identify(user_id="id")
    if form == "frame":
        return plan, plan.rejected
    path = folder / f"left.{form}"
    rejected = pl.DataFrame(plan.rejected)
    if form == "csv":
        write_csv(rejected, path)
    else:
        rejected.write_parquet(path)
    return plan, path


@pytest.mark.parametrize("form", ["frame", "csv", "parquet"])
@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame], ids=["polars", "pandas"])
def test_what_a_plan_added_is_no_trait(tmp_path, form, make):
    """Reasons that come back through frames, CSV or Parquet are left out; the user's own stay."""
    _, rejected = rejects(make(PEOPLE), tmp_path, form=form)
    again = cio.scan(rejected) if form != "frame" else rejected

    plan = cio.frame(again).identify(anonymous_id="code")

    assert plan.payloads()[0]["traits"].keys() <= {"id", "state", "reasons"}
    assert plan.payloads()[0]["traits"]["reasons"] == "none"
    assert "frame.own-columns" in codes(plan)


@pytest.mark.parametrize("form", ["frame", "csv"])
def test_what_a_run_added_is_no_trait(tmp_path, form):
    """State, code and error of a run are left out; a user's own state stays a trait."""
    people = pl.DataFrame({"id": ["u1", "u2", None], "state": ["CA", "NY", "TX"]})
    with cio.sandbox() as workspace:
        run = people.cio.identify(user_id="id").send(
            workspace.client(), audit=tmp_path, progress=False
        )
    failed = run.failed()
    assert {"row", "state_", "code", "error"} <= set(failed.columns)
    if form == "csv":
        write_csv(failed, tmp_path / "failed.csv")
        failed = cio.scan(tmp_path / "failed.csv")

    plan = failed.with_columns(id=pl.lit("u3")).cio.identify(user_id="id")

    assert plan.payloads()[0]["traits"] == {"state": "TX"}


OWN = {
    "states of a country": {"state": ["CA", "NY"]},
    "codes and reasons in words": {"code": ["A", "B"], "reasons": ["too dear", "moved.away"]},
    "all names, other states": {
        "row": [1, 2], "state": ["CA", "NY"], "code": ["A", "B"], "error": ["x", None],
    },
    "a state of ours without the rest": {"state": ["pending", "delivered"]},
}  # fmt: skip


@pytest.mark.parametrize("columns", OWN.values(), ids=OWN)
def test_columns_of_the_users_own_stay(columns):
    """Names alone are no proof: columns that hold something else are sent."""
    plan = pl.DataFrame({"id": ["u1", "u2"], **columns}).cio.identify(user_id="id")

    assert plan.payloads()[0]["traits"].keys() == columns.keys() - {
        name for name, values in columns.items() if values[0] is None
    }
    assert "frame.own-columns" not in codes(plan)


def test_a_column_that_is_asked_for_is_sent():
    """Whoever names such a column gets it."""
    rejected = pl.DataFrame({"id": [None], "x": [1]}).cio.identify(user_id="id").rejected

    plan = rejected.cio.identify(user_id=cio.lit("u"), traits=["reasons"])

    assert plan.payloads()[0]["traits"] == {"reasons": "id.missing"}


def test_corrected_rows_keep_call_arguments_checks_and_repairs():
    """The new plan asks for the same, with the same checks and repairs; only the rows are others."""
    frame = pl.DataFrame({"id": [1.0, None], "note": [" a", " b"]})
    plan = frame.cio.identify(
        user_id="id", traits={"memo": "note"}, checks=cio.Checks(ignore=["value"])
    ).fix("id.float")

    corrected = plan.corrected(plan.rejected.with_columns(id=pl.lit(2)))

    (message,) = corrected.payloads()
    assert (message["userId"], message["traits"]) == ("2", {"memo": " b"})
    assert corrected.checks == plan.checks
    assert corrected.pipeline.mapping.repairs == ("id.float",)
    assert corrected.counts["rows"] == 1


TYPES = {
    "id": ["0042", None],
    "n": [1, 2],
    "x": [1.5, -2.5],
    "yes": [True, False],
    "day": [date(2024, 1, 2)] * 2,
    "at": [datetime(2024, 1, 2, 3, 4, tzinfo=UTC)] * 2,
    "tags": [["a"], ["b", "c"]],
    "phone": ["+4915112345601", "+4915112345602"],
    "=odd": ["-x", "@y;=1"],
    "empty": [None, None],
}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_of_rejects_gives_the_messages_that_the_frame_gives(tmp_path, form):
    """Through a file, corrected in place, every value is what it was: types, signs and zeros."""
    frame = pl.DataFrame(TYPES)
    plan, path = rejects(frame, tmp_path, form=form)
    if form == "csv":
        path.write_text(path.read_text().replace("\n,", '\n"0043",', 1))
    else:
        pl.read_parquet(path).with_columns(id=pl.lit("0043")).write_parquet(path)
    fixed = frame.with_columns(id=pl.Series(["0042", "0043"])).tail(1)

    assert plan.corrected(path).payloads() == fixed.cio.identify(user_id="id").payloads()


def test_a_pandas_plan_takes_what_pandas_reads(tmp_path):
    """Rows that pandas read back in other types are sent as the first table was."""
    frame = pd.DataFrame({"id": ["42", None], "n": [1, 2]})
    plan, path = rejects(frame, tmp_path, form="csv")
    read = pd.read_csv(path)
    read["id"] = 43

    corrected = plan.corrected(read)

    assert corrected.payloads()[0]["userId"] == "43"
    assert isinstance(corrected.rejected, pd.DataFrame)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param({"n": [1]}, "no column 'id'", id="missing"),
        pytest.param({"id": ["u"], "n": ["many"]}, "'n' of the corrected rows", id="no number"),
        pytest.param({"id": ["u"], "n": [1.5]}, "'n' of the corrected rows", id="a fraction"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, words):
    """A missing column, or a value that its column cannot hold, is an error and not an empty cell."""
    plan = pl.DataFrame({"id": ["u1", None], "n": [1, 2]}).cio.identify(user_id="id")

    with pytest.raises(FrameError, match=words):
        plan.corrected(pl.DataFrame(rows))
