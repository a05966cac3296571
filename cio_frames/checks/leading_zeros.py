"""Leading zeros: what their loss looks like, and what proves it."""

import polars as pl

from cio_frames.checks.check import FOUND_SCHEMA, ByTable, Check, Scope, about, found, listed
from cio_frames.checks.id_formats import PROFILES
from cio_frames.checks.identifiers import PEOPLE, is_id, is_text, text
from cio_frames.frames import ROW
from cio_frames.mapping import FieldMapping

DIGITS = r"^\d+$"
MANY = 20


def _of_people(slot: FieldMapping) -> bool:
    return slot.argument in (*PEOPLE, "group_id")


def _zero_slots(scope: Scope) -> list[FieldMapping]:
    return [slot for slot in scope.mapping.slots if _of_people(slot) and _countable(slot)]


def _countable(slot: FieldMapping) -> bool:
    return is_text(slot) or slot.dtype.is_integer() or slot.dtype.is_float()


def _id_widths(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate how wide identifiers made of digits are, and whether zeros lead."""
    return _widths(rows, scope, slots=_zero_slots(scope))


def _data_widths(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate the same of data as text, such as postal codes."""
    return _widths(rows, scope, slots=_data_slots(scope))


def _data_slots(scope: Scope) -> list[FieldMapping]:
    return [
        slot
        for slot in scope.mapping.slots
        if slot.role == "body"
        and slot.dtype == pl.String
        and not slot.json
        and slot.how != "hashed"
    ]


def _widths(rows: pl.LazyFrame, scope: Scope, *, slots: list[FieldMapping]) -> pl.LazyFrame | None:
    queries = [
        rows.select(
            pl.lit(slot.label).alias("column"),
            text(slot, scope).alias("value"),
            pl.lit(value=is_text(slot)).alias("text"),
        )
        .filter(pl.col("value").str.contains(DIGITS))
        .group_by(
            "column", "text",
            pl.col("value").str.len_bytes().alias("width"),
            pl.col("value").str.starts_with("0").alias("zero"),
        )
        .agg(pl.len().alias("rows"), pl.col("value").min().alias("value"))
        for slot in slots
    ]  # fmt: skip
    return pl.concat(queries) if queries else None


def _histogram(widths: pl.DataFrame) -> str:
    counted = widths.group_by("width").agg(pl.col("rows").sum()).sort("width")
    return ", ".join(f"{rows:,} of {width}" for width, rows in counted.iter_rows())


def _mixed_zeros(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Find numbers narrower than the width at which others of the column keep their zeros."""
    results = [FOUND_SCHEMA.to_frame()]
    for (column,), widths in aggregated.filter("text").group_by("column"):
        padded = widths.filter("zero").group_by("width").agg(pl.col("rows").sum())
        if padded.height != 1:
            continue
        width = padded.item(0, "width")
        narrow = widths.filter(~pl.col("zero"), pl.col("width") < width)
        if narrow.height:
            evidence = f"Digits: {_histogram(widths)}; those of {width} keep their zeros."
            results.append(_narrow(rows, scope, column=str(column), width=width, evidence=evidence))
    return pl.concat(results)


def _narrow(
    rows: pl.LazyFrame, scope: Scope, *, column: str, width: int, evidence: str
) -> pl.DataFrame:
    slots = (*_zero_slots(scope), *_data_slots(scope))
    slot = next(slot for slot in slots if slot.label == column)
    values = text(slot, scope)
    narrow = values.str.contains(r"^[1-9]\d*$") & (values.str.len_bytes() < width)
    return found(rows, narrow, column=column, value=values, evidence=evidence)


def _risky_widths(aggregated: pl.DataFrame, _rows: pl.LazyFrame, _scope: Scope) -> pl.DataFrame:
    """Tell of columns of numbers that are not equally wide: text with zeros may have been cut."""
    results = []
    for (column,), widths in aggregated.filter(~pl.col("text")).group_by("column"):
        if widths["rows"].sum() >= MANY and widths["width"].n_unique() > 1:
            results.append(about(str(column), f"Digits: {_histogram(widths)}."))
    return listed(results)


def _beside(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate identifiers that another column, or the reference, has with zeros in front."""
    queries = [
        _padded_twin(rows, slot, scope, other)
        for slot in _zero_slots(scope)
        for other in scope.mapping.slots
        if other.dtype == pl.String and other.name != slot.name and other.column != slot.column
    ]
    queries += [
        _padded_known(rows, slot, scope, known)
        for slot in _zero_slots(scope)
        if (known := reference(slot, scope)) is not None
    ]
    return pl.concat(queries) if queries else None


def reference(slot: FieldMapping, scope: Scope) -> pl.Series | None:
    """Return what is known of the identifiers of a slot."""
    known = scope.reference.get(slot.label)
    return scope.reference.get(slot.argument or "") if known is None else known


def _padded_twin(
    rows: pl.LazyFrame, slot: FieldMapping, scope: Scope, other: FieldMapping
) -> pl.LazyFrame:
    values, twin = text(slot, scope), pl.col(other.name)
    padding = pl.when(twin.str.starts_with("0")).then(twin)  # empty cells cost no look
    bare = padding.str.strip_chars_start("0")
    padded = padding.str.contains(r"^0\d+$") & (bare == values) & (values != "")
    evidence = f"Column {other.label!r} of the same row has it with the zeros."
    return rows.filter(padded).select(
        pl.col(ROW).alias("row"),
        pl.lit(slot.label).alias("column"),
        values.alias("value"),
        pl.lit(evidence).alias("evidence"),
    )


def _padded_known(
    rows: pl.LazyFrame, slot: FieldMapping, scope: Scope, known: pl.Series
) -> pl.LazyFrame:
    padded = known.filter(known.str.contains(r"^0\d+$"))
    bare = padded.str.strip_chars_start("0").filter(padded.str.strip_chars_start("0") != "")
    values = text(slot, scope)
    lost = values.is_in(bare.implode()) & ~values.is_in(known.implode())
    return rows.filter(lost).select(
        pl.col(ROW).alias("row"),
        pl.lit(slot.label).alias("column"),
        values.alias("value"),
        pl.lit("The reference has it with the zeros.").alias("evidence"),
    )


def _unknown(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    queries = [
        rows.select(
            pl.col(ROW).alias("row"),
            pl.lit(slot.label).alias("column"),
            text(slot, scope).alias("value"),
        ).filter(~pl.col("value").is_in(known.implode()))
        for slot in scope.mapping.slots
        if is_id(slot) and (known := reference(slot, scope)) is not None
    ]
    return pl.concat(queries) if queries else None


ZERO_CHECKS = (
    Check(
        code="id.zeros-lost", severity="refuse", test=ByTable(aggregate=_beside),
        sentence="{column} has lost its leading zeros.",
        hint="Read the column again as text, e.g. with cio.scan or dtype=str.", summary=PROFILES,
        consequence="The number 7 is another person than 007.",
        source="reliability 3.3 (36)",
        no_repair_because="how many zeros there were is known only where the other value is; name that column instead",
    ),
    Check(
        code="id.zeros-mixed", severity="warn", test=ByTable(aggregate=_id_widths, finish=_mixed_zeros),
        sentence="{column} is shorter than others that keep their leading zeros.",
        hint="Check whether some of the exports have lost the zeros.", summary=PROFILES,
        consequence="The number 7 is another person than 007.",
        source="reliability 3.3 (36)",
        no_repair_because="whether the zeros belong there cannot be known",
    ),
    Check(
        code="value.zeros-mixed", severity="info",
        test=ByTable(aggregate=_data_widths, finish=_mixed_zeros),
        sentence="{column} is shorter than other values that keep their leading zeros.",
        hint="Check whether some of the exports have lost the zeros, as of postal codes.",
        summary="{values} in {rows}.",
        consequence="The value is sent as it is: 1394 is no postal code where 01394 is.",
        source="reliability 3.3 (36)",
        no_repair_because="whether the zeros belong there cannot be known",
    ),
    Check(
        code="id.zeros-risk", severity="info", test=ByTable(aggregate=_id_widths, finish=_risky_widths),
        sentence="{column} holds numbers of several widths; as text they may have had leading zeros.",
        hint='Pass checks=cio.Checks(reference={"{column}": ids_as_text}) to be sure.',
        consequence="If zeros are lost, 7 is another person than 007.",
        source="reliability 3.3 (36)",
        no_repair_because="numbers do not tell whether there were zeros",
    ),
    Check(
        code="id.unknown", severity="warn", test=ByTable(aggregate=_unknown),
        sentence="{column} is not in the reference.",
        hint="Check how the two differ; a new person is a good reason.",
        summary="{values}, for each of which a new profile would be made.",
        consequence="A new profile is made.",
        source="the reference you gave",
        no_repair_because="it may be new",
    ),
)  # fmt: skip
