"""The sandbox's web page: what is in the workspace, and what was dropped and why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cio_frames.sandbox.store import Store

SHOWN_ROWS: Final = 200
SHOWN_CHARACTERS: Final = 300
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Nothing may run, load or frame this page, whatever is in the data."""

_TEMPLATE: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
).get_template("page.html")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table of the page.

    Attributes:
        name: Its anchor.
        title: Its title.
        about: What its rows are, in a sentence.
        columns: The columns that are shown.
        rows: The last rows as text, newest first.
        total: How many rows there are.
    """

    name: str
    title: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int


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


def render(store: Store) -> str:
    """Return the page of a workspace, as it is now.

    Args:
        store: What arrived, and what became of it.
    """
    shown = ("requests",) if store.keeps_counts_only else tuple(row[0] for row in _TABLES)
    sections = [
        _section(_frame(store, name), name=name, title=title, about=about, columns=columns)
        for name, title, about, columns in _TABLES
        if name in shown
    ]
    return _TEMPLATE.render(sections=sections, counts=store.counts())


def _frame(store: Store, name: str) -> pl.DataFrame:
    if name == "dropped":
        return store.messages().filter(pl.col("reason").is_not_null())
    return store.requests() if name == "requests" else store.view(name)


def _section(
    frame: pl.DataFrame, *, name: str, title: str, about: str, columns: tuple[str, ...]
) -> Section:
    last = frame.select(columns).tail(SHOWN_ROWS).reverse()
    return Section(
        name=name,
        title=title,
        about=about,
        columns=columns,
        rows=tuple(tuple(map(_text, row)) for row in last.iter_rows()),
        total=frame.height,
    )


def _text(value: object) -> str:
    """Return a value as one cell shows it."""
    if value is None:
        return ""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
