"""A plot of time and memory against rows, as SVG."""

from collections.abc import Iterator
from html import escape

import polars as pl

WIDTH, HEIGHT, MARGIN, LABEL_WIDTH, LINE = 460, 280, 52, 90, 13
COLOURS = {"ours": "#2f6fde", "ours-plain": "#7ba6f0", "json-alone": "#7a7a7a", "least": "#a8a8a8"}
OTHER_COLOUR = "#c0504d"


def plot(results: pl.DataFrame) -> str:
    """Return the plot of everything measured at more than one size."""
    sizes = results.group_by("what").agg(pl.col("rows").n_unique()).filter(pl.col("rows") > 1)
    plotted = results.filter(pl.col("what").is_in(sizes["what"].implode())).sort("what", "rows")
    panels = [
        panel(plotted, "wall s", title="seconds", left=0),
        panel(plotted, "peak MB", title="peak memory, MB", left=WIDTH),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="#777">{"".join(panels)}</svg>\n'
    )


def panel(results: pl.DataFrame, column: str, *, title: str, left: int) -> str:
    """Return axes with a line per contender, labelled at its end."""
    max_rows = float(results["rows"].max() or 1)  # type: ignore[arg-type]
    maximum = float(results[column].max() or 1)  # type: ignore[arg-type]
    width, height = WIDTH - MARGIN - LABEL_WIDTH, HEIGHT - 70
    scale = f"{max_rows:,.0f} rows"
    parts = [
        f'<text x="{left + MARGIN}" y="20">{escape(title)}</text>',
        f'<path d="M{left + MARGIN} 30V{HEIGHT - 30}h{width}" stroke="#999" fill="none"/>',
        f'<text x="{left + MARGIN - 6}" y="44" text-anchor="end">{maximum:,.0f}</text>',
        f'<text x="{left + MARGIN + width}" y="{HEIGHT - 12}" text-anchor="end">{scale}</text>',
    ]
    ends = []
    for (name,), rows in results.group_by("what", maintain_order=True):
        points = [
            (
                left + MARGIN + width * row["rows"] / max_rows,
                HEIGHT - 30 - height * row[column] / maximum,
            )
            for row in rows.iter_rows(named=True)
        ]
        colour = COLOURS.get(str(name), OTHER_COLOUR)
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="2" fill="none"/>')
        ends.append((*points[-1], str(name), colour))
    return "".join([*parts, *labels(ends)])


def labels(ends: list[tuple[float, float, str, str]]) -> Iterator[str]:
    """Yield the labels at the ends of the lines, from bottom to top, without overlap."""
    lowest: dict[int, float] = {}
    for x, y, name, colour in sorted(ends, key=lambda end: -end[1]):
        at = min(y + 4, lowest.get(round(x), HEIGHT) - LINE)
        lowest[round(x)] = at
        yield f'<text x="{x + 5:.1f}" y="{at:.1f}" fill="{colour}">{escape(name)}</text>'
