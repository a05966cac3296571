"""What exports and spreadsheets leave in tables, and how it is repaired."""

import polars as pl
import pytest

import cio_frames as cio

WORDS = ("#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "Loading...", "(blank)", "(not set)", r"\N", "{{customer.id}}", "${user_id}")  # fmt: skip
RELATIVES = ("#SPILL!", "#WERT!", "#¡REF!", "#¿NOMBRE?", "#ИМЯ?", "#N/A N/A", "(null)", "<empty>", "[none]", "(not provided)", "--", "n.a.", "*|EMAIL|*", "%%id%%", "%user_id%", "<%= id %>", "[[id]]", "{{ x.y | default: '' }}")  # fmt: skip


def people(**columns: list[object]) -> cio.Plan:
    """Return a plan that identifies people by the column `id`."""
    return pl.DataFrame(columns).cio.identify(user_id="id")


def failing_rows(plan: cio.Plan, code: str) -> list[int | None]:
    """Return the rows of the findings of one code."""
    return plan.findings.filter(pl.col("code") == code)["row"].to_list()


@pytest.mark.parametrize("word", [*WORDS, *RELATIVES])
def test_words_for_nothing_are_known_in_ids_and_values(word):
    """What spreadsheets, databases and templates write for nothing is no id and no value."""
    plan = people(id=[word, "u"], plan=["pro", word])

    assert failing_rows(plan, "id.placeholder") == [0]
    assert failing_rows(plan, "value.placeholder") == [1]
    assert failing_rows(plan, "text.markup") == failing_rows(plan, "text.json") == []
    assert plan.fix("value.placeholder").payloads()[0].get("traits") is None


def test_values_like_those_words_stay():
    """A text that only begins like a word for nothing is none."""
    words = ["#REFUND", "Loading dock", "${x} and more", "#yes!", "#GO team!", "100%", "50% to 60%", "(none left)", "[1]", "5%-10%", "-->", "<b>"]  # fmt: skip
    plan = people(id=words, plan=words)

    assert failing_rows(plan, "id.placeholder") == failing_rows(plan, "value.placeholder") == []


@pytest.mark.parametrize(
    ("guarded", "bare"),
    [
        ("'6123450000001", "6123450000001"),
        ('="00123"', "00123"),
        ('"123"', "123"),
        ("'u7'", "u7"),
        ('""x""', "x"),
        ("\u20196123", "6123"),
        ("`6123", "6123"),
        ("\u201c00123\u201d", "00123"),
        ("\u201800123\u2019", "00123"),
        ('=T("00123")', "00123"),
        ('=("00123")', "00123"),
    ],
)
def test_guards_around_identifiers_are_taken_off(guarded, bare):
    """Signs with which spreadsheets keep digits as text are reported and repaired."""
    plan = people(id=[guarded, "o'hara", "'tis", "\u2019n Roll", "f(x)", "(7)"])

    assert failing_rows(plan, "id.guarded") == [0]
    assert plan.fix("id.guarded").payloads()[0]["userId"] == bare


@pytest.mark.parametrize("guarded", ['="00123"', "'00123", "\u201900123", '=T("00123")'])  # fmt: skip
def test_guards_around_values_are_taken_off(guarded):
    """The same signs around digits among the attributes, and not around words."""
    plan = people(id=["u", "v", "w"], zip=[guarded, "'tis", '"quoted"'])

    assert failing_rows(plan, "value.guarded") == [0]
    assert plan.fix("value.guarded").payloads()[0]["traits"] == {"zip": "00123"}


def test_the_columns_own_name_is_no_identifier():
    """A header repeated in the middle of a table is reported and left out."""
    frame = pl.DataFrame({"Customer No": ["u1", "customer no", "u2"]})

    plan = frame.cio.identify(user_id="Customer No")

    assert failing_rows(plan, "id.column-name") == [1]
    assert plan.counts["valid"] == 2


NUMBERS = [str(place) for place in range(70_000, 70_500)]


@pytest.mark.parametrize(
    ("others", "unlike"),
    [
        (["TOTAL", "see notes"], [500, 501]),
        (["7", "123456789"], []),
        (["nan", "12.0", "-5", "guest", " 7", "true", "a@b.example", '="7"'], []),
        ([f"u{place}" for place in range(50)], []),
    ],
)
def test_a_few_ids_unlike_all_the_others_are_reported(others, unlike):
    """One or two ids of another form are reported, but not other lengths, other codes' findings, or many ids."""
    assert failing_rows(people(id=[*NUMBERS, *others]), "id.unlike") == unlike


def test_ids_without_one_form_have_no_exceptions():
    """Where ids have many forms, none is unlike the others."""
    assert failing_rows(people(id=[f"{'ab-_'[n % 4]}{n}{'x' * (n % 3)}-{n % 7}" for n in range(500)]), "id.unlike") == []  # fmt: skip


def test_details_of_salesforce_records_are_reported():
    """The attributes that simple-salesforce puts into every record are no data, whole or in parts."""
    details = {"type": "Lead", "url": "/services/data/v59.0/sobjects/Lead/1"}
    plan = people(**{"id": ["a"], "attributes": [details], "Owner.attributes.type": ["User"], "kind": ["x"]})  # fmt: skip

    columns = plan.findings.filter(pl.col("code") == "column.record-details")["column"]

    assert set(columns) == {"attributes", "Owner.attributes.type"}


def test_details_inside_records_are_reported():
    """Records inside records have details too, in lists and in flattened columns; other attributes do not."""
    details = {"type": "Lead", "url": "/services/data/v59.0/sobjects/Lead/1"}
    plan = people(
        id=["a"], Account=[{"attributes": details, "Name": "x"}], Tasks=[{"records": [{"attributes": details}]}],
        Owner_attributes_type=["User"], Owner_attributes_url=["/x"], attributes_type=["blue"], attributes=[{"type": "x"}],
    )  # fmt: skip

    columns = plan.findings.filter(pl.col("code") == "column.record-details")["column"]

    assert set(columns) == {"Account", "Tasks", "Owner_attributes_type", "Owner_attributes_url"}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("01/13/2024 10:11:12 AM", "2024-01-13T10:11:12.000Z"),
        ("01/13/2024 12:11 am", "2024-01-13T00:11:00.000Z"),
        ("1/13/2024 12:11:12 PM", "2024-01-13T12:11:12.000Z"),
        ("01/13/2024 1:11:12 p.m.", "2024-01-13T13:11:12.000Z"),
        ("01/13/2024 13:11:12", "2024-01-13T13:11:12.000Z"),
        ("1/13/2024, 10:11:12\u202fPM", "2024-01-13T22:11:12.000Z"),
        ("01/13/2024\u00a010:11:12.5", "2024-01-13T10:11:12.500Z"),
        ("01/13/2024 10:11:12.123456 AM", "2024-01-13T10:11:12.123Z"),
        ("01/13/2024, 10:11 Uhr", "2024-01-13T10:11:00.000Z"),
    ],
)
def test_times_before_and_after_noon_are_repaired(text, moment):
    """Dates with AM or PM are reported by the order of their parts, and the repair reads the hour."""
    frame = pl.DataFrame({"id": ["u"], "at": [text]})
    plan = frame.cio.track(user_id="id", event=cio.lit("E"), timestamp="at")

    assert failing_rows(plan, "time.month-first") == [0]
    assert plan.fix("time.month-first").payloads()[0]["timestamp"] == moment


@pytest.mark.parametrize("text", ["01/13/2024 13:11 PM", "01/13/2024 0:11 AM"])
def test_an_hour_that_no_half_of_the_day_has_is_not_read(text):
    """Thirteen o'clock in the afternoon is no time."""
    plan = pl.DataFrame({"id": ["u"], "at": [text]}).cio.track(
        user_id="id", event=cio.lit("E"), timestamp="at"
    )

    assert failing_rows(plan, "time.month-first") == []
    assert plan.counts["valid"] == 0
