"""Every view in light and dark, in a notebook that is not trusted and whose data is hostile."""

from typing import Any

import polars as pl
import pytest

import cio_frames  # noqa: F401 - gives frames their accessor
from cio_frames.views import html
from cio_frames.views.document import Document, Heading, Table
from tests.browser.conftest import Lab, Tab

pytestmark = pytest.mark.browser

SETUP = """\
import datetime as dt
from dataclasses import replace
import polars as pl
import cio_frames as cio
from cio_frames.plan.plan import planned

BAD = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
now = dt.datetime.now(dt.UTC)
times = [now - dt.timedelta(hours=h * h) for h in range(200)]
people = pl.DataFrame({"id": [f"u{n}" for n in range(200)], "email": [f"u{n}@ex.test" for n in range(200)], BAD: [BAD] * 200})
rough = pl.DataFrame({"id": ["a", None, " b", "null", "x" * 200, BAD], "email": ["a@ex.test", BAD, "b@ex.test", "c", "d@ex.test", "e@ex.test"], "card": ["4111 1111 1111 1111"] * 6})
events = pl.DataFrame({"id": [f"u{n}" for n in range(200)], "event": [BAD if n % 2 else "Bought" for n in range(200)], "at": times})
workspace = cio.sandbox(rate=12.0)
client = workspace.client()
events_plan = events.cio.track(event="event", user_id="id", timestamp="at")
plan = planned(replace(events_plan.pipeline, batch_bytes=1_500))
first = people.cio.identify(user_id="id")
"""
VIEWS = {
    "plan": "plan",
    "refused": 'rough.cio.identify(user_id="id")',
    "proposed": "events.rename({'id': 'user_id'}).cio.track()",
    "payloads": "plan.payloads(3)",
    "backfill": "back = cio.backfill([first, plan])\nback",
    "identity": "back.identity()",
    "run": "run = back.send(client, audit='views', progress=False)\nrun",
    "audit": "cio.audit('views')",
    "story": "cio.audit('views').explain(row=1)",
}
SEEN = {
    "plan": ("Plan: track", "When the events happened", "can start campaigns"),
    "refused": ("Plan: identify", "To fix before anything can be sent"),
    "proposed": ("Mapping:", "chosen automatically"),
    "payloads": ("Messages: track", '"messageId"'),
    "backfill": ("Back-fill", "Plan 1: track"),
    "identity": ("Who is who",),
    "run": ("Run: identify + track", "finished", "Pace"),
    "audit": ("Audit", "complete"),
    "story": ("Row 1", "Customer.io accepted it"),
}


@pytest.fixture(scope="module")
def gallery(lab: Lab) -> str:
    """A notebook with every view, run by a program: nobody has trusted it."""
    name = lab.notebook("views.ipynb", SETUP, *VIEWS.values(), "workspace.stop()")
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(lab.root / name, 4)
    where = {"metadata": {"path": str(lab.root)}}
    NotebookClient(notebook, kernel_name="python3", timeout=60, resources=where).execute()
    nbformat.write(notebook, lab.root / name)
    return name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_is_whole_in_an_untrusted_notebook(tab: Tab, gallery: str, theme: str):
    """Words, pictures and badges are there, whatever the front end removes, and nothing runs."""
    tab.page.set_viewport_size({"width": 1300, "height": 2800})  # the tallest view fits
    tab.open(gallery)
    if theme == "dark":
        tab.dark()
    outputs = tab.every_output(len(VIEWS))
    for (name, words), output in zip(SEEN.items(), outputs, strict=True):
        text = output.inner_text()
        for word in words:
            assert word in text, (name, word)
        assert all(output.evaluate(_PICTURES)), name
        assert output.evaluate(_GROUND) not in {"none", "rgba(0, 0, 0, 0)"}, name
        tab.shoot(f"{name}_{theme}", what=output)
    assert tab.page.evaluate("window.pwned") is None
    assert tab.outside == []


_PICTURES = "node => [...node.querySelectorAll('img')].map(i => i.naturalWidth > 0 && !!i.alt)"
_GROUND = """node => {
  const part = node.querySelector('strong[style*=background], code, pre');
  return part ? getComputedStyle(part).backgroundColor : 'none';
}"""


def test_a_narrow_window_needs_no_sideways_scrolling(tab: Tab, gallery: str):
    """On a narrow window every view wraps; only tables scroll, inside themselves."""
    tab.page.set_viewport_size({"width": 620, "height": 900})
    tab.open(gallery)
    tab.command("application:toggle-left-area")

    for output in tab.every_output(len(VIEWS)):
        card = output.locator("div[style*='border-radius:8px'], div[style*='border-radius: 8px']")
        wide = card.first.evaluate("node => node.scrollWidth - node.clientWidth")
        assert wide <= 1
    tab.shoot("narrow")


PADDED = """\
import polars as pl
import cio_frames as cio

pl.DataFrame({"id": [" u1", "u2"], **{f"c{n}": [n, n * 1000] for n in range(19)}}).cio.identify(user_id="id")
"""


def _open_folds(output: Any) -> None:
    output.evaluate(
        "node => { for (const each of node.querySelectorAll('details')) each.open = true }"
    )


def test_a_card_is_worked_with_where_scripts_run(tab: Tab, lab: Lab):
    """In a notebook that was just run, a button copies a repair, and a link saves the findings."""
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.open(lab.notebook("work.ipynb", PADDED))
    tab.run_all()
    tab.until_done(1)
    (card,) = tab.every_output(1)
    _open_folds(card)

    repair = card.locator("code", has_text='plan.fix("id.padded")')
    repair.locator("xpath=following-sibling::button[1]").click()
    assert tab.page.evaluate("navigator.clipboard.readText()") == 'plan.fix("id.padded")'

    with tab.page.expect_download() as download:
        card.get_by_text("Save this list").click()
    assert download.value.suggested_filename == "findings.csv"
    assert "id.padded" in download.value.path().read_text()
    tab.shoot("worked_with", what=card)
    assert tab.outside == []


@pytest.mark.parametrize(("rows", "whole"), [(1200, "people"), (60, "")])
def test_a_long_table_is_searched_and_sorted(chromium: Any, rows: int, whole: str):
    """Search shows the rows with a cell that holds the text, in all pages; a title sorts by its column."""
    lines = [(f"u{n}", n * 7 % rows * 1000) for n in range(rows)]
    table = Table(("id", "count"), lines, right={1}, all_rows=whole)
    page = chromium.new_page()
    page.set_content(str(html.render(Document(Heading("People"), [table]))))
    drawn = page.locator("tbody tr")
    assert drawn.count() == min(rows, html.MAX_TABLE_ROWS)

    page.locator("input").fill("U47")
    seen = [row.locator("td").first.inner_text() for row in drawn.all() if row.is_visible()]
    assert seen == [
        f"u{n}" for n in range(html.MAX_TABLE_ROWS) if f"u{n}".startswith("u47") and n < rows
    ]
    page.locator("input").fill("")
    first = []
    for place in (1, 1, 0):
        page.locator("th").nth(place).click()
        first.append(drawn.first.inner_text().split())
    greatest = max(lines[: html.MAX_TABLE_ROWS], key=lambda line: line[1])
    assert first == [["u0", "0"], [greatest[0], f"{greatest[1]:,}"], ["u0", "0"]]
    page.close()


@pytest.mark.parametrize(("rows", "fields"), [(15, 0), (16, 1)])
def test_a_short_table_needs_no_search(chromium: Any, rows: int, fields: int):
    """A table that is read at a glance has no field to search."""
    table = Table(("id",), [(f"u{n}",) for n in range(rows)])
    page = chromium.new_page()
    page.set_content(str(html.render(Document(Heading("People"), [table]))))

    assert page.locator("input").count() == fields
    page.close()


def test_a_card_is_whole_where_no_script_runs(tab: Tab, lab: Lab):
    """In a notebook that somebody else ran there are no buttons, all rows, and the lines to type."""
    name = lab.notebook("foreign.ipynb", PADDED)
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(lab.root / name, 4)
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    nbformat.write(notebook, lab.root / name)
    tab.open(name)
    (card,) = tab.every_output(1)
    _open_folds(card)

    assert card.locator("button, input, script").count() == 0
    assert card.locator("tbody tr td:first-child").filter(has_text="traits.").count() == 19
    assert card.get_by_text("Save this list").get_attribute("href") is None
    assert "plan.findings.write_csv(" in card.inner_text()


def test_one_click_selects_a_repair(chromium: Any):
    """A click on what is to be typed selects all of it, and a click on a code nothing."""
    plan = pl.DataFrame({"id": [1.0, 2.0]}).cio.identify(user_id="id")
    page = chromium.new_page()
    page.set_content(plan._repr_mimebundle_()["text/html"])

    for text, selected in {'plan.fix("id.float")': 'plan.fix("id.float")', "userId": ""}.items():
        found = page.locator("code", has_text=text).first
        found.evaluate("element => { for (let e = element; e; e = e.parentElement) e.open = true }")
        found.click()
        assert page.evaluate("getSelection().toString()").strip() == selected
        page.evaluate("getSelection().removeAllRanges()")
    page.close()
