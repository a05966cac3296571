"""Text for terminals: aligned, wrapped, and without anything that steers the screen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.views.text import block, cells, columns, paragraph, shortened
from cio_frames.views.wording import duration, many, percent, rate, size

ANY_TEXT = st.text(st.characters(exclude_categories=[]))


@given(rows=st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=5))
def test_columns_are_aligned_whatever_they_hold(rows):
    """Every row is one line, and all lines end at the same place of the screen."""
    marked = [(one, two + "|") for one, two in rows]

    lines = columns(("a", "b"), marked, right={0, 1}).split("\n")

    assert len(lines) == len(rows) + 1
    assert len({cells(line) for line in lines}) == 1
    assert not any(character in line for line in lines for character in "\x1b\r\t\x08")


@pytest.mark.parametrize(
    ("rows", "drawn"),
    [
        pytest.param([("日本", "1"), ("ab", "22")], "日本   1\nab    22", id="wide"),
        pytest.param([("e\u0301", "1"), ("ab", "22")], "e\u0301    1\nab  22", id="combining"),
    ],
)
def test_columns_count_places_not_characters(rows, drawn):
    """Wide letters fill two places and combining ones none."""
    assert columns((), rows, right={1}) == drawn


def test_no_rows_are_no_lines():
    """An empty list of rows without titles is empty text."""
    assert columns((), []) == ""


@given(text=ANY_TEXT, places=st.integers(1, 30))
def test_a_shortened_line_fits(text, places):
    """A line never fills more places than it was given."""
    assert cells(shortened(text, places)) <= places


def test_a_paragraph_and_a_block_show_hidden_characters():
    """Neither lets an escape sequence through; a block keeps its lines, a paragraph has its own."""
    assert paragraph("a\x1bb\nc") == "a␛b␊c"
    assert block("a\x1bb\nc") == "  a␛b\n  c"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(size(0), "0 B", id="no-bytes"),
        pytest.param(size(999_949), "1.0 MB", id="rounded-up"),
        pytest.param(size(32_000), "32 kB", id="kilobytes"),
        pytest.param(size(5 * 10**12), "5.0 TB", id="terabytes"),
        pytest.param(duration(-1), "0.0 s", id="before"),
        pytest.param(duration(59.6), "1 min", id="a-minute"),
        pytest.param(duration(3600), "1 h", id="an-hour"),
        pytest.param(many(0, "row"), "0 rows", id="no-rows"),
        pytest.param(rate(5, seconds=0), "-", id="no-time"),
        pytest.param(percent(0, 7), "0 %", id="nothing"),
        pytest.param(percent(7, 7), "100 %", id="everything"),
        pytest.param(percent(6_999, 7_000), ">99 %", id="nearly-everything"),
    ],
)
def test_numbers_in_words(told, expected):
    """Numbers are rounded so that they stay true at the edges."""
    assert told == expected
