"""What the App API answers: people, their attributes and activities, and exports of them."""

import base64
import binascii
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from secrets import token_hex
from typing import Any, Final

import msgspec
import polars as pl

from cio_frames.errors import SandboxError
from cio_frames.identity import Model
from cio_frames.identity.identifiers import IdentifierKind
from cio_frames.identity.state import Event, Person
from cio_frames.sandbox.filters import FilterError, Means, compiled, text
from cio_frames.sandbox.intake import Answer
from cio_frames.sandbox.store import Store
from cio_frames.spec import ACTIVITY_TYPES, LIMITS

FILE_PATH: Final = "/exports/{token}.csv"
DAY_S: Final = 86_400
_ACTIVITY_TYPES: Final = {**ACTIVITY_TYPES, "form": "event"}  # assumed: a submission is an event
_SEARCHED: Final = 50
_LISTED: Final = 10
_SECOND_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRules:
    """What is not documented, or is somebody's choice.

    Attributes:
        rate: How many requests a second are answered; None for all.
        export_s: How long an export takes.
        link_s: How long the link to a file can be used.
        link_needs_key: Whether a link can be used with the key only.
    """

    rate: float | None = float(LIMITS["app_requests_per_s"].value)
    export_s: float = 0.0
    link_s: float = LIMITS["download_minutes"].value * 60.0
    link_needs_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request: who and what it asks for.

    Attributes:
        parameters: The parameters in its path.
        query: The other ones.
        body: Its body.
        host: The host that it names, which links lead to.
        known: Whether it has the key.
    """

    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    host: str
    known: bool


@dataclass(slots=True, kw_only=True)
class Export:
    """An export: the people as they were when it was started."""

    id: int
    people: pl.DataFrame
    started: datetime
    description: str
    downloads: int = 0
    links: dict[str, datetime] = field(default_factory=dict)  # when each was given out


class _RefusedError(Exception):
    """The request cannot be answered; with the status and the words of the answer."""

    def __init__(self, status: int, words: str) -> None:
        self.status = status
        super().__init__(words)


class AppApi:
    """Answers the requests of the App API.

    Args:
        store: What the workspace holds.
        rules: What is not documented.
        clock: Tells the time.
        monotonic: Tells seconds, for the limit of requests.
    """

    def __init__(
        self,
        store: Store,
        rules: AppRules,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._monotonic = monotonic
        self._moments: deque[float] = deque()  # of the last requests, a second's worth
        self._operations: Mapping[str, Callable[[Asked], Mapping[str, Any]]] = {
            "exportPeopleData": self._start,
            "listExports": self._exports,
            "getExport": self._export,
            "downloadExport": self._link,
            "getPeopleEmail": self._by_email,
            "getPeopleFilter": self._search,
            "getPeopleById": self._several,
            "getPersonAttributes": self._one,
            "getPersonActivities": self._of_person,
            "listActivities": self._of_all,
        }
        self.clear()

    def clear(self) -> None:
        """Forget the exports."""
        self._made: dict[int, Export] = {}

    def answer(self, operation: str, asked: Asked) -> Answer:
        """Answer one of `OPERATIONS`."""
        if self._is_too_fast():
            return _refusal(429, "too many requests: your request is over the limit")
        if not asked.known:
            return _refusal(401, "the App API key is unknown")
        try:
            return Answer(status=200, content=self._operations[operation](asked))
        except _RefusedError as error:
            return _refusal(error.status, str(error))
        except FilterError as error:
            return _refusal(400, str(error))
        except SandboxError as error:  # what is asked for was not kept
            return _refusal(HTTPStatus.NOT_IMPLEMENTED, str(error))

    def file(self, token: str, *, known: bool) -> Answer:
        """Answer a request for the file of an export."""
        found = [export for export in self._made.values() if token in export.links]
        if self._rules.link_needs_key and not known:
            return _refusal(401, "the App API key is unknown")
        if not found:
            return _refusal(404, "there is no such file")
        (export,) = found
        if (self._clock() - export.links[token]).total_seconds() > self._rules.link_s:
            return _refusal(403, "the link has expired")
        export.downloads += 1
        return Answer(status=200, file=export.people.write_csv().encode())

    def _is_too_fast(self) -> bool:
        rate, now = self._rules.rate, self._monotonic()
        if rate is None:
            return False
        while self._moments and now - self._moments[0] >= _SECOND_S:
            self._moments.popleft()
        if len(self._moments) >= rate:
            return True
        self._moments.append(now)
        return False

    def _start(self, asked: Asked) -> Mapping[str, Any]:
        body = _object(asked.body)
        names = body.get("attributes", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise _RefusedError(400, "attributes is a list of names")
        if "filters" not in body:
            raise _RefusedError(400, "filters is required")
        means = compiled(body["filters"])
        people = self._store.ask(lambda model: _table(model, means, names))
        export = Export(
            id=len(self._made) + 1,
            people=people,
            started=self._clock(),
            description=f"Customers with {text(body['filters'])}",
        )
        self._made[export.id] = export
        return {"export": self._told(export)}

    def _exports(self, _: Asked) -> Mapping[str, Any]:
        return {"exports": [self._told(export) for export in self._made.values()]}

    def _export(self, asked: Asked) -> Mapping[str, Any]:
        return {"export": self._told(self._found(asked))}

    def _link(self, asked: Asked) -> Mapping[str, Any]:
        export, token = self._found(asked), token_hex(16)
        if not self._is_done(export):
            raise _RefusedError(404, "the export is not ready")
        export.links[token] = self._clock()
        return {"url": f"http://{asked.host}{FILE_PATH.format(token=token)}"}

    def _found(self, asked: Asked) -> Export:
        number = asked.parameters["export_id"]
        export = self._made.get(int(number)) if number.isascii() and number.isdigit() else None
        if export is None:
            raise _RefusedError(404, "the export does not exist")
        return export

    def _is_done(self, export: Export) -> bool:
        return (self._clock() - export.started).total_seconds() >= self._rules.export_s

    def _told(self, export: Export) -> dict[str, Any]:
        is_done, started = self._is_done(export), int(export.started.timestamp())
        return {
            "id": export.id,
            "user_id": 0,
            "user_email": "",
            "total": export.people.height if is_done else 0,
            "deduplicate_id": f"{export.id}:{started}",
            "type": "customers",
            "failed": False,
            "status": "done" if is_done else "pending",
            "description": export.description,
            "downloads": export.downloads,
            "created_at": started,
            "updated_at": started,
        }

    def _by_email(self, asked: Asked) -> Mapping[str, Any]:
        email = asked.query.get("email")
        if not email:
            raise _RefusedError(400, "email is required")
        person = self._store.ask(lambda model: model.store.people.find("email", email))
        return {"results": [] if person is None else [_identifiers(person)]}

    def _search(self, asked: Asked) -> Mapping[str, Any]:
        means = compiled(_object(asked.body).get("filter"))
        start, limit = _page(asked, usual=_SEARCHED, most=LIMITS["app_search_page"].value)
        found = self._store.ask(
            lambda model: [
                _identifiers(person)
                for person in model.store.people.by_cio.values()
                if means(_texts(person))
            ]
        )
        page = found[start : start + limit]
        return {
            "identifiers": page,
            "ids": [person["id"] or "" for person in page],
            "next": _token(start + limit) if start + limit < len(found) else "",
        }

    def _one(self, asked: Asked) -> Mapping[str, Any]:
        return self._store.ask(lambda model: _profile(_person(model, asked)))

    def _several(self, asked: Asked) -> Mapping[str, Any]:
        ids, most = _object(asked.body).get("ids"), LIMITS["app_people"].value
        if not isinstance(ids, list) or not 1 <= len(ids) <= most:
            raise _RefusedError(400, f"ids is a list of 1 to {most} identifiers")

        def found(model: Model) -> list[Mapping[str, Any]]:
            kind = _kind(model, asked)
            people = (_find(model, kind, str(value)) for value in ids)
            return [_profile(person) for person in people if person is not None]

        return {"customers": self._store.ask(found)}

    def _of_person(self, asked: Asked) -> Mapping[str, Any]:
        return self._activities(asked, lambda model: _person(model, asked).events)

    def _of_all(self, asked: Asked) -> Mapping[str, Any]:
        def events(model: Model) -> Iterator[Event]:
            if "customer_id" not in asked.query:
                return iter(model.store.events)
            return iter(_person(model, asked).events)

        return self._activities(asked, events)

    def _activities(self, asked: Asked, events: Callable[[Model], Any]) -> Mapping[str, Any]:
        """Return a page of activities, the latest first: events, but no changes of attributes."""
        since = self._clock().timestamp() - LIMITS["activity_days"].value * DAY_S
        start, limit = _page(asked, usual=_LISTED, most=LIMITS["app_activities_page"].value)

        def found(model: Model) -> list[dict[str, Any]]:
            kept = [event for event in events(model) if _is_shown(event, asked.query, since=since)]
            kept.sort(key=lambda event: (event.timestamp, event.number), reverse=True)
            page = [_activity(event) for event in kept[start : start + limit]]
            return [*page, {}] if start + limit < len(kept) else page

        page = self._store.ask(found)
        more = bool(page) and not page[-1]
        return {"activities": page[:limit], "next": _token(start + limit) if more else ""}


def _refusal(status: int, words: str) -> Answer:
    return Answer(status=status, errors=[words])


def _object(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise _RefusedError(400, f"the body is not JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise _RefusedError(400, "the body is an object")
    return decoded


def _page(asked: Asked, *, usual: int, most: int) -> tuple[int, int]:
    """Return from where, and how many."""
    limit, start = asked.query.get("limit") or str(usual), asked.query.get("start", "")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= most):
        raise _RefusedError(400, f"limit is a number from 1 to {most}")
    try:
        place = base64.b64decode(start, validate=True).decode("ascii") or "0"
    except (binascii.Error, ValueError):
        place = ""
    if not place.isdigit():
        raise _RefusedError(400, "start is what `next` said")
    return int(place), int(limit)


def _token(place: int) -> str:
    return base64.b64encode(str(place).encode()).decode()


def _kind(model: Model, asked: Asked) -> IdentifierKind:
    match asked.query.get("id_type", "id"):
        case "id":
            return "id"
        case "cio_id":
            return "cio_id"
        case "email" if "email" in model.settings.identifiers:
            return "email"
        case other:
            raise _RefusedError(400, f"{other} is no identifier of this workspace")


def _person(model: Model, asked: Asked) -> Person:
    value = asked.parameters.get("customer_id") or asked.query.get("customer_id", "")
    person = _find(model, _kind(model, asked), value)
    if person is None:
        raise _RefusedError(404, "the customer does not exist")
    return person


def _find(model: Model, kind: IdentifierKind, value: str) -> Person | None:
    """Return somebody; a cio_id may have its prefix, as one page says, or have none."""
    bare = value.removeprefix("cio_") if kind == "cio_id" else value
    return model.store.people.find(kind, bare)


def _identifiers(person: Person) -> dict[str, Any]:
    return {"email": person.email, "id": person.id, "cio_id": person.cio_id}


def _texts(person: Person) -> dict[str, str]:
    """Return all attributes, the identifiers too, as texts."""
    named = {name: value for name, value in _identifiers(person).items() if value is not None}
    if person.anonymous_ids:
        named["anonymous_id"] = person.anonymous_ids[0]
    said = {name: value for name, value in person.attributes.items() if value is not None}
    return {name: text(value) for name, value in (said | named).items()}


def _profile(person: Person) -> dict[str, Any]:
    stamps = {name: max(at, 0) for name, at in person.all_stamps().items()}
    texts = _texts(person)
    return {
        "customer": {
            "id": person.id or "",
            "identifiers": _identifiers(person),
            "attributes": texts,
            "timestamps": {name: stamps[name] for name in texts if name in stamps},
            "unsubscribed": texts.get("unsubscribed", "").lower() in ("true", "1"),
            "devices": [
                {"id": token, **device} for token, device in (person.devices or {}).items()
            ],
        }
    }


def _table(model: Model, means: Means, names: Sequence[str]) -> pl.DataFrame:
    """Return people as the file of an export has them: the columns that were asked for, as texts."""
    wanted = list(dict.fromkeys(names)) or ["id", "email", "cio_id"]
    columns: dict[str, list[str | None]] = {name: [] for name in wanted}
    for person in model.store.people.by_cio.values():
        texts = _texts(person)
        if means(texts):
            for name, values in columns.items():
                values.append(texts.get(name))
    return pl.DataFrame(columns, schema=dict.fromkeys(wanted, pl.String))


def _is_shown(event: Event, query: Mapping[str, str], *, since: float) -> bool:
    """Return whether an event is among the activities that are asked for."""
    wanted = {"type": _ACTIVITY_TYPES.get(event.type), "name": event.name}
    is_theirs = event.person is not None and not event.lost and event.timestamp >= since
    return is_theirs and all(query.get(name) in (None, "", has) for name, has in wanted.items())


def _activity(event: Event) -> dict[str, Any]:
    person = event.person
    named = "url" if event.type == "page" else "name"
    return {
        "id": event.message_id or str(event.number),
        "type": _ACTIVITY_TYPES[event.type],
        named: event.name,
        "timestamp": event.timestamp,
        "customer_id": None if person is None else person.id,
        "customer_identifiers": None if person is None else _identifiers(person),
        "data": event.properties,
    }
