"""The plan of a Spark frame: like that of any table, with the rows read on the executors."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl

from cio_frames.audit.file_system import Durability
from cio_frames.audit.pseudonyms import Pii
from cio_frames.errors import ArgumentError, checks_arguments, engine_errors
from cio_frames.frames import ROW, Table, read
from cio_frames.frames.unsupported import is_spark
from cio_frames.identity import Settings
from cio_frames.payloads import MESSAGE_SCHEMA
from cio_frames.plan.chunks import Repeats, rows_at_once
from cio_frames.plan.pipeline import Pipeline, Pipelines, PreviewCounts
from cio_frames.plan.plan import LATENCY_S, Plan, allowed, planned
from cio_frames.plan.table_plan import TablePlan, require_count
from cio_frames.run import InDoubt, SendOptions
from cio_frames.sending.client import RATE
from cio_frames.spark.check import (
    SparkCheck,
    SparkPreSendCheck,
    check_before_send,
    check_fully,
    findings_of,
    rejected_of,
    sample_pipeline,
)
from cio_frames.spark.chunks import map_chunks
from cio_frames.spark.components import components
from cio_frames.spark.failures import spark_failures
from cio_frames.spark.judge import SPARK_MESSAGES, first_messages
from cio_frames.spark.order import in_order, require_order, with_components
from cio_frames.spark.reading import PlanSettings
from cio_frames.spark.table import SparkTable, to_arrow
from cio_frames.spark.types import quoted
from cio_frames.views.displays import ShowProgress
from cio_frames.workspaces.client import Client

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from cio_frames.plan.estimate import Estimate
    from cio_frames.plan.rehearsal import Rehearsal
    from cio_frames.plan.workspace_people import WorkspacePeople
    from cio_frames.spark.identity import SparkIdentityPreview
    from cio_frames.spark.run import SparkOptions, SparkRun

TASK_ROWS = 250_000
"""About how many rows one task previews."""
_SAMPLE = (
    "What else a plan of this machine takes goes with a sample: "
    'plan.sample(10_000).identity(on_conflict="reject").'
)
_CLIENT = "Pass a client: plan.send(cio.connect()) uses the keys in your environment."


@dataclass(slots=True)
class _Checked:
    """The results of the checks that have run, and the frames that Spark keeps for them and for previews."""

    full: SparkCheck | None = None
    persisted: "list[DataFrame]" = field(default_factory=list)
    before_send: SparkPreSendCheck | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SparkPipeline(Pipeline):
    """Makes messages from a Spark frame. Its `table` holds the first rows, which give names and types."""

    spark: SparkTable
    _checked: _Checked = field(default_factory=_Checked, init=False, repr=False)

    @property
    def check(self) -> SparkCheck:
        """The result of all checks, which run on the executors."""
        if self._checked.full is None:
            self._checked.full = check_fully(self.spark, self)
            self.add_persisted(self._checked.full.persisted)
            full = self._checked.full.result.full
            self._results.full, self._results.before_send = full, full.before_send
        return self._checked.full

    def check_fully(self, *, gather_links: bool, gather_ids: bool = False) -> None:
        """Run the full check unless it has run."""
        del gather_links, gather_ids  # components are found elsewhere
        _ = self.check

    def check_before_send(self, *, gather_links: bool) -> None:
        """Look for rows that must not be sent, unless a check has run; run the full check if all may be refused."""
        if self._results.before_send is None:
            checked = self._checked.before_send = check_before_send(self.spark, self)
            if checked is None:
                self.check_fully(gather_links=gather_links)
            else:
                self.add_persisted(checked.persisted)
                self._results.before_send = checked.before_send

    @property
    def table_check(self) -> SparkCheck | SparkPreSendCheck:
        """The latest result of the checks of the whole table."""
        self.check_before_send(gather_links=False)
        return self._checked.full or self._checked.before_send or self.check

    @property
    def can_send(self) -> bool:
        """Whether any row can be sent. If one of the first can, no other row is read."""
        if self._results.full is None and sample_pipeline(self, self.before_send).messages(1):
            return True
        return self.full_check.valid > 0

    @cached_property
    def components(self) -> "DataFrame | None":
        """The connected identifiers of the rows; None if there are none."""
        return self.connected(None)

    def connected(self, known: pl.DataFrame | None) -> "DataFrame | None":
        """Return the connected identifiers of the rows and of an export; Spark keeps them until `unpersist`."""
        connected = components(self.spark, self, known=known)
        if connected is not None:
            self.add_persisted(connected)
        return connected

    def add_persisted(self, frame: "DataFrame") -> None:
        """Add a frame that Spark keeps until `unpersist`."""
        self._checked.persisted.append(frame)

    def unpersist(self) -> None:
        """Have Spark release what it keeps."""
        for frame in (self.spark.persisted, *self._checked.persisted):
            frame.unpersist()
        self._checked.persisted.clear()

    @property
    def changed(self) -> pl.DataFrame:
        """What the repairs changed in all rows."""
        return self.check.result.changed

    def messages(self, count: int) -> list[str]:
        """Return the JSON text of the first messages: from the first rows if they make enough messages."""
        before = None if self._results.full is None else self._results.full.before_send
        messages = sample_pipeline(self, before).messages(count)
        if len(messages) >= count or self.spark.rows <= self.table.rows():
            return messages
        return self._first_messages(count)

    @spark_failures("the first messages were made")
    @engine_errors("the first messages were made")
    def _first_messages(self, count: int) -> list[str]:
        """Have each partition make its first messages, and return the first of all."""
        count = min(count, self.spark.rows)  # Spark makes room for as many as it is asked for
        full = self._checked.full
        rows = self.spark.chunks if full is None else full.table.chunks
        by_partition = map_chunks(
            rows,
            partial(first_messages, settings=PlanSettings.of(self), count=count),
            schema=SPARK_MESSAGES,
            rows=min(rows_at_once(self.table), max(count, self.table.rows())),
        )
        first = pl.DataFrame(to_arrow(by_partition.orderBy("row").limit(count)))
        messages = first.select(
            pl.col(name).reinterpret(signed=False)
            if dtype == pl.UInt64
            else pl.col(name).cast(dtype)
            for name, dtype in MESSAGE_SCHEMA.items()
        )
        return Repeats().renewed(messages, call=self.mapping.call)["message"].to_list()

    def link_keys(self) -> NoReturn:
        """Refuse: identifiers stay on the executors."""
        _raise_not_offered("the identifiers of its rows", "Use plan.counts and plan.summary.")

    def encode_chunks(self, **_: Any) -> Generator[Any]:
        """Refuse: rows are encoded on the executors."""
        _raise_not_offered(
            "the messages of all its rows", "Use plan.payloads(n), or plan.send(client)."
        )


def _raise_not_offered(what: str, hint: str) -> NoReturn:
    raise ArgumentError(f"The plan of a Spark frame does not give {what} to this machine. {hint}")


@dataclass(frozen=True, eq=False, repr=False)
class SparkPlan(TablePlan):
    """What would be sent for a Spark frame. Nothing leaves before `send`.

    Only sums, examples and the first rows come to this machine.

    Attributes:
        checks: Which checks apply.
    """

    @property
    def pipeline(self) -> SparkPipeline:
        """What makes messages from the frame."""
        (pipeline,) = self.pipelines.all
        assert isinstance(pipeline, SparkPipeline)  # noqa: S101 - see plan_of_spark
        return pipeline

    @property
    def table(self) -> SparkTable:
        """The rows."""
        return self.pipeline.spark

    @property
    def findings(self) -> "DataFrame":
        """Everything the checks found, worst first, as a lazy Spark frame.

        Columns are row, code, severity, column, value, message and hint; row is empty where a
        finding is about the whole table. Rows are numbered from 0 in the order of the frame.
        """
        return findings_of(self.pipeline.check, self.table)

    @property
    def rejected(self) -> "DataFrame":
        """The rows that would not be sent, with all their columns and `reasons`, as a Spark frame."""
        return rejected_of(self.pipeline.check, self.table)

    @checks_arguments(lambda *_: _SAMPLE)
    def estimate(
        self,
        client: Client | None = None,
        *,
        rate: float | None = RATE,
        latency_s: float = LATENCY_S,
        price_per_profile: float | None = None,
    ) -> "Estimate":
        """Estimate requests, bytes, time, new profiles and their price.

        Everybody counts as new. Where rows name people by several identifiers, some people may be counted
        twice.

        Args:
            client: Where it would go, for its limits.
            rate: Most requests per second, where there is no client.
            latency_s: How long Customer.io takes to answer.
            price_per_profile: What a new profile costs.
        """
        from cio_frames.plan.estimate import estimate
        from cio_frames.plan.identity_preview import premise_of

        if client is not None:
            self.pipelines.remember_client(client)
        full = self.pipeline.full_check
        at_most = PreviewCounts(
            creates=full.people, people=full.people, objects=full.objects, summary={},
            is_compared=False, open=None,
        )  # fmt: skip
        return estimate(
            self.pipelines,
            premise_of(self.pipelines, None, settings=None, progress=False),
            client=client,
            rate=rate,
            latency_s=latency_s,
            price_per_profile=price_per_profile,
            preview=at_most,
        )

    @checks_arguments(lambda *_: _SAMPLE)
    def identity(
        self,
        known: "WorkspacePeople | DataFrame | None" = None,
        *,
        settings: Settings | None = None,
    ) -> "SparkIdentityPreview":
        """Show how many people the rows create, update and merge, and the conflicts; computed on the executors.

        People are counted, not listed. To see them, take a sample.

        Args:
            known: An export of the workspace's people, as for a local plan, or a Spark frame of it. Every
                executor gets all of it, so it has to fit there. Without it everybody counts as new.
            settings: How the workspace is set up; by default like a new one.

        Raises:
            ArgumentError: The call is about objects, whose rows name the same people.
            MappingError: `known` has no column of identifiers.
            RowOrderError: A state depends on the order of rows, and nothing decides it.
            WorkspaceReadError: `known` is a client, and the people cannot be read.
        """
        from cio_frames.plan.identity_preview import premise_of
        from cio_frames.spark.identity import preview, require_separable

        pipeline = self.pipeline
        require_separable(pipeline.mapping)
        export: Any = known
        export = to_arrow(export) if is_spark(export) else export
        premise = premise_of(self.pipelines, export, settings=settings, progress=False)
        people = premise.workspace_people
        connected = pipeline.components if people is None else pipeline.connected(people)
        rows = in_order(
            self._checked_table(connected), pipeline, components=connected,
            partitions=max(1, -(-self.table.rows // TASK_ROWS)),
        )  # fmt: skip
        return preview(
            rows, plan=PlanSettings.of(pipeline), premise=premise,
            label=f"{self.call} ({self.table.sample.label})", keep=pipeline.add_persisted,
        )  # fmt: skip

    def sample(self, rows: int = 10_000) -> "Plan":
        """Return a local plan for some rows, with all rows of each person and of the people linked with them.

        It has everything that other plans have: `identity(known=export)`, `rehearse()`, `findings`.

        Args:
            rows: About how many rows; the last person has all of theirs, too.

        Raises:
            ArgumentError: `rows` is not a whole number, or is negative.
        """
        from cio_frames.spark.identity import sample

        require_count(rows, of="rows", call="plan.sample(10_000)")
        components = self.pipeline.components
        marked = with_components(
            self._checked_table(components), self.pipeline, components=components
        )
        sampled = sample(marked, most=min(rows, self.table.rows))
        table = read(to_arrow(sampled.orderBy(ROW).select(*_names(self.table.sample))))
        return planned(Pipeline(**{**_settings(self.pipeline, Pipeline), "table": table}))

    @checks_arguments(lambda *_: _SAMPLE)
    def rehearse(self, *, rows: int = 10_000, progress: ShowProgress = "auto") -> "Rehearsal":
        """Send a sample to a private embedded workspace, and compare with the preview.

        Args:
            rows: About how many rows the sample has, as for `sample`.
            progress: As for `send`.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first.
        """
        return self.sample(rows).rehearse(progress=progress)

    def save(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: a saved plan needs a table that this machine reads."""
        raise ArgumentError(
            "The plan of a Spark frame cannot be saved. Save that of a sample for the review: "
            'plan.sample(10_000).save("sample.cioplan"). It can be applied to the same sample only.'
        )

    def corrected(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: corrected rows come from a file that this machine reads."""
        raise ArgumentError(
            "The plan of a Spark frame takes no corrections from a file. Write plan.rejected to a table, "
            "correct it there, and plan that table."
        )

    def asend(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: Spark runs a job, for which nothing is awaited on this machine."""
        raise ArgumentError(
            "The plan of a Spark frame has no asend. plan.send(client, wait=False) returns at once, and "
            "run.wait() waits for the end."
        )

    def _checked_table(self, components: "DataFrame | None") -> SparkTable:
        """Return the rows with the findings of the whole table, once their order is certain."""
        checked = self.pipeline.check
        require_order(
            self.table, self.pipeline, components=components, sets_state=checked.sets_state
        )
        return checked.table

    def unpersist(self) -> None:
        """Have Spark release what it keeps for this plan: the numbered rows and the findings about them.

        Call it when the plan and its runs are no longer used. Later uses read the rows again.
        """
        self.pipeline.unpersist()

    @checks_arguments(lambda *_: _CLIENT)
    def send(
        self,
        client: Client,
        *,
        audit: Path | str = "audit",
        progress: ShowProgress = "auto",
        wait: bool = True,
        repeat: bool = False,
        in_doubt: InDoubt | None = None,
        durability: Durability = "power",
        pii: Pii = "hmac",
        allow: Mapping[str, int | str] | None = None,
    ) -> "SparkRun":
        """Check, send from the executors, show progress, and record the outcome of every row.

        Args:
            client: Where to send: `cio.connect(...)`.
            audit: Directory of the records of all runs, which all executors can write to.
            progress: "auto", False, a kind of display, or a function that gets the states.
            wait: Whether to wait for the end; if not, use `run.wait()` and `run.stop()`.
            repeat: Whether to send again what an earlier run in `audit` delivered.
            in_doubt: What to do with messages that an earlier run left in doubt: "resend",
                "skip", "report"; by default it depends on the call and on their age.
            durability: What the record is safe against: a "power" cut, or the end of the
                "process".
            pii: What the record keeps of identifiers: keyed hashes ("hmac"), nothing but row
                numbers and message ids ("ids"), or themselves ("full").
            allow: How many campaigns, opt-outs, deletions and merges may follow, as for local plans.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first; nothing was sent.
            AllowanceError: More than `allow` would happen; nothing was sent.
            RowOrderError: A state depends on the order of rows, and nothing decides it; nothing was sent.
            RunStoppedError: The answers forbid going on; its `run` has the state of each row.
        """
        options = SendOptions(
            audit=audit, progress=progress, wait=wait, repeat=repeat, in_doubt=in_doubt,
            durability=durability, pii=pii, allow=allowed(allow),
        )  # fmt: skip
        self.pipelines.require_sendable()
        if not isinstance(client, Client):
            raise ArgumentError(f"A {type(client).__name__} is not a client. {_CLIENT}")
        client.require(self.call)
        client.require_network()
        self.pipelines.remember_client(client)
        from cio_frames.spark.run import start

        components, sets_state = self.pipeline.components, self.pipeline.table_check.sets_state
        require_order(self.table, self.pipeline, components=components, sets_state=sets_state)
        if options.allow is not None or not client.is_local:
            from cio_frames.plan.allowances import require_allowed

            _ = self.pipeline.check  # the check before sending counts nothing
            merges = self._merges(is_linked=components is not None)
            require_allowed(self.pipelines, options.allow or {}, preview=merges)
        run = start(self, client, options=options, spark=self._spark_options())
        return run.wait() if wait else run

    def _merges(self, *, is_linked: bool) -> PreviewCounts | None:
        """Return the identity preview if rows of identify can merge people."""
        from cio_frames.plan.allowances import can_merge

        if not (is_linked and can_merge([self.pipeline])):
            return None
        summary = self.identity().summary
        return PreviewCounts(
            creates=summary["creates"], people=summary["creates"], objects=0, summary=summary,
            is_compared=False, open=None, automatic_merges=summary["merges"],
        )  # fmt: skip

    def resumed(self, directory: Path | str, client: Client, *, options: SendOptions) -> "SparkRun":
        """Finish a run of this plan; `cio.resume` calls it."""
        from cio_frames.spark.run import resume

        run = resume(directory, self, client, options=options, spark=self._spark_options())
        return run.wait() if options.wait else run

    def _spark_options(self) -> "SparkOptions":
        """Return how the work of a run is divided."""
        from cio_frames.spark.run import SparkOptions

        ordered = partial(in_order, components=self.pipeline.components)
        return SparkOptions(in_order=ordered, findings=self.pipeline.table_check.row_findings)


def _names(table: Table) -> list[str]:
    return [quoted(name) for name in table.schema().names()]


def plan_of_spark(table: SparkTable, pipeline: Pipeline) -> SparkPlan:
    """Return the plan of a Spark frame, with the settings of the plan of its first rows."""
    of_spark = SparkPipeline(**_settings(pipeline, type(pipeline)), spark=table)
    return SparkPlan(Pipelines((of_spark,)))


def _settings(pipeline: Pipeline, kind: type[Pipeline]) -> dict[str, Any]:
    return {each.name: getattr(pipeline, each.name) for each in fields(kind) if each.init}
