"""ZIP archives with one file, and Arrow IPC files of both formats."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from cio_frames.errors import FrameError, InputFileError
from cio_frames.frames import read, scan

PEOPLE = pl.DataFrame({"id": [7, 8], "name": ["Zoé", None], "tags": [["a"], []]})


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """Write an archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def arrow(form: str, compression: str = "uncompressed") -> bytes:
    """Return a table as an Arrow file or stream."""
    written = io.BytesIO()
    write = PEOPLE.write_ipc if form == "file" else PEOPLE.write_ipc_stream
    write(written, compression=compression)
    return written.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("people.csv", b"id,x\nu1,1\n", id="csv"),
        pytest.param("deep/in/people.tsv", b"id\tx\nu1\t1\n", id="tsv"),
        pytest.param("people.jsonl", b'{"id":"u1","x":1}\n', id="jsonl"),
        pytest.param("people.json", b'[{"id":"u1","x":1}]', id="json"),
    ],
)
def test_the_one_file_in_an_archive_is_the_table(tmp_path, name, content):
    """An archive is read as the file in it; what systems add is not counted."""
    path = zipped(tmp_path / "export.zip", {name: content, "__MACOSX/._x": b"", ".DS_Store": b""})

    assert read(scan(path)).lazy.collect().rows() == [("u1", 1)]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param({"a.csv": b"", "b.csv": b""}, r"holds 2 files \('a.csv', 'b.csv'\)", id="two"),
        pytest.param({}, "holds no file", id="none"),
        pytest.param({"a.pdf": b"%PDF-"}, r"\(.pdf\) are not scanned", id="other-kind"),
        pytest.param({"a.csv": b""}, "is empty", id="empty"),
        pytest.param({"a.csv": b'id,x\nu1,"a"b"\n'}, "line 2 has a double quote", id="broken"),
    ],
)
def test_an_archive_without_one_table_is_refused(tmp_path, files, words):
    """The error names the archive that the user knows, not a copy of what is in it."""
    path = zipped(tmp_path / "export.zip", files)

    with pytest.raises(InputFileError, match=words) as caught:
        scan(path)
    assert caught.value.path == str(path)
    assert str(caught.value).startswith(str(path))


def test_damaged_and_protected_archives_are_reported(tmp_path):
    """An archive that is cut off, or that has a password."""
    path = zipped(tmp_path / "export.zip", {"a.csv": b"id\nu1\n"})
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(InputFileError, match="cannot be unpacked"):
        scan(path)

    flagged = bytearray(whole)
    flagged[6] |= 1
    flagged[whole.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(flagged)
    with pytest.raises(InputFileError, match="protected by a password"):
        scan(path)


def test_bombs_are_refused(tmp_path, monkeypatch):
    """An archive, or a workbook, that unpacks to hundreds of times its size is refused unread."""
    monkeypatch.setattr("cio_frames.frames.copies.UNPACKED_MAX_BYTES", 1_000_000)
    for name in ("bomb.zip", "bomb.xlsx"):
        zipped(tmp_path / name, {"a.csv": b"id,x\n" + b"0" * 2_000_000})
        with pytest.raises(InputFileError, match="unpacks to more than 200 times"):
            scan(tmp_path / name)


def test_copies_are_gone_when_the_process_ends(tmp_path):
    """What was unpacked lies in a folder that only its owner can read, and not for longer."""
    path = zipped(tmp_path / "export.zip", {"a.csv": b"id\nu1\n"})
    code = (
        "import cio_frames as cio, os, stat\n"
        f"cio.scan({str(path)!r})\n"
        "from cio_frames.frames.copies import _folder\n"
        "print(_folder(), len(os.listdir(_folder())), stat.S_IMODE(os.stat(_folder()).st_mode) == 0o700)"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )

    folder, count, is_private = done.stdout.split()
    assert (count, is_private, done.stderr) == ("1", "True", "")
    assert not Path(folder).exists()


def test_notes_about_a_file_in_an_archive_name_the_archive(tmp_path):
    """What was chosen is reported for the archive, and a change of it is noticed."""
    path = zipped(tmp_path / "export.zip", {"a.csv": b"id;x\nu1;1\n"})
    table = read(scan(path))

    (note,) = [note for note in table.notes if note.code == "file.separator"]
    assert note.message.startswith(str(path))
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(FrameError, match="was changed after"):
        list(table.chunks())


@pytest.mark.parametrize("name", ["a.arrow", "a.feather", "a.ipc", "a.arrows"])
@pytest.mark.parametrize("form", ["file", "stream"])
@pytest.mark.parametrize("compression", ["uncompressed", "zstd", "lz4"])
def test_arrow_files_are_read_in_both_formats(tmp_path, name, form, compression):
    """File or stream, packed or not, under any of their names: the same table."""
    path = tmp_path / name
    path.write_bytes(arrow(form, compression))

    assert read(scan(path)).lazy.collect().equals(PEOPLE)
    assert scan(path, ids=["id"]).collect()["id"].to_list() == ["7", "8"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(arrow("file")[:120], "cut off or damaged", id="file"),
        pytest.param(arrow("stream")[:120], "cut off or damaged", id="stream"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"id,x\n1,2\n", "is not an Arrow file", id="csv"),
        pytest.param(b"FEA1....", "Feather file of version 1", id="feather-1"),
    ],
)
def test_damaged_arrow_files_are_refused(tmp_path, content, words):
    """A file that is cut off, empty or of another kind says so."""
    (tmp_path / "a.arrow").write_bytes(content)

    with pytest.raises(InputFileError, match=words):
        scan(tmp_path / "a.arrow")


def test_dictionaries_and_doubled_names_of_arrow(tmp_path):
    """Categories are text; a table with one name twice is refused."""
    path = tmp_path / "a.arrow"
    codes = pa.array(["pro", "free"]).dictionary_encode()
    for table in (pa.table({"plan": codes}), pa.table([codes, codes], names=["plan", "plan"])):
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
        if table.num_columns == 1:
            assert scan(path).cio.identify(user_id="plan").payloads(1)[0]["userId"] == "pro"
    with pytest.raises(InputFileError, match="more than once: 'plan'"):
        scan(path)
