"""The log of what arrived, and the workspace made of it: the server appends, frames are read."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec
import polars as pl

from cio_frames.errors import SandboxError
from cio_frames.identity import Change, Model
from cio_frames.identity.known_people import export_rows
from cio_frames.identity.model import gc_paused
from cio_frames.sandbox import outcome, tables
from cio_frames.sandbox.outcome import Outcome
from cio_frames.sandbox.schemas import Message

Keep = Literal["all", "counts"]
Result = TypeVar("Result")
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
    """The log of requests, and the model that their messages are applied to.

    A request is only appended. Its messages are applied to the model when the workspace is read, in
    the order and with the time of their arrival, so that a reader sees every request that was
    answered before. Form submissions are applied at once: their answer depends on the form.

    With `keep="counts"` it keeps no messages, for measuring a sender.
    """

    def __init__(self, model: Callable[[], Model], *, keep: Keep = "all") -> None:
        self._make_model = model
        self._keep = keep
        self._log_lock = threading.Lock()
        self._model_lock = threading.RLock()  # taken before the lock of the log, never after
        self.clear()

    @property
    def keeps_counts_only(self) -> bool:
        """Whether messages are only counted."""
        return self._keep == "counts"

    def clear(self) -> None:
        """Forget everything and count requests from one again."""
        with self._model_lock, self._log_lock:
            self._model: Model | None = self._make_model()  # None after `outcome` has consumed it
            self._loaded: list[pl.DataFrame] = []
            self._is_touched = False  # whether the model has more than the loaded people
            self._views: dict[str, pl.DataFrame] = {}
            self._applied = 0
            self._numbers = 0
            self._counts: Counter[str] = Counter()
            self._requests: list[Arrival] = []
            self._arrivals: list[tuple[Arrival, Sequence[Message]]] = []

    def number(self) -> int:
        """Return the number of a new request."""
        with self._log_lock:
            self._numbers += 1
            return self._numbers

    def add(self, arrival: Arrival, messages: Sequence[Message]) -> None:
        """Log a request and its messages."""
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
            self._is_touched = True
            return model.apply(message, received_at=at)

    def load(self, people: pl.DataFrame) -> None:
        """Load people who exist before the first message.

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
            if self._model is not None:
                self._model.load(export_rows(people))
            self._loaded.append(people)

    def map_form(self, form_id: str, mapping: Mapping[str, str]) -> None:
        """Let the fields of a form that exists feed other attributes.

        Raises:
            SandboxError: The form does not exist yet.
        """
        with self._model_lock:
            model = self._current()
            form_ids = [form["form_id"] for form in model.forms()]
            if form_id not in form_ids:
                raise SandboxError(
                    f"There is no form {form_id!r} to map. A form appears with its first "
                    f"submission; forms so far: {', '.join(map(repr, form_ids)) or 'none'}."
                )
            self._views.clear()
            self._is_touched = True
            model.map_form(form_id, mapping)

    def counts(self) -> dict[str, int]:
        """Return the numbers of requests and of messages received, accepted and dropped."""
        with self._log_lock:
            return {name: self._counts[name] for name in COUNTS}

    def requests(self) -> pl.DataFrame:
        """Return one row for each request."""
        with self._log_lock:
            rows = list(self._requests)
        return tables.requests(rows)

    def messages(self) -> pl.DataFrame:
        """Return one row for each message received."""
        self._require_messages("messages")
        with self._log_lock:
            arrivals = list(self._arrivals)
        return tables.messages(arrivals)

    def view(self, name: str) -> pl.DataFrame:
        """Return one of the tables of the workspace."""
        if name != "forms":
            self._require_messages(name)
        with self._model_lock, gc_paused():
            model = self._current()
            if name not in self._views:
                self._views[name] = _view(model, name)
            return self._views[name]

    def query(self, read: Callable[[Model], Result]) -> Result:
        """Return what `read` finds in the model after all messages received so far."""
        self._require_messages("people")
        with self._model_lock, gc_paused():
            return read(self._current())

    def outcome(self) -> Outcome:
        """Return the people, events and objects, without attributes.

        Of many messages the model applies only the dependent ones, if there were no faults and it
        has applied no message yet.
        """
        self._require_messages("outcome")
        with self._model_lock, gc_paused():
            with self._log_lock:
                has_faults = any(request.fault for request in self._requests)
                arrived = _accepted(self._arrivals)
            if self._is_touched or has_faults:
                return outcome.of_model(self._current())
            model = self._model or self._loaded_model()
            self._model = None if arrived else model
            return outcome.of_messages(model, arrived, apply=_apply)

    def people_of(self, message_ids: Collection[str]) -> pl.DataFrame:
        """Return the people that some of the accepted messages create by themselves."""
        self._require_messages("people")
        with self._log_lock:
            arrived = _accepted(self._arrivals)
        model = self._make_model()
        for message, at in arrived:
            if message.message_id in message_ids:
                _apply(model, message, at)
        return tables.people(model.people())

    def _current(self) -> Model:
        """Return the model after all messages received so far; the caller holds its lock."""
        with self._log_lock:
            new = _accepted(self._arrivals[self._applied :])
            self._applied = len(self._arrivals)
        self._model = model = self._model or self._loaded_model()
        if new:
            self._views.clear()
            self._is_touched = True
        for message, at in new:
            _apply(model, message, at)
        return model

    def _loaded_model(self) -> Model:
        """Return a model with the loaded people."""
        model = self._make_model()
        for people in self._loaded:
            model.load(export_rows(people))
        return model

    def _require_messages(self, name: str) -> None:
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
        return tables.with_identifiers(name, rows, people=tables.people(model.people()))
    return tables.frame(name, rows)


def _accepted(
    arrivals: Sequence[tuple[Arrival, Sequence[Message]]],
) -> list[tuple[Message, datetime]]:
    """Return the messages to apply, and when each arrived; forms were applied on arrival."""
    return [
        (message, arrival.at)
        for arrival, messages in arrivals
        for message in messages
        if message.reason is None and message.form is None
    ]


def _apply(model: Model, message: Message, at: datetime) -> None:
    model.apply(_decoded(message), received_at=at)


def _decoded(message: Message) -> dict[str, Any]:
    """Return the JSON object; without a `type`, the call is in the path."""
    try:
        decoded = msgspec.json.decode(message.text)
    except msgspec.DecodeError:  # a number too large for a float: it is read as infinite
        decoded = json.loads(bytes(message.text))
    decoded["type"] = message.call
    return dict(decoded)
