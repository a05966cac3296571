"""`df.write.format("customerio")`: sends rows from jobs and SQL that can only write tables.

This module needs pyspark 4 or later; `cio_frames.spark` imports it when `CustomerIO` is used.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import signature
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, get_args

import polars as pl
import pyarrow as pa
from pyspark.sql import datasource
from pyspark.sql.datasource import DataSource, WriterCommitMessage
from pyspark.sql.pandas.types import to_arrow_schema

from cio_frames.checks import Checks
from cio_frames.config import variable
from cio_frames.errors import ArgumentError, ChoiceError, ConfigError, MissingKeyError
from cio_frames.frames import read
from cio_frames.mapping import CallArguments
from cio_frames.plan.allowance_counts import TRIGGERING, opt_out_tests
from cio_frames.plan.allowances import KINDS
from cio_frames.plan.pipeline import Pipeline
from cio_frames.plan.suggest import WHO, make
from cio_frames.spark.chunks import require_polars
from cio_frames.spark.delivery import TaskDelivery, WriteJob
from cio_frames.spark.packing import ROW_FIELD
from cio_frames.spark.table import PLACE_BITS, require_names
from cio_frames.spec import CALLS, EVENT_CALLS, CallName
from cio_frames.workspaces.client import Client, connect

if TYPE_CHECKING:
    from pyspark.sql import Row

    # The base class of writers; the one for Arrow batches is missing in the first versions of pyspark 4.
    from pyspark.sql.datasource import DataSourceArrowWriter as BaseWriter
    from pyspark.sql.types import StructType
else:
    BaseWriter = getattr(datasource, "DataSourceArrowWriter", datasource.DataSourceWriter)

TASKS: Final = 16
"""How many tasks are assumed to run at once."""

ROWS_AT_ONCE: Final = 10_000
"""How many rows become one batch if Spark gives rows, not batches."""

_KEYS: Final = frozenset(
    {"writekey", "trackapikey", "apikey", "siteid", "password", "token", "secret"}
)
"""Names of options that would contain a key."""

_KEY_VARIABLES: Final = ("CIO_WRITE_KEY", "CIO_TRACK_API_KEY")
_LISTS: Final = frozenset({"traits", "properties", "fields", "relationship", "key", "hash"})
_OF_RUNS: Final = (
    "call", "audit", "ordered", "region", "endpoint", "strict", "rate", "gzip", "namespace", "allow",
    "tasks", "resume", "allowances",
)  # fmt: skip
_CONSTANT: Final = re.compile(r"lit\((.*)\)", re.DOTALL)

ORDER: Final = (
    "Partitions are sent at the same time, so {call} rows about one person could arrive in any order. "
    "Put all rows of a person into one partition, sort them there, and say so: "
    'df.repartition("user_id").sortWithinPartitions("at").write.format("customerio")'
    '.option("ordered", "true"). Or use cio.frame(df).{call}(...).send(client), which does this itself, '
    "also where rows name a person by several identifiers."
)

UNCOUNTED: Final = (
    "A writer sees no row before it sends the first, so it cannot count the {kinds} that rows of {call} "
    'can cause. Say that any number may: .option("allowances", "{listed}"). Or use '
    "cio.frame(df).{call}(...).send(client, allow=...), which counts before it sends."
)


class Delivery(Protocol):
    """Sends and records the rows of a job. It is pickled for the executors, and so is its work."""

    def begin(self, job: WriteJob) -> Any:
        """Start the record on the driver; return what the tasks get."""

    def deliver(self, chunks: Iterator[pa.Table], *, work: Any) -> Iterable[pl.DataFrame]:
        """Send the numbered rows of one partition on an executor; return the result."""

    def commit(self, work: Any, results: Sequence[Mapping[str, Any]]) -> None:
        """Complete the record on the driver, once all partitions were sent."""

    def abort(self, work: Any, results: Sequence[Mapping[str, Any]]) -> None:
        """Leave a record that can be resumed, after a task failed."""


@dataclass
class TaskResults(WriterCommitMessage):
    """The results of a task."""

    results: list[dict[str, Any]]


class CustomerIO(DataSource):
    """Sends rows to Customer.io when Spark writes a table.

    Options are the arguments of the verbs in camel case, and `call` names the verb. A text names a
    column, `lit(text)` is a constant. Lists are written with commas or as JSON, dictionaries as JSON.
    Further options: `audit` (the directory of the record, on a store that all executors reach),
    `region`, `endpoint`, `strict`, `rate`, `gzip`, `namespace`, `allow` and `ordered`; `allowances`, which
    of campaigns, opt_outs, deletions and merges may follow in Customer.io; `tasks`, the most tasks that run
    at once, each of which has an equal share of the rate; and `resume`, the id of a run in
    `audit` that failed, to send what is left of the same frame. Keys are read from the environment of the driver, where Spark was started: `CIO_WRITE_KEY`, and for forms `CIO_SITE_ID`
    and `CIO_TRACK_API_KEY`. As options they would stand in plans and logs, so they are refused.

    A writer sees one partition at a time, and no row before it sends the first. Therefore:

    * Columns must be named; none is proposed.
    * Each row is checked. What only the whole table shows, such as an id that occurs twice, is looked for
      within each partition.
    * Rows about one person must be in one partition, in the order in which they are to be sent. Events
      with a timestamp are recorded by it, in whatever order they arrive. All other calls, and `allow`,
      need `ordered` = "true", with which you say that you saw to it. If rows name a person by several
      identifiers, no single column does that: use `cio.frame(df)`, which connects them.
    * What rows start, end, delete or merge is not counted before they are sent. `allowances` allows any
      number of it, as in "campaigns, deletions".
    * Rows are numbered by partition and place. A frame that gives other rows when a task is run again,
      as one with rand() does, must be written to a table first.

    `cio.frame(df).track(...)` has none of these limits, and shows a report before it sends.

    Examples:
        >>> spark.dataSource.register(CustomerIO)  # doctest: +SKIP
        >>> (  # doctest: +SKIP
        ...     df.write.format("customerio")
        ...     .option("call", "track")
        ...     .option("event", "event")
        ...     .option("userId", "user_id")
        ...     .option("timestamp", "at")
        ...     .option("audit", "/Volumes/main/cio/audit")
        ...     .mode("append")
        ...     .save()
        ... )
    """

    delivery: ClassVar[Delivery] = TaskDelivery()
    """Sends the rows."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "customerio"

    def writer(self, schema: "StructType", overwrite: bool) -> "Writer":  # noqa: FBT001 - Spark's own
        """Return the writer that tasks use.

        Raises:
            ArgumentError: An option is unknown, missing or unreadable, or the mode is not "append".
            ConfigError: An option holds a key, or the environment has none.
            MappingError: The call cannot be made from these columns.
        """
        if overwrite:
            raise ArgumentError(
                'mode("overwrite") is not possible: what was sent is not replaced. Write '
                'mode("append").'
            )
        columns = _arrow_schema(schema)
        job = write_job(dict(self.options), columns)
        return Writer(self.delivery, self.delivery.begin(job), columns)


class Writer(BaseWriter):
    """Sends the partitions of one table."""

    def __init__(self, delivery: Delivery, work: Any, columns: pa.Schema) -> None:
        self._delivery, self._work, self._columns = delivery, work, columns
        self._polars = pl.__version__

    def write(self, iterator: "Iterator[pa.RecordBatch | Row]") -> TaskResults:
        """Send the rows of one partition."""
        from pyspark import TaskContext

        require_polars(self._polars)
        context = TaskContext.get()
        assert context is not None, "Spark writes in a task."  # noqa: S101
        chunks = numbered(self._batches(iterator), partition=context.partitionId())
        results = self._delivery.deliver(chunks, work=self._work)
        return TaskResults(results=[row for frame in results for row in frame.to_dicts()])

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        """Complete the record."""
        self._delivery.commit(self._work, _results(messages))

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """Leave a record that can be resumed."""
        self._delivery.abort(self._work, _results(messages))

    def _batches(self, given: "Iterator[pa.RecordBatch | Row]") -> Iterator[pa.Table]:
        """Yield tables from Spark's batches, or from its rows in the first versions of 4."""
        if hasattr(datasource, "DataSourceArrowWriter"):
            yield from (pa.Table.from_batches([batch]) for batch in given)
            return
        yield from tables_of(given, self._columns)


def _arrow_schema(schema: "StructType") -> pa.Schema:
    """Return the columns in types of Arrow. Newer versions of pyspark require a time zone."""
    if "timezone" in signature(to_arrow_schema).parameters:
        return to_arrow_schema(schema, timezone="UTC")
    return to_arrow_schema(schema)


def tables_of(rows: "Iterator[Row]", columns: pa.Schema) -> Iterator[pa.Table]:
    """Yield tables of Spark's rows."""
    while part := [row.asDict(recursive=True) for row in islice(rows, ROWS_AT_ONCE)]:
        yield pa.Table.from_pylist(part, schema=columns)


def numbered(tables: Iterable[pa.Table], *, partition: int) -> Iterator[pa.Table]:
    """Yield tables with row numbers: the partition in the upper bits, the place in the lower ones."""
    start = partition << PLACE_BITS
    for table in tables:
        numbers = pa.array(range(start, start + table.num_rows), pa.int64())
        start += table.num_rows
        yield table.add_column(0, ROW_FIELD, numbers)


def _results(messages: Iterable[WriterCommitMessage | None]) -> list[dict[str, Any]]:
    """Return the results of tasks; those that failed have none."""
    return [
        row for message in messages if isinstance(message, TaskResults) for row in message.results
    ]


def write_job(options: Mapping[str, str], columns: pa.Schema) -> WriteJob:
    """Return the job that options describe.

    Args:
        options: The options of a writer, in any case.
        columns: The columns of the table.

    Raises:
        ArgumentError: An option is unknown, missing or unreadable.
        ColumnNamesError: A name of a column is reserved.
        ConfigError: An option holds a key, or the environment has none.
    """
    require_names(columns.names)
    given = {name.lower(): value for name, value in options.items()}
    _refuse_keys(given)
    call = given.get("call", "")
    if call not in get_args(CallName):
        raise ArgumentError(f"The option call must be one of {', '.join(get_args(CallName))}.")
    names = option_names(call)
    for name in given:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = (
                f"Did you mean {names[near[0]]!r}?"
                if near
                else f"It has: {', '.join(names.values())}."
            )
            raise ArgumentError(f'format("customerio") has no option {name!r} for {call}. {hint}')
    if not given.get("audit"):
        raise ArgumentError(
            "The option audit is missing: the directory of the record, on a store that all executors "
            "reach, such as /Volumes/main/cio/audit or s3a://bucket/audit."
        )
    chosen = {names[name]: value for name, value in given.items()}
    client = _client(chosen)
    client.require(call)
    pipeline, allowances = _pipeline(call, chosen, columns), _listed(chosen.get("allowances", ""))
    for kind in allowances:
        ChoiceError.require("allowances", kind, KINDS)
    if not client.is_local and "resume" not in chosen:
        _require_allowed(pipeline, allowances)
    return WriteJob(
        pipeline=pipeline, client=client, audit=chosen["audit"], allowances=tuple(allowances),
        tasks=max(1, int(_number(chosen.get("tasks", f"{TASKS}")))), resume=chosen.get("resume"),
    )  # fmt: skip


def _require_allowed(pipeline: Pipeline, allowances: Sequence[str]) -> None:
    """Raise if rows can have consequences that are not allowed."""
    can_follow = {
        "campaigns": pipeline.call in TRIGGERING,
        "opt_outs": bool(opt_out_tests(pipeline.scope())),
        "deletions": bool(pipeline.checks.allow),  # they are refused without
        "merges": pipeline.call == "alias",
    }
    missing = [kind for kind, can in can_follow.items() if can and kind not in allowances]
    if missing:
        kinds = " and ".join(missing).replace("_", "-")
        listed = ", ".join([*allowances, *missing])
        raise ArgumentError(UNCOUNTED.format(kinds=kinds, call=pipeline.call, listed=listed))


def option_names(call: str) -> dict[str, str]:
    """Return the names of the options of a call, by their names in lower case."""
    return {name.lower(): name for name in (*map(_camel, arguments_of(call)), *_OF_RUNS)}


def arguments_of(call: str) -> list[str]:
    """Return the arguments of a verb that can be given as options."""
    row = CALLS[call]
    fields = [name for field in row.fields if (name := field.column_argument)]
    body = "fields" if row.body == "data" else row.body
    policies = ["timezone"]
    if call == "form":
        policies += ["mapping"]
    else:
        policies += ["context", "integrations", "key", "nulls"]
    if call == "group":
        policies += ["relationship"]
    if body is not None:
        policies += [body, "hash", *(["dots"] if call != "form" else [])]
    return [*fields, *policies]


def _refuse_keys(options: Mapping[str, str]) -> None:
    """Raise if an option contains a key, by its name or its value."""
    keys = [key for name in _KEY_VARIABLES if (key := variable(name))]
    for name, value in options.items():
        if name.replace("_", "") in _KEYS or any(key in value for key in keys):
            raise ConfigError(
                f"The option {name!r} holds a key. Options stand in plans and logs, so this key may be "
                "in them now: make a new one. Set CIO_WRITE_KEY, or CIO_SITE_ID and CIO_TRACK_API_KEY "
                "for forms, in the environment where Spark is started."
            )


def _client(options: Mapping[str, str]) -> Client:
    rate = options.get("rate")
    given = {name: options[name] for name in ("region", "endpoint") if name in options}
    settings: dict[str, Any] = {
        **given,
        **{name: _flag(options, name) for name in ("strict", "gzip") if name in options},
    }
    if rate is not None:
        settings["rate"] = None if rate.lower() == "none" else _number(rate)
    try:
        return connect(**settings)
    except MissingKeyError as error:
        raise ConfigError(
            f'format("customerio") needs a key: set {error.variable}, or CIO_SITE_ID and CIO_TRACK_API_KEY for '
            "forms, in the environment where Spark is started."
        ) from None


def _pipeline(call: str, options: Mapping[str, str], columns: pa.Schema) -> Pipeline:
    """Return the pipeline for a table with these columns."""
    row = CALLS[call]
    body = "fields" if row.body == "data" else row.body
    names = {argument: _camel(argument) for argument in arguments_of(call)}
    fields = [name for field in row.fields if (name := field.column_argument)]
    given = {
        argument: _read(argument, options[name])
        for argument, name in names.items()
        if argument not in fields and name in options
    }
    arguments = CallArguments(
        fields={name: _column(options.get(names[name])) for name in fields},
        body=given.pop(body, None) if body else None,
        **given,
    )
    who = [name for name in fields if name in WHO]
    if all(arguments.fields[name] is None for name in who):
        listed = ", ".join(names[name] for name in who)
        raise ArgumentError(
            f"Nothing tells who the rows of {call} are about. Set one of: {listed}."
        )
    allow = _listed(options["allow"]) if "allow" in options else []
    table = read(columns.empty_table())
    plan = make(
        table,
        arguments,
        call=call,
        checks=Checks(allow=allow),
        namespace=options.get("namespace", ""),
    )
    is_recorded = call in EVENT_CALLS and plan.pipeline.mapping.find("timestamp") is not None
    if not (_flag(options, "ordered") or (is_recorded and not allow)):
        raise ArgumentError(ORDER.format(call=call))
    return plan.pipeline


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _column(value: str | None) -> str | pl.Expr | None:
    """Return the name of a column, or a constant."""
    constant = _CONSTANT.fullmatch(value) if value else None
    return pl.lit(constant[1]) if constant else value or None


def _read(argument: str, value: str) -> Any:
    """Return an argument that is not a column: a list, a dictionary or a word."""
    if value.lstrip().startswith(("{", "[")):
        return _json(argument, value)
    return _listed(value) if argument in _LISTS else value


def _json(argument: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        raise ArgumentError(
            f"The option {_camel(argument)} is not JSON, though it begins with a bracket. Write "
            '{"name": "column"}, or names with commas between them.'
        ) from None


def _listed(value: str) -> list[str]:
    if value.lstrip().startswith("["):
        return list(_json("list", value))
    return [part for text in value.split(",") if (part := text.strip())]


def _flag(options: Mapping[str, str], name: str) -> bool:
    value = options.get(name, "false").lower()
    if value not in ("true", "false"):
        raise ArgumentError(f"The option {name} must be true or false.")
    return value == "true"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentError(
            "The option rate must be a number of requests per second, or none."
        ) from None
