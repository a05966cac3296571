"""What the journal says of a row decides its state, and nothing else does."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.audit.journal import Attempted, Entry, Finished, Retried, Split
from cio_frames.audit.row_states import settle
from cio_frames.audit.schema import PART_SCHEMA, PLAN_SCHEMA, SETTLED, STATES

AT = 1_772_366_400_000
FIRST, SECOND = (Attempted(0, AT), Attempted(0, AT + 10))


def plan(*sizes: int) -> pl.DataFrame:
    """Return a plan of batches of these sizes, in reverse row order, and one rejected row."""
    sent = [(batch, position) for batch, size in enumerate(sizes) for position in range(size)]
    count = len(sent)
    return pl.DataFrame(
        {
            "row": [*range(count, 0, -1), 0],
            "batch": [*(batch for batch, _ in sent), None],
            "position": [*(position for _, position in sent), None],
            "state": ["pending"] * count + ["rejected_local"],
            "code": [None] * count + ["id.missing"],
        }
    ).select(
        pl.col(name).cast(kind) if name in {"row", "batch", "position", "state", "code"}
        else pl.lit(None, kind).alias(name)
        for name, kind in PLAN_SCHEMA.items()
    )  # fmt: skip


def outcome(state: str, *, doubt: bool = False, status: int | None = None) -> Finished:
    """Return an outcome of the whole first batch."""
    return Finished(0, state, AT + 20, status=status, in_doubt=doubt)


@pytest.mark.parametrize(
    ("entries", "state"),
    [
        pytest.param([], "pending", id="nothing"),
        pytest.param([FIRST], "in_doubt", id="attempt-without-outcome"),
        pytest.param([FIRST, Retried(0, in_doubt=False)], "pending", id="never-sent"),
        pytest.param([FIRST, Retried(0, in_doubt=True)], "in_doubt", id="no-answer"),
        pytest.param(
            [FIRST, Retried(0, in_doubt=True), SECOND, Retried(0, status=429)],
            "in_doubt",
            id="doubt-stays-although-the-second-was-refused",
        ),
        pytest.param([FIRST, Retried(0), SECOND], "in_doubt", id="second-attempt-without-outcome"),
        pytest.param([FIRST, outcome("delivered", status=200)], "delivered", id="delivered"),
        pytest.param(
            [FIRST, Retried(0, in_doubt=True), SECOND, outcome("delivered")],
            "delivered",
            id="delivered-after-doubt",
        ),
        pytest.param([FIRST, outcome("accepted_unverified")], "accepted_unverified", id="unsure"),
        pytest.param([FIRST, outcome("rejected_server")], "rejected_server", id="refused"),
        pytest.param([FIRST, outcome("in_doubt")], "in_doubt", id="given-up-in-doubt"),
        pytest.param([FIRST, outcome("pending")], "pending", id="given-up-unsent"),
        pytest.param([FIRST, outcome("pending", doubt=True)], "in_doubt", id="given-up-unsure"),
        pytest.param([outcome("blocked")], "blocked", id="held-back"),
        pytest.param(
            [FIRST, Retried(0, in_doubt=True), outcome("blocked")], "in_doubt", id="held-back-late"
        ),
        pytest.param(
            [FIRST, outcome("delivered"), SECOND, outcome("rejected_server")],
            "delivered",
            id="settled-for-good",
        ),
        pytest.param([FIRST, outcome("delivered"), SECOND], "delivered", id="settled-and-resent"),
    ],
)
def test_the_journal_decides_the_state(entries: list[Entry], state: str):
    """Each history of a batch means exactly one state for its rows."""
    rows = settle(plan(2), entries, run_id="r")

    assert rows["state"].to_list() == [state, state, "rejected_local"]


def test_a_part_of_a_batch_is_told_apart():
    """An outcome of some positions of a batch leaves the others as they are."""
    entries = [
        FIRST,
        Split(0, 2),
        Finished(0, "delivered", AT + 5, 0, 2, 200),
        Attempted(0, AT + 6, 2, 1),
        Finished(0, "rejected_server", AT + 7, 2, 1, 400, "answer.400", "no"),
    ]

    rows = settle(plan(3, 1), entries, run_id="r").sort("batch", "row", descending=[False, True])

    assert rows.filter(pl.col("batch") == 0).select(
        "row", "state", "attempts", "http_status", "code", "error"
    ).rows() == [
        (4, "delivered", 1, 200, None, None),
        (3, "delivered", 1, 200, None, None),
        (2, "rejected_server", 2, 400, "answer.400", "no"),
    ]
    assert rows.filter(pl.col("batch") == 1)["state"].to_list() == ["pending"]


def test_times_are_those_of_the_first_attempt_and_the_end():
    """A row keeps when it was first sent and when its state was last learnt."""
    entries = [FIRST, Retried(0, in_doubt=True), SECOND, outcome("delivered", status=200)]

    row = settle(plan(1), entries, run_id="r").row(0, named=True)

    assert row["first_attempt_at"].timestamp() * 1000 == AT
    assert row["finished_at"].timestamp() * 1000 == AT + 20
    assert row["attempts"] == 2


def test_a_local_rejection_keeps_its_reason():
    """Rows that are not sent keep what the plan says of them."""
    row = settle(plan(1), [FIRST], run_id="r").row(1, named=True)

    assert (row["state"], row["code"], row["attempts"]) == ("rejected_local", "id.missing", 0)
    assert row["first_attempt_at"] is None


def test_a_part_has_its_schema():
    """The columns of a part are those that the format promises, in its order."""
    assert settle(plan(2), [], run_id="r").schema == PART_SCHEMA
    assert settle(plan(), [], run_id="r").schema == PART_SCHEMA


_SPANS = st.tuples(st.integers(0, 4), st.integers(1, 5)).map(lambda at: (at[0], at[1]))
_ENTRIES = st.one_of(
    st.builds(lambda at: Attempted(0, AT, *at), _SPANS),
    st.builds(lambda at, doubt: Retried(0, *at, in_doubt=doubt), _SPANS, st.booleans()),
    st.builds(
        lambda at, state: Finished(0, state, AT, *at),
        _SPANS,
        st.sampled_from([state for state in STATES if state != "rejected_local"]),
    ),
)


@given(st.lists(_ENTRIES, max_size=12), _ENTRIES)
def test_a_settled_state_is_never_left(entries: list[Entry], later: Entry):
    """Whatever is journaled next, a row that has its last state keeps it."""
    before = settle(plan(5), entries, run_id="r")["state"].to_list()
    after = settle(plan(5), [*entries, later], run_id="r")["state"].to_list()

    assert all(now == was for was, now in zip(before, after, strict=True) if was in SETTLED)
    assert set(after) <= set(STATES)
