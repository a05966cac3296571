"""A run that stops gives its reason once, in the summary or in the error."""

import re

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import RunStoppedError

REASON = "HTTP 401. The key was not accepted"


@pytest.fixture
def send(tmp_path):
    """Send to a workspace that does not accept the key."""
    with cio.sandbox() as workspace:
        client = cio.connect(endpoint=workspace.url, write_key="wrong")
        plan = pl.DataFrame({"id": ["u1", "u2"]}).cio.identify(user_id="id")

        def sent(progress):
            with pytest.raises(RunStoppedError) as caught:
                plan.send(client, audit=tmp_path, progress=progress)
            return caught.value

        yield sent


@pytest.mark.parametrize("progress", ["lines", "terminal"])
def test_the_error_points_to_a_summary_that_was_shown(send, progress, capsys):
    """The reason, the counts and the line that resumes stand in the summary; the error is one line."""
    error = send(progress)

    shown = " ".join(capsys.readouterr().err.split())
    assert shown.count(f"Why: {REASON}") == 1
    assert "cio.resume(" in shown
    assert str(error) == (
        "The run stopped early (UNAUTHORIZED). The summary above says why, and how to send the rest."
    )
    assert error.run.counts["pending"] == 2


def broken(state):
    """Fail to show a state."""
    raise ValueError


@pytest.mark.parametrize("progress", [False, str, broken])
def test_without_a_summary_the_error_says_everything(send, progress, capsys):
    """Where nothing, or no summary, is shown, the error has the reason, the counts and the line."""
    error = send(progress)

    assert not capsys.readouterr().err
    assert str(error).startswith(REASON)
    assert "2 are pending" in str(error)
    assert f"cio.resume({str(error.run.audit)!r}" in str(error)


NOTEBOOK = """
import polars as pl, cio_frames as cio
workspace = cio.sandbox().start()
client = cio.connect(endpoint=workspace.url, write_key="wrong")
plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")
"""
CELLS = {
    "the cell that sends": ["plan.send(client, audit=FOLDER)"],
    "a later cell": ["run = plan.send(client, audit=FOLDER, wait=False)", "run.wait()"],
}


@pytest.mark.parametrize("name", CELLS)
def test_a_notebook_shows_the_reason_once(name, tmp_path):
    """The cell below whose card stands has a short error; the error of another cell has all details."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    code = [f"FOLDER = {str(tmp_path)!r}{NOTEBOOK}", *CELLS[name]]
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, code)])

    nbclient.NotebookClient(
        notebook, kernel_name="python3", timeout=60, allow_errors=True
    ).execute()

    error = next(out for out in notebook.cells[-1].outputs if out.output_type == "error")
    shown = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(error.traceback))
    card = [out for cell in notebook.cells for out in cell.outputs if "data" in out]
    is_short = name == "the cell that sends"
    assert any(REASON in str(out["data"]) for out in card), card
    assert ("The summary above says why" in shown) == is_short
    assert (REASON in shown) != is_short
