"""Ordinary values of real exports are not reported, and wrong ones still are."""

import polars as pl
import pytest

import cio_frames as cio


def codes_of(values: list[object], *, name: str = "x", verb: str = "identify") -> set[str]:
    """Return the codes of the findings about one column of data."""
    frame = pl.DataFrame({"id": [f"u{place}" for place in range(len(values))], name: values})
    asked = {"event": cio.lit("E")} if verb == "track" else {}
    findings = getattr(frame.cio, verb)(user_id="id", **asked).findings
    return set(findings.filter(pl.col("column") == name)["code"])


PHONES = ["+1 555 833 4621", "(555) 123-4567", "5551234567", "555-123-4567", "+14155552671"] * 4
CODES = ["84029", "22086", "85123", "22752", "21730", "84029g", "15056l", "84997", "22633", "84879"]


@pytest.mark.parametrize(
    ("code", "values", "name"),
    [
        ("column.truth-as-text", ["ON"] * 9 + ["QC"], "Province"),
        ("column.truth-as-text", ["NO"] * 9 + ["SE"], "Country"),
        ("column.truth-as-text", ["T"] * 9 + ["S"], "size"),
        ("column.numbers-as-text", PHONES, "x"),
        ("column.numbers-as-text", ["+14155552671", "+442071838750"] * 5, "x"),
        ("column.numbers-as-text", ["555 833 462", "555 833 463"] * 5, "x"),
        ("column.numbers-as-text", CODES, "x"),
        ("column.numbers-as-text", ["5-60", "10 200", "90 210"] * 4, "Zip Code"),
        ("column.mixed-kinds", PHONES, "x"),
        ("column.mixed-kinds", ["90210", "H3B 1A1"] * 6, "postal_code"),
        ("text.formula", ["+55 (12) 3456-7890", "+1 (555) 833-4621 ext. 12", "-10 cm", "+5 %"], "x"),
        ("value.placeholder", ["Nat", "Nan", "Na", "Ann"], "first_name"),
        ("column.placeholders", ["Nat", "Nan", "Na"], "first_name"),
        ("trait.date-written", ["31/01/2024", "01/02/2024"], "created_at"),
        ("column.mixed-kinds", ["536365", "C536379"] * 6, "InvoiceNo"),
        ("column.mixed-kinds", ["3.10", "3.9.2"] * 6, "app_version"),
        ("column.mixed-kinds", ["7 1/2", "9"] * 6, "shoe"),
        ("text.formula", ["+1 for gift wrap", "-- other", "@ann.1", '="00123"'], "x"),
        ("value.placeholder", ["Null", "Ann"], "Last Name"),
        ("column.placeholders", ["Null", "Null"], "surname"),
        ("value.zeros-mixed", ["0085123", "22086", "71053"], "Lineitem sku"),
        ("value.guarded", ["'90s music", "'tis", '"123"'], "x"),
        ("trait.phone-form", ["+12125550142", None, ""], "phone"),
        ("trait.phone-form", ["(212) 555-0142"], "Telephone"),
        ("column.stray-text", [*map(str, range(30)), "12a"], "order no"),
        ("column.stray-text", [*map(str, range(30)), "N/A"], "x"),
    ],
)  # fmt: skip
def test_ordinary_values_raise_no_alarm(code, values, name):
    """Provinces, countries, telephone numbers, stock codes and first names are what they are."""
    assert code not in codes_of(values, name=name)


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("column.truth-as-text", ["ON", "OFF"] * 3),
        ("column.truth-as-text", ["no", "YES", "No"]),
        ("column.truth-as-text", ["True"] * 4),
        ("column.truth-as-text", ["Y", "N", "1"]),
        ("column.numbers-as-text", ["$1,234.50", "€ 5", "USD 649.23"]),
        ("column.numbers-as-text", ["12.345", "1.234.567"]),
        ("column.numbers-as-text", ["5 kg", "10kg"]),
        ("column.numbers-as-text", ["1 234,50", "12 345 678"]),
        ("column.mixed-kinds", ["1"] * 5 + ["unknown to us"] * 5),
        ("column.mixed-kinds", ["2024-01-02"] * 5 + ["20240102"] * 5),
        ("text.formula", ["=1+1", "ok"]),
        ("text.formula", ["+SUM(A1:A9)", "ok"]),
        ("text.formula", ["-2+3+cmd|' /C calc'!A0", "ok"]),
        ("text.formula", ["@SUM(1)", "+1A1*2B", "ok"]),
        ("value.placeholder", ["NaT", "nan", "NA", "null"]),
        ("trait.date-written", ["31/01/2024", "01/02/2024"]),
        ("value.placeholder", ["Null", "Ann"]),
        ("value.zeros-mixed", ["00501", "02139", "90210", "501"]),
        ("value.guarded", ["'6123450000001", "'+1 (212) 555-0142", '="00123"']),
        ("column.stray-text", [*map(str, range(30)), "twelve"]),
    ],
)  # fmt: skip
def test_wrong_values_are_still_reported(code, values):
    """The checks still report what they are made for."""
    assert code in codes_of(values)


def test_the_repair_of_placeholders_keeps_first_names():
    """Emptying words for nothing leaves people called Nat and Nan their names."""
    frame = pl.DataFrame({"id": ["a", "b", "c"], "first_name": ["Nat", "Nan", "NaN"]})

    plan = frame.cio.identify(user_id="id").fix("value.placeholder")

    assert [message.get("traits") for message in plan.payloads()] == [
        {"first_name": "Nat"}, {"first_name": "Nan"}, None,
    ]  # fmt: skip


def text_of(frame: pl.DataFrame, verb: str = "identify", **asked: object) -> str:
    """Return a plan's printed report on one line."""
    return " ".join(repr(getattr(frame.cio, verb)(user_id="id", **asked)).split())


def test_a_report_on_events_has_no_words_about_attributes():
    """A report on events speaks of events and properties, one on people of attributes."""
    frame = pl.DataFrame(
        {"id": ["a", "b"], "same": ["x", "x"], "none": [None, None], "Unnamed: 0": [0, 1], "S": [1, 2], "s": [1, 2]}
    )  # fmt: skip
    people = text_of(frame)
    events = text_of(frame, "track", event=cio.lit("E"))

    assert "attribute" in people
    assert "Everyone" in people
    assert "Every event gets the same value" in events
    assert "attribute" not in events
    assert "Everyone" not in events


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Phone", "phone numbers (E.164)"),
        ("Created", "signed up"),
        ("E-Mail", "uses e-mail addresses"),
    ],
)
def test_a_name_like_a_reserved_one_gets_the_sentence_of_that_one(name, expected):
    """The sentence is about the reserved attribute that the name resembles, not about another."""
    report = text_of(pl.DataFrame({"id": ["a"], name: ["x"]}))

    texts = ("phone numbers (E.164)", "signed up", "uses e-mail addresses")
    assert [text for text in texts if text in report] == [expected]


def messages(frame: pl.DataFrame, code: str) -> pl.DataFrame:
    """Return the findings of one code about people."""
    return frame.cio.identify(user_id="id").findings.filter(pl.col("code") == code)


@pytest.mark.parametrize(("ids", "expected"), [(["-"] * 35, '35 rows would be merged into 1 profile ("-").'), (["-", "nan"], '2 rows would create 2 profiles ("-", "nan").')])  # fmt: skip
def test_placeholders_are_counted_as_profiles(ids, expected):
    """Rows with the same placeholder would be merged into one profile, and the message counts profiles."""
    (message,) = set(messages(pl.DataFrame({"id": ids}), "id.placeholder")["message"])

    assert expected in message


def test_excluded_rows_repeat_no_person():
    """A row that is not sent anyway is no repeated person, and the first of them is one that is sent."""
    frame = pl.DataFrame(
        {"id": ["-", "-", "u", "u", "v", "v", "v"], "unsubscribed": [None, None, None, None, "maybe", None, None]},
        schema_overrides={"unsubscribed": pl.String},
    )  # fmt: skip

    repeats = messages(frame, "id.duplicate").select("row", "value").rows()

    assert repeats == [(3, "same as row 2"), (6, "same as row 5")]


@pytest.mark.parametrize(
    ("latest", "expected"),
    [
        (0, [(1, "same as row 0, row 0 wins"), (2, "same as row 0, row 0 wins")]),
        (
            3,
            [(1, "same as row 0"), (2, "same as row 0")],
        ),  # that row is not sent, so it wins nothing
    ],
)
def test_repeats_have_their_winner_although_other_rows_are_excluded(latest, expected):
    """Findings about repeated people name the row that wins, also if other rows are not sent."""
    days = [f"2026-01-{3 - row + 9 * (row == latest):02d}T00:00:00Z" for row in range(3)]
    frame = pl.DataFrame(
        {
            "id": ["u", "u", "u", "u", "-"],
            "unsubscribed": [None, None, None, "maybe", None],
            "at": [
                *days,
                f"2026-01-{20 if latest == 3 else 1:02d}T00:00:00Z",
                "2026-01-01T00:00:00Z",
            ],
        }
    )

    plan = frame.cio.identify(user_id="id", timestamp="at")
    repeats = plan.findings.filter(pl.col("code") == "id.duplicate")

    assert plan.counts["rejected"] == 2
    assert repeats.select("row", "value").rows() == expected


def test_one_code_over_many_columns_is_one_line():
    """320 empty columns are one finding of the report, with the columns in it."""
    empty = {f"c{place}": [None, None] for place in range(320)}
    report = text_of(pl.DataFrame({"id": ["a", "b"], **empty}))

    assert report.count("column.empty") == 1
    assert "Each of 320 columns (c0, c1, c2," in report
    assert "and 300 more" in report


def test_columns_that_refuse_a_plan_are_reported_one_by_one():
    """Each column of passwords needs an answer of its own."""
    named = {name: ["x"] for name in ("password", "secret", "api_key", "pwd", "private_key")}
    report = text_of(pl.DataFrame({"id": ["a"], **named}))

    assert report.count("sensitive.secret-column") == len(named)


def test_the_repair_of_guarded_digits_takes_off_the_signs_alone():
    """What a spreadsheet put around digits goes, and texts that begin with an apostrophe stay."""
    frame = pl.DataFrame({"id": ["a", "b", "c"], "zip": ["'02139", '="00501"', "'tis"]})

    plan = frame.cio.identify(user_id="id").fix("value.guarded")

    assert [message["traits"]["zip"] for message in plan.payloads()] == ["02139", "00501", "'tis"]


@pytest.mark.parametrize(
    ("words", "is_consent"),
    [
        (["SUBSCRIBED", "UNSUBSCRIBED", "NEVER_SUBSCRIBED"], True),
        (["subscribed", "opted out"], True),
        (["weekly", "monthly"], False),
    ],
)
def test_consents_in_the_words_of_mail_programs_are_reported(words, is_consent):
    """A consent is recognised by its name and its words, whatever program wrote them."""
    assert ("trait.consent" in codes_of(words, name="Email Marketing Consent")) == is_consent


def test_a_time_of_events_that_is_not_named_is_reported_once():
    """Without timestamp= the column of times is reported as unmapped, and not as a date as well."""
    days = ["31.01.2024 10:00", "01.02.2024 11:00"] * 10

    assert codes_of(days, name="when", verb="track") == {"time.unmapped"}


def test_a_row_that_is_left_out_is_no_message_twice():
    """Rows that are not sent anyway are not reported as duplicates."""
    frame = pl.DataFrame({"id": ["nan", "nan", "u", "u"]})

    duplicates = frame.cio.identify(user_id="id").findings.filter(
        pl.col("code") == "message.duplicate"
    )

    assert duplicates["row"].to_list() == [3]


def codes_and_columns(frame: pl.DataFrame, **asked: object) -> set[tuple[str, str | None]]:
    """Return the codes and columns of the findings about people."""
    findings = frame.cio.identify(**asked).findings
    return set(findings.select("code", "column").rows())


@pytest.mark.parametrize(
    ("column", "values", "code"),
    [
        ("email", ["Ann <ann@x.example>", "bob@x.example", "cy@x.example"], "email.invalid"),
        ("email", ["mailto:ann@x.example", "bob@x.example", "cy@x.example"], "email.wrapped"),
    ],
)
def test_an_address_that_is_also_the_id_is_reported_once(column, values, code):
    """A wrong address that is also the id is reported once, for the address."""
    assert codes_and_columns(pl.DataFrame({column: values}), user_id=column) == {(code, column)}


def test_the_repair_of_an_address_repairs_the_id_that_it_is():
    """Person and address stay one when something around the address is taken off."""
    frame = pl.DataFrame({"email": ["mailto:ann@x.example", "bob@x.example"]})

    sent = frame.cio.identify(user_id="email").fix("email.wrapped").payloads()

    assert [(m["userId"], m["traits"]["email"]) for m in sent] == [
        ("ann@x.example", "ann@x.example"), ("bob@x.example", "bob@x.example"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("created_at", ["0000-00-00", "2024-01-02T10:00:00Z"], "trait.created-unread"),
        ("cio_subscription_preferences.topics.topic_1", ["yes", "no"], "trait.unsubscribed-word"),
        ("debit", ["(123.45)", "(20.00)", "(1,234.00)"], "column.numbers-as-text"),
    ],
)
def test_one_cause_is_reported_by_one_code(name, values, code):
    """The check that knows the column best speaks, and it alone."""
    findings = codes_and_columns(
        pl.DataFrame({"id": [f"u{n}" for n in range(len(values))], name: values}), user_id="id"
    )

    assert {each for each, column in findings if column == name} == {code}


def test_placeholders_are_not_addresses():
    """A person with an address and placeholders has one address, and people may share a placeholder."""
    placeholders = ["-", "noemail", "none@none.com", " No@Email.com "]
    frame = pl.DataFrame(
        {"id": ["a", *"aaaa", *"bbbb"], "email": ["a@x.example", *placeholders, *placeholders]}
    )

    codes = frame.cio.identify(user_id="id").findings["code"].to_list()

    assert "email.placeholder" in codes
    assert not {"person.many-emails", "person.shared-email"} & set(codes)


@pytest.mark.parametrize(
    ("rare", "is_similar"), [("Measured m³", False), ("Measured m፪", False), ("Measurad m²", True)]
)
def test_names_that_differ_in_digits_are_different_names(rare, is_similar):
    """A rare name is similar to a frequent one unless they differ only in digits, of any script."""
    frame = pl.DataFrame(
        {"id": [f"u{n}" for n in range(41)], "event": ["Measured m²"] * 40 + [rare]}
    )

    findings = frame.cio.track(user_id="id", event="event").findings

    assert ("event.variants" in findings["code"]) == is_similar


@pytest.mark.parametrize("dtype", [pl.Datetime("us"), pl.String])
@pytest.mark.parametrize("local", ["2024-03-31 02:30:00", "2024-10-27 02:30:00.250"])
def test_a_local_time_that_a_clock_change_skips_or_repeats_is_shown(dtype, local):
    """The finding has the time as it stands in the table."""
    times = pl.Series("at", [local]) if dtype == pl.String else pl.Series([local]).str.to_datetime()
    frame = pl.DataFrame({"id": ["u"], "at": times})

    findings = frame.cio.track(
        user_id="id", event=cio.lit("E"), timestamp="at", timezone="Europe/Berlin"
    ).findings

    assert findings.select("code", "value").row(0) == ("time.clock-change", local)
