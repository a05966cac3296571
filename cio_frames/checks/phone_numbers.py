"""Telephone numbers, parsed a column at a time with the patterns of the library phonenumbers.

The library itself parses one number at a time, in 15 microseconds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import polars as pl

from cio_frames.errors import MappingError, MissingLibraryError

if TYPE_CHECKING:
    from phonenumbers import PhoneMetadata

PHONE_NUMBER = r"^[\s(]*\+?[0-9\s().\-/\x{2010}-\x{2013}]+$"
DATE = r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}\b"
MOBILE = ("mobile", "voip", "personal_number")
"""Kinds of numbers that can receive text messages."""
OTHER = (
    "fixed_line", "toll_free", "premium_rate", "shared_cost", "pager", "uan", "voicemail",
)  # fmt: skip
NUMBERS = pl.Schema({"position": pl.UInt32(), "number": pl.String(), "is_mobile": pl.Boolean()})


@cache
def can_read_numbers() -> bool:
    """Return whether the library is installed."""
    return find_spec("phonenumbers") is not None


def supported_region(region: str) -> str:
    """Return a region as the library spells it.

    Raises:
        MissingLibraryError: phonenumbers is not installed.
        MappingError: There is no such region.
    """
    if not can_read_numbers():
        raise MissingLibraryError(
            "phonenumbers", wanted="Checks(phone_region=...)", install='"cio-frames[phones]"'
        )
    from phonenumbers import SUPPORTED_REGIONS

    if str(region).upper() not in SUPPORTED_REGIONS:
        raise MappingError(
            f"Checks(phone_region={region!r}): it must be a country code of two letters, such as DE or US."
        )
    return str(region).upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """The numbers behind a country code.

    Attributes:
        code: The country code.
        valid: The pattern of all its numbers.
        mobile: The pattern of those that can receive text messages.
        prefix: The pattern of the prefix that is dialled within the country.
        prefix_groups: How many groups the pattern has.
        replacement: What replaces the prefix if its last group matches.
    """

    code: int
    valid: str
    mobile: str
    prefix: str
    prefix_groups: int
    replacement: str


@cache
def _country(code: int, region: str | None) -> Country:
    """Return the numbers of a country code, with the prefix of a region or else of its main region."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    regions = COUNTRY_CODE_TO_REGION_CODE[code]
    metadata = [_metadata(name, code) for name in regions]
    own = metadata[regions.index(region) if region in regions else 0]
    prefix = own.national_prefix_for_parsing
    return Country(
        code=code,
        valid=_pattern(metadata, MOBILE + OTHER),
        mobile=_pattern(metadata, MOBILE),
        prefix=f"^(?:{prefix})" if prefix else "",
        prefix_groups=re.compile(prefix or "").groups,
        replacement=re.sub(r"\\(\d)", r"${\1}", own.national_prefix_transform_rule or ""),
    )


def _metadata(region: str, code: int) -> "PhoneMetadata":
    from phonenumbers import REGION_CODE_FOR_NON_GEO_ENTITY, PhoneMetadata

    is_of_no_country = region == REGION_CODE_FOR_NON_GEO_ENTITY
    metadata = (
        PhoneMetadata.metadata_for_nongeo_region(code)
        if is_of_no_country
        else PhoneMetadata.metadata_for_region(region)
    )
    assert metadata is not None  # noqa: S101 - the library has metadata for all its regions
    return metadata


def _pattern(regions: list["PhoneMetadata"], kinds: tuple[str, ...]) -> str:
    described = (getattr(region, kind) for region in regions for kind in kinds)
    patterns = dict.fromkeys(kind.national_number_pattern for kind in described if kind)
    return f"^(?:{'|'.join(filter(None, patterns))})$"


def read_numbers(texts: pl.Series, *, region: str | None) -> pl.DataFrame:
    """Return number and is_mobile for each text: the number in E.164 form, null where it is not certain.

    A number without a country code belongs to the region. A text that can be read as two numbers is null.

    Examples:
        >>> read_numbers(pl.Series(["+49 (0)151 2345 6789", "0151 23456789"]), region=None).rows()
        [('+4915123456789', True), (None, None)]
        >>> read_numbers(pl.Series(["030 901820"]), region="DE").rows()
        [('+4930901820', False)]
    """
    indexed = texts.alias("text").to_frame().with_row_index("position")
    text = pl.col("text")
    phone_texts = indexed.filter(text.str.contains(PHONE_NUMBER) & ~text.str.contains(DATE))
    digits = phone_texts.with_columns(digits=text.str.replace_all(r"[^0-9+]", ""))
    candidates = pl.concat(_candidates(digits, region=region))
    valid = [
        _valid_numbers(part, _country(code, region))
        for (code,), part in candidates.group_by("code")
    ]
    numbers = pl.concat([NUMBERS.to_frame(), *valid]).unique(["position", "number"])
    certain = numbers.filter(pl.len().over("position") == 1)
    with_numbers = indexed.join(certain, on="position", how="left", maintain_order="left")
    return with_numbers.select("number", "is_mobile")


def _candidates(phone_texts: pl.DataFrame, *, region: str | None) -> Iterator[pl.DataFrame]:
    """Yield position, code and rest for each way in which the digits can be read."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    home = PhoneMetadata.metadata_for_region(region) if region else None
    abroad = (home and home.international_prefix) or "00"
    codes = "|".join(map(str, COUNTRY_CODE_TO_REGION_CODE))
    digits = pl.col("digits")
    yield (
        phone_texts.with_columns(digits.str.replace(rf"^(?:\+|(?:{abroad}))", "+"))
        .filter(digits.str.starts_with("+"))
        .select("position", digits.str.extract_groups(rf"^\+(?<prefix>{codes})(?<rest>[0-9]+)$"))
        .unnest("digits")
        .select("position", pl.col("prefix").cast(pl.Int64).alias("code"), "rest")
        .drop_nulls()
    )
    if home:
        local = phone_texts.filter(~digits.str.starts_with("+"))
        code = pl.lit(home.country_code, pl.Int64).alias("code")
        rest = digits.alias("rest")
        yield local.select("position", code, rest)
        with_code = local.filter(digits.str.starts_with(f"{home.country_code}"))
        yield with_code.select("position", code, rest.str.strip_prefix(f"{home.country_code}"))


def _valid_numbers(candidates: pl.DataFrame, country: Country) -> pl.DataFrame:
    """Return the candidates that are numbers of a country, with the columns of `NUMBERS`."""
    rest = pl.col("rest")
    is_valid = candidates.select(rest.str.contains(country.valid)).to_series()
    valid = [candidates.filter(is_valid)]
    if country.prefix and not is_valid.all():
        bare = candidates.filter(~is_valid).with_columns(_without_prefix(rest, country))
        valid.append(bare.filter(rest.str.contains(country.valid)))
    return pl.concat(valid).select(
        "position",
        pl.format(f"+{country.code}{{}}", rest).alias("number"),
        rest.str.contains(country.mobile).alias("is_mobile"),
    )


def _without_prefix(rest: pl.Expr, country: Country) -> pl.Expr:
    bare = rest.str.replace(country.prefix, "")
    if not country.replacement:
        return bare
    has_last_group = rest.str.extract(country.prefix, country.prefix_groups).is_not_null()
    replaced = rest.str.replace(country.prefix, country.replacement)
    return pl.when(has_last_group).then(replaced).otherwise(bare)
