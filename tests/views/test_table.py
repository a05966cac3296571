"""Tables and stories: pages instead of cuts, and words instead of states."""

import pytest
from inline_snapshot import snapshot

from cio_frames.views import history, html, text
from cio_frames.views.document import Muted, Table
from cio_frames.views.html import MAX_TABLE_ROWS


def _table(rows):
    return [Table(("n", "text"), rows, right={0}, all_rows="run.failed()")]


@pytest.mark.parametrize("count", [0, 1, 20, 21, 40, 500, 501])
def test_every_row_is_drawn_or_counted(count, read):
    """Rows are on the first page, in a fold, or counted with the place where they are."""
    reading = read(html.render_nodes(_table([(n, f"w{n}") for n in range(count)])))

    drawn = min(count, MAX_TABLE_ROWS)
    assert [f"w{n}" for n in range(drawn)] == [t for t in reading.outline if t.startswith("w")]
    assert (f"{count - drawn} more row" in reading.text) == (count > drawn)
    assert sum(tag == "details" for tag, _ in reading.elements) == max(-(-drawn // 20) - 1, 0)


def test_a_long_cell_is_folded_whole(read):
    """A cell of any length is there to its end, under its beginning."""
    long = "".join(f"{n} " for n in range(400))

    reading = read(html.render_nodes(_table([(1, long)])))

    assert long in reading.chunks
    assert ("details", (("style", "margin:12px 0 0 0"),)) in reading.elements


def test_counts_stand_to_the_right_with_their_bars(read):
    """A column of counts is aligned so, even where styles are removed, and has bars beside it."""
    table = Table(("what", "rows"), [("a", 4), ("b", 1_000)], right={1}, bars="care")

    reading = read(html.render_nodes([table]))

    cells = [dict(attributes) for tag, attributes in reading.elements if tag == "td"]
    assert [cell.get("align") for cell in cells] == [None, "right", None] * 2
    images = [dict(attributes) for tag, attributes in reading.elements if tag == "img"]
    assert [image["alt"] for image in images] == ["4", "1,000"]
    assert text.render_nodes([table]).split("\n") == ["what   rows", "a         4", "b     1,000"]


def test_a_table_in_a_terminal():
    """The first page is aligned, whatever is in the cells."""
    rows = [(1, "日本"), (Muted("none"), "a\nb"), *[(12345, "\x1b[31m")] * 4_998]

    assert text.render_nodes(_table(rows)) == snapshot("""\
     n  text
     1  日本
(none)  a␊b
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
12,345  ␛[31m
4,980 more rows in run.failed().\
""")


def test_the_story_of_a_row(read):
    """The explanation of a row has its outcome in sentences, and its technical details below."""
    never = dict.fromkeys(
        ("person_key", "message_id", "payload_hash", "lane", "batch", "attempts", "http_status",
         "code", "error", "first_attempt_at", "finished_at")
    )  # fmt: skip
    record = {
        **never, "row": 7, "call": "track", "run_id": "r1", "state": "rejected_server", "bytes": 412,
    }  # fmt: skip

    document = history.explanation(record, text="It was sent. It was refused.")

    assert read(html.render(document)).outline == [
        "Row 7 · track",
        "✕ rejected by Customer.io",
        "run r1",
        "It was sent. It was refused.",
        "Technical details",
        "what",
        "value",
        "call",
        "track",
        "bytes",
        "412",
    ]
