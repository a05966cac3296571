"""The story of one row, in sentences."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cio_frames.audit.runfile import RunFile

_STRICT = "Customer.io accepted it in strict mode"
_CARRIED = "It was carried by a request that was refused as a whole. "
_ENDS: Mapping[str, str] = {
    "delivered": f"{_STRICT}{{answer}}{{moment}}.",
    "accepted_unverified": (
        "Customer.io answered{answer}{moment}, but strict mode was off: "
        "it answers so to messages that it drops as well."
    ),
    "rejected_local": "It was not sent: {reason}.",
    "rejected_server": "Customer.io refused it{answer}{moment}: {reason}.",
    "skipped_done": "It was not sent, because an earlier run had delivered the same message.",
    "blocked": "It was held back, because an earlier row of the same person was refused{why}.",
    "in_doubt": (
        "No clear answer came{answer}{why}: Customer.io may or may not have it. "
        "Sending it again is harmless while its message id is remembered."
    ),
    "pending": "It has not reached Customer.io{why}. A resume will send it.",
}


def story(record: Mapping[str, Any], *, run: RunFile) -> str:
    """Return what became of one row.

    Args:
        record: The row of the audit.
        run: The run it belongs to.
    """
    return " ".join(part for part in (_planned(record, run), _tried(record), _end(record)) if part)


def _planned(record: Mapping[str, Any], run: RunFile) -> str:
    mode = "" if run.info.strict else ", strict mode off"
    plan = f" of plan {record['plan']}" if len(run.info.plans) > 1 else ""
    head = f"Row {record['row']}{plan} of run {record['run_id']} ({run.info.endpoint}{mode})"
    named = f"message {record['message_id']}" if record["message_id"] else "without a message"
    told = f"{head} is {_article(record['call'])} {record['call']} call, {named}"
    if record["batch"] is None:
        return f"{told}."
    return f"{told} of {record['bytes']} bytes in batch {record['batch']}, lane {record['lane']}."


def _tried(record: Mapping[str, Any]) -> str:
    if not record["attempts"]:
        return "No request has carried it." if record["batch"] is not None else ""
    first = _moment(record["first_attempt_at"])
    if record["attempts"] == 1:
        return f"It was sent once, {first}."
    return f"It was sent {record['attempts']} times, first {first}."


def _end(record: Mapping[str, Any]) -> str:
    status, at = record["http_status"], record["finished_at"]
    said = [text for text in (record["code"], record["error"]) if text]
    reason = ": ".join(said) or "no reason was given"
    carried = _CARRIED if record["state"] == "blocked" and record["attempts"] else ""
    return carried + _ENDS[record["state"]].format(
        answer=f" with status {status}" if status else "",
        moment=f" {_moment(at)}" if at else "",
        reason=reason.rstrip("."),
        why=f" ({reason.rstrip('.')})" if said else "",
    )


def _moment(at: datetime) -> str:
    return f"on {at.astimezone(UTC):%Y-%m-%d at %H:%M:%S} UTC"


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"
