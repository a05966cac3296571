"""The entries of the journal alone decide the state of a row."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.audit.journal import Entry, MessageRange
from cio_frames.audit.row_states import row_states
from cio_frames.audit.schema import FINAL_STATES, PART_SCHEMA, PLAN_SCHEMA, STATES
from cio_frames.sending.events import BatchAttempted, BatchFinished, BatchRetried

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WHOLE = MessageRange(0)


def at(milliseconds: int) -> datetime:
    """Return a moment of the run."""
    return START + timedelta(milliseconds=milliseconds)


def attempted(place: MessageRange = WHOLE, *, after_ms: int = 0) -> Entry:
    """Return an attempt."""
    return BatchAttempted(batch=place, attempt=1, at=at(after_ms))


def retried(
    place: MessageRange = WHOLE, *, status: int | None = None, in_doubt: bool = False
) -> Entry:
    """Return a failure after which the same is sent again."""
    return BatchRetried(batch=place, attempt=1, after_s=1.0, status=status, in_doubt=in_doubt)


def finished(
    place: MessageRange,
    state: str,
    *,
    status: int | None = None,
    in_doubt: bool = False,
    **why: str,
) -> Entry:
    """Return the end of some messages."""
    return BatchFinished(
        batch=place, state=state, attempts=1, status=status, in_doubt=in_doubt, elapsed_s=0.1,
        at=at(20), **why,
    )  # fmt: skip


FIRST, SECOND = attempted(), attempted(after_ms=10)


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


def outcome(state: str, *, doubt: bool = False, status: int | None = None) -> Entry:
    """Return an outcome of the whole first batch."""
    return finished(WHOLE, state, status=status, in_doubt=doubt)


@pytest.mark.parametrize(
    ("entries", "state"),
    [
        pytest.param([], "pending", id="nothing"),
        pytest.param([FIRST], "in_doubt", id="attempt-without-outcome"),
        pytest.param([FIRST, retried(in_doubt=False)], "pending", id="never-sent"),
        pytest.param([FIRST, retried(in_doubt=True)], "in_doubt", id="no-answer"),
        pytest.param(
            [FIRST, retried(in_doubt=True), SECOND, retried(status=429)],
            "in_doubt",
            id="doubt-stays-although-the-second-was-refused",
        ),
        pytest.param([FIRST, retried(), SECOND], "in_doubt", id="second-attempt-without-outcome"),
        pytest.param([FIRST, outcome("delivered", status=200)], "delivered", id="delivered"),
        pytest.param(
            [FIRST, retried(in_doubt=True), SECOND, outcome("delivered")],
            "delivered",
            id="delivered-after-doubt",
        ),
        pytest.param([FIRST, outcome("accepted_unverified")], "accepted_unverified", id="unsure"),
        pytest.param([FIRST, outcome("rejected_server")], "rejected_server", id="refused"),
        pytest.param([FIRST, outcome("in_doubt")], "in_doubt", id="given-up-in-doubt"),
        pytest.param([FIRST, outcome("pending")], "pending", id="given-up-unsent"),
        pytest.param([FIRST, outcome("pending", doubt=True)], "in_doubt", id="given-up-unsure"),
        pytest.param([outcome("blocked")], "blocked", id="blocked"),
        pytest.param(
            [FIRST, retried(in_doubt=True), outcome("blocked")], "in_doubt", id="blocked-in-doubt"
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
    rows = row_states(plan(2), entries, run_id="r")

    assert rows["state"].to_list() == [state, state, "rejected_local"]


def test_parts_of_a_batch_have_their_own_states():
    """An outcome of some positions of a batch leaves the others as they are."""
    entries = [
        FIRST,
        finished(MessageRange(0, 0, 2), "delivered", status=200),
        attempted(MessageRange(0, 2, 1)),
        finished(
            MessageRange(0, 2, 1), "rejected_server", status=400, code="answer.400", error="no"
        ),
    ]

    rows = row_states(plan(3, 1), entries, run_id="r").sort(
        "batch", "row", descending=[False, True]
    )

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
    entries = [FIRST, retried(in_doubt=True), SECOND, outcome("delivered", status=200)]

    row = row_states(plan(1), entries, run_id="r").row(0, named=True)

    assert row["first_attempt_at"] == at(0)
    assert row["finished_at"] == at(20)
    assert row["attempts"] == 2


def test_a_local_rejection_keeps_its_reason():
    """Rows that are not sent keep their state in the plan."""
    row = row_states(plan(1), [FIRST], run_id="r").row(1, named=True)

    assert (row["state"], row["code"], row["attempts"]) == ("rejected_local", "id.missing", 0)
    assert row["first_attempt_at"] is None


def test_a_part_has_its_schema():
    """The columns of a part are those that the format promises, in its order."""
    assert row_states(plan(2), [], run_id="r").schema == PART_SCHEMA
    assert row_states(plan(), [], run_id="r").schema == PART_SCHEMA


_SPANS = st.tuples(st.integers(0, 4), st.integers(1, 5)).map(lambda at: (at[0], at[1]))
_ENTRIES = st.one_of(
    st.builds(lambda at: attempted(MessageRange(0, *at)), _SPANS),
    st.builds(
        lambda at, doubt: retried(MessageRange(0, *at), in_doubt=doubt), _SPANS, st.booleans()
    ),
    st.builds(
        lambda at, state: finished(MessageRange(0, *at), state),
        _SPANS,
        st.sampled_from([state for state in STATES if state != "rejected_local"]),
    ),
)


@given(st.lists(_ENTRIES, max_size=12), _ENTRIES)
def test_a_settled_state_is_never_left(entries: list[Entry], later: Entry):
    """Whatever is journaled next, a row that has its last state keeps it."""
    before = row_states(plan(5), entries, run_id="r")["state"].to_list()
    after = row_states(plan(5), [*entries, later], run_id="r")["state"].to_list()

    assert all(now == was for was, now in zip(before, after, strict=True) if was in FINAL_STATES)
    assert set(after) <= set(STATES)
