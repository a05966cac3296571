"""Which identifiers messages name together, and the clusters they form."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from cio_frames.identity.identifiers import mapping, text
from cio_frames.identity.keys import cio_key, id_key, mail_key, person_key, visitor_key
from cio_frames.identity.links import components
from cio_frames.identity.settings import Settings

KEYS: Final = ("who", "id", "email", "anonymous", "previous")
NAMED: Final = pl.Schema({"number": pl.Int64} | dict.fromkeys(KEYS, pl.String))
"""Messages with the keys of the identifiers they name."""

KNOWN: Final = -1
"""The number of what was there before."""

Named = tuple[Any, Any, Any, Any, Any]


def odd_keys(
    messages: Iterator[tuple[int, Mapping[str, Any]]], *, settings: Settings
) -> pl.DataFrame:
    """Return the keys that odd messages name.

    Args:
        messages: Number and content of each message.
        settings: How the workspace is set up.
    """
    lines = [(number, *map(text, _NAMES[message["type"]](message))) for number, message in messages]
    frame = pl.DataFrame(lines, schema=NAMED, orient="row")
    is_visitor = settings.alias_previous == "id-or-anonymous"
    return frame.select(
        "number",
        person_key("who"),
        id_key("id"),
        mail_key("email"),
        pl.coalesce(
            visitor_key("anonymous"),
            visitor_key("previous") if is_visitor else pl.lit(None, pl.String),
        ),
        person_key("previous"),
    )


def slip_keys(slips: pl.DataFrame) -> pl.DataFrame:
    """Return the keys that plain identifies name."""
    return slips.select(
        "number",
        person_key("user").alias("who"),
        pl.lit(None, pl.String).alias("id"),
        mail_key("email"),
        visitor_key("anonymous"),
        pl.lit(None, pl.String).alias("previous"),
    )


def known_keys(known: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of people who are there before, one line for each anonymous id."""
    keys = known.with_columns(id_key("id"), mail_key("email"))
    return keys.explode("anonymous_ids", empty_as_null=True).select(
        pl.lit(KNOWN, pl.Int64).alias("number"),
        pl.coalesce("id", "email", cio_key("cio_id")).alias("who"),
        "id",
        "email",
        visitor_key("anonymous_ids").alias("anonymous"),
        pl.lit(None, pl.String).alias("previous"),
    )


def ties(named: pl.DataFrame) -> pl.DataFrame:
    """Return each two keys that one message names, with the name of their cluster.

    Args:
        named: Messages with the keys they name.

    Returns:
        Columns number, key, other, how (what `other` is) and cluster; `other` is empty for a
        message that names one identifier only.
    """
    about = named.with_columns(pl.coalesce(KEYS).alias("key")).drop_nulls("key")
    tied = pl.concat(
        about.select("number", "key", pl.col(how).alias("other"), pl.lit(how).alias("how"))
        for how in KEYS
    ).filter(pl.col("other") != pl.col("key"))
    alone = about.join(tied, on="number", how="anti").select(
        "number", "key", pl.lit(None, pl.String).alias("other"), pl.lit("").alias("how")
    )
    pairs = pl.concat([tied, alone])
    found = components(pairs.select("key", pl.coalesce("other", "key").alias("other")))
    return pairs.join(found, on="key", how="left", maintain_order="left").with_columns(
        pl.coalesce("component", "key").alias("cluster")
    ).drop("component")  # fmt: skip


def sizes(tied: pl.DataFrame) -> pl.DataFrame:
    """Return cluster, identifiers and rows of each cluster that a row is about."""
    nodes = pl.concat(
        [tied.select("cluster", pl.col(end).alias("node")).drop_nulls() for end in ("key", "other")]
    )
    identifiers = nodes.group_by("cluster").agg(pl.col("node").n_unique().alias("identifiers"))
    rows = tied.filter(pl.col("number") != KNOWN).group_by("cluster")
    counted = rows.agg(pl.col("number").n_unique().alias("rows"))
    return counted.join(identifiers, on="cluster").select(
        "cluster", pl.col("identifiers").cast(pl.Int64), pl.col("rows").cast(pl.Int64)
    )


def _identify(message: Mapping[str, Any]) -> Named:
    traits = mapping(message.get("traits"))
    email = traits.get("email")
    visitor = text(message.get("anonymousId")) or traits.get("anonymous_id")
    return text(message.get("userId")) or email, traits.get("id"), email, visitor, None


def _activity(message: Mapping[str, Any]) -> Named:
    return message.get("userId"), None, None, message.get("anonymousId"), None


def _alias(message: Mapping[str, Any]) -> Named:
    return message.get("userId"), None, None, None, message.get("previousId")


def _form(message: Mapping[str, Any]) -> Named:
    data = mapping(message.get("data"))
    return None, data.get("id"), data.get("email"), data.get("anonymous_id"), None


_NAMES: Final[Mapping[str, Callable[[Mapping[str, Any]], Named]]] = MappingProxyType({
    "identify": _identify,
    "track": _activity,
    "page": _activity,
    "screen": _activity,
    "group": _activity,
    "alias": _alias,
    "form": _form,
})  # fmt: skip
TYING: Final = frozenset({"identify", "alias", "form"})
"""Calls that tie identifiers together; the others only name some."""
