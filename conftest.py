"""Run the examples of the README and of pages of the documentation as tests, in a folder of their own."""

import os
import shlex
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from doctest import ELLIPSIS
from pathlib import Path
from unittest import SkipTest

import polars as pl
import pytest
from hypothesis import settings
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection

ROOT = Path(__file__).parent

# A law that takes long on a busy machine is not broken; what breaks is printed to be replayed. In CI the
# examples are the same each time, as Hypothesis itself has it: a change is judged by what it changes.
settings.register_profile(
    "patient", deadline=None, print_blob=True, derandomize="CI" in os.environ,
    max_examples=50 if "CIO_SHORT" in os.environ else 100,
)  # fmt: skip
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _no_key_of_the_user() -> Iterator[None]:
    """Keep the user's own keys, folders and terminal out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIO_AUDIT_KEY", "11" * 32)
        patch.setenv("CIO_APPROVAL_KEY", "ERERERERERERERERERERERERERERERERERERERERERE=")
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


def _enter_recipes(namespace: dict[str, object]) -> None:
    """Begin a page whose recipes stand alone, each after the two imports that it begins with."""
    import cio_frames as cio

    _enter(namespace)
    write_people(Path.cwd())
    namespace.update(cio=cio, pl=pl)


def write_people(folder: Path) -> None:
    """Write the files that a reader of these pages has: people, orders, and an export of the workspace."""
    orders = pl.DataFrame({"customer_id": ["0041"], "ordered_at": ["2025-07-01T09:30:00Z"]})
    orders.write_csv(folder / "orders.csv")
    people = pl.DataFrame({"customer_id": ["0041", " 0042", None], "plan": ["pro", "free", "pro"]})
    people.write_csv(folder / "people.csv")
    pl.DataFrame({"id": ["0041"], "email": ["ada@example.com"]}).write_csv(folder / "export.csv")


def _run_commands(example: Example) -> str | None:
    """Run the commands of a block; each ends with 0, or with the code that a comment names."""
    from cio_frames.cli import main

    for line in str(example.parsed).replace("\\\n", " ").splitlines():
        command, _, expected = line.partition("  # exit code ")
        program, *words = shlex.split(command)
        code = main(words) if program == "cio-frames" else f"{program} is not cio-frames"
        if str(code) != (expected or "0"):
            return f"{command}: {code}"
    return None


def _examples(page: str, enter: Callable[[dict[str, object]], None]) -> Sybil:
    return Sybil(
        parsers=[
            PythonCodeBlockParser(doctest_optionflags=ELLIPSIS),
            CodeBlockParser(language="sh", evaluator=_run_commands),
            SkipParser(),
        ],
        patterns=[page],
        setup=enter,
        teardown=_leave,
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the notebook about Spark where there is no Java for it."""
    for item in items:
        if item.path.name == "08_spark.ipynb" and shutil.which("java") is None:
            item.add_marker(
                pytest.mark.skip("Java is missing: apt-get install default-jre-headless")
            )


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Run the earlier examples of a page first, where they are not asked for or another process has them."""
    example = getattr(item, "example", None)
    if not isinstance(example, Example):
        return
    done = example.namespace.setdefault("_done", set())
    for earlier in example.document.examples():
        if earlier.start < example.start and earlier.start not in done:
            with suppress(SkipTest):
                earlier.evaluate()
            done.add(earlier.start)
    done.add(example.start)


pytest_collect_file = SybilCollection(
    [
        _examples("README.md", _enter),
        _examples("docs/corrected.md", _enter),
        _examples("docs/sources.md", _enter_sources),
        _examples("docs/cookbook.md", _enter_recipes),
        _examples("docs/getting_started.md", _enter_recipes),
        _examples("docs/reconcile.md", _enter_recipes),
        _examples("docs/review.md", _enter_recipes),
        _examples("docs/drift.md", _enter_recipes),
        _examples("docs/undo.md", _enter),
        _examples("docs/troubleshooting.md", _enter_recipes),
    ]
).pytest()
