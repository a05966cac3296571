"""The page of all codes, made from the rows: `python -m cio_frames.checks.page > docs/checks.md`."""

import sys
from collections.abc import Iterator
from itertools import groupby

from cio_frames.checks import (
    CATALOGUE,
    ByCall,
    ByColumn,
    ByInputRow,
    ByMessage,
    ByRow,
    ByTable,
    ByText,
    ByValue,
    Check,
)
from cio_frames.frames.column import NOTE_TEXTS
from cio_frames.spec import SEMANTIC_EVENTS

LOOKS_AT = {
    ByValue: "each value",
    ByText: "the text in each value, lists and structs included",
    ByRow: "each row",
    ByColumn: "the name and type of each column",
    ByCall: "what was asked for",
    ByMessage: "each message, as encoded",
    ByTable: "the whole table",
    ByInputRow: "each row of your own table",
}
SUBJECTS = {
    "id": "Identifiers", "email": "E-mail addresses", "person": "People across rows", "message": "Messages",
    "alias": "Merges", "group": "Groups and objects", "time": "Times", "event": "Events", "page": "Pages",
    "screen": "Screens", "form": "Forms", "trait": "Traits with a meaning of their own", "field": "Fields",
    "number": "Numbers", "type": "Types", "value": "Values", "text": "Texts", "column": "Columns",
    "name": "Names", "property": "Properties", "mapping": "The mapping", "sensitive": "Sensitive data",
}  # fmt: skip
DOOR = {
    "file.blank-rows": "Blank lines of a CSV file are left out.",
    "file.separator": "The columns of a CSV file are not separated by commas.",
    "file.short-rows": "Rows of a CSV file have fewer cells than its header; the rest is empty.",
    "file.text-columns": "Columns of a CSV file that look like identifiers are read as text.",
    "file.unnamed-column": "A column of a CSV file has no name.",
    "frame.index-ignored": "The index of a pandas frame is not sent.",
    "frame.loaded": "A lazy frame was loaded: some of its values must be looked at one by one.",
}
"""What the door tells of a table beside the conversions of `NOTE_TEXTS`."""

LATER = {
    "identity.conflict": "With `on_conflict=`: rows do not come out as they ask; `preview.conflicts` tells why.",
    "plan.threshold": "More rows fail than `thresholds=` allows: export the table again, or allow more.",
}
"""What is found after the checks, from all their results."""
LATER_SEVERITY = {"identity.conflict": "reject or refuse", "plan.threshold": "refuse"}

INTRO = """\
# Every code

What a plan can find, made from the rows in `cio_frames/checks`. Do not edit: run
`python -m cio_frames.checks.page > docs/checks.md`.

A finding is one of four kinds. **refuse**: nothing of the plan can be sent until it is fixed or explicitly
allowed. **reject**: the row is left out, and `plan.rejected` has it with the reason. **warn**: look at it before
sending. **info**: good to know.

* `plan.findings` has every finding, without a cap; `plan.fixes` lists what can be repaired, and
  `plan.fix("id.float")` gives a new plan with the repair. `plan.fix("safe")` applies every repair after which no
  two values have become one. `plan.changes` tells what repairs changed, with before and after.
* `cio.Checks(select=["id"], ignore=["text.json"], severity={"id.nobody": "reject"})` chooses codes or whole
  subjects. `thresholds={"id.missing": 0.05}`, or one share for all rows, refuses the plan when more fails.
* `cio.rule("plan.unknown", pl.col("plan").is_in(["free", "pro"]), severity="reject")` is a check of your own, for
  `cio.Checks(rules=[...])`: true where the row is good.
* `cio.Checks(reference={"id": ids})` compares identifiers with what they are known to look like.
* Sensitive data is refused until its column is left out, hashed (`hash=["ssn"]`, the SHA-256 of the text; a number
  that can be guessed can be found again by trying them all) or allowed with a reason
  (`allow_sensitive={"ssn": "why"}`) that goes into the record of the run.

Each code names where its rule comes from. **SPEC** is Customer.io's OpenAPI file of the Data Pipelines API and
**TRACK** that of its Track and Forms API, both of August 2026; **SEED** are its pages on integration, forms and
the HTTP source; **DOC** is its other documentation; **ACT** is the public source of the customerio destination in
segmentio/action-destinations. *reference* is this project's own comparison of these: its chapter, and with a C the
contradiction between them that was decided.
"""


def page() -> str:
    """Return the page of all codes, in Markdown."""
    return "\n".join((INTRO, *_contents(), *_sections(), *_door(), *_later())) + "\n"


def _subject(check: Check) -> str:
    return check.code.partition(".")[0]


def _grouped() -> Iterator[tuple[str, list[Check]]]:
    order = list(SUBJECTS)
    ordered = sorted(CATALOGUE, key=lambda check: order.index(_subject(check)))
    for subject, checks in groupby(ordered, key=_subject):
        yield subject, list(checks)


def _contents() -> Iterator[str]:
    yield "| Subject | Codes |\n| --- | --- |"
    for subject, checks in _grouped():
        links = ", ".join(f"[`{check.code}`](#{check.code.replace('.', '')})" for check in checks)
        yield f"| {SUBJECTS[subject]} | {links} |"
    yield ""


def _sections() -> Iterator[str]:
    for subject, checks in _grouped():
        yield f"## {SUBJECTS[subject]}\n"
        for check in checks:
            yield from _section(check)


def _section(check: Check) -> Iterator[str]:
    yield f"### {check.code}\n"
    yield f"**{check.severity}** · {_words(check.sentence)} {_words(check.consequence)}\n"
    yield f"* Do: {_words(check.hint)}"
    if check.repair:
        kind = "safe" if check.repair.safe else "changes meaning where the guess is wrong"
        yield f"* Repair ({kind}): {check.repair.sentence}."
    else:
        yield f"* No repair: {check.no_repair_because}."
    yield f"* Looks at: {LOOKS_AT[type(check.test)]}."
    yield f"* Source: {_source(check)}.\n"
    if check.code == "event.incomplete":
        yield from _events()


def _source(check: Check) -> str:
    """Return where the rule comes from: the API's facts, else what exports do to data."""
    facts = [part for part in check.source.split("; ") if not part.startswith("reliability")]
    return "; ".join(facts) or "damage that exports and programs do to data"


def _words(text: str) -> str:
    """Return a sentence about any column."""
    begun = text.replace("{column}", "The column", 1) if text.startswith("{column}") else text
    return begun.replace("{column}", "column")


def _events() -> Iterator[str]:
    yield "| Event | Needs | Effect |\n| --- | --- | --- |"
    for name, event in SEMANTIC_EVENTS.items():
        needs = ", ".join(f"`{'.'.join(path)}`" for path in event.requires) or "nothing"
        yield f"| {name} | {needs} | {event.effect} |"
    yield ""


def _door() -> Iterator[str]:
    yield "## What the door tells\n"
    yield "Notes on how a table was read; rows with a rejected value are left out.\n"
    yield "| Code | Severity | What |\n| --- | --- | --- |"
    for code, (severity, words) in NOTE_TEXTS.items():
        yield f"| `{code}` | {severity} | {words} |"
    for code, words in DOOR.items():
        yield f"| `{code}` | info or warn | {words} |"


def _later() -> Iterator[str]:
    yield "\n## After the checks\n"
    yield "| Code | Severity | What |\n| --- | --- | --- |"
    for code, words in LATER.items():
        yield f"| `{code}` | {LATER_SEVERITY[code]} | {words} |"


if __name__ == "__main__":
    sys.stdout.write(page())
