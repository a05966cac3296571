"""An export of the people that a workspace has, as rows that the model starts from."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import polars as pl

from cio_frames.errors import MappingError
from cio_frames.values import as_text

TEXTS: Final = ("id", "email", "cio_id", "anonymous_id")
OTHERS: Final = ("anonymous_ids", "created_at", "attributes")
CONSENTS: Final = ("unsubscribed", "cio_subscription_preferences")
"""Attributes with the consent to mail; an export may have them as columns."""
_OWN: Final = {*TEXTS, *OTHERS, *CONSENTS}
"""The columns with a fixed meaning; all others are attributes, if they are wanted."""


def normalize_export(people: pl.DataFrame, *, attributes: bool = False) -> pl.DataFrame:
    """Return the relevant columns of an export under standard names, identifiers as text.

    Args:
        people: The export.
        attributes: Whether the other columns are kept, as attributes; times in Unix seconds, as
            Customer.io has them.

    Examples:
        >>> people = pl.DataFrame({"ID": [7], "Plan": ["pro"]})
        >>> normalize_export(people).to_dicts()
        [{'id': '7', 'email': None, 'cio_id': None, 'anonymous_ids': []}]
        >>> next(export_rows(normalize_export(people, attributes=True)))["attributes"]
        {'Plan': 'pro'}
    """
    names = {name.strip().lower(): name for name in reversed(people.columns)}
    if not {"id", "email", "cio_id"} & set(names):
        raise MappingError(
            "known= needs the people of the workspace, with at least one of the columns id, email "
            f"and cio_id. Columns: {', '.join(people.columns) or 'none'}."
        )
    texts = {
        name: _text(people, names[name]) if name in names else pl.lit(None, pl.String)
        for name in TEXTS
    }
    several = _several(people, names.get("anonymous_ids"))
    anonymous = pl.concat_list(several, texts.pop("anonymous_id")).list.drop_nulls()
    others = [pl.col(names[name]).alias(name) for name in (*OTHERS[1:], *CONSENTS) if name in names]
    if attributes:
        fixed = {names[name] for name in _OWN if name in names} | _OWN
        others += [_attribute(people, name) for name in people.columns if name not in fixed]
    return people.select(
        *(values.alias(name) for name, values in texts.items()),
        anonymous.list.unique(maintain_order=True).alias("anonymous_ids"),
        *others,
    )


def export_rows(exported: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of an export as the model loads them."""
    names = [name for name in exported.columns if name in CONSENTS or name not in _OWN]
    for row in exported.iter_rows(named=True):
        attributes = row.get("attributes")
        if isinstance(attributes, str):
            row["attributes"] = msgspec.json.decode(attributes)
        values = {
            name: _decoded(row[name]) if name in CONSENTS else row[name]
            for name in names
            if row[name] is not None
        }
        if values:
            row["attributes"] = values | (row.get("attributes") or {})
        yield row


def _decoded(value: Any) -> Any:
    """Return a value, decoded if it is a JSON object as text."""
    is_object = isinstance(value, str) and value.startswith("{")
    return msgspec.json.decode(value) if is_object else value


def _attribute(people: pl.DataFrame, name: str) -> pl.Expr:
    """Return an attribute of an export, a time in Unix seconds."""
    if people.schema[name] in (pl.Date, pl.Datetime):
        return pl.col(name).cast(pl.Datetime("us")).dt.epoch("s").alias(name)
    return pl.col(name)


def _text(people: pl.DataFrame, name: str) -> pl.Expr:
    text = as_text(pl.col(name), dtype=people.schema[name]).str.strip_chars()
    return pl.when(text != "").then(text)


def _several(people: pl.DataFrame, name: str | None) -> pl.Expr:
    if name is None or not isinstance(people.schema[name], pl.List):
        return pl.lit([], pl.List(pl.String))
    return pl.col(name).cast(pl.List(pl.String)).fill_null([])
