"""Text for terminals: aligned, wrapped, and without anything that steers the screen."""

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.views.characters import display_width, shorten
from cio_frames.views.environment import Output, writing_to
from cio_frames.views.text import (
    block,
    columns,
    command,
    json_text,
    page,
    paragraph,
    single_line,
)
from cio_frames.views.wording import duration, many, percent, rate, size

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
ANY_JSON_TEXT = st.text()
WORDS = st.lists(st.text("abc日é✓", min_size=1, max_size=14), max_size=9).map(" ".join)
CODE_PAGES = ("ascii", "cp1252", "cp437", "utf-8")


@given(rows=st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=5))
def test_columns_are_aligned_whatever_they_hold(rows):
    """Every row is one line, and all lines end at the same place of the screen."""
    marked = [(one, two + "|") for one, two in rows]

    lines = columns(("a", "b"), marked, right={0, 1}).split("\n")

    assert len(lines) == len(rows) + 1
    assert len({display_width(line) for line in lines}) == 1
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


@given(text=ANY_TEXT, places=st.integers(1, 30), encoding=st.sampled_from(CODE_PAGES))
def test_a_shortened_line_fits(text, places, encoding):
    """A line never fills more places than it was given, and has only characters that can be written."""
    with writing_to(Output(encoding=encoding)):
        line = single_line(text, places)

    assert display_width(shorten(text, places)) <= places
    assert display_width(line) <= places
    assert line.encode(encoding).decode(encoding) == line


@given(
    rows=st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=5),
    titled=st.booleans(),
    places=st.integers(1, 60),
    encoding=st.sampled_from(CODE_PAGES),
)
def test_whatever_can_be_broken_fits(rows, titled, places, encoding):
    """Tables, paragraphs and blocks fit, but for a word that is too long, and lose no word."""
    titles = ("what", "how many", "why") if titled else ()
    with writing_to(Output(encoding=encoding, columns=places)):
        texts = [
            columns(titles, rows, right={1}, indent=" "),
            *(paragraph(cell, indent=" ", hanging="   ") for row in rows for cell in row),
            *(block(cell, indent=" ") for row in rows for cell in row),
        ]

    for text in texts:
        assert text.encode(encoding).decode(encoding) == text
        for line in text.split("\n"):
            assert display_width(line) <= places or len(line.split()) == 1, (line, places)
    for row in rows:
        for word in " ".join(row).split():
            assert _escaped(word, encoding) in texts[0]


def _escaped(word: str, encoding: str) -> str:
    return word.encode(encoding, "backslashreplace").decode(encoding)


@given(words=st.lists(st.from_regex(r"[a-z=./]{1,12}", fullmatch=True), min_size=1, max_size=9))
def test_a_broken_command_is_the_same_command(words):
    """A shell reads the words of a broken command as it reads them on one line."""
    line = f'{" ".join(words)} --lit "event=Order Completed"'
    with writing_to(Output(columns=24)):
        broken = command(line)

    assert shlex.split(broken.replace("\\\n", "")) == shlex.split(line)


@given(value=st.dictionaries(ANY_JSON_TEXT, ANY_JSON_TEXT), encoding=st.sampled_from(CODE_PAGES))
def test_json_stays_the_same_json(value, encoding):
    """JSON for an output that takes few characters is read as the same values."""
    with writing_to(Output(encoding=encoding)):
        text = json_text(json.dumps(value, ensure_ascii=False))

    assert text.encode(encoding)
    assert json.loads(text) == value


def test_a_page_leaves_nothing_out_that_cannot_be_written():
    """Blocks that were made by hand are escaped as well, and empty ones leave no gap."""
    with writing_to(Output(encoding="ascii")):
        assert page(["Zoë", "", "b"]) == "Zo\\xeb\n\nb"


def test_columns_that_are_too_wide_break_their_words():
    """Words go to further lines of their column, as long as columns keep some width."""
    with writing_to(Output(columns=40)):
        drawn = columns(
            ("code", "reason"), [("id.missing", "No identifier: the row is about nobody.")]
        )

    assert drawn == (
        "code        reason\nid.missing  No identifier: the row is\n            about nobody."
    )


def test_controls_have_numbers_where_there_are_no_pictures():
    """A control is not drawn as the number of its picture."""
    with writing_to(Output(encoding="cp437")):
        assert paragraph("a\x1bb\n\x7f") == "a[U+001B]b[U+000A][U+007F]"


def test_a_paragraph_and_a_block_show_hidden_characters():
    """Neither lets an escape sequence through; a block keeps its lines, a paragraph has its own."""
    assert paragraph("a\x1bb\nc") == "a␛b␊c"
    assert block("a\x1bb\nc") == "  a␛b\n  c"


@pytest.mark.parametrize(
    ("shown", "expected"),
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
def test_numbers_in_words(shown, expected):
    """Numbers are rounded so that they stay true at the edges."""
    assert shown == expected
