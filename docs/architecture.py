"""The diagram of `docs/architecture.md`: the path of a table through the package, and the layers of imports.

`python docs/architecture.py` writes `docs/_static/architecture.svg`. The text of a box is the first sentence of the
folder's docstring; the layers are those of the import contract in pyproject.toml.
"""

import ast
import textwrap
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "_static" / "architecture.svg"

FLOW = ("frames", "mapping", "checks", "validation", "payloads", "sending", "audit")
"""The folders that process a table, in this order."""
OWNERS = {"plan": ("frames", "payloads"), "run": ("sending", "audit")}
"""The folders that drive a part of the path, from its first to its last folder."""
BRANCHES = {"identity": "validation", "views": "audit"}
"""The folders beside the path that use the result of another one."""
LAYERS = ("command line", "API", "edge", "messages", "identity", "ground")

BOX, GAP, HEIGHT, MARGIN, LABEL = 150, 22, 92, 16, 112
LINE, CHARACTERS, BAND = 14, 23, 30
STYLE = """
svg { background: #fff; font: 11px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; fill: #57606a } .name { font: 600 12px ui-monospace, monospace }
.box { fill: #fff; stroke: #6b3fa0 } .owner { fill: #f1ecf8; stroke: #6b3fa0 } .band { fill: #f3f5f8 }
.flow { fill: none; stroke: #6b3fa0; stroke-width: 2; marker-end: url(#head) }
"""


def layers() -> list[list[str]]:
    """Return the folders of each layer, from the command line down."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return [layer.replace(" ", "").split(":") for layer in config["contracts"][0]["layers"]]


def summary(name: str) -> str:
    """Return the first sentence of the docstring of a folder or module."""
    folder = ROOT / "cio_frames" / name
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return text.partition("\n")[0].replace("`", "").partition(". ")[0].rstrip(".")


def diagram() -> str:
    """Return the diagram as SVG."""
    width = MARGIN * 2 + len(FLOW) * (BOX + GAP) - GAP
    steps, branches = 64, 64 + HEIGHT + 40
    bands = branches + HEIGHT + 24
    height = bands + len(LAYERS) * (BAND + 4) + MARGIN
    lefts = {name: MARGIN + index * (BOX + GAP) for index, name in enumerate(FLOW)}
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" '
            'aria-label="The path of a table through cio_frames, and the layers of imports">'
        ),
        f"<style>{STYLE}</style>",
        (
            '<marker id="head" markerWidth="6" markerHeight="6" refX="5" refY="3" orient="auto">'
            '<path d="M0 0 6 3 0 6z" fill="#6b3fa0"/></marker>'
        ),
    ]
    for owner, (first, last) in OWNERS.items():
        parts += _owner(owner, x=lefts[first], end=lefts[last] + BOX)
    for name, x in lefts.items():
        parts += _box(name, x=x, y=steps)
    for before, after in pairwise(lefts.values()):
        parts.append(_arrow(before + BOX, steps + HEIGHT // 2, after, steps + HEIGHT // 2))
    for name, source in BRANCHES.items():
        parts += _box(name, x=lefts[source], y=branches)
        middle = lefts[source] + BOX // 2
        parts.append(_arrow(middle, steps + HEIGHT, middle, branches))
    parts += _bands(bands, width=width)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _owner(name: str, *, x: int, end: int) -> Iterator[str]:
    yield f'<rect class="owner" x="{x}" y="{MARGIN}" width="{end - x}" height="32" rx="4"/>'
    yield f'<text x="{x + 10}" y="{MARGIN + 20}"><tspan class="name">{name}</tspan>  {escape(summary(name).partition(",")[0])}</text>'


def _box(name: str, *, x: int, y: int) -> Iterator[str]:
    yield f'<rect class="box" x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="4"/>'
    yield f'<text class="name" x="{x + 8}" y="{y + 18}">{name}</text>'
    for line, text in enumerate(textwrap.wrap(summary(name), CHARACTERS)):
        yield f'<text x="{x + 8}" y="{y + 35 + line * LINE}">{escape(text)}</text>'


def _arrow(x: int, y: int, to_x: int, to_y: int) -> str:
    return f'<path class="flow" d="M{x} {y}L{to_x} {to_y}"/>'


def _bands(top: int, *, width: int) -> Iterator[str]:
    for index, (layer, folders) in enumerate(zip(LAYERS, layers(), strict=True)):
        y = top + index * (BAND + 4)
        names = "   ".join(folders)
        yield f'<rect class="band" x="{MARGIN}" y="{y}" width="{width - 2 * MARGIN}" height="{BAND}" rx="4"/>'
        yield f'<text class="title" x="{MARGIN + 10}" y="{y + 19}">{layer}</text>'
        yield f'<text class="name" x="{MARGIN + LABEL}" y="{y + 19}" xml:space="preserve">{names}</text>'


if __name__ == "__main__":
    PICTURE.write_text(diagram())
