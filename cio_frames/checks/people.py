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
from cio_frames.checks.fields import EMAIL_PATHS, OBJECT_TYPES, OWNERS, is_text
from cio_frames.checks.identifiers import is_placeholder_address
from cio_frames.frames import ROW
from cio_frames.mapping import FieldMapping
from cio_frames.spec import LIMITS, STRIPPED_TRAITS
from cio_frames.values import has_text, many

MIN_SUFFIX, MAX_SUFFIX = ":least", ":greatest"


def _person(scope: Scope) -> FieldMapping | None:
    fields = [scope.mapping.find(name) for name in OWNERS]
    return next((field for field in fields if field and has_text(field.dtype)), None)


def _messages(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Hash what the id of each message is derived from."""
    if not scope.mapping.call.api.deduplicates or not _content_fields(scope):
        return None
    content, key = _hash(_content_fields(scope)), _message_key(scope)
    row = pl.col(ROW).cast(pl.get_index_type())
    columns = {"content": content} if _is_identified(scope) else {}
    return rows.select(row=row, key=key, **columns)


def _content_fields(scope: Scope) -> list[FieldMapping]:
    """Return the fields that are written into a message, without its id."""
    fields = scope.mapping.fields
    return [field for field in fields if field.path and field.argument != "message_id"]


def _is_identified(scope: Scope) -> bool:
    """Return whether message ids are derived from something else than the whole message."""
    fields = scope.mapping.fields
    return any(field.role == "key" or field.argument == "message_id" for field in fields)


def _message_key(scope: Scope) -> pl.Expr:
    """Return a hash of what the id of each message is derived from."""
    mapping = scope.mapping
    message_id = mapping.find("message_id")
    keys = [field for field in mapping.fields if field.role == "key"]
    content = _hash(_content_fields(scope))
    key = content
    if keys:
        is_complete = pl.all_horizontal(pl.col(field.name).is_not_null() for field in keys)
        time = filter(None, [mapping.find("timestamp")])  # an id begins with its time
        key = pl.when(is_complete).then(_hash([*keys, *time])).otherwise(content)
    if message_id is not None:
        given = pl.col(message_id.name)
        key = pl.when(given.is_not_null()).then(given.hash()).otherwise(key)
    return key


def _identified(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Hash what message ids are derived from, if that is not the whole message."""
    return _messages(rows, scope) if _is_identified(scope) else None


def _hash(fields: Sequence[FieldMapping]) -> pl.Expr:
    return pl.struct(pl.col(field.name) for field in fields).hash()


def _duplicates(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    """Return the rows that equal an earlier row with the same key."""
    later = _with_first_row(aggregated)
    if "content" in later.columns:
        later = later.filter(pl.col("content") == pl.col("first_content"))
    return _duplicate_findings(later)


def _conflicting_keys(aggregated: pl.DataFrame, _scope: Scope) -> pl.DataFrame:
    """Return the keys whose later rows differ from the first."""
    later = _with_first_row(aggregated).filter(pl.col("content") != pl.col("first_content"))
    return later.select(pl.col("key").unique())


def _keyed_contents(scope: Scope) -> Iterator[KeyedRows]:
    """Yield how to select rows by the key of their message; the value is the hashes of all fields."""
    hashes = [_hash([field]).cast(pl.String) for field in _content_fields(scope)]
    yield KeyedRows(
        key=_message_key(scope),
        where=pl.lit(value=True),
        column=None,
        value=pl.concat_str(hashes, separator=" "),
    )


def _conflicts(keyed_rows: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    """Return the rows that differ from the first row of their key, with the columns that differ."""
    first = keyed_rows.select(pl.col("row", "value").first().over("key"))
    later = keyed_rows.with_columns(first=first["row"], first_value=first["value"]).filter(
        pl.col("value") != pl.col("first_value")
    )
    hashes, first_hashes = (later[name].str.split(" ") for name in ("value", "first_value"))
    labels = [
        pl.when(hashes.list.get(number) != first_hashes.list.get(number)).then(pl.lit(field.label))
        for number, field in enumerate(_content_fields(scope))
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


def _with_first_row(aggregated: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose key an earlier row has, with the first row of the key."""
    repeated_keys = _repeated_keys(aggregated)
    if repeated_keys.is_empty():
        first_schema = {f"first_{name}": kind for name, kind in aggregated.schema.items()}
        return pl.DataFrame(schema=aggregated.schema | first_schema).rename({"first_row": "first"})
    repeated = aggregated.filter(pl.col("key").is_in(repeated_keys.implode())).sort("row")
    first = repeated.select(pl.all().first().over("key").name.prefix("first_"))
    later = repeated.hstack(first.rename({"first_row": "first"}))
    return later.filter(pl.col("row") != pl.col("first"))


SORT_PARTS, SORT_AT_ONCE = 8, 1_000_000
"""In how many parts keys are sorted to save memory, if there are more than can be sorted at once."""


def _repeated_keys(aggregated: pl.DataFrame) -> pl.Series:
    """Return the keys that several rows have."""
    is_large = aggregated["key"].dtype == pl.UInt64 and aggregated.height > SORT_AT_ONCE
    parts = range(SORT_PARTS) if is_large else ()
    conditions = [pl.col("key") % SORT_PARTS == part for part in parts] or [pl.lit(value=True)]
    repeated = []
    for is_in_part in conditions:
        ordered = aggregated.select(pl.col("key").filter(is_in_part).sort()).to_series()
        repeated.append(ordered.filter(ordered == ordered.shift()).unique())
    return pl.concat(repeated)


def _duplicate_findings(later: pl.DataFrame) -> pl.DataFrame:
    value = pl.format("same as row {}", "first")
    return later.select("row", column=pl.lit(None, pl.String), value=value)


def _person_keys(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    field = _person(scope)
    if scope.mapping.call.name != "identify" or field is None:
        return None
    person, time = scope.text(field), scope.mapping.find("timestamp")
    return rows.filter(person.is_not_null()).select(
        pl.col(ROW).alias("row"), person.hash().alias("key"),
        *(() if time is None else (pl.col(time.utc_column).fill_null(scope.now).alias("at"),)),
    )  # fmt: skip


def _later_rows(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the rows about people of earlier rows, and which row wins if timestamps decide."""
    field, later = _person(scope), _with_first_row(aggregated)
    findings = _duplicate_findings(later).with_columns(
        pl.lit(field.label if field else None, pl.String).alias("column")
    )
    if "at" not in aggregated.columns:
        return findings
    latest = aggregated.sort("at", "row").group_by("key").agg(pl.col("row").last().alias("wins"))
    winners = later.select("row", "key").join(latest, on="key", how="left", maintain_order="left")
    return findings.with_columns(
        pl.format("{}, row {} wins", "value", winners["wins"]).alias("value"),
        pl.lit("For each person, the row with the latest timestamp wins.").alias("evidence"),
    )


def _object_traits(scope: Scope) -> list[FieldMapping]:
    """Return the fields that set attributes of the object itself."""
    names = frozenset(STRIPPED_TRAITS)
    fields = (field for field in scope.mapping.fields if field.role == "body" and field.path)
    return [field for field in fields if field.path[1] not in names]


def _object_and_key(scope: Scope) -> tuple[FieldMapping, pl.Expr] | None:
    """Return the field that names an object, and the key of the object."""
    field = scope.mapping.find("group_id")
    if scope.mapping.call.name != "group" or field is None or not has_text(field.dtype):
        return None
    types = [scope.text(each) for each in scope.mapping.fields if each.path in OBJECT_TYPES]
    named = (text.alias(f"{number}") for number, text in enumerate(types))
    return field, pl.struct(scope.text(field), *named).hash()


def _object_values(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Return the least and the greatest hash of each trait of each object, ignoring empty cells."""
    object_and_key, traits = _object_and_key(scope), _object_traits(scope)
    if object_and_key is None or not traits:
        return None
    field, key = object_and_key
    hashes = [
        pl.when(pl.col(trait.name).is_not_null()).then(pl.col(trait.name).hash()).alias(trait.name)
        for trait in traits
    ]
    hashed = rows.filter(scope.text(field).is_not_null()).select(key.alias("key"), *hashes)
    return hashed.group_by("key").agg(
        cs.exclude("key").min().name.suffix(MIN_SUFFIX),
        cs.exclude("key").max().name.suffix(MAX_SUFFIX),
    )


def _conflicting_objects(aggregated: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    """Return the objects with a trait that rows set to several values, and the traits."""
    ranges = aggregated.group_by("key").agg(
        cs.ends_with(MIN_SUFFIX).min(), cs.ends_with(MAX_SUFFIX).max()
    )
    labels = [
        pl.when(pl.col(trait.name + MIN_SUFFIX) != pl.col(trait.name + MAX_SUFFIX)).then(
            pl.lit(trait.label)
        )
        for trait in _object_traits(scope)
    ]
    what = pl.concat_str(labels, separator=", ", ignore_nulls=True)
    return ranges.select("key", what.alias("what")).filter(pl.col("what") != "")


def _keyed_objects(scope: Scope) -> Iterator[KeyedRows]:
    object_and_key = _object_and_key(scope)
    if object_and_key is not None:
        field, key = object_and_key
        object_id = scope.text(field)
        yield KeyedRows(key=key, where=object_id.is_not_null(), column=field.label, value=object_id)


def _object_conflicts(keyed_rows: pl.DataFrame, _scope: Scope) -> pl.DataFrame:
    return keyed_rows.filter(~pl.col("key").is_first_distinct()).select(
        "row", "column", "value", pl.format("Different values in: {}.", "what").alias("evidence")
    )


def _pairs(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Return the distinct pairs of person and address, hashed."""
    fields = _pair(scope)
    if fields is None:
        return None
    person, email = fields
    pairs = rows.select(
        scope.text(person).alias("person"), _address(email, scope).alias("email")
    ).drop_nulls()
    return pairs.filter(~is_placeholder_address(pl.col("email"))).select(pl.all().hash()).unique()


def _address(field: FieldMapping, scope: Scope) -> pl.Expr:
    return scope.text(field).str.strip_chars().str.to_lowercase()


def _pair(scope: Scope) -> tuple[FieldMapping, FieldMapping] | None:
    person = _person(scope)
    email = next((field for field in scope.mapping.fields if field.path in EMAIL_PATHS), None)
    if scope.mapping.call.name != "identify" or person is None or email is None:
        return None
    return (person, email) if is_text(email) and person.column != email.column else None


def _ambiguous(aggregated: pl.DataFrame, _scope: Scope, *, by: str) -> pl.DataFrame:
    """Return the people with several addresses, or the addresses with several people."""
    pairs = aggregated.lazy().unique().filter(pl.col(by).is_duplicated())
    return pairs.select(pl.col(by).unique().alias("key")).collect()


def _keyed_pairs(scope: Scope, *, by: str) -> Iterator[KeyedRows]:
    person, email = _pair(scope) or (None, None)
    if person is not None and email is not None:
        person_id, address = scope.text(person), _address(email, scope)
        shown = email if by == "person" else person
        yield KeyedRows(
            key=(person_id if by == "person" else address).hash(),
            where=person_id.is_not_null() & ~is_placeholder_address(address),
            column=shown.label,
            value=scope.text(shown),
        )


def _pair_findings(keyed_rows: pl.DataFrame, _scope: Scope) -> pl.DataFrame:
    return keyed_rows.select("row", "column", "value")


def _keyed_pair_findings(by: str) -> KeyedFindings:
    """Return the findings about people with several addresses, or addresses with several people."""
    return KeyedFindings(
        suspects=partial(_ambiguous, by=by),
        rows=partial(_keyed_pairs, by=by),
        judge=_pair_findings,
        evidence=_many_addresses if by == "person" else _many_people,
    )


def _many_addresses(count: int) -> str:
    return f"{many(count, 'person appears', 'people appear')} with two or more addresses."


def _many_people(count: int) -> str:
    return f"{many(count, 'address is', 'addresses are')} used by two or more IDs."


def _filled_attributes(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Return which attributes each person gets, if there are more columns than a person can have."""
    person = _person(scope)
    fields = [field for field in scope.mapping.fields if field.role == "body"]
    few = len(fields) <= LIMITS["attributes"].value
    if scope.mapping.call.name != "identify" or person is None or few:
        return None
    return rows.group_by(scope.text(person).alias("value")).agg(
        pl.col(ROW).min().alias("row"),
        *(pl.col(field.name).is_not_null().any() for field in fields),
    )


def _over_limit(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    person = _person(scope)
    filled = cs.boolean()
    attributes = aggregated.group_by("value").agg(pl.col("row").min(), filled.any())
    counts = attributes.select("row", "value", pl.sum_horizontal(filled).alias("count"))
    return counts.filter(pl.col("count") > LIMITS["attributes"].value).select(
        "row",
        pl.lit(person.label if person else None, pl.String).alias("column"),
        "value",
        pl.format("{} attributes in all.", "count").alias("evidence"),
    )


PEOPLE_CHECKS = (
    Check(
        "message.duplicate", "warn", TableTest(_messages, _duplicates, by="key"),
        source="reference 3.7 (messageId); reliability 1.5",
    ),
    Check(
        "message.conflict", "reject", TableTest(_identified, KeyedFindings(suspects=_conflicting_keys, rows=_keyed_contents, judge=_conflicts), by="key"),
        source="reference 3.7 (messageId); reliability 1.5 (I5)",
    ),
    Check("id.duplicate", "info", TableTest(_person_keys, _later_rows, by="key"), source="reference 3.2"),
    Check(
        "group.many-values", "info",
        TableTest(_object_values, KeyedFindings(suspects=_conflicting_objects, rows=_keyed_objects, judge=_object_conflicts), by="key"),
        source="reference 2.5, 3.5",
    ),
    Check(
        "person.many-emails", "warn", TableTest(_pairs, _keyed_pair_findings("person"), by="person"),
        source="reference 3.1, 3.2; reliability 3.3 (53)", effect="ignored",
    ),
    Check(
        "person.shared-email", "warn", TableTest(_pairs, _keyed_pair_findings("email"), by="email"),
        source="reference 3.2, 3.2a; reliability 3.3 (54)",
    ),
    Check(
        "person.too-many", "warn", TableTest(_filled_attributes, _over_limit, by="value"),
        source="TRACK customer limits; reference 6; reliability 3.8 (145)",
    ),
)  # fmt: skip


def _alias_fields(scope: Scope) -> tuple[FieldMapping, FieldMapping] | None:
    previous, kept = scope.mapping.find("previous_id"), scope.mapping.find("user_id")
    if previous is None or kept is None or not (has_text(previous.dtype) and has_text(kept.dtype)):
        return None
    return previous, kept


def _merges(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Return the merges: the row, the person that is merged away and the one that stays."""
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
    people = pl.concat([aggregated["from"], aggregated["into"]]).unique()
    nodes = dict(zip(people, graph.add_nodes_from(people.to_list()), strict=True))
    merges = aggregated.select("from", "into").rows()
    edges = [(nodes[previous], nodes[kept], 0) for previous, kept in merges]
    graph.add_edges_from(edges)
    cycles = {
        node: number
        for number, cycle in enumerate(rx.strongly_connected_components(graph))
        for node in cycle
    }
    return pl.Series(
        [cycles[previous] == cycles[kept] for previous, kept, _ in edges], dtype=pl.Boolean
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeFindings:
    """Findings about merges into a person who is merged into another one.

    Attributes:
        circular: Whether they are about merges that are part of a cycle, or about the others.
    """

    circular: bool

    def __call__(self, aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
        """Return the findings."""
        links = aggregated.join(aggregated, left_on="into", right_on="from", how="semi")
        is_circular = _in_cycles(links)
        return self.findings(links.filter(is_circular if self.circular else ~is_circular), scope)

    def findings(self, merges: pl.DataFrame, scope: Scope) -> pl.DataFrame:
        """Return the findings about the merges that failed the test."""
        return _merge_findings(merges, scope)


def _split_merges(aggregated: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the merges of people who are merged into several."""
    several = aggregated.select("from", "into").unique().filter(pl.col("from").is_duplicated())
    return _merge_findings(aggregated.join(several, on="from", how="semi"), scope)


def _merge_findings(merges: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    fields = _alias_fields(scope)
    column = pl.lit(fields[0].label if fields else None, pl.String)
    return merges.select("row", column=column, value=pl.format("{} → {}", "from", "into"))


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
        "alias.split", "warn", TableTest(_merges, _split_merges, by="from"), source="reference 3.4", effect="ignored",
    ),
)  # fmt: skip
