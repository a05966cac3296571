"""The table that everything ends in."""

from collections.abc import Sequence

from torture.harness import Line

COLUMNS = (
    "test", "what", "rows", "requests", "kills", "lost", "duplicated raw", "after dedupe",
    "out of order", "false acks", "unaccounted", "other", "seconds", "seed",
)  # fmt: skip
_TEXTS = 2


def cells(line: Line) -> tuple[str, ...]:
    """Return what the table shows of a line. `other` is whatever else must be 0."""
    found = line.verdict
    other = found.false_nack + found.unattempted_seen + found.payload_mismatch + found.misheld
    numbers = (
        line.rows, line.requests, line.kills, found.lost, found.duplicated_raw,
        found.duplicated_after_dedupe, found.out_of_order_components, found.false_ack,
        found.unaccounted, other,
    )  # fmt: skip
    return (
        line.test, line.what, *(f"{number:,}" for number in numbers), f"{line.seconds:.1f}",
        str(line.seed),
    )  # fmt: skip


def drawn(lines: Sequence[Line]) -> str:
    """Return the table as text."""
    rows = [COLUMNS, *map(cells, lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = [
        "  ".join(
            cell.ljust(width) if place < _TEXTS else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    notes = [f"{line.test} {line.what}: {line.note}." for line in lines if line.note]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([texts[0], rule, *texts[1:], *([""] if notes else []), *notes])
