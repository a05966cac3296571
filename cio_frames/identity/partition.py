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

from cio_frames.identity.components import KEYS, named_keys, repeated_numbers
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
_IS_FIRST: Final = pl.col("number") == pl.col("identify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """Messages that need no model; those of one person among many are not copied."""

    # Identifies: number, plan, row, user, email, anonymous, identify (the number of the first that
    # says the same), match (the position of the person in the export), is_new (whether the
    # anonymous id is), and identifiers (how many there are)
    identifies: pl.LazyFrame
    # Events of people, each with identify, or match, or neither for somebody new
    events: pl.LazyFrame


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

    identifies: pl.DataFrame  # with `identify`, the number of the first that says the same
    shared: pl.Series  # keys of several identifies that say different things
    people: pl.DataFrame  # columns match, key and name, which is the identifier
    others: pl.Series  # keys of messages of other kinds

    @classmethod
    def of(cls, identifies: pl.DataFrame, *, people: pl.DataFrame, others: pl.DataFrame) -> "_Keys":
        """Return the keys of all messages."""
        first = identifies.lazy().filter(_IS_FIRST)
        keys = [first.select(name).collect().to_series().drop_nulls() for name in NUMBERS]
        return cls(
            identifies=identifies,
            shared=repeated_numbers(pl.concat([key.alias("key") for key in keys])),
            people=people,
            others=_numbers(others)["key"],
        )

    def named(self, keys: pl.Series) -> pl.DataFrame:
        """Return identify, key and name of the identifies that have one of some keys."""
        wanted = keys.implode()
        each = [
            self.identifies.lazy()
            .filter(_IS_FIRST & pl.col(key).is_in(wanted))
            .select("identify", key=key, name=name)
            for key, name in zip(NUMBERS, IDENTIFIERS, strict=True)
        ]
        return pl.concat(each).collect()

    def owners(self, keys: pl.Series) -> pl.DataFrame:
        """Return identify, key and name of whom some keys have to themselves."""
        return self.named(keys.unique()).filter(~pl.col("key").is_in(self.shared.implode()))


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
    others = named_keys(columns.others, identifies=identifies, settings=settings)
    keys = _Keys.of(rows, people=_people_keys(known), others=others)
    visits = _visits(columns.anonymous_events, keys, settings=settings)
    strangers = visits.filter(pl.col("identify").is_null())["key"].unique()
    events = _owned(columns.events, keys)
    met, matched = _sorted_out(
        keys, events, visits, strangers=strangers, known=known, max_rows=max_rows
    )
    is_left = pl.col("identify").is_in(met.implode()).fill_null(value=False)
    left = rows.filter(is_left)
    own = pl.concat([left[name].drop_nulls().alias("key") for name in NUMBERS])
    unclear = events["key"].filter(events["key"].is_in(_unclear(keys.people).implode()))
    reachable = _reachable(pl.concat([own, keys.others, strangers, unclear]), keys.people)
    reached = pl.concat([own, keys.others, reachable["key"]]).unique()
    is_connected = pl.col("key").is_in(reached.implode()).fill_null(value=False)
    if settings.event_for_unknown == "drop":
        is_connected |= pl.col("identify").is_null() & pl.col("match").is_null()
    somebodys = pl.concat([keys.named(strangers)["key"], keys.people["key"], keys.others])
    is_met = is_left | (pl.col("identify").is_null() & pl.col("key").is_in(somebodys.implode()))
    acting = _bundled(
        events.filter(is_connected).drop("identify", "match", "key"),
        others=columns.others, settings=settings, now=now,
    )  # fmt: skip
    connected = [
        columns.others, left.drop("identify", *NUMBERS), acting,
        visits.filter(is_met).drop("key", "identify"),
    ]  # fmt: skip
    visits = visits.filter(~is_met)
    is_visited = pl.col("identify").is_in(visits["identify"].drop_nulls().unique().implode())
    identified = _parted(_with_match(_counted(rows), matched), is_left, is_visited)
    acted = _parted(events.drop("name", "anonymous"), is_connected, is_visited)
    alone, visited = (
        Alone(identifies=rows_, events=events_.drop("key"))
        for rows_, events_ in zip(identified, acted, strict=True)
    )
    return Partitioned(
        connected=pl.concat(connected, how="diagonal").sort("number"),
        loaded=None if known is None else known[reachable["match"].unique().sort()],
        alone=alone,
        visited=visited,
        visits=visits.drop_nulls("identify"),
        anonymous_events=visits.filter(pl.col("identify").is_null()).drop("identify"),
    )


def _parted(
    messages: pl.DataFrame, is_connected: pl.Expr, is_visited: pl.Expr
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Return messages of those alone, who are most and not copied, and of the visited."""
    is_free, of_visited = ~is_connected, is_visited.fill_null(value=False)
    parted = messages.with_columns((is_free & ~of_visited).alias("is_alone"))
    alone = parted.lazy().filter("is_alone").drop("is_alone")
    return alone, messages.filter(is_free & of_visited).lazy()


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
    same = identifies.filter(
        pl.col("who").is_in(repeated_numbers(identifies["who"]).implode())
    ).select("number", pl.col("number").first().over(IDENTIFIERS).alias("identify"))
    again = same.filter(~_IS_FIRST)
    found = identifies.select("number").join(again, on="number", how="left", maintain_order="left")
    return identifies.with_columns(
        found.select(pl.coalesce("identify", "number").alias("identify"))
    )


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


def _unclear(people: pl.DataFrame) -> pl.Series:
    """Return the keys of people of the export who share an identifier with another line of it."""
    shared = people.filter(pl.col("key").is_in(repeated_numbers(people["key"]).implode()))[
        "match"
    ].unique()
    return people.filter(pl.col("match").is_in(shared.implode()))["key"]


def _sorted_out(
    keys: _Keys,
    events: pl.DataFrame,
    visits: pl.DataFrame,
    *,
    strangers: pl.Series,
    known: pl.DataFrame | None,
    max_rows: int,
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return the identifies that meet somebody, and identify, match and is_new of people who are known."""
    rows, refused = keys.identifies, pl.concat([keys.others, strangers]).unique()
    hit = keys.named(pl.concat([keys.shared, refused]))["identify"]
    again = rows.filter(~_IS_FIRST).group_by("identify").len()
    crowded = again.filter(pl.col("len") >= max_rows)  # the first is not among them
    early = events.filter(pl.col("number") < pl.col("identify"))["identify"].unique()
    met = pl.concat([hit, crowded["identify"]]).unique()
    if known is None:
        return pl.concat([met, early]).unique(), None
    free = rows.filter(_IS_FIRST & ~pl.col("identify").is_in(met.implode()))
    links = keys.named(keys.people["key"]).join(keys.people.select("match", "key"), on="key")
    matched = _as_exported(free, links, keys.people, refused=refused, known=known)
    of_export = links["identify"].unique()
    visited = visits["identify"].drop_nulls().implode()
    other = of_export.filter(
        ~of_export.is_in(matched["identify"].implode()) | of_export.is_in(visited)
    )
    before = early.filter(~early.is_in(of_export.implode()))
    return pl.concat([met, other, before]).unique(), matched


def _as_exported(
    free: pl.DataFrame,
    links: pl.DataFrame,
    people: pl.DataFrame,
    *,
    refused: pl.Series,
    known: pl.DataFrame,
) -> pl.DataFrame:
    """Return the identifies that say of one person of the export what the export says already."""
    pairs = links.select("identify", "match").unique()
    single = pairs.filter(
        pl.col("identify").is_unique(), pl.col("match").is_unique()
    ).join(free.select("identify", *IDENTIFIERS), on="identify")  # fmt: skip
    unclear = people.filter(
        pl.col("key").is_in(repeated_numbers(people["key"]).implode())
        | pl.col("key").is_in(refused.implode())
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


def _counted(rows: pl.DataFrame) -> pl.DataFrame:
    """Return identifies with how many identifiers each has in place of their numbers."""
    numbers = [pl.col(name).is_not_null() for name in NUMBERS]
    counted = rows.select(pl.sum_horizontal(numbers).cast(pl.UInt8).alias("identifiers"))
    return rows.drop(NUMBERS).with_columns(counted.to_series())


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


def _visits(events: pl.DataFrame, keys: _Keys, *, settings: Settings) -> pl.DataFrame:
    """Return anonymous events with the one identify that names their anonymous id, null for none.

    Where it also counts in which order they come and how often, none has any: the model tells.
    """
    of = keys.owners(events["key"])
    if not settings.anonymous_merge or settings.late_anonymous == "reidentify":
        of = of.clear()
    return events.with_columns(_whose(events, of, "identify", by="anonymous"))


def _owned(events: pl.DataFrame, keys: _Keys) -> pl.DataFrame:
    """Return the events with whose they are: identify, if it is of one only, and match."""
    return events.with_columns(
        _whose(events, keys.owners(events["key"]), "identify"),
        _whose(events, keys.people.unique("key"), "match"),
    )


def _whose(
    events: pl.DataFrame, of: pl.DataFrame, whose: str, *, by: str = "user"
) -> pl.Series | pl.Expr:
    """Return of each event whose it is; the other columns of many events are not copied for it."""
    if of.is_empty():
        return pl.lit(None, pl.Int64).alias(whose)
    found = events.select("key", by).join(of, on="key", how="left", maintain_order="left")
    is_same = _is_same(by, "name") if by == "user" else pl.col(by) == pl.col("name")
    return found.select(pl.when(is_same).then(whose).alias(whose)).to_series()


def _is_same(one: str, other: str) -> pl.Expr:
    """Return whether two identifiers of one number are the same indeed."""
    mine, theirs = pl.col(one), pl.col(other)
    return (mine == theirs) | (mine.str.to_lowercase() == theirs.str.to_lowercase())
