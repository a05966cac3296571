"""`format("customerio")`: its options, and what Spark does with it."""

import inspect
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

import polars as pl
import pyarrow as pa
import pytest

import cio_frames as cio
from cio_frames.accessors import Frame
from cio_frames.errors import (
    ArgumentError,
    ChoiceError,
    ColumnNamesError,
    ColumnNotFoundError,
    ConfigError,
)
from cio_frames.frames import ROW
from cio_frames.spec import CallName

data_source = pytest.importorskip(
    "cio_frames.spark.data_source",
    reason="pyspark 4 is missing: pip install 'pyspark>=4'",
    exc_type=ImportError,
)

KEY = "k3y-that-nobody-may-see"
COLUMNS = pa.schema(
    {"id": pa.string(), "event": pa.string(), "at": pa.timestamp("us", "UTC"), "plan": pa.string()}
)
TRACK = {
    "call": "track", "event": "event", "userId": "id", "timestamp": "at", "audit": "/a",
    "allowances": "campaigns",
}  # fmt: skip


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a key in the environment."""
    monkeypatch.setenv("CIO_WRITE_KEY", KEY)
    monkeypatch.setenv("CIO_SITE_ID", "site")
    monkeypatch.setenv("CIO_TRACK_API_KEY", "tr4ck-key")


def job(**options: str) -> Any:
    """Return what options ask for."""
    return data_source.write_job(options, COLUMNS)


@pytest.mark.parametrize("call", get_args(CallName))
def test_options_are_the_arguments_of_the_verbs(call: str) -> None:
    """Each argument of a verb has an option, but for the checks, which are not text."""
    verb = inspect.signature(getattr(Frame, call)).parameters
    assert {*data_source.arguments_of(call), "checks", "namespace"} == set(verb) - {"self"}


def test_options_mean_what_arguments_do() -> None:
    """Columns, constants, lists, dictionaries and words become the arguments of the verb."""
    made = job(
        **TRACK | {"event": "lit(Order Completed)"},
        properties='{"tier": "plan"}',
        context='{"ip": "id"}',
        key="id, at",
        nulls="send",
        timezone="Europe/Berlin",
        namespace="n1",
        region="eu",
        rate="50",
        strict="false",
    )
    frame = pl.DataFrame(COLUMNS.empty_table())
    plan = cio.frame(frame).track(
        event=cio.lit("Order Completed"),
        user_id="id",
        timestamp="at",
        properties={"tier": "plan"},
        context={"ip": "id"},
        key=["id", "at"],
        nulls="send",
        timezone="Europe/Berlin",
        namespace="n1",
    )
    assert made.pipeline.mapping.describe() == plan.pipeline.mapping.describe()
    assert made.pipeline.mapping.timezone == "Europe/Berlin"
    assert made.pipeline.namespace == "n1"
    assert (made.client.region, made.client.rate, made.client.strict) == ("eu", 50.0, False)
    assert made.audit == "/a"


def test_options_may_be_in_lower_case() -> None:
    """Spark gives the names of options in lower case; they mean the same."""
    lowered = {name.lower(): value for name, value in TRACK.items()}
    assert job(**lowered).pipeline.mapping.describe() == job(**TRACK).pipeline.mapping.describe()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, ArgumentError, "call must be one of identify"),
        ({**TRACK, "call": "send"}, ArgumentError, "call must be one of"),
        ({**TRACK, "userld": "id"}, ArgumentError, "'userld' for track. Did you mean 'userId'"),
        ({**TRACK, "path": "/x"}, ArgumentError, "no option 'path'"),
        ({**TRACK, "traits": "plan"}, ArgumentError, "no option 'traits' for track"),
        ({**TRACK, "audit": ""}, ArgumentError, "audit is missing"),
        ({**TRACK, "userId": "nobody"}, ColumnNotFoundError, "nobody"),
        ({**TRACK, "properties": "{plan}"}, ArgumentError, "properties is not JSON"),
        ({**TRACK, "rate": "fast"}, ArgumentError, "rate must be a number"),
        ({**TRACK, "strict": "perhaps"}, ArgumentError, "strict must be true or false"),
        ({**TRACK, "region": "mars"}, ConfigError, "could be a key"),
        ({**TRACK, "writeKey": "abc"}, ConfigError, "environment where Spark is started"),
        ({**TRACK, "track_api_key": "abc"}, ConfigError, "holds a key"),
        ({**TRACK, "region": KEY}, ConfigError, "'region' holds a key"),
        ({**TRACK, "namespace": f"x{KEY}"}, ConfigError, "make a new one"),
        ({"call": "track", "event": "event", "audit": "/a"}, ArgumentError, "one of: userId, anon"),
        ({"call": "identify", "userId": "id", "audit": "/a"}, ArgumentError, "ordered"),
        ({**TRACK, "timestamp": ""}, ArgumentError, r"cio.frame\(df\).track"),
        ({**TRACK, "allow": "User Deleted"}, ArgumentError, "sortWithinPartitions"),
        (
            {"call": "alias", "userId": "id", "previousId": "plan", "audit": "/a"},
            ArgumentError,
            "name a person by several",
        ),
    ],
)
def test_errors_of_wrong_options_have_no_keys(options: Any, error: Any, words: str) -> None:
    """An option that is unknown, missing, unreadable or a key is one error that has no key in it."""
    with pytest.raises(error, match=words) as caught:
        job(**options)
    assert KEY not in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"call": "identify", "userId": "id", "traits": "plan"},
        {"call": "form", "formId": "lit(f1)", "id": "id", "fields": "plan"},
        {"call": "group", "groupId": "plan", "userId": "id"},
        {"call": "track", "event": "event", "userId": "id", "allow": "User Deleted"},
        {"call": "page", "userId": "id"},
    ],
)
def test_ordered_is_enough(options: dict[str, str]) -> None:
    """If the order matters, the option with which a user promises it is enough."""
    made = job(**options, audit="/a", ordered="true", allowances="campaigns, deletions")
    assert made.pipeline.call == options["call"]


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (TRACK, ["campaigns"]),
        ({**TRACK, "allow": "User Deleted"}, ["campaigns", "deletions"]),
        ({"call": "page", "userId": "id"}, ["campaigns"]),
        ({"call": "form", "formId": "lit(f1)", "id": "id"}, ["campaigns"]),
        ({"call": "alias", "userId": "id", "previousId": "plan"}, ["merges"]),
        ({"call": "identify", "userId": "id", "traits": '{"unsubscribed": "plan"}'}, ["opt_outs"]),
        ({"call": "identify", "userId": "id", "traits": "plan"}, []),
        ({"call": "group", "groupId": "plan", "userId": "id"}, []),
    ],
)
def test_what_a_writer_cannot_count_has_to_be_allowed(
    options: dict[str, str], kinds: list[str]
) -> None:
    """What rows can start, end, delete or merge is named, except on this machine and for the rest of a run."""
    asked = {**options, "audit": "/a", "ordered": "true"}
    asked.pop("allowances", None)
    assert job(**asked, endpoint="http://127.0.0.1:9").allowances == ()
    assert job(**asked, resume="r").allowances == ()
    assert job(**asked, allowances=",".join(kinds)).allowances == tuple(kinds)
    if kinds:
        listed = rf'option\("allowances", "{", ".join(kinds)}"\)'
        with pytest.raises(ArgumentError, match=listed):
            job(**asked)
    with pytest.raises(ChoiceError, match="Did you mean 'campaigns'"):
        job(**asked, allowances="campaign")


def test_a_key_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key in the environment nothing is begun."""
    for name in ("CIO_WRITE_KEY", "CIO_SITE_ID", "CIO_TRACK_API_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match=r"set CIO_WRITE_KEY.* where Spark is started"):
        job(**TRACK)


def test_the_class_is_found_in_a_new_program() -> None:
    """A job that has used nothing else of the package finds the class, as the documentation has it."""
    code = "import cio_frames as cio; print(cio.spark.CustomerIO.name())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "customerio"


def test_a_reserved_name_is_refused() -> None:
    """A column with a name that the package keeps for its own is refused before anything is begun."""
    columns = COLUMNS.append(pa.field(f"{ROW}findings", pa.string()))
    with pytest.raises(ColumnNamesError, match="withColumnRenamed"):
        data_source.write_job(TRACK, columns)


def test_overwriting_is_refused() -> None:
    """What was sent cannot be taken back."""
    source = cio_source(TRACK)
    with pytest.raises(ArgumentError, match="append"):
        source.writer(pa.schema([]), overwrite=True)


def test_rows_of_spark_are_tables_too() -> None:
    """Where Spark gives rows instead of batches, they become tables, numbered by partition and place."""
    from pyspark.sql import Row

    columns = pa.schema({"id": pa.string(), "at": pa.struct({"n": pa.int64()})})
    rows = [Row(id=f"u{n}", at=Row(n=n)) for n in range(data_source.ROWS_AT_ONCE + 2)]
    tables = [*data_source.numbered(data_source.tables_of(iter(rows), columns), partition=3)]
    assert [table.num_rows for table in tables] == [data_source.ROWS_AT_ONCE, 2]
    assert tables[1].to_pylist()[1] == {
        ROW: (3 << 33) + data_source.ROWS_AT_ONCE + 1,
        "id": f"u{data_source.ROWS_AT_ONCE + 1}",
        "at": {"n": data_source.ROWS_AT_ONCE + 1},
    }


@dataclass(frozen=True)
class Noted:
    """What the tasks of these tests are given."""

    audit: str
    call: str


class Notes:
    """Writes rows into files instead of sending them, and fails at a row that says so."""

    def begin(self, made: Any) -> Noted:
        """Note the beginning."""
        Path(made.audit).mkdir()
        return Noted(audit=made.audit, call=made.pipeline.call)

    def deliver(self, chunks: Iterator[pa.Table], *, work: Noted) -> Iterable[pl.DataFrame]:
        """Note the rows of a partition."""
        for chunk in chunks:
            rows = chunk.select([ROW, "id"]).to_pylist()
            if any(row["id"] == "bad" for row in rows):
                raise ValueError("This row fails.")
            place = Path(work.audit, f"{rows[0][ROW]}.rows")
            place.write_text(json.dumps(rows))
            yield pl.DataFrame({"rows": [len(rows)]})

    def commit(self, work: Noted, results: Sequence[Mapping[str, Any]]) -> None:
        """Note the end."""
        total = sum(row["rows"] for row in results)
        Path(work.audit, "committed").write_text(f"{work.call} {total}")

    def abort(self, work: Noted, results: Sequence[Mapping[str, Any]]) -> None:
        """Note the failure."""
        Path(work.audit, "aborted").write_text(str(len(results)))


class Source(data_source.CustomerIO):
    """The data source, which takes notes instead of sending."""

    delivery: ClassVar[Any] = Notes()


def cio_source(options: dict[str, str]) -> Any:
    """Return a source as Spark makes it."""
    return Source(options)


def write(
    spark: Any,
    frame: Any,
    audit: Path,
    *,
    mode: str = "append",
    source: Any = Source,
    **options: str,
) -> None:
    """Write a frame as a job does, with a key in the environment of Spark's driver."""
    spark.sparkContext.environment["CIO_WRITE_KEY"] = KEY
    spark.dataSource.register(source)
    del spark.sparkContext.environment["CIO_WRITE_KEY"]
    writer = frame.write.format("customerio").mode(mode)
    for name, value in {**TRACK, "audit": str(audit), **options}.items():
        writer = writer.option(name, value)
    writer.save()


def events(spark: Any, *, rows: int = 500) -> Any:
    """Return events of Spark."""
    return spark.range(0, rows, 1, 3).selectExpr(
        "concat('u', id) AS id", "'e' AS event", "current_timestamp() AS at", "'p' AS plan"
    )


def test_a_written_table_is_sent_once_and_committed(spark: Any, tmp_path: Path) -> None:
    """Each row is sent under a number of its own, and the driver completes the record."""
    write(spark, events(spark), tmp_path / "audit")
    noted = [
        row for file in (tmp_path / "audit").glob("*.rows") for row in json.loads(file.read_text())
    ]
    assert sorted(row["id"] for row in noted) == sorted(f"u{n}" for n in range(500))
    assert len({row[ROW] for row in noted}) == 500
    assert (tmp_path / "audit" / "committed").read_text() == "track 500"


@pytest.mark.slow
def test_a_task_that_fails_aborts(spark: Any, tmp_path: Path) -> None:
    """After a task failed for good, the record is left to be resumed and not completed."""
    rows = events(spark).selectExpr("if(id = 'u400', 'bad', id) AS id", "event", "at", "plan")
    with pytest.raises(Exception, match="This row fails"):
        write(spark, rows, tmp_path / "audit")
    assert (tmp_path / "audit" / "aborted").exists()
    assert not (tmp_path / "audit" / "committed").exists()


def test_spark_shows_the_words_of_an_error(spark: Any, tmp_path: Path) -> None:
    """What is wrong with options or the mode reaches whoever writes, with what to do."""
    for options, words in (({"mode": "overwrite"}, "append"), ({"userld": "id"}, "Did you mean")):
        with pytest.raises(Exception, match=words):
            write(spark, events(spark), tmp_path / "audit", **options)
    assert not (tmp_path / "audit").exists()


def test_what_is_written_arrives_and_is_on_record(spark: Any, tmp_path: Path) -> None:
    """A job sends each row once and leaves a record like that of any run, which has nothing left to resume."""
    rows = spark.range(0, 500, 1, 3).selectExpr(
        "concat('u', id) AS id",
        "'e' AS event",
        "TIMESTAMP '2026-01-01 00:00:00' AS at",
        "'p' AS plan",
    )
    with cio.sandbox(write_key=KEY) as workspace:
        asked = {"source": data_source.CustomerIO, "endpoint": workspace.url}
        write(spark, rows, tmp_path, **asked)
        assert workspace.messages.height == 500
        record = cio.audit(tmp_path)
        assert record.verify().is_empty()
        assert record.runs.select("state", "delivered").rows() == [("finished", 500)]
        assert record.messages["row"].sort().to_list() == list(range(500))
        with pytest.raises(Exception, match="nothing left to send"):
            write(spark, rows, tmp_path, **asked, resume=record.runs["run_id"].item())
