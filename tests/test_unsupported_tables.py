"""Readers that were read before, libraries that fail, and objects that are not tables."""

import sqlite3
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import make_dataclass
from typing import Any

import duckdb
import narwhals
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import cio_frames as cio
from cio_frames.errors import (
    ColumnNotFoundError,
    ColumnTypeError,
    FrameReadError,
    NoIdentifierError,
    StreamConsumedError,
    UnsupportedFrameError,
)
from cio_frames.frames import pandas, read

PEOPLE = pa.table({"id": ["u1", "u2"]})
SECRET = "ada@example.com"


def foreign(module: str, name: str, **members: Any) -> Any:
    """Return an object whose class has the names of one of a library that is not installed."""
    return type(name, (), {"__module__": module, **members})()


def test_a_reader_is_read_once():
    """A second verb on one reader is an error that says what to do, and no empty plan."""
    frame = cio.frame(PEOPLE.to_reader())

    assert frame.identify(user_id="id").counts["rows"] == 2
    with pytest.raises(StreamConsumedError, match=r"pyarrow RecordBatchReader .*a table first"):
        frame.identify(user_id="id")


def test_a_reader_that_was_read_elsewhere_is_refused():
    """A reader whose rows went somewhere else is an error; the table that they went to is not."""
    reader = PEOPLE.to_reader()
    table = reader.read_all()

    with pytest.raises(StreamConsumedError):
        read(reader)
    assert read(table).rows() == 2
    assert read(table.slice(0, 0)).rows() == 0


def test_a_stream_that_is_released_says_that_it_is_read_once():
    """A stream of another library that refuses to be read again leads to the same advice."""

    def export(_stream: object, _schema: object = None) -> object:
        raise RuntimeError("array stream is released")

    stream = foreign("nanoarrow.array_stream", "ArrayStream", __arrow_c_stream__=export)

    with pytest.raises(FrameReadError, match=r"nanoarrow ArrayStream .*only once"):
        read(stream)


def test_a_relation_gives_all_rows_though_some_were_fetched():
    """What was fetched from a relation before does not miss in the plan, and an empty one is fine."""
    with duckdb.connect() as connection:
        relation = connection.sql("select range::varchar as id from range(5000)")
        relation.fetchall()

        assert [read(relation).rows() for _ in range(2)] == [5000, 5000]
        assert read(relation.filter("false")).rows() == 0


def test_a_relation_of_duckdb_1_is_read_anew():
    """DuckDB 1 streams what was not fetched yet, so a relation is asked for a new one."""
    half_read, whole = PEOPLE.slice(1), PEOPLE
    relation = foreign(
        "_duckdb",
        "DuckDBPyRelation",
        project=lambda _relation, columns: {"*": whole}[columns],
        __arrow_c_stream__=lambda _relation, _schema=None: half_read.__arrow_c_stream__(),
    )

    assert read(relation).rows() == 2


def _broken_query() -> Any:
    return duckdb.values([duckdb.ConstantExpression(SECRET).cast(int)])


def _broken_reader() -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        yield PEOPLE.to_batches()[0]
        raise ZeroDivisionError(SECRET)

    return pa.RecordBatchReader.from_batches(PEOPLE.schema, batches())


def _broken_expression() -> Any:
    def export(_table: object, _schema: object = None) -> object:
        raise LookupError(SECRET)

    return foreign("ibis.expr.types.relations", "Table", __arrow_c_stream__=export)


class PanicException(BaseException):
    """What a library written in Rust raises when it panics."""


def _panicking() -> Any:
    def export(_table: object, _schema: object = None) -> object:
        raise PanicException(SECRET)

    return foreign("datafusion.dataframe", "DataFrame", __arrow_c_stream__=export)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(
            _broken_query, r"duckdb DuckDBPyRelation .*\(ConversionException\)", id="duckdb"
        ),
        pytest.param(_broken_reader, r"pyarrow RecordBatchReader .*\(ArrowInvalid\)", id="midway"),
        pytest.param(
            _broken_expression, r"ibis Table .*\(LookupError\).*pyarrow\.table", id="ibis"
        ),
        pytest.param(_panicking, r"datafusion DataFrame .*\(PanicException\)", id="panic"),
    ],
)
def test_errors_of_foreign_engines_are_typed(make, words):
    """A library that fails while its rows are read leads to one error, without values of the rows."""
    with pytest.raises(FrameReadError, match=words) as caught:
        read(make())

    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_interrupt_in_a_foreign_engine_stays_one():
    """Ctrl-C while another library works is not taken for its failure."""

    def export(_table: object, _schema: object = None) -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(foreign("ibis.expr.types.relations", "Table", __arrow_c_stream__=export))


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        ("dask.dataframe.dask_expr._collection", "DataFrame", r"dask DataFrame .*\.compute\(\)"),
        ("dask_expr._collection", "DataFrame", r"dask_expr DataFrame .*\.compute\(\)"),
        ("dask.dataframe.core", "DataFrame", r"dask DataFrame .*\.compute\(\)"),
        ("modin.pandas.dataframe", "DataFrame", r"modin DataFrame .*\.modin\.to_pandas\(\)"),
        ("pyspark.sql.classic.dataframe", "DataFrame", r"pyspark DataFrame .*cio\.frame\(df\)"),
        ("pyspark.sql.connect.dataframe", "DataFrame", r"pyspark DataFrame .*cio\.frame\(df\)"),
        ("pyspark.pandas.frame", "DataFrame", r"pyspark DataFrame .*\.to_spark\(\)"),
        ("ibis.expr.types.strings", "StringColumn", r"ibis StringColumn .*\.as_table\(\)"),
        ("daft.dataframe.dataframe", "DataFrame", r"daft DataFrame .*\.to_arrow\(\)"),
        ("ray.data.dataset", "MaterializedDataset", r"ray .* \.to_pandas\(\) .*write_parquet"),
        ("cudf.core.dataframe", "DataFrame", r"cudf DataFrame .*\.to_pandas\(\)"),
        ("snowflake.snowpark.dataframe", "DataFrame", r"snowflake DataFrame .*\.to_pandas\(\)"),
        ("xarray.core.dataset", "Dataset", r"xarray Dataset .*\.to_dataframe\(\)\.reset_index\(\)"),
        ("sqlalchemy.engine.cursor", "CursorResult", r"CursorResult .*\.mappings\(\)\.all\(\)"),
        ("sqlalchemy.engine.result", "MappingResult", r"MappingResult .* Call \.all\(\)"),
        ("sqlalchemy.engine.row", "Row", r"sqlalchemy Row .*\[dict\(row\._mapping\)\]"),
        ("sqlalchemy.sql.selectable", "Select", r"sqlalchemy Select .*read_database"),
        ("google.cloud.bigquery.table", "RowIterator", r"google RowIterator .*\.to_arrow\(\)"),
        ("mine", "DataFrame", r"mine DataFrame is not a table\. Pass a pandas or polars frame"),
        ("dasking", "DataFrame", r"dasking DataFrame is not a table\. Pass a pandas or polars"),
    ],
)
def test_objects_of_other_libraries_are_named(module, name, words):
    """What is no table is refused by its library and class, with what to call on it."""
    with pytest.raises(UnsupportedFrameError, match=words):
        read(foreign(module, name))


def test_a_class_made_of_one_of_a_library_gets_its_advice():
    """A user's own class that is made of a library's class is as good as that."""
    frame = type(foreign("dask.dataframe.core", "DataFrame"))

    with pytest.raises(UnsupportedFrameError, match=r"mine Orders is not a table\. Call \.compute"):
        read(type("Orders", (frame,), {"__module__": "mine"})())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda: pd.Series(["u1"]), r"pandas Series .*\.to_frame\(\)", id="pandas-series"),
        pytest.param(lambda: pd.Index(["u1"]), r"pandas Index .*\.to_frame\(\)", id="pandas-index"),
        pytest.param(lambda: pl.Series(["u1"]), r"polars Series .*\.to_frame\(\)", id="polars-series"),
        pytest.param(
            lambda: PEOPLE.to_pandas().groupby("id"), r"DataFrameGroupBy .*frame itself", id="pandas-group"
        ),
        pytest.param(
            lambda: pl.DataFrame(PEOPLE).group_by("id"), "polars GroupBy .*frame itself", id="polars-group"
        ),
        pytest.param(
            lambda: pl.LazyFrame(PEOPLE).group_by("id"), "polars LazyGroupBy .*frame itself", id="lazy-group"
        ),
        pytest.param(lambda: pa.array(["u1"]), r'StringArray .*pyarrow\.table\(\{"name"', id="arrow-array"),
        pytest.param(lambda: pa.chunked_array([["u1"]]), r"ChunkedArray .*pyarrow\.table", id="chunked"),
        pytest.param(lambda: ds.dataset(PEOPLE), r"InMemoryDataset .*\.to_table\(\)", id="arrow-dataset"),
        pytest.param(lambda: np.array([["u1"]]), r"numpy ndarray .*polars\.DataFrame\(array", id="numpy"),
        pytest.param(
            lambda: narwhals.from_native(pl.LazyFrame(PEOPLE)),
            r"narwhals LazyFrame .*\.collect\(\)\.to_native\(\)",
            id="narwhals-lazy",
        ),
        pytest.param(
            lambda: narwhals.from_native(pl.Series(["u1"]), series_only=True),
            r"narwhals Series .*\.to_frame\(\)\.to_native\(\)",
            id="narwhals-series",
        ),
        pytest.param(lambda: {"id": ["u1"]}, r"dict .*polars\.DataFrame\(data\)", id="dict-of-lists"),
        pytest.param(list, "list is not a table. It is empty", id="empty-list"),
        pytest.param(lambda: [("u1",)], r'list of tuple .*orient="row"', id="tuples"),
        pytest.param(lambda: [["u1"]], r'list of list .*orient="row"', id="lists"),
        pytest.param(lambda: ["u1"], "list of str .*must be a dictionary", id="texts"),
        pytest.param(lambda: [{"id": "u1"}, None], "list of NoneType .*dictionary", id="with-none"),
        pytest.param(lambda: [pl.DataFrame(PEOPLE)], r"list of polars DataFrame .*concat", id="frames"),
        pytest.param(PEOPLE.to_batches, "list of pyarrow RecordBatch .*Join", id="batches"),
        pytest.param(lambda: [namedtuple("User", "id")("u1")], r"row\._asdict\(\)", id="named-tuples"),  # noqa: PYI024
        pytest.param(lambda: [make_dataclass("User", ["id"])("u1")], r"dataclasses\.asdict\(row\)", id="dataclasses"),
        pytest.param(lambda: [foreign("app", "User", model_dump=dict)], r"row\.model_dump\(\)", id="pydantic"),
        pytest.param(lambda: [foreign("pyspark.sql.types", "Row", asDict=dict)], r"row\.asDict\(\)", id="spark-rows"),
        pytest.param(
            lambda: [foreign("sqlalchemy.engine.row", "Row", _mapping={})],
            r"list of sqlalchemy Row .*dict\(row\._mapping\).*\.mappings\(\)\.all\(\)",
            id="sqlalchemy-rows",
        ),
        pytest.param(lambda: ({"id": item} for item in "ab"), r"generator .*list\(rows\)", id="generator"),
        pytest.param(lambda: None, "NoneType .*inplace=True", id="none"),
        pytest.param(lambda: "people.csv", r"A path \(str\) .*cio\.scan", id="path"),
    ],
)  # fmt: skip
def test_the_error_about_another_object_says_how_to_make_a_table(make, words):
    """Columns, groups, arrays, lists and rows are refused with what makes a table of them."""
    with pytest.raises(UnsupportedFrameError, match=words):
        read(make())


def test_the_error_about_rows_of_sqlite_says_how_to_make_a_table():
    """A cursor, rows as tuples and rows with names are refused, and the advice works."""
    with sqlite3.connect(":memory:") as connection:
        cursor = connection.execute("select 'u1' as id")
        connection.row_factory = sqlite3.Row
        rows = connection.execute("select 'u1' as id").fetchall()
    names = [column[0] for column in cursor.description]

    with pytest.raises(UnsupportedFrameError, match=r"sqlite3 Cursor .*cursor\.fetchall\(\)"):
        read(cursor)
    with pytest.raises(UnsupportedFrameError, match=r"sqlite3 Row .*\[dict\(row\) for row in rows"):
        read(rows)
    assert read([dict(row) for row in rows]).rows() == 1
    assert read(pl.DataFrame(cursor.fetchall(), schema=names, orient="row")).rows() == 1
    connection.close()


@pytest.mark.parametrize(
    "native", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "pyarrow"]
)
def test_a_narwhals_frame_is_read_through_its_stream(native):
    """A frame that narwhals wraps has an Arrow stream, so it needs no unwrapping."""
    frame = narwhals.from_native(native({"id": ["u1"]}))

    assert read(frame).lazy.collect().rows() == [("u1",)]


def test_an_array_of_structs_is_a_table():
    """An Arrow array whose values have named fields is read, whatever offers it."""
    assert read(pa.array([{"id": "u1"}])).lazy.collect().rows() == [("u1",)]


@pytest.mark.parametrize(
    ("index", "argument"),
    [
        pytest.param(pd.Index(["u1"], name="id"), "id", id="named"),
        pytest.param(pd.Index(["u1"]), "index", id="unnamed"),
        pytest.param(pd.MultiIndex.from_tuples([("a", "u1")], names=["x", "id"]), "id", id="level"),
        pytest.param(pd.MultiIndex.from_tuples([("a", "u1")]), "level_1", id="unnamed-level"),
    ],
)
def test_an_index_that_contains_the_ids_is_named_in_the_error(index, argument):
    """An argument that names a level of the index says what makes a column of it, and it does."""
    frame = pd.DataFrame({"plan": ["pro"]}, index=index)

    with pytest.raises(ColumnNotFoundError, match=rf"'{argument}' .*df\.reset_index\(\)"):
        frame.cio.identify(user_id=argument)
    with pytest.raises(ColumnNotFoundError, match=r"df\.reset_index\(\)"):
        frame.cio.identify(user_id=pl.col(argument))
    with pytest.raises(NoIdentifierError, match=rf"{argument}\), call df\.reset_index\(\)"):
        frame.cio.identify()
    assert frame.reset_index().cio.identify(user_id=argument).counts["valid"] == 1


def test_an_index_that_only_counts_is_not_spoken_of():
    """Where the index contains nothing, the error about a missing column is that of any other table."""
    with pytest.raises(ColumnNotFoundError) as caught:
        pd.DataFrame({"plan": ["pro"]}).cio.identify(user_id="index")

    assert "reset_index" not in str(caught.value)


def test_geometries_are_refused():
    """A column of geometries, as geopandas has them, is refused with what to do."""
    column = foreign("geopandas.geoseries", "GeoSeries", dtype="geometry")

    with pytest.raises(ColumnTypeError, match=r"'place': .*geometries.*\.to_wkt\(\)"):
        pandas.column("place", column)


ROWS = [(f"u{n:02}", f"plan {n % 3}") for n in range(36)]
USERS = pd.DataFrame(ROWS, columns=["id", "plan"])


def users_of(library: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the table of users as a library has it; it is skipped where it is not installed."""
    monkeypatch.setenv("MODIN_ENGINE", "python")
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    module = pytest.importorskip(library)
    match library:
        case "duckdb":
            return module.connect().from_df(USERS)
        case "ibis":
            return module.memtable(USERS)
        case "daft":
            return module.from_pandas(USERS)
        case "modin.pandas":
            return module.DataFrame(USERS)
        case "dask.dataframe":
            return module.from_pandas(USERS, npartitions=12)
        case _:
            start = pytest.importorskip("ray").init
            start(
                num_cpus=1,
                include_dashboard=False,
                log_to_driver=False,
                _node_ip_address="127.0.0.1",
            )
            return module.from_pandas(USERS)


def sent_of(table: Any) -> list[tuple[str, str]]:
    """Return whom a plan of a table is about, and which plan each of them has."""
    plan = cio.frame(table).identify(user_id="id")
    return [(each["userId"], each["traits"]["plan"]) for each in plan.payloads(len(ROWS))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", ["duckdb", "ibis", "daft"])
def test_tables_with_an_arrow_stream_are_taken(library, monkeypatch):
    """DuckDB, Ibis and Daft give their rows through Arrow, so nothing is to be done."""
    table = users_of(library, monkeypatch)

    assert sorted(sent_of(table)) == ROWS


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("library", "advice", "small", "write"),
    [
        ("modin.pandas", ".modin.to_pandas()", lambda table: table.modin.to_pandas(), None),
        (
            "dask.dataframe",
            '.to_parquet("folder", write_index=False, name_function="{:06}.parquet".format)',
            lambda table: table.compute(),
            lambda table, folder: table.to_parquet(
                folder, write_index=False, name_function="{:06}.parquet".format
            ),
        ),
        (
            "ray.data",
            '.write_parquet("folder")',
            lambda table: table.to_pandas(),
            lambda table, folder: table.write_parquet(folder),
        ),
    ],
)
def test_the_advice_about_a_library_makes_a_table(  # noqa: PLR0917 - fixtures and cases
    library, advice, small, write, monkeypatch, tmp_path
):
    """The error about a table of Modin, Dask or Ray says what to call, and that gives all rows in order."""
    table = users_of(library, monkeypatch)

    with pytest.raises(UnsupportedFrameError) as caught:
        cio.frame(table).identify(user_id="id")
    assert advice in str(caught.value)
    assert sent_of(small(table)) == ROWS
    if write is not None:
        write(table, str(tmp_path))
        assert sent_of(cio.scan(tmp_path / "*.parquet")) == ROWS
