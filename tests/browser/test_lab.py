"""What an analyst sees in JupyterLab: while a run goes on, afterwards, and the day after."""

import re
import subprocess
import sys

import pytest

import cio_frames as cio
from tests.browser.conftest import Lab, Tab

pytestmark = pytest.mark.browser

WIDGET = "application/vnd.jupyter.widget-view+json"
BROKEN = "Error displaying widget"
SLOW = """\
import polars as pl
from dataclasses import replace
import cio_frames as cio
from cio_frames.plan.plan import planned

workspace = cio.sandbox(rate=4.0)
client = workspace.client()
people = pl.DataFrame({"id": [f"u{n}" for n in range(3000)], "note": ["x" * 400] * 3000})
plan = planned(replace(people.cio.identify(user_id="id").pipeline, batch_bytes=20_000))
"""


def _no_widget_is_saved(lab: Lab, name: str) -> bool:
    outputs = [out for cell in lab.saved(name).cells for out in cell.get("outputs", ())]
    return bool(outputs) and not any(WIDGET in out.get("data", {}) for out in outputs)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param(
            "01_first_send", ("Plan: identify", "Run: identify", "Audit", "Row 2"), id="01"
        ),
        pytest.param(
            "05_backfill_events",
            (
                "When the events happened",
                "can start campaigns",
                "Back-fill",
                "✕ interrupted",
                "✓ finished",
            ),
            id="05",
        ),
    ],
)
def test_a_notebook_runs_is_saved_and_opened_again(
    tab: Tab, lab: Lab, name: str, words: tuple[str, ...]
):
    """A notebook runs to its end; the day after, reports, charts and summaries are still there."""
    path = f"notebooks/{name}.ipynb"
    cells = sum(cell.cell_type == "code" for cell in lab.saved(path).cells)
    tab.open(path)
    tab.run_all()
    tab.until_done(cells)
    tab.command("docmanager:save")
    assert _no_widget_is_saved(lab, path)

    lab.forget_kernels()
    tab.open(path)

    text = tab.page.locator(".jp-NotebookPanel:visible .jp-Notebook").inner_text()
    assert [word for word in (*words, BROKEN) if word not in text] == [BROKEN]
    assert tab.page.locator("img[src^='data:image/svg']").count() > 1
    assert tab.outside == []
    tab.shoot(f"{name}_reopened")


def test_a_run_is_shown_once(tab: Tab, lab: Lab):
    """Where a cell shows the run already, its value is a line; in the next cell it is whole."""
    setup = f"{SLOW}plan = people.head(50).cio.identify(user_id='id')\n"
    name = lab.notebook(
        "once.ipynb",
        f"{setup}plan.send(client, audit='a')",
        "_",
        "await plan.asend(client, audit='b')",
    )
    tab.open(name)
    tab.run_all()
    tab.until_done(3)

    outputs = [output.inner_text() for output in tab.every_output(7)]
    texts = [text for text in outputs if text.strip()]  # what said how to finish a run is empty now
    assert [text.startswith("Run: identify") for text in texts] == [True, False, True, True, False]
    assert "shown above" in texts[1]
    assert "shown above" in texts[4]


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param("run = await plan.asend(client, audit='a')", id="await"),
        pytest.param("run = plan.send(client, audit='a', wait=False)", id="no-wait"),
    ],
)
def test_the_buttons_work(tab: Tab, lab: Lab, cell: str, request: pytest.FixtureRequest):
    """Pause holds the bar, going on moves it, slower says its rate, stop ends in a summary."""
    name = lab.notebook("buttons.ipynb", SLOW, cell)
    tab.open(name)
    tab.run_all()
    page = tab.page
    progress = page.locator(".cio-progress")
    progress.get_by_text("delivered").or_(progress.get_by_text("rows/s")).first.wait_for()

    page.locator(".cio-slower").click()
    progress.get_by_text("requests/s").wait_for()
    page.locator(".cio-pause").click()
    progress.get_by_text("Paused identify").wait_for()
    tab.shoot(f"progress_paused_{request.node.callspec.id}", what=progress)
    page.get_by_role("button", name="Resume").click()
    progress.get_by_text("Paused identify").wait_for(state="detached")
    page.locator(".cio-stop").click()

    summary = tab.outputs().filter(has_text="Run: identify").first
    summary.get_by_text("✕ interrupted").wait_for(timeout=10_000)
    assert "cio.resume(" in summary.inner_text()
    assert progress.count() == 0
    tab.command("docmanager:save")
    assert _no_widget_is_saved(lab, name)
    lab.forget_kernels()
    tab.open(name)
    assert BROKEN not in page.locator(".jp-Notebook").inner_text()
    tab.outputs().get_by_text("✕ interrupted").first.wait_for()


def test_an_interrupt_ends_a_blocking_cell_cleanly(tab: Tab, lab: Lab):
    """No dead button is shown; the kernel's interrupt leaves a summary and says what was sent."""
    name = lab.notebook("interrupt.ipynb", SLOW, "plan.send(client, audit='a')")
    tab.open(name)
    tab.run_all()
    progress = tab.page.locator(".cio-progress")
    progress.get_by_text("Interrupt the kernel to stop").wait_for()
    assert tab.page.locator(".cio-stop").count() == 0
    progress.get_by_text("rows/s").wait_for()

    toolbar = tab.page.locator(".jp-NotebookPanel-toolbar:visible")
    toolbar.get_by_role("button", name="Interrupt").click()

    tab.outputs().filter(has_text="✕ interrupted").first.wait_for(timeout=15_000)
    tab.outputs().get_by_text("rows arrived;").first.wait_for()
    assert progress.count() == 0


def test_a_notebook_that_was_saved_during_a_run_says_how_to_finish_it(tab: Tab, lab: Lab):
    """Opened the day after without a kernel, the line that sends the rest stands beside the dead bar."""
    name = lab.notebook("left.ipynb", SLOW, "run = plan.send(client, audit='a', wait=False)")
    tab.open(name)
    tab.run_all()
    tab.page.locator(".cio-progress").get_by_text("rows/s").first.wait_for()
    tab.command("docmanager:save")

    lab.forget_kernels()
    tab.open(name)

    text = tab.page.locator(".jp-NotebookPanel:visible .jp-Notebook").inner_text()
    line = re.search(r"cio\.resume\('(.*?a/\w+-\w+)', client, plan\)", text)
    assert line is not None
    assert (lab.root / line[1]).is_dir()
    tab.shoot("left_during_a_run")


KILLED = """\
import os, re, signal
import polars as pl
from dataclasses import replace
import cio_frames as cio
from cio_frames.plan.plan import planned

client = cio.connect(endpoint="{url}", write_key="{key}", rate=50)
people = pl.DataFrame({{"id": [f"u{{n}}" for n in range(3000)]}})
plan = planned(replace(people.cio.identify(user_id="id").pipeline, batch_bytes=5_000))
"""
KILL = """
run = plan.send(client, audit="killed", progress=False, wait=False)
while not run.counts["delivered"]: pass
os.kill(os.getpid(), signal.SIGKILL)
"""
LINE = """re.search(r"cio\\.resume\\('.*', client, plan\\)", str(record))[0]"""


def test_a_killed_run_is_finished_with_the_line_of_its_card(tab: Tab, lab: Lab):
    """The record's card and the error of the folder above name the line, and the line sends the rest."""
    with cio.sandbox() as workspace:
        setup = KILLED.format(url=workspace.url, key=workspace.write_key)
        subprocess.run([sys.executable, "-c", setup + KILL], cwd=lab.root, check=False)  # noqa: S603
        before = workspace.people.height
        name = lab.notebook(
            "killed.ipynb",
            setup,
            "record = cio.audit('killed')\nrecord",
            "cio.resume('killed', client, plan)",
            f"eval({LINE})",
        )
        lab.let_fail(name, cell=2)
        tab.open(name)
        tab.run_all()
        tab.until_done(4)
        tab.command("docmanager:save")
        after = workspace.people.height

        texts = [output.inner_text() for output in tab.outputs().all()]
        line = re.search(r"cio\.resume\('.*killed/\w+-\w+', client, plan\)", texts[0])
        assert line is not None
        assert line[0] in texts[1].replace("\n", "")
        assert "is the audit directory, not a run" in texts[1]
        assert "✓ finished" in "".join(texts[2:])
        assert 0 < before < after == 3000
        tab.shoot("killed")
