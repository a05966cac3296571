"""Reading the record: of one run, or of all runs of a directory."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import polars as pl

from cio_frames.audit import pseudonyms, run_file
from cio_frames.audit.file_system import FileSystem, LocalFileSystem, located, write_atomic
from cio_frames.audit.object_store import opened
from cio_frames.audit.open_segments import RunContents, data_of, read_contents
from cio_frames.audit.recovery import latest_of, problems, tally
from cio_frames.audit.run_file import Layout, RunFile, segment_of
from cio_frames.audit.schema import FAILED, PART_SCHEMA, STATES, UNFINISHED
from cio_frames.audit.subjects import names as subject_names
from cio_frames.audit.subjects import scheme as subject_scheme
from cio_frames.errors import AuditCorruptError, AuditError, MappingError, errors_as
from cio_frames.mapping.identifiers import UNKNOWN
from cio_frames.spec import CALLS
from cio_frames.spreadsheet import csv
from cio_frames.values import many

_TOTALS = ("rows", *STATES, "requests", "retries", "bytes")


def collected(rows: pl.LazyFrame, directory: Path | str) -> pl.DataFrame:
    """Return what a query of an audit's `scan` gives.

    Raises:
        AuditCorruptError: If a file of the record is damaged.
    """

    def damaged(kind: str) -> AuditCorruptError:
        return AuditCorruptError(
            str(directory),
            problem=f"a file of the record cannot be read ({kind})",
            hint="cio.audit(...).verify() shows which one; restore it from a backup.",
        )

    with errors_as(damaged):
        return rows.collect()


class Audit:
    """The record of every row of one run, or of all runs in a directory.

    Reading changes nothing, and needs no recovery first: the rows of a run that was killed are
    told as they are known.

    Args:
        directory: `audit/<run>`, or the directory of all runs.
        disk: Where it is; the real disk if not given.

    Raises:
        AuditError: If there is no run.
    """

    def __init__(self, directory: Path | str, *, disk: FileSystem | None = None) -> None:
        found, place = opened(directory)
        self.directory: Path = place
        self._disk: FileSystem = disk or found
        try:
            is_there = any(self._found())
        except OSError as error:
            raise AuditCorruptError(
                str(self.directory),
                problem=f"the runs in it cannot be listed ({error.strerror})",
                hint="Make it readable.",
            ) from None
        if not is_there:
            raise AuditError(
                f"There is no run in {self.directory}. Name the directory that was given to "
                "send(..., audit=...), or one run in it."
            )

    @property
    def runs(self) -> pl.DataFrame:
        """One row per run, with when, where to, how it ended, and the rows in each state."""
        return pl.DataFrame(
            [self._about(directory) for directory in self._directories()],
            schema_overrides={"created": pl.Datetime("ms", "UTC"), "stopped": pl.String},
        )

    @property
    def messages(self) -> pl.DataFrame:
        """One row per input row of every run, with what became of it."""
        return self._collected(self.scan())

    @property
    def profiles(self) -> pl.DataFrame:
        """One row per column of each table that was sent, with what it was like; no value of it.

        `least` and `most` are orders of magnitude of numbers, and months of times; `magnitude` is the
        mean of the decimal logarithms. `distinct` are different values among the `sampled` rows. Runs
        on Spark, and those of former versions, have none.
        """
        from cio_frames.audit.profiles import PROFILE_SCHEMA, profile_rows, tables_of

        runs = ((path, run_file.read(self._disk, path)) for path in self._found())
        rows = [
            row for path, run in runs for row in profile_rows(run, tables_of(self._disk, path, run))
        ]
        return pl.DataFrame(rows, schema=PROFILE_SCHEMA)

    def scan(self) -> pl.LazyFrame:
        """Return `messages` as a query; its files are read, and compared with their hashes, now.

        Raises:
            AuditCorruptError: If a file is missing, changed or of another run.
        """
        return self._scan(self._contents())

    def _sent(
        self, workspaces: Mapping[str, str], *, scheme: str = ""
    ) -> tuple[pl.LazyFrame, str | None, dict[str, str]]:
        """Return the rows that were sent to some workspaces, as a query.

        Args:
            workspaces: The workspace of each surface, as in `RunInfo.workspaces`.
            scheme: How subjects are made; those of runs that made them otherwise are unknown.

        Returns:
            The rows, the key that their message ids and hashes are under, if any of the runs
            holds them so, and how each run made its ids.

        Raises:
            AuditError: A run holds them under another key than that of this machine.
        """
        groups: dict[tuple[tuple[str, ...], bool, bool], list[tuple[Path, RunContents]]] = {}
        names: set[str] = set()
        algorithms: dict[str, str] = {}
        for directory, contents in self._contents():
            run = contents.run
            algorithms[run.info.run_id] = run.info.id_algorithm
            if calls := _calls(run, workspaces):
                is_keyed = run.message_ids == "keyed"
                made = subject_scheme(pii=run.info.pii, key_name=run.key_name)
                group = (calls, is_keyed, made == scheme)
                groups.setdefault(group, []).append((directory, contents))
                names |= {run.key_name or ""} if is_keyed else set()
        keys = [pseudonyms.key_named(name, where=self.directory) for name in sorted(names)]
        key = keys[0] if keys else None
        frames = [
            self._scan(runs)
            .filter(pl.col("state").is_in(_SENT), pl.col("call").is_in(calls))
            .with_columns(
                _subjects(are_known=are_known),
                pseudonyms.keyed_ids(pl.col("message_id"), key=None if is_keyed else key),
                pseudonyms.keyed_hashes(pl.col("payload_hash"), key=None if is_keyed else key),
            )
            for (calls, is_keyed, are_known), runs in groups.items()
        ]
        return pl.concat([PART_SCHEMA.to_frame(eager=False), *frames]), key, algorithms

    def failed(self, *, run: str | None = None) -> pl.DataFrame:
        """Return the rows that Customer.io is not known to have, with the reasons.

        Args:
            run: One run; all runs if not given.
        """
        return self._collected(self._of(run).filter(pl.col("state").is_in(FAILED)))

    def explain(
        self,
        *,
        row: int | None = None,
        id: str | None = None,  # noqa: A002 - what Customer.io calls it
        email: str | None = None,
        run: str | None = None,
        plan: int | None = None,
    ) -> str:
        """Tell what became of a row, or of all rows about a person, in sentences.

        Args:
            row: Number of the row in its table, from 0: one paragraph per run and plan that has it. Of
                several tables the one that was sent last is meant, unless `run` names another.
            id: A person's id, as the tables had it.
            email: A person's e-mail address; rows that name it beside an id are found as well.
            run: One run; all runs if not given.
            plan: Position of the plan in a back-fill; all if not given.

        Raises:
            MappingError: Not exactly one of `row`, `id` and `email` is given.
            AuditError: No run has such a row, or it keeps no identifiers or keeps them under another
                key.

        Examples:
            >>> import polars as pl, cio_frames as cio, tempfile
            >>> plan = pl.DataFrame({"id": ["u1", "u2"]}).cio.identify(user_id="id")
            >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
            ...     run = plan.send(workspace.client(), audit=folder, progress=False)
            ...     print(cio.audit(folder).explain(id="u2").splitlines()[0])
            u2: 1 row in 1 run: 1 delivered.
        """
        found = self._rows_about(row=row, id=id, email=email, run=run, plan=plan)
        runs = {d.name: run_file.read(self._disk, d) for d in self._directories()}
        head = []
        if row is not None:
            found, others = _of_latest_table(found, runs)
            head = [_of_others(row, others)] if others else []
        shown = found.head(_STORIES).to_dicts()
        stories = [(item, story(item, run=runs[item["run_id"]])) for item in shown]
        person = id if id is not None else email
        return self._told(stories, head=head if person is None else [_of_all(person, found)])

    def _told(self, stories: Sequence[tuple[dict[str, Any], str]], *, head: Sequence[str]) -> str:
        """Return rows with their stories as one text."""
        return "\n\n".join([*head, *(told for _, told in stories)])

    def _rows_about(
        self,
        *,
        row: int | None,
        id: str | None,  # noqa: A002 - what Customer.io calls it
        email: str | None,
        run: str | None,
        plan: int | None,
    ) -> pl.DataFrame:
        """Return the rows that `explain` tells of."""
        if len([name for name in (row, id, email) if name is not None]) != 1:
            raise MappingError(
                'Pass one of them: explain(row=7), explain(id="u1") or explain(email="...").'
            )
        person = id if id is not None else email
        rows = self._of(run) if person is None else self._about_person(person, run=run)
        if row is not None:
            rows = rows.filter(pl.col("row") == row)
        if plan is not None:
            rows = rows.filter(pl.col("plan") == plan)
        found = self._collected(rows).sort("run_id", "plan", "row")
        if found.is_empty():
            raise AuditError(
                f"No run in {self.directory} has a row about {person}."
                if person is not None
                else f"No run in {self.directory} has a row {row}. Rows are numbered from 0 in the "
                "order of the table; .runs shows how many each run has."
            )
        return found

    def _about_person(self, person: str, *, run: str | None) -> pl.LazyFrame:
        """Return the rows about a person, and those that name them beside another identifier.

        Raises:
            AuditError: The record keeps no identifiers, or keeps them under another key.
        """
        texts = [*dict.fromkeys((person, person.lower()))]
        frames = []
        for directory, contents in self._contents():
            info = contents.run.info
            if run is not None and info.run_id != run:
                continue
            if info.pii == "ids":
                raise AuditError(
                    f'Run {info.run_id} keeps no identifiers (pii="ids"), so no person can be found '
                    "in it. Use explain(row=...), or name another run with run=."
                )
            key = None
            if info.pii == "hmac":
                key = pseudonyms.key_named(contents.run.key_name, where=directory)
            names = pseudonyms.pseudonyms(pl.Series("person", texts), pii=info.pii, key=key)
            words = subject_names(texts, pii=info.pii, key=key)
            is_named = pl.col("subjects").str.contains_any(words).fill_null(value=False)
            rows = self._scan([(directory, contents)])
            frames.append(rows.filter(pl.col("person_key").is_in(names.implode()) | is_named))
        if not frames:
            return self._of(run)  # which says that there is no such run
        return pl.concat(frames)

    def verify(self) -> pl.DataFrame:
        """Return what is wrong with the record: run_id, file, problem, hint. Empty if it is whole.

        Every file is read and compared with its hash, states are added up, and every row number
        is looked for.
        """
        return pl.concat([problems(self._disk, d) for d in self._directories()])

    @property
    def reconciliations(self) -> pl.DataFrame:
        """What was found each time a workspace was compared with a run, with the file of the differences."""
        from cio_frames.audit import reconciliations

        found = [reconciliations.reconciliations(self._disk, d) for d in self._directories()]
        return pl.concat(found)

    def diff(self, before: str, after: str) -> pl.DataFrame:
        """Return the messages that two runs do not have in the same state.

        Args:
            before: A run.
            after: Another run.
        """
        columns = ("call", "row", "state", "payload_hash")
        left, right = (
            self._of(run).filter(pl.col("message_id").is_not_null()).select("message_id", *columns)
            for run in (before, after)
        )
        both = left.join(right, on="message_id", how="full", suffix="_after", coalesce=True)
        same = pl.col("state").eq_missing(pl.col("state_after")) & pl.col(
            "payload_hash"
        ).eq_missing(pl.col("payload_hash_after"))
        return self._collected(both.filter(~same)).sort("row", "row_after", nulls_last=True)

    def _totals(self, runs: pl.DataFrame) -> dict[str, int]:
        """Return the rows in each state; a row of several runs counts once. One run is not read."""
        if runs.height == 1:
            return {state: runs[state].item() for state in STATES}
        from cio_frames.audit.distinct_rows import distinct_rows

        files = [run_file.read(self._disk, directory) for directory in self._directories()]
        found = self._collected(distinct_rows(self.scan(), files))
        return dict.fromkeys(STATES, 0) | dict(found.iter_rows())

    def __repr__(self) -> str:
        try:
            runs = self.runs
            totals = self._totals(runs)
        except (AuditError, OSError) as error:
            return f"<Audit of {self.directory}, which cannot be read: {error}>"
        rows, failed = sum(totals.values()), sum(totals[state] for state in FAILED)
        return f"<Audit of {runs.height} runs: {rows:,} rows, {failed:,} of them not delivered>"

    def _collected(self, rows: pl.LazyFrame) -> pl.DataFrame:
        return collected(rows, self.directory)

    def _directories(self) -> list[Path]:
        return list(self._found())

    def _found(self) -> Iterator[Path]:
        if run_file.NAME in self._disk.listdir(self.directory):
            yield self.directory
            return
        for name in self._disk.listdir(self.directory):
            path = self.directory / name
            if self._is_run(path):
                yield path

    def _is_run(self, path: Path) -> bool:
        """Tell whether a directory is that of a run, even if its run.json is gone."""
        try:
            names = self._disk.listdir(path)
        except NotADirectoryError:
            return False
        if run_file.NAME in names or Layout(path).parts.name not in names:
            return run_file.NAME in names
        return any(segment_of(name) is not None for name in self._disk.listdir(Layout(path).parts))

    def _contents(self) -> Iterator[tuple[Path, RunContents]]:
        return ((path, self._held(path)) for path in self._found())

    def _held(self, path: Path) -> RunContents:
        contents = read_contents(self._disk, path)
        if contents.run.state != "running":
            return contents
        from cio_frames.audit.attempts import with_attempts

        return with_attempts(self._disk, path, contents)

    def _of(self, run: str | None) -> pl.LazyFrame:
        if run is None:
            return self.scan()
        for directory in self._directories():
            if directory.name == run:
                return self._scan([(directory, self._held(directory))])
        names = ", ".join(directory.name for directory in self._directories())
        raise AuditError(f"There is no run {run!r} in {self.directory}. Runs: {names}.")

    def _scan(self, runs: Iterable[tuple[Path, RunContents]]) -> pl.LazyFrame:
        """Return the rows of runs: all parts in one scan, so that each run costs the same.

        What is scanned are the very bytes whose hash was compared, not the files once more.
        """
        parts: list[IO[bytes]] = []
        frames = [PART_SCHEMA.to_frame()]
        for directory, contents in runs:
            run = contents.run
            sealed = [io.BytesIO(data_of(self._disk, directory, part)) for part in run.parts]
            opened = [each.settled(run.info.run_id) for each in contents.open_segments]
            if run.resumed:
                lazy = [*map(_scanned, sealed), *(each.lazy() for each in opened)]
                frames.append(latest_of(self._collected(pl.concat(lazy))))
            else:
                parts += sealed
                frames += opened
        known = pl.concat(frames).lazy()
        return pl.concat([known, _scanned(parts)]) if parts else known

    def _about(self, directory: Path) -> dict[str, Any]:
        contents = self._held(directory)
        run = contents.run
        counts = tally(self._disk, directory, run, open_segments=contents.open_segments)
        state: str = run.state
        if state == "running" and not self._disk.is_locked(Layout(directory).lock):
            state = "crashed"
        return {
            "run_id": run.info.run_id,
            "created": run.info.created,
            "state": state,
            "region": run.info.region,
            "endpoint": run.info.endpoint,
            "strict": run.info.strict,
            **counts,
            "stopped": run.stopped["code"] if run.stopped else None,
        }


def read(directory: Path | str) -> Audit:
    """Read the record of one run, or of all runs in a directory.

    Args:
        directory: `audit/<run>`, or the directory of all runs.

    Raises:
        AuditError: If there is no run.
    """
    return Audit(directory)


_COLUMNS = ("run_id", "call", "message_id", "payload_hash", "state", "first_attempt_at")
_SENT = ("delivered", "accepted_unverified", "in_doubt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What earlier runs sent to a workspace, and may have changed in it.

    Attributes:
        directory: The directory of the runs.
        sent: A query with the columns of a record and `at`, when the message arrived.
        key: The key that ids and hashes are under; None if they are held as they are.
        algorithms: How each run made its message ids.
    """

    directory: Path
    sent: pl.LazyFrame
    key: str | None = None
    algorithms: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> pl.DataFrame:
        """The state of each message: delivered if any run delivered it, else in doubt since the first."""
        known = self.sent.select(_COLUMNS).filter(pl.col("state") != "accepted_unverified")
        best = known.sort(pl.col("state") == "delivered", descending=True, maintain_order=True)
        return collected(
            best.unique("message_id", keep="first", maintain_order=True), self.directory
        )

    @property
    def states(self) -> pl.DataFrame:
        """The rows that put something into a state."""
        return collected(self.sent.filter(pl.col("subjects").is_not_null()), self.directory)

    @property
    def events(self) -> pl.LazyFrame:
        """A query for the other rows."""
        return self.sent.filter(pl.col("subjects").is_null())


def earlier(
    directory: Path | str, *, workspaces: Mapping[str, str], scheme: str = "", before: str = ""
) -> Earlier | None:
    """Return what earlier runs sent to the same workspace; None if there was no run.

    Args:
        directory: The directory of all runs; it need not be there.
        workspaces: The workspace of each surface, as in `RunInfo.workspaces`.
        scheme: How subjects are made now; those of runs that made them in another way are unknown.
        before: The id of a run that counts as the present one; without it all runs are earlier.
    """
    where = located(directory)
    try:
        log = Audit(where)
    except AuditCorruptError:
        raise
    except AuditError:
        return None
    found, key, algorithms = log._sent(workspaces, scheme=scheme)  # noqa: SLF001 - both are of this module
    if before:
        found = found.filter(pl.col("run_id") < before)
    at = pl.coalesce("finished_at", "first_attempt_at").alias("at")
    return Earlier(directory=where, sent=found.with_columns(at), key=key, algorithms=algorithms)


_CHANGING = tuple(name for name, call in CALLS.items() if call.sets_state or name == "form")


def _subjects(*, are_known: bool) -> pl.Expr:
    """Return the subjects of rows; those that an older record does not have are unknown."""
    subjects = pl.col("subjects")
    if not are_known:
        subjects = pl.when(subjects.is_not_null()).then(pl.lit(UNKNOWN))
    is_older = pl.col("subjects").is_null() & pl.col("call").is_in(_CHANGING)
    return pl.when(is_older).then(pl.lit(UNKNOWN)).otherwise(subjects).alias("subjects")


def _scanned(parts: IO[bytes] | list[IO[bytes]]) -> pl.LazyFrame:
    """Return the rows of parts; those of an older format lack columns."""
    return pl.scan_parquet(parts, schema=PART_SCHEMA, missing_columns="insert")


def require_run(directory: Path | str) -> None:
    """Raise for a directory that holds runs and is none itself.

    Raises:
        AuditError: It is one; the error names the runs that can be resumed, and what to type.
    """
    disk, where = opened(directory)
    if run_file.NAME in disk.listdir(where):
        return
    try:
        runs = Audit(where).runs
    except AuditCorruptError:
        raise
    except AuditError:
        return  # there is no run below either, which is told where the run is read
    left = runs.filter(pl.sum_horizontal(UNFINISHED) > 0)["run_id"].sort(descending=True).to_list()
    todo = (
        f"Runs in it that can be resumed: {', '.join(left)}. Finish the latest with\n"
        f"    cio.resume({str(where / left[0])!r}, client, plan)"
        if left
        else "None of its runs has anything left to resume."
    )
    raise AuditError(f"{where} is the audit directory, not a run. {todo}")


def _calls(run: RunFile, workspaces: Mapping[str, str]) -> tuple[str, ...]:
    """Return the calls that a run sent to one of these workspaces."""
    same = workspaces.items() & run.info.workspaces.items()
    return tuple(name for name, call in CALLS.items() if call.api.name in dict(same))


_STRICT = "Customer.io accepted it in strict mode"
_SINCE = ", and nothing newer about the same person or object followed"
_AGAIN = (
    "It was sent again under a new message ID, because {reason}, followed by something else about the "
    "same person or object. "
)
_CARRIED = "The whole request that contained it was refused. "
_ENDS: Mapping[str, str] = {
    "delivered": f"{_STRICT}{{answer}}{{moment}}.",
    "accepted_unverified": (
        "Customer.io answered{answer}{moment}, but {unverified}: "
        "it may give the same answer for messages that it drops."
    ),
    "rejected_local": "It was not sent: {reason}.",
    "rejected_server": "Customer.io refused it{answer}{moment}: {reason}.",
    "skipped_done": "It was not sent because an earlier run had delivered the same message{since}.",
    "blocked": "It was held back because an earlier row of the same person was refused{why}.",
    "in_doubt": (
        "There was no clear answer{answer}{why}, so Customer.io may or may not have received it. "
        "Sending it again is safe while Customer.io remembers its message ID."
    ),
    "pending": "It has not reached Customer.io{why}. Resuming the run will send it.",
}


_STORIES = 50
"""How many rows of a person are told one by one."""


def _of_latest_table(
    rows: pl.DataFrame, runs: Mapping[str, RunFile]
) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows of the table that was sent last, and the runs that sent others."""
    tables = {name: (run.info.fingerprint, run.info.plans) for name, run in runs.items()}
    last = tables[str(rows["run_id"].max())]
    others = [name for name in rows["run_id"].unique().sort() if tables[name] != last]
    return rows.filter(~pl.col("run_id").is_in(others)), others


def _of_others(row: int, runs: Sequence[str]) -> str:
    """Return which runs have another row of the number."""
    return (
        f"Other tables have a row {row} too. Name the run to see it: "
        f'explain(row={row}, run="{runs[-1]}"){" or another" * (len(runs) > 1)}.'
    )


def _of_all(person: str, rows: pl.DataFrame) -> str:
    """Return how many rows there are about a person, and what became of them."""
    states = rows["state"].value_counts(sort=True)
    counts = ", ".join(
        f"{count:,} {state.replace('_', ' ')}" for state, count in states.iter_rows()
    )
    runs = rows["run_id"].n_unique()
    said = f"{person}: {many(rows.height, 'row')} in {many(runs, 'run')}: {counts}."
    if rows.height > _STORIES:
        said += f" The first {_STORIES} are shown here; .scan() returns all of them."
    return said


def story(record: Mapping[str, Any], *, run: RunFile) -> str:
    """Return what became of one row.

    Args:
        record: The row of the audit.
        run: The run it belongs to.
    """
    return " ".join(part for part in (_planned(record, run), _tried(record), _end(record)) if part)


def _planned(record: Mapping[str, Any], run: RunFile) -> str:
    mode = "" if run.info.strict else ", strict mode off"
    plan = f" of plan {record['plan']}" if len(run.info.plans) > 1 else ""
    head = f"Row {record['row']}{plan} of run {record['run_id']} ({run.info.endpoint}{mode})"
    named = (
        f"message {record['message_id']}"
        if record["message_id"]
        else "for which no message was built"
    )
    told = f"{head} is {_article(record['call'])} {record['call']} call, {named}"
    if record["batch"] is None:
        return f"{told}."
    return f"{told} ({record['bytes']:,} bytes)."


def _tried(record: Mapping[str, Any]) -> str:
    if not record["attempts"]:
        return "It has not been sent." if record["batch"] is not None else ""
    first = _moment(record["first_attempt_at"])
    if record["attempts"] == 1:
        return f"It was sent once, {first}."
    return f"It was sent {record['attempts']} times, first {first}."


def _end(record: Mapping[str, Any]) -> str:
    status, at = record["http_status"], record["finished_at"]
    said = [text for text in (record["code"], record["error"]) if text]
    reason = ": ".join(said) or "no reason was given"
    carried = _CARRIED if record["state"] == "blocked" and record["attempts"] else ""
    if record["code"] == "SENT_AGAIN":
        carried, reason, said = _AGAIN.format(reason=reason.partition(": ")[2]), "", []
    return carried + _ENDS[record["state"]].format(
        answer=f" with status {status}" if status else "",
        moment=f" {_moment(at)}" if at else "",
        reason=reason.rstrip("."),
        why=f" ({reason.rstrip('.')})" if said else "",
        since=_SINCE if record["subjects"] is not None else "",
        unverified="not in the documented way" if said else "strict mode was off",
    )


def _moment(at: datetime) -> str:
    return f"on {at.astimezone(UTC):%Y-%m-%d at %H:%M:%S} UTC"


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"


def write_csv(rows: pl.DataFrame, path: Path | str) -> None:
    """Write `rows` as `spreadsheet.csv` has them; a file that is there is replaced."""
    write_atomic(LocalFileSystem(), Path(path).absolute(), csv(rows).encode())
