"""A CSV file has the same findings whether pandas or `cio.scan` has read it, as far as the types allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pytest

import cio_frames as cio

ROWS = 12


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a file: its cells, repeated until the file has enough rows, and its name."""

    cells: Sequence[str]
    name: str = "x"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What pandas' types force.

    Attributes:
        because: How.
        more: Codes that are found through pandas only.
        less: Codes that are found through `cio.scan` only.
    """

    because: str
    more: frozenset[str] = frozenset()
    less: frozenset[str] = frozenset()


COLUMNS: Mapping[str, Column] = {
    "words": Column(cells=["pro", "free", "team"]),
    "zeros": Column(cells=["007", "0123", "9999"], name="customer_no"),
    "zeros of no identifier": Column(cells=["007", "0123", "9999"]),
    "zip codes": Column(cells=["01067", "80331", "10115"], name="zip"),
    "integers": Column(cells=["1", "20", "300"]),
    "integers and blanks": Column(cells=["1", "", "300"]),
    "decimals": Column(cells=["1.5", "2.25", "0.75"]),
    "prices": Column(cells=["9.90", "10.00", "12.50"], name="price"),
    "versions": Column(cells=["3.1", "3.10", "3.9"]),
    "big integers": Column(cells=["12345678901234567890", "22345678901234567891"]),
    "18 digits": Column(cells=["123456789012345678", "223456789012345679"]),
    "exponents": Column(cells=["1E5", "2E5", "3e5"]),
    "booleans": Column(cells=["true", "false"]),
    "booleans in capitals": Column(cells=["TRUE", "FALSE"]),
    "yes and no": Column(cells=["yes", "no"]),
    "blanks": Column(cells=["a", "", "b"]),
    "spaces": Column(cells=["a", "   ", "b"]),
    "padded": Column(cells=[" a", "b ", "c"]),
    "empty": Column(cells=["", ""]),
    "constant": Column(cells=["same"]),
    "NaN": Column(cells=["nan", "NaN", "x"]),
    "NA": Column(cells=["NA", "N/A", "x"]),
    "None": Column(cells=["None", "NULL", "x"]),
    "placeholders": Column(cells=["n/a", "-", "unknown"]),
    "placeholders among numbers": Column(cells=["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "n/a"]),
    "infinite": Column(cells=["inf", "1.5", "2.5"]),
    "phones": Column(cells=["+49 30 1234567", "030 7654321", "+1 415 555 2671"], name="phone"),
    "phones of digits": Column(cells=["4930123456", "4930123457"], name="phone"),
    "mixed": Column(cells=["1", "two", "3", "four"]),
    "stray": Column(cells=["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "abc"]),
    "money": Column(cells=['"$1,234.50"', "$5.00"]),
    "percent": Column(cells=["5%", "10%"]),
    "mails": Column(cells=["ann@example.com", "bob@example.com", "cy@example.com"], name="email"),
    "mails with blanks": Column(cells=["ann@example.com", "", "cy@example.com"], name="email"),
    "mails with spaces": Column(cells=[" ann@example.com", "bob@example.com ", "cy@example"], name="email"),
    "dates": Column(cells=["2024-01-31", "2024-02-28"]),
    "dates of the attribute": Column(cells=["2024-01-31", "2024-02-28"], name="created_at"),
    "dates with the day first": Column(cells=["31.01.2024", "28.02.2024"], name="created_at"),
    "dates with the month first": Column(cells=["01/31/2024", "02/28/2024"], name="created_at"),
    "times": Column(cells=["2024-01-31T10:00:00Z", "2024-02-28T11:30:00Z"], name="created_at"),
    "times without a zone": Column(cells=["2024-01-31 10:00:00", "2024-02-28 11:30:00"], name="created_at"),
    "seconds": Column(cells=["1706695200", "1709119800"], name="created_at"),
    "seconds and blanks": Column(cells=["1706695200", "", "1709119800"], name="created_at"),
    "milliseconds": Column(cells=["1706695200000", "1709119800000"], name="created_at"),
    "consent": Column(cells=["true", "false"], name="unsubscribed"),
    "consent in words": Column(cells=["yes", "no"], name="unsubscribed"),
    "consent and blanks": Column(cells=["true", "", "false"], name="unsubscribed"),
    "JSON": Column(cells=['"{""a"": 1}"', '"{""a"": 2}"']),
    "formulas": Column(cells=["=1+1", "=SUM(A1)"]),
    "cards": Column(cells=["4111111111111111", "5500005555555559", "4012888888881881"]),
    "cards with spaces": Column(cells=["4111 1111 1111 1111", "5500 0055 5555 5559"]),
    "mojibake": Column(cells=["MÃ¼ller", "JosÃ©"]),
    "quoted blanks": Column(cells=['""', "a", '""']),
    "ids": Column(cells=[f"u{row}" for row in range(ROWS)], name="user_id"),
    "ids twice": Column(cells=["a1", "a2", "a1"], name="user_id"),
    "ids with zeros": Column(cells=[f"00{row + 10}" for row in range(ROWS)], name="user_id"),
    "ids of numbers": Column(cells=[f"{row + 10}" for row in range(ROWS)], name="user_id"),
    "ids with gaps": Column(cells=[*(f"{row + 10}" for row in range(ROWS - 1)), ""], name="user_id"),
    "ids beyond floats": Column(cells=[*(f"90071992547409{row + 10}" for row in range(ROWS - 1)), ""], name="user_id"),
    "ids beyond integers": Column(cells=[f"123456789012345678{row + 10}" for row in range(ROWS)], name="user_id"),
    "ids of two kinds": Column(cells=[*(f"{row + 10}" for row in range(ROWS - 1)), "A7"], name="user_id"),
    "ids of exponents": Column(cells=[f"{row + 1}E5" for row in range(ROWS)], name="user_id"),
    "ids with spaces": Column(cells=[f" u{row}" for row in range(ROWS)], name="user_id"),
    "ids and placeholders": Column(cells=[*(f"u{row}" for row in range(ROWS - 1)), "null"], name="user_id"),
    "ids and a word for nobody": Column(cells=[*(f"u{row}" for row in range(ROWS - 1)), "guest"], name="user_id"),
    "mails as ids": Column(cells=[f"u{row}@example.com" for row in range(ROWS)], name="user_id"),
    "index": Column(cells=["0", "1", "2"], name="Unnamed: 0"),
}  # fmt: skip
MISSING = "pandas reads these words as missing, unless keep_default_na=False is passed"
AS_TEXT = "dtype=str makes text of what the file's types make numbers or booleans"
AS_FLOATS = "pandas makes floats of integers with gaps, and of exponents"
PLACEHOLDER = frozenset({"value.placeholder", "column.placeholders"})
DEFAULT: Mapping[str, Difference] = {
    "NaN": Difference(because=MISSING, less=PLACEHOLDER),
    "NA": Difference(because=MISSING, less=PLACEHOLDER),
    "None": Difference(because=MISSING, less=PLACEHOLDER),
    "placeholders": Difference(because=MISSING, less=PLACEHOLDER),
    "placeholders among numbers": Difference(because=MISSING, less=frozenset({"value.placeholder"})),
    "infinite": Difference(because="pandas reads inf as a number", more=frozenset({"number.infinite"}), less=frozenset({"column.mixed-kinds"})),
    "ids with gaps": Difference(because=AS_FLOATS, more=frozenset({"id.float"})),
    "ids beyond floats": Difference(because=AS_FLOATS, more=frozenset({"id.float"})),
    "ids of exponents": Difference(because=AS_FLOATS, more=frozenset({"id.float"}), less=frozenset({"id.scientific"})),
    "ids and placeholders": Difference(because=MISSING, more=frozenset({"id.missing"}), less=frozenset({"id.placeholder"})),
}  # fmt: skip
"""Where `pd.read_csv` must differ."""
TEXT: Mapping[str, Difference] = {
    **{name: difference for name, difference in DEFAULT.items() if difference.because == MISSING},
    "18 digits": Difference(because=AS_TEXT, less=frozenset({"number.large"})),
    "booleans": Difference(because=AS_TEXT, more=frozenset({"column.truth-as-text"})),
    "booleans in capitals": Difference(because=AS_TEXT, more=frozenset({"column.truth-as-text"})),
    "seconds": Difference(because=AS_TEXT, more=frozenset({"time.epoch-text"})),
    "seconds and blanks": Difference(because=AS_TEXT, more=frozenset({"time.epoch-text"})),
    "milliseconds": Difference(because=AS_TEXT, more=frozenset({"time.epoch-text"}), less=frozenset({"trait.milliseconds"})),
}  # fmt: skip
"""Where `pd.read_csv(dtype=str)` must differ."""
READER_NOTES = ("file.", "frame.", "type.")
"""Codes of findings about a reader, not about the table."""


def written(column, folder):
    """Write a file of people with a column."""
    path = folder / "people.csv"
    cells = [column.cells[row % len(column.cells)] for row in range(ROWS)]
    lines = [f"user_id,{column.name}", *(f"u{row},{cell}" for row, cell in enumerate(cells))]
    if column.name == "user_id":
        lines = ["user_id,note", *(f"{cell},n{row}" for row, cell in enumerate(cells))]
    path.write_text("\n".join(lines) + "\n")
    return path


def findings_of(frame):
    """Return the codes, severities, columns and rows that a plan finds, and what it can repair."""
    plan = frame.cio.identify(user_id="user_id")
    findings = (
        plan.findings if isinstance(plan.findings, pd.DataFrame) else plan.findings.to_pandas()
    )
    kept = findings[~findings["code"].str.startswith(READER_NOTES)]
    fixes = plan.fixes if isinstance(plan.fixes, pd.DataFrame) else plan.fixes.to_pandas()
    codes = {
        (row.code, row.severity, "" if pd.isna(row.row) else int(row.row))
        for row in kept.itertuples()
    }
    return codes | {(code, "repair", "") for code in fixes["code"]}


@pytest.mark.parametrize(
    ("options", "differences"),
    [pytest.param({}, DEFAULT, id="default"), pytest.param({"dtype": str}, TEXT, id="text")],
)
@pytest.mark.parametrize("name", COLUMNS)
def test_pandas_and_scan_find_the_same(name, options, differences, tmp_path):
    """Codes, severities, rows and repairs are the same, but for what a type forces."""
    path = written(COLUMNS[name], tmp_path)
    scanned, read = findings_of(cio.scan(path)), findings_of(pd.read_csv(path, **options))
    forced = differences.get(name, Difference(because=""))

    assert {code for code, *_ in read - scanned} == forced.more
    assert {code for code, *_ in scanned - read} == forced.less
