"""Previews of messages given as dictionaries, without a table or a plan around them."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from cio_frames.identity import Settings
from cio_frames.identity.known_people import export
from cio_frames.identity.messages import Sheet, Slips, slips
from cio_frames.identity.preview import Premise, preview

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def sheet(place, call, messages):
    """Return messages as a sheet; row numbers are their positions."""
    frame = pl.DataFrame(
        {
            "row": range(len(messages)),
            "message": [json.dumps(message) for message in messages],
            "message_id": [message.get("messageId") for message in messages],
            "form": ["form-1"] * len(messages),
        },
        schema={"row": pl.Int64, "message": pl.String, "message_id": pl.String, "form": pl.String},
    )
    return Sheet(plan=place, call=call, messages=frame)


def previewed(plans, *, known=None, settings=None, largest=100, whole=False):
    """Return the preview of plans, each a call with its messages."""
    parts, first = [], 0
    for place, (call, messages) in enumerate(plans):
        parts.append(slips(sheet(place, call, messages), first=first, whole=whole))
        first += len(messages)
    premise = Premise(
        settings=settings or Settings(),
        now=NOW,
        known=None if known is None else export(pl.DataFrame(known)),
        largest=largest,
        whole=whole,
    )
    return preview(Slips.joined(parts), premise, calls=[call for call, _ in plans])


@pytest.fixture
def preview_of():
    """Return what makes a preview of plans, each a call with its messages."""
    return previewed
