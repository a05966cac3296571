"""Documents as HTML: what is data can only ever be text."""

import ast
import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import markupsafe
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.views import charts, document, history, html, progress_state, report, summary, text
from cio_frames.views.characters import one_line, visible
from cio_frames.views.document import Document, Heading, Node, Paragraph, Section, Table
from cio_frames.views.findings import Example, FindingView
from cio_frames.views.markup import join, picture, shape, tag
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.render import Rendered, bundle
from cio_frames.views.report import PlanView
from cio_frames.views.summary import STATES, ReasonView, RunView

VIEWS = Path(html.__file__).parent
PLAN = PlanView(call="track", source="s", rows=1, valid=1, rejected=0, bytes=1, batches=1)


def _finding(words: str, *, column: str = "c", value: str = "v") -> Document:
    example = Example(row=1, column=column, value=value)
    finding = FindingView(
        severity="warn", code="a.b", rows=1, sentence=words, hint=words, examples=(example,)
    )
    return _plan(findings=(finding,))


def _plan(**parts_of_it: object) -> Document:
    return report.plan(replace(PLAN, **parts_of_it))


def _run(**parts_of_it: object) -> Document:
    plain = RunView(run_id="r", call="track", host="h", outcome="stopped", counts={"pending": 1})
    return summary.document(replace(plain, **parts_of_it))


def _mapping(words: str) -> list[dict[str, str]]:
    return [{"field": words, "column": words, "how": words, "reason": words}]


def _audit(words: str) -> Document:
    run = {"run_id": words, "created": words, "endpoint": words, "state": words, "stopped": words}
    runs = [{**dict.fromkeys(STATES, 1), **run, "created": _Moment(words)}]
    return history.audit(words, runs, totals=dict.fromkeys(STATES, 1))


class _Moment(str):
    """A moment that is as hostile as a text."""

    __slots__ = ()

    def __format__(self, _: str) -> str:
        return str(self)


def _story(words: str) -> Document:
    facts = ("person_key", "message_id", "payload_hash", "lane", "code", "error")
    rest = ("bytes", "batch", "attempts", "http_status", "first_attempt_at", "finished_at")
    record = {**dict.fromkeys(facts, words), **dict.fromkeys(rest)}
    names = {"row": 1, "call": words, "run_id": words, "state": "delivered"}
    return history.explanation({**record, **names}, text=words)


PLACES = {
    "cell value": lambda words: _parts(Table(("a",), [(words,)])),
    "title": lambda words: _parts(Section(words, [Paragraph(words, "lead")])),
    "example value": lambda words: _finding("s", value=words),
    "payload": lambda words: _plan(payloads=(words,)),
    "column name": lambda words: _parts(Table((words,), [("x",)])),
    "mapped column": lambda words: _plan(mapping=_mapping(words)),
    "example column": lambda words: _finding("s", column=words),
    "error text": _finding,
    "reason": lambda words: _run(reasons=(ReasonView(code="c", rows=1, sentence=words),)),
    "file name": lambda words: _plan(source=words),
    "record": _audit,
    "plan of a back-fill": lambda words: report.backfill([replace(PLAN, source=words)]),
    "message": lambda words: report.payloads(["{}"], title=words),
    "server message": lambda words: _run(reason=words),
    "story": _story,
    "waiting": lambda words: progress_state.document(
        ProgressState(label=words, waiting=words, waits_until_s=9.0, total=4), advice=words
    ),
}


def _parts(*nodes: Node) -> Document:
    return Document(Heading("t"), nodes)


@pytest.mark.parametrize("place", PLACES)
def test_hostile_text_stays_text(place, hostile, read):
    """Text from anywhere is shown as it is and adds neither element nor attribute."""
    harmless = "Ж" * len(hostile)
    expected = read(html.render(PLACES[place](harmless)))

    drawn = read(html.render(PLACES[place](hostile)))

    assert drawn.elements == expected.elements
    assert drawn.text == expected.text.replace(harmless, visible(hostile))
    assert not drawn.other


@given(text=st.text(st.characters(exclude_categories=[])))
def test_any_text_survives_escaping(text):
    """Whatever a text holds, reading the HTML gives back its visible form, in text and attributes."""
    texts: list[str] = []
    reader = HTMLParser()
    reader.handle_starttag = lambda _, attrs: texts.append(dict(attrs)["title"])  # type: ignore[method-assign]
    reader.handle_data = texts.append  # type: ignore[method-assign]
    reader.feed(str(tag("p", text, attributes={"title": text})))
    reader.close()

    assert "".join(texts) == visible(text) * 2


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
    "words",
    [
        pytest.param("<b>x</b>", id="text"),
        pytest.param(markupsafe.Markup("<b>x</b>"), id="marked-as-safe-by-somebody-else"),
        pytest.param(f"{tag('p', 'x')}", id="markup-in-a-format-string"),
        pytest.param("".join([tag("p", "x")]), id="markup-joined-as-text"),
    ],
)
def test_only_markup_of_the_builder_is_taken_as_it_is(words, read):
    """Text stays text, whoever calls it safe, in elements, in attributes and in documents."""
    assert read(tag("p", words, attributes={"title": words})).outline == [str(words)]
    assert read(html.render(Document(Heading(words), ()))).outline == [str(words)]


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
    assert 'alt="say &#34;x&#34;"' in image
    with pytest.raises(ValueError, match="still drawing"):
        shape("script", attributes={})


def test_a_bundle_has_html_for_notebooks_and_text_for_the_rest():
    """A document offers both forms, and prints as its text."""
    view = Document(Heading("1 < 2"), ())
    shown = Rendered(view)

    assert shown._repr_mimebundle_() == bundle(view)
    assert bundle(view) == {"text/plain": "1 < 2", "text/html": str(html.render(view))}
    assert repr(shown) == shown.text == "1 < 2"
    assert "1 &lt; 2" in shown.html


def test_both_renderers_draw_every_part():
    """A kind of part that one of them does not know would break a view."""
    kinds = set(document.Node.__args__)

    assert kinds == set(html._node.registry) - {object}
    assert kinds - {document.Part} == set(text._node.registry) - {object}


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

    assert module.name == "markup.py" or pieces == []
    assert module.name == "markup.py" or not {"html", "markupsafe"} & set(imported)


def test_an_empty_bar_is_nothing():
    """A bar without rows leaves no broken picture."""
    assert charts.bar([("valid", 0, "good")]) is None


def test_a_bar_has_its_counts_in_words(read):
    """Whoever cannot see the bar hears the counts; a tiny part is still drawn."""
    image = read(
        charts.bar([("valid", 99_999, "good"), ("none", 0, "calm"), ("rejected", 1, "care")])
    )

    attributes = dict(image.elements[0][1])
    drawing = base64.b64decode(attributes["src"].partition(",")[2]).decode()
    assert attributes["alt"] == "valid 99,999, rejected 1"
    assert [float(width) for width in re.findall(r'rect[^>]* width="([\d.]+)"', drawing)][1] >= 3
