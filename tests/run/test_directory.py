"""A directory for the record that is none, that is several, or that goes away."""

import contextlib
import gzip
import json
import os
import shutil
import sys
from pathlib import Path

import httpx2
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import AuditCorruptError, AuditError, RunStoppedError

PLAN = pl.DataFrame({"id": [f"u{n}" for n in range(6)]}).cio.identify(user_id="id")


def client(answer):
    """Return a client whose every request is answered by a function."""
    transport = httpx2.MockTransport(lambda it: answer(it) or httpx2.Response(200, json={}))
    return cio.connect(write_key="k", transport=transport, environ={})


def refused(folder: Path) -> cio.Run:
    """Return a run that a key which is not accepted has ended."""
    with pytest.raises(RunStoppedError) as stopped:
        PLAN.send(client(lambda _: httpx2.Response(401)), audit=folder, progress=False)
    return stopped.value.run


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("a_file", "is not a directory", id="file"),
        pytest.param("a_file/below", "cannot be a directory", id="below-a-file"),
        pytest.param("a\0b", "cannot be a directory", id="nul"),
        pytest.param("x" * 5_000, "cannot be a directory", id="too-long"),
    ],
)
@pytest.mark.parametrize("way", ["send", "resume", "audit"])
def test_what_cannot_be_a_directory_is_refused_by_name(tmp_path, name, problem, way):
    """A file, a NUL or a name that is too long raises at once, and nothing is sent."""
    (tmp_path / "a_file").write_text("")
    asked = []
    audit = f"{tmp_path}/{name}"
    ways = {
        "send": lambda: PLAN.send(client(asked.append), audit=audit, progress=False),
        "resume": lambda: cio.resume(audit, client(asked.append), PLAN, progress=False),
        "audit": lambda: cio.audit(audit),
    }

    with pytest.raises(AuditError, match=problem):
        ways[way]()
    assert not asked


def nested(path: Path) -> None:
    """Write JSON that is deeper than any parser goes."""
    path.write_text("[" * 200_000 + "]" * 200_000)


def pipe(path: Path) -> None:
    """Put a pipe in place of the file, which would be waited for."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes of that kind")
@pytest.mark.parametrize("damage", [nested, pipe], ids=lambda it: it.__name__)
def test_a_strange_run_json_is_refused_and_not_waited_for(tmp_path, damage):
    """Every reader ends with an error that names the file, and the repr is a text all the same."""
    run = refused(tmp_path)
    audit = cio.audit(tmp_path)
    damage(run.audit / "run.json")

    for ask in (
        lambda: audit.messages,
        lambda: audit.runs,
        lambda: PLAN.send(client(lambda _: None), audit=tmp_path, progress=False),
        lambda: cio.resume(run.audit, client(lambda _: None), PLAN, progress=False),
    ):
        with pytest.raises(AuditCorruptError, match=r"run\.json: missing, or not a run"):
            ask()
    assert "cannot be read" in repr(audit)
    assert "cannot be read" in str(audit)
    assert "cannot be read" in audit._repr_mimebundle_()["text/plain"]
    assert "run.json" in " ".join(audit.verify()["file"])


def test_the_folder_above_a_run_names_what_can_be_resumed(tmp_path):
    """Resuming the directory of all runs lists those that have something left."""
    run = refused(tmp_path)
    PLAN.send(client(lambda _: None), audit=tmp_path, progress=False)

    assert cio.audit(tmp_path).runs.height == 2
    with pytest.raises(
        AuditError, match=f"the audit directory, not a run.*can be resumed: {run.run_id}\\."
    ) as raised:
        cio.resume(tmp_path, client(lambda _: None), PLAN, progress=False)
    line = f"cio.resume({str(run.audit)!r}, client, plan)"
    assert line in str(raised.value)
    assert str(cio.audit(tmp_path)).count(line.partition(",")[0]) == 1
    cio.resume(run.audit, client(lambda _: None), PLAN, progress=False)
    assert line.partition(",")[0] not in str(cio.audit(tmp_path))
    with pytest.raises(AuditError, match="None of its runs has anything left"):
        cio.resume(tmp_path, client(lambda _: None), PLAN, progress=False)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
@pytest.mark.parametrize("durability", ["power", "process"])
def test_a_directory_that_goes_away_ends_the_run_before_the_next_request(tmp_path, durability):
    """Without its record no request leaves; the error has the run, which can still be shown."""
    rows = pl.DataFrame({"id": [f"u{n}" for n in range(300)]})
    plan = rows.with_columns(note=pl.lit("word " * 3_000)).cio.identify(user_id="id")
    folder, asked = tmp_path / "audit", []

    def remove(request):
        asked.append(json.loads(gzip.decompress(request.content)))
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)

    with pytest.raises(AuditError) as lost:
        plan.send(client(remove), audit=folder, progress=False, durability=durability)

    run = lost.value.run
    assert len(asked) == 1
    assert run.run_id in repr(run)
    assert run.counts["pending"] + run.counts["in_doubt"] + run.counts["delivered"] == 300
    assert run.counts["delivered"] <= len(asked[0]["batch"])
    with pytest.raises(AuditError):
        run.failed()
