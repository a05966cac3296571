"""The report of an identity preview: what would happen to people, worst first."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from cio_frames.identity import plan_order
from cio_frames.identity.clusters import clusters_to_draw
from cio_frames.identity.conflicts import MINOR, kinds
from cio_frames.identity.preview import Preview
from cio_frames.identity.results import ATTRIBUTION_REASONS
from cio_frames.identity.rules import join_settings, with_open_settings
from cio_frames.identity.settings import Premise
from cio_frames.plan.pipeline import Pipelines
from cio_frames.views.document import (
    Badge,
    Bullets,
    ClusterGraphs,
    Document,
    Examples,
    Figures,
    Fold,
    Heading,
    Item,
    Node,
    Paragraph,
    Quoted,
    Section,
    Strong,
    Table,
)
from cio_frames.views.wording import many, number

SHOWN_MERGES: Final = 12
SHOWN_OBJECTS: Final = 8
SHOWN_ROWS: Final = 4
EXAMPLES: Final = 5
PICTURES: Final = 3
BANDS: Final = ((1, 1), (2, 2), (3, 3), (4, 9), (10, 99), (100, None))


def identity_document(preview: Preview, premise: Premise, pipelines: Pipelines) -> Document:
    """Return the report of a preview."""
    source = " + ".join(f"{pipeline.call} ({pipeline.table.label})" for pipeline in pipelines.all)
    verdict, _ = _verdict(preview)
    return Document(
        Heading("Who is who", source, verdict), list(_body(preview, premise, pipelines))
    )


def _body(preview: Preview, premise: Premise, pipelines: Pipelines) -> Iterator[Node]:
    several = len(pipelines.all) > 1
    yield Paragraph(f"{_verdict(preview)[1]} {compared(premise.workspace_people)}", "lead")
    yield _figures(preview.summary)
    advice = _order(preview, pipelines.calls)
    if advice:
        yield Section("Order", [Bullets(advice)])
    conflicts = list(_conflicts(preview.conflicts, several=several))
    if conflicts:
        yield Section("Conflicts", conflicts)
    if preview.merges.height:
        titles = ("kept", "permanently removed", "why", "from rows", "open")
        table = _table(titles, list(_merges(preview.merges, several=several)))
        yield Section(
            _title("Merges, which cannot be undone", preview.merges, SHOWN_MERGES), [table]
        )
    clusters = clusters_to_draw(preview, most=PICTURES)
    if clusters:
        yield Section("Linked identifiers", [ClusterGraphs(clusters)])
    yield from _visitors_and_objects(preview, several=several)
    yield from _open(preview, premise)
    sizes = list(_sizes(preview.cluster_sizes))
    if sizes:
        table = Table(("identifiers", "groups"), sizes)
        yield Fold("Identifiers per person", [table])
    choices = [
        (row["setting"], str(row["value"]), row["meaning"])
        for row in premise.settings.choices()
        if not row["settled"]
    ]
    table = Table(("setting", "assumed", "meaning"), choices)
    yield Fold("Assumptions behind this preview", [table], is_html_only=True)


def _visitors_and_objects(preview: Preview, *, several: bool) -> Iterator[Node]:
    opens = dict(preview.attribution.group_by("outcome").agg(pl.col("open").unique()).iter_rows())
    outcomes = [
        (ATTRIBUTION_REASONS[outcome], events, join_settings(opens[outcome]) or "")
        for outcome, events in preview.summary["anonymous_events"].items()
    ]
    if outcomes:
        table = _table(("outcome", "events", "open"), outcomes, right={1})
        yield Section("Events of anonymous visitors", [table])
    if preview.groups.height:
        groups = list(_objects(preview.groups, several=several))
        table = _table(("object", "people", "from rows", "open"), groups, right={1})
        yield Section(_title("Objects", preview.groups, SHOWN_OBJECTS), [table])


def _warnings(preview: Preview) -> Iterator[tuple[str, str]]:
    """Yield what is most important, each in a few words and as a sentence."""
    summary = preview.summary
    if summary["deletes"]:
        word = many(summary["deletes"], "person", "people")
        yield f"{summary['deletes']:,} deleted", f"{word} would be permanently deleted."
    if summary["suppresses"]:
        word = many(summary["suppresses"], "person", "people")
        sentence = f"{word} would be suppressed: deleted, with later calls about them ignored."
        yield f"{summary['suppresses']:,} suppressed", sentence
    if summary["opt_outs_ended"]:
        word = many(summary["opt_outs_ended"], "opt-out")
        sentence = f"{word} would end: people who have unsubscribed from e-mail or a topic would receive it again."
        yield word, sentence
    serious = [kind for kind in kinds(preview.conflicts) if kind[0] not in MINOR]
    merges = preview.merges.height
    if serious:
        rows = sum(rows for _, _, rows in serious)
        sentence = f"{many(rows, 'row')} will not have the effect you asked for."
        yield many(sum(lines for _, lines, _ in serious), "conflict"), sentence
    elif merges:
        sentence = f"{many(merges, 'pair')} of profiles would be merged, which cannot be undone."
        yield many(merges, "merge"), sentence
    if summary["repeated"]:
        word = many(summary["repeated"], "row")
        sentence = f"{word} would be dropped because an earlier row has the same message ID."
        yield f"{summary['repeated']:,} dropped", sentence


def _table(
    titles: Sequence[str], rows: Sequence[tuple[Any, ...]], *, right: Collection[int] = ()
) -> Table:
    """Return a table whose last column names open settings, without that column if there are none."""
    if any(row[-1] for row in rows):
        return Table(titles, rows, right=right)
    return Table(titles[:-1], [row[:-1] for row in rows], right=right)


def _open(preview: Preview, premise: Premise) -> Iterator[Node]:
    """Yield the meaning of the open settings that the preview depends on."""
    rows = preview.summary["open"]
    assumptions = [
        (row["setting"], str(row["value"]), row["meaning"], rows[row["setting"]])
        for row in premise.settings.choices()
        if row["setting"] in rows
    ]
    if assumptions:
        sentence = (
            "Results marked with one of these settings may differ, because Customer.io's "
            "documentation is contradictory or silent. settings=cio.Workspace(...) changes the assumption."
        )
        table = Table(("setting", "assumed", "meaning", "rows"), assumptions, right={3})
        yield Section("Open", [Paragraph(sentence), table])


def _verdict(preview: Preview) -> tuple[Badge, str]:
    """Return the verdict, which names the open settings, and is not "clear" if there are any."""
    badge, sentence = _outcome(preview)
    rows = preview.summary["open"]
    if not rows:
        return badge, sentence
    names = ", ".join(f"{setting} ({many(count, 'row')})" for setting, count in rows.items())
    if badge.tone == "good":
        badge = Badge(f"? {many(len(rows), 'open setting')}", "care")
    return badge, with_open_settings(sentence, names)


def _outcome(preview: Preview) -> tuple[Badge, str]:
    """Return the outcome, in a few words and in sentences."""
    warnings = list(_warnings(preview))
    if warnings:
        return Badge(f"! {warnings[0][0]}", "care"), " ".join(sentence for _, sentence in warnings)
    created = preview.summary["creates"]
    if not created and not preview.summary["updates"]:
        return Badge("○ no one", "dull"), "No profile is created or changed."
    if created:
        sentence = f"{many(created, 'profile')} would be created, and none merged."
        return Badge("✓ clear", "good"), sentence
    if preview.conflicts.height or preview.summary["visitors"]:
        return Badge("✓ clear", "good"), "No profile is created, and none is merged."
    return Badge("✓ clear", "good"), "Every row matches an existing profile, and none is merged."


def _figures(summary: Mapping[str, Any]) -> Figures:
    return Figures(
        [
            ("rows", summary["rows"]),
            ("created", summary["creates"]),
            ("updated", summary["updates"]),
            ("merged", summary["merges"]),
            ("deleted", summary["deletes"]),
            *_present(summary, suppressed="suppresses", dropped="repeated"),
            *_present(
                summary,
                **{"opt-outs ended": "opt_outs_ended", "attributes kept": "attributes_kept"},
            ),
            ("still anonymous", summary["visitors"]),
            ("events", summary["events"]),
            ("start campaigns", summary["campaign_events"]),
        ],
        bar=[
            ("created", summary["creates"], "good"),
            ("updated", summary["updates"], "calm"),
            ("anonymous", summary["visitors"], "dull"),
        ],
    )


def _present(summary: Mapping[str, Any], **names: str) -> Iterator[tuple[str, int]]:
    """Yield the figures that are not zero."""
    yield from ((word, summary[name]) for word, name in names.items() if summary[name])


def _title(title: str, rows: pl.DataFrame, shown: int) -> str:
    """Return a title with the number of rows if not all are shown."""
    is_cut = rows.height > shown
    return f"{title}, the first {shown} of {number(rows.height)}" if is_cut else title


def compared(known: pl.DataFrame | None) -> str:
    """Return what a preview was compared with, in a sentence."""
    if known is None:
        return "Compared with an empty workspace. For exact results, pass an export of your people as known=."
    return f"Compared with the {many(known.height, 'person', 'people')} in the export."


def _order(preview: Preview, calls: Sequence[str]) -> list[str]:
    problems = plan_order.order_problems(preview, calls=calls)
    chains = plan_order.alias_chains(preview).height
    unlinked = plan_order.unlinked_events(preview)
    lines = plan_order.sentences(problems, chains=chains, unlinked=unlinked)
    if problems:
        lines.append("backfill.advice() proposes a better order.")
    again = preview.summary["created_again"]
    if again:
        lines.append(
            f"{many(again, 'person is', 'people are')} deleted and created again by a later row. Their "
            "data is lost, and segments and campaigns treat them as new."
        )
    return lines


def places(rows: Sequence[dict[str, int]], *, several: bool) -> str:
    """Return row numbers in words, with their plans where there are several."""
    shown = [
        f"{row['plan']}:{row['row']:,}" if several else f"{row['row']:,}"
        for row in rows[:SHOWN_ROWS]
    ]
    more = len(rows) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _conflicts(conflicts: pl.DataFrame, *, several: bool) -> Iterator[Item]:
    ordered = sorted(kinds(conflicts), key=lambda item: item[0] in MINOR)
    for kind, lines, rows in ordered:
        group = conflicts.filter(pl.col("kind") == kind).sort("count", descending=True)
        first = group.row(0, named=True)
        examples = [
            (row["sentence"], places(row["rows"], several=several))
            for row in group.head(EXAMPLES).iter_rows(named=True)
        ]
        yield Item(
            badge=Badge("i note", "dull") if kind in MINOR else Badge("! conflict", "care"),
            name=kind,
            extent=f"{many(lines, 'case')}, {many(rows, 'row')}",
            body=[
                Paragraph(Quoted(first["sentence"])),
                Paragraph((Strong("How to fix: "), first["hint"])),
                Examples(Table(("what would happen", "from rows"), examples)),
            ],
        )


def _merges(merges: pl.DataFrame, *, several: bool) -> Iterator[tuple[str, ...]]:
    for row in merges.head(SHOWN_MERGES).iter_rows(named=True):
        why = f"{row['why']}, {many(row['events_moved'], 'event')} moved"
        if row["events_later"]:
            why += f", {row['events_later']:,} older can follow"
        lost = f", {row['events_lost']:,} lost" if row["events_lost"] else ""
        yield (
            row["kept"], ", ".join(row["removed"]) or "(no identifier)", why + lost,
            places(row["rows"], several=several), row["open"] or "",
        )  # fmt: skip


def _objects(groups: pl.DataFrame, *, several: bool) -> Iterator[tuple[str, int, str, str]]:
    largest = groups.sort("people", descending=True, maintain_order=True).head(SHOWN_OBJECTS)
    for row in largest.iter_rows(named=True):
        name = f"{row['object_type_id']}/{row['object_id']}"
        yield name, row["people"], places(row["rows"], several=several), row["open"] or ""


def _sizes(sizes: pl.LazyFrame) -> Iterator[tuple[str, int]]:
    counted = sizes.group_by("identifiers").agg(pl.len().alias("clusters")).collect()
    for least, most in BANDS:
        size = pl.col("identifiers")
        in_band = (size >= least) if most is None else size.is_between(least, most)
        count = int(counted.filter(in_band)["clusters"].sum())
        if count:
            name = f"{least} or more" if most is None else str(least)
            yield name if least == most or most is None else f"{least} to {most}", count
