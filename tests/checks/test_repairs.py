"""Repairs: they change what they say, nothing else, and doing them twice changes nothing more."""

import polars as pl
import pytest

from cio_frames.checks import CATALOGUE
from cio_frames.mapping import Ask, MessageMapping, resolve
from cio_frames.spec import CALLS

REPAIRS = {check.code: check.repair for check in CATALOGUE if check.repair}


def texts(mapping: MessageMapping, frame: pl.DataFrame, name: str) -> list[object]:
    """Return the values of one slot."""
    return mapping.prepare(frame.with_row_index("__row__"))[name].to_list()


def mapped(frame: pl.DataFrame, call: str = "identify", **fields: object) -> MessageMapping:
    """Return the mapping of a call."""
    return resolve(Ask(fields=fields), call=CALLS[call], schema=frame.schema)


def repaired(mapping: MessageMapping, code: str, frame: pl.DataFrame) -> MessageMapping:
    """Return the mapping with a repair applied."""
    return mapping.repaired(code, schema=frame.schema, change=REPAIRS[code].change)


CHANGES = {
    "id.padded": ([" u", "u\n", "\u00a0u\u2003", "a b", None], ["u", "u", "u", "a b", None]),
    "id.invisible": (
        ["a\u200bb", "\ufeffa", "a b", "\u202ea", None],
        ["ab", "a", "a b", "a", None],
    ),
}


@pytest.mark.parametrize(("code", "case"), CHANGES.items(), ids=CHANGES)
def test_identifiers_are_cleaned(code, case):
    """White space around, or what cannot be seen, goes away; the rest stays."""
    before, after = case
    frame = pl.DataFrame({"id": before, "x": before})
    mapping = repaired(mapped(frame, user_id="id"), code, frame)

    assert texts(mapping, frame, "user_id") == after
    assert texts(mapping, frame, "body:traits.x") == before
    assert mapping.repairs == (code,)


def test_events_are_trimmed():
    """White space around the event's name goes away; identifiers keep theirs."""
    frame = pl.DataFrame({"id": [" u"], "event": [" Order "]})
    mapping = repaired(mapped(frame, "track", user_id="id", event="event"), "event.padded", frame)

    assert texts(mapping, frame, "event") == ["Order"]
    assert texts(mapping, frame, "user_id") == [" u"]


@pytest.mark.parametrize("code", ["id.padded", "id.invisible"])
def test_the_address_as_a_trait_is_repaired_with_the_identifier(code):
    """People named by their address do not end up with another address as a trait."""
    frame = pl.DataFrame({"email": [" ada@\u200bexample.com"]})
    mapping = repaired(mapped(frame, user_id="email"), code, frame)

    assert texts(mapping, frame, "user_id") == texts(mapping, frame, "body:traits.email")


@pytest.mark.parametrize("code", REPAIRS)
def test_a_repair_done_twice_is_a_repair_done_once(code):
    """Repairs are idempotent: the second time finds nothing to change."""
    values: list[object] = [1.0, 2.5, None] if code == "id.float" else [" a\u200b ", "b", None]
    frame = pl.DataFrame({"id": values, "event": values})
    fields = {"user_id": "id", "event": "event"}
    once = repaired(mapped(frame, "track", **fields), code, frame)

    twice = repaired(once, code, frame)

    for slot in once.slots:
        assert texts(twice, frame, slot.name) == texts(once, frame, slot.name)


def test_fixed_floats_are_accepted(judge):
    """Once repaired, whole decimals are sent as whole numbers and found no more."""
    found = judge("identify", {"id": [1.0, 2.0]}, user_id="id", repairs=("id.float",))

    assert found.is_empty()


def test_fixing_floats_hides_no_other_loss(judge):
    """The repair of whole decimals leaves fractions, NaN and lost digits as they were found."""
    data = {"id": [1.0, 1.5, float("nan"), 2.0**53 + 2]}

    found = judge("identify", data, user_id="id", repairs=("id.float",))

    assert found.select("row", "code").rows() == [
        (3, "id.precision-lost"), (1, "id.fractional"), (2, "id.fractional"),
    ]  # fmt: skip


@pytest.mark.parametrize("code", ["id.padded", "id.invisible", "event.padded"])
def test_what_is_repaired_is_found_no_more(judge, code):
    """After its repair a check finds nothing."""
    data = {"id": [" u", "a\u200bb", "v"], "event": ["E", " E", "E "]}

    before = judge("track", data, user_id="id", event="event")
    after = judge("track", data, user_id="id", event="event", repairs=(code,))

    assert code in before["code"].to_list()
    assert code not in after["code"].to_list()


def test_repairs_that_join_values_are_not_safe():
    """A repair of identifiers that can make one out of two is not counted as safe."""
    assert {code: repair.safe for code, repair in REPAIRS.items()} == {
        "id.float": True, "id.padded": False, "id.invisible": False, "event.padded": True,
    }  # fmt: skip
