"""A run made by hand: its segments, what a server would have seen, and a disk that can fail."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cio_frames.audit import AuditWriter, RunInfo
from cio_frames.payloads.batches import Segment
from torture.fake_disk import FakeDisk
from torture.scripted_run import INFO, KEY, START, ScriptedRun, segment


@pytest.fixture
def info() -> RunInfo:
    """A run against a made-up workspace."""
    return INFO


@pytest.fixture
def make_segment() -> Callable[..., Segment]:
    """Return the maker of segments."""
    return segment


@pytest.fixture
def make_disk() -> type[FakeDisk]:
    """Return the disk that can fail."""
    return FakeDisk


@pytest.fixture
def make_scripted_run() -> type[ScriptedRun]:
    """Return the teller of facts."""
    return ScriptedRun


@pytest.fixture
def key() -> str:
    """A key of pseudonyms."""
    return KEY


@pytest.fixture
def begin(tmp_path: Path, info: RunInfo) -> Callable[..., AuditWriter]:
    """Return a starter of recorders in a directory of their own."""

    def started(**options: object) -> AuditWriter:
        given = {"key": KEY, "now": lambda: START, **options}
        return AuditWriter.start(tmp_path / "audit", given.pop("info", info), **given)

    return started
