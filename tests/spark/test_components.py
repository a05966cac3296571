"""Components of identifiers on Spark, beside those of a local plan."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.plan.full_check import components_of
from cio_frames.spark import read_spark
from cio_frames.spark.components import components, connected

FEW = settings(
    max_examples=2,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
"""Each example is a few jobs of Spark, so it holds many graphs."""

NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)
PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


def smallest(edges: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return the smallest number that each number is connected with, the naive way."""
    least = {end: end for edge in edges for end in edge}
    for _ in least:
        for one, other in edges:
            least[one] = least[other] = min(least[one], least[other])
    return least


def turned(number: int) -> int:
    """Return a number whose first bit is turned, as edges have it."""
    return number ^ -(1 << 63)


def shapes() -> dict[str, list[tuple[int, int]]]:
    """Return graphs that take many rounds, or put many edges at one number."""
    size = 40
    zigzag = [place // 2 if place % 2 else size - place // 2 for place in range(size)]
    return {
        "chain": [(place, place + 1) for place in range(size)],
        "zigzag": list(pairwise(zigzag)),
        "hub below": [(0, place) for place in range(1, size)],
        "hub above": [(size, place) for place in range(size)],
        "cycle": [(place, (place + 1) % size) for place in range(size)],
        "all": [(one, other) for one in range(8) for other in range(one)],
        "two stars": [(0, n) for n in range(2, 9)] + [(1, n) for n in range(8, 15)],
        "comb": [(n, n + 1) for n in range(20)] + [(n, 100 - n) for n in range(20)],
    }


def frame_of(spark: Any, edges: Iterable[tuple[int, int]]) -> Any:
    """Return a graph as `connected` takes it."""
    rows = sorted({(max(edge), min(edge)) for edge in edges if edge[0] != edge[1]})
    return spark.createDataFrame(rows, "high bigint, low bigint").repartition(3).persist()


def connected_by(spark: Any, edges: Iterable[tuple[int, int]], *, few: int = 0) -> dict[int, int]:
    """Return the components of a graph as Spark computes them, in rounds unless it has few edges."""
    frame = frame_of(spark, edges)
    components = connected(frame, few=few)
    if components is None:
        return {}
    rows = [(turned(row["key"]), turned(row["component"])) for row in components.collect()]
    components.unpersist()
    frame.unpersist()
    assert len(dict(rows)) == len(rows)
    return dict(rows)


@pytest.mark.slow
def test_stars_end_at_the_smallest_number(spark: Any) -> None:
    """Chains, cycles, hubs and combs come to the smallest number that each is connected with."""
    apart = [
        (1_000 * place + one, 1_000 * place + other)
        for place, edges in enumerate(shapes().values())
        for one, other in edges
    ]
    assert connected_by(spark, apart) == smallest(apart)


@pytest.mark.slow
@FEW
@given(graphs=st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=4), max_size=20), small=PAIRS)
def test_stars_of_any_numbers(spark: Any, graphs: Any, small: Any) -> None:
    """Whatever the graph and its numbers of 64 bits, each number gets the smallest of its component."""
    edges = [edge for graph in [*graphs, small] for edge in graph if edge[0] != edge[1]]
    assert connected_by(spark, edges, few=1_000) == smallest(edges)
    assert connected_by(spark, edges) == smallest(edges)


IDS = st.none() | st.integers(0, 6)
ROWS = st.lists(st.tuples(IDS, IDS, IDS), max_size=10)


def table_of(graphs: list[list[tuple[Any, Any, Any]]]) -> pl.DataFrame:
    """Return rows whose identifiers are apart in each graph, and now and then of two columns at once."""
    rows = [
        {
            "user": None if user is None else f"g{place}-{user}",
            "visitor": None if visitor is None else f"g{place}-{'Av'[visitor > 1]}{visitor}",
            "email": None if email is None else f"g{place}-{email}@Example.com",
        }
        for place, graph in enumerate(graphs)
        for user, visitor, email in graph
    ]
    return pl.DataFrame(rows, schema={"user": pl.String, "visitor": pl.String, "email": pl.String})


def verbs(frame: Any) -> dict[str, Any]:
    """Return plans whose rows name several identifiers of somebody."""
    verb = cio.frame(frame)
    return {
        "identify": verb.identify(user_id="user", anonymous_id="visitor", traits=["email"]),
        "alias": verb.alias(previous_id="visitor", user_id="user"),
        "form": verb.form(form_id=cio.lit("f"), email="email", fields={"anonymous_id": "visitor"}),
    }


def of_spark(spark: Any, frame: pl.DataFrame, plan: Any) -> dict[int, int]:
    """Return the components of identifiers as Spark computes them, as unsigned numbers."""
    rows = spark.createDataFrame(frame.rows(), "user string, visitor string, email string")
    table = read_spark(rows.repartition(3))
    result = components(table, plan.pipeline)
    if result is None:
        return {}
    pairs = {row["key"] % (1 << 64): row["component"] % (1 << 64) for row in result.collect()}
    result.unpersist()
    table.persisted.unpersist()
    return pairs


@pytest.mark.slow
@FEW
@given(graphs=st.lists(ROWS, min_size=30, max_size=60))
@pytest.mark.parametrize("call", ["identify", "alias", "form"])
def test_spark_connects_as_a_local_plan_does(spark: Any, call: str, graphs: Any) -> None:
    """The same identifiers are connected as in a local plan, under the same number."""
    frame = table_of(graphs)
    plan = verbs(frame)[call]
    result = components_of(plan.pipeline.link_keys())
    local = {} if result is None else dict(result.iter_rows())
    on_spark = of_spark(spark, frame, plan)
    addressed = set(plan.pipeline.link_keys().keys)
    assert {key: label for key, label in on_spark.items() if key in addressed} == local


@pytest.mark.slow
def test_repairs_and_constants_take_part(spark: Any) -> None:
    """Identifiers count as they are sent: after repairs, and where they are constants."""
    frame = pl.DataFrame(
        {"user": [" u1", "u1", "u2"], "visitor": ["a", "b", "b"], "email": [None] * 3}
    ).cast(pl.String)
    verb = cio.frame(frame)
    fixed = verb.identify(user_id="user", anonymous_id="visitor").fix("id.padded")
    constant = verb.alias(previous_id=cio.lit("u2"), user_id="user").fix("id.padded")
    for plan in (fixed, constant):
        links = plan.pipeline.link_keys()
        result, on_spark = components_of(links), of_spark(spark, frame, plan)
        local = {} if result is None else dict(result.iter_rows())
        assert {key: label for key, label in on_spark.items() if key in set(links.keys)} == local


def test_a_call_that_names_one_identifier_connects_nobody(spark: Any) -> None:
    """Events name one person each, so no row is read to connect them."""
    plan = cio.frame(pl.DataFrame({"user": ["u1"]})).track(event=cio.lit("e"), user_id="user")
    table = read_spark(spark.createDataFrame([("u1",)], "user string"))
    jobs = spark.sparkContext.statusTracker()
    spark.sparkContext.setJobGroup("none", "nothing")
    assert components(table, plan.pipeline) is None
    assert not jobs.getJobIdsForGroup("none")


@pytest.mark.slow
def test_nothing_of_the_rounds_is_kept(spark: Any) -> None:
    """Spark keeps nothing of the rounds, and the components until they are released."""
    kept = spark.sparkContext._jsc.sc().getPersistentRDDs().size()
    chain = [(place, place + 1) for place in range(30)]
    assert set(connected_by(spark, chain).values()) == {0}
    assert spark.sparkContext._jsc.sc().getPersistentRDDs().size() == kept
