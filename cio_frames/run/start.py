"""Start a run or resume one; what earlier runs finished is not sent again.

Messages in doubt were sent without a clear answer. A repeat is harmless as long as Customer.io
remembers the message id. No source says for how long (reference 3.7); a day is what other services
of the kind promise at least.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import sleep
from types import MappingProxyType
from typing import Any, Literal, get_args

import polars as pl

from cio_frames.audit import (
    Audit,
    AuditWriter,
    EarlierRuns,
    Recovery,
    RunInfo,
    earlier_runs,
    new_run_id,
    pseudonyms,
    recover,
    require_run,
    run_file,
)
from cio_frames.audit.file_system import Durability, FileSystem
from cio_frames.audit.object_store import file_system_at
from cio_frames.audit.pseudonyms import Pii
from cio_frames.audit.run_file import Layout
from cio_frames.audit.subjects import scheme
from cio_frames.checks import profile_file
from cio_frames.clock import utc_now
from cio_frames.errors import AuditError, AuditLockedError, ChoiceError
from cio_frames.payloads import RUN_ALGORITHM
from cio_frames.run.job import FINISHED_SCHEMA, Job, RowSelection
from cio_frames.run.run import Run
from cio_frames.run.state_rows import Recorded
from cio_frames.sending import BLOCKING_CALLS, BlockingRow, Client
from cio_frames.spec import CALLS
from cio_frames.values import many
from cio_frames.views import displays
from cio_frames.views.displays import ShowProgress

InDoubt = Literal["resend", "skip", "report"]
"""What to do with messages in doubt: send them again, count them as arrived, or leave them in doubt."""

SPARK = "spark"
"""The key in the decisions of a run of how Spark divided its work."""

POLL_S = 0.05
"""How often a start checks whether another one has ended."""

REMEMBERED = timedelta(hours=24)

AUTOMATIC: Mapping[str, timedelta] = MappingProxyType(
    {
        "track": REMEMBERED,
        "page": REMEMBERED,
        "screen": REMEMBERED,
        "identify": REMEMBERED,
        "group": REMEMBERED,
        "alias": REMEMBERED,
        "form": timedelta(0),
    }
)
"""How long after its first attempt a message is sent again without asking. A form submission has
no id: a repeat is a second submission, and starts campaigns again (reference 5)."""

STATE_CALLS = ("identify", "group")
"""Calls that set attributes: repeated, they replace what was written since (reference 3.7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """How a run is sent, shown and recorded: what `Plan.send` takes besides the client.

    Raises:
        ChoiceError: The value of an option is not one of its choices.
    """

    audit: Path | str = "audit"
    progress: ShowProgress = "auto"
    wait: bool = True
    repeat: bool = False
    in_doubt: InDoubt | None = None  # None: by the call and the age of the message
    durability: Durability = "power"
    pii: Pii = "hmac"
    allow: Mapping[str, int] | None = None  # None: nothing in Customer.io, all on this machine
    keep_undo: bool = False

    def __post_init__(self) -> None:
        displays.require(self.progress)
        if self.in_doubt is not None:
            ChoiceError.require("in_doubt", self.in_doubt, get_args(InDoubt))
        ChoiceError.require("durability", self.durability, get_args(Durability))
        ChoiceError.require("pii", self.pii, get_args(Pii))


@contextmanager
def starting(job: Job, *, client: Client, directory: Path | str) -> Iterator[None]:
    """Lock a directory of records while a run starts, so that each run knows what others send.

    Raises:
        AuditLockedError: Another run is sending one of the same tables to the same workspace.
    """
    disk, where = file_system_at(directory, durability="process")
    with suppress(OSError):  # if it cannot be made, the record of the run says so
        disk.make(where, shared=True)
    lock = _lock(disk, where / "STARTING")
    try:
        _require_no_other_run(job, client=client, disk=disk, directory=where)
        yield
    finally:
        if lock is not None:
            disk.unlock(lock)


def _lock(disk: FileSystem, path: Path) -> int | None:
    """Return the lock of `path` as soon as it is free."""
    while True:
        try:
            return disk.lock(path)
        except AuditLockedError:
            sleep(POLL_S)
        except OSError:
            return None


def _require_no_other_run(job: Job, *, client: Client, disk: FileSystem, directory: Path) -> None:
    """Raise if another run is sending one of these tables."""
    for name in disk.listdir(directory):
        layout = Layout(directory / name)
        if not disk.is_locked(layout.lock):
            continue
        info = run_file.read(disk, layout.directory).info
        tables = {*(info.fingerprint or "").split()} & {*job.fingerprints}
        if tables and info.workspaces.items() & client.workspaces.items():
            raise AuditLockedError(
                f"Run {info.run_id} in {directory} is sending the same table to the same workspace. "
                "Wait until it has ended, or stop it. Then send again; what has arrived is skipped."
            )


def select_rows(job: Job, client: Client, options: SendOptions, *, now: datetime) -> RowSelection:
    """Return which rows a new run sends: those that no earlier run has finished."""
    key, scheme = _subject_key(options.pii)
    before = earlier_runs(options.audit, workspaces=client.workspaces, scheme=scheme)
    if before is None:
        return RowSelection()
    add_states = partial(with_kept_states, now=now, wanted=options.in_doubt)
    decided = _decided(
        job, before, add_states=add_states, pii=options.pii, key=key, repeat=options.repeat
    )
    rows = before.rows
    in_doubt_before = in_doubt(rows, algorithms=before.algorithms)
    if options.repeat:
        return RowSelection(decided=decided, in_doubt=in_doubt_before, key=before.key)
    rows = add_states(rows)
    finished = rows.drop("state").rename({"kept_state": "state"}).drop_nulls("state")
    resent = rows.filter(pl.col("kept_state").is_null())
    return RowSelection(
        finished=finished.select(FINISHED_SCHEMA.names()),
        decided=decided,
        resent=_state_ids(resent),
        in_doubt=in_doubt_before,
        key=before.key,
    )


def in_doubt(rows: pl.DataFrame, *, algorithms: Mapping[str, str]) -> pl.DataFrame:
    """Return the messages in doubt, and the seeds of the ids under which they were sent first.

    A repeat under the same id is ignored if the first one arrived.
    """
    seeded = [run for run, algorithm in algorithms.items() if algorithm == RUN_ALGORITHM]
    seed = pl.when(pl.col("run_id").is_in(seeded)).then("run_id").alias("seed")
    return rows.filter(pl.col("state") == "in_doubt").select("message_id", seed)


def _subject_key(pii: Pii) -> tuple[str | None, str]:
    """Return the key of subjects, and the name of the scheme by which they are made."""
    key = pseudonyms.key() if pii == "hmac" else None
    return key, scheme(pii=pii, key_name=pseudonyms.fingerprint(key) if key else None)


def _decided(
    job: Job,
    before: EarlierRuns,
    *,
    add_states: Callable[[pl.DataFrame], pl.DataFrame],
    pii: Pii,
    key: str | None,
    repeat: bool = False,
    resumed: pl.DataFrame | None = None,
) -> pl.DataFrame | None:
    """Return the decisions about rows that set a state and were sent before; None without such rows."""
    states = before.states
    sent = {*states["call"]} & {*job.calls}
    if not any(call == "track" or CALLS[call].sets_state for call in sent):
        return None
    recorded = Recorded(
        states=states,
        events=before.events,
        pii=pii,
        key=key,
        id_key=before.key,
        add_states=add_states,
    )
    return recorded.decided(job.state_messages, repeat=repeat, resumed=resumed)


def with_kept_states(rows: pl.DataFrame, *, now: datetime, wanted: InDoubt | None) -> pl.DataFrame:
    """Return recorded rows with `kept_state`, the state of messages that are not sent again."""
    doubtful = pl.col("state") == "in_doubt"
    resent = pl.lit(is_resent(rows, now=now, wanted=wanted)) & doubtful
    return rows.with_columns(
        kept_state=pl.when(pl.col("state") == "delivered")
        .then(pl.lit("skipped_done"))
        .when(doubtful & ~resent)
        .then(pl.lit("skipped_done" if wanted == "skip" else "in_doubt"))
    )


def is_resent(rows: pl.DataFrame, *, now: datetime, wanted: InDoubt | None) -> pl.Series:
    """Return whether each row in doubt is sent again, from call and first_attempt_at."""
    if wanted is not None:
        return pl.repeat(wanted == "resend", rows.height, dtype=pl.Boolean, eager=True)
    window = pl.col("call").replace_strict(dict(AUTOMATIC), return_dtype=pl.Duration("ms"))
    # A clock that went back makes an age negative; how far it is off counts like an age.
    age = (pl.lit(now) - pl.col("first_attempt_at")).abs()
    return rows.select((age < window).fill_null(value=False)).to_series()


def _state_ids(resent: pl.DataFrame) -> pl.Series:
    """Return the ids of messages whose repeat can replace newer attributes."""
    return resent.filter(pl.col("call").is_in(STATE_CALLS))["message_id"]


def new_info(client: Client, *, at: datetime, **about: Any) -> RunInfo:
    """Return the description of a new run to the workspace of a client.

    `about` are other fields of `RunInfo`.
    """
    return RunInfo(
        run_id=new_run_id(at),
        created=at,
        region=client.region,
        endpoint=client.endpoint,
        strict=client.strict,
        workspaces=client.workspaces,
        id_algorithm=RUN_ALGORITHM,
        **about,
    )


def with_allowances(
    decisions: Mapping[str, Any], allow: Mapping[str, int] | None
) -> dict[str, Any]:
    """Return the decisions of a run with its allowances."""
    return {**decisions, **({"allow": dict(allow)} if allow else {})}


def new_run(
    job: Job,
    *,
    client: Client,
    options: SendOptions,
    selection: RowSelection,
    clock: Callable[[], datetime] = utc_now,
) -> Run:
    """Return a new run that has not started yet; its record has."""
    info = new_info(
        client,
        at=clock(),
        namespace=job.namespace,
        repeat=options.repeat,
        limits=job.limits,
        mapping=job.mapping,
        decisions=with_allowances(job.decisions, options.allow),
        fingerprint=" ".join(job.fingerprints),
        rows=sum(job.rows),
        plans=tuple(zip(job.calls, job.rows, strict=True)),
        pii=options.pii,
    )
    selection = replace(selection, seed=info.run_id)
    sealed = b""
    if job.former_people is not None:
        from cio_frames.audit import former_people

        sealed = former_people.encrypt(job.former_people, run_id=info.run_id, key=pseudonyms.key())
        info = replace(info, former_people=sha256(sealed).hexdigest())
    writer = AuditWriter.start(
        options.audit,
        info,
        durability=options.durability,
        notes=job.notes,
        profile=profile_file(job.profiles, run_id=info.run_id, has_ranges=info.pii != "ids")
        if job.profiles
        else None,
    )
    if sealed:
        writer.keep(former_people.NAME, sealed)
    return Run(
        job, client=client, writer=writer, selection=selection, clock=clock,
        progress=options.progress, detached=not options.wait,
    )  # fmt: skip


def resumed_run(
    job: Job,
    *,
    client: Client,
    directory: Path | str,
    options: SendOptions,
    clock: Callable[[], datetime] = utc_now,
) -> Run:
    """Return a run, not started yet, that sends what the run of `directory` has not finished.

    Raises:
        AuditError: The table or the workspace is not the one of that run, or the directory holds
            several runs.
    """
    client.require_network()
    require_run(directory)
    _require_local(directory)
    recovery = recover(directory)
    _require_same(job, client=client, info=recovery.run.info)
    in_doubt = recovery.unfinished.filter(pl.col("state") == "in_doubt")
    resent = in_doubt.filter(is_resent(in_doubt, now=clock(), wanted=options.in_doubt))
    pending = recovery.unfinished.filter(pl.col("state") != "in_doubt")
    only = pl.concat([pending, resent]).select("plan", "row", "message_id")
    rows = Audit(directory).messages
    untouched = rows.join(only, on=["plan", "row"], how="anti")["state"]
    info = recovery.run.info
    selection = RowSelection(
        only=only,
        resent=_state_ids(resent),
        untouched=dict(untouched.value_counts().iter_rows()),
        seed=info.run_id if info.id_algorithm == RUN_ALGORITHM else None,
        key=recovery.id_key,
    )
    if only.height:
        blocking = blocking_rows(rows)
        selection = _as_decided(
            selection, job, recovery, client=client, options=options, now=clock(),
            resumed=pl.concat([only, blocking]),
        )  # fmt: skip
        selection = replace(selection, blocked=blocked_people(job, blocking, selection=selection))
    writer = AuditWriter.resume(directory)
    return Run(
        job, client=client, writer=writer, selection=selection, clock=clock,
        progress=options.progress, detached=not options.wait,
    )  # fmt: skip


def _require_local(directory: Path | str) -> None:
    """Raise for a run that was made on Spark, which only Spark can resume."""
    disk, where = file_system_at(directory)
    if SPARK in run_file.read(disk, where).info.decisions:
        raise AuditError(
            f"The run in {where} was made on Spark. Make the same plan of the Spark frame again, and "
            f"pass it: cio.resume({str(where)!r}, client, plan)."
        )


def blocking_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the recorded rows that block later rows of the same people, in order."""
    blocks = (pl.col("state") == "rejected_server") & pl.col("call").is_in(list(BLOCKING_CALLS))
    return rows.filter(blocks).select("plan", "row", "message_id").sort("plan", "row")


def _as_decided(
    selection: RowSelection,
    job: Job,
    recovery: Recovery,
    *,
    client: Client,
    options: SendOptions,
    now: datetime,
    resumed: pl.DataFrame,
) -> RowSelection:
    """Return a selection with the decisions of a resumed run about rows that were sent before it."""
    info = recovery.run.info
    key, scheme = _subject_key(info.pii)
    before = earlier_runs(
        recovery.directory.parent, workspaces=client.workspaces, scheme=scheme, before=info.run_id
    )
    if before is None or before.key != recovery.id_key:  # an older format, which made no other ids
        return selection
    add_states = partial(with_kept_states, now=now, wanted=options.in_doubt)
    # Rows that the run had not planned yet may have arrived before it; those that it had planned did not.
    rows = add_states(before.rows).drop("state").rename({"kept_state": "state"}).drop_nulls("state")
    is_planned = pl.col("message_id").is_in(resumed["message_id"].drop_nulls().implode())
    finished = None if info.repeat else rows.filter(~is_planned).select(FINISHED_SCHEMA.names())
    return replace(
        selection,
        finished=finished,
        decided=_decided(
            job,
            before,
            add_states=add_states,
            pii=info.pii,
            key=key,
            repeat=info.repeat,
            resumed=resumed,
        ),
        in_doubt=in_doubt(before.rows, algorithms=before.algorithms),
    )


def blocked_people(
    job: Job, blocking: pl.DataFrame, *, selection: RowSelection | None = None
) -> dict[int, BlockingRow]:
    """Return the people who are blocked when a run resumes, by the number of the component.

    The record does not have the components, so the blocking rows are encoded again.
    """
    blocked: dict[int, BlockingRow] = {}
    remaining = blocking.height
    if not remaining:
        return blocked
    planned = replace(selection or RowSelection(), only=blocking)
    with closing(job.segments(planned)) as segments:
        while remaining > 0 and (segment := next(segments, None)) is not None:
            remaining -= segment.rows.height
            people = segment.rows.select("component", "row").drop_nulls()
            for person, row in people.iter_rows():
                blocked.setdefault(
                    person, BlockingRow(plan=segment.plan, row=row, call=segment.call)
                )
    return blocked


def _require_same(job: Job, *, client: Client, info: RunInfo) -> None:
    planned = tuple(zip(job.calls, job.rows, strict=True))
    if planned != info.plans:
        raise AuditError(
            f"This run was started with {_described(info.plans)}, not with {_described(planned)}. Pass the "
            "original plan, or send the new one with the same audit directory: what "
            "has already arrived is skipped."
        )
    recorded = info.workspaces
    if any(recorded.get(api, name) != name for api, name in client.workspaces.items()):
        raise AuditError(
            "This client sends to a different workspace than the run, or uses another key. "
            "Connect with the key of that workspace."
        )


def _described(plans: tuple[tuple[str, int], ...]) -> str:
    return " and ".join(f"{many(rows, 'row')} for {call}" for call, rows in plans)
