"""What programs do to identifiers on the way, and how it shows."""

import polars as pl

from cio_frames.checks.check import (
    FOUND_SCHEMA,
    ByTable,
    ByText,
    ByValue,
    Check,
    Repair,
    Scope,
    found,
)
from cio_frames.checks.identifiers import EMAIL, EMAILS, PEOPLE, blank, is_id, is_text, text
from cio_frames.checks.nested import UNUSUAL
from cio_frames.mapping import FieldMapping, MessageMapping

FLOAT_TEXT = r"^-?\d+\.0+$"
SCIENTIFIC = r"^-?\d(?:\.\d+)?[eE][+-]?\d{1,3}$"
REWRITTEN = r"^-?\d+[.eE]"
NEGATIVE = r"^-\d+$"
TRUTH = r"^(?i:true|false)$"
LATIN = r"[A-Za-z]"
OTHER_SCRIPT = r"[\p{Cyrillic}\p{Greek}\p{Armenian}\p{Cherokee}\x{FF21}-\x{FF5A}]"
OWNERS = ("user_id", "anonymous_id", "id")
MOST = 0.5


def _is_id_text(slot: FieldMapping) -> bool:
    return is_id(slot) and is_text(slot)


def _of_id(slot: FieldMapping, _: Scope) -> bool:
    return _is_id_text(slot)


def _negative(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not is_id(slot):
        return None
    if slot.dtype.is_signed_integer() or slot.dtype.is_float():
        return pl.col(slot.name) < 0
    return text(slot, scope).str.contains(NEGATIVE) if is_text(slot) else None


def _address_like(slot: FieldMapping, _: Scope) -> bool:
    return is_text(slot) and (is_id(slot) or slot.path in EMAILS)


def _two_scripts(values: pl.Expr) -> pl.Expr:
    return values.str.contains(LATIN) & values.str.contains(OTHER_SCRIPT)


def _named(slot: FieldMapping, _: Scope) -> bool:
    return slot.argument in PEOPLE and is_text(slot)


def _broken_address(values: pl.Expr) -> pl.Expr:
    return values.str.contains("@", literal=True) & ~values.str.strip_chars().str.contains(EMAIL)


def _swapped(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    pair = _pair(scope.mapping)
    if pair is None or slot.name != pair[0].name:
        return None
    return _crossed(*(text(part, scope) for part in pair))


def _crossed(person: pl.Expr, email: pl.Expr) -> pl.Expr:
    """Tell of each row whether the id is an address, and the address is none."""
    other = ~email.str.contains("@", literal=True) & ~blank(email)
    return person.str.strip_chars().str.contains(EMAIL) & other


def _pair(mapping: MessageMapping) -> tuple[FieldMapping, FieldMapping] | None:
    """Return the slots of the id and of the address, where they are two columns of text."""
    person = mapping.find("user_id") or mapping.find("id")
    email = next((slot for slot in mapping.slots if slot.path in EMAILS), None)
    if person is None or email is None or not (is_text(person) and is_text(email)):
        return None
    return None if person.column == email.column else (person, email)


def _swap(slot: FieldMapping, mapping: MessageMapping) -> pl.Expr | None:
    pair = _pair(mapping)
    if pair is None or slot.name not in (pair[0].name, pair[1].name):
        return None
    crossed = _crossed(*(part.expr.cast(pl.String) for part in pair)).fill_null(value=False)
    other = pair[1] if slot.name == pair[0].name else pair[0]
    return pl.when(crossed).then(other.expr.cast(pl.String)).otherwise(slot.expr.cast(pl.String))


def _without_point(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    if not _is_id_text(slot):
        return None
    values = slot.expr.cast(pl.String)
    return (
        pl.when(values.str.contains(FLOAT_TEXT))
        .then(values.str.replace(r"\.0+$", ""))
        .otherwise(values)
    )


def _addresses(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate how many ids read as addresses."""
    slots = [slot for slot in scope.mapping.slots if slot.argument in OWNERS and is_text(slot)]
    queries = [
        rows.select(
            pl.lit(slot.name).alias("slot"),
            text(slot, scope).count().alias("all"),
            text(slot, scope).str.contains(EMAIL).sum().alias("fits"),
        )
        for slot in slots
    ]
    return pl.concat(queries) if queries else None


def _exceptions(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the addresses of columns in which most ids are none."""
    results = [FOUND_SCHEMA.to_frame()]
    counted = aggregated.group_by("slot", maintain_order=True).agg(pl.all().sum())
    for name, count, fits in counted.rows():
        if 0 < fits < count * MOST:
            slot = next(slot for slot in scope.mapping.slots if slot.name == name)
            value, told = text(slot, scope), f"{fits:,} of {count:,} are, the others are not."
            results.append(
                found(
                    rows, value.str.contains(EMAIL), column=slot.label, value=value, evidence=told
                )
            )
    return pl.concat(results)


PROFILES = "{values} in {rows}: one profile too many for each."

FORENSIC_CHECKS = (
    Check(
        code="id.float-text", severity="reject", test=ByText(slots=_of_id, prefilter=REWRITTEN, fails=lambda v: v.str.contains(FLOAT_TEXT)),
        sentence="{column} holds whole numbers with a point: 123 became 123.0 on the way.",
        hint='plan.fix("id.float-text") cuts the point off.', summary=PROFILES,
        consequence="The id 123.0 is another person than 123.",
        source="reliability 3.3 (31): pandas and spreadsheets store whole numbers as decimals",
        repair=Repair(
            change=_without_point, safe=False, sentence="whole numbers lose their point and zeros"
        ),
    ),
    Check(
        code="id.scientific", severity="reject", test=ByText(slots=_of_id, prefilter=REWRITTEN, fails=lambda v: v.str.contains(SCIENTIFIC)),
        sentence="{column} is written as a power of ten, the way a spreadsheet shows long numbers.",
        hint="Export the column again as text.", summary=PROFILES,
        consequence="One such value stands for a thousand different ids; a profile would be made for it.",
        source="reliability 3.3 (33, 35)",
        no_repair_because="the digits that are not shown are lost",
    ),
    Check(
        code="id.truth-word", severity="reject", test=ByText(slots=_of_id, prefilter=TRUTH, fails=lambda v: v.str.contains(TRUTH)),
        sentence="{column} is true or false.",
        hint="Check whether the right column is named.", summary=PROFILES,
        consequence="Everyone with that value would be merged into one profile of that name.",
        source="reliability 3.3 (41)",
        no_repair_because="nothing in the value says who it is about",
    ),
    Check(
        code="id.negative", severity="warn", test=ByValue(fails=_negative, prefilter=NEGATIVE),
        sentence="{column} is below zero, as no counted identifier is.",
        hint="Check whether the number overflowed, or stands for nobody.", summary=PROFILES,
        consequence="A profile would be made for each.",
        source="reliability 3.3 (39)",
        no_repair_because="it may be meant",
    ),
    Check(
        code="id.two-scripts", severity="warn", test=ByText(slots=_address_like, prefilter=UNUSUAL, fails=_two_scripts),
        sentence="{column} mixes Latin letters with letters of another script that look like them.",
        hint="Compare it with the identifier it looks like.", summary=PROFILES,
        consequence="It looks like another person's identifier and is not.",
        source="reliability 3.3 (48); Unicode TR39",
        no_repair_because="which of the two was meant cannot be known",
    ),
    Check(
        code="id.broken-address", severity="warn", test=ByText(slots=_named, prefilter="@", fails=_broken_address),
        sentence="{column} holds an @ and is no e-mail address, so it counts as an id.",
        hint="Correct the address.", summary=PROFILES,
        consequence="A profile is made whose id looks like an address; mail never reaches it.",
        source="reference 3.1 (ACT resolver)",
        no_repair_because="which address was meant cannot be known",
    ),
    Check(
        code="id.swapped", severity="reject", test=ByValue(fails=_swapped, prefilter="@"),
        sentence="{column} is an e-mail address and the address is none: the two seem to be swapped.",
        hint='plan.fix("id.swapped") puts them back.',
        consequence="The person would be found by address, or made, and get the id as a broken address.",
        source="reliability 3.3 (50, 51)",
        repair=Repair(change=_swap, safe=False, sentence="id and address change places where they are swapped"),
    ),
    Check(
        code="id.some-addresses", severity="warn", test=ByTable(aggregate=_addresses, finish=_exceptions),
        sentence="{column} is an e-mail address in a column of ids.",
        hint="Name the column of addresses for these rows, or look up their ids.",
        consequence="Customer.io finds these people by address, not by id.",
        source="reference 3.1 (ACT resolver); reliability 3.3 (50)",
        no_repair_because="the id is not in the value",
    ),
)  # fmt: skip
