"""Names of traits, properties, events and forms: reserved, unusable, or similar to others."""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher
from functools import partial

import polars as pl

from cio_frames.checks.check import (
    FAILURE_SCHEMA,
    Check,
    ColumnTest,
    Repair,
    Scope,
    TableTest,
    by_call,
    by_column,
    failing_rows,
)
from cio_frames.checks.fields import STATE_CALLS
from cio_frames.frames import collect_streaming
from cio_frames.mapping import FieldMapping, MessageMapping, intended_trait
from cio_frames.spec import (
    FLAT_PREFIXES,
    FORM_RESERVED,
    LIMITS,
    OVERRIDE_PROPERTIES,
    RESERVED_PREFIXES,
    RESERVED_TRAITS,
    STRIPPED_TRAITS,
    ReservedName,
    folded,
)

ENVELOPE = (
    "type", "messageId", "userId", "anonymousId", "sentAt", "receivedAt", "originalTimestamp", "version",
)  # fmt: skip
PROBLEMATIC = re.compile(r"^[$\s]|\s$|[\x00-\x1f\x7f]|[.]{2}|^[.]|[.]$|[{}<>\"]")


def _too_long(field: FieldMapping, _: Scope) -> str | None:
    name = ".".join(field.path[1:])
    over = field.role == "body" and len(name.encode()) > LIMITS["name_bytes"].value
    return f"{len(name.encode())} bytes" if over else None


def _too_many(scope: Scope) -> str | None:
    count = sum(field.role == "body" for field in scope.mapping.fields)
    is_over = scope.mapping.call.name in STATE_CALLS and count > LIMITS["attributes"].value
    return f"{count} attributes" if is_over else None


def _first_key(field: FieldMapping) -> str | None:
    return field.path[1] if field.role == "body" and len(field.path) > 1 else None


def _reserved(field: FieldMapping, scope: Scope) -> str | None:
    row = RESERVED_TRAITS.get(_first_key(field) or "")
    owner = {"identify": "person", "group": "object"}.get(scope.mapping.call.name)
    if row is not None:
        return row.effect if not row.settable and row.of == owner else None
    key = _first_key(field) or ""
    has_prefix = owner == "person" and key.startswith(RESERVED_PREFIXES)
    if not has_prefix or key.startswith(FLAT_PREFIXES):
        return None
    return "It starts with a prefix that Customer.io reserves."


def _similar_to_reserved(field: FieldMapping, scope: Scope) -> str | None:
    """Return a sentence about the reserved trait that a name resembles, unless that is filled."""
    intended = _unfilled_trait(field, scope.mapping)
    if intended is None:
        return None
    effect = RESERVED_TRAITS[intended].effect
    return f'Customer.io only acts on "{intended}", which {effect[0].lower()}{effect[1:]}'


def _unfilled_trait(field: FieldMapping, mapping: MessageMapping) -> str | None:
    """Return the reserved trait that the name of a trait resembles, unless that is filled."""
    key = _first_key(field)
    if mapping.call.name != "identify" or key is None or len(field.path) > 2:  # noqa: PLR2004
        return None
    intended = intended_trait(key)
    if intended is None or key in {*RESERVED_TRAITS, *STRIPPED_TRAITS}:
        return None
    is_filled = any(other.path in _TRAIT_PATHS[intended] for other in mapping.fields)
    return None if is_filled else intended


def _renamed(field: FieldMapping, mapping: MessageMapping) -> tuple[str, ...] | None:
    """Return the path of the intended trait, for the first column that resembles it."""
    intended = _unfilled_trait(field, mapping)
    if intended is None:
        return None
    first = next(other for other in mapping.fields if _unfilled_trait(other, mapping) == intended)
    return ("traits", intended) if first.name == field.name else None


_TRAIT_PATHS = {
    name: (("traits", name), *((("traits", "createdAt"),) if name == "created_at" else ()))
    for name in RESERVED_TRAITS
}


def _envelope(field: FieldMapping, _: Scope) -> str | None:
    key = _first_key(field)
    return key if key in ENVELOPE and field.how != "constant" else None


def _problematic(field: FieldMapping, _: Scope) -> str | None:
    is_odd = field.role == "body" and any(
        PROBLEMATIC.search(part) or not part for part in field.path[1:]
    )
    return repr(field.label) if is_odd else None


def _by_reserved_name(
    reserved: Mapping[str, ReservedName], *, calls: Collection[str], settable: bool = False
) -> ColumnTest:
    """Return a test of columns whose names have a special effect in some calls."""

    def fails(field: FieldMapping, scope: Scope) -> str | None:
        row = reserved.get(_first_key(field) or "")
        if row is None or row.settable != settable or scope.mapping.call.name not in calls:
            return None
        return row.effect

    return by_column(fails)


def _suggested(field: FieldMapping, _: Scope) -> str | None:
    return field.reason if field.how == "proposed" and not field.rivals else None


def _rivalled(field: FieldMapping, _: Scope) -> str | None:
    return field.reason if field.rivals else None


def _unused(scope: Scope) -> str | None:
    return ", ".join(scope.mapping.unused) or None


NAME_CHECKS = (
    Check("form.ignored", "warn", _by_reserved_name(FORM_RESERVED, calls=("form",)), source="TRACK forms; reference 5, C29"),
    Check("name.too-long", "refuse", by_column(_too_long), source="TRACK customer limits; reference 6"),
    Check("name.too-many", "warn", by_call(_too_many), source="TRACK customer limits; reference 6"),
    Check("name.reserved", "warn", by_column(_reserved), source="reference 6 (reserved attributes)"),
    Check(
        "name.nearly", "warn", by_column(_similar_to_reserved),
        source="reference 6 (attribute names are case-sensitive; reserved attributes)",
        repair=Repair(new_path=_renamed, safe=False),
    ),
    Check("name.stripped", "warn", _by_reserved_name(STRIPPED_TRAITS, calls=STATE_CALLS), source="reference 3.5, 6 (ACT)"),
    Check("name.envelope", "info", by_column(_envelope), source="reference 2 (common envelope); reliability 3.8 (146)"),
    Check("name.odd", "info", by_column(_problematic), source="reliability 3.8 (142)"),
    Check("property.override", "warn", _by_reserved_name(OVERRIDE_PROPERTIES, calls=("track",), settable=True), source="TRACK event properties; reference 6"),
    Check("mapping.rivals", "warn", by_column(_rivalled), source="cio.suggest"),
    Check("mapping.proposed", "info", by_column(_suggested), source="cio.suggest"),
    Check("mapping.unused", "info", by_call(_unused), source="the mapping"),
)  # fmt: skip


RARE_SHARE = 0.05
LISTED, COMPARED = 2_000, 200
MIN_SIMILARITY = 0.85
MIN_LETTERS = 5


def _count_names(rows: pl.LazyFrame, scope: Scope, *, argument: str) -> pl.LazyFrame | None:
    field = scope.mapping.find(argument)
    if field is None or field.column is None:
        return None
    return rows.group_by(scope.text(field).alias("name")).agg(pl.len().alias("rows")).drop_nulls()


def _most_frequent(aggregated: pl.DataFrame) -> pl.DataFrame:
    """Return the most frequent names, and how many rows have each."""
    counted = aggregated.group_by("name").agg(pl.col("rows").sum())
    return counted.sort("rows", "name", descending=[True, False]).head(LISTED)


def _similar_names(
    aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope, *, argument: str
) -> pl.DataFrame:
    field = scope.mapping.find(argument)
    frequent_names = dict(_similar_pairs(dict(_most_frequent(aggregated).rows())))
    if field is None or not frequent_names:
        return FAILURE_SCHEMA.to_frame()
    value = scope.text(field)
    findings = failing_rows(
        rows, value.is_in(list(frequent_names)), column=field.label, value=value
    )
    usual = pl.col("value").replace_strict(frequent_names, return_dtype=pl.String)
    return collect_streaming(findings).with_columns(
        evidence=pl.format('Most rows have "{}".', usual)
    )


def _similar_pairs(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield each name that is similar to a more frequent one, with the more frequent one."""
    frequent_names: dict[str, str] = {}
    for name in counts:
        frequent_name = frequent_names.setdefault(folded(name), name)
        if frequent_name != name:
            yield name, frequent_name
    names = list(frequent_names.values())[:COMPARED]
    for place, name in enumerate(names):
        for other in names[:place]:
            if counts[name] <= counts[other] * RARE_SHARE and _is_typo(name, other):
                yield name, other
                break


def _is_typo(name: str, other: str) -> bool:
    """Return whether two names are similar and differ in more than digits."""
    names = folded(name), folded(other)
    shorter, longer = sorted(map(len, names))
    if shorter < MIN_LETTERS or longer - shorter > 1:
        return False
    first, second = ("".join(c for c in text if not c.isdigit()) for text in names)
    return first != second and SequenceMatcher(None, *names).ratio() >= MIN_SIMILARITY


def _similar_columns(scope: Scope) -> str | None:
    """Return the columns whose names differ only in case, white space or punctuation."""
    groups: dict[str, list[str]] = {}
    for field in scope.mapping.fields:
        if field.role == "body":
            name = ".".join(field.path[1:])
            groups.setdefault(folded(name) or name, []).append(name)
    similar = [
        " and ".join(f'"{name}"' for name in names)
        for names in groups.values()
        if len(set(names)) > 1
    ]
    return "; ".join(similar) or None


_event_names = partial(_count_names, argument="event")
_form_ids = partial(_count_names, argument="form_id")

SIMILAR_NAME_CHECKS = (
    Check(
        "event.variants", "warn", TableTest(_event_names, partial(_similar_names, argument="event"), by="name", condense=_most_frequent),
        source="reference 6 (event names); reliability 3.6 (114)",
    ),
    Check(
        "form.typo", "warn", TableTest(_form_ids, partial(_similar_names, argument="form_id"), by="name", condense=_most_frequent),
        source="TRACK forms; reference 5",
    ),
    Check(
        "name.variants", "warn", by_call(_similar_columns),
        source="reference 6 (attribute names are case-sensitive); reliability 3.8 (143)",
    ),
)  # fmt: skip
