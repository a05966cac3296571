"""Ids that one plan of a back-fill has in another form than the next are reported, with the repair."""

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.plan import other_forms

FORMS = {
    "leading zeros": ("42", "0042", "zfill"),
    "a decimal point": ("42.0", "42", "id.float"),
    "case": ("ada-1", "Ada-1", "same case"),
    "white space": (" u42", "u42", "id.padded"),
}
QUIET = cio.Checks(ignore=["id"])


def people(*ids):
    """Plan to identify people."""
    return pl.DataFrame({"id": ids}).cio.identify(user_id="id", checks=QUIET)


def events(*ids):
    """Plan events of people."""
    frame = pl.DataFrame({"who": ids}).with_row_index("n")
    return frame.cio.track(event=cio.lit("Ordered"), user_id="who", checks=QUIET)


def findings_of(*plans):
    """Return the findings about other forms of a back-fill."""
    findings = cio.backfill(plans).findings
    return findings.filter(pl.col("code") == "id.other-form").to_dicts()


@pytest.mark.parametrize("how", FORMS)
@pytest.mark.parametrize("turned", [False, True], ids=["as it is", "turned"])
@pytest.mark.parametrize("order", ["people first", "events first"])
def test_ids_in_another_form_are_a_warning_with_count_examples_and_repair(how, turned, order):
    """Whichever plan has the other form, and in any order, the events' ids are named as unknown."""
    one, other, repair = FORMS[how]
    lost, known = (other, one) if turned else (one, other)
    plans = [people(known, "x9"), events(lost, lost, "x9")]
    if order == "events first":
        plans.reverse()

    (line,) = findings_of(*plans)

    place = plans.index(next(plan for plan in plans if plan.call == "track"))
    assert (line["plan"], line["severity"], line["column"]) == (place, "warn", "who")
    assert f"1 id in 2 rows of plan {place} " in line["message"]
    assert f"{lost!r} for {known!r}" in line["message"]
    assert f"differ in {how} only" in line["message"]
    assert repair in line["hint"]
    assert "id.other-form" in repr(cio.backfill(plans))


QUIET_PLANS = {
    "the same ids": lambda: (people("42", "43"), events("42", "43")),
    "both are people": lambda: (people("42", "0042"), events("42", "0042")),
    "both are people, one has events": lambda: (people("42", "0042"), events("42")),
    "others": lambda: (people("a", "b"), events("c", "42")),
    "addresses in other case": lambda: (people("Ada@x.co"), events("ada@x.co")),
    "case, where events name both": lambda: (people("Ab"), events("aB", "Ab")),
    "both are people, of three plans": lambda: (people("42", "0042"), people("42"), events("0042")),
    "visitors": lambda: (
        people("42"),
        pl.DataFrame({"v": ["0042"]}).cio.track(event=cio.lit("Saw"), anonymous_id="v"),
    ),
}


@pytest.mark.parametrize("plans", QUIET_PLANS.values(), ids=QUIET_PLANS)
def test_ids_that_are_people_of_their_own_are_no_finding(plans):
    """Where both forms are people of one plan, or no person is meant, nothing is reported."""
    assert findings_of(*plans()) == []


def test_two_plans_of_people_are_compared_and_so_are_events_alone():
    """People of a second plan who are those of the first in another form are reported; so are events."""
    assert [line["plan"] for line in findings_of(people("0042"), people("42"))] == [1]
    assert [line["plan"] for line in findings_of(events("0042"), events("42"))] == [1]


def test_events_that_name_both_forms_make_a_person_all_the_same():
    """That the right form is there too does not make the other one a known person."""
    (line,) = findings_of(people("0042"), events("42", "0042"))

    assert "1 id in 1 row of plan 1 " in line["message"]


def test_a_merge_is_compared_too():
    """The ids that an alias merges away are compared like all others."""
    merge = pl.DataFrame({"old": ["0042"], "new": ["43"]}).cio.alias(
        previous_id="old", user_id="new", checks=QUIET
    )

    (line,) = findings_of(people("42", "43"), merge)

    assert "'0042' for '42'" in line["message"]


def test_repairs_of_such_ids_are_not_safe():
    """What joins or splits people is done by its own word only."""
    plan = pl.DataFrame({"who": [42.0]}).cio.track(event=cio.lit("E"), user_id="who")

    fixes = dict(pl.DataFrame(plan.fixes).select("code", "safe").iter_rows())

    assert fixes["id.float"] is False
    assert plan.fix("safe").pipeline.mapping.repairs == ()


def test_a_repaired_plan_is_compared_as_it_is_sent():
    """After the repair that the hint names, nothing is reported."""
    lost = pl.DataFrame({"who": ["42.0"]}).cio.track(event=cio.lit("E"), user_id="who")

    assert len(findings_of(people("42"), lost)) == 1
    assert findings_of(people("42"), lost.fix("id.float-text")) == []


def test_many_ids_are_compared_by_a_sample(monkeypatch):
    """With more ids than are kept, the counts are estimates and say so."""
    monkeypatch.setattr(other_forms, "MOST_IDS", 500)
    ids = [f"{number:06}" for number in range(4_000)]

    (line,) = findings_of(people(*ids), events(*(text.lstrip("0") or "0" for text in ids)))

    count = int(line["message"].split()[1].replace(",", ""))
    assert line["message"].startswith("About ")
    assert 3_000 < count < 5_000


def test_an_estimate_says_which_new_profiles_are_old_ones():
    """With an export, an estimate counts the rows whose ids it has in another form."""
    known = pl.DataFrame({"id": ["0042", "43"]})

    estimate = events("42", "42", "43").estimate(known=known, progress=False)

    assert (estimate.new_profiles, estimate.other_forms) == (1, 2)
    assert "2 rows name people of the export by ids in another form" in " ".join(
        repr(estimate).split()
    )
    assert events("43").estimate(known=known, progress=False).other_forms == 0
