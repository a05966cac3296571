"""Previews of messages given as dictionaries, without a table or a plan around them."""

from datetime import UTC, datetime

import polars as pl
import pytest

from cio_frames.identity import Settings
from cio_frames.identity.known_people import normalize_export
from cio_frames.identity.messages import IdentityColumns
from cio_frames.identity.preview import preview
from cio_frames.identity.settings import Premise
from tests.identity.decoding import columns_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def previewed(plans, *, known=None, settings=None, largest=100, whole=False):
    """Return the preview of plans, each a call with its messages."""
    parts, first = [], 0
    dated = any(
        call in ("identify", "group") and any("timestamp" in message for message in messages)
        for call, messages in plans
    )
    for place, (call, messages) in enumerate(plans):
        if call == "form":  # a submission has no other keys, and its form in the path
            sent = [{"formId": "form-1", "data": message["data"]} for message in messages]
        else:
            sent = messages
        columns = columns_of(call, sent, whole=whole, dated=dated)
        parts.append(IdentityColumns.from_columns(columns, plan=place, first=first))
        first += len(messages)
    premise = Premise(
        settings=settings or Settings(),
        now=NOW,
        workspace_people=None if known is None else normalize_export(pl.DataFrame(known)),
        largest=largest,
        apply_all=whole,
    )
    return preview(IdentityColumns.concat(parts), premise, calls=[call for call, _ in plans])


@pytest.fixture
def preview_of():
    """Return what makes a preview of plans, each a call with its messages."""
    return previewed
