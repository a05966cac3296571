"""Make docs/checks.md, the page of all codes: `python -m cio_frames.checks.page > docs/checks.md`."""

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from cio_frames.checks import CATALOGUE, Check
from cio_frames.checks.texts import read_texts
from cio_frames.frames.column import NOTE_TEXTS
from cio_frames.spec import SEMANTIC_EVENTS

AFTER_SEVERITY = {
    "identity.conflict": "reject or refuse",
    "id.other-form": "warn",
    "plan.threshold": "refuse",
}


def docs() -> dict[str, Any]:
    """Return the texts of the page that belong to no check."""
    texts: dict[str, Any] = read_texts()["docs"]
    return texts


def page() -> str:
    """Return the page of all codes, in Markdown."""
    parts = (
        docs()["intro"],
        *_contents(),
        *_sections(),
        *_file_notes(),
        *_after_checks(),
        *_record(),
    )
    return "\n".join(parts) + "\n"


def _subject(check: Check) -> str:
    return check.code.partition(".")[0]


def _grouped() -> Iterator[tuple[str, list[Check]]]:
    order = list(docs()["subjects"])
    ordered = sorted(CATALOGUE, key=lambda check: order.index(_subject(check)))
    for subject, checks in groupby(ordered, key=_subject):
        yield docs()["subjects"][subject], list(checks)


def _contents() -> Iterator[str]:
    yield "| Subject | Codes |\n| --- | --- |"
    for subject, checks in _grouped():
        links = ", ".join(f"[`{check.code}`](#{check.code.replace('.', '')})" for check in checks)
        yield f"| {subject} | {links} |"
    yield ""


def _sections() -> Iterator[str]:
    for subject, checks in _grouped():
        yield f"## {subject}\n"
        for check in checks:
            yield from _section(check)


def _section(check: Check) -> Iterator[str]:
    texts = check.texts
    yield f"### {check.code}\n"
    yield f"**{check.severity}** · {_about_any_column(texts.sentence)} {_about_any_column(texts.consequence)}\n"
    if texts.event_consequence:
        yield f"* For events: {_about_any_column(texts.event_consequence)}"
    if texts.example:
        yield f"* Example: {texts.example}"
    yield f"* How to fix: {_about_any_column(texts.hint)}"
    if check.repair:
        kind = "safe" if check.repair.safe else "changes the meaning if the guess is wrong"
        yield f"* Repair ({kind}): {texts.repair}."
    else:
        yield f"* No repair: {texts.no_repair_because}."
    yield f"* Checks: {docs()['looks_at'][check.test.unit]}."
    yield f"* Source: {_source(check)}.\n"
    if check.code == "event.incomplete":
        yield from _events()


def _source(check: Check) -> str:
    """Return where the rule comes from: facts about the API, or else damage done by exports."""
    facts = [part for part in check.source.split("; ") if not part.startswith("reliability")]
    return "; ".join(facts) or "damage that exports and software do to data"


def _about_any_column(text: str) -> str:
    """Return a sentence about any column."""
    sentence = text.replace("{column}", "The column", 1) if text.startswith("{column}") else text
    return sentence.replace("{column}", "column")


def _events() -> Iterator[str]:
    yield "| Event | Needs | Effect |\n| --- | --- | --- |"
    for name, event in SEMANTIC_EVENTS.items():
        needs = ", ".join(f"`{'.'.join(path)}`" for path in event.requires) or "nothing"
        yield f"| {name} | {needs} | {event.effect} |"
    yield ""


def _file_notes() -> Iterator[str]:
    yield "## How the table was read\n"
    yield "Notes from reading a table; rows with a rejected value are excluded.\n"
    yield "| Code | Severity | Meaning |\n| --- | --- | --- |"
    for code, (severity, meaning) in NOTE_TEXTS.items():
        yield f"| `{code}` | {severity} | {meaning} |"
    for code, meaning in docs()["file_notes"].items():
        yield f"| `{code}` | info or warn | {meaning} |"


def _after_checks() -> Iterator[str]:
    yield "\n## After the checks\n"
    yield "| Code | Severity | Meaning |\n| --- | --- | --- |"
    for code, meaning in docs()["after_checks"].items():
        yield f"| `{code}` | {AFTER_SEVERITY[code]} | {meaning} |"


def _record() -> Iterator[str]:
    yield "\n## In the record\n"
    yield "What a run decides of a row because of what earlier runs sent.\n"
    yield "| Code | What |\n| --- | --- |"
    for code, meaning in docs()["record"].items():
        yield f"| `{code}` | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write(page())
