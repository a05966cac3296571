"""CSV files as people have them: which table each is, by Python's csv module, or why it is refused."""

import csv
import io
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import ChoiceError, InputFileError
from cio_frames.frames import Table, read, scan
from cio_frames.frames.csv_quotes import quotes_of
from cio_frames.frames.encodings import likely_encodings


def scanned(tmp_path: Path, content: str | bytes, **options: Any) -> Table:
    """Write a file, scan and read it."""
    path = tmp_path / "people.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read(scan(path, **options))


def texts(table: Table) -> list[tuple[str | None, ...]]:
    """Return the rows as the file has them."""
    return table.lazy.cast(pl.String).collect().rows()


def by_csv(content: str, **options: Any) -> list[tuple[str | None, ...]]:
    """Return the rows below the header by Python's csv module, empty cells as None."""
    rows = list(csv.reader(io.StringIO(content, newline=""), **options))
    return [tuple(cell or None for cell in row) for row in rows[1:]]


def notes(table: Table) -> dict[str, str]:
    """Return the notes about the file, except those about types."""
    return {note.code: note.message for note in table.notes if note.code != "file.text-columns"}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('id,x\nu1,5" pipe\nu2,b\nu3,6" pipe\n', id="inches-unquoted"),
        pytest.param('id,x\nu1,5" pipe\nu2,"b, c"\nu3,6" pipe\n', id="inches-beside-quoted"),
        pytest.param('id,x\nu1,"a ""12"" pizza"\nu2,"x\ny"\n', id="doubled"),
        pytest.param('id,x\r\nu1,"a"\r\nu2,"b"\r\n', id="crlf"),
        pytest.param('\ufeff"id","x"\nu1,"a"\n', id="mark-before-quote"),
        pytest.param('id,x\nu1,a"\nu2,"b"', id="no-last-line-end"),
        pytest.param('id,x\nu1,C:\\dir\\\nu2,"D:\\"\n', id="backslash-at-the-end"),
        pytest.param('id,x\nu1,\'tis "so"\n', id="apostrophe"),
    ],
)
def test_quotes_are_read_as_the_csv_module_reads_them(tmp_path, content):
    """Quotes around values, doubled inside them, or as text of unquoted values give csv's table."""
    assert texts(scanned(tmp_path, content)) == by_csv(content.removeprefix("\ufeff"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(
            'id,x\nu1,"a 12" pizza"\nu2,b\nu3,"a 14" pizza"\n', "line 2 has a double", id="pizza"
        ),
        pytest.param(
            "id,x\n" + "u1,b\n" * 90_000 + 'u2,"a 12" pizza"\nu3,b\nu4,"a 14" pizza"\n',
            "line 90,002 has a double quote",
            id="far-behind",
        ),
        pytest.param('id,x\nu1,"b\nu2,c\nu3,"d"\n', "after line 1 a double quote", id="not-closed"),
        pytest.param('id,x\nu1, "a, b"\n', "line 2 .*Remove the space", id="space-before"),
    ],
)
def test_a_quote_out_of_place_is_refused_with_its_line(tmp_path, content, words):
    """No row is swallowed: a quote inside a quoted value that is not doubled ends the reading."""
    with pytest.raises(InputFileError, match=words):
        scanned(tmp_path, content)


BACKSLASHED = 'id,x\nu1,"say \\"hi\\", Ann"\nu2,"5\\" pipe"\nu3,"a \\\\ b"\nu4,\n'


@pytest.mark.parametrize("dialect", [None, "backslash"])
def test_quotes_after_a_backslash_are_a_dialect(tmp_path, dialect):
    """Escaped quotes are recognised or asked for, read as csv reads them, and reported if not asked for."""
    table = scanned(tmp_path, BACKSLASHED, dialect=dialect)

    assert texts(table) == by_csv(BACKSLASHED, escapechar="\\")
    assert ("file.backslash" in notes(table)) == (dialect is None)


def test_a_backslash_that_escapes_nothing_is_kept(tmp_path):
    """A path in a file of that dialect keeps its backslashes."""
    table = scanned(tmp_path, BACKSLASHED + 'u5,"C:\\temp"\n')

    assert texts(table)[-1] == ("u5", "C:\\temp")


def test_the_dialect_is_the_users_word(tmp_path):
    """A file with escaped quotes is refused as RFC 4180, and a dialect that there is not as well."""
    with pytest.raises(InputFileError, match="line 2 has a double quote"):
        scanned(tmp_path, BACKSLASHED, dialect="rfc4180")
    with pytest.raises(ChoiceError, match="rfc4180"):
        scanned(tmp_path, BACKSLASHED, dialect="excel")


def test_a_file_whose_head_is_plain_may_escape_quotes_far_behind(tmp_path):
    """The dialect is recognised by the whole file, not by its start."""
    content = "id,x\n" + "u1,b\n" * 90_000 + 'u2,"5\\" pipe"\n'

    assert texts(scanned(tmp_path, content))[-1] == ("u2", '5" pipe')


VALUE = r'(?:"(?:[^"]|"")*"|[^",\n]*)'
RECORD = rf"{VALUE}(?:,{VALUE})*"
RFC_4180 = re.compile(rf"{RECORD}(?:\r?\n{RECORD})*")


@pytest.mark.parametrize("seed", range(20))
def test_quotes_are_in_place_where_the_grammar_of_the_rfc_has_them(seed):
    """However a text is cut into blocks, its quotes are in place if the grammar of RFC 4180 takes it."""
    draw = random.Random(seed)
    for _ in range(200):
        text = "".join(draw.choices(['"', '""', ",", "\n", "a", "\r\n"], k=draw.randint(0, 12)))
        raw, size = text.encode(), draw.randint(1, 5)
        blocks = [raw[place : place + size] for place in range(0, len(raw), size)]

        assert quotes_of(blocks, ",").in_place == bool(RFC_4180.fullmatch(text)), repr(text)


@pytest.mark.parametrize(
    ("content", "code", "line", "names", "rows"),
    [
        pytest.param("People of May\n\nid,name\nu1,Ann\n", "file.preamble", "line 1 ", ["id", "name"], [("u1", "Ann")], id="title"),
        pytest.param("People of May\nid,name,n\nu1,Ann,2\n", "file.preamble", "line 1 ", ["id", "name", "n"], [("u1", "Ann", "2")], id="title-no-gap"),
        pytest.param("Report;;;\nPeriod;May;;\nid;name;city;n\nu1;Ann;Rome;2\nu2;Bob;Bonn;3\n", "file.preamble", "lines 1 to 2 ", ["id", "name", "city", "n"], [("u1", "Ann", "Rome", "2"), ("u2", "Bob", "Bonn", "3")], id="padded-preamble"),
        pytest.param("# made by a tool\nid,name\nu1,Ann\n", "file.preamble", "line 1 ", ["id", "name"], [("u1", "Ann")], id="hash"),
        pytest.param("u1,ann@example.com\nu2,bob@example.com\n", "file.no-header", "first line", ["column_1", "column_2"], [("u1", "ann@example.com"), ("u2", "bob@example.com")], id="no-header"),
        pytest.param("1,Ann\n2,Bob\n", "file.no-header", "first line", ["column_1", "column_2"], [("1", "Ann"), ("2", "Bob")], id="no-header-numbers"),
        pytest.param('When,Q1\nStart,"How, so?"\n"{""ImportId"":""a""}","{""ImportId"":""b""}"\n2024-01-01,4\n', "file.header-rows", "lines 1 to 3 ", ["When", "Q1"], [("2024-01-01", "4")], id="qualtrics"),
        pytest.param('Respondent ID,"What, then?",,\n,Tea,Rum,Other\n1,Tea,,\n2,,Rum,\n', "file.header-rows", "lines 1 to 2 ", ["Respondent ID", "What, then? - Tea", "What, then? - Rum", "What, then? - Other"], [("1", "Tea", None, None), ("2", None, "Rum", None)], id="surveymonkey"),
        pytest.param("Respondent ID,Why?\n,Open-Ended Response\n1,So\n2,No\n", "file.header-rows", "lines 1 to 2 ", ["Respondent ID", "Why?"], [("1", "So"), ("2", "No")], id="surveymonkey-open"),
        pytest.param("id,weight\n,[kg]\nu1,2\nu2,3\nu3,4\n", "file.units", "line 2 ", ["id", "weight"], [("u1", "2"), ("u2", "3"), ("u3", "4")], id="units"),
        pytest.param("id,name,\nu1,Ann,\nu2,Bob,\n", "file.trailing-separators", "each line", ["id", "name"], [("u1", "Ann"), ("u2", "Bob")], id="trailing"),
        pytest.param("id,name\nu1,Ann,\nu2,Bob,\n", "file.trailing-separators", "each line", ["id", "name"], [("u1", "Ann"), ("u2", "Bob")], id="trailing-rows"),
        pytest.param("id,name,n\nu1,Ann,1\nu2,Bob,2\nTotal,,3\n", "file.footer", "line 4", ["id", "name", "n"], [("u1", "Ann", "1"), ("u2", "Bob", "2")], id="total"),
        pytest.param("id,name,n\nu1,Ann,1\n\n(1 row affected)\n", "file.footer", "line 4", ["id", "name", "n"], [("u1", "Ann", "1")], id="closing-line"),
        pytest.param("id,name,n\nu1,Ann,1\n\nContacts & Accounts\nCopyright (c) 2024 a company\nAcme\n", "file.footer", "line 6", ["id", "name", "n"], [("u1", "Ann", "1")], id="report-about-itself"),
        pytest.param("u0,Ann,pro\nu1,Bob,free\nu2,Ann,pro\n", "file.no-header", "first line", ["column_1", "column_2", "column_3"], [("u0", "Ann", "pro"), ("u1", "Bob", "free"), ("u2", "Ann", "pro")], id="no-header-values-recur"),
        pytest.param("id,n\nu1,1\nid,n\nu2,2\n", "file.header-repeated", "line 3 ", ["id", "n"], [("u1", "1"), ("u2", "2")], id="repeated"),
        pytest.param("id,n\nu1,1\n\ufeffid,n\nu2,2\n", "file.header-repeated", "line 3 ", ["id", "n"], [("u1", "1"), ("u2", "2")], id="repeated-with-mark"),
    ],
)  # fmt: skip
def test_where_the_table_begins_and_ends_is_reported(tmp_path, content, code, line, names, rows):  # noqa: PLR0917 - a table of cases
    """What is no row of the table is recognised by its form, left out, and reported with its line."""
    table = scanned(tmp_path, content)

    assert table.schema().names() == names
    assert texts(table) == rows
    assert line in notes(table)[code]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("country,2020,2021\nde,1,2\nfr,3,4\n", id="years-as-names"),
        pytest.param("id,email\nu1,ann@example.com\n", id="header-above-addresses"),
        pytest.param("name,city\nAnn,Rome\nBob,Bonn\n", id="words-only"),
        pytest.param("id,name,note\nu1,,\nu2,,x\n", id="mostly-empty"),
        pytest.param("id,unit\nu1,kg\nu2,kg\nu3,m\n", id="units-as-values"),
        pytest.param("name\nAnn\nBob\n", id="one-column"),
        pytest.param("company,city\nAcme,Rome\nTotalEnergies,Paris\n", id="total-in-a-name"),
        pytest.param("{{id}},[name]\nu1,Ann\n", id="braces-in-names"),
        pytest.param("\n\nid,name\nu1,Ann\n", id="blank-lines-first"),
        pytest.param("id,Tea,Rum\nu1,Tea,\nu2,,Rum\n", id="choices-as-names"),
        pytest.param("sep=;\nid;name\nu1;Ann, B\n", id="excel-separator-line"),
    ],
)
def test_ordinary_tables_are_read_whole_and_without_a_word(tmp_path, content):
    """Where nothing is recognised, nothing is reported, and each line is a row."""
    table = scanned(tmp_path, content)

    plain = content.removeprefix("sep=;\n").lstrip("\n")
    expected = by_csv(plain, delimiter=";" if plain != content and ";" in plain else ",")
    assert (texts(table), notes(table)) == (expected, {})


def test_a_last_row_that_may_be_a_total_is_kept_and_reported(tmp_path):
    """A row named Total that lacks nothing is read as a row, with a word about it."""
    table = scanned(tmp_path, "company,n\nAcme,1\nTotal,3\n")

    assert texts(table) == [("Acme", "1"), ("Total", "3")]
    assert "line 3" in notes(table)["file.footer"]


@pytest.mark.parametrize(
    ("content", "options", "names", "rows"),
    [
        pytest.param("u1,Ann\n", {"header": False, "columns": ["id", "name"]}, ["id", "name"], [("u1", "Ann")], id="columns"),
        pytest.param("a,b\nu1,Ann\n", {"columns": ["id", "name"]}, ["id", "name"], [("u1", "Ann")], id="other-names"),
        pytest.param("x\nid,name\nu1,Ann\n", {"skip_rows": 1}, ["id", "name"], [("u1", "Ann")], id="skip-rows"),
        pytest.param("1,Ann\n2,Bob\n", {"header": True}, ["1", "Ann"], [("2", "Bob")], id="header"),
        pytest.param("a,a\nx,y\n1,2\n", {"header": 2}, ["a - x", "a - y"], [("1", "2")], id="header-rows"),
        pytest.param('#x\nid,name\nu1,Ann\n#y\nu2,"a\n#z"\n', {"comment": "#"}, ["id", "name"], [("u1", "Ann"), ("u2", "a\n#z")], id="comment"),
        pytest.param("id,n\n#x\nu1,é\n".encode("cp1252"), {"comment": "#", "encoding": "cp1252"}, ["id", "n"], [("u1", "é")], id="comment-recoded"),
        pytest.param("u1\nu2,Ann\n", {"header": False, "columns": ["id", "name"]}, ["id", "name"], [("u1", None), ("u2", "Ann")], id="short-first-row"),
        pytest.param("id,weight\n,[kg]\nu1,2\nu2,3\nu3,4\n", {"header": 1}, ["id", "weight"], [(None, "[kg]"), ("u1", "2"), ("u2", "3"), ("u3", "4")], id="units-kept"),
        pytest.param("id\nu1,Ann\n", {"header": 1, "columns": ["id", "name"]}, ["id", "name"], [("u1", "Ann")], id="short-header"),
    ],
)  # fmt: skip
def test_where_the_table_begins_is_the_users_word(tmp_path, content, options, names, rows):
    """`header`, `skip_rows`, `columns` and `comment` go before what lines look like."""
    table = scanned(tmp_path, content, **options)

    assert (table.schema().names(), texts(table)) == (names, rows)


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        pytest.param("Title\nname,city\nAnn,Rome\nBob,Bonn\n", {}, "line 2 has 2 fields.*pass skip_rows=1", id="title-over-words"),
        pytest.param("a,b\n" + "u1,Ann\n" * 300 + "u2,Bob,x\n", {}, "line 302 has 3 fields.*in double quotes", id="long-row"),
        pytest.param("a,b\n" + "u1,Ann,\n" * 300 + "u2,Bob,x\n", {}, "line 302 has 3 fields", id="value-after-trailing"),
        pytest.param("\n \n\n", {"skip_rows": 2}, "no text where", id="no-text"),
        pytest.param("a,b\n1,2\n", {"columns": ["x"]}, "has 2 columns, and columns= names 1", id="too-few-names"),
        pytest.param("<!DOCTYPE html><html><title>Log in</title>", {}, "is an HTML page .'Log in'.", id="html"),
        pytest.param("\ufeff <table><tr><td>id", {}, "is an HTML page", id="html-table"),
        pytest.param('{"error": "no such export", "status": 404}', {}, "JSON with 'error', 'status'.*server", id="json-error"),
        pytest.param('[{"id": "u1"}]', {}, "is JSON, not CSV. Rename", id="json"),
        pytest.param("<?xml version='1.0'?><Error/>", {}, "is an XML document", id="xml"),
        pytest.param(b"%PDF-1.7", {}, "is a PDF file", id="pdf"),
        pytest.param("id,όνομα\n1,Γιώργος\n".encode("cp1253"), {}, "'όνομα Γιώργος' as encoding=\"cp1253\"", id="greek"),
        pytest.param("id,name\n1,Jörg\n".encode("mac_roman"), {}, "'Jörg' as encoding=\"mac_roman\"", id="mac"),
    ],
)  # fmt: skip
def test_files_that_are_no_table_say_what_they_are(tmp_path, content, options, words):
    """A refusal names the line or the kind of the file, and what to do."""
    with pytest.raises(InputFileError, match=words):
        scanned(tmp_path, content, **options)


NAMES = {
    "greek": "Όνομα,Πόλη\n1,Γιώργος Παπαδόπουλος,Αθήνα\n2,Ελένη Δημητρίου,Θεσσαλονίκη\n",
    "russian": "имя,город\n1,Иван Петров,Москва\n2,Ольга Смирнова,Казань\n",
    "taiwanese": "姓名,城市\n1,陳大文,台北市\n2,林小美,高雄市\n",
    "chinese": "姓名,城市\n1,王小明,北京市\n2,李丽丽,上海市\n",
    "japanese": "名前,都市\n1,山田たろう,東京都\n2,鈴木ハナコ,大阪府\n",
    "korean": "이름,도시\n1,김철수,서울특별시\n2,이영희,부산광역시\n",
    "german": "id,name,city\n1,Jörg Müller,Köln\n2,Käthe Weiß,Münster\n",
    "french": "id,name,city\n1,Zoé Lefèvre,Orléans\n2,François Béranger,Besançon\n",
    "one": "id,name,city\n1,Ann Lee,Paris\n2,Zoé Martin,Lyon\n",
    "spanish": "id,name,city\n1,José Núñez,Málaga\n2,Íñigo Peña,Cádiz\n",
    "polish": "id,name,city\n1,Łukasz Wiśniewski,Łódź\n2,Małgorzata Żak,Kraków\n",
    "czech": "id,name,city\n1,Jiří Dvořák,Plzeň\n2,Božena Nováčková,České Budějovice\n",
    "turkish": "id,name,city\n1,Ayşe Yılmaz,İstanbul\n2,Çağrı Öztürk,Diyarbakır\n",
    "hebrew": "שם,עיר\n1,יעקב כהן,תל אביב\n2,רחל לוי,ירושלים\n",
}
WRITTEN = [
    *(("greek", encoding) for encoding in ("cp1253", "iso8859_7", "mac_greek")),
    *(("russian", encoding) for encoding in ("cp1251", "koi8_r", "cp866", "mac_cyrillic")),
    *(("german", encoding) for encoding in ("cp1252", "mac_roman", "cp850")),
    *(("french", encoding) for encoding in ("cp1252", "mac_roman", "cp850")),
    *(("spanish", encoding) for encoding in ("cp1252", "mac_roman", "cp850")),
    *(("one", encoding) for encoding in ("cp1252", "mac_roman")),
    *(("polish", encoding) for encoding in ("cp1250", "iso8859_2")),
    ("czech", "cp1250"), ("turkish", "cp1254"), ("hebrew", "cp1255"), ("taiwanese", "big5"), ("chinese", "gb18030"),
    ("japanese", "cp932"), ("japanese", "euc_jp"), ("korean", "cp949"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "encoding"), WRITTEN)
def test_the_first_encoding_named_gives_the_text_back(language, encoding):
    """Names of people and places are read right in the encoding that is found likeliest."""
    raw = NAMES[language].encode(encoding)

    assert raw.decode(likely_encodings(raw)[0]) == NAMES[language]


def test_an_encoding_that_is_uncertain_is_among_those_shown():
    """Czech in ISO 8859-2 looks much like Windows-1250, and both are shown."""
    raw = NAMES["czech"].encode("iso8859_2")

    assert "iso8859_2" in likely_encodings(raw)[:2]


def test_quoted_empty_cells_leave_traits_alone(tmp_path):
    """In an export that quotes all cells, an empty one is none, and no column's type depends on it."""
    path = tmp_path / "people.csv"
    path.write_text('"id","phone","seats"\n"u1","",""\n"u2","+4915112345678","3"\n')

    plan = cio.frame(scan(path)).identify(user_id="id")

    assert [message.get("traits", {}) for message in plan.payloads(2)] == [
        {},
        {"phone": "+4915112345678", "seats": 3},
    ]


def test_names_that_scan_made_are_no_left_overs(tmp_path):
    """A file without a header has no finding about columns left over from an export."""
    path = tmp_path / "people.csv"
    path.write_text("u1,ann@example.com\nu2,bob@example.com\n")

    plan = cio.frame(scan(path)).identify(user_id="column_1")

    assert "column.left-over" not in set(plan.findings["code"])


def emptied(plan: Any) -> Sequence[tuple[str, str]]:
    """Return the code and column of the findings about empty texts."""
    codes = ("value.empty", "trait.emptied")
    return [
        (row["code"], row["column"])
        for row in plan.findings.iter_rows(named=True)
        if row["code"] in codes
    ]


def test_empty_texts_in_frames_are_reported_and_repaired():
    """A blank of a frame is a warning where Customer.io acts on the attribute, and a repair empties it."""
    frame = pl.DataFrame({"id": ["u1"], "phone": [""], "plan": [""]})

    plan = frame.cio.identify(user_id="id")
    alone = plan.fix("trait.emptied")

    assert emptied(plan) == [("trait.emptied", "phone"), ("value.empty", "plan")]
    assert [message.get("traits", {}) for message in alone.payloads(1)] == [{"plan": ""}]
    assert [message.get("traits", {}) for message in plan.fix("value.empty").payloads(1)] == [{}]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [pytest.param("M√ºller", "Müller", id="mac"), pytest.param("MÃ¼ller", "Müller", id="windows")],
)
def test_misread_text_is_found_and_repaired(wrong, right):
    """UTF-8 that was read as Mac Roman or as Windows-1252 is reported, and its repair restores the letters."""
    plan = pl.DataFrame({"id": ["u1"], "name": [wrong]}).cio.identify(user_id="id")

    assert "text.mojibake" in set(plan.findings["code"])
    assert plan.fix("text.mojibake").payloads(1)[0]["traits"] == {"name": right}


def test_files_with_other_titles_are_one_table(tmp_path):
    """Files of one layout are read together, whatever stands before their tables."""
    (tmp_path / "a.csv").write_text("Report of May\n\nid,name\nu1,Ann\n")
    (tmp_path / "b.csv").write_text('id,name\nu2,5" pipe\nu3,"Bob"\n')
    (tmp_path / "c.csv").write_text("id,name\nu4,\nTotal rows: 1,\n")

    table = read(scan(tmp_path / "*.csv"))

    assert texts(table)[:4] == [("u1", "Ann"), ("u2", '5" pipe'), ("u3", "Bob"), ("u4", None)]


@pytest.mark.parametrize(
    ("name", "cells", "dtype"),
    [
        pytest.param("build", ["3.1", "3.10", "3.9"], pl.String, id="versions"),
        pytest.param("app_version", ["3.10", "3.11"], pl.String, id="versions-by-name"),
        pytest.param("price", ["9.90", "10.00", "-0.50", "0"], pl.Float64, id="prices"),
        pytest.param("price", ["9.90", "10", "10.50"], pl.String, id="prices-of-two-writings"),
        pytest.param("score", ["1.0", "2.0", "10.0"], pl.Float64, id="one-place"),
        pytest.param("score", ["1", "2.5", "0.25"], pl.Float64, id="no-zero-at-the-end"),
        pytest.param("count", ["10", "20", "100"], pl.Int64, id="integers"),
        pytest.param("build", [*["3"] * 1_500, "3.1", "3.10"], pl.String, id="versions-late"),
    ],
)
def test_a_column_is_numbers_where_they_give_the_text_back(name, cells, dtype, tmp_path):
    """Decimals become numbers only if a zero at their end has no meaning; otherwise a note says so."""
    path = tmp_path / "a.csv"
    path.write_text(
        "\n".join([f"id,{name}", *(f"u{row},{cell}" for row, cell in enumerate(cells))])
    )
    table = read(cio.scan(path))

    assert table.schema()[name] == dtype
    messages = [note.message for note in table.notes if note.code == "file.uneven-decimals"]
    assert len(messages) == (dtype == pl.String and name != "app_version")
    assert all(f": {name}." in message for message in messages)
    assert read(cio.scan(path, types={name: pl.Float64})).schema()[name] == pl.Float64


@pytest.mark.parametrize("stray", ["abc", "1E5", "$5", " 5", "12 or so"])
def test_a_cell_that_makes_text_of_numbers_is_reported(stray, tmp_path):
    """The one cell is named by its row and what is in it, and not in a column of codes."""
    path = tmp_path / "a.csv"
    cells = [*(str(3 * row) for row in range(1_500)), stray, "7"]
    rows = [f"u{row},{cell},{cell}" for row, cell in enumerate(cells)]
    path.write_text("\n".join(["id,amount,order_number", *rows]))

    findings = cio.scan(path).cio.identify(user_id="id").findings
    stray_cells = findings.filter(pl.col("code") == "column.stray-text").select(
        "row", "column", "value"
    )

    assert stray_cells.rows() == [(1_500, "amount", stray)]
    assert "column.numbers-as-text" not in findings["code"]
