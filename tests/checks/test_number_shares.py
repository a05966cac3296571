"""Numbers of cards, banks and people: found where they are planted, and not among identifiers."""

import random
import uuid
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stdnum import iban, luhn
from stdnum.fr import nir

from cio_frames.checks import masked
from cio_frames.checks.detectors import CARDS, IBANS, NATIONAL, Number
from cio_frames.checks.number_shares import chance_of

SEED = 20_260_129
ROWS = 300
NUMBERS = (*CARDS, *IBANS, *NATIONAL)
PIECES = {
    number.name: st.from_regex(number.pattern, fullmatch=True) | st.text(max_size=30)
    for number in NUMBERS
}


def digits(rng: random.Random, count: int) -> str:
    """Return a number of so many digits that does not begin with 0."""
    return str(rng.randrange(10 ** (count - 1), 10**count))


def with_check_digit(bare: str) -> str:
    """Return digits with the check digit of Luhn behind them."""
    return f"{bare}{luhn.calc_check_digit(bare)}"


def a_card(rng: random.Random) -> str:
    """Return a number of Visa's form."""
    return with_check_digit(f"4{digits(rng, 14)}")


def a_spaced_card(rng: random.Random) -> str:
    """Return a card number as it is printed on a card."""
    card = a_card(rng)
    return " ".join(card[place : place + 4] for place in range(0, 16, 4))


def a_nir(rng: random.Random) -> str:
    """Return a French number of a person."""
    bare = f"{rng.choice('12')}{rng.randrange(100):02}{rng.randrange(1, 13):02}{rng.randrange(1, 96):02}{rng.randrange(1, 990):03}{rng.randrange(1, 999):03}"
    return f"{bare}{nir.calc_check_digits(bare)}"


def an_ssn(rng: random.Random) -> str:
    """Return an American number of a person."""
    return f"{rng.randrange(1, 666):03}-{rng.randrange(1, 100):02}-{rng.randrange(1, 10_000):04}"


def an_iban(rng: random.Random) -> str:
    """Return a German bank account."""
    bare = f"DE00{rng.randrange(10**8):08}{rng.randrange(10**10):010}"
    return f"DE{iban.calc_check_digits(bare)}{bare[4:]}"


def a_uuid(rng: random.Random) -> str:
    """Return a random UUID."""
    return str(uuid.UUID(int=rng.getrandbits(128)))


def a_uuid_of_digits(rng: random.Random) -> str:
    """Return a UUID in which all signs are digits."""
    return "-".join(digits(rng, count) for count in (8, 4, 4, 4, 12))


def a_snowflake(rng: random.Random) -> str:
    """Return an id made of a time and a counter, as Discord and Twitter make them."""
    return str((rng.randrange(140, 160) * 10**9 << 22) + rng.randrange(4096))


IDS: dict[str, Callable[[random.Random], str]] = {
    **{f"digits{count}": lambda rng, count=count: digits(rng, count) for count in range(13, 20)},
    "device": lambda rng: with_check_digit(f"35{digits(rng, 12)}"),
    "sim": lambda rng: with_check_digit(f"8949{digits(rng, 14)}"),
    "rowguid": a_uuid,
    "ref": a_uuid_of_digits,
    "snowflake": a_snowflake,
    "order": lambda rng: f"4{digits(rng, 15)}",
    "voucher": lambda rng: "-".join(digits(rng, 4) for _ in range(4)),
    "sku": lambda rng: f"{digits(rng, 8)}{rng.choice('ABCDEFGHJKLMNPQRSTVWXYZ')}",
}
PLANTED = {
    "card": (a_card, "sensitive.card"),
    "spaced card": (a_spaced_card, "sensitive.card"),
    "nir": (a_nir, "sensitive.national-id"),
    "ssn": (an_ssn, "sensitive.national-id"),
    "iban": (an_iban, "sensitive.iban"),
}


def refused(frame: pl.DataFrame, *, user_id: str = "id") -> dict[str, set[str]]:
    """Return the codes that refuse a table of people, with their columns."""
    plan = frame.lazy().cio.identify(user_id=user_id)
    findings = plan.findings.filter(pl.col("severity") == "refuse")
    return {
        code: set(rows["column"])
        for (code,), rows in findings.partition_by("code", as_dict=True).items()
    }


def people(rows: int, **columns: Any) -> pl.DataFrame:
    """Return a table with ids of its own and these columns."""
    return pl.DataFrame({"id": [f"u{place}" for place in range(rows)], **columns})


@pytest.mark.parametrize("rows", [1, 3, 30, ROWS])
@pytest.mark.parametrize("seed", range(3))
def test_identifiers_are_not_taken_for_cards_or_people(rows, seed):
    """Long numbers, serial numbers of devices, UUIDs and snowflakes refuse nothing, also few of them."""
    print("seed", SEED + seed)
    rng = random.Random(SEED + seed)
    frame = people(rows, **{name: [make(rng) for _ in range(rows)] for name, make in IDS.items()})
    numbers = frame.with_columns(
        pl.col("snowflake", "order", "digits16").cast(pl.Int64).name.suffix("_number")
    )

    assert refused(numbers) == {}


def test_a_million_snowflakes_refuse_nothing():
    """A tenth of a million consecutive ids have the right check digit, as text, as numbers and as the id."""
    ids = pl.DataFrame({"place": pl.int_range(0, 1_000_000, eager=True)}).select(
        number=620_000_000_000_000_000 + pl.col("place") * 4_194_304 * 7 + pl.col("place") % 4096
    )
    frame = ids.with_columns(
        id=pl.col("number").cast(pl.String), text=pl.col("number").cast(pl.String)
    )

    assert refused(frame) == {}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("dirt", ["none", "empty", "bad"])
@pytest.mark.parametrize("rows", [4, ROWS])
def test_planted_columns_are_found(kind, dirt, rows):
    """A column of cards, bank accounts or numbers of people is refused, also with empty or bad cells."""
    make, code = PLANTED[kind]
    print("seed", SEED)
    rng = random.Random(SEED)
    other = {"none": make, "empty": lambda _: None, "bad": lambda _: "unknown"}[dirt]
    values = [make(rng) if place % 4 else other(rng) for place in range(rows)]

    assert refused(people(rows, x=values)) == {code: {"x"}}


def test_cards_stored_as_numbers_and_as_the_id_are_found():
    """Cards are found in columns of integers, and where they are the ids of people."""
    rng = random.Random(SEED)
    cards = [a_card(rng) for _ in range(ROWS)]

    findings = refused(pl.DataFrame({"id": cards, "x": [int(card) for card in cards]}))

    assert findings["sensitive.card"] == {"id", "x"}


@pytest.mark.parametrize(
    "note",
    [
        "card 4111111111111111",
        "4111-1111-1111-1111 ok",
        "ssn: 078-05-1121",
        '{"iban": "DE89370400440532013000"}',
    ],
)
def test_a_number_after_its_name_is_found_in_text(note):
    """One number among many notes is found where it is written as a card, or stands after its name."""
    notes = [note, *(f"called at 12:{minute:02}" for minute in range(59))]

    assert refused(people(60, note=notes)) != {}


def test_the_finding_says_what_chance_would_give():
    """The evidence names the share that is valid and the share that chance would give."""
    rng = random.Random(SEED)

    findings = people(9, x=[a_card(rng) for _ in range(9)]).cio.identify(user_id="id").findings
    message = findings.filter(pl.col("code") == "sensitive.card")["message"][0]

    assert "card number: 9 of 9 different numbers in a sample are valid" in message
    assert "by chance, only one in 10 would be" in message


def test_one_number_in_all_rows_is_one_number():
    """A number that every row repeats counts once, in whatever part of a long table it stands."""
    number = with_check_digit(f"4{digits(random.Random(SEED), 14)}")

    assert refused(people(120_000, x=[number] * 120_000)) == {}


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_each_form_says_how_often_chance_is_right(number: Number):
    """Every kind of number has a rate from 0 to 1 and its source, and not more of random ones are valid."""
    rng = random.Random(SEED)
    valid = sum(number.is_valid(drawn(number.pattern, rng)) for _ in range(3_000))

    assert number.source
    assert valid <= 3_000 * min(1, number.chance * 1.25)


def drawn(pattern: str, rng: random.Random) -> str:
    """Return a random text of a pattern of classes, counts and optional signs."""
    import re._parser as parser

    return "".join(_drawn(part, rng) for part in parser.parse(pattern, parser.SRE_FLAG_ASCII))


def _drawn(part: Any, rng: random.Random) -> str:
    name, inside = str(part[0]), part[1]
    if name == "LITERAL":
        return chr(inside)
    if name == "IN":
        signs = [
            chr(code)
            for kind, value in inside
            for code in (range(value[0], value[1] + 1) if str(kind) == "RANGE" else [value])
        ]
        return rng.choice(signs)
    if name == "MAX_REPEAT":
        least, most, parts = inside
        return "".join(_drawn(each, rng) for _ in range(rng.randint(least, most)) for each in parts)
    assert name == "SUBPATTERN"
    return "".join(_drawn(each, rng) for each in inside[3])


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
@given(data=st.data())
def test_no_validator_raises(number: Number, data: st.DataObject):
    """Whatever the text, a validator says valid or not valid."""
    piece = data.draw(PIECES[number.name])

    assert number.is_valid(piece) in (True, False)
    assert number.has_form(piece) in (True, False)


@given(text=st.from_regex(r"[0-9]{13,19}X?", fullmatch=True) | st.text(max_size=40))
@example("980000199912310013")
@example("999999199001011237")
def test_masking_takes_any_text(text):
    """A text of eighteen digits that a validator cannot place is masked or left, and raises nothing."""
    assert isinstance(masked(text), str)


def test_a_validator_that_raises_takes_no_plan_down():
    """Ids of eighteen digits that python-stdnum raises KeyError for are planned like others."""
    ids = [f"{place}0000199912310013"[:18] for place in range(10, 99)]

    plan = pl.DataFrame({"id": ids, "x": ids}).cio.identify(user_id="id")

    assert plan.counts["valid"] == len(ids)


@given(tried=st.integers(1, 60), data=st.data())
def test_the_bound_is_no_smaller_than_the_chance(tried, data):
    """The bound holds for every count: it is at least the sum of the binomial distribution."""
    from math import comb

    valid, chance = data.draw(st.integers(0, tried)), data.draw(st.sampled_from([0.1, 1 / 97]))
    exact = sum(
        comb(tried, count) * chance**count * (1 - chance) ** (tried - count)
        for count in range(valid, tried + 1)
    )

    assert chance_of(valid, tried, chance=chance) >= exact * (1 - 1e-9)
