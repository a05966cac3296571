"""The element builder: what is data can only ever be text."""

import ast
import base64
import copy
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.views import (
    backfill,
    components,
    history,
    html,
    payloads,
    progress_text,
    report,
    story,
    summary,
    table,
)
from cio_frames.views.characters import one_line, visible
from cio_frames.views.findings import Example, FindingView
from cio_frames.views.history import RunLine
from cio_frames.views.html import Drawn, Markup, bundle, join, picture, shape, tag
from cio_frames.views.mapping import MappingView
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.report import PlanView
from cio_frames.views.story import StoryView
from cio_frames.views.summary import ReasonView, RunView
from cio_frames.views.table import TableView

VIEWS = Path(html.__file__).parent


def _finding(text: str, *, column: str = "c", value: str = "v") -> PlanView:
    example = Example(row=1, column=column, value=value)
    finding = FindingView(
        severity="warn", code="a.b", rows=1, sentence=text, hint=text, examples=(example,)
    )
    return PlanView(
        call="track",
        source="s",
        rows=1,
        valid=1,
        rejected=0,
        bytes=1,
        batches=1,
        findings=(finding,),
    )


def _run(**parts_of_it: object) -> RunView:
    plain = RunView(run_id="r", call="track", host="h", outcome="stopped", counts={"pending": 1})
    return replace(plain, **parts_of_it)


def _table(**parts_of_it: object) -> TableView:
    plain = TableView(columns=("a",), rows=[("x",)], total=1)
    return replace(plain, **parts_of_it)


def _line(text: str) -> RunLine:
    return RunLine(run_id=text, created=text, endpoint=text, outcome=text, counts={"pending": 1})


PLACES = {
    "cell value": lambda text: table.html(_table(rows=[(text,)])),
    "example value": lambda text: report.html(_finding("s", value=text)),
    "payload": lambda text: report.html(replace(_finding("s"), payloads=(text,))),
    "column name": lambda text: table.html(_table(columns=(text,))),
    "mapped column": lambda text: report.html(
        replace(_finding("s"), mapping=(MappingView(field=text, column=text, how="x"),))
    ),
    "example column": lambda text: report.html(_finding("s", column=text)),
    "error text": lambda text: report.html(_finding(text)),
    "reason": lambda text: summary.html(
        _run(reasons=(ReasonView(code="c", rows=1, sentence=text),))
    ),
    "file name": lambda text: report.html(replace(_finding("s"), source=text)),
    "directory": lambda text: history.html(text, (_line(text),)),
    "plan of a back-fill": lambda text: backfill.html([replace(_finding("s"), source=text)]),
    "message": lambda text: payloads.html(["{}"], title=text),
    "server message": lambda text: summary.html(_run(reason=text)),
    "story": lambda text: story.html(
        StoryView(
            title=text,
            source=text,
            state="delivered",
            told=text,
            facts=((text, text),),
        )
    ),
    "waiting": lambda text: progress_text.html(
        ProgressState(label=text, waiting=text, waits_until_s=9.0, total=4), advice=text
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_hostile_text_stays_text(place, hostile, read):
    """Text from anywhere is shown as it is and adds neither element nor attribute."""
    harmless = "Ж" * len(hostile)
    expected = read(PLACES[place](harmless))

    drawn = read(PLACES[place](hostile))

    assert drawn.elements == expected.elements
    assert drawn.text == expected.text.replace(harmless, visible(hostile))
    assert not drawn.other


@given(text=st.text(st.characters(exclude_categories=[])))
def test_any_text_survives_escaping(text):
    """Whatever a text holds, reading the HTML gives back its visible form, in text and attributes."""
    from html.parser import HTMLParser

    found: list[str] = []
    reader = HTMLParser()
    reader.handle_starttag = lambda _, attrs: found.append(dict(attrs)["title"])  # type: ignore[method-assign]
    reader.handle_data = found.append  # type: ignore[method-assign]
    reader.feed(str(tag("p", text, attributes={"title": text})))
    reader.close()

    assert "".join(found) == visible(text) * 2


@given(text=st.text(st.characters(exclude_categories=[])))
def test_visible_text_can_be_written_and_controls_nothing(text):
    """Visible text encodes as UTF-8 and holds no control but tab and line feed; once is enough."""
    shown = visible(text)

    assert shown.encode().decode() == shown
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert visible(shown) == shown
    assert not re.search("[\x00-\x1f]", one_line(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("\x1b[0m", "␛[0m", id="escape"),
        pytest.param("\x7f", "␡", id="delete"),
        pytest.param("\u202eab", "[U+202E]ab", id="reversed"),
        pytest.param("u1\u200d", "u1[U+200D]", id="joiner-after-ascii"),
        pytest.param("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb", id="emoji"),
        pytest.param("\ud800", "[U+D800]", id="surrogate"),
        pytest.param("a\nb\tc", "a\nb\tc", id="lines"),
    ],
)
def test_hidden_characters_are_written_out(text, shown):
    """A character that cannot be seen, or acts on the screen, is written out."""
    assert visible(text) == shown


def test_markup_is_escaped_once_however_deep_it_lies():
    """Markup within markup is taken as it is; text within markup is escaped exactly once."""
    inner = tag("strong", "a & b")

    assert str(tag("p", inner, "<", tag("em", inner))) == (
        "<p><strong>a &amp; b</strong>&lt;<em><strong>a &amp; b</strong></em></p>"
    )
    assert str(join([inner, "&amp;"])) == "<strong>a &amp; b</strong>&amp;amp;"


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(lambda: Markup("<b>"), id="made-by-hand"),
        pytest.param(lambda: f"{tag('p', 'x')}", id="formatted"),
        pytest.param(lambda: "".join([tag("p", "x")]), id="joined-as-text"),
        pytest.param(lambda: tag("p", "x") + "y", id="added-to-text"),
        pytest.param(lambda: tag("p", 3), id="not-text"),
    ],
)
def test_markup_and_text_cannot_be_mixed_up(attempt):
    """Nothing but the builder makes markup, and markup never silently turns into text."""
    with pytest.raises(TypeError):
        attempt()


@pytest.mark.parametrize(
    "name", ["script", "style", "iframe", "a", "input", "svg", "P", "p onclick"]
)
def test_only_harmless_elements_can_be_made(name):
    """An element that could act, or that front ends remove, cannot be made."""
    with pytest.raises(ValueError, match="kept by every front end"):
        tag(name, "x")


@pytest.mark.parametrize("name", ["onclick", "href", "src", "style", "data-x", "class"])
def test_only_harmless_attributes_can_be_made(name):
    """An attribute that could act, or that front ends remove, cannot be made."""
    with pytest.raises(ValueError, match="kept by every front end"):
        tag("p", "x", attributes={name: "x"})


def test_a_picture_holds_its_drawing_and_no_script():
    """A picture is an image with the drawing in its own address; text in it is escaped."""
    drawn = shape("svg", shape("text", "<script>", attributes={}), attributes={"width": "1"})

    image = str(picture(drawn, alt='say "x"'))

    address = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', image)
    assert address
    assert base64.b64decode(address[1]).decode() == (
        '<svg width="1"><text>&lt;script&gt;</text></svg>'
    )
    assert 'alt="say &quot;x&quot;"' in image
    with pytest.raises(ValueError, match="still drawing"):
        shape("script", attributes={})


def test_a_bundle_has_html_for_notebooks_and_text_for_the_rest():
    """A finished view offers both forms, and prints as its text."""
    drawn = Drawn(html=tag("p", "1 < 2"), make_text=lambda: "1 < 2")

    assert drawn._repr_mimebundle_() == bundle(drawn.html, drawn.text)
    assert bundle(drawn.html, drawn.text) == {
        "text/plain": "1 < 2",
        "text/html": "<p>1 &lt; 2</p>",
    }
    assert repr(drawn) == "1 < 2"
    assert drawn.html._repr_html_() == "<p>1 &lt; 2</p>"


def test_markup_is_a_value():
    """Equal markup is equal and hashes alike; its repr shows none of its content."""
    once, again = tag("p", "secret"), tag("p", "secret")

    assert once == again
    assert hash(once) == hash(again)
    assert once != "<p>secret</p>"
    assert "secret" not in repr(once)
    assert copy.copy(once) == once


@pytest.mark.parametrize("module", sorted(VIEWS.glob("*.py")), ids=lambda path: path.name)
def test_only_the_builder_writes_html(module):
    """No other module holds a piece of HTML or escapes anything."""
    tree = ast.parse(module.read_text())
    docs = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    pieces = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node not in docs
        and re.search(r"</?[a-zA-Z{]|&\w+;", node.value)
    ]
    imported = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]

    assert module.name == "html.py" or pieces == []
    assert module.name == "html.py" or "html" not in imported


def test_an_empty_bar_is_nothing():
    """A bar without rows leaves no broken picture."""
    assert components.bar([("valid", 0, "good")]) == html.NOTHING


def test_a_bar_tells_its_counts_in_words(read):
    """Whoever cannot see the bar hears the counts; a tiny part is still drawn."""
    image = read(
        components.bar([("valid", 99_999, "good"), ("none", 0, "calm"), ("rejected", 1, "care")])
    )

    attributes = dict(image.elements[0][1])
    drawing = base64.b64decode(attributes["src"].partition(",")[2]).decode()
    assert attributes["alt"] == "valid 99,999, rejected 1"
    assert [float(width) for width in re.findall(r'rect[^>]* width="([\d.]+)"', drawing)][1] >= 3
