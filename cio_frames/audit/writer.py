"""The listener that keeps the record: what happens is on disk before anything follows from it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import polars as pl

from cio_frames.audit import pseudonyms, run_file
from cio_frames.audit.file_system import Durability, FileSystem, located
from cio_frames.audit.journal import Entry, Journal, Opened
from cio_frames.audit.object_store import opened
from cio_frames.audit.open_segments import RUN, with_parts
from cio_frames.audit.parquet import digest, encode
from cio_frames.audit.recovery import (
    Compacted,
    clear,
    compacted,
    completed,
    conclude,
    heal,
    write_part,
)
from cio_frames.audit.run_file import Layout, RunFile, RunInfo, State
from cio_frames.audit.schema import FORMAT, PLAN_SCHEMA, UNFINISHED
from cio_frames.audit.store import Store
from cio_frames.clock import utc_now
from cio_frames.errors import AuditError, engine_errors
from cio_frames.payloads.batches import Batch, Segment
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    Fact,
    Noted,
    RunFinished,
    RunStopped,
    SegmentPlanned,
)

if TYPE_CHECKING:
    from cio_frames.audit.segment_progress import SegmentProgress

_LAZY_RECORDS = 64
_LAZY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _PreparedPlan:
    """A segment's plan, and the file it will be."""

    plan: pl.DataFrame
    data: bytes
    sha256: str


class AuditWriter:
    """Keeps the record of a run. It is a listener: call it with every fact.

    A segment's plan is sealed before the call returns, and so is the record of an attempt, so
    that nothing leaves without it. If the record cannot be kept, the call raises AuditError and
    the request must not leave. Use it as a context manager, or call `close`.

    """

    def __init__(
        self,
        store: Store,
        run: RunFile,
        *,
        key: str | None,
        now: Callable[[], datetime] = utc_now,
        profile: bytes | None = None,
    ) -> None:
        self.run: RunFile = run
        self.directory: Path = store.layout.directory
        self._store = store
        self._key = key
        self._now = now
        self._stopped: RunStopped | None = None
        self._open_segments: dict[int, SegmentProgress] = {}
        self._done: list[int] = []
        self._prepared: dict[int, _PreparedPlan] = {}
        self._first = 1 + max((part.segment for part in run.parts), default=-1)
        self._synced_at = time.monotonic()
        head = Opened(format=FORMAT, run=run.info.run_id, segment=RUN)
        self._journal = store.journal(store.layout.run_journal, head)
        if profile is not None:
            store.publish(store.layout.profile, profile)
        store.publish_run(run)
        store.keep_reserve()

    @classmethod
    def start(
        cls,
        audit: Path | str,
        info: RunInfo,
        *,
        durability: Durability = "power",
        disk: FileSystem | None = None,
        key: str | None = None,
        now: Callable[[], datetime] = utc_now,
        notes: tuple[str, ...] = (),
        profile: bytes | None = None,
    ) -> Self:
        """Begin the record of a new run in `audit`; `profile` is the content of its profile.json.

        Raises:
            AuditLockedError: If another process writes there.
            AuditError: If the directory cannot be used, or has a run of that name.
        """
        found, place = (
            opened(audit, durability=durability) if disk is None else (disk, located(audit))
        )
        layout = Layout(place / info.run_id)
        key = _key(info, key)
        store = Store(found, layout)
        if run_file.NAME in store.disk.listdir(layout.directory):
            store.close()
            raise AuditError(
                f"{layout.directory} already contains a run. Resume it, or choose another directory."
            )
        run = RunFile(
            info=info,
            state="running",
            durability=durability,
            versions=run_file.installed(),
            key_name=pseudonyms.fingerprint(key) if key else None,
            message_ids="keyed" if key else "plain",
            notes=notes,
            profile=None if profile is None else digest(profile),
        )
        return cls._opened(store, run, key=key, now=now, profile=profile)

    @classmethod
    def resume(
        cls,
        directory: Path | str,
        *,
        disk: FileSystem | None = None,
        key: str | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> Self:
        """Take up the record of a run again, after recovering it if it was not closed.

        Segments may be numbered from 0 again. The rows in them replace what `recover` told of
        them; rows that are not in them stay as they are.

        Raises:
            AuditLockedError: If the run is still being written.
            AuditCorruptError: If a file is missing, changed or of another run.
            AuditError: If the pseudonyms of the run were made with another key.
        """
        drive, place = opened(directory) if disk is None else (disk, located(directory))
        layout = Layout(place)
        found = run_file.read(drive, layout.directory)
        key = _key(found.info, key)
        if key and found.key_name is not None:
            pseudonyms.key_named(found.key_name, where=layout.directory, known=key)
        if disk is None:
            drive, _ = opened(directory, durability=found.durability)
        store = Store(drive, layout)
        try:
            run = replace(heal(store), state="running")
        except BaseException:
            store.close()
            raise
        if any(run.counts.get(state) for state in UNFINISHED):
            moment = now().astimezone(UTC).isoformat(timespec="milliseconds")
            run = replace(run, resumed=(*run.resumed, moment))
        return cls._opened(store, run, key=key, now=now)

    def __call__(self, fact: Fact) -> None:
        """Record a fact, and seal the segment that it ends; return when what follows may happen."""
        self.record((fact,))
        for segment in self.done():
            self.seal(segment, self.compacted(segment))

    @property
    def id_key(self) -> str | None:
        """The key of the message ids of this record; None where they are held as they are."""
        return self._key if self.run.message_ids == "keyed" else None

    def keep(self, name: str, data: bytes) -> None:
        """Write a file beside the record."""
        self._store.publish(self.directory / name, data)

    def prepare(self, segment: Segment) -> None:
        """Make the plan of a segment ready, on any thread; it is not written before its fact."""
        self._prepared[segment.number] = self._prepare(segment)

    def done(self) -> Sequence[int]:
        """Return the segments that are done since this was last asked, to be sealed."""
        done, self._done = self._done, []
        return done

    def compacted(self, segment: int) -> Compacted:
        """Make the part of a segment that is done, on any thread; nothing is written."""
        return compacted(self._open_segments[segment].open_segments(), run_id=self.run.info.run_id)

    @engine_errors("the record was written")
    def seal(self, segment: int, made: Compacted) -> None:
        """Write the part of a segment that is done. Nothing waits for that."""
        progress = self._open_segments[segment]
        part = write_part(self._store, made)
        self._store.append(self._journal, part, reserve=True)
        self._store.sync(self._journal)
        self.run = with_parts(self.run, [*self.run.parts, part])
        del self._open_segments[segment]
        layout = self._store.layout
        self._store.drop(layout.plan(progress.number))
        self._store.drop(layout.journal(progress.number), journal=progress.journal)

    @engine_errors("the record was written")
    def record(self, facts: Sequence[Fact]) -> None:
        """Record facts in order; one sync serves all attempts among them.

        Returns when what follows from them may happen. Segments that are `done` wait for `seal`.
        """
        attempted: dict[int, Journal] = {}
        for fact in facts:
            if isinstance(fact, BatchAttempted):
                attempted[fact.batch.segment] = self._attempt(fact)
            else:
                self._record(fact)
        for journal in attempted.values():
            self._store.sync(journal)

    def _record(self, fact: Fact) -> None:
        match fact:
            case SegmentPlanned(segment=segment):
                self._plan(segment)
            case BatchRetried():
                self._enter(fact.batch, self._progress(fact.batch).entry(fact))
            case BatchFinished():
                self._finish(fact)
            case Noted(note=note):
                self.run = replace(self.run, notes=(*self.run.notes, note))
            case RunStopped():
                self._stop(fact)
            case RunFinished():
                self._end("stopped" if self._stopped else "finished")
            case _:
                pass

    def close(self) -> None:
        """End the record. Rows that are not done stay pending or in doubt, as they are."""
        try:
            if self.run.state == "running" and self._store.is_usable:
                self._end("stopped")
        finally:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @classmethod
    def _opened(
        cls,
        store: Store,
        run: RunFile,
        *,
        key: str | None,
        now: Callable[[], datetime],
        profile: bytes | None = None,
    ) -> Self:
        try:
            return cls(store, run, key=key, now=now, profile=profile)
        except BaseException:
            store.close()
            raise

    def _plan(self, segment: Segment) -> None:
        number, run_id = self._first + segment.number, self.run.info.run_id
        prepare = self._prepared.pop(segment.number, None) or self._prepare(segment)
        head = Opened(format=FORMAT, run=run_id, segment=number, plan_sha256=prepare.sha256)
        journal = self._store.journal(self._store.layout.journal(number), head)
        self._store.publish(self._store.layout.plan(number), prepare.data)
        from cio_frames.audit.segment_progress import SegmentProgress

        progress = SegmentProgress(segment, number=number, plan=prepare.plan, journal=journal)
        self._open_segments[segment.number] = progress
        if progress.is_done:
            self._done.append(segment.number)

    def _prepare(self, segment: Segment) -> "_PreparedPlan":
        from cio_frames.audit.segment_progress import plan_of

        plan = plan_of(segment, pii=self.run.info.pii, key=self._key, id_key=self.id_key)
        data = encode(plan, schema=PLAN_SCHEMA, run_id=self.run.info.run_id)
        return _PreparedPlan(plan=plan, data=data, sha256=digest(data))

    def _attempt(self, fact: BatchAttempted[Batch]) -> Journal:
        """Write an attempt down and return the journal that must be synced before it is made."""
        progress = self._progress(fact.batch)
        entry = progress.entry(fact)
        self._store.append(progress.journal, entry, reserve=False)
        progress.note(entry)
        return progress.journal

    def _finish(self, fact: BatchFinished[Batch]) -> None:
        batch = fact.batch
        progress = self._progress(batch)
        error = self._scrubbed(fact.error, person=progress.person(batch)) if fact.error else ""
        self._enter(batch, progress.entry(fact, error=error))
        if progress.is_done:
            self._done.append(batch.segment)

    def _enter(self, batch: Batch, entry: Entry) -> None:
        """Record what came of an attempt; the disk may take a moment to have it."""
        progress = self._progress(batch)
        self._store.append(progress.journal, entry, reserve=True)
        progress.note(entry)
        late = time.monotonic() - self._synced_at > _LAZY_S
        if late or progress.journal.unsynced >= _LAZY_RECORDS:
            self._store.sync(progress.journal)
            self._synced_at = time.monotonic()

    def _stop(self, fact: RunStopped) -> None:
        self._stopped = fact
        self._store.append(self._journal, fact, reserve=True)
        self._store.sync(self._journal)

    def _end(self, state: State) -> None:
        self._done.clear()
        for segment in sorted(self._open_segments):
            self.seal(segment, self.compacted(segment))
        self.run = completed(self._store, self.run)
        self.run = conclude(self._store, self.run, state=state, stopped=self._stopped)
        self._store.drop(self._store.layout.run_journal, journal=self._journal)
        clear(self._store)
        self._store.close()

    def _progress(self, batch: Batch) -> "SegmentProgress":
        progress = self._open_segments.get(batch.segment)
        if progress is None:
            raise AuditError(
                f"Segment {batch.segment} is not under way. "
                "Nothing of it was sent. This is a bug in cio_frames; please report it."
            )
        return progress

    def _scrubbed(self, error: str, *, person: str | None) -> str:
        if self.run.info.pii == "full":
            return error[: pseudonyms.ERROR_CHARACTERS]
        told = pl.DataFrame(
            {"error": [error], "person": [person]}, schema_overrides={"person": pl.String}
        )
        return str(
            told.select(pseudonyms.scrubbed(pl.col("error"), person=pl.col("person"))).item()
        )


def _key(info: RunInfo, key: str | None) -> str | None:
    return (key or pseudonyms.key()) if info.pii != "full" else None
