"""Telephone numbers, by what the library phonenumbers knows of each country, a column at a time.

The library reads one number in 15 microseconds; its patterns read a column.
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

DIALLED = r"^[\s(]*\+?[0-9\s().\-/\x{2010}-\x{2013}]+$"
DATE = r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}\b"
MOBILE = ("mobile", "voip", "personal_number")
"""Kinds of numbers that can receive text messages."""
OTHER = (
    "fixed_line", "toll_free", "premium_rate", "shared_cost", "pager", "uan", "voicemail",
)  # fmt: skip
NUMBERS = pl.Schema({"place": pl.UInt32(), "number": pl.String(), "is_mobile": pl.Boolean()})


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
        prefix: The pattern of what is dialled before a number within the country.
        prefix_groups: How many groups are in it.
        rewritten: What takes the place of the prefix if its last group is there.
    """

    code: int
    valid: str
    mobile: str
    prefix: str
    prefix_groups: int
    rewritten: str


@cache
def _country(code: int, region: str | None) -> Country:
    """Return the numbers of a country code, as they are dialled in a region or in its main one."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    regions = COUNTRY_CODE_TO_REGION_CODE[code]
    every = [_metadata(each, code) for each in regions]
    own = every[regions.index(region) if region in regions else 0]
    prefix = own.national_prefix_for_parsing
    return Country(
        code=code,
        valid=_pattern(every, MOBILE + OTHER),
        mobile=_pattern(every, MOBILE),
        prefix=f"^(?:{prefix})" if prefix else "",
        prefix_groups=re.compile(prefix or "").groups,
        rewritten=re.sub(r"\\(\d)", r"${\1}", own.national_prefix_transform_rule or ""),
    )


def _metadata(region: str, code: int) -> "PhoneMetadata":
    from phonenumbers import REGION_CODE_FOR_NON_GEO_ENTITY, PhoneMetadata

    is_of_no_country = region == REGION_CODE_FOR_NON_GEO_ENTITY
    found = (
        PhoneMetadata.metadata_for_nongeo_region(code)
        if is_of_no_country
        else PhoneMetadata.metadata_for_region(region)
    )
    assert found is not None  # noqa: S101 - each region of the library's own list has some
    return found


def _pattern(regions: list["PhoneMetadata"], kinds: tuple[str, ...]) -> str:
    described = (getattr(region, kind) for region in regions for kind in kinds)
    patterns = dict.fromkeys(kind.national_number_pattern for kind in described if kind)
    return f"^(?:{'|'.join(filter(None, patterns))})$"


def read_numbers(texts: pl.Series, *, region: str | None) -> pl.DataFrame:
    """Return number and is_mobile for each text: the number in E.164 form, null where it is not certain.

    A number without a country code is one of the region; a text that can be read as two numbers is none.

    Examples:
        >>> read_numbers(pl.Series(["+49 (0)151 2345 6789", "0151 23456789"]), region=None).rows()
        [('+4915123456789', True), (None, None)]
        >>> read_numbers(pl.Series(["030 901820"]), region="DE").rows()
        [('+4930901820', False)]
    """
    said = texts.alias("said").to_frame().with_row_index("place")
    text = pl.col("said")
    dialled = said.filter(text.str.contains(DIALLED) & ~text.str.contains(DATE)).with_columns(
        digits=text.str.replace_all(r"[^0-9+]", "")
    )
    candidates = pl.concat(_candidates(dialled, region=region))
    read = [
        _of_country(part, _country(code, region)) for (code,), part in candidates.group_by("code")
    ]
    numbers = pl.concat([NUMBERS.to_frame(), *read]).unique(["place", "number"])
    certain = numbers.filter(pl.len().over("place") == 1)
    return said.join(certain, on="place", how="left", maintain_order="left").select(
        "number", "is_mobile"
    )


def _candidates(dialled: pl.DataFrame, *, region: str | None) -> Iterator[pl.DataFrame]:
    """Yield place, code and rest for each way in which digits can be read."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    own = PhoneMetadata.metadata_for_region(region) if region else None
    abroad = (own and own.international_prefix) or "00"
    codes = "|".join(map(str, COUNTRY_CODE_TO_REGION_CODE))
    digits = pl.col("digits")
    yield (
        dialled.with_columns(digits.str.replace(rf"^(?:\+|(?:{abroad}))", "+"))
        .filter(digits.str.starts_with("+"))
        .select("place", digits.str.extract_groups(rf"^\+(?<prefix>{codes})(?<rest>[0-9]+)$"))
        .unnest("digits")
        .select("place", pl.col("prefix").cast(pl.Int64).alias("code"), "rest")
        .drop_nulls()
    )
    if own:
        here = dialled.filter(~digits.str.starts_with("+"))
        code = pl.lit(own.country_code, pl.Int64).alias("code")
        rest = digits.alias("rest")
        yield here.select("place", code, rest)
        with_code = here.filter(digits.str.starts_with(f"{own.country_code}"))
        yield with_code.select("place", code, rest.str.strip_prefix(f"{own.country_code}"))


def _of_country(candidates: pl.DataFrame, country: Country) -> pl.DataFrame:
    """Return the candidates that are numbers of a country, with the columns of `NUMBERS`."""
    rest = pl.col("rest")
    is_valid = candidates.select(rest.str.contains(country.valid)).to_series()
    found = [candidates.filter(is_valid)]
    if country.prefix and not is_valid.all():
        bare = candidates.filter(~is_valid).with_columns(_without_prefix(rest, country))
        found.append(bare.filter(rest.str.contains(country.valid)))
    return pl.concat(found).select(
        "place",
        pl.format(f"+{country.code}{{}}", rest).alias("number"),
        rest.str.contains(country.mobile).alias("is_mobile"),
    )


def _without_prefix(rest: pl.Expr, country: Country) -> pl.Expr:
    bare = rest.str.replace(country.prefix, "")
    if not country.rewritten:
        return bare
    is_whole = rest.str.extract(country.prefix, country.prefix_groups).is_not_null()
    return (
        pl.when(is_whole).then(rest.str.replace(country.prefix, country.rewritten)).otherwise(bare)
    )
