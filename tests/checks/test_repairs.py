"""Repairs change what their text says and nothing else, and a second time they change nothing."""

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.checks import CATALOGUE
from cio_frames.errors import RepairError
from cio_frames.identity.identifiers import converted

REPAIRS = {check.code: check.repair for check in CATALOGUE if check.repair}
LET_THROUGH = cio.Checks(severity=dict.fromkeys(REPAIRS, "warn"))


def values(plan: cio.Plan, *path: str) -> list[object]:
    """Return what stands at one place of every message."""
    changed = []
    for message in plan.payloads(100):
        place: object = message
        for key in path:
            place = place[key]  # type: ignore[index]
        changed.append(place)
    return changed


CHANGES = {
    "id.padded": ([" u", "u\n", "\u00a0u\u2003", "a b"], ["u", "u", "u", "a b"]),
    "id.invisible": (["a\u200bb", "\ufeffa", "a b", "\u202ea"], ["ab", "a", "a b", "a"]),
    "id.float": ([1.0, 0.0, -5.0, 2.0**53], ["1", "0", "-5", "9007199254740992"]),
}


@pytest.mark.parametrize(("code", "case"), CHANGES.items(), ids=CHANGES)
def test_identifiers_are_repaired(code, case):
    """An identifier becomes what its repair says; the same values as a trait stay."""
    before, after = case
    plan = pl.DataFrame({"id": before, "x": before}).cio.identify(user_id="id", checks=LET_THROUGH)

    fixed = plan.fix(code)

    assert values(fixed, "userId") == after
    assert values(fixed, "traits", "x") == before


def test_events_are_trimmed():
    """White space around the event's name goes away; identifiers keep theirs."""
    frame = pl.DataFrame({"id": [" u"], "event": [" Order "]})

    fixed = frame.cio.track(user_id="id", event="event", checks=LET_THROUGH).fix("event.padded")

    assert values(fixed, "event") == ["Order"]
    assert values(fixed, "userId") == [" u"]


@pytest.mark.parametrize("code", ["id.padded", "id.invisible"])
def test_the_address_as_a_trait_is_repaired_with_the_identifier(code):
    """People named by their address do not end up with another address as a trait."""
    plan = pl.DataFrame({"email": [" ada@\u200bexample.com"]}).cio.identify(
        user_id="email", checks=LET_THROUGH
    )

    fixed = plan.fix(code)

    assert values(fixed, "userId") == values(fixed, "traits", "email") != values(plan, "userId")


@pytest.mark.parametrize("code", ["id.padded", "id.invisible", "id.float", "event.padded"])
def test_a_repair_leaves_nothing_to_repair(code):
    """Once repaired, a code is found no more, and repairing again is refused."""
    texts = [" a\u200b", "b "]
    frame = pl.DataFrame({"id": [1.0, 2.0] if code == "id.float" else texts, "event": texts})
    plan = frame.cio.track(user_id="id", event="event")

    fixed = plan.fix(code)

    assert code in plan.findings["code"].to_list()
    assert code not in fixed.findings["code"].to_list()
    with pytest.raises(RepairError, match="was not found"):
        fixed.fix(code)


def test_a_plan_is_not_changed_by_its_repair():
    """Repairing gives a new plan; the first one sends what it sent before."""
    plan = pl.DataFrame({"id": [" u"]}).cio.identify(user_id="id", checks=LET_THROUGH)

    plan.fix("id.padded")

    assert values(plan, "userId") == [" u"]


def test_fixing_floats_hides_no_other_loss(judge):
    """The repair of whole decimals leaves fractions, NaN and lost digits as they were found."""
    data = {"id": [1.0, 1.5, float("nan"), 2.0**53 + 2]}

    findings = judge("identify", data, user_id="id", repairs=("id.float",))

    assert set(findings.select("row", "code").rows()) == {
        (3, "id.precision-lost"), (1, "id.fractional"), (2, "id.fractional"),
    }  # fmt: skip


def test_repairs_that_join_values_are_not_safe():
    """A repair of identifiers that can make one out of two, or two out of one, is not counted as safe."""
    unsafe = {code for code, repair in REPAIRS.items() if not repair.safe}

    assert {"id.padded", "id.invisible", "id.float", "id.float-text"} <= unsafe


def test_safe_repairs_come_together():
    """`fix("safe")` does every safe repair that there is something for, and no other."""
    frame = pl.DataFrame({"id": [1.0], "event": ["E "]})

    fixed = frame.cio.track(user_id="id", event="event").fix("safe")

    assert fixed.pipeline.mapping.repairs == ("event.padded",)
    assert fixed.fix("id.float").payloads()[0]["event"] == "E"


def test_an_unknown_repair_names_those_there_are():
    """A repair that does not apply is an error that lists what does."""
    plan = pl.DataFrame({"id": [1.0]}).cio.identify(user_id="id")

    with pytest.raises(RepairError, match=r"Available repairs: id\.float"):
        plan.fix("id.flot")


def test_safe_repairs_may_be_none():
    """Where no safe repair applies, `fix("safe")` leaves the plan as it is."""
    plan = pl.DataFrame({"id": [" u1"]}).cio.identify(user_id="id")

    assert plan.fix("safe").fixes["code"].to_list() == ["id.padded"]
    assert plan.fix("safe").changes.is_empty()


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("2024-08-14 20:36:48+02", "2024-08-14T20:36:48+02:00"),
        ("2024-08-14t20:36:48.5z", "2024-08-14T20:36:48.5Z"),
        ("2024-08-14 20:36:48 -0330", "2024-08-14T20:36:48-0330"),
        ("2024-13-45 10:00", "2024-13-45 10:00"),
    ],
)
def test_a_repaired_time_is_one_for_the_model_too(written, wanted):
    """What the repair of times writes is a time by the rules of the workspace, or is left alone."""
    frame = pl.DataFrame({"id": ["u", "v"], "x": [written, "2024-01-02 03:04"]})
    plan = frame.cio.identify(user_id="id").fix("trait.time-space")

    sent = plan.payloads()[0]["traits"]["x"]

    assert sent == wanted
    assert isinstance(converted(sent), int) == (written != wanted)


def test_the_report_says_that_nothing_is_safe_to_repair():
    """The plan stays as it is, and its report says so; where something is repaired, it does not."""
    clean = pl.DataFrame({"id": ["u1"], "plan": ["x"]}).cio.identify(user_id="id")
    padded = pl.DataFrame({"id": ["u1"], "unsubscribed": [" "]}).cio.identify(user_id="id")

    assert "changed nothing" in repr(clean.fix("safe"))
    assert clean.fix("safe").payloads() == clean.payloads()
    assert "changed nothing" not in repr(clean)
    assert "changed nothing" not in repr(padded.fix("safe"))
