"""An identity preview as the plain values that its report is drawn from."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import polars as pl

from cio_frames.identity import plan_order
from cio_frames.identity.clusters import clusters_to_draw
from cio_frames.identity.conflicts import MINOR, kinds
from cio_frames.identity.preview import Premise, Preview
from cio_frames.identity.results import WHY
from cio_frames.plan.pipeline import Pipelines
from cio_frames.views.graph import Edge, GraphView, Node
from cio_frames.views.identity import ConflictView, IdentityView
from cio_frames.views.wording import many, number

SHOWN_MERGES: Final = 12
SHOWN_OBJECTS: Final = 8
SHOWN_ROWS: Final = 4
EXAMPLES: Final = 5
PICTURES: Final = 3
BANDS: Final = ((1, 1), (2, 2), (3, 3), (4, 9), (10, 99), (100, None))


def identity_view(found: Preview, premise: Premise, pipelines: Pipelines) -> IdentityView:
    """Return what the report of a preview shows."""
    summary, several = found.summary, len(pipelines.each) > 1
    return IdentityView(
        source=" + ".join(f"{each.call} ({each.table.label})" for each in pipelines.each),
        compared=_compared(premise.known),
        figures=(
            ("rows", number(summary["rows"])),
            ("created", number(summary["creates"])),
            ("updated", number(summary["updates"])),
            ("merged", number(summary["merges"])),
            ("deleted", number(summary["deletes"])),
            ("still anonymous", number(summary["visitors"])),
            ("events", number(summary["events"])),
            ("start campaigns", number(summary["campaign_events"])),
        ),
        created=summary["creates"],
        updated=summary["updates"],
        visitors=summary["visitors"],
        conflicts=tuple(_conflicts(found.conflicts, several=several)),
        merges=tuple(_merges(found.merges, several=several)),
        merged=found.merges.height,
        fates=tuple(
            (WHY[outcome], number(events))
            for outcome, events in summary["anonymous_events"].items()
        ),
        groups=tuple(_objects(found.groups, several=several)),
        objects=found.groups.height,
        sizes=tuple(_sizes(found.clusters)),
        pictures=tuple(_picture(cluster) for cluster in clusters_to_draw(found, most=PICTURES)),
        advice=tuple(_order(found, pipelines.calls)),
        choices=tuple(
            (row["setting"], str(row["value"]), row["meaning"])
            for row in premise.settings.choices()
        ),
    )


def _compared(known: pl.DataFrame | None) -> str:
    if known is None:
        return (
            "Compared with an empty workspace: pass known= (an export of its people) to be exact."
        )
    return f"Compared with the {many(known.height, 'person', 'people')} of the export."


def _order(found: Preview, calls: Sequence[str]) -> list[str]:
    problems = plan_order.order_problems(found, calls=calls)
    chains = plan_order.alias_chains(found).height
    unlinked = plan_order.unlinked_events(found)
    lines = plan_order.sentences(problems, chains=chains, unlinked=unlinked)
    return [*lines, "backfill.advice() proposes a better order."] if problems else lines


def places(rows: Sequence[dict[str, int]], *, several: bool) -> str:
    """Return row numbers in words, with their plans where there are several."""
    shown = [
        f"{row['plan']}:{row['row']:,}" if several else f"{row['row']:,}"
        for row in rows[:SHOWN_ROWS]
    ]
    left = len(rows) - len(shown)
    return ", ".join(shown) + (f" and {left:,} more" if left > 0 else "")


def _conflicts(conflicts: pl.DataFrame, *, several: bool) -> Iterator[ConflictView]:
    found = sorted(kinds(conflicts), key=lambda item: item[0] in MINOR)
    for kind, lines, rows in found:
        group = conflicts.filter(pl.col("kind") == kind).sort("count", descending=True)
        first = group.row(0, named=True)
        yield ConflictView(
            kind=kind,
            lines=lines,
            rows=rows,
            serious=kind not in MINOR,
            sentence=first["sentence"],
            hint=first["hint"],
            examples=tuple(
                (row["sentence"], places(row["rows"], several=several))
                for row in group.head(EXAMPLES).iter_rows(named=True)
            ),
        )


def _merges(merges: pl.DataFrame, *, several: bool) -> Iterator[tuple[str, str, str, str]]:
    for row in merges.head(SHOWN_MERGES).iter_rows(named=True):
        why = f"{row['why']}, {many(row['events_moved'], 'event')} moved"
        lost = f", {row['events_lost']:,} lost" if row["events_lost"] else ""
        yield (
            row["kept"], ", ".join(row["removed"]) or "(no identifier)", why + lost,
            places(row["rows"], several=several),
        )  # fmt: skip


def _objects(groups: pl.DataFrame, *, several: bool) -> Iterator[tuple[str, str, str]]:
    largest = groups.sort("people", descending=True, maintain_order=True).head(SHOWN_OBJECTS)
    for row in largest.iter_rows(named=True):
        name = f"{row['object_type_id']}/{row['object_id']}"
        yield name, number(row["people"]), places(row["rows"], several=several)


def _sizes(clusters: pl.DataFrame) -> Iterator[tuple[str, str]]:
    for least, most in BANDS:
        size = pl.col("identifiers")
        inside = (size >= least) if most is None else size.is_between(least, most)
        count = clusters.filter(inside).height
        if count:
            name = f"{least} or more" if most is None else str(least)
            yield name if least == most or most is None else f"{least} to {most}", number(count)


def _picture(cluster: Any) -> GraphView:
    return GraphView(
        title=cluster.title,
        nodes=tuple(Node(name=n.name, kind=n.kind, person=n.person) for n in cluster.nodes),
        edges=tuple(Edge(start=e.start, end=e.end, outcome=e.outcome) for e in cluster.edges),
        left=cluster.left,
    )
