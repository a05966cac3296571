"""What earlier runs in a directory have settled, by the content of the messages."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from cio_frames.audit.reader import Audit, collected
from cio_frames.errors import AuditError
from cio_frames.spec import CALLS

_COLUMNS = ("call", "message_id", "payload_hash", "state", "first_attempt_at")


def earlier(directory: Path | str, *, workspaces: Mapping[str, str]) -> pl.DataFrame:
    """Return the messages that earlier runs sent to the same workspace, and their states.

    Args:
        directory: The directory of all runs; it need not be there.
        workspaces: The workspace of each surface, as in `RunInfo.workspaces`.

    Returns:
        Columns call, message_id, payload_hash, state and first_attempt_at; each message once, as
        delivered if any run delivered it, else as in doubt.
    """
    try:
        log = Audit(directory)
    except AuditError:
        return pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String))
    frames = [_sent(log, api, workspace) for api, workspace in workspaces.items()]
    found = (
        pl.concat(frames)
        .sort(pl.col("state") == "delivered", descending=True, maintain_order=True)
        .unique("message_id", keep="first", maintain_order=True)
    )
    return collected(found, directory)


def _sent(log: Audit, api: str, workspace: str) -> pl.LazyFrame:
    calls = [name for name, call in CALLS.items() if call.api.name == api]
    return (
        log.scan(workspace=(api, workspace))
        .filter(pl.col("call").is_in(calls), pl.col("state").is_in(["delivered", "in_doubt"]))
        .select(_COLUMNS)
    )
