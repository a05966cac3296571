"""People across rows: repeated, with several addresses, over the limits, or merged in cycles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl
import polars.selectors as cs

from cio_frames.checks.check import (
    Check,
    KeyedFindings,
    KeyedRows,
    Scope,
    TableTest,
)
from cio_frames.checks.fields import EMAIL_PATHS, OBJECT_TYPES, OWNERS, blank, is_text
from cio_frames.frames import ROW
from cio_frames.mapping import FieldMapping
from cio_frames.spec import LIMITS, STRIPPED_TRAITS
from cio_frames.values import has_text, many

LEAST, GREATEST = ":least", ":greatest"


def _person(scope: Scope) -> FieldMapping | None:
    fields = [scope.mapping.find(name) for name in OWNERS]
    return next((field for field in fields if field and has_text(field.dtype)), None)


def _messages(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Hash what the id of each message is derived from."""
    if not scope.mapping.call.api.deduplicates or not _contents(scope):
        return None
    whole, made = _hash(_contents(scope)), _message_key(scope)
    own = {"whole": whole} if _is_identified(scope) else {}
    return rows.select(pl.col(ROW).cast(pl.get_index_type()).alias("row"), made.alias("key"), **own)


def _contents(scope: Scope) -> list[FieldMapping]:
    """Return the fields that make a message, without its id."""
    fields = scope.mapping.fields
    return [field for field in fields if field.path and field.argument != "message_id"]


def _is_identified(scope: Scope) -> bool:
    """Return whether message ids do not follow from the whole message alone."""
    fields = scope.mapping.fields
    return any(field.role == "key" or field.argument == "message_id" for field in fields)


def _message_key(scope: Scope) -> pl.Expr:
    """Return a hash of what the id of each message is derived from."""
    mapping = scope.mapping
    given = mapping.find("message_id")
    keys = [field for field in mapping.fields if field.role == "key"]
    whole = _hash(_contents(scope))
    made = whole
    if keys:
        filled = pl.all_horizontal(pl.col(field.name).is_not_null() for field in keys)
        time = [
            field for field in (mapping.find("timestamp"),) if field
        ]  # an id begins with its time
        made = pl.when(filled).then(_hash([*keys, *time])).otherwise(whole)
    if given is not None:
        named = pl.col(given.name)
        made = pl.when(named.is_not_null()).then(named.hash()).otherwise(made)
    return made


def _identified(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Hash what message ids are derived from, where they do not follow from the whole message."""
    return _messages(rows, scope) if _is_identified(scope) else None


def _hash(fields: Sequence[FieldMapping]) -> pl.Expr:
    return pl.struct(pl.col(field.name) for field in fields).hash()


def _same(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    """Return the rows that are the same as an earlier row of their key."""
    later = _later(aggregated)
    if "whole" in later.columns:
        later = later.filter(pl.col("whole") == pl.col("first_whole"))
    return _told(later)


def _disputed(aggregated: pl.DataFrame, _scope: Scope) -> pl.DataFrame:
    """Return the keys of which a later row differs from the first."""
    later = _later(aggregated).filter(pl.col("whole") != pl.col("first_whole"))
    return later.select(pl.col("key").unique())


def _contents_of_keys(scope: Scope) -> Iterator[KeyedRows]:
    """Yield how a row is told by the key of its message; its value are hashes of all fields."""
    hashes = [_hash([field]).cast(pl.String) for field in _contents(scope)]
    yield KeyedRows(
        key=_message_key(scope),
        where=pl.lit(value=True),
        column=None,
        value=pl.concat_str(hashes, separator=" "),
    )


def _conflicting(about: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    """Return the rows that differ from the first row of their key, with the columns that differ."""
    first = about.select(pl.col("row", "value").first().over("key"))
    later = about.with_columns(first=first["row"], same=first["value"]).filter(
        pl.col("value") != pl.col("same")
    )
    hashes = (pl.col(name).str.split(" ") for name in ("value", "same"))
    own, other = (later.select(each).to_series() for each in hashes)
    labels = [
        pl.when(own.list.get(place) != other.list.get(place)).then(pl.lit(field.label))
        for place, field in enumerate(_contents(scope))
    ]
    return later.select(
        "row",
        pl.lit(None, pl.String).alias("column"),
        pl.format("same message_id as row {}", "first").alias("value"),
        pl.concat_str(
            pl.lit("Different columns: "),
            pl.concat_str(labels, separator=", ", ignore_nulls=True),
            pl.lit("."),
        ).alias("evidence"),
    )


def _later(aggregated: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose key an earlier row has, with the first such row."""
    twice = _twice(aggregated)
    if twice.is_empty():
        first_too = {f"first_{name}": kind for name, kind in aggregated.schema.items()}
        return pl.DataFrame(schema=aggregated.schema | first_too).rename({"first_row": "first"})
    again = aggregated.filter(pl.col("key").is_in(twice.implode())).sort("row")
    first = again.select(pl.all().first().over("key").name.prefix("first_"))
    later = again.hstack(first.rename({"first_row": "first"}))
    return later.filter(pl.col("row") != pl.col("first"))


PARTS, MANY = 8, 1_000_000
"""In how many parts keys are sorted, each while the others take no memory, where there are many."""


def _twice(aggregated: pl.DataFrame) -> pl.Series:
    """Return the keys that several rows have."""
    is_number = aggregated["key"].dtype == pl.UInt64 and aggregated.height > MANY
    parts = (
        [pl.col("key") % PARTS == part for part in range(PARTS)]
        if is_number
        else [pl.lit(value=True)]
    )
    found = []
    for part in parts:
        ordered = aggregated.select(pl.col("key").filter(part).sort()).to_series()
        found.append(ordered.filter(ordered == ordered.shift()).unique())
    return pl.concat(found)


def _told(later: pl.DataFrame) -> pl.DataFrame:
    return later.select(
        "row",
        pl.lit(None, pl.String).alias("column"),
        pl.format("same as row {}", "first").alias("value"),
    )


def _repeated(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    field = _person(scope)
    if scope.mapping.call.name != "identify" or field is None:
        return None
    person, time = scope.text(field), scope.mapping.find("timestamp")
    return rows.filter(person.is_not_null()).select(
        pl.col(ROW).alias("row"), person.hash().alias("key"),
        *(() if time is None else (pl.col(time.utc_column).fill_null(scope.now).alias("at"),)),
    )  # fmt: skip


def _repeats(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the rows about people of earlier rows, and where a time decides, which row wins."""
    field, later = _person(scope), _later(aggregated)
    told = _told(later).with_columns(
        pl.lit(field.label if field else None, pl.String).alias("column")
    )
    if "at" not in aggregated.columns:
        return told
    latest = aggregated.sort("at", "row").group_by("key").agg(pl.col("row").last().alias("wins"))
    winners = later.select("row", "key").join(latest, on="key", how="left", maintain_order="left")
    return told.with_columns(
        pl.format("{}, row {} wins", "value", winners["wins"]).alias("value"),
        pl.lit("For each person, the row with the latest timestamp wins.").alias("evidence"),
    )


def _object_traits(scope: Scope) -> list[FieldMapping]:
    """Return the fields that set attributes of the object itself."""
    names = frozenset(STRIPPED_TRAITS)
    return [
        s for s in scope.mapping.fields if s.role == "body" and s.path and s.path[1] not in names
    ]


def _object(scope: Scope) -> tuple[FieldMapping, pl.Expr] | None:
    """Return the field that names an object, and the key of the object."""
    field = scope.mapping.find("group_id")
    if scope.mapping.call.name != "group" or field is None or not has_text(field.dtype):
        return None
    types = [scope.text(s) for s in scope.mapping.fields if s.path in OBJECT_TYPES]
    return field, pl.struct(
        scope.text(field), *(t.alias(f"{n}") for n, t in enumerate(types))
    ).hash()


def _object_values(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Return the least and the greatest hash of each trait of each object; empty cells set none."""
    found, traits = _object(scope), _object_traits(scope)
    if found is None or not traits:
        return None
    field, key = found
    hashed = [
        pl.when(pl.col(t.name).is_not_null()).then(pl.col(t.name).hash()).alias(t.name)
        for t in traits
    ]
    named = rows.filter(scope.text(field).is_not_null()).select(key.alias("key"), *hashed)
    return named.group_by("key").agg(
        cs.exclude("key").min().name.suffix(LEAST), cs.exclude("key").max().name.suffix(GREATEST)
    )


def _torn(aggregated: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    """Return the objects of which rows set a trait to several values, and the traits."""
    whole = aggregated.group_by("key").agg(cs.ends_with(LEAST).min(), cs.ends_with(GREATEST).max())
    labels = [
        pl.when(pl.col(t.name + LEAST) != pl.col(t.name + GREATEST)).then(pl.lit(t.label))
        for t in _object_traits(scope)
    ]
    what = pl.concat_str(labels, separator=", ", ignore_nulls=True)
    return whole.select("key", what.alias("what")).filter(pl.col("what") != "")


def _of_objects(scope: Scope) -> Iterator[KeyedRows]:
    found = _object(scope)
    if found is not None:
        field, key = found
        named = scope.text(field)
        yield KeyedRows(key=key, where=named.is_not_null(), column=field.label, value=named)


def _later_of_objects(about: pl.DataFrame, _scope: Scope) -> pl.DataFrame:
    return about.filter(~pl.col("key").is_first_distinct()).select(
        "row", "column", "value", pl.format("Different values in: {}.", "what").alias("evidence")
    )


def _pairs(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Return the different pairs of person and address, hashed."""
    fields = _pair(scope)
    if fields is None:
        return None
    person, email = fields
    pairs = rows.select(
        scope.text(person).alias("person"), _address(email, scope).alias("email")
    ).drop_nulls()
    return pairs.filter(~blank(pl.col("email"))).select(pl.all().hash()).unique()


def _address(field: FieldMapping, scope: Scope) -> pl.Expr:
    return scope.text(field).str.strip_chars().str.to_lowercase()


def _pair(scope: Scope) -> tuple[FieldMapping, FieldMapping] | None:
    person = _person(scope)
    email = next((field for field in scope.mapping.fields if field.path in EMAIL_PATHS), None)
    if scope.mapping.call.name != "identify" or person is None or email is None:
        return None
    return (person, email) if is_text(email) and person.column != email.column else None


def _several(aggregated: pl.DataFrame, _scope: Scope, *, by: str) -> pl.DataFrame:
    """Return the people with several addresses, or the addresses with several people."""
    pairs = aggregated.lazy().unique().filter(pl.col(by).is_duplicated())
    return pairs.select(pl.col(by).unique().alias("key")).collect()


def _of_pairs(scope: Scope, *, by: str) -> Iterator[KeyedRows]:
    person, email = _pair(scope) or (None, None)
    if person is not None and email is not None:
        named, address = scope.text(person), _address(email, scope)
        shown = email if by == "person" else person
        yield KeyedRows(
            key=(named if by == "person" else address).hash(),
            where=named.is_not_null() & ~blank(address),
            column=shown.label,
            value=scope.text(shown),
        )


def _all_rows(about: pl.DataFrame, _scope: Scope) -> pl.DataFrame:
    return about.select("row", "column", "value")


def _paired(by: str) -> KeyedFindings:
    """Return what tells the rows of people with several addresses, or addresses with several people."""
    return KeyedFindings(
        suspects=partial(_several, by=by),
        rows=partial(_of_pairs, by=by),
        judge=_all_rows,
        evidence=_with_addresses if by == "person" else _of_people,
    )


def _with_addresses(count: int) -> str:
    return f"{many(count, 'person appears', 'people appear')} with two or more addresses."


def _of_people(count: int) -> str:
    return f"{many(count, 'address is', 'addresses are')} used by two or more IDs."


def _attributes(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Return which attributes each person gets, if there are more columns than one can have."""
    person = _person(scope)
    fields = [field for field in scope.mapping.fields if field.role == "body"]
    few = len(fields) <= LIMITS["attributes"].value
    if scope.mapping.call.name != "identify" or person is None or few:
        return None
    return rows.group_by(scope.text(person).alias("value")).agg(
        pl.col(ROW).min().alias("row"),
        *(pl.col(field.name).is_not_null().any() for field in fields),
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


PEOPLE_CHECKS = (
    Check(
        "message.duplicate", "warn", TableTest(_messages, _same, by="key"),
        source="reference 3.7 (messageId); reliability 1.5",
    ),
    Check(
        "message.conflict", "reject", TableTest(_identified, KeyedFindings(suspects=_disputed, rows=_contents_of_keys, judge=_conflicting), by="key"),
        source="reference 3.7 (messageId); reliability 1.5 (I5)",
    ),
    Check("id.duplicate", "info", TableTest(_repeated, _repeats, by="key"), source="reference 3.2"),
    Check(
        "group.many-values", "info",
        TableTest(_object_values, KeyedFindings(suspects=_torn, rows=_of_objects, judge=_later_of_objects), by="key"),
        source="reference 2.5, 3.5",
    ),
    Check(
        "person.many-emails", "warn", TableTest(_pairs, _paired("person"), by="person"),
        source="reference 3.1, 3.2; reliability 3.3 (53)", effect="ignored",
    ),
    Check(
        "person.shared-email", "warn", TableTest(_pairs, _paired("email"), by="email"),
        source="reference 3.2, 3.2a; reliability 3.3 (54)",
    ),
    Check(
        "person.too-many", "warn", TableTest(_attributes, _overfilled, by="value"),
        source="TRACK customer limits; reference 6; reliability 3.8 (145)",
    ),
)  # fmt: skip


def _alias_fields(scope: Scope) -> tuple[FieldMapping, FieldMapping] | None:
    previous, kept = scope.mapping.find("previous_id"), scope.mapping.find("user_id")
    if previous is None or kept is None or not (has_text(previous.dtype) and has_text(kept.dtype)):
        return None
    return previous, kept


def _merges(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Return who is merged into whom."""
    fields = _alias_fields(scope)
    if fields is None:
        return None
    previous, kept = (scope.text(field) for field in fields)
    pairs = rows.select(pl.col(ROW).alias("row"), previous.alias("from"), kept.alias("into"))
    return pairs.drop_nulls().filter(pl.col("from") != pl.col("into"))


def _in_cycles(aggregated: pl.DataFrame) -> pl.Series:
    """Return whether each merge is part of a cycle."""
    import rustworkx as rx

    graph: rx.PyDiGraph[str, int] = rx.PyDiGraph()
    names = pl.concat([aggregated["from"], aggregated["into"]]).unique()
    nodes = dict(zip(names, graph.add_nodes_from(names.to_list()), strict=True))
    edges = [
        (nodes[one], nodes[other], 0) for one, other in aggregated.select("from", "into").rows()
    ]
    graph.add_edges_from(edges)
    cycles = {
        node: place
        for place, cycle in enumerate(rx.strongly_connected_components(graph))
        for node in cycle
    }
    return pl.Series([cycles[one] == cycles[other] for one, other, _ in edges], dtype=pl.Boolean)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeFindings:
    """What finishes a test of the merges into a person who is merged into another.

    Attributes:
        circular: Whether it tells those that are part of a cycle, or the others.
    """

    circular: bool

    def __call__(self, aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
        """Return the findings."""
        links = aggregated.join(aggregated, left_on="into", right_on="from", how="semi")
        inside = _in_cycles(links)
        return self.findings(links.filter(inside if self.circular else ~inside), scope)

    def findings(self, merges: pl.DataFrame, scope: Scope) -> pl.DataFrame:
        """Return the findings about merges that were found to be so."""
        return _shown(merges, scope)


def _split(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the merges of a person who is merged into several."""
    several = aggregated.select("from", "into").unique().filter(pl.col("from").is_duplicated())
    return _shown(aggregated.join(several, on="from", how="semi"), scope)


def _shown(merges: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    fields = _alias_fields(scope)
    return merges.select(
        "row",
        pl.lit(fields[0].label if fields else None, pl.String).alias("column"),
        pl.format("{} → {}", "from", "into").alias("value"),
    )


MERGE_CHECKS = (
    Check(
        "alias.cycle", "reject", TableTest(_merges, MergeFindings(circular=True), by="from"),
        source="reference 3.4; reliability 3.3 (56)",
    ),
    Check(
        "alias.chain", "warn", TableTest(_merges, MergeFindings(circular=False), by="from"),
        source="reference 3.4, 3.7; reliability 3.3 (57)",
    ),
    Check(
        "alias.split", "warn", TableTest(_merges, _split, by="from"), source="reference 3.4", effect="ignored",
    ),
)  # fmt: skip
