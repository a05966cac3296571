"""Sorting out: which messages can meet others, and which stand for themselves.

Most rows of a table are about somebody whom no other row confuses. What such rows do is known
without the model. A row is tangled as soon as one of its identifiers occurs in a row that says
something else, in an odd message, before its time in an event, or in the export of people in any
other way than exactly as the row has it. Tangled rows go through the model in their order.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from cio_frames.identity.keys import CIO, ID, MAIL, VISITOR, mail_key, person_key
from cio_frames.identity.settings import Settings

COMBO: Final = ("user", "email", "anonymous")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Messages by what they need.

    Attributes:
        repeated: Slips whose message id came before.
        tangled: Slips that need the model, in order.
        loaded: The people of the export whom tangled messages can meet.
        combos: What plain identifies say: user, email, anonymous, the number of the first and
            of all their rows, and `match`, the position of the person in the export.
        identifies: Plain identifies, with `combo`, the number of the first that says the same.
        events: Events of a person: with `combo`, or with `match`, or of somebody new.
        visits: Events of visitors whom no row identifies.
    """

    repeated: pl.DataFrame
    tangled: pl.DataFrame
    loaded: pl.DataFrame | None
    combos: pl.DataFrame
    identifies: pl.DataFrame
    events: pl.DataFrame
    visits: pl.DataFrame


def sort_out(
    slips: pl.DataFrame,
    odd: pl.DataFrame,
    *,
    known: pl.DataFrame | None,
    settings: Settings,
    crowd: int,
) -> Sorted:
    """Return which slips stand for themselves.

    Args:
        slips: The slips of all messages, without repeated ones.
        odd: The keys that odd messages name.
        known: The people that are there before.
        settings: How the workspace is set up.
        crowd: Rows that say the same are looked at one by one if there are more than this.
    """
    people = _known(known)
    identifies = slips.filter(pl.col("what") == "identify").with_columns(
        pl.col("number").min().over(COMBO).alias("combo")
    )
    combos = identifies.group_by("combo").agg(
        pl.col(*COMBO).first(), pl.len().cast(pl.Int64).alias("rows")
    )
    visits = slips.filter(pl.col("what") == "visit").with_columns(
        (VISITOR + pl.col("anonymous")).alias("key")
    )
    events = slips.filter(pl.col("what") == "event").with_columns(person_key("user").alias("key"))
    named = _combo_keys(combos)
    odd_names = _listed(odd)
    judged = _judged(
        combos,
        named,
        people,
        refused=pl.concat([odd_names, visits["key"]]).unique(),
        early=events.group_by("key").agg(pl.col("number").min().alias("early")),
        crowd=crowd,
    )
    if set(settings.identifiers) != {"id", "email"}:
        judged = judged.with_columns(pl.lit(value=False).alias("plain"))
    plain = judged.filter("plain")
    touched = pl.concat([
        named.join(judged.filter(~pl.col("plain")), on="combo", how="semi")["key"], odd_names,
    ]).unique()  # fmt: skip
    met = people.filter(pl.col("key").is_in(pl.concat([touched, visits["key"]]).implode()))["match"]
    met = people.filter(pl.col("match").is_in(met.unique().implode()))
    theirs = pl.concat([touched, met["key"]]).unique()
    routed = _routed(events, named=named, plain=plain, people=people, tangled=theirs)
    if settings.event_for_unknown == "drop" or set(settings.identifiers) != {"id", "email"}:
        unknown = pl.col("combo").is_null() & pl.col("match").is_null()
        routed = routed.with_columns((pl.col("tangled") | unknown).alias("tangled"))
    anonymous = pl.concat([theirs, named["key"], people["key"]]).unique()
    strangers = ~pl.col("key").is_in(anonymous.implode())
    own = identifies.join(plain, on="combo", how="semi")
    return Sorted(
        repeated=slips.head(0),
        tangled=pl.concat(
            [
                slips.filter(pl.col("what") == "odd"),
                identifies.join(plain, on="combo", how="anti").select(slips.columns),
                routed.filter("tangled").select(slips.columns),
                visits.filter(~strangers).select(slips.columns),
            ]
        ).sort("number"),
        loaded=None if known is None else known[met["match"].unique().sort()],
        combos=plain.drop("plain"),
        identifies=own,
        events=routed.filter(~pl.col("tangled")),
        visits=visits.filter(strangers),
    )
