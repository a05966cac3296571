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
from cio_frames.identity.identifiers import (
    ANONYMOUS,
    CIO,
    ID,
    MAIL,
    id_key,
    key_number,
    mail_key,
    number,
    person_key,
)
from cio_frames.identity.messages import (
    NUMBERS,
    IdentityColumns,
    is_recent,
    is_young,
    with_numbers,
)
from cio_frames.identity.settings import Settings

IDENTIFIERS: Final = ("user", "email", "anonymous")
"""The columns of an identify that stands alone."""
MATCH: Final = pl.Int64
POSITION: Final = pl.int_range(pl.len(), dtype=MATCH).alias("match")
"""The position of each person in the export."""
_SUPPRESSES: Final = "User Suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """Messages that need no model."""

    # Identifies: number, plan, row, user, email, anonymous, identify (the number of the first that
    # says the same), match (the position of the person in the export), and is_new (whether the
    # anonymous id is)
    identifies: pl.DataFrame
    # Events of people, each with identify, or match, or neither for somebody new
    events: pl.DataFrame

    def filter(self, is_wanted: pl.Expr) -> "Alone":
        """Return the messages of some people."""
        return Alone(
            identifies=self.identifies.filter(is_wanted), events=self.events.filter(is_wanted)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Partitioned:
    """Messages by what they need."""

    connected: pl.DataFrame  # messages that need the model, in order
    loaded: pl.DataFrame | None  # the people of the export whom connected messages can meet
    alone: Alone  # of people whom no other message names
    visited: Alone  # of people who are new and named otherwise by events of their visitors only
    visits: pl.DataFrame  # these events, each with identify
    anonymous_events: pl.DataFrame  # events of somebody anonymous whom no row identifies


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """Whose key is whose; keys are numbers.

    Two identifiers that share a number only look as if they met, so the model applies them. Where a
    number tells whose an event is, the identifiers themselves are compared.
    """

    identifies: pl.DataFrame  # columns identify, key and name, which is the identifier
    people: pl.DataFrame  # columns match, key and name
    others: pl.Series  # keys of messages of other kinds
    refused: pl.Series  # these, and keys of anonymous events that are no visits
    visited: pl.Series  # the identifies with an anonymous id that anonymous events have


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
    rows = _with_first(columns.identifies)
    first = rows.filter(pl.col("number") == pl.col("identify"))
    named = named_keys(columns.others, identifies=identifies, settings=settings)
    of_others = _numbers(named)["key"]
    visits = _visits(columns.anonymous_events, first, settings=settings)
    is_visit = pl.col("identify").is_not_null()
    keys = _Keys(
        identifies=_identifies_keys(first),
        people=_people_keys(known),
        others=of_others,
        refused=pl.concat([of_others, visits.filter(~is_visit)["key"]]).unique(),
        visited=visits["identify"].drop_nulls().unique(),
    )
    events = _owned(columns.events, keys)
    left, matched = _sorted_out(rows, first, keys, events, known=known, max_rows=max_rows)
    del first
    is_left = pl.col("identify").is_in(left.implode())
    connected_keys = keys.identifies.filter(is_left)["key"]
    unclear = events["key"].filter(events["key"].is_in(_unclear(keys.people).implode()))
    reachable = _reachable(pl.concat([connected_keys, keys.refused, unclear]), keys.people)
    reached = pl.concat([connected_keys, keys.others, reachable["key"]]).unique()
    is_connected = pl.col("key").is_in(reached.implode())
    if settings.event_for_unknown == "drop":
        is_connected |= pl.col("identify").is_null() & pl.col("match").is_null()
    somebodys = pl.concat([keys.identifies["key"], keys.people["key"], keys.others])
    is_met = is_left.fill_null(value=False) | (~is_visit & pl.col("key").is_in(somebodys.implode()))
    is_visited = pl.col("identify").is_in(keys.visited.implode()).fill_null(value=False)
    del keys, somebodys
    connected = pl.concat(
        [
            columns.others,
            rows.filter(is_left).drop("identify", *NUMBERS),
            _bundled(
                events.filter(is_connected).drop("identify", "match", "key"),
                others=columns.others, settings=settings, now=now,
            ),
            visits.filter(is_met).drop("key", "identify"),
        ],
        how="diagonal",
    )  # fmt: skip
    free = Alone(
        identifies=_with_match(rows.filter(~is_left).drop(NUMBERS), matched),
        events=events.filter(~is_connected).drop("name", "anonymous", "key"),
    )
    return Partitioned(
        connected=connected.sort("number"),
        loaded=None if known is None else known[reachable["match"].unique().sort()],
        alone=free.filter(~is_visited),
        visited=free.filter(is_visited),
        visits=visits.filter(is_visit & ~is_left),
        anonymous_events=visits.filter(~is_visit & ~is_met).drop("identify"),
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
    if columns.dated.is_empty():
        return columns
    dated = with_numbers(columns.dated)
    own = _long(dated, "number", NUMBERS)
    named = named_keys(columns.others, identifies=identifies, settings=settings)
    others = [_long(columns.identifies, "number", NUMBERS), _numbers(named)]
    mine = own.join(_people_keys(known), on="key").select("number", key="match").unique()
    met = pl.concat([own, *others]).unique()
    shared = [each.filter(pl.col("key").is_duplicated())["number"] for each in (met, mine)]
    is_alone = ~pl.col("number").is_in(pl.concat(shared).unique().implode())
    alone = dated.filter(is_alone).select(columns.identifies.columns)
    return replace(
        columns,
        identifies=pl.concat([columns.identifies, alone]).sort("number"),
        others=pl.concat([columns.others, columns.dated.filter(~is_alone)]).sort("number"),
        dated=columns.dated.clear(),
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


def _with_first(identifies: pl.DataFrame) -> pl.DataFrame:
    """Return identifies with the number of the first that says the same."""
    same = identifies.filter(pl.col("who").is_duplicated()).select(
        "number", pl.col("number").first().over(IDENTIFIERS).alias("identify")
    )
    again = same.filter(pl.col("number") != pl.col("identify"))
    found = identifies.select("number").join(again, on="number", how="left", maintain_order="left")
    return identifies.with_columns(
        found.select(pl.coalesce("identify", "number").alias("identify"))
    )


def _identifies_keys(first: pl.DataFrame) -> pl.DataFrame:
    each = [
        first.select("identify", pl.col(key).alias("key"), pl.col(name).alias("name"))
        for key, name in zip(NUMBERS, IDENTIFIERS, strict=True)
    ]
    return pl.concat(each).drop_nulls("key")


def _numbers(named: pl.DataFrame) -> pl.DataFrame:
    """Return the keys that messages name as numbers, each once."""
    return _long(named.with_columns(key_number(name).alias(name) for name in KEYS), "number", KEYS)


def _long(frame: pl.DataFrame, of: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return the keys in several columns as one column, each once."""
    each = [frame.select(of, pl.col(name).alias("key")).drop_nulls() for name in columns]
    return pl.concat(each).unique()


def _people_keys(known: pl.DataFrame | None) -> pl.DataFrame:
    if known is None:
        return pl.DataFrame(schema={"match": MATCH, "key": pl.UInt64, "name": pl.String})
    numbered = known.with_columns(POSITION)
    spread = numbered.explode("anonymous_ids", empty_as_null=True)
    lowered = pl.col("email").str.to_lowercase()
    each = [
        numbered.select("match", key=number(pl.col("id"), ID), name="id"),
        numbered.select("match", key=number(lowered, MAIL), name="email"),
        numbered.select("match", key=number(pl.col("cio_id"), CIO), name="cio_id"),
        spread.select(
            "match", key=number(pl.col("anonymous_ids"), ANONYMOUS), name="anonymous_ids"
        ),
    ]
    return pl.concat(each).drop_nulls("key").unique(["match", "key"], maintain_order=True)


def _repeated(keys: pl.DataFrame) -> pl.Series:
    """Return the keys that are there more than once."""
    return keys["key"].filter(keys["key"].is_duplicated()).unique()


def _unclear(people: pl.DataFrame) -> pl.Series:
    """Return the keys of people of the export who share an identifier with another line of it."""
    shared = people.filter(pl.col("key").is_in(_repeated(people).implode()))["match"].unique()
    return people.filter(pl.col("match").is_in(shared.implode()))["key"]


def _sorted_out(
    rows: pl.DataFrame,
    first: pl.DataFrame,
    keys: _Keys,
    events: pl.DataFrame,
    *,
    known: pl.DataFrame | None,
    max_rows: int,
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return the identifies that meet somebody, and identify, match and is_new of people who are known."""
    shared = keys.identifies["key"].is_duplicated()
    hit = keys.identifies.filter(shared | keys.identifies["key"].is_in(keys.refused.implode()))
    repeated = rows.filter(pl.col("number") != pl.col("identify")).group_by("identify").len()
    crowded = repeated.filter(pl.col("len") >= max_rows)  # the first is not among them
    early = events.filter(pl.col("number") < pl.col("identify"))["identify"].unique()
    met = pl.concat([hit["identify"], crowded["identify"]]).unique()
    if known is None:
        return pl.concat([met, early]).unique(), None
    free = first.filter(~pl.col("identify").is_in(met.implode()))
    links = keys.identifies.join(keys.people.select("match", "key"), on="key")
    matched = _as_exported(free, links, keys, known=known)
    of_export = links["identify"].unique()
    other = of_export.filter(
        ~of_export.is_in(matched["identify"].implode()) | of_export.is_in(keys.visited.implode())
    )
    before = early.filter(~early.is_in(of_export.implode()))
    return pl.concat([met, other, before]).unique(), matched


def _as_exported(
    free: pl.DataFrame, links: pl.DataFrame, keys: _Keys, *, known: pl.DataFrame
) -> pl.DataFrame:
    """Return the identifies that say of one person of the export what the export says already."""
    pairs = links.select("identify", "match").unique()
    single = pairs.filter(
        pl.col("identify").is_unique(), pl.col("match").is_unique()
    ).join(free.select("identify", *IDENTIFIERS), on="identify")  # fmt: skip
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


def _with_match(rows: pl.DataFrame, matched: pl.DataFrame | None) -> pl.DataFrame:
    if matched is None:
        return rows.with_columns(
            pl.lit(None, MATCH).alias("match"), pl.lit(value=True).alias("is_new")
        )
    found = rows.select("identify").join(matched, on="identify", how="left", maintain_order="left")
    return rows.with_columns(
        found.select("match", pl.col("is_new").fill_null(value=True)).get_columns()
    )


def _reachable(touched: pl.Series, people: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of the people of the export that keys lead to, however indirectly."""
    reached = touched.unique()
    while not people.is_empty():
        matches = people.filter(pl.col("key").is_in(reached.implode()))["match"].unique()
        reachable = people.filter(pl.col("match").is_in(matches.implode()))
        wider = pl.concat([reached, reachable["key"]]).unique()
        if len(wider) == len(reached):
            return reachable
        reached = wider
    return people


def _visits(events: pl.DataFrame, first: pl.DataFrame, *, settings: Settings) -> pl.DataFrame:
    """Return anonymous events with the one identify that names their anonymous id, null for none.

    Where it also counts in which order they come and how often, none has any: the model tells.
    """
    of = first.select("identify", key="visitor", name="anonymous").drop_nulls("key")
    if not settings.anonymous_merge or settings.late_anonymous == "reidentify":
        of = of.clear()
    single = of.filter(~pl.col("key").is_duplicated())
    found = events.select("key", "anonymous").join(
        single, on="key", how="left", maintain_order="left"
    )
    is_same = pl.col("anonymous") == pl.col("name")
    return events.with_columns(
        found.select(pl.when(is_same).then("identify").alias("identify")).to_series()
    )


def _owned(events: pl.DataFrame, keys: _Keys) -> pl.DataFrame:
    """Return the events with whose they are: identify, if it is of one only, and match."""
    single = keys.identifies.filter(~pl.col("key").is_duplicated())
    return events.with_columns(
        _whose(events, single, "identify"), _whose(events, keys.people.unique("key"), "match")
    )


def _whose(events: pl.DataFrame, of: pl.DataFrame, whose: str) -> pl.Series:
    """Return of each event whose it is; the other columns of many events are not copied for it."""
    if of.is_empty():
        return pl.Series(whose, [None], dtype=pl.Int64).new_from_index(0, events.height)
    found = events.select("key", "user").join(of, on="key", how="left", maintain_order="left")
    return found.select(pl.when(_is_same("user", "name")).then(whose).alias(whose)).to_series()


def _is_same(one: str, other: str) -> pl.Expr:
    """Return whether two identifiers of one number are the same indeed."""
    mine, theirs = pl.col(one), pl.col(other)
    return (mine == theirs) | (mine.str.to_lowercase() == theirs.str.to_lowercase())
