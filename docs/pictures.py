"""The pictures of the README: real plans and runs on sample_data, rendered by a headless Chromium.

`python docs/pictures.py` writes `docs/_static/*.png`, each in a light and a dark theme.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import polars as pl
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import cio_frames as cio
from cio_frames.plan.plan import planned
from cio_frames.views import html, progress_state
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.wording import INTERRUPT

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "docs" / "_static"
CHROMIUM = os.environ.get("CIO_CHROMIUM", "/usr/bin/chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-lcd-text", "--disable-dev-shm-usage")
WIDTH_PX = 800
PIXEL_RATIO = 2
COLOURS = 128
MAX_BYTES = 150_000
THEMES = {"light": ("#ffffff", "#1f2328"), "dark": ("#0d1117", "#e6edf3")}


def main() -> None:
    """Make every picture."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("sample_data").symlink_to(ROOT / "sample_data")
        views = dict(_views())
        os.chdir(ROOT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, html in views.items():
            for theme in THEMES:
                _screenshot(browser, html, path=STATIC / f"{name}_{theme}.png", theme=theme)
        browser.close()


def _views() -> Iterator[tuple[str, str]]:
    """Yield four views of a send as a notebook shows them."""
    dirty = cio.scan("sample_data/people_dirty.csv")
    traits = {"email": "email", "plan": "plan", "created_at": "signup_date"}
    checks = cio.Checks(select=["id.float-text", "id.missing", "time.day-first"])
    plan = dirty.cio.identify(user_id="user_id", traits=traits, checks=checks)
    yield "plan", _html(plan)

    people = cio.scan("sample_data/people.csv")
    known = pl.read_csv("sample_data/people_known.csv", infer_schema=False)
    selected = people.filter(pl.col("id").is_in(["10541", "11714", "14561"]))
    yield "identity", _html(selected.cio.identify(user_id="id").identity(known))

    fixed = plan.fix("id.float-text").fix("time.day-first")
    events = cio.scan("sample_data/events.parquet").cio.track(
        event="event", user_id="user_id", anonymous_id="anonymous_id", timestamp="occurred_at"
    )
    states: list[ProgressState] = []
    with cio.sandbox(rate=12.0) as workspace:
        backfill = cio.backfill([fixed, planned(replace(events.pipeline, batch_bytes=200_000))])
        run = backfill.send(workspace.client(), audit="audit", progress=states.append)
    document = progress_state.document(states[len(states) * 3 // 5], advice=INTERRUPT)
    yield "progress", _short(str(html.render(document)))

    log = cio.audit("audit")
    explanation = log.explain(row=log.failed()["row"][0], plan=0)
    yield "run", _html(run) + _html(explanation)


def _html(view: object) -> str:
    """Return the HTML that a notebook shows."""
    return _short(str(view._repr_mimebundle_()["text/html"]))  # type: ignore[attr-defined]


def _short(html: str) -> str:
    """Return HTML with relative paths."""
    return html.replace(f"{Path.cwd()}/", "")


def _screenshot(browser: Browser, html: str, *, path: Path, theme: str) -> None:
    """Write a picture of a view in a theme; raise if it is too large for a page."""
    background, colour = THEMES[theme]
    page = browser.new_page(
        viewport={"width": WIDTH_PX, "height": 100}, device_scale_factor=PIXEL_RATIO
    )
    page.set_content(
        f'<body style="margin:0;padding:4px;background:{background};color:{colour}">{html}'
    )
    image = Image.open(BytesIO(page.screenshot(full_page=True))).convert("RGB")
    page.close()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{path.name} has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,}.")


if __name__ == "__main__":
    main()
