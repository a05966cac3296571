"""Sorting out: which messages can meet others, and which stand for themselves.

Most rows of a table are about somebody whom no other row confuses, and what such rows do is known
without the model. A row is tangled as soon as one of its identifiers occurs in a row that says
something else, in an odd message, in an event before its time, or in the export of people in any
other way than the row has it. Tangled rows go through the model, in their order.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import polars as pl

from cio_frames.identity.components import KEYS, NAMED
from cio_frames.identity.keys import cio_key, id_key, mail_key, person_key, visitor_key
from cio_frames.identity.messages import Slips, is_recent, is_young
from cio_frames.identity.settings import Settings

COMBO: Final = ("user", "email", "anonymous")
MATCH: Final = pl.Int64
_SUPPRESSES: Final = "User Suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Messages by what they need.

    Attributes:
        tangled: Slips that need the model, in order.
        loaded: The people of the export whom tangled messages can meet.
        combos: What plain identifies say, one line for all that say the same: user, email,
            anonymous, combo (the number of the first), numbers and places of all of them, match
            (the position of the person in the export), and is_new (whether the anonymous id is).
        events: Plain events of people, each with combo, or match, or neither for somebody new.
        visits: Plain events of visitors whom no row identifies.
    """

    tangled: pl.DataFrame
    loaded: pl.DataFrame | None
    combos: pl.DataFrame
    events: pl.DataFrame
    visits: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """Whose key is whose.

    Attributes:
        combos: Columns combo and key.
        people: Columns match and key.
        refused: Keys of odd messages and of visits.
        early: Columns key and early, the number of the first event of a key.
    """

    combos: pl.DataFrame
    people: pl.DataFrame
    refused: pl.Series
    early: pl.DataFrame


def sort_out(
    slips: Slips,
    odd: pl.DataFrame,
    *,
    known: pl.DataFrame | None,
    settings: Settings,
    now: datetime,
    crowd: int,
) -> Sorted:
    """Return which slips stand for themselves.

    Args:
        slips: The slips of all messages, without repeated ones.
        odd: The keys that odd messages name.
        known: The people that are there before.
        settings: How the workspace is set up.
        now: When everything is received.
        crowd: More rows than this that say the same are applied one by one.
    """
    combos = _combos(slips.identifies)
    visits = slips.visits.with_columns(visitor_key("anonymous").alias("key"))
    events = slips.events.with_columns(person_key("user").alias("key"))
    odd_keys = _long(odd, "number", KEYS)["key"]
    keys = _Keys(
        combos=_combo_keys(combos),
        people=_people_keys(known),
        refused=pl.concat([odd_keys, visits["key"]]).unique(),
        early=events.group_by("key").agg(pl.col("number").min().alias("early")),
    )
    plain = _plain(combos, keys, known=known, crowd=crowd)
    tangled_keys = keys.combos.join(plain, on="combo", how="anti")["key"]
    unclear = events["key"].filter(events["key"].is_in(_unclear(keys.people).implode()))
    met = _met(pl.concat([tangled_keys, keys.refused, unclear]), keys.people)
    reached = pl.concat([tangled_keys, odd_keys, met["key"]]).unique()
    routed = _routed(events, keys, plain=plain, reached=reached)
    if settings.event_for_unknown == "drop":
        nobody = pl.col("combo").is_null() & pl.col("match").is_null()
        routed = routed.with_columns(pl.col("is_tangled") | nobody)
    somebodys = pl.concat([keys.combos["key"], keys.people["key"], odd_keys])
    met_visits = pl.col("key").is_in(somebodys.unique().implode())
    left = combos.join(plain, on="combo", how="anti").explode("numbers", empty_as_null=False)[
        "numbers"
    ]
    tangled = pl.concat(
        [
            slips.odd,
            slips.identifies.filter(pl.col("number").is_in(left.implode())),
            _bundled(
                routed.filter("is_tangled").select(slips.events.columns),
                odd=slips.odd,
                settings=settings,
                now=now,
            ),
            visits.filter(met_visits).select(slips.visits.columns),
        ],
        how="diagonal",
    )
    return Sorted(
        tangled=tangled.sort("number"),
        loaded=None if known is None else known[met["match"].unique().sort()],
        combos=combos.join(plain, on="combo"),
        events=routed.filter(~pl.col("is_tangled")).drop("name", "anonymous", "is_tangled"),
        visits=visits.filter(~met_visits),
    )


def everything(slips: Slips, *, known: pl.DataFrame | None) -> Sorted:
    """Return all slips as tangled: everybody goes through the model."""
    nothing = sort_out(
        slips.each(lambda frame: frame.head(0)),
        NAMED.to_frame(),
        known=None,
        settings=Settings(),
        now=datetime.fromtimestamp(0, tz=UTC),
        crowd=1,
    )
    tangled = pl.concat(slips.frames(), how="diagonal").sort("number")
    return replace(nothing, tangled=tangled, loaded=known)


def _bundled(
    events: pl.DataFrame, *, odd: pl.DataFrame, settings: Settings, now: datetime
) -> pl.DataFrame:
    """Return events with those as one that do the same: of one person, of about one age.

    Within a plan of events only odd messages change whom a reference means. Where events can be
    ignored, each of them is told about, so none may stand for others.
    """
    is_told = settings.event_for_unknown == "drop"
    if is_told or odd["text"].str.contains(_SUPPRESSES, literal=True).any():
        return events
    epoch = odd["number"].sort().search_sorted(events["number"])
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


def _combos(identifies: pl.DataFrame) -> pl.DataFrame:
    return identifies.group_by(COMBO).agg(
        pl.col("number").first().alias("combo"),
        pl.col("number").alias("numbers"),
        pl.struct("plan", "row").alias("places"),
    )  # fmt: skip


def _long(frame: pl.DataFrame, of: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return the keys in several columns as one column, each once."""
    found = [frame.select(of, pl.col(name).alias("key")).drop_nulls() for name in columns]
    return pl.concat(found).unique()


def _combo_keys(combos: pl.DataFrame) -> pl.DataFrame:
    keyed = combos.select("combo", person_key("user"), mail_key("email"), visitor_key("anonymous"))
    return _long(keyed, "combo", COMBO)


def _people_keys(known: pl.DataFrame | None) -> pl.DataFrame:
    if known is None:
        return pl.DataFrame(schema={"match": MATCH, "key": pl.String})
    numbered = known.with_columns(pl.int_range(pl.len(), dtype=MATCH).alias("match"))
    anonymous = numbered.select("match", pl.col("anonymous_ids").alias("anonymous"))
    keyed = numbered.select(
        "match", id_key("id"), mail_key("email"), cio_key("cio_id").alias("cio")
    )
    spread = anonymous.explode("anonymous", empty_as_null=True)
    visitors = spread.select("match", visitor_key("anonymous").alias("key")).drop_nulls()
    return pl.concat([_long(keyed, "match", ("id", "email", "cio")), visitors]).unique()


def _doubled(owned: pl.DataFrame) -> pl.Series:
    """Return the keys that are there more than once."""
    return owned.group_by("key").len().filter(pl.col("len") > 1)["key"]


def _unclear(people: pl.DataFrame) -> pl.Series:
    """Return the keys of people of the export who share an identifier with another line of it."""
    shared = people.filter(pl.col("key").is_in(_doubled(people).implode()))["match"].unique()
    return people.filter(pl.col("match").is_in(shared.implode()))["key"]


def _plain(
    combos: pl.DataFrame, keys: _Keys, *, known: pl.DataFrame | None, crowd: int
) -> pl.DataFrame:
    """Return the combos that meet nobody else: combo, match and is_new."""
    shared = _doubled(keys.combos)
    hit = keys.combos.filter(
        pl.col("key").is_in(shared.implode()) | pl.col("key").is_in(keys.refused.implode())
    )["combo"]
    crowded = combos.filter(pl.col("numbers").list.len() > crowd)["combo"]
    free = combos.filter(
        ~pl.col("combo").is_in(pl.concat([hit, crowded]).unique().implode())
    ).select("combo", *COMBO)
    links = keys.combos.join(keys.people, on="key")
    new = free.join(links, on="combo", how="anti").select("combo")
    before = keys.combos.join(keys.early, on="key").filter(pl.col("early") < pl.col("combo"))
    created = new.join(before, on="combo", how="anti").select(
        "combo", pl.lit(None, MATCH).alias("match"), pl.lit(value=True).alias("is_new")
    )
    if known is None:
        return created
    return pl.concat([created, _exact(free, links, keys, known=known)])


def _exact(
    free: pl.DataFrame, links: pl.DataFrame, keys: _Keys, *, known: pl.DataFrame
) -> pl.DataFrame:
    """Return the combos that say of one person of the export what the export says already."""
    pairs = links.select("combo", "match").unique()
    single = pairs.filter(
        pl.col("combo").is_unique(), pl.col("match").is_unique()
    ).join(free, on="combo")  # fmt: skip
    unclear = keys.people.filter(
        pl.col("key").is_in(_doubled(keys.people).implode())
        | pl.col("key").is_in(keys.refused.implode())
    )["match"]
    theirs = known.select(
        pl.int_range(pl.len(), dtype=MATCH).alias("match"),
        id_key("id").alias("their_id"),
        mail_key("email").alias("their_mail"),
        pl.col("anonymous_ids").alias("their_visitors"),
    )
    faced = single.filter(~pl.col("match").is_in(unclear.unique().implode())).join(
        theirs, on="match"
    ).with_columns(person_key("user").alias("key"), mail_key("email").alias("mail"))  # fmt: skip
    same_key = (pl.col("key") == pl.col("their_id")) | (pl.col("key") == pl.col("their_mail"))
    same_mail = pl.col("mail").is_null() | (pl.col("mail") == pl.col("their_mail"))
    is_theirs = pl.col("their_visitors").list.contains(pl.col("anonymous"))
    return faced.filter(same_key.fill_null(value=False), same_mail.fill_null(value=False)).select(
        "combo", "match", (pl.col("anonymous").is_not_null() & ~is_theirs).alias("is_new")
    )


def _met(touched: pl.Series, people: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of the people of the export that keys lead to, however indirectly."""
    reached = touched.unique()
    while True:
        matches = people.filter(pl.col("key").is_in(reached.implode()))["match"].unique()
        met = people.filter(pl.col("match").is_in(matches.implode()))
        wider = pl.concat([reached, met["key"]]).unique()
        if len(wider) == len(reached):
            return met
        reached = wider


def _routed(
    events: pl.DataFrame, keys: _Keys, *, plain: pl.DataFrame, reached: pl.Series
) -> pl.DataFrame:
    """Return the events with whose they are, and whether only the model can tell."""
    combos = keys.combos.join(plain.select("combo"), on="combo", how="semi")
    return (
        events.join(combos, on="key", how="left", maintain_order="left")
        .join(keys.people.unique("key"), on="key", how="left", maintain_order="left")
        .with_columns(pl.col("key").is_in(reached.implode()).alias("is_tangled"))
    )
