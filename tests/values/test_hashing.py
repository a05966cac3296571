"""SHA-256 and HMAC of columns: the same texts with polars-hash and without."""

import hashlib
import hmac
import sys

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.values import hashing

KEY = "ab" * 32
TEXTS = st.lists(st.none() | st.text(max_size=100), max_size=20)


@pytest.fixture(scope="module", params=["polars-hash", "hashlib", "polars-hash-of-another-polars"])
def engine(request):
    """Have columns hashed by polars-hash, without it, and where it cannot be loaded."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "polars-hash":
            pytest.importorskip("polars_hash")
        elif request.param == "hashlib":
            patch.setitem(sys.modules, "polars_hash", None)
        else:
            polars_hash = pytest.importorskip("polars_hash")
            patch.setattr(polars_hash.CryptographicHashingNameSpace, "sha2_256", _refused)
        hashing._polars_hash.cache_clear()
        assert (hashing._polars_hash() is not None) == (request.param == "polars-hash")
        yield request.param
    hashing._polars_hash.cache_clear()


def _refused(_: object) -> pl.Expr:
    """Fail as polars does where a plugin was built for another release."""
    raise pl.exceptions.ComputeError("the plugin does not fit")


@given(texts=TEXTS)
def test_sha_256_is_that_of_every_library(engine, texts):
    """Each text has its SHA-256 in hexadecimal, and an empty cell has none."""
    hashes = pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(
        hashing.sha256(pl.col("text"))
    )

    assert hashes.schema == {"text": pl.String}
    assert hashes["text"].to_list() == [
        None if text is None else hashlib.sha256(text.encode()).hexdigest() for text in texts
    ]


@given(texts=TEXTS)
def test_hmac_is_that_of_every_library(engine, texts):
    """Each text has its HMAC-SHA256 in hexadecimal, and an empty cell has none."""
    hashes = pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(
        hashing.hmac_sha256(pl.col("text"), key=KEY)
    )

    assert hashes.schema == {"text": pl.String}
    assert hashes["text"].to_list() == [
        None if text is None else hmac.digest(KEY.encode(), text.encode(), "sha256").hex()
        for text in texts
    ]


def test_a_lazy_frame_is_hashed_too(engine):
    """Hashes of a lazy frame have the type that its schema promises."""
    lazy = pl.LazyFrame({"text": ["a"]}).select(hashing.sha256(pl.col("text")))

    assert lazy.collect().schema == lazy.collect_schema() == {"text": pl.String}
    assert lazy.collect(engine="streaming").item() == hashlib.sha256(b"a").hexdigest()
