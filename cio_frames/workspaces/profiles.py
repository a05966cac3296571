"""Read the attributes and activities of people, and the list of exports."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, get_args

import msgspec
import polars as pl

from cio_frames.errors import ArgumentError, ChoiceError
from cio_frames.sending import Client
from cio_frames.sending.app_api import Reader, run_in_thread
from cio_frames.sending.rate_limit import TokenBucket
from cio_frames.spec import LIMITS, PersonIdType

_TEXT: Final = pl.String()
PROFILES: Final = pl.Schema({
    "id": _TEXT, "email": _TEXT, "cio_id": _TEXT, "unsubscribed": pl.Boolean(),
    "attributes": _TEXT, "timestamps": _TEXT,
})  # fmt: skip
ACTIVITIES: Final = pl.Schema({
    "activity": _TEXT, "type": _TEXT, "name": _TEXT, "timestamp": pl.Datetime("us", "UTC"),
    "id": _TEXT, "email": _TEXT, "cio_id": _TEXT, "data": _TEXT,
})  # fmt: skip
EXPORTS: Final = pl.Schema({
    "export": pl.Int64(), "type": _TEXT, "status": _TEXT, "failed": pl.Boolean(), "total": pl.Int64(),
    "description": _TEXT, "created_at": pl.Datetime("us", "UTC"),
})  # fmt: skip
_IDENTIFIERS: Final = ("id", "email", "cio_id")

Answer = TypeVar("Answer")


def attributes(
    client: Client, bucket: TokenBucket, people: Sequence[object], *, id_type: PersonIdType
) -> pl.DataFrame:
    """Return the attributes of some people."""
    ChoiceError.require("id_type", id_type, get_args(PersonIdType))
    if isinstance(people, str):
        raise ArgumentError('attributes takes several identifiers: client.attributes(["u1"]).')
    ids, most = [str(person) for person in people], LIMITS["app_people"].value

    async def read(reader: Reader) -> list[dict[str, Any]]:
        profiles: list[dict[str, Any]] = []
        for start in range(0, len(ids), most):
            answer = await reader.request(
                "getPeopleById",
                what="Attributes",
                query={"id_type": id_type},
                body={"ids": ids[start : start + most]},
            )
            rows = _rows(reader, answer, "customers", what="Attributes")
            profiles += [_profile(_mapping(row.get("customer")) or row) for row in rows]
        return profiles

    return pl.DataFrame(_read(client, bucket, read), schema=PROFILES, orient="row")


def activities(
    client: Client,
    bucket: TokenBucket,
    person: str | None,
    *,
    id_type: PersonIdType,
    type: str | None,  # noqa: A002 - Customer.io's word
    name: str | None,
    most: int | None,
) -> pl.DataFrame:
    """Return the activities of one person, or of all."""
    ChoiceError.require("id_type", id_type, get_args(PersonIdType))
    page = LIMITS["app_activities_page"].value
    query: dict[str, object] = {"type": type, "name": name, "limit": min(page, most or page)}
    about: dict[str, Any] = {}
    if person is not None:
        query["id_type"] = id_type
        about = {
            "parameters": {"customer_id": person},
            "unknown": f"nobody in the workspace has this {id_type}",
        }
    operation = "listActivities" if person is None else "getPersonActivities"

    async def read(reader: Reader) -> list[dict[str, Any]]:
        activities: list[dict[str, Any]] = []
        async for answer in reader.pages(operation, what="Activities", query=query, **about):
            activities += map(_activity, _rows(reader, answer, "activities", what="Activities"))
            if most is not None and len(activities) >= most:
                break
        return activities[:most]

    return pl.DataFrame(_read(client, bucket, read), schema=ACTIVITIES, orient="row")


def exports(client: Client, bucket: TokenBucket) -> pl.DataFrame:
    """Return the exports of a workspace, the latest first."""

    async def read(reader: Reader) -> list[dict[str, Any]]:
        answer = await reader.request("listExports", what="Exports")
        return [_export(row) for row in _rows(reader, answer, "exports", what="Exports")]

    exports = pl.DataFrame(_read(client, bucket, read), schema=EXPORTS, orient="row")
    return exports.sort("created_at", "export", descending=True)


def _read(
    client: Client, bucket: TokenBucket, work: Callable[[Reader], Coroutine[Any, Any, Answer]]
) -> Answer:
    async def with_session() -> Answer:
        async with client.session() as transport:
            return await work(Reader(client, transport, bucket=bucket))

    return run_in_thread(with_session)


def _rows(
    reader: Reader, answer: Mapping[str, Any], name: str, *, what: str
) -> list[Mapping[str, Any]]:
    """Return a list of objects in an answer by its name."""
    rows = answer.get(name)
    if isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows):
        return rows
    raise reader.unexpected(what, answer)


def _profile(customer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a person; the attributes have the identifiers as well."""
    attributes = _mapping(customer.get("attributes"))
    identifiers = attributes | _mapping(customer.get("identifiers"))
    return {
        **{name: _text(identifiers.get(name)) for name in _IDENTIFIERS},
        "unsubscribed": customer.get("unsubscribed") is True,
        "attributes": _json(attributes),
        "timestamps": _json(_mapping(customer.get("timestamps"))),
    }


def _activity(row: Mapping[str, Any]) -> dict[str, Any]:
    identifiers = {"id": row.get("customer_id")} | _mapping(row.get("customer_identifiers"))
    return {
        "activity": _text(row.get("id")),
        "type": _text(row.get("type")),
        "name": _text(row.get("name") or row.get("url")),
        "timestamp": _instant(row.get("timestamp")),
        **{name: _text(identifiers.get(name)) for name in _IDENTIFIERS},
        "data": _json(row.get("data")),
    }


def _export(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "export": row.get("id"),
        "type": _text(row.get("type")),
        "status": _text(row.get("status")),
        "failed": row.get("failed") is True,
        "total": row.get("total"),
        "description": _text(row.get("description")),
        "created_at": _instant(row.get("created_at")),
    }


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _instant(value: object) -> datetime | None:
    return datetime.fromtimestamp(value, tz=UTC) if isinstance(value, int | float) else None
