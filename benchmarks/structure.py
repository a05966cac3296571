"""The size of the package, the imports of its modules, and how often each step reads the table.

`python -m benchmarks.structure` prints one table; the history of these figures is in benchmarks/history.md.
"""

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import grimp
import polars as pl
import rustworkx

import cio_frames as cio

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cio_frames"
ROWS = 100_000
STARTS = 9
IMPORTS = (ast.Import, ast.ImportFrom)


def code_lines(tree: ast.Module, text: str) -> set[int]:
    """Return the lines of code, without blank lines, comments, imports and docstrings."""
    lines = {number for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    comments = {n for n, line in enumerate(text.splitlines(), 1) if line.lstrip().startswith("#")}
    excluded = [*_docstrings(tree), *(node for node in ast.walk(tree) if isinstance(node, IMPORTS))]
    for node in excluded:
        lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines - comments


def functions(tree: ast.Module, lines: set[int]) -> list[int]:
    """Return how many lines of code each function has."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        len(lines & set(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]


def size() -> dict[str, float]:
    """Measure files, lines and functions of the package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    texts = [path.read_text() for path in paths]
    trees = [ast.parse(text) for text in texts]
    lines = [code_lines(tree, text) for tree, text in zip(trees, texts, strict=True)]
    sizes = [
        count for tree, code in zip(trees, lines, strict=True) for count in functions(tree, code)
    ]
    return {
        "files": len(paths),
        "lines": sum(text.count("\n") for text in texts),
        "lines of code": sum(map(len, lines)),
        "functions": len(sizes),
        "median function": median(sizes),
        "longest function": max(sizes),
        "functions over 60 lines": sum(count > 60 for count in sizes),
    }


def imports() -> dict[str, float]:
    """Count import cycles, layers, and the internal modules that the tests import."""
    graph = grimp.build_graph("cio_frames", cache_dir=None)
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    public = {"cio_frames", "cio_frames.errors"}
    tested = {
        module
        for path in (ROOT / "tests").rglob("*.py")
        for module in _imported(ast.parse(path.read_text()), graph.modules)
    }
    return {
        "circles": len(groups := circles(graph)),
        "modules in circles": sum(map(len, groups)),
        "layers": len(config["contracts"][0]["layers"]),
        "inner modules that tests import": len(tested - public),
    }


def circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others."""
    modules = sorted(graph.modules)
    number = {module: index for index, module in enumerate(modules)}
    edges = rustworkx.PyDiGraph[str, None]()
    edges.add_nodes_from(modules)
    edges.add_edges_from_no_data(
        [
            (number[module], number[other])
            for module in modules
            for other in graph.find_modules_directly_imported_by(module)
        ]
    )
    groups = rustworkx.strongly_connected_components(edges)
    return [[modules[index] for index in group] for group in groups if len(group) > 1]


def passes(folder: Path) -> dict[str, float]:
    """Count how often each step reads a table of people, as rows read divided by rows."""
    read = 0

    def counted(rows: pl.DataFrame) -> pl.DataFrame:
        nonlocal read
        read += rows.height
        return rows

    numbers = pl.int_range(ROWS, eager=True).cast(pl.String)
    people = pl.DataFrame({"id": "u" + numbers, "email": "u" + numbers + "@example.com"})

    def cost(step: Callable[[cio.Plan], object], before: Callable[[cio.Plan], object]) -> float:
        nonlocal read
        lazy = people.lazy().map_batches(counted, schema=people.schema, streamable=True)
        plan = cio.frame(lazy).identify(user_id="id")
        before(plan)
        read = 0
        step(plan)
        return round(read / ROWS, 2)

    def send(plan: cio.Plan) -> None:
        with cio.sandbox() as workspace:
            plan.send(workspace.client(), audit=folder / str(perf_counter()), progress=False)

    return {
        "passes of payloads(1)": cost(lambda plan: plan.payloads(1), bool),
        "passes of repr": cost(repr, bool),
        "passes of identity() after repr": cost(lambda plan: plan.identity(), repr),
        "passes of estimate() after repr": cost(lambda plan: plan.estimate(), repr),
        "passes of send() after repr": cost(send, repr),
    }


def start() -> dict[str, float]:
    """Measure the import of the package beside that of polars, as medians of new interpreters."""
    return {
        "import of polars, s": _started("import polars"),
        "import of polars and cio_frames, s": _started("import polars, cio_frames"),
    }


def main() -> None:
    """Print every figure."""
    with TemporaryDirectory() as folder:
        figures = size() | imports() | passes(Path(folder)) | start()
    width = max(map(len, figures))
    print("\n".join(f"{name:{width}}  {value:>8,}" for name, value in figures.items()))


def _docstrings(tree: ast.Module) -> Iterator[ast.stmt]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        for text in node.body if isinstance(node, kinds) else ():
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                yield text


def _imported(tree: ast.Module, modules: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        if isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else str(node.module)


def _started(code: str) -> float:
    """Return the median seconds of a new interpreter that runs the code."""
    environ = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    seconds = []
    for _ in range(STARTS):
        before = perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=environ)
        seconds.append(perf_counter() - before)
    return round(median(seconds), 3)


if __name__ == "__main__":
    main()
