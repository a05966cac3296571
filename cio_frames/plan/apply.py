"""Send a saved plan, if the table, the messages and the destination are as they were reviewed."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any, Final

from cio_frames.errors import MappingError, PlanChangedError, SavedPlanError
from cio_frames.frames import AnyTable, read
from cio_frames.identity import Settings
from cio_frames.plan.approval import require_approval
from cio_frames.plan.identity_preview import identity_preview, premise_of
from cio_frames.plan.json_values import NotRestorableError, arguments_of, checks_of
from cio_frames.plan.outcome import needs
from cio_frames.plan.pipeline import NO_ORIGIN, Origin, Pipelines
from cio_frames.plan.plan import Backfill, Plan, Sendable
from cio_frames.plan.saved_plan import SavedPlan, campaigns, described, destination_of, read_plan
from cio_frames.plan.suggest import make
from cio_frames.plan.workspace_people import WorkspacePeople
from cio_frames.run import Run
from cio_frames.sending import Client

Difference = tuple[str, Any, Any]

_OF_TABLE: Final = ("table", "left_out", "counts", "findings", "fingerprint", "messages")
"""The parts of a plan that depend on the table, which changes from run to run in a scheduled job."""
_DERIVED: Final = ("table", "findings", "can_start_campaigns")
"""The parts that follow from the others, or depend on the time of day."""
_OF_TIME: Final = "campaign_events"

_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": le, ">=": ge, "<": lt, ">": gt,
}  # fmt: skip
_CONDITION: Final = re.compile(r"\s*([a-z_]+)\s*(<=|>=|<|>)\s*([\d_.,]+)\s*(%?)\s*")


def apply(
    path: Path | str,
    table: AnyTable | Sendable | Sequence[AnyTable],
    client: Client,
    *,
    known: WorkspacePeople | None = None,
    settings: Settings | None = None,
    approved_by: Sequence[str] = (),
    only_if: str | Sequence[str] = (),
    **options: Any,
) -> Run:
    """Send a saved plan as it was reviewed, or refuse with the difference.

    Args:
        path: The file that `plan.save` wrote.
        table: The table, or the plan that was saved; for a back-fill, its tables in order, or the back-fill. The
            plan itself is needed if its arguments have expressions, or its checks have rules of your own.
        client: Where to send. It must be the workspace that the plan was saved for.
        known: An export of the workspace's people, or a client that reads them now, as for `plan.identity`; the preview must be as reviewed.
        settings: As for `plan.identity`.
        approved_by: Public keys of people; one of them must have approved the plan with `cio.approve`.
        only_if: For scheduled jobs, whose table changes from run to run: conditions such as "rejected<1%",
            "creates<=500", "rows>1000" instead of the same rows. Mapping, repairs, checks and destination must
            still be as reviewed.
        options: As for `plan.send`: audit, progress, wait, repeat, in_doubt, durability, pii, allow.

    Raises:
        SavedPlanError: The file is not a plan, has expired, or lacks an approval.
        PlanChangedError: Something differs from what was reviewed, or a condition does not hold.
        PlanRefusedError: Findings forbid sending.
        AllowanceError: More than `allow` would happen.

    Examples:
        >>> import polars as pl, cio_frames as cio, tempfile
        >>> people = pl.DataFrame({"id": ["u1", "u2"]})
        >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
        ...     saved = people.cio.identify(user_id="id").save(f"{folder}/people.cioplan")
        ...     run = cio.apply(
        ...         f"{folder}/people.cioplan", people, workspace.client(),
        ...         audit=f"{folder}/audit", progress=False,
        ...     )
        ...     run.counts["delivered"]
        2
    """
    before = table.pipelines.origin if isinstance(table, Sendable) else NO_ORIGIN
    plan = reviewed(
        path,
        table,
        client,
        known=known,
        settings=settings,
        approved_by=approved_by,
        only_if=only_if,
    )
    try:
        return plan.send(client, **options)
    finally:  # a plan that was passed can be sent again, without the file
        plan.pipelines.set_origin(before)


def reviewed(
    path: Path | str,
    table: AnyTable | Sendable | Sequence[AnyTable],
    client: Client,
    *,
    known: WorkspacePeople | None = None,
    settings: Settings | None = None,
    approved_by: Sequence[str] = (),
    only_if: str | Sequence[str] = (),
) -> Sendable:
    """Return the plan of a file, ready to be sent, if it is as it was reviewed; arguments and errors as for `apply`."""
    saved = read_plan(path)
    plan = restored(path, saved, table)
    _require_current(path, saved, plan)
    key = require_approval(path, saved, approved_by=approved_by)
    plan.pipelines.workspace_people.clear()  # a client reads the workspace as it is now
    conditions = [only_if] if isinstance(only_if, str) else list(only_if)

    @cache
    def summary() -> Mapping[str, Any]:
        """Return the counts of the identity preview."""
        premise = premise_of(plan.pipelines, known, settings=settings, progress="auto")
        return identity_preview(plan.pipelines, premise).summary

    changes = [
        *differences(saved, plan.pipelines, client=client, same_table=not conditions),
        *(change for text in conditions for change in _unmet(text, plan.pipelines, summary)),
    ]
    if not conditions and saved.identity["is_compared"] == (known is not None):
        changes += _changed_preview(saved, summary())
    if changes:
        raise PlanChangedError(str(path), differences=changes)
    approved = f", approved by {key}" if key else ""
    note = f"This run applies the saved plan {Path(path).name} (sha256 {saved.digest}{approved})."
    plan.pipelines.set_origin(Origin(note, send_call="cio.apply(path, table, client, {})"))
    return plan


def restored(path: Path | str, saved: SavedPlan, table: Any) -> Sendable:
    """Return the plan of a file for a table, or the plan that was passed.

    Raises:
        SavedPlanError: The file does not have all of the arguments.
        MappingError: There are not as many tables as plans.
    """
    if isinstance(table, Sendable):
        return table
    several = isinstance(table, list | tuple) and not all(isinstance(row, Mapping) for row in table)
    tables = list(table) if several else [table]
    if len(tables) != len(saved.plans):
        raise MappingError(
            f"{path} has {len(saved.plans)} plans, but {len(tables)} tables were passed. Pass one table for each plan, in order."
        )
    plans = [
        _replayed(path, values, part) for values, part in zip(saved.plans, tables, strict=True)
    ]
    return plans[0] if len(plans) == 1 else Backfill(plans)


def _replayed(path: Path | str, values: Mapping[str, Any], table: Any) -> Plan:
    try:
        arguments, checks = arguments_of(values["arguments"]), checks_of(values["checks"])
    except NotRestorableError as error:
        raise SavedPlanError(
            str(path), problem=f"it was made with {error}, which a file cannot hold",
            hint="Make the plan again and pass it instead of the table: cio.apply(path, plan, client).",
        ) from None  # fmt: skip
    plan = make(
        read(table), arguments, call=values["call"], checks=checks, namespace=values["namespace"]
    )
    for code in values["repairs"]:
        plan = plan.fix(code)
    return plan


def _require_current(path: Path | str, saved: SavedPlan, plan: Sendable) -> None:
    now = plan.pipelines.all[0].clock()
    if saved.expires is not None and now > saved.expires:
        raise SavedPlanError(
            str(path), problem=f"it expired at {saved.expires:%Y-%m-%d %H:%M} UTC",
            hint="Save the plan again, and have it reviewed again.",
        )  # fmt: skip


def differences(
    saved: SavedPlan, pipelines: Pipelines, *, client: Client, same_table: bool = True
) -> Iterator[Difference]:
    """Yield what has changed since the review: its name, as reviewed, and now."""
    if saved.destination is not None:
        yield from _changed_parts("destination", saved.destination, destination_of(client))
    now = described(pipelines)
    if len(now) != len(saved.plans):
        yield "plans", len(saved.plans), len(now)
        return
    skipped = {*_DERIVED, *(() if same_table else _OF_TABLE)}
    for place, (saved_plan, current_plan) in enumerate(zip(saved.plans, now, strict=True)):
        name = saved_plan["call"] if len(now) == 1 else f"plan {place} ({saved_plan['call']})"
        for part in saved_plan.keys() - skipped:
            yield from _changed_parts(f"{name}: {part}", saved_plan[part], current_plan[part])
        reviewed_campaigns = saved_plan["can_start_campaigns"]
        if same_table and campaigns(pipelines.all[place]) > reviewed_campaigns:
            yield (
                f"{name}: messages that can start campaigns",
                reviewed_campaigns,
                campaigns(pipelines.all[place]),
            )


def _changed_preview(saved: SavedPlan, summary: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield what has changed in the identity preview."""
    for name in saved.identity.keys() - {"is_compared", _OF_TIME}:
        yield from _changed_parts(f"identity preview: {name}", saved.identity[name], summary[name])


def _changed_parts(name: str, reviewed: Any, now: Any) -> Iterator[Difference]:
    """Yield the smallest parts that differ."""
    if isinstance(reviewed, Mapping) and isinstance(now, Mapping):
        for key in [*reviewed, *(key for key in now if key not in reviewed)]:
            yield from _changed_parts(f"{name}: {key}", reviewed.get(key), now.get(key))
    elif isinstance(reviewed, list | tuple) and isinstance(now, list | tuple):
        if len(reviewed) != len(now):
            yield f"{name}: entries", len(reviewed), len(now)
        else:
            for place, (one, other) in enumerate(zip(reviewed, now, strict=True)):
                yield from _changed_parts(f"{name} {place}", one, other)
    elif reviewed != now:
        yield name, reviewed, now


def _unmet(
    text: str, pipelines: Pipelines, summary: Callable[[], Mapping[str, Any]]
) -> Iterator[Difference]:
    """Yield a condition that does not hold; `summary` returns the counts of the identity preview."""
    condition = _CONDITION.fullmatch(text)
    needed = needs(pipelines.checked()).counts  # the identity preview has the merges
    allowances = {name: needed.get(name, 0) for name in ("campaigns", "opt_outs", "deletions")}
    counts: dict[str, Any] = {**pipelines.counts, **allowances}
    if condition and condition[1] not in counts:
        counts = {**summary(), **counts}
    if condition is None or not isinstance(counts.get(condition[1]), int):
        names = ", ".join(name for name, value in counts.items() if isinstance(value, int))
        raise MappingError(
            f'only_if={text!r} is not a condition such as "rejected<1%" or "creates<=500". These can be compared: {names}.'
        )
    name, sign, limit, share = condition.groups()
    bound = float(limit.replace("_", "").replace(",", ""))
    value = counts[name] * 100 / max(counts["rows"], 1) if share else counts[name]
    if not _COMPARISONS[sign](value, bound):
        yield f"only_if {text}", f"{sign}{limit}{share}", f"{value:,.4g}{share}"
