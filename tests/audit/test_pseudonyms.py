"""Identifiers leave no trace in the record unless the user asks for them."""

import stat
import traceback
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.audit import Audit
from cio_frames.audit.pseudonyms import fingerprint, key, pseudonyms, redacted, require_key
from cio_frames.errors import AuditError

KEY, OTHER = "a" * 64, "b" * 64
PEOPLE = pl.Series("person", ["ada@example.com", "bob", None, "ada@example.com"])


def test_the_same_key_gives_the_same_pseudonym():
    """One person has one pseudonym in every run; a row without a person has none."""
    first, second, third, fourth = pseudonyms(PEOPLE, pii="hmac", key=KEY)

    assert first == fourth == pseudonyms(PEOPLE, pii="hmac", key=KEY)[0]
    assert first != second
    assert third is None


@given(people=st.lists(st.none() | st.sampled_from("abc") | st.text(max_size=3), max_size=30))
def test_who_comes_again_changes_nothing(people):
    """Each person has the pseudonym it has alone, however many of the rows are about how few."""
    alone = [
        pseudonyms(pl.Series([person], dtype=pl.String), pii="hmac", key=KEY)[0]
        for person in people
    ]

    assert pseudonyms(pl.Series(people, dtype=pl.String), pii="hmac", key=KEY).to_list() == alone


def test_another_key_gives_another_pseudonym():
    """Without the key a pseudonym cannot be matched."""
    ours, theirs = (pseudonyms(PEOPLE, pii="hmac", key=each) for each in (KEY, OTHER))

    assert set(ours.drop_nulls()).isdisjoint(theirs.drop_nulls())


def test_a_key_that_does_not_fit_is_not_in_the_traceback(monkeypatch, tmp_path):
    """The error of a record with another key shows no key, even with local variables."""
    monkeypatch.setenv("CIO_AUDIT_KEY", KEY)

    with pytest.raises(AuditError, match="another key") as caught:
        require_key(fingerprint(OTHER), where=tmp_path)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert KEY not in str(shown.stack[-1].locals)


@pytest.mark.parametrize(
    ("pii", "kept"),
    [pytest.param("ids", [None] * 4, id="ids"), pytest.param("full", PEOPLE.to_list(), id="full")],
)
def test_the_other_modes_keep_nothing_or_all(pii, kept):
    """Mode "ids" keeps no trace of the person, "full" the identifier itself."""
    assert pseudonyms(PEOPLE, pii=pii, key=None).to_list() == kept


@pytest.mark.parametrize("pii", ["hmac", "ids"])
def test_no_identifier_is_in_any_file(begin, info, make_segment, make_scripted_run, pii):
    """Of 1,000 e-mail addresses none is in any file, neither during the run nor after it."""
    writer = begin(info=replace(info, pii=pii))
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(*[1] * 20, 480), rejected=500)
    scripted.plan(made)
    for batch in made.batches[:20]:
        scripted.attempt(batch)
        who = f"person{batch.rows[0]}@example.com"
        error = f"user {who} / {who.upper()} is not valid"
        scripted.finish(batch, "rejected_server", status=400, code="answer.400", error=error)
    files = [path for path in writer.directory.rglob("*") if path.is_file()]
    writer.close()
    files += [path for path in writer.directory.rglob("*") if path.is_file()]

    whole = b"".join(path.read_bytes() for path in files if path.exists()).lower()
    table = Audit(writer.directory).messages.write_csv().encode().lower()
    assert [n for n in range(1000) if b"person%d@" % n in whole + table] == []
    assert b"<person>" in table


def test_full_keeps_the_identifier(begin, info, make_segment, make_scripted_run):
    """On request the identifiers are kept as they are."""
    writer = begin(info=replace(info, pii="full"))
    make_scripted_run(writer).plan(make_segment(0, first=0, sizes=(2,)))
    writer.close()

    assert Audit(writer.directory).messages["person_key"].to_list() == [
        "person0@example.com",
        "person1@example.com",
    ]


@pytest.mark.parametrize(
    ("text", "person", "left"),
    [
        pytest.param("u-12 is unknown", "u-12", "<person> is unknown", id="identifier"),
        pytest.param("see a.b+c@d.example, twice", None, "see <email>, twice", id="address"),
        pytest.param("x" * 900, "x", "x" * 300, id="long-and-short-identifier"),
        pytest.param(None, "u-12", None, id="nothing"),
    ],
)
def test_errors_are_redacted(text, person, left):
    """The words of an error are kept without the person they are about."""
    table = pl.DataFrame({"t": [text], "p": [person]}, schema={"t": pl.String, "p": pl.String})

    assert table.select(redacted(pl.col("t"), person=pl.col("p"))).item() == left


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path):
    """Without a key one is made, kept as 0600, and found again."""
    made = key(environ={}, directory=tmp_path / "data")

    assert made == key(environ={}, directory=tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data" / "audit.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["audit.key"]


def test_a_key_from_the_environment_is_used(tmp_path: Path):
    """CIO_AUDIT_KEY takes precedence over the stored key, and no file is written then."""
    assert key(environ={"CIO_AUDIT_KEY": KEY.upper()}, directory=tmp_path) == KEY
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["", "short", "g" * 64, "a" * 63])
def test_the_error_of_a_malformed_key_does_not_contain_it(given: str):
    """A key that is none is an error that does not repeat it."""
    with pytest.raises(AuditError, match="64 hexadecimal") as error:
        key(environ={"CIO_AUDIT_KEY": given})

    assert not given or given not in str(error.value)


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path):
    """Where the key cannot be kept, the error names the way out."""
    (tmp_path / "file").write_text("")

    with pytest.raises(AuditError, match="Set CIO_AUDIT_KEY"):
        key(environ={}, directory=tmp_path / "file")


def test_the_name_of_a_key_does_not_reveal_it():
    """run.json names the key by a hash, different for different keys."""
    assert fingerprint(KEY) != fingerprint(OTHER)
    assert fingerprint(KEY) not in KEY
