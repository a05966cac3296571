"""Undo: a back-fill that restores a workspace to what it was before a run, and what it cannot undo."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from cio_frames.audit import Audit, require_run, run_file
from cio_frames.audit.object_store import file_system_at
from cio_frames.checks import Checks
from cio_frames.errors import MappingError, engine_errors
from cio_frames.frames import AnyTable, read, scan
from cio_frames.identity import Model, Settings
from cio_frames.identity.differences import pairs
from cio_frames.identity.known_people import TEXTS, export_rows, normalize_export
from cio_frames.identity.messages import decode_message
from cio_frames.identity.model import gc_paused
from cio_frames.identity.opt_outs import opt_outs_in
from cio_frames.identity.undo_steps import (
    Former,
    Remaining,
    Steps,
    remaining_differences,
    steps_back,
)
from cio_frames.plan.arrived import IN_DOUBT, arrived, require_same_plans, workspace_after
from cio_frames.plan.people_before import among, kept_people, named_people
from cio_frames.plan.pipeline import Origin, Pipeline, Pipelines
from cio_frames.plan.undo_effects import NOT_UNDONE, Effects
from cio_frames.plan.undo_tables import EVENTS, UndoTable, tables, write_tables
from cio_frames.plan.workspace_people import WorkspacePeople, people_table
from cio_frames.run.undo import Undo
from cio_frames.sending import Client
from cio_frames.sending.events import ARRIVED

if TYPE_CHECKING:
    from cio_frames.plan.saved_plan import SavedPlan

BackfillOf = Callable[[Pipelines], Any]
"""Makes a back-fill of pipelines."""

PLAN_FILE: Final = "undo.cioplan"

MAIL_REFUSED: Final = "The person had opted out: mail sent before the undo stays sent."
INTENDED: Final = ("id.cio", "column.empty")
"""Findings about what an undo does on purpose: naming people by cio_id, and clearing whole columns."""
_NAMES: Final = frozenset({*TEXTS, "anonymous_ids"})


@engine_errors("the undo was planned")
def undo(
    pipelines: Pipelines,
    directory: Path,
    known: AnyTable | None = None,
    *,
    backfill_of: BackfillOf,
    objects: AnyTable | None = None,
    relationships: AnyTable | None = None,
    current: WorkspacePeople | None = None,
    settings: Settings | None = None,
    checks: Checks | None = None,
) -> Undo[Any]:
    """Return the undo of the run of a directory."""
    record = _record(directory, pipelines)
    everyone = _people(known, directory)
    people = _involved(everyone, pipelines, relationships)
    before, after = (_load(people, objects, relationships, settings=settings) for _ in range(2))
    former = Former(
        model=before,
        exported_cio_ids=frozenset(everyone["cio_id"].drop_nulls()),
        exported_attributes=_attribute_names(people),
        has_text_values="attributes" not in people.columns,
        has_objects=objects is not None,
        has_relationships=relationships is not None,
    )
    effects = Effects(former, after)
    with gc_paused():
        messages = arrived(pipelines, record.rows)
        workspace_after(pipelines, record.rows, model=after, messages=messages, listener=effects)
        if current is not None:
            from cio_frames.plan.undo_current import with_current

            former = with_current(former, after, current, started=record.info.created)
        planner = _Planner(
            pipelines, record, former, after, backfill_of=backfill_of,
            checks=checks or _checks(pipelines), effects=effects,
        )  # fmt: skip
        return planner.undo(is_compared=current is not None, is_kept=known is None)


@dataclass(frozen=True, slots=True)
class _Planner:
    """Makes an undo."""

    pipelines: Pipelines
    record: "_Record"
    former: Former
    after: Model  # the workspace after the run; the undo is applied to it as well
    _: KW_ONLY
    backfill_of: BackfillOf
    checks: Checks
    effects: Effects

    def undo(self, *, is_compared: bool, is_kept: bool) -> Undo[Any]:
        run_id, clock = self.record.info.run_id, self.pipelines.all[0].clock
        steps = steps_back(self.former, self.after)
        opt_outs = list(_ended_opt_outs(self.former, self.after))
        undo_tables = tables(steps, run_id=run_id)
        backfill_from = partial(
            _backfill, undo_tables, backfill_of=self.backfill_of, clock=clock, run_id=run_id,
            checks=replace(
                self.checks, allow=(*self.checks.allow, *EVENTS), ignore=(*self.checks.ignore, *INTENDED)
            ),
        )  # fmt: skip
        plan = backfill_from() if undo_tables else None
        undone_at = _apply(plan, self.after, since=self.record.ended)
        differences = remaining_differences(self.former, self.after, steps, now=undone_at)
        not_undone = self._not_undone([*differences, *opt_outs], steps)
        return Undo(
            run_id=run_id,
            not_undone=not_undone,
            summary=_summary(steps, not_undone),
            notes=tuple(
                _notes(
                    steps, is_compared=is_compared, is_kept=is_kept, in_doubt=self.record.in_doubt
                )
            ),
            plans=len(undo_tables),
            rows=sum(table.frame.height for table in undo_tables),
            _plan=plan,
            _save=partial(_save, undo_tables, backfill_from) if undo_tables else None,
        )

    def _not_undone(self, remaining: Iterable[Remaining], steps: Steps) -> pl.DataFrame:
        """Return what is not undone, row by row."""
        names = [_written_attributes(pipeline) for pipeline in self.pipelines.all]
        parts = [
            self.effects.lasting(deleted=steps.gone),
            _by_row(remaining, self.effects.rows(), names=names),
        ]
        return pl.concat(parts).unique(maintain_order=True).sort("plan", "row", nulls_last=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """The record of a run, as far as an undo needs it."""

    info: run_file.RunInfo
    rows: pl.DataFrame  # that have arrived, or may have
    in_doubt: int  # how many of them are in doubt

    @property
    def ended(self) -> datetime:
        """The time of the last response."""
        last: datetime | None = self.rows["finished_at"].max()  # type: ignore[assignment]
        return last or self.info.created


def _record(directory: Path, pipelines: Pipelines) -> _Record:
    """Return the record of a run that was made from these plans.

    Rows in doubt count as arrived: restoring what was not changed does no harm.

    Raises:
        AuditError: The run was made from other plans.
    """
    require_run(directory)
    disk, where = file_system_at(directory)
    info = run_file.read(disk, where).info
    require_same_plans(pipelines, info)
    rows = Audit(where).messages.filter(pl.col("state").is_in([*ARRIVED, IN_DOUBT]))
    rows = rows.filter(pl.col("state") != "skipped_done")  # an earlier run has sent these
    is_in_doubt = pl.col("state") == IN_DOUBT
    state = pl.when(is_in_doubt).then(pl.lit(ARRIVED[0])).otherwise("state")
    return _Record(
        info=info, rows=rows.with_columns(state=state), in_doubt=rows.filter(is_in_doubt).height
    )


def _people(known: AnyTable | None, directory: Path) -> pl.DataFrame:
    """Return the people before the run, with their attributes."""
    if isinstance(known, Client):
        raise MappingError(
            "known= needs the people as they were before the run, and a client reads them as they are "
            "now. Pass an export from before, or send with keep_undo=True the next time; "
            "current=client shows what was changed since."
        )
    if known is None:
        return normalize_export(kept_people(directory), attributes=True)
    return normalize_export(people_table(known), attributes=True)


def _involved(
    people: pl.DataFrame, pipelines: Pipelines, relationships: AnyTable | None
) -> pl.DataFrame:
    """Return the people that messages name, and those with relationships, which go with an object."""
    identifiers = [named_people(pipelines)]
    if relationships is not None:
        related = read(relationships).lazy.collect()
        kinds = {"person": "cio_id", "id": "id", "email": "email"}
        identifiers += [
            related.select(kind=pl.lit(kind), value=pl.col(name).cast(pl.String)).drop_nulls()
            for name, kind in kinds.items()
            if name in related.columns
        ]
    lower = pl.col("value").str.to_lowercase()
    normalized = pl.when(pl.col("kind") == "email").then(lower).otherwise("value")
    return among(people, pl.concat(identifiers).with_columns(value=normalized))


def _attribute_names(people: pl.DataFrame) -> frozenset[str] | None:
    """Return the names of the attributes that an export has, None for all."""
    if "attributes" in people.columns:
        return None
    return frozenset(people.columns) - _NAMES


def _load(
    people: pl.DataFrame,
    objects: AnyTable | None,
    relationships: AnyTable | None,
    *,
    settings: Settings | None,
) -> Model:
    model = Model(settings)
    model.load(_without_identifiers(people))
    model.load_objects(_lines(objects), _lines(relationships))
    return model


def _without_identifiers(people: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of an export, without identifiers among the attributes."""
    for row in export_rows(people):
        attributes = row.get("attributes")
        if attributes and not attributes.keys().isdisjoint(_NAMES):
            others = {name: value for name, value in attributes.items() if name not in _NAMES}
            row["attributes"] = others
        yield row


def _lines(table: AnyTable | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table of objects or relationships, with decoded attributes."""
    if table is None:
        return
    for row in read(table).lazy.collect().iter_rows(named=True):
        attributes = row.get("attributes")
        if isinstance(attributes, str):
            row["attributes"] = msgspec.json.decode(attributes)
        yield row


def _checks(pipelines: Pipelines) -> Checks:
    """Return the checks of an undo: sensitive columns that the run was allowed to send are allowed."""
    allowed = {
        name: reason
        for pipeline in pipelines.all
        for name, reason in pipeline.checks.allow_sensitive.items()
    }
    return Checks(allow_sensitive=allowed)


def _save(
    undo_tables: Sequence[UndoTable],
    backfill_from: Callable[..., Any],
    directory: Path,
    **options: Any,
) -> "SavedPlan":
    """Write the tables of an undo, and a saved plan for these files."""
    saved: SavedPlan = backfill_from(files=write_tables(undo_tables, directory)).save(
        directory / PLAN_FILE, **options
    )
    return saved


def _backfill(
    undo_tables: Sequence[UndoTable],
    *,
    backfill_of: BackfillOf,
    checks: Checks,
    clock: Callable[[], datetime],
    run_id: str,
    files: Iterable[Path] = (),
) -> Any:
    """Return the back-fill of tables, or of files with the same content."""
    frames: list[Any] = [scan(path) for path in files] or [table.frame for table in undo_tables]
    pipelines = tuple(
        table.pipeline(checks=checks, frame=frame, clock=clock)
        for table, frame in zip(undo_tables, frames, strict=True)
    )
    plan = backfill_of(Pipelines(pipelines))
    note = f"This run undoes run {run_id}."
    plan.pipelines.set_origin(Origin(note, send_call="undo.plan.send(client, {})"))
    return plan


def _apply(plan: Any, model: Model, *, since: datetime) -> float:
    """Apply the messages of a back-fill to a workspace; return the time at which they were applied."""
    if plan is None:
        return since.timestamp()
    pipelines: Pipelines = plan.pipelines
    now = max(pipelines.all[0].clock(), since)
    for place, pipeline in enumerate(pipelines.all):
        with closing(pipeline.encode_chunks(components=pipelines.components)) as chunks:
            parts = (chunk.messages.sort("lane", maintain_order=True) for chunk in chunks)
            for message in chain.from_iterable(part["message"] for part in parts):
                model.apply(
                    decode_message(message) | {"type": pipelines.calls[place]}, received_at=now
                )
    return now.timestamp()


def _ended_opt_outs(former: Former, model: Model) -> Iterator[Remaining]:
    """Yield the people whose opt-out from mail the run has ended."""
    for before, after in pairs(former.model, model):
        if before is not None and after is not None:
            ended = opt_outs_in(before.attributes) - opt_outs_in(after.attributes)
            if ended:
                name = ", ".join(sorted(ended))
                yield Remaining("mail", before.cio_id, None, before.label, name, MAIL_REFUSED)


def _written_attributes(pipeline: Pipeline) -> frozenset[str]:
    """Return the names of the attributes that messages of a plan write."""
    body = pipeline.mapping.call.body
    paths = [field.path[1:] for field in pipeline.mapping.fields if field.path[:1] == (body,)]
    return frozenset(name for path in paths if path for name in (path[0], ".".join(path)))


def _by_row(
    remaining: Iterable[Remaining], touched: pl.DataFrame, *, names: list[frozenset[str]]
) -> pl.DataFrame:
    """Return what is not undone, one line for each row that caused it."""
    lines = [
        (*item[:2], None if item.key is None else str(item.key), *item[3:],
         [place for place, written in enumerate(names) if item.name in written])
        for item in remaining
    ]  # fmt: skip
    texts = dict.fromkeys(("what", "person", "object", "who", "name", "why"), pl.String())
    schema = pl.Schema({**texts, "plans": pl.List(pl.Int32)})
    items = pl.DataFrame(lines, schema=schema, orient="row").with_row_index("number")
    keys = {"person": ["person"], "object": ["object"], "both": ["person", "object"]}
    has_both = pl.col("person").is_not_null() & pl.col("object").is_not_null()
    of_person = pl.when(pl.col("person").is_not_null()).then(pl.lit("person"))
    kind = pl.when(has_both).then(pl.lit("both")).otherwise(of_person.otherwise(pl.lit("object")))
    matched = pl.concat([
        items.filter(kind == name).join(touched.select("plan", "row", *on).unique(), on=on)
        for name, on in keys.items()
    ])  # fmt: skip
    writes = (pl.col("plans").list.len() == 0) | pl.col("plans").list.contains(pl.col("plan"))
    matched = matched.filter(writes)
    unmatched = items.filter(~pl.col("number").is_in(matched["number"].implode()))
    all_items = pl.concat([matched, unmatched], how="diagonal")
    return all_items.select(NOT_UNDONE.names()).cast(NOT_UNDONE)


def _summary(steps: Steps, not_undone: pl.DataFrame) -> dict[str, int]:
    restored = [values for _, values in (*steps.attributes, *steps.people)]
    values = [value for changes in restored for value in changes.values()]
    return {
        "attributes_restored": sum(value is not None for value in values),
        "attributes_cleared": sum(value is None for value in values),
        "people_changed": len(steps.attributes),
        "people_deleted": len(steps.deleted),
        "people_created_again": len(steps.people),
        "identifiers_restored": sum(len(values) for _, values in steps.identifiers),
        "objects_deleted": len(steps.deleted_objects),
        "objects_restored": len(steps.objects),
        "relationships_removed": len(steps.unrelated),
        "relationships_restored": len(steps.relationships),
        "rows_not_undone": not_undone.select("plan", "row").drop_nulls().n_unique(),
    }


def _notes(steps: Steps, *, is_compared: bool, is_kept: bool, in_doubt: int) -> Iterator[str]:
    """Yield what to know before the undo is sent, in sentences."""
    if steps.deleted and not is_kept:
        yield (
            "People who are not in `known` are deleted. Make sure that it has all people of the "
            "workspace, and not only some of them."
        )
    if not is_compared and (steps.attributes or steps.objects):
        yield (
            "Changes that others have made since the run are overwritten. Pass current=client, or a "
            "new export, to keep them."
        )
    if in_doubt:
        yield "Rows in doubt are undone as if they had arrived, which does no harm if they have not."
    yield "Messages that campaigns have sent because of the run stay sent."
