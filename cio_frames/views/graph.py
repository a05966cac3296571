"""Pictures of linked identifiers: a box for each identifier, lines for the rows that link them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from cio_frames.views.characters import display_width, one_line, shorten
from cio_frames.views.markup import Markup, join, picture, shape
from cio_frames.views.style import ON_TONE, TONES, Style, Tone
from cio_frames.views.wording import many

if TYPE_CHECKING:
    from cio_frames.identity.clusters import Cluster, Edge, Kind, Node, Outcome

KEY: Final = (
    "Each box is an identifier; equal numbers are the same final profile. Solid line: linked. "
    "Dashed: a row tried to link them, but Customer.io will refuse."
)
COLUMNS: Final[tuple["Kind", ...]] = ("anonymous", "id", "email")
TITLES: Final[Mapping["Kind", str]] = {
    "anonymous": "anonymous IDs",
    "id": "IDs",
    "email": "e-mail addresses",
}
LINES: Final[Mapping["Outcome", tuple[Tone, str]]] = {
    "one": ("good", ""),
    "merged": ("calm", ""),
    "apart": ("bad", "6 4"),
}
PEOPLE_TONES: Final[tuple[Tone, ...]] = ("calm", "good", "care", "bad", "dull")
BOX_WIDTH, BOX_HEIGHT, STEP_X, STEP_Y, MARGIN, TOP = 220, 26, 310, 38, 10, 40
LABEL_CELLS: Final = 27
FONT: Final = "ui-monospace, Menlo, Consolas, monospace"
IMAGE: Final = Style("display:block;max-width:100%;height:auto;margin:8px 0")


def draw(cluster: "Cluster") -> Markup:
    """Return the picture as an image."""
    positions = _positions(cluster)
    rows = max((sum(node.kind == kind for node in cluster.nodes) for kind in COLUMNS), default=0)
    width = 2 * STEP_X + BOX_WIDTH + 2 * MARGIN
    height = TOP + rows * STEP_Y + MARGIN
    drawing = shape(
        "svg",
        join(_title(kind, number) for number, kind in enumerate(COLUMNS)),
        join(_line(edge, positions) for edge in cluster.edges),
        join(_box(node, position) for node, position in zip(cluster.nodes, positions, strict=True)),
        attributes={
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": f"{width}",
            "height": f"{height}",
        },
    )
    return picture(drawing, alt=description(cluster), style=IMAGE)


def caption(cluster: "Cluster") -> str:
    """Return the caption of the picture."""
    more = f" ({many(cluster.hidden, 'more identifier')} not drawn)" if cluster.hidden else ""
    return f"{cluster.title}{more}"


def description(cluster: "Cluster") -> str:
    """Return the content of the picture in words."""
    names = [node.name for node in cluster.nodes]
    words = {"one": "linked to", "merged": "merged with", "apart": "not linked to"}
    links = [
        f"{names[edge.start]} {words[edge.outcome]} {names[edge.end]}" for edge in cluster.edges
    ]
    more = f" and {many(cluster.hidden, 'more identifier')}" if cluster.hidden else ""
    return one_line(f"{cluster.title}: {'; '.join(links) or ', '.join(names)}{more}.")


def _positions(cluster: "Cluster") -> list[tuple[float, float]]:
    """Return the position of each node: a column per kind, ordered so that few lines cross."""
    order: dict[int, float] = {}
    middle = [number for number, node in enumerate(cluster.nodes) if node.kind == "id"]
    order.update({number: float(position) for position, number in enumerate(middle)})
    for kind in ("email", "anonymous"):
        numbers = [number for number, node in enumerate(cluster.nodes) if node.kind == kind]
        numbers.sort(key=lambda number: (_mean_position(number, cluster.edges, order), number))
        order.update({number: float(position) for position, number in enumerate(numbers)})
    return [
        (MARGIN + COLUMNS.index(node.kind) * STEP_X, TOP + order[number] * STEP_Y)
        for number, node in enumerate(cluster.nodes)
    ]


def _mean_position(number: int, edges: "Sequence[Edge]", order: Mapping[int, float]) -> float:
    """Return the mean position of the neighbours that have one already."""
    neighbours = [
        edge.end if edge.start == number else edge.start
        for edge in edges
        if number in (edge.start, edge.end)
    ]
    positions = [order[node] for node in neighbours if node in order]
    return sum(positions) / len(positions) if positions else float("inf")


def _title(kind: "Kind", column: int) -> Markup:
    return _text(TITLES[kind], MARGIN + column * STEP_X, TOP - 16, fill="#808080")


def _box(node: "Node", position: tuple[float, float]) -> Markup:
    x, y = position
    tone = PEOPLE_TONES[(node.person - 1) % len(PEOPLE_TONES)] if node.person else "dull"
    number = f"{node.person} · " if node.person else "- "
    label = shorten(one_line(node.name), LABEL_CELLS - display_width(number))
    background = shape(
        "rect",
        attributes={
            "x": f"{x}", "y": f"{y:.0f}", "width": f"{BOX_WIDTH}", "height": f"{BOX_HEIGHT}",
            "rx": "5", "fill": TONES[tone],
        },
    )  # fmt: skip
    return join([background, _text(number + label, x + 8, y + 17, fill=ON_TONE)])


def _line(edge: "Edge", positions: Sequence[tuple[float, float]]) -> Markup:
    """Return a line from box to box; within a column it curves out to the side."""
    (x1, y1), (x2, y2) = sorted((positions[edge.start], positions[edge.end]))
    tone, dashes = LINES[edge.outcome]
    half = BOX_HEIGHT / 2
    if x1 == x2:
        side = x1 + BOX_WIDTH
        path = f"M{side},{y1 + half} C{side + 46},{y1 + half} {side + 46},{y2 + half} {side},{y2 + half}"
    else:
        path = f"M{x1 + BOX_WIDTH},{y1 + half} L{x2},{y2 + half}"
    dashed = {"stroke-dasharray": dashes} if dashes else {}
    return shape(
        "path",
        attributes={"d": path, "fill": "none", "stroke": TONES[tone], "stroke-width": "2"} | dashed,
    )


def _text(words: str, x: float, y: float, *, fill: str) -> Markup:
    attributes = {
        "x": f"{x}",
        "y": f"{y:.0f}",
        "fill": fill,
        "font-family": FONT,
        "font-size": "12",
    }
    return shape("text", words, attributes=attributes)
