"""Phone numbers: read as the library phonenumbers reads them, and repaired where that is certain."""

import random
from itertools import product

import phonenumbers
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.checks import phones
from cio_frames.checks.phone_numbers import can_read_numbers, read_numbers
from cio_frames.errors import MappingError, MissingLibraryError

FORMS = (phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.NATIONAL)  # fmt: skip
KINDS = phonenumbers.PhoneNumberType
MOBILE = {KINDS.MOBILE, KINDS.FIXED_LINE_OR_MOBILE, KINDS.VOIP, KINDS.PERSONAL_NUMBER}
REGIONS = ("AR", "AU", "BR", "CA", "CH", "DE", "ES", "FR", "GB", "IM", "IT", "JP", "MX", "NL", "PL", "RU", "SM", "US", "VI", "ZA")  # fmt: skip


def examples(region: str) -> list[phonenumbers.PhoneNumber]:
    """Return one number of each kind that a region has."""
    kinds = (KINDS.FIXED_LINE, KINDS.MOBILE, KINDS.TOLL_FREE, KINDS.PREMIUM_RATE)
    examples = (phonenumbers.example_number_for_type(region, kind) for kind in kinds)
    return [number for number in examples if number]


@pytest.mark.parametrize("region", REGIONS)
def test_numbers_are_read_in_every_form(region):
    """International and national forms, with the prefixes of the region, give the same number."""
    pairs = [
        (phonenumbers.format_number(number, form), phonenumbers.format_number(number, FORMS[0]))
        for number, form in product(examples(region), FORMS)
    ]

    read = read_numbers(pl.Series([text for text, _ in pairs]), region=region)

    assert read["number"].to_list() == [number for _, number in pairs]


def test_numbers_are_judged_as_the_library_judges_them():
    """Of numbers with a few digits changed, the same ones exist, and the same ones are mobile."""
    dice = random.Random(16)
    texts = []
    for number in (number for region in REGIONS for number in examples(region)):
        written = phonenumbers.format_number(number, FORMS[0])
        texts += [f"{written[:place]}{dice.randrange(10)}{written[place + 1 :]}" for place in range(4, len(written))]  # fmt: skip
        texts += [written[:-1], f"{written}0", f"{written[:-4]}{dice.randrange(10**4):04}"]

    read = read_numbers(pl.Series(texts), region=None)

    for text, (number, is_mobile) in zip(texts, read.rows(), strict=True):
        parsed = phonenumbers.parse(text)
        is_valid = phonenumbers.is_valid_number(parsed)
        assert number == (phonenumbers.format_number(parsed, FORMS[0]) if is_valid else None), text
        assert is_mobile == ((phonenumbers.number_type(parsed) in MOBILE) if is_valid else None)


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+49 (0)151 2345-6789", None, "+4915123456789"),
        ("0049 151 23456789", None, "+4915123456789"),
        ("011 49 151 23456789", "US", "+4915123456789"),
        ("15123456789", "DE", "+4915123456789"),
        ("0151 23456789", None, None),
        ("0151 23456789", "US", None),
        ("4915112345678", "DE", None),
        ("+1 212 555 0142 x7", "US", None),
        ("1-800-FLOWERS", "US", None),
        ("110", "DE", None),
        ("2024-01-02", "DE", None),
        ("", "DE", None),
        ("+", "DE", None),
    ],
)
def test_only_what_is_certain_is_a_number(text, region, number):
    """A national number needs its region; extensions, words, and what can be read as two numbers are none."""
    assert read_numbers(pl.Series([text]), region=region)["number"].to_list() == [number]


TEXTS = ["+4915123456789", "0151 23456789", "+493090182012", "+15555550100", "+49151234567891234567", "hello", "'+4915123456789", "n/a", None]  # fmt: skip


def people(values: list[object], **settings: object) -> cio.Plan:
    """Return a plan of people with these phone numbers."""
    frame = pl.DataFrame({"id": [f"u{row}" for row in range(len(values))], "phone": values})
    return frame.cio.identify(user_id="id", checks=cio.Checks(select=["trait"], **settings))


def rows_by_code(plan: cio.Plan) -> dict[str, list[int]]:
    """Return the rows of each code."""
    rows = plan.findings.group_by("code").agg(pl.col("row").sort())
    return {code.removeprefix("trait.phone-"): rows for code, rows in rows.rows()}


def test_each_number_has_one_code():
    """A number that cannot be reached is reported once; guards and words for nothing have other codes."""
    assert rows_by_code(people(TEXTS)) == {"fixed": [2], "unknown": [3], "form": [1, 4, 5]}
    assert rows_by_code(people(TEXTS, phone_region="de")) == {"written": [1], "fixed": [2], "unknown": [3], "form": [4, 5]}  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [["0151 23456789", "hello", "+4915123456789", None], pl.Series(["0151 23456789", "hello", "+4915123456789", None], dtype=pl.Categorical)],
    ids=["text", "categories"],
)  # fmt: skip
def test_national_numbers_are_repaired(values):
    """The repair writes numbers with their country, leaves the rest, and shows what it changed."""
    plan = people(values, phone_region="DE").fix("trait.phone-written")

    sent = [message.get("traits", {}).get("phone") for message in plan.payloads(4)]

    assert sent == ["+4915123456789", "hello", "+4915123456789", None]
    assert plan.changes.select("rows", "after").rows() == [(1, ["+4915123456789"])]
    assert rows_by_code(plan) == {"form": [1]}
    assert plan.fix("safe").changes.height == 1


def test_numbers_that_lost_their_sign_are_repaired():
    """A column of integers becomes one of texts."""
    plan = people([15123456789, None], phone_region="DE").fix("trait.phone-written")

    assert plan.payloads(1)[0]["traits"] == {"phone": "+4915123456789"}


def test_events_and_other_traits_are_not_judged():
    """Customer.io sends to the attribute phone only."""
    frame = pl.DataFrame({"id": ["u"], "mobile": ["hello"], "phone": ["hello"]})
    plan = frame.cio.track(user_id="id", event=cio.lit("E"))

    assert rows_by_code(frame.drop("phone").cio.identify(user_id="id")) == {}
    assert not plan.findings["code"].str.contains("phone").any()


def test_without_the_library_the_form_is_judged(monkeypatch):
    """Where phonenumbers is not installed, only the form counts, and a region is refused."""
    monkeypatch.setattr("cio_frames.checks.phone_numbers.find_spec", lambda _: None)
    can_read_numbers.cache_clear()
    try:
        assert rows_by_code(people(TEXTS)) == {"form": [1, 4, 5]}
        with pytest.raises(MissingLibraryError, match=r"cio-frames\[phones\]"):
            people(TEXTS, phone_region="DE")
    finally:
        can_read_numbers.cache_clear()


@pytest.mark.parametrize("region", ["Germany", "", "XX", 49])
def test_a_region_that_there_is_not_is_refused(region):
    """The region is a country code of two letters."""
    with pytest.raises(MappingError, match="such as DE or US"):
        people(TEXTS, phone_region=region)


def test_the_pattern_of_the_form_is_the_one_of_the_api():
    """A plus sign and at most fifteen digits."""
    assert pl.Series(["+123456789012345", "+1234567890123456", "+0123456789"]).str.contains(phones.E164).to_list() == [True, False, False]  # fmt: skip
