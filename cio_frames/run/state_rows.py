"""Which rows that set a state are sent again: all, but those after which nothing has changed.

A repeat of such a row is harmless, one that does not arrive is not. A row is done if an earlier run
delivered what it says, and nothing else about its subjects arrived since, in the record and in the
tables at hand. Every other row is sent, under an id that no earlier message had.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from cio_frames.audit.pseudonyms import Pii, keyed_hashes, keyed_ids, pseudonyms
from cio_frames.audit.subjects import DIGITS, KIND, hashed, numbers
from cio_frames.mapping.identifiers import ATTRIBUTES, DEVICES, GONE, NAMED, RELATIONS, UNKNOWN
from cio_frames.spec import LINKING_CALLS
from cio_frames.values import sha256

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

StateMessages = Callable[..., Generator[tuple[int, str, pl.DataFrame]]]
"""Gives plan, call and messages of tables; with `events=True` of all rows, else of those that set a
state."""

_BASES: Final = (1 << 64) - 1 - KIND
ANYBODY: Final = _BASES
"""The subject of rows whose subjects are not known: everybody's."""

FOLLOWS: Final = {
    ATTRIBUTES: (ATTRIBUTES, GONE),
    GONE: (ATTRIBUTES, GONE, RELATIONS, DEVICES, NAMED),
    RELATIONS: (RELATIONS, GONE),
    DEVICES: (DEVICES, GONE),
    NAMED: (GONE,),
}
"""What undoes what is said of a subject, by the kind of what is said."""

SENT_AGAIN, IN_DOUBT_BEFORE = "SENT_AGAIN", "IN_DOUBT_BEFORE"
"""The codes of rows that are sent again under a new id, and of those that stay in doubt."""
CONFLICT, REPEAT = "message.conflict", "message.repeat"
"""The codes of rows that are rejected because of what an earlier run sent."""

ROUNDS = 100
"""After so many rounds of rows that take others with them, all that are left are sent."""

DECIDED = pl.Schema({
    "plan": pl.Int64(), "row": pl.Int64(), "seed": pl.String(), "wanted": pl.String(),
    "seeds": pl.List(pl.String()), "state": pl.String(), "code": pl.String(), "error": pl.String(),
})  # fmt: skip
"""What becomes of rows that are not just sent or found by their id.

A row gets an id that is made with `seed`, or the id that the record has as `wanted`, which was made
with one of `seeds`; or it is not sent, and has `state`, code and error.
"""

_REPEAT = (
    "A message with the same ID and content has already arrived, followed by something else about the "
    "same person or object. Customer.io would ignore it. Use another message_id."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What earlier runs may have changed in the workspace."""

    states: pl.DataFrame  # rows with subjects, of `audit.Earlier`
    events: pl.LazyFrame  # the other ones
    pii: Pii  # how the record of now is kept
    key: str | None
    id_key: str | None  # what the message ids and hashes of the record are under
    judge: Callable[[pl.DataFrame], pl.DataFrame]  # adds `kept_state`

    def decided(
        self, messages: StateMessages, *, repeat: bool, taken_up: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        """Return what becomes of rows that are not just sent, as `DECIDED`.

        With `repeat`, nothing counts as done. Rows that are `taken_up` (plan, row and message_id) keep
        the id that they were recorded with.
        """
        takes_away = bool(self.states["call"].is_in(["track", "alias"]).any())
        parts = [
            self._as_recorded(rows, plan=plan, call=call)
            for plan, call, rows in messages(events=takes_away)
            if rows.height
        ]
        if not parts:
            return DECIDED.to_frame()
        now = pl.concat(parts)
        earlier = self.states
        gone = now.filter(_has_kind(GONE))["subjects"]
        if takes_away and len(gone):
            people = gone.str.split(" ").explode(empty_as_null=True).str.head(DIGITS).unique()
            named = pl.col("person_key").str.head(DIGITS).is_in(people.implode())
            is_anybody = pl.col("person_key").is_null() | pl.lit(self.pii == "full")
            by_them = named | is_anybody | pl.lit(UNKNOWN in people)
            earlier = pl.concat([earlier, self.events.filter(by_them).collect()])
            now = now.filter(pl.col("subjects").is_not_null() | by_them)
        else:
            now = now.filter(pl.col("subjects").is_not_null())
        earlier = self.judge(earlier.sort("at", "run_id", "plan", "row"))
        earlier = _with_content(earlier, now=now).with_row_index("position")
        undoes = bool(now.select((_has_kind(GONE) | _links()).any()).item())
        if taken_up is None and not repeat:
            now, earlier = _open(now, earlier)
        return _decided(now, earlier, undoes=undoes, repeat=repeat, taken_up=taken_up)

    def _as_recorded(self, rows: pl.DataFrame, *, plan: int, call: str) -> pl.DataFrame:
        """Return rows of a table with ids, hashes and subjects as the record has them."""
        people = pseudonyms(rows["person"], pii=self.pii, key=self.key)
        hashes = pl.lit(None, pl.String)
        if self.states["payload_hash"].null_count() < self.states.height:
            said = pl.Series([f"{number:016x}" for number in rows["content"]], dtype=pl.String)
            hashes = keyed_hashes(pl.lit(said), key=self.id_key)
        return rows.select(
            pl.lit(plan, pl.Int64).alias("plan"),
            "row",
            pl.lit(call).alias("call"),
            people,
            keyed_ids(pl.col("message_id"), key=self.id_key).alias("message_id"),
            hashes.alias("payload_hash"),
            "content",
            hashed(rows, people=people, pii=self.pii, key=self.key),
            "is_given",
        )


def _with_content(earlier: pl.DataFrame, *, now: pl.DataFrame) -> pl.DataFrame:
    """Return rows of a record with the content of the row of a table that says the same.

    An id of the record that does not tell what its message says has a hash beside it.
    """
    names = {"message_id": "by_id", "payload_hash": "by_hash"}
    for name, content in names.items():
        known = now.select(name, pl.col("content").alias(content)).drop_nulls(name).unique(name)
        earlier = earlier.join(known, on=name, how="left", maintain_order="left")
    is_hashed = pl.col("payload_hash").is_not_null() & pl.col("subjects").is_not_null()
    same = pl.when(is_hashed).then("by_hash").otherwise("by_id")
    other = pl.when(is_hashed).then("payload_hash").otherwise("message_id").hash()
    return earlier.with_columns(pl.coalesce(same, other).alias("content")).drop(names.values())


def _open(now: pl.DataFrame, earlier: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of tables and of a record without those that are done at first sight.

    Of most rows the record has the same, once, under the same id, and neither says anything else about
    their subjects: they are done, and found by their id.
    """
    words, record = _words(now), _words(earlier)
    if words["subject"].null_count() or record["subject"].null_count():
        return now, earlier
    same = now.select("content", own="message_id").filter(
        pl.col("content").is_unique() & ~now["is_given"]
    )
    known = earlier.filter(pl.col("content").is_unique()).join(same, on="content")
    is_done = (pl.col("kept_state") == "skipped_done") & (pl.col("message_id") == pl.col("own"))
    done = known.filter(is_done)["content"]
    several = _several(words, record, rows=now, earlier=earlier)
    left = ~pl.col("content").is_in(done.filter(~done.is_in(several.implode())).implode())
    return now.filter(left), earlier.filter(left)


def _links() -> pl.Expr:
    """Tell of rows whether they name several identifiers as one person's."""
    return pl.col("call").is_in(LINKING_CALLS) & pl.col("subjects").str.contains(" ", literal=True)


def _has_kind(kind: str) -> pl.Expr:
    """Tell of rows whether they say this of a subject; those that say nobody knows what may."""
    return pl.col("subjects").str.contains(rf"{kind}(?: |$)") | (pl.col("subjects") == UNKNOWN)


def _decided(
    now: pl.DataFrame,
    earlier: pl.DataFrame,
    *,
    undoes: bool,
    repeat: bool,
    taken_up: pl.DataFrame | None,
) -> pl.DataFrame:
    """Return `DECIDED` for rows of tables in order, from the record in order.

    `undoes` says whether any row takes something away, or renames somebody.
    """
    sent = _sent(earlier)
    # Of rows that say the same the last one counts: it is what the earlier ones come to.
    rows = now.unique("content", keep="last", maintain_order=True).join(
        sent, on="content", how="left", maintain_order="left"
    )
    if rows["position"].null_count() == rows.height:
        return DECIDED.to_frame()
    in_order, done = _done(rows, earlier)
    last = rows.with_columns(in_order=in_order & pl.lit(not repeat), done=done).filter(
        pl.col("position").is_not_null() & pl.col("subjects").is_not_null()
    )
    # Where the last one is done, so are the others: sent now, they would come after what followed it.
    repeats = now.filter(pl.col("content").is_duplicated()).join(
        last.select(*sent.columns, "in_order", "done"), on="content"
    )
    every = pl.concat([last.join(repeats, on="content", how="anti"), repeats], how="diagonal")
    # What one of them takes away, an earlier one gave; whom one of them renames, an earlier one made.
    known = every if undoes else last
    is_in_order, is_done, is_given = pl.col("in_order"), pl.col("done"), pl.col("is_given")
    # A row whose own id the record does not have is sent under it, and is new to Customer.io.
    is_own = pl.col("message_id").is_in(earlier["message_id"].implode())
    is_latest = pl.col("message_id") == pl.col("latest_id")
    is_kept = pl.col("kept_state").is_not_null()
    finished = every.filter(is_in_order & is_done & is_kept & ~is_latest).select(
        "plan",
        "row",
        state="kept_state",
        code=pl.when(pl.col("kept_state") == "in_doubt").then(pl.lit(IN_DOUBT_BEFORE)),
    )
    same = last.filter(is_in_order & ~is_kept & ~is_latest & ~is_given).select(
        "plan", "row", "seeds", wanted="latest_id"
    )
    again = known.filter(is_own & ~is_given & (~is_in_order | (is_kept & ~is_done))).select(
        "plan",
        "row",
        seed="latest_id",
        code=pl.lit(SENT_AGAIN),
        error=pl.lit("an earlier run had sent the same content on ")
        + pl.col("at").dt.strftime(_DATE),
    )
    refused = known.filter(is_own & is_given & ~is_in_order & pl.lit(not repeat)).select(
        "plan",
        "row",
        state=pl.lit("rejected_local"),
        code=pl.lit(REPEAT),
        error=pl.lit(_REPEAT),
    )
    parts = [finished, same, again, refused]
    if taken_up is not None:
        parts = _taken_up(taken_up, now=now, sent=sent, decided=parts)
    return pl.concat([DECIDED.to_frame(), *parts], how="diagonal").sort("plan", "row")


def _taken_up(
    taken_up: pl.DataFrame, *, now: pl.DataFrame, sent: pl.DataFrame, decided: list[pl.DataFrame]
) -> list[pl.DataFrame]:
    """Return what was decided of the other rows, and the ids that rows of a resumed run keep."""
    ids = now.select("plan", "row", "content", own="message_id")
    recorded = taken_up.drop_nulls("message_id").cast({"plan": pl.Int64})
    recorded = recorded.join(ids, on=["plan", "row"])
    others = pl.concat(decided, how="diagonal").join(recorded, on=["plan", "row"], how="anti")
    kept = recorded.filter(pl.col("message_id") != pl.col("own")).join(
        sent.select("content", "seeds"), on="content", how="left"
    )
    return [others, kept.select("plan", "row", "seeds", wanted="message_id")]


def _sent(earlier: pl.DataFrame) -> pl.DataFrame:
    """Return what the record has of each content: the id under which it was sent last, and all ids.

    A message arrived when it was sent first under its id, if it arrived at all.
    """
    is_delivered = pl.col("state") == "delivered"
    best = pl.col("kept_state", "at").sort_by(is_delivered, maintain_order=True).last()
    by_id = earlier.group_by("content", "message_id").agg(pl.col("position").first(), best)
    by_content = by_id.sort("position").group_by("content", maintain_order=True)
    return by_content.agg(pl.all().last(), pl.col("message_id").alias("seeds")).rename(
        {"message_id": "latest_id"}
    )


_DATE = "%Y-%m-%d at %H:%M:%S UTC"


def _done(rows: pl.DataFrame, earlier: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Return of each row whether it arrived in this order, if it arrived, and whether it is done.

    Nothing else about its subjects arrived after it, and the rows before it arrived before it. It is
    not done if one of those is sent once more. `rows` has no two rows of one content, and the position
    of each in the record.
    """
    import numpy as np

    words, record = _words(rows), _words(earlier)
    events = rows["subjects"].is_null().to_numpy()
    position = rows["position"].cast(pl.Int64).fill_null(-1).to_numpy()
    after = np.full(rows.height, -1, np.int64)
    strangers = ~earlier["content"].is_in(rows["content"].implode()).to_numpy()
    if words["subject"].null_count():
        words, record = _with_anybody(words), _with_anybody(record)
    else:  # what nobody knows of the record may have been about any row
        unknown = record.filter(pl.col("subject").is_null())["place"].cast(pl.Int64).to_numpy()
        after[:] = unknown[strangers[unknown]].max(initial=-1)
        record = record.drop_nulls()
        words, record = _shared(words, record, rows=rows, earlier=earlier)
    words, record = _as_one(words, record, rows=rows, earlier=earlier)
    touched = _followed(words).filter(~pl.lit(pl.Series(events)).gather(pl.col("place")))
    touched = pl.concat([touched, words.with_columns(writes=pl.lit(value=True))])
    touched = touched.group_by("subject", "place").agg(pl.col("writes").any())

    foreign = record.filter(pl.lit(pl.Series(strangers)).gather(pl.col("place")))
    latest = foreign.group_by("subject").agg(pl.col("place").max().cast(pl.Int64).alias("after"))
    met = touched.join(latest, on="subject").group_by("place").agg(pl.col("after").max())
    places = met["place"].to_numpy()
    after[places] = np.maximum(after[places], met["after"].to_numpy())

    is_last = (position > after) | events
    shared = touched.filter(
        (pl.len().over("subject") > 1) & pl.col("writes").any().over("subject")
    ).sort("subject", "place")
    in_order = _in_order((position >= 0) & is_last, position, events, shared)
    is_kept = rows["kept_state"].is_not_null().to_numpy()
    done = _in_order(in_order & (is_kept | events), position, events, shared)
    return pl.Series(in_order), pl.Series(done)


def _shared(
    words: pl.DataFrame, record: pl.DataFrame, *, rows: pl.DataFrame, earlier: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the subjects of which more than one thing was said: the others are done if they arrived.

    Most rows of most tables are the only ones about their people, now and before.
    """
    involved = _several(words, record, rows=rows, earlier=earlier)

    def kept(each: pl.DataFrame, contents_: pl.Series) -> pl.DataFrame:
        is_involved = contents_.is_in(involved.implode())
        return each.filter(pl.lit(is_involved).gather(pl.col("place")))

    return kept(words, rows["content"]), kept(record, earlier["content"])


def _several(
    words: pl.DataFrame, record: pl.DataFrame, *, rows: pl.DataFrame, earlier: pl.DataFrame
) -> pl.Series:
    """Return what is said of subjects of which more than one thing is said, as contents."""
    import numpy as np

    said = [
        each.select(
            base=pl.col("subject") & _BASES,
            content=pl.lit(source["content"]).gather(pl.col("place")),
        )
        for each, source in ((words, rows), (record, earlier))
    ]
    pairs = pl.concat(said)
    bases, contents_ = pairs["base"].to_numpy(), pairs["content"].to_numpy()
    order = np.argsort(bases)
    new = np.concatenate(([True], np.diff(bases[order]) != 0))[: len(order)]
    starts = np.flatnonzero(new)
    if not len(starts):
        return pairs["content"].clear()
    sorted_ = contents_[order]
    several = np.minimum.reduceat(sorted_, starts) != np.maximum.reduceat(sorted_, starts)
    return pl.Series(np.unique(sorted_[np.repeat(several, np.diff(starts, append=len(order)))]))


def _in_order(
    done: "npt.NDArray[np.bool_]",
    position: "npt.NDArray[np.int64]",
    events: "npt.NDArray[np.bool_]",
    shared: pl.DataFrame,
) -> "npt.NDArray[np.bool_]":
    """Return which rows stay done: those whose earlier rows are done too, and arrived in this order.

    `shared` are the subjects that several rows touch: subject, place of the row and whether it writes.
    """
    import numpy as np

    place, writes = shared["place"].to_numpy(), shared["writes"].to_numpy()
    group = shared["subject"].rle_id().to_numpy().astype(np.int64)
    never = np.int64(len(position) + position.max(initial=0) + 1)
    span = never + 2
    first = np.concatenate(([True], group[1:] != group[:-1]))[: len(group)]
    for _ in range(ROUNDS):
        arrived = np.where(done, position, never)
        reached = np.maximum.accumulate(np.where(writes, arrived[place], -1) + group * span)
        before = np.concatenate(([-1], reached[:-1]))[: len(group)] - group * span
        late = ~first & (before >= position[place]) & ~events[place] & done[place]
        if not late.any():
            return done
        done = done.copy()
        done[place[late]] = False
    return done & events


def _words(rows: pl.DataFrame) -> pl.DataFrame:
    """Return place and subject of what each row says; unknown subjects are null.

    Events say that their person is there.
    """
    subjects = rows["subjects"]
    unknown = rows.select(
        pl.col("subjects") == UNKNOWN,
        is_event=pl.col("subjects").is_null(),
        person=pl.col("person_key"),
    ).with_row_index("place")
    events = unknown.filter("is_event")
    named = events.select("place", subject=_named(events["person"]))
    others = unknown.filter("subjects").select("place", subject=pl.lit(None, pl.UInt64))
    return pl.concat([numbers(subjects), named, others])


def _named(people: pl.Series) -> pl.Series:
    """Return the subject of a person of whom nothing is said but that they are there."""
    is_hashed = people.str.contains(r"^[0-9a-f]{16}$")
    plain = people.to_frame("person").select(sha256(pl.col("person"))).to_series()
    digits = people.zip_with(is_hashed.fill_null(value=False), plain).str.head(DIGITS)
    return (digits + NAMED).str.to_integer(base=16, dtype=pl.UInt64)


def _with_anybody(words: pl.DataFrame) -> pl.DataFrame:
    """Have rows of unknown subjects come before or after all others."""
    is_unknown = pl.col("subject").is_null()
    kind = pl.when(is_unknown).then(int(GONE)).otherwise(int(NAMED)).cast(pl.UInt64)
    everybody = words.select("place", subject=pl.lit(ANYBODY, pl.UInt64) | kind)
    return pl.concat([words.drop_nulls(), everybody]).unique()


def _as_one(
    words: pl.DataFrame, record: pl.DataFrame, *, rows: pl.DataFrame, earlier: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return subjects under one number for all identifiers that were ever named as one person's."""
    base, kind = pl.col("subject") & _BASES, pl.col("subject") & KIND
    linking = [_linked(words, rows), _linked(record, earlier)]
    links = pl.concat(linking)
    others = pl.concat([words, record]).join(links, left_on=base, right_on="other", how="anti")
    alone = others.select(key=base, other=base).unique()
    named = pl.concat([words, record]).filter(kind > int(ATTRIBUTES)).select(key=base, other=base)
    from cio_frames.identity.components import components

    found = components(pl.concat([links, alone, named]).unique())
    if found.is_empty():
        return words, record

    def joined(each: pl.DataFrame) -> pl.DataFrame:
        both = each.with_columns(key=base).join(found, on="key", how="left", maintain_order="left")
        return both.select("place", subject=pl.coalesce("component", "key") | kind)

    # Who was renamed is made anew by whatever names them, also if it sets no attribute.
    sets = [_named_together(*each) for each in ((words, rows), (record, earlier))]
    several = _of_several(pl.concat(sets), found)
    told = joined(record)
    anew = told.filter(base.is_in(several.implode())).select(
        "place", subject=base | int(ATTRIBUTES)
    )
    return joined(words), pl.concat([told, anew]).unique()


def _of_several(sets: pl.DataFrame, components: pl.DataFrame) -> pl.Series:
    """Return the components in which rows name different sets of identifiers as one person's."""
    each = sets.join(components, on="key").group_by("component").agg(pl.col("others").n_unique())
    return each.filter(pl.col("others") > 1)["component"]


def _named_together(words: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the sets of identifiers that rows name as one person's: `key`, the first, and `others`."""
    other = pl.col("other")
    sets = _people(words, rows).group_by("place").agg(
        key=other.first(), several=other.n_unique() > 1, others=other.unique().sort()
    )  # fmt: skip
    return sets.filter("several").select("key", pl.col("others").hash()).unique()


def _linked(words: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return each two identifiers that a row names as one person's: key and other."""
    people = _people(words, rows)
    first = people.unique("place", keep="first").rename({"other": "key"})
    return people.join(first, on="place").select("key", "other").unique()


def _people(words: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the identifiers of people that each row sets attributes of or takes away: place and other."""
    links = rows["call"].is_in(LINKING_CALLS)
    kind = pl.col("subject") & KIND
    return words.filter(
        pl.lit(links).gather(pl.col("place"))
        & kind.is_in([int(ATTRIBUTES), int(GONE)])
        & (pl.col("subject") & _BASES != ANYBODY)
    ).select("place", other=pl.col("subject") & _BASES)


def _followed(words: pl.DataFrame) -> pl.DataFrame:
    """Return place and subject of whatever undoes what rows say: `writes` is false."""
    follows = pl.DataFrame(
        {
            "kind": [int(kind) for kind in FOLLOWS],
            "by": [[int(by) for by in each] for each in FOLLOWS.values()],
        },
        schema={"kind": pl.UInt64, "by": pl.List(pl.UInt64)},
    ).explode("by", empty_as_null=True)
    kinds = words.select("place", base=pl.col("subject") & _BASES, kind=pl.col("subject") & KIND)
    return kinds.join(follows, on="kind").select(
        "place", subject=pl.col("base") | pl.col("by"), writes=pl.lit(value=False)
    )
