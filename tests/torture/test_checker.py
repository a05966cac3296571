"""The checker has teeth: a good history gives zeros, and each number can be something else."""

from dataclasses import fields

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torture.checker import ARRIVALS, RECORD, ROWS, Verdict, check

COUNT, PEOPLE = 12, 3


def history() -> dict[str, list[dict]]:
    """Return a run without faults: row 5 is rejected, the others arrive once."""
    rows = [
        {
            "key": 100 + n, "plan": 0, "row": n, "component": n % PEOPLE,
            "payload_sha": f"sha{n}", "rejected": n == 5, "blocks": False,
        }
        for n in range(COUNT)
    ]  # fmt: skip
    record = [
        {
            "run_id": "r1", "plan": 0, "row": n, "attempts": 1,
            "state": "rejected_server" if n == 5 else "delivered",
        }
        for n in range(COUNT)
    ]  # fmt: skip
    arrivals = [
        {
            "key": 100 + n, "number": n + 1, "message_id": f"id{n}",
            "payload_sha": f"sha{n}", "applied": n != 5,
        }
        for n in range(COUNT)
    ]  # fmt: skip
    return {"rows": rows, "record": record, "arrivals": arrivals}


def verdict(story: dict[str, list[dict]]) -> Verdict:
    """Check a history that is given as lists."""
    return check(
        pl.DataFrame(story["rows"], schema=ROWS),
        record=pl.DataFrame(story["record"], schema=RECORD),
        arrivals=pl.DataFrame(story["arrivals"], schema=ARRIVALS),
    )


def changed(part: str, row: int, /, **values: object) -> dict[str, list[dict]]:
    """Return the good history with one entry changed."""
    story = history()
    story[part][row] |= values
    return story


def without(part: str, row: int) -> dict[str, list[dict]]:
    """Return the good history with one entry missing."""
    story = history()
    del story[part][row]
    return story


def again(part: str, row: int, /, **values: object) -> dict[str, list[dict]]:
    """Return the good history with one entry there twice."""
    story = history()
    story[part].append(story[part][row] | values)
    return story


BAD = {
    "dropped-and-told-rejected": (
        {**without("arrivals", 2), "record": changed("record", 2, state="rejected_server")["record"]},
        {"lost": 1},
    ),
    "skipped-but-never-there": (
        {**without("arrivals", 2), "record": changed("record", 2, state="skipped_done")["record"]},
        {"lost": 1},
    ),
    "acknowledged-but-not-there": (without("arrivals", 2), {"lost": 1, "false_ack": 1}),
    "seen-but-not-applied": (changed("arrivals", 2, applied=False), {"lost": 1, "false_ack": 1}),
    "same-id-twice": (again("arrivals", 2, number=40), {"duplicated_raw": 1}),
    "other-id-twice": (
        again("arrivals", 2, number=40, message_id="another"),
        {"duplicated_raw": 1, "duplicated_after_dedupe": 1},
    ),
    "overtaken": (changed("arrivals", 0, number=99), {"out_of_order_components": 1}),
    "two-people-overtaken": (
        {**history(), "arrivals": [
            *changed("arrivals", 0, number=99)["arrivals"][:1],
            *changed("arrivals", 1, number=98)["arrivals"][1:],
        ]},
        {"out_of_order_components": 2},
    ),
    "called-pending-though-applied": (
        changed("record", 2, state="pending"), {"false_nack": 1, "open": 1},
    ),
    "in-doubt-and-applied": (changed("record", 2, state="in_doubt"), {"open": 1}),
    "in-doubt-and-not-applied": (
        {**without("arrivals", 2), "record": changed("record", 2, state="in_doubt")["record"]},
        {"open": 1},
    ),
    "sent-without-a-record": (changed("record", 2, attempts=0), {"unattempted_seen": 1}),
    "a-stranger": (again("arrivals", 2, key=None, message_id="x"), {"unattempted_seen": 1}),
    "a-row-without-a-state": (without("record", 2), {"unaccounted": 1, "unattempted_seen": 1}),
    "a-row-in-two-states": (again("record", 2, state="pending"), {"unaccounted": 1}),
    "a-row-of-nobody": (again("record", 2, row=77), {"unaccounted": 1}),
    "other-bytes": (
        changed("arrivals", 2, payload_sha="other"), {"payload_mismatch": 1},
    ),
    "sent-after-a-refusal-that-holds": (changed("rows", 5, blocks=True), {"wrongly_blocked": 2}),
    "held-back-by-nothing": (
        {**without("arrivals", 2), "record": changed("record", 2, state="blocked")["record"]},
        {"wrongly_blocked": 1, "open": 1},
    ),
    "held-back-by-a-refusal-that-does-not": (
        {**without("arrivals", 8), "record": changed("record", 8, state="blocked")["record"]},
        {"wrongly_blocked": 1, "open": 1},
    ),
    "one-id-for-two-rows": (changed("arrivals", 2, message_id="id3"), {"payload_mismatch": 1}),
}  # fmt: skip


def test_a_good_history_gives_zeros():
    """Everything that went well is all zeros."""
    assert verdict(history()) == Verdict()


@pytest.mark.parametrize(("story", "numbers"), list(BAD.values()), ids=list(BAD))
def test_each_fault_has_its_number(story, numbers):
    """A history with one fault gives exactly the numbers of that fault."""
    assert verdict(story) == Verdict(**numbers)


def test_every_number_can_be_something_else():
    """The table of bad histories leaves no number at zero throughout."""
    told = set().union(*(numbers for _, numbers in BAD.values()))
    assert told == {field.name for field in fields(Verdict)}


def test_copies_and_open_rows_are_no_violation():
    """Raw copies and rows still to be sent are counted, and are no violations."""
    assert Verdict(duplicated_raw=3, open=2).violations == {}
    assert Verdict(lost=1, open=2).violations == {"lost": 1}


def test_later_runs_complete_earlier_ones():
    """A row counts as delivered if one run delivered it and the others skipped or left it."""
    story = history()
    story["record"][2]["state"] = "in_doubt"
    second = [row | {"run_id": "r2", "state": "skipped_done"} for row in story["record"]]
    second[2]["state"] = "delivered"
    story["record"] += second
    assert verdict(story) == Verdict()


@given(st.data())
def test_any_lost_row_is_found(data):
    """Whatever rows vanish from the log, exactly those are missed."""
    gone = data.draw(st.sets(st.sampled_from([n for n in range(COUNT) if n != 5])))
    story = history()
    story["arrivals"] = [row for row in story["arrivals"] if row["key"] - 100 not in gone]
    found = verdict(story)
    assert (found.lost, found.false_ack) == (len(gone), len(gone))


@given(st.permutations(range(COUNT)))
def test_order_matters_within_a_component_only(order):
    """Any order of arrival that keeps each person's rows in order is fine, any other is not."""
    story = history()
    for row, place in zip(story["arrivals"], order, strict=True):
        row["number"] = place
    kept = [order[n] for n in range(COUNT) if n != 5]
    people = [n % PEOPLE for n in range(COUNT) if n != 5]
    disordered = sum(
        (mine := [at for at, who in zip(kept, people, strict=True) if who == person])
        != sorted(mine)
        for person in range(PEOPLE)
    )
    assert verdict(story).out_of_order_components == disordered
