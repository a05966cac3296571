"""Which identifiers rows name together, and the clusters they form."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from cio_frames.identity.links import components
from cio_frames.identity.resolve import mapping, text

NAMED: Final = pl.Schema({
    "number": pl.Int64,
    "who": pl.String,
    "id": pl.String,
    "email": pl.String,
    "anonymous": pl.String,
    "previous": pl.String,
})  # fmt: skip
PAIRS: Final = pl.Schema(
    {"number": pl.Int64, "key": pl.String, "other": pl.String, "how": pl.String}
)
VISITOR: Final = "anonymous:"
"""How the names of anonymous ids begin, which may be spelled as an id is."""

KNOWN: Final = -1
"""The number of what was there before."""

Named = tuple[Any, Any, Any, Any, Any]


class Ties:
    """The identifiers that each message names, column by column."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = [NAMED.to_frame()]

    def take(self, call: str, messages: Sequence[Mapping[str, Any]], *, first: int) -> None:
        """Note the identifiers of messages.

        Args:
            call: Their call.
            messages: The messages.
            first: The number of the first of them.
        """
        names = _NAMES.get(call)
        if names is None or not messages:
            return
        columns = zip(*map(names, messages), strict=True)
        texts = [list(map(text, column)) for column in columns]
        numbers = range(first, first + len(messages))
        data = dict(zip(NAMED, [numbers, *texts], strict=True))
        self._frames.append(pl.DataFrame(data, schema=NAMED))

    def know(self, people: pl.DataFrame) -> None:
        """Note the identifiers of people who were there before."""
        anonymous = people.explode("anonymous_ids", empty_as_null=True)
        self._frames.append(
            anonymous.select(
                pl.lit(KNOWN, pl.Int64).alias("number"),
                pl.coalesce("id", "email").alias("who"),
                pl.lit(None, pl.String).alias("id"),
                "email",
                pl.col("anonymous_ids").alias("anonymous"),
                pl.lit(None, pl.String).alias("previous"),
            )
        )

    def pairs(self) -> pl.DataFrame:
        """Return key and other for each two identifiers that one message names.

        `other` is empty for messages that name one only; `how` says what `other` is.
        """
        named = pl.concat(self._frames).filter(pl.col("who").is_not_null())
        who = _name("who")
        others = [
            named.select("number", who.alias("key"), other.alias("other"), pl.lit(how).alias("how"))
            for how, other in (
                ("id", _name("id")),
                ("email", pl.col("email").str.to_lowercase()),
                ("anonymous", VISITOR + pl.col("anonymous")),
                ("previous", _name("previous")),
            )
        ]
        tied = pl.concat(others).filter(pl.col("other") != pl.col("key"))
        alone = named.join(tied, on="number", how="anti")
        single = alone.select(
            "number", who.alias("key"), pl.lit(None, pl.String).alias("other"), pl.lit("").alias("how")
        )
        return pl.concat([tied, single])


def clusters(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs with `cluster`, the name of what hangs together.

    Clusters without a message of the plans are left out.
    """
    found = components(pairs.select("key", "other"))
    return pairs.join(found, on="key", how="left", maintain_order="left").select(
        "number", "key", "other", "how", pl.coalesce("component", "key").alias("cluster")
    )


def sizes(clustered: pl.DataFrame) -> pl.DataFrame:
    """Return cluster, identifiers and rows of each cluster that a row is about, largest first."""
    nodes = pl.concat(
        [
            clustered.select("cluster", pl.col(name).hash().alias("node")).drop_nulls()
            for name in ("key", "other")
        ]
    )
    identifiers = nodes.unique().group_by("cluster").len("identifiers")
    rows = (
        clustered.filter(pl.col("number") >= 0)
        .group_by("cluster")
        .agg(pl.col("number").n_unique().alias("rows"))
    )
    return rows.join(identifiers, on="cluster").sort(
        "identifiers", "rows", "cluster", descending=[True, True, False]
    )


def _name(column: str) -> pl.Expr:
    """Return identifiers so that equal ones are equal: an e-mail has no case (3.1)."""
    value = pl.col(column)
    return pl.when(value.str.contains("@", literal=True)).then(value.str.to_lowercase()).otherwise(value)


def _identify(message: Mapping[str, Any]) -> Named:
    traits = message.get("traits")
    traits = traits if isinstance(traits, dict) else {}
    email = traits.get("email")
    who = message.get("userId") or email
    visitor = message.get("anonymousId") or traits.get("anonymous_id")
    return who, traits.get("id"), email, visitor, None


def _alias(message: Mapping[str, Any]) -> Named:
    return message.get("userId"), None, None, None, message.get("previousId")


def _form(message: Mapping[str, Any]) -> Named:
    data = mapping(message.get("data"))
    who = data.get("email") or data.get("id")
    return who, data.get("id"), data.get("email"), data.get("anonymous_id"), None


_NAMES: Final[Mapping[str, Callable[[Mapping[str, Any]], Named]]] = MappingProxyType({
    "identify": _identify,
    "alias": _alias,
    "form": _form,
})  # fmt: skip
