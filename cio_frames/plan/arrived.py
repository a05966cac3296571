"""What has arrived of plans: their messages in the order of sending, and the workspace that these make."""

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
"""The state of rows that it may have."""
SHARED: Final = 100_000
"""So many different texts are looked out for, to keep each in memory once."""


class Arrived(NamedTuple):
    """One message that has arrived, or may have."""

    plan: int
    row: int
    state: str
    at: datetime  # when it was answered; of one that an earlier run delivered, when this run began
    message: dict[str, Any]  # with the call as `type`, and of a form with `formId`


def arrived(
    pipelines: Pipelines, record: pl.DataFrame | Audit, *, in_doubt: bool = False, every: int = 1
) -> Generator[Arrived]:
    """Yield the messages of plans that a record says have arrived, in the order in which they were sent.

    Args:
        pipelines: The plans that the run was made from.
        record: The rows of the run, as `Audit.messages` has them, or the record itself.
        in_doubt: Whether those in doubt are yielded too, in their places.
        every: Of the rows of each plan, those whose number is a multiple of it.
    """
    known = _record(record)
    states = [*ARRIVED, IN_DOUBT] if in_doubt else list(ARRIVED)
    first = known["first_attempt_at"].min() or pipelines.all[0].clock()
    found = known.filter(pl.col("state").is_in(states)).select(
        "plan", "row", "state", at=pl.coalesce("finished_at", "first_attempt_at", pl.lit(first))
    )
    repeats, components = Repeats(), pipelines.components
    for plan, pipeline in enumerate(pipelines.all):
        wanted = found.filter(pl.col("plan") == plan, pl.col("row") % every == 0).drop("plan")
        chunks = pipeline.encode_chunks(components=components, repeats=repeats)
        with closing(chunks):
            for chunk in chunks:
                yield from _of_chunk(chunk.messages, wanted, plan=plan, call=pipeline.call)


def workspace_after(
    pipelines: Pipelines,
    record: pl.DataFrame | Audit,
    *,
    known: pl.DataFrame | None = None,
    settings: Settings | None = None,
    model: Model | None = None,
    messages: Iterable[Arrived] | None = None,
    tell: Callable[[Model, Arrived, tuple[Change, ...]], object] | None = None,
) -> Model:
    """Return the workspace that the messages make which have arrived; those in doubt are left out.

    Args:
        pipelines: The plans that the run was made from.
        record: The rows of the run, as `Audit.messages` has them, or the record itself.
        known: The people who were there before, as `identity.known_people.export` gives them.
        settings: How the workspace is set up; a new one without.
        model: The workspace before, instead of `known` and `settings`. The messages are applied to it.
        messages: What `arrived` yields, if that is known already.
        tell: Is told the model, each message that was applied to it, and what that did. Messages in
            doubt are told too, in their places, without changes: they are not applied.

    Examples:
        >>> import polars as pl, cio_frames as cio, tempfile
        >>> plan = pl.DataFrame({"id": ["u1", "u2"], "plan": ["pro", "free"]}).cio.identify(user_id="id")
        >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
        ...     run = plan.send(workspace.client(), audit=folder, progress=False)
        ...     model = workspace_after(plan.pipelines, cio.audit(run.audit))
        >>> [(person["id"], person["attributes"]) for person in model.people()]
        [('u1', {'plan': 'pro'}), ('u2', {'plan': 'free'})]
    """
    mapped = [own_names(each.mapping) for each in pipelines.all]
    model = Model(settings) if model is None else model
    once = [_has_ids_once(each.mapping) for each in pipelines.all]
    texts: dict[str, str] = {}
    if messages is None:
        messages = arrived(pipelines, record, in_doubt=tell is not None)
    with gc_paused():
        if known is not None:
            model.load(export_rows(known))
        for each in messages:
            changes: tuple[Change, ...] = ()
            if each.state != IN_DOUBT:
                if once[each.plan]:  # it takes memory to look out for a second one
                    each.message.pop("messageId", None)
                _share(each.message.get("traits"), texts)
                form_id = each.message.get("formId")
                if form_id is not None and mapped[each.plan]:
                    form = model.store.forms.get(form_id, {"mapping": {}})
                    model.map_form(form_id, form["mapping"] | mapped[each.plan])
                changes = model.apply(each.message, received_at=each.at)
            if tell is not None:
                tell(model, each, changes)
    return model


def _share(body: Any, texts: dict[str, str]) -> None:
    """Have equal texts of messages be one in memory, unless there are too many of them."""
    if not isinstance(body, dict):
        return
    for name, value in body.items():
        if type(value) is str:
            body[name] = (
                texts.setdefault(value, value) if len(texts) < SHARED else texts.get(value, value)
            )


def _has_ids_once(mapping: MessageMapping) -> bool:
    """Return whether no two messages of a plan, or of it and others, have the same id."""
    own = any(field.role == "key" or field.argument == "message_id" for field in mapping.fields)
    return mapping.call.sets_state and not own


def require_same_plans(pipelines: Pipelines, info: RunInfo) -> None:
    """Raise unless a run was made from these plans.

    Raises:
        AuditError: It was not.
    """
    job = pipelines.job()
    mapping = msgspec.json.decode(msgspec.json.encode(job.mapping))  # as it is read back
    made_from = (tuple(zip(job.calls, job.rows, strict=True)), " ".join(job.fingerprints), mapping)
    if made_from != (info.plans, info.fingerprint, info.mapping):
        raise AuditError(
            f"Run {info.run_id} was not made from this plan: its table, its calls or its mapping are "
            "others. Pass the original plan."
        )


def _record(record: pl.DataFrame | Audit) -> pl.DataFrame:
    """Return the rows of one run.

    Raises:
        AuditError: They are of several runs.
    """
    found = record.messages if isinstance(record, Audit) else record
    runs = found["run_id"].unique().sort().to_list()
    if len(runs) > 1:
        raise AuditError(
            f"The record has {len(runs)} runs. Name one of them: cio.audit({runs[-1]!r}) in the "
            "directory of the records."
        )
    return found


def _of_chunk(
    messages: pl.DataFrame, wanted: pl.DataFrame, *, plan: int, call: str
) -> Generator[Arrived]:
    """Yield the messages of a chunk that are wanted, with state and time."""
    if messages.is_empty():
        return
    near = wanted.filter(pl.col("row").is_between(messages["row"].min(), messages["row"].max()))
    in_order = messages.select("row", "lane", "path", "message").sort("lane", maintain_order=True)
    found = in_order.drop("lane").join(near, on="row", maintain_order="left")
    start, _, end = CALLS[call].path.partition("{form_id}")
    for row, path, message, state, at in found.iter_rows():
        said = decode_message(message)
        said["type"] = call
        if end:
            said["formId"] = unquote(path.removeprefix(start).removesuffix(end))
        yield Arrived(plan, row, state, at, said)
