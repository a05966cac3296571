"""A command line in this process, and small files to give it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cio_frames.cli import main
from cio_frames.sandbox import Sandbox

PEOPLE = """id,email,plan
u1,ada@example.com,pro
u2,bob@example.com,
u3,eve@example.com,free
"""
MIXED = """id,email,plan
u1,ada@example.com,pro
,bob@example.com,free
 u3,eve@example.com,free
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CliResult:
    """The output and the exit code of a command."""

    code: int
    out: str
    err: str


Cli = Callable[..., CliResult]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command in this process."""

    def run(*words: object) -> CliResult:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return CliResult(code=int(code), out=captured.out, err=captured.err)

    return run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def people(folder: Path) -> Path:
    """Write three people, all of whom can be sent."""
    path = folder / "people.csv"
    path.write_text(PEOPLE)
    return path


@pytest.fixture
def mixed(folder: Path) -> Path:
    """Write three people: one good, one without an id, one with a padded id."""
    path = folder / "mixed.csv"
    path.write_text(MIXED)
    return path


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a workspace whose keys are in the environment."""
    with Sandbox() as served:
        monkeypatch.setenv("CIO_WRITE_KEY", served.write_key)
        monkeypatch.setenv("CIO_SITE_ID", served.site_id)
        monkeypatch.setenv("CIO_TRACK_API_KEY", served.track_api_key)
        yield served
