"""Make a plan from the options of a command."""

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
_BOOLEANS = {"true": True, "false": False}


def plan_of(files: Sequence[str], *, fields: Fields, rules: Rules) -> Plan:
    """Return the plan that the options describe.

    Raises:
        UsageError: The options are invalid together.
        InputFileError: A file cannot be read.
        MappingError: A column is missing.
    """
    rows = scan(list(files), **scan_options(rules))
    values = arguments(fields, rules, columns=rows.collect_schema())
    _require_parameters(values, call=fields.call)
    verb = getattr(frame(rows), fields.call)
    plan: Plan = verb(**values, checks=checks(rules), namespace=rules.namespace)
    for code in rules.fix:
        plan = plan.fix(code)
    label = ", ".join(Path(without_credentials(file)).name for file in files)
    table = replace(plan.pipeline.table, label=label)
    return planned(replace(plan.pipeline, table=table))


def scan_options(rules: Rules) -> dict[str, Any]:
    """Return the arguments of `scan`."""
    names = ("separator", "encoding", "dialect", "header", "skip_rows", "comment", "sheet")
    return {
        **{name: getattr(rules, name) for name in names},
        "ids": _split_list(rules.ids or ""),
        "columns": None if rules.columns is None else _split_list(rules.columns),
    }


def arguments(
    fields: Fields, rules: Rules, *, columns: Mapping[str, pl.DataType]
) -> dict[str, Any]:
    """Return the arguments of the call that have a value.

    Examples:
        >>> options = Fields(call="track", user_id="id", properties="total,plan=tier")
        >>> arguments(options, Rules(), columns=dict.fromkeys(("id", "total", "tier"), pl.String()))
        {'user_id': 'id', 'properties': {'total': 'total', 'plan': 'tier'}}
    """
    values: dict[str, Any] = {name: getattr(fields, name) for name in COLUMN_ARGUMENTS}
    for name in _BODIES:
        body = getattr(fields, name)
        values[name] = None if body is None else _field_columns(_split_list(body), columns=columns)
    context = _field_columns(_split_list(fields.context or ""), columns=columns)
    for argument, value in _split_pairs(fields.lit, option="--lit", shape="argument=value"):
        _add_constant(argument, lit(value), values=values, context=context)
    values["context"] = _struct_column(fields.context, columns=columns) or context or None
    values["integrations"] = _struct_column(fields.integrations, columns=columns) or (
        _integrations(_split_list(fields.integrations or "")) or None
    )
    renamed = _split_pairs(fields.mapping, option="--mapping", shape="field=attribute")
    values["mapping"] = dict(renamed) or None
    values["key"] = _split_list(fields.key or "") or None
    values["timezone"] = rules.timezone
    values["nulls"] = _policies(rules.nulls, option="--nulls", shape="column=omit|send")
    values["dots"] = _policies(rules.dots, option="--dots", shape="column=nest|keep")
    values["hash"] = _split_list(rules.hash or "") or None
    return {name: value for name, value in values.items() if value is not None}


def _struct_column(name: str | None, *, columns: Mapping[str, pl.DataType]) -> str | None:
    """Return the name if it is the name of a struct column, else None."""
    return name if isinstance(columns.get(name or ""), pl.Struct) else None


def checks(rules: Rules) -> Checks:
    """Return the configuration of the checks.

    Raises:
        UsageError: A severity or a share is invalid.
    """
    levels = dict(_split_pairs(rules.severity, option="--severity", shape="code=level"))
    for code, level in levels.items():
        if level not in get_args(Severity):
            valid = ", ".join(get_args(Severity))
            raise UsageError(f"--severity {code}={level}: there are {valid}.")
    return Checks(
        select=rules.select,
        ignore=rules.ignore,
        severity=cast(Mapping[str, Severity], levels),
        thresholds=_thresholds(rules.threshold),
        allow=tuple(name for name in rules.allow if "=" not in name),
        triggers=rules.triggers,
        allow_sensitive=dict(
            _split_pairs(rules.allow_sensitive, option="--allow-sensitive", shape="column=reason")
        ),
        reference=dict(_split_pairs(rules.reference, option="--reference", shape="column=file")),
        phone_region=rules.phone_region,
        drift=_drift(rules),
    )


def allowances(entries: Sequence[str]) -> dict[str, str]:
    """Return the entries of --allow with a number, by what they allow.

    Examples:
        >>> allowances(["User Deleted", "campaigns=37"])
        {'campaigns': '37'}
    """
    numbers = [entry for entry in entries if "=" in entry]
    return dict(_split_pairs(numbers, option="--allow", shape="campaigns=37"))


def _drift(rules: Rules) -> Drift | None:
    """Return the comparison with earlier runs, or None without such options.

    Raises:
        UsageError: A limit is unknown or not a number.
    """
    limits: dict[str, float] = {}
    names = [field.name for field in fields(Drift) if field.name != "audit"]
    for name, text in _split_pairs(rules.drift_limit, option="--drift-limit", shape="name=number"):
        if name not in names:
            raise UsageError(f"--drift-limit {name}: there are {', '.join(names)}.")
        try:
            limits[name] = int(text) if name == "runs" else float(text)
        except ValueError:
            raise UsageError(f"--drift-limit {name}={text}: {text!r} must be a number.") from None
    if rules.drift is None and not limits:
        return None
    return Drift(audit=rules.drift, **limits)  # type: ignore[arg-type]  # runs is an int


def option(argument: str) -> str:
    """Return the command-line option for an argument of the library.

    Examples:
        >>> option("user_id")
        '--user-id'
    """
    return "--" + argument.replace("_", "-")


def _require_parameters(arguments: Iterable[str], *, call: str) -> None:
    parameters = inspect.signature(getattr(Frame, call)).parameters
    for argument in arguments:
        if argument not in parameters:
            accepted = [name for name in (*COLUMN_ARGUMENTS, *_BODIES) if name in parameters]
            raise UsageError(
                f"{call} has no {option(argument)}. It accepts {', '.join(map(option, accepted))}."
            )


def _add_constant(
    argument: str, value: pl.Expr, *, values: dict[str, Any], context: dict[str, Any]
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
    if values[name] is not None:
        raise UsageError(f"{option(name)} and --lit {name}=... are both given. Leave one out.")
    values[name] = value


def _field_columns(entries: Sequence[str], *, columns: Collection[str]) -> dict[str, str]:
    """Return the column of each field; an entry that is a column name is not split."""
    columns_by_field = {}
    for entry in entries:
        field, sign, column = entry.partition("=")
        if entry in columns or not sign:
            field = column = entry
        columns_by_field[field] = column
    return columns_by_field


def _integrations(entries: Sequence[str]) -> dict[str, str | bool]:
    pairs = _split_pairs(entries, option="--integrations", shape="name=true|false|column")
    return {name: _BOOLEANS.get(value, value) for name, value in pairs}


def _policies(policies: Sequence[str], *, option: str, shape: str) -> dict[str, str] | str | None:
    general = [policy for policy in policies if "=" not in policy]
    by_column = [policy for policy in policies if "=" in policy]
    if not by_column:
        return general[-1] if general else None
    columns = dict(_split_pairs(by_column, option=option, shape=shape))
    return {"*": general[-1], **columns} if general else columns


def _thresholds(entries: Sequence[str]) -> dict[str, float] | float | None:
    """Return the share of each code, or one share for all rows."""
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


def _split_pairs(entries: Sequence[str], *, option: str, shape: str) -> list[tuple[str, str]]:
    pairs = []
    for entry in entries:
        name, sign, value = entry.partition("=")
        if not name or not sign:
            raise UsageError(f"{option} {entry!r} does not have the form {shape}.")
        pairs.append((name, value))
    return pairs


def _split_list(entries: str) -> list[str]:
    """Split at commas; a name that contains a comma is in double quotes."""
    return next(csv.reader([entries], skipinitialspace=True), [])
