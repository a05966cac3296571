"""Run the examples of the README as tests, in a folder of their own."""

import os
import tempfile
from collections.abc import Iterator
from doctest import ELLIPSIS
from pathlib import Path

import pytest
from hypothesis import settings
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parent

# A law that takes long on a busy machine is not broken; what breaks is printed to be replayed.
settings.register_profile("patient", deadline=None, print_blob=True)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _no_key_of_the_user() -> Iterator[None]:
    """Keep the user's own keys, folders and terminal out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIO_AUDIT_KEY", "11" * 32)
        for name in ("CIO_WRITE_KEY", "CIO_SITE_ID", "CIO_TRACK_API_KEY", "CIO_REGION", "COLUMNS"):
            patch.delenv(name, raising=False)
        yield


def _enter(namespace: dict[str, object]) -> None:
    folder = tempfile.TemporaryDirectory()
    Path(folder.name, "sample_data").symlink_to(ROOT / "sample_data")
    namespace["_folder"], namespace["_before"] = folder, str(Path.cwd())
    os.chdir(folder.name)


def _leave(namespace: dict[str, object]) -> None:
    os.chdir(str(namespace["_before"]))
    folder = namespace["_folder"]
    assert isinstance(folder, tempfile.TemporaryDirectory)
    folder.cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()],
    patterns=["README.md", "docs/corrected.md"],
    setup=_enter,
    teardown=_leave,
).pytest()
