"""The messages of plans that have arrived, in the order of sending, and the workspace that they make."""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import msgspec
import polars as pl

from cio_frames.audit import Audit
from cio_frames.audit.run_file import RunInfo
from cio_frames.errors import AuditError
from cio_frames.identity import Change, Model, Settings
from cio_frames.identity.known_people import export_rows
from cio_frames.identity.messages import decode_message
from cio_frames.identity.model import gc_paused
from cio_frames.mapping import MessageMapping, own_names
from cio_frames.plan.chunks import Repeats
from cio_frames.plan.pipeline import Pipelines
from cio_frames.sending.events import ARRIVED
from cio_frames.spec import CALLS

IN_DOUBT: Final = "in_doubt"
"""The state of rows that may have arrived."""
MAX_TEXTS: Final = 100_000
"""The most different texts of which equal ones share one object in memory."""


class Arrived(NamedTuple):
    """One message that has arrived, or may have."""

    plan: int
    row: int
    state: str
    at: datetime  # when it was answered; if an earlier run delivered it, when this run began
    message: dict[str, Any]  # with the call as `type`; with `formId` if it is of a form


def arrived(
    pipelines: Pipelines, record: pl.DataFrame | Audit, *, in_doubt: bool = False, every: int = 1
) -> Generator[Arrived]:
    """Yield the messages of plans that have arrived according to a record, in the order of sending.

    With `in_doubt`, those in doubt are included. Only rows whose number is a multiple of `every` are.
    """
    rows = _rows_of_run(record)
    states = [*ARRIVED, IN_DOUBT] if in_doubt else list(ARRIVED)
    first = rows["first_attempt_at"].min() or pipelines.all[0].clock()
    rows = rows.filter(pl.col("state").is_in(states)).select(
        "plan", "row", "state", at=pl.coalesce("finished_at", "first_attempt_at", pl.lit(first))
    )
    repeats, components = Repeats(), pipelines.components
    for plan, pipeline in enumerate(pipelines.all):
        wanted = rows.filter(pl.col("plan") == plan, pl.col("row") % every == 0).drop("plan")
        chunks = pipeline.encode_chunks(components=components, repeats=repeats)
        with closing(chunks):
            for chunk in chunks:
                yield from _of_chunk(chunk.messages, wanted, plan=plan, call=pipeline.call)


def workspace_after(
    pipelines: Pipelines,
    record: pl.DataFrame | Audit,
    *,
    before: pl.DataFrame | None = None,
    settings: Settings | None = None,
    model: Model | None = None,
    messages: Iterable[Arrived] | None = None,
    listener: Callable[[Model, Arrived, tuple[Change, ...]], object] | None = None,
) -> Model:
    """Return the workspace that the messages which have arrived make; those in doubt are skipped.

    `before` has the people before the run, as `identity.known_people.normalize_export` returns them;
    instead, `model` can be the workspace before the run, which messages change. `messages` is the result
    of `arrived`, if there is one already. `listener` is called with the model, each message and its
    changes; messages in doubt are passed too, in their places, without changes.

    Examples:
        >>> import polars as pl, cio_frames as cio, tempfile
        >>> plan = pl.DataFrame({"id": ["u1", "u2"], "plan": ["pro", "free"]}).cio.identify(user_id="id")
        >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
        ...     run = plan.send(workspace.client(), audit=folder, progress=False)
        ...     model = workspace_after(plan.pipelines, cio.audit(run.audit))
        >>> [(person["id"], person["attributes"]) for person in model.people()]
        [('u1', {'plan': 'pro'}), ('u2', {'plan': 'free'})]
    """
    mapped = [own_names(pipeline.mapping) for pipeline in pipelines.all]
    model = Model(settings) if model is None else model
    once = [_has_ids_once(pipeline.mapping) for pipeline in pipelines.all]
    texts: dict[str, str] = {}
    if messages is None:
        messages = arrived(pipelines, record, in_doubt=listener is not None)
    with gc_paused():
        if before is not None:
            model.load(export_rows(before))
        for item in messages:
            changes: tuple[Change, ...] = ()
            if item.state != IN_DOUBT:
                if once[item.plan]:  # remembering ids to find repeats takes memory
                    item.message.pop("messageId", None)
                _share(item.message.get("traits"), texts)
                form_id = item.message.get("formId")
                if form_id is not None and mapped[item.plan]:
                    form = model.store.forms.get(form_id, {"mapping": {}})
                    model.map_form(form_id, form["mapping"] | mapped[item.plan])
                changes = model.apply(item.message, received_at=item.at)
            if listener is not None:
                listener(model, item, changes)
    return model


def _share(body: Any, texts: dict[str, str]) -> None:
    """Let equal texts of messages share one object in memory, unless there are too many of them."""
    if not isinstance(body, dict):
        return
    for name, value in body.items():
        if type(value) is str:
            body[name] = (
                texts.setdefault(value, value)
                if len(texts) < MAX_TEXTS
                else texts.get(value, value)
            )


def _has_ids_once(mapping: MessageMapping) -> bool:
    """Return whether no two messages of a plan, or of this plan and others, can have the same id."""
    own = any(field.role == "key" or field.argument == "message_id" for field in mapping.fields)
    return mapping.call.sets_state and not own


def require_same_plans(pipelines: Pipelines, info: RunInfo) -> None:
    """Raise unless a run was made from these plans.

    Raises:
        AuditError: The run was made from other plans.
    """
    job = pipelines.job()
    mapping = msgspec.json.decode(msgspec.json.encode(job.mapping))  # as it is read back
    made_from = (tuple(zip(job.calls, job.rows, strict=True)), " ".join(job.fingerprints), mapping)
    if made_from != (info.plans, info.fingerprint, info.mapping):
        raise AuditError(
            f"Run {info.run_id} was not made from this plan: its table, its calls or its mapping are "
            "others. Pass the original plan."
        )


def _rows_of_run(record: pl.DataFrame | Audit) -> pl.DataFrame:
    """Return the rows of a record of one run.

    Raises:
        AuditError: The record has several runs.
    """
    rows = record.messages if isinstance(record, Audit) else record
    runs = rows["run_id"].unique().sort().to_list()
    if len(runs) > 1:
        raise AuditError(
            f"The record has {len(runs)} runs. Name one of them: cio.audit({runs[-1]!r}) in the "
            "directory of the records."
        )
    return rows


def _of_chunk(
    messages: pl.DataFrame, wanted: pl.DataFrame, *, plan: int, call: str
) -> Generator[Arrived]:
    """Yield the wanted messages of a chunk, with state and time."""
    if messages.is_empty():
        return
    near = wanted.filter(pl.col("row").is_between(messages["row"].min(), messages["row"].max()))
    in_order = messages.select("row", "lane", "path", "message").sort("lane", maintain_order=True)
    with_states = in_order.drop("lane").join(near, on="row", maintain_order="left")
    start, _, end = CALLS[call].path.partition("{form_id}")
    for row, path, message, state, at in with_states.iter_rows():
        body = decode_message(message)
        body["type"] = call
        if end:
            body["formId"] = unquote(path.removeprefix(start).removesuffix(end))
        yield Arrived(plan, row, state, at, body)
