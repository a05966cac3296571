"""Reading the record: of one run, or of all runs of a directory."""

from collections.abc import ItemsView, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from cio_frames.audit import run_file
from cio_frames.audit.file_system import FileSystem, LocalFileSystem, write_atomic
from cio_frames.audit.open_segments import RunContents, read_contents
from cio_frames.audit.recovery import latest_of, problems, tally
from cio_frames.audit.run_file import Layout, RunFile
from cio_frames.audit.schema import FAILED, PART_SCHEMA, STATES
from cio_frames.audit.subjects import scheme as subject_scheme
from cio_frames.errors import AuditCorruptError, AuditError, translated
from cio_frames.mapping.identifiers import UNKNOWN
from cio_frames.spec import CALLS

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
            hint="cio.audit(...).verify() tells which; restore it from a copy.",
        )

    with translated(damaged):
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
        self.directory: Path = Path(directory).absolute()
        self._disk = disk or LocalFileSystem()
        if not self._directories():
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

    def scan(self, *, workspace: tuple[str, str] | None = None) -> pl.LazyFrame:
        """Return `messages` without reading them yet.

        Args:
            workspace: A surface and its workspace, as in `RunInfo.workspaces`; all if not given.

        Raises:
            AuditCorruptError: If a file is missing, changed or of another run.
        """
        return pl.concat(
            [
                frame
                for directory in self._directories()
                if workspace is None or workspace in self._workspaces(directory)
                for frame in self._scan(directory)
            ]
            or [PART_SCHEMA.to_frame(eager=False)]
        )

    def failed(self, *, run: str | None = None) -> pl.DataFrame:
        """Return the rows that Customer.io is not known to have, with the reasons.

        Args:
            run: One run; all runs if not given.
        """
        return self._collected(self._of(run).filter(pl.col("state").is_in(FAILED)))

    def explain(self, *, row: int, run: str | None = None, plan: int | None = None) -> str:
        """Tell what became of a row, in sentences: one paragraph per run and plan that has it.

        Args:
            row: Number of the row in its table, from 0.
            run: One run; all runs if not given.
            plan: Position of the plan in a back-fill; all if not given.

        Raises:
            AuditError: If no run has that row.
        """
        rows = self._of(run).filter(pl.col("row") == row)
        if plan is not None:
            rows = rows.filter(pl.col("plan") == plan)
        found = self._collected(rows).sort("run_id", "plan")
        if found.is_empty():
            raise AuditError(
                f"No run in {self.directory} has a row {row}. Rows are numbered from 0 in the "
                "order of the table; .runs tells how many each run has."
            )
        told = {d.name: run_file.read(self._disk, d) for d in self._directories()}
        return "\n\n".join(story(item, run=told[item["run_id"]]) for item in found.to_dicts())

    def verify(self) -> pl.DataFrame:
        """Return what is wrong with the record: run_id, file, problem, hint. Empty if it is whole.

        Every file is read and compared with its hash, states are added up, and every row number
        is looked for.
        """
        return pl.concat([problems(self._disk, d) for d in self._directories()])

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

    def __repr__(self) -> str:
        runs = self.runs
        rows, failed = runs["rows"].sum(), sum(runs[state].sum() for state in FAILED)
        return f"<Audit of {runs.height} runs: {rows:,} rows, {failed:,} of them not delivered>"

    def _collected(self, rows: pl.LazyFrame) -> pl.DataFrame:
        return collected(rows, self.directory)

    def _workspaces(self, directory: Path) -> ItemsView[str, str]:
        return run_file.read(self._disk, directory).info.workspaces.items()

    def _directories(self) -> list[Path]:
        if run_file.NAME in self._disk.listdir(self.directory):
            return [self.directory]
        under = (self.directory / name for name in self._disk.listdir(self.directory))
        return [
            path for path in under if path.is_dir() and run_file.NAME in self._disk.listdir(path)
        ]

    def _of(self, run: str | None) -> pl.LazyFrame:
        if run is None:
            return self.scan()
        for directory in self._directories():
            if directory.name == run:
                return pl.concat(list(self._scan(directory)))
        names = ", ".join(directory.name for directory in self._directories())
        raise AuditError(f"There is no run {run!r} in {self.directory}. Runs: {names}.")

    def _scan(self, directory: Path) -> Iterator[pl.LazyFrame]:
        contents = read_contents(self._disk, directory)
        frames = [PART_SCHEMA.to_frame(eager=False)]
        paths = self._paths(directory, contents)
        if paths:
            frames.append(
                pl.scan_parquet(paths, glob=False, schema=PART_SCHEMA, missing_columns="insert")
            )
        run_id = contents.run.info.run_id
        frames += [segment.settled(run_id).lazy() for segment in contents.open_segments]
        if contents.run.resumed:
            yield latest_of(self._collected(pl.concat(frames))).lazy()
        else:
            yield from frames

    def _paths(self, directory: Path, contents: RunContents) -> list[Path]:
        layout = Layout(directory)
        present = set(self._disk.listdir(layout.parts))
        paths = [layout.part(part.segment) for part in contents.run.parts]
        for path in paths:
            if path.name not in present:
                raise AuditCorruptError(
                    str(path), problem="missing", hint="Restore it from a copy."
                )
        return paths

    def _about(self, directory: Path) -> dict[str, Any]:
        contents = read_contents(self._disk, directory)
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


_COLUMNS = ("call", "message_id", "payload_hash", "subjects", "state", "first_attempt_at")


def earlier(directory: Path | str, *, workspaces: Mapping[str, str]) -> pl.DataFrame:
    """Return the messages that earlier runs sent to the same workspace, and their states.

    Args:
        directory: The directory of all runs; it need not be there.
        workspaces: The workspace of each surface, as in `RunInfo.workspaces`.

    Returns:
        Columns call, message_id, payload_hash, subjects, state and first_attempt_at; each message once, as
        delivered if any run delivered it, else as in doubt.
    """
    try:
        log = Audit(directory)
    except AuditError:
        return pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String))
    frames = [_sent(log, api, workspace) for api, workspace in workspaces.items()]
    found = (
        pl.concat(frames)
        .sort(pl.col("state") == "delivered", descending=True, maintain_order=True)
        .unique("message_id", keep="first", maintain_order=True)
    )
    return collected(found, directory)


def _sent(log: Audit, api: str, workspace: str) -> pl.LazyFrame:
    calls = [name for name, call in CALLS.items() if call.api.name == api]
    return (
        log.scan(workspace=(api, workspace))
        .filter(pl.col("call").is_in(calls), pl.col("state").is_in(["delivered", "in_doubt"]))
        .select(_COLUMNS)
    )


_APPLIED = ("delivered", "accepted_unverified", "in_doubt")
_CHANGES = (
    "run_id", "plan", "row", "call", "person_key", "message_id", "payload_hash", "subjects", "state",
    "first_attempt_at", "at",
)  # fmt: skip


def applied(
    directory: Path | str, *, workspaces: Mapping[str, str], scheme: str
) -> pl.LazyFrame | None:
    """Return what earlier runs may have changed in the same workspace, in no order.

    Args:
        directory: The directory of all runs; it need not be there.
        workspaces: The workspace of each surface, as in `RunInfo.workspaces`.
        scheme: How subjects are made now; those of runs that made them in another way are unknown.

    Returns:
        A query with the columns of a record that matter, and `at`, when the message arrived; None if
        there is no run.
    """
    try:
        log = Audit(directory)
    except AuditError:
        return None
    frames = []
    for path in log._directories():  # noqa: SLF001 - this module's own
        run = run_file.read(log._disk, path)  # noqa: SLF001 - this module's own
        here = {api for api, name in workspaces.items() if run.info.workspaces.get(api) == name}
        calls = [name for name, call in CALLS.items() if call.api.name in here]
        subjects = pl.col("subjects")
        if subject_scheme(pii=run.info.pii, key_name=run.key_name) != scheme:
            subjects = pl.when(subjects.is_not_null()).then(pl.lit(UNKNOWN))
        changing = [name for name, call in CALLS.items() if call.sets_state or name == "form"]
        is_older = pl.col("subjects").is_null() & pl.col("call").is_in(changing)
        subjects = pl.when(is_older).then(pl.lit(UNKNOWN)).otherwise(subjects)
        at = pl.coalesce("finished_at", "first_attempt_at").alias("at")
        frames += [
            frame.filter(pl.col("call").is_in(calls), pl.col("state").is_in(_APPLIED))
            .with_columns(at, subjects.alias("subjects"))
            .filter(pl.col("at").is_not_null())
            .select(_CHANGES)
            for frame in log._scan(path)  # noqa: SLF001 - this module's own
        ]
    return pl.concat(frames)


_STRICT = "Customer.io accepted it in strict mode"
_AGAIN = (
    "It went out again under a new id, because {reason}, and something else about the same person or "
    "object after it. "
)
_CARRIED = "It was carried by a request that was refused as a whole. "
_ENDS: Mapping[str, str] = {
    "delivered": f"{_STRICT}{{answer}}{{moment}}.",
    "accepted_unverified": (
        "Customer.io answered{answer}{moment}, but strict mode was off: "
        "it answers so to messages that it drops as well."
    ),
    "rejected_local": "It was not sent: {reason}.",
    "rejected_server": "Customer.io refused it{answer}{moment}: {reason}.",
    "skipped_done": "It was not sent, because an earlier run had delivered the same message{since}.",
    "blocked": "It was held back, because an earlier row of the same person was refused{why}.",
    "in_doubt": (
        "No clear answer came{answer}{why}: Customer.io may or may not have it. "
        "Sending it again is harmless while its message id is remembered."
    ),
    "pending": "It has not reached Customer.io{why}. A resume will send it.",
}


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
    named = f"message {record['message_id']}" if record["message_id"] else "without a message"
    told = f"{head} is {_article(record['call'])} {record['call']} call, {named}"
    if record["batch"] is None:
        return f"{told}."
    return f"{told} of {record['bytes']} bytes in batch {record['batch']}, lane {record['lane']}."


def _tried(record: Mapping[str, Any]) -> str:
    if not record["attempts"]:
        return "No request has carried it." if record["batch"] is not None else ""
    first = _moment(record["first_attempt_at"])
    if record["attempts"] == 1:
        return f"It was sent once, {first}."
    return f"It was sent {record['attempts']} times, first {first}."


def _end(record: Mapping[str, Any]) -> str:
    status, at = record["http_status"], record["finished_at"]
    said = [text for text in (record["code"], record["error"]) if text]
    reason = ": ".join(said) or "no reason was given"
    carried = _CARRIED if record["state"] == "blocked" and record["attempts"] else ""
    since = " and nothing newer about the same person or object followed"
    again = _AGAIN.format(reason=record["error"]) if record["code"] == "SENT_AGAIN" else ""
    if again:
        reason, said = "no reason was given", []
    return (
        carried
        + again
        + _ENDS[record["state"]].format(
            answer=f" with status {status}" if status else "",
            moment=f" {_moment(at)}" if at else "",
            reason=reason.rstrip("."),
            why=f" ({reason.rstrip('.')})" if said else "",
            since=since if record["subjects"] is not None else "",
        )
    )


def _moment(at: datetime) -> str:
    return f"on {at.astimezone(UTC):%Y-%m-%d at %H:%M:%S} UTC"


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"


_FORMULA = r"^[\s\x00]*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|^[\t\r\n]"
_NESTED = (pl.List, pl.Array, pl.Struct)


def write_csv(rows: pl.DataFrame, path: Path | str) -> None:
    """Write `rows` for people who will look at them in a spreadsheet.

    A cell of text, or a column name, that a spreadsheet would take for a formula gets an
    apostrophe in front. Lists and structures become JSON, bytes become base64.

    Args:
        rows: Any table, such as the rejected rows of a plan with their reasons.
        path: Where to write; a file that is there is replaced.
    """
    nested = [name for name, kind in rows.schema.items() if isinstance(kind, _NESTED)]
    flat = rows.with_columns(*map(_json, nested), cs.binary().bin.encode("base64"))
    safe = flat.with_columns(_guarded(cs.string() | cs.categorical()))
    names = pl.DataFrame({"name": rows.columns}, schema={"name": pl.String})
    safe_names = names.select(_guarded(pl.all())).to_series()
    safe = safe.rename(dict(zip(rows.columns, safe_names, strict=True)))
    write_atomic(
        LocalFileSystem(), Path(path).absolute(), safe.write_csv(quote_style="non_numeric").encode()
    )


def _json(name: str) -> pl.Expr:
    wrapped = pl.struct(pl.col(name).alias("v")).struct.json_encode()
    text = wrapped.str.strip_prefix('{"v":').str.strip_suffix("}")
    return pl.when(pl.col(name).is_not_null()).then(text).alias(name)


def _guarded(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.String).str.replace(_FORMULA, "'${0}")
