"""What messages do that meet no others: the outcome of the rules, by whole columns.

The rules that apply to them are few: an identify creates or updates its person and links a new
anonymous id (reference 3.2 rows 1 and 2, 3.3); an event is recorded, and creates a person whom
nobody knows (3.7); an event of a visitor waits for somebody to be identified, and is theirs if it is
young enough or comes just after (3.3).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import polars as pl

from cio_frames.identity import rules
from cio_frames.identity.identifiers import is_mail, person_key
from cio_frames.identity.messages import WHITE_SPACE, is_logged, is_young
from cio_frames.identity.partition import POSITION, Alone, Partitioned
from cio_frames.identity.replay import CHANGES
from cio_frames.identity.rules import Rule
from cio_frames.identity.settings import Settings

_TEXT: Final = pl.lit(None, pl.String)
_COUNTS: Final = ("person", "plan", "events", "first", "last")


class Counts(NamedTuple):
    """How many people messages that stand alone create and update, and how many events they get."""

    creates: int
    updates: int
    events: int


def counts(alone: Alone) -> Counts:
    """Return what `people` comes to, without a line for anybody."""
    is_first = pl.col("number") == pl.col("identify")
    matches = pl.concat([alone.identifies.select("match"), alone.events.select("match")])
    counted = pl.collect_all([
        alone.identifies.select((is_first & pl.col("match").is_null()).sum()),
        _unknown(alone).select(pl.col("key").n_unique()),
        matches.drop_nulls().select(pl.col("match").n_unique()),
        alone.events.select(pl.len()),
    ])  # fmt: skip
    identified, unknown, updates, events = (frame.item() for frame in counted)
    return Counts(creates=identified + unknown, updates=updates, events=events)


def people(alone: Alone, known: pl.DataFrame | None) -> pl.DataFrame:
    """Return the people of messages that stand alone: person, identifiers, `existed` and places."""
    mail = is_mail("user")
    identifies = _each_once(alone)
    is_visitor = pl.col("anonymous").is_not_null()
    none = pl.lit([], pl.List(pl.String))
    created = [
        identifies.filter(pl.col("match").is_null(), has_visitor).select(
            _created().alias("person"),
            pl.when(~mail).then("user").alias("id"),
            pl.when(mail).then("user").otherwise("email").alias("email"),
            _TEXT.alias("cio_id"),
            anonymous_ids.alias("anonymous_ids"),
            pl.lit(value=False).alias("existed"),
            "places",
        )
        for has_visitor, anonymous_ids in (
            (is_visitor, _as_list(pl.col("anonymous"))), (~is_visitor, none),
        )
    ]  # fmt: skip
    first = (
        _unknown(alone)
        .group_by("key")
        .agg(
            pl.col("user").first(),
            pl.struct("plan", "row").first().implode().alias("places"),
        )
        .collect()
    )
    by_event = first.select(
        ("k" + pl.col("key")).alias("person"),
        pl.when(~mail).then("user").alias("id"),
        pl.when(mail).then("user").alias("email"),
        _TEXT.alias("cio_id"),
        pl.lit([], pl.List(pl.String)).alias("anonymous_ids"),
        pl.lit(value=False).alias("existed"),
        "places",
    )
    every = [*created, by_event]
    if known is not None:
        every.append(_known(alone, identifies, known))
    return pl.concat(every)


def _each_once(alone: Alone) -> pl.DataFrame:
    """Return the identifies that say something new, with the `places` of all that say the same."""
    place = pl.struct("plan", "row")
    rows = alone.identifies.collect()
    is_first = pl.col("number") == pl.col("identify")
    several = rows.filter(~is_first)["identify"].unique().implode()
    single = rows.filter(~pl.col("identify").is_in(several)).with_columns(
        pl.concat_list(place).alias("places")
    )
    repeated = rows.filter(pl.col("identify").is_in(several))
    places = repeated.group_by("identify", maintain_order=True).agg(place.alias("places"))
    first = repeated.filter(is_first).join(places, on="identify", maintain_order="left")
    return pl.concat([single, first])


def _as_list(values: pl.Expr) -> pl.Expr:
    """Return each value as a list of one, without a copy."""
    return values.reshape((-1, 1)).arr.to_list()


def _unknown(alone: Alone) -> pl.LazyFrame:
    """Return the events of people whom nobody knows, each with the key of its person."""
    unknown = alone.events.filter(pl.col("match").is_null() & pl.col("identify").is_null())
    return unknown.with_columns(person_key("user").alias("key"))


def _known(alone: Alone, identifies: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return the people of the export whom messages that stand alone are about."""
    about_them = identifies.drop_nulls("match").select("match", "anonymous", "is_new", "places")
    counted = alone.events.drop_nulls("match").select("match").unique().collect()
    about = about_them.join(counted, on="match", how="full", coalesce=True)
    numbered = known.with_columns(POSITION)
    added = pl.when("is_new").then(pl.concat_list("anonymous")).otherwise([])
    return about.join(numbered, on="match").select(
        _existing().alias("person"), "id", "email", "cio_id",
        pl.col("anonymous_ids").list.concat(added.fill_null([])),
        pl.lit(value=True).alias("existed"),
        pl.col("places").fill_null([]),
    )  # fmt: skip


def changes(alone: Alone, known: pl.DataFrame | None) -> dict[Rule, pl.LazyFrame]:
    """Return what messages that stand alone did by rule, one line per change: for whom it may concern."""
    rows = alone.identifies.with_columns(_owner().alias("person"))
    is_first = pl.col("number") == pl.col("identify")
    created = is_first & pl.col("match").is_null()
    linked = rows.filter(is_first & pl.col("anonymous").is_not_null() & pl.col("is_new"))
    label = _labels(linked, known)
    by_event = _unknown(alone).group_by("key").agg(pl.col("number", "plan", "row", "user").first())
    unknown = by_event.with_columns(("k" + pl.col("key")).alias("person"))
    user = pl.col("user")
    return {
        rules.CREATED: _changes(rows.filter(created), rules.CREATED, key=user),
        rules.UPDATED: _changes(rows.filter(~created), rules.UPDATED, key=user),
        rules.LINKED: _changes(
            label, rules.LINKED, key=pl.col("label"), subject=pl.col("anonymous")
        ),
        rules.CREATED_BY_EVENT: _changes(unknown, rules.CREATED_BY_EVENT, key=user),
    }


def event_counts(alone: Alone) -> pl.DataFrame:
    """Return the events of each person by plan, with the first and the last of their rows."""
    is_somebodys = pl.col("match").is_not_null() | pl.col("identify").is_not_null()
    somebodys = alone.events.filter(is_somebodys).group_by("match", "identify", "plan")
    unknown = _unknown(alone).group_by("key", "plan").agg(_counted())
    both = pl.concat([
        somebodys.agg(_counted()).select(_owner().alias("person"), *_COUNTS[1:]),
        unknown.select(("k" + pl.col("key")).alias("person"), *_COUNTS[1:]),
    ])  # fmt: skip
    return both.collect()


def _counted() -> list[pl.Expr]:
    return [
        pl.len().cast(pl.Int64).alias("events"),
        pl.col("row").min().alias("first"),
        pl.col("row").max().alias("last"),
    ]


def campaign_events(alone: Alone, *, now: datetime) -> int:
    """Return how many events of people are young enough to start campaigns."""
    return int(alone.events.select(is_young(now).sum()).collect().item())


def visits(
    parts: Partitioned, *, calls: Sequence[str], settings: Settings, now: datetime
) -> pl.DataFrame:
    """Return the events of the visitors of new people: their places, person and `outcome`.

    `subject` is what the event is called.
    """
    of = parts.visited.identifies.filter(pl.col("number") == pl.col("identify")).collect()
    mail = is_mail("user")
    owners = of.select(
        "identify",
        _created().alias("person"),
        pl.col("user").alias("label"),
        pl.when(~mail).then("user").alias("id"),
        pl.when(mail).then("user").otherwise("email").alias("email"),
    )
    # all messages arrive at one time, so that one after the identify is never too late
    is_late = pl.col("number") > pl.col("identify")
    is_kept = is_late | (is_logged(now) if settings.anonymous_age == "timestamp" else True)
    called = pl.coalesce("name", pl.col("plan").replace_strict(dict(enumerate(calls))))
    if settings.trim_event_names:
        is_track = pl.col("plan").is_in(
            [plan for plan, call in enumerate(calls) if call == "track"]
        )
        called = pl.when(is_track).then(called.str.strip_chars(WHITE_SPACE)).otherwise(called)
    return parts.visits.join(owners, on="identify", maintain_order="left").select(
        "number", "plan", "row", "person", "label", "id", "email",
        pl.col("anonymous").alias("anonymous_id"),
        called.alias("subject"),
        is_late.alias("is_late"),
        pl.when(is_kept).then(pl.lit("linked")).otherwise(pl.lit("expired")).alias("outcome"),
        (is_kept & is_young(now)).alias("young"),
    )  # fmt: skip


def visited_changes(parts: Partitioned, visits: pl.DataFrame) -> pl.DataFrame:
    """Return what new people are and what happens with events of their visitors, in order."""
    late = _changes(
        visits.lazy().filter("is_late"), rules.ATTRIBUTED_LATE, key=pl.col("label"), subject=pl.col("subject")
    )  # fmt: skip
    every = pl.concat([*changes(parts.visited, None).values(), late])
    return every.sort("number", maintain_order=True).collect()


def visited_counts(parts: Partitioned, visits: pl.DataFrame) -> pl.DataFrame:
    """Return the events of new people whose visitors act, as `event_counts` does."""
    linked = visits.filter(pl.col("outcome") == "linked")
    both = pl.concat([
        event_counts(parts.visited),
        linked.group_by("person", "plan").agg(_counted()).select(_COUNTS),
    ])  # fmt: skip
    return both.group_by("person", "plan", maintain_order=True).agg(
        pl.col("events").sum(), pl.col("first").min(), pl.col("last").max()
    )


def clusters(alone: Alone, known: pl.DataFrame | None) -> pl.LazyFrame:
    """Return how many identifiers and rows each identify that stands alone connects."""
    is_first = pl.col("number") == pl.col("identify")
    again = alone.identifies.filter(~is_first).select("identify").collect()["identify"]
    times = pl.lit(1)
    if len(again):  # most say nothing twice
        identify, more = again.value_counts().get_columns()
        times += pl.col("identify").replace_strict(identify, more, default=0)
    identifies = alone.identifies.filter(is_first).select(
        "match",
        "is_new",
        pl.col("user").alias("cluster"),
        pl.col("identifiers").cast(pl.Int64),
        times.cast(pl.Int64).alias("rows"),
    )
    if known is not None:
        counted = known.lazy().select(
            POSITION,
            pl.sum_horizontal(
                pl.col("id").is_not_null(), pl.col("email").is_not_null(),
                pl.col("anonymous_ids").list.len(),
            ).alias("of_export"),
        )  # fmt: skip
        together = (pl.col("of_export") + pl.col("is_new")).cast(pl.Int64)
        identifies = identifies.join(counted, on="match", how="left").with_columns(
            pl.coalesce(together, "identifiers").alias("identifiers")
        )
    return identifies.select("cluster", "identifiers", "rows")


def _created() -> pl.Expr:
    return "n" + pl.col("identify").cast(pl.String)


def _existing() -> pl.Expr:
    return "m" + pl.col("match").cast(pl.String)


def _owner() -> pl.Expr:
    return pl.when(pl.col("match").is_null()).then(_created()).otherwise(_existing())


def _labels(linked: pl.LazyFrame, known: pl.DataFrame | None) -> pl.LazyFrame:
    """Return linked rows with the identifier that a reader knows best."""
    if known is None:
        return linked.with_columns(pl.col("user").alias("label"))
    names = known.lazy().select(
        POSITION,
        pl.coalesce("id", "email").alias("label"),
    )
    named = linked.join(names, on="match", how="left", maintain_order="left")
    return named.with_columns(pl.coalesce("label", "user"))


def _changes(
    rows: pl.LazyFrame, rule: Rule, *, key: pl.Expr, subject: pl.Expr = _TEXT
) -> pl.LazyFrame:
    return rows.select(
        "number", "plan", "row",
        pl.lit(rule.name).alias("rule"), pl.lit(rule.kind).alias("kind"),
        "person", key.alias("key"), _TEXT.alias("other"), subject.alias("subject"),
        pl.lit(rule.open, pl.String).alias("open"),
    ).cast(CHANGES)  # fmt: skip
