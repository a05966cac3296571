"""A plan of which nothing can be sent is refused before there is a run."""

import asyncio

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import PlanRefusedError

PEOPLE = {
    "all without an id": (
        pl.DataFrame({"id": [None, None]}, schema={"id": pl.String}),
        "none of the 2 rows can be sent: id.missing (2).",
    ),
    "one row": (pl.DataFrame({"id": ["-"]}), "the only row cannot be sent: id.placeholder (1)."),
    "several reasons, most first": (
        pl.DataFrame({"id": ["-", None, "-"]}),
        "none of the 3 rows can be sent: id.placeholder (2), id.missing (1).",
    ),
}


def plan_of(table):
    """Return a plan of people."""
    return table.cio.identify(user_id="id")


@pytest.fixture
def client():
    """A client of an embedded workspace."""
    with cio.sandbox() as workspace:
        yield workspace.client()


@pytest.mark.parametrize("checked", [False, True], ids=["unchecked", "checked"])
@pytest.mark.parametrize(("table", "reasons"), PEOPLE.values(), ids=PEOPLE.keys())
def test_it_is_refused_with_the_reasons(table, reasons, checked, client, tmp_path):
    """The error counts the rows of each code and says what to do; no record is left."""
    plan = plan_of(table)
    if checked:
        assert plan.counts["valid"] == 0

    with pytest.raises(PlanRefusedError) as caught:
        plan.send(client, audit=tmp_path / "audit", progress=False)

    assert reasons in str(caught.value)
    assert "plan.summary" in str(caught.value)
    assert {item["code"] for item in caught.value.findings} <= {"id.missing", "id.placeholder"}
    assert not (tmp_path / "audit").exists()


def test_a_task_and_a_rehearsal_refuse_it_too(client, tmp_path):
    """`asend` and `rehearse` raise the same error."""
    plan = plan_of(pl.DataFrame({"id": ["-"]}))

    with pytest.raises(PlanRefusedError, match="the only row"):
        asyncio.run(plan.asend(client, audit=tmp_path / "audit", progress=False))
    with pytest.raises(PlanRefusedError, match="the only row"):
        plan.rehearse(progress=False)

    assert not (tmp_path / "audit").exists()


def test_a_back_fill_is_sent_if_one_plan_has_a_row(client, tmp_path):
    """Only a back-fill without any row that can be sent is refused, with the rows of all plans."""
    bad, good = (plan_of(pl.DataFrame({"id": [each]})) for each in ("-", "u1"))

    run = cio.backfill([bad, good]).send(client, audit=tmp_path / "sent", progress=False)
    with pytest.raises(PlanRefusedError, match=r"none of the 2 rows .*id\.placeholder \(2\)"):
        cio.backfill([bad, bad]).send(client, audit=tmp_path / "audit", progress=False)

    assert run.counts["delivered"] == run.counts["rejected_local"] == 1
    assert not (tmp_path / "audit").exists()


def test_a_row_far_below_is_enough(client, tmp_path):
    """A table whose only good row is its last one is sent."""
    table = pl.DataFrame({"id": [None] * 60_000 + ["u1"]})

    run = plan_of(table).send(client, audit=tmp_path, progress=False)

    assert run.counts["delivered"] == 1


def test_the_command_line_says_it_in_one_line(tmp_path, capsys):
    """It is a refused plan: exit code 3, and advice that can be typed."""
    from cio_frames.cli.app import main

    path, audit = tmp_path / "people.csv", tmp_path / "audit"
    path.write_text("id\n-\n-\n")

    code = main(
        [
            "send",
            str(path),
            "--call",
            "identify",
            "--user-id",
            "id",
            "--to",
            "sandbox",
            "--audit",
            str(audit),
        ]
    )

    assert code == 3
    message = " ".join(capsys.readouterr().err.split())
    assert message == (
        "cio-frames: Nothing was sent, because none of the 2 rows can be sent: id.placeholder (2). "
        "See cio-frames check for how to fix this, and --rejected FILE for the rows."
    )
    assert not audit.exists()
