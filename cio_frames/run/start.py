"""Begin a run, or take one up again: what earlier runs settled is not sent a second time."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from cio_frames.audit import Audit, AuditWriter, RunInfo, earlier, new_run_id, recover, require_run
from cio_frames.errors import AuditError, ChoiceError
from cio_frames.payloads import ID_ALGORITHM
from cio_frames.run.choice import SETTLED_SCHEMA, Choice
from cio_frames.run.doubt import OVERWRITING, InDoubt, require_in_doubt, resent
from cio_frames.run.held import held, refused
from cio_frames.run.job import Job
from cio_frames.run.run import Run
from cio_frames.sending import Client
from cio_frames.views import displays
from cio_frames.views.displays import ShowProgress

Durability = Literal["power", "process"]
Pii = Literal["hmac", "ids", "full"]


def utc_now() -> datetime:
    """Return the present, in UTC."""
    return datetime.now(UTC)


def choose(audit: Path | str, *, client: Client, in_doubt: InDoubt | None, now: datetime) -> Choice:
    """Return which messages a new run leaves out, because earlier ones settled them.

    Args:
        audit: Directory of all runs.
        client: Where to send.
        in_doubt: What to do with messages that earlier runs left in doubt.
        now: The present.
    """
    before = earlier(audit, workspaces=client.workspaces)
    found = before.rows
    if found.is_empty():
        return Choice()
    doubtful = found.filter(pl.col("state") == "in_doubt")
    is_resent = resent(doubtful, now=now, in_doubt=in_doubt)
    kept = doubtful.filter(~is_resent)
    if in_doubt == "skip":
        kept = kept.with_columns(state=pl.lit("skipped_done"))
    done = found.filter(pl.col("state") == "delivered").with_columns(state=pl.lit("skipped_done"))
    settled = pl.concat([done, kept]).select(SETTLED_SCHEMA.names())
    return Choice(settled=settled, doubted=_overwriting(doubtful.filter(is_resent)), key=before.key)


def _overwriting(again: pl.DataFrame) -> pl.Series:
    """Return the ids of messages whose repeat can replace newer attributes."""
    return again.filter(pl.col("call").is_in(OVERWRITING))["message_id"]


def begin(
    job: Job,
    *,
    client: Client,
    audit: Path | str,
    choice: Choice,
    progress: ShowProgress,
    detached: bool,
    durability: Durability,
    pii: Pii,
    clock: Callable[[], datetime] = utc_now,
) -> Run:
    """Return a new run that has not started yet, with its record begun.

    Args:
        job: What to send.
        client: Where to send.
        audit: Directory of all runs; this run gets a directory of its own in it.
        choice: Which rows are sent.
        progress: "auto", False, a kind of display, or a function that gets the states.
        detached: Whether nobody waits for it.
        durability: What the record is safe against: a power cut, or the end of the process.
        pii: What the record keeps of identifiers.
        clock: Tells the time.
    """
    displays.require(progress)
    ChoiceError.require("durability", durability, get_args(Durability))
    ChoiceError.require("pii", pii, get_args(Pii))
    for call in job.calls:
        client.require(call)
    client.require_network()
    now = clock()
    info = RunInfo(
        run_id=new_run_id(now),
        created=now,
        region=client.region,
        endpoint=client.endpoint,
        strict=client.strict,
        workspaces=client.workspaces,
        namespace=job.namespace,
        id_algorithm=ID_ALGORITHM,
        limits=job.limits,
        mapping=job.mapping,
        decisions=job.decisions,
        fingerprint=" ".join(job.fingerprints),
        rows=sum(job.rows),
        plans=tuple(zip(job.calls, job.rows, strict=True)),
        pii=pii,
    )
    recorder = AuditWriter.start(audit, info, durability=durability)
    return Run(
        job,
        client=client,
        recorder=recorder,
        choice=choice,
        progress=progress,
        detached=detached,
        clock=clock,
    )


def take_up(
    job: Job,
    *,
    client: Client,
    directory: Path | str,
    in_doubt: InDoubt | None,
    progress: ShowProgress,
    detached: bool,
    clock: Callable[[], datetime] = utc_now,
) -> Run:
    """Return a run that finishes what another left: it has not started yet.

    Args:
        job: What the other run was given to do.
        client: Where to send; the same workspace.
        directory: The other run's directory.
        in_doubt: What to do with messages in doubt; None leaves it to the call and the age.
        progress: "auto", False, a kind of display, or a function that gets the states.
        detached: Whether nobody waits for it.
        clock: Tells the time.

    Raises:
        AuditError: The table or the workspace is not the one of that run, or the directory holds
            several runs.
        ChoiceError: `in_doubt` is none of its words.
    """
    displays.require(progress)
    require_in_doubt(in_doubt)
    client.require_network()
    require_run(directory)
    found = recover(directory)
    _require_same(job, client=client, plans=found.run.info.plans, told=found.run.info.workspaces)
    doubtful = found.unfinished.filter(pl.col("state") == "in_doubt")
    again = doubtful.filter(resent(doubtful, now=clock(), in_doubt=in_doubt))
    pending = found.unfinished.filter(pl.col("state") != "in_doubt")
    only = pl.concat([pending, again]).select("plan", "row", "message_id")
    rows = Audit(directory).messages
    key = found.id_key
    holding = held(job, refused(rows), key=key) if only.height else {}
    recorder = AuditWriter.resume(directory)
    return Run(
        job,
        client=client,
        recorder=recorder,
        choice=Choice(only=only, doubted=_overwriting(again), key=key),
        known=_known(rows, only),
        held=holding,
        progress=progress,
        detached=detached,
        clock=clock,
    )


def _known(rows: pl.DataFrame, only: pl.DataFrame) -> Mapping[str, int]:
    """Count the states of the rows that a resumed run does not touch."""
    rest = rows.join(only, on=["plan", "row"], how="anti")
    return dict(rest["state"].value_counts().iter_rows())


def _require_same(
    job: Job,
    *,
    client: Client,
    plans: tuple[tuple[str, int], ...],
    told: Mapping[str, str],
) -> None:
    given = tuple(zip(job.calls, job.rows, strict=True))
    if given != plans:
        raise AuditError(
            f"This run was made from {_described(plans)}, not from {_described(given)}. Pass the "
            "plan it was made from, or send the new one with the same audit directory: what "
            "arrived already is skipped."
        )
    differing = [api for api, name in client.workspaces.items() if told.get(api, name) != name]
    if differing:
        raise AuditError(
            "This client sends to another workspace than the run did, or with another key. "
            "Connect with the key of that workspace."
        )


def _described(plans: tuple[tuple[str, int], ...]) -> str:
    return " and ".join(f"{rows:,} rows for {call}" for call, rows in plans)
