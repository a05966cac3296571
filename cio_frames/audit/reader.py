"""Read the record of one run, or of all runs of a directory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from cio_frames.audit import pseudonyms, run_file
from cio_frames.audit.file_system import FileSystem, LocalFileSystem, resolve_path, write_atomic
from cio_frames.audit.object_store import file_system_at
from cio_frames.audit.open_segments import RunContents, parts_data, read_contents
from cio_frames.audit.parquet import scan_parts
from cio_frames.audit.recovery import count_states, latest_rows, problems
from cio_frames.audit.run_file import Layout, RunFile, segment_of
from cio_frames.audit.schema import FAILED, PART_SCHEMA, STATES, UNFINISHED
from cio_frames.audit.subjects import identifier_digits
from cio_frames.audit.subjects import scheme as subject_scheme
from cio_frames.errors import AuditCorruptError, AuditError, MappingError, errors_as
from cio_frames.mapping.identifiers import UNKNOWN
from cio_frames.spec import CALLS
from cio_frames.spreadsheet import csv
from cio_frames.values import many


def collect_rows(rows: pl.LazyFrame, directory: Path | str) -> pl.DataFrame:
    """Return the rows of a query that `Audit.scan` returned.

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

    Reading changes nothing, and needs no recovery first: the rows of a killed run have the states that
    are known.

    Args:
        directory: `audit/<run>`, or the directory of all runs.
        disk: Its file system; that of the directory if not given.

    Raises:
        AuditError: If there is no run.
    """

    def __init__(self, directory: Path | str, *, disk: FileSystem | None = None) -> None:
        default_disk, path = file_system_at(directory)
        self.directory: Path = path
        self._disk: FileSystem = disk or default_disk
        try:
            is_there = any(self._run_directories())
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
        """One row per run: its time, workspace and state, and the rows in each state."""
        return pl.DataFrame(
            [self._summary(directory) for directory in self._run_directories()],
            schema_overrides={"created": pl.Datetime("ms", "UTC"), "stopped": pl.String},
        )

    @property
    def messages(self) -> pl.DataFrame:
        """One row per input row of every run, with its outcome."""
        return self._collect(self.scan())

    @property
    def profiles(self) -> pl.DataFrame:
        """One row per column of each table that was sent, with its profile but none of its values.

        `least` and `most` are orders of magnitude of numbers, and months of times; `magnitude` is the
        mean of the decimal logarithms. `distinct` are different values among the `sampled` rows. Runs
        on Spark, and those of earlier versions, have none.
        """
        from cio_frames.audit.profiles import PROFILE_SCHEMA, profile_rows, tables_of

        runs = ((path, run_file.read(self._disk, path)) for path in self._run_directories())
        rows = [
            row for path, run in runs for row in profile_rows(run, tables_of(self._disk, path, run))
        ]
        return pl.DataFrame(rows, schema=PROFILE_SCHEMA)

    def scan(self) -> pl.LazyFrame:
        """Return `messages` as a query; its files are read and compared with their hashes now.

        Raises:
            AuditCorruptError: If a file is missing, changed or of another run.
        """
        return self._scan(self._contents())

    def _sent(
        self, workspaces: Mapping[str, str], *, scheme: str = ""
    ) -> tuple[pl.LazyFrame, str | None, dict[str, str]]:
        """Return the rows that were sent to some workspaces, as a query.

        Subjects of runs with another `scheme` are unknown.

        Returns:
            The rows, the key of their message ids and hashes, if they are keyed in any of the runs,
            and the id algorithm of each run.

        Raises:
            AuditError: A run was recorded with another key than that of this machine.
        """
        groups: dict[tuple[tuple[str, ...], bool, bool], list[tuple[Path, RunContents]]] = {}
        fingerprints: set[str] = set()
        algorithms: dict[str, str] = {}
        for directory, contents in self._contents():
            run = contents.run
            algorithms[run.info.run_id] = run.info.id_algorithm
            if calls := _calls(run, workspaces):
                is_keyed = run.message_ids == "keyed"
                run_scheme = subject_scheme(pii=run.info.pii, key_name=run.key_name)
                group = (calls, is_keyed, run_scheme == scheme)
                groups.setdefault(group, []).append((directory, contents))
                fingerprints |= {run.key_name or ""} if is_keyed else set()
        keys = [pseudonyms.require_key(name, where=self.directory) for name in sorted(fingerprints)]
        key = keys[0] if keys else None
        frames = [
            self._scan(runs)
            .filter(pl.col("state").is_in(_POSSIBLY_ARRIVED), pl.col("call").is_in(calls))
            .with_columns(
                _subjects(has_scheme=has_scheme),
                pseudonyms.keyed_ids(pl.col("message_id"), key=None if is_keyed else key),
                pseudonyms.keyed_hashes(pl.col("payload_hash"), key=None if is_keyed else key),
            )
            for (calls, is_keyed, has_scheme), runs in groups.items()
        ]
        return pl.concat([PART_SCHEMA.to_frame(eager=False), *frames]), key, algorithms

    def failed(self, *, run: str | None = None) -> pl.DataFrame:
        """Return the rows that Customer.io may not have received, with the reasons.

        Args:
            run: One run; all runs if not given.
        """
        return self._collect(self._rows_of_run(run).filter(pl.col("state").is_in(FAILED)))

    def explain(
        self,
        *,
        row: int | None = None,
        id: str | None = None,  # noqa: A002 - what Customer.io calls it
        email: str | None = None,
        run: str | None = None,
        plan: int | None = None,
    ) -> str:
        """Return the outcome of a row, or of all rows about a person, in sentences.

        Args:
            row: Number of the row in its table, from 0: one paragraph per run and plan that has it. Of
                several tables it is the one that was sent last, unless `run` names another.
            id: A person's id, as the tables had it.
            email: A person's e-mail address; rows that have it beside an id are included.
            run: One run; all runs if not given.
            plan: Position of the plan in a back-fill; all if not given.

        Raises:
            MappingError: Not exactly one of `row`, `id` and `email` is given.
            AuditError: No run has such a row, or it keeps no identifiers, or was recorded with another
                key.

        Examples:
            >>> import polars as pl, cio_frames as cio, tempfile
            >>> plan = pl.DataFrame({"id": ["u1", "u2"]}).cio.identify(user_id="id")
            >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
            ...     run = plan.send(workspace.client(), audit=folder, progress=False)
            ...     print(cio.audit(folder).explain(id="u2").splitlines()[0])
            u2: 1 row in 1 run: 1 delivered.
        """
        rows = self._rows_about(row=row, id=id, email=email, run=run, plan=plan)
        runs = {d.name: run_file.read(self._disk, d) for d in self._run_directories()}
        introduction: list[str] = []
        if row is not None:
            rows, others = _of_latest_table(rows, runs)
            introduction = [_other_tables_sentence(row, others)] if others else []
        shown = rows.head(_SHOWN_ROWS).to_dicts()
        person = id if id is not None else email
        if person is not None:
            introduction = [_counts_sentence(person, rows)]
        described = [(row, row_sentences(row, run=runs[row["run_id"]])) for row in shown]
        return self._story(described, introduction=introduction)

    def _story(
        self, described: Sequence[tuple[dict[str, Any], str]], *, introduction: Sequence[str]
    ) -> str:
        """Return rows with their sentences as one text."""
        return "\n\n".join([*introduction, *(sentences for _, sentences in described)])

    def _rows_about(
        self,
        *,
        row: int | None,
        id: str | None,  # noqa: A002 - what Customer.io calls it
        email: str | None,
        run: str | None,
        plan: int | None,
    ) -> pl.DataFrame:
        """Return the rows that `explain` describes."""
        if len([name for name in (row, id, email) if name is not None]) != 1:
            raise MappingError(
                'Pass one of them: explain(row=7), explain(id="u1") or explain(email="...").'
            )
        person = id if id is not None else email
        query = self._rows_of_run(run) if person is None else self._about_person(person, run=run)
        if row is not None:
            query = query.filter(pl.col("row") == row)
        if plan is not None:
            query = query.filter(pl.col("plan") == plan)
        rows = self._collect(query).sort("run_id", "plan", "row")
        if rows.is_empty():
            raise AuditError(
                f"No run in {self.directory} has a row about {person}."
                if person is not None
                else f"No run in {self.directory} has a row {row}. Rows are numbered from 0 in the "
                "order of the table; .runs shows how many each run has."
            )
        return rows

    def _about_person(self, person: str, *, run: str | None) -> pl.LazyFrame:
        """Return the rows about a person, and those that name them beside another identifier.

        Raises:
            AuditError: The record keeps no identifiers, or was made with another key.
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
                key = pseudonyms.require_key(contents.run.key_name, where=directory)
            person_keys = pseudonyms.pseudonyms(pl.Series("person", texts), pii=info.pii, key=key)
            digits = identifier_digits(texts, pii=info.pii, key=key)
            is_named = pl.col("subjects").str.contains_any(digits).fill_null(value=False)
            rows = self._scan([(directory, contents)])
            frames.append(rows.filter(pl.col("person_key").is_in(person_keys.implode()) | is_named))
        if not frames:
            return self._rows_of_run(run)  # which raises: there is no such run
        return pl.concat(frames)

    def verify(self) -> pl.DataFrame:
        """Return the problems of the record: run_id, file, problem, hint. Empty if there are none.

        Every file is read and compared with its hash, the states are counted, and the row numbers
        must be complete.
        """
        return pl.concat([problems(self._disk, d) for d in self._run_directories()])

    @property
    def reconciliations(self) -> pl.DataFrame:
        """The results of each comparison of a workspace with a run, with the file of the differences."""
        from cio_frames.audit import reconciliations

        rows = [reconciliations.reconciliations(self._disk, d) for d in self._run_directories()]
        return pl.concat(rows)

    def diff(self, before: str, after: str) -> pl.DataFrame:
        """Return the messages that are not in the same state in two runs.

        Args:
            before: A run.
            after: Another run.
        """
        columns = ("call", "row", "state", "payload_hash")
        left, right = (
            self._rows_of_run(run)
            .filter(pl.col("message_id").is_not_null())
            .select("message_id", *columns)
            for run in (before, after)
        )
        joined = left.join(right, on="message_id", how="full", suffix="_after", coalesce=True)
        is_same = pl.col("state").eq_missing(pl.col("state_after")) & pl.col(
            "payload_hash"
        ).eq_missing(pl.col("payload_hash_after"))
        return self._collect(joined.filter(~is_same)).sort("row", "row_after", nulls_last=True)

    def _totals(self, runs: pl.DataFrame) -> dict[str, int]:
        """Return the rows in each state; a row of several runs counts once. One run needs no reading."""
        if runs.height == 1:
            return {state: runs[state].item() for state in STATES}
        from cio_frames.audit.distinct_rows import distinct_rows

        files = [run_file.read(self._disk, directory) for directory in self._run_directories()]
        rows = self._collect(distinct_rows(self.scan(), files))
        return dict.fromkeys(STATES, 0) | dict(rows.iter_rows())

    def __repr__(self) -> str:
        try:
            runs = self.runs
            totals = self._totals(runs)
        except (AuditError, OSError) as error:
            return f"<Audit of {self.directory}, which cannot be read: {error}>"
        rows, failed = sum(totals.values()), sum(totals[state] for state in FAILED)
        return f"<Audit of {runs.height} runs: {rows:,} rows, {failed:,} of them not delivered>"

    def _collect(self, rows: pl.LazyFrame) -> pl.DataFrame:
        return collect_rows(rows, self.directory)

    def _run_directories(self) -> Iterator[Path]:
        if run_file.NAME in self._disk.listdir(self.directory):
            yield self.directory
            return
        for name in self._disk.listdir(self.directory):
            path = self.directory / name
            if self._is_run(path):
                yield path

    def _is_run(self, path: Path) -> bool:
        """Return whether a directory is that of a run, even if run.json is missing."""
        try:
            names = self._disk.listdir(path)
        except NotADirectoryError:
            return False
        if run_file.NAME in names or Layout(path).parts.name not in names:
            return run_file.NAME in names
        return any(segment_of(name) is not None for name in self._disk.listdir(Layout(path).parts))

    def _contents(self) -> Iterator[tuple[Path, RunContents]]:
        return ((path, self._run_contents(path)) for path in self._run_directories())

    def _run_contents(self, path: Path) -> RunContents:
        contents = read_contents(self._disk, path)
        if contents.run.state != "running":
            return contents
        from cio_frames.audit.attempts import with_attempts

        return with_attempts(self._disk, path, contents)

    def _rows_of_run(self, run: str | None) -> pl.LazyFrame:
        if run is None:
            return self.scan()
        for directory in self._run_directories():
            if directory.name == run:
                return self._scan([(directory, self._run_contents(directory))])
        names = ", ".join(directory.name for directory in self._run_directories())
        raise AuditError(f"There is no run {run!r} in {self.directory}. Runs: {names}.")

    def _scan(self, runs: Iterable[tuple[Path, RunContents]]) -> pl.LazyFrame:
        """Return the rows of runs, with all parts in one scan, so that each run costs the same.

        It scans the bytes whose hash was compared, and does not read the files again.
        """
        parts: list[bytes] = []
        frames = [PART_SCHEMA.to_frame()]
        for directory, contents in runs:
            run = contents.run
            complete = parts_data(self._disk, directory, run.parts)
            open_rows = [segment.row_states(run.info.run_id) for segment in contents.open_segments]
            if run.resumed:
                rows = self._collect(scan_parts(complete)) if complete else frames[0]
                frames.append(latest_rows(pl.concat([rows, *open_rows])))
            else:
                parts += complete
                frames += open_rows
        in_memory = pl.concat(frames).lazy()
        return pl.concat([in_memory, scan_parts(parts)]) if parts else in_memory

    def _summary(self, directory: Path) -> dict[str, Any]:
        contents = self._run_contents(directory)
        run = contents.run
        counts = count_states(self._disk, directory, run, open_segments=contents.open_segments)
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


_COLUMNS = ("run_id", "call", "message_id", "payload_hash", "state", "first_attempt_at")
_POSSIBLY_ARRIVED = ("delivered", "accepted_unverified", "in_doubt")


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRuns:
    """The rows that earlier runs sent to a workspace.

    Attributes:
        directory: The directory of the runs.
        sent: A query with the columns of a record and `at`, when the message arrived.
        key: The key of ids and hashes; None if they are not keyed.
        algorithms: The algorithm of the message ids, by run.
    """

    directory: Path
    sent: pl.LazyFrame
    key: str | None = None
    algorithms: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> pl.DataFrame:
        """The state of each message: delivered if any run delivered it, else in doubt since the first."""
        verified = self.sent.select(_COLUMNS).filter(pl.col("state") != "accepted_unverified")
        best = verified.sort(pl.col("state") == "delivered", descending=True, maintain_order=True)
        return collect_rows(
            best.unique("message_id", keep="first", maintain_order=True), self.directory
        )

    @property
    def states(self) -> pl.DataFrame:
        """The rows that set a state."""
        return collect_rows(self.sent.filter(pl.col("subjects").is_not_null()), self.directory)

    @property
    def events(self) -> pl.LazyFrame:
        """A query for the other rows."""
        return self.sent.filter(pl.col("subjects").is_null())


def earlier_runs(
    directory: Path | str, *, workspaces: Mapping[str, str], scheme: str = "", before: str = ""
) -> EarlierRuns | None:
    """Return the rows that earlier runs sent to the same workspace; None if there was no run.

    Args:
        directory: The directory of all runs; it need not exist.
        workspaces: The workspaces by API, as in `RunInfo.workspaces`.
        scheme: The scheme of subjects; those of runs with another scheme are unknown.
        before: The id of a run; only runs before it count. All runs if not given.
    """
    where = resolve_path(directory)
    try:
        audit = Audit(where)
    except AuditCorruptError:
        raise
    except AuditError:
        return None
    rows, key, algorithms = audit._sent(workspaces, scheme=scheme)  # noqa: SLF001 - both are of this module
    if before:
        rows = rows.filter(pl.col("run_id") < before)
    at = pl.coalesce("finished_at", "first_attempt_at").alias("at")
    return EarlierRuns(directory=where, sent=rows.with_columns(at), key=key, algorithms=algorithms)


_STATE_CALLS = tuple(name for name, call in CALLS.items() if call.sets_state or name == "form")


def _subjects(*, has_scheme: bool) -> pl.Expr:
    """Return the subjects of rows; those missing in older records are unknown."""
    subjects = pl.col("subjects")
    if not has_scheme:
        subjects = pl.when(subjects.is_not_null()).then(pl.lit(UNKNOWN))
    is_older = pl.col("subjects").is_null() & pl.col("call").is_in(_STATE_CALLS)
    return pl.when(is_older).then(pl.lit(UNKNOWN)).otherwise(subjects).alias("subjects")


def require_run(directory: Path | str) -> None:
    """Raise if a directory contains runs but is not a run itself.

    Raises:
        AuditError: It does; the error names the runs that can be resumed, and the call.
    """
    disk, where = file_system_at(directory)
    if run_file.NAME in disk.listdir(where):
        return
    try:
        runs = Audit(where).runs
    except AuditCorruptError:
        raise
    except AuditError:
        return  # it contains no runs either; reading the run raises the error
    unfinished = (
        runs.filter(pl.sum_horizontal(UNFINISHED) > 0)["run_id"].sort(descending=True).to_list()
    )
    todo = (
        f"Runs in it that can be resumed: {', '.join(unfinished)}. Finish the latest with\n"
        f"    cio.resume({str(where / unfinished[0])!r}, client, plan)"
        if unfinished
        else "None of its runs has anything left to resume."
    )
    raise AuditError(f"{where} is the audit directory, not a run. {todo}")


def _calls(run: RunFile, workspaces: Mapping[str, str]) -> tuple[str, ...]:
    """Return the calls that a run sent to one of these workspaces."""
    is_same = workspaces.items() & run.info.workspaces.items()
    return tuple(name for name, call in CALLS.items() if call.api.name in dict(is_same))


_ACCEPTED = "Customer.io accepted it in strict mode"
_NOTHING_NEWER = ", and nothing newer about the same person or object followed"
_SENT_AGAIN = (
    "It was sent again under a new message ID, because {reason}, followed by something else about the "
    "same person or object. "
)
_REQUEST_REFUSED = "The whole request that contained it was refused. "
_OUTCOME_TEXTS: Mapping[str, str] = {
    "delivered": f"{_ACCEPTED}{{answer}}{{moment}}.",
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


_SHOWN_ROWS = 50
"""How many rows of a person are described."""


def _of_latest_table(
    rows: pl.DataFrame, runs: Mapping[str, RunFile]
) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows of the table that was sent last, and the runs that sent others."""
    tables = {name: (run.info.fingerprint, run.info.plans) for name, run in runs.items()}
    last = tables[str(rows["run_id"].max())]
    others = [name for name in rows["run_id"].unique().sort() if tables[name] != last]
    return rows.filter(~pl.col("run_id").is_in(others)), others


def _other_tables_sentence(row: int, runs: Sequence[str]) -> str:
    """Return a sentence on the runs that have another row with this number."""
    return (
        f"Other tables have a row {row} too. Name the run to see it: "
        f'explain(row={row}, run="{runs[-1]}"){" or another" * (len(runs) > 1)}.'
    )


def _counts_sentence(person: str, rows: pl.DataFrame) -> str:
    """Return a sentence on the number of rows about a person and their states."""
    states = rows["state"].value_counts(sort=True)
    counts = ", ".join(
        f"{count:,} {state.replace('_', ' ')}" for state, count in states.iter_rows()
    )
    runs = rows["run_id"].n_unique()
    sentence = f"{person}: {many(rows.height, 'row')} in {many(runs, 'run')}: {counts}."
    if rows.height > _SHOWN_ROWS:
        sentence += f" The first {_SHOWN_ROWS} are shown here; .scan() returns all of them."
    return sentence


def row_sentences(record: Mapping[str, Any], *, run: RunFile) -> str:
    """Return the message, the attempts and the outcome of a row, in sentences."""
    sentences = (
        _message_sentence(record, run),
        _attempts_sentence(record),
        _outcome_sentence(record),
    )
    return " ".join(filter(None, sentences))


def _message_sentence(record: Mapping[str, Any], run: RunFile) -> str:
    mode = "" if run.info.strict else ", strict mode off"
    plan = f" of plan {record['plan']}" if len(run.info.plans) > 1 else ""
    row = f"Row {record['row']}{plan} of run {record['run_id']} ({run.info.endpoint}{mode})"
    message = (
        f"message {record['message_id']}"
        if record["message_id"]
        else "for which no message was built"
    )
    sentence = f"{row} is {_article(record['call'])} {record['call']} call, {message}"
    if record["batch"] is None:
        return f"{sentence}."
    return f"{sentence} ({record['bytes']:,} bytes)."


def _attempts_sentence(record: Mapping[str, Any]) -> str:
    if not record["attempts"]:
        return "It has not been sent." if record["batch"] is not None else ""
    first = _moment(record["first_attempt_at"])
    if record["attempts"] == 1:
        return f"It was sent once, {first}."
    return f"It was sent {record['attempts']} times, first {first}."


def _outcome_sentence(record: Mapping[str, Any]) -> str:
    status, at = record["http_status"], record["finished_at"]
    reasons = [text for text in (record["code"], record["error"]) if text]
    reason = ": ".join(reasons) or "no reason was given"
    prefix = _REQUEST_REFUSED if record["state"] == "blocked" and record["attempts"] else ""
    if record["code"] == "SENT_AGAIN":
        prefix, reason, reasons = _SENT_AGAIN.format(reason=reason.partition(": ")[2]), "", []
    return prefix + _OUTCOME_TEXTS[record["state"]].format(
        answer=f" with status {status}" if status else "",
        moment=f" {_moment(at)}" if at else "",
        reason=reason.rstrip("."),
        why=f" ({reason.rstrip('.')})" if reasons else "",
        since=_NOTHING_NEWER if record["subjects"] is not None else "",
        unverified="not in the documented way" if reasons else "strict mode was off",
    )


def _moment(at: datetime) -> str:
    return f"on {at.astimezone(UTC):%Y-%m-%d at %H:%M:%S} UTC"


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"


def write_csv(rows: pl.DataFrame, path: Path | str) -> None:
    """Write `rows` as CSV for spreadsheets; an existing file is replaced."""
    write_atomic(LocalFileSystem(), Path(path).absolute(), csv(rows).encode())
