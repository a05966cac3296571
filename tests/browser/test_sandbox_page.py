"""The page of a sandbox on a phone and on a desk: readable, searched and downloaded."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import cio_frames as cio
from tests.browser.conftest import SHOTS

pytestmark = pytest.mark.browser

DEVICES = {
    "phone": {"viewport": {"width": 375, "height": 812}, "has_touch": True, "is_mobile": True},
    "desk": {"viewport": {"width": 1300, "height": 950}},
}
FINGER_PX = 44
HOSTILE = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def page_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a workspace whose identifiers and values are long, and of which one is hostile."""
    people = pl.DataFrame(
        {
            "id": [f"customer-{n:04}-of-a-shop-with-long-identifiers" for n in range(30)],
            "email": [f"person.number.{n}@a-rather-long-domain.example.com" for n in range(30)],
            "note": [HOSTILE, "https://example.com/" + "path/" * 90, *["=1+1"] * 28],
            "company": ["acme"] * 30,
        }
    )
    plans = [
        people.cio.identify(user_id="id", traits=["email", "note"]),
        people.cio.track(event=cio.lit("Order Completed"), user_id="id", properties=["note"]),
        people.cio.group(group_id="company", user_id="id", traits=[]),
    ]
    audit = tmp_path_factory.mktemp("page") / "audit"
    with cio.sandbox() as workspace:
        cio.backfill(plans).send(workspace.client(), audit=audit, progress=False)
        yield workspace.page_url


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """Each device in turn."""
    return str(request.param)


@pytest.fixture
def opened(chromium: Any, page_url: str, device: str) -> Iterator[Any]:
    """The page on a device."""
    context = chromium.new_context(**DEVICES[device])
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto(page_url)
    yield page
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_the_device(opened: Any, device: str, theme: str):
    """Nothing scrolls sideways, the theme is the reader's, and each value on a phone names its column."""
    opened.emulate_media(color_scheme=theme)
    SHOTS.mkdir(parents=True, exist_ok=True)
    opened.screenshot(path=SHOTS / f"sandbox_{device}_{theme}.png")

    assert opened.evaluate(_SIDEWAYS) <= 0
    assert opened.evaluate("document.title") == "cio_frames sandbox"
    dark = opened.evaluate("getComputedStyle(document.body).color") == "rgb(255, 255, 255)"
    assert dark == (theme == "dark")
    label = opened.locator("#people tbody td").first.evaluate(_LABEL)
    assert (label == "none") == (device == "desk")


def test_a_finger_can_hit_what_is_to_be_hit(opened: Any, device: str):
    """On a phone every link, button and field is large enough for a fingertip."""
    if device == "phone":
        sizes = opened.locator("a, button, input[type=search]").evaluate_all(_HEIGHTS)

        assert min(sizes) >= FINGER_PX


def test_a_search_and_a_download(opened: Any, tmp_path: Path):
    """A search shows the rows that contain the words in every table, and a download holds them."""
    opened.get_by_label("Search in all tables").fill("NUMBER.7@")
    opened.get_by_role("button", name="Search").click()
    opened.get_by_text("1 of 30 contain “NUMBER.7@”.").first.wait_for()

    assert "NUMBER" not in opened.url
    assert opened.get_by_role("link", name="Events (1)").count() == 1
    for kind in ("CSV", "JSON"):
        with opened.expect_download() as started:
            opened.get_by_role("button", name=f"Download Events as {kind}").click()
        started.value.save_as(tmp_path / started.value.suggested_filename)
    event = json.loads((tmp_path / "events.json").read_text())[0]
    with (tmp_path / "events.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert event["email"] == row["email"] == "person.number.7@a-rather-long-domain.example.com"
    assert event["properties"]["note"] == "=1+1"

    opened.get_by_role("link", name="Show all rows").click()
    opened.get_by_role("link", name="Events (30)").wait_for()


_SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_LABEL = "cell => getComputedStyle(cell, '::before').content"
_HEIGHTS = "all => all.map(e => e.getBoundingClientRect().height).filter(high => high > 0)"
