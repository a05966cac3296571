"""What happened to a person, over all runs."""

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.audit import reader
from cio_frames.cli.app import main

PEOPLE = pl.DataFrame({"id": ["u1", "U2"], "email": ["Ada@example.com", "eve@example.com"]})
EVENTS = pl.DataFrame({"id": ["u1", "u1", None], "event": ["Seen", "Left", "Seen"]})


@pytest.fixture(params=["hmac", "full"])
def audit(request, tmp_path):
    """Return the directory of two runs about two people."""
    with cio.sandbox() as workspace:
        for plan in (
            PEOPLE.cio.identify(user_id="id"),
            EVENTS.cio.track(user_id="id", event="event"),
            PEOPLE.select("email").head(1).cio.identify(user_id="email"),
        ):
            plan.send(workspace.client(), audit=tmp_path, progress=False, pii=request.param)
    return tmp_path


def test_all_rows_about_an_id_are_described(audit):
    """The rows are described in the order of the runs, after a sentence on all; other people are left out."""
    paragraphs = cio.audit(audit).explain(id="u1").split("\n\n")

    assert paragraphs[0] == "u1: 3 rows in 2 runs: 3 delivered."
    assert [text.split(" of run ")[0] for text in paragraphs[1:]] == ["Row 0", "Row 0", "Row 1"]
    assert "identify" in paragraphs[1]
    assert "track" in paragraphs[2]


def test_an_address_is_found_beside_an_id_and_as_the_id(audit):
    """However it is written."""
    for written in ("Ada@example.com", "ada@example.com"):
        text = cio.audit(audit).explain(email=written)

        assert text.startswith(f"{written}: 2 rows in 2 runs: 2 delivered.")


def test_a_run_can_be_named(audit):
    """Other runs are left out."""
    first = cio.audit(audit).runs["run_id"].sort()[0]

    text = cio.audit(audit).explain(id="u1", run=first)

    assert text.startswith("u1: 1 row in 1 run")
    with pytest.raises(cio.AuditError, match="There is no run"):
        cio.audit(audit).explain(id="u1", run="nowhere")


def test_of_many_rows_the_first_are_described(audit, monkeypatch):
    """And how many there are."""
    monkeypatch.setattr(reader, "_SHOWN_ROWS", 1)

    text = cio.audit(audit).explain(id="u1")

    assert text.count("Row ") == 1
    assert "u1: 3 rows in 2 runs" in text


@pytest.mark.parametrize("asked", [{}, {"row": 1, "id": "u1"}, {"id": "u1", "email": "a@b.co"}])
def test_one_thing_is_asked_for(asked, audit):
    """None, or two of the arguments, is an error that shows what to type."""
    with pytest.raises(cio.MappingError, match=r'explain\(id="u1"\)'):
        cio.audit(audit).explain(**asked)


def test_an_unknown_person_is_an_error(audit):
    """A person of no run is an error that names the directory."""
    with pytest.raises(cio.AuditError, match="has a row about u9"):
        cio.audit(audit).explain(id="u9")


def test_a_record_without_identifiers_is_an_error(tmp_path):
    """Nobody can be found in it."""
    with cio.sandbox() as workspace:
        PEOPLE.cio.identify(user_id="id").send(
            workspace.client(), audit=tmp_path, progress=False, pii="ids"
        )

    with pytest.raises(cio.AuditError, match="keeps no identifiers"):
        cio.audit(tmp_path).explain(id="u1")


def test_the_command_line_prints_the_same(audit, capsys):
    """By id or by address, one of them at a time."""
    assert main(["audit", str(audit), "--id", "u1"]) == 0
    assert "u1: 3 rows in 2 runs" in capsys.readouterr().out
    assert main(["audit", str(audit), "--email", "ada@example.com"]) == 0
    assert "2 rows in 2 runs" in capsys.readouterr().out
    assert main(["audit", str(audit), "--id", "u1", "--explain", "0"]) == 2


def test_rows_of_different_tables_are_not_mixed(tmp_path):
    """A number means the row of the table that was sent last; the others are named."""
    with cio.sandbox() as workspace:
        for plan in (EVENTS.cio.track(user_id="id", event="event"), *[PEOPLE.cio.identify(user_id="id")] * 2):  # fmt: skip
            plan.send(workspace.client(), audit=tmp_path, progress=False)
    log = cio.audit(tmp_path)
    first = log.runs["run_id"].sort()[0]

    introduction, *paragraphs = log.explain(row=0).split("\n\n")

    assert f'explain(row=0, run="{first}")' in introduction
    assert ["identify" in text for text in paragraphs] == [True, True]
    assert "track" in log.explain(row=0, run=first)
    assert "track" in log.explain(row=2)
