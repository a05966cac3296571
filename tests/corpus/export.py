"""An export as an analyst has it, with what its table, report and proposals should be."""

import csv
import io
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Columns = tuple[str, ...]
Findings = Mapping[str, Columns]
"""Columns by code; those of a finding that is about no column are the empty text."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as text: the names of its columns, and its rows."""

    names: list[str]
    rows: list[list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A file, what an analyst types about it, and what should come of it.

    Attributes:
        source: The program that writes such files, or what is awkward about it.
        file: Its name.
        content: Its bytes.
        grid: The table that it holds; None where it holds none, or cannot be read as it is.
        refused: What the refusal says, as a pattern.
        options: What is passed to `cio.scan`.
        call: The verb.
        asked: What is passed to the verb.
        expected: The findings that an analyst needs; all others are false or noise.
        rejected: How many rows cannot be sent.
        person: The columns that are right as a proposal for the person; none where no column is.
        time: The columns that are right as a proposal for the time.
    """

    source: str
    file: str
    content: bytes
    grid: Grid | None = None
    refused: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    call: str = "identify"
    asked: Mapping[str, Any] = field(default_factory=dict)
    expected: Findings = field(default_factory=dict)
    rejected: int = 0
    person: Columns = ()
    time: Columns = ()


FIRST = (
    "Ann", "Ben", "Nat", "May", "True", "Null", "José", "Zoë", "Łucja", "Ümit", "Per", "Ai", "Na", "Noor", "Chloé", "Sean", "Ida",
    "Otto", "Rosa", "Kim",
)  # fmt: skip
LAST = (
    "Lee", "O'Brien", "Null", "Nowak", "Gómez", "Öz", "Berg", "May", "Smith-Jones", "Sato", "Rossi", "Meyer", "True", "Dupont",
    "Hall", "Ray",
)  # fmt: skip
CITIES = (
    "Rome",
    "Bonn",
    "São Paulo",
    "Oslo",
    "Toronto",
    "New York",
    "Kraków",
    "Lyon",
    "Leeds",
    "Osaka",
)
DOMAINS = ("example.com", "example.org", "mail.example.net")  # fmt: skip
START = datetime(2024, 3, 1, 7, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody invented, and the dice for what else is in their row."""

    place: int
    dice: random.Random
    first: str
    last: str
    city: str
    at: datetime

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.first} {self.last}"

    @property
    def email(self) -> str:
        """An address that nobody else has."""
        return f"{self.slug}@{DOMAINS[self.place % len(DOMAINS)]}"

    @property
    def slug(self) -> str:
        """A text of letters and digits that nobody else has."""
        return f"{ascii_of(self.first)}.{self.place}"

    @property
    def us_phone(self) -> str:
        """A number of the United States that is given to nobody."""
        return f"+1212555{1000 + self.place % 9000:04}"

    @property
    def zip(self) -> str:
        """A postal code of the United States; some begin with zeros."""
        return ("02139", "90210", "10001", "00501", "60614", "73301")[self.place % 6]

    def digits(self, count: int) -> str:
        """Return random digits of which the first is not zero."""
        return str(self.dice.randrange(10 ** (count - 1), 10**count))

    def pick(self, *values: str) -> str:
        """Return one of several values."""
        return self.dice.choice(values)

    def hex(self, count: int) -> str:
        """Return random hexadecimal digits."""
        return f"{self.dice.getrandbits(4 * count):0{count}x}"

    def uuid(self) -> str:
        """Return a random UUID."""
        text = self.hex(32)
        return "-".join((text[:8], text[8:12], "4" + text[13:16], "a" + text[17:20], text[20:]))

    def later(self, hours: int = 500) -> datetime:
        """Return a time after the one of the row."""
        return self.at + timedelta(seconds=self.dice.randrange(60, 3600 * hours))

    def money(self) -> str:
        """Return an amount with two decimals."""
        return f"{self.dice.randrange(500, 90_000) / 100:.2f}"


def ascii_of(text: str) -> str:
    """Return the plain letters of a text, in lower case."""
    return "".join(letter for letter in text.lower() if "a" <= letter <= "z") or "x"


Column = Callable[[Person], object]


def generated(columns: Mapping[str, Column | str], *, rows: int = 240, seed: int = 1) -> Grid:
    """Return a table of invented people, a row for each; a text is the same in all rows."""
    dice = random.Random(seed)
    people = [
        Person(
            place=place,
            dice=dice,
            first=dice.choice(FIRST),
            last=dice.choice(LAST),
            city=dice.choice(CITIES),
            at=START + timedelta(seconds=place * 40_000 + dice.randrange(40_000)),
        )
        for place in range(rows)
    ]
    made = [
        [str(column if isinstance(column, str) else column(person)) for column in columns.values()]
        for person in people
    ]
    return Grid(list(columns), made)


def written(
    grid: Grid,
    *,
    separator: str = ",",
    all_quoted: bool = False,
    end: str = "\n",
    encoding: str = "utf-8",
    before: Iterable[Sequence[str]] = (),
    after: str = "",
    header: bool = True,
) -> bytes:
    """Return a table as a CSV file, with lines before its header and a text after its last row."""
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerows(before)
    if header:
        writer.writerow(grid.names)
    writer.writerows(grid.rows)
    return (text.getvalue() + after).encode(encoding)


def lines(*rows: str) -> Grid:
    """Return a small table whose cells are apart by `|`, the names in the first line."""
    names, *others = (row.split("|") for row in rows)
    return Grid(names, others)
