"""Which columns are proposed, by their names and their content, and why."""

from datetime import UTC, datetime

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import MappingError, NoIdentifierError
from cio_frames.mapping import propose
from cio_frames.spec import CALLS

AT = datetime(2024, 1, 2, tzinfo=UTC)
MAIL = ["ada@example.com", "bo@example.com"]
EMPTY = [None, None]


def proposed(data: dict[str, list[object]], call: str) -> dict[str, str]:
    """Return argument and column of each proposal."""
    proposals = propose(pl.DataFrame(data, strict=False), call=CALLS[call])
    assert len({proposal.column for proposal in proposals}) == len(proposals)
    return {proposal.argument: proposal.column for proposal in proposals}


ONE = ["a", "b"]
PROPOSALS = {
    "camel-case": ("identify", {"userId": ONE}, {"user_id": "userId"}),
    "snake-case": ("identify", {"user_id": ONE}, {"user_id": "user_id"}),
    "plain-words": ("identify", {"User ID": ONE}, {"user_id": "User ID"}),
    "customer": ("identify", {"customer_id": ONE}, {"user_id": "customer_id"}),
    "id": ("identify", {"id": ONE, "name": ONE}, {"user_id": "id"}),
    "anonymous": ("identify", {"anonymousId": ONE}, {"anonymous_id": "anonymousId"}),
    "both": (
        "identify", {"user_id": ONE, "anonymous_id": ONE},
        {"user_id": "user_id", "anonymous_id": "anonymous_id"},
    ),
    "the-likelier-name": ("identify", {"id": ONE, "user_id": ONE}, {"user_id": "user_id"}),
    "the-first-of-equals": ("identify", {"User Id": ONE, "userid": ONE}, {"user_id": "User Id"}),
    "not-the-empty-column": ("identify", {"user_id": EMPTY, "id": ONE}, {"user_id": "id"}),
    "addresses-by-content": ("identify", {"contact": MAIL, "n": ONE}, {"user_id": "contact"}),
    "addresses-by-name": ("identify", {"email": MAIL}, {"user_id": "email"}),
    "no-addresses-beside-an-id": ("identify", {"email": MAIL, "id": ONE}, {"user_id": "id"}),
    "id-of-an-event": ("track", {"event": ONE, "id": ONE}, {"event": "event", "user_id": "id"}),
    "the-customer-before-an-id": (
        "track", {"id": ONE, "event": ONE, "Customer": ONE}, {"event": "event", "user_id": "Customer"},
    ),
    "addresses-before-an-id": (
        "track", {"event": ONE, "id": ONE, "contact": MAIL}, {"event": "event", "user_id": "contact"},
    ),
    "no-id-beside-a-person": ("page", {"id": ONE, "visitor_id": ONE}, {"anonymous_id": "visitor_id"}),
    "not-an-empty-id": ("track", {"event": ONE, "id": EMPTY}, {"event": "event"}),
    "nothing": ("identify", {"colour": ONE, "size": [1, 2]}, {}),
    "mostly-addresses": ("identify", {"x": ["a@b.co", "no"]}, {}),
    "track": (
        "track", {"event": ONE, "user_id": ONE, "timestamp": [AT, AT], "total": [1, 2]},
        {"event": "event", "user_id": "user_id", "timestamp": "timestamp"},
    ),
    "track-words": (
        "track", {"event_name": ONE, "uid": ONE, "occurred at": ["2024", "2025"]},
        {"event": "event_name", "user_id": "uid", "timestamp": "occurred at"},
    ),
    "times-by-content": (
        "track", {"user_id": ONE, "event": ONE, "InvoiceDate": ["12/1/2010 8:26", "12/31/2010 9:00"]},
        {"user_id": "user_id", "event": "event", "timestamp": "InvoiceDate"},
    ),
    "the-name-of-times-first": (
        "track", {"user_id": ONE, "event": ONE, "x": [AT, AT], "Paid at": [AT, AT]},
        {"user_id": "user_id", "event": "event", "timestamp": "Paid at"},
    ),
    "counts-by-name": (
        "track", {"user_id": ONE, "event": ONE, "order": [1_700_000_000] * 2, "dt": [1_700_000_000] * 2},
        {"user_id": "user_id", "event": "event", "timestamp": "dt"},
    ),
    "no-other-times": ("track", {"user_id": ONE, "event": ONE, "expires_at": [AT, AT]}, {"user_id": "user_id", "event": "event"}),
    "page": (
        "page", {"anonymous_id": ONE, "name": ONE, "url": ONE, "ts": [1, 2]},
        {"anonymous_id": "anonymous_id", "name": "name", "timestamp": "ts"},
    ),
    "screen": ("screen", {"user_id": ONE, "screen": ONE}, {"user_id": "user_id", "name": "screen"}),
    "group": (
        "group", {"company_id": ONE, "user_id": ONE, "object_type_id": ["1", "1"], "name": ONE},
        {"group_id": "company_id", "user_id": "user_id", "object_type_id": "object_type_id"},
    ),
    "group-alone": ("group", {"id": ONE, "name": ONE}, {"group_id": "id"}),
    "alias": (
        "alias", {"previous_id": ONE, "user_id": ONE, "merged_at": [AT, AT]},
        {"previous_id": "previous_id", "user_id": "user_id", "timestamp": "merged_at"},
    ),
    "alias-words": ("alias", {"old_id": ONE, "new_id": ONE}, {"previous_id": "old_id", "user_id": "new_id"}),
    "form": (
        "form", {"form_id": ONE, "email": MAIL, "topic": ONE}, {"form_id": "form_id", "email": "email"},
    ),
    "form-with-two-people": (
        "form", {"form_id": ONE, "email": MAIL, "id": ONE}, {"form_id": "form_id", "email": "email"},
    ),
    "form-by-id": ("form", {"form_id": ONE, "user_id": ONE}, {"form_id": "form_id", "id": "user_id"}),
    "form-addresses-by-content": (
        "form", {"form_id": ONE, "who": MAIL}, {"form_id": "form_id", "email": "who"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "data", "wanted"), PROPOSALS.values(), ids=PROPOSALS)
def test_columns_are_proposed_by_name_and_content(call, data, wanted):
    """Each table of names has its proposals, none of which takes a column twice."""
    assert proposed(data, call) == wanted


def test_every_call_has_a_table_of_names():
    """Every call of the Pipelines and the Forms API is tried above."""
    assert {call for call, _, _ in PROPOSALS.values()} == set(CALLS) - {"form_action"}


@pytest.mark.parametrize(("call", "key"), [("identify", "user_id"), ("group", "group_id")])
def test_a_time_for_a_call_that_sets_attributes_says_what_it_does(call, key):
    """It is never proposed as a matter of course: edits after that time would win."""
    proposals = propose(pl.DataFrame({key: ONE, "timestamp": [AT, AT]}), call=CALLS[call])

    proposal = next(item for item in proposals if item.argument == "timestamp")
    assert proposal.confidence == "medium"
    assert proposal.reason.endswith("attributes that were edited after that time keep their values")


REASONS = {
    "sure": ({"user_id": ONE}, "high", "its name looks like user_id; 100% of its first 2 values"),
    "repeats": ({"user_id": ["a", "a"]}, "high", "50% of its first 2 values are distinct"),
    "addresses": ({"user_id": MAIL}, "high", "its values are e-mail addresses"),
    "rivals": ({"user_id": ONE, "id": ONE}, "medium", "; it could also be id"),
    "by-content": ({"who": MAIL}, "medium", "no column is named like an identifier"),
}


@pytest.mark.parametrize(("data", "confidence", "words"), REASONS.values(), ids=REASONS)
def test_proposals_have_reasons(data, confidence, words):
    """A proposal says how sure it is and why; it names a rival, which makes it less sure."""
    proposal = propose(pl.DataFrame(data), call=CALLS["identify"])[0]

    assert proposal.confidence == confidence
    assert words in proposal.reason


@pytest.mark.parametrize(("values", "confidence"), [([AT], "high"), (["2024-01-01"], "medium")])
def test_times_are_surer_than_texts(values, confidence):
    """A column of times is a surer timestamp than a column of texts."""
    proposals = propose(pl.DataFrame({"user_id": ["u"], "ts": values}), call=CALLS["page"])

    assert [item.confidence for item in proposals if item.argument == "timestamp"] == [confidence]


def test_empty_texts_are_no_addresses():
    """A text column without values says nothing about who the rows are about."""
    empty = pl.DataFrame({"x": EMPTY}, schema={"x": pl.String})

    assert propose(empty, call=CALLS["identify"]) == []


def test_a_table_without_rows_is_read_by_its_names():
    """Without rows the names alone decide."""
    assert proposed({"user_id": []}, "identify") == {"user_id": "user_id"}


def test_suggestions_come_in_the_users_library(frame_of):
    """`cio.suggest` answers with a frame: pandas for pandas, else polars."""
    frame = frame_of({"userId": ["u1"], "plan": ["pro"]})

    proposals = cio.suggest(frame, "identify")

    assert type(proposals).__module__.split(".")[0] == type(frame).__module__.split(".")[0].replace(
        "pyarrow", "polars"
    )
    assert list(proposals.columns) == ["argument", "column", "confidence", "reason"]
    assert list(proposals["column"]) == ["userId"]


def test_suggestions_for_no_call_name_the_nearest():
    """A misspelt call is an error that names the one that was meant."""
    with pytest.raises(MappingError, match="Did you mean 'track'"):
        cio.suggest(pl.DataFrame({"id": ["u"]}), "trak")


def test_a_verb_without_identifiers_takes_the_proposals():
    """Without identifiers the proposals are taken, and the plan says so in its findings."""
    plan = pl.DataFrame({"userId": ["u1"], "plan": ["pro"]}).cio.identify()

    assert plan.payloads()[0]["userId"] == "u1"
    assert plan.findings.filter(pl.col("code") == "mapping.proposed")["column"].to_list() == [
        "userId"
    ]


def test_a_verb_with_an_identifier_takes_nothing_unasked():
    """Once an identifier is named, no other column is taken for one."""
    plan = pl.DataFrame({"id": ["u"], "anonymous_id": ["a"]}).cio.identify(user_id="id")

    assert plan.payloads()[0]["traits"] == {"anonymous_id": "a"}
    assert "anonymousId" not in plan.payloads()[0]


def test_named_columns_are_not_proposed_again():
    """A column that the verb was given is not taken for a second field."""
    frame = pl.DataFrame({"id": ["contact"], "mail": ["ada@example.com"]})

    plan = frame.cio.form(form_id="id")

    assert plan.pipeline.mapping.find("id") is None
    assert plan.payloads() == [{"data": {"email": "ada@example.com"}}]


def test_named_arguments_win_over_proposals():
    """What the verb was given stands, though another column looks likelier."""
    frame = pl.DataFrame({"user_id": ["u"], "event": ["A"], "kind": ["B"]})

    assert frame.cio.track(event="kind").payloads()[0]["event"] == "B"


def test_a_table_without_likely_columns_is_refused():
    """Where nothing looks like an identifier the verb says which arguments would do."""
    with pytest.raises(NoIdentifierError, match="no column looks like one"):
        pl.DataFrame({"colour": ["red"]}).cio.identify()


def test_an_id_that_may_be_the_rows_own_is_proposed_with_a_warning():
    """Where only a column `id` is left for the person, the report says what to make sure of."""
    plan = pl.DataFrame({"event": ["A"], "id": ["u1"]}).cio.track()

    reason = next(row for row in plan.pipeline.mapping.fields if row.label == "id").reason
    assert reason.startswith("no column is named like an identifier of people")
    assert "the id of the person, not of the row" in reason


def test_a_proposal_with_a_rival_is_a_warning():
    """Where two columns could be meant, the plan warns and names both; otherwise it only informs."""
    people = pl.DataFrame({"user_id": ["u1"], "customer_id": ["c1"]})
    findings = people.cio.identify().findings

    rivals = findings.filter(pl.col("code") == "mapping.rivals").to_dicts()
    assert [(row["severity"], row["column"]) for row in rivals] == [("warn", "user_id")]
    assert "customer_id" in rivals[0]["value"] + rivals[0]["message"]
    assert "mapping.proposed" not in findings["code"].to_list()


def test_traits_that_customer_io_acts_on_are_proposed_and_one_word_accepts_them():
    """Columns named nearly like such a trait are sent under its name after one repair."""
    people = pl.DataFrame(
        {"id": ["u1"], "E-Mail": ["ada@example.com"], "Created": ["2024-01-02"], "Phone": ["+491"]}
    )
    suggested = cio.suggest(people, "identify")
    plan = people.cio.identify(user_id="id")
    fixed = plan.fix("name.nearly")

    traits = suggested.filter(pl.col("argument").str.starts_with("traits."))
    assert dict(traits.select("argument", "column").iter_rows()) == {
        "traits.email": "E-Mail", "traits.created_at": "Created", "traits.phone": "Phone",
    }  # fmt: skip
    assert {"email", "created_at", "phone"} == fixed.payloads()[0]["traits"].keys()
    assert {"E-Mail", "Created", "Phone"} == plan.payloads()[0]["traits"].keys()
    assert (
        "name.nearly",
        "E-Mail",
        None,
        ["traits.E-Mail"],
        ["traits.email"],
    ) in fixed.changes.rows()
    assert "'traits.E-Mail' became 'traits.email'" in repr(fixed)
    assert "name.nearly" not in fixed.findings["code"].to_list()
    assert "name.nearly" not in plan.fix("safe").pipeline.mapping.repairs


def test_of_two_columns_that_mean_one_trait_the_first_is_taken():
    """A repair never fills one place twice."""
    people = pl.DataFrame({"id": ["u1"], "Mail": ["a@b.co"], "Email address": ["c@d.co"]})

    fixed = people.cio.identify(user_id="id").fix("name.nearly")

    assert fixed.payloads()[0]["traits"] == {"email": "a@b.co", "Email address": "c@d.co"}


ROWS_OWN = {
    "repeating addresses": ("identify", {"id": [1, 2, 3], "email": [*MAIL, MAIL[0]]}, "email"),
    "a response": ("identify", {"Response ID": ONE, "Email": MAIL}, "Email"),
    "an agent": ("track", {"event": ONE, "Agent ID": ONE, "Customer": ["c1", "c2"]}, "Customer"),
    "two bad addresses": ("identify", {"E-Mail": ["n/a", *MAIL, "c@d.co"]}, "E-Mail"),
}


@pytest.mark.parametrize(("call", "data", "person"), ROWS_OWN.values(), ids=ROWS_OWN)
def test_the_person_is_neither_the_row_nor_the_users_own_staff(call, data, person):
    """An id of the row, or one of staff, does not name the person; addresses may have bad values."""
    assert proposed(data, call)["user_id"] == person


@pytest.mark.parametrize("call", ["identify", "track"])
def test_no_person_is_proposed_if_only_staff_is_named(call):
    """Addresses of our own side alone are no people of the rows."""
    assert "user_id" not in proposed({"Owner Email": MAIL, "sender": MAIL, "n": [1, 2]}, call)
