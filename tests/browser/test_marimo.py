"""What an analyst sees in marimo: while a run goes on, and afterwards."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import free_port, wait_until_up

pytestmark = pytest.mark.browser

NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import polars as pl
    import cio_frames as cio
    from dataclasses import replace
    from cio_frames.plan.plan import planned

    people = pl.DataFrame({"id": [f"u{n}" for n in range(1500)], "note": ["x" * 400] * 1500})
    plan = planned(replace(people.cio.identify(user_id="id").pipeline, batch_bytes=20_000))
    plan
    return cio, plan


@app.cell
def _(cio, plan):
    with cio.sandbox(rate=8.0) as workspace:
        plan.send(workspace.client(), audit="audit")
    return
"""


@pytest.fixture
def app_url(equipment: None, tmp_path: Path) -> Iterator[str]:
    """The address at which marimo serves the notebook."""
    pytest.importorskip("marimo")
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    port, log = free_port(), tmp_path / "marimo.log"
    command = [
        sys.executable, "-m", "marimo", "run", "notebook.py", "--headless", "--no-token",
        "--host=127.0.0.1", f"--port={port}",
    ]  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)}, stdout=out, stderr=out
        )
    try:
        wait_until_up(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(15)


def test_a_run_in_marimo(chromium: Any, app_url: str):
    """The report is there, marimo's bar moves while a run goes on, and the summary takes its place."""
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    outside: list[str] = []
    near = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(near) else outside.append(r.url))

    page.goto(app_url)
    page.get_by_text("Plan: identify").first.wait_for()
    bar = page.locator("marimo-progress")
    bar.get_by_text("rows/s").wait_for()
    page.get_by_text("All 1,500 rows arrived.").wait_for()

    assert bar.count() == 0
    assert outside == []
    page.close()
