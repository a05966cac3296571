"""Checks and who-is-who have one definition of an e-mail address."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.identity import Settings
from cio_frames.identity.identifiers import address, is_mail
from cio_frames.values.patterns import is_email

NO_ADDRESSES = ["abcdéf@x.example", "a@bücher.example", "a..b@x.example", ".a@x.co", "a@b", "a@b@c.co",
                "a@-x.co", "a@x_y.co", "\u212a@x.co"]  # fmt: skip
ADDRESSES = ["ada@example.com", "ADA+x@example.co.uk", "o'hara@x.co", "a@1.2"]

part = st.text(alphabet="aZ1.-_+'!é ſ\u212a\u200b<\"(:", min_size=0, max_size=6)
texts = st.one_of(
    st.builds(lambda *parts: "@".join(parts), part, part),
    st.builds(lambda local, one, other: f"{local}@{one}.{other}", part, part, part),
    st.sampled_from(NO_ADDRESSES + ADDRESSES),
)


@given(st.lists(texts, min_size=1, max_size=20))
def test_checks_and_the_model_agree_on_what_an_address_is(values):
    """An id with an @ is found as a broken address exactly if the model takes it for an id."""
    clean = [value for value in values if value == value.strip() and "@" in value]
    ids = pl.DataFrame({"id": clean}, schema={"id": pl.String})
    plan = ids.cio.identify(user_id="id", traits=[])

    values = plan.findings.filter(pl.col("code") == "id.broken-address")["value"]

    kinds = {value: address(value, settings=Settings()).kind for value in clean}
    assert set(values) == {value for value, kind in kinds.items() if kind == "id"}
    columns = ids.select(is_mail("id"))["id"]
    assert columns.to_list() == [kinds[value] == "email" for value in clean]


@pytest.mark.parametrize("value", NO_ADDRESSES)
def test_what_the_model_takes_for_an_id_is_found_where_an_address_should_be(value):
    """`email.invalid` reports such a value, and the preview makes a person with the text as id."""
    plan = pl.DataFrame({"email": ["ok@x.co", value]}).cio.identify(user_id="email")
    other = pl.DataFrame({"id": ["u1"], "email": [value]}).cio.identify(user_id="id")

    assert not is_email(value)
    assert plan.identity().people["id"].to_list() == [None, value]
    for each in (plan, other):
        assert {"email.invalid", "email.wrapped"} & set(each.findings["code"])
    assert other.identity().people["email"].to_list() == [value]


@pytest.mark.parametrize("value", ADDRESSES)
def test_addresses_are_found_by_neither(value):
    """An address is no finding, and the preview makes a person with it as e-mail."""
    plan = pl.DataFrame({"email": [value]}).cio.identify(user_id="email")

    assert not {"email.invalid", "id.broken-address"} & set(plan.findings["code"])
    assert plan.identity().people["email"].to_list() == [value]
