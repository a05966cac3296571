"""Rejected rows open in a spreadsheet without running anything."""

import csv
from pathlib import Path

import polars as pl
import pytest

from cio_frames.audit import write_csv


def read_back(path: Path) -> list[list[str]]:
    """Return the cells as a spreadsheet would read them."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    "hostile",
    [
        "=1+1", "+1", "-2+3", "@SUM(A1)", "\t1", "\r1", "\n1", " =1", "\x00=1",
        "\N{FULLWIDTH EQUALS SIGN}1", "\N{FULLWIDTH COMMERCIAL AT}x", '=HYPERLINK("x")',
    ],
)  # fmt: skip
def test_a_formula_becomes_text(tmp_path: Path, hostile: str):
    """A cell or a name that would be a formula gets an apostrophe in front."""
    write_csv(pl.DataFrame({hostile: [hostile]}), tmp_path / "r.csv")

    assert read_back(tmp_path / "r.csv") == [["'" + hostile], ["'" + hostile]]


@pytest.mark.parametrize("separator", ["\t", "\r", "\n"])
def test_a_separator_at_the_start_guards_both_sides(tmp_path: Path, separator: str):
    """A cell that begins with a separator is a formula neither before nor after it."""
    write_csv(pl.DataFrame({"a": [f"{separator}=1"]}), tmp_path / "r.csv")

    assert read_back(tmp_path / "r.csv")[1] == [f"'{separator}'=1"]


@pytest.mark.parametrize(
    "separator", [";", "\t", "|", ",", "\n", "\r\n", "; ", ';"', ";'", ";\x00"]
)
@pytest.mark.parametrize("sign", ["=1+1", "+1", "-1", "@SUM(A1)", "\N{FULLWIDTH EQUALS SIGN}1"])
def test_a_formula_after_any_separator_becomes_text(tmp_path: Path, separator: str, sign: str):
    """Opened with another separator, no cell of the file begins with a formula either."""
    text = f"ada{separator}{sign}{separator}{sign}"
    write_csv(pl.DataFrame({text: [text], "n": [text]}), tmp_path / "r.csv")

    guarded = f"ada{separator}'{sign}{separator}'{sign}"
    assert read_back(tmp_path / "r.csv") == [[guarded, "n"], [guarded, guarded]]


@pytest.mark.parametrize(
    ("values", "cell"),
    [
        pytest.param([1, -5], "[1,-5]", id="numbers"),
        pytest.param(["a;=1"], '["a;\'=1"]', id="separator"),
    ],
)
def test_nested_values_stay_json_without_formulas(tmp_path: Path, values: list[object], cell: str):
    """Numbers below zero in a list are left alone; what follows another separator is not."""
    write_csv(pl.DataFrame({"list": [values]}), tmp_path / "r.csv")

    assert read_back(tmp_path / "r.csv")[1] == [cell]


@pytest.mark.parametrize("harmless", ["ada", "a=b", "1-2", "", "x@y.example", 'he said "=1", loud'])
def test_other_text_stays_as_it_is(tmp_path: Path, harmless: str):
    """Cells that are no formula are not touched."""
    write_csv(pl.DataFrame({"a": [harmless], "n": [-3]}), tmp_path / "r.csv")

    assert read_back(tmp_path / "r.csv") == [["a", "n"], [harmless, "-3"]]


def test_nested_values_become_json(tmp_path: Path):
    """Lists and structures are written as JSON, missing ones as nothing."""
    rows = pl.DataFrame(
        {
            "list": [[1, 2], None],
            "struct": [{"a": "=x"}, None],
            "bytes": [b"ab", None],
            "kind": pl.Series(["=a", "b"], dtype=pl.Categorical),
        }
    )

    write_csv(rows, tmp_path / "r.csv")

    assert read_back(tmp_path / "r.csv")[1:] == [
        ["[1,2]", '{"a":"=x"}', "YWI=", "'=a"],
        ["", "", "", "b"],
    ]


def test_a_table_without_rows_or_text_is_written(tmp_path: Path):
    """An empty table and one of numbers alone are written as they are."""
    write_csv(pl.DataFrame({"n": pl.Series([], dtype=pl.Int64)}), tmp_path / "a.csv")
    write_csv(pl.DataFrame({"n": [1.5]}), tmp_path / "b.csv")

    assert read_back(tmp_path / "a.csv") == [["n"]]
    assert read_back(tmp_path / "b.csv") == [["n"], ["1.5"]]
