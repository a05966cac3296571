"""A record in stores that many machines share: the same record, with no append, no rename and no locks."""

from pathlib import Path

import polars as pl
import pytest
from pyarrow import fs

import cio_frames as cio
from cio_frames.audit import recover
from cio_frames.audit.file_system import LocalFileSystem, RemotePath, resolve_path, write_atomic
from cio_frames.audit.object_store import ObjectStore, file_system_at
from cio_frames.errors import AuditError, MissingLibraryError


@pytest.fixture(params=["local", "mock", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """A store of each kind."""
    where = RemotePath("s3a:/lake/audit")
    if request.param == "s3":
        disk, _ = file_system_at(f"{request.getfixturevalue('s3')}/{tmp_path.name}")
        assert isinstance(disk, ObjectStore)
        return disk
    if request.param == "mock":
        return ObjectStore(fs._MockFileSystem(), address=where, prefix="lake/audit")
    return ObjectStore(fs.LocalFileSystem(), address=where, prefix=str(tmp_path))


def test_what_is_appended_is_read_as_one(store: ObjectStore) -> None:
    """A file that was synced again and again is there whole, and once among the names."""
    place = store._address / "wal"
    store.make(place)
    handle = store.create(place / "run.wal")
    store.write(handle, b"one ")
    store.sync(handle)
    store.write(handle, b"two ")
    store.write(handle, b"three")
    store.truncate(handle, len(b"one two "))
    store.sync(handle)
    store.sync(handle)
    assert store.read(place / "run.wal") == b"one two "
    store.write(handle, b"four")
    assert store.read(place / "run.wal") == b"one two "
    store.close(handle)
    assert store.read(place / "run.wal") == b"one two four"
    assert store.listdir(place) == ["run.wal"]
    store.remove(place / "run.wal")
    assert store.listdir(place) == []
    with pytest.raises(FileNotFoundError):
        store.read(place / "run.wal")


def test_an_object_is_put_in_place_at_once(store: ObjectStore) -> None:
    """Nobody sees a file without its final name, and one that is there is replaced."""
    place = store._address
    store.make(place)
    for data in (b"first", b"second"):
        write_atomic(store, place / "run.json", data)
        assert store.read(place / "run.json") == data
        assert store.listdir(place) == ["run.json"]
    store.remove(place / "nothing")
    assert store.listdir(place / "missing") == []
    with pytest.raises(FileNotFoundError):
        store.read(place / "nothing")
    store.remove_all(place)
    assert store.listdir(place) == []


def test_a_lock_marks_a_directory_that_is_being_written(store: ObjectStore) -> None:
    """A lock is visible, and does not exclude other writers."""
    store.make(store._address)
    path = store._address / "LOCK"
    assert not store.is_locked(path)
    handle = store.lock(path)
    assert store.is_locked(path)
    store.unlock(handle)
    assert not store.is_locked(path)


def test_what_was_put_cannot_be_cut(store: ObjectStore) -> None:
    """A file can be cut as far as it has not been put."""
    store.make(store._address)
    handle = store.create(store._address / "a.wal")
    store.write(handle, b"one")
    store.sync(handle)
    with pytest.raises(OSError, match="cut"):
        store.truncate(handle, 1)


def test_a_run_is_recorded_in_a_bucket(s3: str) -> None:
    """The record of a local run in a bucket is that of one on a disk, and is resumed there."""
    frame = pl.DataFrame({"id": [f"u{n}" for n in range(50)]})
    with cio.sandbox() as workspace:
        plan = cio.frame(frame).identify(user_id="id")
        run = plan.send(workspace.client(), audit=f"{s3}/runs", progress=False)
        assert run.counts["delivered"] == 50
        again = plan.send(workspace.client(), audit=f"{s3}/runs", progress=False)
        assert again.counts["skipped_done"] == 50
    record = cio.audit(f"{s3}/runs")
    assert record.verify().is_empty()
    assert record.messages.height == 100
    assert str(run.audit).startswith("s3a://lake/runs/")
    one = cio.audit(str(run.audit))
    assert set(one.messages["state"]) == {"delivered"}
    assert recover(str(run.audit)).unfinished.is_empty()
    assert "accepted it" in one.explain(row=3)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("s3a://bucket/audit", "s3a://bucket/audit"),
        ("s3a:/bucket/audit", "s3a://bucket/audit"),
        ("gs://bucket", "gs://bucket"),
        ("abfss://container@account.dfs.core.windows.net/audit", "abfss://container@account.dfs.core.windows.net/audit"),
        ("hdfs://name:8020/audit", "hdfs://name:8020/audit"),
        ("file:///data/audit", "/data/audit"),
        ("file:/data/audit", "/data/audit"),
        ("dbfs:/Volumes/main/audit", "/Volumes/main/audit"),
        ("dbfs:/audit", "/dbfs/audit"),
        ("/Volumes/main/audit", "/Volumes/main/audit"),
    ],
)  # fmt: skip
def test_addresses_and_mounts(address: str, path: str) -> None:
    """What this machine has mounted is a path, and everything else stays an address."""
    assert str(resolve_path(address)) == path
    assert str(resolve_path(resolve_path(address) / "run")) == f"{path}/run"


def test_a_path_is_a_disk(tmp_path: Path) -> None:
    """A plain path is written as before."""
    disk, path = file_system_at(tmp_path)
    assert isinstance(disk, LocalFileSystem)
    assert path == tmp_path


def test_an_unknown_store_is_an_error() -> None:
    """An address with an unknown scheme is an error."""
    with pytest.raises((AuditError, MissingLibraryError), match="nowhere"):
        file_system_at("nowhere://bucket/audit")
