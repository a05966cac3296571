"""Numbers that people type, in figures and in words."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cio_frames.values.number_words import number_of, number_words

NUMBERS = st.integers(0, 10**12 - 1)


@given(NUMBERS, st.booleans(), st.booleans())
@example(10**12 - 1, True, True)
@example(110, False, True)
def test_a_number_in_words_comes_back(number, is_hyphenated, has_and):
    """Every number is read from its words, with or without hyphens, "and" and capitals."""
    words = number_words(number)
    if not is_hyphenated:
        words = words.replace("-", " ")
    if has_and:
        words = words.replace("hundred ", "hundred and ").capitalize()
    assert number_of(words) == number


@given(NUMBERS)
def test_a_number_in_figures_comes_back(number):
    """Every number is read from its figures, with or without commas."""
    assert number_of(f"{number}") == number_of(f" {number:,}\n") == number


@given(
    st.lists(st.sampled_from(["one", "two", "ten", "twenty", "hundred", "thousand", "and", "-"]))
)
def test_words_are_read_in_one_way_only(words):
    """What is read as a number has the words of that number, and nothing besides."""
    text = " ".join(words)
    number = number_of(text)
    if number is not None:
        assert text.replace(" and ", " ").split() == number_words(number).replace("-", " ").split()


@pytest.mark.parametrize("text", [
    "", "-5", "5-", "1.0", "1,20", "12,34", "1e3", "0x10", "٣", "five six", "twenty twenty",
    "a hundred", "hundred", "one hundred and", "and five", "seven thirty", "twenty-", "-twenty",
    "two thousand thousand", "twelve hundred", "five and thirty", "9" * 20, "one billion billion",
])  # fmt: skip
def test_what_is_no_number_is_none(text):
    """Anything that could be a typing error is not a number."""
    assert number_of(text) is None
