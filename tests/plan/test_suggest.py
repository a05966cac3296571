"""From a table and what was asked for to a plan, and one pass over its rows."""

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import FrameError, MappingError
from cio_frames.frames import fingerprint

FAILING = pl.col("id").cast(pl.Int64)


def failing() -> pl.LazyFrame:
    """Return a lazy frame whose schema is known and whose values cannot be computed."""
    return pl.LazyFrame({"id": ["1", "secret"]}).with_columns(n=pl.col("id").cast(pl.Int64))


@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"user_id": FAILING}, id="user-id"),
        pytest.param({"user_id": "id", "anonymous_id": FAILING}, id="link"),
        pytest.param({"user_id": "id", "traits": {"n": FAILING}}, id="trait"),
    ],
)
def test_an_expression_that_fails_on_rows_is_an_error(lazy, asked):
    """An expression that some row breaks is an error of this package, without the value in it."""
    frame = pl.DataFrame({"id": ["1", "secret"]})
    plan = (frame.lazy() if lazy else frame).cio.identify(**asked)

    with pytest.raises(MappingError, match="fails on some rows") as caught:
        _ = plan.counts

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "verb",
    [lambda f: cio.suggest(f, "identify"), lambda f: f.cio.identify()],
    ids=["suggest", "identify"],
)
def test_a_lazy_frame_that_fails_is_an_error(verb):
    """A lazy frame that cannot be read says so, also when only its first rows are wanted."""
    with pytest.raises(FrameError):
        verb(failing())


def test_a_table_without_rows_has_a_plan():
    """A table without rows is planned like any other: nothing to send, nothing rejected."""
    plan = pl.DataFrame(schema={"id": pl.String, "x": pl.List(pl.Float64)}).cio.identify(
        user_id="id"
    )

    assert plan.counts == {"rows": 0, "valid": 0, "rejected": 0, "bytes": 0, "batches": 0}
    assert plan.findings.is_empty()
    assert plan.payloads() == []


def test_texts_that_are_empty_in_one_chunk_are_times_in_another():
    """A text column of times may be empty for a whole chunk."""
    frame = pl.DataFrame({"id": ["u"] * 4, "t": [None, None, "2024-01-01T00:00Z", "2024-01-02"]})
    plan = frame.cio.identify(user_id="id", timestamp="t", traits=[])

    times = [pl.DataFrame(part.messages) for part in plan.pipeline.encode_chunks(chunk_rows=2)]

    assert ["timestamp" in text for part in times for text in part["message"]] == [
        False, False, True, True,
    ]  # fmt: skip


def test_people_who_become_one_share_a_lane():
    """Rows tied by an anonymous id or an address keep their order: they are in one lane."""
    frame = pl.DataFrame(
        {
            "id": ["a", "b", "c", "d"],
            "anon": ["x", "x", "y", None],
            "email": [None, "mail@x.de", "MAIL@x.de", None],
        }
    )
    plan = frame.cio.identify(user_id="id", anonymous_id="anon")

    for rows in (1, 10):
        lanes = pl.concat(part.messages for part in plan.pipeline.encode_chunks(chunk_rows=rows))[
            "lane"
        ].to_list()
        assert len(set(lanes[:3])) == 1
        assert lanes[3] != lanes[0]


def test_order_is_kept_per_person_whatever_the_case():
    """Addresses in other letters are one person, so their rows share a lane."""
    frame = pl.DataFrame({"id": ["Ada@x.de", "ada@X.de"], "event": ["A", "B"]})

    (part,) = frame.cio.track(user_id="id", event="event").pipeline.encode_chunks(chunk_rows=10)

    assert part.messages["lane"].n_unique() == 1


def test_the_namespace_keeps_workspaces_apart():
    """The same rows have other ids in another namespace and the same ids in the same one."""
    frame = pl.DataFrame({"id": ["u"]})

    one, two, other = (
        frame.cio.identify(user_id="id", namespace=name).payloads()[0]["messageId"]
        for name in ("prod", "prod", "test")
    )

    assert one == two != other


@pytest.mark.parametrize(
    "people",
    [
        pytest.param({"id": ["u1", "u2"], "plan": ["pro", None]}, id="fine"),
        pytest.param({"id": [1.0, 2.0]}, id="forbidden"),
        pytest.param({"id": ["u1", "u1"], "note": ["4111 1111 1111 1111", "x"]}, id="sensitive"),
        pytest.param({"id": pl.Series([], dtype=pl.String)}, id="empty"),
    ],
)
def test_the_check_before_sending_says_what_the_report_says(people):
    """With or without the report: the same rows, the same reasons not to send, one fingerprint."""
    frame = pl.DataFrame(people)
    fast, full = (frame.lazy().cio.identify(user_id="id") for _ in range(2))
    assert full.counts["rows"] == frame.height

    codes = [[finding["code"] for finding in plan.refusals()] for plan in (fast, full)]

    assert codes[0] == codes[1]
    checked = [plan.pipeline.before_send for plan in (fast, full)]
    assert [each.rows for each in checked] == [frame.height] * 2
    assert {each.fingerprint for each in checked} == {fingerprint(full.pipeline.table)}


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: cio.Backfill.__new__(cio.Backfill), id="back-fill"),
        pytest.param(lambda: cio.Run.__new__(cio.Run), id="run"),
        pytest.param(lambda: pl.DataFrame({"id": ["u1"]}).cio.identify().pipeline, id="pipeline"),
        pytest.param(lambda: pl.DataFrame({"id": ["u1"]}).cio.identify().pipelines, id="pipelines"),
    ],
)
def test_what_a_traceback_may_show_has_a_repr(made):
    """Objects that are half made when an error is raised have a repr, and inner ones hide the rows."""
    shown = repr(made())

    assert "object at" in shown
    assert "u1" not in shown
