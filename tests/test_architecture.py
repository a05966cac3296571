"""The page on the architecture shows the rooms and layers that there are."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_picture_is_what_the_script_draws():
    """The committed picture has today's rooms, sentences and layers."""
    script = runpy.run_path(str(DOCS / "architecture.py"))

    assert script["PICTURE"].read_text() == script["drawn"]()
