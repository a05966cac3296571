"""The sample data: the call of each file, their order, and the repair of the dirty file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from cio_frames.accessors import frame
from cio_frames.checks import Checks, Severity
from cio_frames.errors import InputFileError
from cio_frames.frames import scan
from cio_frames.plan import Plan
from cio_frames.plan.plan import planned


@dataclass(frozen=True, slots=True)
class Load:
    """One file and its call."""

    file: str
    call: str
    about: str
    arguments: Mapping[str, Any]  # of the call


def _columns(*names: str) -> dict[str, str]:
    """Return arguments whose columns have the same names."""
    return {name: name for name in names}


LOADS: tuple[Load, ...] = (
    Load("people_known.csv", "identify", "the people the workspace already has", {
        "user_id": pl.coalesce("id", "email"), "anonymous_id": "anonymous_id",
        "traits": ["email", "created_at"],
    }),
    # Anonymous events before identify calls: events that arrive more than five minutes after the
    # identify stay anonymous (reference C22).
    Load("events.parquet", "track", "two years of shop events, including visitors",
         {**_columns("event", "user_id", "anonymous_id"), "timestamp": "occurred_at"}),
    Load("page_views.csv", "page", "pages that visitors and customers viewed",
         _columns("name", "user_id", "anonymous_id", "timestamp")),
    Load("people.csv", "identify", "the customers",
         {"user_id": "id", "anonymous_id": "anonymous_id"}),
    Load("companies.csv", "group", "companies and tasting clubs",
         _columns("group_id", "object_type_id")),
    Load("memberships.csv", "group", "who belongs to which of them", {
        "group_id": "company_id", **_columns("object_type_id", "user_id"),
        "traits": [], "relationship": ["role", "since"],
    }),
    # A merge needs the remaining person to exist (reference 3.4).
    Load("aliases.csv", "alias", "old profiles to merge into people",
         _columns("previous_id", "user_id")),
    Load("events.csv", "track", "the tills of three stores",
         _columns("event", "user_id", "timestamp")),
    Load("screens.csv", "screen", "screens of the app", _columns("name", "user_id", "timestamp")),
    Load("form_submissions.csv", "form", "a newsletter form and a contact form",
         _columns("form_id", "email")),
)  # fmt: skip

_STRICT: Mapping[str, Severity] = {"id.cio": "refuse", "id.nobody": "reject"}
DIRTY = Load(
    "people_dirty.csv", "identify", "three exports pasted into one file, as in real life",
    {"user_id": "user_id", "checks": Checks(severity=_STRICT)},
)  # fmt: skip

_DROPPED = ("Unnamed: 0", "Email", "notes")
"""Columns of the dirty file that are not sent."""

_CONFIRMED_FIXES = (
    "email.wrapped", "id.float-text", "id.invisible", "id.padded", "id.swapped", "text.mojibake",
    "trait.unsubscribed-word", "value.placeholder",
)  # fmt: skip
"""Repairs that are not safe in general, but correct for this file."""

_MAX_ROUNDS = 5


def plan_for(load: Load, *, data: Path) -> Plan:
    """Return the plan for a file of the sample data.

    Raises:
        InputFileError: The file is not there.
    """
    path = _require_file(data / load.file, data=data)
    plan: Plan = getattr(frame(scan(path)), load.call)(**load.arguments)
    table = replace(plan.pipeline.table, label=load.file)
    return planned(replace(plan.pipeline, table=table))


def fixed_plan(*, data: Path) -> tuple[Plan, list[str]]:
    """Return a sendable plan of the dirty file, and a sentence for each change.

    Everything repairable is repaired. After that, rows with a refusal are excluded, and columns
    with one are left out.
    """
    dropped, severity = list(_DROPPED), dict(_STRICT)
    plan, repairs = _fixed(_plan_without(dropped, severity, data=data))
    for _ in range(_MAX_ROUNDS):
        refused = plan.pipeline.full_check.findings.filter(pl.col("severity") == "refuse")
        if refused.is_empty():
            break
        for (code, column), findings in refused.group_by("code", "column", maintain_order=True):
            if findings["row"].null_count() == 0:
                severity[str(code)] = "reject"
            elif column is not None:
                dropped.append(str(column))
        plan, repairs = _fixed(_plan_without(dropped, severity, data=data))
    downgraded = [code for code, level in severity.items() if _STRICT.get(code) != level]
    return plan, [
        f"Columns left out: {', '.join(dropped)}.",
        f"Rows excluded instead of refusing all of them: {', '.join(downgraded)}.",
        *(f"Repaired {code}: {words}." for code, words in repairs.items()),
    ]


def _plan_without(dropped: Sequence[str], severity: Mapping[str, Severity], *, data: Path) -> Plan:
    """Return the dirty file's plan without some columns and with other severities."""
    columns = scan(data / DIRTY.file).collect_schema().names()
    traits = [name for name in columns if name not in (*dropped, DIRTY.arguments["user_id"])]
    arguments = {**DIRTY.arguments, "traits": traits, "checks": Checks(severity=severity)}
    return plan_for(replace(DIRTY, arguments=arguments), data=data)


def _fixed(plan: Plan) -> tuple[Plan, dict[str, str]]:
    """Return a plan with all safe and confirmed repairs, and the descriptions of these."""
    done: dict[str, str] = {}
    while remaining := {
        code: words for code, words in _available_fixes(plan).items() if code not in done
    }:
        code, words = next(iter(remaining.items()))
        plan = plan.fix(code)
        done[code] = words
    return plan, done


def _available_fixes(plan: Plan) -> dict[str, str]:
    rows = pl.DataFrame(plan.fixes).iter_rows(named=True)
    return {
        row["code"]: row["repair"] for row in rows if row["safe"] or row["code"] in _CONFIRMED_FIXES
    }


def _require_file(path: Path, *, data: Path) -> Path:
    if path.is_file():
        return path
    raise InputFileError(
        str(data),
        problem=f"{path.name} of the sample data is missing",
        hint="Pass the directory of the sample data with --data, or leave out --data.",
    )
