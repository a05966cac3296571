"""Run the examples of the README and of the page about sources as tests, in a folder of their own."""

import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from doctest import ELLIPSIS
from pathlib import Path

import polars as pl
import pytest
from hypothesis import settings
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection

ROOT = Path(__file__).parent

# A law that takes long on a busy machine is not broken; what breaks is printed to be replayed.
settings.register_profile("patient", deadline=None, print_blob=True)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _no_key_of_the_user() -> Iterator[None]:
    """Keep the user's own keys, folders and terminal out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIO_AUDIT_KEY", "11" * 32)
        for name in ("CIO_WRITE_KEY", "CIO_SITE_ID", "CIO_TRACK_API_KEY", "CIO_REGION", "COLUMNS"):
            patch.delenv(name, raising=False)
        yield


def _enter(namespace: dict[str, object]) -> None:
    folder = tempfile.TemporaryDirectory()
    Path(folder.name, "sample_data").symlink_to(ROOT / "sample_data")
    namespace["_folder"], namespace["_before"] = folder, str(Path.cwd())
    os.chdir(folder.name)


def _leave(namespace: dict[str, object]) -> None:
    os.chdir(str(namespace["_before"]))
    folder = namespace["_folder"]
    assert isinstance(folder, tempfile.TemporaryDirectory)
    folder.cleanup()


def write_sources(folder: Path) -> None:
    """Write the files that the page about sources speaks of."""
    import adbc_driver_sqlite.dbapi
    import xlsxwriter

    people = pl.DataFrame({"id": ["u1", "u2"], "plan": ["pro", "free"]})
    people.write_ipc(folder / "people.arrow")
    people.write_delta(folder / "people_delta")
    customers = people.with_columns(customer=pl.lit(1001)).select("customer", "plan")
    with xlsxwriter.Workbook(folder / "people.xlsx") as book:
        customers.write_excel(book, worksheet="Customers")
        customers.write_excel(book, worksheet="Archive")
    with zipfile.ZipFile(folder / "export.zip", "w") as archive:
        archive.writestr("people.csv", "id,plan\nu1,pro\n")
    (folder / "mixpanel.jsonl").write_text(
        '{"event":"Signed Up","properties":{"distinct_id":"u1","time":1767225600,"plan":"free"}}\n'
    )
    (folder / "segment.jsonl").write_text(
        '{"type":"track","userId":"u1","event":"Order Completed","messageId":"m1",'
        '"timestamp":"2026-01-01T10:00:00Z","properties":{"total":12.5}}\n'
    )
    with adbc_driver_sqlite.dbapi.connect(str(folder / "shop.db")) as database:
        with database.cursor() as cursor:
            cursor.adbc_ingest("people", people.to_arrow())
        database.commit()


def _enter_sources(namespace: dict[str, object]) -> None:
    _enter(namespace)
    write_sources(Path.cwd())


def _examples(page: str, enter: Callable[[dict[str, object]], None]) -> Sybil:
    return Sybil(
        parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()],
        patterns=[page],
        setup=enter,
        teardown=_leave,
    )


pytest_collect_file = SybilCollection(
    [
        _examples("README.md", _enter),
        _examples("docs/corrected.md", _enter),
        _examples("docs/sources.md", _enter_sources),
    ]
).pytest()
