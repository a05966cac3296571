"""What is published: the wheel that users install, and the sdist that distributions build from."""

import re
import subprocess
import tarfile
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from hatchling.build import build_sdist, build_wheel

ROOT = Path(__file__).parents[1]
TESTED = ("tests", "notebooks", "sample_data", "torture", "benchmarks", "docs", "cio_frames")
SAMPLE = re.compile(r"sample_data/\w+\.(csv|parquet|md)$")
ADDRESS = re.compile(r'(?:src|srcset|href)="([^"]+)"|\]\(([^)]+)\)')
HASHED = re.compile(
    r"^(?P<name>[\w.-]+)==[^\\\n]+\\\n(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", re.MULTILINE
)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the sdist by their path below its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        folder = tmp_path_factory.mktemp("sdist")
        with tarfile.open(folder / build_sdist(str(folder))) as archive:
            return {
                member.name.partition("/")[2]: opened.read()
                for member in archive
                if (opened := archive.extractfile(member))
            }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the wheel by their path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        folder = tmp_path_factory.mktemp("wheel")
        with zipfile.ZipFile(folder / build_wheel(str(folder))) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def test_the_sdist_holds_what_its_tests_need(sdist):
    """Every file that is kept in the checkout below the tested folders is in the sdist, byte for byte."""
    kept = {path for path in _kept() if path.partition("/")[0] in TESTED}
    assert kept <= sdist.keys()
    assert [path for path in kept if sdist[path] != (ROOT / path).read_bytes()] == []


def test_the_sdist_holds_nothing_else(sdist):
    """What is in the sdist is kept in the checkout, but for the description of the package."""
    assert sdist.keys() - _kept() == {"PKG-INFO"}


def test_the_wheel_holds_the_package_alone(wheel):
    """The wheel has the package, its mark for type checkers, the sample data and the licence."""
    modules = {path for path in _kept() if path.startswith("cio_frames/")}
    samples = {f"cio_frames/{path}" for path in _kept() if SAMPLE.match(path)}
    others = {re.sub(r"^.*\.dist-info/", "", path) for path in wheel.keys() - modules - samples}
    assert modules | samples <= wheel.keys()
    assert "cio_frames/py.typed" in modules
    assert others == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def test_the_page_of_the_package_shows_its_pictures(wheel):
    """Every picture and link of the description has an absolute address at the tag of the version."""
    (metadata,) = (text for path, text in wheel.items() if path.endswith("/METADATA"))
    description = message_from_string(metadata.decode())
    addresses = [a or b for a, b in ADDRESS.findall(str(description.get_payload()))]
    readme = [a or b for a, b in ADDRESS.findall((ROOT / "README.md").read_text())]
    assert len(addresses) == len(readme) > 10
    assert [address for address in addresses if not address.startswith(("https://", "#"))] == []
    tag = f"/v{description['Version']}/"
    ours = [address for address in addresses if tag in address]
    assert len(ours) == len([address for address in readme if "://" not in address])
    assert {address.partition(tag)[2] for address in ours} <= _kept()


def test_the_version_has_its_heading_in_the_changelog():
    """The changelog's newest heading is the version of the package."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == version


@pytest.mark.parametrize(
    "path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda p: p.name
)
def test_a_lock_is_hashes_and_nothing_else(path):
    """Each line of a lock pins a version by hashes; no line has an address or an option."""
    assert HASHED.sub("", path.read_text()) == ""
    assert len(HASHED.findall(path.read_text())) >= 1


def _kept() -> set[str]:
    """Return the files of this tree that belong to it: what git knows, or all of an unpacked sdist."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - where it is depends
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return {path for path in listed.stdout.splitlines() if (ROOT / path).exists()}
    paths = (path for path in ROOT.rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in paths if not _made(path)} - {"PKG-INFO"}


def _made(path: Path) -> bool:
    made = {"__pycache__", ".pytest_cache", ".hypothesis", "build", ".venv"}
    return bool(made & set(path.relative_to(ROOT).parts))
