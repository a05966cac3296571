"""What pip installs alone is enough: libraries of the extras make it faster and nicer, no more."""

import json
import os
import subprocess
import sys
from importlib.metadata import metadata, requires

import pytest
from packaging.requirements import Requirement

OPTIONAL = (
    "IPython", "deltalake", "fastexcel", "httpx2", "ipywidgets", "isal", "marimo", "obstore", "pandas",
    "polars_hash", "pyiceberg",
)  # fmt: skip
MOST_DISTRIBUTIONS = 31  # one of them, colorama, on Windows only

WITHOUT = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        missing = name.partition(".")[0] in {missing!r}
        return None if missing else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
"""

JOURNEY = """
import json, tempfile
from pathlib import Path
import httpx, polars as pl, pyarrow as pa
import cio_frames as cio
from cio_frames.cli import main

rows = {"id": [None, *(f"u{n}" for n in range(1, 3000))], "email": [f"{n}@example.com" for n in range(3000)]}
people = pl.DataFrame(rows | {"code": [str(n) for n in range(3000)]})
plan = people.cio.identify(user_id="id", hash="code")
events = cio.frame(pa.table(rows)).track(event=cio.lit("Joined"), user_id="id")
both = cio.backfill([plan, events])
preview, estimate = both.identity(), both.estimate()
facts = {
    "counts": plan.counts,
    "report": repr(plan),
    "html": sorted(plan._repr_mimebundle_()),
    "payloads": [*plan.payloads(2), *events.payloads(2)],
    "findings": plan.findings["code"].to_list(),
    "rejected": plan.rejected.rows(),
    "creates": preview.summary["creates"],
    "requests": estimate.requests,
    "rehearsed": both.rehearse(progress=False).identical,
}
with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
    client = workspace.client()
    run = both.send(client, audit=folder)
    again = plan.send(client, audit=folder, progress=True)
    resumed = cio.resume(run.audit, client, both)
    record = cio.audit(folder)
    facts |= {
        "delivered": run.counts["delivered"],
        "skipped": again.counts["skipped_done"],
        "resumed": resumed.counts["delivered"],
        "ids": record.messages.filter(pl.col("run_id") == run.run_id).sort("plan", "row").select("message_id", "person_key").rows(),
        "failed": run.failed().height,
        "explained": record.explain(row=1, run=run.run_id).count("delivered"),
        "verified": record.verify().height,
        "page": httpx.get(workspace.url).status_code,
        "people": workspace.people.height,
    }
    file = Path(folder, "people.csv")
    people.write_csv(file)
    facts["exits"] = [
        main(["check", str(file), "--call", "identify", "--user-id", "id"]),
        main(["send", str(file), "--call", "identify", "--user-id", "id", "--to", "sandbox", "--audit", f"{folder}/cli"]),
    ]
print(json.dumps(facts, default=str))
"""


def run(code: str, *, missing: tuple[str, ...] = OPTIONAL) -> str:
    """Run code in an interpreter that lacks some libraries; return the last line it prints."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "error", "-c", WITHOUT.format(missing=missing) + code],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"CIO_AUDIT_KEY": "ab" * 32},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip().rpartition("\n")[2]


def test_all_of_it_works_without_the_extras():
    """Reports, messages, ids, previews, runs, records and commands are the same without them."""
    with_all, without = (json.loads(run(JOURNEY, missing=missing)) for missing in ((), OPTIONAL))

    assert without == with_all
    assert without["delivered"] == without["skipped"] + 2_999 == 5_998
    assert without["rehearsed"]


@pytest.mark.parametrize(
    ("kind", "library", "install"),
    [
        pytest.param("widget", "ipywidgets", "cio-frames[notebook]", id="widget"),
        pytest.param("html", "IPython", "cio-frames[notebook]", id="html"),
        pytest.param("marimo", "marimo", "pip install marimo", id="marimo"),
    ],
)
def test_a_display_that_is_not_installed_is_an_error_before_anything_is_sent(
    tmp_path, kind, library, install
):
    """A display asked for by name says what to install, and leaves no run behind."""
    code = f"""
import os, polars as pl, cio_frames as cio
from cio_frames.errors import MissingLibraryError
plan = pl.DataFrame({{"id": ["u1"]}}).cio.identify(user_id="id")
with cio.sandbox() as workspace:
    try:
        plan.send(workspace.client(), audit={str(tmp_path)!r}, progress={kind!r})
    except MissingLibraryError as error:
        print(error.library, os.listdir({str(tmp_path)!r}), workspace.people.height, error)
"""

    output = run(code)

    assert output.startswith(f"{library} [] 0 ")
    assert install in output


def test_a_notebook_without_ipywidgets_shows_plain_html():
    """Where IPython runs the cell and there are no widgets, progress is drawn as HTML."""
    code = """
from types import SimpleNamespace
from cio_frames.views.displays import display
from cio_frames.views.environment import detect
shell = SimpleNamespace(kernel=object(), user_ns={})
cell = detect(modules={"IPython": SimpleNamespace(get_ipython=lambda: shell)}, environ={})
print(type(display(True, environment=cell)).__name__)
"""

    assert run(code, missing=("ipywidgets",)) == "Html"


@pytest.mark.parametrize(
    ("source", "library", "extra"),
    [
        pytest.param("people.xlsx", "fastexcel", "excel", id="excel"),
        pytest.param("s3://bucket/people.csv", "obstore", "cloud", id="cloud"),
    ],
)
def test_a_source_that_needs_an_extra_says_which(tmp_path, source, library, extra):
    """A workbook or a bucket without its library is a typed error with the command to type."""
    (tmp_path / "people.xlsx").write_bytes(b"PK\x03\x04")
    code = f"""
import os, cio_frames as cio
os.chdir({str(tmp_path)!r})
try:
    cio.scan({source!r})
except cio.MissingLibraryError as error:
    print(error.library, error)
"""

    output = run(code)

    assert output.startswith(f"{library} ")
    assert output.endswith(f'Run: pip install "cio-frames[{extra}]"')


def test_pandas_frames_need_nothing_but_pandas():
    """A pandas frame is planned, and its findings come back as pandas, without the other extras."""
    code = """
import pandas as pd, cio_frames as cio
plan = pd.DataFrame({"id": ["u1", None]}).cio.identify(user_id="id")
print(type(plan.findings) is pd.DataFrame, list(plan.rejected["reasons"]), plan.counts["valid"])
"""

    missing = tuple(name for name in OPTIONAL if name != "pandas")
    assert run(code, missing=missing) == "True ['id.missing'] 1"


def _installed_alone() -> set[str]:
    """Return the distributions that pip installs with the package when no extra is asked for."""
    loaded: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement("cio-frames")]
    while waiting:
        wanted = waiting.pop()
        name, extras = wanted.name.lower().replace("_", "-"), frozenset(wanted.extras)
        if (name, extras) in loaded:
            continue
        loaded.add((name, extras))
        for line in requires(name) or ():
            each = Requirement(line)
            if each.marker is None or any(
                each.marker.evaluate({"extra": extra}) for extra in extras or {""}
            ):
                waiting.append(each)
    return {name for name, _ in loaded}


def test_an_installation_stays_small():
    """Without extras few distributions are installed, and none of those that are optional."""
    loaded = _installed_alone()

    assert {"polars", "pyarrow", "httpx", "h11"} <= loaded
    assert loaded.isdisjoint({"ipython", "ipywidgets", "isal", "pandas", "polars-hash"})
    assert loaded.isdisjoint({"deltalake", "fastexcel", "obstore", "pyiceberg"})
    assert len(loaded) <= MOST_DISTRIBUTIONS, sorted(loaded)


def test_all_is_every_extra_for_users():
    """`cio-frames[all]` brings what each of the other extras brings, but Spark, which clusters bring."""
    optional = [Requirement(line) for line in requires("cio-frames") or () if "extra" in line]
    extras = set(metadata("cio-frames").get_all("Provides-Extra") or ()) - {"dev", "docs", "spark"}
    brought = {
        extra: {
            each.name for each in optional if each.marker and each.marker.evaluate({"extra": extra})
        }
        for extra in extras
    }

    assert brought["all"] == set().union(*brought.values())
