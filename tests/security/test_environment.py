"""Nothing that the package shows contains a key or any other value of the environment."""

import base64
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.security.surface import MISTAKES

ROOT = Path(__file__).parents[2]
CANARIES = {
    "CIO_WRITE_KEY": "CANARYwrite/key+1",
    "CIO_SITE_ID": "CANARYsite2",
    "CIO_TRACK_API_KEY": "CANARYtrack/key+3",
    "CIO_APP_API_KEY": "CANARYapp/key+5",
    "CIO_AUDIT_KEY": "c0ffee" * 10 + "0001",
    "CIO_REGION": "eu",
    "SOMETHING_ELSE": "CANARYelse4",
}
SECRETS = [value for value in CANARIES.values() if len(value) > len("eu")]
FORMS = [
    form
    for secret in SECRETS
    for form in (
        secret,
        secret[::-1],
        quote(secret, safe=""),
        base64.b64encode(f"{secret}:".encode()).decode().rstrip("="),
    )
]
KINDS = ("signature", "docstring", "default", "repr", "help", "pickle", "error", "traceback")
Texts = dict[str, list[tuple[str, str]]]


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Texts:
    """Return all that a fresh interpreter shows, whose environment has a canary in each place."""
    written = tmp_path_factory.mktemp("surface") / "shown.json"
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(Path(__file__).with_name("surface.py")), str(written)],
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), **CANARIES},
    )
    texts: Texts = defaultdict(list)
    for kind, place, text in json.loads(written.read_text()):
        texts[kind].append((place, text))
    return texts


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_shown_contains_a_value_of_the_environment(shown, kind):
    """No module, class, function or object shows a key, an id or an unrelated variable."""
    assert [place for place, text in shown[kind] if any(form in text for form in FORMS)] == []


def test_everything_is_looked_at(shown):
    """All modules and their members are inspected; every mistake is an error."""
    places = {kind: {place for place, _ in texts} for kind, texts in shown.items()}
    files = (path.relative_to(ROOT).with_suffix("") for path in ROOT.glob("cio_frames/**/*.py"))
    modules = {".".join(path.parts).removesuffix(".__init__") for path in files}

    assert set(places) == set(KINDS)
    assert places["help"] >= modules - {"cio_frames.cli.__main__"} | {"cio-frames send"}
    assert {"cio_frames.workspaces.client.Client", "cio_frames.run.history.read"} <= places[
        "signature"
    ]
    assert {
        "cio_frames.workspaces.client.connect",
        "cio_frames.views.environment.detect",
    } <= places["default"]
    assert {"client", "plan", "run.counts", "preview.people", "workspace"} <= places["repr"]
    assert places["error"] == set(MISTAKES)
    assert [place for place, text in shown["error"] if "Client(" in text] == []


def test_an_invalid_region_or_key_is_an_error(shown):
    """An error names the argument or the variable that is wrong, and what to do."""
    errors = dict(shown["error"])

    assert 'cio.connect("eu"), or CIO_REGION=eu' in errors["a key as the region"]
    assert "write_key=" in errors["a key as the first argument"]
    assert errors["a broken write key"].startswith("write_key cannot be a key")
    assert errors["a broken audit key"].startswith("CIO_AUDIT_KEY does not contain a key")
    assert "write_key cannot be a key" in errors["a broken key, on the command line"]
