"""A field that is added as a row of `spec/` works everywhere, or is refused when the package is imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cio_frames

ROW = 'field("sentAt", "time", "SPEC-AUG; SEED-HTTP; C8", '
FED = ROW + 'argument="sent_at", words="sent at", '
USE = """
import polars as pl, cio_frames as cio
from cio_frames.cli.app import main

frame = pl.DataFrame({"id": ["u1", "u2"], "n": [1, 2], "sent at": ["2024-01-02 03:04:05", "never"]})
plan = frame.cio.identify(user_id="id", sent_at="sent at", timezone="Europe/Berlin")
print([message["sentAt"] for message in plan.payloads()])
print(plan.findings.filter(pl.col("column") == "sent at")["code"].unique().to_list())
print("sent_at" in cio.suggest(frame, "identify")["argument"].to_list())
frame.head(1).write_csv("rows.csv")
main(["preview", "rows.csv", "--call", "identify", "--user-id", "id", "--sent-at", "sent at"])
"""


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code with the package of a folder."""
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a copy of the package, to whose rows `sent_at` is added."""
    package = tmp_path / "cio_frames"
    shutil.copytree(Path(cio_frames.__file__).parent, package)
    fields = package / "spec" / "fields.py"
    text = fields.read_text()
    assert text.count(ROW) == 1
    fields.write_text(text.replace(ROW, FED))
    return tmp_path


def test_a_row_without_its_argument_is_refused_at_import(folder):
    """A row whose argument no verb takes fails at import, and the error says where to add it."""
    done = run(folder, "import cio_frames.accessors")

    assert done.returncode == 1
    assert "sentAt of identify" in done.stderr
    assert "argument sent_at, which Frame.identify does not take" in done.stderr


def test_a_row_and_its_argument_are_enough(folder):
    """With the argument in the signatures, checks, messages, proposals and options know a new time."""
    verbs = folder / "cio_frames" / "accessors.py"
    message_id = "        message_id: Value | None = None,\n"
    more = "        sent_at: Value | None = None,\n"
    verbs.write_text(verbs.read_text().replace(message_id, message_id + more))

    done = run(folder, USE)

    messages, codes, is_suggested, *preview = done.stdout.splitlines()
    assert messages == "['2024-01-02T02:04:05.000Z']"
    assert codes == "['time.unreadable']"
    assert is_suggested == "True"
    assert any("sentAt" in line for line in preview)
