"""The public names: sorted, documented, named in the README, completed and typed."""

import importlib.util
import inspect
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import get_args

import pandas as pd
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import CioError, UsageError
from cio_frames.sandbox import PROFILES, FaultProfile, Sandbox
from cio_frames.spec import CALLS, CallName
from tests.security.surface import things

ROOT = Path(__file__).parents[1]
TYPING = ROOT / "tests" / "typing"
README = (ROOT / "README.md").read_text()
VERBS = sorted(set(CALLS) - {"form_action"})
REFERENCE = (ROOT / "docs" / "reference.md").read_text()

SHOWN = {
    "verbs": "alias form group identify page screen track",
    "plan": "asend call changes checks corrected counts estimate findings fix fixes identity payloads "
    "refusals rehearse rejected save send summary",
    "backfill": "advice asend counts estimate findings identity plans rehearse save send summary",
    "advice": "calls chains clean losses order sentences strays torn",
    "preview": "attribution changes choices clusters conflicts explain groups merges people plan "
    "relationships summary",
    "estimate": "allowances bound bytes compare compared compressed_bytes label message_bytes new_profiles "
    "objects open other_forms price removed_profiles requests rows seconds",
    "comparison": "estimate run table",
    "rehearsal": "as_predicted compared counts differences identical label open without_effect",
    "client": "activities attributes concurrency endpoint exports gzip people rate region strict",
    "run": "audit client counts done elapsed_s failed go_on notes pause rate reconcile run_id slow_down stop "
    "stopped undo wait",
    "undo": "is_empty not_undone notes plan plans rows run_id save summary",
    "audit": "diff directory explain failed messages profiles reconciliations runs scan verify",
    "checks": "allow allow_sensitive drift ignore phone_region reference rules select severity "
    "thresholds triggers",
    "settings": "alias_previous alias_unknown anonymous_age anonymous_merge anonymous_traits "
    "attribute_order auto_merge choices convert_times dedupe email_trait email_updates empty_user "
    "event_for_unknown form_identifiers group_for_unknown identifiers invalid_email late_anonymous "
    "merged_events merged_relationships null_attribute object_order object_type_place object_types "
    "page_without_url taken_identifier trim_event_names",
    "faults": "burst doubled drip_s dripping dropped failed failed_after fault_for first hold_s "
    "last late reset_after reset_before seed throttled throttled_with_wait too_large truncated "
    "unauthorized wait_s",
    "workspace": "app app_api_key client counts dropped events failures faults forms in_process_url load "
    "map_form merges messages objects page_url people relationships requests reset site_id start stop "
    "track_api_key url write_key",
}
"""What each thing that a user meets offers, and nothing else."""


@pytest.fixture(scope="module")
def met(tmp_path_factory):
    """Return one of each thing that a user meets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIO_WRITE_KEY", "k1")
        return things(str(tmp_path_factory.mktemp("audit")))


def test_the_names_are_sorted():
    """Classes come first, then functions, each in order of the alphabet."""
    assert cio.__all__ == sorted(cio.__all__)
    assert cio.errors.__all__ == sorted(cio.errors.__all__)


def test_the_package_lists_what_a_user_types():
    """`dir` gives the verbs' classes, the functions, `errors` and the version, and no rooms."""
    assert " ".join(dir(cio)) == (
        "Audit Backfill Checks Client Drift Faults Frame Plan Run SavedPlan Undo Workspace __version__ "
        "apply approval_key approve audit backfill connect errors frame lit read_plan reconcile resume "
        "rule samples sandbox scan suggest undo"
    )


def test_every_error_has_its_name_in_the_package():
    """An error is caught as `cio.RunError` or `cio.errors.RunError`; one is the command line's."""
    listed = {name: getattr(cio.errors, name) for name in dir(cio.errors)}
    defined = [value for value in vars(cio.errors).values() if inspect.isclass(value)]

    assert set(listed.values()) == {kind for kind in defined if issubclass(kind, CioError)}
    assert {name: getattr(cio, name) for name in listed if name in cio.__all__} == {
        name: kind for name, kind in listed.items() if kind is not UsageError
    }


def test_the_version_is_looked_up_when_it_is_asked_for():
    """It is that of the distribution; a name that is none is an error as in any module."""
    assert "__version__" not in vars(cio)
    assert cio.__version__ == metadata.version("cio-frames")
    with pytest.raises(AttributeError, match="no attribute 'send'"):
        _ = cio.send


@pytest.mark.parametrize("name", SHOWN)
def test_an_object_lists_what_a_user_needs(met, name):
    """`dir` shows these names, and what only the package asks for stays out of sight."""
    assert [shown for shown in dir(met[name]) if not shown.startswith("_")] == SHOWN[name].split()


@pytest.mark.parametrize("name", SHOWN)
def test_ipython_completes_what_a_user_needs(met, name):
    """After the point IPython offers the same names."""
    pytest.importorskip("jedi")
    completer = pytest.importorskip("IPython.core.completer")
    shell = completer.IPCompleter(namespace={"thing": met[name]}, global_namespace={})
    shell.use_jedi = True

    with completer.provisionalcompleter():
        completions = {
            completion.text.rpartition(".")[2] for completion in shell.completions("thing.", 6)
        }

    assert sorted(completions) == SHOWN[name].split()


@pytest.mark.parametrize("name", SHOWN)
def test_the_reference_names_what_a_user_needs(met, name):
    """Its section lists every member but those that its text or signature describes."""
    kind = type(met[name])
    titles = {kind.__name__, *(public for public in cio.__all__ if getattr(cio, public) is kind)}
    section = re.search(rf"autoclass:: [\w.]*\b({'|'.join(titles)})\n((?:   .*\n)*)", REFERENCE)
    assert section, f"{kind.__name__} is not in the reference"
    listed = re.search(r":members: (.+)", section[2])
    members = set(listed[1].split(", ")) if listed else set()
    described = set(re.findall(r"^    (\w+): ", inspect.getdoc(kind) or "", re.MULTILINE))
    if titles & set(cio.__all__):
        described |= set(inspect.signature(kind).parameters)

    assert set(SHOWN[name].split()) - described <= members <= set(SHOWN[name].split())


@pytest.mark.parametrize(
    "name", [name for name in cio.__all__ if not hasattr(cio.errors, name) and name != "errors"]
)
def test_the_reference_has_every_name(name):
    """Functions and classes of the package are described in the reference."""
    assert re.search(rf"auto(class|function):: {name}\n", REFERENCE)


def test_what_can_be_chosen_is_what_there_is():
    """The names in the signatures are those of the calls, the faults and the workspace."""
    own, embedded = (inspect.signature(make).parameters for make in (cio.sandbox, Sandbox))

    assert set(get_args(CallName)) == set(VERBS)
    assert get_args(FaultProfile) == tuple(PROFILES)
    assert set(own) - {"rate"} == set(embedded) - {"connect"}
    assert all(own[name].default == embedded[name].default for name in own if name != "rate")


def _documented() -> list[tuple[str, object]]:
    documented: list[tuple[str, object]] = []
    for name in cio.__all__:
        value = getattr(cio, name)
        if inspect.ismodule(value):
            continue
        documented.append((name, value))
        if inspect.isclass(value):
            members = inspect.getmembers(value)
            documented += [
                (f"{name}.{member}", what)
                for member, what in members
                if not member.startswith("_")
                and (inspect.isfunction(what) or isinstance(what, property))
            ]
    return documented


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
    "name", [name for name in cio.__all__ if inspect.isfunction(getattr(cio, name))]
)
def test_the_readme_names_every_function(name):
    """What can be called is shown where users look first."""
    assert f"cio.{name}(" in README


def test_the_command_line_names_every_call():
    """The help of the command that sends lists every call."""
    code, output = _check("cio_frames.cli", "send", "--help")

    assert code == 0
    assert all(re.search(rf"\b{verb}\b", output) for verb in VERBS)


def test_a_frame_lists_its_verbs():
    """The accessor's own text says what can be typed after it."""
    text = repr(pl.DataFrame({"id": ["u1"]}).cio)

    assert all(verb in text for verb in VERBS)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_ipython_completes_the_verbs(library):
    """After `df.cio.` IPython offers the verbs, and after `(` their arguments."""
    completer = pytest.importorskip("IPython.core.completer")
    data = {"id": ["u1"]}
    frame = pd.DataFrame(data) if library == "pandas" else pl.DataFrame(data)
    shell = completer.IPCompleter(namespace={"df": frame, "cio": cio}, global_namespace={})

    def offered(text: str) -> set[str]:
        with completer.provisionalcompleter():
            return {
                completion.text.lstrip(".") for completion in shell.completions(text, len(text))
            }

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
    """The function `cio.frame` is typed: what users write passes, under two type checkers."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")

    code, output = _check(*CHECKERS[checker], str(TYPING / "api.py"))

    assert code == 0, output


@pytest.mark.parametrize("checker", CHECKERS)
def test_type_checkers_find_mistakes(checker):
    """Every line that is marked as a mistake is an error, and no other line is."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    path = TYPING / "mistakes.py"
    lines = path.read_text().splitlines()
    expected = {place for place, line in enumerate(lines, 1) if "# error:" in line}

    _, output = _check(*CHECKERS[checker], str(path))

    assert {int(line) for line in re.findall(r"mistakes\.py:(\d+)", output)} == expected
