"""Column names propose the field that a person would name, and no other."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.spec import CALLS, folded
from cio_frames.spec.fields import spellings

calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@calls
def test_synonyms_propose_one_field(call):
    """No column name proposes two fields of one call."""
    owners: dict[str, tuple[str, ...]] = {}
    for row in call.fields:
        for name in row.synonyms:
            assert owners.setdefault(folded(name), row.path) == row.path, name


@calls
def test_synonyms_are_distinct_and_plain(call):
    """Synonyms are letters and digits in camelCase, snake_case or words, none twice in a row."""
    for row in call.fields:
        assert len(row.synonyms) == len(set(row.synonyms)), row.path
        assert all(
            re.fullmatch(r"[a-z][a-zA-Z0-9]*|[a-z0-9]+([_ ][a-z0-9]+)*", name)
            for name in row.synonyms
        ), row.path


@calls
def test_every_column_argument_has_synonyms(call):
    """A field that one column fills is found by name; objects of many columns are not.

    Neither is the group of an event: a column of groups is nearly always a property of it.
    """
    objects = {"traits", "properties", "fields", "context", "integrations"}
    unnamed = objects | ({"group_id"} if call.name == "track" else set())
    for row in call.fields:
        if row.argument:
            assert bool(row.synonyms) == (row.argument not in unnamed), row.path


@pytest.mark.parametrize(
    ("call", "column", "path"),
    [
        ("identify", "userId", "userId"),
        ("identify", "USER_ID", "userId"),
        ("identify", "user id", "userId"),
        ("identify", "id", "userId"),
        ("identify", "Customer-ID", "userId"),
        ("identify", "uid", "userId"),
        ("identify", "distinct_id", "userId"),
        ("identify", "E-Mail", "traits.email"),
        ("identify", "email_address", "traits.email"),
        ("identify", "mail", "traits.email"),
        ("identify", "created_at", "traits.createdAt"),
        ("identify", "createdAt", "traits.createdAt"),
        ("identify", "ajs_anonymous_id", "anonymousId"),
        ("identify", "utm_source", "context.campaign.source"),
        ("track", "created_at", "timestamp"),
        ("track", "occurred_at", "timestamp"),
        ("track", "eventTime", "timestamp"),
        ("track", "time", "timestamp"),
        ("track", "event_name", "event"),
        ("track", "user_pseudo_id", "anonymousId"),
        ("track", "device_id", "anonymousId"),
        ("track", "domain_userid", "anonymousId"),
        ("track", "context_page_url", "context.page.url"),
        ("track", "$insert_id", "messageId"),
        ("page", "url", "properties.url"),
        ("page", "page_title", "properties.title"),
        ("screen", "screen_name", "name"),
        ("group", "id", "groupId"),
        ("group", "company_id", "groupId"),
        ("group", "object_type_id", "traits.objectTypeId"),
        ("alias", "old_id", "previousId"),
        ("alias", "new_id", "userId"),
        ("form", "email address", "data.email"),
        ("form", "form_id", "formId"),
    ],
)
def test_columns_of_analysts_find_their_field(call, column, path):
    """A usual column name proposes the field a person would name."""
    paths = [row.path for row in CALLS[call].fields if folded(column) in map(folded, row.synonyms)]
    assert paths == [tuple(path.split("."))]


@pytest.mark.parametrize(
    ("call", "column"),
    [
        ("track", "id"),
        ("page", "id"),
        ("screen", "id"),
        ("alias", "id"),
        ("identify", "client_id"),
        ("identify", "device_id"),
        ("identify", "updated_at"),
        ("track", "event_id"),
        ("track", "session_id"),
        ("track", "name"),
    ],
)
def test_columns_that_may_mean_two_things_propose_nothing(call, column):
    """A name that is as often something else is left to the user."""
    assert not [row for row in CALLS[call].fields if folded(column) in map(folded, row.synonyms)]


words = st.lists(st.from_regex(r"[a-z][a-z0-9]*", fullmatch=True), min_size=1, max_size=4)


@given(words)
def test_all_spellings_of_a_phrase_fold_alike(parts):
    """However a phrase is spelled or shouted, it is the same name."""
    names = spellings(" ".join(parts))
    assert {folded(name) for name in names} == {"".join(parts)}
    assert {folded(name.upper()) for name in names} == {"".join(parts)}


@pytest.mark.parametrize(
    ("name", "plain"),
    [("User ID", "userid"), ("e-mail", "email"), ("$Insert_Id", "insertid"), ("Größe", "grösse"), ("\uff29\uff24", "id"), ("_", "")],
)  # fmt: skip
def test_folding_drops_case_and_punctuation(name, plain):
    """Only letters and digits are compared, full-width ones as plain ones."""
    assert folded(name) == plain
