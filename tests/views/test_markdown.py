"""Documents as Markdown: every part of a view, and text that formats nothing."""

from datetime import timedelta
from typing import get_args

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import cio_frames as cio
from cio_frames.views import markdown
from cio_frames.views.document import (
    Badge,
    Block,
    Bullets,
    Chart,
    ClusterGraphs,
    Code,
    Document,
    Examples,
    Figures,
    Fold,
    Heading,
    Item,
    Layer,
    Messages,
    Meter,
    Node,
    Notice,
    Paragraph,
    Part,
    Section,
    Step,
    Strong,
    Table,
)

TABLE = Table(("what", "rows"), [("a|b", 1_000), (Code("x|y"), 2)], right={1})
CHART = Chart(
    layers=[Layer([1.0], "good")], first="a", last="b", alt="one bar", bar=timedelta(days=1)
)
NODES = {
    Heading: (Heading("Plan", ("a", "b"), Badge("✓ fine", "good")), "## Plan · a · b · ✓ fine"),
    Paragraph: (Paragraph(["Send ", Strong("all"), " of ", Code("a`b")]), "Send **all** of ``a`b``"),
    Notice: (Notice(["Look out"], "bad"), "Look out"),
    Figures: (Figures([("rows", 1_000)]), "- rows: 1,000"),
    Table: (TABLE, "| what | rows |\n| --- | ---: |\n| a\\|b | 1,000 |\n| `x\\|y` | 2 |"),
    Examples: (Examples(TABLE), "| what | rows |"),
    Bullets: (Bullets(["one", "two"]), "- one\n- two"),
    Step: (Step("To see them", "plan.rejected"), "To see them\n\n```\nplan.rejected\n```"),
    Block: (Block("a\n```"), "````\na\n```\n````"),
    Messages: (Messages(['{"a":1}']), '```json\n{"a":1}\n```'),
    Chart: (CHART, "one bar"),
    ClusterGraphs: (ClusterGraphs([]), ""),
    Meter: (Meter(0.5, "good", "half"), "half"),
    Item: (
        Item(badge=Badge("! warn", "care"), name="id.x", extent="2 rows", body=[Paragraph("why")]),
        "**! warn `id.x`** · 2 rows\n\nwhy",
    ),
    Section: (Section("Mapping", [Paragraph("x")]), "### Mapping\n\nx"),
    Fold: (Fold("More", [Paragraph("x")]), "**More**\n\nx"),
    Part: (Part(("1", "track"), [Paragraph("x")], "calm"), "### 1 · track\n\nx"),
}  # fmt: skip


def test_no_part_of_a_view_is_forgotten():
    """Each kind of part has a case here."""
    assert set(get_args(Node)) == set(NODES)


@pytest.mark.parametrize("kind", NODES, ids=lambda kind: kind.__name__)
def test_each_part_is_drawn(kind):
    """Headings, tables, lists and code are those of Markdown."""
    node, expected = NODES[kind]
    drawn = markdown.render(Document(Heading("T"), [node]))
    assert drawn.startswith("## T\n")
    assert expected in drawn


def test_linked_identifiers_are_described_in_words():
    """Pictures of linked identifiers become sentences."""
    people = pl.DataFrame({"id": ["u1", "u2"], "email": ["a@x.de"] * 2, "visitor": ["v1", "v1"]})
    preview = cio.frame(people).identify(user_id="id", anonymous_id="visitor").identity()
    drawn = markdown.render(preview._document())
    section = drawn.partition("### Linked identifiers\n\n- ")[2].partition("\n\n")[0]
    assert all(name in section for name in ("u1", "u2", "v1"))


@given(st.text(alphabet="ab*_`[]()<>#|~$@!\\&\n-+.1 ", max_size=30))
def test_text_of_the_data_formats_nothing(text):
    """Whatever a cell or a sentence holds, it makes no link, element, heading or further column."""
    table = Table(("what", "more"), [(text, Code(text))])
    drawn = markdown.render(Document(Heading("T"), [Paragraph(f"x {text} y"), table]))
    tokens = [
        token
        for parent in MarkdownIt("commonmark").enable("table").parse(drawn)
        for token in (parent, *(parent.children or []))
    ]
    kinds = {token.type for token in tokens}
    assert not kinds & {"link_open", "html_inline", "html_block", "em_open", "strong_open", "image"}
    assert sum(token.type == "heading_open" for token in tokens) == 1
    assert sum(token.type in ("td_open", "th_open") for token in tokens) == 4
