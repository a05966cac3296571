"""The order of rows that Spark has, and where each of them goes."""

import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark import TaskContext

import cio_frames as cio
from cio_frames.errors import RowOrderError
from cio_frames.frames import ROW
from cio_frames.mapping import lane_key, numbered
from cio_frames.plan.full_check import components_of
from cio_frames.spark import map_chunks, read_spark
from cio_frames.spark.components import components
from cio_frames.spark.order import COMPONENT, in_order, require_order, with_components
from cio_frames.spark.reading import PlanSettings
from cio_frames.spark.spool import spooled

COLUMNS = "user string, visitor string, plan string, at timestamp, n bigint"
START = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
EVENTS = {"event": cio.lit("Seen"), "user_id": "user"}


def rows_of(*people: str, minutes: Any = None, plans: Any = None) -> list[tuple[Any, ...]]:
    """Return rows about people, each a plan and a minute of its own unless they are given."""
    count = len(people)
    minutes = range(count) if minutes is None else minutes
    plans = [f"p{place}" for place in range(count)] if plans is None else plans
    times = [None if n is None else START + dt.timedelta(minutes=n) for n in minutes]
    rows = zip(people, plans, times, range(count), strict=True)
    return [(user or None, f"v-{user}", plan, at, n) for user, plan, at, n in rows]


def _in_order(chunks: Iterator[pa.Table], *, plan: PlanSettings) -> Iterator[pl.DataFrame]:
    """Yield the rows of a partition in the order in which a task would send them."""
    context = TaskContext.get()
    assert context is not None
    part = pl.lit(context.partitionId(), pl.Int64)
    with spooled(chunks, plan=plan) as table:
        for rows in table.chunks():
            yield rows.select("user", "n", part.alias("part"), pl.col(ROW).alias("row"))


SENT = pl.Schema({"user": pl.String(), "n": pl.Int64(), "part": pl.Int64(), "row": pl.Int64()})


class Sent:
    """The rows of a frame in the order in which they would be sent, partition by partition."""

    def __init__(
        self, spark: Any, rows: list[Any], call: str, *, order_by: Any = (), partitions: int = 3,
        fix: str | None = None, **named: Any,
    ) -> None:  # fmt: skip
        frame = spark.createDataFrame(rows, COLUMNS).repartition(4)
        self.table = read_spark(frame, order_by=order_by)
        self.plan = getattr(cio.frame(self.table.sample), call)(**named)
        self.plan = self.plan.fix(fix) if fix else self.plan
        pipeline = self.plan.pipeline
        connected = components(self.table, pipeline)
        try:
            require_order(self.table, pipeline, components=connected)
            frame = in_order(self.table, pipeline, partitions=partitions, components=connected)
            in_parts = partial(_in_order, plan=PlanSettings.of(pipeline))
            sent = map_chunks(frame, in_parts, schema=SENT, rows=100).collect()
            place = f"pmod(hash(coalesce({COMPONENT}, {ROW})), {partitions}) AS place"
            marked = with_components(self.table, pipeline, components=connected)
            places = {row[ROW]: row for row in marked.selectExpr(ROW, COMPONENT, place).collect()}
            self.rows = [row.asDict() | places[row["row"]].asDict() for row in sent]
        finally:
            if connected is not None:
                connected.unpersist()
            self.table.persisted.unpersist()

    def order_of(self, user: str) -> list[int]:
        """Return the order in which a person's rows are sent, by their own numbers."""
        assert len({row["part"] for row in self.rows if row["user"] == user}) == 1
        return [row["n"] for row in self.rows if row["user"] == user]


def test_rows_go_in_the_order_of_time(spark: Any) -> None:
    """Without an order column rows about one person go in the order of time, those without one last."""
    sent = Sent(
        spark,
        rows_of(*"abababab", minutes=[5, 6, None, None, 3, 2, 4, 9]),
        "identify", user_id="user", traits=["plan"], timestamp="at",
    )  # fmt: skip
    assert sent.order_of("a") == [4, 6, 0, 2]
    assert sent.order_of("b") == [5, 1, 7, 3]


@pytest.mark.parametrize("fix", [None, "id.padded"])
def test_an_order_column_comes_before_the_time(spark: Any, fix: str | None) -> None:
    """The order is that of `order_by`, whatever the times are, and also in a plan with repairs."""
    rows = rows_of(*[" a", "b"] * 2, minutes=[4, 3, 2, 1])
    sent = Sent(
        spark, rows, "identify", order_by=("n",), fix=fix, user_id="user", traits=["plan"], timestamp="at"
    )  # fmt: skip
    assert sent.order_of(" a") == [0, 2]
    assert sent.order_of("b") == [1, 3]


def test_a_partition_is_a_function_of_the_component(spark: Any) -> None:
    """A row's partition depends on its component alone, and is the one that a task sees."""
    rows = rows_of(*(f"u{n % 40}" for n in range(200)), *[""] * 100)
    sent = Sent(spark, rows, "track", partitions=7, timestamp="at", **EVENTS)
    assert all(row["part"] == row["place"] for row in sent.rows)
    assert len({row["part"] for row in sent.rows if row["user"] is None}) == 7
    assert {row["part"]: 0 for row in sent.rows}.keys() == set(range(7))
    again = Sent(spark, rows, "track", partitions=7, timestamp="at", **EVENTS)
    first, second = (
        {row["n"]: row["part"] for row in each.rows if row["user"]} for each in (sent, again)
    )
    assert first == second


@pytest.mark.slow
def test_what_is_connected_goes_together(spark: Any) -> None:
    """Rows of several identifiers of one person are in one partition, in one order."""
    chain = [
        (f"u{n}", f"u{n + 1}", "p", START + dt.timedelta(minutes=99 - n), n) for n in range(60)
    ]
    sent = Sent(
        spark, chain, "alias", partitions=5, previous_id="user", user_id="visitor", timestamp="at"
    )
    assert len({row["part"] for row in sent.rows}) == 1
    assert len({row[COMPONENT] for row in sent.rows}) == 1
    assert [row["n"] for row in sent.rows] == [*range(59, -1, -1)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "named", "words"),
    [
        ("identify", {"user_id": "user", "traits": ["plan"]}, 'timestamp="column"'),
        ("group", {"group_id": "user", "traits": ["plan"]}, r"order_by=\"column\""),
        ("alias", {"previous_id": "visitor", "user_id": "user"}, r"rows \d and \d"),
        ("form", {"form_id": cio.lit("f"), "id": "user", "fields": ["plan"]}, "Spark keeps no order"),
        ("track", {"event": "plan", "user_id": "user", "properties": ["n"]}, "same person or object"),
    ],
)  # fmt: skip
def test_states_whose_order_nothing_decides_are_refused(
    spark: Any, call: str, named: Any, words: str
) -> None:
    """Rows that set a state and differ are refused if neither a time nor a column orders them."""
    rows = rows_of(*"abca", plans=["User Deleted", "x", "y", "z"])
    rows = [(user, f"v{n}", plan, at, n) for user, _, plan, at, n in rows]
    with pytest.raises(RowOrderError, match=words):
        Sent(spark, rows, call, **named)
    ordered = Sent(spark, rows, call, order_by=("n",), **named)
    assert ordered.order_of("a") == [0, 3]


@pytest.mark.slow
@pytest.mark.parametrize("alone", [True, False], ids=["connected", "beside them"])
def test_states_of_connected_people_are_refused(spark: Any, *, alone: bool) -> None:
    """Rows are about one person if other rows connect them, and if they have the same identifier."""
    linked = [("a", "v", "p", None, 0), ("b", "v", "p", None, 1)]
    twice = [("c", "w", "p", None, 2), ("c", "w", "q", None, 3)]
    rows = linked if alone else [("a", "v", "p", START, 0), ("b", "v", "p", None, 1), *twice]
    named = {"user_id": "user", "anonymous_id": "visitor", "traits": ["plan"]}
    with pytest.raises(RowOrderError, match="identify: rows"):
        Sent(spark, rows, "identify", timestamp="at", **named)


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [[1, 2, 1], [None, 2, None]])
def test_states_of_one_time_are_refused(spark: Any, minutes: Any) -> None:
    """Of two rows about one person at one time, or without a time, nothing decides which comes first."""
    with pytest.raises(RowOrderError, match="at the same time or without a time") as caught:
        Sent(
            spark, rows_of(*"aba", minutes=minutes), "identify",
            user_id="user", traits=["plan"], timestamp="at",
        )  # fmt: skip
    assert "'a'" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "named", "rows"),
    [
        ("identify", {"user_id": "user", "traits": ["plan"]}, rows_of(*"abc")),
        ("identify", {"user_id": "user", "traits": ["plan"]}, rows_of(*"aab", plans="ppq")),
        ("track", {**EVENTS, "properties": ["plan"]}, rows_of(*"aab")),
        ("page", {"user_id": "user", "properties": ["plan"]}, rows_of(*"aab")),
    ],
    ids=["one row each", "the same twice", "events", "pages"],
)
def test_where_order_does_not_matter_none_is_needed(
    spark: Any, call: str, named: Any, rows: Any
) -> None:
    """One row a person, equal rows, and events need no order."""
    assert len(Sent(spark, rows, call, **named).rows) == len(rows)


PEOPLE = st.sampled_from(["", "a", "b", "A", "c@x.org"])


@pytest.mark.slow
@settings(
    max_examples=2, deadline=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(pairs=st.lists(st.tuples(PEOPLE, PEOPLE), min_size=100, max_size=200))
def test_every_row_is_there_once_beside_its_own(spark: Any, pairs: Any) -> None:
    """All rows come out, once, those of a component in one partition, as a local plan connects them."""
    rows = [
        (f"g{n // 5}{user}" if user else None, f"g{n // 5}{visitor}" if visitor else None, "p", None, n)
        for n, (user, visitor) in enumerate(pairs)
    ]  # fmt: skip
    named = {"user_id": "user", "anonymous_id": "visitor", "traits": ["plan"]}
    sent = Sent(spark, rows, "identify", order_by=("n",), **named)
    assert [row["n"] for row in sorted(sent.rows, key=lambda row: row["n"])] == [*range(len(rows))]
    frame = pl.DataFrame(
        [row[:3] for row in rows], schema=["user", "visitor", "plan"], orient="row"
    )
    local = cio.frame(frame).identify(**named).pipeline
    connected = components_of(local.link_keys())
    labels = {} if connected is None else dict(connected.iter_rows())
    prepared = local.mapping.prepare(frame.with_row_index(ROW))
    keys = prepared.select(ROW, key=numbered(lane_key(local.mapping)))["key"]
    expected = {n: labels.get(key, key) for n, key in enumerate(keys)}
    label = {row["n"]: row[COMPONENT] for row in sent.rows}
    assert {n: None if c is None else c % (1 << 64) for n, c in label.items()} == expected
    for part in {row["part"] for row in sent.rows}:
        numbers = [row["n"] for row in sent.rows if row["part"] == part]
        assert numbers == sorted(numbers)
