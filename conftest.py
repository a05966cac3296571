"""Run the examples of the README as tests, from the root of the checkout."""

from doctest import ELLIPSIS
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def _audit_key(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Keep the key of pseudonyms, and nothing else, out of the user's own folders."""
    patch = pytest.MonkeyPatch()
    patch.setenv("CIO_AUDIT_KEY", "11" * 32)
    for name in ("CIO_WRITE_KEY", "CIO_SITE_ID", "CIO_TRACK_API_KEY", "CIO_REGION"):
        patch.delenv(name, raising=False)
    yield
    patch.undo()


def _in_a_folder_of_its_own(namespace: dict[str, object]) -> None:
    import os
    import tempfile

    folder = tempfile.mkdtemp()
    os.symlink(ROOT / "sample_data", Path(folder) / "sample_data")
    namespace["_back"] = os.getcwd()
    os.chdir(folder)


def _back(namespace: dict[str, object]) -> None:
    import os

    os.chdir(str(namespace["_back"]))


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()],
    patterns=["README.md"],
    setup=_in_a_folder_of_its_own,
    teardown=_back,
).pytest()
