"""Error texts of every known format are read, and secrets are removed from them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.sending.http import ERROR_CHARACTERS, Request, Response, error_text, redact


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param({"meta": {"errors": ["a", "b"]}}, "a; b", id="meta-errors"),
        pytest.param({"meta": {"error": "a"}}, "a", id="meta-error"),
        pytest.param({"meta": {"error": "a", "errors": ["b"]}}, "a; b", id="both"),
        pytest.param(
            {"errors": [{"reason": "r", "field": "f", "message": "m"}]}, "r f: m", id="list"
        ),
        pytest.param({"errors": [{"message": "m"}]}, "m", id="message-only"),
        pytest.param({"errors": [{"reason": "r"}]}, "r", id="reason-only"),
        pytest.param(
            {"errors": [{"batch_index": 3, "field": "f", "message": None}]}, "f", id="207"
        ),
        pytest.param({"errors": "a"}, "a", id="text"),
        pytest.param({"error": "a"}, "a", id="top-error"),
        pytest.param({"error": {"message": "a"}}, "a", id="top-object"),
        pytest.param({}, "", id="empty"),
        pytest.param({"meta": {}}, "", id="empty-meta"),
        pytest.param({"errors": []}, "", id="no-errors"),
        pytest.param({"errors": [None, 5, [], {}]}, "", id="nonsense"),
        pytest.param({"meta": "a", "errors": None}, "", id="meta-text"),
        pytest.param(None, "", id="none"),
        pytest.param([1], "", id="list-body"),
        pytest.param("a", "", id="text-body"),
    ],
)
def test_every_error_envelope_is_read(body, text):
    """Each documented shape gives the server's words; anything else gives none."""
    assert error_text(body) == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["meta", "error", "errors", "message", "field", "reason"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_no_body_is_too_strange_to_read(body):
    """Any JSON value gives a text."""
    assert isinstance(error_text(body), str)


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        pytest.param("no ann@example.com here", "no [email] here", id="email"),
        pytest.param('"ann@example.com"', '"[email]"', id="quoted"),
        pytest.param("q=ann%40example.com&x", "q=[email]&x", id="encoded"),
        pytest.param("key K1 and SzE6", "key *** and ***", id="secrets"),
        pytest.param("a\r\n\tb\x00c\u202ed", "a b c d", id="control"),
        pytest.param("  ", "", id="blank"),
        pytest.param("a\ud800b", "a?b", id="half-a-character"),
    ],
)
def test_words_are_scrubbed(text, scrubbed):
    """Keys, addresses and control characters do not come through."""
    assert redact(text, secrets=["K1", "SzE6"]) == scrubbed


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=50))
def test_scrubbed_words_can_be_written_down(text):
    """Whatever a server answers, the error text can be written to any file."""
    assert redact(text).encode().decode() == redact(text)


keys = st.text("abc0123XYZ", min_size=4, max_size=20)


@given(st.text(max_size=2_000), keys)
def test_scrubbed_words_are_short_and_without_the_key(text, key):
    """However long the text and wherever the key, the result is short and does not have it."""
    scrubbed = redact(f"{text}{key}{text}", secrets=[key])

    assert len(scrubbed) <= ERROR_CHARACTERS
    assert key not in scrubbed


def test_scrubbing_a_large_text_is_quick():
    """A megabyte of near-addresses takes less than a twentieth of a second."""
    started = time.thread_time()  # what others do meanwhile does not count
    redact("a@" * 500_000)

    assert time.thread_time() - started < 0.05


def test_bodies_are_not_drawn():
    """Neither a request nor an answer shows payloads when it is drawn."""
    request = Request(api="pipelines", path="/v1/batch", body=b"SECRETROW")
    answer = Response(kind="answer", status=200, json={"x": "SECRETROW"})

    assert "SECRETROW" not in repr(request) + repr(answer)
