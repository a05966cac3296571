"""Prefilters: what saves testing most rows must never hide a finding."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.checks.identifiers import UNKNOWN_CUSTOMERS
from cio_frames.spec import SEMANTIC_EVENTS
from cio_frames.validation import check, compile_checks
from cio_frames.validation.compiled import CompiledCheck, passes_prefilters
from cio_frames.values.patterns import PLACEHOLDERS

TELLING = (
    *UNKNOWN_CUSTOMERS, *PLACEHOLDERS, *SEMANTIC_EVENTS, " User Deleted ", "uSer deleted", "un\u212anown",
    "123.0", "-7", "1e+05", "-1.5E10", "true", "FALSE", "ann@", "a@b.example", "mailto:a@b.example", "<a@b.example>", "'a@b.example' ", "no email", "\u0430nn@b.example",
    "2024-01-02", "2024-13-45", "2024-01-02 10:11", " 3/4/2024", "31.12.99  ", '{"a": 1}', "[1, 2]", "=1+1",
    "<b>", "&amp;", "Ã¤", "x\u200b", "\u00a0x", "x ", "4111 1111 1111 1111", "078-05-1120",
    "DE89370400440532013000", "AKIAIOSFODNN7EXAMPLE",
    '="00123"', "'0012", "{{id}}", "#REF!", r"\N", "#WERT!", "(none)", "*|EMAIL|*", "’0012",
    "756.9217.0769.85", "a\u202eb", "a\x07b", "a\ufffdb",
)  # fmt: skip
texts = st.one_of(
    st.sampled_from(TELLING),
    st.text("0123456789aeEtTnNk@.-/_ \t\u00a0é\u212a\u017f{<=+&[", max_size=12),
    st.builds("{}{}".format, st.sampled_from(TELLING), st.sampled_from(("", " ", "\n", "x"))),
)


def asked_of(
    frame: pl.DataFrame, call: str, **asked: str
) -> tuple[pl.DataFrame, list[CompiledCheck]]:
    """Return the prepared rows of a frame, and its tests."""
    plan = getattr(cio.frame(frame), call)(**asked)
    (chunk,) = plan.pipeline.table.chunks()
    return plan.pipeline.mapping.prepare(chunk), compile_checks(
        plan.pipeline.applied, scope=plan.pipeline.scope()
    )


def failing_rows(prepared: pl.DataFrame, tests: list[CompiledCheck]) -> pl.DataFrame:
    """Return what the tests find, in one order."""
    return check(prepared, tests=tests, raw=prepared).findings.sort(
        "row", "code", "column", "value"
    )


@pytest.mark.parametrize("call", ["track", "identify"])
@settings(max_examples=30)  # of more rows: each costs the compiling of all checks
@given(rows=st.lists(st.tuples(texts, texts, texts), min_size=20, max_size=80))
def test_a_prefilter_hides_nothing(call, rows):
    """With all prefilters open, the checks find what they find with them, not more and not less."""
    frame = pl.DataFrame(
        {
            "id": [row[0] for row in rows],
            "name": [row[1] for row in rows],
            "note": [row[2] for row in rows],
            "email": [row[1] for row in rows],
            "list": [[row[1], None, row[2]] for row in rows],
            "struct": [{"a": row[2], "b": row[0]} for row in rows],
        }
    )
    asked = {"event": "name"} if call == "track" else {}
    prepared, tests = asked_of(frame, call, user_id="id", **asked)

    opened = [replace(test, predicate=replace(test.predicate, prefilter=None)) for test in tests]

    assert any(test.predicate.prefilter for test in tests)
    assert failing_rows(prepared, tests).equals(failing_rows(prepared, opened))


def test_the_examples_reach_every_prefilter():
    """Each check with a prefilter finds something among the examples, so that the law above is about it."""
    frame = pl.DataFrame({"id": TELLING, "name": TELLING, "note": TELLING}).with_columns(
        email=pl.col("note").reverse(), two=pl.lit("ann@exаmple.com")
    )
    filtered: set[str] = set()
    seen: set[str] = set()
    for call, asked in (("track", {"event": "name"}), ("identify", {})):
        prepared, tests = asked_of(frame, call, user_id="id", **asked)
        filtered |= {test.code for test in tests if test.predicate.prefilter}
        seen |= set(failing_rows(prepared, tests)["code"])

    assert filtered - seen == set()


def test_plain_decimals_pass_no_prefilter():
    """Decimals that a CSV file has as text are tested by nothing that looks closer."""
    decimals = pl.DataFrame(
        {"id": "u1", "price": [f"{number}.{number % 90 + 10}" for number in range(500)]}
    )
    prepared, tests = asked_of(decimals, "identify", user_id="id")
    prefilters = {test.predicate.prefilter for test in tests if test.column == "price"} - {None}

    assert prefilters
    passed = prepared.select(
        passes_prefilters([each]).any().alias(f"{n}") for n, each in enumerate(prefilters)
    )
    assert not any(passed.row(0))
