"""The table of results."""

from collections.abc import Sequence

from torture.harness import Line

COLUMNS = (
    "test", "what", "rows", "requests", "kills", "lost", "duplicated raw", "after dedupe",
    "out of order", "false acks", "unaccounted", "other", "seconds", "seed",
)  # fmt: skip
_TEXTS = 2


def cells(line: Line) -> tuple[str, ...]:
    """Return the cells of a line. `other` sums the other numbers that must be 0."""
    verdict = line.verdict
    other = (
        verdict.false_nack
        + verdict.unattempted_seen
        + verdict.payload_mismatch
        + verdict.wrongly_blocked
    )
    numbers = (
        line.rows, line.requests, line.kills, verdict.lost, verdict.duplicated_raw,
        verdict.duplicated_after_dedupe, verdict.out_of_order_components, verdict.false_ack,
        verdict.unaccounted, other,
    )  # fmt: skip
    return (
        line.test, line.what, *(f"{number:,}" for number in numbers), f"{line.seconds:.1f}",
        str(line.seed),
    )  # fmt: skip


def format_table(lines: Sequence[Line]) -> str:
    """Return the table as text."""
    rows = [COLUMNS, *map(cells, lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = [
        "  ".join(
            cell.ljust(width) if index < _TEXTS else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    notes = [f"{line.test} {line.what}: {line.note}." for line in lines if line.note]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([texts[0], rule, *texts[1:], *([""] if notes else []), *notes])
