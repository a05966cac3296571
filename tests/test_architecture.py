"""The diagram of the architecture shows the current folders and layers."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_picture_is_what_the_script_draws():
    """The committed picture has the current folders, sentences and layers."""
    script = runpy.run_path(str(DOCS / "architecture.py"))

    assert script["PICTURE"].read_text() == script["diagram"]()
