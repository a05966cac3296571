"""The report of a saved plan, for its reviewers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cio_frames.plan.json_values import CONSTANT
from cio_frames.views.document import (
    Badge,
    Bullets,
    Code,
    Command,
    Document,
    Figures,
    Heading,
    Node,
    Paragraph,
    Part,
    Section,
    Table,
)
from cio_frames.views.wording import duration, many, number, size

PEOPLE: Final = (
    "creates", "updates", "merges", "deletes", "suppresses", "conflicts", "opt_outs_ended", "campaign_events",
    "objects", "relationships",
)  # fmt: skip
"""Counts of the identity preview that the report shows if they are not 0."""


def saved_document(saved: Mapping[str, Any], *, digest: str) -> Document:
    """Return the report of a saved plan, from the values of its file."""
    calls = " + ".join(plan["call"] for plan in saved["plans"])
    refused = any(
        row["severity"] == "refuse" for plan in saved["plans"] for row in plan["findings"]
    )
    verdict = Badge("✕ cannot be sent", "bad") if refused else Badge("✓ can be applied", "good")
    return Document(Heading("Saved plan", calls, verdict), list(_body(saved, digest)))


def _body(saved: Mapping[str, Any], digest: str) -> Iterator[Node]:
    yield Paragraph(saved["outcome"] or "No row would be sent.", "lead")
    yield Table(("what", "reviewed"), list(_facts(saved, digest)))
    people = [
        (name.replace("_", " "), saved["identity"][name])
        for name in PEOPLE
        if saved["identity"].get(name)
    ]
    compared = (
        "an export of the workspace" if saved["identity"]["is_compared"] else "an empty workspace"
    )
    if people:
        yield Section("Who is who", [Paragraph(f"Compared with {compared}."), Figures(people)])
    estimate = saved["estimate"]
    sentence = (
        f"{many(estimate['requests'], 'request')}, {size(estimate['bytes'])} ({size(estimate['compressed_bytes'])} on the wire), "
        f"about {duration(estimate['seconds'])}."
    )
    yield Section("Estimate", [Paragraph(sentence)])
    for place, plan in enumerate(saved["plans"]):
        title = (f"{place + 1}. {plan['call']}", plan["table"])
        yield Part(title, list(_plan(plan)), "calm")


def _facts(saved: Mapping[str, Any], digest: str) -> Iterator[tuple[Any, ...]]:
    where = saved["destination"]
    yield "destination", f"{where['endpoint']} ({where['region']})" if where else "any workspace"
    author = saved["author"]
    yield "saved", f"{_minute(saved['created'])} by {author['user']} on {author['machine']}"
    yield "expires", _minute(saved["expires"]) if saved["expires"] else "never"
    yield "versions", ", ".join(f"{name} {version}" for name, version in saved["versions"].items())
    if saved["allowances"]:
        yield "needs", Code(f"allow={json.dumps(saved['allowances'])}")
    yield "sha256", Code(digest)
    for approval in saved["approvals"]:
        yield "signed by", Code(f"{approval['key']} at {approval['at']}")


def _plan(plan: Mapping[str, Any]) -> Iterator[Node]:
    counts = plan["counts"]
    names = ("rows", "valid", "rejected", "batches")
    shown = [(name.replace("batches", "requests"), number(counts[name])) for name in names]
    yield Figures([*shown, ("bytes", size(counts["bytes"]))])
    if plan["findings"]:
        yield Section("Findings", [_findings(plan["findings"])])
    rows = [(row["field"], Code(row["column"]), row["how"]) for row in plan["mapping"]]
    constants = plan["arguments"].get("fields", {}).items()
    decisions = [
        f"{name} is always {value[CONSTANT]!r}." for name, value in constants if CONSTANT in value
    ]
    yield Section("Mapping", [Table(("field", "column", "how"), rows)])
    decisions += _decisions(plan)
    if decisions:
        yield Section("Decisions", [Bullets(decisions)])
    hashes = [("table", Command(plan["fingerprint"])), ("messages", Command(plan["messages"]))]
    yield Section("Hashes", [Table(("of", "hash"), hashes)])


def _findings(findings: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (row["severity"], Code(row["code"]), ", ".join(row["columns"]), row["rows"], row["message"])
        for row in findings
    ]
    return Table(("severity", "code", "columns", "rows", "message"), rows, right={3})


def _decisions(plan: Mapping[str, Any]) -> Iterator[str]:
    if plan["repairs"]:
        yield f"Repairs: {', '.join(plan['repairs'])}."
    for code, rows in plan["left_out"].items():
        yield f"Left out: {many(rows, 'row')} ({code})."
    for name, value in plan["checks"].items():
        if name == "allow_sensitive":
            yield from (f"Allowed: {column}, because {reason}." for column, reason in value.items())
        else:
            yield f"Checks: {name} = {_shown(value)}."


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_shown(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value)
    return str(value)


def _minute(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
