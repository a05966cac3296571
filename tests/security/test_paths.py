"""What a user or a file names never becomes another path, here or on the host."""

from contextlib import suppress

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import AuditError, CioError

FORM_IDS = [
    "..", ".", "../..", "../../v1/batch", "..%2f..%2fv1%2fbatch", "%2e%2e", "%2e%2e%2fv1", "a/../b",
    "/v1/batch", "//evil.example", "a/b", "a\\..\\b", "a?b=c", "a#b", "a;b", "a%00b", "a\x00b",
    "a\r\nHost: evil.example", "a b", "ä", "\u202e", "a" * 300, "", " ", "?", "#", "submit", "a/submit",
    "https://evil.example", "@evil.example", "a%0d%0ab",
]  # fmt: skip


@pytest.mark.parametrize("form_id", FORM_IDS)
def test_a_form_id_stays_within_its_segment(form_id, tmp_path):
    """A hostile form id is an error, or arrives as one segment of the path of a form."""
    frame = pl.DataFrame({"email": ["ada@example.com"], "form": [form_id]})
    with cio.sandbox() as workspace:
        plan = frame.cio.form(form_id="form", email="email")
        with suppress(CioError):
            plan.send(workspace.client(), audit=tmp_path, progress=False)
        forms, requests = workspace.forms["form_id"].to_list(), workspace.requests

    assert set(forms) <= {form_id}
    assert all(path.startswith("/api/v1/forms/") for path in requests["path"])
    assert all(path.endswith("/submit") for path in requests["path"])
    assert workspace.counts["accepted"] in (0, 1)


@pytest.mark.parametrize("form_id", ["..", "."])
def test_dots_are_no_form(form_id, tmp_path):
    """A form id that is a step in a path is an error before anything is sent."""
    frame = pl.DataFrame({"email": ["ada@example.com"], "form": [form_id]})
    with cio.sandbox() as workspace:
        try:
            run = frame.cio.form(form_id="form", email="email").send(
                workspace.client(), audit=tmp_path, progress=False
            )
        except CioError:
            run = None

        assert workspace.requests.is_empty()
        assert run is None or run.counts["rejected_local"] == 1


def _link(path, target):
    path.symlink_to(target, target_is_directory=True)


HOSTILE = {
    "a link in place of the run": lambda run, other: (
        run.rename(other / "moved"), _link(run, other / "moved"),
    ),
    "a link in place of the parts": lambda run, other: (
        (run / "parts").rename(other / "parts"), _link(run / "parts", other / "parts"),
    ),
    "a link in place of the journals": lambda run, other: (
        (run / "wal").rename(other / "wal"), _link(run / "wal", other / "wal"),
    ),
    "a link in place of run.json": lambda run, other: (
        (run / "run.json").rename(other / "run.json"),
        (run / "run.json").symlink_to(other / "run.json"),
    ),
    "a link in place of the lock": lambda run, other: (
        (run / "LOCK").unlink(), (run / "LOCK").symlink_to(other / "victim"),
    ),
    "the directory of another name": lambda run, _: run.rename(run.with_name("another")),
}  # fmt: skip


@pytest.mark.parametrize("change", list(HOSTILE.values()), ids=list(HOSTILE))
def test_a_record_that_was_tampered_with_is_not_written_to(change, tmp_path):
    """Links and strange names in place of the record are errors, and no link is followed."""
    other = tmp_path / "other"
    other.mkdir()
    victim = other / "victim"
    victim.write_text("precious")
    frame = pl.DataFrame({"id": ["u1"]})
    with cio.sandbox() as workspace:
        plan = frame.cio.identify(user_id="id")
        run = plan.send(workspace.client(), audit=tmp_path / "audit", progress=False)
        change(run.audit, other)
        found = next((tmp_path / "audit").iterdir())
        with pytest.raises((AuditError, OSError)):
            cio.resume(found, workspace.client(), plan, progress=False)

    assert victim.read_text() == "precious"


def test_the_record_is_for_its_owner_only(tmp_path):
    """Directories and files of a record cannot be read by other users."""
    with cio.sandbox() as workspace:
        run = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id").send(
            workspace.client(), audit=tmp_path / "audit", progress=False
        )  # fmt: skip
    modes = {path: path.stat().st_mode & 0o077 for path in [run.audit, *run.audit.rglob("*")]}

    assert set(modes.values()) == {0}
