"""What polars, pyarrow and functions of the user raise reaches the user as an error of the package."""

import contextlib
import itertools
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import cio_frames as cio
from cio_frames.errors import (
    AuditCorruptError,
    CioError,
    EngineError,
    FrameError,
    MappingError,
    engine_errors,
    errors_as,
)
from cio_frames.frames import ThreadPool, read
from cio_frames.frames.threads import map_ahead

SECRET = "ada@example.com"
ROWS = 400_000
PEOPLE = pl.DataFrame({"id": ["u1", "u2"], "n": [1, 2], "text": ["1", SECRET]})


class GuestError(Exception):
    """What a library that the package does not know raises."""


RAISED: Mapping[str, BaseException] = {
    "panic": pl.exceptions.PanicException(SECRET),
    "engine": pl.exceptions.ComputeError(SECRET),
    "arrow": pa.ArrowInvalid(SECRET),
    "disk": OSError(SECRET),
    "guest": GuestError(SECRET),
}


def failing(error: BaseException) -> Callable[[pl.Series], pl.Series]:
    """Return a function of a user that fails at rows, and not at a table without any."""

    def fail(values: pl.Series) -> pl.Series:
        if len(values):
            raise error
        return values

    return fail


def lazy(error: BaseException) -> pl.LazyFrame:
    """Return people whose query fails."""
    values = pl.col("n").map_batches(failing(error), return_dtype=pl.Int64, is_elementwise=True)
    return PEOPLE.lazy().with_columns(created_at=values)


def computed(error: BaseException) -> cio.Plan:
    """Return a plan with an expression that fails."""
    values = pl.col("n").map_batches(failing(error), return_dtype=pl.Int64, is_elementwise=True)
    return PEOPLE.cio.identify(user_id="id", traits={"n": values})


def send(plan: cio.Plan) -> object:
    """Send a plan to a workspace of its own."""
    with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
        return plan.send(workspace.client(), audit=folder, progress=False)


OF_A_PLAN: Mapping[str, Callable[[cio.Plan], object]] = {
    "counts": lambda plan: plan.counts,
    "report": repr,
    "notebook": lambda plan: plan._repr_mimebundle_(),
    "findings": lambda plan: plan.findings,
    "rejected": lambda plan: plan.rejected,
    "payloads": lambda plan: plan.payloads(2),
    "fix": lambda plan: plan.fix("safe").changes,
    "identity": lambda plan: plan.identity(),
    "estimate": lambda plan: plan.estimate(),
    "rehearse": lambda plan: plan.rehearse(),
    "backfill": lambda plan: cio.backfill([plan, plan]).identity(),
    "send": send,
}
RULE = (
    pl.col("n")
    .map_batches(failing(GuestError(SECRET)), return_dtype=pl.Int64, is_elementwise=True)
    .is_null()
)
OTHERS: Mapping[str, Callable[[pl.LazyFrame], object]] = {
    "suggest": lambda people: cio.suggest(people, "identify"),
    "proposal": lambda people: people.cio.identify(),
    "known": lambda people: PEOPLE.cio.identify(user_id="id").identity(known=people),
    "reference": lambda people: (
        PEOPLE.cio.identify(
            user_id="id", checks=cio.Checks(reference={"id": people.select("created_at")})
        ).counts
    ),
    "sandbox": lambda people: cio.sandbox().load(people),
}


def assert_typed(ask: Callable[[], object], *kinds: type[CioError]) -> None:
    """Assert that what is asked raises one of these errors, whose traceback holds no value."""
    with pytest.raises(kinds) as caught:
        ask()
    shown = "".join(traceback.format_exception(caught.value))
    assert f"Error: {SECRET}" not in shown
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("ask", OF_A_PLAN.values(), ids=OF_A_PLAN)
@pytest.mark.parametrize("error", RAISED.values(), ids=RAISED)
def test_a_query_that_fails_is_a_frame_error_wherever_it_is_run(error, ask):
    """A user's lazy frame that panics or fails is a FrameError in all that a plan can do."""
    assert_typed(lambda: ask(lazy(error).cio.identify(user_id="id")), FrameError)


@pytest.mark.parametrize("ask", OF_A_PLAN.values(), ids=OF_A_PLAN)
@pytest.mark.parametrize("error", RAISED.values(), ids=RAISED)
def test_a_query_that_fails_while_it_is_loaded_is_a_frame_error(error, ask):
    """A failing query without a certain order, which is loaded once, raises the same error."""
    assert_typed(lambda: ask(lazy(error).unique().cio.identify(user_id="id")), FrameError)


@pytest.mark.parametrize("ask", OF_A_PLAN.values(), ids=OF_A_PLAN)
def test_a_query_that_fails_in_a_later_pass_is_a_frame_error(ask):
    """A function that fails when the table is read once more raises the same error everywhere."""
    calls = itertools.count()

    def fail(rows: pl.DataFrame) -> pl.DataFrame:
        if next(calls):
            raise RAISED["panic"]
        return rows

    people = PEOPLE.lazy().map_batches(fail, schema=PEOPLE.schema)
    plan = people.cio.identify(user_id="id", traits={"n": pl.col("n") + 1})
    with contextlib.suppress(FrameError):
        ask(plan)
    assert_typed(lambda: send(plan), FrameError)


@pytest.mark.parametrize("ask", OF_A_PLAN.values(), ids=OF_A_PLAN)
@pytest.mark.parametrize("error", RAISED.values(), ids=RAISED)
def test_an_expression_that_fails_is_a_mapping_error_wherever_it_is_run(error, ask):
    """A user's expression that panics or fails is a MappingError in all that a plan can do."""
    assert_typed(lambda: ask(computed(error)), MappingError)


@pytest.mark.parametrize("ask", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("error", RAISED.values(), ids=RAISED)
def test_other_tables_that_fail_are_typed_errors(error, ask):
    """A table that is read for a proposal, as known people or values, or by the sandbox is typed too."""
    assert_typed(lambda: ask(lazy(error)), CioError)


@pytest.mark.parametrize("error", RAISED.values(), ids=RAISED)
def test_a_guest_that_fails_is_named(error):
    """A table of another library that fails while it is read is a FrameError with its name."""

    class Guest:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise error

    with pytest.raises(FrameError, match=r"Guest"):
        cio.frame(Guest()).identify(user_id="id")


def test_a_rule_that_fails_is_a_mapping_error():
    """A user's own rule that fails on rows is named in the error."""
    rule = cio.rule("n.bad", RULE, severity="reject")
    plan = PEOPLE.cio.identify(user_id="id", checks=cio.Checks(rules=[rule]))

    with pytest.raises(MappingError, match=r"rule of checks=.*GuestError"):
        _ = plan.counts


def test_an_expression_that_fails_without_rows_is_a_mapping_error():
    """A function that cannot be tried on a table without rows raises at once."""

    def fail(_: pl.Series) -> pl.Series:
        raise GuestError(SECRET)

    values = pl.col("n").map_batches(fail, return_dtype=pl.Int64, is_elementwise=True)
    assert_typed(lambda: PEOPLE.cio.identify(user_id=values), MappingError)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=["interrupt", "exit"])
def test_who_wants_to_stop_is_not_held_up(error):
    """Interrupts and exits pass: from queries, expressions, guests and threads."""
    plan = computed(error)
    for ask in (
        lambda: lazy(error).cio.identify(user_id="id").counts,
        lambda: plan.counts,
        lambda: cio.sandbox().load(lazy(error)),
        lambda: list(map_ahead(lambda _: failing(error)(pl.Series([1])), [1], at_once=1)),
    ):
        with pytest.raises(type(error)):
            ask()


def test_a_generator_that_is_closed_is_not_held_up():
    """Closing an iterator that reads a table ends it in silence."""
    with pytest.raises(GeneratorExit), engine_errors("rows were read"):
        raise GeneratorExit


def test_errors_of_the_package_and_of_python_stay_what_they_are():
    """Only what comes from below is translated, unless others are asked for."""
    for error in (MappingError("x"), KeyError("x"), GuestError("x")):
        with pytest.raises(type(error)), engine_errors("rows were read"):
            raise error
    with pytest.raises(FrameError), errors_as(FrameError, any_error=True):
        raise KeyError("x")


@pytest.mark.parametrize("name", ["panic", "engine", "arrow"])
def test_what_fails_in_a_thread_is_an_engine_error(name):
    """A panic in a thread of the package is an Exception for whoever waits for the result."""
    with ThreadPool(1) as pool, pytest.raises(EngineError, match="pip install --upgrade") as caught:
        pool.start(failing(RAISED[name]), pl.Series([1])).result()

    assert SECRET not in str(caught.value)


def test_a_panic_half_way_loses_no_rows():
    """The engine ends its batches in silence where it panics: the rows after them are not forgotten."""

    def fail_late(values: pl.Series) -> pl.Series:
        if len(values) and values[-1] > ROWS // 2:
            raise RAISED["panic"]
        return values

    values = pl.col("n").map_batches(fail_late, return_dtype=pl.Int64, is_elementwise=True)
    people = pl.LazyFrame({"n": range(ROWS)}).with_columns(id=values.cast(pl.String))
    heights: list[int] = []
    with pytest.raises(FrameError, match="PanicException"):
        heights.extend(chunk.height for chunk in read(people).chunks())

    assert 0 < sum(heights) <= ROWS // 2


def test_a_damaged_record_is_an_audit_error(tmp_path):
    """A part whose bytes are not what was written is reported as damage of the record."""
    with cio.sandbox() as workspace:
        plan = PEOPLE.cio.identify(user_id="id")
        run = plan.send(workspace.client(), audit=tmp_path, progress=False)
    part = next(Path(run.audit).rglob("*.parquet"))
    data = bytearray(part.read_bytes())
    data[8 : len(data) // 2] = b"\xff" * (len(data) // 2 - 8)
    part.write_bytes(data)

    assert_typed(lambda: cio.audit(tmp_path).messages, AuditCorruptError)
