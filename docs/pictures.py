"""The README's pictures: real plans and runs on sample_data, drawn by a headless Chromium.

`python docs/pictures.py` writes `docs/_static/*.png`, each in light and in dark.
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
SHARPNESS = 2
COLOURS = 128
BYTES_MAX = 150_000
GROUNDS = {"light": ("#ffffff", "#1f2328"), "dark": ("#0d1117", "#e6edf3")}


def main() -> None:
    """Make every picture."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("sample_data").symlink_to(ROOT / "sample_data")
        shown = dict(_moments())
        os.chdir(ROOT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, html in shown.items():
            for theme in GROUNDS:
                _draw(browser, html, path=STATIC / f"{name}_{theme}.png", theme=theme)
        browser.close()


def _moments() -> Iterator[tuple[str, str]]:
    """Yield the four moments of a send as a notebook would show them."""
    dirty = cio.scan("sample_data/people_dirty.csv")
    traits = {"email": "email", "plan": "plan", "created_at": "signup_date"}
    checks = cio.Checks(select=["id.float-text", "id.missing", "time.day-first"])
    plan = dirty.cio.identify(user_id="user_id", traits=traits, checks=checks)
    yield "plan", _html(plan)

    people = cio.scan("sample_data/people.csv")
    known = pl.read_csv("sample_data/people_known.csv", infer_schema=False)
    some = people.filter(pl.col("id").is_in(["10541", "11714", "14561"]))
    yield "identity", _html(some.cio.identify(user_id="id").identity(known))

    mended = plan.fix("id.float-text").fix("time.day-first")
    events = cio.scan("sample_data/events.parquet").cio.track(
        event="event", user_id="user_id", anonymous_id="anonymous_id", timestamp="occurred_at"
    )
    states: list[ProgressState] = []
    with cio.sandbox(rate=12.0) as workspace:
        back = cio.backfill([mended, planned(replace(events.pipeline, batch_bytes=200_000))])
        run = back.send(workspace.client(), audit="audit", progress=states.append)
    moment = progress_state.document(states[len(states) * 3 // 5], advice=INTERRUPT)
    yield "progress", _short(str(html.render(moment)))

    log = cio.audit("audit")
    story = log.explain(row=log.failed()["row"][0], plan=0)
    yield "run", _html(run) + _html(story)


def _html(view: object) -> str:
    """Return what a notebook would show of a view."""
    return _short(str(view._repr_mimebundle_()["text/html"]))  # type: ignore[attr-defined]


def _short(shown: str) -> str:
    """Return a view with paths as short as they were typed."""
    return shown.replace(f"{Path.cwd()}/", "")


def _draw(browser: Browser, html: str, *, path: Path, theme: str) -> None:
    """Draw a view on the ground of a theme, and refuse a picture that is too heavy for a page."""
    ground, ink = GROUNDS[theme]
    page = browser.new_page(
        viewport={"width": WIDTH_PX, "height": 100}, device_scale_factor=SHARPNESS
    )
    page.set_content(f'<body style="margin:0;padding:4px;background:{ground};color:{ink}">{html}')
    drawn = Image.open(BytesIO(page.screenshot(full_page=True))).convert("RGB")
    page.close()
    drawn.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > BYTES_MAX:
        raise SystemExit(f"{path.name} has {path.stat().st_size:,} bytes; at most {BYTES_MAX:,}.")


if __name__ == "__main__":
    main()
