"""Wrong calls say in one line what to type."""

import subprocess
import sys

import pandas as pd
import polars as pl
import pytest

import cio_frames as cio

FRAME = pl.DataFrame({"id": ["u1"], "E-Mail": ["ada@example.com"], "event": ["Seen"]})
CLIENT = cio.connect(write_key="k", environ={})


def verbs():
    """Return the verbs of a table."""
    return FRAME.cio


def planned():
    """Return a plan."""
    return FRAME.cio.identify(user_id="id")


WRONG = {
    "unknown-trait": (lambda: verbs().identify(email="E-Mail"), r'traits=\{"email": "column"\}'),
    "unknown-property": (lambda: verbs().track(email="E-Mail"), r'properties=\{"email": "column"\}'),
    "unknown-field": (
        lambda: verbs().form(form_id=cio.lit("f"), phone="id"), r'fields=\{"phone": "column"\}',
    ),
    "nearly": (lambda: verbs().identify(user="id"), r"Did you mean user_id=\?"),
    "of-an-alias": (lambda: verbs().alias(traits="id"), r"help\(df\.cio\.alias\)"),
    "by-place": (lambda: verbs().identify("id"), r'identify\(user_id="column"\)'),
    "no-client": (lambda: planned().send(), r"plan\.send\(cio\.connect\(\)\)"),
    "a-key-for-a-client": (lambda: planned().send("key"), "A str is not a client"),
    "a-class-for-a-client": (lambda: cio.resume("audit", cio.Client), "A type is not a client"),
    "fewer-than-none": (lambda: planned().payloads(-1), r"-1 is not a number of messages"),
    "a-text-for-a-number": (lambda: planned().payloads("5"), r"plan\.payloads\(5\)"),
    "a-polars-series": (lambda: verbs().identify(user_id=FRAME["id"]), 'Pass user_id="column"'),
    "a-pandas-series": (
        lambda: verbs().identify(user_id=pd.Series(["u1"])), "user_id is a Series, not the name",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_call_says_what_to_type(call, sentence):
    """The error is one of this package, on one line, and repeats no value of the table."""
    with pytest.raises(cio.errors.MappingError, match=sentence) as error:
        call()

    assert len(str(error.value).splitlines()) == 1
    assert "u1" not in str(error.value)


def test_arguments_that_are_not_there_are_a_type_error_too():
    """Code that expects Python's own error catches it."""
    with pytest.raises(TypeError):
        planned().send()


def test_awaiting_a_send_without_a_client_says_the_same():
    """The error comes before anything is awaited."""
    with pytest.raises(cio.errors.ArgumentError, match="asend needs another argument"):
        planned().asend()


@pytest.mark.parametrize("region", ["EU", " eu ", "Eu"])
def test_a_region_is_taken_as_it_is_written(region):
    """Capitals and spaces do not matter."""
    assert cio.connect(region=region, write_key="k", environ={}).region == "eu"


def test_resuming_where_there_is_no_run_says_so(tmp_path):
    """It does not ask for a plan."""
    with pytest.raises(cio.AuditError, match="There is no run"):
        cio.resume(tmp_path, CLIENT)


def test_resuming_the_folder_of_all_runs_names_them(tmp_path):
    """Without a plan as well."""
    with cio.sandbox() as workspace:
        run = planned().send(workspace.client(), audit=tmp_path, progress=False)

    with pytest.raises(cio.AuditError, match=f"(?s){tmp_path.name}.*(resume|left)"):
        cio.resume(tmp_path, CLIENT)
    assert run.counts["delivered"] == 1


def test_ipython_shows_the_callers_lines_only(tmp_path):
    """The lines of this package and of what it calls are not shown; the sentence is, once."""
    script = tmp_path / "cell.py"
    script.write_text(
        "import polars as pl, cio_frames as cio\n"
        'pl.DataFrame({"id": [1]}).cio.identify(user_id="ID")\n'
    )
    command = [sys.executable, "-m", "IPython", "--colors=NoColor", str(script)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - our own program

    assert 'identify(user_id="ID")' in shown
    assert shown.count("is not a column of this table") == 1
    assert "mapping/sources.py" not in shown
    assert "contextlib" not in shown
