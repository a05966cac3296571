"""Who is who: what would happen to people, worst first, with the rows behind each line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cio_frames.views import components, graph
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.graph import GraphView
from cio_frames.views.html import Child, Markup, join, tag
from cio_frames.views.style import Tone
from cio_frames.views.wording import many, number


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictView:
    """One kind of conflict.

    Attributes:
        kind: Its name.
        lines: How many there are.
        rows: How many rows they concern.
        serious: Whether a row does not come out as it asks.
        sentence: The first of them, in a sentence.
        hint: What to do.
        examples: More of them, each with its rows.
    """

    kind: str
    lines: int
    rows: int
    serious: bool
    sentence: str
    hint: str
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityView:
    """An identity preview as plain values.

    Attributes:
        source: Which plans it is about.
        compared: What it was compared with.
        figures: The numbers that matter most.
        created: How many people are new.
        updated: How many were there.
        visitors: How many stay anonymous.
        conflicts: What does not come out as the rows ask, worst first.
        merges: Kept, removed, why and rows of the first merges.
        merged: How many merges there are.
        fates: What becomes of anonymous events, with how many.
        groups: Object, people and rows of the first objects.
        objects: How many objects there are.
        sizes: How many identifiers hang together, how often.
        pictures: The largest and the most conflicted clusters.
        advice: What to do about the order.
        choices: Setting, value and meaning where the documents disagree.
    """

    source: str
    compared: str
    figures: tuple[tuple[str, str], ...]
    created: int
    updated: int
    visitors: int
    conflicts: tuple[ConflictView, ...] = ()
    merges: tuple[tuple[str, str, str, str], ...] = ()
    merged: int = 0
    fates: tuple[tuple[str, str], ...] = ()
    groups: tuple[tuple[str, str, str], ...] = ()
    objects: int = 0
    sizes: tuple[tuple[str, str], ...] = ()
    pictures: tuple[GraphView, ...] = ()
    advice: tuple[str, ...] = ()
    choices: tuple[tuple[str, str, str], ...] = ()


MERGE_TITLES: Final = ("kept", "removed for good", "why", "rows")
KEY: Final = (
    "A number is a person as they are in the end. A line says that rows name both: drawn through, "
    "they are one person; dashed, they stay apart whatever the rows say."
)


def html(view: IdentityView) -> Markup:
    """Return the preview for a notebook."""
    word, tone, sentence = _verdict(view)
    split: list[tuple[str, int, Tone]] = [
        ("created", view.created, "good"),
        ("updated", view.updated, "calm"),
        ("anonymous", view.visitors, "dull"),
    ]
    return components.card(
        components.head("Who is who", about=view.source, verdict=word, tone=tone),
        components.sentence(f"{sentence} {view.compared}", style=css.LEAD),
        components.figures(view.figures),
        components.bar(split),
        *_advice(view.advice),
        *_conflicts(view.conflicts),
        *_merges(view),
        *_pictures(view.pictures),
        *_grid("Events of anonymous visitors", ("what becomes of them", "events"), view.fates),
        *_grid(_objects(view), ("object", "people", "rows"), view.groups),
        *_fold("How many identifiers hang together", ("identifiers", "clusters"), view.sizes),
        *_fold(
            "Where Customer.io's documents disagree", ("setting", "taken", "meaning"), view.choices
        ),
    )


def text(view: IdentityView) -> str:
    """Return the preview for a terminal."""
    word, _, sentence = _verdict(view)
    blocks = [
        plain.head("Who is who", view.source, verdict=word),
        plain.paragraph(f"{sentence} {view.compared}"),
        plain.columns((), view.figures, right={1}),
    ]
    if view.advice:
        lines = (plain.paragraph(f"- {line}", indent="  ", hanging="    ") for line in view.advice)
        blocks.append("\n".join(("Order", *lines)))
    if view.conflicts:
        blocks.append("\n".join(("Conflicts", *map(_conflict_text, view.conflicts))))
    for title, headers, rows in (
        (_merge_title(view), MERGE_TITLES, view.merges),
        ("Events of anonymous visitors", (), view.fates),
        (_objects(view), ("object", "people", "rows"), view.groups),
        ("How many identifiers hang together", (), view.sizes),
    ):
        if rows:
            table = plain.columns(headers, rows, indent="  ")
            blocks.append(f"{plain.paragraph(title)}\n{table}")
    return plain.page(blocks)


def _verdict(view: IdentityView) -> tuple[str, Tone, str]:
    serious = sum(conflict.lines for conflict in view.conflicts if conflict.serious)
    if serious:
        told = f"{many(serious, 'conflict')}: rows that do not come out as they ask."
        return f"! {many(serious, 'conflict')}", "care", told
    if view.merged:
        told = f"{many(view.merged, 'pair')} of people would become one, which cannot be undone."
        return f"! {many(view.merged, 'merge')}", "care", told
    if not view.created and not view.updated:
        return "○ nobody", "dull", "No person is created or changed."
    return "✓ clear", "good", "Every row finds its person, and nobody is merged."


def _advice(lines: Sequence[str]) -> list[Markup]:
    if not lines:
        return []
    items = join(tag("li", line) for line in lines)
    return [components.section("Order", tag("ul", items, style=css.LIST))]


def _conflicts(found: Sequence[ConflictView]) -> list[Markup]:
    return [components.section("Conflicts", *map(_conflict, found))] if found else []


def _conflict(item: ConflictView) -> Markup:
    tone: Tone = "care" if item.serious else "dull"
    badge = components.badge("! conflict" if item.serious else "i note", tone=tone)
    extent = f" {many(item.lines, 'case')}, {many(item.rows, 'row')}"
    children: list[Child] = [
        tag("div", badge, components.code(item.kind), extent),
        components.sentence(tag("bdi", item.sentence)),
        components.sentence(tag("strong", "Do: "), item.hint),
    ]
    if item.examples:
        table = components.grid(("what would happen", "rows"), item.examples)
        title = "example" if len(item.examples) == 1 else "examples"
        children.append(
            components.fold(f"{len(item.examples)} {title}", table, style=css.INNER_FOLD)
        )
    return tag("div", *children, style=css.join(css.ITEM, css.edge(tone)))


def _conflict_text(item: ConflictView) -> str:
    mark = "conflict" if item.serious else "note"
    extent = f"{many(item.lines, 'case')}, {many(item.rows, 'row')}"
    return "\n".join([
        plain.paragraph(plain.joined(f"[{mark}] {item.kind}", extent), indent="  "),
        plain.paragraph(item.sentence, indent="    "),
        plain.paragraph(f"Do: {item.hint}", indent="    "),
    ])  # fmt: skip


def _merge_title(view: IdentityView) -> str:
    shown = len(view.merges)
    first = f", the first {shown} of {number(view.merged)}" if view.merged > shown else ""
    return f"Merges, which cannot be undone{first}"


def _merges(view: IdentityView) -> list[Markup]:
    if not view.merges:
        return []
    return [components.section(_merge_title(view), components.grid(MERGE_TITLES, view.merges))]


def _pictures(pictures: Sequence[GraphView]) -> list[Markup]:
    if not pictures:
        return []
    drawn = [join([_caption(item), graph.html(item)]) for item in pictures]
    key = components.sentence(KEY, style=css.join(css.PARAGRAPH, css.MUTED, css.SMALL))
    return [components.section("Who hangs together", key, *drawn)]


def _caption(item: GraphView) -> Markup:
    left = f" ({many(item.left, 'more identifier')} not drawn)" if item.left else ""
    return components.sentence(tag("bdi", f"{item.title}{left}"), style=css.AFTER)


def _objects(view: IdentityView) -> str:
    shown = len(view.groups)
    return (
        f"Objects, the first {shown} of {number(view.objects)}"
        if view.objects > shown
        else "Objects"
    )


def _grid(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Markup]:
    return [components.section(title, components.grid(headers, rows, right={1}))] if rows else []


def _fold(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Markup]:
    return [components.fold(title, components.grid(headers, rows))] if rows else []
