"""Who is who: the identity preview of a plan or a back-fill."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import polars as pl

from cio_frames.errors import IdentityRefusedError, MappingError
from cio_frames.frames import Note, read
from cio_frames.identity import Settings
from cio_frames.identity.collector import paused
from cio_frames.identity.conflicts import MINOR
from cio_frames.identity.export import export
from cio_frames.identity.ledger import Ledger, Sheet
from cio_frames.identity.preview import LARGEST, Preview, preview
from cio_frames.identity.story import story
from cio_frames.plan.passes import CHUNK_ROWS
from cio_frames.spec import CALLS
from cio_frames.views.displays import display
from cio_frames.views.html import Drawn
from cio_frames.views.progress import ProgressState
from cio_frames.views.wording import duration, many

if TYPE_CHECKING:
    from cio_frames.plan.plan import Plan

OnConflict = Literal["report", "reject", "refuse"]
CODE = "identity.conflict"
SHOWN_FROM_ROWS = 200_000
"""Smaller plans are previewed before a display would be seen."""
ROUNDS = 5
"""Leaving rows out can bring up new conflicts; more often than this it never did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Premise:
    """What a preview assumes.

    Attributes:
        known: The people that are there, as `export` gives them.
        settings: How the workspace is set up.
        now: When everything arrives.
        largest: The most identifiers that one person may have.
    """

    known: pl.DataFrame | None
    settings: Settings
    now: datetime
    largest: int = LARGEST


def people_of(known: Any) -> pl.DataFrame | None:
    """Return an export of people as the model takes it.

    Raises:
        MappingError: It has no column of identifiers.
    """
    return None if known is None else export(read(known).lazy.collect())


def foresee(
    plans: Sequence["Plan"], premise: Premise, *, progress: object = False, whole: bool = False
) -> Ledger:
    """Apply all messages of plans, in sending order, to the model of a workspace.

    Args:
        plans: The plans, in order.
        premise: What is assumed.
        progress: How to show how far it is.
        whole: Whether every event is applied, even those that change nobody.
    """
    rows = sum(plan.table.rows() for plan in plans)
    began = monotonic()
    shown = display(progress if rows >= SHOWN_FROM_ROWS or callable(progress) else False)
    state = ProgressState(label="who is who", total=rows, started_s=began, now_s=began)
    shown.show(state)
    with paused():
        ledger = Ledger(
            settings=premise.settings, now=premise.now, known=premise.known, whole=whole
        )
        for sheet, planned in sheets(plans):
            ledger.take(sheet)
            state = replace(state, planned=planned, now_s=monotonic())
            shown.update(state)
    took = f"{many(rows, 'row')} in {duration(monotonic() - began)}: who is who is known."
    shown.close(Drawn.of(took))
    return ledger


def sheets(plans: Sequence["Plan"]) -> Iterator[tuple[Sheet, int]]:
    """Yield the messages of plans in the order in which they are sent, and the rows read so far."""
    planned = 0
    for place, plan in enumerate(plans):
        for worked in plan.worked(chunk_rows=CHUNK_ROWS):
            messages = worked.messages.sort("lane", "row")
            planned += len(worked.rows)
            yield Sheet(
                plan=place,
                call=plan.call,
                rows=messages["row"].to_list(),
                texts=messages["message"].to_list(),
                forms=_forms(messages["path"], plan.call),
            ), planned


def _forms(paths: pl.Series, call: str) -> list[str]:
    if CALLS[call].api != "forms":
        return []
    before, after = CALLS[call].path.split("{form_id}")
    return [unquote(path.removeprefix(before).removesuffix(after)) for path in paths.to_list()]
