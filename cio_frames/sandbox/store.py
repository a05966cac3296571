"""What arrived, and the workspace it made: appended by the server, read as frames."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import polars as pl

from cio_frames.errors import SandboxError
from cio_frames.identity import Change, Model
from cio_frames.identity.known_people import rows as export_rows
from cio_frames.identity.model import gc_paused
from cio_frames.sandbox import tables
from cio_frames.sandbox.shapes import Message

Keep = Literal["all", "counts"]
COUNTS = ("requests", "messages", "accepted", "dropped")


class Arrival(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request, without its content."""

    number: int
    at: datetime
    method: str
    path: str
    status: int
    strict: bool
    bytes: int
    wire_bytes: int
    items: int
    dropped: int
    retries: int
    elapsed_ms: float
    fault: str | None = None


class Store:
    """The log of arrivals and the model it feeds.

    Arriving only appends. Messages are applied to the model when somebody asks, in the order and
    with the time of their arrival, so that a question sees all that was answered before it. Form
    submissions are applied at once: their answer depends on the form.

    Args:
        model: Makes an empty model.
        keep: `counts` forgets the messages, for measuring a sender.
    """

    def __init__(self, model: Callable[[], Model], *, keep: Keep = "all") -> None:
        self._make_model = model
        self._keep = keep
        self._log_lock = threading.Lock()
        self._model_lock = threading.RLock()  # taken before the lock of the log, never after
        self.clear()

    @property
    def keeps_counts_only(self) -> bool:
        """Whether messages are counted and forgotten."""
        return self._keep == "counts"

    def clear(self) -> None:
        """Forget everything and count requests from one again."""
        with self._model_lock, self._log_lock:
            self._model = self._make_model()
            self._views: dict[str, pl.DataFrame] = {}
            self._applied = 0
            self._numbers = 0
            self._counts: Counter[str] = Counter()
            self._requests: list[Arrival] = []
            self._arrivals: list[tuple[Arrival, Sequence[Message]]] = []

    def number(self) -> int:
        """Return the number of a request that begins."""
        with self._log_lock:
            self._numbers += 1
            return self._numbers

    def add(self, arrival: Arrival, messages: Sequence[Message]) -> None:
        """Log a request and what it brought."""
        counts = {
            "requests": 1,
            "messages": arrival.items,
            "accepted": arrival.items - arrival.dropped,
            "dropped": arrival.dropped,
        }
        with self._log_lock:
            self._counts.update(counts)
            self._requests.append(arrival)
            if self._keep == "all" and messages:
                self._arrivals.append((arrival, messages))

    def submit(self, message: Mapping[str, Any], *, at: datetime) -> tuple[Change, ...]:
        """Apply a form submission now."""
        with self._model_lock:
            model = self._current()
            self._views.clear()
            return model.apply(message, received_at=at)

    def load(self, people: pl.DataFrame) -> None:
        """Start from people who are there before.

        Raises:
            SandboxError: Messages have arrived already.
        """
        if self.counts()["messages"]:
            raise SandboxError(
                "People must be loaded before the first message: reset() the sandbox first, or create "
                "another one."
            )
        with self._model_lock:
            self._views.clear()
            self._model.load(export_rows(people))

    def map_form(self, form_id: str, mapping: Mapping[str, str]) -> None:
        """Let the fields of a form that exists feed other attributes.

        Raises:
            SandboxError: The form does not exist yet.
        """
        with self._model_lock:
            model = self._current()
            known = [form["form_id"] for form in model.forms()]
            if form_id not in known:
                raise SandboxError(
                    f"There is no form {form_id!r} to map. A form appears with its first "
                    f"submission; forms so far: {', '.join(map(repr, known)) or 'none'}."
                )
            self._views.clear()
            model.map_form(form_id, mapping)

    def counts(self) -> dict[str, int]:
        """Return how many requests and messages came, and what became of the messages."""
        with self._log_lock:
            return {name: self._counts[name] for name in COUNTS}

    def requests(self) -> pl.DataFrame:
        """Return one row for each request."""
        with self._log_lock:
            rows = list(self._requests)
        return tables.requests(rows)

    def messages(self) -> pl.DataFrame:
        """Return one row for each message that came."""
        self._check_kept("messages")
        with self._log_lock:
            arrivals = list(self._arrivals)
        return tables.messages(arrivals)

    def view(self, name: str) -> pl.DataFrame:
        """Return one of the tables of the workspace."""
        if name != "forms":
            self._check_kept(name)
        with self._model_lock, gc_paused():
            model = self._current()
            if name not in self._views:
                self._views[name] = _view(model, name)
            return self._views[name]

    def _current(self) -> Model:
        """Return the model after everything that has arrived; the caller holds its lock."""
        with self._log_lock:
            fresh = self._arrivals[self._applied :]
            self._applied = len(self._arrivals)
        if fresh:
            self._views.clear()
        for arrival, messages in fresh:
            for message in messages:
                if message.reason is None and message.form is None:
                    self._model.apply(_decoded(message), received_at=arrival.at)
        return self._model

    def _check_kept(self, name: str) -> None:
        if self._keep == "counts":
            raise SandboxError(
                f"This sandbox keeps counts only, so it has no {name}. Use `sandbox.counts`, or "
                'make one with keep="all".'
            )


def _view(model: Model, name: str) -> pl.DataFrame:
    rows = getattr(model, name)()
    if name == "people":
        return tables.people(rows)
    if name in ("events", "relationships"):
        return tables.named(name, rows, people=tables.people(model.people()))
    return tables.frame(name, rows)


def _decoded(message: Message) -> dict[str, Any]:
    """Return the JSON object; the call is in its path where it has no `type`."""
    try:
        decoded = msgspec.json.decode(message.text)
    except msgspec.DecodeError:  # a number too large for a float: it is read as infinite
        decoded = json.loads(bytes(message.text))
    decoded["type"] = message.call
    return dict(decoded)
