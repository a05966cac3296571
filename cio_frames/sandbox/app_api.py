"""The answers of the App API: people, their attributes and activities, and exports of people."""

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
from cio_frames.sandbox.filters import FilterError, Matches, compile_filter, text
from cio_frames.sandbox.handlers import Answer
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
    """Choices where the App API is not documented.

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
class AppRequest:
    """A request to the App API.

    Attributes:
        parameters: The parameters in its path.
        query: Its other parameters.
        body: Its body.
        host: The host that it names; links lead there.
        has_key: Whether it has the key.
    """

    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    host: str
    has_key: bool


@dataclass(slots=True, kw_only=True)
class Export:
    """An export: the people as they were when it was started."""

    id: int
    people: pl.DataFrame
    started: datetime
    description: str
    downloads: int = 0
    links: dict[str, datetime] = field(default_factory=dict)  # when each was created


class _RequestError(Exception):
    """The request cannot be answered; with the status and the error text of the answer."""

    def __init__(self, status: int, problem: str) -> None:
        self.status = status
        super().__init__(problem)


class AppApi:
    """Answers the requests of the App API."""

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
        self._moments: deque[float] = deque()  # of the requests of the last second
        self._operations: Mapping[str, Callable[[AppRequest], Mapping[str, Any]]] = {
            "exportPeopleData": self._start_export,
            "listExports": self._list_exports,
            "getExport": self._show_export,
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
        """Remove the exports."""
        self._exports: dict[int, Export] = {}

    def answer(self, operation: str, request: AppRequest) -> Answer:
        """Answer one of `OPERATIONS`."""
        if self._is_too_fast():
            return _error(429, "too many requests: your request is over the limit")
        if not request.has_key:
            return _error(401, "the App API key is unknown")
        try:
            return Answer(status=200, content=self._operations[operation](request))
        except _RequestError as error:
            return _error(error.status, str(error))
        except FilterError as error:
            return _error(400, str(error))
        except SandboxError as error:  # the messages are not kept
            return _error(HTTPStatus.NOT_IMPLEMENTED, str(error))

    def file(self, token: str, *, has_key: bool) -> Answer:
        """Answer a request for the file of an export."""
        export = next((each for each in self._exports.values() if token in each.links), None)
        if self._rules.link_needs_key and not has_key:
            return _error(401, "the App API key is unknown")
        if export is None:
            return _error(404, "there is no such file")
        if (self._clock() - export.links[token]).total_seconds() > self._rules.link_s:
            return _error(403, "the link has expired")
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

    def _start_export(self, request: AppRequest) -> Mapping[str, Any]:
        body = _object(request.body)
        names = body.get("attributes", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise _RequestError(400, "attributes is a list of names")
        if "filters" not in body:
            raise _RequestError(400, "filters is required")
        matches = compile_filter(body["filters"])
        people = self._store.query(lambda model: _table(model, matches, names))
        export = Export(
            id=len(self._exports) + 1,
            people=people,
            started=self._clock(),
            description=f"Customers with {text(body['filters'])}",
        )
        self._exports[export.id] = export
        return {"export": self._description(export)}

    def _list_exports(self, _: AppRequest) -> Mapping[str, Any]:
        return {"exports": [self._description(export) for export in self._exports.values()]}

    def _show_export(self, request: AppRequest) -> Mapping[str, Any]:
        return {"export": self._description(self._find_export(request))}

    def _link(self, request: AppRequest) -> Mapping[str, Any]:
        export, token = self._find_export(request), token_hex(16)
        if not self._is_done(export):
            raise _RequestError(404, "the export is not ready")
        export.links[token] = self._clock()
        return {"url": f"http://{request.host}{FILE_PATH.format(token=token)}"}

    def _find_export(self, request: AppRequest) -> Export:
        number = request.parameters["export_id"]
        export = self._exports.get(int(number)) if number.isascii() and number.isdigit() else None
        if export is None:
            raise _RequestError(404, "the export does not exist")
        return export

    def _is_done(self, export: Export) -> bool:
        return (self._clock() - export.started).total_seconds() >= self._rules.export_s

    def _description(self, export: Export) -> dict[str, Any]:
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

    def _by_email(self, request: AppRequest) -> Mapping[str, Any]:
        email = request.query.get("email")
        if not email:
            raise _RequestError(400, "email is required")
        person = self._store.query(lambda model: model.store.people.find("email", email))
        return {"results": [] if person is None else [_identifiers(person)]}

    def _search(self, request: AppRequest) -> Mapping[str, Any]:
        matches = compile_filter(_object(request.body).get("filter"))
        start, limit = _page(request, default=_SEARCHED, most=LIMITS["app_search_page"].value)
        people = self._store.query(
            lambda model: [
                _identifiers(person)
                for person in model.store.people.by_cio.values()
                if matches(_texts(person))
            ]
        )
        page = people[start : start + limit]
        return {
            "identifiers": page,
            "ids": [person["id"] or "" for person in page],
            "next": _token(start + limit) if start + limit < len(people) else "",
        }

    def _one(self, request: AppRequest) -> Mapping[str, Any]:
        return self._store.query(lambda model: _profile(_person(model, request)))

    def _several(self, request: AppRequest) -> Mapping[str, Any]:
        ids, most = _object(request.body).get("ids"), LIMITS["app_people"].value
        if not isinstance(ids, list) or not 1 <= len(ids) <= most:
            raise _RequestError(400, f"ids is a list of 1 to {most} identifiers")

        def profiles(model: Model) -> list[Mapping[str, Any]]:
            kind = _kind(model, request)
            people = (_find(model, kind, str(value)) for value in ids)
            return [_profile(person) for person in people if person is not None]

        return {"customers": self._store.query(profiles)}

    def _of_person(self, request: AppRequest) -> Mapping[str, Any]:
        return self._activities(request, lambda model: _person(model, request).events)

    def _of_all(self, request: AppRequest) -> Mapping[str, Any]:
        def events(model: Model) -> Iterator[Event]:
            if "customer_id" not in request.query:
                return iter(model.store.events)
            return iter(_person(model, request).events)

        return self._activities(request, events)

    def _activities(self, request: AppRequest, events: Callable[[Model], Any]) -> Mapping[str, Any]:
        """Return a page of activities, the latest first; changes of attributes are not among them."""
        since = self._clock().timestamp() - LIMITS["activity_days"].value * DAY_S
        start, limit = _page(request, default=_LISTED, most=LIMITS["app_activities_page"].value)

        def read(model: Model) -> list[dict[str, Any]]:
            shown = [
                event for event in events(model) if _is_shown(event, request.query, since=since)
            ]
            shown.sort(key=lambda event: (event.timestamp, event.number), reverse=True)
            page = [_activity(event) for event in shown[start : start + limit]]
            return [*page, {}] if start + limit < len(shown) else page

        page = self._store.query(read)
        more = bool(page) and not page[-1]
        return {"activities": page[:limit], "next": _token(start + limit) if more else ""}


def _error(status: int, problem: str) -> Answer:
    return Answer(status=status, errors=[problem])


def _object(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise _RequestError(400, f"the body is not JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise _RequestError(400, "the body is an object")
    return decoded


def _page(request: AppRequest, *, default: int, most: int) -> tuple[int, int]:
    """Return the position of the first item of a page, and how many items it has."""
    limit, start = request.query.get("limit") or str(default), request.query.get("start", "")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= most):
        raise _RequestError(400, f"limit is a number from 1 to {most}")
    try:
        place = base64.b64decode(start, validate=True).decode("ascii") or "0"
    except (binascii.Error, ValueError):
        place = ""
    if not place.isdigit():
        raise _RequestError(400, "start is what `next` said")
    return int(place), int(limit)


def _token(place: int) -> str:
    return base64.b64encode(str(place).encode()).decode()


def _kind(model: Model, request: AppRequest) -> IdentifierKind:
    match request.query.get("id_type", "id"):
        case "id":
            return "id"
        case "cio_id":
            return "cio_id"
        case "email" if "email" in model.settings.identifiers:
            return "email"
        case other:
            raise _RequestError(400, f"{other} is no identifier of this workspace")


def _person(model: Model, request: AppRequest) -> Person:
    value = request.parameters.get("customer_id") or request.query.get("customer_id", "")
    person = _find(model, _kind(model, request), value)
    if person is None:
        raise _RequestError(404, "the customer does not exist")
    return person


def _find(model: Model, kind: IdentifierKind, value: str) -> Person | None:
    """Return a person; a cio_id may have its prefix, as one page of the documentation says, or none."""
    bare = value.removeprefix("cio_") if kind == "cio_id" else value
    return model.store.people.find(kind, bare)


def _identifiers(person: Person) -> dict[str, Any]:
    return {"email": person.email, "id": person.id, "cio_id": person.cio_id}


def _texts(person: Person) -> dict[str, str]:
    """Return all attributes as texts, with the identifiers."""
    identifiers = {name: value for name, value in _identifiers(person).items() if value is not None}
    if person.anonymous_ids:
        identifiers["anonymous_id"] = person.anonymous_ids[0]
    attributes = {name: value for name, value in person.attributes.items() if value is not None}
    return {name: text(value) for name, value in (attributes | identifiers).items()}


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


def _table(model: Model, matches: Matches, names: Sequence[str]) -> pl.DataFrame:
    """Return people as in the file of an export: the requested columns, as texts."""
    requested = list(dict.fromkeys(names)) or ["id", "email", "cio_id"]
    columns: dict[str, list[str | None]] = {name: [] for name in requested}
    for person in model.store.people.by_cio.values():
        texts = _texts(person)
        if matches(texts):
            for name, values in columns.items():
                values.append(texts.get(name))
    return pl.DataFrame(columns, schema=dict.fromkeys(requested, pl.String))


def _is_shown(event: Event, query: Mapping[str, str], *, since: float) -> bool:
    """Return whether an event is among the requested activities."""
    values = {"type": _ACTIVITY_TYPES.get(event.type), "name": event.name}
    is_owned = event.person is not None and not event.lost and event.timestamp >= since
    return is_owned and all(query.get(name) in (None, "", value) for name, value in values.items())


def _activity(event: Event) -> dict[str, Any]:
    person = event.person
    name_key = "url" if event.type == "page" else "name"
    return {
        "id": event.message_id or str(event.number),
        "type": _ACTIVITY_TYPES[event.type],
        name_key: event.name,
        "timestamp": event.timestamp,
        "customer_id": None if person is None else person.id,
        "customer_identifiers": None if person is None else _identifiers(person),
        "data": event.properties,
    }
