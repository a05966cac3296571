"""The sample data: which file becomes which call, in which order, and how the dirty one is mended."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from cio_frames.accessors import frame
from cio_frames.checks import Checks
from cio_frames.errors import InputFileError
from cio_frames.frames import scan
from cio_frames.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One file and the call its rows become.

    Attributes:
        file: Name of the file.
        about: What is in it.
        call: Name of the call.
        given: Arguments of the verb.
    """

    file: str
    about: str
    call: str
    given: Mapping[str, Any] = field(default_factory=dict)


LOADS: tuple[Load, ...] = (
    Load(
        file="people_known.csv",
        about="the people the workspace has already",
        call="identify",
        given={
            "user_id": pl.coalesce("id", "email"),
            "anonymous_id": "anonymous_id",
            "traits": ["email", "created_at"],
        },
    ),
    # Visitors before the people they turn out to be: anonymous events that come later than five
    # minutes after the identify stay anonymous (reference C22).
    Load(
        file="events.parquet",
        about="two years of the shop, visitors too",
        call="track",
        given={
            "event": "event",
            "user_id": "user_id",
            "anonymous_id": "anonymous_id",
            "timestamp": "occurred_at",
        },
    ),
    Load(
        file="page_views.csv",
        about="what visitors and customers looked at",
        call="page",
        given={
            "name": "name",
            "user_id": "user_id",
            "anonymous_id": "anonymous_id",
            "timestamp": "timestamp",
        },
    ),
    Load(
        file="people.csv",
        about="the customers",
        call="identify",
        given={"user_id": "id", "anonymous_id": "anonymous_id"},
    ),
    Load(
        file="companies.csv",
        about="companies and tasting clubs",
        call="group",
        given={"group_id": "group_id", "object_type_id": "object_type_id"},
    ),
    Load(
        file="memberships.csv",
        about="who belongs to which of them",
        call="group",
        given={
            "group_id": "company_id",
            "object_type_id": "object_type_id",
            "user_id": "user_id",
            "traits": [],
            "relationship": ["role", "since"],
        },
    ),
    # A merge needs the person that stays to be there (reference 3.4).
    Load(
        file="aliases.csv",
        about="old profiles to merge into people",
        call="alias",
        given={"previous_id": "previous_id", "user_id": "user_id"},
    ),
    Load(
        file="events.csv",
        about="the tills of three stores",
        call="track",
        given={"event": "event", "user_id": "user_id", "timestamp": "timestamp"},
    ),
    Load(
        file="screens.csv",
        about="screens of the app",
        call="screen",
        given={"name": "name", "user_id": "user_id", "timestamp": "timestamp"},
    ),
    Load(
        file="form_submissions.csv",
        about="a newsletter form and a contact form",
        call="form",
        given={"form_id": "form_id", "email": "email"},
    ),
)

_STRICT: Mapping[str, Any] = {"id.cio": "refuse", "id.nobody": "reject"}
DIRTY = Load(
    file="people_dirty.csv",
    about="three exports pasted under each other, as real ones are",
    call="identify",
    given={"user_id": "user_id", "checks": Checks(severity=_STRICT)},
)

DROPPED = ("Unnamed: 0", "Email", "notes")
"""Columns of the dirty file that nobody wants in the workspace."""

LEFT_OUT = "id.cio"
"""What the dirty file is refused for; its rows are left out in the end."""

_WANTED = ("id.padded", "id.invisible")
"""Repairs that are not safe by themselves: here the user says that they are meant."""


def plan_for(load: Load, *, data: Path) -> Plan:
    """Return the plan for a file of the sample data.

    Raises:
        InputFileError: The file is not there.
    """
    path = _existing(data / load.file, data=data)
    plan: Plan = getattr(frame(scan(path)), load.call)(**load.given)
    return replace(plan, table=replace(plan.table, label=load.file))


def mended(plan: Plan, *, data: Path) -> tuple[Plan, list[str]]:
    """Return the dirty file's plan so that it can be sent, and what was done to it.

    Args:
        plan: The plan that is refused.
        data: Directory of the sample data.
    """
    columns = plan.table.schema().names()
    kept = [name for name in columns if name not in (*DROPPED, DIRTY.given["user_id"])]
    given = {
        **DIRTY.given,
        "traits": kept,
        "checks": Checks(severity={**_STRICT, LEFT_OUT: "reject"}),
    }
    better = plan_for(replace(DIRTY, given=given), data=data)
    done = [
        f"Columns left away: {', '.join(DROPPED)}.",
        f"Severity of {LEFT_OUT} lowered to reject: its rows are left out.",
    ]
    for code, words in _repairs(plan).items():
        if code in _repairs(better):
            better = better.fix(code)
            done.append(f"Repaired {code}: {words}.")
    return better, done


def _repairs(plan: Plan) -> dict[str, str]:
    rows = pl.DataFrame(plan.fixes).iter_rows(named=True)
    return {row["code"]: row["repair"] for row in rows if row["safe"] or row["code"] in _WANTED}


def _existing(path: Path, *, data: Path) -> Path:
    if path.is_file():
        return path
    raise InputFileError(
        str(data),
        problem=f"{path.name} of the sample data is not there",
        hint="Run the demo in a checkout of cio_frames, or name its directory with --data.",
    )
