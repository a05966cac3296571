"""The page of all codes is what the rows say."""

import re
from pathlib import Path

import pytest

from cio_frames.checks import CATALOGUE
from cio_frames.checks.page import docs, page
from cio_frames.plan.identity_preview import CODE
from cio_frames.run.state_rows import CONFLICT, IN_DOUBT_BEFORE, REPEAT, SENT_AGAIN

ROOT = Path(__file__).parents[2]


def test_the_page_is_current():
    """The page in the checkout is the one that the rows make now."""
    written = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")

    assert written == page(), "run: python -m cio_frames.checks.page > docs/checks.md"


@pytest.mark.parametrize("check", CATALOGUE, ids=lambda check: check.code)
def test_every_code_has_its_section(check):
    """A section says how bad a code is, what to do, and what can be repaired or why nothing can."""
    section = page().split(f"### {check.code}\n", 1)[1].split("\n### ", 1)[0]

    assert f"**{check.severity}**" in section
    assert "* How to fix: " in section
    assert "* Repair (" in section or "* No repair: " in section
    assert "{" not in section.replace('{"', "")


def test_the_notes_of_readers_are_on_the_page():
    """Every code that reading a table or a file gives is explained."""
    sources = (ROOT / "cio_frames" / "frames").glob("*.py")
    codes = {
        code
        for path in sources
        for code in re.findall(r'code="([a-z]+\.[a-z-]+)"', path.read_text(encoding="utf-8"))
    }

    assert codes == set(docs()["file_notes"])


def test_what_is_found_after_the_checks_is_on_the_page():
    """The codes that come from the preview and the thresholds are explained as well."""
    assert {CODE, "id.other-form", "plan.threshold"} == set(docs()["after_checks"])
    assert all(f"| `{code}` |" in page() for code in docs()["after_checks"])


def test_codes_that_a_run_gives_by_itself_are_explained():
    """What the record says of rows that earlier runs sent stands on the page."""
    assert {*docs()["record"]} == {SENT_AGAIN, IN_DOUBT_BEFORE, CONFLICT, REPEAT}
