"""The public names: sorted, documented, named in the README, completed and typed."""

import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.spec import CALLS

ROOT = Path(__file__).parents[1]
TYPING = ROOT / "tests" / "typing"
README = (ROOT / "README.md").read_text()
VERBS = sorted(set(CALLS) - {"form_action"})
CLASSES = [name for name in cio.__all__ if inspect.isclass(getattr(cio, name))]


def test_the_names_are_sorted():
    """Classes come first, then functions, each in order of the alphabet."""
    assert cio.__all__ == sorted(cio.__all__)


def _documented() -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name in cio.__all__:
        value = getattr(cio, name)
        found.append((name, value))
        if inspect.isclass(value):
            members = inspect.getmembers(value)
            found += [
                (f"{name}.{member}", what)
                for member, what in members
                if not member.startswith("_")
                and (inspect.isfunction(what) or isinstance(what, property))
            ]
    return found


@pytest.mark.parametrize(
    ("name", "value"), [pytest.param(*pair, id=pair[0]) for pair in _documented()]
)
def test_every_public_name_is_documented(name, value):
    """Classes, functions, methods and properties say what they do in their first line."""
    first = (inspect.getdoc(value) or "").partition("\n")[0]

    assert re.match(r"[A-Z`].*[.:]$", first), f"{name} has no first line: {first!r}"


@pytest.mark.parametrize("verb", VERBS)
def test_the_readme_names_every_verb(verb):
    """A reader of the README meets every call."""
    assert f"`{verb}`" in README or f".{verb}(" in README


@pytest.mark.parametrize(
    "name", [name for name in cio.__all__ if not inspect.isclass(getattr(cio, name))]
)
def test_the_readme_names_every_function(name):
    """What can be called is shown where users look first."""
    assert f"cio.{name}(" in README


def test_the_command_line_names_every_call():
    """The help of the command that sends lists every call."""
    code, told = _check("cio_frames.cli", "send", "--help")

    assert code == 0
    assert all(re.search(rf"\b{verb}\b", told) for verb in VERBS)


def test_a_frame_lists_its_verbs():
    """The accessor's own text says what can be typed after it."""
    told = repr(pl.DataFrame({"id": ["u1"]}).cio)

    assert all(verb in told for verb in VERBS)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_ipython_completes_the_verbs(library):
    """After `df.cio.` IPython offers the verbs, and after `(` their arguments."""
    completer = pytest.importorskip("IPython.core.completer")
    data = {"id": ["u1"]}
    frame = pd.DataFrame(data) if library == "pandas" else pl.DataFrame(data)
    shell = completer.IPCompleter(namespace={"df": frame, "cio": cio}, global_namespace={})

    def offered(text: str) -> set[str]:
        with completer.provisionalcompleter():
            return {found.text.lstrip(".") for found in shell.completions(text, len(text))}

    assert set(VERBS) <= {text.rpartition(".")[2] for text in offered("df.cio.")}
    assert {"user_id=", "traits=", "timezone="} <= offered("df.cio.identify(")
    assert "sandbox" in {text.rpartition(".")[2] for text in offered("cio.san")}


def _check(*command: str) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603 - our own tools
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


CHECKERS = {
    "mypy": ("mypy", "--strict", "--no-error-summary"),
    "basedpyright": ("basedpyright", "--level", "error", "--pythonpath", sys.executable),
}


@pytest.mark.parametrize("checker", CHECKERS)
def test_type_checkers_know_the_public_names(checker):
    """The door `cio.frame` is typed: what users write passes, under two type checkers."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")

    code, told = _check(*CHECKERS[checker], str(TYPING / "api.py"))

    assert code == 0, told


@pytest.mark.parametrize("checker", CHECKERS)
def test_type_checkers_find_mistakes(checker):
    """Every line that is marked as a mistake is an error, and no other line is."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    path = TYPING / "mistakes.py"
    lines = path.read_text().splitlines()
    expected = {place for place, line in enumerate(lines, 1) if "# error:" in line}

    _, told = _check(*CHECKERS[checker], str(path))

    assert {int(line) for line in re.findall(r"mistakes\.py:(\d+)", told)} == expected
