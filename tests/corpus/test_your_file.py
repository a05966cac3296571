"""The page "Your file": each recipe runs on the file of its source, and says what the report says."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.table import MAKERS
from tests.corpus.test_corpus import SOURCES

PAGE = (Path(__file__).parents[2] / "docs" / "your-file.md").read_text(encoding="utf-8")
OMITTED = {"column.empty", "column.constant", "file.text-columns", "mapping.unused"}
"""What the page says once, for all recipes."""

BLOCK = re.compile(r"```python\n(.*?)```\n+(?:The report says: (.*?)(?:[.;]\s|\Z))?", re.DOTALL)
CODE = re.compile(r"`([a-z]+\.[a-z-]+)`")
FIRST, *RECIPES = BLOCK.findall(PAGE)
FILE = re.compile(r'cio\.scan\("([^"]+)"')


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the files of the named sources, in which the test runs."""
    for export in (make() for make in MAKERS):
        if export.source in SOURCES:
            (tmp_path / export.file).write_bytes(export.content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("code", "text"), RECIPES, ids=[FILE.findall(code)[0] for code, _ in RECIPES])  # fmt: skip
@pytest.mark.usefixtures("exports")
def test_a_recipe_makes_a_plan_of_which_the_report_says_what_the_page_says(code, text):
    """Every row can be sent, and the codes in the report are those on the page."""
    names: dict[str, Any] = {}
    exec(FIRST[0] + code, names)  # noqa: S102 - the code of our own page
    plan = names["plan"]

    assert plan.counts["rejected"] == 0
    assert set(plan.findings["code"]) - OMITTED == set(CODE.findall(text))


@pytest.mark.parametrize("source", ["Shopify", "Stripe", "Mailchimp", "HubSpot", "Salesforce", "Mixpanel", "Amplitude", "Klaviyo", "Snowplow", "Segment", "Qualtrics", "Typeform"])  # fmt: skip
def test_every_named_source_has_a_recipe(source):
    """Each has a heading of its own, and code below it."""
    section = re.search(rf"^## {source}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)

    assert section is not None
    assert BLOCK.search(section[1]) is not None
