"""What users read is plain English: phrases that native readers stumbled on do not come back."""

import ast
import io
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import cio_frames as cio

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cio_frames"
STUMBLES = re.compile(
    r"\b(?:"
    r"(?:is|are|was|were) told|about nobody|nobody's|nobody in particular|what bec(?:ame|omes) of|"
    r"hangs? together|(?:is|are) asked about|who (?:the rows are|it is) about|words? for nothing|"
    r"go(?:es)? on from there|to go on|come(?:s)? out as|left away|not all rows|would be left out|"
    r"as many profiles|the door tells|done before|counted below|have it mended|"
    r"mended?|no person of that|is no (?:number|client|dict|share|encoding|table|host|e-mail)|"
    r"throw-away|a fault of|if it is meant|takes? no constant|who is who is known|"
    r"says? of it|stands? for nobody|for (?:you|the user) to say|cannot be taken back"
    r")\b|(?-i:\bDo: )",
    re.IGNORECASE,
)

PRIVATE_NAMES = frozenset(
    ["told", "tell", "tells", "said", "says", "found", "settled", "settle", "came"]
)
"""Words that do not say what a variable or a function stands for."""
PRIVATE_WORDS = re.compile(
    r"\b(?:what bec(?:ame|omes) of|tells? whether|told|under way|left aside|weather|nursery|tangles?|slips)\b",
    re.IGNORECASE,
)


def _of_python(path: Path) -> Iterator[str]:
    """Yield the texts of a module; docstrings only of the command line, whose help they are."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    is_help = path.parent.name == "cli"
    comments = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and not is_help}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in comments:
            yield node.value


def _of_toml(texts: object) -> Iterator[str]:
    for text in texts.values() if isinstance(texts, dict) else [texts]:
        yield from _of_toml(text) if isinstance(text, dict) else [str(text)]


def _of_notebook(path: Path) -> Iterator[str]:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        yield "".join(cell["source"])


def _texts(path: Path) -> Iterator[str]:
    match path.suffix:
        case ".py":
            yield from _of_python(path)
        case ".toml":
            yield from _of_toml(tomllib.loads(path.read_text(encoding="utf-8")))
        case ".ipynb":
            yield from _of_notebook(path)
        case _:
            yield path.read_text(encoding="utf-8")


READ = sorted(
    [
        *PACKAGE.rglob("*.py"),
        *PACKAGE.rglob("*.toml"),
        *PACKAGE.rglob("*.html"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "notebooks").glob("*.ipynb"),
        ROOT / "README.md",
    ]
)


@pytest.mark.parametrize("path", READ, ids=lambda path: str(path.relative_to(ROOT)))
def test_phrases_that_were_stumbled_on_do_not_come_back(path):
    """Findings, reports, errors, commands, README, docs and notebooks have none of them."""
    phrases = {
        match[0] for text in _texts(path) for match in STUMBLES.finditer(" ".join(text.split()))
    }

    assert not phrases


SOURCES = sorted(
    path for name in ("cio_frames", "torture", "benchmarks") for path in (ROOT / name).rglob("*.py")
)


def _names(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module gives to variables, arguments, attributes and functions."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.arg(arg=name) | ast.ClassDef(name=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name


def test_names_in_the_code_say_what_they_stand_for():
    """No variable, argument, attribute, function or class is named by a word such as told or found."""
    private = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        for name in _names(ast.parse(path.read_text(encoding="utf-8")))
        if name.strip("_").lower() in PRIVATE_NAMES
    }

    assert not private


def test_docstrings_and_comments_have_no_private_words():
    """Words of a private dialect that strangers stumbled on stand nowhere in the code."""
    private = {
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in SOURCES
        for match in PRIVATE_WORDS.finditer(path.read_text(encoding="utf-8"))
    }

    assert not private


@pytest.mark.parametrize(
    "words", ["Two rows are told.", "**Do:** nothing. Do: it.", "It is no client."]
)
def test_the_phrases_are_recognised(words):
    """The test above finds what it looks for."""
    assert STUMBLES.search(words)


@pytest.mark.parametrize(
    "word",
    [
        "profiles",
        "automations",
        "people",
        "campaigns",
        "segments",
        "attribute",
        "dry run",
        "undo",
        "rate limit",
    ],
)
def test_the_glossary_has_the_words_that_people_search_for(word):
    """Customer.io's words and the usual ones each begin an entry of the glossary."""
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")

    assert re.search(rf"^{word}$", glossary, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("getting started", "getting_started"),
        ("dry run", "cookbook"),
        ("undo", "cookbook"),
        ("rate limit", "cookbook"),
        ("429", "troubleshooting"),
        ("401", "troubleshooting"),
        ("unicodeencodeerror", "troubleshooting"),
        ("databricks", "front-ends"),
    ],
)
def test_a_search_finds_a_heading(words, page):
    """What people search for stands in a heading of a page that is in the contents."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()

    headings = [line.lower() for line in text.splitlines() if line.startswith("#")]
    assert any(words in heading for heading in headings)
    assert page in contents


def test_the_documentation_begins_with_getting_started():
    """A search for it finds a page of that title, which the contents name first."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")

    assert (
        (ROOT / "docs" / "getting_started.md")
        .read_text(encoding="utf-8")
        .startswith("# Getting started")
    )
    assert index.index("getting_started") < index.index("notebooks/*")


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        (["-"] * 35, '35 rows would be merged into 1 profile ("-").'),
        (["-"], '1 row would create 1 profile ("-").'),
        (["-", "-", "n/a", "n/a"], '4 rows would be merged into 2 profiles ("-", "n/a").'),
    ],
)
def test_rows_with_a_placeholder_are_counted_as_profiles(ids, sentence):
    """However many rows have one placeholder, they are one profile; numbers agree with their nouns."""
    plan = pl.DataFrame({"id": [*ids, "u1"]}).cio.identify(user_id="id")
    message = plan.findings.filter(pl.col("code") == "id.placeholder")["message"][0]

    assert message == f'"id" contains a placeholder instead of an identifier. {sentence}'


def test_a_report_is_not_set_as_a_formula():
    """Front ends that draw $...$ as formulas leave reports alone."""
    plan = pl.DataFrame({"id": ["u1"], "total": ["$900"]}).cio.identify(user_id="id")

    first = plan._repr_mimebundle_()["text/html"].partition(">")[0]
    assert 'class="mathjax_ignore tex2jax_ignore"' in first


def test_the_line_of_a_finding_is_whole():
    """A line that is opened for the rest says what is wrong in a whole sentence."""
    people = pl.DataFrame(
        {
            "id": ["u1", "u2"],
            "Accepts Email Marketing": ["no", "yes"],
            "a": [" x", "y"],
            "b": ["$5", "$6"],
            "c": ["nan", "z"],
            "d": ["x", "x"],
        }
    )

    shown = people.cio.identify(user_id="id")._repr_mimebundle_()["text/html"]
    assert "<summary" in shown
    assert "…" not in shown


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
@pytest.mark.parametrize("column", ["Straße", "Имя", "名前", "✓"])
def test_an_error_can_be_printed_in_any_console(encoding, column, monkeypatch):
    """Where standard output lacks characters, errors have their numbers instead of raising."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    frame = pl.DataFrame({column: ["u1"]})
    with pytest.raises(cio.CioError) as caught:
        frame.cio.identify(user_id=f"{column}2")

    monkeypatch.setattr(sys, "stdout", out)
    print(caught.value)
    out.flush()

    written = out.buffer.getvalue().decode(encoding)
    assert "is not a column of this table" in written
    assert (column in written) == (column.encode(encoding, "ignore").decode(encoding) == column)
