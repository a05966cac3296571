"""Tables and stories: pages instead of cuts, and words instead of states."""

import pytest
from inline_snapshot import snapshot

from cio_frames.views import story, table
from cio_frames.views.story import StoryView
from cio_frames.views.table import DRAWN_ROWS, TableView


def _view(rows, *, total=None, columns=("n", "text")):
    return TableView(columns=columns, rows=rows, total=total or len(rows), whole="run.failed()")


@pytest.mark.parametrize("count", [0, 1, 20, 21, 40, 500, 501])
def test_every_row_is_drawn_or_counted(count, read):
    """Rows are on the first page, in a fold, or counted with the place where they are."""
    reading = read(table.html(_view([(n, f"w{n}") for n in range(count)])))

    drawn = min(count, DRAWN_ROWS)
    assert [f"w{n}" for n in range(drawn)] == [t for t in reading.outline if t.startswith("w")]
    assert (f"And {count - drawn} more row" in reading.text) == (count > drawn)
    assert sum(tag == "details" for tag, _ in reading.elements) == max(-(-drawn // 20) - 1, 0)


def test_a_long_cell_is_folded_whole(read):
    """A cell of any length is there to its end, under its beginning."""
    long = "".join(f"{n} " for n in range(400))

    reading = read(table.html(_view([(1, long)])))

    assert long in reading.chunks
    assert ("details", (("style", "margin:12px 0 0 0"),)) in reading.elements


def test_what_is_missing_differs_from_its_word(read):
    """A missing value does not look like the text null."""
    missing = read(table.html(_view([(None, "x")]))).elements
    word = read(table.html(_view([("null", "x")]))).elements

    assert [tag for tag, _ in missing].count("em") == 1
    assert [tag for tag, _ in word].count("em") == 0


def test_numbers_stand_to_the_right(read):
    """A column of numbers is aligned so, even where styles are removed; truth values are none."""
    reading = read(table.html(_view([(1, True), (None, False)])))

    cells = [dict(attributes) for tag, attributes in reading.elements if tag == "td"]
    assert [cell.get("align") for cell in cells] == ["right", None, "right", None]


def test_a_table_in_a_terminal():
    """The first page is aligned, whatever is in the cells."""
    rows = [(1, "日本"), (None, "a\nb"), (12345, "\x1b[31m")]

    assert table.text(_view(rows, total=5000)) == snapshot("""\
     n  text
     1  日本
  null  a␊b
12,345  ␛[31m
And 4,997 more rows; all are in run.failed().\
""")


def test_the_story_of_a_row(read):
    """A story tells what became of the row, in sentences, and what is known under it."""
    view = StoryView(
        title="Row 7",
        source="run-1",
        state="rejected_server",
        told="It was sent. It was refused.",
        facts=(("bytes", "412"),),
    )

    assert read(story.html(view)).outline == [
        "Row 7",
        "✕ rejected by server",
        "run-1",
        "It was sent. It was refused.",
        "Known about it",
        "what",
        "value",
        "bytes",
        "412",
    ]
