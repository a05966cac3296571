"""Which messages stand alone, and which are connected with others: those need the model.

Most rows of a table are about somebody whom no other row confuses, and what such rows do can be
told without the model. A row is connected as soon as one of its identifiers occurs in a row that
says something else, in a message of another kind, in an event before its time, or in the export of
people in any other way than the row has it. Connected rows go through the model, in their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import polars as pl

from cio_frames.identity.components import KEYS, named_keys
from cio_frames.identity.identifiers import anonymous_key, cio_key, id_key, mail_key, person_key
from cio_frames.identity.messages import IdentityColumns, is_recent, is_young
from cio_frames.identity.settings import Settings

IDENTIFIERS: Final = ("user", "email", "anonymous")
"""The columns of an identify that stands alone."""
MATCH: Final = pl.Int64
POSITION: Final = pl.int_range(pl.len(), dtype=MATCH).alias("match")
"""The position of each person in the export."""
_SUPPRESSES: Final = "User Suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partitioned:
    """Messages by what they need."""

    connected: pl.DataFrame  # messages that need the model, in order
    loaded: pl.DataFrame | None  # the people of the export whom connected messages can meet
    # What the other identifies say, one line for all that say the same: user, email, anonymous,
    # identify (the number of the first), numbers and places of all of them, match (the position of
    # the person in the export), and is_new (whether the anonymous id is)
    identifies: pl.DataFrame
    # The other events of people, each with identify, or match, or neither for somebody new
    events: pl.DataFrame
    anonymous_events: pl.DataFrame  # events of somebody anonymous whom no row identifies


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """Whose key is whose."""

    identifies: pl.DataFrame  # columns identify and key
    people: pl.DataFrame  # columns match and key
    others: pl.Series  # keys of messages of other kinds
    refused: pl.Series  # these, and keys of anonymous events
    early: pl.DataFrame  # columns key and early, the number of the first event of a key


def partition(
    columns: IdentityColumns,
    *,
    identifies: Sequence[int],
    known: pl.DataFrame | None,
    settings: Settings,
    now: datetime,
    max_rows: int,
) -> Partitioned:
    """Return which messages stand alone."""
    distinct = _distinct(columns.identifies)
    anonymous = columns.anonymous_events.with_columns(anonymous_key("anonymous").alias("key"))
    events = columns.events.with_columns(person_key("user").alias("key"))
    named = named_keys(columns.others, identifies=identifies, settings=settings)
    of_others = _long(named, "number", KEYS)["key"]
    keys = _Keys(
        identifies=_distinct_keys(distinct),
        people=_people_keys(known),
        others=of_others,
        refused=pl.concat([of_others, anonymous["key"]]).unique(),
        early=events.group_by("key").agg(pl.col("number").min().alias("early")),
    )
    alone = _alone(distinct, keys, known=known, max_rows=max_rows)
    connected_keys = keys.identifies.join(alone, on="identify", how="anti")["key"]
    unclear = events["key"].filter(events["key"].is_in(_unclear(keys.people).implode()))
    reachable = _reachable(pl.concat([connected_keys, keys.refused, unclear]), keys.people)
    reached = pl.concat([connected_keys, keys.others, reachable["key"]]).unique()
    owned = _owned(events, keys, alone=alone, reached=reached)
    if settings.event_for_unknown == "drop":
        nobody = pl.col("identify").is_null() & pl.col("match").is_null()
        owned = owned.with_columns(pl.col("is_connected") | nobody)
    somebodys = pl.concat([keys.identifies["key"], keys.people["key"], keys.others])
    is_met = pl.col("key").is_in(somebodys.unique().implode())
    left = distinct.join(alone, on="identify", how="anti").explode("numbers", empty_as_null=False)[
        "numbers"
    ]
    connected_events = owned.filter("is_connected").select(columns.events.columns)
    connected = pl.concat(
        [
            columns.others,
            columns.identifies.filter(pl.col("number").is_in(left.implode())),
            _bundled(connected_events, others=columns.others, settings=settings, now=now),
            anonymous.filter(is_met).select(columns.anonymous_events.columns),
        ],
        how="diagonal",
    )
    return Partitioned(
        connected=connected.sort("number"),
        loaded=None if known is None else known[reachable["match"].unique().sort()],
        identifies=distinct.join(alone, on="identify"),
        events=owned.filter(~pl.col("is_connected")).drop("name", "anonymous", "is_connected"),
        anonymous_events=anonymous.filter(~is_met),
    )


def without_dates(
    columns: IdentityColumns,
    *,
    identifies: Sequence[int],
    known: pl.DataFrame | None,
    settings: Settings,
) -> IdentityColumns:
    """Return messages with each that is alone about its person as one whose time does not matter.

    Of several about one person the time of each decides which attributes stay; those need the model.
    """
    dated = columns.dated
    if dated.is_empty():
        return columns
    own = _long(_keyed(dated, "number"), "number", IDENTIFIERS)
    named = named_keys(columns.others, identifies=identifies, settings=settings)
    others = [
        _long(_keyed(columns.identifies, "number"), "number", IDENTIFIERS),
        _long(named, "number", KEYS),
    ]
    mine = own.join(_people_keys(known), on="key").select(
        "number", pl.format("m:{}", "match").alias("key")
    )
    met = pl.concat([own, *others, mine.unique()]).unique()
    several = _repeated(met)
    shared = met.filter(pl.col("key").is_in(several.implode()))["number"].unique()
    is_alone = ~pl.col("number").is_in(shared.implode())
    alone = dated.filter(is_alone).select(columns.identifies.columns)
    return replace(
        columns,
        identifies=pl.concat([columns.identifies, alone]).sort("number"),
        others=pl.concat([columns.others, dated.filter(~is_alone)]).sort("number"),
        dated=dated.clear(),
    )


def all_connected(columns: IdentityColumns, *, known: pl.DataFrame | None) -> Partitioned:
    """Return all messages as connected: everybody goes through the model."""
    nothing = partition(
        columns.each(lambda frame: frame.head(0)),
        identifies=(),
        known=None,
        settings=Settings(),
        now=datetime.fromtimestamp(0, tz=UTC),
        max_rows=1,
    )
    connected = pl.concat(columns.frames(), how="diagonal").sort("number")
    return replace(nothing, connected=connected, loaded=known)


def _bundled(
    events: pl.DataFrame, *, others: pl.DataFrame, settings: Settings, now: datetime
) -> pl.DataFrame:
    """Return events with those as one that do the same: of one person, of about one age.

    Within a plan of events only messages of other kinds change whom a reference means. Where events
    can be ignored, each of them is reported, so none may stand for others.
    """
    is_reported = settings.event_for_unknown == "drop"
    if is_reported or (others["name"] == _SUPPRESSES).any():
        return events
    epoch = others["number"].sort().search_sorted(events["number"])
    return (
        events.with_columns(epoch.alias("epoch"), is_young(now), is_recent(now))
        .sort("number")
        .group_by("plan", "user", "epoch", "young", "recent", maintain_order=True)
        .agg(
            pl.col("number", "row", "anonymous", "name", "at").first(),
            pl.len().cast(pl.Int64).alias("times"),
            pl.col("row").max().alias("last"),
        )
        .drop("epoch", "young", "recent")
    )


def _distinct(identifies: pl.DataFrame) -> pl.DataFrame:
    """Return one line for all identifies that say the same."""
    return identifies.group_by(IDENTIFIERS).agg(
        pl.col("number").first().alias("identify"),
        pl.col("number").alias("numbers"),
        pl.struct("plan", "row").alias("places"),
    )  # fmt: skip


def _distinct_keys(distinct: pl.DataFrame) -> pl.DataFrame:
    return _long(_keyed(distinct, "identify"), "identify", IDENTIFIERS)


def _keyed(identifies: pl.DataFrame, of: str) -> pl.DataFrame:
    return identifies.select(of, person_key("user"), mail_key("email"), anonymous_key("anonymous"))


def _long(frame: pl.DataFrame, of: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return the keys in several columns as one column, each once."""
    each = [frame.select(of, pl.col(name).alias("key")).drop_nulls() for name in columns]
    return pl.concat(each).unique()


def _people_keys(known: pl.DataFrame | None) -> pl.DataFrame:
    if known is None:
        return pl.DataFrame(schema={"match": MATCH, "key": pl.String})
    numbered = known.with_columns(POSITION)
    keyed = numbered.select(
        "match", id_key("id"), mail_key("email"), cio_key("cio_id").alias("cio")
    )
    spread = numbered.select("match", "anonymous_ids").explode("anonymous_ids", empty_as_null=True)
    anonymous = spread.select("match", anonymous_key("anonymous_ids").alias("key")).drop_nulls()
    return pl.concat([_long(keyed, "match", ("id", "email", "cio")), anonymous]).unique()


def _repeated(keys: pl.DataFrame) -> pl.Series:
    """Return the keys that are there more than once."""
    return keys.group_by("key").len().filter(pl.col("len") > 1)["key"]


def _unclear(people: pl.DataFrame) -> pl.Series:
    """Return the keys of people of the export who share an identifier with another line of it."""
    shared = people.filter(pl.col("key").is_in(_repeated(people).implode()))["match"].unique()
    return people.filter(pl.col("match").is_in(shared.implode()))["key"]


def _alone(
    distinct: pl.DataFrame, keys: _Keys, *, known: pl.DataFrame | None, max_rows: int
) -> pl.DataFrame:
    """Return the identifies that meet nobody else: identify, match and is_new."""
    shared = _repeated(keys.identifies)
    hit = keys.identifies.filter(
        pl.col("key").is_in(shared.implode()) | pl.col("key").is_in(keys.refused.implode())
    )["identify"]
    crowded = distinct.filter(pl.col("numbers").list.len() > max_rows)["identify"]
    free = distinct.filter(
        ~pl.col("identify").is_in(pl.concat([hit, crowded]).unique().implode())
    ).select("identify", *IDENTIFIERS)
    links = keys.identifies.join(keys.people, on="key")
    new = free.join(links, on="identify", how="anti").select("identify")
    before = keys.identifies.join(keys.early, on="key").filter(pl.col("early") < pl.col("identify"))
    created = new.join(before, on="identify", how="anti").select(
        "identify", pl.lit(None, MATCH).alias("match"), pl.lit(value=True).alias("is_new")
    )
    if known is None:
        return created
    return pl.concat([created, _as_exported(free, links, keys, known=known)])


def _as_exported(
    free: pl.DataFrame, links: pl.DataFrame, keys: _Keys, *, known: pl.DataFrame
) -> pl.DataFrame:
    """Return the identifies that say of one person of the export what the export says already."""
    pairs = links.select("identify", "match").unique()
    single = pairs.filter(
        pl.col("identify").is_unique(), pl.col("match").is_unique()
    ).join(free, on="identify")  # fmt: skip
    unclear = keys.people.filter(
        pl.col("key").is_in(_repeated(keys.people).implode())
        | pl.col("key").is_in(keys.refused.implode())
    )["match"]
    exported = known.select(
        POSITION,
        id_key("id").alias("known_id"),
        mail_key("email").alias("known_mail"),
        pl.col("anonymous_ids").alias("known_anonymous"),
    )
    compared = single.filter(~pl.col("match").is_in(unclear.unique().implode())).join(
        exported, on="match"
    ).with_columns(person_key("user").alias("key"), mail_key("email").alias("mail"))  # fmt: skip
    same_key = (pl.col("key") == pl.col("known_id")) | (pl.col("key") == pl.col("known_mail"))
    same_mail = pl.col("mail").is_null() | (pl.col("mail") == pl.col("known_mail"))
    is_theirs = pl.col("known_anonymous").list.contains(pl.col("anonymous"))
    return compared.filter(
        same_key.fill_null(value=False), same_mail.fill_null(value=False)
    ).select("identify", "match", (pl.col("anonymous").is_not_null() & ~is_theirs).alias("is_new"))


def _reachable(touched: pl.Series, people: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of the people of the export that keys lead to, however indirectly."""
    reached = touched.unique()
    while True:
        matches = people.filter(pl.col("key").is_in(reached.implode()))["match"].unique()
        reachable = people.filter(pl.col("match").is_in(matches.implode()))
        wider = pl.concat([reached, reachable["key"]]).unique()
        if len(wider) == len(reached):
            return reachable
        reached = wider


def _owned(
    events: pl.DataFrame, keys: _Keys, *, alone: pl.DataFrame, reached: pl.Series
) -> pl.DataFrame:
    """Return the events with whose they are, and whether only the model can tell."""
    identifies = keys.identifies.join(alone.select("identify"), on="identify", how="semi")
    return (
        events.join(identifies, on="key", how="left", maintain_order="left")
        .join(keys.people.unique("key"), on="key", how="left", maintain_order="left")
        .with_columns(pl.col("key").is_in(reached.implode()).alias("is_connected"))
    )
