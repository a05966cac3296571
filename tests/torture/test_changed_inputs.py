"""The short form of T12 and T13."""

import json

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.audit import run_file
from cio_frames.errors import AuditCorruptError
from torture.changed_inputs import (
    CHANGES,
    append_rows,
    corrupt_record,
    resume_finished,
    send_changed,
)

SEED = 20273


def test_a_finished_run_can_be_resumed_without_effect():
    """Resuming a finished run sends nothing and changes no byte of its record."""
    assert resume_finished(seed=SEED).facts["sent"] == 0


@pytest.mark.parametrize("name", list(CHANGES))
def test_only_what_is_new_is_sent(name):
    """The same rows in another shape are skipped; a changed value sends its row alone."""
    assert send_changed(name, seed=SEED).facts["sent"] == CHANGES[name][2]


def test_appended_rows_are_sent_alone():
    """A table that has grown is sent from where it was."""
    assert append_rows(seed=SEED).facts["sent"] > 0


def test_damage_is_an_error_or_harmless():
    """Changed bits in the record of an unfinished run give an error, or what is true."""
    assert corrupt_record(seed=SEED, cases=90).facts["errors"] > 0


def test_a_record_of_another_version_is_an_error(tmp_path):
    """A run.json that lacks a field is an error."""
    with cio.sandbox() as workspace:
        run = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id").send(
            workspace.client(), audit=tmp_path, progress=False
        )  # fmt: skip
    path = run.audit / run_file.NAME
    body = json.loads(path.read_text())
    del body["checksum"], body["workspaces"]
    path.write_text(json.dumps(body | {"checksum": run_file.checksum(body)}))

    with pytest.raises(AuditCorruptError, match="another version"):
        _ = cio.audit(tmp_path).messages
