"""E-mail addresses: what is no address, and what is around one."""

import re

import polars as pl

from cio_frames.checks.check import ByValue, Check, Repair, Scope
from cio_frames.checks.identifiers import BLANK, EMAIL, EMAILS, blank, is_text, text
from cio_frames.mapping import FieldMapping, MessageMapping

WRAPPED = r"^(?:mailto:|<)|[>.,;]$|^[\"'].*[\"']$"
AROUND = r"^\s*(?:mailto:|[<\"'])|[>.,;]\s*$"
"""Found wherever something could be around an address that is stripped."""
SHELL = r"^(?:(?i)mailto:|[<\"'])+|[>.,;\"']+$"


def is_address(slot: FieldMapping) -> bool:
    """Tell whether a slot holds e-mail addresses as text."""
    return slot.path in EMAILS and is_text(slot)


def _placeholder(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    return _nobody(text(slot, scope)) if is_address(slot) else None


def _nobody(values: pl.Expr) -> pl.Expr:
    return blank(values) | values.str.strip_chars().str.to_lowercase().is_in(NOBODY)


NOBODY = (
    "none@none",
    "unknown",
    "noemail",
    "no email",
    "not given",
    "none@none.com",
    "no@email.com",
)
NOTHING = rf"{BLANK}|(?i)^\s*(?:{'|'.join(map(re.escape, NOBODY))})\s*$"


def _wrapped(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not is_address(slot):
        return None
    return _is_wrapped(text(slot, scope).str.strip_chars())


def _is_wrapped(values: pl.Expr) -> pl.Expr:
    return values.str.contains(WRAPPED) & _bare(values).str.contains(EMAIL)


def _bare(values: pl.Expr) -> pl.Expr:
    return values.str.replace_all(SHELL, "").str.strip_chars()


def _invalid(slot: FieldMapping, scope: Scope) -> pl.Expr | None:
    if not is_address(slot):
        return None
    values = text(slot, scope).str.strip_chars()
    return ~values.str.contains(EMAIL) & ~_nobody(values) & ~_is_wrapped(values)


def _is_other(values: pl.Expr) -> pl.Expr:
    return ~values.cast(pl.String).str.strip_chars().str.contains(EMAIL)


def _emptied(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    if not is_address(slot):
        return None
    values = slot.expr.cast(pl.String)
    return pl.when(~_nobody(values)).then(values)


def _unwrapped(slot: FieldMapping, _: MessageMapping) -> pl.Expr | None:
    if not is_address(slot):
        return None
    values = slot.expr.cast(pl.String)
    bare = _bare(values.str.strip_chars())
    wrapped = values.str.strip_chars().str.contains(WRAPPED) & bare.str.contains(EMAIL)
    return pl.when(wrapped).then(bare).otherwise(values)


EMAIL_CHECKS = (
    Check(
        code="email.placeholder", severity="reject", test=ByValue(fails=_placeholder, prefilter=NOTHING),
        sentence="{column} holds a word for nothing where the address should be.",
        hint='plan.fix("email.placeholder") makes these cells empty.',
        summary="{values} in {rows}.",
        consequence="The address identifies people: all of them would be one person, or fail to change.",
        source="reference 3.1, 3.2; reliability 3.2",
        repair=Repair(change=_emptied, safe=True, sentence="words for nothing in addresses become empty cells"),
    ),
    Check(
        code="email.wrapped", severity="reject", test=ByValue(fails=_wrapped, prefilter=AROUND),
        sentence="{column} holds an address with something around it, such as mailto: or <>.",
        hint='plan.fix("email.wrapped") takes it off.',
        summary="{values} in {rows}: each would break one profile.",
        consequence="It is no address: messages fail, and the person is not found by the address.",
        source="reference 6; reliability 3.3 (52)",
        repair=Repair(change=_unwrapped, safe=False, sentence="what is around addresses is taken off"),
    ),
    Check(
        code="email.invalid", severity="warn", test=ByValue(fails=_invalid, prefilter=_is_other),
        sentence="{column} is no e-mail address.",
        hint="Correct the address, or send the row without it.",
        summary="{values} in {rows}.",
        consequence="Messages to this person will fail.",
        source="reference 6",
        no_repair_because="which address was meant cannot be known",
    ),
)  # fmt: skip
