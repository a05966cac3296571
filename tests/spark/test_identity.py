"""Who is who after a plan of Spark: partition by partition, and as a whole."""

from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.errors import ArgumentError
from cio_frames.frames import ROW
from cio_frames.identity import Settings
from cio_frames.identity.components import components as connected
from cio_frames.identity.known_people import normalize_export
from cio_frames.identity.preview import profile_count
from cio_frames.identity.settings import Premise
from cio_frames.mapping import computing, lane_key, linked_keys, numbered
from cio_frames.spark.components import pairs_of_people
from cio_frames.spark.identity import PEOPLE as PEOPLE_COUNT
from cio_frames.spark.identity import SUMMARY, preview_partition, summed
from cio_frames.spark.reading import PlanSettings

PEOPLE = st.tuples(
    st.sampled_from(["u1", "u2", "u3", "U4", None]),
    st.sampled_from(["a@x.de", "b@x.de", "A@x.de", None]),
    st.sampled_from(["v1", "v2", None]),
    st.integers(0, 3),
)
TABLES = st.lists(PEOPLE, min_size=1, max_size=14).map(
    lambda rows: pl.DataFrame(
        rows,
        schema={"id": pl.String, "email": pl.String, "visitor": pl.String, "n": pl.Int64},
        orient="row",
    )
)
VERBS: dict[str, Any] = {
    "identify": lambda frame: frame.identify(user_id="id", anonymous_id="visitor"),
    "identify by address": lambda frame: frame.identify(user_id="email", traits=["n"]),
    "track": lambda frame: frame.track(event=cio.lit("Seen"), user_id="id", anonymous_id="visitor"),
    "page": lambda frame: frame.page(name=cio.lit("Home"), anonymous_id="visitor", user_id="id"),
    "alias": lambda frame: frame.alias(user_id="id", previous_id="email"),
}


def partitions(
    plan: cio.Plan, table: pl.DataFrame, count: int, known: pl.DataFrame | None
) -> list[pa.Table]:
    """Return the rows of a table as Spark would spread them: those of a component together."""
    mapping = plan.pipeline.mapping
    numbers = table.select(pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW), pl.all())
    with computing(mapping):
        prepared = mapping.prepare(numbers)
    key = numbered(lane_key(mapping))
    pairs = [
        prepared.select(key=key, other=numbered(other)).drop_nulls()
        for other in linked_keys(mapping)
    ]
    if known is not None:
        back = pl.all().reinterpret(signed=False) ^ pl.lit(1 << 63, pl.UInt64)
        pairs.append(pairs_of_people(known).select(back))
    own = prepared.select(key=key, other=key).drop_nulls()
    components = connected(pl.concat([own, *pairs]))
    named = prepared.select(key=key).join(components, on="key", how="left", maintain_order="left")
    place = named.select(pl.coalesce("component", "key").fill_null(0) % count).to_series()
    return [numbers.filter(place == number).to_arrow() for number in range(count)]


PERSON = st.tuples(
    st.sampled_from(["u1", "u2", "u4", "U4", "u9", None]),
    st.sampled_from(["a@x.de", "B@x.de", "z@x.de", None]),
    st.sampled_from(["0c1", "0c2", None]),
    st.sampled_from(["v1", "v2", None]),
).filter(any)
EXPORTS = st.lists(
    PERSON, max_size=4, unique_by=tuple(lambda p, n=n: p[n] or object() for n in range(4))
).map(
    lambda rows: normalize_export(pl.DataFrame(rows, dict.fromkeys(KNOWN, pl.String), orient="row"))
)
KNOWN = ("id", "email", "cio_id", "anonymous_id")


@pytest.mark.parametrize("verb", VERBS)
@settings(max_examples=15, deadline=None)
@given(table=TABLES, known=st.none() | EXPORTS)
def test_partitions_add_up_to_the_preview_of_the_whole(
    verb: str, table: pl.DataFrame, known: pl.DataFrame | None
) -> None:
    """Whatever the rows and the export, the counts of a preview are the sums of those of its partitions."""
    plan = VERBS[verb](cio.frame(table))
    chosen = PlanSettings.of(plan.pipeline)
    premise = Premise(settings=Settings(), now=chosen.now, workspace_people=known)
    results = [
        frame
        for part in partitions(plan, table, 3, known)
        for frame in preview_partition(iter([part]), plan=chosen, premise=premise)
    ]
    whole = plan.identity(known)
    frames = pl.concat(results)
    texts = frames.filter(pl.col("what") == SUMMARY)["sentence"]
    sums = summed([*map(_decoded, texts), {PEOPLE_COUNT: profile_count(known)}])
    assert {name: sums.get(name, 0) for name in whole.summary if name != "open"} == {
        name: value for name, value in whole.summary.items() if name != "open"
    }
    expected = {tuple(row["row"] for row in rows) for rows in whole.conflicts["rows"]}
    rows = frames.filter(pl.col("what") != SUMMARY)["rows"]
    assert {tuple(_decoded(text)) for text in rows} == expected


def _decoded(text: str) -> Any:
    import json

    return json.loads(text)


def test_objects_are_previewed_as_a_sample() -> None:
    """Rows of several objects name the same people, so that their preview is refused with what to do."""
    from cio_frames.spark.identity import require_separable

    plan = cio.frame(pl.DataFrame({"org": ["o1"], "id": ["u1"]})).group(
        group_id="org", user_id="id"
    )
    with pytest.raises(ArgumentError, match=r"plan\.sample\(10_000\)\.identity\(\)"):
        require_separable(plan.pipeline.mapping)


@pytest.mark.slow
def test_a_preview_and_a_rehearsal_on_spark(spark: Any) -> None:
    """The counts and conflicts are those of a local plan, and a sample has all rows of its people."""
    table = pl.DataFrame(
        {
            "id": [f"u{number % 40}" for number in range(200)],
            "email": [f"p{number % 37}@example.com" for number in range(200)],
            "at": [f"2025-07-01T09:{number % 60:02}:00Z" for number in range(200)],
            "n": list(range(200)),
        }
    )
    local = cio.frame(table).identify(user_id="id", timestamp="at")
    frame = spark.createDataFrame(table.to_dicts()).repartition(3)
    plan = cio.frame(frame, order_by=["n"]).identify(user_id="id", timestamp="at")
    preview, whole = plan.identity(), local.identity()
    assert {name: preview.summary[name] for name in ("rows", "creates", "merges", "conflicts")} == {
        name: whole.summary[name] for name in ("rows", "creates", "merges", "conflicts")
    }
    assert preview.conflicts.count() == whole.conflicts.height
    assert "Conflicts" in repr(preview)
    export = table.select("id", "email").unique("id").head(30)
    compared, expected = (
        plan.identity(spark.createDataFrame(export.to_dicts())),
        local.identity(export),
    )
    assert compared.summary == expected.summary
    plan.unpersist()
    sample = plan.sample(50)
    ids = set(sample.pipeline.table.eager["id"])
    assert sample.counts["rows"] == table.filter(pl.col("id").is_in(ids)).height
    assert plan.rehearse(rows=50, progress=False).as_predicted
