"""The identity preview of a Spark plan: counts and conflicts, computed on the executors.

All rows of a person are in one partition, so each partition is previewed like a local plan, and the counts
are added up. Each partition gets the whole export, if there is one: rows that name a person of the export by
different identifiers are in one partition, too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl
import pyarrow as pa

from cio_frames.errors import ArgumentError, engine_errors
from cio_frames.frames import ROW
from cio_frames.identity.preview import profile_count
from cio_frames.identity.settings import Premise
from cio_frames.mapping import MessageMapping
from cio_frames.plan.chunks import rows_at_once
from cio_frames.plan.identity_preview import identity_preview
from cio_frames.plan.identity_report import compared
from cio_frames.plan.pipeline import Pipelines
from cio_frames.spark.attempt import partition_check
from cio_frames.spark.chunks import map_chunks
from cio_frames.spark.failures import spark_failures
from cio_frames.spark.order import COMPONENT
from cio_frames.spark.reading import PlanSettings
from cio_frames.spark.spool import spooled
from cio_frames.views import text
from cio_frames.views.document import Badge, Document, Figures, Heading, Paragraph, Section, Table
from cio_frames.views.render import bundle

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PREVIEW_SCHEMA: Final = pl.Schema(
    {
        "what": pl.String(),
        "kind": pl.String(),
        "sentence": pl.String(),
        "hint": pl.String(),
        "open": pl.String(),
        "count": pl.Int64(),
        "rows": pl.String(),
    }
)
"""The result of a partition: its summary as JSON, and a row for each conflict."""

SUMMARY, CONFLICT = "summary", "conflict"
HASH: Final = f"{ROW}hash"
PEOPLE: Final = "people"
LARGEST: Final = "largest_cluster"
"""The only count of a preview that is not a sum."""

_MOST_KINDS: Final = 50


class SparkIdentityPreview:
    """The people that a Spark plan would create, update and merge. People are counted, not listed."""

    def __init__(self, results: "DataFrame", *, label: str, known: pl.DataFrame | None) -> None:
        self._results = results
        self._label = label
        self._known = known
        rows = results.where(f"what = '{SUMMARY}'").select("sentence").collect()
        summaries = [msgspec.json.decode(row["sentence"]) for row in rows]
        self._summary = summed([*summaries, {PEOPLE: profile_count(known)}])

    @property
    def summary(self) -> dict[str, Any]:
        """The counts, like those of a local preview."""
        return dict(self._summary)

    @property
    def conflicts(self) -> "DataFrame":
        """Rows that will not have the effect they ask for, as a Spark frame.

        Columns are kind, sentence, hint, open, count and rows (the numbers of the rows).
        """
        conflicts = self._results.where(f"what = '{CONFLICT}'")
        return conflicts.selectExpr(
            "kind",
            "sentence",
            "hint",
            "open",
            "`count`",
            "from_json(`rows`, 'array<bigint>') AS `rows`",
        )

    def kinds(self) -> list[tuple[str, int, int, str]]:
        """Return each kind of conflict: how many there are, in how many rows, and how to fix them."""
        counted = self.conflicts.selectExpr("kind", "hint", "size(`rows`) AS size")
        grouped = counted.groupBy("kind").agg({"*": "count", "size": "sum", "hint": "max"})
        kinds = [
            (row["kind"], row["count(1)"], row["sum(size)"], row["max(hint)"])
            for row in grouped.limit(_MOST_KINDS).collect()
        ]
        return sorted(kinds, key=lambda kind: (-kind[2], kind[0]))

    def __repr__(self) -> str:
        return text.render(self._document())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(self._document())

    def _document(self) -> Document:
        kinds = self.kinds()
        verdict = Badge("! conflicts", "care") if kinds else Badge("✓ no conflicts", "good")
        figures = [
            (name.replace("_", " "), value)
            for name, value in self._summary.items()
            if _is_shown(value)
        ]
        lead = f"{compared(self._known)} Each person was previewed where their rows are."
        body: list[Any] = [Paragraph(lead, "lead"), Figures(figures)]
        if kinds:
            body.append(
                Section(
                    "Conflicts",
                    [Table(("kind", "conflicts", "rows", "what to do"), kinds, right={1, 2})],
                )
            )
        return Document(Heading("Who is who", self._label, verdict), body)


def _is_shown(value: object) -> bool:
    return isinstance(value, int) and value != 0


def summed(summaries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums of the counts of several previews.

    Examples:
        >>> summed([{"creates": 2, "largest_cluster": 3}, {"creates": 1, "largest_cluster": 2}])
        {'creates': 3, 'largest_cluster': 3}
    """
    sums: dict[str, Any] = {}
    for summary in summaries:
        for name, value in summary.items():
            if isinstance(value, Mapping):
                sums[name] = summed([sums.get(name, {}), value])
            elif name == LARGEST:
                sums[name] = max(sums.get(name, 0), value)
            else:
                sums[name] = sums.get(name, 0) + value
    return sums


def require_separable(mapping: MessageMapping) -> None:
    """Raise if rows of several partitions can be about one person.

    Raises:
        ArgumentError: The call is about objects, whose rows name the same people.
    """
    if mapping.call.name == "group" or mapping.find("group_id") is not None:
        raise ArgumentError(
            "The identity preview of a Spark frame counts people by their rows, and rows of several objects "
            "name the same people. Preview a sample of them: plan.sample(10_000).identity()."
        )


@spark_failures("the identity preview was made")
@engine_errors("the identity preview was made")
def preview(
    rows: "DataFrame", *, plan: PlanSettings, premise: Premise, label: str,
    keep: Callable[["DataFrame"], None],
) -> SparkIdentityPreview:  # fmt: skip
    """Return who is who after these rows; all that name one person lie in one partition, in order.

    Args:
        rows: The rows.
        plan: What executors are given of the plan.
        premise: What the preview assumes.
        label: The name of what is previewed.
        keep: Takes the frame that Spark keeps for it.
    """
    results = map_chunks(
        rows,
        partial(preview_partition, plan=plan, premise=premise),
        schema=PREVIEW_SCHEMA,
        rows=rows_at_once(plan.pipeline().table),
    ).persist()
    keep(results)
    return SparkIdentityPreview(results, label=label, known=premise.workspace_people)


def preview_partition(
    chunks: Iterator[pa.Table], *, plan: PlanSettings, premise: Premise
) -> Iterator[pl.DataFrame]:
    """Preview one partition and yield the result; people are counted without those of the export."""
    with spooled(chunks, plan=plan) as table:
        if not table.count:
            return
        pipeline = plan.of_table(table)
        pipelines = Pipelines((pipeline.with_pre_send_check(partition_check(pipeline, table)),))
        local = identity_preview(pipelines, premise)
        new_people = local.summary[PEOPLE] - profile_count(premise.workspace_people)
        counts = msgspec.json.encode({**local.summary, PEOPLE: new_people}).decode()
        yield pl.DataFrame([{"what": SUMMARY, "sentence": counts}], schema=PREVIEW_SCHEMA)
        numbers = pl.col("rows").list.eval(pl.element().struct.field("row").cast(pl.String))
        yield local.conflicts.select(
            pl.lit(CONFLICT).alias("what"), "kind", "sentence", "hint", "open", "count",
            pl.format("[{}]", numbers.list.join(",")).alias("rows"),
        )  # fmt: skip


@spark_failures("a sample was taken")
def sample(rows: "DataFrame", *, most: int) -> "DataFrame":
    """Return the rows of complete components, about this many: those with the smallest hashes."""
    hashed = rows.selectExpr("*", f"hash(`{COMPONENT}`) AS `{HASH}`")
    sizes = hashed.groupBy(HASH).count().orderBy(HASH).limit(most).collect()
    totals = accumulate(row["count"] for row in sizes)
    last = next((place for place, total in enumerate(totals) if total >= most), len(sizes) - 1)
    if last < 0:
        return rows.limit(0)
    return hashed.where(f"`{HASH}` <= {sizes[last][HASH]}").drop(HASH)
