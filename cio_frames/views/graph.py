"""A picture of who hangs together with whom: identifiers as chips, rows as lines between them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from cio_frames.views.characters import cells, one_line, shortened
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
CHIP_WIDTH, CHIP_HEIGHT, STEP_X, STEP_Y, MARGIN, TOP = 220, 26, 310, 38, 10, 40
LABEL_CELLS: Final = 27
FONT: Final = "ui-monospace, Menlo, Consolas, monospace"
IMAGE: Final = Style("display:block;max-width:100%;height:auto;margin:8px 0")


def draw(cluster: "Cluster") -> Markup:
    """Return the picture as an image."""
    places = _places(cluster)
    rows = max((sum(node.kind == kind for node in cluster.nodes) for kind in COLUMNS), default=0)
    width = 2 * STEP_X + CHIP_WIDTH + 2 * MARGIN
    height = TOP + rows * STEP_Y + MARGIN
    drawing = shape(
        "svg",
        join(_title(kind, number) for number, kind in enumerate(COLUMNS)),
        join(_line(edge, places) for edge in cluster.edges),
        join(_chip(node, place) for node, place in zip(cluster.nodes, places, strict=True)),
        attributes={
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": f"{width}",
            "height": f"{height}",
        },
    )
    return picture(drawing, alt=told(cluster), style=IMAGE)


def caption(cluster: "Cluster") -> str:
    """Return what the picture is of."""
    left = f" ({many(cluster.hidden, 'more identifier')} not drawn)" if cluster.hidden else ""
    return f"{cluster.title}{left}"


def told(cluster: "Cluster") -> str:
    """Return the picture in words."""
    names = [node.name for node in cluster.nodes]
    words = {"one": "linked to", "merged": "merged with", "apart": "not linked to"}
    ties = [f"{names[e.start]} {words[e.outcome]} {names[e.end]}" for e in cluster.edges]
    more = f" and {many(cluster.hidden, 'more identifier')}" if cluster.hidden else ""
    return one_line(f"{cluster.title}: {'; '.join(ties) or ', '.join(names)}{more}.")


def _places(cluster: "Cluster") -> list[tuple[float, float]]:
    """Return where each node is: a column for each kind, ordered so that few lines cross."""
    order: dict[int, float] = {}
    middle = [number for number, node in enumerate(cluster.nodes) if node.kind == "id"]
    order.update({number: float(place) for place, number in enumerate(middle)})
    for kind in ("email", "anonymous"):
        rest = [number for number, node in enumerate(cluster.nodes) if node.kind == kind]
        rest.sort(key=lambda number: (_centre(number, cluster.edges, order), number))
        order.update({number: float(place) for place, number in enumerate(rest)})
    return [
        (MARGIN + COLUMNS.index(node.kind) * STEP_X, TOP + order[number] * STEP_Y)
        for number, node in enumerate(cluster.nodes)
    ]


def _centre(number: int, edges: "Sequence[Edge]", order: Mapping[int, float]) -> float:
    """Return the mean place of the neighbours that have one already."""
    ends = [e.end if e.start == number else e.start for e in edges if number in (e.start, e.end)]
    places = [order[end] for end in ends if end in order]
    return sum(places) / len(places) if places else float("inf")


def _title(kind: "Kind", column: int) -> Markup:
    return _text(TITLES[kind], MARGIN + column * STEP_X, TOP - 16, fill="#808080")


def _chip(node: "Node", place: tuple[float, float]) -> Markup:
    x, y = place
    tone = PEOPLE_TONES[(node.person - 1) % len(PEOPLE_TONES)] if node.person else "dull"
    number = f"{node.person} · " if node.person else "- "
    label = shortened(one_line(node.name), LABEL_CELLS - cells(number))
    ground = shape(
        "rect",
        attributes={
            "x": f"{x}", "y": f"{y:.0f}", "width": f"{CHIP_WIDTH}", "height": f"{CHIP_HEIGHT}",
            "rx": "5", "fill": TONES[tone],
        },
    )  # fmt: skip
    return join([ground, _text(number + label, x + 8, y + 17, fill=ON_TONE)])


def _line(edge: "Edge", places: Sequence[tuple[float, float]]) -> Markup:
    """Return a line from chip to chip; within a column it bows out to the side."""
    (x1, y1), (x2, y2) = sorted((places[edge.start], places[edge.end]))
    tone, dashes = LINES[edge.outcome]
    half = CHIP_HEIGHT / 2
    if x1 == x2:
        side = x1 + CHIP_WIDTH
        path = f"M{side},{y1 + half} C{side + 46},{y1 + half} {side + 46},{y2 + half} {side},{y2 + half}"
    else:
        path = f"M{x1 + CHIP_WIDTH},{y1 + half} L{x2},{y2 + half}"
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
