"""The sandbox's web page: what is in the workspace, and what was dropped and why."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
import polars.selectors as cs
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cio_frames.sandbox.store import Store
from cio_frames.sandbox.tables import JSON
from cio_frames.spreadsheet import csv

SHOWN_ROWS: Final = 200
SHOWN_CHARACTERS: Final = 300
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Whatever is in the data, the page runs and loads nothing and cannot be framed. It posts to itself only, which needs an Origin."""

_TEMPLATE: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
).get_template("page.html")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table of the page.

    Attributes:
        name: Its anchor.
        about: What its rows are, in a sentence.
        rows: The latest rows that match, as text, newest first.
        matching: How many rows contain the searched text.
        total: How many rows there are.
        is_cut: Whether a value is too long to be shown whole.
    """

    name: str
    title: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    matching: int
    total: int
    is_cut: bool


_TABLES: Final = (
    ("people", "People", "Profiles (anonymous visitors are not counted)",
     ("id", "email", "cio_id", "anonymous_ids", "attributes")),
    ("events", "Events", "Who each event belongs to, or why it belongs to no one",
     ("type", "name", "id", "email", "anonymous_id", "timestamp", "attribution", "properties")),
    ("objects", "Objects", "Created by group calls",
     ("object_type_id", "object_id", "attributes")),
    ("relationships", "Relationships", "Which person is related to which object",
     ("object_type_id", "object_id", "id", "email", "anonymous_id", "attributes")),
    ("forms", "Forms", "A form appears with its first submission",
     ("form_id", "submissions", "refused", "mapping")),
    ("merges", "Merges", "Profiles that were permanently merged",
     ("kept_key", "removed_keys", "why", "events_moved", "events_later", "events_lost", "open")),
    ("dropped", "Dropped", "Messages that were discarded, with the reason; the sender may have received a 200",
     ("type", "status", "reason", "detail", "message_id")),
    ("failures", "Ignored by Customer.io", "Accepted messages that had no effect, with the reason",
     ("kind", "rule", "reason")),
    ("requests", "Requests", "Every request and its answer",
     ("number", "at", "method", "path", "status", "strict", "items", "dropped", "bytes")),
)  # fmt: skip


_COLUMNS: Final = {name: columns for name, _, _, columns in _TABLES}


def render(store: Store, *, search: str = "") -> str:
    """Return the page of a workspace as it is now, with the rows that contain a text."""
    sections = [
        _section(_frame(store, name), name=name, title=title, about=about, search=search)
        for name, title, about, _ in _TABLES
        if name in _shown(store)
    ]
    return _TEMPLATE.render(sections=sections, counts=store.counts(), search=search)


def download(store: Store, name: str, *, search: str = "") -> str | None:
    """Return the rows of a table that contain a text, newest first, or None if there is no such file."""
    table, _, kind = name.rpartition(".")
    if table not in _shown(store) or kind not in _WRITERS:
        return None
    return _WRITERS[kind](_matching(_frame(store, table), search).reverse())


def _shown(store: Store) -> tuple[str, ...]:
    return ("requests",) if store.keeps_counts_only else tuple(_COLUMNS)


def _frame(store: Store, name: str) -> pl.DataFrame:
    if name == "dropped":
        frame = store.messages().filter(pl.col("reason").is_not_null())
    else:
        frame = store.requests() if name == "requests" else store.view(name)
    return frame.select(_COLUMNS[name])


def _section(frame: pl.DataFrame, *, name: str, title: str, about: str, search: str) -> Section:
    matching = _matching(frame, search)
    texts = _texts(matching.tail(SHOWN_ROWS).reverse())
    is_long = pl.all().str.len_chars() > SHOWN_CHARACTERS
    shown = texts.with_columns(
        pl.when(is_long).then(pl.all().str.head(SHOWN_CHARACTERS) + "…").otherwise(pl.all())
    )
    return Section(
        name=name,
        title=title,
        about=about,
        columns=_COLUMNS[name],
        rows=tuple(shown.iter_rows()),
        matching=matching.height,
        total=frame.height,
        is_cut=not shown.equals(texts),
    )


def _matching(frame: pl.DataFrame, search: str) -> pl.DataFrame:
    """Return the rows with a cell that, as the page shows it, contains a text; case is ignored."""
    if not search:
        return frame
    contains = pl.all().str.to_lowercase().str.contains(search.lower(), literal=True)
    return frame.filter(_texts(frame).select(pl.any_horizontal(contains)).to_series())


def _texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the cells as text."""
    times = cs.datetime().dt.strftime("%Y-%m-%d %H:%M:%S%.3f UTC")
    texts = frame.with_columns(times, cs.list().list.join(", "))
    return texts.select(pl.all().cast(pl.String).fill_null(""))


def _json(rows: pl.DataFrame) -> str:
    """Return rows as a JSON array of objects; cells that hold JSON are nested in it."""
    nested = [name for name in rows.columns if name in JSON]
    objects = (
        row | {name: msgspec.Raw(row[name]) for name in nested}
        for row in rows.iter_rows(named=True)
    )
    return msgspec.json.encode(list(objects)).decode()


_WRITERS: Final[dict[str, Callable[[pl.DataFrame], str]]] = {"csv": csv, "json": _json}
