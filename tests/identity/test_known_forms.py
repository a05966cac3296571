"""Ids of rows that the export has in another form are reported, with the rows and what to do."""

import pandas as pd
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import IdentityRefusedError

FORMS = {
    "leading zeros": ("7", "007"),
    "a decimal point": ("123.0", "123"),
    "case": ("Ada-1", "ada-1"),
    "white space": ("u\u200b1", "u1"),
}


def identified(*ids):
    """Plan to identify people whose ids are sent as they are, with what is wrong with them."""
    return pl.DataFrame({"id": ids}).cio.identify(user_id="id", checks=cio.Checks(ignore=["id"]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lost_by", ["rows", "export"])
def test_an_id_in_another_form_is_a_conflict(form, lost_by):
    """Whichever side has the other form, both are named, with what differs and the rows."""
    pair = FORMS[form] if lost_by == "rows" else FORMS[form][::-1]
    preview = identified(pair[0], "x9", pair[0]).identity(known=pl.DataFrame({"id": [pair[1]]}))

    (line,) = preview.conflicts.to_dicts()
    assert line["kind"] == "identifier.other-form"
    assert line["ids"] == list(pair)
    assert f"differ only in {form}" in line["sentence"]
    assert (line["count"], line["rows"]) == (2, [{"plan": 0, "row": 0}, {"plan": 0, "row": 2}])
    assert "! 1 conflict" in repr(preview)
    assert preview.summary["creates"] == 2
    assert "matches an existing profile" not in repr(preview)


@pytest.mark.parametrize(
    ("ids", "known"),
    [
        pytest.param(["7", "u1"], ["7", "u1"], id="the same"),
        pytest.param(["7", "8"], ["9", "007x"], id="others"),
        pytest.param(["7", "007"], ["7", "007"], id="both are there"),
        pytest.param(["Ab", "aB"], ["Ab"], id="case where rows name both"),
        pytest.param(["ada@x.co"], ["Ada@x.co"], id="addresses, which have no case"),
    ],
)
def test_ids_that_are_two_people_are_no_conflict(ids, known):
    """Ids that the export has as they are, or not at all, are not reported as another form."""
    preview = identified(*ids).identity(known=pl.DataFrame({"id": known, "email": known}))

    assert "identifier.other-form" not in set(preview.conflicts["kind"])


def test_a_cio_id_without_its_prefix_is_another_form():
    """An id that is the cio_id of a known person is reported with the prefix that it needs."""
    known = pl.DataFrame({"id": ["u1"], "cio_id": ["03a0"]})

    (line,) = identified("03a0").identity(known=known).conflicts.to_dicts()

    assert line["ids"] == ["03a0", "cio_03a0"]
    assert "the prefix of a cio_id" in line["sentence"]


def test_every_call_that_names_people_is_compared():
    """Events, merges and groups name people by other forms, too."""
    known = pl.DataFrame({"id": ["007", "008"]})
    ids = pl.DataFrame({"u": ["7"], "old": ["8"], "g": ["g1"]})
    backfill = cio.backfill([
        ids.cio.track(event=cio.lit("Joined"), user_id="u"),
        ids.cio.alias(previous_id="old", user_id="u"),
        ids.cio.group(group_id="g", user_id="u"),
    ])  # fmt: skip

    conflicts = backfill.identity(known=known).conflicts
    rows = dict(
        conflicts.filter(pl.col("kind") == "identifier.other-form")
        .select(pl.col("ids").list.first(), "rows").iter_rows()
    )  # fmt: skip

    assert [place["plan"] for place in rows["7"]] == [0, 1, 2]
    assert [place["plan"] for place in rows["8"]] == [1]


def test_such_rows_can_be_refused_or_left_out():
    """`on_conflict` counts another form as a conflict; without these rows nobody is created."""
    known = pl.DataFrame({"id": ["007", "u1"]})
    events = pl.DataFrame({"u": ["7"] * 9 + ["u1"], "n": range(10)})
    plan = events.cio.track(event=cio.lit("Joined"), user_id="u")

    with pytest.raises(IdentityRefusedError, match=r"1 conflict in 9 rows"):
        plan.identity(known=known, on_conflict="refuse")
    left = plan.identity(known=known, on_conflict="reject")
    assert left.plan.counts["rejected"] == 9
    assert left.summary["creates"] == 0


def test_ids_of_pandas_with_gaps_find_their_people():
    """Whole numbers that pandas keeps as decimals are no other form of themselves."""
    known = pd.DataFrame({"id": [1, None, 2], "email": ["a@x.co", "b@x.co", None]})

    assert identified("1", "2").identity(known=known).conflicts.height == 0


def test_the_headline_says_no_more_than_is_so():
    """Where rows are about visitors or do nothing, it does not say that each finds its person."""
    known = pl.DataFrame({"id": ["u1"]})
    frame = pl.DataFrame({"u": ["u1", None], "v": ["v1", "v2"]})
    visits = frame.cio.track(event=cio.lit("Visited"), user_id="u", anonymous_id="v")

    assert "No profile is created, and none is merged." in repr(visits.identity(known=known))
    assert "Every row matches an existing profile" in repr(identified("u1").identity(known=known))
