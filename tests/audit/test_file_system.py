"""The directory of a run belongs to one writer and one user."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cio_frames.audit import AuditWriter, recover
from cio_frames.audit.file_system import LocalFileSystem, write_atomic
from cio_frames.errors import AuditError, AuditLockedError

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")


@posix
def test_files_and_directories_are_for_their_owner_only(begin, make_segment, make_scripted_run):
    """Directories are 0700 and files 0600, during a run and after it."""
    writer = begin()
    make_scripted_run(writer).plan(make_segment(0, first=0, sizes=(3,)))

    for path in [writer.directory, *writer.directory.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    writer.close()
    for path in [writer.directory, *writer.directory.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


@posix
@pytest.mark.parametrize("name", ["plan", "wal", "parts"])
def test_a_link_in_place_of_a_directory_is_refused(begin, info, tmp_path: Path, name: str):
    """Nothing is written through a link."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    directory = tmp_path / "audit" / info.run_id
    directory.mkdir(parents=True)
    (directory / name).symlink_to(elsewhere)

    with pytest.raises(AuditError, match="is a link"):
        begin()

    assert list(elsewhere.iterdir()) == []


@posix
def test_a_link_in_place_of_a_file_is_refused(begin, info, tmp_path: Path):
    """A lock that is a link to another file is not opened."""
    target = tmp_path / "target"
    target.write_text("mine")
    directory = tmp_path / "audit" / info.run_id
    directory.mkdir(parents=True)
    (directory / "LOCK").symlink_to(target)

    with pytest.raises(AuditError, match="could not be opened"):
        begin()

    assert target.read_text() == "mine"


def test_a_file_in_place_of_the_directory_is_refused(begin, tmp_path: Path):
    """An audit that is a file is an error."""
    (tmp_path / "audit").write_text("")

    with pytest.raises(AuditError, match="is not a directory"):
        begin()


def test_a_second_writer_is_refused_at_once(begin):
    """A run that is being written cannot be opened again, and the error names the writer."""
    writer = begin()
    took = []
    for _ in range(5):  # on a busy machine one of them is quick
        began = time.perf_counter()
        with pytest.raises(AuditLockedError, match=f'"pid": {os.getpid()}'):
            recover(writer.directory)
        took.append(time.perf_counter() - began)

    assert min(took) < 1
    writer.close()


def test_the_lock_is_free_when_its_holder_is_killed(tmp_path: Path):
    """A killed process leaves a lock that the next one gets at once."""
    code = (
        "import sys; from pathlib import Path; from cio_frames.audit.file_system import LocalFileSystem\n"
        "LocalFileSystem().lock(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "LOCK"
    with subprocess.Popen(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(AuditLockedError, match=f'"pid": {holder.pid}'):
            LocalFileSystem().lock(path)
        assert LocalFileSystem().is_locked(path)
        holder.kill()

    assert not LocalFileSystem().is_locked(path)
    LocalFileSystem().unlock(LocalFileSystem().lock(path))


def test_a_closed_run_is_not_locked(begin):
    """After the end anybody may recover, and closing again changes nothing."""
    writer = begin()
    writer.close()
    writer.close()

    assert recover(writer.directory).run.state == "stopped"


def test_a_published_file_replaces_the_old_one_whole(tmp_path: Path):
    """The new content is there, and nothing else."""
    path = tmp_path / "run.json"
    (tmp_path / "run.json.tmp").write_bytes(b"left by a crash")
    path.write_bytes(b"old")

    write_atomic(LocalFileSystem(), path, b"new")

    assert path.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@posix
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a limit on file sizes")
def test_a_file_that_may_not_grow_stops_the_run_before_sending(info, key, tmp_path: Path):
    """A real limit of the operating system is met like a full disk."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from cio_frames.audit.file_system import LocalFileSystem, write_atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "path = Path(sys.argv[1])\n"
        "try:\n    write_atomic(LocalFileSystem(), path, bytes(5000))\n"
        "except OSError as error:\n    print(type(error).__name__, list(path.parent.iterdir()))\n"
    )
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", code, str(tmp_path / "file")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "OSError []\n"


def test_a_relative_audit_directory_survives_a_change_of_directory(
    info, key, tmp_path: Path, monkeypatch
):
    """The record stays where it was begun."""
    monkeypatch.chdir(tmp_path)
    writer = AuditWriter.start("deep/audit", info, key=key)
    monkeypatch.chdir("/")

    writer.close()

    assert (tmp_path / "deep" / "audit" / info.run_id / "run.json").exists()
