"""A plot of time and memory against rows, as SVG made of lines and words only."""

from html import escape

import polars as pl

WIDTH, HEIGHT, MARGIN = 420, 260, 48
COLOURS = {"ours": "#2f6fde", "json-alone": "#7a7a7a"}


def plot(results: pl.DataFrame) -> str:
    """Return the plot of everything measured at more than one size."""
    sizes = results.group_by("what").agg(pl.col("rows").n_unique()).filter(pl.col("rows") > 1)
    several = results.filter(pl.col("what").is_in(sizes["what"].implode())).sort("what", "rows")
    panels = [
        panel(several, "wall s", title="seconds", left=0),
        panel(several, "peak MB", title="peak memory, MB", left=WIDTH),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="#777">{"".join(panels)}</svg>\n'
    )


def panel(results: pl.DataFrame, column: str, *, title: str, left: int) -> str:
    """Return one pair of axes with a line per contender."""
    most_rows = float(results["rows"].max() or 1)  # type: ignore[arg-type]
    most = float(results[column].max() or 1)  # type: ignore[arg-type]
    parts = [
        f'<text x="{left + MARGIN}" y="20">{escape(title)}</text>',
        f'<path d="M{left + MARGIN} 30V{HEIGHT - 30}H{left + WIDTH - 10}" stroke="#999" fill="none"/>',
        f'<text x="{left + 4}" y="38">{most:,.0f}</text>',
        f'<text x="{left + WIDTH - 70}" y="{HEIGHT - 12}">{most_rows:,.0f} rows</text>',
    ]
    for (name,), rows in results.group_by("what", maintain_order=True):
        points = [
            (
                left + MARGIN + (WIDTH - MARGIN - 20) * row["rows"] / most_rows,
                HEIGHT - 30 - (HEIGHT - 70) * row[column] / most,
            )
            for row in rows.iter_rows(named=True)
        ]
        colour = COLOURS.get(str(name), "#c0504d")
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        end_x, end_y = points[-1]
        parts += [
            f'<path d="{path}" stroke="{colour}" stroke-width="2" fill="none"/>',
            f'<text x="{end_x - 60:.1f}" y="{end_y - 5:.1f}" fill="{colour}">{escape(str(name))}</text>',
        ]
    return "".join(parts)
