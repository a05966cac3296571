"""A marimo notebook, run by marimo itself."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("marimo")

ROOT = Path(__file__).parents[2]
NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import polars as pl
    import cio_frames as cio

    plan = pl.DataFrame({"id": [*map(str, range(500)), None], "<b>x</b>": 1}).cio.identify(user_id="id")
    plan
    return cio, plan


@app.cell
def _(cio, plan):
    with cio.sandbox() as workspace:
        plan.send(workspace.client(), audit="audit")
    return
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a notebook as marimo exports it after running it."""
    folder = tmp_path_factory.mktemp("marimo")
    (folder / "notebook.py").write_text(NOTEBOOK)
    command = [sys.executable, "-m", "marimo", "export", "html", "notebook.py", "-o", "page.html"]
    done = subprocess.run(  # noqa: S603
        [*command, "--no-include-code"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page = (folder / "page.html").read_text()
    return re.sub(
        r"\\u00(3[ce]|26)", lambda match: chr(int(match[1], 16)), page, flags=re.IGNORECASE
    )


def test_a_plan_is_shown_as_a_report(exported):
    """The last line of a cell shows the report, and a column's name stays text."""
    assert "Plan: identify" in exported
    assert "&lt;b&gt;x&lt;/b&gt;" in exported
    assert "<b>x</b>" not in exported


def test_the_summary_of_a_run_is_what_stays(exported):
    """The bar is gone at the end of a run, and the summary stands under the cell."""
    assert "500 of 501 rows arrived" in exported
    assert "<marimo-progress" not in exported
