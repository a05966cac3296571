"""From the options of a command to a plan."""

import csv
import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast, get_args

import polars as pl

from cio_frames.accessors import Frame, frame, lit
from cio_frames.checks import Checks, Drift, Severity
from cio_frames.cli.options import COLUMN_ARGUMENTS, Fields, Rules
from cio_frames.errors import UsageError
from cio_frames.frames import scan
from cio_frames.frames.remote import without_credentials
from cio_frames.plan import Plan
from cio_frames.plan.plan import planned

_BODIES = ("traits", "properties", "fields", "relationship")
_CONTEXT = "context."
_TRUTH = {"true": True, "false": False}


def plan_of(files: Sequence[str], *, fields: Fields, rules: Rules) -> Plan:
    """Return the plan that the options ask for.

    Raises:
        UsageError: Options that do not go together.
        InputFileError: A file cannot be read.
        MappingError: A column is missing.
    """
    rows = scan(list(files), **reading(rules))
    given = arguments(fields, rules, columns=rows.collect_schema())
    _require_taken(given, call=fields.call)
    verb = getattr(frame(rows), fields.call)
    plan: Plan = verb(**given, checks=checks(rules), namespace=rules.namespace)
    for code in rules.fix:
        plan = plan.fix(code)
    label = ", ".join(Path(without_credentials(file)).name for file in files)
    table = replace(plan.pipeline.table, label=label)
    return planned(replace(plan.pipeline, table=table))


def reading(rules: Rules) -> dict[str, Any]:
    """Return how files are read: the options of `scan`."""
    named = ("separator", "encoding", "dialect", "header", "skip_rows", "comment", "sheet")
    return {
        **{name: getattr(rules, name) for name in named},
        "ids": _listed(rules.ids or ""),
        "columns": None if rules.columns is None else _listed(rules.columns),
    }


def arguments(
    fields: Fields, rules: Rules, *, columns: Mapping[str, pl.DataType]
) -> dict[str, Any]:
    """Return the arguments of the verb, those that were given only.

    Examples:
        >>> given = Fields(call="track", user_id="id", properties="total,plan=tier")
        >>> arguments(given, Rules(), columns=dict.fromkeys(("id", "total", "tier"), pl.String()))
        {'user_id': 'id', 'properties': {'total': 'total', 'plan': 'tier'}}
    """
    named: dict[str, Any] = {name: getattr(fields, name) for name in COLUMN_ARGUMENTS}
    for name in _BODIES:
        body = getattr(fields, name)
        named[name] = None if body is None else _places(_listed(body), columns=columns)
    context = _places(_listed(fields.context or ""), columns=columns)
    for argument, value in _parted(fields.lit, option="--lit", shape="argument=value"):
        _put_constant(argument, lit(value), named=named, context=context)
    named["context"] = _whole(fields.context, columns=columns) or context or None
    named["integrations"] = _whole(fields.integrations, columns=columns) or (
        _integrations(_listed(fields.integrations or "")) or None
    )
    own_names = _parted(fields.mapping, option="--mapping", shape="field=attribute")
    named["mapping"] = dict(own_names) or None
    named["key"] = _listed(fields.key or "") or None
    named["timezone"] = rules.timezone
    named["nulls"] = _policies(rules.nulls, option="--nulls", shape="column=omit|send")
    named["dots"] = _policies(rules.dots, option="--dots", shape="column=nest|keep")
    named["hash"] = _listed(rules.hash or "") or None
    return {name: value for name, value in named.items() if value is not None}


def _whole(given: str | None, *, columns: Mapping[str, pl.DataType]) -> str | None:
    """Return the column of structs that fills all of a place, None if it is not one that is named."""
    return given if isinstance(columns.get(given or ""), pl.Struct) else None


def checks(rules: Rules) -> Checks:
    """Return which checks apply, and how strictly.

    Raises:
        UsageError: A severity or a share that there is not.
    """
    levels = dict(_parted(rules.severity, option="--severity", shape="code=level"))
    for code, level in levels.items():
        if level not in get_args(Severity):
            known = ", ".join(get_args(Severity))
            raise UsageError(f"--severity {code}={level}: there are {known}.")
    return Checks(
        select=rules.select,
        ignore=rules.ignore,
        severity=cast(Mapping[str, Severity], levels),
        thresholds=_thresholds(rules.threshold),
        allow=tuple(name for name in rules.allow if "=" not in name),
        triggers=rules.triggers,
        allow_sensitive=dict(
            _parted(rules.allow_sensitive, option="--allow-sensitive", shape="column=reason")
        ),
        reference=dict(_parted(rules.reference, option="--reference", shape="column=file")),
        phone_region=rules.phone_region,
        drift=_drift(rules),
    )


def allowances(entries: Sequence[str]) -> dict[str, str]:
    """Return the numbers among the entries of --allow, by what they allow; names have no sign in them.

    Examples:
        >>> allowances(["User Deleted", "campaigns=37"])
        {'campaigns': '37'}
    """
    numbers = [entry for entry in entries if "=" in entry]
    return dict(_parted(numbers, option="--allow", shape="campaigns=37"))


def _drift(rules: Rules) -> Drift | None:
    """Return which earlier runs the table is compared with, and how strictly; None if nothing is said.

    Raises:
        UsageError: There is no such limit, or it has no number.
    """
    limits: dict[str, float] = {}
    known = [field.name for field in fields(Drift) if field.name != "audit"]
    for name, text in _parted(rules.drift_limit, option="--drift-limit", shape="name=number"):
        if name not in known:
            raise UsageError(f"--drift-limit {name}: there are {', '.join(known)}.")
        try:
            limits[name] = int(text) if name == "runs" else float(text)
        except ValueError:
            raise UsageError(f"--drift-limit {name}={text}: {text!r} must be a number.") from None
    if rules.drift is None and not limits:
        return None
    return Drift(audit=rules.drift, **limits)  # type: ignore[arg-type]  # runs is an int


def option(argument: str) -> str:
    """Return how an argument of the library is called on the command line.

    Examples:
        >>> option("user_id")
        '--user-id'
    """
    return "--" + argument.replace("_", "-")


def _require_taken(given: Iterable[str], *, call: str) -> None:
    taken = inspect.signature(getattr(Frame, call)).parameters
    for argument in given:
        if argument not in taken:
            offered = [name for name in (*COLUMN_ARGUMENTS, *_BODIES) if name in taken]
            raise UsageError(
                f"{call} has no {option(argument)}. It accepts {', '.join(map(option, offered))}."
            )


def _put_constant(
    argument: str, value: pl.Expr, *, named: dict[str, Any], context: dict[str, Any]
) -> None:
    if argument.startswith(_CONTEXT):
        context[argument.removeprefix(_CONTEXT)] = value
        return
    name = argument.removeprefix("--").replace("-", "_")
    if name not in COLUMN_ARGUMENTS:
        raise UsageError(
            f"--lit {argument}=...: {argument} cannot be a constant. These can: "
            f"{', '.join(COLUMN_ARGUMENTS)}, or context.PLACE."
        )
    if named[name] is not None:
        raise UsageError(f"{option(name)} and --lit {name}=... are both given. Leave one out.")
    named[name] = value


def _places(entries: Sequence[str], *, columns: Collection[str]) -> dict[str, str]:
    """Return place to column; an entry that is a column as it stands is not parted."""
    found = {}
    for entry in entries:
        place, mark, column = entry.partition("=")
        if entry in columns or not mark:
            place = column = entry
        found[place] = column
    return found


def _integrations(entries: Sequence[str]) -> dict[str, str | bool]:
    parted = _parted(entries, option="--integrations", shape="name=true|false|column")
    return {name: _TRUTH.get(value, value) for name, value in parted}


def _policies(policies: Sequence[str], *, option: str, shape: str) -> dict[str, str] | str | None:
    whole = [policy for policy in policies if "=" not in policy]
    each = [policy for policy in policies if "=" in policy]
    if not each:
        return whole[-1] if whole else None
    found = dict(_parted(each, option=option, shape=shape))
    return {"*": whole[-1], **found} if whole else found


def _thresholds(entries: Sequence[str]) -> dict[str, float] | float | None:
    """Return the share of each code, or the one share of all rows."""
    shares = {}
    for entry in entries:
        code, _, share = entry.rpartition("=")
        try:
            shares[code] = float(share)
        except ValueError:
            raise UsageError(
                f"--threshold {entry}: {share!r} is not a share such as 0.05."
            ) from None
    if "" in shares and len(shares) > 1:
        raise UsageError("--threshold takes one share for all rows, or code=share, but not both.")
    return shares.get("", shares or None)


def _parted(entries: Sequence[str], *, option: str, shape: str) -> list[tuple[str, str]]:
    found = []
    for entry in entries:
        name, mark, value = entry.partition("=")
        if not name or not mark:
            raise UsageError(f"{option} {entry!r} does not have the form {shape}.")
        found.append((name, value))
    return found


def _listed(entries: str) -> list[str]:
    """Return what commas part; a name with a comma in it stands in double quotes."""
    return next(csv.reader([entries], skipinitialspace=True), [])
