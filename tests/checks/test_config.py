"""Which checks apply, and how strictly."""

from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.checks import CATALOGUE, Check, Checks, CheckTexts
from cio_frames.checks.check import by_value
from cio_frames.errors import MappingError
from cio_frames.values import anywhere

CODES = [check.code for check in CATALOGUE]


ALIAS = ["alias.self", "alias.cycle", "alias.chain", "alias.split", "alias.irreversible"]


def codes(checks: Checks) -> list[str]:
    """Return the codes that apply."""
    return [check.code for check in checks.of(CATALOGUE)]


def test_everything_applies_by_default():
    """Without choices every check of the catalogue applies as it is."""
    assert Checks().of(CATALOGUE) == CATALOGUE


@pytest.mark.parametrize(
    ("select", "wanted"),
    [
        pytest.param(["id.float"], ["id.float"], id="one"),
        pytest.param(["id.float", "page"], ["id.float", "page.no-url"], id="two"),
        pytest.param(["alias."], ALIAS, id="subject"),
    ],
)
def test_select_takes_codes_and_subjects(select, wanted):
    """A selection is of codes or of their subjects."""
    assert codes(Checks(select=select)) == wanted


def test_ignore_leaves_out():
    """What is ignored does not apply, also where it is selected."""
    assert codes(Checks(ignore=["id"])) == [code for code in CODES if not code.startswith("id.")]
    assert codes(Checks(select=["alias"], ignore=["alias.self"])) == ALIAS[1:]


def test_a_selection_of_nothing_is_refused():
    """A misspelt selection would switch off every check, so it is an error."""
    with pytest.raises(MappingError, match=r"Did you mean 'id\.float'"):
        Checks(select=["id.flot"]).of(CATALOGUE)


def test_severities_can_be_changed():
    """A code gets the severity asked for; others keep theirs."""
    changed = {
        check.code: check.severity
        for check in Checks(severity={"id.nobody": "reject"}).of(CATALOGUE)
    }

    assert changed == {check.code: check.severity for check in CATALOGUE} | {"id.nobody": "reject"}


def test_unknown_severities_are_refused():
    """A severity that there is not would let rows through, so it is an error."""
    with pytest.raises(MappingError, match="one of refuse, reject, warn, info"):
        Checks(severity={"id.nobody": "error"}).of(CATALOGUE)  # type: ignore[dict-item]


def test_changed_severities_decide(judge):
    """A warning made a rejection keeps the row back, a rejection made a warning lets it go."""
    data = {"id": ["guest", "u "]}
    checks = Checks(severity={"id.nobody": "reject", "id.padded": "warn"})

    findings = judge("identify", data, user_id="id", checks=checks)

    assert findings.select("row", "code", "severity").rows() == [
        (0, "id.nobody", "reject"), (1, "id.padded", "warn"),
    ]  # fmt: skip


def test_own_rules_apply_beside_the_catalogue(judge):
    """A rule of the user's own is a check like the others."""
    texts = CheckTexts(
        sentence="{column} is no plan of ours.", hint="Correct it.", consequence="It is not priced."
    )
    test = by_value(
        lambda field, _: (
            ~pl.col(field.name).is_in(["free", "pro"]) if field.path == ("traits", "plan") else None
        )
    )
    rule = Check("plan.unknown", "reject", test, source="us", own_texts=texts)

    findings = judge(
        "identify",
        {"id": ["u", "v"], "plan": ["pro", "gold"]},
        user_id="id",
        checks=Checks(rules=[rule]),
    )

    assert findings.select("row", "code", "column", "value", "message").rows() == [
        (1, "plan.unknown", "plan", "gold", '"plan" is no plan of ours.'),
    ]  # fmt: skip


def test_an_allowed_finding_is_information():
    """An allowed destructive event is no refusal any more, but still a warning."""
    frame = pl.DataFrame({"id": ["u"], "event": ["User Deleted"]})
    at = cio.lit(datetime(2024, 1, 1, tzinfo=UTC))
    asked = {"user_id": "id", "event": "event", "timestamp": at}

    refused = frame.cio.track(**asked).findings
    allowed = frame.cio.track(**asked, checks=cio.Checks(allow=["User Deleted"])).findings

    assert refused["severity"].to_list() == ["refuse"]
    assert allowed.select("code", "severity").rows() == [("event.semantic", "warn")]


def test_checks_do_not_change():
    """Choosing checks leaves the catalogue as it was."""
    before = [replace(check) for check in CATALOGUE]

    Checks(severity={"id.float": "warn"}).of(CATALOGUE)

    assert list(CATALOGUE) == before


@pytest.mark.parametrize(
    ("values", "dtype", "wanted"),
    [
        pytest.param([1, -1, None], pl.Int8, [False, True, None], id="plain"),
        pytest.param([[1], [1, -1], [], None], pl.List(pl.Int8), [False, True, False, None], id="list"),
        pytest.param([[1, -1]], pl.Array(pl.Int8, 2), [True], id="array"),
        pytest.param([{"a": -1, "b": "x"}, {"a": 1, "b": "-1"}], pl.Struct({"a": pl.Int8, "b": pl.String}), [True, False], id="struct"),
        pytest.param([[{"a": [-1]}], [{"a": []}]], pl.List(pl.Struct({"a": pl.List(pl.Int8)})), [True, False], id="deep"),
    ],
)  # fmt: skip
def test_tests_reach_inside(values, dtype, wanted):
    """A test of single values is asked of everything inside lists and structs."""
    frame = pl.DataFrame({"v": pl.Series(values, dtype=dtype)})

    has_match = anywhere(
        pl.col("v"),
        dtype=frame.schema["v"],
        test=lambda v, kind: v < 0 if kind.is_integer() else None,
    )

    assert has_match is not None
    assert frame.select(has_match).to_series().to_list() == wanted


@pytest.mark.parametrize(
    "dtype", [pl.String(), pl.List(pl.String()), pl.Struct({"a": pl.String()})], ids=str
)
def test_types_without_the_test_are_passed_over(dtype):
    """Where nothing inside is of the test's types there is no test."""
    assert anywhere(pl.col("v"), dtype=dtype, test=lambda *_: None) is None


@pytest.mark.parametrize("key", [None, "id"], ids=["by-content", "by-key"])
@pytest.mark.parametrize("times", [("01", "01"), ("01", "02")], ids=["one-time", "two-times"])
def test_a_message_is_called_a_duplicate_only_if_its_id_is_another_ones(key, times):
    """The finding and the ids agree: an id begins with its time, also one made of key columns."""
    at = [f"2025-{month}-01T00:00:00Z" for month in times]
    frame = pl.DataFrame({"id": ["1", "1"], "user": ["u", "u"], "at": at})
    plan = frame.cio.track(event=cio.lit("E"), user_id="user", timestamp="at", key=key)

    ids = {message["messageId"] for message in plan.payloads(2)}
    assert ("message.duplicate" in plan.findings["code"]) == (len(ids) == 1)
