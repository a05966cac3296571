"""Which messages are independent of all others, and which are connected: those need the model.

Most rows of a table are about a person whom no other row mentions differently, and their effects
can be computed by whole columns. A row is connected if one of its identifiers occurs in a row that
sets other identifiers, in a message of another kind, in an earlier event, or in the export of people
with other identifiers than the row has. Connected rows go through the model, in their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import polars as pl

from cio_frames.identity.components import KEYS, named_keys, repeated_numbers
from cio_frames.identity.conflicts import ROWS_PER_IDENTIFIER
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
from cio_frames.identity.settings import Premise, Settings

IDENTIFIERS: Final = ("user", "email", "anonymous")
"""The identifier columns of an independent identify."""
MATCH: Final = pl.Int64
POSITION: Final = pl.int_range(pl.len(), dtype=MATCH).alias("match")
"""The position of each person in the export."""
_SUPPRESSES: Final = "User Suppressed"
IS_FIRST: Final = pl.col("number") == pl.col("identify")
"""Whether an identify is the first with its identifiers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndependentMessages:
    """Messages that need no model; lazy, because most tables have little else."""

    # Identifies: number, plan, row, user, email, anonymous, identify (the number of the first with
    # the same identifiers), match (the position of the person in the export), is_new (whether the
    # anonymous id is), and identifiers (how many there are)
    identifies: pl.LazyFrame
    # Events of people, each with identify, or match, or neither for a new person
    events: pl.LazyFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Partitioned:
    """Messages by what they need."""

    connected: pl.DataFrame  # messages that need the model, in order
    loaded: pl.DataFrame | None  # the people of the export whom connected messages can reach
    independent: IndependentMessages  # messages about people whom no other message names
    # Messages about new people whom other messages name by their anonymous ids only
    former_visitors: IndependentMessages
    visitor_events: pl.DataFrame  # the anonymous events of these people, each with identify
    unidentified_events: pl.DataFrame  # anonymous events of visitors whom no row identifies


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """Who has which key; keys are numbers.

    Two identifiers that share a number only look connected, so the model applies their messages.
    Where a number decides whose an event is, the identifiers themselves are compared.
    """

    identifies: pl.DataFrame  # with `identify`, the number of the first with the same identifiers
    shared: pl.Series  # keys of identifies that have different identifiers
    people: pl.DataFrame  # columns match, key and name, which is the identifier
    others: pl.Series  # keys of messages of other kinds

    @classmethod
    def of(cls, identifies: pl.DataFrame, *, people: pl.DataFrame, others: pl.Series) -> "_Keys":
        """Return the keys of all messages."""
        first = identifies.lazy().filter(IS_FIRST)
        keys = [first.select(name).collect().to_series().drop_nulls() for name in NUMBERS]
        return cls(
            identifies=identifies,
            shared=repeated_numbers(pl.concat([key.alias("key") for key in keys])),
            people=people,
            others=others,
        )

    def identifies_with(self, keys: pl.Series) -> pl.DataFrame:
        """Return identify, key and name of the identifies that have one of the keys."""
        wanted = keys.implode()
        by_column = [
            self.identifies.lazy()
            .filter(IS_FIRST & pl.col(key).is_in(wanted))
            .select("identify", key=key, name=name)
            for key, name in zip(NUMBERS, IDENTIFIERS, strict=True)
        ]
        return pl.concat(by_column).collect()

    def sole_owners(self, keys: pl.Series) -> pl.DataFrame:
        """Return identify, key and name for the keys that only one identify has."""
        matches = self.identifies_with(keys.unique())
        return matches.filter(~pl.col("key").is_in(self.shared.implode()))


def partition(
    columns: IdentityColumns, premise: Premise, *, identifies: Sequence[int]
) -> Partitioned:
    """Return which messages are independent, and which are connected; `identifies` are plans."""
    settings, workspace_people = premise.settings, premise.workspace_people
    rows = _with_first(columns.identifies)
    by_others = named_keys(columns.others, identifies=identifies, settings=settings)
    # What an alias does can depend on whether its previousId is the anonymous id of a visitor
    visitors = columns.others.select(key=number(pl.col("previous"), ANONYMOUS)).drop_nulls()
    others = pl.concat([_key_numbers(by_others)["key"], visitors["key"]]).unique()
    keys = _Keys.of(rows, people=_people_keys(workspace_people), others=others)
    anonymous = _visitor_events(columns.anonymous_events, keys, settings=settings)
    unowned = anonymous.filter(pl.col("identify").is_null())["key"].unique()
    events = _with_owners(columns.events, keys)
    connected, matched = _connected_identifies(
        keys, events, anonymous, unowned=unowned, workspace_people=workspace_people,
        max_rows=ROWS_PER_IDENTIFIER * premise.largest,
    )  # fmt: skip
    is_connected = pl.col("identify").is_in(connected.implode()).fill_null(value=False)
    identifying = rows.filter(is_connected)
    own = pl.concat([identifying[name].drop_nulls().alias("key") for name in NUMBERS])
    ambiguous = events["key"].filter(events["key"].is_in(_ambiguous(keys.people).implode()))
    reachable = _reachable(pl.concat([own, keys.others, unowned, ambiguous]), keys.people)
    reached = pl.concat([own, keys.others, reachable["key"]]).unique()
    acts_connected = pl.col("key").is_in(reached.implode()).fill_null(value=False)
    if settings.event_for_unknown == "drop":
        acts_connected |= pl.col("identify").is_null() & pl.col("match").is_null()
    named = pl.concat([keys.identifies_with(unowned)["key"], keys.people["key"], keys.others])
    is_named = pl.col("identify").is_null() & pl.col("key").is_in(named.implode())
    acting = _grouped_events(
        events.filter(acts_connected).drop("identify", "match", "key"),
        others=columns.others, settings=settings, now=premise.now,
    )  # fmt: skip
    for_model = [
        columns.others, identifying.drop("identify", *NUMBERS), acting,
        anonymous.filter(is_connected | is_named).drop("key", "identify"),
    ]  # fmt: skip
    anonymous = anonymous.filter(~(is_connected | is_named))
    has_visited = pl.col("identify").is_in(anonymous["identify"].drop_nulls().unique().implode())
    identified = _split(
        _with_match(_with_identifier_counts(rows), matched), is_connected, has_visited
    )
    acted = _split(events.drop("name", "anonymous"), acts_connected, has_visited)
    independent, former_visitors = (
        IndependentMessages(identifies=rows_, events=events_.drop("key"))
        for rows_, events_ in zip(identified, acted, strict=True)
    )
    return Partitioned(
        connected=pl.concat(for_model, how="diagonal").sort("number"),
        loaded=(
            None
            if workspace_people is None
            else workspace_people[reachable["match"].unique().sort()]
        ),
        independent=independent,
        former_visitors=former_visitors,
        visitor_events=anonymous.drop_nulls("identify"),
        unidentified_events=anonymous.filter(pl.col("identify").is_null()).drop("identify"),
    )


def _split(
    messages: pl.DataFrame, is_connected: pl.Expr, has_visited: pl.Expr
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Return the messages of independent people and of former visitors.

    Messages of independent people, which are most, are not copied.
    """
    is_free, has_visited = ~is_connected, has_visited.fill_null(value=False)
    marked = messages.with_columns((is_free & ~has_visited).alias("is_independent"))
    independent = marked.lazy().filter("is_independent").drop("is_independent")
    return independent, messages.filter(is_free & has_visited).lazy()


def without_dates(
    columns: IdentityColumns, premise: Premise, *, identifies: Sequence[int]
) -> IdentityColumns:
    """Return messages, with a dated identify as an undated one if no other is about its person.

    If several messages are about one person, their times decide which attributes remain; those need
    the model.
    """
    if columns.dated.is_empty():
        return columns
    dated = with_numbers(columns.dated)
    named = named_keys(columns.others, identifies=identifies, settings=premise.settings)
    identifying = [_key_rows(rows, NUMBERS) for rows in (dated, columns.identifies)]
    keys = pl.concat([*identifying, _key_numbers(named)]).unique()
    people = _people_keys(premise.workspace_people)
    matches = keys.join(people, on="key").select("number", key="match").unique()
    shared = [rows.filter(pl.col("key").is_duplicated())["number"] for rows in (keys, matches)]
    is_only = ~pl.col("number").is_in(pl.concat(shared).unique().implode())
    undated = dated.filter(is_only).select(columns.identifies.columns)
    return replace(
        columns,
        identifies=pl.concat([columns.identifies, undated]).sort("number"),
        others=pl.concat([columns.others, columns.dated.filter(~is_only)]).sort("number"),
        dated=columns.dated.clear(),
    )


def all_connected(columns: IdentityColumns, premise: Premise) -> Partitioned:
    """Return all messages as connected, so that all go through the model."""
    without_people = replace(premise, workspace_people=None)
    empty = partition(
        columns.map_frames(lambda frame: frame.head(0)), without_people, identifies=()
    )
    connected = pl.concat(columns.frames(), how="diagonal").sort("number")
    return replace(empty, connected=connected, loaded=premise.workspace_people)


def _grouped_events(
    events: pl.DataFrame, *, others: pl.DataFrame, settings: Settings, now: datetime
) -> pl.DataFrame:
    """Return events, with those that have the same effect as one: of one person, of similar age.

    Within a plan of events, only messages of other kinds change which person an identifier means.
    Where events can be ignored, each is reported, so they are not grouped.
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
    """Return identifies with the number of the first one that has the same identifiers."""
    repeated = identifies.filter(
        pl.col("who").is_in(repeated_numbers(identifies["who"]).implode())
    ).select("number", pl.col("number").first().over(IDENTIFIERS).alias("identify"))
    later = repeated.filter(~IS_FIRST)
    numbers = identifies.select("number").join(
        later, on="number", how="left", maintain_order="left"
    )
    return identifies.with_columns(
        numbers.select(pl.coalesce("identify", "number").alias("identify"))
    )


def _key_numbers(named: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of messages as numbers, each once."""
    return _key_rows(named.with_columns(key_number(name).alias(name) for name in KEYS), KEYS)


def _key_rows(messages: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return number and key, one row for each key in several columns."""
    keys = [messages.select("number", pl.col(name).alias("key")).drop_nulls() for name in columns]
    return pl.concat(keys).unique()


def _people_keys(workspace_people: pl.DataFrame | None) -> pl.DataFrame:
    if workspace_people is None:
        return pl.DataFrame(schema={"match": MATCH, "key": pl.UInt64, "name": pl.String})
    numbered = workspace_people.with_columns(POSITION)
    spread = numbered.explode("anonymous_ids", empty_as_null=True)
    lowered = pl.col("email").str.to_lowercase()
    keys = [
        numbered.select("match", key=number(pl.col("id"), ID), name="id"),
        numbered.select("match", key=number(lowered, MAIL), name="email"),
        numbered.select("match", key=number(pl.col("cio_id"), CIO), name="cio_id"),
        spread.select(
            "match", key=number(pl.col("anonymous_ids"), ANONYMOUS), name="anonymous_ids"
        ),
    ]
    return pl.concat(keys).drop_nulls("key").unique(["match", "key"], maintain_order=True)


def _ambiguous(people: pl.DataFrame) -> pl.Series:
    """Return the keys of exported people who share an identifier with another row of the export."""
    shared = people.filter(pl.col("key").is_in(repeated_numbers(people["key"]).implode()))[
        "match"
    ].unique()
    return people.filter(pl.col("match").is_in(shared.implode()))["key"]


def _connected_identifies(
    keys: _Keys,
    events: pl.DataFrame,
    anonymous: pl.DataFrame,
    *,
    unowned: pl.Series,
    workspace_people: pl.DataFrame | None,
    max_rows: int,
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return the connected identifies, and identify, match and is_new of those that match the export."""
    rows, blocked = keys.identifies, pl.concat([keys.others, unowned]).unique()
    touching = keys.identifies_with(pl.concat([keys.shared, blocked]))["identify"]
    repeats = rows.filter(~IS_FIRST).group_by("identify").len()
    too_many = repeats.filter(pl.col("len") >= max_rows)  # the first is not counted
    early = events.filter(pl.col("number") < pl.col("identify"))["identify"].unique()
    connected = pl.concat([touching, too_many["identify"]]).unique()
    if workspace_people is None:
        return pl.concat([connected, early]).unique(), None
    free = rows.filter(IS_FIRST & ~pl.col("identify").is_in(connected.implode()))
    links = keys.identifies_with(keys.people["key"]).join(
        keys.people.select("match", "key"), on="key"
    )
    matched = _as_exported(
        free, links, keys.people, blocked=blocked, workspace_people=workspace_people
    )
    linked = links["identify"].unique()
    visited = anonymous["identify"].drop_nulls().implode()
    differing = linked.filter(~linked.is_in(matched["identify"].implode()) | linked.is_in(visited))
    early_new = early.filter(~early.is_in(linked.implode()))
    return pl.concat([connected, differing, early_new]).unique(), matched


def _as_exported(
    free: pl.DataFrame,
    links: pl.DataFrame,
    people: pl.DataFrame,
    *,
    blocked: pl.Series,
    workspace_people: pl.DataFrame,
) -> pl.DataFrame:
    """Return the identifies that agree with the export about one person."""
    pairs = links.select("identify", "match").unique()
    single = pairs.filter(
        pl.col("identify").is_unique(), pl.col("match").is_unique()
    ).join(free.select("identify", *IDENTIFIERS), on="identify")  # fmt: skip
    ambiguous = people.filter(
        pl.col("key").is_in(repeated_numbers(people["key"]).implode())
        | pl.col("key").is_in(blocked.implode())
    )["match"]
    exported = workspace_people.select(
        POSITION,
        id_key("id").alias("exported_id"),
        mail_key("email").alias("exported_mail"),
        pl.col("anonymous_ids").alias("exported_anonymous"),
    )
    compared = single.filter(~pl.col("match").is_in(ambiguous.unique().implode())).join(
        exported, on="match"
    ).with_columns(person_key("user").alias("key"), mail_key("email").alias("mail"))  # fmt: skip
    same_key = (pl.col("key") == pl.col("exported_id")) | (pl.col("key") == pl.col("exported_mail"))
    same_mail = pl.col("mail").is_null() | (pl.col("mail") == pl.col("exported_mail"))
    is_theirs = pl.col("exported_anonymous").list.contains(pl.col("anonymous"))
    return compared.filter(
        same_key.fill_null(value=False), same_mail.fill_null(value=False)
    ).select("identify", "match", (pl.col("anonymous").is_not_null() & ~is_theirs).alias("is_new"))


def _with_identifier_counts(rows: pl.DataFrame) -> pl.DataFrame:
    """Return identifies with how many identifiers each has, instead of their numbers."""
    numbers = [pl.col(name).is_not_null() for name in NUMBERS]
    counts = rows.select(pl.sum_horizontal(numbers).cast(pl.UInt8).alias("identifiers"))
    return rows.drop(NUMBERS).with_columns(counts.to_series())


def _with_match(rows: pl.DataFrame, matched: pl.DataFrame | None) -> pl.DataFrame:
    if matched is None:
        return rows.with_columns(
            pl.lit(None, MATCH).alias("match"), pl.lit(value=True).alias("is_new")
        )
    matches = rows.select("identify").join(
        matched, on="identify", how="left", maintain_order="left"
    )
    return rows.with_columns(
        matches.select("match", pl.col("is_new").fill_null(value=True)).get_columns()
    )


def _reachable(keys: pl.Series, people: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of the exported people that keys lead to, directly or through others."""
    reached = keys.unique()
    while not people.is_empty():
        matches = people.filter(pl.col("key").is_in(reached.implode()))["match"].unique()
        reachable = people.filter(pl.col("match").is_in(matches.implode()))
        wider = pl.concat([reached, reachable["key"]]).unique()
        if len(wider) == len(reached):
            return reachable
        reached = wider
    return people


def _visitor_events(events: pl.DataFrame, keys: _Keys, *, settings: Settings) -> pl.DataFrame:
    """Return anonymous events with the one identify that names their anonymous id, null for none.

    If their order and number matter as well, all are null: the model applies them.
    """
    owners = keys.sole_owners(events["key"])
    if not settings.anonymous_merge or settings.late_anonymous == "reidentify":
        owners = owners.clear()
    return events.with_columns(_owner(events, owners, "identify", by="anonymous"))


def _with_owners(events: pl.DataFrame, keys: _Keys) -> pl.DataFrame:
    """Return events with their owners: identify, if there is only one, and match."""
    return events.with_columns(
        _owner(events, keys.sole_owners(events["key"]), "identify"),
        _owner(events, keys.people.unique("key"), "match"),
    )


def _owner(
    events: pl.DataFrame, owners: pl.DataFrame, column: str, *, by: str = "user"
) -> pl.Series | pl.Expr:
    """Return the owner of each event, without a copy of the other columns."""
    if owners.is_empty():
        return pl.lit(None, pl.Int64).alias(column)
    joined = events.select("key", by).join(owners, on="key", how="left", maintain_order="left")
    is_same = _is_same(by, "name") if by == "user" else pl.col(by) == pl.col("name")
    return joined.select(pl.when(is_same).then(column).alias(column)).to_series()


def _is_same(one: str, other: str) -> pl.Expr:
    """Return whether two identifiers that share a number are really the same."""
    left, right = pl.col(one), pl.col(other)
    return (left == right) | (left.str.to_lowercase() == right.str.to_lowercase())
