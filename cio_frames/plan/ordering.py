"""Advice on the order of a back-fill: what the given one loses, and a better one."""

from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from cio_frames.errors import MappingError
from cio_frames.identity import plan_order
from cio_frames.identity.plan_order import OrderProblem
from cio_frames.identity.settings import Premise
from cio_frames.plan.identity_preview import identity_preview
from cio_frames.plan.pipeline import Pipelines
from cio_frames.views.displays import ShowProgress
from cio_frames.views.document import Bullets, Document, Heading
from cio_frames.views.render import Shown

SPLIT: Final = (
    "Split it and pass all parts to cio.backfill: events without user_id before the people, events "
    "with user_id after them."
)
ROUNDS: Final = 4
"""How often a better order is tried: each try can show problems that the last one hid."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Advice(Shown):
    """Advice on the order of plans.

    Attributes:
        calls: The call of each plan, in the given order.
        losses: What the given order loses.
        order: Positions of the plans in an order in which nothing is lost; None if there is none.
        torn: Plans of which a part must be sent before another plan, and a part after it.
        chains: Alias rows to change: plan, row, user_id, and what to write instead.
        strays: Anonymous events of people who were identified long before.
    """

    calls: tuple[str, ...]
    losses: tuple[OrderProblem, ...]
    order: tuple[int, ...] | None
    torn: tuple[int, ...]
    chains: pl.DataFrame
    strays: int

    @property
    def clean(self) -> bool:
        """Whether nothing is lost in the given order."""
        return not self.losses

    @property
    def sentences(self) -> list[str]:
        """What is lost and what to do, in sentences."""
        lost = plan_order.sentences(self.losses, chains=self.chains.height, unlinked=self.strays)
        return lost + self._todo()

    def _todo(self) -> list[str]:
        if self.clean:
            return ["The order is fine as it is."]
        if self.order is None:
            named = ", ".join(self._named(place) for place in self.torn)
            torn = f"part of {named} belongs before another plan, and part of it after."
            return [f"Every order loses something: {torn} {SPLIT}"]
        named = ", ".join(self._named(place) for place in self.order)
        return [
            f"Send them in this order: {named}. cio.backfill(plans, order='advised') does this for you."
        ]

    def _named(self, place: int) -> str:
        return f"plan {place} ({self.calls[place]})"

    def _document(self) -> Document:
        return Document(Heading("Order", "of the plans"), [Bullets(self.sentences, numbered=True)])


def advise(pipelines: Pipelines, premise: Premise, *, progress: ShowProgress = False) -> Advice:
    """Return advice on the order of plans."""
    calls = pipelines.calls
    preview = identity_preview(pipelines, premise, progress=progress)
    losses = plan_order.order_problems(preview, calls=calls)
    problems, better, rest = list(losses), plan_order.advised(len(calls), losses), losses
    for _ in range(ROUNDS):
        if not rest or better is None:
            break
        other = identity_preview(pipelines.in_order(better), premise, progress=progress)
        rest = plan_order.order_problems(other, calls=[calls[place] for place in better])
        problems += [
            replace(loss, first=better[loss.first], then=better[loss.then]) for loss in rest
        ]
        better = plan_order.advised(len(calls), problems) if rest else better
    return Advice(
        calls=calls,
        losses=tuple(losses),
        order=None if rest else better,
        torn=plan_order.must_split(problems),
        chains=plan_order.alias_chains(preview),
        strays=plan_order.unlinked_events(preview),
    )


def in_advised_order(pipelines: Pipelines, premise: Premise) -> Pipelines:
    """Return plans in the advised order.

    Raises:
        MappingError: Something is lost in every order.
    """
    advice = advise(pipelines, premise)
    if advice.order is None:
        raise MappingError(
            f'order="advised": every order of these plans loses something. {SPLIT} '
            "backfill.advice() shows which plan."
        )
    return pipelines.in_order(advice.order)
