"""The table shows every number that must be zero."""

from dataclasses import fields, replace

import pytest

from torture.checker import Verdict
from torture.harness import Line, TortureError, require_clean, sum_lines
from torture.table import COLUMNS, cells, format_table

HARMLESS = ("duplicated_raw", "open")


def line(**numbers: int) -> Line:
    """Return a line with these numbers."""
    return Line(test="T0", what="made up", rows=7, requests=3, verdict=Verdict(**numbers), seed=5)


@pytest.mark.parametrize("name", [field.name for field in fields(Verdict)])
def test_each_number_is_shown_and_judged(name):
    """A number that is not zero changes the line, and raises with the seed unless it is harmless."""
    assert (cells(line(**{name: 4})) != cells(line())) == (name != "open")
    if name in HARMLESS:
        assert require_clean(line(**{name: 4})).verdict != Verdict()
    else:
        with pytest.raises(TortureError, match=rf"seed 5: .*'{name}': 4"):
            require_clean(line(**{name: 4}))


def test_lines_are_below_their_columns():
    """Every line of the table is as wide as its head."""
    text = format_table([line(lost=1_234), line()]).splitlines()
    assert text[0].split("  ")[0] == COLUMNS[0]
    assert len(set(map(len, text))) == 1
    assert "1,234" in text[2]


def test_lines_add_up():
    """Several lines become one with the sums of their numbers."""
    both = sum_lines([line(lost=1, duplicated_raw=2), line(lost=3)], what="both")
    assert both.verdict == Verdict(lost=4, duplicated_raw=2)
    assert (both.rows, both.requests) == (14, 6)


def test_a_note_is_printed_below_the_table():
    """What is worth a sentence follows the numbers; without one the table ends with them."""
    noted = replace(line(), note="hit 3 times")
    assert format_table([noted, line()]).splitlines()[-2:] == ["", "T0 made up: hit 3 times."]
    assert format_table([line()]).splitlines()[-1].startswith("T0")
