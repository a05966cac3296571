"""The effects of independent messages, computed by whole columns.

Few rules apply to them: an identify creates or updates its person and links a new anonymous id
(reference 3.2 rows 1 and 2, 3.3); an event is recorded, and creates an unknown person (3.7); an
anonymous event is attributed to the person identified later if it is young enough, or comes just
after the identify (3.3).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import polars as pl

from cio_frames.identity import rules
from cio_frames.identity.identifiers import is_mail, person_key
from cio_frames.identity.messages import WHITE_SPACE, is_logged, is_young
from cio_frames.identity.partition import IS_FIRST, POSITION, IndependentMessages, Partitioned
from cio_frames.identity.replay import CHANGES
from cio_frames.identity.rules import Rule
from cio_frames.identity.settings import Premise

_NO_TEXT: Final = pl.lit(None, pl.String)
_COUNTS: Final = ("person", "plan", "events", "first", "last")


class Counts(NamedTuple):
    """How many people independent messages create and update, and how many events they record."""

    creates: int
    updates: int
    events: int


def counts(messages: IndependentMessages) -> Counts:
    """Return the counts of `people`, without a row for each person."""
    matches = pl.concat([messages.identifies.select("match"), messages.events.select("match")])
    counted = pl.collect_all([
        messages.identifies.select((IS_FIRST & pl.col("match").is_null()).sum()),
        _events_of_unknown(messages).select(pl.col("key").n_unique()),
        matches.drop_nulls().select(pl.col("match").n_unique()),
        messages.events.select(pl.len()),
    ])  # fmt: skip
    identified, unknown, updates, events = (frame.item() for frame in counted)
    return Counts(creates=identified + unknown, updates=updates, events=events)


def people(messages: IndependentMessages, workspace_people: pl.DataFrame | None) -> pl.DataFrame:
    """Return the people of independent messages: person, identifiers, `existed` and places."""
    mail = is_mail("user")
    identifies = _distinct_identifies(messages)
    has_anonymous_id = pl.col("anonymous").is_not_null()
    no_ids = pl.lit([], pl.List(pl.String))
    created = [
        identifies.filter(pl.col("match").is_null(), is_chosen).select(
            _created().alias("person"),
            pl.when(~mail).then("user").alias("id"),
            pl.when(mail).then("user").otherwise("email").alias("email"),
            _NO_TEXT.alias("cio_id"),
            anonymous_ids.alias("anonymous_ids"),
            pl.lit(value=False).alias("existed"),
            "places",
        )
        for is_chosen, anonymous_ids in (
            (has_anonymous_id, _as_list(pl.col("anonymous"))), (~has_anonymous_id, no_ids),
        )
    ]  # fmt: skip
    first = (
        _events_of_unknown(messages)
        .group_by("key")
        .agg(
            pl.col("user").first(),
            pl.struct("plan", "row").first().implode().alias("places"),
        )
        .collect()
    )
    created_by_event = first.select(
        ("k" + pl.col("key")).alias("person"),
        pl.when(~mail).then("user").alias("id"),
        pl.when(mail).then("user").alias("email"),
        _NO_TEXT.alias("cio_id"),
        no_ids.alias("anonymous_ids"),
        pl.lit(value=False).alias("existed"),
        "places",
    )
    parts = [*created, created_by_event]
    if workspace_people is not None:
        parts.append(_existing_people(messages, identifies, workspace_people))
    return pl.concat(parts)


def _distinct_identifies(messages: IndependentMessages) -> pl.DataFrame:
    """Return the first identify with each set of identifiers, with the `places` of all of them."""
    place = pl.struct("plan", "row")
    rows = messages.identifies.collect()
    several = rows.filter(~IS_FIRST)["identify"].unique().implode()
    single = rows.filter(~pl.col("identify").is_in(several)).with_columns(
        pl.concat_list(place).alias("places")
    )
    repeated = rows.filter(pl.col("identify").is_in(several))
    places = repeated.group_by("identify", maintain_order=True).agg(place.alias("places"))
    first = repeated.filter(IS_FIRST).join(places, on="identify", maintain_order="left")
    return pl.concat([single, first])


def _as_list(values: pl.Expr) -> pl.Expr:
    """Return each value as a list of one, without a copy."""
    return values.reshape((-1, 1)).arr.to_list()


def _events_of_unknown(messages: IndependentMessages) -> pl.LazyFrame:
    """Return the events of unknown people, each with the key of its person."""
    unknown = messages.events.filter(pl.col("match").is_null() & pl.col("identify").is_null())
    return unknown.with_columns(person_key("user").alias("key"))


def _existing_people(
    messages: IndependentMessages, identifies: pl.DataFrame, workspace_people: pl.DataFrame
) -> pl.DataFrame:
    """Return the people of the export whom independent messages are about."""
    identified = identifies.drop_nulls("match").select("match", "anonymous", "is_new", "places")
    with_events = messages.events.drop_nulls("match").select("match").unique().collect()
    concerned = identified.join(with_events, on="match", how="full", coalesce=True)
    numbered = workspace_people.with_columns(POSITION)
    added = pl.when("is_new").then(pl.concat_list("anonymous")).otherwise([])
    return concerned.join(numbered, on="match").select(
        _existing().alias("person"), "id", "email", "cio_id",
        pl.col("anonymous_ids").list.concat(added.fill_null([])),
        pl.lit(value=True).alias("existed"),
        pl.col("places").fill_null([]),
    )  # fmt: skip


def changes(
    messages: IndependentMessages, workspace_people: pl.DataFrame | None
) -> dict[Rule, pl.LazyFrame]:
    """Return the changes of independent messages by rule, one row each."""
    rows = messages.identifies.with_columns(_owner().alias("person"))
    created = IS_FIRST & pl.col("match").is_null()
    linked = rows.filter(IS_FIRST & pl.col("anonymous").is_not_null() & pl.col("is_new"))
    labelled = _labels(linked, workspace_people)
    by_event = (
        _events_of_unknown(messages)
        .group_by("key")
        .agg(pl.col("number", "plan", "row", "user").first())
    )
    unknown = by_event.with_columns(("k" + pl.col("key")).alias("person"))
    user = pl.col("user")
    return {
        rules.CREATED: _changes(rows.filter(created), rules.CREATED, key=user),
        rules.UPDATED: _changes(rows.filter(~created), rules.UPDATED, key=user),
        rules.LINKED: _changes(
            labelled, rules.LINKED, key=pl.col("label"), subject=pl.col("anonymous")
        ),
        rules.CREATED_BY_EVENT: _changes(unknown, rules.CREATED_BY_EVENT, key=user),
    }


def event_counts(messages: IndependentMessages) -> pl.DataFrame:
    """Return the events of each person by plan, with the first and the last of their rows."""
    has_owner = pl.col("match").is_not_null() | pl.col("identify").is_not_null()
    owned = messages.events.filter(has_owner).group_by("match", "identify", "plan")
    unknown = _events_of_unknown(messages).group_by("key", "plan").agg(_event_aggregates())
    return pl.concat([
        owned.agg(_event_aggregates()).select(_owner().alias("person"), *_COUNTS[1:]),
        unknown.select(("k" + pl.col("key")).alias("person"), *_COUNTS[1:]),
    ]).collect()  # fmt: skip


def _event_aggregates() -> list[pl.Expr]:
    return [
        pl.len().cast(pl.Int64).alias("events"),
        pl.col("row").min().alias("first"),
        pl.col("row").max().alias("last"),
    ]


def campaign_events(messages: IndependentMessages, *, now: datetime) -> int:
    """Return how many events of people are young enough to start campaigns."""
    return int(messages.events.select(is_young(now).sum()).collect().item())


def visitor_events(parts: Partitioned, premise: Premise, *, calls: Sequence[str]) -> pl.DataFrame:
    """Return the anonymous events of former visitors: place, person and `outcome` of each.

    `subject` is the name of the event.
    """
    settings, mail = premise.settings, is_mail("user")
    owners = (
        parts.former_visitors.identifies.filter(IS_FIRST)
        .collect()
        .select(
            "identify",
            _created().alias("person"),
            pl.col("user").alias("label"),
            pl.when(~mail).then("user").alias("id"),
            pl.when(mail).then("user").otherwise("email").alias("email"),
        )
    )
    # all messages arrive at one time, so that one after the identify is never too late
    is_late = pl.col("number") > pl.col("identify")
    is_kept = is_late | (is_logged(premise.now) if settings.anonymous_age == "timestamp" else True)
    name = pl.coalesce("name", pl.col("plan").replace_strict(dict(enumerate(calls))))
    if settings.trim_event_names:
        is_track = pl.col("plan").is_in(
            [plan for plan, call in enumerate(calls) if call == "track"]
        )
        name = pl.when(is_track).then(name.str.strip_chars(WHITE_SPACE)).otherwise(name)
    return parts.visitor_events.join(owners, on="identify", maintain_order="left").select(
        "number", "plan", "row", "person", "label", "id", "email",
        pl.col("anonymous").alias("anonymous_id"),
        name.alias("subject"),
        is_late.alias("is_late"),
        pl.when(is_kept).then(pl.lit("linked")).otherwise(pl.lit("expired")).alias("outcome"),
        (is_kept & is_young(premise.now)).alias("young"),
    )  # fmt: skip


def former_visitor_changes(parts: Partitioned, visitor_events: pl.DataFrame) -> pl.DataFrame:
    """Return the changes of former visitors and of their anonymous events, in order."""
    late = _changes(
        visitor_events.lazy().filter("is_late"), rules.ATTRIBUTED_LATE, key=pl.col("label"), subject=pl.col("subject")
    )  # fmt: skip
    every = [*changes(parts.former_visitors, None).values(), late]
    return pl.concat(every).sort("number", maintain_order=True).collect()


def former_visitor_counts(parts: Partitioned, visitor_events: pl.DataFrame) -> pl.DataFrame:
    """Return the events of former visitors, as `event_counts` does."""
    linked = visitor_events.filter(pl.col("outcome") == "linked")
    both = pl.concat([
        event_counts(parts.former_visitors),
        linked.group_by("person", "plan").agg(_event_aggregates()).select(_COUNTS),
    ])  # fmt: skip
    return both.group_by("person", "plan", maintain_order=True).agg(
        pl.col("events").sum(), pl.col("first").min(), pl.col("last").max()
    )


def clusters(messages: IndependentMessages, workspace_people: pl.DataFrame | None) -> pl.LazyFrame:
    """Return how many identifiers and rows each independent identify connects."""
    repeats = messages.identifies.filter(~IS_FIRST).select("identify").collect()["identify"]
    times = pl.lit(1)
    if len(repeats):  # most tables have none
        identify, count = repeats.value_counts().get_columns()
        times += pl.col("identify").replace_strict(identify, count, default=0)
    identifies = messages.identifies.filter(IS_FIRST).select(
        "match",
        "is_new",
        pl.col("user").alias("cluster"),
        pl.col("identifiers").cast(pl.Int64),
        times.cast(pl.Int64).alias("rows"),
    )
    if workspace_people is not None:
        exported = workspace_people.lazy().select(
            POSITION,
            pl.sum_horizontal(
                pl.col("id").is_not_null(), pl.col("email").is_not_null(),
                pl.col("anonymous_ids").list.len(),
            ).alias("exported"),
        )  # fmt: skip
        together = (pl.col("exported") + pl.col("is_new")).cast(pl.Int64)
        identifies = identifies.join(exported, on="match", how="left").with_columns(
            pl.coalesce(together, "identifiers").alias("identifiers")
        )
    return identifies.select("cluster", "identifiers", "rows")


def _created() -> pl.Expr:
    return "n" + pl.col("identify").cast(pl.String)


def _existing() -> pl.Expr:
    return "m" + pl.col("match").cast(pl.String)


def _owner() -> pl.Expr:
    return pl.when(pl.col("match").is_null()).then(_created()).otherwise(_existing())


def _labels(linked: pl.LazyFrame, workspace_people: pl.DataFrame | None) -> pl.LazyFrame:
    """Return linked rows with the identifier that a reader knows best."""
    if workspace_people is None:
        return linked.with_columns(pl.col("user").alias("label"))
    labels = workspace_people.lazy().select(POSITION, pl.coalesce("id", "email").alias("label"))
    labelled = linked.join(labels, on="match", how="left", maintain_order="left")
    return labelled.with_columns(pl.coalesce("label", "user"))


def _changes(
    rows: pl.LazyFrame, rule: Rule, *, key: pl.Expr, subject: pl.Expr = _NO_TEXT
) -> pl.LazyFrame:
    return rows.select(
        "number", "plan", "row",
        pl.lit(rule.name).alias("rule"), pl.lit(rule.kind).alias("kind"),
        "person", key.alias("key"), _NO_TEXT.alias("other"), subject.alias("subject"),
        pl.lit(rule.open, pl.String).alias("open"),
    ).cast(CHANGES)  # fmt: skip
