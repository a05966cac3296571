"""People across rows: who is there twice, with two addresses, with too much, or merged in circles and chains."""

from collections.abc import Sequence
from functools import partial

import polars as pl
import polars.selectors as cs

from cio_frames.checks.check import FOUND_SCHEMA, ByTable, Check, Scope, found
from cio_frames.checks.identifiers import EMAILS, blank, is_text, text
from cio_frames.frames import ROW
from cio_frames.mapping import FieldMapping
from cio_frames.spec import LIMITS
from cio_frames.values import has_text

OWNERS = ("user_id", "anonymous_id")


def _person(scope: Scope) -> FieldMapping | None:
    slots = [scope.mapping.find(name) for name in OWNERS]
    return next((slot for slot in slots if slot and has_text(slot.dtype)), None)


def _messages(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate what the id of each message is made from, as one number."""
    mapping = scope.mapping
    given = mapping.find("message_id")
    keys = [slot for slot in mapping.slots if slot.role == "key"]
    everything = [slot for slot in mapping.slots if slot.path]
    if not mapping.call.api.deduplicates or not everything:
        return None
    whole = _hash(everything)
    made = whole
    if keys:
        filled = pl.all_horizontal(pl.col(slot.name).is_not_null() for slot in keys)
        time = [slot for slot in (mapping.find("timestamp"),) if slot]  # an id begins with its time
        made = pl.when(filled).then(_hash([*keys, *time])).otherwise(whole)
    if given is not None:
        named = pl.col(given.name)
        made = pl.when(named.is_not_null()).then(named.hash()).otherwise(made)
    return rows.select(pl.col(ROW).alias("row"), made.alias("key"))


def _hash(slots: Sequence[FieldMapping]) -> pl.Expr:
    return pl.struct(pl.col(slot.name) for slot in slots).hash()


def _later(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    """Return the rows whose key an earlier row has."""
    ordered = aggregated["key"].sort()
    twice = ordered.filter(ordered == ordered.shift()).unique()
    again = aggregated.filter(pl.col("key").is_in(twice.implode())).sort("row")
    first = pl.col("row").first().over("key")
    later = again.with_columns(first.alias("first")).filter(pl.col("row") != pl.col("first"))
    return later.select(
        "row",
        pl.lit(None, pl.String).alias("column"),
        pl.format("as row {}", "first").alias("value"),
    )


def _repeated(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    slot = _person(scope)
    if scope.mapping.call.name != "identify" or slot is None:
        return None
    return (
        rows.select(
            pl.col(ROW).alias("row"),
            text(slot, scope).hash().alias("key"),
            text(slot, scope).is_not_null().alias("filled"),
        )
        .filter("filled")
        .drop("filled")
    )


def _repeats(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    slot = _person(scope)
    later = _later(aggregated, rows, scope)
    label = slot.label if slot else None
    return later.with_columns(pl.lit(label, pl.String).alias("column"))


def _pairs(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate who has which address, as numbers."""
    slots = _pair(scope)
    if slots is None:
        return None
    person, email = slots
    pairs = rows.select(
        text(person, scope).alias("person"), _address(email, scope).alias("email")
    ).drop_nulls()
    return pairs.filter(~blank(pl.col("email"))).select(pl.all().hash()).unique()


def _address(slot: FieldMapping, scope: Scope) -> pl.Expr:
    return text(slot, scope).str.strip_chars().str.to_lowercase()


def _pair(scope: Scope) -> tuple[FieldMapping, FieldMapping] | None:
    person = _person(scope)
    email = next((slot for slot in scope.mapping.slots if slot.path in EMAILS), None)
    if scope.mapping.call.name != "identify" or person is None or email is None:
        return None
    return (person, email) if is_text(email) and person.column != email.column else None


def _paired(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope, *, by: str) -> pl.DataFrame:
    """Return the rows of those who have several of the other."""
    several = aggregated.unique().filter(pl.col(by).is_duplicated())[by].unique()
    person, email = _pair(scope) or (None, None)
    if person is None or email is None or several.is_empty():
        return FOUND_SCHEMA.to_frame()
    keys = {"person": text(person, scope), "email": _address(email, scope)}
    shown = email if by == "person" else person
    filled = keys["person"].is_not_null() & ~blank(keys["email"])
    bad = keys[by].hash().is_in(several.implode()) & filled
    return found(rows, bad, column=shown.label, value=text(shown, scope))


def _attributes(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate which attributes each person gets, where there are more than one can have."""
    person = _person(scope)
    slots = [slot for slot in scope.mapping.slots if slot.role == "body"]
    few = len(slots) <= LIMITS["attributes"].value
    if scope.mapping.call.name != "identify" or person is None or few:
        return None
    return rows.group_by(text(person, scope).alias("value")).agg(
        pl.col(ROW).min().alias("row"), *(pl.col(slot.name).is_not_null().any() for slot in slots)
    )


def _overfilled(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    person = _person(scope)
    filled = cs.boolean()
    each = aggregated.group_by("value").agg(pl.col("row").min(), filled.any())
    counted = each.select("row", "value", pl.sum_horizontal(filled).alias("count"))
    return counted.filter(pl.col("count") > LIMITS["attributes"].value).select(
        "row",
        pl.lit(person.label if person else None, pl.String).alias("column"),
        "value",
        pl.format("{} attributes in all.", "count").alias("evidence"),
    )


UNCERTAIN = "which of them is right cannot be known"

PEOPLE_CHECKS = (
    Check(
        code="message.duplicate", severity="warn", test=ByTable(aggregate=_messages, finish=_later),
        sentence="The row is the same as an earlier one, and so is its message id.",
        hint="Drop it, or pass key= or message_id= if both are meant to count.",
        consequence="Messages of one id count as one: this one is not recorded a second time.",
        source="reference 3.7 (messageId); reliability 1.5",
        no_repair_because="whether both are meant is for you to say: with key= they get ids of their own",
    ),
    Check(
        code="id.duplicate", severity="info", test=ByTable(aggregate=_repeated, finish=_repeats),
        sentence="{column} names a person whom an earlier row names already.",
        hint="Keep the latest row of each person if the rows are in no order.",
        summary="{rows} about people of earlier rows.",
        consequence="Traits of the later row replace those of the earlier one.",
        source="reference 3.2",
        no_repair_because="which row is right cannot be known",
    ),
    Check(
        code="person.many-emails", severity="warn",
        test=ByTable(
            aggregate=_pairs,
            finish=partial(_paired, by="person"),
        ),
        sentence="{column} differs between rows of one person.",
        hint="Keep the row with the current address.",
        summary="{values} in {rows}.",
        consequence="The first is kept; changing it fails unless the workspace allows it.",
        source="reference 3.1, 3.2; reliability 3.3 (53)",
        no_repair_because=UNCERTAIN,
    ),
    Check(
        code="person.shared-email", severity="warn",
        test=ByTable(
            aggregate=_pairs,
            finish=partial(_paired, by="email"),
        ),
        sentence="{column}: several ids have one e-mail address.",
        hint="Look at plan.identity(): it tells what becomes of each.",
        summary="{values} in {rows}.",
        consequence="An address belongs to one person: the others keep none, or are merged.",
        source="reference 3.2, 3.2a; reliability 3.3 (54)",
        no_repair_because=UNCERTAIN,
    ),
    Check(
        code="person.too-many", severity="warn", test=ByTable(aggregate=_attributes, finish=_overfilled),
        sentence="{column}: this person would get more than 300 attributes.",
        hint="List the columns that are needed.",
        consequence="The workspace keeps 300 attributes of a person and drops the rest.",
        source="TRACK customer limits; reference 6; reliability 3.8 (145)",
        no_repair_because="which attributes are needed is for you to say",
    ),
)  # fmt: skip


def _alias_slots(scope: Scope) -> tuple[FieldMapping, FieldMapping] | None:
    previous, kept = scope.mapping.find("previous_id"), scope.mapping.find("user_id")
    if previous is None or kept is None or not (has_text(previous.dtype) and has_text(kept.dtype)):
        return None
    return previous, kept


def _merges(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate who is merged into whom."""
    slots = _alias_slots(scope)
    if slots is None:
        return None
    previous, kept = (text(slot, scope) for slot in slots)
    pairs = rows.select(pl.col(ROW).alias("row"), previous.alias("from"), kept.alias("into"))
    return pairs.drop_nulls().filter(pl.col("from") != pl.col("into"))


def _in_cycles(aggregated: pl.DataFrame) -> pl.Series:
    """Tell of each link whether it is part of a circle."""
    import rustworkx as rx

    graph: rx.PyDiGraph[str, int] = rx.PyDiGraph()
    names = pl.concat([aggregated["from"], aggregated["into"]]).unique()
    nodes = dict(zip(names, graph.add_nodes_from(names.to_list()), strict=True))
    edges = [
        (nodes[one], nodes[other], 0) for one, other in aggregated.select("from", "into").rows()
    ]
    graph.add_edges_from(edges)
    circles = {
        node: place
        for place, circle in enumerate(rx.strongly_connected_components(graph))
        for node in circle
    }
    return pl.Series([circles[one] == circles[other] for one, other, _ in edges], dtype=pl.Boolean)


def _chained(
    aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope, *, circular: bool
) -> pl.DataFrame:
    """Return the merges into somebody who is merged away as well."""
    links = aggregated.join(aggregated, left_on="into", right_on="from", how="semi")
    inside = _in_cycles(links)
    return _shown(links.filter(inside if circular else ~inside), scope)


def _split(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the merges of somebody who is merged into others as well."""
    several = aggregated.select("from", "into").unique().filter(pl.col("from").is_duplicated())
    return _shown(aggregated.join(several, on="from", how="semi"), scope)


def _shown(merges: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    slots = _alias_slots(scope)
    return merges.select(
        "row",
        pl.lit(slots[0].label if slots else None, pl.String).alias("column"),
        pl.format("{} → {}", "from", "into").alias("value"),
    )


MERGE_CHECKS = (
    Check(
        code="alias.cycle", severity="reject",
        test=ByTable(aggregate=_merges, finish=partial(_chained, circular=True)),
        sentence="{column} is part of a circle: people would be merged into each other.",
        hint="Decide who is kept, and leave the other rows out.",
        consequence="Who remains depends on which merge comes first, and it is for good.",
        source="reference 3.4; reliability 3.3 (56)",
        no_repair_because=UNCERTAIN,
    ),
    Check(
        code="alias.chain", severity="warn",
        test=ByTable(aggregate=_merges, finish=partial(_chained, circular=False)),
        sentence="{column} is merged into somebody who is merged away as well.",
        hint="Name the last person of the chain in every row.",
        consequence="Calls may not be processed in order: a merge into a deleted person does nothing.",
        source="reference 3.4, 3.7; reliability 3.3 (57)",
        no_repair_because="rewriting who is merged into whom is for you to decide",
    ),
    Check(
        code="alias.split", severity="warn", test=ByTable(aggregate=_merges, finish=_split),
        sentence="{column} is merged into several people.",
        hint="Keep one row for each person that goes.",
        consequence="The first merge wins; the others find nobody.",
        source="reference 3.4",
        no_repair_because=UNCERTAIN,
    ),
)  # fmt: skip
