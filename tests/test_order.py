"""Rows are known by their place: a query that gives another order each time names nobody else."""

import itertools
from collections.abc import Callable, Mapping

import polars as pl
import pytest
from polars.io.plugins import register_io_source

import cio_frames as cio
from cio_frames.errors import FrameError
from cio_frames.frames import fingerprint, read
from cio_frames.frames.order import order_of

PEOPLE = 20_000
LEFT_OUT = 200
"""People without an id, one of 100: their rows are rejected."""

_number = pl.int_range(PEOPLE, dtype=pl.Int64)
_text = "u" + _number.cast(pl.String)
FRAME = pl.select(
    id=pl.when(_number % 100 != 0).then(_text),
    email=pl.when(_number % 100 == 0).then(pl.lit("nobody@example.com")).otherwise(_text + "@example.com"),
)  # fmt: skip
EVENTS = pl.concat([FRAME.with_row_index("n")] * 5)


class Turning:
    """Turns rows round in every second reading, as a function of a user may do."""

    def __init__(self):
        self.calls = itertools.count()

    def __call__(self, rows):
        """Return the rows, in this order or the other."""
        return rows.reverse() if next(self.calls) % 2 else rows


def turned_frame():
    """Return people from a function of frames."""
    return FRAME.lazy().map_batches(Turning(), schema=FRAME.schema)


def turned_column():
    """Return people from a function of a column."""
    kind = pl.Struct(dict(FRAME.schema))
    both = pl.struct("id", "email").map_batches(Turning(), return_dtype=kind)
    return FRAME.lazy().select(both=both).unnest("both")


def turned_source():
    """Return people from a source in Python."""
    turning = Turning()

    def source(columns, predicate, _rows, _size):
        rows = turning(FRAME)
        rows = rows if predicate is None else rows.filter(predicate)
        yield rows.select(columns) if columns else rows

    return register_io_source(source, schema=FRAME.schema)


SHUFFLED: Mapping[str, Callable[[], pl.LazyFrame]] = {
    "group_by": lambda: EVENTS.lazy().group_by("n").agg(pl.all().first()).drop("n"),
    "unique": lambda: EVENTS.lazy().unique("n", keep="any").drop("n"),
    "join": lambda: EVENTS.lazy().join(FRAME.lazy().unique(), on="email").unique("n").select("id", "email"),
    "function of frames": turned_frame,
    "function of a column": turned_column,
    "source": turned_source,
}  # fmt: skip


def assert_nobody(rows):
    """Assert that rows are those of the people without an id."""
    assert rows.height == LEFT_OUT
    assert rows["id"].null_count() == LEFT_OUT
    assert rows["email"].unique().to_list() == ["nobody@example.com"]


@pytest.mark.parametrize("query", SHUFFLED.values(), ids=SHUFFLED)
def test_rows_that_are_left_out_are_the_ones_that_were_judged(query, tmp_path):
    """Rejected rows, rows that failed, the record and a note on it, whatever order a pass gives."""
    plan = query().cio.identify(user_id="id")
    assert_nobody(plan.rejected)
    with cio.sandbox() as workspace:
        run = plan.send(workspace.client(), audit=tmp_path, progress=False)
        people = workspace.people

    assert_nobody(run.failed())
    assert_nobody(plan.rejected)
    assert people.height == PEOPLE - LEFT_OUT
    assert (people["email"] == people["id"] + "@example.com").all()
    lost = cio.audit(tmp_path).messages.filter(pl.col("state") == "rejected_local")["row"]
    missing = plan.findings.filter(pl.col("code") == "id.missing")["row"]
    assert lost.sort().to_list() == missing.sort().to_list()
    assert plan.findings["code"].to_list().count("frame.loaded") == 1


def test_a_query_that_gives_other_rows_each_time_is_an_error():
    """Rows that cannot be found again are not sent in place of those that were checked."""
    draws = itertools.count()
    drawn = pl.col("email").map_batches(
        lambda texts: texts + str(next(draws)), return_dtype=pl.String, is_elementwise=True
    )
    plan = FRAME.lazy().with_columns(id=drawn).cio.identify(user_id="id")

    with pytest.raises(FrameError, match=r"gives other rows each time .*frame\.collect"):
        plan.rehearse()


def test_a_query_that_ends_early_is_an_error():
    """A pass with fewer rows than the first is noticed at its end."""
    calls = itertools.count()
    lazy = FRAME.lazy().map_batches(
        lambda rows: rows.head(PEOPLE - next(calls)), schema=FRAME.schema
    )
    plan = cio.frame(lazy).identify(user_id="id", checks=cio.Checks(select=["id.missing"]))

    with pytest.raises(FrameError, match="gives other rows each time"):
        plan.rehearse()


CERTAIN: Mapping[str, Callable[[pl.LazyFrame], pl.LazyFrame]] = {
    "frame": lambda rows: rows,
    "filter": lambda rows: rows.filter(pl.col("id").is_not_null()).with_columns(n=pl.len().over("id")),
    "group_by": lambda rows: rows.group_by("id", maintain_order=True).agg(pl.col("email").first()),
    "unique": lambda rows: rows.unique(maintain_order=True),
    "sort": lambda rows: rows.sort("id", maintain_order=True),
    "concat": lambda rows: pl.concat([rows, rows]),
    "explode": lambda rows: rows.with_columns(pl.col("email").str.split("@")).explode("email", empty_as_null=True),
}  # fmt: skip
UNCERTAIN: Mapping[str, Callable[[pl.LazyFrame], pl.LazyFrame]] = {
    "group_by": lambda rows: rows.group_by("id").agg(pl.len()).filter(pl.col("len") > 0),
    "join": lambda rows: rows.join(rows, on="id"),
    "semi": lambda rows: rows.join(rows, on="id", how="semi"),
    "cross": lambda rows: rows.head(2).join(rows.head(2), how="cross"),
    "unique": lambda rows: rows.unique().with_columns(n=1),
    "sort": lambda rows: rows.sort("id"),
    "shuffle": lambda rows: rows.select(pl.col("id").shuffle()),
    "sql": lambda rows: pl.SQLContext(t=rows).execute("select id, count(*) from t group by id"),
}


@pytest.mark.parametrize("query", CERTAIN.values(), ids=CERTAIN)
def test_a_query_in_certain_order_is_streamed(query):
    """A query whose order polars promises is not loaded."""
    assert read(query(FRAME.lazy())).eager is None


@pytest.mark.parametrize("query", UNCERTAIN.values(), ids=UNCERTAIN)
def test_a_query_in_uncertain_order_is_loaded_and_reported(query):
    """A query whose order polars leaves open is loaded once, with a note."""
    table = read(query(FRAME.lazy()))

    assert table.eager is not None
    assert [note.code for note in table.notes] == ["frame.loaded"]
    assert "another order" in table.notes[0].message


def test_functions_of_the_user_are_streamed():
    """A function in Python is not loaded beforehand: whether the order holds is looked at."""
    lazy = FRAME.lazy().with_columns(pl.col("id").map_elements(str.upper, return_dtype=pl.String))
    table = read(lazy)

    assert table.eager is None
    assert order_of(lazy).calls_python
    assert fingerprint(table) == fingerprint(read(lazy.collect()))
