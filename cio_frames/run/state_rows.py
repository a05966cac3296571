"""Which rows that set a state are sent again: all except those after which nothing has changed.

Repeating such a row is harmless, leaving one out is not. A row is done if an earlier run delivered the
same content, and nothing else about its subjects arrived since, according to the record and to the
tables being sent. Every other row is sent, under an id that no earlier message had.

Each row makes statements: about which subjects it writes something, by number. The kind of a subject
(attributes, relationships, ...) is part of its number.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from cio_frames.audit.pseudonyms import Pii, keyed_hashes, keyed_ids, pseudonyms
from cio_frames.audit.subjects import DIGITS, KIND, keyed_subjects, numbers
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
"""The subject of rows whose subjects are unknown: it may be anybody."""

UNDONE_BY: Final = {
    ATTRIBUTES: (ATTRIBUTES, GONE),
    GONE: (ATTRIBUTES, GONE, RELATIONS, DEVICES, NAMED),
    RELATIONS: (RELATIONS, GONE),
    DEVICES: (DEVICES, GONE),
    NAMED: (GONE,),
}
"""The kinds of statements that can undo a statement about the same subject, by its kind."""

SENT_AGAIN, IN_DOUBT_BEFORE = "SENT_AGAIN", "IN_DOUBT_BEFORE"
"""The codes of rows that are sent again under a new id, and of those that stay in doubt."""
CONFLICT, REPEAT = "message.conflict", "message.repeat"
"""The codes of rows that are rejected because of what an earlier run sent."""

ROUNDS = 100
"""After so many rounds in which rows made later ones be sent too, all the rest are sent."""

DECIDED = pl.Schema({
    "plan": pl.Int64(), "row": pl.Int64(), "seed": pl.String(), "wanted": pl.String(),
    "seeds": pl.List(pl.String()), "state": pl.String(), "code": pl.String(), "error": pl.String(),
})  # fmt: skip
"""The decisions about rows that are neither simply sent nor found by their id.

A row gets an id made with `seed`; or the recorded id `wanted`, which was made with one of `seeds`; or
it is not sent, and has `state`, code and error.
"""

_REPEAT = (
    "A message with the same ID and content has already arrived, followed by something else about the "
    "same person or object. Customer.io would ignore it. Use another message_id."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The rows with which earlier runs may have changed the workspace."""

    states: pl.DataFrame  # rows with subjects, of `audit.Earlier`
    events: pl.LazyFrame  # the other ones
    pii: Pii  # of the new record
    key: str | None
    id_key: str | None  # of the message ids and hashes in the record
    add_states: Callable[[pl.DataFrame], pl.DataFrame]  # adds `kept_state`

    def decided(
        self, messages: StateMessages, *, repeat: bool, resumed: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        """Return the decisions about rows, as `DECIDED`.

        With `repeat`, nothing counts as done. Rows that are `resumed` (plan, row and message_id) keep
        their recorded ids.
        """
        can_remove = bool(self.states["call"].is_in(["track", "alias"]).any())
        parts = [
            self._as_recorded(rows, plan=plan, call=call)
            for plan, call, rows in messages(events=can_remove)
            if rows.height
        ]
        if not parts:
            return DECIDED.to_frame()
        now = pl.concat(parts)
        earlier = self.states
        removing = now.filter(_has_kind(GONE))["subjects"]
        if can_remove and len(removing):
            people = removing.str.split(" ").explode(empty_as_null=True).str.head(DIGITS).unique()
            named = pl.col("person_key").str.head(DIGITS).is_in(people.implode())
            is_unknown = pl.col("person_key").is_null() | pl.lit(self.pii == "full")
            is_about_them = named | is_unknown | pl.lit(UNKNOWN in people)
            earlier = pl.concat([earlier, self.events.filter(is_about_them).collect()])
            now = now.filter(pl.col("subjects").is_not_null() | is_about_them)
        else:
            now = now.filter(pl.col("subjects").is_not_null())
        earlier = self.add_states(earlier.sort("at", "run_id", "plan", "row"))
        earlier = _with_content(earlier, now=now).with_row_index("position")
        undoes = bool(now.select((_has_kind(GONE) | _names_several()).any()).item())
        if resumed is None and not repeat:
            now, earlier = _without_done(now, earlier)
        return _decisions(now, earlier, undoes=undoes, repeat=repeat, resumed=resumed)

    def _as_recorded(self, rows: pl.DataFrame, *, plan: int, call: str) -> pl.DataFrame:
        """Return rows of a table with ids, hashes and subjects as the record has them."""
        people = pseudonyms(rows["person"], pii=self.pii, key=self.key)
        hashes = pl.lit(None, pl.String)
        if self.states["payload_hash"].null_count() < self.states.height:
            contents = pl.Series([f"{number:016x}" for number in rows["content"]], dtype=pl.String)
            hashes = keyed_hashes(pl.lit(contents), key=self.id_key)
        return rows.select(
            pl.lit(plan, pl.Int64).alias("plan"),
            "row",
            pl.lit(call).alias("call"),
            people,
            keyed_ids(pl.col("message_id"), key=self.id_key).alias("message_id"),
            hashes.alias("payload_hash"),
            "content",
            keyed_subjects(rows, people=people, pii=self.pii, key=self.key),
            "is_given",
        )


def _with_content(earlier: pl.DataFrame, *, now: pl.DataFrame) -> pl.DataFrame:
    """Return recorded rows with the content of the row of a table that has the same id or hash.

    An id that is not derived from the content has a hash beside it in the record.
    """
    names = {"message_id": "by_id", "payload_hash": "by_hash"}
    for name, content in names.items():
        contents = now.select(name, pl.col("content").alias(content)).drop_nulls(name).unique(name)
        earlier = earlier.join(contents, on=name, how="left", maintain_order="left")
    is_hashed = pl.col("payload_hash").is_not_null() & pl.col("subjects").is_not_null()
    matched = pl.when(is_hashed).then("by_hash").otherwise("by_id")
    own = pl.when(is_hashed).then("payload_hash").otherwise("message_id").hash()
    return earlier.with_columns(pl.coalesce(matched, own).alias("content")).drop(names.values())


def _without_done(now: pl.DataFrame, earlier: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of tables and of a record without those that are clearly done.

    Most rows are in the record once, under the same id, and neither the tables nor the record have
    another statement about their subjects: they are done, and found by their id.
    """
    statements, record = _statements(now), _statements(earlier)
    if statements["subject"].null_count() or record["subject"].null_count():
        return now, earlier
    same = now.select("content", own="message_id").filter(
        pl.col("content").is_unique() & ~now["is_given"]
    )
    matches = earlier.filter(pl.col("content").is_unique()).join(same, on="content")
    is_done = (pl.col("kept_state") == "skipped_done") & (pl.col("message_id") == pl.col("own"))
    finished = matches.filter(is_done)["content"]
    shared = _contents_of_shared_subjects(statements, record, rows=now, earlier=earlier)
    is_open = ~pl.col("content").is_in(finished.filter(~finished.is_in(shared.implode())).implode())
    return now.filter(is_open), earlier.filter(is_open)


def _names_several() -> pl.Expr:
    """Return an expression: whether a row names several identifiers of one person."""
    return pl.col("call").is_in(LINKING_CALLS) & pl.col("subjects").str.contains(" ", literal=True)


def _has_kind(kind: str) -> pl.Expr:
    """Return an expression: whether a row makes a statement of this kind, or may make one."""
    return pl.col("subjects").str.contains(rf"{kind}(?: |$)") | (pl.col("subjects") == UNKNOWN)


def _decisions(
    now: pl.DataFrame,
    earlier: pl.DataFrame,
    *,
    undoes: bool,
    repeat: bool,
    resumed: pl.DataFrame | None,
) -> pl.DataFrame:
    """Return `DECIDED` for the rows of tables and of the record, both in order.

    `undoes`: whether any row removes something, or renames a person.
    """
    sent = _sent(earlier)
    # Of rows with the same content the last one counts, since it comes after the others.
    rows = now.unique("content", keep="last", maintain_order=True).join(
        sent, on="content", how="left", maintain_order="left"
    )
    if rows["position"].null_count() == rows.height:
        return DECIDED.to_frame()
    in_order, done = _arrived_in_order(rows, earlier)
    last = rows.with_columns(in_order=in_order & pl.lit(not repeat), done=done).filter(
        pl.col("position").is_not_null() & pl.col("subjects").is_not_null()
    )
    # If the last one is done, so are the others: sent now, they would arrive after what followed it.
    repeats = now.filter(pl.col("content").is_duplicated()).join(
        last.select(*sent.columns, "in_order", "done"), on="content"
    )
    all_rows = pl.concat([last.join(repeats, on="content", how="anti"), repeats], how="diagonal")
    # A row may remove what an earlier one wrote, or rename a person whom an earlier one created.
    candidates = all_rows if undoes else last
    is_in_order, is_done, is_given = pl.col("in_order"), pl.col("done"), pl.col("is_given")
    # A row whose own id the record does not have is sent under it, and is new to Customer.io.
    is_own = pl.col("message_id").is_in(earlier["message_id"].implode())
    is_latest = pl.col("message_id") == pl.col("latest_id")
    is_kept = pl.col("kept_state").is_not_null()
    finished = all_rows.filter(is_in_order & is_done & is_kept & ~is_latest).select(
        "plan",
        "row",
        state="kept_state",
        code=pl.when(pl.col("kept_state") == "in_doubt").then(pl.lit(IN_DOUBT_BEFORE)),
    )
    recorded = last.filter(is_in_order & ~is_kept & ~is_latest & ~is_given).select(
        "plan", "row", "seeds", wanted="latest_id"
    )
    sent_again = candidates.filter(
        is_own & ~is_given & (~is_in_order | (is_kept & ~is_done))
    ).select(
        "plan",
        "row",
        seed="latest_id",
        code=pl.lit(SENT_AGAIN),
        error=pl.lit("an earlier run had sent the same content on ")
        + pl.col("at").dt.strftime(_DATE),
    )
    rejected = candidates.filter(is_own & is_given & ~is_in_order & pl.lit(not repeat)).select(
        "plan", "row", state=pl.lit("rejected_local"), code=pl.lit(REPEAT), error=pl.lit(_REPEAT)
    )
    parts = [finished, recorded, sent_again, rejected]
    if resumed is not None:
        parts = _with_recorded_ids(resumed, now=now, sent=sent, decided=parts)
    return pl.concat([DECIDED.to_frame(), *parts], how="diagonal").sort("plan", "row")


def _with_recorded_ids(
    resumed: pl.DataFrame, *, now: pl.DataFrame, sent: pl.DataFrame, decided: list[pl.DataFrame]
) -> list[pl.DataFrame]:
    """Return the decisions about other rows, and the ids that rows of a resumed run keep."""
    ids = now.select("plan", "row", "content", own="message_id")
    recorded = resumed.drop_nulls("message_id").cast({"plan": pl.Int64})
    recorded = recorded.join(ids, on=["plan", "row"])
    not_resumed = pl.concat(decided, how="diagonal").join(recorded, on=["plan", "row"], how="anti")
    with_recorded_id = recorded.filter(pl.col("message_id") != pl.col("own")).join(
        sent.select("content", "seeds"), on="content", how="left"
    )
    return [not_resumed, with_recorded_id.select("plan", "row", "seeds", wanted="message_id")]


def _sent(earlier: pl.DataFrame) -> pl.DataFrame:
    """Return the recorded ids of each content: the one under which it was sent last, and all.

    A message arrived when it was first sent under its id, if it arrived at all.
    """
    is_delivered = pl.col("state") == "delivered"
    best = pl.col("kept_state", "at").sort_by(is_delivered, maintain_order=True).last()
    by_id = earlier.group_by("content", "message_id").agg(pl.col("position").first(), best)
    by_content = by_id.sort("position").group_by("content", maintain_order=True)
    return by_content.agg(pl.all().last(), pl.col("message_id").alias("seeds")).rename(
        {"message_id": "latest_id"}
    )


_DATE = "%Y-%m-%d at %H:%M:%S UTC"


def _arrived_in_order(rows: pl.DataFrame, earlier: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Return whether each row arrived in this order, if it arrived, and whether it is done.

    That is: nothing else about its subjects arrived after it, and the rows before it arrived before it.
    It is not done if one of those is sent again. `rows` has each content once, with its position in
    the record.
    """
    import numpy as np

    statements, record = _statements(rows), _statements(earlier)
    events = rows["subjects"].is_null().to_numpy()
    position = rows["position"].cast(pl.Int64).fill_null(-1).to_numpy()
    after = np.full(rows.height, -1, np.int64)
    is_foreign = ~earlier["content"].is_in(rows["content"].implode()).to_numpy()
    if statements["subject"].null_count():
        statements, record = _with_everybody(statements), _with_everybody(record)
    else:  # recorded rows of unknown subjects may be about those of any row
        unknown = record.filter(pl.col("subject").is_null())["place"].cast(pl.Int64).to_numpy()
        after[:] = unknown[is_foreign[unknown]].max(initial=-1)
        record = record.drop_nulls()
        statements, record = _on_shared_subjects(statements, record, rows=rows, earlier=earlier)
    statements, record = _joined_identifiers(statements, record, rows=rows, earlier=earlier)
    touched = _undone_by(statements).filter(~pl.lit(pl.Series(events)).gather(pl.col("place")))
    touched = pl.concat([touched, statements.with_columns(writes=pl.lit(value=True))])
    touched = touched.group_by("subject", "place").agg(pl.col("writes").any())

    foreign = record.filter(pl.lit(pl.Series(is_foreign)).gather(pl.col("place")))
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


def _on_shared_subjects(
    statements: pl.DataFrame, record: pl.DataFrame, *, rows: pl.DataFrame, earlier: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the statements about subjects with different contents: other rows are done if they arrived.

    In most tables, most rows are the only ones about their people, now and before.
    """
    involved = _contents_of_shared_subjects(statements, record, rows=rows, earlier=earlier)

    def involved_only(part: pl.DataFrame, contents: pl.Series) -> pl.DataFrame:
        is_involved = contents.is_in(involved.implode())
        return part.filter(pl.lit(is_involved).gather(pl.col("place")))

    return involved_only(statements, rows["content"]), involved_only(record, earlier["content"])


def _contents_of_shared_subjects(
    statements: pl.DataFrame, record: pl.DataFrame, *, rows: pl.DataFrame, earlier: pl.DataFrame
) -> pl.Series:
    """Return the contents of rows about subjects with more than one content."""
    import numpy as np

    parts = [
        part.select(
            base=pl.col("subject") & _BASES,
            content=pl.lit(source["content"]).gather(pl.col("place")),
        )
        for part, source in ((statements, rows), (record, earlier))
    ]
    pairs = pl.concat(parts)
    bases, contents = pairs["base"].to_numpy(), pairs["content"].to_numpy()
    order = np.argsort(bases)
    new = np.concatenate(([True], np.diff(bases[order]) != 0))[: len(order)]
    starts = np.flatnonzero(new)
    if not len(starts):
        return pairs["content"].clear()
    ordered = contents[order]
    several = np.minimum.reduceat(ordered, starts) != np.maximum.reduceat(ordered, starts)
    return pl.Series(np.unique(ordered[np.repeat(several, np.diff(starts, append=len(order)))]))


def _in_order(
    done: "npt.NDArray[np.bool_]",
    position: "npt.NDArray[np.int64]",
    events: "npt.NDArray[np.bool_]",
    shared: pl.DataFrame,
) -> "npt.NDArray[np.bool_]":
    """Return which rows stay done: those whose earlier rows are done too and arrived in this order.

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


def _statements(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the statements of rows: their place and subject, which is null if unknown.

    Events state that their person exists.
    """
    subjects = rows["subjects"]
    unknown = rows.select(
        pl.col("subjects") == UNKNOWN,
        is_event=pl.col("subjects").is_null(),
        person=pl.col("person_key"),
    ).with_row_index("place")
    events = unknown.filter("is_event")
    named = events.select("place", subject=_existence(events["person"]))
    others = unknown.filter("subjects").select("place", subject=pl.lit(None, pl.UInt64))
    return pl.concat([numbers(subjects), named, others])


def _existence(people: pl.Series) -> pl.Series:
    """Return the subjects of statements that people exist."""
    is_hashed = people.str.contains(r"^[0-9a-f]{16}$")
    hashed_people = people.to_frame("person").select(sha256(pl.col("person"))).to_series()
    digits = people.zip_with(is_hashed.fill_null(value=False), hashed_people).str.head(DIGITS)
    return (digits + NAMED).str.to_integer(base=16, dtype=pl.UInt64)


def _with_everybody(statements: pl.DataFrame) -> pl.DataFrame:
    """Return statements in which rows of unknown subjects are about everybody, to be in order with all."""
    is_unknown = pl.col("subject").is_null()
    kind = pl.when(is_unknown).then(int(GONE)).otherwise(int(NAMED)).cast(pl.UInt64)
    everybody = statements.select("place", subject=pl.lit(ANYBODY, pl.UInt64) | kind)
    return pl.concat([statements.drop_nulls(), everybody]).unique()


def _joined_identifiers(
    statements: pl.DataFrame, record: pl.DataFrame, *, rows: pl.DataFrame, earlier: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return statements with one number for all identifiers that rows ever named as one person's."""
    base, kind = pl.col("subject") & _BASES, pl.col("subject") & KIND
    linking = [_linked_identifiers(statements, rows), _linked_identifiers(record, earlier)]
    links = pl.concat(linking)
    unlinked = pl.concat([statements, record]).join(
        links, left_on=base, right_on="other", how="anti"
    )
    alone = unlinked.select(key=base, other=base).unique()
    named = (
        pl.concat([statements, record]).filter(kind > int(ATTRIBUTES)).select(key=base, other=base)
    )
    from cio_frames.identity.components import components

    by_key = components(pl.concat([links, alone, named]).unique())
    if by_key.is_empty():
        return statements, record

    def joined(part: pl.DataFrame) -> pl.DataFrame:
        both = part.with_columns(key=base).join(by_key, on="key", how="left", maintain_order="left")
        return both.select("place", subject=pl.coalesce("component", "key") | kind)

    # A person who was renamed is created again by any row that names them.
    sets = [_identifier_sets(*part) for part in ((statements, rows), (record, earlier))]
    renamed = _renamed(pl.concat(sets), by_key)
    of_record = joined(record)
    recreated = of_record.filter(base.is_in(renamed.implode())).select(
        "place", subject=base | int(ATTRIBUTES)
    )
    return joined(statements), pl.concat([of_record, recreated]).unique()


def _renamed(sets: pl.DataFrame, components: pl.DataFrame) -> pl.Series:
    """Return the components in which rows name different sets of identifiers."""
    counts = sets.join(components, on="key").group_by("component").agg(pl.col("others").n_unique())
    return counts.filter(pl.col("others") > 1)["component"]


def _identifier_sets(statements: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the sets of identifiers that rows name together: `key`, the first, and `others`, a hash."""
    other = pl.col("other")
    sets = _people(statements, rows).group_by("place").agg(
        key=other.first(), several=other.n_unique() > 1, others=other.unique().sort()
    )  # fmt: skip
    return sets.filter("several").select("key", pl.col("others").hash()).unique()


def _linked_identifiers(statements: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of identifiers that a row names together: key and other."""
    people = _people(statements, rows)
    first = people.unique("place", keep="first").rename({"other": "key"})
    return people.join(first, on="place").select("key", "other").unique()


def _people(statements: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the identifiers whose attributes a row sets or which it removes: place and other."""
    links = rows["call"].is_in(LINKING_CALLS)
    kind = pl.col("subject") & KIND
    return statements.filter(
        pl.lit(links).gather(pl.col("place"))
        & kind.is_in([int(ATTRIBUTES), int(GONE)])
        & (pl.col("subject") & _BASES != ANYBODY)
    ).select("place", other=pl.col("subject") & _BASES)


def _undone_by(statements: pl.DataFrame) -> pl.DataFrame:
    """Return the statements that would undo those of rows: place and subject; `writes` is false."""
    undoing_kinds = pl.DataFrame(
        {
            "kind": [int(kind) for kind in UNDONE_BY],
            "by": [[int(by) for by in undoing] for undoing in UNDONE_BY.values()],
        },
        schema={"kind": pl.UInt64, "by": pl.List(pl.UInt64)},
    ).explode("by", empty_as_null=True)
    kinds = statements.select(
        "place", base=pl.col("subject") & _BASES, kind=pl.col("subject") & KIND
    )
    return kinds.join(undoing_kinds, on="kind").select(
        "place", subject=pl.col("base") | pl.col("by"), writes=pl.lit(value=False)
    )
