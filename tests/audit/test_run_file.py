"""run.json comes back as it was written, and takes plain values only."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cio_frames.audit import new_run_id, run_file
from cio_frames.audit.journal import Part
from cio_frames.audit.run_file import RunFile
from cio_frames.config import SecretKey
from cio_frames.errors import AuditCorruptError, AuditError


@pytest.fixture
def content(info) -> RunFile:
    """The content of a run.json."""
    part = Part(
        segment=0, rows=2, bytes=9, sha256="ab", counts={"delivered": 2}, requests=1, retries=0, sent_bytes=7
    )  # fmt: skip
    return RunFile(
        info=replace(info, plans=(("track", 2),), rows=2),
        state="finished",
        durability="power",
        versions={"polars": "2"},
        parts=(part,),
        counts={"rows": 2},
        notes=("The clock is wrong.",),
    )


def test_run_json_comes_back(make_disk, content, tmp_path):
    """What is written is read, with the same types."""
    directory = tmp_path / content.info.run_id
    disk = make_disk()

    run_file.write(disk, directory, content)

    assert run_file.read(disk, directory) == content


def test_a_key_cannot_get_into_run_json(make_disk, content, tmp_path):
    """A secret in the arguments is an error that does not contain it."""
    leaky = replace(content.info, decisions={"key": SecretKey("CANARY")})

    with pytest.raises(AuditError, match="plain values only") as error:
        run_file.write(make_disk(), tmp_path, replace(content, info=leaky))

    assert "CANARY" not in str(error.value)


def test_run_json_of_a_later_format_is_refused(make_disk, content, tmp_path, monkeypatch):
    """A format that this version does not know is not guessed at."""
    directory = tmp_path / content.info.run_id
    disk = make_disk()
    monkeypatch.setattr(run_file, "FORMAT", run_file.FORMAT + 1)
    run_file.write(disk, directory, content)
    monkeypatch.undo()

    with pytest.raises(AuditCorruptError, match="another version"):
        run_file.read(disk, directory)


def test_run_ids_sort_by_time():
    """A later run has a greater name, in whatever zone the clock is."""
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    elsewhere = at.astimezone(timezone(timedelta(hours=-7)))

    assert new_run_id(at, token="zzzzzz") < new_run_id(
        at + timedelta(milliseconds=1), token="000000"
    )
    assert new_run_id(elsewhere, token="a") == new_run_id(at, token="a")
    assert len({new_run_id(at) for _ in range(50)}) == 50
