"""Each reader and each type that it can hold: one table of what is sent."""

import datetime as dt
import decimal
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi
import duckdb
import polars as pl
import pyarrow as pa
import pytest
import xlsxwriter
from pyiceberg.catalog.memory import InMemoryCatalog

import cio_frames as cio

DAY = dt.date(2026, 1, 2)
MOMENT = dt.datetime(2026, 1, 2, 10, 30, 15, 250_000, tzinfo=dt.UTC)
NAIVE = MOMENT.replace(tzinfo=None)

Frames = Callable[[Path, pa.Table], Any]


@dataclass(frozen=True, kw_only=True)
class Type:
    """A type: a value of it in Arrow, and what is sent."""

    value: Any
    arrow: pa.DataType
    sent: Any


TYPES: Mapping[str, Type] = {
    "text": Type(value='Zoé, "a"\nb', arrow=pa.string(), sent='Zoé, "a"\nb'),
    "zeros": Type(value="00123", arrow=pa.string(), sent="00123"),
    "integer": Type(value=123, arrow=pa.int64(), sent=123),
    "big": Type(value=2**53 + 1, arrow=pa.int64(), sent="9007199254740993"),
    "float": Type(value=0.1, arrow=pa.float64(), sent=0.1),
    "boolean": Type(value=True, arrow=pa.bool_(), sent=True),
    "date": Type(value=DAY, arrow=pa.date32(), sent="2026-01-02"),
    "naive": Type(value=NAIVE, arrow=pa.timestamp("us"), sent="2026-01-02T10:30:15.250Z"),
    "zoned": Type(value=MOMENT, arrow=pa.timestamp("us", "UTC"), sent="2026-01-02T10:30:15.250Z"),
    "decimal": Type(value=decimal.Decimal("12.50"), arrow=pa.decimal128(9, 2), sent=12.5),
    "list": Type(value=["a", "b"], arrow=pa.list_(pa.string()), sent=["a", "b"]),
    "struct": Type(
        value={"a": "1", "n": 2},
        arrow=pa.struct([("a", pa.string()), ("n", pa.int64())]),
        sent={"a": "1", "n": 2},
    ),
    "null": Type(value=None, arrow=pa.string(), sent=None),
}  # fmt: skip


def table(kind: Type) -> pa.Table:
    """Return two rows: one with the value, one without."""
    values = pa.array([kind.value, None], kind.arrow)
    return pa.table({"id": ["u1", "u2"], "x": values})


def scanned(write: Callable[[pa.Table, Path], object], name: str) -> Frames:
    """Return a reader of files, from how they are written."""

    def made(folder: Path, rows: pa.Table) -> pl.LazyFrame:
        write(rows, folder / name)
        return cio.scan(folder / name)

    return made


def xlsx(rows: pa.Table, path: Path) -> None:
    """Write a workbook."""
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm:ss.000"}) as book:
        sheet = book.add_worksheet()
        for place, row in enumerate([rows.column_names, *map(dict.values, rows.to_pylist())]):
            for column, value in enumerate(row):
                put = sheet.write_string if isinstance(value, str) else sheet.write
                put(place, column, value)


def jsonl(rows: pa.Table, path: Path) -> None:
    """Write JSON Lines, as pandas and polars do."""
    texts = [
        json.dumps(row, default=lambda x: float(x) if isinstance(x, decimal.Decimal) else str(x))
        for row in rows.to_pylist()
    ]
    path.write_text(f"[{','.join(texts)}]" if path.suffix == ".json" else "\n".join(texts))


def adbc(folder: Path, rows: pa.Table) -> pa.Table:
    """Return what a query through ADBC gives."""
    with (
        adbc_driver_sqlite.dbapi.connect(str(folder / "a.db")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.adbc_ingest("people", rows)
        cursor.execute("SELECT * FROM people ORDER BY id")
        return cursor.fetch_arrow_table()


def delta(folder: Path, rows: pa.Table) -> pl.LazyFrame:
    """Return a Delta table."""
    pl.DataFrame(rows).write_delta(folder / "delta")
    return pl.scan_delta(folder / "delta")


def iceberg(folder: Path, rows: pa.Table) -> pl.LazyFrame:
    """Return an Iceberg table."""
    with closing(InMemoryCatalog("tests", warehouse=str(folder))) as catalog:
        catalog.create_namespace("shop")
        made = catalog.create_table("shop.people", schema=rows.schema)
        made.append(rows)
    return pl.scan_iceberg(made)


READERS: Mapping[str, Frames] = {
    "csv": scanned(lambda rows, path: pl.DataFrame(rows).write_csv(path), "a.csv"),
    "json lines": scanned(jsonl, "a.jsonl"),
    "json array": scanned(jsonl, "a.json"),
    "parquet": scanned(lambda rows, path: pl.DataFrame(rows).write_parquet(path), "a.parquet"),
    "arrow file": scanned(lambda rows, path: pl.DataFrame(rows).write_ipc(path), "a.arrow"),
    "arrow stream": scanned(
        lambda rows, path: pl.DataFrame(rows).write_ipc_stream(path), "a.arrow"
    ),
    "excel": scanned(xlsx, "a.xlsx"),
    "delta": delta,
    "iceberg": iceberg,
    "duckdb": lambda _, rows: duckdb.from_arrow(rows).order("id"),
    "adbc": adbc,
    "arrow table": lambda _, rows: rows,
}

NESTED = ("list", "struct")
NO_MOMENTS = ("date", "naive", "zoned")

CANNOT: Mapping[str, tuple[str, ...]] = {
    "csv": NESTED,
    "excel": (*NESTED, "big", "decimal", "zoned"),
    "adbc": (*NESTED, "decimal", "boolean", *NO_MOMENTS),  # SQLite has no such types
}
"""Types that a format has not."""

TEXT_TIMES = {"naive": "2026-01-02 10:30:15.250000", "zoned": "2026-01-02 10:30:15.250000+00:00"}

ITS_OWN: Mapping[tuple[str, str], Any] = {
    ("csv", "naive"): "2026-01-02T10:30:15.250000",
    ("csv", "zoned"): "2026-01-02T10:30:15.250000+0000",
    **{
        (form, kind): text
        for form in ("json lines", "json array")
        for kind, text in TEXT_TIMES.items()
    },
}
"""Where a format holds a value as another type: a time in a text file is the text that stands there."""


@pytest.fixture(autouse=True)
def _planner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan the reading of Iceberg tables with pyiceberg, without a word about other ways."""
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")


CASES = [
    pytest.param(reader, kind, id=f"{reader}-{kind}")
    for reader in READERS
    for kind in TYPES
    if kind not in CANNOT.get(reader, ())
]


@pytest.mark.parametrize(("reader", "kind"), CASES)
def test_what_is_sent_depends_on_no_reader(tmp_path, reader, kind):
    """A value is sent as its type says, whatever held it; an empty cell sends nothing."""
    frame = READERS[reader](tmp_path, table(TYPES[kind]))

    first, second = cio.frame(frame).identify(user_id="id", traits=["x"]).payloads(2)

    expected = ITS_OWN.get((reader, kind), TYPES[kind].sent)
    assert first["userId"] == "u1"
    assert first.get("traits", {}).get("x") == expected
    assert "x" not in second.get("traits", {})
