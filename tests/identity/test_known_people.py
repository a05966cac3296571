"""An export of people: any spelling of its columns, identifiers as text; and keys of identifiers."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_frames.errors import MappingError
from cio_frames.identity import Model, Settings
from cio_frames.identity.identifiers import address, identifier_of, mail_key, person_key
from cio_frames.identity.known_people import export_rows, normalize_export


def test_identifiers_become_text():
    """Numbers, decimals and padded texts are the ids they stand for; empty ones are none."""
    people = pl.DataFrame({"ID": [7.0, None], "Email": [" a@x.co ", ""], "cio_id": [None, "c1"]})

    exported = normalize_export(people)

    assert exported.rows() == [("7", "a@x.co", None, []), (None, None, "c1", [])]


def test_anonymous_ids_come_from_both_columns():
    """A list and a single value are one list without repeats."""
    people = pl.DataFrame({"id": ["u1"], "anonymous_id": ["v1"], "anonymous_ids": [["v0", "v1"]]})

    assert normalize_export(people)["anonymous_ids"].to_list() == [["v0", "v1"]]


def test_an_export_without_identifiers_is_refused():
    """A table that names nobody cannot be known people; the error lists its columns."""
    with pytest.raises(MappingError, match="name, plan"):
        normalize_export(pl.DataFrame({"name": ["Ada"], "plan": ["pro"]}))


def test_an_export_loads_into_the_model():
    """Attributes come as text or as they are, and times of creation are kept."""
    people = pl.DataFrame({
        "id": ["u1"], "created_at": ["2024-01-01T00:00:00Z"], "attributes": ['{"plan": "pro"}'],
        "anonymous_id": ["v1"],
    })  # fmt: skip
    model = Model()

    model.load(export_rows(normalize_export(people)))

    person = model.people()[0]
    assert person["attributes"] == {"plan": "pro"}
    assert person["created_at"] == 1704067200
    assert person["anonymous_ids"] == ["v1"]


references = st.one_of(
    st.sampled_from(
        ["u1", "U1", "a@b.co", "A@B.CO", "cio_1", "a@b", "+49 30", "ſ@b.co", "a@b.co\n"]
    ),
    st.text(min_size=1, max_size=12),
    st.emails(),
)


@settings(deadline=None)
@given(references, references)
def test_equal_keys_are_equal_people(one, other):
    """Two references have one key exactly if the model takes them for the same identifier."""
    frame = pl.DataFrame({"user": [one, other]})
    keys = frame.select(person_key("user"))["user"]

    addresses = [address(value, settings=Settings()) for value in (one, other)]

    assert (keys[0] == keys[1]) == (addresses[0].key == addresses[1].key)


@settings(deadline=None)
@given(st.emails())
def test_a_key_reads_as_its_identifier(email):
    """A name without its kind is what a reader knows."""
    key = pl.DataFrame({"email": [email]}).select(mail_key("email"))["email"][0]

    assert identifier_of(key) == email.lower()
