"""Send a saved plan: only if the table, the messages and the destination are as they were reviewed."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from cio_frames.plan.pipeline import Pipelines
from cio_frames.plan.plan import Backfill, Plan, Sendable
from cio_frames.plan.saved_plan import SavedPlan, campaigns, described, destination_of, read_plan
from cio_frames.plan.suggest import make
from cio_frames.plan.workspace_people import WorkspacePeople
from cio_frames.run import Run
from cio_frames.sending import Client

Difference = tuple[str, Any, Any]

_OF_DATA: Final = ("table", "left_out", "counts", "findings", "fingerprint", "messages")
"""What a plan says of its table, which is another one each night in a scheduled job."""
_TOLD: Final = ("table", "findings", "can_start_campaigns")
"""What follows from the rest, or depends on the time of day."""
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
        path: What `plan.save` wrote.
        table: The table, or the plan that was saved; of a back-fill the tables in their order, or the back-fill. The
            plan itself is needed where its arguments have expressions, or its checks rules of your own.
        client: Where to send. It must be the workspace that the plan was saved for.
        known: An export of the workspace's people, or a client that reads them now, as for `plan.identity`; the preview must come out as reviewed.
        settings: As for `plan.identity`.
        approved_by: Public keys of people; one of them must have approved the plan with `cio.approve`.
        only_if: For scheduled jobs, whose table is another one each time: conditions such as "rejected<1%",
            "creates<=500", "rows>1000" instead of the same rows. Mapping, repairs, checks and destination must
            still be as reviewed.
        options: As for `plan.send`: audit, progress, wait, repeat, in_doubt, durability, pii, allow.

    Raises:
        SavedPlanError: The file is no plan, has expired, or lacks an approval.
        PlanChangedError: Something differs from what was reviewed, or a condition does not hold.
        PlanRefusedError: Findings forbid sending.
        AllowanceError: More would happen than `allow` says.

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
    return reviewed(
        path,
        table,
        client,
        known=known,
        settings=settings,
        approved_by=approved_by,
        only_if=only_if,
    ).send(client, **options)


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
    """Return the plan of a file, ready to be sent, if everything is as it was reviewed; arguments and errors of `apply`."""
    saved = read_plan(path)
    plan = restored(path, saved, table)
    _require_current(path, saved, plan)
    key = require_approval(path, saved, approved_by=approved_by)
    plan.pipelines.workspace_people.clear()  # a client reads the workspace as it is now
    conditions = [only_if] if isinstance(only_if, str) else list(only_if)
    found = [
        *differences(saved, plan.pipelines, client=client, same_table=not conditions),
        *_of_people(saved, plan.pipelines, known, settings=settings, same_table=not conditions),
        *(fault for text in conditions for fault in _broken(text, plan.pipelines, known, settings)),
    ]
    if found:
        raise PlanChangedError(str(path), differences=found)
    approved = f", approved by {key}" if key else ""
    plan.pipelines.apply(
        f"This run applies the saved plan {Path(path).name} (sha256 {saved.digest}{approved})."
    )
    return plan


def restored(path: Path | str, saved: SavedPlan, table: Any) -> Sendable:
    """Return the plan of a file for a table, or the plan that was passed.

    Raises:
        SavedPlanError: The file does not tell all of its arguments.
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
        _replayed(path, values, each) for values, each in zip(saved.plans, tables, strict=True)
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
    """Yield what is not as it was reviewed: what it is, as reviewed, and now."""
    if saved.destination is not None:
        yield from _unlike("destination", saved.destination, destination_of(client))
    now = described(pipelines)
    if len(now) != len(saved.plans):
        yield "plans", len(saved.plans), len(now)
        return
    skipped = {*_TOLD, *(() if same_table else _OF_DATA)}
    for place, (reviewed, found) in enumerate(zip(saved.plans, now, strict=True)):
        name = reviewed["call"] if len(now) == 1 else f"plan {place} ({reviewed['call']})"
        for part in reviewed.keys() - skipped:
            yield from _unlike(f"{name}: {part}", reviewed[part], found[part])
        most = reviewed["can_start_campaigns"]
        if same_table and campaigns(pipelines.all[place]) > most:
            yield (
                f"{name}: messages that can start campaigns",
                most,
                campaigns(pipelines.all[place]),
            )


def _of_people(
    saved: SavedPlan,
    pipelines: Pipelines,
    known: WorkspacePeople | None,
    *,
    settings: Settings | None,
    same_table: bool,
) -> Iterator[Difference]:
    """Yield what the identity preview finds otherwise, if both were compared with an export, or none was."""
    if not same_table or saved.identity["is_compared"] != (known is not None):
        return
    found = identity_preview(
        pipelines, premise_of(pipelines, known, settings=settings, progress="auto")
    ).summary
    for name in saved.identity.keys() - {"is_compared", _OF_TIME}:
        yield from _unlike(f"identity preview: {name}", saved.identity[name], found[name])


def _unlike(name: str, reviewed: Any, now: Any) -> Iterator[Difference]:
    """Yield the smallest parts that differ."""
    if isinstance(reviewed, Mapping) and isinstance(now, Mapping):
        for key in [*reviewed, *(key for key in now if key not in reviewed)]:
            yield from _unlike(f"{name}: {key}", reviewed.get(key), now.get(key))
    elif isinstance(reviewed, list | tuple) and isinstance(now, list | tuple):
        if len(reviewed) != len(now):
            yield f"{name}: entries", len(reviewed), len(now)
        else:
            for place, (one, other) in enumerate(zip(reviewed, now, strict=True)):
                yield from _unlike(f"{name} {place}", one, other)
    elif reviewed != now:
        yield name, reviewed, now


def _of_allowances(pipelines: Pipelines) -> dict[str, int]:
    """Return what needs an allowance; merges are those of the identity preview."""
    counts = needs(pipelines.checked()).counts
    return {name: counts.get(name, 0) for name in ("campaigns", "opt_outs", "deletions")}


def _broken(
    text: str, pipelines: Pipelines, known: WorkspacePeople | None, settings: Settings | None
) -> Iterator[Difference]:
    """Yield a condition that does not hold."""
    parsed = _CONDITION.fullmatch(text)
    counts: dict[str, Any] = {**pipelines.counts, **_of_allowances(pipelines)}
    if parsed and parsed[1] not in counts:
        found = identity_preview(
            pipelines, premise_of(pipelines, known, settings=settings, progress="auto")
        )
        counts = {**found.summary, **counts}
    if parsed is None or not isinstance(counts.get(parsed[1]), int):
        names = ", ".join(name for name, value in counts.items() if isinstance(value, int))
        raise MappingError(
            f'only_if={text!r} is not a condition such as "rejected<1%" or "creates<=500". These can be compared: {names}.'
        )
    name, sign, limit, share = parsed.groups()
    bound = float(limit.replace("_", "").replace(",", ""))
    value = counts[name] * 100 / max(counts["rows"], 1) if share else counts[name]
    if not _COMPARISONS[sign](value, bound):
        yield f"only_if {text}", f"{sign}{limit}{share}", f"{value:,.4g}{share}"
