"""The corpus as one printed table, a row for each file and their sum."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.corpus import analytics, awkward, contacts, harder, shops, surveys
from tests.corpus.export import Export
from tests.corpus.judge import Judged, judge

SCREEN = 40
"""Lines of a screen."""

TITLE = """# Files that analysts have

`python -m tests.corpus > docs/corpus.md` reads {files} files made in the shape of real exports, compares the table of each
cell by cell with the one it was made from, its report with the findings that an analyst needs, and the columns
proposed for the person and the time with the right ones. The people are invented. A test holds the numbers.

* **agrees**: the file is read as the table that it holds, or refused in the right words if it holds none.
* **groups**: findings as the report shows them, one for a code over many columns. **false** ones are not true, or warn of
  nothing; **noise** is true and of no use: a column that is empty or constant, say; **missed** should be there.
* **proposals**: how many are right, of the person and, for events, of the time. None is right where no column fits.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What all files come to."""

    files: int
    cells: int
    disagree: int
    refused: int
    groups: int
    false: int
    noise: int
    missed: int
    right: int
    wrong: int
    longest: int

    @property
    def false_share(self) -> float:
        """The share of all findings that are false."""
        return self.false / self.groups


MAKERS: tuple[Callable[[], Export], ...] = (
    *shops.EXPORTS, *contacts.EXPORTS, *analytics.EXPORTS, *surveys.EXPORTS, *awkward.EXPORTS, *harder.EXPORTS,
)  # fmt: skip


def judged() -> list[Judged]:
    """Read all files of the corpus, and judge each."""
    return [judge(make()) for make in MAKERS]


def summed(files: Sequence[Judged]) -> Sums:
    """Return the sums; the longest report is that of a file with no finding worse than information."""
    return Sums(
        files=len(files),
        cells=sum(file.cells for file in files),
        disagree=sum(bool(file.differing) for file in files),
        refused=sum(bool(file.refused) for file in files),
        groups=sum(file.groups for file in files),
        false=sum(len(file.false) for file in files),
        noise=sum(len(file.noise) for file in files),
        missed=sum(len(file.missed) for file in files),
        right=sum(file.right for file in files),
        wrong=sum(len(file.wrong) for file in files),
        longest=max(file.lines for file in files if not file.is_warned),
    )


def page(files: Sequence[Judged]) -> str:
    """Return the page of the documentation: what is measured, the sums, and a row for each file."""
    sums = summed(files)
    head = ("file", "cells", "agrees", "groups", "false", "noise", "missed", "proposals")
    total = (
        f"**all {sums.files}**", f"{sums.cells:,}", f"{sums.files - sums.disagree - sums.refused} of {sums.files}",
        f"{sums.groups}", f"{sums.false} ({sums.false_share:.1%})", f"{sums.noise}", f"{sums.missed}",
        f"{sums.right} of {sums.right + sums.wrong}",
    )  # fmt: skip
    rows = [_row(file) for file in files]
    problems = [
        f"* {file.export.source}, `{file.export.file}`: {what}."
        for file in files
        for what in _problems(file)
    ]
    left = "\n## What does not agree\n\n" + "\n".join(problems) + "\n" if problems else ""
    summary = f"\nFalse refusals: {sums.refused}. False findings: {sums.false_share:.1%}.\n"
    return f"{TITLE.format(files=sums.files)}{summary}\n{_table([head, total, *rows])}{left}"


def _row(file: Judged) -> tuple[str, ...]:
    agrees = "no" if file.differing or file.refused else "yes" if file.export.grid else "refused"
    counts = (file.groups, len(file.false), len(file.noise), len(file.missed))
    return (
        f"{file.export.source}: {file.export.file}",
        f"{file.cells:,}" if file.cells else "",
        agrees,
        *(str(count or "") for count in counts),
        f"{file.right} of {file.right + len(file.wrong)}" if file.lines else "",
    )


def _problems(file: Judged) -> Iterable[str]:
    yield from (f"the table differs: {what}" for what in file.differing[:1])
    yield from (f"refused: {what}" for what in (file.refused,) if what)
    yield from (f"false: {what}" for what in file.false)
    yield from (f"missed: {what}" for what in file.missed)
    yield from (f"proposal of the {what}" for what in file.wrong)


def _table(rows: Sequence[Sequence[str]]) -> str:
    ruled = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in ruled
    )
