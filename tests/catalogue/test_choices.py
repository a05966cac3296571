"""What a user can choose: rules, thresholds, references, exceptions, hashes, repairs."""

import hashlib
import time
from pathlib import Path

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import MappingError, PlanRefusedError

CARD = "4111 1111 1111 1111"
PEOPLE = pl.DataFrame({"id": ["u1", "u2", "u3"], "plan": ["pro", "gold", None]})
KNOWN_PLANS = pl.col("plan").is_in(["free", "pro"])


def findings_of(plan: cio.Plan, code: str) -> pl.DataFrame:
    """Return the findings of one code."""
    return plan.pipeline.full_check.findings.filter(pl.col("code") == code)


def test_a_rule_is_one_line():
    """A row breaks a rule where its expression is false; where a cell is empty, nothing is found."""
    rule = cio.rule("plan.unknown", KNOWN_PLANS, severity="reject", hint="Sell it first.")

    plan = PEOPLE.cio.identify(user_id="id", checks=cio.Checks(rules=[rule]))

    findings = findings_of(plan, "plan.unknown").to_dicts()
    assert [(row["row"], row["value"], row["hint"]) for row in findings] == [
        (1, "gold", "Sell it first.")
    ]
    assert plan.counts["rejected"] == 1


def test_a_rule_may_look_at_columns_that_are_not_sent():
    """Rules see the user's own columns, whatever the verb takes of them."""
    rule = cio.rule("plan.unknown", KNOWN_PLANS, severity="refuse")

    plan = PEOPLE.cio.identify(user_id="id", traits=[], checks=cio.Checks(rules=[rule]))

    with pytest.raises(PlanRefusedError, match=r"plan\.unknown"):
        plan.require_sendable()


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda: cio.rule("unknown", KNOWN_PLANS), id="code"),
        pytest.param(lambda: cio.rule("a.b", KNOWN_PLANS, severity="fatal"), id="severity"),
        pytest.param(lambda: cio.rule("a.b", "plan"), id="expression"),
        pytest.param(lambda: cio.Checks(thresholds=2).of([]), id="share"),
        pytest.param(lambda: cio.Checks(thresholds={"id.flot": 0.1}).of([]), id="threshold"),
        pytest.param(lambda: cio.Checks(allow_sensitive={"ssn": " "}).of([]), id="reason"),
        pytest.param(lambda: PEOPLE.cio.identify(user_id="id", hash=["no"]), id="hash-nothing"),
        pytest.param(lambda: PEOPLE.cio.identify(user_id="id", hash=["id"]), id="hash-id"),
    ],
)
def test_what_makes_no_sense_is_refused(ask):
    """A choice that could not work is an error that says why, at once."""
    with pytest.raises(MappingError):
        ask()


@pytest.mark.parametrize(
    ("thresholds", "refused"),
    [
        (0.3, True),
        (0.4, False),
        ({"id.missing": 0.3}, True),
        ({"id.missing": 0.4}, False),
        ({"id.float": 0.0}, False),
    ],
)
def test_a_share_of_failing_rows_refuses_the_plan(thresholds, refused):
    """More failing rows than the share allows refuse everything; as many do not."""
    frame = pl.DataFrame({"id": ["a", "b", None]})

    plan = frame.cio.identify(user_id="id", checks=cio.Checks(thresholds=thresholds))

    assert ("plan.threshold" in set(plan.pipeline.full_check.findings["code"])) == refused
    assert bool(plan.refusals()) == refused


def test_sensitive_data_is_refused_and_masked_everywhere():
    """A card number is in no finding, report or JSON, also where other checks speak of its cell."""
    frame = pl.DataFrame({"id": ["u1"], "notes": [f" {CARD} "]})
    plan = frame.cio.identify(user_id="id")

    drawn = plan._repr_mimebundle_().values()

    assert plan.refusals()
    assert findings_of(plan, "sensitive.card")["value"].to_list() == ["4111••••1111"]
    assert findings_of(plan, "value.padded")["value"].to_list() == ["••••"]
    for text in (*drawn, plan.pipeline.full_check.findings.write_json()):
        assert CARD not in text
        assert CARD.replace(" ", "") not in text


def test_sensitive_data_can_be_allowed_with_a_reason():
    """What is allowed is sent, reported as information, and recorded with its reason."""
    frame = pl.DataFrame({"id": ["u1"], "ssn": ["078-05-1121"]})
    checks = cio.Checks(allow_sensitive={"ssn": "test data of the agency"})

    plan = frame.cio.identify(user_id="id", checks=checks)

    assert not plan.refusals()
    assert plan.counts["valid"] == 1
    assert plan.pipeline.decisions["allow_sensitive"] == {"ssn": "test data of the agency"}
    assert set(findings_of(plan, "sensitive.national-id")["severity"]) == {"info"}
    assert "test data of the agency" in findings_of(plan, "sensitive.national-id")["message"][0]
    assert "078-05-1121" not in repr(plan)


def test_sensitive_data_can_be_hashed():
    """A hashed column is sent as the SHA-256 of its text, an empty cell not at all."""
    frame = pl.DataFrame({"id": ["u1", "u2"], "ssn": ["078-05-1121", None]})

    plan = frame.cio.identify(user_id="id", hash=["ssn"])

    assert not plan.refusals()
    hashed = hashlib.sha256(b"078-05-1121").hexdigest()
    assert [message.get("traits") for message in plan.payloads()] == [{"ssn": hashed}, None]
    assert plan.pipeline.decisions["hashed"] == ["ssn"]


@pytest.mark.parametrize("kind", ["list", "series", "frame", "file"])
def test_a_reference_proves_what_was_lost(kind, tmp_path: Path):
    """Ids that a reference has with zeros in front refuse the plan, with the proof."""
    known = pl.Series("id", ["007", "012"])
    path = tmp_path / "known.csv"
    known.to_frame().write_csv(path)
    given = {"list": known.to_list(), "series": known, "frame": known.to_frame(), "file": path}[
        kind
    ]

    plan = pl.DataFrame({"id": [7, 12, 99]}).cio.identify(
        user_id="id", checks=cio.Checks(reference={"id": given})
    )

    assert findings_of(plan, "id.zeros-lost")["row"].to_list() == [0, 1]
    assert findings_of(plan, "id.unknown")["row"].to_list() == [0, 1, 2]
    assert "2 different values in 2 rows" in findings_of(plan, "id.zeros-lost")["message"][0]


def test_repairs_say_what_they_changed():
    """A repaired plan is a new one, and shows rows and values before and after."""
    frame = pl.DataFrame({"id": [1.0, 2.0, None], "city": ["ZÃ¼rich", "Bern", None]})
    plan = frame.cio.identify(user_id="id")

    fixed = plan.fix("id.float").fix("text.mojibake")

    assert not plan.changes.height
    assert fixed.changes.rows() == [
        ("id.float", "id", 2, ["1.0", "2.0"], ["1", "2"]),
        ("text.mojibake", "city", 1, ["ZÃ¼rich"], ["Zürich"]),
    ]
    assert "'1.0' became '1'" in repr(fixed)


def test_safe_repairs_leave_the_others_alone():
    """`fix("safe")` applies what makes no two values one and splits nobody, and nothing else."""
    frame = pl.DataFrame(
        {"id": [1.0, 2.0], "email": ["nan", "b@x.co"], "city": ["ZÃ¼rich", "Bern"]}
    )

    fixed = frame.cio.identify(user_id="id").fix("safe")

    assert fixed.pipeline.mapping.repairs == ("email.placeholder",)
    assert {"id.float", "text.mojibake"} <= fixed.pipeline.offered.keys()


def test_swapped_ids_and_addresses_change_places():
    """The repair swaps exactly the rows in which the two are swapped."""
    frame = pl.DataFrame({"id": ["a@b.co", "u2"], "email": ["u1", "c@d.co"]})

    fixed = frame.cio.identify(user_id="id").fix("id.swapped")

    assert [(m["userId"], m["traits"]["email"]) for m in fixed.payloads()] == [
        ("u1", "a@b.co"),
        ("u2", "c@d.co"),
    ]


@pytest.mark.parametrize(
    ("code", "value", "moment"),
    [
        ("time.excel-serial", "45292.25", "2024-01-01T06:00:00.000Z"),
        ("time.excel-serial", 45292.25, "2024-01-01T06:00:00.000Z"),
        ("time.compact", "20240102", "2024-01-02T00:00:00.000Z"),
        ("time.compact", 20_240_102, "2024-01-02T00:00:00.000Z"),
        ("time.epoch-text", "1700000000", "2023-11-14T22:13:20.000Z"),
        ("time.epoch-text", "1700000000123", "2023-11-14T22:13:20.123Z"),
        ("time.day-first", "31/01/2024 14:05", "2024-01-31T14:05:00.000Z"),
        ("time.month-first", "01/31/2024", "2024-01-31T00:00:00.000Z"),
    ],
    ids=repr,
)
def test_times_in_other_forms_are_read_as_their_repair_says(code, value, moment):
    """A repair turns the whole column into moments."""
    frame = pl.DataFrame({"id": ["u"], "at": [value]})
    plan = frame.cio.track(user_id="id", event=cio.lit("E"), timestamp="at")

    fixed = plan.fix(code)

    assert plan.counts["valid"] == 0
    assert [message["timestamp"] for message in fixed.payloads()] == [moment]


def test_a_vote_decides_for_the_whole_column():
    """One date that can only have the day first settles the ambiguous ones, and is the evidence."""
    frame = pl.DataFrame({"id": ["u", "v"], "at": ["13/02/2024", "01/02/2024"]})
    plan = frame.cio.track(user_id="id", event=cio.lit("E"), timestamp="at")

    assert (
        "1 of the dates can only be read day first"
        in findings_of(plan, "time.day-first")["message"][0]
    )
    assert [message["timestamp"][:10] for message in plan.fix("time.day-first").payloads()] == [
        "2024-02-13",
        "2024-02-01",
    ]


def test_a_finding_about_the_whole_table_can_reject():
    """A severity set for a table-wide check leaves its rows out, everywhere in the same way."""
    frame = pl.DataFrame({"id": ["u", "u", "v"], "x": [1, 1, 1]})
    checks = cio.Checks(severity={"message.duplicate": "reject"})

    plan = frame.cio.identify(user_id="id", checks=checks)

    assert plan.counts["rejected"] == 1
    assert [message["userId"] for message in plan.payloads()] == ["u", "v"]
    assert [
        row
        for worked in plan.pipeline.encode_chunks(chunk_rows=1)
        for row in worked.messages["row"]
    ] == [0, 2]


@pytest.mark.parametrize(
    "hostile", ["4", "41 ", "DE89 3704 ", "4111-", "eyJaaaaaaaa.", "DE89 3704 0044 0532 0130 01 "]
)
def test_no_text_keeps_the_detectors_busy(hostile):
    """A hostile megabyte takes no longer than the text of a message could: patterns are linear."""
    frame = pl.DataFrame({"id": ["u1"], "x": [hostile * (1_000_000 // len(hostile))]})

    start = time.process_time()
    plan = frame.cio.identify(user_id="id")

    assert plan.counts["rejected"] == 1
    assert time.process_time() - start < 5
