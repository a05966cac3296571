"""The names by which short runs leave out slow tests are names of tests."""

from pathlib import Path

import pytest

from tests.conftest import SLOW

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", SLOW)
def test_what_is_left_out_is_there(name):
    """Each name is a folder or file of tests, or the beginning of a test in its file."""
    path, _, test = name.partition("::")

    assert (ROOT / path).exists()
    assert not test or f"\ndef {test}" in (ROOT / path).read_text()
